"""The training loop on several ranks: the curve of one rank, stops, kills, errors; by mpiexec and by torchrun."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from hpctools import weights
from hpctools.training_log import read_log

DRIVER = Path(__file__).with_name("training_driver.py")
ROUNDING = {"rtol": 2e-5, "atol": 1e-7}


@pytest.fixture
def run_training(tmp_path, make_job):
    return make_job(tmp_path, (str(DRIVER),))


@pytest.fixture(scope="module")
def one_rank(tmp_path_factory, make_job):
    """Folders of the same trainings on one rank, by kind of data."""
    folder = tmp_path_factory.mktemp("one")
    for kind in ([], ["--stream"]):
        code, text = make_job(folder, (str(DRIVER),))(1, folder / "".join(["run", *kind]), "--epochs", 4, *kind)
        assert code == 0, text
    return folder


def compare(found, expected):
    one, two = read_log(found), read_log(expected)
    assert one.keys() == two.keys()
    for name in one.keys() - {"seconds"}:
        np.testing.assert_allclose(one[name], two[name], err_msg=name, **ROUNDING)
    a, b = (weights.load(Path(folder) / "model.npz").arrays for folder in (found, expected))
    for name in a:
        np.testing.assert_allclose(a[name], b[name], rtol=1e-3, atol=2e-5, err_msg=name)


@pytest.mark.parametrize("ranks, kind", [(2, []), (3, []), (2, ["--stream"])])
def test_same_curve(run_training, tmp_path, one_rank, ranks, kind):
    """With dropout, an uneven last batch (26 samples), and a validation set of 41."""
    code, text = run_training(ranks, tmp_path / "run", "--epochs", 4, *kind)
    assert code == 0, text
    compare(tmp_path / "run", one_rank / "".join(["run", *kind]))


def test_no_thread_of_the_process_group_is_left_at_the_end(run_training, tmp_path):
    """One that outlives it can abort an interpreter that ends."""
    code, text = run_training(2, tmp_path / "run", "--epochs", 1, "--show-threads")
    assert code == 0, text
    before, after = ([line.split()[1:] for line in text.splitlines() if line.startswith(word)]
                     for word in ("before:", "after:"))  # fmt: skip
    assert len(before) == len(after) == 2 and all("pt_gloo_runloop" in names for names in before), text
    assert not any("gloo" in name for names in after for name in names), text


def test_more_ranks_than_samples_in_the_last_batch(run_training, tmp_path):
    """Batches of 249 and of 1 sample on three ranks."""
    for ranks in (1, 3):
        code, text = run_training(ranks, tmp_path / str(ranks), "--epochs", 3, "--batch", 249)
        assert code == 0, text
    compare(tmp_path / "3", tmp_path / "1")


def test_torchrun(tmp_path, one_rank):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(DRIVER),
               str(tmp_path / "run"), "--epochs", "4"]  # fmt: skip
    environ = {**os.environ, "PYTHONPATH": str(DRIVER.parents[2]), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    compare(tmp_path / "run", one_rank / "run")


def test_one_ranks_signal_stops_all_then_kill_then_resume(run_training, tmp_path, one_rank):
    out = tmp_path / "run"
    slow = ("--epochs", 4, "--pause", 0.3, "--checkpoint-minutes", 0)

    def wait_for(path):
        deadline = time.monotonic() + 60
        while not path.exists() and time.monotonic() < deadline:
            time.sleep(0.01)

    process = run_training.start(2, out, *slow)
    wait_for(out / "checkpoint.pt")
    os.kill(run_training.ranks_of(out)[-1], signal.SIGUSR1)
    code, text = run_training.wait(process)
    assert code == 75 and not (out / "model.npz").exists(), text
    before = (out / "checkpoint.pt").stat().st_mtime_ns
    process = run_training.start(2, out, *slow)
    deadline = time.monotonic() + 60
    while (out / "checkpoint.pt").stat().st_mtime_ns == before and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(run_training.ranks_of(out)[-1], signal.SIGKILL)
    code, text = run_training.wait(process)
    assert code != 0 and not (out / "model.npz").exists(), text
    code, text = run_training(3, out, "--epochs", 4)  # a resume may use another number of ranks
    assert code == 0, text
    compare(out, one_rank / "run")


def test_a_foreign_checkpoint_is_said_once(run_training, tmp_path):
    assert run_training(1, tmp_path / "run", "--epochs", 1, "--seed", 1)[0] == 0
    code, text = run_training(2, tmp_path / "run", "--epochs", 1, "--seed", 2)
    assert code == 1, text
    assert text.count("settings.seed: it has 1, this run 2") == 1 and "Traceback" not in text, text
