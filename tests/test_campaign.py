"""Campaigns: tasks are shared, never run twice, go on after a cut, and a failure stops nothing else."""

import errno
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from hpctools.campaign import (
    DONE,
    FAILED,
    RUNNING,
    STARTED,
    WAITING,
    Campaign,
    CampaignError,
    Stopped,
    Task,
    share_of,
)
from hpctools.campaign_command import carry_out
from hpctools.config import ConfigError
from hpctools.folders import locked
from hpctools.stop import COMPLETE, ERROR, HELD, STOPPED, Stop
from hpctools.world import World


def write(folder: Path, product: Path, stop: Stop) -> None:
    product.write_text("x")


def write_slowly(folder: Path, product: Path, stop: Stop) -> None:
    """Note who works here, work a little, and complain about company."""
    busy = folder / "busy"
    busy.touch(exist_ok=False)
    time.sleep(0.05)
    with open(product.parent / "journal", "a") as journal:
        journal.write(f"{product.name} {os.getpid()}\n")
    product.write_text("x")


def fail(folder: Path, product: Path, stop: Stop) -> None:
    raise ValueError("the box is empty")


def be_stopped(folder: Path, product: Path, stop: Stop) -> None:
    (folder / "half").touch()
    raise Stopped


def hang(folder: Path, product: Path, stop: Stop) -> None:
    (folder / "begun").touch()
    time.sleep(60)


def tasks(n: int, run) -> list[Task]:
    return [Task(f"t{i}", 36.0, run) for i in range(n)]


def work(folder: Path, entries: list[Task]) -> None:
    with Stop() as stop:
        Campaign(folder, entries).run(World(), stop)


def states(campaign: Campaign) -> list[str]:
    return [row.state for row in campaign.rows()]


@pytest.fixture
def stop():
    with Stop() as made:
        yield made


def test_runs_all_once_and_leaves_only_products(tmp_path, stop):
    campaign = Campaign(tmp_path / "c", tasks(3, write_slowly))
    assert states(campaign) == [WAITING] * 3
    assert campaign.summary()["remaining core-hours"] == pytest.approx(3 * 0.01)
    assert campaign.run(World(), stop) == COMPLETE
    assert states(campaign) == [DONE] * 3
    assert not list((tmp_path / "c" / "runs").iterdir())
    before = (tmp_path / "c" / "journal").read_text()
    assert campaign.run(World(), stop) == COMPLETE
    assert (tmp_path / "c" / "journal").read_text() == before


def test_several_runners_share_the_tasks(tmp_path):
    context = multiprocessing.get_context("fork")
    runners = [context.Process(target=work, args=(tmp_path, tasks(12, write_slowly))) for _ in range(3)]
    for runner in runners:
        runner.start()
    for runner in runners:
        runner.join(60)
    lines = (tmp_path / "journal").read_text().split("\n")[:-1]
    assert sorted(line.split()[0] for line in lines) == sorted(f"t{i}.h5" for i in range(12))
    assert len({line.split()[1] for line in lines}) > 1


def test_a_failure_is_told_and_stops_nothing_else(tmp_path, stop, capsys):
    campaign = Campaign(tmp_path, [Task("bad", 1.0, fail), Task("good", 1.0, write)])
    assert campaign.run(World(), stop) == ERROR
    assert states(campaign) == [FAILED, DONE]
    assert "the box is empty" in campaign.rows()[0].note
    assert "bad failed: the box is empty" in capsys.readouterr().err
    mended = Campaign(tmp_path, [Task("bad", 1.0, write), Task("good", 1.0, fail)])
    assert mended.run(World(), stop) == ERROR, "a failed task is not tried again by itself"
    assert mended.run(World(), stop, retry=True) == COMPLETE


def test_many_failures_one_after_the_other_end_the_run(tmp_path, stop, capsys):
    more = [Task(f"u{i}", 1.0, fail) for i in range(9)]
    campaign = Campaign(tmp_path, tasks(4, fail) + [Task("good", 1.0, write)] + more)
    assert campaign.run(World(), stop) == ERROR
    assert states(campaign) == [FAILED] * 4 + [DONE] + [FAILED] * 5 + [WAITING] * 4
    assert "mend the cause" in capsys.readouterr().err


def test_a_stopped_task_goes_on_later(tmp_path, stop):
    campaign = Campaign(tmp_path, [Task("a", 100.0, be_stopped, lambda folder: 0.25), Task("b", 1.0, fail)])
    assert campaign.run(World(), stop) == STOPPED
    assert states(campaign) == [STARTED, WAITING]
    assert campaign.summary()["remaining core-hours"] == pytest.approx((75 + 1) / 3600)
    assert (campaign.work(campaign.tasks[0]) / "half").exists()
    assert "started   25 %  a" in campaign.table()


