"""Models from a composition and a pair to g(r) that need no network: baselines, forests, a Gaussian process.

    model = GaussianProcess()
    model.fit(curves)
    g = model.predict([(parse("60SiO2-20B2O3-20Na2O"), ("Si", "O"))])       # (1, bins)

Nothing but the curves given to `fit` enters. A pair without training curves is predicted from its substitutes
(`fingerprint.substitutes`), where a model works within pairs.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .boron import K_MAX, MODIFIERS, ratios, yun_bray_dell
from .composition import Composition
from .curves import Curves
from .fingerprint import Pair, Query, matrix, mole_fractions, substitutes
from .forest import PAPER, Components, FittedForest, Forest

Array = NDArray[np.float64]
COMPONENTS = 8


class Model(Protocol):
    """What every model does."""

    name: str

    def fit(self, curves: Curves) -> None:
        """Learn from curves."""

    def predict(self, query: Query) -> Array:
        """g (n, bins)."""


class PairMean:
    """The mean of the training curves of the pair."""

    name = "pair mean"

    def fit(self, curves: Curves) -> None:
        self.means = {pair: curves.g[curves.of_pair(pair)].mean(0) for pair in curves.known_pairs}

    def predict(self, query: Query) -> Array:
        return np.array([self.of(pair) for _, pair in query])

    def of(self, pair: Pair) -> Array:
        """Mean curve of a pair, or of its substitutes (bins,)."""
        if pair in self.means:
            return self.means[pair]
        return np.mean([self.means[other] for other in substitutes(pair, list(self.means))], axis=0)


class NearestComposition:
    """The curve of the same pair in the glass with the nearest mole fractions; the mean of equally near ones."""

    name = "nearest composition"

    def fit(self, curves: Curves) -> None:
        self.curves = curves
        self.fractions = np.array([mole_fractions(glass) for glass, _ in curves.query])

    def predict(self, query: Query) -> Array:
        found, known = [], self.curves.known_pairs
        for glass, pair in query:
            pairs = [pair] if pair in known else substitutes(pair, known)
            rows = np.concatenate([self.curves.of_pair(one) for one in pairs])
            distance = np.linalg.norm(self.fractions[rows] - mole_fractions(glass), axis=1)
            found.append(self.curves.g[rows[distance < distance.min() + 1e-9]].mean(0))
        return np.array(found)


class DirectForest:
    """A forest from the fingerprint to all bins of the curve, as in the paper's figure 8a."""

    def __init__(self, fingerprint: str = "paper", forest: Forest = PAPER) -> None:
        self.fingerprint, self.forest = fingerprint, forest
        self.name = f"direct forest, {fingerprint}"

    def fit(self, curves: Curves) -> None:
        self.fitted = FittedForest(matrix(self.fingerprint, curves.query), curves.g, self.forest)

    def predict(self, query: Query) -> Array:
        return self.fitted.predict(matrix(self.fingerprint, query))


class ComponentForest:
    """A forest from the fingerprint with mole fractions to eight principal components of all curves."""

    name = "PCA-8 + forest"

    def __init__(self, forest: Forest = PAPER) -> None:
        self.forest = forest

    def fit(self, curves: Curves) -> None:
        self.components = Components(curves.g, COMPONENTS)
        self.fitted = FittedForest(matrix("fractions", curves.query), self.components.scores(curves.g), self.forest)

    def predict(self, query: Query) -> Array:
        return self.components.curves(self.fitted.predict(matrix("fractions", query)))


