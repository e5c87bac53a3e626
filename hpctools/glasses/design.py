"""Designs: many glasses to make, in a TOML file, and the design of the shipped data set.

    protocol = "standard"          # settings of all glasses, as in a job file
    seeds = [1, 2, 3]

    [[glass]]
    composition = "60SiO2-20B2O3-20Na2O"

    [[glass]]
    composition = "SiO2"
    protocol = "slow"              # settings of this glass alone
    seeds = [1]
    rate = 2.0                     # another setting
    label = "rate2"                # in the names of its files
"""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpctools.stop import USAGE

from .composition import Composition, CompositionError, parse
from .forcefield import DEFAULT, ForceFieldError, load
from .job import QuenchJob, make


class DesignError(ValueError):
    """A design file that cannot be used."""

    user_error = True
    exit_code = USAGE


@dataclass(frozen=True)
class Glass:
    """One glass and seed of a design; the name is that of its files."""

    name: str
    job: QuenchJob


def read(path: str | Path) -> list[Glass]:
    """The glasses of a design file: all glasses with their first seed, then all with their second, and so on.

    Raises DesignError, and what the settings of a job raise.
    """
    path = Path(path)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DesignError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DesignError(f"{path}: is not TOML: {error}") from error
    glasses = table.pop("glass", [])
    if not isinstance(glasses, list) or not glasses:
        raise DesignError(f"{path}: no [[glass]] entries")
    found: list[tuple[int, int, Glass]] = []
    for index, entry in enumerate(glasses):
        if not isinstance(entry, dict):
            raise DesignError(f"{path}: glass: found {entry!r}, expected tables [[glass]]")
        for order, task in enumerate(_tasks({**table, **entry}, f"{path}, glass {index + 1}")):
            found.append((order, index, task))
    ordered = [glass for _, _, glass in sorted(found, key=lambda item: item[:2])]
    first: dict[str, QuenchJob] = {}
    for glass in ordered:
        if glass.name in first:
            _refuse_twin(path, glass, first[glass.name])
        first[glass.name] = glass.job
    return ordered


def _refuse_twin(path: Path, glass: Glass, other: QuenchJob) -> None:
    a, b = dataclasses.asdict(other), dataclasses.asdict(glass.job)
    off = [f"{key} {a[key]} and {b[key]}" for key in a if a[key] != b[key]]
    raise DesignError(f"{path}: {glass.name} stands there twice" + (
        f", with {', '.join(off)}, and names tell only protocol, field, atoms and seed: give one of them "
        'label = "…", which its name then has' if off else ""))


def _tasks(values: dict[str, Any], source: str) -> Iterator[Glass]:
    values = dict(values)
    protocol, seeds = values.pop("protocol", "standard"), values.pop("seeds", [1])
    label = values.pop("label", "")
    if not isinstance(protocol, str):
        raise DesignError(f"{source}: protocol: found {protocol!r}, expected a name")
    if not isinstance(label, str) or not re.fullmatch(r"[A-Za-z0-9.+-]*", label):
        raise DesignError(f"{source}: label: found {label!r}, expected letters, digits and . + -")
    if "composition" not in values:
        raise DesignError(f"{source}: no composition")
    if "seed" in values:
        raise DesignError(f"{source}: seed = {values['seed']!r}: expected seeds, a list of whole numbers")
    if not isinstance(seeds, list) or not seeds:
        raise DesignError(f"{source}: seeds: found {seeds!r}, expected a list of whole numbers")
    for seed in seeds:
        job = make(protocol, {**values, "seed": seed}, source)
        yield Glass(task_name(job, protocol, label), job)


def task_name(job: QuenchJob, protocol: str, label: str = "") -> str:
    """Composition, what is unusual, and seed: "60SiO2-20B2O3-20Na2O_slow_s1"."""
    unusual = [] if protocol == "standard" else [protocol]
    if job.field != DEFAULT:
        unusual.append(Path(job.field).stem)
    if job.atoms is not None:
        unusual.append(f"n{job.atoms}")
    if label:
        unusual.append(label)
    return "_".join([str(parse(job.composition)), *unusual, f"s{job.seed}"])


