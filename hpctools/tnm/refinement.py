"""Refinement: Levenberg-Marquardt on the simulator, all scans of a sample together.

Unknowns: T100 (K), ln Δh*, x, β, and, switched on by name, what an instrument adds (curves.py): `gain`, `offset`,
`tilt` and `gain-tilt` of each scan, `shift` (K) and `lag` (s) of all. T100, where τ = 100 s, and Δh* are nearly
uncorrelated, ln A and Δh* are not (-0.9998); ln A = ln 100 - Δh*/(R T100).

The noise of a DSC is correlated: residuals are whitened as a first-order autoregressive process of correlation length
ℓ, w_i = (r_i - ρ r_(i-1))/√(1 - ρ²), ρ = exp(-ΔT/ℓ), which is generalised least squares for exponential correlation.
σ and ℓ come from the residuals of a first fit unless they are given. Instrument parameters carry Gaussian priors
(PRIORS), since a shift of the temperature scale is almost a change of ln A.
"""

from __future__ import annotations

import itertools
import math
import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from .cpu import thread_count
from .curves import Curves, tables
from .model import GAS_CONSTANT, LN_TAU_REFERENCE, reference_temperature, transition_width
from .scans import Scan, ScanError, check_levels, check_rates
from .start import Start, estimate

Array = NDArray[np.float64]

# what an instrument adds: standard deviation of its prior; those of each scan, then those of all
PRIORS = {"gain": 0.03, "offset": 0.02, "tilt": 0.02, "gain-tilt": 0.02, "shift": 0.3, "lag": 4.0}
EACH_SCAN = ("gain", "offset", "tilt", "gain-tilt")
# what lines through glass and liquid windows may have got wrong: nearly free
LINES = {"gain": 0.1, "offset": 0.05, "tilt": 0.05, "gain-tilt": 0.1}
LAG_CENTRE, LAG_LIMITS, SHIFT_LIMITS = 4.0, (0.0, 20.0), (-5.0, 5.0)
# limits of the refinement, wider than the box that networks are trained in
LOWEST_X, LOWEST_BETA = 0.05, 0.15
TRAINED = ((2e5, 12e5), (0.2, 1.0), (0.2, 1.0))  # Δh* in J/mol, x, β
LEAST_NOISE = 3e-4  # of CpN: the simulator's own error
FIRST_NOISE = 0.01  # until it is known
STEPS = (0.02, 0.004, 0.005, 0.004)  # of the Jacobian: T100 in w₀, ln Δh*, x, β
CONVERGED = 0.1  # step of Gauss-Newton, in standard errors, after which it is taken as the last one
MOST_PASSES = 40
FINER = 2.5  # resolution of a second attempt
UNSETTLED = 0.05  # of w₀: lag of Tf at the start of a program
POOR = 3.0  # χ²/(degrees of freedom) beyond which the model does not describe the data


# names of instrument parameters to fit, or standard deviations of their priors by name
Nuisance = Sequence[str] | Mapping[str, float]


class Noise(NamedTuple):
    """Standard deviation of CpN and its correlation length, K (0: white)."""

    sigma: float
    length: float


@dataclass(frozen=True)
class Result:
    """A refined set of parameters.

    parameters (4,): ln A, Δh* in J/mol, x, β; covariance (4, 4), of the same; noise: as used for it; chi2: reduced χ²
    of the whitened residuals at the noise that was given or seen in the scans themselves (NaN where neither is);
    rms of the residuals; converged; flags: what to mind, in words; instrument: value and error of each instrument
    parameter by name, (scans,) or (); curves: fitted CpN of each scan; iterations; evaluations: simulated sets.
    """

    parameters: Array
    covariance: Array
    noise: Noise
    chi2: float
    rms: float
    converged: bool
    flags: tuple[str, ...]
    scans: tuple[Scan, ...]
    curves: tuple[Array, ...]
    start: Start
    instrument: dict[str, tuple[Array, Array]] = field(default_factory=dict)
    iterations: int = 0
    evaluations: int = 0
    seconds: float = 0.0

    @property
    def errors(self) -> Array:
        """Standard errors (4,)."""
        return np.sqrt(np.diag(self.covariance))

    @property
    def correlation(self) -> Array:
        """Correlation matrix (4, 4); zero for a parameter that was held."""
        errors = self.errors
        scale = np.where(errors > 0, errors, np.inf)
        return self.covariance / np.outer(scale, scale)

    @property
    def t100(self) -> float:
        """Temperature at which τ = 100 s, K."""
        return float(reference_temperature(self.parameters[0], self.parameters[1]))


