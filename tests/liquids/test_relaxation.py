"""The relaxation clock against motion whose F_s is known."""

import math

import numpy as np
import pytest

from hpctools.liquids.relaxation import RelaxationClock


def diffuse(clock: RelaxationClock, steps: int, rng: np.random.Generator, start: float = 0.0,
            positions: np.ndarray | None = None) -> np.ndarray:
    """Brownian motion with D = 0.01 and dt = 0.5 under the clock."""
    positions = np.zeros((4000, 3)) if positions is None else positions
    for step in range(steps):
        clock.look(start + 0.5 * step, positions)
        positions = positions + rng.normal(0, math.sqrt(2 * 0.01 * 0.5), positions.shape)
    return positions


def test_brownian_motion():
    clock = RelaxationClock(2.0)
    diffuse(clock, 1500, np.random.default_rng(1))
    exact = 1 / (2.0**2 * 0.01)  # F_s = exp(-k² D t)
    assert clock.count == pytest.approx(750 / exact, abs=2)
    assert clock.relaxation_time(750) == pytest.approx(exact, rel=0.05)


def test_frozen_motion_and_drift_never_relax():
    clock = RelaxationClock(7.25)
    positions = np.random.default_rng(2).uniform(0, 10, (100, 3))
    for step in range(100):
        clock.look(step, positions + 0.3 * step)  # the whole box drifts
    assert clock.count == 0
    assert math.isnan(clock.relaxation_time(100))


def test_a_liquid_that_slows_down():
    """Fast relaxations of the beginning do not count; one that goes on does when it is slower."""
    state = {"times": [1.0] * 10 + [30.0, 40.0, 50.0], "origin": np.zeros((4, 3)), "origin_time": 130.0}
    clock = RelaxationClock(7.25, state)
    assert clock.count == 13
    assert clock.relaxation_time(130.0) == pytest.approx(45)
    assert clock.relaxation_time(170.0) == pytest.approx(50)  # the later half began at 85: 40 ended at 80
    assert clock.relaxation_time(220.0) == pytest.approx((50 + 90) / 2)
    assert clock.relaxation_time(1130.0) == pytest.approx((50 + 1000) / 2)  # none ended in the later half: the last


def test_goes_on_from_its_state():
    whole, first = RelaxationClock(2.0), RelaxationClock(2.0)
    diffuse(whole, 600, np.random.default_rng(3))
    rng = np.random.default_rng(3)
    positions = diffuse(first, 333, rng)
    second = RelaxationClock(2.0, first.state())
    diffuse(second, 267, rng, 0.5 * 333, positions)
    assert second.times == pytest.approx(whole.times)
