"""Submission without Slurm: commands, resources, what a user gets told; with Slurm: tests/slurm/test_tnm_train.py."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hpctools import submission
from hpctools.submission import Command, Resources, SubmissionError

ROOT = Path(__file__).parents[1]
HELLO = Command("hello", "hpctools.tnm.__main__", ("train", "--out", "a folder"))


def launcher(*options):
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "jobs/tnm_train.py", *options]
    return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=120, check=False)


def test_command_leaves_with_the_exit_code_of_its_main(monkeypatch):
    assert HELLO.text == "python -m hpctools.tnm train --out 'a folder'"
    seen = []
    monkeypatch.setattr("hpctools.tnm.__main__.main", lambda words: seen.append((words, list(sys.argv))) or 0)
    monkeypatch.setattr(sys, "argv", ["other"])
    assert HELLO() == 0
    assert seen == [(["train", "--out", "a folder"], ["hpctools.tnm.__main__", "train", "--out", "a folder"])]
    monkeypatch.setattr("hpctools.tnm.__main__.main", lambda words: 75)
    with pytest.raises(SystemExit) as left:
        HELLO()
    assert left.value.code == 75


def test_resources_become_options_of_sbatch():
    found = submission._parameters([HELLO], Resources(nodes=2, gpus=4, minutes=10, memory=1.5, partition="fast"))
    assert found["ntasks_per_node"] == found["gpus_per_node"] == 4 and found["mem"] == "1.5GB"
    assert (found["time"], found["partition"], found["job_name"]) == (10, "fast", "hello") and "account" not in found
    assert "gpus_per_node" not in submission._parameters([HELLO], Resources(tasks=3))
    with pytest.raises(SubmissionError, match="minutes 0; expected 1 or more"):
        Resources(minutes=0)


def test_without_slurm(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SubmissionError, match="no sbatch is here"):
        submission.submit([HELLO], tmp_path, Resources())
    with pytest.raises(SubmissionError, match=r"^\S+: no table of submitted jobs \(No such file"):
        submission.status_text(tmp_path)


def test_states_without_slurm_come_from_results(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "jobs.csv").write_text("7,one\n8_0,two\n")
    (tmp_path / "7_0_result.pkl").touch()
    assert submission.states(tmp_path) == [("7", "one", "COMPLETED", ""), ("8_0", "two", "UNKNOWN", "")]
    assert "1 COMPLETED, 1 UNKNOWN" in submission.status_text(tmp_path)
    assert not submission.wait(tmp_path)


def test_launcher_of_trainings(tmp_path):
    done = launcher("--models", "all", "--runs", "r", "--dry-run", "--every", "10", "--minutes", "10")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 8 and lines[4] == "python -m hpctools.tnm train --model MCNN-C --out r/MCNN-C --every 10"
    for options, words in (
        (("--evry", "10"), "unrecognized arguments: --evry"),
        (("--batch", "0"), "batch 0; expected 1 or more"),
        (("--model", "MCNN-C"), "--model and --out are set by this script"),
    ):
        done = launcher("--dry-run", *options)
        assert done.returncode == 2 and words in done.stderr and "Traceback" not in done.stderr, done.stderr
