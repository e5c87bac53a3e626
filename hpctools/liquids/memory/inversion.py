"""M(t) from F(t) without a search: a non-negative Prony fit and its exact Laplace inversion.

Where F is completely monotone (overdamped motion; Newtonian motion beyond its ballistic start, t ≳ 1/Ω), it is
Σ_i a_i exp(-r_i t) with a_i ≥ 0, which non-negative least squares finds on a fine grid of rates (Lawson and Hanson
1974). The Laplace transform of the memory equation is then a ratio of two rational functions,

    Ω² F̂/(F(0) - z F̂) = Ω² Σ a_i/(z + r_i) / Σ a_i r_i/(z + r_i) = { 1 + M̂(z)  overdamped,  z + M̂(z)  Newtonian } .

Its poles -s_k lie between those of F̂ (they interlace), its residues are positive:

    M(t) = c + Σ_k g_k exp(-s_k t) ,   g_k = Ω² Σ_i a_i/(s_k - r_i) / Σ_i a_i r_i/(r_i - s_k)² ,
    c = Ω² F(∞)/(F(0) - F(∞)) ,

and a part at t = 0 that is faster than the curve shows: `instant`. It is zero for overdamped motion if the fit keeps
Σ a_i r_i = Ω² F(0), the slope of F at t = 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from .curve import Curve, checked
from .equation import FloatArray, check_dynamics, check_omega2
from .errors import MemoryFunctionError

RATES_PER_DECADE = 20
EXACT = 1e4  # weight of F(0) = Σ a, over that of the best point


@dataclass(frozen=True, eq=False)
class Inversion:
    """A memory function and the curve that it belongs to.

    t, M, F (n_t,): the times, M(t), and the fitted F(t); valid_from: M means something from this time on.
    rates, amplitudes: r_i, a_i of F, a rate of 0 is the plateau of a glass; memory_rates, memory_amplitudes: s_k, g_k;
    instant: ∫M dt of what is faster than the curve shows. They are empty for method "points", and loss and R2 of the
    fit are NaN there: nothing is fitted.
    """

    t: FloatArray
    M: FloatArray
    F: FloatArray
    valid_from: float
    rates: FloatArray
    amplitudes: FloatArray
    memory_rates: FloatArray
    memory_amplitudes: FloatArray
    instant: float
    loss: float
    R2: float

    def __call__(self, t: ArrayLike) -> FloatArray:
        """M at any times, from the exponentials; between points, straight lines in ln t."""
        times = np.asarray(t, float)
        if not (np.isfinite(times).all() and (times >= 0).all()):
            raise MemoryFunctionError(f"M at t = {times.min():g} … {times.max():g}; expected finite times from 0 on")
        if not len(self.rates):
            with np.errstate(divide="ignore"):
                return np.asarray(np.interp(np.log(times), np.log(self.t), self.M))
        return _sum(times, self.memory_rates, self.memory_amplitudes)


def invert(
    t: ArrayLike,
    F: ArrayLike,
    *,
    omega2: float | None = None,
    dynamics: str = "newtonian",
    F0: float | None = None,
    error: ArrayLike | None = None,
    method: str = "prony",
    t_from: float | None = None,
    ratio: float = 1.0,
) -> Inversion:
    """M(t) of a curve F(t).

    t, F, error (n_t,): as in `evolve`; omega2: Ω²; dynamics: "newtonian" or "overdamped". Without omega2 the result is
    M/Ω², which is all that a curve tells; then t_from is 0 by default, and `instant` is left 0.
    method: "prony", as above; "points": from point to point, needs no form of F but magnifies noise (`pointwise`).
    t_from: earlier points are left out; by default at 1/Ω for the Prony fit of Newtonian motion, where F ceases to be
    concave, else none. ratio: of neighbouring times that "points" keeps, at least; larger ones magnify noise less.
    Raises MemoryFunctionError.
    """
    curve = checked(t, F, F0, error)
    check_dynamics(dynamics)
    number = 1.0 if omega2 is None else check_omega2(omega2)
    if omega2 is None and method == "points":
        raise MemoryFunctionError("omega2 is missing; expected k² k_B T/m (newtonian) or k² D_0 (overdamped) to invert "
                                  "point by point")
    if method == "points":
        from .pointwise import invert_points

        return invert_points(curve.since(t_from or 0.0), number, dynamics, ratio)
    if method != "prony":
        raise MemoryFunctionError(f"method = {method!r}; expected prony or points")
    if t_from is None:
        t_from = 1 / math.sqrt(number) if dynamics == "newtonian" and omega2 is not None else 0.0
    rates, amplitudes = prony(curve.since(t_from), number if dynamics == "overdamped" and omega2 is not None else None)
    memory_rates, memory_amplitudes, slope = laplace_inversion(rates, amplitudes)
    memory_amplitudes = number * memory_amplitudes
    fitted = _sum(curve.t, rates, amplitudes)
    part = curve.t >= t_from
    late = curve.since(t_from)
    return Inversion(
        curve.t, _sum(curve.t, memory_rates, memory_amplitudes), curve.F0 * fitted, t_from, rates,
        curve.F0 * amplitudes, memory_rates, memory_amplitudes,
        0.0 if omega2 is None else number / slope - (dynamics == "overdamped"), float(late.loss(fitted[part])),
        late.explained(fitted[part]),
    )  # fmt: skip


def _sum(t: FloatArray, rates: FloatArray, amplitudes: FloatArray) -> FloatArray:
    return np.exp(-np.multiply.outer(t, rates)) @ amplitudes


def prony(curve: Curve, slope: float | None = None) -> tuple[FloatArray, FloatArray]:
    """Rates (n,), ascending, and positive amplitudes (n,) of sum 1 with F/F(0) ≈ Σ a exp(-r t).

    slope: Σ a r, kept where it is given, as far as the curve allows.
    """
    from .refinement import import_scipy

    # twice the last time: slower ones cannot be told from the plateau
    low, high = 0.5 / curve.t[-1], 10 / curve.t[0]
    if slope is not None:  # faster ones show in the slope
        high = max(10 * high, 10 * slope)
    n = math.ceil(RATES_PER_DECADE * math.log10(high / low)) + 1
    rates = np.concatenate([[0.0], np.geomspace(low, high, n)])
    weight = 1 / curve.error
    rows, right = [weight[:, None] * np.exp(-np.multiply.outer(curve.t, rates))], [weight * curve.F]
    exact = EXACT * float(weight.max())
    rows.append(np.full((1, len(rates)), exact))
    right.append(np.array([exact]))
    if slope is not None:
        rows.append(exact * rates[None] / slope)
        right.append(np.array([exact]))
    found, _ = import_scipy("optimize").nnls(np.concatenate(rows), np.concatenate(right), maxiter=100 * len(rates))
    used = found > 1e-12
    if not used[1:].any():
        raise MemoryFunctionError("the curve does not decay: no memory function can be found from it")
    return rates[used], found[used] / found[used].sum()


def laplace_inversion(rates: FloatArray, amplitudes: FloatArray) -> tuple[FloatArray, FloatArray, float]:
    """s_k and g_k/Ω² of the memory of Σ a_i exp(-r_i t), and Σ a_i r_i, for amplitudes of sum 1; exact.

    A plateau, r_0 = 0, gives s_0 = 0, g_0 = c/Ω².
    """
    moving = rates > 0
    r, w = rates[moving], (amplitudes * rates)[moving]
    # Σ w/(r - s) rises from -∞ to ∞ between two rates: bisection in ln s
    low, high = np.log(r[:-1]), np.log(r[1:])
    for _ in range(100):
        middle = 0.5 * (low + high)
        with np.errstate(divide="ignore", invalid="ignore"):
            above = (w / (r - np.exp(middle)[:, None])).sum(axis=1) > 0
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    s = np.exp(0.5 * (low + high))
    distance = rates - s[:, None]
    g = -(amplitudes / distance).sum(axis=1) / (amplitudes * rates / distance**2).sum(axis=1)
    if not moving.all():
        plateau = float(amplitudes[~moving].sum())
        s, g = np.concatenate([[0.0], s]), np.concatenate([[plateau / (1 - plateau)], g])
    return s, g, float(w.sum())