# K = [SiO2]/[B2O3] and R = [Na2O]/[B2O3] of the glasses without dopants: four-fold boron over its whole course
SERIES = ((1, 0.5), (1, 1.0), (2, 0.25), (2, 0.5), (2, 0.75), (2, 1.0), (2, 1.5), (3, 0.5), (3, 1.0), (3, 2.0),
          (4, 0.75), (4, 1.25), (6, 1.5))  # fmt: skip
DOPANTS = ("BaO", "ZnO", "TiO2")
SILICA_LEVELS = (2, 10, 20)  # mol % of a dopant in silica
BASE_LEVELS = (2, 10, 20)  # mol % in 60-20-20
RANGES = ((1.0, 6.0), (0.3, 2.0), (2.0, 20.0))  # K, R, mol % of dopant: filled by a Sobol sequence
FILL = 6  # glasses a dopant in these ranges
MOST_SODIUM = 35.0  # mol % Na2O, beyond which melts hardly form glasses
SLOW = ("SiO2", "60SiO2-20B2O3-20Na2O", "54SiO2-18B2O3-18Na2O-10BaO", "54SiO2-18B2O3-18Na2O-10ZnO",
        "54SiO2-18B2O3-18Na2O-10TiO2", "40SiO2-40B2O3-20Na2O")  # fmt: skip
FINE = ("60SiO2-20B2O3-20Na2O",)  # steps of 1 fs in the melt and the quench too, against the standard's 2 fs
# the three-body term cut off as published, against the default's smooth end
ABRUPT = ("SiO2", "40SiO2-40B2O3-20Na2O", "33.4SiO2-33.3B2O3-33.3Na2O")
LARGE = ("SiO2", "60SiO2-20B2O3-20Na2O")
LARGE_ATOMS = 3000


def shipped() -> list[Composition]:
    """The glasses of the shipped data set: corners, series in R and K, and a space-filling rest."""
    found = [parse("SiO2")]
    found += [sodium_borosilicate(k, r) for k, r in SERIES]
    for dopant in DOPANTS:
        found += [parse(f"{100 - x}SiO2-{x}{dopant}") for x in SILICA_LEVELS]
        found += [sodium_borosilicate(3, 1, dopant, x) for x in BASE_LEVELS]
        found += _fill(dopant, found)
    return found


def sodium_borosilicate(k: float, r: float, dopant: str = "", percent: float = 0.0) -> Composition:
    """The glass with K = [SiO2]/[B2O3], R = [Na2O]/[B2O3] and some mol % of a dopant, rounded to 0.1 mol %."""
    boron = (100 - percent) / (1 + k + r)
    parts = {"B2O3": round(boron, 1), "Na2O": round(r * boron, 1)}
    rest = 100 - percent - sum(parts.values())
    text = f"{rest:.1f}SiO2-" + "-".join(f"{value}{oxide}" for oxide, value in parts.items())
    return parse(text + (f"-{percent:g}{dopant}" if percent else ""))


def _fill(dopant: str, taken: list[Composition]) -> list[Composition]:
    """Glasses spread over RANGES by a Sobol sequence, those left out that the force field refuses."""
    from scipy.stats import qmc

    found: list[Composition] = []
    for point in qmc.Sobol(3, rng=DOPANTS.index(dopant)).random_base2(6):
        k, r, percent = (low + u * (high - low) for u, (low, high) in zip(point, RANGES))
        glass = sodium_borosilicate(k, r, dopant, round(percent))
        try:
            load(DEFAULT, glass)
        except (ForceFieldError, CompositionError):
            continue
        if glass["Na2O"] <= MOST_SODIUM and glass not in taken and glass not in found:
            found.append(glass)
        if len(found) == FILL:
            break
    return found


def shipped_toml() -> str:
    """The design of the shipped data set as a TOML file."""
    lines = ['protocol = "standard"', "seeds = [1, 2, 3]"]
    for glass in shipped():
        lines += ["", "[[glass]]", f'composition = "{glass}"']
    special = (('protocol = "slow"', SLOW, [1]), ('protocol = "fine"', FINE, [1]),
               ('field = "bmp-shrm"', ABRUPT, [1, 2, 3]))
    for setting, compositions, seeds in special:
        for composition in compositions:
            lines += ["", "[[glass]]", f'composition = "{composition}"', setting, f"seeds = {seeds}"]
    for composition in LARGE:
        lines += ["", "[[glass]]", f'composition = "{composition}"', f"atoms = {LARGE_ATOMS}", "seeds = [1]"]
    return "\n".join(lines) + "\n"
