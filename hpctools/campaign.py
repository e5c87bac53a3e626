"""Many independent runs in one folder, shared among ranks, processes and jobs.

A campaign is a list of tasks. Each has a name, a working folder ``FOLDER/work/NAME`` where it can go on
after a cut, and one product ``FOLDER/NAME.h5``, which appears under its name only when it is whole. Any
number of runners, on any number of nodes, may work in the same folder at the same time: each takes the
first task that is not finished, not failed and not locked by another. A lock is held by the process
itself, so it vanishes with it, after a ``kill -9`` too.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hpctools.stop import COMPLETE, ERROR, STOPPED, Stop
from hpctools.world import World

DONE, RUNNING, STARTED, WAITING, FAILED = "done", "running", "started", "waiting", "failed"
_ERROR_FILE = "error.txt"
_ENOUGH_FAILURES = 5  # one after the other, after which all others would probably fail too


class CampaignError(Exception):
    """A campaign that cannot be run as asked."""

    user_error = True


class Stopped(Exception):
    """A task was asked to stop and has written what it needs to go on."""


@dataclass(frozen=True)
class Task:
    """One run of a campaign.

    Attributes
    ----------
    name : unique; the name of its product without ".h5".
    cost : estimated seconds on one core.
    run : called with the working folder, the product's path and the stop; writes the product under another
        name and renames it, or raises `Stopped`.
    progress : share of the work that is done, 0 … 1, read from the working folder.
    """

    name: str
    cost: float
    run: Callable[[Path, Path, Stop], None]
    progress: Callable[[Path], float] = lambda folder: 0.0


@dataclass(frozen=True)
class Row:
    """State of a task: done, running, started (cut off, goes on), waiting or failed; and its share that is done."""

    task: Task
    state: str
    share: float
    note: str = ""


class Campaign:
    """The tasks of a folder.

    Parameters
    ----------
    folder : of the products; made if missing.
    tasks : all tasks, in the order in which they shall be taken.
    """

    def __init__(self, folder: Path, tasks: Sequence[Task]) -> None:
        names = [task.name for task in tasks]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise CampaignError(f"{len(twice)} tasks stand twice in the campaign: {', '.join(twice[:5])}; expected "
                                "different settings or seeds")
        self.folder = folder
        self.tasks = list(tasks)

    def product(self, task: Task) -> Path:
        """The file that a finished task leaves."""
        return self.folder / f"{task.name}.h5"

    def work(self, task: Task) -> Path:
        """Where a task keeps what it needs to go on."""
        return self.folder / "work" / task.name

    def rows(self) -> list[Row]:
        """The state of all tasks; no lock is kept."""
        return [self._row(task) for task in self.tasks]

    def _row(self, task: Task) -> Row:
        work = self.work(task)
        if self.product(task).exists():
            return Row(task, DONE, 1.0)
        if (work / _ERROR_FILE).exists():
            return Row(task, FAILED, task.progress(work), (work / _ERROR_FILE).read_text().strip().split("\n")[-1])
        if not (work / "lock").exists():
            return Row(task, WAITING, 0.0)
        with self._locked(task) as holder:
            share = task.progress(work)
            return Row(task, RUNNING, share, holder) if holder else Row(task, STARTED, share)

    @contextmanager
    def _locked(self, task: Task) -> Iterator[str]:
        """Hold the task's lock; yields "" or, where another process has it, who that is."""
        work = self.work(task)
        work.mkdir(parents=True, exist_ok=True)
        with open(work / "lock", "a+", encoding="utf-8") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.seek(0)
                yield lock.read().strip() or "another process"
                return
            except OSError as error:
                raise CampaignError(f"{work}: no file locks on this file system ({error.strerror}), so runners cannot "
                                    "share the folder; expected one with flock (for Lustre the mount option flock), "
                                    "for example a home folder") from None
            yield ""

    def run(self, world: World, stop: Stop, *, keep_work: bool = False, retry: bool = False,
            finished: Callable[[Task, Path], None] = lambda task, product: None) -> int:
        """Take tasks until none is left or this rank is asked to stop; returns the exit code.

        Each rank takes tasks of its own; ranks do not wait for each other. A task that fails leaves its
        error in its working folder and is not tried again before `retry`; the others go on, unless several
        fail one after the other.

        Parameters
        ----------
        keep_work : keep the working folders of finished tasks.
        retry : try failed tasks again.
        finished : called after each finished task.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        failed = in_a_row = 0
        for task in self.tasks:
            if in_a_row == _ENOUGH_FAILURES:
                print(f"the last {in_a_row} tasks all failed: the others are not tried; mend the cause and run again "
                      "with the failed ones (--retry)", file=sys.stderr, flush=True)
                return ERROR
            if stop.requested:
                return STOPPED
            if self.product(task).exists():
                continue
            work = self.work(task)
            if (work / _ERROR_FILE).exists() and not retry:
                failed += 1
                continue
            with self._locked(task) as holder:
                if holder or self.product(task).exists():
                    continue
                _sign(work)
                (work / _ERROR_FILE).unlink(missing_ok=True)
                try:
                    task.run(work, self.product(task), stop)
                except Stopped:
                    return STOPPED
                except Exception as error:
                    failed += 1
                    in_a_row += 1
                    (work / _ERROR_FILE).write_text(traceback.format_exc(), encoding="utf-8")
                    print(f"{task.name} failed: {error} (see {work / _ERROR_FILE})", file=sys.stderr, flush=True)
                    continue
                in_a_row = 0
                if not keep_work:
                    shutil.rmtree(work)
            finished(task, self.product(task))
        return ERROR if failed else COMPLETE

    def summary(self) -> dict[str, float]:
        """Number of tasks in each state, and the core-hours that remain by the tasks' estimates."""
        rows = self.rows()
        counts: dict[str, float] = {state: sum(row.state == state for row in rows)
                                    for state in (DONE, RUNNING, STARTED, WAITING, FAILED)}
        counts["remaining core-hours"] = sum((1 - row.share) * row.task.cost for row in rows
                                             if row.state != DONE) / 3600
        return counts

    def table(self, every: bool = True) -> str:
        """The state of the campaign for people; `every`: with a line for each task that is not done."""
        counts = self.summary()
        hours = counts.pop("remaining core-hours")
        lines = [", ".join(f"{int(count)} {state}" for state, count in counts.items())
                 + f"; about {hours:.1f} core-hours remain"]
        if every:
            for row in self.rows():
                if row.state != DONE:
                    share = f"{100 * row.share:3.0f} %" if row.state != WAITING else "     "
                    lines.append(f"{row.state:8} {share}  {row.task.name:40} {row.task.cost / 60:7.1f} min  {row.note}"
                                 .rstrip())
        return "\n".join(lines)


def _sign(work: Path) -> None:
    """Write into a lock that is held who holds it."""
    job = os.environ.get("SLURM_JOB_ID", "none")
    (work / "lock").write_text(f"host {os.uname().nodename}, process {os.getpid()}, Slurm job {job}, since "
                               f"{time.strftime('%Y-%m-%d %H:%M:%S')}", encoding="utf-8")


def to_json(campaign: Campaign) -> str:
    """The state of the campaign for programs."""
    return json.dumps([{"name": row.task.name, "state": row.state, "share": row.share, "cost_seconds": row.task.cost,
                        "note": row.note} for row in campaign.rows()], indent=1)
