"""Training of the glasses' autoencoder on two nodes: stopped by a signal, requeued, finished; and as an array."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from cluster import Cluster
from hpctools.glasses.curves import LIBRARY
from hpctools.training_log import read_log

EPOCHS = 30
WORK = ("--epochs", str(EPOCHS), "--least-counts", "20", "--device", "cpu", "--checkpoint-minutes", "60")


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two of the shipped records, 13 curves."""
    folder = tmp_path_factory.mktemp("records")
    for name in ("SiO2_bmp-shrm_s1.h5", "40SiO2-40B2O3-20Na2O_bmp-shrm_s1.h5"):
        shutil.copy(LIBRARY / name, folder)
    return folder


def test_batch_script_stops_at_a_signal_and_goes_on(cluster: Cluster, records: Path, tmp_path: Path):
    out = tmp_path / "run"
    job = cluster.script(tmp_path, "glass_train.sh", "autoencoder", "--records", records, "--out", out, *WORK)
    cluster.wait_for_log(out / "log.csv", "\n2,", timeout=200)
    cluster.interrupt(job, tmp_path)
    assert read_log(out)["epoch"] == list(range(EPOCHS + 1))
    assert (out / "model.npz").exists() and (out / "pair_correlation.npz").exists()


def test_array_of_folds(cluster: Cluster, records: Path, tmp_path: Path):
    text = cluster.launch("glass_train.py", "--runs", tmp_path, "--kind", "mean-force", "--folds", "all", "--wait",
                          "--minutes", 8, "--records", records, "--epochs", 3, "--least-counts", 20, "--device", "cpu")
    assert text.startswith("job ")
    with np.load(tmp_path / "mean-force/all/pair_correlation.npz") as file:
        assert np.isfinite(file["curves/errors"]).all() and file["curves/g"].shape == (13, 100)
    shown = cluster.launch("glass_train.py", "--runs", tmp_path, "--status")
    assert "COMPLETED" in shown, shown