class GaussianProcess:
    """Within each pair, Gaussian processes over `glass_inputs` for the scores of at most eight principal components.

    The kernel of a score is a linear term, for the trend, plus a Gaussian of one length, plus white noise; its four
    parameters maximise the likelihood (C. E. Rasmussen and C. K. I. Williams, Gaussian Processes for Machine
    Learning, MIT Press 2006, chapters 2 and 5). Sparse curves are learned from, too: each curve has, beside the white
    noise, what its counts leave it more than the best curve of the pair. Predictions are cut off at 0.

    plain : over mole fractions, and from no sparse curve, to compare with.
    """

    def __init__(self, plain: bool = False) -> None:
        self.plain = plain
        self.name = "Gaussian process, plain" if plain else "Gaussian process"

    def fit(self, curves: Curves, parameters: dict[Pair, Array] | None = None) -> None:
        """parameters: logarithms of the kernels' of each pair (components, 4), from an earlier fit, and only of these
        pairs; else fitted."""
        every = replace(curves, sparse=None) if self.plain else curves.with_sparse()
        self.means = PairMean()
        self.means.fit(every)
        self.pairs: dict[Pair, _PairProcess] = {}
        for pair in every.known_pairs if parameters is None else parameters:
            rows = every.of_pair(pair)
            inputs = np.array([self._inputs(every.realised[glass]) for glass in every.glass[rows]])
            self.pairs[pair] = _PairProcess(
                inputs, every.g[rows], every.expected[rows], len(curves.of_pair(pair)), every.noise_of_a_count(pair),
                None if parameters is None else parameters[pair])

    def predict(self, query: Query) -> Array:
        return self.predict_with_deviation(query)[0]

    def predict_with_deviation(self, query: Query) -> tuple[Array, Array]:
        """g and its standard deviation, noise of the seeds included (n, bins)."""
        found = [self._one(glass, pair, np.zeros(0)) for glass, pair in query]
        return np.array([max_0(g) for g, _, _ in found]), np.array([deviation for _, deviation, _ in found])

    def deviation_of_sums(self, query: Query, weights: Array) -> Array:
        """Standard deviations of Σ weights g (n, 1), for weights (n, bins)."""
        return np.array([[self._one(glass, pair, row)[2]] for (glass, pair), row in zip(query, weights)])

    def _inputs(self, glass: Composition) -> Array:
        return mole_fractions(glass) if self.plain else glass_inputs(glass)

    def _one(self, glass: Composition, pair: Pair, weights: Array) -> tuple[Array, Array, float]:
        """Curve, its deviations, and that of the sum with these weights."""
        if pair in self.pairs:
            return self.pairs[pair].predict(self._inputs(glass)[None], weights)
        others = substitutes(pair, list(self.pairs))
        means = np.array([self.means.of(other) for other in others])
        spread = np.sqrt(np.mean([self.pairs[other].spread ** 2 for other in others], axis=0) + means.var(0))
        # bins of curves of unlike pairs differ together
        return means.mean(0), spread, float(np.abs(weights) @ spread[: len(weights)])


def glass_inputs(glass: Composition) -> Array:
    """What the network of a glass follows from (8,): mole fractions, half the share N4 of boron with four oxygens by
    the model of Yun, Bray and Dell, and the mole fraction of modifiers that boron leaves to break the network."""
    fractions, modifiers = mole_fractions(glass), sum(glass[oxide] for oxide in MODIFIERS) / 100
    if not glass["B2O3"]:
        return np.array([*fractions, 0.25, modifiers])  # the middle of N4
    r, k = ratios(glass)
    n4 = yun_bray_dell(r, min(k, K_MAX))
    return np.array([*fractions, n4 / 2, max(modifiers - n4 * glass["B2O3"] / 100, 0.0)])


