"""S_ab(k) of a user's own mixture, from CSV or HDF5, or from a record of this package.

CSV: columns k, S_AA, S_AB, S_BB in any order, by a head line, which may begin with #; other such lines are left out.
HDF5: data sets k (100,) and S_AA, S_AB, S_BB (100,) each. Normalised as S_ab = <ρ_a(k) ρ_b(-k)>/N, so S_AA → x_A and
S_BB → x_B at large k, by which the fraction of A is found: 0.797 … 0.802 for 146 shipped records, 0.8 all.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hpctools.store import StoreError

from ..record import KIND, Record
from ..structure import PAPER_GRID
from .samples import FloatArray

COLUMNS = ("k", "S_AA", "S_AB", "S_BB")
TOLERANCE = 0.005  # of the wave numbers, σ_AA⁻¹
AWAY = 0.05  # of S_AA + S_BB and of S_AB from 1 and 0, over the last quarter of the grid


class StructureError(ValueError):
    """A file of structure factors that cannot be used; the message says why."""

    user_error = True


@dataclass(frozen=True, eq=False)
class Structure:
    """S (100, 3) on `PAPER_GRID`; what the file tells of its state, where it is a record."""

    S: FloatArray
    potential: str = ""
    density: float | None = None
    temperature: float | None = None

    @property
    def fraction(self) -> float:
        """x_A, by S_AA and S_BB at large k."""
        tail = large_k(self.S)
        return float(tail[0] / (tail[0] + tail[2]))


def large_k(S: FloatArray) -> FloatArray:
    """(3,) mean of S (100, 3) over the last quarter of the grid."""
    return np.asarray(S[-len(S) // 4 :].mean(0))


def read(path: str | Path) -> Structure:
    """Read and check a file. Raises StructureError."""
    path = Path(path)
    if not path.is_file():
        raise StructureError(f"{path}: no such file; expected a CSV or HDF5 file with {', '.join(COLUMNS)}")
    with open(path, "rb") as file:
        is_hdf5 = file.read(8) == b"\x89HDF\r\n\x1a\n"
    found = _hdf5(path) if is_hdf5 else Structure(_checked(path, _csv(path)))
    _check_values(path, found.S)
    return found


def _csv(path: Path) -> dict[str, FloatArray]:
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:  # Excel begins with a mark
            lines = [line for line in file if line.strip()]
    except UnicodeDecodeError as error:
        raise StructureError(f"{path}: is neither CSV nor HDF5 ({error.reason})") from error
    heads = [line.lstrip("# ") for line in lines if line.startswith("#")]  # as np.savetxt writes it
    heads = [line for line in heads if set(COLUMNS) <= set(_cells(line))]
    rows = list(csv.reader([*heads[:1], *(line for line in lines if not line.startswith("#"))]))
    if not rows:
        raise StructureError(f"{path}: is empty; expected columns {', '.join(COLUMNS)}")
    head = [cell.strip() for cell in rows[0]]
    _check_names(path, head)
    if twice := [name for name in COLUMNS if head.count(name) > 1]:
        raise StructureError(f"{path}: has {head.count(twice[0])} columns {twice[0]}; expected one of each of "
                             f"{', '.join(COLUMNS)}")
    try:
        return {name: np.array([float(row[head.index(name)]) for row in rows[1:]]) for name in COLUMNS}
    except (ValueError, IndexError) as error:
        raise StructureError(f"{path}: a line has no number in each column ({error})") from error


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split(",")]


def _hdf5(path: Path) -> Structure:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            if file.attrs.get("kind") != KIND:
                return Structure(_checked(path, _columns(path, file)))
        record = Record.load(path)
    except OSError as error:
        raise StructureError(f"{path}: is a broken HDF5 file, perhaps cut off in copying ({error}); copy or write it "
                             "again") from error
    except (KeyError, StoreError) as error:
        raise StructureError(f"{path}: is an incomplete record ({error}); copy or make it again") from error
    found = record.attributes
    density = float(np.sum(found["particles"]) / found["box_length"] ** 3)  # records of `observe` are not told it
    return Structure(record.structure_on_grid(PAPER_GRID)[0], found.get("potential", ""),
                     found.get("density", density), found.get("mean_temperature"))


def _columns(path: Path, file: Any) -> dict[str, FloatArray]:
    import h5py

    _check_names(path, list(file))
    table = {}
    for name in COLUMNS:
        if not isinstance(file[name], h5py.Dataset):
            raise StructureError(f"{path}: {name} is a group; expected a data set of 100 numbers")
        try:
            table[name] = np.asarray(file[name][()], float)
        except (TypeError, ValueError) as error:
            raise StructureError(f"{path}: {name} holds {file[name].dtype}, no real numbers; expected 100 of them, as "
                                 "floating-point data") from error
    for name, column in table.items():
        if column.ndim != 1:
            raise StructureError(f"{path}: {name} has the shape {column.shape}; expected ({len(PAPER_GRID)},)")
        if len(column) != len(table["k"]):
            raise StructureError(f"{path}: {name} has {len(column)} values, k {len(table['k'])}; expected "
                                 f"{len(PAPER_GRID)} each")
    return table


def _check_names(path: Path, names: list[str]) -> None:
    if missing := [name for name in COLUMNS if name not in names]:
        raise StructureError(f"{path}: lacks {', '.join(missing)}; found {', '.join(names[:8])}. All three partial "
                             "structure factors are needed: S_AA, S_AB and S_BB, over k in 1/σ_AA")


def _checked(path: Path, table: dict[str, FloatArray]) -> FloatArray:
    """(100, 3) of a table on the right grid."""
    k = table["k"]
    step = PAPER_GRID[1] - PAPER_GRID[0]
    expected = f"expected {len(PAPER_GRID)} at (i + 1/2) {step:g}, that is {PAPER_GRID[0]:g} … {PAPER_GRID[-1]:g}"
    advice = "Interpolate S_ab(k) to these wave numbers"
    if len(k) != len(PAPER_GRID):
        raise StructureError(f"{path}: {len(k)} wave numbers from {k.min(initial=np.inf):g} to "
                             f"{k.max(initial=-np.inf):g}; {expected}. {advice}")
    order = np.argsort(k)
    off = np.abs(k[order] - PAPER_GRID)
    if len(wrong := np.flatnonzero(~(off <= TOLERANCE))):
        i = wrong[0]
        raise StructureError(f"{path}: wave number {i + 1} is {k[order][i]:g}, expected {PAPER_GRID[i]:g}; "
                             f"{expected}. {advice}")
    return np.stack([table[name][order] for name in COLUMNS[1:]], axis=1)


def _check_values(path: Path, S: FloatArray) -> None:
    if not np.all(np.isfinite(S)):
        raise StructureError(f"{path}: {np.sum(~np.isfinite(S))} values are no numbers")
    for a, name in ((0, "S_AA"), (2, "S_BB")):
        if S[:, a].min() <= 0:
            raise StructureError(f"{path}: {name} falls to {S[:, a].min():g}; one species' structure factor is "
                                 "positive")
    if (least := (S[:, 0] * S[:, 2] - S[:, 1] ** 2).min()) <= 0:
        raise StructureError(f"{path}: S_AA S_BB - S_AB² falls to {least:.3g}; it is positive for any mixture")
    A, AB, B = large_k(S)
    if abs(A + B - 1) > AWAY or abs(AB) > AWAY:
        raise StructureError(f"{path}: S_AA, S_AB, S_BB tend to {A:.3g}, {AB:.3g}, {B:.3g} at large k; expected the "
                             "fractions of A and B, together 1, and 0 between them: S_ab = <ρ_a(k) ρ_b(-k)>/N with N "
                             "of all particles")
    middle = S[5:60, 0]
    i = int(np.argmax(middle))
    if not (0 < i < len(middle) - 1 and middle[i] > max(middle[i - 1], middle[i + 1])):
        raise StructureError(f"{path}: S_AA has no main peak between k = {PAPER_GRID[5]:g} and {PAPER_GRID[59]:g}, at "
                             "which F_s would be predicted; expected that of a liquid or glass")
