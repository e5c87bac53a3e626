"""Refinement: Levenberg-Marquardt on the simulator, all scans of a sample together, each with its own program.

A first fit with equal weights shows the noise, its size and correlation length, unless they are given; a second one
with the right weights and central differences ends it. Starts that lead nowhere are followed by others (start.py).
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .cpu import thread_count
from .levenberg_marquardt import State, minimise
from .model import GAS_CONSTANT, reference_temperature, transition_width
from .residuals import (
    FIRST_NOISE,
    LEAST_DH,
    LEAST_NOISE,
    LOWEST_BETA,
    LOWEST_X,
    MOST_DH,
    Noise,
    Nuisance,
    Problem,
    noise_of,
    roughness,
    seen_noise,
    within_limits,
)
from .scans import Scan, ScanError, check_levels, check_rates, lag_of
from .start import Start, estimate

Array = NDArray[np.float64]

TRAINED = ((2e5, 12e5), (0.2, 1.0), (0.2, 1.0))  # box of the networks: Δh* in J/mol, x, β
MOST_PASSES = 40
FINER = 2.5  # resolution of a second attempt
UNSETTLED = 0.05  # of w₀: lag of Tf at the start of a program
POOR = 3.0  # χ²/(degrees of freedom) beyond which the model does not describe the data to their noise
# χ²/(degrees of freedom) and residuals (rms, of ΔCp) beyond which it does not describe them at all
FAILED, FAILED_REST = 9.0, 0.02
STRAY = 2.0  # standard deviations of its prior beyond which an instrument parameter is remarked
SHARP = 6.0  # CpN_max up to which errors were tested; beyond it a digit of temperature counts
REACHED = 0.05  # of CpN: ends of a scan further than this from 0 and 1 are within the transition


@dataclass(frozen=True)
class Result:
    """A refined set of parameters.

    parameters (4,): ln A, Δh* in J/mol, x, β; covariance (4, 4), of the same; noise: as used for it; chi2: reduced χ²
    of the residuals at the noise that the scans themselves show (NaN where they state none); rms of the residuals, of
    ΔCp; converged; described: whether the model describes the scans at all; flags: what to mind, in words; instrument:
    value and error of each instrument parameter by name, (scans,) or (); curves: fitted CpN of each scan; iterations;
    evaluations: simulated sets.
    """

    parameters: Array
    covariance: Array
    noise: Noise
    chi2: float
    rms: float
    converged: bool
    described: bool
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


def refine(
    scans: Sequence[Scan],
    start: Start,
    nuisance: Nuisance = (),
    noise: Noise | float | None = None,
    dh: float | None = None,
    resolution: float = 1.0,
    lines: bool | None = None,
) -> Result:
    """Refine a start (see fit)."""
    began = time.perf_counter()
    problem = Problem(scans, nuisance, dh, lines)
    given = noise if isinstance(noise, Noise) else None if noise is None else Noise(float(noise), 0.0)
    used = given or Noise(FIRST_NOISE, 0.0)
    best: State | None = None
    passes = 0
    for candidate in start.candidates:
        state = minimise(problem, problem.initial(candidate, read=True), used, MOST_PASSES, resolution)
        passes += state.passes
        if best is None or problem.cost(state.values, state.model, used) < problem.cost(best.values, best.model, used):
            best = state
        rms = float(np.sqrt(np.mean((problem.data - best.model) ** 2)))
        if rms < max(2.5 * roughness(problem), 3 * LEAST_NOISE):
            break
    assert best is not None
    if given is None:
        # the noise as the residuals show it, then once more with the right weights
        problem.weigh(best.values)
        used = noise_of(problem, best.values)
        state = minimise(problem, best.values, used, MOST_PASSES, resolution, central=True)
        passes += state.passes
        best = state if np.isfinite(state.model).all() else best
        if not best.converged:
            # steps of the simulator that come and go can pin a fit; finer ones come and go less
            best = minimise(problem, best.values, used, MOST_PASSES, FINER * resolution, central=True)
            passes += best.passes
    return _result(problem, best, used, start, passes, time.perf_counter() - began)


def _result(problem: Problem, state: State, noise: Noise, start: Start, passes: int, seconds: float) -> Result:
    values = state.values
    # a parameter at its limit keeps the error bar that it would have there were it free
    edge = (values <= problem.low) | (values >= problem.high)
    free = problem.free
    inner = np.zeros((problem.size, problem.size))
    inner[np.ix_(free, free)] = np.linalg.pinv(state.hessian[np.ix_(free, free)], rcond=1e-15, hermitian=True)
    outer = problem.parameter_jacobian(values)
    covariance = outer @ inner @ outer.T
    parameters = problem.parameters(values)
    residuals = (problem.data - state.model) / problem.noise_scale
    rms = float(np.sqrt(np.mean(residuals**2)))
    seen = seen_noise(problem)
    chi2 = float("nan")
    if seen == seen:
        chi2 = float(residuals @ residuals) / max(seen, LEAST_NOISE) ** 2 / max(1, residuals.size - problem.size)
    described = not fails(problem, rms)
    instrument: dict[str, tuple[list[float], list[float]]] = {}
    for i, (name, _) in enumerate(problem.columns, 4):
        entry = instrument.setdefault(name, ([], []))
        entry[0].append(float(values[i]))
        entry[1].append(float(np.sqrt(inner[i, i])))
    flags = []
    if not described:
        flags.append(
            f"the model does not describe these scans: residuals of {rms:.2g} ΔCp, far beyond the noise; are the "
            "rates right, and is each scan one glass transition, without crystallisation?"
        )
    elif chi2 > POOR:
        flags.append(f"poor fit: reduced χ² {chi2:.1f}")
    lag = lag_of(problem.curves.scans)
    if flags and lag > 0 and "lag" not in instrument:
        flags.append(f"the scans begin as behind a thermal lag of {lag:.2g} s: fit it as well (--lag)")
    if not state.converged:
        flags.append("not converged")
    flags += _unsettled(parameters, problem.curves.scans) + _ends(problem, state) + _strays(problem, values)
    for j, name in ((2, "x"), (3, "β")):
        if edge[j]:
            flags.append(f"{name} at its limit {values[j]:g}")
    if _outside(parameters):
        flags.append("outside the trained box")
    flags += list(dict.fromkeys(words for one in problem.curves.scans for words in one.assumed))
    return Result(
        parameters, covariance, noise, chi2, rms, state.converged, described, tuple(flags), problem.curves.scans,
        tuple(state.model[problem.curves.part(k)] for k in range(len(problem.curves))), start,
        {name: (np.array(v), np.array(e)) for name, (v, e) in instrument.items()}, passes, problem.evaluations, seconds,
    )  # fmt: skip


def fails(problem: Problem, rms: float) -> bool:
    """Whether residuals of this size mean that the model does not describe the scans at all."""
    seen = seen_noise(problem)
    return rms > FAILED_REST and rms**2 > FAILED * max(seen if seen == seen else roughness(problem), LEAST_NOISE) ** 2


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


def _ends(problem: Problem, state: State) -> list[str]:
    """Flags for scans that end within the transition, by the fit's own CpN, and for peaks that are too sharp."""
    cpn = problem.undisturbed(state.values, state.model)
    out = []
    for k, one in enumerate(problem.curves.scans):
        curve = cpn[problem.curves.part(k)]
        for word, found, level in (("lower", curve[0], 0.0), ("upper", curve[-1], 1.0)):
            if abs(found - level) > REACHED:
                out.append(
                    f"{one.name}: CpN is {found:.2f} at its {word} end, not {level:g}: it ends within the transition, "
                    "and what lies beyond is a guess; measure further"
                )
    if cpn.max() > SHARP:
        out.append(
            f"CpN_max {cpn.max():.1f}, above {SHARP:g}: on so steep a flank a millikelvin of reading counts as much as "
            "the noise, and the error bars know the noise only"
        )
    return out


