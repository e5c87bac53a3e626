"""LAMMPS text dumps and tables: read, compressed ones too, and cut back to a restart's step.

OVITO reads the dumps as they are.
"""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

COLUMNS = "id element xu yu zu"
ATOMS = "ATOMS"


class TrajectoryError(ValueError):
    """A trajectory that cannot be read."""

    user_error = True


@dataclass(frozen=True)
class Frame:
    """Atoms of one step, by id.

    Attributes
    ----------
    step : of the run.
    lengths : edges of the box (3,), Å.
    elements : of the atoms (n,), str.
    positions : unwrapped (n, 3), Å.
    """

    step: int
    lengths: NDArray[np.float64]
    elements: NDArray[np.str_]
    positions: NDArray[np.float64]


def read(path: Path) -> Iterator[Frame]:
    """The whole frames of a dump with the columns `COLUMNS`, one by one; an unfinished last one is left out.

    Where only PATH.gz is there, that is read. Raises TrajectoryError where there is neither or it is damaged.
    """
    with _opened(path) as file:
        while True:
            head = _head(file)
            if head is None:
                return
            if head[ATOMS].split() != COLUMNS.split():
                raise TrajectoryError(f"{path}: found the columns {head[ATOMS]!r}, expected {COLUMNS!r}")
            bounds = np.array([line.split()[:2] for line in head["BOX"].splitlines()], float)
            rows = [file.readline() for _ in range(int(head["NUMBER"]))]
            if not rows[-1].endswith("\n"):
                return
            table = np.array([row.split() for row in rows])
            table = table[np.argsort(table[:, 0].astype(int))]
            yield Frame(int(head["TIMESTEP"]), bounds[:, 1] - bounds[:, 0], table[:, 1], table[:, 2:5].astype(float))


def steps(path: Path) -> list[int]:
    """The steps of the whole frames of a dump. Raises TrajectoryError as `read` does."""
    found = []
    with _opened(path) as file:
        while (head := _head(file)) is not None:
            rows = [file.readline() for _ in range(int(head["NUMBER"]))]
            if rows[-1].endswith("\n"):
                found.append(int(head["TIMESTEP"]))
    return found


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    packed = path.with_name(path.name + ".gz")
    try:
        with gzip.open(packed, "rt", encoding="ascii") if packed.exists() and not path.exists() else path.open(
                encoding="ascii") as file:
            yield file
    except TrajectoryError:
        raise
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise TrajectoryError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _head(file: TextIO) -> dict[str, str] | None:
    """The items before the atoms of a frame, by their first word: TIMESTEP, TIME (not in every file), NUMBER, BOX; and
    the columns under ATOMS. None at the end of the file."""
    found: dict[str, str] = {}
    while ATOMS not in found:
        words = file.readline()
        if not words.endswith("\n"):
            return None
        name, *rest = words.removeprefix("ITEM: ").split()
        if name == ATOMS:
            found[name] = " ".join(rest)
            continue
        lines = [file.readline() for _ in range(3 if name == "BOX" else 1)]
        if not lines[-1].endswith("\n"):
            return None
        found[name] = "".join(lines).rstrip("\n")
    return found


def cut_dump(path: Path, step: int) -> None:
    """Leave only the whole frames before `step`, so that a resumed run can append."""
    keep = 0
    if not path.exists():
        return
    with path.open(encoding="ascii") as file:
        while True:
            head = _head(file)
            if head is None or int(head["TIMESTEP"]) >= step:
                break
            rows = [file.readline() for _ in range(int(head["NUMBER"]))]
            if not rows[-1].endswith("\n"):
                break
            keep = file.tell()
    os.truncate(path, keep)


def cut_table(path: Path, step: int) -> None:
    """Leave only what stands before the first row beyond `step`, or the first that is none, of a table whose first
    column is the step.

    A run that was resumed within a sample_time has written its header in mid-file once more. Headers after a row that
    goes must go with it.
    """
    if not path.exists():
        return
    keep = 0
    for line in path.read_bytes().splitlines(keepends=True):
        if not line.endswith(b"\n") or (not line.startswith(b"#") and _step(line) > step):
            break
        keep += len(line)
    os.truncate(path, keep)


def _step(row: bytes) -> float:
    try:
        return int(row.split()[0])
    except (ValueError, IndexError):
        return np.inf


def read_table(path: Path) -> NDArray[np.float64]:
    """Rows of a table of LAMMPS' fix ave/time (rows, columns), the step first. Raises TrajectoryError."""
    try:
        return np.loadtxt(path, comments="#", ndmin=2)
    except (OSError, ValueError) as error:
        raise TrajectoryError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
