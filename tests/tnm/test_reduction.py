"""Reduced scans and the networks' inputs: exact scalings of the model, closed forms, round trips."""

import numpy as np
import pytest

from hpctools.tnm import Program, inputs, simulate_windows
from hpctools.tnm import reduction as r
from hpctools.tnm.model import GAS_CONSTANT

ORDINARY = np.array(
    [
        [-79.21, 38.3e3 * GAS_CONSTANT, 0.57, 0.71],
        [-133.0, 42.8e3 * GAS_CONSTANT, 0.42, 0.58],
        [-125.0, 42.638e3 * GAS_CONSTANT, 0.70, 0.80],
        [-60.0, 3.0e5, 0.35, 0.30],
    ]
)


def read(parameters, program):
    """Reduced scans, inputs and frame of simulated scans."""
    reduced, status = r.reduce_windows(simulate_windows(parameters, program), program)
    assert (status == r.STATUS_OK).all()
    n = len(parameters)
    rates = np.tile(np.array(program.cooling_rates) / 60, (n, 1))
    heating = np.full(n, program.heating_rates[0] / 60)
    return reduced, *inputs.network_inputs(reduced, rates, heating, np.ones((n, program.scans), bool))


def test_stretch_of_temperature():
    """T → λT, Δh* → λΔh*, ln A → ln A + ln λ: the same curve, levels and targets, a frame λ times as wide."""
    scale = 1.25
    moved = ORDINARY * np.array([1, scale, 1, 1]) + np.array([np.log(scale), 0, 0, 0])
    program = Program(low_celsius=-233.15, high_celsius=1326.85)
    scaled = Program(low_celsius=50 - 273.15, high_celsius=2000 - 273.15, step=0.125)
    reduced, scans, _, frame = read(ORDINARY, program)
    reduced_moved, scans_moved, _, frame_moved = read(moved, scaled)
    assert np.abs(reduced[:, :, r.AT_CELLS :] - reduced_moved[:, :, r.AT_CELLS :]).max() < 1e-4
    assert reduced_moved[:, :, r.TF_LIMIT] == pytest.approx(scale * reduced[:, :, r.TF_LIMIT], rel=1e-5)
    assert frame_moved.width == pytest.approx(scale * frame.width, rel=1e-4)
    for with_law in (False, True):
        a, b = frame.targets(ORDINARY, with_law), frame_moved.targets(moved, with_law)
        assert a == pytest.approx(b, abs=2e-2 if with_law else 2e-4)  # with the law s counts in units of 0.005
    assert np.abs(scans[:, :, : r.CELLS + 9] - scans_moved[:, :, : r.CELLS + 9]).max() < 1e-3


def test_scale_of_rates():
    """All rates × s, ln A - ln s: the same inputs and the same targets."""
    s = 7.3
    fast = Program(tuple(q * s for q in Program.cooling_rates), (10.0 * s,))
    moved = ORDINARY - np.array([np.log(s), 0, 0, 0])
    _, scans, common, frame = read(ORDINARY, Program())
    _, scans_moved, common_moved, frame_moved = read(moved, fast)
    # roughness and reach of the windows aside
    same = [*range(r.CELLS + 15)]
    assert np.abs(scans[:, :, same] - scans_moved[:, :, same]).max() < 1e-3
    assert np.abs(common[:, :4] - common_moved[:, :4]).max() < 1e-3
    assert frame.targets(ORDINARY, False) == pytest.approx(frame_moved.targets(moved, False), abs=1e-4)


def test_area_and_levels():
    """Tf' by area is the simulator's; the curve crosses each level where the reduction says so."""
    program = Program()
    windows = simulate_windows(ORDINARY, program)
    reduced, _ = r.reduce_windows(windows, program)
    assert reduced[:, :, r.TF_LIMIT] == pytest.approx(windows.summary.tf_limit, abs=1e-2)
    assert reduced[:, :, r.CPN_MAX] == pytest.approx(windows.summary.cpn_max, abs=2e-3)
    fine = simulate_windows(ORDINARY, Program(step=0.01))
    for i in range(len(ORDINARY)):
        t = Program().grid_low + 0.01 * (fine.start[i] + np.arange(fine.points[i]))
        for scan, found in zip(fine[i].astype(float), reduced[i]):
            at = np.interp(found[r.AT_LEVELS : r.AT_CELLS], t, scan)
            assert at == pytest.approx(r.LEVELS, abs=2e-4)


