"""The paper's network: its preprocessing, architecture, scaled targets, loss; scans kept as integers."""

import numpy as np
import pytest
import torch

from hpctools.tnm import Program, open_grid, simulate, simulate_windows
from hpctools.tnm import compact_scans as compact
from hpctools.tnm.grid import select
from hpctools.tnm.learning_settings import MODELS, TrainJob
from hpctools.tnm.mcnn import (
    LIMITS,
    MCNN,
    Architecture,
    WeightedLoss,
    forward_flop,
    segment_ends,
    significant_segment,
)
from hpctools.training import TrainingError

AS2SE3 = (-79.21, 318_444, 0.57, 0.71)
BROAD = (-30.0, 300_000, 0.9, 0.3)
BURST = (-200.0, 600_000, 0.25, 0.95)
SMALL = Architecture(points=926, filters=(2, 3, 4), units=5)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def signals():
    return torch.from_numpy(simulate([AS2SE3, BROAD, BURST]))


def test_segment_is_a_least_squares_cubic(signals):
    """Against numpy.polyfit in double precision, scan by scan."""
    found = significant_segment(signals, 1e-3).numpy()
    first, last = segment_ends(signals, 1e-3)
    assert found.shape == (3, 6, 1000)
    for sample in range(3):
        for scan in range(6):
            low, high = int(first[sample, scan]), int(last[sample, scan])
            cpn = signals[sample, scan].numpy().astype(float)
            assert cpn[low] < 1e-3 and np.all(cpn[low + 1 : low + 20] > 0) and abs(cpn[high] - 1) > 1e-3
            assert np.all(np.abs(cpn[high + 1 :] - 1) <= 1e-3) and np.all(cpn[: low + 1] < 1e-3)
            u = np.linspace(-1, 1, high - low + 1)
            expected = np.polyval(np.polyfit(u, cpn[low : high + 1], 3), np.linspace(-1, 1, 1000))
            np.testing.assert_allclose(found[sample, scan], expected, atol=2e-4 * max(1, cpn.max()))


@pytest.mark.parametrize("points", [1, 2, 3, 4, 5, 9])
def test_segments_of_few_points(points):
    """A polynomial of at most `points` coefficients goes through all of up to four points."""
    signal = torch.zeros(40)
    signal[20 : 20 + points] = torch.linspace(0.2, 2.0, points) ** 2
    signal[20 + points :] = 1.0
    first, last = segment_ends(signal, 1e-3)
    assert (int(first), int(last)) == (19, 19 + points)
    curve = significant_segment(signal, 1e-3, points=1 + 3 * points)
    expected = np.polyfit(np.arange(points + 1), signal[19 : 20 + points].numpy().astype(float), min(3, points))
    np.testing.assert_allclose(curve.numpy(), np.polyval(expected, np.linspace(0, points, 1 + 3 * points)), atol=2e-5)


def test_segments_of_strange_scans():
    """Nothing rises, or nothing is left of the glass: finite, no error."""
    flat = torch.zeros(2, 50)
    flat[1] = 1.0
    assert significant_segment(flat, 1e-3).isfinite().all()


def test_network(signals):
    torch.manual_seed(0)
    network = MCNN(SMALL).eval()
    output = network(signals[..., ::20])
    assert output.shape == (3, 4) and output.isfinite().all()
    # absolute temperature reaches the network by the thinned and the raw branch, not by the segment
    moved = torch.roll(signals[..., ::20], 100, dims=-1)
    moved[..., :100] = 0.0
    torch.testing.assert_close(significant_segment(moved[:1], 1e-3), significant_segment(signals[:1, :, ::20], 1e-3),
                               atol=1e-5, rtol=0)  # fmt: skip
    assert (network(moved) - output).abs().max() > 1e-3
    # own weights: the scans are not interchangeable; shared weights: neither, because the dense layer tells them apart
    for own in (True, False):
        torch.manual_seed(0)
        network = MCNN(Architecture(points=926, filters=(2, 3, 4), units=5, own_weights=own)).eval()
        assert (network(signals[..., ::20].flip(1)) - network(signals[..., ::20])).abs().max() > 1e-4
    with pytest.raises(TrainingError, match="scans of 34 points are too short"):
        MCNN(Architecture(points=100))


def test_cost_of_a_sample():
    """By hand for one convolution, and the bound that the default sizes were chosen for."""
    small = Architecture(points=926, filters=(2, 3, 4), units=5)
    by_hand = 0
    for points, kernel in ((1000, 4), (309, 12), (926, 24)):
        length, before = points, 1
        for filters in small.filters:
            length -= kernel - 1
            by_hand += 2 * 6 * kernel * before * filters * length
            length, before = length // 4, filters
        by_hand += 2 * 6 * 4 * length * 5
    by_hand += 2 * (15 * 32 + 32 * 32 + 32 * 4)
    assert forward_flop(small) == by_hand
    assert 3 * forward_flop(Architecture(points=18501)) < 2e9


