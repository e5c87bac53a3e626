"""The simulator against exact properties, closed forms, an ODE solver and the direct method."""

from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.stats import qmc

from hpctools.tnm import Hold, ParameterError, Program, ProgramError, simulate, simulate_windows, windows
from hpctools.tnm.backends import BackendError
from hpctools.tnm.grid import PAPER
from hpctools.tnm.model import GAS_CONSTANT, transition_width

ORDINARY = np.array(
    [
        [-79.21, 38.3e3 * GAS_CONSTANT, 0.57, 0.71],
        [-133.0, 42.8e3 * GAS_CONSTANT, 0.42, 0.58],
        [-125.0, 42.638e3 * GAS_CONSTANT, 0.70, 0.80],
        [-60.0, 3.0e5, 0.35, 0.30],
        [-200.0, 7.0e5, 1.00, 1.00],
    ]
)


def box(n: int, low: float = 0.2, seed: int = 0) -> np.ndarray:
    """Sobol points over the box of the paper, x and β from `low` to 1."""
    u = qmc.Sobol(4, seed=seed).random(n)
    dh = 2e5 + 1e6 * u[:, 0]
    cold, hot = PAPER.ln_a_limits(dh)
    return np.column_stack([cold + (hot - cold) * u[:, 1], dh, low + (1 - low) * u[:, 2], low + (1 - low) * u[:, 3]])


def test_rates_act_like_ln_a():
    """All rates × s and ln A - ln s leave Tf(T) unchanged."""
    s = 7.3
    fast = Program(tuple(q * s for q in Program.cooling_rates), (10.0 * s,))
    moved = ORDINARY - np.array([np.log(s), 0, 0, 0])
    assert np.abs(simulate(moved, fast) - simulate(ORDINARY)).max() < 2e-4


def test_temperature_scale():
    """T → λT, Δh* → λΔh*, ln A → ln A + ln λ maps Tf → λTf."""
    scale = 1.25
    moved = ORDINARY * np.array([1, scale, 1, 1]) + np.array([np.log(scale), 0, 0, 0])
    program = Program(low_celsius=-233.15, high_celsius=1326.85, step=1.0)  # 40 … 1600 K
    scaled = Program(low_celsius=50 - 273.15, high_celsius=2000 - 273.15, step=1.25)
    assert np.abs(simulate(moved, scaled) - simulate(ORDINARY, program)).max() < 2e-4
    a, b = simulate_windows(moved, scaled), simulate_windows(ORDINARY, program)
    assert a.summary.tf_limit == pytest.approx(scale * b.summary.tf_limit, abs=1e-3)


def test_area():
    """∫ CpN dT = Tf(T_hi) - Tf'; the liquid's lag at T_hi is far below a mK here."""
    scans = simulate_windows(ORDINARY, full=True)
    area = np.array([np.trapezoid(scans.full(i).astype(float), dx=0.1, axis=1) for i in range(len(scans))])
    assert Program().high - area == pytest.approx(scans.summary.tf_limit, abs=1e-2)


def test_lag_of_the_hot_liquid():
    """T_hi - Tf(T_hi) = q τ(T_hi) Γ(1/β)/β, so CpN = 1 + Γ(1/β)/β q τ Δh*/(R T²) at the top."""
    sample = np.array([[-60.0, 3.0e5, 0.6, 1.0]])
    program = Program(high_celsius=359.0, low_celsius=-250.0)
    t = program.high
    tau = np.exp(-60.0 + 3.0e5 / (GAS_CONSTANT * t))
    expected = 10 / 60 * tau * 3.0e5 / (GAS_CONSTANT * t**2)
    assert 1e-4 < expected < 5e-3
    assert simulate(sample, program, dtype=float)[0, 4, -1] - 1 == pytest.approx(expected, rel=0.06)


def test_tool_closed_form():
    """β = 1, x = 1, ln A = -120, Δh*/R = 45,000 K, cooled at 10 K/min from 420 K: Tf' = 364.5988 K."""
    program = Program((10.0,), (10.0,), low_celsius=-100.0, high_celsius=420 - 273.15)
    found = simulate_windows([[-120.0, 45e3 * GAS_CONSTANT, 1.0, 1.0]], program).summary.tf_limit
    assert found[0, 0] == pytest.approx(364.5988, abs=2e-4)


