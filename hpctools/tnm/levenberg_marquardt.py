"""Levenberg-Marquardt with limits on the residuals of scans (Marquardt 1963)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .model import GAS_CONSTANT
from .residuals import LEAST_NOISE, Noise, Problem

Array = NDArray[np.float64]
CONVERGED = 0.1  # step of Gauss-Newton, in standard errors, after which it is taken as the last one
UNDAMPED = 1e-10  # of a Gauss-Newton step


class State(NamedTuple):
    values: Array
    model: Array
    hessian: Array  # of half the sum of squares
    converged: bool
    passes: int


def minimise(
    problem: Problem, values: Array, noise: Noise, most: int, resolution: float = 1.0, central: bool = False
) -> State:
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
        # what Gauss-Newton would still gain within the limits, against the size of the residuals
        newton = _step(hessian, gradient, UNDAMPED, values, problem, free)
        size = max(cost / problem.data.size, (LEAST_NOISE / noise.sigma) ** 2)
        left = np.sqrt(max(0.0, float(2 * gradient @ newton - newton @ hessian @ newton)) / size)
        if left < CONVERGED:
            converged = True
            values = np.clip(values + newton, problem.low, problem.high)
            model = problem.model(values, resolution)
            break
        accepted = False
        for _ in range(12):
            trial = values + _limited(_step(hessian, gradient, damping, values, problem, free), values, problem)
            trial = np.clip(trial, problem.low, problem.high)
            new_model, new_jacobian = problem.linearise(trial, resolution, central)
            new_cost = problem.cost(trial, new_model, noise)
            if new_cost < cost:
                accepted = True
                break
            damping *= 6.0
        if not accepted:
            converged = bool(left < 5 * CONVERGED)
            break
        gained = cost - new_cost
        values, model, jacobian, cost = trial, new_model, new_jacobian, new_cost
        if gained < CONVERGED**2 * size:
            converged = damping < 1.0
            break
        damping = max(1e-9, damping / 6.0)
    return State(values, model, hessian, converged, passes)


def _step(
    hessian: Array, gradient: Array, damping: float, values: Array, problem: Problem, free: NDArray[np.int64]
) -> Array:
    """The damped step (size,); unknowns that would cross a limit stop there, and the others answer to that."""
    step = np.zeros(values.size)
    free = free.copy()
    while free.size:
        h, g = hessian[np.ix_(free, free)], gradient[free] - hessian[free] @ step
        scale = np.sqrt(np.maximum(np.diag(h), 1e-300))
        step[free] += np.linalg.solve(h / np.outer(scale, scale) + damping * np.eye(len(free)), g / scale) / scale
        end = np.clip(values + step, problem.low, problem.high) - values
        crossed = free[end[free] != step[free]]
        if not crossed.size:
            break
        free = np.setdiff1d(free, crossed)
        step[crossed] = end[crossed]
        step[free] = 0.0
    return step


def _limited(step: Array, values: Array, problem: Problem) -> Array:
    """The step, shortened to what the linear model can be trusted for."""
    longest = problem.longest.copy()
    longest[0] = 3.0 * GAS_CONSTANT * values[0] ** 2 / np.exp(values[1])
    return step * min(1.0, float(np.min(longest / np.maximum(np.abs(step), 1e-300))))
