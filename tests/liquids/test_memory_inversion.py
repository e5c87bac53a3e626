"""M(t) from F(t) by Prony fit and exact Laplace inversion, and point by point."""

from __future__ import annotations

import numpy as np
import pytest

from hpctools.liquids import memory
from hpctools.liquids.memory import MemoryFunctionError, StretchedSum
from hpctools.liquids.memory.inversion import laplace_inversion

T = np.geomspace(0.01, 1000.0, 100)
TWO = StretchedSum(0.0, [10.0, 2.0], [0.5, 20.0], [1.0, 1.0])
F = memory.solve(1.0, TWO, T, dynamics="overdamped", block=256).F
LARGE = TWO(T) > 0.01 * 12.0


def test_laplace_inversion_is_exact():
    """The memory of a sum of exponentials gives it back, with its plateau: any positive a and r."""
    rates, amplitudes = np.array([0.0, 0.2, 1.0, 7.0]), np.array([0.3, 0.2, 0.4, 0.1])
    s, g, slope = laplace_inversion(rates, amplitudes)
    assert (g > 0).all() and s[0] == 0 and g[0] == pytest.approx(0.3 / 0.7)
    assert ((s[1:] > rates[1:-1]) & (s[1:] < rates[2:])).all(), "poles interlace"
    t = np.concatenate([[0.0], np.geomspace(1e-2, 100, 50)])
    again = memory.solve(slope, lambda x: slope * np.exp(-np.multiply.outer(x, s)) @ g, t, dynamics="overdamped").F
    np.testing.assert_allclose(again, np.exp(-np.multiply.outer(t, rates)) @ amplitudes, atol=2e-5)


@pytest.mark.parametrize(("noise", "limit"), [(0.0, 0.01), (1e-3, 0.05), (5e-3, 0.12)])
def test_prony(noise: float, limit: float):
    """A known memory of two exponentials, where it is above 1 % of M(0), without and with noise of F."""
    rng = np.random.default_rng(1)
    noisy = F + noise * rng.standard_normal(len(T))
    found = memory.invert(T, noisy, omega2=1.0, dynamics="overdamped", F0=1.0, error=noise or None)
    assert np.abs(found.M / TWO(T) - 1)[LARGE].max() < limit
    assert abs(found.instant) < 1e-6
    np.testing.assert_allclose(found(T), found.M, rtol=1e-10)


def test_without_omega2_it_is_in_its_units():
    """M/Ω², all that F fixes."""
    plain = memory.invert(T, F, omega2=1.0, dynamics="overdamped", F0=1.0).M
    np.testing.assert_allclose(memory.invert(T, F, F0=1.0).M[LARGE], plain[LARGE], rtol=0.05)


def test_newtonian():
    """From 1/Ω on M is found; what is faster shows as its integral, a friction."""
    known = StretchedSum(0.0, [800.0, 90.0], [0.04, 3.0], [2.0, 0.6])
    t = np.geomspace(0.004, 300.0, 90)
    curve = memory.solve(50.0, known, t, block=256).F
    found = memory.invert(t, curve, omega2=50.0, F0=1.0)
    late = (t > 2 * found.valid_from) & (known(t) > 0.01 * known(np.array([found.valid_from]))[0])
    assert np.abs(found.M / known(t) - 1)[late].max() < 0.1
    friction = 800.0 * 0.04 * np.sqrt(np.pi) / 2
    assert found.instant == pytest.approx(friction, rel=0.2)


def test_plateau():
    """F(∞)/F(0) = c/(Ω² + c) of a glass."""
    known = StretchedSum(3.0, [10.0], [1.0], [1.0])
    curve = memory.solve(1.0, known, T, dynamics="overdamped", block=256).F
    found = memory.invert(T, curve, omega2=1.0, dynamics="overdamped", F0=1.0)
    assert found.memory_rates[0] == 0 and found.memory_amplitudes[0] == pytest.approx(3.0, rel=1e-3)


@pytest.mark.parametrize(("dynamics", "limit"), [("overdamped", 0.05), ("newtonian", 0.15)])
def test_points(dynamics: str, limit: float):
    """Point by point, without noise: nothing is known of M."""
    known = TWO if dynamics == "overdamped" else StretchedSum(0.0, [300.0, 60.0], [0.05, 3.0], [1.6, 0.6])
    omega2 = 1.0 if dynamics == "overdamped" else 42.0
    curve = memory.solve(omega2, known, T, dynamics=dynamics, block=256).F
    found = memory.invert(T, curve, omega2=omega2, dynamics=dynamics, F0=1.0, method="points")
    middle = (known(found.t) > 0.02 * known.initial) & (found.t > 0.03)
    assert np.abs(found.M / known(found.t) - 1)[middle].max() < limit


def test_points_magnify_noise():
    """Noise of 1e-3 is magnified a thousandfold and more where times are close, less where they are wide apart."""
    noisy = F + 1e-3 * np.random.default_rng(2).standard_normal(len(T))
    errors = []
    for ratio, t_from in ((1.0, 0.0), (1.5, 0.1)):
        found = memory.invert(T, noisy, omega2=1.0, dynamics="overdamped", F0=1.0, method="points", ratio=ratio,
                              t_from=t_from)
        used = TWO(found.t) > 0.05 * 12
        errors.append(float(np.sqrt(np.mean((found.M / TWO(found.t) - 1)[used] ** 2))))
    assert errors[0] > 1.0 > 0.3 > errors[1]


@pytest.mark.parametrize(("change", "message"), [
    ({"method": "fourier"}, "expected prony or points"),
    ({"omega2": None, "method": "points"}, "omega2 is missing"),
    ({"omega2": 0.0}, "omega2 = 0.0"),
    ({"F": np.ones(100), "omega2": None}, "does not decay"),
    ({"F": np.where(np.arange(100) == 2, np.inf, 0.5)}, r"F\[2\] = inf"),
    ({"t_from": 990.0}, "1 of 100 times"),
])  # fmt: skip
def test_bad_input(change: dict, message: str):
    """The place is named."""
    given = {"F": F, "omega2": 1.0, "dynamics": "overdamped", "F0": 1.0} | change
    with pytest.raises(MemoryFunctionError, match=message):
        memory.invert(T, given.pop("F"), **given)
