"""The command that trains one model on a library: samples → model → band → file."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from hpctools.progress import duration
from hpctools.provenance import provenance
from hpctools.stop import COMPLETE, STOPPED, Stop
from hpctools.world import World

from . import models, theory
from .samples import Sample, SampleError, load, permuted, states
from .settings import NETWORKS, TrainJob, check_folder

FILE = "liquid.npz"


def samples_of(job: TrainJob, world: World, with_theory: bool = True) -> list[Sample]:
    """The samples that a job learns from. Collective: rank 0 asks the theory, where it is wanted."""
    found = load(job.data)
    if job.inputs == "mct" and with_theory:
        path = Path(job.mct_cache or f"{job.folder}/mct.npz")
        if world.rank == 0:
            theory.with_numbers(found, theory.Cache(path))
        world.barrier()
        found = theory.with_numbers(found, theory.Cache(path), show=False)
    return permuted(found, job.seed) if job.inputs == "permuted" else found


def plan_text(job: TrainJob, samples: Sequence[Sample], away: int) -> str:
    """What the job will do, for people."""
    points = sum(len(s.times) for s in samples)
    glasses = sum(s.glass for s in samples)
    lines = [f"states    {len(states(samples))} in {len(samples)} records, {glasses} of glasses; {points:,} points"]
    if job.model in NETWORKS:
        a_pass = -(-points // job.batch)
        epochs = -(-job.steps // a_pass) if job.steps else job.epochs
        lines += [f"held out  {away} states, for validation and the band" if away else
                  "held out  none: too few states, so the band will not be known",
                  f"steps     {epochs * a_pass:,} of {job.batch} points ({epochs} passes)"]
    return "\n".join([f"model     {job.model}, inputs {job.inputs}", *lines, f"output    {job.folder}"])


def _check_other(job: TrainJob) -> None:
    """Raises SampleError where the folder holds another model: nothing is lost to a forgotten --out."""
    path = Path(job.folder) / FILE
    if not path.exists():
        return
    config = models.load(path).config
    found, wanted = (config["model"], config["inputs"]), (job.model, job.inputs)
    if found != wanted:
        raise SampleError(f"{path} is of model {found[0]}, inputs {found[1]}, now {wanted[0]}, {wanted[1]}; give "
                          "another --out, or remove it")


def run(job: TrainJob, world: World, arguments: Sequence[str], dry_run: bool = False) -> int:
    """Train, or go on with it; returns the exit code. Collective for a network; regressions are rank 0's work."""
    if not dry_run:
        check_folder(job.folder, "--out")
        _check_other(job)
    samples = samples_of(job, world, with_theory=not dry_run)
    network = job.model in NETWORKS
    kept, away = models.held_out(samples, job.held_out, job.seed) if network else (list(samples), [])
    if world.rank == 0:
        print(plan_text(job, kept, len(states(away))), flush=True)
    if dry_run:
        return COMPLETE
    folder, began, results = Path(job.folder), time.monotonic(), {}
    if network:
        from .perceptron import Network

        model = Network(job.model, job.inputs, job)
        with Stop(job.wall_time, job.margin, ask_slurm=world.rank == 0) as stop:
            complete = model.train(kept, away, folder, world=world, stop=stop,  # type: ignore[arg-type]
                                   label=f"{job.model}, {job.inputs}", arguments=arguments)
        if not complete:
            if world.rank == 0:
                print(f"stopped ({stop.reason}); run the same command again: it goes on where it stopped")
            return STOPPED
        assert model.result is not None
        results = model.result.rows[-1]
    if world.rank > 0:
        return COMPLETE
    folder.mkdir(parents=True, exist_ok=True)
    trained = models.calibrated(model, job, kept, away) if network else models.fit_regression(job, samples)
    seconds = results.get("seconds", time.monotonic() - began)
    models.save(folder / FILE, trained, {**results, "seconds": seconds},
                provenance("liquid network", arguments, job, world, seed=job.seed))
    print(f"trained in {duration(seconds)}; factor of the 90 % band: {trained.factors.known}")
    print(f"complete: {folder / FILE}")
    if network:
        print(f"look at it:  python analysis/training_curves.py {folder}")
    return COMPLETE
