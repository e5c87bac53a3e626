"""Permutation test: does a model know more of a glass than chance (E. S. Edgington, Randomization Tests, 1980)?

Compositions are shuffled among the glasses, and the model is fitted anew to each such data set, in the same folds. Its
held-out predictions then show what it makes of no information. That is not a skill of 0: a curve is left out of the
mean that stands for it, so that predictions and truth are anticorrelated, and fits to noise err more than this mean.
The model's own skill is one of all these, equally likely to have any rank among them where there is nothing to be
learned, so that p = (1 + number of at least as good)/(1 + number of shuffles) is uniform.

A shuffle moves whole glasses where they have the same pairs: curves of a glass come of the same configurations, and
their errors are not independent. Where the glass that takes another's place lacks a pair, the curve comes from the next
one on the permutation's cycle that has it; p is then not exact, but uniform within the error of the test, in which half
of the variance is common to the curves of a glass (tests/glasses/test_models.py, 40 sets of 13 glasses).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from .curves import Curves
from .errors import enough, median_skill, shares
from .fingerprint import Pair

LEAST_SHUFFLES = 19  # for p = 0.05
Array = NDArray[np.float64]


def shuffled(curves: Curves, seed: int) -> Curves:
    """The same curves, the glasses that they belong to permuted within each pair, together as far as pairs allow."""
    rng = np.random.default_rng(seed)
    names = np.unique(curves.with_sparse().glass)
    follower = dict(zip(names.tolist(), rng.permutation(names).tolist()))
    every = curves.with_sparse()
    glass = every.glass.copy()
    for pair in every.known_pairs:
        rows = every.of_pair(pair)
        having = set(every.glass[rows].tolist())
        for row in rows:
            other = follower[int(every.glass[row])]
            while other not in having:
                other = follower[other]
            glass[row] = other
    sparse = None if curves.sparse is None else replace(curves.sparse, glass=glass[len(curves):])
    return replace(curves, glass=glass[: len(curves)], sparse=sparse)


def pairs_to_learn(pairs: tuple[Pair, ...], baseline: Array, noise: Array) -> list[Pair]:
    """Pairs with signal, in which alone there is something to be known; where none is known to have any, all pairs
    with enough curves. baseline: squared errors of the pair mean (n,), NaN where there is none."""
    found = shares(pairs, baseline, baseline, noise)
    return [one.pair for one in found if one.signal] or enough(pairs, baseline)


def mean_skill(pairs: tuple[Pair, ...], chosen: list[Pair], mse: Array, baseline: Array) -> float:
    """Skill over the pair mean, mean over the curves of some pairs, each pair on the scale of its own mean's error."""
    found = [one for one in shares(pairs, mse, baseline, baseline) if one.pair in chosen and one.curves]
    number = sum(one.curves for one in found)
    skill = sum(one.curves * (1 - one.mse / max(one.baseline, 1e-300)) for one in found)
    return skill / number if number else np.nan


def permutation_test(curves: Curves, errors_of: Callable[[Curves], tuple[Array, Array]], draws: int,
                     step: Callable[[], None] = lambda: None) -> tuple[float, float]:
    """p, and the skill (`median_skill`) where compositions are shuffled, mean over the draws; NaN where there are too
    few draws (`LEAST_SHUFFLES`), or none.

    errors_of : for curves, the squared errors (n,) by a model that is fitted to them in folds, and those by the pair
    mean (n,), NaN where there is none. step : is called after each draw.
    """
    mse, baseline = errors_of(curves)
    chosen = pairs_to_learn(curves.pairs, baseline, curves.noise)
    real = mean_skill(curves.pairs, chosen, mse, baseline)
    as_good, medians = 0, []
    for seed in range(draws):
        mse, baseline = errors_of(shuffled(curves, seed))
        as_good += not mean_skill(curves.pairs, chosen, mse, baseline) < real
        medians.append(float(median_skill(curves.pairs, mse, baseline, np.ones((1, len(curves))))[0]))
        step()
    known = draws >= LEAST_SHUFFLES and np.isfinite(real)
    return (1 + as_good) / (1 + draws) if known else np.nan, float(np.mean(medians)) if medians else np.nan
