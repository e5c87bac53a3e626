"""The slower schemes of `simulate`, for comparison with other codes and as judges of the fast one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .program import ZERO_CELSIUS as ZERO
from .program import Program, ProgramError

SCHEMES = ("collocation", "staircase", "direct")


def simulate_slowly(
    parameters: NDArray[np.float64], program: Program, scheme: str, out: NDArray[Any]
) -> NDArray[Any]:
    """Fill out (n, scans, points) sample by sample and return it.

    "staircase": the published scheme (staircase.py), with temperature jumps of the grid's step; minutes a sample at
    0.1 K. "direct": the superposition integral with its own kernel (direct.py), about a second a sample.
    Raises ProgramError for programs with holds, which neither follows.
    """
    if program.holds:
        raise ProgramError(f"scheme {scheme} does not follow holds; leave them out, or use scheme collocation")
    cooling, heating = (np.array(rates) / 60 for rates in (program.cooling_rates, program.heating_rates))
    if scheme == "staircase":
        from .staircase import simulate_staircase

        first = round((program.grid_low - program.low) / program.step)
        if abs(program.low + first * program.step - program.grid_low) > 1e-6:
            raise ProgramError("the staircase's grid must begin a whole number of steps above low_celsius")
        for sample, row in zip(parameters, out, strict=True):
            signals = simulate_staircase(sample, cooling, heating, program.low, program.high, program.step)
            row[:] = signals[:, first : first + program.points]
        return out
    from .direct import scan

    grid = program.celsius + ZERO
    for sample, row in zip(parameters, out, strict=True):
        for number, rates in enumerate(zip(cooling, heating, strict=True)):
            row[number] = scan(sample, *rates, temperatures=grid)[0]
    return out