def _strays(problem: Problem, values: Array) -> list[str]:
    """Flags for instrument parameters that end far from what their priors expect."""
    out = []
    for i, (name, k) in enumerate(problem.columns, 4):
        if abs(values[i] - problem.centre[i]) > STRAY * problem.prior[i]:
            where = f"{problem.curves.scans[k].name}: " if k >= 0 else ""
            out.append(
                f"{where}{name} {values[i]:.2g} is beyond {STRAY:g} standard deviations of its prior "
                f"({problem.centre[i]:g} ± {problem.prior[i]:g})"
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
    lines: bool | None = None,
) -> Result:
    """Parameters of the TNM model from heating scans, all of them together.

    scans: as hpctools.tnm.scan or hpctools.tnm.load make them, each with its own program; nuisance: instrument
    parameters to fit besides, of gain, offset, tilt, gain-tilt, shift, lag, or the standard deviations of their priors
    by name; start: (4,) ln A, Δh* (J/mol), x, β, else the estimate of hpctools.tnm.start; noise: standard deviation of
    CpN (white), or Noise(sigma, correlation length), else both from the residuals; dh: Δh* in J/mol where it is known;
    resolution: finer steps of the simulator above 1; lines: whether to fit what lines through glass and liquid got
    wrong (residuals.LINES), by default where there were lines, as in all that hpctools.tnm.load has normalised.

    Raises ScanError, with the scan's name and the reason, for scans that no fit should be made of.
    """
    scans = tuple(scans)
    sigma = noise.sigma if isinstance(noise, Noise) else noise
    if sigma is not None and not (math.isfinite(sigma) and sigma > 0):
        raise ScanError("noise", f"found {sigma:g}; expected a positive standard deviation of CpN, such as 0.01")
    if dh is not None and not within_limits(dh):
        raise ScanError("dh", f"found {dh:g} J/mol; expected {LEAST_DH:g} … {MOST_DH:g} J/mol")
    check_rates(scans, dh is not None)
    check_levels(scans)
    if start is None:
        start = estimate(scans, dh)
    elif not isinstance(start, Start):
        values = np.asarray(start, float)
        if values.shape != (4,) or not np.isfinite(values).all():
            raise ScanError("start", f"found {start!r}; expected four numbers ln A, Δh* in J/mol, x, β")
        _, energy, x, beta = values
        if not within_limits(energy, x, beta):
            raise ScanError(
                "start",
                f"found Δh* = {energy:g} J/mol, x = {x:g}, β = {beta:g}; expected {LEAST_DH:g} … {MOST_DH:g} J/mol, "
                f"{LOWEST_X:g} … 1 and {LOWEST_BETA:g} … 1",
            )
        # a start that leads nowhere is not the end
        start = Start(np.vstack([values, estimate(scans, dh).candidates]), "given")
    return refine(scans, start, nuisance, noise, dh, resolution, lines)


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