def to_internal(parameters: Array) -> Array:
    """(…, 4) ln A, Δh*, x, β to T100, ln Δh*, x, β."""
    p = np.asarray(parameters, float)
    return np.stack([reference_temperature(p[..., 0], p[..., 1]), np.log(p[..., 1]), p[..., 2], p[..., 3]], -1)


def from_internal(values: Array) -> Array:
    """The inverse of to_internal."""
    dh = np.exp(values[..., 1])
    ln_a = LN_TAU_REFERENCE - dh / (GAS_CONSTANT * values[..., 0])
    return np.stack([ln_a, dh, values[..., 2], values[..., 3]], -1)


def outer_jacobian(values: Array) -> Array:
    """∂(ln A, Δh*, x, β)/∂(T100, ln Δh*, x, β), (4, 4)."""
    dh = np.exp(values[1])
    j = np.eye(4)
    j[0, 0] = dh / (GAS_CONSTANT * values[0] ** 2)
    j[0, 1] = -dh / (GAS_CONSTANT * values[0])
    j[1, 1] = dh
    return j


@njit(cache=True, nogil=True)
def whiten(rows, temperature, offset, length):
    """Rows (n, points) in place: what is new at each point of noise with exponential correlation."""
    for s in range(offset.size - 1):
        for i in range(offset[s + 1] - 1, offset[s], -1):
            rho = np.exp(-(temperature[i] - temperature[i - 1]) / length) if length > 0.0 else 0.0
            scale = 1.0 / np.sqrt(1.0 - rho * rho)
            for k in range(rows.shape[0]):
                rows[k, i] = (rows[k, i] - rho * rows[k, i - 1]) * scale