def test_no_task_is_begun_after_a_request_to_stop(tmp_path, stop):
    stop.reason = "test"
    assert Campaign(tmp_path, tasks(1, fail)).run(World(), stop) == STOPPED


def test_a_killed_runner_frees_its_task(tmp_path, stop):
    entries = tasks(1, hang)
    runner = multiprocessing.get_context("fork").Process(target=work, args=(tmp_path, entries))
    runner.start()
    campaign = Campaign(tmp_path, tasks(1, write))
    while not (campaign.work(campaign.tasks[0]) / "begun").exists():
        time.sleep(0.01)
    row = campaign.rows()[0]
    assert row.state == RUNNING and f"process {runner.pid}" in row.note
    assert campaign.run(World(), stop) == COMPLETE and not campaign.product(campaign.tasks[0]).exists()
    os.kill(runner.pid, signal.SIGKILL)
    runner.join(10)
    assert states(campaign) == [STARTED]
    assert campaign.run(World(), stop) == COMPLETE
    assert states(campaign) == [DONE]


def test_a_task_that_was_locked_is_looked_at_again(tmp_path, stop):
    """Its runner dies while this one is at the next task."""
    def let_go(folder: Path, product: Path, stop: Stop) -> None:
        lock.__exit__(None, None, None)
        product.write_text("x")

    campaign = Campaign(tmp_path, [Task("a", 1.0, write), Task("b", 1.0, let_go)])
    lock = locked(campaign.work(campaign.tasks[0]))
    assert lock.__enter__() == ""
    assert campaign.run(World(), stop) == COMPLETE
    assert states(campaign) == [DONE, DONE]


def test_the_second_look_waits_for_whoever_only_looks(tmp_path, stop, monkeypatch):
    campaign = Campaign(tmp_path, [Task("a", 1.0, write)])
    lock = locked(campaign.work(campaign.tasks[0]))
    assert lock.__enter__() == ""
    monkeypatch.setattr(time, "sleep", lambda seconds: lock.__exit__(None, None, None))
    assert campaign.run(World(), stop) == COMPLETE
    assert states(campaign) == [DONE]


def test_no_lock_is_held_while_the_state_is_read(tmp_path):
    def progress(folder: Path) -> float:
        with locked(folder) as holder:
            assert holder == ""
        return 0.5

    campaign = Campaign(tmp_path, [Task("a", 1.0, write, progress)])
    campaign.work(campaign.tasks[0]).mkdir(parents=True)
    assert states(campaign) == [STARTED]


def test_names_must_differ(tmp_path):
    with pytest.raises(CampaignError, match="t0"):
        Campaign(tmp_path, tasks(1, write) + tasks(1, partial(write)))


def test_estimates_follow_what_finished_tasks_took(tmp_path, stop):
    entries = [Task(name, 100.0, write, seconds=lambda product: 300.0) for name in ("a", "b", "c")]
    campaign = Campaign(tmp_path, entries)
    assert campaign.summary()["remaining core-hours"] == pytest.approx(300 / 3600)
    Campaign(tmp_path, entries[:1]).run(World(), stop)
    assert campaign.pace() == 3.0
    assert campaign.summary()["remaining core-hours"] == pytest.approx(2 * 300 / 3600)
    assert campaign.table().count("5.0 min") == 2


@pytest.mark.parametrize(("keep", "left"), [(False, {"log"}), (True, {"log", "raw", "kept"})])
def test_a_task_says_what_is_kept_of_its_work(tmp_path, stop, keep, left):
    def run(folder: Path, product: Path, stop: Stop) -> None:
        (folder / "raw").touch()
        (folder / "log").touch()
        product.write_text("x")

    campaign = Campaign(tmp_path, [Task("a", 1.0, run, tidy=lambda folder: (folder / "raw").unlink(missing_ok=True))])
    for _ in range(2):  # what was kept once stays
        assert campaign.run(World(), stop, keep_work=keep if not _ else False) == COMPLETE
        assert {path.name for path in (tmp_path / "runs/a").iterdir()} - {"lock"} == left


