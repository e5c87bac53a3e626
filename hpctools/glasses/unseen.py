"""Errors of a model on glasses that it had not seen, and the intervals that follow for g(r), neighbours and first peak.

Curves with enough counts make the intervals of the pairs that have some. Pairs that have fewer than `LEAST_GLASSES` of
them are rare: theirs come from all curves of such pairs, sparse ones, too, whose errors hold the noise of few counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .curves import Curves
from .errors import LEAST_GLASSES
from .fingerprint import Pair
from .intervals import Conformal
from .shells import first_peaks
from .splits import Fold

Array = NDArray[np.float64]
QUANTITIES = ("bins", "neighbours", "first peak", "its height")


@dataclass(frozen=True, eq=False)
class Unseen:
    """Of n curves where their glass was not learned from: errors of g (n, bins), and the deviations that the model gave
    for it (n, bins) and for the first element's neighbours (n, 1), NaN where it knows none."""

    errors: Array
    deviations: Array
    counting: Array

    @classmethod
    def empty(cls, curves: Curves) -> Unseen:
        """NaN for all curves."""
        return cls(np.full_like(curves.g, np.nan), np.full_like(curves.g, np.nan), np.full((len(curves), 1), np.nan))

    def rows(self, index: NDArray[np.int64]) -> Unseen:
        """Of some of the curves."""
        return Unseen(self.errors[index], self.deviations[index], self.counting[index])


def at_the_top(r: Array, g: Array, ends: Sequence[float], table: Array) -> Array:
    """What a table (n, bins) has where each curve is highest in its first shell (n, 1)."""
    return np.array([[row[np.argmax(np.where(r < end, curve, -1.0))]] for curve, end, row in zip(g, ends, table)])


def _of_first_peaks(curves: Curves, unseen: Unseen) -> tuple[Array, Array]:
    """Errors of position and height (n, 2), NaN without a peak, and the deviations at the predicted top (n, 1)."""
    ends = [curves.cutoffs[pair] for pair in curves.pairs]
    guessed = np.maximum(curves.g + unseen.errors, 0)
    off = first_peaks(curves.r, guessed, ends) - first_peaks(curves.r, curves.g, ends)
    return off, at_the_top(curves.r, guessed, ends, unseen.deviations)


@dataclass(frozen=True, eq=False)
class Intervals:
    """Of g(r), of the first element's neighbours, and of the first peak's position and height."""

    g: Conformal
    neighbours: Conformal
    place: Conformal
    height: Conformal

    @classmethod
    def of(cls, curves: Curves, unseen: Unseen) -> Intervals:
        """From the errors of these curves; NaN for first peaks where there are none. Raises ValueError without any."""
        off, top = _of_first_peaks(curves, unseen)
        known = np.flatnonzero(np.isfinite(off).all(1))
        peaked, off, top = curves.rows(known), off[known], top[known]
        pairs = tuple(curves.known_pairs)
        unknown = Conformal(pairs, np.full((len(pairs), 1), np.nan), np.nan)
        return cls(
            Conformal.of(curves.query, curves.glass, unseen.errors, unseen.deviations),
            Conformal.of(curves.query, curves.glass, curves.neighbours(unseen.errors), unseen.counting),
            Conformal.of(peaked.query, peaked.glass, off[:, :1]) if off[:, 0].any() else unknown,
            Conformal.of(peaked.query, peaked.glass, off[:, 1:], top) if off[:, 1].any() else unknown,
        )

    def covered(self, curves: Curves, unseen: Unseen) -> Array:
        """Shares of bins, and whether neighbours, first peak and its height are inside (n, 4), NaN where there is no
        peak."""
        (off, top), query = _of_first_peaks(curves, unseen), curves.query
        found = np.transpose([
            self.g.covered(query, unseen.errors, unseen.deviations),
            self.neighbours.covered(query, curves.neighbours(unseen.errors), unseen.counting),
            np.abs(off[:, 0]) <= self.place.half_width(query)[:, 0],
            np.abs(off[:, 1]) <= self.height.half_width(query, top)[:, 0],
        ])  # fmt: skip
        found[:, 2:][~np.isfinite(off)] = np.nan
        return found


def is_rare(curves: Curves, pair: Pair) -> bool:
    """Whether a pair has too few curves that are not sparse."""
    return len(curves.of_pair(pair)) < LEAST_GLASSES


def _kinds(curves: Curves) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which of all curves, the sparse ones last, make the intervals of usual and of rare pairs."""
    pairs = curves.with_sparse().pairs
    rare = np.array([is_rare(curves, pair) for pair in pairs])
    return ~rare & (np.arange(len(pairs)) < len(curves)), rare


def intervals_of(curves: Curves, unseen: Unseen) -> tuple[Intervals, Intervals]:
    """Of usual and of rare pairs. unseen: of all curves, the sparse ones last. Where either has no errors the other's
    serve. Raises ValueError where there are none at all."""
    every = curves.with_sparse()
    found: list[Intervals | None] = []
    for of in _kinds(curves):
        rows = np.flatnonzero(of)
        try:
            found.append(Intervals.of(every.rows(rows), unseen.rows(rows)) if len(rows) else None)
        except ValueError:
            found.append(None)
    usual, rare = found
    if usual is None and rare is None:
        raise ValueError("no errors to make intervals of")
    return usual or rare, rare or usual  # type: ignore[return-value]


def coverage(curves: Curves, unseen: Unseen, folds: Sequence[Fold]) -> tuple[Array, Array]:
    """Of the intervals (`QUANTITIES`) that the errors in the other folds make, in usual and in rare pairs (4,)."""
    every, kinds = curves.with_sparse(), _kinds(curves)
    found = np.full((len(every), len(QUANTITIES)), np.nan)
    for fold in folds:
        tested = np.isin(every.glass, curves.glass[fold.test])
        for of in kinds:
            learned, asked = (np.flatnonzero(of & side) for side in (~tested, tested))
            try:
                made = Intervals.of(every.rows(learned), unseen.rows(learned))
            except ValueError:
                continue
            if len(asked):
                found[asked] = made.covered(every.rows(asked), unseen.rows(asked))
    usual, rare = (np.array([column[np.isfinite(column)].mean() if np.isfinite(column).any() else np.nan
                             for column in found[of].T]) for of in kinds)
    return usual, rare
