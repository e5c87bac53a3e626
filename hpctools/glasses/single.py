"""One glass from the command line: plan, run, record."""

from __future__ import annotations

import math
from pathlib import Path

from hpctools.folders import locked_by_all
from hpctools.progress import Progress, duration
from hpctools.stop import COMPLETE, STOPPED, Stop, check_limits
from hpctools.world import World

from . import identity, quench, record
from .campaign import SPEED
from .composition import parse
from .job import QuenchJob
from .quench import Plan


def plan_text(job: QuenchJob, plan: Plan, folder: Path, ranks: int) -> str:
    """The plan of a run, for people."""
    atoms = sum(plan.atoms.values())
    stages = job.stages()
    cooling = next(stage for stage in stages if stage.name == "quench")
    rounded = "" if math.isclose(cooling.rate, job.rate, rel_tol=1e-3) else f" (asked for {job.rate:g}: whole samples)"
    forces = quench.choose_forces(job, plan, ranks)
    seconds = atoms * stages[-1].last / SPEED[forces] / ranks
    lines = [
        f"glass     {plan.wanted}: {atoms} atoms (" + ", ".join(f"{n} {e}" for e, n in plan.atoms.items()) + ")",
        f"box       {plan.length:.2f} Å at {plan.density.value:.3f} g/cm³ ({plan.density.source})",
        f"field     {plan.field.title}" + "".join(f", {k} = {v:.4g}" for k, v in plan.field.variables.items()),
        "stages    " + ", ".join(f"{s.name} {s.time(s.last) - s.start:g} ps" for s in stages),
        f"cooling   {job.melt_temperature:g} K to {job.temperature:g} K at {cooling.rate:.4g} K/ps{rounded}",
        f"output    {folder}",
        f"time      about {duration(seconds)} on {ranks} core{'s' * (ranks > 1)} "
        f"({SPEED[forces]:.2g} atom-steps/s a core, forces: {forces})",
    ]
    return "\n".join(lines + [f"warning   {text}" for text in plan.warnings])


def run(job: QuenchJob, out: str | None, world: World, arguments: list[str], wall_time: float | None, margin: float,
        dry_run: bool) -> int:
    """Make the glass on all ranks; returns the exit code."""
    check_limits(wall_time, margin)
    plan = quench.plan(job)
    folder = Path(out) if out else Path("results") / f"{parse(job.composition)}_s{job.seed}"
    talk = world.rank == 0
    if talk:
        print(plan_text(job, plan, folder, world.size), flush=True)
    quench.check(job, plan, folder)
    found = record.read(path) if (path := folder / "record.h5").exists() else None
    if found is not None and (other := identity.differences(found.attributes, job, plan.field)):
        raise quench.QuenchError(f"{path} is of another glass: {'; '.join(other)}. Choose another --out, or move it "
                                 "away")
    if dry_run:
        return COMPLETE
    if found is not None:
        if talk:
            print(f"{path} is complete already: nothing to do\n{record.summary(found)}")
        return COMPLETE
    with locked_by_all(folder, world) as holder:
        if holder:
            raise quench.QuenchError(f"{folder} is in use ({holder}): wait for it, or choose another --out")
        return _make(job, folder, world, arguments, wall_time, margin)


def _make(job: QuenchJob, folder: Path, world: World, arguments: list[str], wall_time: float | None,
          margin: float) -> int:
    talk = world.rank == 0
    path = folder / "record.h5"
    glass = quench.Run(job, folder, world)
    try:
        glass.open()
        if talk and glass.step:
            print(f"resumed   at step {glass.step:,} of {glass.last_step:,}", flush=True)
        atoms = sum(glass.plan.atoms.values())
        with (
            Stop(wall_time, margin, ask_slurm=talk) as stop,
            Progress(glass.last_step * atoms, "atom-steps", str(glass.plan.wanted), initial=glass.step * atoms,
                     enabled=talk) as progress,
        ):  # fmt: skip
            if not quench.work(glass, stop, lambda step: progress.update(step * atoms)):
                if talk:
                    print(f"stopped ({stop.reason}) with work left; run the same command again: it goes on where it "
                          "stopped")
                return STOPPED
    finally:
        glass.close()
    if talk:
        record.finish(glass, path, arguments)
        print(record.summary(record.read(path)))
        print(f"complete: {path}")
    world.barrier()
    return COMPLETE