def test_cells_are_means():
    """A rise from 0 to 1: cells hold means, so that their areas add up to T_last - T_half, whatever the spacing."""
    rng = np.random.default_rng(3)
    for t in (np.arange(250, 350, 0.5), np.sort(rng.uniform(250, 350, 400))):
        cpn = 0.5 + 0.5 * np.tanh((t - 301.3) / 4)
        out = np.empty(r.COLUMNS)
        assert r.reduce_scan(t, cpn, out) == r.STATUS_OK
        assert out[r.AT_LEVELS + r.HALF] == pytest.approx(301.3, abs=2e-3)
        exact = 301.3 + 4 * np.arctanh(2 * r.LEVELS - 1)
        assert out[r.AT_LEVELS : r.AT_CELLS] == pytest.approx(exact, abs=1e-2)
        edges = out[r.AT_LEVELS + r.HALF] + out[r.WIDTH] * np.sinh(r.EDGES)
        area = (np.diff(edges) * out[r.AT_CELLS :]).sum()
        assert area == pytest.approx(edges[-1] - 301.3, abs=5e-3)
        assert out[r.TF_LIMIT] == pytest.approx(301.3, abs=5e-3)


@pytest.mark.parametrize(
    ("cpn", "status"),
    [
        (np.zeros(50), r.STATUS_NO_RISE),
        (np.linspace(0.3, 1, 50), r.STATUS_NO_GLASS),
        (np.linspace(0, 0.8, 50), r.STATUS_NO_LIQUID),
        (np.linspace(0, 1, 5), r.STATUS_FEW),
    ],
)
def test_no_transition(cpn, status):
    """A status for what cannot be measured."""
    assert r.reduce_scan(300.0 + np.arange(len(cpn)), cpn, np.empty(r.COLUMNS)) == status


def test_frame():
    """Targets lead back to the parameters; the jacobian is that of the way back; the law is within 1 % of Δh*."""
    _, _, _, frame = read(ORDINARY, Program())
    for with_law in (False, True):
        targets = frame.targets(ORDINARY, with_law)
        assert frame.parameters(targets, with_law) == pytest.approx(ORDINARY, rel=1e-12)
        jacobian = frame.jacobian(targets, with_law)
        for k in range(4):
            step = np.zeros(4)
            step[k] = 1e-5
            slope = (frame.parameters(targets + step, with_law) - frame.parameters(targets - step, with_law)) / 2e-5
            assert jacobian[:, :, k] == pytest.approx(slope, rel=1e-6, abs=1e-6)
    energy = ORDINARY[:, 1] / (GAS_CONSTANT * frame.t_m)
    assert frame.law == pytest.approx(np.log(energy * frame.width / frame.t_m), abs=0.01)


def test_missing_scans():
    """Absent scans are zeros and do not touch the rest; the frame is that of the scans which are there."""
    program = Program()
    reduced, status = r.reduce_windows(simulate_windows(ORDINARY, program), program)
    rates, heating = np.tile(np.array(program.cooling_rates) / 60, (4, 1)), np.full(4, 10 / 60)
    present = status == r.STATUS_OK
    present[:, [1, 4]] = False
    garbage = reduced.copy()
    garbage[:, [1, 4]] = np.nan
    scans, common, frame = inputs.network_inputs(garbage, rates, heating, present)
    kept = [0, 2, 3, 5]
    few, few_common, few_frame = inputs.network_inputs(reduced[:, kept], rates[:, kept], heating, present[:, kept])
    assert (scans[:, [1, 4]] == 0).all()
    assert np.abs(scans[:, kept] - few).max() < 1e-6
    assert np.abs(common - few_common).max() < 1e-6
    assert frame.t_m == pytest.approx(few_frame.t_m)
