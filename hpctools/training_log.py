"""Log of a training: a CSV file with a row an epoch. torch is not imported here.

A row is appended as soon as it is known; a run that goes on first makes the log anew from its checkpoint's rows, so
that none is lost or stands there twice.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from hpctools.training_settings import TrainingError
from hpctools.whole import whole

LOG = "log.csv"
_HEAD = ("epoch", "samples", "learning_rate")
_TAIL = "seconds"


def columns(rows: Sequence[Mapping[str, float]]) -> list[str]:
    """Columns of the log: those of its first row, which is always complete or has only validation in it."""
    first = list(rows[0])
    metrics = [name.removeprefix("val_") for name in first if name.startswith("val_")]
    return [*_HEAD, *(metrics or [n for n in first if n not in (*_HEAD, _TAIL)]), *(f"val_{n}" for n in metrics), _TAIL]


def write_log(folder: Path, rows: Sequence[Mapping[str, float]]) -> None:
    """Make the log anew from all its rows; it appears when it is whole."""
    if not rows:
        (folder / LOG).unlink(missing_ok=True)
        return
    with whole(folder / LOG) as part, open(part, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns(rows), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def append_row(folder: Path, rows: Sequence[Mapping[str, float]]) -> None:
    """Add the last row to the log."""
    if len(rows) == 1:
        write_log(folder, rows)
        return
    with open(folder / LOG, "a", newline="", encoding="utf-8") as file:
        csv.DictWriter(file, columns(rows), lineterminator="\n").writerow(rows[-1])


def read_log(folder: str | Path) -> dict[str, list[float]]:
    """The columns of a training's log; NaN where a cell is empty."""
    path = Path(folder) / LOG
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
            return {name: [float(row[name] or "nan") for row in rows] for name in (rows[0] if rows else {})}
    except (OSError, ValueError, TypeError) as error:
        raise TrainingError(f"{path}: cannot be read as the log of a training ({error})") from error
