"""A design: many states in a TOML file.

    # settings of all states, keys as the options of `run`
    [settings]
    box_length = 10.0

    # each table is the product of its lists
    [[states]]
    potentials = ["LJ", "WCA"]
    densities = [1.2, 1.4]
    relative_temperatures = [0.6, 1.0, 2.0]   # in units of T_mct; or: temperatures = [0.5, 1.0]
    max_temperature = 15.0                    # warmer ones are left out
    seeds = [1, 2]
    protocol = "liquid"
    settings = { blocks = 32 }                # of these states, before those of all
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import tomllib
from pathlib import Path
from typing import Any

import numpy as np

from hpctools import config

from .mixture import MixtureError, printed_mct_temperature
from .state import State, StateError

KEYS = ("potentials", "densities", "relative_temperatures", "temperatures", "max_temperature", "seeds", "protocol",
        "settings")
OF_STATES = {"potential": "potentials = [...]", "density": "densities = [...]", "temperature": "temperatures = [...]",
             "seed": "seeds = [...]", "protocol": 'protocol = "liquid" or "glass"'}
"""Settings that a table of states gives, and how."""
SHIPPED = Path(__file__).parent.parent / "data" / "liquids" / "design.toml"

# Steps a second of one core by density, and relaxation times by T/T_mct: for estimates of cost only.
_DENSITIES = (1.2, 1.6, 1.8)
_SPEED = {"LJ": (1800.0, 1100.0, 850.0), "WCA": (7000.0, 4000.0, 3200.0)}
_RELATIVE_T = (0.5, 0.55, 0.6, 0.667, 0.8, 0.9, 1.1, 2.2)
_TAU = (1200.0, 200.0, 50.0, 12.0, 4.0, 2.2, 1.2, 0.35)


def read_design(path: str | Path) -> list[State]:
    """The states of a design in its order; raises ConfigError and the errors of a state, naming file and table."""
    try:
        content = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise config.ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise config.ConfigError(f"{path}: is not TOML: {error}") from error
    unknown = sorted(set(content) - {"settings", "states"})
    tables = content.get("states")
    if unknown or not (tables and isinstance(tables, list) and all(isinstance(table, dict) for table in tables)):
        raise config.ConfigError(f"{path}: found {', '.join(content) or 'nothing'}; expected [[states]] tables and, "
                                 "if wanted, one [settings] table")
    settings = _settings(content, str(path))
    found: dict[str, str] = {}  # table of each state
    states = []
    for number, table in enumerate(tables, 1):
        source = f"{path}: states table {number}"
        for state in _expand(table, settings, source):
            if state.name in found:
                raise config.ConfigError(f"{source}: {state.name} (T = {state.temperature!r}) stands in "
                                         f"{found[state.name]} already; expected each state once, independent runs "
                                         "with other seeds, and temperatures that differ in four digits")
            found[state.name] = f"table {number}"
            states.append(state)
    if not states:
        raise config.ConfigError(f"{path}: no state in its {len(tables)} tables; expected lists with values, and a "
                                 "max_temperature that leaves some")
    return states


def _settings(content: dict[str, Any], source: str) -> dict[str, Any]:
    """The entry "settings" of a design or of a table, checked; empty where there is none."""
    given = content.get("settings", {})
    if not isinstance(given, dict):
        raise config.ConfigError(f"{source}: settings is {given!r}, expected a table [settings]")
    settings = config.check(State, given, f"{source}: settings")
    if mixed := sorted(set(settings) & set(OF_STATES)):
        raise config.ConfigError(f"{source}: settings: {mixed[0]} belongs to the [[states]] tables, as "
                                 f"{OF_STATES[mixed[0]]}")
    return settings


def _expand(table: dict[str, Any], settings: dict[str, Any], source: str) -> list[State]:
    """The states of one table."""
    unknown = sorted(set(table) - set(KEYS))
    if unknown:
        raise config.ConfigError(f"{source}: unknown key {unknown[0]!r}. Known keys: {', '.join(KEYS)}")
    if ("temperatures" in table) == ("relative_temperatures" in table):
        raise config.ConfigError(f"{source}: expected either temperatures or relative_temperatures")
    settings = {**settings, **_settings(table, source)}
    states = []
    key = "temperatures" if "temperatures" in table else "relative_temperatures"
    lists = [table.get("potentials", [State.potential]), table.get("densities", [State.density]), table[key],
             table.get("seeds", [State.seed])]
    if not all(isinstance(entry, list) for entry in lists):
        raise config.ConfigError(f"{source}: potentials, densities, {key} and seeds must be lists")
    if wrong := [name for name in lists[0] if not isinstance(name, str)]:
        raise config.ConfigError(f"{source}: found {wrong[0]!r} among potentials, expected their names")
    for value in (*lists[1], *lists[2], table.get("max_temperature", 1.0)):
        if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
            raise config.ConfigError(f"{source}: found {value!r} among densities and temperatures, expected numbers")
    for potential, density, value, seed in itertools.product(*lists):
        try:
            temperature = value
            if key == "relative_temperatures":
                temperature = round(value * printed_mct_temperature(potential, density), 6)
            if temperature > table.get("max_temperature", math.inf):
                continue
            given = {"potential": potential, "density": density, "temperature": temperature, "seed": seed,
                     "protocol": table.get("protocol", State.protocol)}
            states.append(dataclasses.replace(State(), **settings, **config.check(State, given, source)))
        except (StateError, MixtureError) as error:
            raise type(error)(f"{source}: {error}") from None
    return states


def cost(state: State) -> float:
    """Estimated seconds of a state on one core: a guide for the order and the length of a campaign."""
    # near T_mct relaxation times of all these states fall on one curve of T/T_mct
    usual = dataclasses.replace(state, melt_temperature=0.0, protocol="liquid").melt
    relative = 2 * state.temperature / usual  # 2 T_mct, or T where that is warmer
    tau = math.exp(np.interp(relative, _RELATIVE_T, np.log(_TAU)))
    if state.protocol == "glass":
        time = state.least_production + (state.quench_time + state.waiting_time) / math.sqrt(state.temperature)
    else:
        time = (max(0.2 * state.least_production, state.equilibration_relaxations * tau)
                + max(state.least_production, state.production_relaxations * tau))
    speed = np.interp(state.density, _DENSITIES, _SPEED[state.potential])
    particles = sum(state.mixture.counts(state.density, state.length))
    return time / state.step / float(speed) * particles / (1000 * state.density) + observing(particles)


def observing(particles: int) -> float:
    """Estimated seconds to analyse the trajectory of a state on one core: S(k) and F_s, and the pairs of g(r)."""
    return 15.0 * particles / 1200 + 1.5 * (particles / 1200) ** 2
