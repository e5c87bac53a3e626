"""Training and memory functions of liquids on two nodes: stopped by a signal, requeued, finished; and as arrays."""

import shutil
from pathlib import Path

import pytest

from cluster import REPOSITORY, Cluster
from hpctools.liquids.memory.product import MemoryFile
from hpctools.training_log import read_log
from hpctools.weights import load

STATES = REPOSITORY / "hpctools/data/liquids/validation"
EPOCHS = 1500  # long enough to be signalled in between
QUICK = ("--n-exp", "2", "--restarts", "1", "--population", "8")


@pytest.fixture
def states(tmp_path: Path) -> Path:
    """Two of the shipped states."""
    folder = tmp_path / "states"
    folder.mkdir()
    for name in ("LJ-rho1.2-T2-seed1.h5", "WCA-rho1.2-T1-seed1.h5"):
        shutil.copy(STATES / name, folder)
    return folder


def test_training_stops_at_a_signal_and_goes_on(cluster: Cluster, tmp_path: Path):
    out = tmp_path / "run"
    job = cluster.script(tmp_path, "liquid_train.sh", "--data", STATES, "--out", out, "--steps", 0, "--epochs", EPOCHS,
                         "--layers", 32, "--device", "cpu", "--checkpoint-minutes", 60,
                         options=("--cpus-per-task=1",))
    cluster.wait_for_log(out / "log.csv", "\n5,", timeout=200)
    cluster.interrupt(job, tmp_path)
    assert read_log(out)["epoch"][-1] == EPOCHS
    assert load(out / "liquid.npz")


def test_array_of_trainings(cluster: Cluster, tmp_path: Path):
    text = cluster.launch("liquid_train.py", "--runs", tmp_path, "--models", "nearest", "ridge", "--wait", "--minutes",
                          8, "--data", STATES)
    assert text.startswith("job ")
    assert all((tmp_path / f"liquid-{name}-full/liquid.npz").exists() for name in ("nearest", "ridge"))


def test_memory_functions_stop_at_a_signal_and_go_on(cluster: Cluster, states: Path, tmp_path: Path):
    out = tmp_path / "memory"
    job = cluster.script(tmp_path, "liquid_memory.sh", states, "--out", out, *QUICK, options=("--array=0",))
    cluster.until(lambda: len(list(out.glob("runs/*"))) == 2, 120, "no two states begun")
    cluster.interrupt(job, tmp_path)
    found = [MemoryFile.load(path) for path in sorted(out.glob("*.h5"))]
    assert len(found) == 2 and all((one.chi_square[1] < 1.5).all() for one in found)


def test_array_of_memory_functions(cluster: Cluster, states: Path, tmp_path: Path):
    words = ("liquid_memory.py", states, "--out", tmp_path / "memory", "--jobs", 2)
    text = cluster.launch(*words, "--tasks", 1, *QUICK, "--minutes", 8, "--wait")
    assert text.count("job ") == 2
    assert len(list((tmp_path / "memory").glob("*.h5"))) == 2
    shown = cluster.launch(*words, "--status")
    assert "2 done" in shown and "2 COMPLETED" in shown, shown
