"""The direct method against exact properties, ordinary differential equations, and published materials."""

import math
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import simpson, solve_ivp

from hpctools.tnm.direct import GAS_CONSTANT, reference_temperature, scan, solve, window

RATES = np.array([0.5, 1.0, 2.0, 5.0, 10.0, 20.0]) / 60.0  # K/s
TEN = 10.0 / 60.0  # K/s
AS2SE3 = (-79.21, 38.3e3 * GAS_CONSTANT, 0.57, 0.71)
# ln A, energy/R [10^3 K], x, beta; Tf' [K] after -10 K/min; peak CpN after cooling at the six rates
MATERIALS = {
    "As2Se3": ((-79.21, 38.3, 0.57, 0.71), 453.55, (2.610, 2.219, 1.915, 1.624, 1.474, 1.370)),
    "a-Se enthalpy": ((-133, 42.8, 0.52, 0.65), 310.82, (2.637, 2.210, 1.887, 1.586, 1.434, 1.331)),
    "a-Se volume": ((-133, 42.8, 0.42, 0.58), 309.48, (2.801, 2.267, 1.887, 1.554, 1.394, 1.287)),
    "TPD": ((-125, 42.638, 0.70, 0.80), 330.43, (2.462, 2.151, 1.896, 1.639, 1.499, 1.400)),
}


@pytest.mark.parametrize("name", MATERIALS)
def test_materials(name):
    (ln_a, kilokelvin, x, beta), limiting, peaks = MATERIALS[name]
    scans = [scan((ln_a, kilokelvin * 1e3 * GAS_CONSTANT, x, beta), q, TEN, resolution=5.0) for q in RATES]
    assert [s[0].max() for s in scans] == pytest.approx(peaks, rel=1e-3)
    assert scans[4][1] == pytest.approx(limiting, abs=0.02)


def test_as2se3_peak_temperatures():
    found = [scan(AS2SE3, q, TEN)[2]["peak_temperature"] for q in RATES]
    assert found == pytest.approx([472.15, 471.65, 471.35, 471.55, 471.85, 472.45], abs=0.06)


@pytest.mark.parametrize("factor", [7.0, 1e-3])
def test_rates_scale_like_ln_a(factor):
    grid = np.arange(400.0, 520.0, 0.5)
    ln_a, energy, x, beta = AS2SE3
    one, limiting, _ = scan(AS2SE3, RATES[0], TEN, grid, limits=(390.0, 530.0))
    two, limiting2, _ = scan(
        (ln_a - math.log(factor), energy, x, beta),
        RATES[0] * factor,
        TEN * factor,
        grid,
        limits=(390.0, 530.0),
    )
    assert np.max(np.abs(one - two)) < 1e-8
    assert limiting2 == pytest.approx(limiting, abs=1e-8)


def test_temperature_scaling():
    factor = 1.7
    grid = np.arange(400.0, 520.0, 0.5)
    ln_a, energy, x, beta = AS2SE3
    one, limiting, _ = scan(AS2SE3, RATES[0], TEN, grid, limits=(390.0, 530.0))
    two, limiting2, _ = scan(
        (ln_a + math.log(factor), energy * factor, x, beta),
        RATES[0],
        TEN,
        grid * factor,
        limits=(390.0 * factor, 530.0 * factor),
    )
    assert np.max(np.abs(one - two)) < 1e-8
    assert limiting2 == pytest.approx(factor * limiting, abs=1e-8)


@pytest.mark.parametrize("x, beta", [(0.3, 0.3), (0.5, 0.6), (0.9, 1.0)])
def test_area(x, beta):
    """int CpN dT = Tf(T_hi) - Tf' with CpN integrated on a grid, not taken from Tf."""
    parameters = (-133.0, 42.8e3 * GAS_CONSTANT, x, beta)
    low, high = window(parameters)
    grid = np.linspace(low, high, 40001)
    signal, limiting, info = scan(parameters, RATES[2], TEN, grid)
    lag = TEN * math.exp(-133.0 + 42.8e3 / high) * math.gamma(1.0 / beta) / beta
    assert simpson(signal, x=grid) == pytest.approx(high - lag - limiting, abs=2e-4)
    assert info["area"] == pytest.approx(high - lag - limiting, abs=2e-4)


