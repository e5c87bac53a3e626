"""Random forests from a fingerprint to a curve, to the scores of its principal components, or to a network's latents.

The hyper-parameters are those of K. Ayush et al. (arXiv:2308.11151, figure 7): 15 trees, 30 features a split, depth
20, at least 2 samples to split. Targets are scaled to unit variance, so that each counts the same in a split.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Forest:
    """Hyper-parameters of a forest."""

    trees: int = 15
    features: int = 30
    depth: int = 20
    least: int = 2  # samples to split a node
    seed: int = 0


PAPER = Forest()
# the values of the scans, around the paper's
SCANS: dict[str, tuple[int, ...]] = {
    "trees": (1, 2, 5, 10, 15, 20, 30, 50), "features": (2, 5, 10, 20, 30, 40, 58),
    "depth": (2, 4, 6, 8, 10, 15, 20, 30), "least": (2, 4, 6, 8, 12, 16, 24),
}  # fmt: skip


class FittedForest:
    """A forest with the scaling of its targets."""

    def __init__(self, inputs: Array, targets: Array, forest: Forest = PAPER) -> None:
        from sklearn.ensemble import RandomForestRegressor

        self.mean, spread = targets.mean(0), targets.std(0)
        self.spread = np.where(spread > 0, spread, 1.0)
        self.model: Any = RandomForestRegressor(
            forest.trees, max_features=min(forest.features, inputs.shape[1]), max_depth=forest.depth,
            min_samples_split=forest.least, random_state=forest.seed, n_jobs=1,
        )  # fmt: skip
        scaled = (targets - self.mean) / self.spread
        self.model.fit(inputs, scaled[:, 0] if scaled.shape[1] == 1 else scaled)

    def predict(self, inputs: Array) -> Array:
        """Targets (n, k) of inputs (n, 58)."""
        scaled = self.model.predict(inputs).reshape(len(inputs), -1)
        return np.asarray(scaled * self.spread + self.mean)


@dataclass(frozen=True)
class ScanPoint:
    """Mean squared error, targets in units of their standard deviation, at one value of a hyper-parameter."""

    value: int
    train: float
    test: float
    error: float  # standard error of the test's over folds


def scan(name: str, inputs: Array, targets: Array, folds: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]],
         base: Forest = PAPER) -> list[ScanPoint]:
    """The errors over the values `SCANS` of a hyper-parameter, the others as in `base`; folds: (train, test) rows."""
    spread = targets.std(0)
    scaled = targets / np.where(spread > 0, spread, 1.0)
    points = []
    for value in SCANS[name]:
        train, test = [], []
        for one, other in folds:
            fitted = FittedForest(inputs[one], scaled[one], replace(base, **{name: value}))
            train.append(np.mean((fitted.predict(inputs[one]) - scaled[one]) ** 2))
            test.append(np.mean((fitted.predict(inputs[other]) - scaled[other]) ** 2))
        error = np.std(test, ddof=1) / np.sqrt(len(test)) if len(test) > 1 else np.nan
        points.append(ScanPoint(value, float(np.mean(train)), float(np.mean(test)), float(error)))
    return points


class Components:
    """Principal components of curves (Pearson 1901), at most `number`; weights: of the curves (n,), else equal."""

    def __init__(self, curves: Array, number: int = 8, weights: Array | None = None) -> None:
        w = np.ones(len(curves)) if weights is None else weights
        self.mean = np.average(curves, axis=0, weights=w)
        _, self.lengths, directions = np.linalg.svd(np.sqrt(w)[:, None] * (curves - self.mean), full_matrices=False)
        rank = int((self.lengths > 1e-9 * max(self.lengths[0], 1e-300)).sum()) if len(self.lengths) else 0
        self.directions = directions[: min(number, rank)]

    def scores(self, curves: Array) -> Array:
        """(n, k)."""
        return np.asarray((curves - self.mean) @ self.directions.T)

    def curves(self, scores: Array) -> Array:
        """(n, bins)."""
        return np.asarray(scores @ self.directions + self.mean)
