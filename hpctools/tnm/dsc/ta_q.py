"""TA Q series text exports (Universal Analysis): UTF-16, `Size … mg`, `Exotherm DOWN`, `Sig1 …`, `StartOfData`."""

from __future__ import annotations

import re

from .record import FileError, Record, checked
from .text import column, direction, mass_in_mg, separator, table, to_celsius, to_seconds


def matches(text: str) -> bool:
    """Whether the text is a TA Q export."""
    return re.search(r"^StartOfData\s*$", text, re.MULTILINE) is not None and "Sig1" in text


def read(text: str, source: str) -> Record:
    """Read a TA Q export; see Record."""
    lines = text.split("\n")
    start = next(k for k, line in enumerate(lines) if line.strip() == "StartOfData")
    facts: dict[str, str] = {}
    names, units = [], []
    for line in lines[:start]:
        key, _, rest = line.strip().replace("\t", " ").partition(" ")
        if re.fullmatch(r"Sig\d+", key):
            name = re.fullmatch(r"(.*?)\s*\(([^()]*)\)\s*", rest.strip())
            names.append(name[1] if name else rest.strip())
            units.append(name[2] if name else "")
        elif key:
            facts.setdefault(key, rest.strip())
    time, temperature = column(names, "time"), column(names, "temperature")
    signal = column(names, "heat flow", "heat capacity")
    if time is None or temperature is None or signal is None:
        raise FileError(source, f"signals {', '.join(names)}; expected Time, Temperature and Heat Flow")
    body = [line for line in lines[start + 1 :] if line.strip()]
    if not body:
        raise FileError(source, "no rows after StartOfData")
    mark = separator(body[0])
    # white space between columns: a comma can only be decimal
    data = table(body, None if mark == "," else mark, len(names), source, start + 2)
    data = data[data[:, time] >= 0]  # rows of negative time mark events
    exotherm = direction(facts["Exotherm"]) if "Exotherm" in facts else None
    mass = mass_in_mg(facts["Size"]) if "Size" in facts else None
    return checked(
        Record(
            source, "TA Q", to_celsius(data[:, temperature], units[temperature], source), data[:, signal],
            to_seconds(data[:, time], units[time], source),
            "heat capacity" if "capacity" in names[signal].lower() else "heat flow", exotherm, mass, facts,
        )
    )  # fmt: skip
