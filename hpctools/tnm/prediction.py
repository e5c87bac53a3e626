"""The network alone on measured scans: lines through glass and liquid set right, error bars that know them, a test.

Lines drawn through windows are wrong where glass still relaxes, and the network takes CpN as it is. So its estimate is
a point about which the model of the scans is linear in the parameters and, exactly, in the lines; one step of least
squares gives the lines, the parameters being left free, and the network reads the scans anew. The error bars are those
of the same done to scans of the estimate with noise like that of the measured ones (parametric bootstrap, Efron 1979),
the network's own, which know what it has not learnt, and what one more step of least squares would change.

The same step is a test of the estimate by the scans: what it would still change in the parameters must be within the
errors (a score test, Rao 1948). Scans that the network was not trained for fail it, wherever its answer lies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .cramer_rao import correlated_noise
from .instrument import Instruments
from .refinement import fails
from .residuals import Noise, Problem, noise_of, outer_jacobian, to_internal
from .scans import Scan, ScanError, check_levels, check_rates, lag_of
from .start import Start, from_network, from_table

Array = NDArray[np.float64]
ROUNDS = 3  # of lines and network in turn
DRAWS = 48
MOST_LOST = 0.5  # of the draws
DISTANCE = 5.0  # standard errors, per parameter (root mean square), that the scans may move the estimate by


class _Step(NamedTuple):
    lines: Array  # (size - 4,), with the lag where the scans show one
    covariance: Array  # of all unknowns, (size, size)
    rows: Array  # whitened derivatives, (size, points)
    model: Array  # (points,)
    move: Array  # of T100, ln Δh*, x, β (4,)
    noise: Noise


def predict(scans: Sequence[Scan]) -> Start:
    """The network's estimate of scans of hpctools.tnm.load or scan, with error bars; without a fit.

    Where the network cannot be asked, or the scans contradict its estimate, `refused` is true, the flags say why, and
    the candidates are those of the cooling-rate law and a table, without error bars. Raises ScanError as `fit` does.
    """
    scans = tuple(scans)
    check_rates(scans)
    check_levels(scans)
    found = from_network(scans)
    if not len(found.candidates):
        return _refused(scans, found.flags)
    longest = Instruments().lag[1]
    if (lag := lag_of(scans)) > longest:
        return _refused(scans, (f"they begin as behind a thermal lag of {lag:.2g} s; expected at most {longest:g} s",))
    answer = _answer(scans, found, lag)
    if answer.refused and lag > 0:
        # the start of a scan may settle more slowly than the transition is measured
        without = _answer(scans, found, 0.0)
        answer = answer if without.refused else without
    return answer


def _answer(scans: tuple[Scan, ...], found: Start, lag: float) -> Start:
    """The network's estimate with its lines set right, behind this lag (s), tested by the scans."""
    problem = Problem(scans, ("lag",) if lag > 0 else ())
    lines = problem.centre[4:].copy()
    for i, (name, _) in enumerate(problem.columns):
        if name == "lag":
            lines[i] = lag
    try:
        for _ in range(ROUNDS if lines.size else 1):
            step = _step(problem, found.parameters, lines)
            lines = step.lines
            if lines.size:
                found = _read(problem, lines)
        step = _step(problem, found.parameters, lines)
        covariance = np.asarray(found.covariance) + _bootstrap(problem, found.parameters, lines, step)
    except ScanError as error:
        return _refused(scans, (str(error),))
    reason = _contradiction(problem, found.parameters, covariance, step)
    if reason or any(flag.startswith("outside") for flag in found.flags):
        return _refused(scans, (*found.flags, *reason))
    # what least squares would still change is an error that is known
    left = outer_jacobian(to_internal(found.parameters)) @ step.move
    covariance = covariance + np.outer(left, left)
    assumed = dict.fromkeys(words for one in scans for words in one.assumed)
    return found._replace(covariance=covariance, flags=(*found.flags, *assumed))


def _refused(scans: Sequence[Scan], flags: Sequence[str]) -> Start:
    reasons = tuple(f"the network refuses these scans: {flag}" for flag in flags)
    return from_table(scans)._replace(flags=(*reasons, "no error bars; use fit"), refused=True)


def _step(problem: Problem, parameters: Array, lines: Array) -> _Step:
    """One step of least squares from the network's parameters, the lines being unknown as well."""
    values = problem.at(parameters, lines)
    problem.weigh(values)
    noise = noise_of(problem, values)
    model, jacobian = problem.linearise(values)
    if not np.isfinite(jacobian).all():
        raise ScanError("network", "its estimate cannot be simulated")
    rows = problem.whitened(np.vstack([jacobian, (problem.data - model)[None]]), noise)
    weight = 1 / problem.prior**2
    information = rows[:-1] @ rows[:-1].T + np.diag(weight)
    scale = np.sqrt(np.diag(information))
    covariance = np.linalg.inv(information / np.outer(scale, scale)) / np.outer(scale, scale)
    pull = np.where(np.arange(problem.size) > 3, weight * (values - problem.centre), 0.0)
    move = covariance @ (rows[:-1] @ rows[-1] - pull)
    found = np.clip(lines + move[4:], problem.low[4:], problem.high[4:])
    return _Step(found, covariance, rows[:-1], model, problem.true_jacobian() @ move, noise)


def _straight(problem: Problem, data: Array, lines: Array) -> list[Scan]:
    """Scans of these data (points,) with these lines taken out."""
    cpn = problem.undisturbed(np.concatenate([np.zeros(4), lines]), data)
    return [replace(one, cpn=cpn[problem.curves.part(k)]) for k, one in enumerate(problem.curves.scans)]


def _read(problem: Problem, lines: Array) -> Start:
    found = from_network(_straight(problem, problem.data, lines))
    if not len(found.candidates):
        raise ScanError(found.flags[0])
    return found


def _bootstrap(problem: Problem, parameters: Array, lines: Array, step: _Step) -> Array:
    """Mean square error (4, 4) of the network's parameters over scans of them with noise."""
    random = np.random.default_rng(0)  # the same scans, the same answer
    answers = []
    for _ in range(DRAWS):
        noise = np.concatenate(correlated_noise(problem.curves.scans, step.noise, random)) * problem.noise_scale
        moved = step.covariance[4:] @ (step.rows @ problem.whitened(noise[None], step.noise)[0])
        found = from_network(_straight(problem, step.model + noise, lines + moved))
        if len(found.candidates):
            answers.append(found.parameters - parameters)
    if len(answers) < (1 - MOST_LOST) * DRAWS:
        raise ScanError("noise and lines leave nothing to read: measure further on both sides of the transition")
    errors = np.array(answers)
    return np.asarray(errors.T @ errors / len(errors))


def _contradiction(problem: Problem, parameters: Array, covariance: Array, step: _Step) -> tuple[str, ...]:
    """What in the scans speaks against the estimate."""
    if fails(problem, step.noise.sigma):
        return (f"its estimate leaves residuals of {step.noise.sigma:.2g} ΔCp, far beyond the noise",)
    inner = np.linalg.inv(outer_jacobian(to_internal(parameters)))
    true = problem.true_jacobian()
    expected = inner @ covariance @ inner.T + true @ step.covariance @ true.T
    distance = float(np.sqrt(step.move @ np.linalg.solve(expected, step.move) / 4))
    if distance > DISTANCE:
        return (
            f"the scans contradict its estimate, by {distance:.1f} standard errors a parameter (up to {DISTANCE:g} "
            "pass): it was not trained for scans like these",
        )
    return ()
