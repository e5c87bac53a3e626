"""TA TRIOS text and CSV exports: sections of key and value, then one `[step]` block a segment.

    [File Parameters] … [Procedure] (Sample Mass) … [Configuration] (Exotherm Direction) …
    [step]
    Ramp 10.00 °C/min to 75.00 °C
    Time    Temperature    Heat Flow (Normalized)
    min     °C             W/g
    0.0100  …
"""

from __future__ import annotations

import numpy as np

from .record import FileError, Record, checked
from .text import column, direction, mass_in_mg, separator, split, table, to_celsius, to_seconds


def matches(text: str) -> bool:
    """Whether the text is a TRIOS export."""
    lower = text.lower()
    return "\n[step]" in lower or lower.startswith("[step]")


def read(text: str, source: str) -> Record:
    """Read a TRIOS export; see Record."""
    lines = text.split("\n")
    starts = [k for k, line in enumerate(lines) if line.strip().lower() == "[step]"]
    facts = {}
    for line in lines[: starts[0]]:
        mark = separator(line)
        if mark is not None and not line.startswith("["):
            key, *rest = split(line, mark)
            facts[key.rstrip(":")] = " ".join(rest).strip()
    parts = []
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        if end - start < 5:
            continue  # a step without data
        names = split(lines[start + 2], separator(lines[start + 2]))
        mark = separator(lines[start + 2])
        units = split(lines[start + 3], mark)
        units += [""] * (len(names) - len(units))
        time, temperature = column(names, "time"), column(names, "temperature", "sample temperature")
        signal = column(names, "heat flow (normalized)", "heat flow", "heat capacity", "reversing heat capacity")
        if time is None or temperature is None or signal is None:
            raise FileError(
                source, f"line {start + 3}: columns {', '.join(names)}; expected Time, Temperature and Heat Flow"
            )
        stop = next((k for k in range(start + 4, end) if lines[k].startswith("[")), end)
        data = table(lines[start + 4 : stop], mark, len(names), source, start + 5)
        if len(data):
            parts.append(
                (to_seconds(data[:, time], units[time], source), to_celsius(data[:, temperature], units[temperature],
                 source), data[:, signal], names[signal])
            )  # fmt: skip
    if not parts:
        raise FileError(source, "no [step] of this TRIOS export holds data; export the signals with all steps")
    seconds = np.concatenate([part[0] for part in parts])
    if np.any(np.diff(seconds) < -1.0):  # each step counts from its own start
        end_time, pieces = 0.0, []
        for part in parts:
            pieces.append(part[0] - part[0][0] + end_time)
            gap = float(np.median(np.diff(part[0]))) if len(part[0]) > 1 else 1.0
            end_time = pieces[-1][-1] + gap
        seconds = np.concatenate(pieces)
    exotherm = next((direction(v) for k, v in facts.items() if "exotherm" in k.lower()), None)
    mass = next((mass_in_mg(v) for k, v in facts.items() if "sample mass" in k.lower()), None)
    quantity = "heat capacity" if "capacity" in parts[0][3].lower() else "heat flow"
    return checked(
        Record(
            source, "TRIOS", np.concatenate([p[1] for p in parts]), np.concatenate([p[2] for p in parts]), seconds,
            quantity, exotherm, mass, facts,
        )
    )  # fmt: skip
