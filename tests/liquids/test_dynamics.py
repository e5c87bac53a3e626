"""Correlation functions in time of motions whose statistics are known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from hpctools.liquids.averages import crossing, drift
from hpctools.liquids.dynamics import (
    Dynamics,
    Origin,
    ageing,
    block_lags,
    diffusion,
    non_gaussian,
    relaxation_time,
    wave_numbers,
)
from hpctools.liquids.frames import Schedule
from hpctools.liquids.scattering import cpu
from hpctools.liquids.wavevectors import shells

LENGTH = 6.0
K = np.array([1.0, 3.0, 7.25])
SCHEDULE = Schedule(0.01, 20, (0, 1, 3, 7, 13), 32)


def followed(positions: Callable[[int], np.ndarray], bounds: np.ndarray, schedule: Schedule = SCHEDULE) -> Dynamics:
    """The averages over all lags and origins of a motion, as `observe.measure` gathers them."""
    found = Dynamics(schedule, K, shells(LENGTH, 0.5, 6.0, 60, 1), len(bounds) - 1, cpu)
    starts: list[Origin] = []

    def seen(step: int) -> Origin:
        x = positions(step)
        return Origin(x - x.mean(axis=0), cpu.densities(x / LENGTH, bounds, found.shells.n))

    for step in schedule.steps():
        block, offset = divmod(int(step), schedule.block_steps)
        now = seen(int(step))
        if offset == 0:
            for earlier, origin in enumerate(starts):
                if block - earlier in found.row_of_lag:
                    found.add(found.row_of_lag[block - earlier], earlier, origin, now, bounds)
            starts.append(now)
        if block < schedule.n_blocks:
            found.add(schedule.offsets.index(offset), block, starts[-1], now, bounds)
    return found


def test_lags_and_origins():
    found = Dynamics(SCHEDULE, K, shells(LENGTH, 0.5, 6.0, 60, 1), 2, cpu)
    assert np.allclose(found.times[:5], [0, 0.01, 0.03, 0.07, 0.13]) and found.times[5] == pytest.approx(0.2)
    assert found.times[-1] == pytest.approx(6.4) and np.all(np.diff(found.times) > 0)
    assert list(found.n_origins[:6]) == [32] * 6 and found.n_origins[-1] == 1
    assert list(block_lags(64)) == [1, 2, 3, 4, 5, 7, 9, 12, 16, 21, 28, 37, 49, 64]
    k = wave_numbers(1.2)
    assert np.all(np.diff(k) > 0) and {7.25, 5.55, 20.0} <= set(k) and np.isclose(k, 7.25 * 1.14).any()


def test_ballistic_gas():
    """F_s = exp(-k²Tt²/2m) and ⟨r²⟩ = 3Tt²/m, within what 40,000 particles scatter (Hansen & McDonald, section 7.4)."""
    rng = np.random.default_rng(11)
    start, velocity = rng.uniform(0, LENGTH, (40000, 3)), rng.normal(scale=np.sqrt(1.7), size=(40000, 3))
    bounds = np.array([0, 32000, 40000])
    schedule = Schedule(0.01, 10, (0, 3), 4)
    found = followed(lambda step: start + velocity * step * schedule.dt, bounds, schedule)
    f = found.mean(found.self_part)
    for species, n in enumerate(np.diff(bounds)):
        for row, t in enumerate(found.times[1:], 1):
            expected = np.exp(-(K**2) * 1.7 * t**2 / 2)
            # sin(kr)/kr has at most the variance of cos(k·r)
            allowed = 4.5 * np.sqrt((1 + np.exp(-2 * K**2 * 1.7 * t**2)) / 2 - expected**2 + 1e-12) / np.sqrt(n)
            assert np.all(np.abs(f[row, species, :3] - expected) < allowed)
            assert f[row, species, 3] == pytest.approx(3 * 1.7 * t**2, rel=5 * np.sqrt(2 / 3 / n))


def test_brownian_motion(brownian):
    """F_s = exp(-k²Dt), ⟨r²⟩ = 6Dt, α_2 = 0 within the errors, which the spread of 24 runs confirms."""
    bounds = np.array([0, 30, 40])
    runs = [followed(brownian(40, LENGTH, SCHEDULE, 0.4, seed), bounds) for seed in range(24)]
    factor = 1 - 1 / 40  # relative to the centre of mass of 40
    times = runs[0].times
    f = np.array([run.mean(run.self_part) for run in runs])
    error = np.array([run.error(run.self_part) for run in runs])
    known = np.isfinite(error[0, :, 0, 0]) & (times > 0)
    assert list(runs[0].times[~known]) == [0.0, *runs[0].times[runs[0].times > 1.5]]
    claimed, spread = np.sqrt(np.mean(error**2, axis=0)), f.std(axis=0, ddof=1)
    ratio = (claimed[known] / spread[known])[..., :4]
    assert 0.8 < np.median(ratio) < 1.2 and np.all((ratio > 0.4) & (ratio < 2.0))
    mean, scatter = f.mean(axis=0), spread / np.sqrt(24)
    late = times > 0
    for j, k in enumerate(K):
        z = (mean[late, :, j] - np.exp(-(k**2) * 0.4 * factor * times[late])[:, None]) / scatter[late, :, j]
        assert np.abs(z).max() < 5
    z = (mean[late, :, 3] - 6 * 0.4 * factor * times[late, None]) / scatter[late, :, 3]
    assert np.abs(z).max() < 5
    alpha = non_gaussian(mean[late, :, 3], mean[late, :, 4])
    assert np.abs(alpha[:6]).max() < 0.02
    d = np.array([diffusion(times, f[i, :, 0, 3], error[i, :, 0, 3]) for i in range(24)])
    d = d[np.isfinite(d[:, 0])]  # the exponent of a short run may be off by more than 0.1
    assert len(d) >= 18
    assert d[:, 0].mean() == pytest.approx(0.4 * factor, abs=4 * d[:, 0].std() / np.sqrt(len(d)))
    assert 0.4 < np.sqrt(np.mean(d[:, 1] ** 2)) / d[:, 0].std() < 2.5


def test_collective_functions_of_free_particles(brownian):
    """Without interactions the coherent function is the self part: F_ab(k,t) = x_a δ_ab F_s."""
    bounds = np.array([0, 240, 300])
    found = followed(brownian(300, LENGTH, SCHEDULE, 0.4, 5), bounds)
    f, error = found.mean(found.collective), found.error(found.collective)
    for row, t in enumerate(found.times[:8]):
        decay = np.exp(-(found.shells.mean_k[2:] ** 2) * 0.4 * t)
        z = (f[row, 2:] - decay[:, None] * [0.8, 0.0, 0.2]) / error[row, 2:]
        assert np.abs(z).max() < 6 and np.mean(z**2) < 3


def test_halves_tell_an_ageing_run(brownian):
    """χ² a point is near 1 for a stationary run and large where the motion slows down by half."""
    bounds = np.array([0, 160, 200])
    for d, low, high in ((0.4, 0.05, 4.0), (lambda step: 0.4 if step <= 320 else 0.2, 6.0, np.inf)):
        found = followed(brownian(200, LENGTH, SCHEDULE, d, 3), bounds)
        halves = found.halves(found.self_part)
        chi, points = ageing(found.times, halves[:, :, :, 1], found.error(found.self_part)[:, :, 1])
        assert points > 8 and low < chi < high
    first, second = halves[:, 5, 0, 3]  # ⟨r²⟩ at 0.2
    assert first / second == pytest.approx(2, rel=0.15)
    assert np.isnan(halves[:, found.times > 3.3]).all()
    assert np.isnan(ageing(found.times, np.ones((2, 17, 2)), np.zeros((17, 2)))[0])


def test_relaxation_time():
    times = np.concatenate([[0.0], np.logspace(-2, 2, 33)])
    error = np.full(34, 0.01)
    for tau, beta in ((3.3, 1.0), (0.7, 0.6)):
        found, its_error = relaxation_time(times, np.exp(-((times / tau) ** beta)), error)
        assert found == pytest.approx(tau, rel=2e-3)
        assert its_error == pytest.approx(0.01 * np.e / beta * tau, rel=0.1)
    assert np.isnan(relaxation_time(times, np.full(34, 0.9), error)).all()
    assert np.isnan(relaxation_time(times, np.exp(-times), np.full(34, np.nan))[1])
    assert np.isnan(crossing(times[1:3], np.array([0.9, 0.1]), error[:2], 0.5)).all()


def test_no_diffusion_in_a_glass():
    """⟨r²⟩ on a plateau or growing as t^½ gives NaN."""
    t = np.logspace(-2, 2, 33)
    for square in (0.05 * t**0, 2 * t**0.5, 0.02 + 0.001 * t):
        assert np.isnan(diffusion(t, square, 0.01 * square)).all()
    assert diffusion(t, 1 + 6 * 0.2 * t, 0.02 * t)[0] == pytest.approx(0.2, rel=1e-6)


def test_drift():
    rng = np.random.default_rng(4)
    x = np.arange(640) / 640
    found = np.array([drift(0.3 * x + rng.normal(size=640)) for _ in range(200)])
    assert found[:, 0].mean() == pytest.approx(0.3, abs=4 * found[:, 0].std() / np.sqrt(200))
    assert np.sqrt(np.mean(found[:, 1] ** 2)) == pytest.approx(found[:, 0].std(), rel=0.2)
    assert np.isnan(drift(x[:3])).all()
