"""Errors of predicted curves, and what a table of models says of them, with bootstrap intervals over glasses.

σ² is the variance of a simulated curve, from its seeds: the mean squared error of a perfect prediction. The skill of a
model is 1 - MSE/MSE(pair mean), its explained share 1 - (MSE - σ²)/(MSE(pair mean) - σ²), both within a pair, with
means over the pair's curves. Curves of a pair that the training part of their fold lacks have no pair mean (NaN), and
do not count in either; nor do pairs with fewer than `LEAST_GLASSES` others.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .curves import Curves
from .fingerprint import Pair
from .images import encode
from .shells import first_peaks

Array = NDArray[np.float64]
SIGNAL = 2.0  # a pair has signal where MSE(pair mean) > 2 σ²
# The mean of m curves errs by σ²(1 + 1/m) where composition does not matter at all: by 2 σ² for two glasses, one of
# which is learned from; five, of which three or four are, leave 1.25 to 1.33 σ².
LEAST_GLASSES = 5
DRAWS = 1000


@dataclass(frozen=True, eq=False)
class Errors:
    """Of n predicted curves.

    mse (n,): of g. peak (n,): position of the first peak, Å. height (n,): of the first peak, relative; both NaN where
    the simulated or the predicted curve has no peak in the first shell. coordination (n,): neighbours of the first
    element within the pair's cut-off. image (n,): MSE of 64 × 64 pixels.
    """

    mse: Array
    peak: Array
    height: Array
    coordination: Array
    image: Array


def of(curves: Curves, predicted: Array, top: Array, images: Array | None = None) -> Errors:
    """Errors of predictions (n, bins).

    top : axes of the plots (n,). images : predicted plots (n, 64, 64), where a model makes some; else its curves'.
    """
    ends = [curves.cutoffs[pair] for pair in curves.pairs]
    peaks, true = (first_peaks(curves.r, these, ends) for these in (predicted, curves.g))
    numbers = curves.neighbours(predicted - curves.g)[:, 0]
    shown = encode("raster", np.maximum(predicted, 0), top) if images is None else images
    image = ((shown - encode("raster", curves.g, top)) ** 2).mean((1, 2))
    return Errors(((predicted - curves.g) ** 2).mean(1), peaks[:, 0] - true[:, 0], peaks[:, 1] / true[:, 1] - 1,
                  numbers, image)


@dataclass(frozen=True, eq=False)
class PairShare:
    """Of a pair: number of curves with a pair mean, their mean squared errors by a model and by the pair mean, their
    σ², and what follows."""

    pair: Pair
    curves: int
    mse: float
    baseline: float
    noise: float

    @property
    def skill(self) -> float:
        return 1 - self.mse / self.baseline

    @property
    def explained(self) -> float:
        """NaN where the pair has no signal or its noise is not known."""
        return 1 - (self.mse - self.noise) / (self.baseline - self.noise) if self.signal else np.nan

    @property
    def signal(self) -> bool:
        return self.curves >= LEAST_GLASSES and self.baseline > SIGNAL * self.noise


def shares(pairs: tuple[Pair, ...], mse: Array, baseline: Array, noise: Array) -> list[PairShare]:
    """The pairs' rows, from the errors of single curves (n,); baseline: NaN where a curve has no pair mean."""
    found = []
    for pair in dict.fromkeys(pairs):
        rows = np.array([one == pair for one in pairs]) & np.isfinite(baseline)
        means = (float(v[rows].mean()) if rows.any() else np.nan for v in (mse, baseline, noise))
        found.append(PairShare(pair, int(rows.sum()), *means))
    return found


def median_skill(pairs: tuple[Pair, ...], mse: Array, baseline: Array, weights: Array) -> Array:
    """Skill, median over the pairs with enough curves, for each row of weights of the curves (draws, n)."""
    means = _pair_means(pairs, np.array([mse, baseline]), weights)
    with np.errstate(invalid="ignore"):  # an error of 0 has no skill
        return _median(1 - means[0] / means[1])


def median_explained(pairs: tuple[Pair, ...], mse: Array, baseline: Array, noise: Array, weights: Array) -> Array:
    """Explained share, median over the pairs with signal, for each row of weights (draws, n); NaN without any."""
    mse_of, base, floor = _pair_means(pairs, np.array([mse, baseline, noise]), weights)
    share = 1 - (mse_of - floor) / np.where(base > floor, base - floor, np.nan)
    return _median(np.where(base > SIGNAL * floor, share, np.nan))


def enough(pairs: tuple[Pair, ...], baseline: Array) -> list[Pair]:
    """The pairs with at least `LEAST_GLASSES` curves that have a pair mean."""
    known = [pair for pair, base in zip(pairs, baseline) if np.isfinite(base)]
    return [pair for pair in dict.fromkeys(known) if known.count(pair) >= LEAST_GLASSES]


def _pair_means(pairs: tuple[Pair, ...], values: Array, weights: Array) -> Array:
    """Weighted means over the curves of each pair with enough of them (values, draws, pairs); NaN where no curve of a
    pair is drawn, and where one is drawn whose value is not known. values[1]: that of the pair mean."""
    known = np.isfinite(values[1])
    belongs = np.array([[one == pair for pair in enough(pairs, values[1])] for one in pairs], float)
    belongs = belongs.reshape(len(pairs), -1) * known[:, None]
    total = weights @ belongs
    means = []
    for value in values:
        unknown = ~np.isfinite(value) & known
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = (weights * np.where(known & ~unknown, value, 0.0)) @ belongs / total
        # of its own pair alone: NaN in the product would be that of all pairs
        means.append(np.where((weights * unknown) @ belongs > 0, np.nan, mean))
    return np.array(means)


def _median(values: Array) -> Array:
    """Along the last axis, NaN left out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of rows without any number
        return np.asarray(np.nanmedian(values, axis=-1) if values.shape[-1] else np.full(len(values), np.nan))


def bootstrap(glass: NDArray[np.int64], statistic: Callable[[Array], Array], draws: int = DRAWS, level: float = 0.90,
              seed: int = 0) -> tuple[float, float]:
    """Interval of a statistic over glasses drawn with replacement (B. Efron, Ann. Stat. 7:1, 1979, percentiles).

    glass : (n,) of each curve. statistic : its values (draws,) for weights of the curves (draws, n), how often each
    counts.
    """
    names, index = np.unique(glass, return_inverse=True)
    if len(names) < 2:
        return np.nan, np.nan
    drawn = np.random.default_rng(seed).integers(0, len(names), (draws, len(names)))
    times = np.array([np.bincount(one, minlength=len(names)) for one in drawn], float)
    values = statistic(times[:, index])
    values = values[np.isfinite(values)]
    if not len(values):
        return np.nan, np.nan
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