class Problem:
    """Residuals and Jacobian of a set of scans, with the instrument parameters that are switched on."""

    def __init__(self, scans: Sequence[Scan], nuisance: Nuisance = (), dh: float | None = None) -> None:
        for name in nuisance:
            if name not in PRIORS:
                raise ScanError("nuisance", f"{name!r} is unknown; expected {', '.join(PRIORS)}")
        self.curves = Curves(scans)
        self.data = np.concatenate([s.cpn for s in scans])
        self.dh = dh
        n = len(scans)
        self.columns: list[tuple[str, int]] = [
            *((name, k) for name in EACH_SCAN if name in nuisance for k in range(n)),
            *((name, -1) for name in ("shift", "lag") if name in nuisance),
        ]
        self.size = 4 + len(self.columns)
        self.slopes = "lag" in nuisance or "shift" in nuisance
        self.evaluations = 0
        t, offset = self.curves.temperature, self.curves.offset
        # -1 … 1 along each scan
        self._span = np.concatenate(
            [2 * (t[a:b] - t[a]) / (t[b - 1] - t[a]) - 1 for a, b in itertools.pairwise(offset)]
        )
        low, high = np.full(self.size, -np.inf), np.full(self.size, np.inf)
        low[0], low[2:4], high[2:4] = 10.0, (LOWEST_X, LOWEST_BETA), 1.0
        low[1], high[1] = np.log(1e4), np.log(1e7)
        self.centre, self.prior = np.zeros(self.size), np.full(self.size, np.inf)
        for i, (name, _) in enumerate(self.columns, 4):
            self.prior[i] = nuisance[name] if isinstance(nuisance, Mapping) else PRIORS[name]
            if name == "lag":
                self.centre[i], (low[i], high[i]) = LAG_CENTRE, LAG_LIMITS
            if name == "shift":
                low[i], high[i] = SHIFT_LIMITS
        self.low, self.high = low, high

    def initial(self, parameters: Array) -> Array:
        """Internal values (size,) at a parameter set, instrument parameters at their priors' centres."""
        values = self.centre.copy()
        values[:4] = to_internal(parameters)
        if self.dh is not None:
            values[1] = np.log(self.dh)
        return np.clip(values, self.low, self.high)

    def _instrument(self, values: Array) -> tuple[Array, Array, float, float]:
        """Gain and offset at each point, shift, lag."""
        found = {name: np.zeros(len(self.curves)) for name in EACH_SCAN}
        common = {"shift": 0.0, "lag": 0.0}
        for (name, k), value in zip(self.columns, values[4:], strict=True):
            if k < 0:
                common[name] = float(value)
            else:
                found[name][k] = value
        counts = np.diff(self.curves.offset)
        gain, offset, tilt, gain_tilt = (np.repeat(found[name], counts) for name in EACH_SCAN)
        return 1 + gain + gain_tilt * self._span, offset + tilt * self._span, common["shift"], common["lag"]

    def model(self, values: Array, resolution: float = 1.0) -> Array:
        """What the instrument shows, (points,)."""
        gain, offset, shift, lag = self._instrument(values)
        curve, _, _ = self.curves.evaluate(from_internal(values[None, :4]), lag, shift, resolution)
        self.evaluations += 1
        return np.asarray(curve[0] * gain + offset)

    def linearise(self, values: Array, resolution: float = 1.0, central: bool = False) -> tuple[Array, Array]:
        """Model (points,) and its derivatives (size, points).

        Differences to one side are biased by their step, which shifts the minimum in its weak directions; central ones
        are not, and take 9 simulated sets instead of 5.
        """
        gain, offset, shift, lag = self._instrument(values)
        dh = np.exp(values[1])
        steps = np.array(STEPS)
        steps[0] *= GAS_CONSTANT * values[0] ** 2 / dh
        steps[2:] *= np.where(values[2:4] + steps[2:] > 1.0, -1.0, 1.0)
        moved = [0, 1, 2, 3] if self.dh is None else [0, 2, 3]
        shifts = np.diag(steps)[moved]
        back = np.zeros(4)
        if central:
            # x and β stay at 1 or below
            back = np.where(np.r_[0.0, 0.0, values[2:4] - steps[2:]] > 1.0, 0.0, 1.0)
            first, last = shifts[:-1], shifts[-1:]
            shifts = np.vstack([first, -first * back[moved[:-1], None], last, -last * back[3]])
        points = values[:4] + np.vstack([np.zeros(4), shifts])
        parameters = from_internal(points)
        betas, which = np.unique(parameters[:, 3], return_inverse=True)
        stack = tables(betas, resolution), which.astype(np.int64)
        curve, slope, by_lag = self.curves.evaluate(parameters, lag, shift, resolution, stack, self.slopes)
        self.evaluations += len(points)
        jacobian = np.zeros((self.size, self.data.size))
        n = len(moved)
        for k, j in enumerate(moved):
            forward, backward = (len(points) - 1 - central, len(points) - 1) if k == n - 1 else (1 + k, n + k)
            ahead, behind = curve[forward], curve[backward if central else 0]
            jacobian[j] = gain * (ahead - behind) / (steps[j] * (1 + back[j]))
        for i, (name, k) in enumerate(self.columns, 4):
            if name == "shift":
                jacobian[i] = -gain * slope
            elif name == "lag":
                jacobian[i] = gain * by_lag
            else:
                part = self.curves.part(k)
                base = curve[0, part] if name.startswith("gain") else np.ones(part.stop - part.start)
                jacobian[i, part] = base * self._span[part] if name.endswith("tilt") else base
        return curve[0] * gain + offset, jacobian

    def whitened(self, rows: Array, noise: Noise) -> Array:
        """Rows (n, points) of residuals or derivatives as independent numbers of unit variance."""
        out = np.ascontiguousarray(rows) / noise.sigma
        whiten(out, self.curves.temperature, self.curves.offset, noise.length)
        return out

    def cost(self, values: Array, model: Array, noise: Noise) -> float:
        """Sum of squares, priors included; infinite where the model failed."""
        if not np.isfinite(model).all():
            return np.inf
        rest = self.whitened((self.data - model)[None], noise)[0]
        return float(rest @ rest + np.sum(((values - self.centre) / self.prior) ** 2))


