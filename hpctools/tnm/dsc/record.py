"""What a DSC file holds, whatever its format."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray


class FileError(ValueError):
    """A file that cannot be read as a DSC measurement; the message begins with its name."""

    user_error = True

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path, self.reason = path, reason


@dataclass(frozen=True)
class Record:
    """A DSC measurement as it was written.

    celsius (n,): sample temperature; signal (n,); seconds (n,) since the start, or None; quantity: "heat flow",
    "heat capacity" or "cpn"; exotherm: "up", "down", or None where the file does not say; mass in mg or None; facts:
    what else the header says (cooling rate and heating rate in K/min, where it does); assumed: how it was read
    where it is silent, in words; unit_known: whether it names the unit of temperature.
    """

    source: str
    form: str
    celsius: NDArray[np.float64]
    signal: NDArray[np.float64]
    seconds: NDArray[np.float64] | None = None
    quantity: str = "heat flow"
    exotherm: str | None = None
    mass: float | None = None
    facts: dict[str, str] = field(default_factory=dict)
    assumed: tuple[str, ...] = ()
    unit_known: bool = True


LEAST_ROWS = 20
KELVIN = 273.15
LIKE_KELVIN = 150.0  # few scans begin at more °C than this, nearly all at more kelvin


def checked(record: Record) -> Record:
    """The record without repeated and unfinished rows. Raises FileError where the numbers cannot be what they seem."""
    t, y, s = record.celsius, record.signal, record.seconds
    if t.size < LEAST_ROWS:
        raise FileError(record.source, f"{t.size} rows of numbers; expected at least {LEAST_ROWS}")
    keep = np.isfinite(t) & np.isfinite(y)
    if s is not None:
        keep &= np.isfinite(s)
        keep[1:] &= np.diff(np.maximum.accumulate(np.where(np.isfinite(s), s, -np.inf))) > 0
    if keep.sum() < 0.5 * t.size:
        raise FileError(
            record.source, f"only {keep.sum()} of {t.size} rows have numbers in all columns, in the order of time"
        )
    t, y = t[keep], y[keep]
    if t.min() < -273.15 or t.max() > 2500:
        raise FileError(
            record.source,
            f"temperatures from {t.min():g} to {t.max():g} °C; a decimal comma read as a separator of thousands, or "
            "another column? Export with decimal points, or with semicolons between columns",
        )
    if np.ptp(y) == 0:
        raise FileError(record.source, f"the signal is {y[0]:g} in all rows; is it another column?")
    return Record(
        record.source, record.form, t, y, None if s is None else s[keep] - s[keep][0], record.quantity,
        record.exotherm, record.mass, record.facts, record.assumed, record.unit_known,
    )  # fmt: skip


def in_unit(record: Record, unit: str | None) -> Record:
    """The record with temperatures in this unit, "C" or "K", where its file names none; what was assumed is noted.

    Raises FileError for numbers that look like kelvin where no unit is given at all.
    """
    if record.unit_known:
        return record
    if unit == "K":
        return replace(record, celsius=record.celsius - KELVIN, unit_known=True)
    if unit == "C":
        return replace(record, unit_known=True)
    low, high = float(record.celsius.min()), float(record.celsius.max())
    words = f"temperatures {low:g} … {high:g} without a unit"
    if low > LIKE_KELVIN:
        raise FileError(record.source, f"{words} look like kelvin: give --temperature-unit K, or C if they are not")
    return replace(record, assumed=(*record.assumed, f"{words}: taken as °C"))
