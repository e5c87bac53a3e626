"""What a model is shown of a state: numbers, standardised by the training set.

A control is shown less: without the structure, with the structure alone, with the structure of another state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .samples import FloatArray, SampleError, State

KINDS = {
    "full": "S(k), T, ρ and the potential",
    "zeroed": "T, ρ and the potential; S(k) is zero",
    "structure": "S(k) alone",
    "permuted": "T, ρ and the potential, and the S(k) of another state",
    "mct": "S(k), T, ρ, the potential, and what mode-coupling theory makes of S(k)",
}
STRUCTURE = 300


def plain(states: Sequence[State], kind: str) -> FloatArray:
    """(n, 303) S_AA, S_AB, S_BB at 100 wave numbers each, T, ρ, 1 for LJ or 0; behind them the distance to the
    transition of mode-coupling theory, if the kind has it.

    What a kind does not show is zero. This is the order of Ciarella et al. (2023), § 4.2, whose last input, ln t, is
    that of the network. Raises SampleError where the theory is wanted and was not computed.
    """
    rows = []
    for state in states:
        structure = state.S.T.ravel() if kind != "zeroed" else np.zeros(STRUCTURE)
        point = np.array([state.temperature, state.density, float(state.potential == "LJ")])
        if kind == "structure":
            point = np.zeros(3)
        theory = np.zeros(0)
        if kind == "mct":
            if state.theory is None:
                raise SampleError(f"{state.name}: inputs {kind!r} need mode-coupling theory, which was not computed")
            theory = state.theory[:1]  # ln g of theory.numbers
        rows.append(np.concatenate([structure, point, theory]))
    return np.array(rows)


def logarithmic(states: Sequence[State], kind: str) -> FloatArray:
    """The same with ln T and ln ρ instead of T and ρ: relaxation times are nearly powers of them."""
    rows = plain(states, kind)
    if kind != "structure":
        rows[:, STRUCTURE : STRUCTURE + 2] = np.log(rows[:, STRUCTURE : STRUCTURE + 2])
    return rows


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
