"""Is the record of a finished state whole, and of the settings that are asked for? And what is to be said of it?

Names of records hold four digits of the temperature and, of the settings, only the protocol and a number of particles
that was asked for, so a name alone says little.
"""

from __future__ import annotations

import dataclasses
import math
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hpctools.store import StoreError
from hpctools.store_reader import open_reader

from . import engines
from .design import observing
from .library import judge
from .record import KIND, Record
from .state import State

_RESOLVED = ("engine", "dt", "melt_temperature", "box_length", "particles")  # compared by what follows from them


class FinishedError(Exception):
    """A record that is not that of the state."""

    user_error = True


def check(state: State, path: Path) -> None:
    """Raise FinishedError or StoreError where the file at `path` is not the whole record of this state.

    Records without the attribute state_toml tell less: of them the state itself, its size, engine, time step, blocks
    and the length of the production are compared.
    """
    try:
        found = Record.load(path).attributes
    except StoreError as error:
        raise StoreError(f"{error}. It has the name of a finished state: move it away to run that state") from error
    if differ := differences(state, found):
        raise FinishedError(f"{path} is there already, but with other settings ({'; '.join(differ)}); take the same "
                            "settings or another --out, or move it away")


def differences(state: State, found: Mapping[str, Any]) -> list[str]:
    """What the attributes of a record say otherwise than a state, as "name = found, asked for wanted"."""
    out = []

    def compare(name: str, value: Any, wanted: Any) -> None:
        if not (math.isclose(value, wanted, rel_tol=1e-9) if isinstance(wanted, float) else value == wanted):
            out.append(f"{name} = {value}, asked for {wanted}")

    if "potential" not in found:
        return ["a trajectory that was measured by `observe`, without a state"]
    for name in ("potential", "density", "temperature", "seed", "protocol", "blocks"):
        wanted = getattr(state, name)
        compare(name, type(wanted)(found[name]), wanted)
    compare("particles", sum(map(int, found["particles"])), sum(state.mixture.counts(state.density, state.length)))
    compare("dt", float(found["time_step"]) * 2 ** int(found.get("time_step_halvings", 0)), state.step)
    if asked := state.engine or os.environ.get(engines.ENVIRONMENT, ""):
        compare("engine", str(found["engine"]).split()[0], asked)
    if "state_toml" in found:
        known = [field.name for field in dataclasses.fields(State)]
        settings = {name: value for name, value in tomllib.loads(found["state_toml"]).items() if name in known}
        compare("melt_temperature", State(**settings).melt, state.melt)
        for name in settings:
            if name not in found and name not in _RESOLVED:
                compare(name, settings[name], getattr(state, name))
    elif found["duration"] < (1 - 1e-9) * state.least_production:
        out.append(f"production of {found['duration']:g} τ_LJ, asked for at least {state.least_production:g}")
    return out


def seconds(path: Path) -> float:
    """What a state and its analysis took on one core; NaN where it is unknown.

    Where a record does not tell the seconds of the analysis, it is the estimate.
    """
    with open_reader(path, KIND) as file:
        found = file.attrs
        analysis = found.get("analysis_seconds", observing(int(sum(found["particles"]))))
        return float(found.get("wall_seconds", math.nan)) + float(analysis)


def remark(path: Path) -> str:
    """What there is to say of a finished state; "" for a liquid in equilibrium without remarks."""
    verdict = judge(Record.load(path))
    return "; ".join((*verdict.reasons, *verdict.remarks))
