"""What a model is shown of a state: numbers, standardised by the training set.

A control is shown less: without the structure, with the structure alone, with the structure of another state.

In reduced units, lengths in ρ^(-1/3) and times in ρ^(-1/3) √(m/k_B T), the dynamics of simple liquids follows their
structure: where S at the reduced wave numbers is the same, so is F_s, nearly, whatever the density, the temperature and
the potential (isomorphs, along which T ∝ ρ^γ: Dyre, J. Phys. Chem. B 118 (2014) 10007). The kind `reduced` shows this
structure alone, so that T and ρ are but units.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline

from ..structure import PAPER_GRID
from .samples import DIAGONAL, FloatArray, SampleError, State

KINDS = {
    "full": "S(k), T, ρ and the potential",
    "reduced": "S(k) at reduced wave numbers; T and ρ as units",
    "zeroed": "T, ρ and the potential; S(k) is zero",
    "structure": "S(k) alone",
    "permuted": "T, ρ and the potential, and the S(k) of another state",
    "mct": "S(k), T, ρ, the potential, and what mode-coupling theory makes of S(k)",
}
NO_POTENTIAL = ("reduced", "structure")
"""Kinds that are not shown the potential."""
STRUCTURE = 300
REDUCED_GRID = 0.8 * PAPER_GRID
"""k ρ^(-1/3); up to ρ = 1.95 it lies within `PAPER_GRID`, above its ends S is taken as constant."""
GAMMA = 4.8
"""T_mct ∝ ρ^4.75 for LJ in table 1 of Ciarella et al. (2023), and ρ^5.4 for WCA, between ρ = 1.2 and 1.6."""


def plain(states: Sequence[State], kind: str) -> FloatArray:
    """(n, 303) S_AA, S_AB, S_BB at 100 wave numbers each, T, ρ, 1 for LJ or 0; behind them the distance to the
    transition of mode-coupling theory, if the kind has it.

    What a kind does not show is zero. This is the order of Ciarella et al. (2023), § 4.2, whose last input, ln t, is
    that of the network. Raises SampleError where the theory is wanted and was not computed.
    """
    rows = []
    for state in states:
        structure = state.S.T.ravel() if kind != "zeroed" else np.zeros(STRUCTURE)
        if kind == "reduced":
            structure = at_reduced(state)
        point = np.array([state.temperature, state.density, float(state.potential == "LJ")])
        if kind in NO_POTENTIAL:
            point = np.zeros(3)
        theory = np.zeros(0)
        if kind == "mct":
            if state.theory is None:
                raise SampleError(f"{state.name}: inputs {kind!r} need mode-coupling theory, which was not computed")
            theory = state.theory[:1]  # ln g of theory.numbers
        rows.append(np.concatenate([structure, point, theory]))
    return np.array(rows)


def at_reduced(state: State) -> FloatArray:
    """(300,) S_AA, S_AB, S_BB on `REDUCED_GRID`."""
    k = np.clip(REDUCED_GRID * state.density ** (1 / 3), PAPER_GRID[0], PAPER_GRID[-1])
    return np.asarray(CubicSpline(PAPER_GRID, state.S)(k).T.ravel())


def scaled(states: Sequence[State], kind: str) -> FloatArray:
    """(n, 304) the same with S on `REDUCED_GRID`, z = ln T - γ ln ρ, ln ρ, the potential, and exp(-z).

    States alike in reduced units have nearly the same z; at high T ln τ_α is nearly linear in z, on cooling nearer to
    exp(-z) = ρ^γ/T. The kind `structure` must not be told ρ and keeps S as it is.
    """
    rows = plain(states, kind)
    if kind in ("full", "permuted", "mct"):
        rows[:, :STRUCTURE] = [at_reduced(state) for state in states]
    last = np.zeros((len(rows), 1))
    if kind not in NO_POTENTIAL:
        T, rho = rows[:, STRUCTURE].copy(), rows[:, STRUCTURE + 1].copy()
        rows[:, STRUCTURE], rows[:, STRUCTURE + 1] = np.log(T) - GAMMA * np.log(rho), np.log(rho)
        last = rho[:, None] ** GAMMA / T[:, None]
    return np.hstack([rows, last])


def initial(states: Sequence[State], kind: str) -> FloatArray:
    """(n, 2) ln S_AA and ln S_BB at the main peak of the S(k) that is shown, F_s at t = 0 but for the grid; 0 where
    none, or that of another state, is shown."""
    if kind in ("zeroed", "permuted"):
        return np.zeros((len(states), 2))
    return np.log([CubicSpline(PAPER_GRID, state.S[:, DIAGONAL])(peak(state.S)) for state in states])


def peak(S: FloatArray) -> float:
    """k_p of S (100, 3) on the grid: the vertex of the parabola through the three highest neighbours of S_AA."""
    i = int(np.argmax(S[5:60, 0])) + 5
    y = S[i - 1 : i + 2, 0]
    step = PAPER_GRID[1] - PAPER_GRID[0]
    return float(PAPER_GRID[i] + 0.5 * step * (y[0] - y[2]) / (y[0] - 2 * y[1] + y[2]))


@dataclass(frozen=True, eq=False)
class Scaler:
    """Mean and standard deviation of a training set.

    An input that is constant there (the potential, where only one is trained on) is taken out: what it does has not
    been learned. Values below 10⁻⁸ of the mean are counted as rounding. The wave numbers of each S_ab share one scale,
    the root mean square of their standard deviations: at large k S varies by its statistical error alone, which a
    scale for each k would make as large as the main peak.
    """

    mean: FloatArray
    scale: FloatArray  # inf: constant

    @classmethod
    def of(cls, rows: FloatArray) -> Scaler:
        """From (n, inputs)."""
        mean, spread = rows.mean(0), rows.std(0)
        if rows.shape[1] > STRUCTURE:
            for part in (slice(first, first + STRUCTURE // 3) for first in range(0, STRUCTURE, STRUCTURE // 3)):
                spread[part] = np.sqrt(np.mean(spread[part] ** 2))
        return cls(mean, np.where(spread > 1e-8 * (np.abs(mean) + 1e-8), spread, np.inf))

    def __call__(self, rows: FloatArray) -> FloatArray:
        """Standardised (n, inputs)."""
        return np.asarray((rows - self.mean) / self.scale)
