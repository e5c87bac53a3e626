"""Training as Slurm jobs on two nodes: through submitit, preempted, requeued, finished; and by the batch script."""

import csv
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from cluster import REPOSITORY, Cluster, job_numbers
from hpctools import submission, weights
from hpctools.training_log import read_log

# 121 samples
WORK = ("--stride-x", "40", "--stride-beta", "41", "--every", "20", "--filters", "2", "2", "2", "--batch", "20",
        "--device", "cpu", "--momentum", "0.9")  # fmt: skip
EPOCHS = 40


def launch(cluster: Cluster, folder: Path, *options: str) -> str:
    """jobs/tnm_train.py as a user runs it."""
    return cluster.launch("tnm_train.py", "--runs", folder, *options)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same training in one process."""
    folder = tmp_path_factory.mktemp("one")
    command = [sys.executable, "-m", "hpctools.tnm", "train", "--out", str(folder), "--epochs", str(EPOCHS), *WORK]
    # threads that wait for each other busily take minutes where another process has one of the cores
    environment = {**os.environ, "HPCTOOLS_THREADS": "1"}
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, env=environment)
    return folder


def same_curve(found: Path, expected: Path) -> None:
    one, two = read_log(found), read_log(expected)
    assert one["epoch"] == two["epoch"]
    for name in one.keys() - {"seconds"}:
        np.testing.assert_allclose(one[name], two[name], rtol=1e-3, err_msg=name)
    assert (found / "predictions.h5").exists()


def test_preempted_job_is_requeued_and_finishes(cluster: Cluster, uninterrupted: Path, tmp_path: Path, monkeypatch):
    """Two ranks on two nodes in the partition `low`; then a job of `main` wants both nodes."""
    out = tmp_path / "MCNN-C"
    text = launch(cluster, tmp_path, "--nodes", "2", "--partition", "low", "--minutes", "8", "--epochs", str(EPOCHS),
                  "--checkpoint-minutes", "60", *WORK)  # fmt: skip
    job = int(text.split()[1].rstrip(":"))
    log = tmp_path / f"jobs/{job}_0_log.out"
    cluster.wait_for_log(out / "log.csv", "\n4,", timeout=200)
    script = tmp_path / "urgent.sh"
    script.write_text("#!/bin/bash\nsleep 2\n")
    urgent = cluster.sbatch("-N2", "--exclusive", f"--output={tmp_path}/urgent.log", script)
    cluster.wait(urgent)
    assert not (out / "model.npz").exists(), "it was over before it could be preempted"
    with open(tmp_path / "jobs/jobs.csv", newline="") as file:
        assert list(csv.reader(file)) == [[str(job), "MCNN-C"]]
    cluster.wait(job, timeout=150)
    assert cluster.job(job)["Restarts"] == "1", log.read_text()
    assert "stopped (signal SIGTERM)" in log.read_text()
    same_curve(out, uninterrupted)
    assert weights.load(out / "model.npz").provenance["ranks"] == 2
    shown = launch(cluster, tmp_path, "--status")
    assert f"{job}" in shown and "1 COMPLETED" in shown, shown
    for name, value in cluster.env.items():
        monkeypatch.setenv(name, value)
    assert submission.wait(tmp_path / "jobs")


def test_array_with_a_failing_job(cluster: Cluster, tmp_path: Path):
    """Two models at once; the folder of one holds a checkpoint of another training."""
    (tmp_path / "MCNN-LU").mkdir()
    (tmp_path / "MCNN-LU/checkpoint.pt").write_bytes(b"something else")
    text = launch(cluster, tmp_path, "--models", "MCNN-C", "MCNN-LU", "--epochs", "1", *WORK)
    ids = job_numbers(text)
    assert len(ids) == 2 and ids[0].endswith("_0") and ids[1].endswith("_1")
    deadline = time.monotonic() + 200
    shown = launch(cluster, tmp_path, "--status")
    while any(state in shown for state in ("PENDING", "RUNNING", "COMPLETING")) and time.monotonic() < deadline:
        time.sleep(0.5)
        shown = launch(cluster, tmp_path, "--status")
    assert "1 COMPLETED" in shown and "1 FAILED" in shown, shown
    assert "found a damaged or other file" in (tmp_path / f"jobs/{ids[1]}_0_log.out").read_text()
    assert (tmp_path / "MCNN-LU/checkpoint.pt").read_bytes() == b"something else"


def test_batch_script_stops_and_goes_on(cluster: Cluster, uninterrupted: Path, tmp_path: Path):
    job = cluster.sbatch("--time=10", f"--output={tmp_path}/log", "-N2", "-n2", "slurm/tnm_train.sh", "--out",
                         tmp_path / "run", "--epochs", EPOCHS, *WORK, cwd=REPOSITORY,
                         env={"HPCTOOLS_VENV": sys.prefix})  # fmt: skip
    cluster.wait_for_file(tmp_path / "run", "log.csv", timeout=120)
    cluster.signal(job, "USR1")
    cluster.wait_restarts(job)
    assert "exit 75" in (tmp_path / "log").read_text() and not (tmp_path / "run/model.npz").exists()
    cluster.wait(job, timeout=150)
    same_curve(tmp_path / "run", uninterrupted)
