"""Text of DSC exports: encodings, separators, decimal commas, units."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .record import FileError

_COMMA = re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?")
_POINT = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_BOTH = re.compile(r"[+-]?(?=.*\.)(?=.*,)[\d.,]*\d")
_MISSING = {"", "-", "--", "nan", "n/a", "#n/a", "invalid"}


def decode(data: bytes, source: str) -> str:
    """Text of a file in UTF-16 with byte order mark, UTF-8, or Latin-1, with plain line ends."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        text = data.decode("utf-16", errors="replace")
    elif data[:64].count(0) > 16:
        text = data.decode("utf-16-le" if data[1:2] == b"\0" else "utf-16-be", errors="replace")
    else:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = data.decode("latin-1")
    if text.count("\0") > 0:
        raise FileError(source, "is a binary file; export the measurement as text or CSV")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def separator(line: str) -> str | None:
    """What separates the columns of a line; None for white space."""
    return next((mark for mark in ("\t", ";", ",") if mark in line), None)


def split(line: str, mark: str | None) -> list[str]:
    """The fields of a line."""
    if mark is None:
        return line.split()
    return [field.strip().strip('"').strip() for field in line.rstrip("\n").split(mark)]


def number(field: str, comma: bool | None = None) -> float:
    """A number with decimal point or comma (comma: None where either may be); NaN for a missing one.

    Raises ValueError for what is none.
    """
    field = field.strip().replace("\u2212", "-")
    if comma is not True and _POINT.fullmatch(field):
        return float(field)
    if comma is not False and (_COMMA.fullmatch(field) or _POINT.fullmatch(field)):
        return float(field.replace(",", "."))
    if field.lower() in _MISSING:
        return float("nan")
    raise ValueError(field)


def table(lines: Sequence[str], mark: str | None, columns: int, source: str, first_line: int) -> NDArray[np.float64]:
    """Numbers (rows, columns) of lines. Raises FileError where decimal commas cannot be told from separators."""
    rows = []
    comma: bool | None = False if mark == "," else None
    for k, line in enumerate(lines):
        if not line.strip():
            continue
        fields = split(line, mark)
        while len(fields) > columns and fields[-1] == "":
            fields.pop()
        if len(fields) > columns and mark == ",":
            raise FileError(
                source,
                f"line {first_line + k} has {len(fields)} fields between commas, expected {columns}: decimal commas "
                "and commas between columns cannot be told apart; export with decimal points or with semicolons",
            )
        if len(fields) < columns:
            fields += [""] * (columns - len(fields))
        try:
            rows.append([number(field, comma) for field in fields[:columns]])
        except ValueError as error:
            if _BOTH.fullmatch(str(error)):
                raise FileError(
                    source,
                    f"line {first_line + k}: {str(error)!r} has both points and commas; export without separators of "
                    "thousands",
                ) from error
            raise FileError(source, f"line {first_line + k}: {str(error)!r} is not a number") from error
    return np.array(rows, float).reshape(-1, columns)


def is_numeric(line: str, mark: str | None) -> bool:
    """Whether a line holds numbers only."""
    try:
        values = [number(field) for field in split(line, mark)]
    except ValueError:
        return False
    return bool(values) and any(v == v for v in values)


def column(names: Sequence[str], *wanted: str) -> int | None:
    """Index of the first column whose name, in lower case, begins with one of `wanted`, in their order."""
    lower = [name.lower().strip() for name in names]
    for start in wanted:
        for i, name in enumerate(lower):
            if name.startswith(start):
                return i
    return None


def to_celsius(values: NDArray[np.float64], unit: str, source: str) -> NDArray[np.float64]:
    """Temperatures in °C."""
    plain = unit.strip(" []()").lower()
    # the degree sign suffers in exports: °C, >C, ?C, C
    if plain in ("", "degc", "deg c", "celsius") or re.fullmatch("[°>?\ufffd]?c", plain):
        return values
    if plain in ("k", "kelvin"):
        return values - 273.15
    raise FileError(source, f"temperatures in {unit!r}; expected °C or K")


def to_seconds(values: NDArray[np.float64], unit: str, source: str) -> NDArray[np.float64]:
    """Times in s."""
    plain = unit.strip(" []()").lower()
    factors = {"s": 1.0, "sec": 1.0, "seconds": 1.0, "min": 60.0, "minutes": 60.0, "h": 3600.0}
    if plain not in factors:
        raise FileError(source, f"times in {unit!r}; expected s, min or h")
    return values * factors[plain]


def direction(words: str) -> str | None:
    """"up" or "down" from what a header says of exotherms."""
    lower = words.lower()
    return "up" if "up" in lower else "down" if "down" in lower else None


def mass_in_mg(words: str) -> float | None:
    """Mass in mg from a number with a unit (mg if there is none)."""
    found = re.search(r"([+-]?\d+(?:[.,]\d+)?(?:[eE][+-]?\d+)?)\s*(mg|µg|ug|g)?", words)
    if not found:
        return None
    return number(found[1]) * {"g": 1e3, "mg": 1.0, "µg": 1e-3, "ug": 1e-3, None: 1.0}[found[2]]
