"""Least squares for memory functions: the last step of an evolution, and its rival."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from .curve import checked
from .equation import FloatArray, check_omega2
from .errors import MemoryFunctionError
from .form import StretchedSum

if TYPE_CHECKING:
    from .search import Problem

STEP = 1e-6  # of central differences, in units of a coordinate's scale


def import_scipy(name: str) -> ModuleType:
    """A part of SciPy, or MemoryFunctionError that says how to get it."""
    try:
        return importlib.import_module(f"scipy.{name}")
    except ImportError as error:
        raise MemoryFunctionError(f"memory functions need SciPy ({error}): pip install 'hpctools[ml]'") from None


@dataclass(frozen=True, eq=False)
class Minimum:
    """A local minimum: coordinates x (n,), objective, and standard errors of x from the curvature, NaN at a bound."""

    x: FloatArray
    objective: float
    error: FloatArray


def refine(problem: Problem, x: FloatArray, evaluations: int = 60) -> Minimum:
    """Go downhill from x by trust-region least squares; all derivatives of a step are one batch."""
    form, n = problem.form, len(x)
    step = STEP * form.scales

    def residuals(point: FloatArray) -> FloatArray:
        return problem.residuals(point[None])[0]

    def jacobian(point: FloatArray) -> FloatArray:
        # at a bound the difference is taken on one side
        ahead = np.minimum(point + step, form.upper)
        behind = np.maximum(point - step, form.lower)
        batch = np.concatenate([point + np.diag(ahead - point), point - np.diag(point - behind)])
        values = problem.residuals(batch)
        return np.asarray(((values[:n] - values[n:]) / (ahead - behind)[:, None]).T)

    start = np.clip(x, form.lower + 1e-9 * form.scales, form.upper - 1e-9 * form.scales)
    found = import_scipy("optimize").least_squares(
        residuals, start, jacobian, bounds=(form.lower, form.upper), x_scale=form.scales, max_nfev=evaluations,
        ftol=1e-10, xtol=1e-10, gtol=1e-14,
    )  # fmt: skip
    return Minimum(found.x, float(2 * found.cost), standard_errors(problem, found.x, jacobian(found.x)))


def standard_errors(problem: Problem, x: FloatArray, jacobian: FloatArray) -> FloatArray:
    """Standard errors of coordinates from the curvature: with the curve's errors, else with those that the residuals
    show. NaN where the curve says nothing of a coordinate, and at bounds."""
    form = problem.form
    free = (x > form.lower + 1e-6 * form.scales) & (x < form.upper - 1e-6 * form.scales)
    information = jacobian[:-1, free].T @ jacobian[:-1, free]
    scale = np.sqrt(np.maximum(np.diag(information), 1e-300))
    errors = np.full(len(x), np.nan)
    if free.any():
        inverse = np.linalg.pinv(information / np.outer(scale, scale), rcond=1e-12)
        noise = 1.0
        if not problem.curve.weighted:
            points = len(problem.curve.t)
            noise = float((problem.residuals(x[None])[0, :-1] ** 2).sum()) / max(points - int(free.sum()), 1)
        errors[free] = np.sqrt(noise * np.diag(inverse)) / scale
    return errors


def random_starts(problem: Problem, number: int, rng: np.random.Generator) -> FloatArray:
    """Starts (number, n) that span what a liquid may have: τ over the times of the curve, amplitudes by decades."""
    form, t = problem.form, problem.curve.t
    lower, upper = form.lower.copy(), form.upper.copy()
    for i, name in enumerate(form.names):
        if name.startswith("ln τ") or "(-1/μ)" in name:
            lower[i], upper[i] = np.log(t[0]), np.log(t[-1])
        elif name.startswith("ln"):
            lower[i], upper[i] = np.log(1e-1), np.log(1e2)
        elif name == "f":
            upper[i] = 0.5
        else:
            lower[i], upper[i] = 0.4, 2.0
    return rng.uniform(lower, upper, (number, len(lower)))


def least_squares(
    t: ArrayLike, F: ArrayLike, *, omega2: float, n_exp: int = 2, dynamics: str = "newtonian", F0: float | None = None,
    error: ArrayLike | None = None, starts: int = 10, seed: int = 1,
) -> tuple[StretchedSum, float]:  # fmt: skip
    """The best of least squares from random starts, and its sum of squares (over errors): what `evolve` has to beat."""
    from .search import Problem, StretchedForm

    if starts < 1:
        raise MemoryFunctionError(f"starts = {starts}; expected 1 or more")
    curve = checked(t, F, F0, error)
    problem = Problem(curve, StretchedForm(n_exp, check_omega2(omega2), curve.t), dynamics)
    minima = [refine(problem, x, 200) for x in random_starts(problem, starts, np.random.default_rng(seed))]
    best = min(minima, key=lambda one: one.objective)
    return problem.form.memory(best.x[None])[0].ordered(), best.objective