@pytest.mark.parametrize("x", [1.0, 0.7, 0.4])
def test_tool_differential_equation(x):
    """β = 1: dTf/dT = (T - Tf)/(q τ)."""
    ln_a, dh = -120.0, 45e3 * GAS_CONSTANT
    program = Program((5.0,), (10.0,), low_celsius=-20.0, high_celsius=150.0, step=0.1)

    def slope(t, tf, q):
        return (t - tf) / (q * np.exp(ln_a + x * dh / (GAS_CONSTANT * t) + (1 - x) * dh / (GAS_CONSTANT * tf)))

    kwargs = {"method": "Radau", "rtol": 1e-9, "atol": 1e-9, "dense_output": True}
    cool = solve_ivp(slope, (program.high, program.low), [program.high], args=(-5 / 60,), **kwargs)
    heat = solve_ivp(slope, (program.low, program.high), [cool.y[0, -1]], args=(10 / 60,), **kwargs)
    t = program.celsius + 273.15
    expected = slope(t, heat.sol(t)[0], 10 / 60)
    found = simulate([[ln_a, dh, x, 1.0]], program, dtype=float)[0, 0]
    assert np.abs(found - expected).max() < 2e-4 * max(1.0, expected.max() - 1)


@pytest.mark.parametrize("beta", [0.5, 0.7, 0.8, 1.0])
@pytest.mark.parametrize("share", [0.01, 0.3, 2.0])
def test_isothermal_step(beta, share):
    """x = 1: after a jump of ΔT and a hold of t, (Tf - T)/ΔT = exp[-(t/τ)**β]."""
    ln_a, dh = -120.0, 45e3 * GAS_CONSTANT
    t = dh / GAS_CONSTANT / (np.log(1e4) - ln_a)  # τ = 1e4 s here
    jump = 3.0
    hold = Hold(t - 273.15, share * 1e4 / 60)
    # "at once" is 1e12 K/min: nothing relaxes while the temperature changes
    first = Hold(t + jump - 273.15, 1e9)  # to equilibrium
    program = Program((1e12,), (10.0,), low_celsius=-250.0, high_celsius=600.0, holds=(first, hold))
    left = simulate_windows([[ln_a, dh, 1.0, beta]], program).summary.tf_limit[0, 0] - t
    assert left / jump == pytest.approx(np.exp(-(share**beta)), abs=2e-5)


def test_cooling_rate_law():
    """d ln(q/Tf'²)/d(1/Tf') = -Δh*/R to 0.2 % for ordinary materials."""
    tf = simulate_windows(ORDINARY[:3]).summary.tf_limit
    q = np.array(Program.cooling_rates)
    for row, parameters in zip(tf, ORDINARY, strict=False):
        slope = np.polyfit(1 / row, np.log(q / row**2), 1)[0]
        assert -slope * GAS_CONSTANT == pytest.approx(parameters[1], rel=2e-3)


REFERENCE = Path(__file__).with_name("direct_reference.npz")  # written by analysis/tnm_direct_reference.py


def test_direct_method():
    """24 samples, corners of the box among them, solved by a method of its own."""
    with np.load(REFERENCE) as stored:
        data = {name: stored[name] for name in stored.files}
    parameters = data["parameters"]
    scans = simulate_windows(parameters, dtype=float)
    width = transition_width(parameters[:, 0], parameters[:, 1])
    assert scans.summary.tf_limit == pytest.approx(data["limiting"], abs=4e-3)
    for i in range(len(parameters)):
        signals = scans.full(i)
        for scan in range(6):
            index = data["index"][i, scan]
            used = index >= 0
            error = np.abs(signals[scan, index[used]] - data["cpn"][i, scan][used])
            top = data["peak"][i, scan]
            if top <= 20:
                assert error.max() <= 1e-3 * max(1.0, top - 5), (i, scan)
            else:
                burst = data["peak_temperature"][i, scan]
                assert abs(scans.summary.t_peak[i, scan] - burst) <= max(0.02, 0.005 * width[i])
                far = np.abs(Program().grid_low + 0.1 * index[used] - burst) > 0.3
                assert error[far].max() <= 1e-3 * top, (i, scan)
                assert scans.summary.burst[i, scan]


