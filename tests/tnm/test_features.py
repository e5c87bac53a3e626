"""Features of scans: analytic curves, and the exact properties of the model."""

import numpy as np
import pytest

from hpctools.tnm import Program, simulate_windows
from hpctools.tnm.features import cooling_rate_law, features, fictive_temperature, first_crossing, peak
from hpctools.tnm.materials import MATERIALS

GRID = np.arange(2001) * 0.1 - 50.0  # °C


@pytest.fixture(scope="module")
def materials():
    """All materials: signals (n, 6, points) in float64, and what the simulator knows of them."""
    result = simulate_windows(np.array([m.parameters for m in MATERIALS]), dtype=np.float64)
    return np.stack([result.full(i) for i in range(len(result))]), result.summary


def overshoot(height, at, width):
    """A step at at − 2 width, smooth over 0.1 K, below a Gaussian."""
    step = 0.5 * (1 + np.tanh((GRID - (at - 2 * width)) / 0.1))
    return 0.999 * step + height * np.exp(-0.5 * ((GRID - at) / width) ** 2)


def test_triangle():
    # 0 below 0 °C, up to 3 at 30 °C, down to 1 at 50 °C: crosses 1 at 10 °C
    cpn = np.interp(GRID, [0.0, 30.0, 50.0], [0.0, 3.0, 1.0])
    found = features(GRID, cpn)
    assert found.cpn_max == pytest.approx(3.0, abs=0.04)
    assert found.t_peak == pytest.approx(30.0, abs=0.05)
    assert found.width == pytest.approx(20.0, abs=0.05)
    assert found.ratio == pytest.approx(3.0 / 20.0, rel=0.01)
    assert found.tf_area == pytest.approx(150.0 - (45.0 + 40.0 + 100.0), abs=1e-9)


@pytest.mark.parametrize("at", [20.0, 20.03, 20.05, 20.09])
def test_peak_between_points(at):
    curve = 4 * np.exp(-0.5 * ((GRID - at) / 0.5) ** 2)
    height, where = peak(GRID, curve)
    assert height == pytest.approx(4.0, rel=2e-4)
    assert where == pytest.approx(at, abs=2e-3)


def test_crossing_is_the_first_and_linear_between_points():
    cpn = np.interp(GRID, [0.0, 10.0, 20.0, 30.0], [0.0, 1.37, 0.5, 2.0])
    assert first_crossing(GRID, cpn) == pytest.approx(10 / 1.37, abs=1e-9)
    assert np.isnan(first_crossing(GRID, 0.5 * cpn / cpn.max()))


def test_no_overshoot_has_no_width():
    smooth = 0.5 * (1 + np.tanh((GRID - 30) / 8))
    rounded = np.round(smooth, 4)  # as stored: reaches 1 exactly
    found = features(GRID, np.stack([smooth, rounded, overshoot(0.5, 40, 5)]))
    assert np.isnan(found.width).tolist() == [True, True, False]
    assert np.isnan(found.ratio).tolist() == [True, True, False]
    assert np.isfinite(found.cpn_max).all() and np.isfinite(found.tf_area).all()


def test_any_leading_axes():
    curves = np.stack([[overshoot(h, at, 4.0) for h in (0.3, 1.0, 2.0)] for at in (10.0, 60.0)])
    together = features(GRID, curves)
    for i, k in np.ndindex(2, 3):
        alone = features(GRID, curves[i, k])
        assert all(a[i, k] == b for a, b in zip(together, alone))


def test_peak_at_an_end():
    height, where = peak(GRID, GRID)
    assert (height, where) == (GRID[-1], GRID[-1])


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match=r"shape \(2001,\), CpN of shape \(6, 2000\)"):
        features(GRID, np.zeros((6, 2000)))
    with pytest.raises(ValueError, match="at least two different rates"):
        cooling_rate_law([10.0, 10.0], [300.0, 300.0])


def test_area_gives_the_fictive_temperature(materials):
    signals, known = materials
    kelvin = Program().celsius + 273.15
    assert fictive_temperature(kelvin, signals) == pytest.approx(known.tf_limit, abs=0.02)


def test_area_over_the_whole_box():
    # T100 = 330 … 900 K, all x and β; scans that the grid of 0.1 K resolves
    rng = np.random.default_rng(1)
    t100, dh, x, beta = rng.uniform((330, 3e5, 0.2, 0.2), (900, 9e5, 1, 1), (60, 4)).T
    result = simulate_windows(np.stack([np.log(100) - dh / (8.314462618 * t100), dh, x, beta], 1))
    found = fictive_temperature(Program().celsius + 273.15, np.stack([result.full(i) for i in range(60)]))
    fine = result.summary.cpn_max < 6
    assert fine.mean() > 0.7
    assert found[fine] == pytest.approx(result.summary.tf_limit[fine], abs=0.02)


def test_features_of_materials(materials):
    signals, known = materials
    found = features(Program().celsius + 273.15, signals)
    assert found.cpn_max == pytest.approx(np.array([m.peaks_direct for m in MATERIALS]), rel=1e-3)
    assert found.t_peak == pytest.approx(known.t_peak, abs=0.3)
    assert (np.diff(found.width, axis=1) < 0).all()  # slower cooling: a later peak above CpN = 1
    assert found.ratio == pytest.approx(found.cpn_max / found.width)


def test_cooling_rate_law_of_an_exact_law():
    # Tf' that solves ln(q/Tf'²) = c − Δh*/(R Tf') exactly
    dh, c = np.array([[2e5], [6e5]]), 100.0
    tf = np.linspace(400.0, 410.0, 5) + np.zeros((2, 1))
    rates = np.exp(c - dh / (8.314462618 * tf)) * tf**2 * 60
    for row, q, energy in zip(tf, rates, dh[:, 0]):
        law = cooling_rate_law(q, row)
        assert law.dh == pytest.approx(energy, rel=1e-9)
        assert law.intercept == pytest.approx(c, rel=1e-9)
        assert law.dh_error < 1e-6 * energy


def test_standard_error_of_the_law():
    # scatter of the estimate over noisy Tf' agrees with the standard error
    q = np.array([0.5, 1, 2, 5, 10, 20])
    tf = 1 / np.linspace(1 / 450, 1 / 465, 6)
    rates = np.exp(80 - 3e5 / (8.314462618 * tf)) * tf**2 * 60
    noisy = tf + np.random.default_rng(2).normal(0, 0.1, (4000, 6))
    law = cooling_rate_law(rates, noisy)
    assert law.dh.shape == law.dh_error.shape == (4000,)
    assert np.sqrt((law.dh_error**2).mean()) == pytest.approx(law.dh.std(), rel=0.05)
    assert np.isnan(cooling_rate_law(q[:2], tf[:2]).dh_error)


def test_cooling_rate_law_of_materials(materials):
    _, known = materials
    law = cooling_rate_law(Program().cooling_rates, known.tf_limit)
    assert law.dh == pytest.approx([m.dh for m in MATERIALS], rel=5e-3)