@pytest.mark.parametrize("tidies", [False, True])
def test_a_kill_before_the_tidying_leaves_nothing_for_ever(tmp_path, stop, tidies):
    """The product is there, the working folder still whole."""
    tidy = (lambda folder: (folder / "raw").unlink(missing_ok=True)) if tidies else None
    campaign = Campaign(tmp_path, [Task("a", 1.0, write, tidy=tidy)])
    work = campaign.work(campaign.tasks[0])
    work.mkdir(parents=True)
    (work / "raw").touch()
    campaign.product(campaign.tasks[0]).write_text("x")
    with locked(work):
        assert campaign.run(World(), stop) == COMPLETE and (work / "raw").exists(), "in other hands"
    assert campaign.run(World(), stop) == COMPLETE and not (work / "raw").exists()
    assert work.exists() == tidies


def test_work_that_was_brought_here_without_a_lock_counts_as_started(tmp_path):
    campaign = Campaign(tmp_path, [Task("a", 1.0, write, lambda folder: 0.5)])
    campaign.work(campaign.tasks[0]).mkdir(parents=True)
    assert states(campaign) == [STARTED]


def test_shares_of_an_array_make_the_whole():
    parts = [share_of(range(10), f"{i}/3") for i in (1, 2, 3)]
    assert parts[0] == [0, 3, 6, 9] and sorted(i for part in parts for i in part) == list(range(10))
    assert share_of(range(10), None) == list(range(10))
    for wrong in ("0/3", "4/3", "a/3", "2", "¹/2", "1/²"):
        with pytest.raises(ConfigError, match="expected I/N"):
            share_of(range(10), wrong)


@pytest.mark.parametrize("place", ["file", "file/below", "/proc/campaign"])
def test_folders_that_cannot_be_written(tmp_path, stop, place):
    (tmp_path / "file").write_text("x")
    campaign = Campaign(tmp_path / place, tasks(1, write))
    for start in (lambda: campaign.run(World(), stop), lambda: carry_out(campaign, World(), workers=2)):
        with pytest.raises(ConfigError, match="results cannot be written there") as caught:
            start()
        assert str(tmp_path / place) in str(caught.value)


def test_a_full_disk_is_told_in_a_line_and_is_no_failure(tmp_path, stop, capsys):
    full = True

    def run(folder: Path, product: Path, stop: Stop) -> None:
        if full:
            try:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            except OSError:
                raise ValueError("no file to close") from None
        product.write_text("x")

    campaign = Campaign(tmp_path, tasks(2, run))
    assert carry_out(campaign, World(), unit="states") == ERROR
    printed = capsys.readouterr()
    assert printed.err.startswith("error: ") and "no space is left" in printed.err and printed.err.count("\n") == 1
    assert printed.out.endswith("2 states are left; run the same command again: it goes on\n")
    assert states(campaign) == [STARTED, WAITING]
    full = False
    assert campaign.run(World(), stop) == COMPLETE


def test_what_others_have_is_left(tmp_path, capsys):
    campaign = Campaign(tmp_path, tasks(3, write))
    with locked(campaign.work(campaign.tasks[1])):
        assert carry_out(campaign, World(), unit="states") == HELD
        assert "1 states are left, 1 of them in the hands of other runners" in capsys.readouterr().out
    assert carry_out(campaign, World()) == COMPLETE


def test_the_state_of_a_campaign_is_read_without_writing(tmp_path):
    campaign = Campaign(tmp_path, tasks(1, write))
    work = campaign.work(campaign.tasks[0])
    work.mkdir(parents=True)
    assert states(campaign) == [STARTED] and not list(work.iterdir())
    with locked(work):
        text = (work / "lock").read_text()
        assert states(campaign) == [RUNNING]
    assert states(campaign) == [STARTED] and (work / "lock").read_text() == text


def test_rank_0_alone_asks_for_the_end_of_the_job(tmp_path, monkeypatch):
    class Second(World):
        def bcast(self, value=None):
            return next(heard)

    def look(folder: Path, product: Path, stop: Stop) -> None:
        seen.append((stop.remaining, asked))
        product.write_text("x")

    def ask() -> float:
        nonlocal asked
        asked += 1
        return found

    found, asked, seen = time.time() + 1000.0, 0, []
    heard = iter(([], found, {DONE: 1}))  # wrong products, the end of the job, what is done in the end
    monkeypatch.setattr("hpctools.stop.slurm_end_time", ask)
    assert carry_out(Campaign(tmp_path, tasks(1, look)), Second(rank=1, size=2)) == COMPLETE
    assert carry_out(Campaign(tmp_path, [Task("u", 1.0, look)]), World()) == COMPLETE
    assert [(round(left, -2), count) for left, count in seen] == [(1000.0, 0), (1000.0, 1)]


