"""NETZSCH Proteus ASCII exports: Latin-1, `#KEY:value`, then `##Temp./°C;Time/min;DSC/(mW/mg);…` and rows."""

from __future__ import annotations

import re

from .record import FileError, Record, checked
from .text import column, direction, mass_in_mg, separator, split, table, to_celsius, to_seconds

SEPARATORS = {"semicolon": ";", "comma": ",", "tab": "\t", "tabulator": "\t", "space": None}


def matches(text: str) -> bool:
    """Whether the text is a Proteus export."""
    return "\n##Temp" in text or text.startswith("##Temp")


def read(text: str, source: str) -> Record:
    """Read a Proteus export; see Record."""
    lines = text.split("\n")
    start = next(k for k, line in enumerate(lines) if line.startswith("##"))
    facts = {}
    for line in lines[:start]:
        if line.startswith("#"):
            key, _, value = line[1:].partition(":")
            facts[key.strip()] = value.strip(" ,;\t")  # some exports put a separator behind the colon
    head = lines[start][2:]
    named = next((v.lower() for k, v in facts.items() if k.upper().startswith("SEPARATOR")), "")
    mark = SEPARATORS.get(named, separator(head))
    comma = "comma" in next((v.lower() for k, v in facts.items() if k.upper().startswith("DECIMAL")), "")
    if comma and mark == ",":
        raise FileError(source, "decimal commas and commas between columns; export with #SEPARATOR:SEMICOLON")
    fields = split(head, mark)
    names = [field.partition("/")[0] for field in fields]
    units = [field.partition("/")[2] for field in fields]
    time, temperature = column(names, "time"), column(names, "temp")
    signal = column(names, "dsc", "cp", "heat flow")
    if temperature is None or signal is None:
        raise FileError(source, f"columns {', '.join(fields)}; expected Temp./°C, Time/min and DSC/(mW/mg)")
    data = table(lines[start + 1 :], mark, len(fields), source, start + 2)
    exotherm = None
    for key, value in facts.items():
        if key.upper().startswith("EXO"):
            exotherm = direction(value) or {"1": "up", "+1": "up", "-1": "down"}.get(value.strip())
    span = re.search(r"/\s*(\d+[.,]?\d*)\s*\(?K/min", facts.get("RANGE", ""))
    if span:
        facts["heating rate"] = span[1]  # of a single segment; records with times show their own
    mass = next((mass_in_mg(v) for k, v in facts.items() if k.upper().startswith("SAMPLE MASS")), None)
    return checked(
        Record(
            source, "NETZSCH", to_celsius(data[:, temperature], units[temperature], source), data[:, signal],
            None if time is None else to_seconds(data[:, time], units[time], source),
            "heat capacity" if names[signal].lower().startswith("cp") else "heat flow", exotherm, mass, facts,
        )
    )  # fmt: skip
