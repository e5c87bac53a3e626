"""Models of few numbers: the nearest state, ridge regression, principal components with Gaussian processes.

Each gives, for a state, curves of curves.py: x (120,) of both species and ln F(0) (2,), the latter as a difference from
what the S(k) that is shown has at its peak; as several draws whose spread is the uncertainty: that of the model itself
(Gaussian process), or residuals of states that it had not seen, with both signs (the others).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from . import curves
from .inputs import STRUCTURE, Scaler, initial, scaled
from .samples import FloatArray, Sample, State, states

TARGETS = curves.COLUMNS + curves.SPECIES
DRAWS = 48
EXPLAINED = 1e-6  # of the variance, left out by the principal components
# linear part, Matérn part, lengths, noise, where searches for the largest likelihood begin: it has several maxima
STARTS = ((0.5, 0.3, 2.0, 1e-3), (0.5, 1.0, 5.0, 1e-5), (1.0, 0.01, 3.0, 1e-2))
TOLERANCE = 1e-5  # of the search for the largest likelihood, relative
MOST_STRUCTURE, MOST_CURVE = 8, 12  # principal components of the inputs S(k) and of the curves
MOST_REDUCED = 3  # of S(k) where it is shown alone, in reduced units: further ones tell states of one potential apart
# better (errors of log₁₀ τ_α above T_mct 0.006 with 8 and 0.020 with 3) and mislead in another one (0.35 and 0.19 from
# WCA to LJ at 0.54 … 0.62 T_mct; 0.19 and 0.20 from LJ to WCA)
GLASS = "glass."  # before the names of arrays
FEWEST_GLASSES = 3  # states that a part of a model is made of


def targets(samples: Sequence[Sample], kind: str = "") -> FloatArray:
    """(n, 122) x of both species, ln F(0) without `inputs.initial`; kind: of inputs.KINDS, which decides on the unit of
    time."""
    known = initial([sample.state for sample in samples], kind)
    return np.hstack([curves.table(samples, kind), np.log([sample.initial for sample in samples]) - known])


class CurveModel:
    """Inputs to targets; `name` and `kind` as in models.py. Subclasses fit, and give draws of targets."""

    name = ""

    def __init__(self, kind: str = "full") -> None:
        self.kind = kind

    def fit(self, samples: Sequence[Sample], seed: int) -> None:
        """Learn from samples; the seeds of a state are averaged."""
        rows, wanted = scaled([s.state for s in samples], self.kind), targets(samples, self.kind)
        keys = [sample.state.key for sample in samples]
        same = np.array([[key == other for other in keys] for key in dict.fromkeys(keys)], float)
        same /= same.sum(1, keepdims=True)
        self.fit_rows(same @ rows, same @ wanted, seed)

    def fit_rows(self, rows: FloatArray, wanted: FloatArray, seed: int) -> None:
        """Learn targets (n, 122) from inputs (n, inputs)."""
        raise NotImplementedError

    def of_fewer(self, samples: Sequence[Sample], seed: int) -> CurveModel:
        """The same model fitted to some of the samples that this one was fitted to."""
        model = type(self)(self.kind)
        model.fit(samples, seed)
        return model

    def draws(self, rows: FloatArray) -> FloatArray:
        """(draws, n, 122) of inputs (n, inputs)."""
        raise NotImplementedError

    def predict(self, state: State, times: FloatArray) -> FloatArray:
        """F (draws, n, 2) of a state at times (n,), which may hold 0."""
        found = self.draws(scaled([state], self.kind))[:, 0]
        f = curves.evaluate(found[:, : curves.COLUMNS], np.asarray(times, float), state, self.kind)
        return np.asarray(f * np.exp(initial([state], self.kind) + found[:, None, curves.COLUMNS :]))

    def arrays(self) -> dict[str, FloatArray]:
        """All that was learned."""
        return {key: value for key, value in vars(self).items() if isinstance(value, np.ndarray)}

    def restore(self, arrays: dict[str, Any]) -> None:
        """What `arrays` gave."""
        for key, value in arrays.items():
            setattr(self, key, value)


def with_residuals(predicted: FloatArray, residuals: FloatArray) -> FloatArray:
    """Draws (DRAWS, n, 122): the prediction and residuals of other states with both signs."""
    rows = np.linspace(0, len(residuals) - 1, min(DRAWS // 2, len(residuals))).astype(int)
    both = np.concatenate([residuals[rows], -residuals[rows]])
    return np.asarray(predicted[None] + both[:, None])


class Nearest(CurveModel):
    """The curve, in reduced time, of the nearest state in the standardised inputs ln T, ln ρ and the potential."""

    name = "nearest"

    def fit_rows(self, rows: FloatArray, wanted: FloatArray, seed: int) -> None:
        scaler = Scaler.of(rows)
        self.mean, self.scale = scaler.mean, scaler.scale
        self.rows, self.wanted = scaler(rows), wanted
        distance = ((self.rows[:, None] - self.rows[None]) ** 2).sum(2)
        distance[distance < 1e-12] = np.inf  # itself
        self.residuals = wanted - wanted[distance.argmin(1)]

    def draws(self, rows: FloatArray) -> FloatArray:
        z = Scaler(self.mean, self.scale)(rows)
        near = ((z[:, None] - self.rows[None]) ** 2).sum(2).argmin(1)
        return with_residuals(self.wanted[near], self.residuals)


class Ridge(CurveModel):
    """Linear regression with an L2 penalty, one for all targets, chosen by the leave-one-out error in closed form.

    The residuals of leaving one out are r_i/(1 - H_ii) (Allen, Technometrics 16 (1974) 125).
    """

    name = "ridge"
    penalties = np.logspace(-3, 4, 29)

    def fit_rows(self, rows: FloatArray, wanted: FloatArray, seed: int) -> None:
        scaler = Scaler.of(rows)
        z = scaler(rows)
        self.mean, self.scale, self.centre = scaler.mean, scaler.scale, wanted.mean(0)
        u, size, v = np.linalg.svd(z, full_matrices=False)
        y = u.T @ (wanted - self.centre)
        spread = wanted.std(0) + 1e-3
        best = np.inf
        for penalty in self.penalties:
            shrink = size**2 / (size**2 + penalty)
            hat = (u**2) @ shrink + 1 / len(z)  # the mean is fitted too
            left_out = (wanted - self.centre - u @ (shrink[:, None] * y)) / np.maximum(1 - hat, 1e-6)[:, None]
            error = float(np.mean((left_out / spread) ** 2))
            if error < best:
                best, self.residuals, self.penalty = error, left_out, np.array(penalty)
                self.weights = (v.T * (size / (size**2 + penalty))) @ y

    def draws(self, rows: FloatArray) -> FloatArray:
        return with_residuals(self.centre + Scaler(self.mean, self.scale)(rows) @ self.weights, self.residuals)


class GaussianProcess(CurveModel):
    """Principal components of S(k) and the other inputs to principal components of the curves.

    Each component of the curves is a Gaussian process with a linear part, a Matérn part (ν = 5/2, a length an input)
    and noise, their sizes by the likelihood from several `STARTS` (Rasmussen & Williams, Gaussian Processes for Machine
    Learning, 2006, §§ 4.2 and 5.4). What the components leave out of the curves is drawn from the training set's
    residuals.

    Glasses, whose dynamics depends on how they were made, have processes of their own: learned together, liquids held
    out at 0.5 … 0.6 T_mct have three times the 1 - R² (parts of the states of 146 records). The `border` between both
    is the T/T_mct half-way from the hottest glass to the coldest liquid. Without T there is none.
    """

    name = "gp"
    axes: FloatArray
    theta: FloatArray
    _like: GaussianProcess | None = None  # a fit to more samples, whose components and likelihoods are nearly these
    _glass: GaussianProcess | None = None

    def fit(self, samples: Sequence[Sample], seed: int) -> None:
        """Learn from samples, from glasses apart where there are enough; the seeds of a state are averaged."""
        glasses = [s for s in samples if s.glass and np.isfinite(s.state.relative_temperature)]
        liquids = [s for s in samples if not s.glass]
        self.border, self._glass = np.zeros(()), None
        if self.kind == "structure" or len(states(glasses)) < FEWEST_GLASSES or not liquids:
            return super().fit(samples, seed)
        super().fit(liquids, seed)
        self._glass = GaussianProcess(self.kind)
        self._glass._like = self._like._glass if self._like else None
        self._glass.fit(glasses, seed)
        hottest = max(s.state.relative_temperature for s in glasses)
        coldest = np.nanmin([s.state.relative_temperature for s in liquids])
        self.border = np.array(np.sqrt(hottest * coldest))

    def predict(self, state: State, times: FloatArray) -> FloatArray:
        """F (draws, n, 2) of a state at times (n,), which may hold 0; of a glass where it is colder than `border`."""
        if self._glass is not None and state.relative_temperature < self.border:
            return self._glass.predict(state, times)
        return super().predict(state, times)

    def fit_rows(self, rows: FloatArray, wanted: FloatArray, seed: int) -> None:
        from sklearn.exceptions import ConvergenceWarning

        like, scaler = self._like, Scaler.of(rows)
        self.mean, self.scale = scaler.mean, scaler.scale
        z = scaler(rows)
        _, size, axes = np.linalg.svd(z[:, :STRUCTURE], full_matrices=False)
        most = MOST_REDUCED if self.kind == "reduced" else MOST_STRUCTURE
        self.axes = axes[: _components(size, most, len(like.axes) if like else None)]
        inner = Scaler.of(self._inner(z))
        self.inner_mean, self.inner_scale = inner.mean, inner.scale
        self.inputs = self._used(inner(self._inner(z)))
        self.centre = wanted.mean(0)
        _, size, axes = np.linalg.svd(wanted[:, : curves.COLUMNS] - self.centre[: curves.COLUMNS], full_matrices=False)
        curve_axes = axes[: _components(size, MOST_CURVE, len(like.theta) - curves.SPECIES if like else None)]
        self.curve_axes = np.zeros((len(curve_axes) + curves.SPECIES, TARGETS))
        self.curve_axes[: len(curve_axes), : curves.COLUMNS] = curve_axes
        self.curve_axes[len(curve_axes) :, curves.COLUMNS :] = np.eye(curves.SPECIES)
        scores = (wanted - self.centre) @ self.curve_axes.T
        self.spread = np.maximum(scores.std(0), 1e-9)
        self.scores = scores / self.spread
        self.rest = wanted - self.centre - scores @ self.curve_axes
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a length at its bound: the input does not matter
            self._processes = [max((_process(start, seed).fit(self.inputs, y) for start in starts),
                                   key=lambda one: one.log_marginal_likelihood_value_)
                               for starts, y in zip(self._starts(), self.scores.T)]
        self.theta = np.array([one.kernel_.theta for one in self._processes])

    def of_fewer(self, samples: Sequence[Sample], seed: int) -> GaussianProcess:
        """The search begins where that of all ended: one instead of several."""
        model = GaussianProcess(self.kind)
        model._like = self
        model.fit(samples, seed)
        return model

    def _starts(self) -> list[list[FloatArray]]:
        """Where searches begin, for each component."""
        components, lengths = len(self.curve_axes), self.inputs.shape[1]
        if self._like is not None and self._like.theta.shape == (components, lengths + 3):
            return [[start] for start in self._like.theta]
        return components * [[np.log([linear, curved, *[length] * lengths, noise])
                              for linear, curved, length, noise in STARTS]]

    def _condition(self) -> None:
        self._processes = [_process(theta, None).fit(self.inputs, y) for theta, y in zip(self.theta, self.scores.T)]

    def _inner(self, z: FloatArray) -> FloatArray:
        return np.hstack([z[:, :STRUCTURE] @ self.axes.T, z[:, STRUCTURE:]])

    def _used(self, inner: FloatArray) -> FloatArray:
        used = inner[:, np.isfinite(self.inner_scale)]
        return used if used.shape[1] else np.zeros((len(inner), 1))  # alike in all inputs: their mean

    def arrays(self) -> dict[str, FloatArray]:
        """All that was learned, of glasses under names of their own."""
        of_glass = self._glass.arrays() if self._glass is not None else {}
        return {**super().arrays(), **{GLASS + key: value for key, value in of_glass.items()}}

    def restore(self, arrays: dict[str, Any]) -> None:
        super().restore({key: value for key, value in arrays.items() if not key.startswith(GLASS)})
        self._condition()
        if of_glass := {key[len(GLASS) :]: value for key, value in arrays.items() if key.startswith(GLASS)}:
            self._glass = GaussianProcess(self.kind)
            self._glass.restore(of_glass)

    def draws(self, rows: FloatArray) -> FloatArray:
        z = Scaler(self.mean, self.scale)(rows)
        inner = self._used(Scaler(self.inner_mean, self.inner_scale)(self._inner(z)))
        random = np.random.default_rng(7)  # the same draws for every state: only the state moves the result
        half = random.standard_normal((DRAWS // 2, 1, len(self.theta)))
        normal = np.concatenate([half, -half])
        found = [process.predict(inner, return_std=True) for process in self._processes]
        mean, sigma = (np.stack([one[k] for one in found], axis=1) for k in (0, 1))  # sigma includes the noise part
        scores = (mean + normal * sigma) * self.spread
        half = self.rest[random.integers(len(self.rest), size=DRAWS // 2)][:, None]
        return np.asarray(self.centre + scores @ self.curve_axes + np.concatenate([half, -half]))


def _components(size: FloatArray, most: int, like: int | None = None) -> int:
    """How many principal components leave less than EXPLAINED of the variance; or as many as another fit has (`like`),
    without those that do not vary here."""
    if not size.any():
        return 0
    if like is not None:
        return min(like, int(np.sum(size > 1e-6 * size[0])))
    left = 1 - np.cumsum(size**2) / np.sum(size**2)
    return int(min(most, np.flatnonzero(left < EXPLAINED)[0] + 1))


def _process(theta: FloatArray, seed: int | None) -> Any:
    """A Gaussian process with these logarithms of hyperparameters (linear, Matérn, lengths, noise), or with a search
    that begins there, where a seed is given."""
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, DotProduct, Matern, WhiteKernel

    linear, curved, *lengths, noise = np.exp(theta)
    kernel = (
        ConstantKernel(linear, (1e-3, 1e3)) * DotProduct(0.1, "fixed")
        + ConstantKernel(curved, (1e-4, 1e2)) * Matern(lengths, (0.3, 1e3), nu=2.5)
        + WhiteKernel(noise, (1e-7, 1.0))
    )
    return GaussianProcessRegressor(kernel, optimizer=None if seed is None else _search, alpha=1e-9, random_state=seed)


def _search(likelihood: Any, start: FloatArray, bounds: FloatArray) -> tuple[FloatArray, float]:
    """Where the likelihood is largest, to what matters: scikit-learn's own search goes on for twice as long."""
    from scipy.optimize import minimize

    found = minimize(likelihood, start, method="L-BFGS-B", jac=True, bounds=bounds, options={"ftol": TOLERANCE})
    return found.x, found.fun
