"""The run of one state: melt, equilibrate (or quench and wait), produce, with a restart at any time.

A liquid is equilibrated in NVT for many relaxation times, as a clock tells them of the later half of that time: it
relaxes fast at first, when it still has the structure of the melt. Then the velocities are scaled once so that the
total energy is its mean in NVT over that time, and production goes on in NVE. A thermostat's last instant would leave
NVE up to 1 % off the temperature, which moves τ_α by 20 times that near T_mct.

The clock goes on in production, since few relaxations are not alike in a small system. Where a production turns out to
be too short, it is counted as equilibration and begun anew; where its mean temperature is off or its energy drifts,
at another energy or with half the time step (the curvature of the WCA potential jumps at its cut-off).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from hpctools import progress as progress_bar
from hpctools.campaign import Stopped
from hpctools.config import dump_toml
from hpctools.stop import Stop

from . import checkpoint, engines
from .checkpoint import EQUILIBRATE, FINISHED, MELT, PRODUCE, QUENCH, WAIT, Mean
from .frames import Schedule, TrajectoryWriter
from .relaxation import RelaxationClock
from .state import State

TRAJECTORY = "trajectory.gsd"
CHECKPOINT = "checkpoint.npz"
SAMPLE_STEPS = 25  # steps between samples of thermodynamic values
_LEAST_RELAXATIONS = 5  # that tell a relaxation time; before them energies do not count
_TRIAL_SHARE = 0.2  # of the production, after which its temperature and relaxation time are looked at
# of the relaxation times asked for: with fewer a production is begun anew (40 of 46, 10 of 15)
_ENOUGH_PRODUCTION, _ENOUGH_EQUILIBRATION = 0.87, 0.67
_LONGER = 3.0  # times the relaxation time of before, at most, in one lengthening: some liquids crystallise or arrest
_JOIN_TOLERANCE = 1e-6  # of the energy a particle over a restart
_ATTEMPTS = 3  # productions for the temperature, for their length and for their time step: the last is kept as it is


class Simulation:
    """One state in one folder.

    Parameters
    ----------
    state : what to simulate.
    folder : for checkpoint, restart files and trajectory; a run that was cut off there goes on.
    stop : looked at between pieces of the run.
    label : words before the progress.
    show : print the progress: with True as a bar or lines, with a number in a line each so many seconds.
    checkpoint_seconds : a kill loses at most this much work.
    """

    def __init__(self, state: State, folder: Path, stop: Stop, *, label: str = "", show: bool | float = True,
                 checkpoint_seconds: float = 60.0) -> None:
        self.state = state
        self.folder = folder
        self._stop = stop
        self._label = label or state.name
        self._show = show
        self._checkpoint_seconds = checkpoint_seconds
        self._module = engines.choose(state.engine)
        self._settings = dump_toml(state)
        folder.mkdir(parents=True, exist_ok=True)
        self.done = checkpoint.load(folder / CHECKPOINT, self._settings) or checkpoint.Progress()
        if self.done.engine not in ("", self._module.NAME):
            raise checkpoint.CheckpointError(f"{folder}: begun with {self.done.engine}, now {self._module.NAME}; take "
                                             f"--engine {self.done.engine}, or remove it to start again")
        self.done.engine = self._module.NAME
        self.resumed = bool(self.done.restart)
        self._clock = checkpoint.clock_of(self.done, state.wave_number)
        self._species = state.start().species
        self._last_checkpoint = time.monotonic()
        self._entered = time.monotonic()
        self._trajectory: TrajectoryWriter | None = None
        self._engine: Any = None

    @property
    def engine_name(self) -> str:
        """Name and version of the engine."""
        return f"{self._module.NAME} {self._module.version()}"

    @property
    def schedule(self) -> Schedule:
        """Frames of the production; known when equilibration is over."""
        tau = self.done.relaxation_time
        return self.state.schedule(None if self.state.protocol == "glass" or math.isnan(tau) else tau,
                                   self.done.halvings)

    @property
    def _step(self) -> float:
        """Time step of now, τ_LJ."""
        return self.state.step / 2**self.done.halvings

    def history(self) -> dict[str, Any]:
        """What the record should tell of a finished run: its settings as TOML, times in τ_LJ, energies a particle."""
        state, done = self.state, self.done
        return {
            "potential": state.potential, "density": state.density, "temperature": state.temperature,
            "seed": state.seed, "protocol": state.protocol, "engine": self.engine_name, "state_toml": self._settings,
            "equilibration_time": done.equilibration_steps * state.step,
            "relaxations_in_equilibration": done.relaxations,
            "clock_relaxation_time": done.relaxation_time,
            "relaxed_in_equilibration": done.equilibrated,
            "nvt_energy": done.energy.value, "first_energy": done.first_energy, "last_energy": done.last_energy,
            "restarts": len(done.joins), "worst_join": max(map(abs, done.joins), default=0.0),
            "productions_given_up": done.attempts, "time_step_halvings": done.halvings,
            "wall_seconds": done.wall_seconds,
        }  # fmt: skip

    def run(self) -> None:
        """Go on to the end; raises Stopped when asked to stop before."""
        if self.done.stage == FINISHED:
            return
        stages = {MELT: self._melt, QUENCH: self._quench, WAIT: self._wait, EQUILIBRATE: self._equilibrate,
                  PRODUCE: self._produce}
        self._start_engine()
        try:
            while self.done.stage != FINISHED:
                stages[self.done.stage]()
        finally:
            if self._trajectory is not None:
                with suppress(OSError):  # what went wrong before is what counts; a finished run has closed it
                    self._trajectory.close()
            self._engine.close()

    def _start_engine(self) -> None:
        state = self.state
        if self.resumed:
            self._engine = self._module.Engine.restore(state.mixture, self.folder / self.done.restart, self._step)
            self.done.joins.append(self._total_energy() - self.done.saved_energy)
            if abs(self.done.joins[-1]) > _JOIN_TOLERANCE:
                raise engines.EngineError(
                    f"{self.folder / self.done.restart}: energy {self._total_energy():.9g} a particle, but it was "
                    f"{self.done.saved_energy:.9g} when the file was written; remove {self.folder} to start again")
        else:
            self._engine = self._module.Engine.create(state.mixture, state.start(), state.step)
            self._engine.velocities(state.melt, state.random_seed(1))

    def _seed(self, purpose: int) -> int:
        """A seed of the thermostat; another one at each place where it is set up again."""
        return self.state.random_seed(1 + purpose, self.done.steps)

    # --- stages ---------------------------------------------------------------------------------------

    def _melt(self) -> None:
        total = self.state.steps(self.state.melt_time)
        self._engine.thermostat(self.state.melt, self.state.thermostat_time, self._seed(1))
        self._advance("melting", total)
        self._enter(QUENCH if self.state.protocol == "glass" else EQUILIBRATE)

    def _quench(self) -> None:
        state = self.state
        total = state.steps(state.quench_time)
        reached = state.melt + (state.temperature - state.melt) * self.done.steps / total
        self._engine.thermostat(reached, state.thermostat_time, self._seed(2), end_temperature=state.temperature,
                                steps=total - self.done.steps)
        self._advance("quenching", total)
        self._enter(WAIT)

    def _wait(self) -> None:
        total = self.state.steps(self.state.waiting_time)
        self._engine.thermostat(self.state.temperature, self.state.thermostat_time, self._seed(3))
        # a glass ages: only the last half of the waiting tells the energy
        self._advance("waiting", total, lambda: self._take_energy(self.done.steps > total // 2))
        self.done.equilibrated = False
        self._begin_production()

    def _equilibrate(self) -> None:
        state = self.state
        least = math.ceil(0.2 * state.least_production / state.step)
        most = math.ceil(state.max_equilibration / state.step)
        self._engine.thermostat(state.temperature, state.thermostat_time, self._seed(4))

        def look() -> None:
            self._look_at_clock()
            self._take_energy(self._clock.count >= _LEAST_RELAXATIONS and self.done.steps >= least // 3)

        def wanted() -> float:
            """Steps that the relaxation time of now asks for; NaN where it is not known."""
            tau = self._clock.relaxation_time(self.done.steps * state.step)
            return state.equilibration_relaxations * tau / state.step

        def enough() -> bool:
            known = self._clock.count >= min(_LEAST_RELAXATIONS, state.equilibration_relaxations)
            return known and self.done.steps >= least and not self.done.steps < wanted()

        def expected() -> int:
            steps = wanted()
            return min(most, max(least, 0 if math.isnan(steps) else math.ceil(steps)))

        self._advance("equilibrating", most, look, enough, expected)
        self.done.equilibrated = enough()
        tau = self._clock.relaxation_time(self.done.steps * state.step)
        self.done.relaxation_time = tau if self.done.equilibrated else math.nan
        if not self.done.energy.samples:
            self._take_energy(True)
        self._begin_production()

    def _look_at_clock(self) -> None:
        wrapped, images = self._engine.configuration()
        large = self._species == 0
        self._clock.look(self.done.steps * self._step, (wrapped + self.state.length * images)[large])

    def _take_energy(self, wanted: bool) -> None:
        if wanted:
            self.done.take_energy(self._total_energy())

    def _total_energy(self) -> float:
        """Energy a particle at this step."""
        thermo = self._engine.thermo()
        return float(thermo["potential_energy"] + thermo["kinetic_energy"])

    def _begin_production(self) -> None:
        self.done.equilibration_steps = self.done.steps
        self.done.relaxations = self._clock.count
        self._clock = RelaxationClock(self.state.wave_number)
        self._scale_to(self.done.energy.value)
        self._enter(PRODUCE)

    def _scale_to(self, energy: float) -> None:
        """Scale the velocities so that the total energy a particle is this."""
        thermo = self._engine.thermo()
        kinetic = energy - thermo["potential_energy"]
        if kinetic <= 0:
            raise engines.EngineError(f"{self.state.name}: mean energy {energy:g} a particle lies below the potential "
                                      f"energy {thermo['potential_energy']:g}: the run has not equilibrated")
        self._engine.scale_velocities(math.sqrt(kinetic / thermo["kinetic_energy"]))

    def _produce(self) -> None:
        schedule = self.schedule
        frame_steps = schedule.steps()
        liquid = self.state.protocol == "liquid"
        self._engine.nve()
        self._trajectory = TrajectoryWriter(self.folder / TRAJECTORY, schedule, self.state.mixture.species,
                                            keep=self.done.frames)
        if not self.done.frames:
            self._sample()
            self.done.first_energy = self._total_energy()
            self._keep_frame()

        def look() -> None:
            at_frame = self.done.frames < len(frame_steps) and self.done.steps == frame_steps[self.done.frames]
            if at_frame or self.done.steps % SAMPLE_STEPS == 0:
                self._sample()
            if liquid and self.done.steps % SAMPLE_STEPS == 0:
                self._look_at_clock()
            if at_frame:
                self._keep_frame()

        def next_stop() -> int:
            return int(min(frame_steps[self.done.frames],
                           (self.done.steps // SAMPLE_STEPS + 1) * SAMPLE_STEPS))

        trial = int(_TRIAL_SHARE * schedule.total_steps)
        if liquid:
            if self.done.steps < trial:
                self._advance("producing", trial, look, next_stop=next_stop, expected=lambda: schedule.total_steps)
            if self.done.steps == trial and self._begin_anew(schedule.total_steps):
                return
        self._advance("producing", schedule.total_steps, look, next_stop=next_stop)
        if liquid and self._begin_anew(schedule.total_steps):
            return
        self.done.last_energy = self._total_energy()
        self._trajectory.close()
        self._trajectory = None
        self._enter(FINISHED)

    def _sample(self) -> None:
        thermo = self._engine.thermo()
        for mean, name in zip(self.done.since_frame, ("potential_energy", "pressure", "temperature"), strict=True):
            mean.add(thermo[name])
        self.done.temperature.add(thermo["temperature"])

    def _keep_frame(self) -> None:
        assert self._trajectory is not None
        wrapped, images = self._engine.configuration()
        energy, pressure, temperature = self.done.since_frame
        self._trajectory.append(
            self.done.steps, wrapped - self.state.length / 2, images, self._species, self.state.length,
            {"potential_energy": energy.value, "pressure": pressure.value, "temperature": temperature.value,
             "samples": energy.samples})  # fmt: skip
        self.done.since_frame = [Mean() for _ in range(3)]
        self.done.frames += 1

    def _begin_anew(self, total: int) -> bool:
        """Begin the production of `total` steps anew, longer, at a better energy or with half the time step, where it
        needs to be."""
        done, temperature = self.done, self.state.temperature
        most = _ATTEMPTS - 1
        if done.lengthened < most and (slower := self._slower(total)) is not None:
            done.lengthened += 1
            done.trials.clear()  # and with them the mean of NVT: what is known of the energy was still ageing
            done.relaxation_time = slower
            done.equilibration_steps += done.steps >> done.halvings
            done.relaxations += self._clock.count
            self._again(self._better_energy()[0])
            return True
        if done.steps == total:
            del done.trials[-1:]  # the look at the first part of this production: all of it counts now
        energy, off = self._better_energy()
        allowed = self.state.temperature_tolerance * temperature
        # The energy goes by chance, step by step, as particles cross the cut-off: what it has done in a part of the run
        # tells what it will do in all of it, before hours are spent.
        drift = abs(self._total_energy() - done.first_energy) * math.sqrt(total / done.steps)
        if done.halvings < most and drift > allowed:
            done.halvings += 1
            done.trials.clear()  # the same energy is another temperature with another time step (`time_step`)
            self._engine.time_step(self._step)
            self._again(energy)
            return True
        if done.steps == total:  # what the whole of it says of itself
            off = done.temperature.value - temperature
        elif not (done.lengthened or done.halvings):
            allowed /= 2  # else no mean of NVT helps to tell chance from a wrong energy
        if abs(off) <= allowed or done.attempts - done.lengthened - done.halvings >= most:
            return False
        self._again(energy)
        return True

    def _slower(self, total: int) -> float | None:
        """The relaxation time (τ_LJ) to plan with, where that of this production by the clock is too long for `total`
        steps or for the equilibration; else None, also where it would be a glass by the setting max_equilibration."""
        state, done = self.state, self.done
        if not done.equilibrated:
            return None
        passed, count = done.steps * self._step, self._clock.count + 0.5
        tau = known = passed / count
        before = done.relaxation_time
        if done.steps < total and math.isfinite(before):
            # few relaxations of its own: together with those of the later half of the equilibration
            prior = state.equilibration_relaxations / 2
            known = (prior * before + passed) / (prior + count)
        wanted = max(_ENOUGH_PRODUCTION * state.production_relaxations * known / (total * self._step),
                     _ENOUGH_EQUILIBRATION * state.equilibration_relaxations * known
                     / (done.equilibration_steps * state.step))
        if wanted <= 1 or max(1.0, state.equilibration_relaxations) * tau > state.max_equilibration:
            return None
        return min(tau, _LONGER * before) if math.isfinite(before) else tau

    def _better_energy(self) -> tuple[float, float]:
        """The energy a particle at which production should go on anew, and how far off the temperature is at that of
        now.

        Each trial, at mean energy E and mean temperature T', is an estimate E + c (T - T') of the right energy, as the
        mean of NVT is, unless a production was lengthened or its time step halved since; c is the heat capacity. Their
        mean, weighted by duration, is better than each.
        """
        state, done = self.state, self.done
        energy = 0.5 * (done.first_energy + self._total_energy())
        # from the fluctuations in NVT; kept within what dense liquids have
        heat_capacity = min(max(len(self._species) * done.energy.variance / state.temperature**2, 2.0), 5.0)
        done.trials.append((energy + heat_capacity * (state.temperature - done.temperature.value),
                            done.steps * self._step))
        stale = done.lengthened or done.halvings
        in_nvt = [] if stale else [(done.energy.value, done.energy.samples * SAMPLE_STEPS * state.step)]
        estimates = [*in_nvt, *done.trials]
        best = sum(value * time for value, time in estimates) / sum(time for _, time in estimates)
        return best, (energy - best) / heat_capacity

    def _again(self, energy: float) -> None:
        """Start production anew at this energy."""
        done = self.done
        self._scale_to(energy)
        assert self._trajectory is not None
        self._trajectory.close()
        self._trajectory = None
        self._clock = RelaxationClock(self.state.wave_number)
        done.attempts += 1
        done.frames = 0
        done.temperature = Mean()
        done.since_frame = [Mean() for _ in range(3)]
        self._enter(PRODUCE)

    # --- advancing ------------------------------------------------------------------------------------

    def _enter(self, stage: str) -> None:
        self.done.stage, self.done.steps = stage, 0
        self._write_checkpoint()

    def _advance(self, words: str, total: int, look: Callable[[], None] = lambda: None,
                 enough: Callable[[], bool] = lambda: False, expected: Callable[[], int] | None = None,
                 next_stop: Callable[[], int] | None = None) -> None:
        """Run to `total` steps of the stage, or until it is enough; `look` after each piece."""
        every = None if isinstance(self._show, bool) else self._show
        with progress_bar.Progress(expected() if expected else total, "steps", f"{self._label}, {words}",
                                   initial=self.done.steps, enabled=bool(self._show), every=every) as bar:
            while self.done.steps < total and not enough():
                target = next_stop() if next_stop else self.done.steps + SAMPLE_STEPS
                target = min(target, total)
                self._engine.run(target - self.done.steps)
                self.done.steps = target
                look()
                if expected:
                    bar.total = expected()
                bar.update(self.done.steps)
                if self._stop.requested:
                    self._write_checkpoint()
                    raise Stopped(self._stop.reason)
                if time.monotonic() - self._last_checkpoint > self._checkpoint_seconds:
                    self._write_checkpoint()

    def _write_checkpoint(self) -> None:
        """Particles first, then the progress that names their file: its renaming is the moment that counts."""
        before = self.done.restart
        self.done.restart = f"restart-{self.done.stage}-{self.done.attempts}-{self.done.steps}"
        self.done.saved_energy = self._total_energy()
        self._engine.save(self.folder / self.done.restart)
        if self._trajectory is not None:
            self._trajectory.flush()
        now = time.monotonic()
        self.done.wall_seconds += now - self._entered
        self._entered = now
        self.done.clock = self._clock.state()
        checkpoint.save(self.folder / CHECKPOINT, self.done, self._settings)
        if before and before != self.done.restart:
            (self.folder / before).unlink(missing_ok=True)
        self._last_checkpoint = now
