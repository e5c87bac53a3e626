"""The published scheme of the TNM simulation, `scheme="staircase"`: temperature jumps and isothermal holds.

For comparison with codes that use it, and for timing; never as the truth. Equations 4 and 5 of
Mater. Chem. Phys. 329 (2025) 130107, after Hodge, J. Non-Cryst. Solids 169, 211 (1994):

    Tf,n = T0 + sum_{j<=n} dT_j {1 - exp[-(sum_{k=j..n} dt_k/tau_k)**beta]},    dt_k = |dT_k|/q_k
    CpN,n = (Tf,n - Tf,n-1)/dT

tau_k is explicit: it takes the temperature after jump k and the Tf before it; with `intervals` > 1 the hold
is cut into equal parts and Tf and tau are evaluated at the end of each. The error is of first order in dT;
the sums make it O(N**2) in the number of jumps N (37,000 a cycle over -250 … 1600 degrees Celsius at 0.1 K).
The reduced times are summed from the present backwards, which loses no digits.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from .model import GAS_CONSTANT

HEATING_RATE = 10.0 / 60.0  # K/s
COOLING_RATES = tuple(q / 60.0 for q in (0.5, 1.0, 2.0, 5.0, 10.0, 20.0))  # K/s, the paper's table 1

__all__ = ["COOLING_RATES", "HEATING_RATE", "simulate_staircase"]


@njit(cache=True)
def _cycle(
    ln_a: float,
    h: float,
    x: float,
    beta: float,
    t_high: float,
    steps: int,
    jump: float,
    hold_cool: float,
    hold_heat: float,
    intervals: int,
) -> np.ndarray:
    """Tf after every hold of one cycle, (2 steps + 1,): `steps` jumps down from t_high, then as many up."""
    total = 2 * steps
    part = np.empty(total * intervals)  # dt/tau of every part of every hold
    tf = np.empty(total + 1)
    tf[0] = t_high
    for n in range(total):
        down = n < steps
        temperature = t_high - jump * (n + 1) if down else t_high - jump * (2 * steps - n - 1)
        dt = (hold_cool if down else hold_heat) / intervals
        now = tf[n]
        for i in range(intervals):
            part[n * intervals + i] = dt * math.exp(-(ln_a + x * h / temperature + (1.0 - x) * h / now))
            xi = 0.0
            now = t_high
            for k in range(n * intervals + i, -1, -1):
                xi += part[k]
                if k % intervals == 0:
                    change = -jump if k // intervals < steps else jump
                    now += change * (1.0 - math.exp(-(xi**beta)))
        tf[n + 1] = now
    return tf


def simulate_staircase(
    parameters: ArrayLike,
    cooling_rates: ArrayLike = COOLING_RATES,
    heating_rates: ArrayLike = HEATING_RATE,
    low: float = 23.15,
    high: float = 1873.15,
    step: float = 1.0,
    intervals: int = 1,
) -> NDArray[np.float64]:
    """CpN of the heating scans by the published scheme, (n_rates, n_points), at low, low + step, …, high.

    parameters     (4,): ln A (A in s), activation energy [J/mol], x, beta
    cooling_rates  (n_rates,) [K/s]; heating_rates (n_rates,) or one for all [K/s]
    low, high      limits of every cycle [K]; every cooling starts in equilibrium at high
    step           temperature jump [K]; high - low must be a whole number of them
    intervals      parts of a hold after each of which Tf and tau are evaluated anew (cost: its square)

    The value at a point belongs to the end of the hold at that temperature; the first point, before any
    jump of the heating, is 0. Cost: 2 (N intervals)**2 terms a cycle, N = (high - low)/step.
    """
    values = np.asarray(parameters, dtype=float)
    if values.shape != (4,) or not np.all(np.isfinite(values)):
        raise ValueError(
            f"parameters must be four finite numbers (ln A, J/mol, x, beta), found {parameters!r}"
        )
    ln_a, energy, x, beta = (float(v) for v in values)
    if energy <= 0.0 or not 0.0 < x <= 1.0 or not 0.0 < beta <= 1.0:
        raise ValueError(f"expected activation energy > 0, 0 < x <= 1, 0 < beta <= 1; found {parameters!r}")
    cooling = np.atleast_1d(np.asarray(cooling_rates, dtype=float))
    heating = np.broadcast_to(np.asarray(heating_rates, dtype=float), cooling.shape)
    if not (np.all(cooling > 0.0) and np.all(heating > 0.0)):
        raise ValueError("cooling and heating rates must be positive [K/s]")
    if not (step > 0.0 and 0.0 < low < high and intervals >= 1):
        raise ValueError(
            f"expected 0 < step, 0 < low < high, 1 <= intervals; found {step}, {low}, {high}, {intervals}"
        )
    steps = round((high - low) / step)
    if abs(steps * step - (high - low)) > 1e-6 * step:
        raise ValueError(f"high - low = {high - low} K is not a whole number of steps of {step} K")
    signals = np.zeros((len(cooling), steps + 1))
    for i in range(len(cooling)):
        tf = _cycle(
            ln_a,
            energy / GAS_CONSTANT,
            x,
            beta,
            high,
            steps,
            step,
            step / cooling[i],
            step / heating[i],
            intervals,
        )
        signals[i, 1:] = np.diff(tf[steps:]) / step
    return signals
