"""The batch scripts of the TNM grid on two nodes: complete, stopped, struck, and as an array."""

import sys
import time
from pathlib import Path

import pytest

from cluster import REPOSITORY, Cluster
from hpctools.store_reader import open_reader

# 121 nodes, 11 x and 11 β: long enough to be stopped in between.
WORK = ("--subset", "C", "--stride-x", "4", "--stride-beta", "4")


def submit(cluster: Cluster, folder: Path, *command: str) -> int:
    """Submits `[OPTION]... SCRIPT [ARGUMENT]...` from the top folder, to work in `folder`."""
    return cluster.sbatch("--time=10", f"--output={folder}/log", f"--chdir={folder}", *command,
                          cwd=REPOSITORY, env={"HPCTOOLS_VENV": sys.prefix})


def submit_grid(cluster: Cluster, folder: Path) -> int:
    job = (*WORK, "--out", "grid.h5", "--commit-seconds", "1")
    return submit(cluster, folder, "-N2", "-n2", "slurm/tnm_grid.sh", *job)


def wait_until_it_writes(cluster: Cluster, folder: Path) -> None:
    """Until some of its nodes are safe on the disk."""
    deadline = time.monotonic() + 90
    while not any(journal.stat().st_size > 500 for journal in folder.glob("grid.h5.parts/*.journal")):
        assert time.monotonic() < deadline, log(folder)
        time.sleep(0.1)


def data(path: Path) -> dict[str, bytes]:
    """Every data set of a file, as bytes, but those that tell of the runs."""
    with open_reader(path, kind="tnm grid") as file:
        return {name: file[name][()].tobytes() for name in file if name not in ("runs", "sources")}


def log(folder: Path) -> str:
    return (folder / "log").read_text()


@pytest.fixture(scope="module")
def uninterrupted(running_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The data of a job that nothing happens to."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    job = submit_grid(running_cluster, folder)
    running_cluster.wait(job, timeout=120)
    assert running_cluster.job(job)["Restarts"] == "0", log(folder)
    return data(folder / "grid.h5")


def test_completes(uninterrupted: dict[str, bytes]):
    assert any(uninterrupted.values())


def test_signal_stops_cleanly_and_the_job_goes_on(cluster: Cluster, uninterrupted, tmp_path: Path):
    job = submit_grid(cluster, tmp_path)
    wait_until_it_writes(cluster, tmp_path)
    cluster.signal(job, "USR1")
    cluster.wait_restarts(job)
    assert "exit 75" in log(tmp_path)
    assert not (tmp_path / "grid.h5").exists()
    cluster.wait(job, timeout=120)
    assert cluster.job(job)["Restarts"] == "1", log(tmp_path)
    assert data(tmp_path / "grid.h5") == uninterrupted


def test_node_dies_and_the_job_goes_on(cluster: Cluster, uninterrupted, tmp_path: Path):
    """The node of rank 0 and of the batch script."""
    job = submit_grid(cluster, tmp_path)
    wait_until_it_writes(cluster, tmp_path)
    cluster.kill_node("n1")
    cluster.wait(job, ["PENDING"])
    assert not (tmp_path / "grid.h5").exists()
    cluster.restart_node("n1")
    cluster.wait(job, timeout=120)
    assert cluster.job(job)["Restarts"] == "1", log(tmp_path)
    assert data(tmp_path / "grid.h5") == uninterrupted


def test_array_over_two_subsets(cluster: Cluster, tmp_path: Path):
    """Both tasks run at once, one a node."""
    job = submit(cluster, tmp_path, "--array=4,5", "--output=log-%a", "-n2", "slurm/tnm_grid_array.sh",
                 "--stride-x", "8", "--stride-beta", "8")
    cluster.wait(job, timeout=120)
    assert data(tmp_path / "tnm_C.h5").keys() == data(tmp_path / "tnm_G.h5").keys()
    assert data(tmp_path / "tnm_C.h5") != data(tmp_path / "tnm_G.h5")


def test_unknown_option_is_wrong_usage_and_not_run_again(cluster: Cluster, tmp_path: Path):
    job = submit(cluster, tmp_path, "-n2", "slurm/tnm_grid.sh", "--no-such-option")
    cluster.wait(job, ["FAILED"])
    record = cluster.job(job)
    assert (record["ExitCode"], record["Restarts"]) == ("2:0", "0"), log(tmp_path)
