"""The TNM grid job under a real mpiexec: same bytes whoever computes, kills, stops, full disks, refusals."""

import os
import signal
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest

from hpctools.store_reader import open_reader
from hpctools.tnm import open_grid, simulate

LAYOUTS = ["files", pytest.param("mpio", marks=pytest.mark.skipif(
    not h5py.get_config().mpi, reason="h5py is not built on parallel HDF5"))]  # fmt: skip

# 20 nodes with 3 × 3 samples
NODES = "".join(f"{dh},{4.6 - dh / 8.314 / t100}\n" for dh in (3e5, 5e5, 8e5, 11e5) for t100 in range(300, 800, 100))
WORK = ("--nodes", "nodes.csv", "--stride-x", 20, "--stride-beta", 20)


@pytest.fixture(autouse=True)
def nodes(tmp_path):
    (tmp_path / "nodes.csv").write_text(NODES)


def contents(path):
    """All data sets but those that tell of the runs."""
    with open_reader(path, kind="tnm grid") as file:
        return {name: file[name][()].tobytes() for name in file if name not in ("runs", "sources")}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """The data of one process without MPI."""
    folder = tmp_path_factory.mktemp("one")
    (folder / "nodes.csv").write_text(NODES)
    command = [sys.executable, "-m", "hpctools.tnm", *map(str, WORK), "--out", "grid.h5"]
    environ = {**os.environ, "HPCTOOLS_MPI": "off"}
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return contents(folder / "grid.h5")


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("ranks", [2, 3])
def test_same_bytes(run_grid, tmp_path, uninterrupted, layout, ranks):
    code, text = run_grid(ranks, *WORK, "--layout", layout, "--out", "grid.h5")
    assert code == 0, text
    assert contents(tmp_path / "grid.h5") == uninterrupted
    assert "complete: grid.h5" in text and f"samples/s on {ranks} ranks" in text, text
    with open_grid(tmp_path / "grid.h5") as grid:
        some = [0, 123, 179]
        top = grid.samples["cpn_max"].max(axis=1)[some]
        error = np.abs(grid.signals[some] - simulate(grid.parameters[some])).max(axis=(1, 2))
        assert np.all(error <= 1e-4 * np.maximum(1, top / 6))


def test_more_ranks_than_nodes(run_grid, tmp_path):
    (tmp_path / "two.csv").write_text("dh,ln_a\n3.2e5,-79\n3.6e5,-133\n")
    options = ("--nodes", "two.csv", "--stride-x", 10, "--stride-beta", 10)
    assert run_grid(1, *options, "--out", "a.h5")[0] == 0
    code, text = run_grid(4, *options, "--out", "b.h5")
    assert code == 0, text
    assert contents(tmp_path / "a.h5") == contents(tmp_path / "b.h5")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_killed_rank_then_resume(run_grid, tmp_path, uninterrupted, layout):
    out = tmp_path / "grid.h5"
    process = run_grid.start(2, *WORK, "--layout", layout, "--out", out, "--commit-seconds", 0)
    parts = tmp_path / "grid.h5.parts"
    deadline = time.monotonic() + 60
    while not any(p.stat().st_size > 300 for p in parts.glob("*.journal")) and time.monotonic() < deadline:
        time.sleep(0.005)
    victims = run_grid.ranks_of(out)
    assert victims, "the job was over before it could be killed"
    os.kill(victims[-1], signal.SIGKILL)
    code, text = run_grid.wait(process)
    assert code != 0 and not out.exists(), text
    # a resume may use another number of ranks
    code, text = run_grid(3, *WORK, "--layout", layout, "--out", out)
    assert code == 0 and "chunks done" in text, text
    assert contents(out) == uninterrupted


