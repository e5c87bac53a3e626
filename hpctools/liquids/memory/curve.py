"""A measured correlation function, checked."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from .equation import FloatArray, check_times
from .errors import MemoryFunctionError

START = 1e-6  # relative: how well F(t = 0) must be the given F(0)
ABOVE = 1e-3  # relative, or 5 errors: F may lie above F(0) by so much
BELOW = 0.02  # of F(0), or 5 errors: and below its ballistic start


@dataclass(frozen=True, eq=False)
class Curve:
    """F/F(0) at positive times, with errors.

    t, F (n_t,): F divided by F(0); error (n_t,) likewise, ones where unknown; weighted: errors were given; F0: F(0).
    """

    t: FloatArray
    F: FloatArray
    error: FloatArray
    weighted: bool
    F0: float

    def since(self, t_from: float) -> Curve:
        """The part from a time on. Raises MemoryFunctionError where fewer than 4 points are left."""
        kept = self.t >= t_from
        if kept.sum() < 4:
            raise MemoryFunctionError(f"{kept.sum()} of {len(self.t)} times are at {t_from:g} or later; expected 4 or "
                                      "more: give an earlier start or a longer curve")
        return Curve(self.t[kept], self.F[kept], self.error[kept], self.weighted, self.F0)

    def check_start(self, omega2: float) -> None:
        """F ≥ F(0) (1 - Ω² t²/2) holds for all Newtonian motion, as cos x ≥ 1 - x²/2. Raises MemoryFunctionError where
        F lies below: then F(0), the unit of time or Ω² is wrong."""
        bound = 1 - 0.5 * omega2 * self.t**2
        room = np.maximum(BELOW, 5 * self.error if self.weighted else 0.0)
        bad = np.flatnonzero(self.F < bound - room)
        if bad.size:
            at = int(bad[0])
            raise MemoryFunctionError(f"F/F(0) = {self.F[at]:.4g} at t = {self.t[at]:g} is below 1 - Ω² t²/2 = "
                                      f"{bound[at]:.4g}, which no motion with Ω² = {omega2:.4g} can be: is F(0) = "
                                      f"{self.F0:g} right, and the unit of time that of Ω²?")

    def chi_square(self, F: FloatArray) -> FloatArray:
        """Σ of squared deviations over errors, of F/F(0) (…, n_t)."""
        return (((F - self.F) / self.error) ** 2).sum(axis=-1)

    def loss(self, F: FloatArray) -> FloatArray:
        """Σ of squared deviations of F/F(0) (…, n_t): eq. (7) of Ciarella et al. (2023) without its regularisation."""
        return ((F - self.F) ** 2).sum(axis=-1)

    def explained(self, F: FloatArray) -> float:
        """R² = 1 - Σ(F - fit)²/Σ(F - mean)²; NaN for a curve that is constant."""
        variance = float(((self.F - self.F.mean()) ** 2).sum())
        return float(1 - self.loss(F) / variance) if variance > 0 else math.nan


def checked(t: ArrayLike, F: ArrayLike, F0: float | None = None, error: ArrayLike | None = None) -> Curve:
    """Check a curve. F0: F(0); it may be left out where t[0] = 0. A point at t = 0 is not fitted, it is F(0).

    Raises MemoryFunctionError, which names the place: times that do not ascend, F or errors that are not finite, F that
    does not begin at F(0) or exceeds it.
    """
    times = check_times(t)
    values = np.asarray(F, float)
    if values.shape != times.shape:
        raise MemoryFunctionError(f"F has shape {values.shape}, t {times.shape}; expected one F for each time")
    _finite(values, times, "F")
    if F0 is None:
        if times[0] > 0:
            raise MemoryFunctionError(f"t[0] = {times[0]:g}; expected t[0] = 0, or F0 = F(0) beside the curve (1 for a "
                                      "normalised F_s)")
        F0 = float(values[0])
    if np.ndim(F0) != 0 or not (math.isfinite(F0) and F0 > 0):
        raise MemoryFunctionError(f"F(0) = {F0}; expected a positive number")
    if times[0] == 0 and abs(values[0] - F0) > START * F0:
        raise MemoryFunctionError(f"F[0] = {values[0]:g} at t = 0; expected F(0) = {F0:g}")
    if error is None:
        errors, weighted = np.full(len(times), F0), False
    else:
        found = np.asarray(error, float)
        if found.shape not in ((), times.shape):
            raise MemoryFunctionError(f"error has shape {found.shape}, t {times.shape}; expected one error for each "
                                      "time, or one for all")
        errors, weighted = np.broadcast_to(found, times.shape).copy(), True
        errors[times == 0] = F0  # not used
        _finite(errors, times, "error")
        bad = np.flatnonzero(errors <= 0)
        if bad.size:
            raise MemoryFunctionError(f"error[{bad[0]}] = {errors[bad[0]]:g} at t = {times[bad[0]]:g}; expected "
                                      "positive errors, or none at all")
    room = np.maximum(ABOVE * F0, 5 * errors if weighted else 0.0)
    bad = np.flatnonzero(values > F0 + room)
    if bad.size:
        raise MemoryFunctionError(f"F[{bad[0]}] = {values[bad[0]]:g} at t = {times[bad[0]]:g} is above F(0) = {F0:g}; "
                                  "expected a correlation function that starts at F(0): is F0 right?")
    late = times > 0
    if late.sum() < 4:
        raise MemoryFunctionError(f"{late.sum()} times are positive; expected 4 or more")
    return Curve(times[late], values[late] / F0, errors[late] / F0, weighted, F0)


def _finite(values: FloatArray, t: FloatArray, name: str) -> None:
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        raise MemoryFunctionError(f"{name}[{bad[0]}] = {values[bad[0]]} at t = {t[bad[0]]:g}; expected finite numbers "
                                  f"({bad.size} of {len(t)} are not)")
