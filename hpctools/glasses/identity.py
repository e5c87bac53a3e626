"""Is a record that of this job, and are records seeds of the same thing?

Settings are compared as they stand in the records. A force field is the same where its numbers for the glass are: the
text of its file may get another note.
"""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from hpctools.config import dump_toml

from .composition import parse
from .forcefield import Field
from .job import QuenchJob

# restart files change nothing, and all ways to the forces give the same ones (`merged` was their setting once); of the
# others the record has what came of them
_OF_NO_WEIGHT = ("restart_time", "forces", "merged")
_REALISED = ("composition", "seed", "field", "length", "atoms", "density")


def field_numbers(field: Field) -> dict[str, Any]:
    """All numbers of a force field for one glass, as they stand in a record."""
    return {
        "charges": field.charges,
        "dsf": {"damping": field.damping, "cutoff": field.cutoff},
        "pairs": {"-".join(pair): [[t.form, *t.parameters, t.cutoff] for t in terms]
                  for pair, terms in field.pairs.items() if terms},
        "three_body": [[*t.ends, t.apex, t.half_k, t.theta0, t.rho, t.cutoff, *map(list, t.screens)]
                       for t in field.three_body],
        "variables": field.variables,
    }  # fmt: skip


def changes(made: Mapping[str, Any], field: Field) -> list[str]:
    """Where numbers of a force field kept as JSON are not those of `field`: "charges Si is 2, asked for 1"."""
    asked = json.loads(json.dumps(field_numbers(field)))
    found = []
    for part in asked:
        have, want = _named(made.get(part)), _named(asked[part])
        found += [f"{part} {key} is {_numbers(have.get(key))}, asked for {_numbers(want.get(key))}"
                  for key in {**want, **have} if not _alike(have.get(key), want.get(key))]
    return found


