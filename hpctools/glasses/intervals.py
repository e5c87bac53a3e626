"""Intervals of predicted curves from the errors of a model on glasses that it had not seen.

Conformal prediction with scaled residuals (J. Lei, M. G'Sell, A. Rinaldo, R. J. Tibshirani and L. Wasserman, J. Am.
Stat. Assoc. 113:1094, 2018, section 5.2) for groups of curves, all points in one pool (R. Dunn, L. Wasserman and
A. Ramdas, J. Am. Stat. Assoc. 118:2491, 2023, section 3): the half-width at r is q s(r), s the root mean square of the
pair's errors at r over the glasses, joined with the mean over the nearest five bins as if that were one more glass. q
is the quantile of |error| / s over all curves and bins, s of a curve without this curve's own error, so that q makes up
for few glasses. Bins in which the pair has no error at all, as in the core, have no width and do not count. Coverage is
of the bins of glasses like those of the errors, in the mean; not of whole curves, and not of each composition.

Of a model that knows its own standard deviation σ(r) of each curve, as a Gaussian process, the half-width is q σ(r)
with the quantile q of |error| / σ: wider where less was learned.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .fingerprint import Pair, Query, substitutes

LEVEL = 0.90
Array = NDArray[np.float64]
_NORMAL = 1.6449
_NEAR = 5  # bins
_NONE = 1e-6  # an error or deviation below is rounding: a pair of atoms in one frame is more


def _scale_of(total: Array, number: int) -> Array:
    """Root mean square from the sum of the squares of `number` errors (bins,)."""
    window = np.ones(min(_NEAR, len(total)))
    near = np.convolve(total, window, "same") / np.convolve(np.ones_like(total), window, "same")
    return np.asarray(np.sqrt((np.maximum(total, 0) + np.maximum(near, 0) / number) / (number + 1)))


def _rounded(values: Array) -> Array:
    return np.where(np.abs(values) < _NONE, 0.0, values)


@dataclass(frozen=True)
class Conformal:
    """Scale s of each pair (pairs, bins), and q; q_own: that of a model's own deviations, NaN without any."""

    pairs: tuple[Pair, ...]
    scale: Array
    q: float
    q_own: float = np.nan

    @classmethod
    def of(cls, query: Query, glass: NDArray[np.int64], errors: Array, deviation: Array | None = None,
           level: float = LEVEL) -> Conformal:
        """From the errors (n, bins) of curves that were predicted without their glass (n,), and the deviations that
        their model gave (n, bins), NaN where it knew none. Raises ValueError where there is no error."""
        errors = _rounded(errors)
        if not errors.any():
            raise ValueError("no errors to make intervals of")
        square = errors**2
        pairs = list(dict.fromkeys(pair for _, pair in query))
        scale, scores = [], np.full_like(errors, np.nan)
        for pair in pairs:
            rows = [row for row, (_, one) in enumerate(query) if one == pair]
            total = square[rows].sum(0)
            active = total > 0
            scale.append(np.where(active, _scale_of(total, len(rows)), 0.0))
            for row in rows if len(np.unique(glass[rows])) > 1 else ():
                others = np.maximum(_scale_of(total - square[row], len(rows) - 1), 1e-9)
                scores[row, active] = np.abs(errors[row, active]) / others[active]
        known = scores[np.isfinite(scores)]
        # without a pair that two glasses have, that of the normal distribution
        q = float(np.quantile(known, level)) if len(known) else _NORMAL
        q_own = np.nan
        if deviation is not None:
            deviation = _rounded(deviation)
            told = np.isfinite(deviation) & ((deviation > 0) | (errors != 0))
            if told.any():
                q_own = float(np.quantile(np.abs(errors[told]) / np.maximum(deviation[told], 1e-12), level))
        return cls(tuple(pairs), np.array(scale), q, q_own)

    def half_width(self, query: Query, deviation: Array | None = None) -> Array:
        """(n, bins); by the model's deviations (n, bins) where it knows them."""
        width = np.array([self.q * self._scale(pair) for _, pair in query])
        if deviation is None or not np.isfinite(self.q_own):
            return width
        return np.where(np.isfinite(deviation).all(1, keepdims=True), self.q_own * _rounded(deviation), width)

    def covered(self, query: Query, errors: Array, deviation: Array | None = None) -> Array:
        """Share of each curve's bins inside its interval (n,); bins without width or error do not count; NaN where none
        counts."""
        errors, width = _rounded(errors), self.half_width(query, deviation)
        counted = (width > 0) | (errors != 0)
        number = counted.sum(1)
        return np.where(number, ((np.abs(errors) <= width) & counted).sum(1) / np.maximum(number, 1), np.nan)

    def _scale(self, pair: Pair) -> Array:
        if pair in self.pairs:
            return self.scale[self.pairs.index(pair)]
        others = [self.pairs.index(other) for other in substitutes(pair, self.pairs)]
        return np.asarray(self.scale[others].max(0))
