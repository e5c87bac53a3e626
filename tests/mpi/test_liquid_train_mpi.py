"""Training of the networks of liquids under mpiexec: one curve for 1 and 2 ranks; one file of a regression."""

from pathlib import Path

import numpy as np
import pytest

from hpctools import weights
from hpctools.training_log import read_log

DATA = Path(__file__).parents[2] / "hpctools/data/liquids/validation"
WORK = ("train", "--data", DATA, "--layers", 32, 32, "--steps", 9, "--batch", 100, "--device", "cpu", "--lasso", 1e-6)


@pytest.fixture
def run_train(tmp_path, make_job):
    return make_job(tmp_path, ("-m", "hpctools.liquids"))


def test_two_ranks_give_the_same_curve(run_train, tmp_path):
    for ranks in (1, 2):
        code, text = run_train(ranks, *WORK, "--out", tmp_path / str(ranks))
        assert code == 0 and "complete: " in text, text
    one, two = (read_log(tmp_path / str(ranks)) for ranks in (1, 2))
    assert one["samples"] == two["samples"]
    np.testing.assert_allclose(two["loss"], one["loss"], rtol=1e-4)
    first, second = (weights.load(tmp_path / f"{ranks}/liquid.npz") for ranks in (1, 2))
    assert first.config["learned_from"] == second.config["learned_from"]
    for name, array in first.arrays.items():
        np.testing.assert_allclose(second.arrays[name], array, rtol=1e-3, atol=1e-4, err_msg=name)


def test_a_regression_is_written_once(run_train, tmp_path):
    code, text = run_train(2, "train", "--model", "ridge", "--data", DATA, "--out", tmp_path / "ridge")
    assert code == 0 and text.count("complete: ") == 1, text
    assert weights.load(tmp_path / "ridge/liquid.npz").config["model"] == "ridge"
