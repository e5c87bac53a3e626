"""Transition points: in any parameter of the structure, or in temperature from S measured at several.

A bracket of a liquid and a glass state is narrowed. It is halved until two glass states are known; then the next states
are put on either side of the point where (1 - E)², which is linear near a transition, extrapolates to zero. So the
result is held between a liquid and a glass state like that of a plain bisection, in fewer steps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .asymptotics import Exponents, Stability, exponents, stability
from .equation import FloatArray, Liquid, MCTError, liquid
from .steady import nonergodicity_of

Structure = tuple[ArrayLike, ArrayLike, float, ArrayLike | None]
MAX_STATES = 200


@dataclass(frozen=True)
class CriticalPoint:
    """A transition.

    value: middle between the last liquid and the last glass state; error: half their distance; k (n_k,);
    F_inf: at the last glass state, in the shape of S; exponents: λ extrapolated to the transition, a, b, γ.
    """

    value: float
    error: float
    liquid: float
    glass: float
    k: FloatArray
    F_inf: FloatArray
    exponents: Exponents


@dataclass(frozen=True)
class CriticalTemperature:
    """The temperature of a transition found from S at several temperatures.

    value; interpolation_error: change if the order of the interpolation is one lower; statistical_error: from repeats
    of S at each temperature, by jackknife (NaN without repeats); point: the transition of the interpolated S.
    """

    value: float
    interpolation_error: float
    statistical_error: float
    point: CriticalPoint


def critical_point(
    structure: Callable[[float], Structure], low: float, high: float, tolerance: float = 1e-8
) -> CriticalPoint:
    """The value in [low, high] of a parameter at which the liquid turns into a glass.

    structure: gives (k, S, density, fractions) for a value of the parameter, for example a packing fraction; either end
    may be the glass. tolerance: largest distance between the liquid and the glass state in the end.
    Raises MCTError where both ends are in one phase.

        point = critical_point(lambda phi: (k, *hard_spheres(k, phi), None), 0.4, 0.6)
    """
    if not (np.isfinite([low, high]).all() and low < high and tolerance > 0):
        raise MCTError(f"range {low:g} … {high:g}, tolerance {tolerance:g}; expected low < high and tolerance > 0")
    below, above = (_glass(liquid(*structure(value))) for value in (low, high))
    if (first := above or below) is None or (above is not None and below is not None):
        phase = "liquids" if first is None else "glasses"
        raise MCTError(f"both ends of the range {low:g} … {high:g} are {phase}; expected a liquid and a glass")
    fluid, solid, sign = (high, low, -1.0) if above is None else (low, high, 1.0)
    glasses = [(solid, first)]
    for count in range(MAX_STATES):
        if abs(solid - fluid) <= tolerance:
            break
        value = _next(fluid, solid, sign, glasses, tolerance, count)
        state = _glass(liquid(*structure(value)))
        if state is None:
            fluid = value
        else:
            solid = value
            glasses.append((value, state))
    else:
        raise MCTError(
            f"no transition to {tolerance:g} in {MAX_STATES} states; it lies in {min(fluid, solid):.12g} … "
            f"{max(fluid, solid):.12g}"
        )
    last, (F, found) = glasses[-1]
    lambda_ = found.lambda_
    if len(glasses) > 1:  # λ is linear in 1 - E
        other = glasses[-2][1][1]
        slope = (other.lambda_ - found.lambda_) / (found.eigenvalue - other.eigenvalue)
        lambda_ -= slope * (1 - found.eigenvalue)
    checked = liquid(*structure(last))
    return CriticalPoint(
        0.5 * (fluid + solid), 0.5 * abs(solid - fluid), fluid, solid, checked.k, checked.shaped(F),
        exponents(lambda_),
    )  # fmt: skip


def _glass(structure: Liquid) -> tuple[FloatArray, Stability] | None:
    """F∞ and its stability; None for a liquid."""
    F = nonergodicity_of(structure)
    return (F, stability(structure, F)) if F.any() else None


def _next(
    fluid: float, solid: float, sign: float, glasses: list[tuple[float, tuple[FloatArray, Stability]]],
    tolerance: float, count: int,
) -> float:  # fmt: skip
    """The next value to try: by extrapolation of (1 - E)², else the middle; every fourth time the middle."""
    middle = 0.5 * (fluid + solid)
    if len(glasses) < 2 or count % 4 == 3:
        return middle
    (x0, (_, s0)), (x1, (_, s1)) = glasses[-2:]
    y0, y1 = (1 - s0.eigenvalue) ** 2, (1 - s1.eigenvalue) ** 2
    if y0 == y1:
        return middle
    zero = x1 - y1 * (x1 - x0) / (y1 - y0)
    margin = max(0.25 * tolerance, 0.05 * abs(x1 - zero))
    # from the glass's side first: that state makes the extrapolation better
    value = zero + sign * margin if abs(solid - zero) > 1.5 * margin else zero - sign * margin
    return value if min(fluid, solid) < value < max(fluid, solid) else middle


def critical_temperature(
    k: ArrayLike,
    temperatures: ArrayLike,
    S: ArrayLike,
    density: float,
    fractions: ArrayLike | None = None,
    tolerance: float = 1e-6,
) -> CriticalTemperature:
    """The temperature at which the liquid turns into a glass, from S at several temperatures.

    temperatures (n_T,), at least three, that enclose the transition; S (n_T, n_k, n_s, n_s), or (n_T, n_k) for one
    species, or with an axis of repeats after the first, from independent runs: then their mean is used, and a
    statistical error comes with it; temperatures may be (n_T, repeats) then, the mean ones of these runs in NVE, so
    that their scatter is part of the error. S is interpolated at each wave number as a polynomial in ln T through the
    four temperatures nearest to the transition. tolerance: of T, relative. Raises MCTError.
    """
    all_T, array = _checked_temperatures(temperatures, S)
    T, repeats = all_T.mean(1), array.shape[1]
    mean = array.mean(1)
    phases = [bool(nonergodicity_of(liquid(k, part, density, fractions)).any()) for part in mean]
    glasses = sum(phases)
    if not all(phases[:glasses]) or glasses in (0, len(T)):
        found = ", ".join(f"{t:g} {'glass' if phase else 'liquid'}" for t, phase in zip(T, phases))
        raise MCTError(f"temperatures: {found}; expected glasses below and liquids above one temperature")
    low, high = float(T[glasses - 1]), float(T[glasses])
    near = np.argsort(np.abs(np.log(T / np.sqrt(low * high))))

    def point(T: FloatArray, structures: FloatArray, order: int) -> CriticalPoint:
        nodes = np.sort(near[: order + 1])

        def structure(t: float) -> Structure:
            weights = _lagrange(np.log(T[nodes]), np.log(t))
            return k, np.tensordot(weights, structures[nodes], 1), density, fractions

        # the nodes are where the given S is used as it is; a repeat's own transition may lie beside them
        ends = _bracket(structure, float(T[glasses - 1]), float(T[glasses]), T)
        return critical_point(structure, *ends, tolerance=tolerance * low)

    def variance() -> float:
        """By jackknife at each temperature: runs at different temperatures are independent."""
        if repeats == 1:
            return float("nan")
        total = 0.0
        for node in near[: order + 1]:
            values = []
            for r in range(repeats):
                other_T, other = T.copy(), mean.copy()
                other_T[node] = np.delete(all_T[node], r).mean()
                other[node] = np.delete(array[node], r, axis=0).mean(0)
                values.append(point(other_T, other, order).value)
            total += (repeats - 1) * float(np.var(values))
        return total

    order = min(3, len(T) - 1)
    best = point(T, mean, order)
    lower = point(T, mean, order - 1)
    return CriticalTemperature(best.value, abs(best.value - lower.value), np.sqrt(variance()), best)


def _checked_temperatures(temperatures: ArrayLike, S: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Ascending temperatures, and S, both with an axis of repeats."""
    T: NDArray[np.float64] = np.asarray(temperatures, float)
    array = np.asarray(S, float)
    if T.ndim not in (1, 2) or len(T) < 3 or not (np.isfinite(T).all() and (T > 0).all()) or len(
            np.unique(T[:, 0] if T.ndim == 2 else T)) < len(T):
        raise MCTError(f"temperatures are {T.tolist()}; expected at least three different positive numbers")
    if array.ndim not in (2, 3, 4, 5) or len(array) != len(T):
        raise MCTError(
            f"S has shape {array.shape}; expected ({len(T)}, n_k, n_s, n_s) for {len(T)} temperatures, or "
            f"({len(T)}, repeats, n_k, n_s, n_s), or these without the species' axes"
        )
    if array.ndim in (2, 4):
        array = array[:, None]
    if T.ndim == 1:
        T = np.repeat(T[:, None], array.shape[1], axis=1)
    if T.shape != array.shape[:2]:
        raise MCTError(f"temperatures have shape {T.shape}, S {array.shape}; expected one temperature for each S")
    order = np.argsort(T.mean(1))
    return T[order], array[order]


def _lagrange(nodes: FloatArray, x: float) -> FloatArray:
    """Weights of the polynomial through the nodes at x."""
    return np.array(
        [np.prod([(x - other) / (node - other) for other in nodes if other != node]) for node in nodes]
    )


def _bracket(
    structure: Callable[[float], Structure], low: float, high: float, T: FloatArray
) -> tuple[float, float]:
    """The range low … high, widened over the given temperatures until its lower end is a glass, its upper a liquid."""
    while low > T[0] and not nonergodicity_of(liquid(*structure(low))).any():
        low = float(T[T < low][-1])
    while high < T[-1] and nonergodicity_of(liquid(*structure(high))).any():
        high = float(T[T > high][0])
    return low, high