class _State(NamedTuple):
    values: Array
    model: Array
    hessian: Array  # of half the sum of squares
    converged: bool
    passes: int


def _minimise(
    problem: Problem, values: Array, noise: Noise, most: int, resolution: float = 1.0, central: bool = False
) -> _State:
    """Levenberg-Marquardt with limits: what sits at one and is pushed outwards is held there."""
    damping = 1e-3
    model, jacobian = problem.linearise(values, resolution, central)
    cost = problem.cost(values, model, noise)
    converged = False
    hessian = np.eye(problem.size)
    passes = 0
    while passes < most:
        passes += 1
        rows = problem.whitened(np.vstack([jacobian, (problem.data - model)[None]]), noise)
        weight = 1 / problem.prior**2
        hessian = rows[:-1] @ rows[:-1].T + np.diag(weight)
        gradient = rows[:-1] @ rows[-1] - weight * (values - problem.centre)
        if not np.isfinite(hessian).all():
            break
        fixed = ((values <= problem.low) & (gradient < 0)) | ((values >= problem.high) & (gradient > 0))
        if problem.dh is not None:
            fixed[1] = True
        free = np.flatnonzero(~fixed)
        h, g = hessian[np.ix_(free, free)], gradient[free]
        scale = np.sqrt(np.maximum(np.diag(h), 1e-300))
        # what Gauss-Newton would still gain, against the size of the residuals
        newton = np.linalg.lstsq(h / np.outer(scale, scale), g / scale, rcond=1e-13)[0]
        size = max(cost / problem.data.size, (LEAST_NOISE / noise.sigma) ** 2)
        if np.sqrt(max(0.0, float(newton @ (g / scale))) / size) < CONVERGED:
            converged = True
            values = values.copy()
            values[free] += newton / scale
            values = np.clip(values, problem.low, problem.high)
            model = problem.model(values, resolution)
            break
        accepted = False
        for _ in range(12):
            step = np.linalg.solve(h / np.outer(scale, scale) + damping * np.eye(len(free)), g / scale) / scale
            trial = values.copy()
            trial[free] += _limited(step, values, free)
            trial = np.clip(trial, problem.low, problem.high)
            new_model, new_jacobian = problem.linearise(trial, resolution, central)
            new_cost = problem.cost(trial, new_model, noise)
            if new_cost < cost:
                accepted = True
                break
            damping *= 6.0
        if not accepted:
            converged = bool(np.sqrt(max(0.0, float(newton @ (g / scale))) / size) < 5 * CONVERGED)
            break
        gained = cost - new_cost
        values, model, jacobian, cost = trial, new_model, new_jacobian, new_cost
        if gained < CONVERGED**2 * size:
            converged = damping < 1.0
            break
        damping = max(1e-9, damping / 6.0)
    return _State(values, model, hessian, converged, passes)


def _limited(step: Array, values: Array, free: NDArray[np.int64]) -> Array:
    """The step, shortened to what the linear model can be trusted for."""
    dh = np.exp(values[1])
    width = GAS_CONSTANT * values[0] ** 2 / dh
    most = np.full(values.size, np.inf)
    most[:4] = 3.0 * width, 0.25, 0.15, 0.15
    return step * min(1.0, float(np.min(most[free] / np.maximum(np.abs(step), 1e-300))))