def test_lag_of_the_liquid():
    """T - Tf = q tau Gamma(1/beta)/beta to leading order in hot liquid."""
    beta = 0.5
    t100 = reference_temperature((-133.0, 42.8e3 * GAS_CONSTANT, 0.5, beta))
    high = t100 + 15.0 * t100**2 / 42.8e3
    h = solve((-133.0, 42.8e3 * GAS_CONSTANT, 0.5, beta), [-TEN, TEN], [600.0, 600.0], high)
    lag = TEN * math.exp(-133.0 + 42.8e3 / high) * math.gamma(1.0 / beta) / beta
    assert h.temperature[-1] - h.fictive_temperature[-1] == pytest.approx(lag, rel=3e-3)


def test_tool_closed_form():
    """x = beta = 1: Tf' in closed form with the exponential integral."""
    _, limiting, _ = scan((-120.0, 45e3 * GAS_CONSTANT, 1.0, 1.0), TEN, TEN, limits=(250.0, 420.0))
    assert limiting == pytest.approx(364.5988, abs=1e-4)


@pytest.mark.parametrize("x, bound", [(1.0, 1e-5), (0.5, 2e-5), (0.3, 5e-5)])
def test_tool_differential_equation(x, bound):
    """beta = 1: dTf/dT = (T - Tf)/(q tau)."""
    ln_a, h = -120.0, 45e3

    def pull(t, tf):
        return (t - tf) / (TEN * np.exp(ln_a + x * h / t + (1.0 - x) * h / tf))

    kw = {"method": "Radau", "rtol": 1e-10, "atol": 1e-10}
    down = solve_ivp(lambda s, y: pull(420.0 - s, y), (0.0, 120.0), [420.0], **kw)
    grid = np.linspace(300.0, 420.0, 1201)
    up = solve_ivp(pull, (300.0, 420.0), down.y[:, -1], t_eval=grid, **kw)
    signal, limiting, _ = scan((ln_a, h * GAS_CONSTANT, x, 1.0), TEN, TEN, grid, limits=(300.0, 420.0))
    assert limiting == pytest.approx(down.y[0, -1], abs=1e-6)
    assert np.max(np.abs(signal - pull(grid, up.y[0]))) < bound


@pytest.mark.parametrize("beta", [0.2, 0.5, 0.75, 1.0])
def test_isothermal_step(beta):
    """x = 1: (Tf - T)/dT = exp[-(t/tau)**beta]."""
    parameters = (-133.0, 42.8e3 * GAS_CONSTANT, 1.0, beta)
    t = reference_temperature(parameters)
    h = solve(parameters, [0.0], [2000.0], t, start_fictive=t + 5.0)
    assert (h.fictive_temperature - t) / 5.0 == pytest.approx(np.exp(-((h.time / 100.0) ** beta)), abs=1e-9)


def test_cooling_rate_law():
    """d ln(q/Tf'^2)/d(1/Tf') = -energy/R to about 0.2 %."""
    limiting = np.array([scan(AS2SE3, q, TEN, np.empty(0))[1] for q in RATES])
    slope = np.polyfit(1.0 / limiting, np.log(RATES / limiting**2), 1)[0]
    assert -slope == pytest.approx(38.3e3, rel=3e-3)


@pytest.mark.parametrize(
    "x, beta, bound",
    [
        (0.2, 0.2, 1e-6),
        (0.2, 0.4, 5e-5),
        (0.5, 0.75, 5e-4),
        (0.5, 0.98, 1e-3),
        (1.0, 0.3, 1e-6),
        (1.0, 1.0, 5e-5),
    ],
)
def test_convergence(x, beta, bound):
    _, _, info = scan((-300.0, 7e5, x, beta), RATES[0], TEN, resolution=3.0, estimate_error=True)
    assert info["error_cpn"] < bound
    assert info["error_limiting"] < 1e-6


