"""Density of a glass as the simulations relax it: the estimate (`density.start_density`) times a factor that is fitted.

The logarithm of the factor is linear in the mole fractions, by ridge regression (A. E. Hoerl, R. W. Kennard,
Technometrics 12:55, 1970) whose penalty has the least error on glasses that are left out one by one; the strongest
leaves one factor for all. The error of a new glass is that of those left out, with Student's factor for so many.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .composition import AVOGADRO, Composition
from .curves import Curves
from .density import start_density
from .fingerprint import mole_fractions, shares

PENALTIES = (1e-3, 1e-2, 1e-1, 1.0, 1e6)  # on squares of coefficients for mole fractions
Array = NDArray[np.float64]


def simulated(curves: Curves) -> tuple[list[Composition], Array]:
    """The glasses of a data set and their relaxed densities, g/cm³."""
    glasses, values = [], []
    for glass in np.unique(curves.glass):
        row = int(np.flatnonzero(curves.glass == glass)[0])
        one = curves.realised[glass]
        atoms = curves.densities[row, 1] / shares(one)[curves.pairs[row][1]]  # 1/Å³
        glasses.append(one)
        values.append(atoms / one.atoms_per_unit() * one.mass_per_unit() / AVOGADRO * 1e24)
    return glasses, np.array(values)


@dataclass(frozen=True, eq=False)
class RelaxedDensity:
    """A fitted factor: coefficients (oxides,) around the mean mole fractions `centre`, and of glasses left out the
    errors of its logarithm (n,)."""

    mean: float
    centre: Array
    coefficients: Array
    left_out: Array

    @classmethod
    def of(cls, glasses: Sequence[Composition], densities: Array) -> RelaxedDensity:
        """From the densities (n,) in g/cm³ of at least two glasses."""
        x = np.array([mole_fractions(glass) for glass in glasses])
        y = np.log(densities / [start_density(glass).value for glass in glasses])
        errors = {penalty: _left_out(x, y, penalty) for penalty in PENALTIES}
        best = min(PENALTIES, key=lambda penalty: float((errors[penalty] ** 2).mean()))
        mean, centre, coefficients = _fit(x, y, best)
        return cls(mean, centre, coefficients, errors[best])

    def factor(self, glass: Composition) -> float:
        """By which the estimate is multiplied."""
        return float(np.exp(self.mean + (mole_fractions(glass) - self.centre) @ self.coefficients))

    def half_width(self, level: float) -> float:
        """Of the interval of a new glass, relative."""
        from scipy.stats import t

        number = len(self.left_out)
        return float(t.ppf((1 + level) / 2, number - 1) * np.sqrt((self.left_out**2).mean()))


def _fit(x: Array, y: Array, penalty: float) -> tuple[float, Array, Array]:
    centre = x.mean(0)
    off = x - centre
    return float(y.mean()), centre, np.linalg.solve(off.T @ off + penalty * np.eye(x.shape[1]), off.T @ (y - y.mean()))


def _left_out(x: Array, y: Array, penalty: float) -> Array:
    """Errors (n,) of each glass by the fit to the others."""
    found = np.zeros(len(y))
    for row in range(len(y)):
        others = np.arange(len(y)) != row
        mean, centre, coefficients = _fit(x[others], y[others], penalty)
        found[row] = y[row] - mean - (x[row] - centre) @ coefficients
    return found