def test_stop_by_signal_and_by_wall_time(run_grid, tmp_path, uninterrupted):
    out = tmp_path / "grid.h5"
    process = run_grid.start(2, *WORK, "--out", out, "--commit-seconds", 0)
    parts = tmp_path / "grid.h5.parts"
    deadline = time.monotonic() + 60
    while not list(parts.glob("*.journal")) and time.monotonic() < deadline:
        time.sleep(0.005)
    os.kill(run_grid.ranks_of(out)[-1], signal.SIGUSR1)  # one rank's signal stops all
    code, text = run_grid.wait(process)
    assert code == 75 and "stopped (" in text and "same command again" in text, text
    code, text = run_grid(2, *WORK, "--out", out, "--wall-time", 0)
    assert code == 75 and "stopped (wall time" in text, text
    code, text = run_grid(1, *WORK, "--out", out)
    assert code == 0, text
    assert contents(out) == uninterrupted
    code, text = run_grid(2, *WORK, "--out", out)
    assert code == 0 and "complete already" in text, text


def test_other_settings_and_foreign_files_are_refused(run_grid, tmp_path):
    out = tmp_path / "grid.h5"
    code, text = run_grid(2, *WORK, "--out", out, "--wall-time", 0)
    assert code == 75, text
    code, text = run_grid(2, *WORK, "--precision", 0.001, "--out", out)
    assert code == 1 and "precision" in text and "0.0001" in text and "Traceback" not in text, text
    foreign = tmp_path / "notes.h5"
    foreign.write_bytes(b"not HDF5 at all")
    code, text = run_grid(2, *WORK, "--out", foreign)
    assert code == 1 and "no HDF5 file" in text and "Traceback" not in text, text
    assert foreign.read_bytes() == b"not HDF5 at all"
    whole = tmp_path / "whole.h5"
    assert run_grid(1, *WORK, "--out", whole)[0] == 0
    cut = whole.read_bytes()[:-1000]
    whole.write_bytes(cut)
    code, text = run_grid(2, *WORK, "--out", whole)
    assert code == 1 and "truncated" in text and "Traceback" not in text, text
    assert whole.read_bytes() == cut


def test_full_disk_then_more_space(run_grid, tmp_path, uninterrupted):
    """A real small file system."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1300k", "tmpfs", disk], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a small tmpfs needs root")
    try:
        code, text = run_grid(2, *WORK, "--out", disk / "grid.h5")
        assert code == 1 and "no space" in text and "Traceback" not in text, text
        assert not (disk / "grid.h5").exists()
        subprocess.run(["mount", "-o", "remount,size=60m", disk], check=True)
        code, text = run_grid(2, *WORK, "--out", disk / "grid.h5")
        assert code == 0, text
        assert contents(disk / "grid.h5") == uninterrupted
    finally:
        subprocess.run(["umount", disk], check=False)


def test_an_error_on_all_ranks_is_said_once(run_grid):
    code, text = run_grid(3, "--subset", "XX")
    assert code == 2, text
    assert text.count("subset 'XX' is unknown") == 1 and "Traceback" not in text, text


def test_wrong_usage(run_grid):
    assert run_grid(1, "--no-such-option")[0] == 2
    code, text = run_grid(1, "gird")
    assert code == 2 and "command 'gird' is unknown" in text, text


def test_dry_run_of_the_full_grid(run_grid, tmp_path):
    code, text = run_grid(2, "--dry-run", "--out", "grid.h5")
    assert code == 0, text
    assert "13,752,261 samples" in text and "4091 a rank on 2 ranks" in text, text
    assert "6.106 TB as plain float32" in text and "GB (" in text, text
    assert [path.name for path in tmp_path.iterdir()] == ["nodes.csv"]


def test_singletons_are_refused(tmp_path):
    """Each task would do the whole job: Slurm's variables say four tasks, MPI says one."""
    environ = {**os.environ, "SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "0"}
    command = [sys.executable, "-m", "hpctools.tnm", *map(str, WORK)]
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "srun --mpi=pmi2" in done.stderr, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["nodes.csv"]