def test_fourth_order():
    parameters = (-183.0, 55e3 * GAS_CONSTANT, 0.4, 0.75)
    grid = np.arange(280.0, 310.0, 0.1)
    best = scan(parameters, RATES[0], TEN, grid, resolution=32.0)[0]
    error = [
        np.max(np.abs(scan(parameters, RATES[0], TEN, grid, resolution=r)[0] - best)) for r in (6.0, 12.0)
    ]
    assert error[0] > 10.0 * error[1]


@pytest.mark.parametrize("x, beta", [(0.2, 0.2), (1.0, 0.2), (0.5, 0.98)])
def test_window_is_wide_enough(x, beta):
    parameters = (-300.0, 7e5, x, beta)
    narrow, limiting, _ = scan(parameters, RATES[0], TEN, resolution=5.0)
    wide, limiting2, _ = scan(parameters, RATES[0], TEN, resolution=5.0, limits=window(parameters, 2.0))
    assert np.max(np.abs(narrow - wide)) < 1e-4
    assert limiting == pytest.approx(limiting2, abs=1e-4)


def test_burst():
    """x = 0.2, beta = 0.98: a peak of several hundred, well placed in temperature and area."""
    _, _, info = scan((-300.0, 7e5, 0.2, 0.98), RATES[0], TEN, resolution=5.0, estimate_error=True)
    assert info["peak"] > 300.0
    assert info["error_peak_temperature"] < 1e-3
    assert info["error_area"] < 1e-5


def test_late_burst():
    """A glass superheated at x = 0.1 bursts 23 w0 above T100, inside the window and with the right area."""
    parameters = (-630.0, 12e5, 0.1, 1.0)
    _, limiting, info = scan(parameters, RATES[0], TEN)
    t100 = reference_temperature(parameters)
    w0 = GAS_CONSTANT * t100**2 / 12e5
    assert (info["peak_temperature"] - t100) / w0 == pytest.approx(23.05, abs=0.1)
    assert info["area"] == pytest.approx(info["limits"][1] - limiting, abs=1e-4)


@pytest.mark.parametrize(
    "bad, word",
    [
        ((np.nan, 1e5, 0.5, 0.5), "finite"),
        ((-100.0, -1e5, 0.5, 0.5), "energy"),
        ((-100.0, 1e5, 0.0, 0.5), "x must"),
        ((-100.0, 1e5, 0.5, 1.2), "beta must"),
        ((5.0, 1e5, 0.5, 0.5), "ln A"),
    ],
)
def test_bad_parameters(bad, word):
    with pytest.raises(ValueError, match=word):
        scan(bad, TEN, TEN)


def test_bad_program():
    with pytest.raises(ValueError, match="rates"):
        scan(AS2SE3, -TEN, TEN)
    with pytest.raises(ValueError, match="limits"):
        scan(AS2SE3, TEN, TEN, limits=(500.0, 400.0))
    with pytest.raises(ValueError, match="0 K"):
        solve(AS2SE3, [-1.0], [500.0], 400.0)


REFERENCE = Path(__file__).with_name("direct_reference.npz")  # written by analysis/tnm_direct_reference.py


@pytest.mark.parametrize("sample", [1, 3, 5, 9, 11, 15, 16, 17, 18, 20, 21])
def test_reference_file(sample):
    """The stored solutions are those of today's code, at a coarser step."""
    with np.load(REFERENCE) as stored:
        data = {name: stored[name] for name in stored.files}
    scan_number = sample % 6
    used = data["index"][sample, scan_number] >= 0
    index = data["index"][sample, scan_number][used]
    signal, limiting, info = scan(
        data["parameters"][sample], data["rates"][scan_number], data["heating_rate"]
    )
    top = data["peak"][sample, scan_number]
    assert limiting == pytest.approx(data["limiting"][sample, scan_number], abs=1e-4)
    assert info["peak_temperature"] == pytest.approx(data["peak_temperature"][sample, scan_number], abs=0.01)
    if top < 20.0:
        error = np.abs(signal[index] - data["cpn"][sample, scan_number][used])
        assert np.max(error) < 1e-4 * max(1.0, top - 5.0)
