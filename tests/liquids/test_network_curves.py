"""F_s as a curve: the delayed time, modes, levels; exact functions, limits, and the shipped records."""

import numpy as np
import pytest

from hpctools.liquids.network import curves
from hpctools.liquids.network.samples import Sample, State

STATE = State("LJ", 1.2, 0.8, np.zeros((100, 3)))


def sample_of(f, times):
    unknown = np.full((len(times), 2), np.nan)
    return Sample(STATE, 7.2, times, np.stack([f, f**2], axis=1), unknown, np.array([2.0, 0.2]), unknown[0], False)


def test_delayed_time():
    t = np.array([0.0, 1e-4, 1e3])
    s = curves.delayed(t, STATE)
    reduced = t * curves.reduced(STATE)
    assert s[0] == 0
    assert s[1] == pytest.approx(reduced[1] ** 2 / (2 * curves.DELAY), rel=1e-5)
    assert s[2] == pytest.approx(reduced[2] - curves.DELAY, rel=1e-6)
    np.testing.assert_allclose(curves.time_of(s, STATE), t, rtol=1e-9)


def test_a_stretched_exponential_is_exact():
    """x at the levels of f = exp(-(s/τ)^b) gives back f, between the levels and beyond the long end."""
    tau, b = 7.0, 0.6
    x = np.concatenate([np.log(tau) + curves.Y / b, np.log(2 * tau) + curves.Y / b])
    t = np.geomspace(0.05, 100, 50)
    s = curves.delayed(t, STATE)
    f = curves.evaluate(x[None], t, STATE)[0]
    inside = s > np.exp(x[0])
    np.testing.assert_allclose(f[inside, 0], np.exp(-((s / tau) ** b))[inside], rtol=1e-9)
    inside = s > np.exp(x[len(curves.Y)])
    np.testing.assert_allclose(f[inside, 1], np.exp(-((s / (2 * tau)) ** b))[inside], rtol=1e-9)


def test_any_numbers_give_a_curve_that_falls_from_one():
    random = np.random.default_rng(1)
    x = random.normal(0, 5, (30, curves.COLUMNS))
    f = curves.evaluate(x, np.concatenate([[0.0], np.geomspace(1e-4, 1e7, 300)]), STATE)
    assert np.all(f[:, 0] == 1)
    assert np.all(np.diff(f, axis=1) <= 1e-12) and np.all(f >= 0)


def test_short_times_fly():
    """Below the first level 1 - f grows with t², whatever the slope of the levels."""
    x = np.tile(np.log(5.0) + curves.Y / 0.5, 2)
    t = np.exp(0.5 * (x[0] - 6 + np.log(2 * curves.DELAY))) / curves.reduced(STATE) * np.array([1.0, 2.0])
    f = curves.evaluate(x[None], t, STATE)[0, :, 0]
    assert (1 - f[1]) / (1 - f[0]) == pytest.approx(4, rel=0.01)


def test_modes_of_two_exponentials():
    t = np.geomspace(1e-3, 300, 60)
    s = curves.delayed(t, STATE)
    f = 0.4 * np.exp(-5 * s) + 0.6 * np.exp(-0.05 * s)
    amplitudes = curves.fit_modes(sample_of(f, t))
    assert np.all(amplitudes >= 0)
    np.testing.assert_allclose(amplitudes.sum(1), 1, atol=1e-12)
    np.testing.assert_allclose(curves.modes(s) @ amplitudes[0], f, atol=3e-3)


def test_levels_and_back():
    t = np.geomspace(1e-3, 300, 60)
    s = curves.delayed(t, STATE)
    f = 0.4 * np.exp(-5 * s) + 0.6 * np.exp(-0.05 * s)
    sample = sample_of(f, t)
    x, _ = curves.levels_of(sample)
    assert np.isfinite(x).all()
    np.testing.assert_allclose(curves.evaluate(x[None], t, STATE)[0], sample.f, atol=6e-3)


def test_levels_in_plain_time():
    """For models of the structure alone: the same curve at the same times, by a clock that knows no temperature."""
    t = np.geomspace(1e-3, 300, 60)
    s = curves.delayed(t, STATE)
    sample = sample_of(0.4 * np.exp(-5 * s) + 0.6 * np.exp(-0.05 * s), t)
    x, least = curves.levels_of(sample, "structure")
    other = State("WCA", 1.8, 9.0, np.zeros((100, 3)))
    np.testing.assert_allclose(curves.evaluate(x[None], t, other, "structure")[0], sample.f, atol=6e-3)
    assert np.exp(least[0]) == pytest.approx(300 - curves.DELAY, rel=1e-4)


def test_a_glass_has_no_late_levels():
    t = np.geomspace(1e-3, 100, 50)
    s = curves.delayed(t, STATE)
    x, least = curves.levels_of(sample_of(0.8 + 0.2 * np.exp(-8 * s), t))
    above = curves.LEVELS > 0.81
    below = curves.LEVELS < 0.79
    assert np.isfinite(x[: len(curves.Y)][above]).all() and np.isnan(x[: len(curves.Y)][below]).all()
    np.testing.assert_allclose(least, np.log(curves.delayed(t[-1:], STATE)[0]))


def test_gaps_of_a_low_rank_table():
    random = np.random.default_rng(2)
    x = random.normal(size=(30, 2)) @ random.normal(size=(2, curves.COLUMNS)) + 1.0
    gaps = x.copy()
    gaps[:4, 60:] = np.nan
    found = curves.imputed(gaps, np.full(x.shape, -np.inf), rank=2, rounds=3000)
    np.testing.assert_allclose(found, x, atol=1e-3)
    bound = np.full(x.shape, 7.0)
    bounded = curves.imputed(gaps, bound, rank=2)
    assert np.all(bounded[:4, 60:] >= 7.0)
    known = np.isfinite(gaps)
    np.testing.assert_array_equal(bounded[known], x[known])


def test_shipped_records_within_their_errors(samples):
    """Neither modes nor levels lose more than the statistical error of a record, or 0.006 where it is smaller."""
    for sample in samples:
        fitted = curves.modes(curves.delayed(sample.times, sample.state)) @ curves.fit_modes(sample).T
        x, least = curves.levels_of(sample)
        levels = curves.evaluate(curves.imputed(x[None], least[None]), sample.times, sample.state)[0]
        allowed = np.maximum(3 * np.nan_to_num(sample.error), 0.006)
        assert np.all(np.abs(fitted - sample.f) < allowed), sample.state.name
        if not sample.glass:
            assert np.all(np.abs(levels - sample.f) < allowed + 0.004), sample.state.name


def test_relaxation_time_of_an_exponential():
    t = np.geomspace(0.01, 100, 400)
    f = np.stack([np.exp(-t / 3), np.exp(-t / 1e4)], axis=1)
    found = curves.relaxation_time(t, f)
    assert found[0] == pytest.approx(3, rel=1e-3) and found[1] == np.inf
    assert curves.relaxation_time(t, np.exp(-t / 1e-3)[:, None])[0] == 0  # before the first time
