"""Campaigns: tasks are shared, never run twice, go on after a cut, and a failure stops nothing else."""

import multiprocessing
import os
import signal
import time
from functools import partial
from pathlib import Path

import pytest

from hpctools.campaign import DONE, FAILED, RUNNING, STARTED, WAITING, Campaign, CampaignError, Stopped, Task
from hpctools.stop import COMPLETE, ERROR, STOPPED, Stop
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
    assert not list((tmp_path / "c" / "work").iterdir())
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


def test_names_must_differ(tmp_path):
    with pytest.raises(CampaignError, match="t0"):
        Campaign(tmp_path, tasks(1, write) + tasks(1, partial(write)))
