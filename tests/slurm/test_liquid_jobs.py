"""Training and memory functions of liquids on two nodes: stopped by a signal, requeued, finished; and as arrays."""

import shutil
import sys
from pathlib import Path

import pytest

from cluster import Cluster
from hpctools.liquids.memory.product import MemoryFile
from hpctools.training_log import read_log
from hpctools.weights import load

REPOSITORY = Path(__file__).parents[2]
STATES = REPOSITORY / "hpctools/data/liquids/validation"
EPOCHS = 400
EXPORT = f"--export=ALL,HPCTOOLS_VENV={sys.prefix},HPCTOOLS_ROOT={REPOSITORY}"
QUICK = ("--n-exp", "2", "--restarts", "1", "--population", "8")


@pytest.fixture
def states(tmp_path: Path) -> Path:
    """Two of the shipped states."""
    folder = tmp_path / "states"
    folder.mkdir()
    for name in ("LJ-rho1.2-T2-seed1.h5", "WCA-rho1.2-T1-seed1.h5"):
        shutil.copy(STATES / name, folder)
    return folder


def logs(folder: Path) -> str:
    return "".join(path.read_text() for path in folder.glob("*.log"))


def test_training_stops_at_a_signal_and_goes_on(cluster: Cluster, tmp_path: Path):
    out = tmp_path / "run"
    job = cluster.sbatch("--chdir", str(tmp_path), "-N2", "--ntasks=2", "--cpus-per-task=1", "--time=5", EXPORT,
                         REPOSITORY / "slurm/liquid_train.sh", "--data", str(STATES), "--out", str(out), "--steps",
                         "0", "--epochs", str(EPOCHS), "--layers", "32", "--device", "cpu", "--checkpoint-minutes",
                         "60")  # fmt: skip
    cluster.wait_for_log(out / "log.csv", "\n5,", timeout=200)
    cluster.signal(job, "USR1")
    cluster.wait(job, timeout=240)
    assert "exit 75" in logs(tmp_path) and "run 2" in logs(tmp_path), logs(tmp_path)
    assert read_log(out)["epoch"][-1] == EPOCHS
    assert load(out / "liquid.npz")


def test_array_of_trainings(cluster: Cluster, tmp_path: Path):
    text = cluster.run(sys.executable, "jobs/liquid_train.py", "--runs", str(tmp_path), "--models", "nearest", "ridge",
                       "--wait", "--minutes", "8", "--data", str(STATES), env={"HPCTOOLS_VENV": sys.prefix},
                       cwd=REPOSITORY)  # fmt: skip
    assert text.startswith("job ")
    assert all((tmp_path / f"liquid-{name}-full/liquid.npz").exists() for name in ("nearest", "ridge"))


def test_memory_functions_stop_at_a_signal_and_go_on(cluster: Cluster, states: Path, tmp_path: Path):
    out = tmp_path / "memory"
    job = cluster.sbatch("--chdir", str(tmp_path), "--array=0", "-N2", "--ntasks=2", "--time=5", EXPORT,
                         REPOSITORY / "slurm/liquid_memory.sh", str(states), "--out", str(out), *QUICK)  # fmt: skip
    cluster._until(lambda: len(list(out.glob("runs/*"))) == 2, 120, "no two states begun")
    cluster.signal(job, "USR1")
    cluster.wait(job, timeout=240)
    assert "exit 75" in logs(tmp_path) and "run 2" in logs(tmp_path), logs(tmp_path)
    found = [MemoryFile.load(path) for path in sorted(out.glob("*.h5"))]
    assert len(found) == 2 and all((one.chi_square[1] < 1.5).all() for one in found)


def test_array_of_memory_functions(cluster: Cluster, states: Path, tmp_path: Path):
    words = (sys.executable, "jobs/liquid_memory.py", str(states), "--out", str(tmp_path / "memory"), "--jobs", "2")
    text = cluster.run(*words, "--tasks", "1", *QUICK, "--minutes", "8", "--wait", env={"HPCTOOLS_VENV": sys.prefix},
                       cwd=REPOSITORY)  # fmt: skip
    assert text.count("job ") == 2
    assert len(list((tmp_path / "memory").glob("*.h5"))) == 2
    shown = cluster.run(*words, "--status", cwd=REPOSITORY)
    assert "2 done" in shown and "2 COMPLETED" in shown, shown
