"""M(t) from F(t) point by point: a Volterra equation of the first kind, solved forwards.

With X = F(0) - F, X_1 its integral, and M constant, M_j, between the times t_{j-1} and t_j, the memory equation is a
triangular system,

    overdamped, over (t_{i-1}, t_i):  Ω² ∫ F dt - ΔX = Σ_j M_j {[X_1(t_i - t_{j-1}) - X_1(t_i - t_j)] - [at t_{i-1}]} ,
    Newtonian, at t_i:                   Ω² F - ∂t² X = Σ_j M_j [X(t_i - t_{j-1}) - X(t_i - t_j)] .

(The first form for Newtonian motion, where X begins as t², has a root of -3.7 and explodes.) Between the points X is a
monotone cubic of t (Fritsch and Carlson 1980), for Newtonian motion ½ Ω² t² G with a cubic spline G(ln t), since its
second derivative is needed. The system has a root of -1: M_j is therefore averaged with its neighbours, 1 : 2 : 1.
Nothing is assumed of M; each M_j carries the errors of all before. It shows what a curve can tell.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .curve import Curve
from .equation import FloatArray
from .errors import MemoryFunctionError
from .inversion import Inversion
from .refinement import import_scipy


def invert_points(curve: Curve, omega2: float, dynamics: str, ratio: float = 1.0) -> Inversion:
    """M of the intervals between the times of a curve, at their geometric means (the first: half the first time).

    ratio: of neighbouring times, at least. Points of Newtonian motion at which F(0) - F is not above three errors are
    left out. Raises MemoryFunctionError where few are left.
    """
    if not ratio >= 1:
        raise MemoryFunctionError(f"ratio = {ratio:g}; expected 1 (all points) or more")
    kept = [0]
    for i, time in enumerate(curve.t):
        if time >= ratio * curve.t[kept[-1]] and i:
            kept.append(i)
    curve = Curve(curve.t[kept], curve.F[kept], curve.error[kept], curve.weighted, curve.F0)
    if dynamics == "newtonian":
        begun = 1.0 - curve.F > (3 * curve.error if curve.weighted else 0.0)
        if begun.sum() < 4:
            raise MemoryFunctionError(f"F differs from F(0) at {begun.sum()} times; expected 4 or more")
        curve = Curve(curve.t[begun], curve.F[begun], curve.error[begun], curve.weighted, curve.F0)
    t = np.concatenate([[0.0], curve.t])
    gap = np.maximum(t[:, None] - t[None], 0.0)  # 0 for j > i
    middle = np.sqrt(t[1:] * np.concatenate([[t[1] / 4], t[1:-1]]))
    if dynamics == "newtonian":
        # G → 1 for t → 0, G - 1 ∝ t²: the first slope is known
        u, G = np.log(curve.t), (1.0 - curve.F) / (0.5 * omega2 * curve.t**2)
        spline = import_scipy("interpolate").CubicSpline(u, G, bc_type=((1, 2 * (G[0] - 1)), "not-a-knot"))
        values = _displacement(spline, omega2, curve.t[0], gap)
        matrix = (values[:, :-1] - values[:, 1:])[1:]
        right = omega2 * (curve.F - G - 1.5 * spline(u, 1) - 0.5 * spline(u, 2))
        fitted = 1.0 - _displacement(spline, omega2, curve.t[0], middle)
    else:
        x = np.concatenate([[0.0], 1.0 - curve.F])
        interpolate = import_scipy("interpolate")
        slopes = interpolate.PchipInterpolator(t, x).derivative()(t)
        slopes[0] = omega2
        interpolated = interpolate.CubicHermiteSpline(t, x, slopes)
        integral = interpolated.antiderivative()
        values = integral(gap)
        matrix = np.diff(values[:, :-1] - values[:, 1:], axis=0)
        right = omega2 * (np.diff(t) - np.diff(integral(t))) - np.diff(x)
        fitted = 1.0 - interpolated(middle)
    M = import_scipy("linalg").solve_triangular(matrix, right, lower=True)
    M[1:-1] = 0.25 * (M[:-2] + 2 * M[1:-1] + M[2:])  # takes away what alternates
    nothing = np.zeros(0)
    # the curve itself goes in: there is no fit whose quality could be told
    return Inversion(middle, M, curve.F0 * fitted, float(curve.t[0]), nothing, nothing, nothing, nothing, 0.0, math.nan,
                     math.nan)


def _displacement(spline: Any, omega2: float, first: float, t: FloatArray) -> FloatArray:
    """X = ½ Ω² t² G at times t; before the first point G - 1 is ∝ t²."""
    share = np.minimum(t / first, 1.0) ** 2
    return np.asarray(0.5 * omega2 * t**2 * (1.0 + share * (spline(np.log(np.maximum(t, first))) - 1.0)))