@pytest.mark.parametrize("low", [0.2, 0.15])
def test_steps_are_fine_enough(low):
    """Against three times finer steps and modes, between the nodes and somewhat beyond the box."""
    parameters = box(128, low)
    coarse = simulate_windows(parameters, dtype=float)
    fine = simulate_windows(parameters, dtype=float, resolution=3.0)
    ordinary = ~fine.summary.burst
    for i in range(len(parameters)):
        error = np.abs(coarse[i] - fine[i]).max(axis=1)
        allowed = 1e-3 * np.maximum(1.0, fine.summary.cpn_max[i] - 5)
        assert np.all(error[ordinary[i]] <= allowed[ordinary[i]]), (i, parameters[i])
    assert coarse.summary.tf_limit == pytest.approx(fine.summary.tf_limit, abs=0.02)


@pytest.mark.parametrize("low", [0.2, 0.15])
def test_windows_leave_nothing_out(low):
    parameters = box(64, low, seed=5)
    full = simulate(parameters, dtype=float)
    cut = simulate_windows(parameters, dtype=float)
    for i, signals in enumerate(full):
        assert np.abs(cut.full(i) - signals).max() < 5e-5, parameters[i]


def test_windows_of_other_programs():
    program = Program((0.1, 40.0, 300.0), (2.0, 20.0, 100.0))
    full = simulate(ORDINARY, program, dtype=float)
    cut = simulate_windows(ORDINARY, program, dtype=float)
    assert max(np.abs(cut.full(i) - full[i]).max() for i in range(len(full))) < 1e-4


def test_annealing():
    """A hold below Tg brings Tf' down, the longer the further, and raises the peak."""
    sample = ORDINARY[:1]
    runs = [
        simulate_windows(sample, Program((10.0,), (10.0,), holds=holds)).summary
        for holds in ((), (Hold(165.0, 60.0),), (Hold(165.0, 6000.0),))
    ]
    tf = [run.tf_limit[0, 0] for run in runs]
    peaks = [run.cpn_max[0, 0] for run in runs]
    assert tf[0] > tf[1] + 1 > tf[2] + 2
    assert peaks[0] < peaks[1] < peaks[2]


@pytest.mark.parametrize("x, beta", [(0.05, 0.9), (0.01, 0.5), (0.57, 0.05), (1.0, 0.999), (0.3, 1.0)])
def test_far_beyond_the_box(x, beta):
    """Monstrous bursts and endless tails are solved, or refused; area and Tf' hold."""
    sample = [[-79.21, 38.3e3 * GAS_CONSTANT, x, beta]]
    fine = simulate_windows(sample, resolution=3.0).summary.tf_limit
    assert simulate_windows(sample).summary.tf_limit == pytest.approx(fine, abs=0.02)
    with pytest.raises(ValueError, match="choose a lower resolution"):
        simulate_windows([[-79.21, 38.3e3 * GAS_CONSTANT, 0.5, 0.05]], resolution=100.0)


@pytest.mark.parametrize("celsius", [300.0, 500.0, 800.0, 1600.0])
def test_a_hold_in_the_liquid_changes_nothing(celsius):
    held = simulate(ORDINARY[:3], Program(holds=(Hold(celsius, 1.0),)))
    assert np.abs(held - simulate(ORDINARY[:3])).max() < 5e-4


@pytest.mark.parametrize("low, high", [(180.0, 190.0), (-200.0, -190.0), (600.0, 700.0)])
def test_a_narrow_grid_is_cut_out(low, high):
    cut = simulate(ORDINARY[:1], Program(grid_low_celsius=low, grid_high_celsius=high))
    first = round((low + 250) * 10)
    assert cut == pytest.approx(simulate(ORDINARY[:1])[:, :, first : first + cut.shape[2]], abs=2e-5)


def test_shapes_and_types():
    assert simulate(ORDINARY[0]).shape == (1, 6, 18501)
    assert simulate(ORDINARY[0]).dtype == np.float32
    assert simulate(np.empty((0, 4))).shape == (0, 6, 18501)
    part = simulate(ORDINARY[0], Program(grid_low_celsius=150.0, grid_high_celsius=250.0))
    assert part.shape == (1, 6, 1001)
    assert np.array_equal(part[0], simulate(ORDINARY[0])[0, :, 4000:5001])
    mine = np.empty((1, 6, 18501), np.float32)
    assert simulate(ORDINARY[0], out=mine) is mine and np.array_equal(mine, simulate(ORDINARY[0]))
    for wrong in (np.empty((1, 6, 18500), np.float32), mine[:, :, ::-1], mine.astype(int)):
        with pytest.raises(ValueError, match=r"out has .* expected a contiguous \(1, 6, 18501\) array of float"):
            simulate(ORDINARY[0], out=wrong)
    start, points = windows(ORDINARY)
    assert np.all(start > 0) and np.all(start + points <= 18501)


