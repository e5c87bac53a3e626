"""Intervals of predicted curves from the errors of a model on glasses that it had not seen.

Conformal prediction with scaled residuals (J. Lei, M. G'Sell, A. Rinaldo, R. J. Tibshirani and L. Wasserman, J. Am.
Stat. Assoc. 113:1094, 2018, section 5.2) for groups of curves: the half-width at r is q s(r), s the root mean square of
the pair's errors at r over the glasses. q is the quantile of |error| / s over all curves and bins, s of a curve without
this curve's own error, so that q makes up for few glasses. Bins in which the pair has no error at all, as in the core,
have no width and do not count.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .fingerprint import Pair, Query, substitutes

LEVEL = 0.90
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Conformal:
    """Scale s of each pair (pairs, bins), and q."""

    pairs: tuple[Pair, ...]
    scale: Array
    q: float

    @classmethod
    def of(cls, query: Query, glass: NDArray[np.int64], errors: Array, level: float = LEVEL) -> Conformal:
        """From the errors (n, bins) of curves that were predicted without their glass (n,). Raises ValueError where
        there is none."""
        if not errors.any():
            raise ValueError("no errors to make intervals of")
        square, common = errors**2, (errors**2).mean(0)
        pairs = list(dict.fromkeys(pair for _, pair in query))
        scale, scores = [], np.full_like(errors, np.nan)
        for pair in pairs:
            rows = [row for row, (_, one) in enumerate(query) if one == pair]
            total = square[rows].sum(0)
            active = total > 0
            # the mean of all pairs counts as one more glass, so that a single one has a scale as well
            scale.append(np.where(active, np.sqrt((total + common) / (len(rows) + 1)), 0.0))
            for row in rows:
                others = np.sqrt((total - square[row] + common)[active] / len(rows))
                scores[row, active] = np.abs(errors[row, active]) / others
        # finite sample: of m exchangeable glasses and a new one
        m = len(np.unique(glass))
        share = min(math.ceil((m + 1) * level) / m, 1.0)
        return cls(tuple(pairs), np.array(scale), float(np.nanquantile(scores, share)))

    def half_width(self, query: Query) -> Array:
        """(n, bins)."""
        return np.array([self.q * self._scale(pair) for _, pair in query])

    def covered(self, query: Query, errors: Array) -> Array:
        """Share of each curve's bins inside its interval (n,); bins without width or error do not count."""
        width = self.half_width(query)
        counted = (width > 0) | (errors != 0)
        return np.asarray(((np.abs(errors) <= width) & counted).sum(1) / np.maximum(counted.sum(1), 1))

    def _scale(self, pair: Pair) -> Array:
        if pair in self.pairs:
            return self.scale[self.pairs.index(pair)]
        others = [self.pairs.index(other) for other in substitutes(pair, self.pairs)]
        return np.asarray(self.scale[others].max(0))