def noise_of(residuals: Array, curves: Curves, unknowns: float = 0.0) -> Noise:
    """Size and correlation length of residuals (points,), whose autocorrelation over neighbours is exp(-ΔT/ℓ)."""
    products, squares, gaps = [], [], []
    for k in range(len(curves)):
        r = residuals[curves.part(k)]
        products.append(r[1:] * r[:-1])
        squares.append(0.5 * (r[1:] ** 2 + r[:-1] ** 2))
        gaps.append(np.diff(curves.temperature[curves.part(k)]))
    gap = float(np.median(np.concatenate(gaps)))
    n = residuals.size
    variance = float(residuals @ residuals) / max(1.0, n - unknowns)
    rho = float(np.sum(np.concatenate(products)) / max(np.sum(np.concatenate(squares)), 1e-300))
    rho = min(max(rho + (1 + 3 * rho) / n * len(curves), 0.0), 0.98)  # bias of short series
    length = -gap / np.log(rho) if rho > 0.1 else 0.0
    return Noise(max(float(np.sqrt(variance)), LEAST_NOISE), length)


def seen_noise(scans: Sequence[Scan]) -> float:
    """Noise (of CpN) that the scans state, or NaN: a measure that does not depend on the model."""
    stated = [one.noise for one in scans if one.noise is not None]
    return float(np.sqrt(np.mean(np.square(stated)))) if len(stated) == len(scans) and stated else float("nan")


def refine(
    scans: Sequence[Scan],
    start: Start,
    nuisance: Nuisance = (),
    noise: Noise | float | None = None,
    dh: float | None = None,
    resolution: float = 1.0,
) -> Result:
    """Refine a start (see fit)."""
    began = time.perf_counter()
    problem = Problem(scans, nuisance, dh)
    given = noise if isinstance(noise, Noise) else None if noise is None else Noise(float(noise), 0.0)
    used = given or Noise(FIRST_NOISE, 0.0)
    best: _State | None = None
    passes = 0
    for candidate in start.candidates:
        state = _minimise(problem, problem.initial(candidate), used, MOST_PASSES, resolution)
        passes += state.passes
        if best is None or problem.cost(state.values, state.model, used) < problem.cost(best.values, best.model, used):
            best = state
        rms = float(np.sqrt(np.mean((problem.data - best.model) ** 2)))
        if best.converged and rms < max(2.5 * _roughness(problem), 3 * LEAST_NOISE):
            break
    assert best is not None
    if given is None:
        # the noise as the residuals show it, then once more with the right weights
        used = noise_of(problem.data - best.model, problem.curves, problem.size)
        state = _minimise(problem, best.values, used, MOST_PASSES, resolution, central=True)
        passes += state.passes
        best = state if np.isfinite(state.model).all() else best
        if not best.converged:
            # steps of the simulator that come and go can pin a fit; finer ones come and go less
            best = _minimise(problem, best.values, used, MOST_PASSES, FINER * resolution, central=True)
            passes += best.passes
        used = noise_of(problem.data - best.model, problem.curves, problem.size)
    return _result(problem, best, used, start, passes, time.perf_counter() - began)


def _roughness(problem: Problem) -> float:
    """Noise of the data from third differences, which see little of the curve."""
    weights = np.array([1.0, -3.0, 3.0, -1.0]) / np.sqrt(20.0)
    parts = [np.convolve(problem.data[problem.curves.part(k)], weights, "valid") for k in range(len(problem.curves))]
    return float(1.4826 * np.median(np.abs(np.concatenate(parts))))


def _result(problem: Problem, state: _State, noise: Noise, start: Start, passes: int, seconds: float) -> Result:
    values = state.values
    # a parameter at its limit keeps the error bar that it would have there were it free
    edge = (values <= problem.low) | (values >= problem.high)
    free = np.flatnonzero(np.arange(problem.size) != (1 if problem.dh is not None else -1))
    inner = np.zeros((problem.size, problem.size))
    inner[np.ix_(free, free)] = np.linalg.pinv(state.hessian[np.ix_(free, free)], rcond=1e-15, hermitian=True)
    outer = outer_jacobian(values)
    covariance = outer @ inner[:4, :4] @ outer.T
    parameters = from_internal(values[:4])
    residuals = problem.data - state.model
    rms = float(np.sqrt(np.mean(residuals**2)))
    seen = seen_noise(problem.curves.scans)
    chi2 = float("nan")
    if seen == seen:
        chi2 = float(residuals @ residuals) / max(seen, LEAST_NOISE) ** 2 / max(1, residuals.size - problem.size)
    instrument: dict[str, tuple[list[float], list[float]]] = {}
    for i, (name, _) in enumerate(problem.columns, 4):
        entry = instrument.setdefault(name, ([], []))
        entry[0].append(float(values[i]))
        entry[1].append(float(np.sqrt(inner[i, i])))
    flags = []
    if not state.converged:
        flags.append("not converged")
    if chi2 > POOR:
        flags.append(f"poor fit: reduced χ² {chi2:.1f}")
    flags += _unsettled(parameters, problem.curves.scans)
    for j, name in ((2, "x"), (3, "β")):
        if edge[j]:
            flags.append(f"{name} at its limit {values[j]:g}")
    if _outside(parameters):
        flags.append("outside the trained box")
    return Result(
        parameters, covariance, noise, chi2, rms, state.converged, tuple(flags), problem.curves.scans,
        tuple(state.model[problem.curves.part(k)] for k in range(len(problem.curves))), start,
        {name: (np.array(v), np.array(e)) for name, (v, e) in instrument.items()}, passes, problem.evaluations, seconds,
    )  # fmt: skip