def test_named_schemes():
    """The published staircase comes down to the others with its step, at first order; the direct method agrees."""
    program = Program((10.0,), (10.0,), low_celsius=100.0, high_celsius=250.0, step=1.0)
    here, direct = (simulate(ORDINARY[0], program, scheme=scheme, dtype=float) for scheme in ("collocation", "direct"))
    assert np.abs(here - direct).max() < 5e-4
    errors = []
    for step in (2.0, 1.0, 0.5):
        program = Program((10.0,), (10.0,), low_celsius=100.0, high_celsius=250.0, step=step)
        error = simulate(ORDINARY[0], program, scheme="staircase", dtype=float) - simulate(ORDINARY[0], program)
        errors.append(np.abs(error[0, 0][program.celsius < 195]).max())  # it has no lag in hot liquid
    assert errors[0] > 1.7 * errors[1] > 1.7**2 * errors[2] > 0
    with pytest.raises(ValueError, match="scheme 'euler' is unknown; expected one of collocation, staircase, direct"):
        simulate(ORDINARY[0], scheme="euler")
    with pytest.raises(ProgramError, match="staircase does not follow holds"):
        simulate(ORDINARY[0], Program(holds=(Hold(100.0, 1.0),)), scheme="staircase")


def test_same_whatever_the_threads(monkeypatch):
    parameters = box(40)
    monkeypatch.setenv("HPCTOOLS_THREADS", "1")
    one = simulate_windows(parameters).values
    monkeypatch.setenv("HPCTOOLS_THREADS", "3")
    assert np.array_equal(one, simulate_windows(parameters).values)
    monkeypatch.setenv("HPCTOOLS_THREADS", "many")
    with pytest.raises(BackendError, match="HPCTOOLS_THREADS is 'many'"):
        simulate_windows(parameters)


@pytest.mark.parametrize(
    "column, value, words",
    [
        (0, np.nan, "ln_A = nan"),
        (0, 7.0, "ln_A = 7; expected a finite number below ln 100"),
        (1, -3e5, r"dh = -300000; expected a positive number of J/mol"),
        (2, 0.0, r"x = 0; expected in \(0, 1\]"),
        (3, 1.2, r"beta = 1.2; expected in \(0, 1\]"),
        (3, np.inf, "beta = inf"),
        (3, 0.01, "beta = 0.01; this solver's spectra begin at 0.05"),
    ],
)
def test_bad_parameters_are_named(column, value, words):
    parameters = ORDINARY.copy()
    parameters[2, column] = value
    with pytest.raises(ParameterError, match=f"sample 2: {words}"):
        simulate(parameters)


def test_programs_that_miss_the_transition_are_refused():
    with pytest.raises(ParameterError, match=r"sample 1 .*no glass at 30 °C.*T100 is 37.9 °C"):
        simulate(ORDINARY[:2], Program(low_celsius=30.0))
    with pytest.raises(ParameterError, match=r"sample 0 .*no equilibrium liquid at 190 °C.*higher high_celsius"):
        simulate(ORDINARY[:2], Program(high_celsius=190.0))
    with pytest.raises(ParameterError, match="no equilibrium liquid at 300 °C"):  # never leaves the glass
        simulate([[-45.0429, 340000, 1, 1]], Program(cooling_rates=(10,), high_celsius=300))
    with pytest.raises(ParameterError, match="sample 0"):
        simulate([[-18.0, 1.9e6, 0.5, 0.5]])  # T100 near 10,000 K
    with pytest.raises(ParameterError, match=r"expected \(n, 4\)"):
        simulate(np.zeros((3, 5)))


def test_hold_in_frozen_glass_changes_nothing():
    """A hold too short for anything to move ends at once, and leaves the scan as it was."""
    frozen = Program(cooling_rates=(10.0,), holds=(Hold(-100.0, 60.0), Hold(-200.0, 60.0)))
    plain = Program(cooling_rates=(10.0,))
    assert np.abs(simulate(ORDINARY, frozen) - simulate(ORDINARY, plain)).max() < 1e-4