class _PairProcess:
    """The processes of one pair. inputs (n, 8), curves (n, bins), the sparse ones last, expected pairs of atoms (n,);
    usual: the number of those that are not, 0 if all are; noise: `noise_of_a_count` (bins,), NaN where unknown."""

    def __init__(self, inputs: Array, curves: Array, expected: Array, usual: int, noise: Array,
                 parameters: Array | None) -> None:
        best = 1 / expected.max()
        weights = 1 / (1 / expected + best)
        weights /= weights.sum()
        further = 1 / expected - best  # than the noise of the best curve, which white noise stands for
        noise = np.nan_to_num(noise)
        # two curves or fewer show no dependence on composition
        self.components = Components(curves, max(min(COMPONENTS, len(curves) - 2), 0), weights)
        self.spread = curves.std(0)
        scores = self.components.scores(curves)
        rest = curves - self.components.curves(scores)
        self.scale = np.sqrt(weights @ scores**2)
        self.centre = inputs.mean(0)
        within = noise @ self.components.directions.T**2  # of a count, of each score
        beside = np.maximum(noise - within @ self.components.directions**2, 0)
        # what the components leave, of a curve with the counts of the usual ones
        unlike = weights @ (rest**2 - further[:, None] * beside) * len(curves)
        unlike = np.maximum(unlike / max(len(curves) - 1 - scores.shape[1], 1), best * beside)
        more = float(further[: usual or None].mean())
        self.rest = unlike + more * beside if len(curves) > 1 else np.full(curves.shape[1], np.nan)
        self.noise = more * within
        self.processes = [
            _fit_process(self._scaled(inputs), column / scale, further * one / scale**2,
                         None if parameters is None else parameters[k])
            for k, (column, scale, one) in enumerate(zip(scores.T, self.scale, within))
        ]

    def _scaled(self, inputs: Array) -> Array:
        return (inputs - self.centre) / 0.1  # in 10 mol %

    @property
    def parameters(self) -> Array:
        return np.array([process.kernel_.theta for process in self.processes]).reshape(-1, 4)

    def predict(self, inputs: Array, weights: Array) -> tuple[Array, Array, float]:
        """Mean and standard deviation of one curve, and that of its sum with weights (bins,), or none."""
        means, variances = np.zeros(len(self.processes)), np.zeros(len(self.processes))
        for k, process in enumerate(self.processes):
            mean, deviation = process.predict(self._scaled(inputs), return_std=True)
            means[k] = mean[0] * self.scale[k]
            variances[k] = (deviation[0] * self.scale[k]) ** 2 + self.noise[k]
        directions = self.components.directions
        of_sum = variances @ (directions @ weights) ** 2 + self.rest @ weights**2 if len(weights) else np.nan
        return (self.components.curves(means), np.sqrt(self.rest + variances @ directions**2), float(np.sqrt(of_sum)))


def _fit_process(inputs: Array, targets: Array, noise: Array, parameters: Array | None) -> Any:
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, DotProduct, WhiteKernel

    kernel = (ConstantKernel(0.1, (1e-5, 10.0)) * DotProduct(0.0, "fixed")
              + ConstantKernel(0.5, (1e-4, 30.0)) * RBF(2.0, (0.5, 30.0)) + WhiteKernel(0.3, (1e-4, 2.0)))
    if parameters is not None:
        kernel = kernel.clone_with_theta(parameters)
    process = GaussianProcessRegressor(kernel, alpha=1e-10 + noise,
                                       optimizer="fmin_l_bfgs_b" if parameters is None else None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a parameter at its bound is an answer
        process.fit(inputs, targets)
    return process


def with_deviation(model: Model, query: Query) -> tuple[Array, Array]:
    """g (n, bins) and its standard deviations, NaN of a model that knows none."""
    if isinstance(model, GaussianProcess):
        return model.predict_with_deviation(query)
    g = model.predict(query)
    return g, np.full_like(g, np.nan)


def deviation_of_sums(model: Model, query: Query, weights: Array) -> Array:
    """Standard deviations of Σ weights g (n, 1), for weights (n, bins), NaN of a model that knows none."""
    if isinstance(model, GaussianProcess):
        return model.deviation_of_sums(query, weights)
    return np.full((len(query), 1), np.nan)


def max_0(g: Array) -> Array:
    """g without negative values, which no pair correlation function has."""
    return np.maximum(g, 0.0)
