"""Mettler STARe text exports: `Curve Name:`, `Curve Values:`, columns Index, t [s], Ts [°C], Tr [°C], Value [mW].

A file may hold several curves, one a segment, which are joined in their order.
"""

from __future__ import annotations

import re

import numpy as np

from .record import FileError, Record, checked
from .text import direction, mass_in_mg, split, table, to_celsius, to_seconds


def matches(text: str) -> bool:
    """Whether the text is a STARe export."""
    return re.search(r"^\s*Curve Values:", text, re.MULTILINE) is not None


def read(text: str, source: str) -> Record:
    """Read a STARe export; see Record. STARe draws exotherms upwards unless the file says "endo up"."""
    lines = text.split("\n")
    heads = [k for k, line in enumerate(lines) if line.strip().lower().startswith("curve values:")]
    parts = []
    for start in heads:
        names = _fields(lines[start + 1])
        units = [unit.strip("[] ") for unit in _fields(lines[start + 2])]
        if len(units) == len(names) - 1:
            units = ["", *units]  # the index has none
        lower = [name.lower() for name in names]
        if "t" not in lower or "ts" not in lower or "value" not in lower or len(units) != len(names):
            raise FileError(
                source,
                f"line {start + 2}: columns {', '.join(names)}; expected Index, t, Ts, Tr, Value with their units",
            )
        time, temperature, signal = (lower.index(name) for name in ("t", "ts", "value"))
        end = start + 3
        while end < len(lines) and re.match(r"\s*\d", lines[end]):
            end += 1
        mark = "\t" if "\t" in lines[start + 3] else None
        body = [line.strip() for line in lines[start + 3 : end]]
        data = table(body, mark, len(names), source, start + 4)
        parts.append(
            (to_seconds(data[:, time], units[time], source), to_celsius(data[:, temperature], units[temperature],
             source), data[:, signal], units[signal])
        )  # fmt: skip
    if not sum(len(part[0]) for part in parts):
        raise FileError(source, "no rows after 'Curve Values:'")
    seconds = np.concatenate([part[0] for part in parts])
    facts: dict[str, str] = {}
    for line in lines:
        key, colon, value = line.partition(":")
        if colon and key.strip():
            facts.setdefault(key.strip(), value.strip())
    words = next((v for k, v in facts.items() if "exo" in k.lower() or "endo" in k.lower()), "")
    exotherm = direction(words) or "up"
    if "endo" in words.lower() and direction(words):
        exotherm = "down" if direction(words) == "up" else "up"
    mass = next((mass_in_mg(v) for k, v in facts.items() if k.lower().startswith(("sample weight", "weight"))), None)
    capacity = "J" in parts[0][3] and "K" in parts[0][3]
    return checked(
        Record(
            source, "STARe", np.concatenate([p[1] for p in parts]), np.concatenate([p[2] for p in parts]), seconds,
            "heat capacity" if capacity else "heat flow", exotherm, mass, facts,
        )
    )  # fmt: skip


def _fields(line: str) -> list[str]:
    """Names or units, between tabs or white space."""
    return [field for field in split(line, "\t" if "\t" in line else None) if field]