def test_progress_that_cannot_be_read_spoils_no_table(tmp_path):
    def damaged(folder: Path) -> float:
        raise CampaignError(f"{folder}: is damaged")

    campaign = Campaign(tmp_path, [Task("a", 1.0, write, damaged), Task("b", 1.0, write)])
    campaign.work(campaign.tasks[0]).mkdir(parents=True)
    assert states(campaign) == [STARTED, WAITING]
    assert f"{tmp_path}/runs/a: is damaged" in campaign.table()


def test_products_are_looked_at(tmp_path, stop):
    """A wrong one is no finished task, is told, and stands in the way of the run."""
    def check(product: Path) -> None:
        looks.append(product.stem)
        if product.read_text() != "x":
            raise CampaignError(f"{product} is cut")

    looks: list[str] = []
    campaign = Campaign(tmp_path, [Task(f"t{i}", 1.0, write, seconds=lambda product: 3.0, check=check)
                                   for i in range(3)])
    (tmp_path / "t0.h5").write_text("x")
    (tmp_path / "t1.h5").write_text("")
    assert states(campaign) == [DONE, FAILED, WAITING] and campaign.pace() == 3.0
    with pytest.raises(CampaignError, match=r"t1\.h5 is cut$"):
        carry_out(campaign, World())
    assert states(campaign) == [DONE, FAILED, WAITING] and looks.count("t0") == 1
    (tmp_path / "t1.h5").unlink()
    assert carry_out(campaign, World()) == COMPLETE


COMMAND = """
import os, sys, time
from pathlib import Path
from hpctools.campaign import Campaign, Stopped, Task
from hpctools.campaign_command import carry_out
from hpctools.world import World, place_on_node

def run(folder, product, stop):
    (folder / "begun").write_text(f"{os.getpid()} {place_on_node()}")
    while Path("wait").exists():
        time.sleep(0.02)
        if stop.requested:
            raise Stopped
    with open("journal", "a") as journal:
        journal.write(f"{product.stem} {os.getpid()}\\n")
    time.sleep(0.1)
    product.write_text("x")

campaign = Campaign(Path("out"), [Task(f"t{i}", 36.0, run) for i in range(8)])
sys.exit(carry_out(campaign, World(), unit="states", workers=2))
"""


def test_workers_share_a_campaign_stop_together_and_go_on(tmp_path):
    (tmp_path / "command.py").write_text(COMMAND)
    (tmp_path / "wait").touch()
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}

    def start() -> subprocess.Popen[str]:
        return subprocess.Popen([sys.executable, "command.py"], cwd=tmp_path, env=environ, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def begun() -> set[str]:
        found = [path.read_text().split() for path in tmp_path.glob("out/runs/*/begun")]
        assert {words[1] for words in found if len(words) == 2} <= {"0", "1"}
        return {words[0] for words in found if len(words) == 2}

    def both_at_work(process: subprocess.Popen[str]) -> None:
        deadline = time.monotonic() + 60
        while len(begun()) < 2:
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.05)

    process = start()
    both_at_work(process)
    places = {path.read_text().split()[1] for path in tmp_path.glob("out/runs/*/begun")}
    assert places == {"0", "1"}  # a device each
    process.terminate()
    text, _ = process.communicate(timeout=60)
    assert process.returncode == STOPPED and "stopped (signal SIGTERM) with 8 states left" in text, text
    assert not any(Path(f"/proc/{pid}").exists() for pid in begun())
    for path in tmp_path.glob("out/runs/*/begun"):
        path.unlink()
    process = start()
    both_at_work(process)
    process.kill()
    process.communicate(timeout=60)  # the other has seen it gone and let go of the output
    for path in tmp_path.glob("out/runs/*/begun"):
        path.unlink()
    process = start()
    both_at_work(process)
    worker = next(int(pid) for pid in begun() if int(pid) != process.pid)
    os.kill(worker, signal.SIGKILL)
    process.terminate()
    text, _ = process.communicate(timeout=60)
    assert f"worker process {worker} was ended by signal SIGKILL" in text and process.returncode == STOPPED, text
    for path in tmp_path.glob("out/runs/*/begun"):
        path.unlink()
    process = start()
    both_at_work(process)
    (tmp_path / "wait").unlink()
    text, _ = process.communicate(timeout=60)
    assert process.returncode == COMPLETE, text
    lines = (tmp_path / "journal").read_text().split("\n")[:-1]
    assert sorted(line.split()[0] for line in lines) == [f"t{i}" for i in range(8)]
    assert len({line.split()[1] for line in lines}) == 2
    assert text.count("finished t") == 8 and "complete: all 8 states are in out" in text
