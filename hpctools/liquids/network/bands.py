"""Bands that hold what they promise: widths are set on states that the model has not seen.

A prediction is the median of the model's draws, which falls with t as each of them does. Its raw width is made of
their standard deviation, of what a shift of ln t by 0.05 does to F, and of a floor: a network has one draw, and is
wrong above all in the relaxation time. The factor z is the quantile of |error|/width over states left out (split and
cross-conformal prediction: Vovk, Gammerman & Shafer, Algorithmic Learning in a Random World, 2005; Lei et al., J. Am.
Stat. Assoc. 113 (2018) 1094). Points of a curve are not independent; each state counts the same, and coverage is
reported by state.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from .samples import FloatArray, Sample, SampleError

LEVEL = 0.9
FLOOR = 0.005  # of F(0): the width never falls below that
SHIFT = 0.05  # of ln t


@dataclass(frozen=True, eq=False)
class Band:
    """F and its band, each (n, 2); initial (2,) is F(0)."""

    F: FloatArray
    low: FloatArray
    high: FloatArray
    initial: FloatArray


def raw_width(draws: FloatArray, times: FloatArray, initial: FloatArray) -> FloatArray:
    """(n, 2) of draws (draws, n, 2) at ascending times (n,), where `initial` (2,) is the predicted F(0)."""
    spread = draws.std(0) if len(draws) > 1 else np.zeros(draws.shape[1:])
    slope = np.gradient(np.median(draws, axis=0), np.log(times), axis=0) if len(times) > 1 else 0.0 * spread
    return np.asarray(np.sqrt(spread**2 + (SHIFT * slope) ** 2 + (FLOOR * initial) ** 2))


def band(draws: FloatArray, times: FloatArray, initial: FloatArray, z: float) -> Band:
    """The band of draws (draws, n, 2); arguments as of `raw_width`. F lies between 0 and F(0)."""
    middle, width = np.median(draws, axis=0), z * raw_width(draws, times, initial)
    top = initial * (1 + z * FLOOR)
    return Band(middle, np.clip(middle - width, -z * FLOOR * initial, top), np.clip(middle + width, 0, top), initial)


def scores(predict: Callable[[Sample], tuple[FloatArray, FloatArray]], samples: Sequence[Sample]) -> list[FloatArray]:
    """|error|/width at all points of each sample; predict: gives its draws (draws, n, 2) and F(0) (2,)."""
    found = []
    for sample in samples:
        draws, initial = predict(sample)
        found.append((np.abs(sample.F - np.median(draws, axis=0)) / raw_width(draws, sample.times, initial)).ravel())
    return found


def factor(found: Sequence[FloatArray], level: float = LEVEL) -> float:
    """z: the quantile of the scores in which each state has the same weight.

    With n states the level is raised to level (n + 1)/n, at most 1, as for exchangeable data. Raises SampleError
    without states.
    """
    if not found:
        raise SampleError("no states to calibrate the band with")
    values = np.concatenate(found)
    weights = np.concatenate([np.full(len(part), 1 / (len(found) * len(part))) for part in found])
    order = np.argsort(values)
    wanted = min(1.0, level * (len(found) + 1) / len(found))
    place = int(np.searchsorted(np.cumsum(weights[order]), wanted - 1e-12))
    return float(values[order[min(place, len(order) - 1)]])
