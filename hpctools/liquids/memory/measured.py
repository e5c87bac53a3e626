"""Curves whose memory functions are wanted: F_s(k,t) of a simulated state, or of a CSV file; and MCT's answer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .. import mct
from ..library import Library
from ..mixture import mixture
from ..record import VALUE, Record
from ..time_step import early_temperature
from .equation import FloatArray, check_omega2, cubic
from .errors import MemoryFunctionError

ROUNDING = 2.0**-VALUE / np.sqrt(12)  # standard error of the values in a record, of mantissas 0.5 … 1

MCT_STEP = 1e-4  # in units of the time that a particle takes over 1/k at the largest k


@dataclass(frozen=True, eq=False)
class Measured:
    """F_s(k,t) of one or more species at one k, F_s(0) = 1.

    name: of the state; species: their names; t (n_t,), positive; F, error (n_t, n_species), error None where unknown;
    omega2 (n_species,): k² k_B T/m of Newtonian motion; k, temperature, potential, density: NaN or "" where unknown.
    source: the file; record: the state, None for a CSV file.
    """

    name: str
    source: Path
    species: tuple[str, ...]
    t: FloatArray
    F: FloatArray
    error: FloatArray | None
    omega2: FloatArray
    k: float
    temperature: float
    potential: str = ""
    density: float = np.nan
    record: Record | None = None


def of_record(record: Record, k: float | None = None) -> Measured:
    """F_s of both species of a state at k, by default at the main peak of S_AA.

    Lags with errors are taken: the latest have a single origin and none. The temperature is the mean of the run, from
    which that of the thermostat may differ by 0.3 %. Ω² is with the temperatures with which displacements begin: the
    time step puts them up to 1.2 % above it, and the early points of a curve share the deviation of their origins,
    which their errors, point by point, do not tell (`time_step`). Masses are 1. Raises the errors of `Record.self_at`.
    """
    k = Library.of([record]).entries[0].k_peak if k is None else k
    F, error = record.self_at(k)
    kept = (record.times > 0) & (np.isfinite(error) & (error > 0)).all(axis=1)
    temperature = float(record.attributes["mean_temperature"])
    potential = str(record.attributes["potential"])
    return Measured(
        record.path.stem, record.path, mixture(potential).species, record.times[kept], F[kept],
        np.hypot(error[kept], ROUNDING), k * k * early_temperature(record), k, temperature, potential,
        float(record.attributes["density"]), record,
    )  # fmt: skip


def of_csv(path: str | Path, *, k: float | None = None, temperature: float | None = None,
           omega2: float | None = None) -> Measured:
    """Columns t, F and, if wanted, the error of F, between commas, semicolons, tabs or blanks.

    Empty lines, lines that begin with # and a first line of words are passed over. F is divided by F(0), the value in a
    row t = 0; without one F(0) is 1. omega2, or k and the temperature (k_B T/m) for k² k_B T/m. Raises
    MemoryFunctionError, naming the line.
    """
    path = Path(path)
    table = np.array(_rows(path))
    if omega2 is None:
        if k is None or temperature is None:
            raise MemoryFunctionError(f"{path}: give --omega2, or --k and --temperature for k² k_B T/m")
        omega2 = k * k * temperature
    if len(table) < 4:
        raise MemoryFunctionError(f"{path}: {len(table)} lines of numbers; expected 4 or more")
    t, F = table[:, 0], table[:, 1]
    F0 = F[0] if t[0] == 0 else 1.0
    errors = table[:, 2:] / F0 if table.shape[1] == 3 else None
    late = t > 0
    return Measured(path.stem, path, ("A",), t[late], F[late, None] / F0, None if errors is None else errors[late],
                    np.array([check_omega2(omega2)]), np.nan if k is None else k,
                    np.nan if temperature is None else temperature)


def _rows(path: Path) -> list[list[float]]:
    """The numbers of a table, checked line by line: finite, times ascending from 0 on, F(0) and errors positive."""
    rows: list[list[float]] = []
    words = False
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise MemoryFunctionError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise MemoryFunctionError(f"{path}: is no text: {error}") from error
    for number, line in enumerate(text.splitlines(), 1):
        at, line = f"{path}, line {number}", line.strip()
        if not line or line.startswith("#"):
            continue
        cells = re.split(r"\s*[,;\t]\s*|\s+", line)
        if not rows and not words and not _is_number(cells[0]):
            words = True
            continue
        if len(cells) not in (2, 3) or not all(map(_is_number, cells)):
            raise MemoryFunctionError(f"{at}: found {line!r}; expected t,F or t,F,error")
        row = [float(cell) for cell in cells]
        if rows and len(row) != len(rows[0]):
            raise MemoryFunctionError(f"{at}: {len(row)} columns; the lines before have {len(rows[0])}")
        if not np.isfinite(row).all():
            raise MemoryFunctionError(f"{at}: found {line!r}; expected finite numbers")
        if row[0] < 0 or (rows and row[0] <= rows[-1][0]):
            raise MemoryFunctionError(f"{at}: t = {row[0]:g} after {rows[-1][0]:g}; expected ascending times, each once"
                                      if rows else f"{at}: t = {row[0]:g}; expected times from 0 on")
        if row[0] == 0 and not row[1] > 0:
            raise MemoryFunctionError(f"{at}: F(0) = {row[1]:g}; expected a positive number")
        if row[0] > 0 and len(row) == 3 and not row[2] > 0:
            raise MemoryFunctionError(f"{at}: the error is {row[2]:g}; expected a positive one, or no third column")
        rows.append(row)
    return rows


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def structures(record: Record, k: Sequence[float] | FloatArray) -> FloatArray:
    """S_ab (n_k, 2, 2) of a state."""
    return record.structure_on_grid(k)[0][:, [0, 1, 1, 2]].reshape(-1, 2, 2)


def mct_answer(measured: Measured, t: FloatArray) -> tuple[FloatArray, FloatArray]:
    """What mode-coupling theory makes of the state's own S(k): F_s(k,t) and Ω² m_s(k,t), two (n_t, n_species).

    Newtonian motion, which has no free parameter. Ω² m_s, with Ω² = k² k_B T/m, is the M of the memory equation.
    Raises mct.MCTError where S(k) is no structure, MemoryFunctionError for a curve without a state.
    """
    if measured.record is None:
        raise MemoryFunctionError(f"{measured.source}: mode-coupling theory needs S(k), which only a state has")
    grid = mct.wave_numbers()
    fastest = grid[-1] * np.sqrt(measured.temperature)  # kv; the memory's part is less at large k
    solution = mct.solve(
        grid, structures(measured.record, grid), measured.density, mixture(measured.potential).fractions,
        dynamics="newtonian", temperature=measured.temperature,
        t_min=min(MCT_STEP / fastest, t[0] / 4), t_max=float(t[-1]),
        block=128, tolerance=1e-8,
    )  # fmt: skip
    rows, weights = cubic(grid, np.array([measured.k]))
    at, by_time = cubic(solution.t, t)
    F, M = np.empty((len(t), len(measured.species))), np.empty((len(t), len(measured.species)))
    for species in range(len(measured.species)):
        tagged = mct.tagged_particle(solution, species)
        for values, out in ((tagged.F_s, F), (measured.k**2 * measured.temperature * tagged.M_s, M)):
            out[:, species] = np.einsum("oj,oj->o", by_time, (values[:, rows[0]] @ weights[0])[at])
    return F, M