def test_targets_and_loss():
    network = MCNN(SMALL)
    assert torch.allclose(network.scaled(network.high[None]), torch.ones(1, 4))
    assert torch.allclose(network.scaled(network.low[None]), torch.zeros(1, 4))
    true = torch.tensor([[-200.0, 7e5, 0.6, 0.5], [-100.0, 4e5, 0.3, 0.9]])
    assert torch.allclose(network.parameters_of(network.scaled(true)), true)
    off = torch.tensor([[2.0, 1e4, 0.01, -0.03], [-2.0, 3e4, 0.03, 0.01]])
    weights = (0.1, 1.0, 3.0, 2.0)
    found = WeightedLoss(network, weights)(lambda signals: network.scaled(true + off), (torch.zeros(2), true))
    width = np.array([high - low for low, high in LIMITS["widened"]])
    assert float(found["loss"]) == pytest.approx(np.mean((off.numpy() / width) ** 2 * weights), rel=1e-4)
    errors = [float(found[name]) for name in ("mae_ln_A", "mae_dh_kJ", "mae_x", "mae_beta")]
    assert errors == pytest.approx([2, 20, 0.02, 0.02], rel=1e-3)


def test_limits_hold_the_grid_or_not():
    """The widened limits contain every node; the printed ones of ln A leave out 2.2 % below and 0.15 % above."""
    nodes = select().nodes
    for name, below, above in (("widened", 0.0, 0.0), ("printed", 0.0222, 0.0013)):
        (low, high), (dh_low, dh_high), *_ = LIMITS[name]
        assert (nodes[:, 1] < low).mean() == pytest.approx(below, abs=2e-4)
        assert (nodes[:, 1] > high).mean() == pytest.approx(above, abs=2e-4)
        assert dh_low < nodes[:, 0].min() and nodes[:, 0].max() < dh_high


def test_models_of_the_paper():
    sizes = {name: len(TrainJob(model=name).grid()) for name in MODELS}
    assert sizes.pop("MCNN-G") == 134_480 and set(sizes.values()) == {203_401}
    assert TrainJob(model="MCNN-C").weights == (0.1, 1.0, 3.0, 3.0)
    assert TrainJob(model="MCNN-C-lnA").weights[0] == 1.0
    job = TrainJob()
    assert (job.epochs, job.batch, job.learning_rate, job.optimiser, job.momentum) == (200, 128, 0.01, "sgd", 0)


def test_scans_kept_as_integers(signals):
    parameters = np.array([AS2SE3, BROAD, BURST])
    scans = compact.of_parameters(parameters, Program(), CPU)
    found = scans.signals(torch.tensor([2, 0, 1]))
    top = simulate_windows(parameters).summary.cpn_max
    allowed = 0.51 * np.maximum(compact.QUANTUM, 1.001 * top / 32767)
    error = (found - signals[[2, 0, 1]]).abs().amax(-1).numpy()
    # outside of its window a scan is 0 or 1 to 2e-5
    assert np.all(error <= np.maximum(allowed, 3e-5)[[2, 0, 1]])
    assert torch.equal(scans.signals(torch.tensor([1]), every=7)[0], found[2, :, ::7])
    exact = compact.of_parameters(parameters, Program(), CPU, rounded=False)
    assert (exact.signals(torch.arange(3)) - signals).abs().max() < 3e-5


def test_scans_of_a_file(tmp_path):
    import subprocess
    import sys

    command = [sys.executable, "-m", "hpctools.tnm", "--subset", "C", "--stride-x", "40", "--stride-beta", "40"]
    subprocess.run([*command, "--layout", "files", "--out", tmp_path / "c.h5"], check=True, capture_output=True)
    with open_grid(tmp_path / "c.h5") as grid:
        rows = np.array([5, 300, 17])
        scans = compact.of_file(grid, rows, CPU)
        top = np.maximum(1, grid.samples["cpn_max"][()][rows].max(1) / 6)[:, None, None]
        error = np.abs(scans.signals(torch.arange(3)).numpy() - grid.signals[rows]) / top
        assert error.max() < 1.1e-4


def test_too_few_points_name_the_largest_stride():
    from hpctools.tnm.learning import architecture
    from hpctools.tnm.learning_settings import TrainJob
    from hpctools.tnm.program import Program

    with pytest.raises(TrainingError, match=r"--every 100 leaves 186 points.*take --every (\d+) or less") as error:
        architecture(TrainJob(every=100), Program())
    most = int(str(error.value).split("take --every ")[1].split()[0])
    MCNN(architecture(TrainJob(every=most), Program()))
    assert 20 <= most < 100
