"""Rows of a CSV file that a script computes one after the other; started again, it goes on where it stopped."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from figures import AnalysisError, make_folder

from hpctools.whole import whole

Row = dict[str, str]


class Rows:
    """The rows of a file, to which new ones are appended; a context manager.

    path : its folder is made. fields : names of the columns. head : what the rows depend on, kept as a comment in the
    first line; a file with another one, or with other columns, is refused with AnalysisError.
    """

    def __init__(self, path: Path, fields: Sequence[str], head: str = "") -> None:
        make_folder(path)
        self.all: list[Row] = []
        first = f"# {head}".rstrip()
        if path.exists():
            with path.open(newline="") as lines:
                found = lines.readline().rstrip()
                reader = csv.DictReader(lines)
                if found != first or list(reader.fieldnames or ()) != list(fields):
                    raise AnalysisError(f"{path}: begins with {found!r} and columns {reader.fieldnames}, expected "
                                        f"{first!r} and {list(fields)}; choose another --out")
                self.all = [row for row in reader if not {None, ""} & set(row.values())]
        # what a kill has cut off in the middle of a row goes
        with whole(path) as part, part.open("w", newline="") as out:
            out.write(first + "\n")
            writer = csv.DictWriter(out, fields)
            writer.writeheader()
            writer.writerows(self.all)
        self._out = path.open("a", newline="")
        self._writer = csv.DictWriter(self._out, fields)

    def add(self, row: Mapping[str, object]) -> None:
        """Append a row."""
        self._writer.writerow(row)
        self._out.flush()
        self.all.append({key: str(value) for key, value in row.items()})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._out.close()


def positive(name: str, value: int) -> int:
    """The value of an option that counts something. Raises AnalysisError below 1."""
    if value < 1:
        raise AnalysisError(f"{name} {value}: expected one or more")
    return value
