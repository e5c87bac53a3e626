"""Stop flag from signals and wall time."""

import math
import os
import signal
import time

import pytest

from hpctools import stop
from hpctools.stop import USAGE, Stop, WallTimeError, parse_slurm_time, slurm_end_time
from hpctools.world import World


@pytest.fixture(autouse=True)
def own_handlers():
    """The tests' own process is as it was."""
    former = {number: signal.getsignal(number) for number in (signal.SIGUSR1, signal.SIGUSR2)}
    yield
    for number, handler in former.items():
        signal.signal(number, handler)


@pytest.fixture(autouse=True)
def no_slurm(monkeypatch):
    for name in ("SLURM_JOB_ID", "SLURM_JOB_END_TIME"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT])
def test_signals_set_the_flag(number):
    heard = []
    before = signal.signal(number, lambda *_: heard.append(number))
    mine = signal.getsignal(number)
    with Stop() as flag:
        assert not flag.requested
        os.kill(os.getpid(), number)
        assert flag.requested and flag.reason == f"signal {signal.Signals(number).name}"
        assert flag.agreed(World())
    assert signal.getsignal(number) is mine and not heard
    signal.signal(number, before)


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2])
def test_a_late_warning_does_not_kill(number):
    """It comes when the work is done and the results are being written."""
    signal.signal(number, signal.SIG_DFL)
    with Stop():
        pass
    os.kill(os.getpid(), number)  # by default the end of the process
    with Stop() as flag:
        os.kill(os.getpid(), number)
        assert flag.requested


def test_second_interrupt_is_not_swallowed():
    with Stop() as flag:
        os.kill(os.getpid(), signal.SIGINT)
        assert flag.requested
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)


def test_wall_time_keeps_a_margin():
    with Stop(wall_time=2.0, margin=60.0) as flag:
        assert not flag.requested and 119 < flag.remaining <= 120
    with Stop(wall_time=0.5, margin=60.0) as flag:  # no longer than the margin: half of it is for work
        assert not flag.requested and flag.margin == 15.0
        flag.deadline -= 16.0
        assert flag.requested and "wall time" in flag.reason
    with Stop() as flag:
        assert flag.remaining is None and not flag.requested


def test_longest_round_is_added_to_the_margin(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(stop.time, "monotonic", lambda: clock[0])
    with Stop(wall_time=1.0, margin=1.0) as flag:
        assert not flag.agreed(World())
        clock[0] = 70.0  # a round of 70 s does not fit into the 60 s that are left
        assert flag.agreed(World())


def test_the_time_between_two_tasks_is_no_round(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(stop.time, "monotonic", lambda: clock[0])
    with Stop(wall_time=1.0, margin=1.0) as flag:
        assert not flag.agreed(World())
        clock[0] = 70.0
        flag.begin()
        assert not flag.agreed(World())
        clock[0] = 140.0  # a round of the new task
        assert flag.agreed(World())


def test_the_end_of_the_parent_is_a_request():
    with Stop(parent=os.getppid()) as flag:
        assert not flag.requested
    with Stop(parent=os.getpid()) as flag:
        assert flag.requested and flag.reason == f"process {os.getpid()}, which started this one, has ended"


def test_earlier_end_holds(monkeypatch):
    monkeypatch.setenv("SLURM_JOB_END_TIME", str(int(time.time()) + 600))
    with Stop(wall_time=100.0) as flag:
        assert 590 < flag.remaining <= 600
    with Stop(wall_time=5.0) as flag:
        assert 290 < flag.remaining <= 300
    with Stop(ask_slurm=False) as flag:
        assert flag.remaining is None


def test_another_rank_stops_us():
    class Two(World):
        def max(self, value):
            return 1

    with Stop() as flag:
        assert flag.agreed(Two()) and flag.reason == "another rank"


@pytest.mark.parametrize("text, seconds", [
    ("30", 30), ("05:30", 330), ("1:00:00", 3600), ("2-03:04:05", 183845), ("UNLIMITED", None),
    ("INVALID", None), ("", None)])
def test_slurm_durations(text, seconds):
    assert parse_slurm_time(text) == seconds


def test_squeue_is_asked_where_slurm_is_old(tmp_path, monkeypatch):
    squeue = tmp_path / "squeue"
    squeue.write_text("#!/bin/sh\n[ \"$3\" = 42 ] && echo 10:00\n")
    squeue.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert slurm_end_time({"SLURM_JOB_ID": "42"}) == pytest.approx(time.time() + 600, abs=5)
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    assert slurm_end_time({"SLURM_JOB_ID": "42"}) is None
    assert slurm_end_time({}) is None


@pytest.mark.parametrize("wall_time", [-1.0, math.nan, math.inf])
def test_a_wall_time_is_a_number_of_minutes(wall_time):
    with pytest.raises(WallTimeError, match="expected minutes, 0 or more") as caught:
        Stop(wall_time)
    assert caught.value.exit_code == USAGE
    with pytest.raises(WallTimeError, match="expected seconds, 0 or more"):
        Stop(1.0, margin=wall_time)