def settings(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a record by name."""
    found = tomllib.loads(attributes["config_toml"])
    found.setdefault("hot_timestep", found.get("timestep"))  # once there was one step for all
    return {key: value for key, value in found.items() if key not in _OF_NO_WEIGHT}


def differences(attributes: Mapping[str, Any], job: QuenchJob, field: Field) -> list[str]:
    """Where a record (its attributes) is of something else than the job: "rate is 25, asked for 5"."""
    made, asked = settings(attributes), settings({"config_toml": dump_toml(job)})
    found = []
    for key in {**asked, **made}:
        have, want = made.get(key), asked.get(key)
        if key == "field" or have == want:
            continue
        if key == "composition" and parse(str(have)) == parse(str(want)):
            continue
        found.append(f"{key} is {_shown(have)}, asked for {_shown(want)}")
    name = str(attributes["force_field"])
    if name != field.name:
        found.append(f"field is {name}, asked for {field.name}")
    elif not found and (changed := changes(json.loads(attributes["force_field_numbers"]), field)):
        found.append(f"the numbers of the force field {name} have changed since ({few(changed)})")
    return found


def few(differences: Sequence[str]) -> str:
    """The first two, and how many others there are."""
    more = len(differences) - 2
    return "; ".join(differences[:2]) + (f"; and {more} other{'s' * (more > 1)}" if more > 0 else "")


def other_settings(made: str, asked: str) -> list[str]:
    """Where settings as TOML are others, so that a run by the one cannot go on by the other.

    The energies in a run's files have the self term of Coulomb's law by LAMMPS' separate styles alone, which therefore
    do not mix with the other ways to the forces.
    """
    try:
        tables = [tomllib.loads(text) for text in (made, asked)]
    except tomllib.TOMLDecodeError:
        return ["it is not whole"]
    for table in tables:
        table["styles"] = table.get("forces") == "styles" or table.get("merged") is False
    have, want = ({key: value for key, value in table.items() if key not in _OF_NO_WEIGHT} for table in tables)
    return [f"{key} is {_shown(have.get(key))}, asked for {_shown(want.get(key))}" for key in {**want, **have}
            if have.get(key) != want.get(key)]


def protocol(attributes: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    """What records of the same protocol share, whatever glass they are of: all settings but composition, seed, field
    and size."""
    return tuple(sorted((key, value) for key, value in settings(attributes).items() if key not in _REALISED))


def size(attributes: Mapping[str, Any]) -> tuple[int, float]:
    """Atoms, and density at the start in g/cm³."""
    return sum(json.loads(attributes["atoms"]).values()), round(float(attributes["density_start_g_cm3"]), 6)


def fields(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """A name for the force field of each record (its attributes), equal where the fields are.

    Files of one name whose numbers differ get numbers: "mine", "mine (2)". Between glasses only numbers that both have
    can be compared, and those of pairs only where no variable of the composition differs.
    """
    known: dict[tuple[str, str], list[dict[str, Any]]] = {}  # by name and hash of the file
    for one in records:
        key = (str(one["force_field"]), str(one["force_field_sha256"]))
        known.setdefault(key, []).append(json.loads(one["force_field_numbers"]))
    kinds: dict[str, list[list[dict[str, Any]]]] = {}
    named: dict[tuple[str, str], str] = {}
    for (name, text), numbers in known.items():
        same = kinds.setdefault(name, [])
        index = next((i for i, members in enumerate(same)
                      if all(_agree(a, b) for a in members for b in numbers)), len(same))
        if index == len(same):
            same.append([])
        same[index] += numbers
        named[name, text] = name if index == 0 else f"{name} ({index + 1})"
    return [named[str(one["force_field"]), str(one["force_field_sha256"])] for one in records]


def without_copies(paths: Sequence[Any], keys: Sequence[Any]) -> tuple[list[int], list[str]]:
    """Rows of which no former one has the same key (glass, settings and seed), and a line for each other one.

    A seed that counts twice would make the scatter between seeds too small.
    """
    first: dict[Any, int] = {}
    kept, told = [], []
    for row, key in enumerate(keys):
        if key in first:
            told.append(f"{paths[row]}: the same glass and seed as {paths[first[key]]}")
        else:
            first[key] = row
            kept.append(row)
    return kept, told


def unlike(common: tuple[str, tuple[tuple[str, Any], ...]], other: tuple[str, tuple[tuple[str, Any], ...]]) -> str:
    """How a field and protocol differ from another: "field bmp-shrm, others bmp-shrm-smooth; rate 5, others 25"."""
    found = [] if common[0] == other[0] else [f"field {other[0]}, others {common[0]}"]
    first, second = dict(common[1]), dict(other[1])
    found += [f"{key} {_shown(second.get(key))}, others {_shown(first.get(key))}" for key in {**first, **second}
              if first.get(key) != second.get(key)]
    return "; ".join(found)


def _agree(a: dict[str, Any], b: dict[str, Any]) -> bool:
    parts = ["charges", "dsf"] + ["pairs"] * _alike(a["variables"], b["variables"])
    if any(not _alike(a[part][key], b[part][key]) for part in parts for key in a[part].keys() & b[part].keys()):
        return False
    bent = [{(*row[:2], row[2]): row[3:] for row in one["three_body"]} for one in (a, b)]
    return all(_alike(bent[0][key], bent[1][key]) for key in bent[0].keys() & bent[1].keys())


def _alike(a: Any, b: Any) -> bool:
    """Equal, numbers to 1 in 10⁹."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_alike(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(_alike, a, b))
    if isinstance(a, int | float) and isinstance(b, int | float):
        return math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-15)
    return bool(a == b)


def _named(part: Any) -> dict[Any, Any]:
    """Numbers by name; those of a list by their place in it, from 1."""
    return part if isinstance(part, dict) else dict(enumerate(part or (), 1))


def _numbers(value: Any) -> str:
    return "not there" if value is None else json.dumps(value)


def _shown(value: Any) -> str:
    return "not set" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