def _unsettled(parameters: Array, scans: Sequence[Scan]) -> list[str]:
    """Flags for scans whose program does not begin in equilibrium: the lag q τ Γ(1/β)/β there is not small in w₀."""
    ln_a, dh, _, beta = parameters
    width = float(transition_width(ln_a, dh))
    out = []
    for one in scans:
        tau = math.exp(min(ln_a + dh / (GAS_CONSTANT * one.start), 300.0))
        lag = one.cooling_rate / 60 * tau * math.gamma(1 / beta) / beta
        if lag > UNSETTLED * width:
            out.append(
                f"{one.name}: its program begins at {one.start - 273.15:.1f} °C, where the sample is not yet in "
                "equilibrium"
            )
    return out


def _outside(parameters: Array) -> bool:
    return any(
        not low <= value <= high for value, (low, high) in zip(parameters[1:], TRAINED, strict=True)
    )


def fit(
    scans: Sequence[Scan],
    nuisance: Nuisance = (),
    *,
    start: ArrayLike | Start | None = None,
    noise: Noise | float | None = None,
    dh: float | None = None,
    resolution: float = 1.0,
) -> Result:
    """Parameters of the TNM model from heating scans, all of them together.

    scans: as hpctools.tnm.scan or hpctools.tnm.load make them, each with its own program; nuisance: instrument
    parameters to fit besides, of gain, offset, tilt, gain-tilt, shift, lag, or the standard deviations of their priors
    by name; start: (4,) ln A, Δh* (J/mol), x, β, else the estimate of hpctools.tnm.start; noise: standard deviation of
    CpN (white), or Noise(sigma, correlation length), else both from the residuals; dh: Δh* in J/mol where it is known;
    resolution: finer steps of the simulator above 1.

    Raises ScanError, with the scan's name and the reason, for scans that no fit should be made of.
    """
    scans = tuple(scans)
    check_rates(scans, dh is not None)
    check_levels(scans)
    if start is None:
        start = estimate(scans, dh)
    elif not isinstance(start, Start):
        values = np.asarray(start, float)
        if values.shape != (4,) or not np.isfinite(values).all():
            raise ScanError("start", f"found {start!r}; expected four numbers ln A, Δh* in J/mol, x, β")
        # a start that leads nowhere is not the end
        start = Start(np.vstack([values, estimate(scans, dh).candidates]), "given")
    return refine(scans, start, nuisance, noise, dh, resolution)


def fit_many(
    samples: Sequence[Sequence[Scan]], nuisance: Nuisance = (), threads: int | None = None, **options: object
) -> list[Result | ScanError]:
    """`fit` of many samples on all threads (HPCTOOLS_THREADS, else this process's CPUs); errors in their places."""

    def one(scans: Sequence[Scan]) -> Result | ScanError:
        try:
            return fit(scans, nuisance, **options)  # type: ignore[arg-type]
        except ScanError as error:
            return error

    threads = threads or min(thread_count(), os.cpu_count() or 1)
    if threads == 1:
        return [one(scans) for scans in samples]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(one, samples))

