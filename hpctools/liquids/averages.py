"""Averages over a run with errors from blocks, and what is drawn from them.

Neighbouring values of a run are correlated. They are averaged in consecutive groups that are longer than
the correlation lasts; the spread of the groups' means gives the error of the whole mean (Flyvbjerg &
Petersen, J. Chem. Phys. 91 (1989) 461).
"""

from __future__ import annotations

import numpy as np

GROUPS = 16
"""Groups of a run: an error from them is itself known to 1/√30 = 18 %."""

FEWEST = 4
"""Groups below which no error is given: it would be known to no better than 40 %."""


def standard_error(series: np.ndarray, groups: int = GROUPS) -> np.ndarray:
    """Standard error of the mean of (n, …) values in time order, from so many consecutive groups.

    NaN where there are fewer than `FEWEST` groups. Groups differ by one value at most in length.
    """
    groups = min(groups, len(series))
    if groups < FEWEST:
        return np.full(series.shape[1:], np.nan)
    means = np.array([part.mean(axis=0) for part in np.array_split(series, groups)])
    return means.std(axis=0, ddof=1) / np.sqrt(groups)


def halves_chi_square(halves: np.ndarray, error: np.ndarray) -> float:
    """χ² a point between the means of two halves of a run, (2, n) from errors (n,) of the mean of the whole.

    A difference of halves has twice the error of the whole. Without a trend the mean is 1, for any number of groups;
    the largest is the number of groups less one. NaN without points.
    """
    return float(np.mean((halves[0] - halves[1]) ** 2 / (4 * error**2))) if len(error) else np.nan


def drift(series: np.ndarray) -> tuple[float, float]:
    """Change over the run of (n,) evenly spaced values by a straight line through the groups' means, and its error."""
    groups = min(GROUPS, len(series))
    if groups < FEWEST:
        return np.nan, np.nan
    means = np.array([part.mean() for part in np.array_split(series, groups)])
    x = (np.arange(groups) + 0.5) / groups - 0.5
    slope = np.sum(x * means) / np.sum(x**2)
    rest = means - means.mean() - slope * x
    return float(slope), float(np.sqrt(np.sum(rest**2) / (groups - 2) / np.sum(x**2)))


def lagrange(nodes: np.ndarray, x: float) -> tuple[slice, np.ndarray]:
    """The four of the ascending nodes around x, and their weights in the cubic through them."""
    if len(nodes) < 4:
        raise ValueError(f"{len(nodes)} points, expected at least 4 to interpolate")
    start = int(np.clip(np.searchsorted(nodes, x) - 2, 0, len(nodes) - 4))
    near = nodes[start:start + 4]
    weights = np.array([np.prod([(x - other) / (node - other) for other in near if other != node]) for node in near])
    return slice(start, start + 4), weights


def crossing(t: np.ndarray, values: np.ndarray, errors: np.ndarray, level: float) -> tuple[float, float]:
    """Where values(t) first fall below a level, and the error that follows from theirs.

    The cubic in ln t through the four points around the crossing is solved by bisection. (NaN, NaN) where
    the level is not reached; the error is NaN where those of the values are.
    """
    below = np.flatnonzero(values < level)
    if len(below) == 0 or below[0] == 0 or len(t) < 4:
        return np.nan, np.nan
    log_t, i = np.log(t), int(below[0])
    low, high = log_t[i - 1], log_t[i]

    def cubic(x: float) -> float:
        near, weights = lagrange(log_t, x)
        return float(weights @ values[near])

    for _ in range(60):
        middle = 0.5 * (low + high)
        if cubic(middle) >= level:
            low = middle
        else:
            high = middle
    fraction = (low - log_t[i - 1]) / (log_t[i] - log_t[i - 1])
    error = errors[i - 1] + fraction * (errors[i] - errors[i - 1])
    slope = (values[i] - values[i - 1]) / (log_t[i] - log_t[i - 1])
    return float(np.exp(low)), float(np.exp(low) * error / abs(slope))
