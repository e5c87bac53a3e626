"""Plain CSV: a column of temperature and one of heat flow, heat capacity or CpN; a column of time if there is one.

Lines that begin with `#` may hold `key: value`, of which `cooling rate`, `heating rate` (K/min) and `exotherm` (up,
down) are used. Without names of columns the first is temperature and the second heat flow, and of three the first is
time in min, if it grows. What is not said but assumed is noted in the record.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from .record import FileError, Record, checked
from .text import column, direction, is_numeric, mass_in_mg, separator, split, table, to_celsius, to_seconds

TIME_UNITS = ("s", "sec", "min", "h")
LEAST_PACE, MOST_PACE = 0.5, 500.0  # K/min, of heating scans in a calorimeter


def matches(text: str) -> bool:
    """Any text may be plain CSV; it is tried last."""
    return True


def read(text: str, source: str) -> Record:
    """Read plain CSV; see Record."""
    facts = {}
    lines = text.split("\n")
    for line in lines:
        if line.startswith("#"):
            key, colon, value = line[1:].partition(":")
            if colon:
                facts[key.strip().lower()] = value.strip()
    numbered = [(k, line) for k, line in enumerate(lines, 1) if line.strip() and not line.startswith("#")]
    first = next((i for i, (_, line) in enumerate(numbered) if is_numeric(line, separator(line))), None)
    if first is None:
        raise FileError(source, "no rows of numbers; expected a DSC export of a known format or CSV")
    mark = separator(numbered[first][1])
    names = split(numbered[first - 1][1], mark if mark in (None, ";", ",", "\t") else None) if first else []
    units: list[str] = []
    above = split(numbered[first - 2][1], mark) if first >= 2 else []
    if names and len(above) == len(names) and not re.search(r"\[|\(|/", "".join(names)):
        names, units = above, names  # a line of names above a line of units
    if not units:
        found = [re.fullmatch(r"(.*?)\s*[\[(/]\s*([^\])]*)[\])]*\s*", name) for name in names]
        units = [match[2] if match else "" for match in found]
        names = [match[1] if match else name for match, name in zip(found, names, strict=True)]
    fields = split(numbered[first][1], mark)
    if mark == "," and not names and len(fields) == 4 and all(re.fullmatch(r"[+-]?\d+", f) for f in fields):
        raise FileError(
            source,
            f"line {numbered[first][0]}: four whole numbers between commas; decimal commas and commas between columns "
            "cannot be told apart; export with decimal points or with semicolons",
        )
    columns = len(names) if names else len(fields)
    data = table([line for _, line in numbered[first:]], mark, columns, source, numbered[first][0])
    time = column(names, "time", "zeit")
    if time is None:
        # a short "t" is a time by its unit, or beside a capital T
        short = [i for i, name in enumerate(names) if name in ("t", "T")]
        time = next((i for i in short if units[i].strip().lower() in TIME_UNITS), None)
        if time is None and {names[i] for i in short} == {"t", "T"}:
            time = names.index("t")
    others = ["" if i == time else name for i, name in enumerate(names)]
    temperature = column(others, "temperature", "temp", "sample temperature", "ts")
    if temperature is None:
        temperature = next((i for i, name in enumerate(others) if name in ("t", "T")), None)
    signal = column(others, "cpn", "heat flow", "heatflow", "hf", "dsc", "wärmestrom", "wärmefluss",
                    "unsubtracted heat flow", "heat capacity", "cp", "signal", "value")
    if not names:
        if columns < 2:
            raise FileError(source, "one column of numbers; expected temperature and heat flow")
        temperature, signal = 0, 1
        if columns > 2 and np.all(np.diff(data[:, 0]) >= 0) and not np.all(np.diff(data[:, 1]) >= 0):
            time, temperature, signal = 0, 1, 2
    if temperature is None or signal is None or temperature == signal:
        raise FileError(
            source, f"columns {', '.join(names)}; expected names such as 'temperature [°C], heat flow [mW]'"
        )
    word = names[signal].lower() if names else ""
    quantity = "cpn" if word.startswith("cpn") else "heat flow"
    if word.startswith(("cp", "heat c")) and quantity != "cpn":
        quantity = "heat capacity"
    unit = units[temperature] if names else ""
    celsius = to_celsius(data[:, temperature], unit, source)
    clock = (units[time] if names else "") or "min" if time is not None else ""
    seconds = None
    if time is not None:
        seconds = to_seconds(data[:, time], clock, source)
        if not (names and units[time]):
            _check_pace(celsius, seconds, source)
    assumed = []
    if not names:
        word = {None: "", 0: "time [min], "}[time] + "temperature, heat flow"
        assumed.append(f"no names of columns: read as {word}")
    elif time is not None and not units[time]:
        assumed.append("no unit of time: taken as min")
    return checked(
        Record(
            source, "CSV", celsius, data[:, signal],
            seconds, quantity,
            direction(facts.get("exotherm", "")), mass_in_mg(facts["mass"]) if "mass" in facts else None, facts,
            tuple(assumed), unit_known=bool(unit.strip(" []()")),
        )
    )  # fmt: skip


def _check_pace(celsius: NDArray[np.float64], seconds: NDArray[np.float64], source: str) -> None:
    """Raise FileError for times without a unit that are no minutes, by the pace of heating."""
    pace = 60 * np.diff(celsius) / np.maximum(np.diff(seconds), 1e-9)
    rising = pace[np.isfinite(pace) & (pace > 0)]
    fastest = float(np.median(rising[rising >= np.median(rising)])) if rising.size else 1.0
    if not LEAST_PACE <= fastest <= MOST_PACE:
        raise FileError(
            source,
            f"times without a unit: taken as min, the sample is heated at {fastest:.2g} K/min; name the unit in the "
            "column's head, such as 't [s]'",
        )
