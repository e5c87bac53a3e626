"""The published scheme: its formula by hand, its limits, its first-order approach to the direct method."""

import math

import numpy as np
import pytest

from hpctools.tnm.direct import GAS_CONSTANT, scan
from hpctools.tnm.staircase import simulate_staircase

TEN = 10.0 / 60.0  # K/s
AS2SE3 = (-79.21, 38.3e3 * GAS_CONSTANT, 0.57, 0.71)


def by_hand(parameters, cooling, heating, low, high, step, intervals):
    """Equation 4 of the paper, term by term."""
    ln_a, energy, x, beta = parameters
    h = energy / GAS_CONSTANT
    n = round((high - low) / step)
    jumps = [-step] * n + [step] * n
    rates = [cooling] * n + [heating] * n
    temperature, tf, held, result = high, high, [], []
    for m, jump in enumerate(jumps):
        temperature += jump
        held.append(0.0)
        for _ in range(intervals):
            held[m] += step / rates[m] / intervals / math.exp(ln_a + x * h / temperature + (1.0 - x) * h / tf)
            tf = high + sum(jumps[j] * (1.0 - math.exp(-(sum(held[j:]) ** beta))) for j in range(m + 1))
        result.append(tf)
    return np.diff(result[n - 1 :]) / step


@pytest.mark.parametrize("intervals", [1, 3])
def test_formula(intervals):
    signal = simulate_staircase(AS2SE3, [TEN / 3.0], TEN, 420.0, 500.0, 5.0, intervals)
    assert signal.shape == (1, 17)
    assert signal[0, 0] == 0.0
    assert signal[0, 1:] == pytest.approx(
        by_hand(AS2SE3, TEN / 3.0, TEN, 420.0, 500.0, 5.0, intervals), abs=1e-9
    )


def test_paper_program():
    signals = simulate_staircase(AS2SE3, step=2.0)
    assert signals.shape == (6, 926)
    assert np.max(np.abs(signals[:, :50])) < 5e-3
    assert np.max(np.abs(signals[:, -50:] - 1.0)) < 5e-3
    assert np.all(np.diff(signals.max(axis=1)) < 0.0)  # slower cooling, higher peak


def test_first_order_towards_direct():
    errors = []
    for step in (0.5, 0.25, 0.125):
        stairs = simulate_staircase(AS2SE3, [TEN], TEN, 380.0, 520.0, step)[0]
        grid = np.linspace(380.0, 520.0, len(stairs))
        exact = scan(AS2SE3, TEN, TEN, grid, limits=(380.0, 520.0))[0]
        errors.append(np.max(np.abs(stairs - exact)[grid > 385.0]))
    assert errors[0] / errors[1] == pytest.approx(2.0, abs=0.25)
    assert errors[1] / errors[2] == pytest.approx(2.0, abs=0.25)
    assert errors[-1] < 0.02


def test_extrapolated_staircase_is_the_direct_method():
    def stairs(step):
        return simulate_staircase(AS2SE3, [TEN], TEN, 380.0, 520.0, step)[0][:: round(0.5 / step)]

    a, b, c = stairs(0.25), stairs(0.125), stairs(0.0625)
    limit = (8.0 * c - 6.0 * b + a) / 3.0  # removes the errors of first and second order
    grid = np.linspace(380.0, 520.0, len(limit))
    exact = scan(AS2SE3, TEN, TEN, grid, limits=(380.0, 520.0))[0]
    # in hot liquid, where a jump relaxes within its hold, the staircase has no lag and does not extrapolate
    assert np.max(np.abs(limit - exact)[(grid > 385.0) & (grid < 475.0)]) < 2e-4


def test_bad_input():
    with pytest.raises(ValueError, match="whole number"):
        simulate_staircase(AS2SE3, [TEN], TEN, 400.0, 520.0, 0.7)
    with pytest.raises(ValueError, match="rates"):
        simulate_staircase(AS2SE3, [-TEN], TEN, 400.0, 520.0, 0.5)
    with pytest.raises(ValueError, match="beta"):
        simulate_staircase((-79.0, 3e5, 0.5, 1.5))
