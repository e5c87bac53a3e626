"""Errors of predicted curves, and what a table of models says of them, with bootstrap intervals over glasses.

σ² is the variance of a simulated curve, from its seeds: the mean squared error of a perfect prediction. The skill of a
model is 1 - MSE/MSE(pair mean), its explained share 1 - (MSE - σ²)/(MSE(pair mean) - σ²), both within a pair, with
means over the pair's curves.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .curves import Curves
from .fingerprint import Pair
from .images import SIZE, encode
from .shells import coordination_number, first_peak

Array = NDArray[np.float64]
SIGNAL = 2.0  # a pair has signal where MSE(pair mean) > 2 σ²
DRAWS = 1000


@dataclass(frozen=True, eq=False)
class Errors:
    """Of n predicted curves.

    mse (n,): of g. peak (n,): position of the first peak, Å. height (n,): of the first peak, relative. coordination
    (n,): neighbours of the first element within the pair's cut-off. image (n,): MSE of 64 × 64 pixels.
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
    peaks = np.array([first_peak(curves.r, g) for g in predicted])
    true = np.array([first_peak(curves.r, g) for g in curves.g])
    numbers = np.array([
        coordination_number(curves.r, p - g, density[1], curves.cutoffs[pair])
        for p, g, density, pair in zip(predicted, curves.g, curves.densities, curves.pairs)
    ])  # fmt: skip
    shown = encode("raster", np.maximum(predicted, 0), top) if images is None else images
    image = ((shown - encode("raster", curves.g, top)) ** 2).mean((1, 2))
    return Errors(((predicted - curves.g) ** 2).mean(1), peaks[:, 0] - true[:, 0], peaks[:, 1] / true[:, 1] - 1,
                  numbers, image)


def blank_image_error(curves: Curves, top: Array) -> float:
    """Mean squared error of an image with nothing on it."""
    return float((encode("raster", curves.g, top) ** 2).sum() / (len(curves) * SIZE**2))


@dataclass(frozen=True, eq=False)
class PairShare:
    """Of a pair: mean squared errors of a model and of the pair mean, σ², and what follows."""

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
        return self.baseline > SIGNAL * self.noise


def shares(pairs: tuple[Pair, ...], mse: Array, baseline: Array, noise: Array) -> list[PairShare]:
    """The pairs' rows, from the errors of single curves (n,)."""
    found = []
    for pair in dict.fromkeys(pairs):
        rows = np.array([one == pair for one in pairs])
        found.append(PairShare(pair, int(rows.sum()), *(float(v[rows].mean()) for v in (mse, baseline, noise))))
    return found


def median_skill(pairs: tuple[Pair, ...], mse: Array, baseline: Array, weights: Array) -> Array:
    """Skill, median over the pairs with more than one curve, for each row of weights of the curves (draws, n)."""
    several = [pair for pair in dict.fromkeys(pairs) if pairs.count(pair) > 1]
    means = _pair_means(pairs, several, np.array([mse, baseline]), weights)
    return _median(1 - means[0] / means[1])


def median_explained(pairs: tuple[Pair, ...], mse: Array, baseline: Array, noise: Array, weights: Array) -> Array:
    """Explained share, median over the pairs with signal, for each row of weights (draws, n); NaN without any."""
    mse_of, base, floor = _pair_means(pairs, list(dict.fromkeys(pairs)), np.array([mse, baseline, noise]), weights)
    share = 1 - (mse_of - floor) / np.where(base > floor, base - floor, np.nan)
    return _median(np.where(base > SIGNAL * floor, share, np.nan))


def _pair_means(pairs: tuple[Pair, ...], chosen: list[Pair], values: Array, weights: Array) -> Array:
    """Weighted means over the curves of each pair (values, draws, pairs); NaN where no curve of a pair is drawn."""
    belongs = np.array([[one == pair for pair in chosen] for one in pairs], float).reshape(len(pairs), len(chosen))
    total = weights @ belongs
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.array([(weights * value) @ belongs / total for value in values])


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


def permutation_p(curves: Curves, predicted: Array, draws: int = DRAWS, seed: int = 0) -> float:
    """Share of random assignments of the predictions to glasses that err no more than the real one.

    The curves of a glass share its composition, and its errors are not independent: glasses change places with all
    their curves, among those that have the same pairs. Errors count over the pair's variance, so that no pair
    dominates; the real assignment is one of all (E. S. Edgington, Randomization Tests, 1980). NaN where no two glasses
    have the same pairs.
    """
    rng = np.random.default_rng(seed)
    spread = {pair: max(float(curves.g[curves.of_pair(pair)].var(0).mean()), 1e-12) for pair in curves.known_pairs}
    alike: dict[tuple[Pair, ...], list[NDArray[np.int64]]] = {}
    for glass in np.unique(curves.glass):
        rows = np.flatnonzero(curves.glass == glass)
        rows = rows[np.array(sorted(range(len(rows)), key=lambda k: curves.pairs[rows[k]]))]
        alike.setdefault(tuple(curves.pairs[row] for row in rows), []).append(rows)
    total, exceeded = [], 0
    for pairs, glasses in alike.items():
        if len(glasses) > 1:
            rows = np.array(glasses)  # (glasses, pairs)
            weight = np.array([1 / spread[pair] for pair in pairs])
            # of the prediction for one glass, taken for another: summed over their pairs
            total.append((((predicted[rows][:, None] - curves.g[rows][None]) ** 2).mean(3) * weight).sum(2))
    if not total:
        return np.nan
    real = sum(float(np.trace(table)) for table in total)
    for _ in range(draws):
        drawn = sum(float(table[rng.permutation(len(table)), np.arange(len(table))].sum()) for table in total)
        exceeded += drawn <= real * (1 + 1e-12)
    return (exceeded + 1) / (draws + 1)
