"""Make all glasses of a design, one process a glass; several runners may share one folder.

    OUT/records/NAME.h5   the record of a finished glass; what is there is never made again
    OUT/runs/NAME/        its run: restart files while it works, the trajectories afterwards
    OUT/claims/NAME       held by the runner that works on it
    OUT/failed/NAME.txt   why a glass could not be made
"""

from __future__ import annotations

import gzip
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hpctools.progress import Progress, duration
from hpctools.stop import COMPLETE, ERROR, STOPPED, Stop

from . import quench, record
from .claim import Claim
from .design import Task

SPEED = 2.5e5  # atom-steps/s of one core, before anything was measured
DONE, RUNNING, WAITING, STARTED, FAILED = "done", "running", "waiting", "started", "failed"


@dataclass(frozen=True)
class State:
    """Where a task stands: its state, the share that is done, and atom-steps in all."""

    task: Task
    state: str
    share: float
    work: float


class Folder:
    """The places of a campaign."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def record(self, task: Task) -> Path:
        """The record of a task."""
        return self.path / "records" / f"{task.name}.h5"

    def run(self, task: Task) -> Path:
        """The folder of a task's run."""
        return self.path / "runs" / task.name

    def failed(self, task: Task) -> Path:
        """The note of a task that failed."""
        return self.path / "failed" / f"{task.name}.txt"

    def claim(self, task: Task) -> Claim:
        """The claim on a task."""
        return Claim(self.path / "claims" / task.name)

    def state(self, task: Task) -> State:
        """Where a task stands."""
        steps = task.job.stages()[-1].last
        work = float(sum(quench.plan(task.job).atoms.values()) * steps)
        if self.record(task).exists():
            return State(task, DONE, 1.0, work)
        step = quench.saved_step(self.run(task))
        if self.failed(task).exists():
            return State(task, FAILED, step / steps, work)
        if self.claim(task).alive():
            return State(task, RUNNING, step / steps, work)
        return State(task, STARTED if step else WAITING, step / steps, work)

    def speed(self, tasks: Sequence[Task]) -> float:
        """Atom-steps/s of a core: the median of the finished glasses, else a guess."""
        found = sorted(float(record.attributes(self.record(task))["atom_steps_per_second"])
                       for task in tasks if self.record(task).exists())
        return found[len(found) // 2] if found else SPEED


def status(folder: Folder, tasks: Sequence[Task], every: bool = False) -> str:
    """A table of the tasks' states and the time that is left; `every` lists the waiting and finished ones too."""
    states = [folder.state(task) for task in tasks]
    lines = [f"{s.task.name:<48} {s.state:<8} {100 * s.share:3.0f} %" for s in states
             if every or s.state not in (DONE, WAITING)]
    for s in states:
        if s.state == FAILED:
            lines.append(f"  {s.task.name}: {folder.failed(s.task).read_text(encoding='utf-8').strip()}")
    count = {name: sum(s.state == name for s in states) for name in (DONE, RUNNING, STARTED, WAITING, FAILED)}
    left = sum(s.work * (1 - s.share) for s in states if s.state not in (DONE, FAILED))
    speed = folder.speed(tasks)
    lines.append(f"{len(states)} glasses: " + ", ".join(f"{number} {name}" for name, number in count.items()))
    lines.append(f"left: {left / speed / 3600:.1f} core-hours at {speed:.3g} atom-steps/s a core")
    return "\n".join(lines)


def run(folder: Folder, tasks: Sequence[Task], arguments: list[str], *, wall_time: float | None = None,
        margin: float = 60.0, retry: bool = False, talk: bool = True) -> int:
    """Work on the design until nothing is left to claim; the exit code."""
    if retry:
        for task in tasks:
            folder.failed(task).unlink(missing_ok=True)
    with Stop(wall_time, margin) as stop:
        for number, task in enumerate(tasks, 1):
            if stop.requested:
                break
            if folder.record(task).exists() or folder.failed(task).exists():
                continue
            claim = folder.claim(task)
            if not claim.take():
                continue
            try:
                # it may have been finished between the first look and the claim
                if not folder.record(task).exists():
                    make(folder, task, claim, stop, arguments, f"{task.name} ({number} of {len(tasks)})", talk)
            except (quench.QuenchError, record.RecordError, ArithmeticError) as error:
                folder.failed(task).parent.mkdir(parents=True, exist_ok=True)
                folder.failed(task).write_text(f"{error}\n", encoding="utf-8")
                print(f"failed: {task.name}: {error}", file=sys.stderr, flush=True)
            finally:
                claim.release()
        if stop.reason is not None and any(not folder.record(t).exists() for t in tasks):
            print(f"stopped ({stop.reason}) with work left; run the same command again: it goes on where it stopped")
            return STOPPED
    bad = [task for task in tasks if folder.failed(task).exists()]
    if bad:
        print(f"{len(bad)} of {len(tasks)} glasses failed, see {folder.path / 'failed'}; --retry makes them again",
              file=sys.stderr)
        return ERROR
    busy = sum(not folder.record(task).exists() for task in tasks)
    print(f"{busy} glasses are still in the hands of other runners" if busy else f"complete: {folder.path / 'records'}")
    return COMPLETE


def make(folder: Folder, task: Task, claim: Claim, stop: Stop, arguments: list[str], label: str, talk: bool) -> bool:
    """Make one glass, or go on with it; False where a stop came first."""
    place = folder.run(task)
    run = quench.Run(task.job, place)
    try:
        run.open()
        atoms = sum(run.plan.atoms.values())
        with Progress(run.last_step * atoms, "atom-steps", label, initial=run.step * atoms, enabled=talk) as progress:
            def tell(step: int) -> None:
                claim.renew()
                progress.update(step * atoms)

            if not quench.work(run, stop, tell):
                return False
    finally:
        run.close()
    record.finish(run, folder.record(task), arguments)
    tidy(place)
    if talk:
        print(record.summary(record.read(folder.record(task))), flush=True)
    return True


def tidy(place: Path) -> None:
    """Keep the settings, the log and the trajectories (compressed) of a finished run."""
    for path in [*place.glob("restart.*"), *place.glob("*.table"), *place.glob("*.part")]:
        path.unlink()
    for path in place.glob("*.lammpstrj"):
        part = path.with_name(path.name + ".gz.part")
        with path.open("rb") as source, gzip.open(part, "wb", compresslevel=6) as target:
            shutil.copyfileobj(source, target)
        os.replace(part, path.with_name(path.name + ".gz"))
        path.unlink()


def run_workers(command: list[str], workers: int) -> int:
    """Start several runners of the same command and wait for them; signals are passed on. The worst exit code."""
    environ = {**os.environ, "HPCTOOLS_MPI": "off"}
    processes = [subprocess.Popen(command, env=environ) for _ in range(workers)]

    def pass_on(number: int, frame: object) -> None:
        for process in processes:
            process.send_signal(number)

    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT):
        signal.signal(number, pass_on)
    codes = [process.wait() for process in processes]
    for code in (*(c for c in codes if c not in (COMPLETE, STOPPED)), STOPPED):
        if code in codes:
            return code if code > 0 else ERROR
    return COMPLETE


def plan_text(folder: Folder, tasks: Sequence[Task], workers: int) -> str:
    """What a campaign would do, for people."""
    states = [folder.state(task) for task in tasks]
    left = sum(s.work * (1 - s.share) for s in states if s.state not in (DONE, FAILED))
    speed = folder.speed(tasks)
    atoms = [sum(quench.plan(task.job).atoms.values()) for task in tasks]
    return "\n".join((
        f"glasses   {len(tasks)} of {len({task.job.composition for task in tasks})} compositions, "
        f"{min(atoms)} to {max(atoms)} atoms",
        f"done      {sum(s.state == DONE for s in states)}",
        f"output    {folder.path}/records, about 50 kB each; trajectories in {folder.path}/runs, about 3 MB each",
        f"time      {left / speed / 3600:.1f} core-hours; {duration(left / speed / workers)} on {workers} "
        f"worker{'s' * (workers > 1)} ({speed:.3g} atom-steps/s a core)",
    ))  # fmt: skip

