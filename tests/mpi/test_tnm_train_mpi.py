"""Training of the paper's network under mpiexec: one curve for 1 and 2 ranks, from a file or simulated; stops."""

import numpy as np
import pytest

from hpctools.tnm.predictions import read
from hpctools.training_log import read_log

# 484 samples of subset C, of which 339 are trained on
GRID = ("--stride-x", 40, "--stride-beta", 40)
WORK = (*GRID, "--every", 20, "--filters", 2, 2, 2, "--batch", 20, "--optimiser", "adam",
        "--learning-rate", 0.003, "--device", "cpu")  # fmt: skip
EPOCHS = ("--epochs", 4)


@pytest.fixture
def run_train(tmp_path, make_job):
    return make_job(tmp_path, ("-m", "hpctools.tnm"))


@pytest.fixture(scope="module")
def one_rank(tmp_path_factory, make_job):
    folder = tmp_path_factory.mktemp("one")
    code, text = make_job(folder, ("-m", "hpctools.tnm"))(1, "train", *WORK, *EPOCHS, "--out", folder / "run")
    assert code == 0 and "GFLOP a sample" in text and "complete: " in text, text
    return folder / "run"


def curves(folder):
    return {name: values for name, values in read_log(folder).items() if name != "seconds"}


def test_it_learns(one_rank):
    log = curves(one_rank)
    assert log["val_loss"][-1] < 0.25 * log["val_loss"][0]
    assert log["val_mae_beta"][-1] < 0.2  # β is 0.2 or 1: their mean would be off by 0.4
    found, attributes = read(one_rank / "predictions.h5")
    assert attributes["label"] == "MCNN-C" and len(found) == 73 and np.isfinite(found.predicted).all()
    assert np.all(found.index >= 0) and len(set(found.index)) == 73
    assert np.abs(found.predicted[:, 1] - found.true[:, 1]).mean() < 1e5


def test_two_ranks_give_the_same_curve(run_train, tmp_path, one_rank):
    code, text = run_train(2, "train", *WORK, *EPOCHS, "--out", tmp_path / "run")
    assert code == 0, text
    one, two = curves(one_rank), curves(tmp_path / "run")
    # sums in another order are off by their rounding, which training makes grow: to 0.7 % in the last epoch on one CPU
    for name in one:
        np.testing.assert_allclose(two[name][:4], one[name][:4], rtol=1e-3, err_msg=name)
        np.testing.assert_allclose(two[name], one[name], rtol=2e-2, err_msg=name)
    first, second = (read(folder / "predictions.h5")[0] for folder in (one_rank, tmp_path / "run"))
    np.testing.assert_array_equal(first.index, second.index)
    np.testing.assert_allclose(first.predicted, second.predicted, rtol=5e-3, atol=5e-3)


def test_stopped_and_resumed_from_a_file(run_train, tmp_path, one_rank):
    """By wall time at once, then in two pieces; scans from a grid's file, unpacked anew for each batch."""
    code, text = run_train(1, *GRID, "--subset", "C", "--out", "c.h5", "--layout", "files", "--precision", 0)
    assert code == 0, text
    out = ("--out", tmp_path / "run")
    code, text = run_train(1, "train", *WORK, *EPOCHS, "--data", "c.h5", *out, "--wall-time", 0)
    assert code == 75 and "stopped (wall time" in text and "same command again" in text, text
    code, text = run_train(1, "train", *WORK, "--epochs", 2, "--data", "c.h5", *out)
    assert code == 0, text
    code, text = run_train(1, "train", *WORK, *EPOCHS, "--data", "c.h5", "--no-resident", *out)
    assert code == 0, text
    one, two = curves(one_rank), curves(tmp_path / "run")
    # CpN_max, the unit of the integers kept in memory, has single precision in files; the difference grows
    assert one["epoch"] == two["epoch"]
    for name in one:
        np.testing.assert_allclose(two[name][:4], one[name][:4], rtol=3e-3, err_msg=name)


def test_wrong_usage(run_train, tmp_path, one_rank):
    code, text = run_train(1, "train", "--model", "MCNN-X")
    assert code == 2 and "invalid choice" in text, text
    code, text = run_train(1, "train", "--filters", 2, 2)
    assert code == 2 and "expected three filters" in text and "Traceback" not in text, text
    code, text = run_train(1, *GRID, "--subset", "C", "--out", "c.h5")
    assert code == 0, text
    code, text = run_train(2, "train", *WORK, "--model", "MCNN-LU", "--data", "c.h5", "--out", tmp_path / "x")
    assert code == 1 and text.count("c.h5: holds 484 samples, not the 484 of subset LU") == 1, text
    assert "Traceback" not in text, text
