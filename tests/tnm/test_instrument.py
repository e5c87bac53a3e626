"""What an instrument adds to a scan: its limits, and the statistics of its noise."""

import numpy as np
import pytest

from hpctools.tnm import Program, instrument, simulate_windows
from hpctools.tnm import reduction as r

EFFECTS = ("noise", "correlation", "lag", "step", "first", "last", "gain", "offset", "tilt", "shift")
PLAIN = dict(noise=0.0, correlation=0.0, lag=0.0, step=0.5, first=400.0, last=600.0, gain=1.0, offset=0.0, tilt=0.0,
             shift=0.0)  # fmt: skip


def measure(cpn, low=300.0, step=0.1, seed=0, **changes):
    """Temperatures and CpN of one measurement of a scan."""
    effects = np.array([{**PLAIN, **changes}[name] for name in EFFECTS])
    longest = 20_000
    t, c = np.empty(longest), np.empty(longest)
    white = np.random.default_rng(seed).standard_normal(longest)
    n = instrument.measure_scan(low, step, np.asarray(cpn, float), effects, white, t, c)
    return t[:n], c[:n]


def rise(t, at=500.0, width=5.0):
    return 0.5 + 0.5 * np.tanh((t - at) / width)


GRID = 300.0 + 0.1 * np.arange(4001)


def test_nothing_added():
    t, c = measure(rise(GRID))
    assert t[0] == 400.0 and t[-1] == pytest.approx(600.0)
    assert c == pytest.approx(rise(t), abs=1e-5)


def test_beyond_the_window():
    """Below the simulated window there is glass, above it liquid."""
    part = GRID[1500:2500]
    t, c = measure(rise(part, width=1.0), low=part[0])
    assert c == pytest.approx(rise(t, width=1.0), abs=1e-4)


def test_lag():
    """A ramp is shifted by Λ, a step decays as exp(-ΔT/Λ), and areas stay."""
    lag = 1.3
    t, c = measure((GRID - 300) / 100, lag=lag)
    assert c == pytest.approx((t - 300 - lag) / 100, abs=1e-6)
    t, c = measure((GRID >= 500).astype(float), lag=lag)
    behind = t > 500.05
    assert 1 - c[behind] == pytest.approx(np.exp(-(t[behind] - 499.95) / lag), abs=2e-3)
    t, c = measure(rise(GRID), lag=lag)
    assert np.trapezoid(c, t) == pytest.approx(600 - 500 - lag, abs=1e-3)


def test_gain_offset_tilt_shift():
    t, c = measure(rise(GRID), gain=1.02, offset=0.01, tilt=0.02, shift=0.3)
    true = t - 0.3
    assert c == pytest.approx(1.02 * rise(true) + 0.01 + 0.02 * (true - 500) / 100, abs=1e-4)


def test_noise():
    """Standard deviation and autocorrelation exp(-ΔT/ℓ)."""
    t, c = measure(np.zeros(10), noise=0.01, correlation=2.0, first=1000.0, last=2900.0)
    noise = c - 1  # above the window: liquid
    assert noise.std() == pytest.approx(0.01, rel=0.1)
    for points in (5, 20):
        together = np.mean(noise[points:] * noise[:-points]) / noise.var()
        assert together == pytest.approx(np.exp(-(t[points] - t[0]) / 2.0), abs=0.1)


def test_population():
    """Scans of an instrument lie where their effects say, are reproducible, and repeat with other noise."""
    parameters = np.array([[-79.21, 318_444, 0.57, 0.71], [-133.0, 355_850, 0.42, 0.58]])
    program = Program()
    windows = simulate_windows(parameters, program)
    clean, _ = r.reduce_windows(windows, program)
    found = []
    for seed in (1, 1, 2):
        rng = np.random.default_rng(seed)
        effects = instrument.draw_effects(rng, clean, 10 / 60, instrument.Instruments(), clean[:, :, 0] > 0)
        reduced, status = instrument.measure_windows(windows, program, effects, rng)
        assert (status == r.STATUS_OK).all()
        assert (effects.first < clean[:, :, r.AT_LEVELS + r.HALF]).all()
        moved = reduced[:, :, r.AT_LEVELS + r.HALF] - clean[:, :, r.AT_LEVELS + r.HALF] - effects.lag - effects.shift
        assert np.abs(moved).max() < 0.12 * clean[:, :, r.WIDTH].max()
        found.append(reduced)
    assert np.array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])
