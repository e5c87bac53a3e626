"""The glasses of a design as the tasks of a campaign: OUT/NAME.h5 is the record of a finished glass, OUT/runs/NAME its
run: restart files while it works, settings, log and compressed trajectories afterwards."""

from __future__ import annotations

import gzip
import shutil
import statistics
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from hpctools.campaign import DONE, Campaign, Stopped, Task
from hpctools.progress import Progress, duration
from hpctools.stop import Stop
from hpctools.whole import whole

from . import identity, quench, record
from .design import Glass
from .job import QuenchJob

# atom-steps/s of one core by who works out the forces, before anything was measured
SPEED = {"compiled": 7e5, "tables": 2.3e5, "styles": 1.4e5}
RECORD_BYTES, RUN_BYTES = 50e3, 3e6  # of a glass of about 700 atoms by the protocol "standard", after it is finished


def campaign_of(glasses: Sequence[Glass], out: Path, arguments: list[str]) -> Campaign:
    """The campaign of a design in a folder; `arguments` stand in the records as the command."""
    for glass in glasses:
        quench.check_path(quench.plan(glass.job).field, out)
    return Campaign(out, [_task(glass, arguments) for glass in glasses])


def check(job: QuenchJob, path: Path) -> None:
    """Raise QuenchError or record.RecordError where the file at `path` is not the whole record of this glass."""
    try:
        found = record.attributes(path)
    except record.RecordError as error:
        raise record.RecordError(f"{error}. It has the name of a finished glass: move it away; the glass is then "
                                 "measured again from what its run left, or made anew") from error
    if other := identity.differences(found, job, quench.plan(job).field):
        raise quench.QuenchError(f"{path} is of another glass than the design's: {'; '.join(other)}. Choose another "
                                 "--out, move it away, or give the glass a label in the design")


def _task(glass: Glass, arguments: list[str]) -> Task:
    plan, steps = quench.plan(glass.job), glass.job.stages()[-1].last
    work, speed = sum(plan.atoms.values()) * steps, SPEED[quench.choose_forces(glass.job, plan, 1)]
    return Task(glass.name, work / speed, partial(make, glass.job, arguments),
                lambda folder: quench.saved_step(folder) / steps, partial(_seconds, work, speed), tidy,
                partial(check, glass.job))


def _seconds(work: float, speed: float, product: Path) -> float:
    """Seconds that a finished glass took, or would have taken where its forces were of another speed."""
    found = record.attributes(product)
    then = SPEED[str(found.get("forces", "tables")).split(", ")[-1]]
    return work / float(found["atom_steps_per_second"]) * then / speed


def make(job: QuenchJob, arguments: list[str], folder: Path, product: Path, stop: Stop) -> None:
    """Make one glass, or go on with it, and write its record; of a run that is finished, from the files that it left.

    Raises campaign.Stopped when asked to stop before the end, quench.QuenchError where the run breaks.
    """
    run = quench.Run(job, folder)
    try:
        run.open()
        atoms = sum(run.plan.atoms.values())
        with Progress(run.last_step * atoms, "atom-steps", product.stem, initial=run.step * atoms) as progress:
            if not quench.work(run, stop, lambda step: progress.update(step * atoms)):
                raise Stopped
    finally:
        run.close()
    record.finish(run, product, arguments)
    print(record.summary(record.read(product)), flush=True)


def tidy(folder: Path) -> None:
    """Keep the settings, the state, the log and the trajectories (compressed) of a finished run: enough for its record.
    """
    for path in [*folder.glob("restart.*"), *folder.glob("*.table"), *folder.glob("*.angles"), *folder.glob("*.part")]:
        path.unlink()
    for path in folder.glob("*.lammpstrj"):
        with (
            whole(path.with_name(path.name + ".gz")) as part,
            path.open("rb") as source,
            gzip.open(part, "wb", compresslevel=6) as target,
        ):  # fmt: skip
            shutil.copyfileobj(source, target)
        path.unlink()


def plan_text(campaign: Campaign, glasses: Sequence[Glass], workers: int) -> str:
    """What a campaign would do, for people."""
    pace = campaign.pace()
    rows = campaign.rows()
    left = campaign.summary(rows)["remaining core-hours"]
    each = [pace * (1 - row.share) * row.task.cost for row in rows if row.state != DONE]
    wall = max([*each, 3600 * left / min(workers, max(len(each), 1))])
    plans = [quench.plan(glass.job) for glass in glasses]
    atoms = [sum(plan.atoms.values()) for plan in plans]
    speed = statistics.fmean(SPEED[quench.choose_forces(glass.job, plan, 1)]
                             for glass, plan in zip(glasses, plans, strict=True))
    # the files of a glass grow with its atoms
    scale = statistics.fmean(atoms) / 700
    return "\n".join((
        f"glasses   {len(glasses)} of {len({glass.job.composition for glass in glasses})} compositions, "
        f"{min(atoms)} to {max(atoms)} atoms",
        f"output    {campaign.folder}: records, about {RECORD_BYTES / 1e3:.0f} kB each; trajectories in "
        f"{campaign.folder}/runs, about {scale * RUN_BYTES / 1e6:.0f} MB each",
        f"time      {left:.1f} core-hours; {duration(wall)} on {workers} "
        f"worker{'s' * (workers > 1)} ({speed / pace:.3g} atom-steps/s a core"
        + (")" if pace != 1 else ", not measured yet)"),
    ))  # fmt: skip
