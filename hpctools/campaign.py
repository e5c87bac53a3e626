"""Many independent runs in one folder, shared among ranks, processes and jobs.

A campaign is a list of tasks. Each has a name, a working folder ``FOLDER/runs/NAME`` where it can go on
after a cut, and one product ``FOLDER/NAME.h5``, which appears under its name only when it is whole. Any
number of runners, on any number of nodes, may work in the same folder at the same time: each takes the
first task that is not finished, not failed and not locked by another. A lock is held by the process
itself, so it vanishes with it, after a ``kill -9`` too.
"""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
import statistics
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from hpctools.config import ConfigError
from hpctools.folders import holder_of, locked, make_folder
from hpctools.stop import COMPLETE, ERROR, STOPPED, Stop
from hpctools.whole import is_disk_full, whole
from hpctools.world import World

T = TypeVar("T")
DONE, RUNNING, STARTED, WAITING, FAILED = "done", "running", "started", "waiting", "failed"
ERROR_FILE = "error.txt"
KEPT = "kept"  # marks the working folder of a finished task that was to stay whole
_ENOUGH_FAILURES = 5  # one after the other, after which all others would probably fail too
_LOOK_SECONDS = 0.5  # after which whoever only looked at a task's state has let go of its lock


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
    seconds : what the task took on one core, read from its product; the estimates of the others are scaled by it.
    tidy : called with the working folder of a finished task, more than once perhaps, to keep a part of it; None removes
        all of it.
    remark : what there is to say of the task, read from its product, in one line; "" for nothing.
    check : raises a user's error where the file under the product's name is damaged or of other settings.
    """

    name: str
    cost: float
    run: Callable[[Path, Path, Stop], None]
    progress: Callable[[Path], float] = lambda folder: 0.0
    seconds: Callable[[Path], float] | None = None
    tidy: Callable[[Path], None] | None = None
    check: Callable[[Path], None] | None = None
    remark: Callable[[Path], str] | None = None


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
        self._checked: set[str] = set()  # names of tasks whose products were found right
        self._seconds: dict[str, float] = {}

    def product(self, task: Task) -> Path:
        """The file that a finished task leaves."""
        return self.folder / f"{task.name}.h5"

    def work(self, task: Task) -> Path:
        """Where a task keeps what it needs to go on."""
        return self.folder / "runs" / task.name

    def check_products(self, world: World) -> None:
        """Raise CampaignError where products are not what their tasks would make. Collective; rank 0 looks."""
        wrong = [text for task in self.tasks if (text := self._fault(task))] if world.rank == 0 else []
        if wrong := world.bcast(wrong):
            more = f" (and {len(wrong) - 1} others like this)" if len(wrong) > 1 else ""
            raise CampaignError(f"{wrong[0]}{more}")

    def _fault(self, task: Task) -> str:
        """What is wrong with a product; "" where it is right, or is not there."""
        if task.check is None or task.name in self._checked or not self.product(task).exists():
            return ""
        try:
            task.check(self.product(task))
        except Exception as error:
            if not getattr(error, "user_error", False):
                raise
            return str(error)
        self._checked.add(task.name)
        return ""

    def rows(self, remarks: bool = False) -> list[Row]:
        """The state of all tasks; nothing is written. remarks: of finished ones too, from their products."""
        rows = [self._row(task) for task in self.tasks]
        return [dataclasses.replace(row, note=row.task.remark(self.product(row.task)))
                if remarks and row.state == DONE and row.task.remark is not None else row for row in rows]

    def _row(self, task: Task) -> Row:
        work = self.work(task)
        if self.product(task).exists():
            fault = self._fault(task)
            return Row(task, FAILED, 0.0, fault) if fault else Row(task, DONE, 1.0)
        if (work / ERROR_FILE).exists():
            return Row(task, FAILED, self._share(task)[0], (work / ERROR_FILE).read_text().strip().split("\n")[-1])
        if not work.is_dir():
            return Row(task, WAITING, 0.0)
        holder = holder_of(work)  # a runner that comes by meanwhile takes the task for another's
        share, fault = self._share(task)
        return Row(task, RUNNING, share, holder) if holder else Row(task, STARTED, share, fault)

    def _share(self, task: Task) -> tuple[float, str]:
        """The share of a task that is done; and what is wrong with its folder, where it cannot be read."""
        try:
            return task.progress(self.work(task)), ""
        except Exception as error:
            if not getattr(error, "user_error", False):
                raise
            return 0.0, str(error)

    def run(self, world: World, stop: Stop, *, keep_work: bool = False, retry: bool = False,
            finished: Callable[[Task, Path], None] = lambda task, product: None) -> int:
        """Take tasks until none is left or this rank is asked to stop; returns the exit code.

        Each rank takes tasks of its own; ranks do not wait for each other. Tasks that were locked are looked at once
        more at the end: their runner may have died, or it only looked at their state. A task that fails leaves its
        error in its working folder and is not tried again before `retry`; the others go on, unless several
        fail one after the other. A full disk is no failure of a task: it ends this rank's work.

        Parameters
        ----------
        keep_work : keep the working folders of finished tasks whole.
        retry : try failed tasks again (collective).
        finished : called after each finished task.
        """
        make_folder(self.folder)
        if retry:
            if world.rank == 0:
                for task in self.tasks:
                    (self.work(task) / ERROR_FILE).unlink(missing_ok=True)
            world.barrier()
        try:
            return self._take(stop, keep_work, finished)
        except Exception as error:
            if not is_disk_full(error):
                raise
            print(f"error: {self.folder}: no space is left for results ({error}); make some, then run the same command "
                  "again: it goes on", file=sys.stderr, flush=True)
            return ERROR

    def _take(self, stop: Stop, keep_work: bool, finished: Callable[[Task, Path], None]) -> int:
        """`run` of one rank."""
        failed = in_a_row = 0
        held: list[Task] = []
        for task in self._in_turn(held):
            if in_a_row == _ENOUGH_FAILURES:
                print(f"the last {in_a_row} tasks all failed: the others are not tried; mend the cause and run again "
                      "with the failed ones (--retry)", file=sys.stderr, flush=True)
                return ERROR
            if stop.requested:
                return STOPPED
            work = self.work(task)
            if self.product(task).exists():
                if not keep_work and work.is_dir() and not (work / KEPT).exists():
                    with locked(work) as holder:  # a kill may have come before this
                        if not holder:
                            self._tidy(task)
                continue
            if (work / ERROR_FILE).exists():
                failed += 1
                continue
            with locked(work) as holder:
                if holder:
                    held.append(task)
                if holder or self.product(task).exists():
                    continue
                stop.begin()
                try:
                    task.run(work, self.product(task), stop)
                except Stopped:
                    return STOPPED
                except Exception as error:
                    if is_disk_full(error):
                        raise
                    failed += 1
                    in_a_row += 1
                    with whole(work / ERROR_FILE) as part:
                        part.write_text(traceback.format_exc(), encoding="utf-8")
                    print(f"{task.name} failed: {error} (see {work / ERROR_FILE})", file=sys.stderr, flush=True)
                    continue
                in_a_row = 0
                if keep_work:
                    (work / KEPT).touch()
                else:
                    self._tidy(task)
            finished(task, self.product(task))
        return ERROR if failed else COMPLETE

    def _tidy(self, task: Task) -> None:
        """Of the working folder of a finished task, leave what shall stay."""
        if task.tidy is not None:
            task.tidy(self.work(task))
        else:
            shutil.rmtree(self.work(task))

    def _in_turn(self, held: list[Task]) -> Iterator[Task]:
        """All tasks, then once more those that were put into `held` meanwhile."""
        yield from self.tasks
        if held:
            time.sleep(_LOOK_SECONDS)
        yield from tuple(held)

    def pace(self) -> float:
        """Median ratio of the seconds that finished tasks took to their estimates; 1 where none says what it took."""
        for task in self.tasks:
            if (task.seconds is not None and task.name not in self._seconds and self.product(task).exists()
                    and not self._fault(task)):  # fmt: skip
                self._seconds[task.name] = task.seconds(self.product(task))
        ratios = [self._seconds[task.name] / task.cost for task in self.tasks
                  if math.isfinite(self._seconds.get(task.name, math.nan))]
        return statistics.median(ratios) if ratios else 1.0

    def summary(self, rows: Sequence[Row] | None = None) -> dict[str, float]:
        """Number of tasks in each state, and the core-hours that remain by the tasks' estimates and `pace`."""
        rows = self.rows() if rows is None else rows
        counts: dict[str, float] = {state: sum(row.state == state for row in rows)
                                    for state in (DONE, RUNNING, STARTED, WAITING, FAILED)}
        left = sum((1 - row.share) * row.task.cost for row in rows if row.state != DONE)
        counts["remaining core-hours"] = left * self.pace() / 3600
        return counts

    def table(self, every: bool = True) -> str:
        """The state of the campaign for people; `every`: with a line for each task that is not done or has a remark."""
        rows, pace = self.rows(remarks=every), self.pace()
        counts = self.summary(rows)
        hours = counts.pop("remaining core-hours")
        lines = [", ".join(f"{int(count)} {state}" for state, count in counts.items())
                 + f"; about {hours:.1f} core-hours remain"]
        for row in rows:
            if every and (row.state != DONE or row.note):
                share = f"{100 * row.share:3.0f} %" if row.state != WAITING else "     "
                minutes = f"{row.task.cost * pace / 60:7.1f} min" if row.state != DONE else " " * 11
                lines.append(f"{row.state:8} {share}  {row.task.name:40} {minutes}  {row.note}".rstrip())
        return "\n".join(lines)


def share_of(items: Sequence[T], share: str | None) -> list[T]:
    """Part I of N of the items, for a share "I/N"; every N-th, so that each part has early and late ones. None: all.

    Raises config.ConfigError for a share of another form.
    """
    if share is None:
        return list(items)
    part, _, parts = share.partition("/")
    if not (part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts)):
        raise ConfigError(f"--share {share}: expected I/N with 1 ≤ I ≤ N, for example 3/8")
    return list(items[int(part) - 1 :: int(parts)])


def to_json(campaign: Campaign) -> str:
    """The state of the campaign for programs."""
    pace = campaign.pace()
    return json.dumps([{"name": row.task.name, "state": row.state, "share": row.share,
                        "cost_seconds": row.task.cost * pace, "note": row.note} for row in campaign.rows(remarks=True)],
                      indent=1)
