"""What a simulation must remember to go on: its progress in one file, the particles in the engine's own."""

from __future__ import annotations

import dataclasses
import json
import math
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hpctools.whole import whole

from .relaxation import RelaxationClock

MELT, QUENCH, WAIT, EQUILIBRATE, PRODUCE, FINISHED = "melt", "quench", "wait", "equilibrate", "produce", "finished"


class CheckpointError(Exception):
    """A checkpoint that does not fit."""

    user_error = True


@dataclass
class Mean:
    """Running mean and variance of samples."""

    samples: int = 0
    total: float = 0.0
    square: float = 0.0

    def add(self, value: float) -> None:
        """Take a sample in."""
        self.samples += 1
        self.total += value
        self.square += value * value

    @property
    def value(self) -> float:
        """The mean; NaN without samples."""
        return self.total / self.samples if self.samples else math.nan

    @property
    def variance(self) -> float:
        """The variance of a sample; NaN without samples."""
        return max(0.0, self.square / self.samples - self.value**2) if self.samples else math.nan


@dataclass
class Progress:
    """How far a simulation has come.

    Attributes
    ----------
    engine : name of the engine that runs it; "": not known.
    stage, steps : what is going on, and for how many steps.
    restart : name of the engine's restart file that belongs to it.
    clock : state of the relaxation clock, of equilibration or production.
    relaxations : by the clock before production; 0 as long as that has not begun.
    equilibration_steps : length of the finished equilibration (or waiting), and of productions given up for it.
    equilibrated : did the liquid relax often enough before production?
    energies, energy_since : total energy a particle in NVT, for the energy of the NVE run: in the last interval between
        doublings of the time, and in the one that goes on, which began at this step.
    since_frame : means since the last frame: potential energy, pressure, temperature.
    temperature : mean of the temperature in production.
    first_energy, last_energy : total energy a particle at the first and the last frame.
    frames : frames written.
    relaxation_time : by the clock, that the production is planned with, τ_LJ; NaN where the liquid did not relax.
    attempts : productions given up because the mean temperature was off, because they were too short, or because the
        energy drifted.
    lengthened : how many of them because they were too short.
    halvings : how many of them because the energy drifted; each has halved the time step.
    trials : (estimate of the right energy a particle, τ_LJ that it took) of each production that was looked at.
    saved_energy : total energy a particle when the restart file was written.
    joins : by how much the energy a particle of each restart differed from it.
    wall_seconds : time spent so far.
    """

    engine: str = ""
    stage: str = MELT
    steps: int = 0
    restart: str = ""
    clock: dict[str, Any] | None = None
    relaxations: int = 0
    equilibration_steps: int = 0
    equilibrated: bool = True
    energies: list[Mean] = field(default_factory=lambda: [Mean(), Mean()])
    energy_since: int = 0
    since_frame: list[Mean] = field(default_factory=lambda: [Mean() for _ in range(3)])
    temperature: Mean = field(default_factory=Mean)
    first_energy: float = math.nan
    last_energy: float = math.nan
    frames: int = 0
    relaxation_time: float = math.nan
    attempts: int = 0
    lengthened: int = 0
    halvings: int = 0
    trials: list[tuple[float, float]] = field(default_factory=list)
    saved_energy: float = math.nan
    joins: list[float] = field(default_factory=list)
    wall_seconds: float = 0.0

    @property
    def energy(self) -> Mean:
        """Of both intervals: the later half of the time so far at least, three quarters at most."""
        first, second = self.energies
        return Mean(first.samples + second.samples, first.total + second.total, first.square + second.square)

    def take_energy(self, value: float) -> None:
        """Take a sample of the energy in; what is older than a quarter of the time is forgotten, as still ageing."""
        if not self.energies[1].samples:
            self.energy_since = self.steps
        elif self.steps >= 2 * self.energy_since:
            self.energies, self.energy_since = [self.energies[1], Mean()], self.steps
        self.energies[1].add(value)


def save(path: Path, progress: Progress, settings: str) -> None:
    """Write the progress, whole or not at all. settings: the state's settings as TOML, for the comparison on load."""
    table = dataclasses.asdict(progress)
    origin = None if progress.clock is None else progress.clock["origin"]
    if table["clock"] is not None:
        table["clock"].pop("origin")
    with whole(path, sync=True) as part, open(part, "wb") as file:
        np.savez(file, progress=json.dumps(table), settings=settings, origin=np.zeros(0) if origin is None else origin)


def load(path: Path, settings: str) -> Progress | None:
    """The progress of an earlier run of the same settings; None where there is none.

    Raises CheckpointError where the settings were others, or the file is damaged.
    """
    if not path.exists():
        return None
    progress, found = _read(path)
    if found != settings:
        changed = sorted(set(found.splitlines()) ^ set(settings.splitlines()))
        raise CheckpointError(f"{path.parent}: begun with other settings ({'; '.join(changed)}); "
                              "take the same settings, or another folder, or remove this one")
    return progress


def load_any(path: Path) -> Progress | None:
    """The progress of an earlier run whatever its settings, for tables of status; None where there is none.

    Raises CheckpointError where the file is damaged.
    """
    return _read(path)[0] if path.exists() else None


def _read(path: Path) -> tuple[Progress, str]:
    try:
        with np.load(path) as file:
            table, found, origin = json.loads(str(file["progress"])), str(file["settings"]), file["origin"]
        table["energies"] = [Mean(**entry) for entry in table["energies"]]
        table["temperature"] = Mean(**table["temperature"])
        table["since_frame"] = [Mean(**entry) for entry in table["since_frame"]]
        if table["clock"] is not None:
            table["clock"]["origin"] = origin if origin.size else None
        return Progress(**table), found
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise CheckpointError(f"{path}: is damaged or of another version ({error}), so this run cannot go on; remove "
                              f"the folder {path.parent} to start it again") from error


def clock_of(progress: Progress, wave_number: float) -> RelaxationClock:
    """The relaxation clock as it stood."""
    return RelaxationClock(wave_number, progress.clock)
