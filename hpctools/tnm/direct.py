"""Direct solution of the Tool-Narayanaswamy-Moynihan equations with the kernel exp(-xi**beta) itself.

The slow second method by which the fast solver is judged. It shares nothing with it: no sum of exponentials,
no fixed step. The equations (Narayanaswamy 1971; Moynihan et al. 1976; Hodge, J. Non-Cryst. Solids 169, 211
(1994)) are

    ln tau(T, Tf) = ln A + x H/T + (1 - x) H/Tf,              H = activation energy / R  [K]
    Tf(t)  = T(t) - int exp[-(xi(t) - xi(t'))**beta] dT(t'),  dxi = dt/tau
    dTf/dt = (1/tau) int beta u**(beta-1) exp(-u**beta) dT(t'),  u = xi(t) - xi(t')

so that CpN = dTf/dT is an integral of its own, not a finite difference of Tf.

Numerics. Within a step ln tau is the cubic Hermite polynomial of its values and slopes at the two nodes.
Every past step is represented by five Gauss points in T', each with its own reduced age u; at every step the
step's own increment of xi is *added* to all ages, so an age is a sum of positive numbers from the present
backwards and loses no digits (as a difference of running sums from the hot start it would lose all of them).
The last step, where the kernel is singular, is integrated with u graded as v**(3/beta). Steps follow ln tau:
|d ln tau| <= 1/resolution, also in bursts on heating, and shrink where a quadratic prediction fails. The
method is of fourth order in the step, its cost O(N**2). Ages with u**beta > 45 are dropped.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hpctools.tnm._direct_kernel import hermite_slope, march
from hpctools.tnm.model import GAS_CONSTANT

LOWEST, HIGHEST = 23.15, 1873.15  # K, the limits -250 and 1600 degrees Celsius of the program
Array = NDArray[np.float64]

__all__ = ["History", "reference_temperature", "scan", "solve", "window"]


@dataclass(frozen=True)
class History:
    """Nodes of a solution, each array (nodes,).

    time [s], temperature and fictive_temperature [K], slope = dTf/dt [K/s], which does not jump where the
    rate does, and the number of the segment that each node ends or lies in (the first node is the start).
    """

    time: Array
    temperature: Array
    fictive_temperature: Array
    slope: Array
    segment: NDArray[np.int64]


def _checked(parameters: ArrayLike) -> tuple[float, float, float, float]:
    values = np.asarray(parameters, dtype=float)
    if values.shape != (4,) or not np.all(np.isfinite(values)):
        raise ValueError(
            f"parameters must be four finite numbers (ln A, J/mol, x, beta), found {parameters!r}"
        )
    ln_a, energy, x, beta = (float(v) for v in values)
    if energy <= 0.0:
        raise ValueError(f"activation energy must be positive [J/mol], found {energy}")
    for name, value in (("x", x), ("beta", beta)):
        if not 0.0 < value <= 1.0:
            raise ValueError(f"{name} must lie in (0, 1], found {value}")
    return ln_a, energy / GAS_CONSTANT, x, beta


def reference_temperature(parameters: ArrayLike, tau: float = 100.0) -> float:
    """Temperature [K] at which the equilibrium relaxation time is tau [s]: (H/R) / (ln tau - ln A).

    Raises ValueError if ln A >= ln tau: there is none.
    """
    ln_a, h, _, _ = _checked(parameters)
    if ln_a >= math.log(tau):
        raise ValueError(
            f"ln A = {ln_a} leaves no temperature with tau = {tau} s; expected less than {math.log(tau):.3f}"
        )
    return h / (math.log(tau) - ln_a)


def window(parameters: ArrayLike, widen: float = 1.0) -> tuple[float, float]:
    """Temperatures [K] (low, high) between which there is something to solve, clipped to -250 … 1600 C.

    With T100 the temperature of tau = 100 s, F = H/T100, w0 = T100/F: low = T100/(1 + (10 + 12/beta)/(x F)),
    high = T100 + (11 + 4/beta + 3/x) w0, since a glass superheated at small x lasts up to T100 + 2.4 w0/x (at
    x = 0.1 a window of (14 + 4/beta) w0 ends before its burst). `widen` multiplies both excesses. A window
    2.5 times wider changes CpN by less than 2e-6 in ordinary scans, Tf' by less than 4e-5 K.
    """
    _, h, x, beta = _checked(parameters)
    t100 = reference_temperature(parameters)
    f = h / t100
    low = t100 / (1.0 + widen * (10.0 + 12.0 / beta) / (x * f))
    high = t100 + widen * (11.0 + 4.0 / beta + 3.0 / x) * t100 / f
    return max(low, LOWEST), min(high, HIGHEST)


def solve(
    parameters: ArrayLike,
    rates: ArrayLike,
    durations: ArrayLike,
    start_temperature: float,
    start_fictive: float | None = None,
    resolution: float = 8.0,
) -> History:
    """Solve a program of ramps and holds, starting in equilibrium or just after a temperature jump.

    parameters   (4,): ln A (A in s), activation energy [J/mol], x, beta
    rates        (m,): dT/dt of each segment [K/s], negative on cooling, 0 for a hold
    durations    (m,): [s]
    start_fictive  Tf [K] at the start: equilibrium there, then a jump to start_temperature at t = 0
    resolution   steps per e-fold of tau
    """
    ln_a, h, x, beta = _checked(parameters)
    q = np.atleast_1d(np.asarray(rates, dtype=float))
    dt = np.atleast_1d(np.asarray(durations, dtype=float))
    if q.shape != dt.shape or q.ndim != 1 or not np.all(np.isfinite(q)) or not np.all(dt > 0.0):
        raise ValueError("rates and durations must be of one length, finite, and durations positive")
    if resolution < 1.0:
        raise ValueError(f"resolution must be at least 1 step per e-fold of tau, found {resolution}")
    lowest = start_temperature + min(0.0, float(np.min(np.cumsum(q * dt))))
    if lowest <= 0.0:
        raise ValueError(f"the program goes down to {lowest} K; expected more than 0 K")
    tf0 = start_temperature if start_fictive is None else start_fictive
    size = 4096
    while True:
        nodes, count = march(ln_a, h, x, beta, q, dt, start_temperature, tf0, 1.0 / resolution, size)
        if count >= 0:
            break
        if size > 10_000_000 or count == -2:
            raise RuntimeError(
                f"no convergence of the direct method at parameters {parameters!r}, resolution "
                f"{resolution}; try a larger resolution"
            )
        size *= 4
    nodes = nodes[:, :count]
    return History(nodes[0], nodes[1], nodes[2], nodes[3], nodes[4].astype(np.int64))


def scan(
    parameters: ArrayLike,
    cooling_rate: float,
    heating_rate: float,
    temperatures: ArrayLike | None = None,
    resolution: float = 8.0,
    limits: tuple[float, float] | None = None,
    estimate_error: bool = False,
) -> tuple[Array, float, dict[str, Any]]:
    """One cycle: equilibrium at T_hi, cool to T_lo, heat to T_hi; CpN = dTf/dT of the heating scan.

    parameters     (4,): ln A (A in s), activation energy [J/mol], x, beta
    cooling_rate, heating_rate   [K/s], both positive
    temperatures   (n,) grid [K]; default -250 … 1600 degrees Celsius in steps of 0.1
    resolution     steps per e-fold of tau
    limits         (T_lo, T_hi) [K]; default `window(parameters)`. CpN is 0 below and 1 above.
    estimate_error solve again at twice the resolution, return that, and the differences as `error_*`

    Returns CpN (n,), Tf' = Tf at T_lo [K], and a dict: peak, peak_temperature [K] (of the continuous curve),
    area = int CpN dT [K] = Tf(T_hi) - Tf', limits, and the heating nodes: nodes (their
    number), node_temperature [K], node_cpn.
    """
    if not (cooling_rate > 0.0 and heating_rate > 0.0):
        raise ValueError(
            f"rates must be positive [K/s], found cooling {cooling_rate}, heating {heating_rate}"
        )
    grid = (
        np.linspace(LOWEST, HIGHEST, 18501) if temperatures is None else np.asarray(temperatures, dtype=float)
    )
    low, high = window(parameters) if limits is None else limits
    if not 0.0 < low < high:
        raise ValueError(f"limits must satisfy 0 < T_lo < T_hi, found {low}, {high} K")
    depth = high - low
    history = solve(
        parameters,
        [-cooling_rate, heating_rate],
        [depth / cooling_rate, depth / heating_rate],
        high,
        resolution=resolution,
    )
    turn = int(np.searchsorted(history.segment, 1)) - 1
    t = history.temperature[turn:]
    tf = history.fictive_temperature[turn:]
    cpn = history.slope[turn:] / heating_rate  # dTf/dt does not jump where the rate does
    inside = (grid >= low) & (grid <= high)
    signal = np.where(grid > high, 1.0, 0.0)
    signal[inside] = hermite_slope(t, tf, cpn, grid[inside])
    best = int(np.argmax(cpn))
    fine = np.linspace(t[max(best - 1, 0)], t[min(best + 1, len(t) - 1)], 2001)
    around = hermite_slope(t, tf, cpn, fine)
    info: dict[str, Any] = {
        "peak": float(around.max()),
        "peak_temperature": float(fine[int(around.argmax())]),
        "area": float(tf[-1] - tf[0]),
        "limits": (low, high),
        "nodes": len(t),
        "node_temperature": t,
        "node_cpn": cpn,
    }
    limiting = float(tf[0])
    if not estimate_error:
        return signal, limiting, info
    finer, limiting2, info2 = scan(
        parameters, cooling_rate, heating_rate, grid, 2.0 * resolution, (low, high)
    )
    info2["error_cpn"] = float(np.max(np.abs(finer - signal), initial=0.0))
    info2["error_limiting"] = abs(limiting2 - limiting)
    info2["error_peak_temperature"] = abs(info2["peak_temperature"] - info["peak_temperature"])
    info2["error_area"] = abs(info2["area"] - info["area"])
    return finer, limiting2, info2
