"""Correlation functions of mode-coupling theory: `solve`.

Equation, kernel and integration are separate: `equation` checks the structure and gives the coefficients, `kernel` the
memory, `time_doubling` integrates any such equation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import averages
from . import time_doubling
from .equation import FloatArray, Liquid, MCTError, inertia, liquid
from .kernel import liquid_memory

T_MIN, T_MAX = 1e-10, 1e10
BLOCK = 256
TOLERANCE = 1e-10


@dataclass(frozen=True)
class Motion:
    """How particles move at short times: what `solve` was given.

    dynamics: "overdamped" with diffusion coefficients D_a, or "newtonian" with k_B T and masses m_a.
    """

    dynamics: str = "overdamped"
    diffusion: ArrayLike = 1.0
    temperature: float = 1.0
    masses: ArrayLike = 1.0


@dataclass(frozen=True)
class Solution:
    """Solution of the equation on the solver's own times, about block/2 a doubling.

    t (n_t,): t[0] = 0, then from t_min on; F, M (n_t, n_k, n_s, n_s): correlators, F[0] = S, and memory kernels;
    without the species axes where S was given so. t is in units of σ²/D (overdamped) or σ √(m/k_B T) (Newtonian) if
    D = 1 or k_B T = m = 1, with σ the unit of 1/k. evaluations: of the kernel; asymmetry: largest |F_ab - F_ba| of a
    step, before it is made symmetric, over sqrt(S_aa S_bb): it measures the error of the step.
    """

    t: FloatArray
    F: FloatArray
    M: FloatArray
    k: FloatArray
    S: FloatArray
    density: float
    fractions: FloatArray
    motion: Motion
    block: int
    tolerance: float
    evaluations: int
    asymmetry: float

    @property
    def structure(self) -> Liquid:
        """The liquid that was solved for."""
        return liquid(self.k, self.S, self.density, self.fractions)

    def correlator(self, k: float, species: int = 0) -> FloatArray:
        """F_aa(k,t)/S_aa(k) (n_t,) at the grid's wave number nearest to k."""
        at = int(np.abs(self.k - k).argmin())
        if not 0 <= species < len(self.fractions):
            raise MCTError(f"species {species}; expected 0 … {len(self.fractions) - 1}")
        F = self.F[:, at] if self.F.ndim == 2 else self.F[:, at, species, species]
        return F / F[0]

    def relaxation_time(self, k: float, species: int = 0, level: float = float(np.exp(-1))) -> float:
        """Time at which F_aa(k,t)/S_aa(k) falls to `level`; infinite where it does not within the times solved for."""
        if not 0 < level < 1:
            raise MCTError(f"level = {level}; expected a share of F(0) between 0 and 1")
        return crossing(self.t, self.correlator(k, species), level)


def crossing(t: FloatArray, y: FloatArray, level: float) -> float:
    """The first time at which y falls to `level`, by a cubic in ln t; infinite if there is none. t[0] is zero."""
    found, _ = averages.crossing(t[1:], y[1:], np.zeros(len(t) - 1), level)
    return float("inf") if np.isnan(found) else float(found)


def solve(
    k: ArrayLike,
    S: ArrayLike,
    density: float,
    fractions: ArrayLike | None = None,
    *,
    dynamics: str = "overdamped",
    diffusion: ArrayLike = 1.0,
    temperature: float = 1.0,
    masses: ArrayLike = 1.0,
    t_min: float = T_MIN,
    t_max: float = T_MAX,
    block: int = BLOCK,
    tolerance: float = TOLERANCE,
) -> Solution:
    """Solve the mode-coupling equation of a liquid for F_ab(k,t) and the memory m_ab(k,t).

    k (n_k,): (i + ½) dk; S (n_k, n_s, n_s), or (n_k,) for one species: partial structure factors, x_a δ_ab at large k;
    density: particles a volume; fractions (n_s,).
    dynamics: "overdamped" with the diffusion coefficients `diffusion`, or "newtonian" with `temperature` (k_B T) and
    `masses`; one number, or one a species. The structure must be that of the same temperature.
    t_min: first step; t_max: the last time is the first multiple of it beyond; block: steps before they double. The
    error falls with block⁻²: for hard spheres at φ = 0.515 it is 3e-4 of the relaxation time at 256, 1e-3 at 128
    (tests/benchmarks/mct_speed.py).
    tolerance: of the iteration at each step, in units of sqrt(S_aa S_bb).
    F and M take 8 n_t n_k n_s² bytes each, with n_t = block/2 for each of the log2(t_max/t_min) doublings.
    Raises MCTError for input without a meaning, with what was found and what was expected.
    """
    structure = liquid(k, S, density, fractions)
    motion = Motion(dynamics, diffusion, temperature, masses)
    second, first = inertia(structure, dynamics, diffusion, temperature, masses)
    one = np.zeros_like(structure.S)
    one[np.arange(structure.n_species), np.arange(structure.n_species)] = 1.0
    equation = time_doubling.Equation(
        second, first, structure.S_inverse, one, structure.S, liquid_memory(structure)
    )
    path = time_doubling.integrate(equation, time_doubling.times(t_min, t_max, block), block, tolerance)
    F, M = (part[..., 0, 0] if structure.scalar else part for part in (path.F, path.M))
    return Solution(
        path.t, F, M, structure.k,
        structure.shaped(structure.S), structure.density, structure.fractions, motion, block, tolerance,
        path.evaluations, path.asymmetry,
    )  # fmt: skip


def solve_states(states: Iterable[Mapping[str, Any]], threads: int = 1) -> list[Solution]:
    """`solve` for many states, each given as its keyword arguments, on several threads.

    The compiled code runs outside Python's lock, and each state on one thread: the results are those of `solve`, to
    the last bit. Over nodes, give each rank states[rank::size].
    """
    if threads < 1:
        raise MCTError(f"threads = {threads}; expected at least 1")
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda state: solve(**state), states))
