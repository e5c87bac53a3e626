"""When to keep a configuration, and the GSD file that the kept ones go to.

Frames follow a block-logarithmic schedule: each block begins with a time origin, followed by frames at
logarithmically spaced steps, so that correlation functions are known over the decades inside a block with
as many origins as there are blocks, and between the blocks with evenly spaced origins.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hpctools.whole import is_disk_full, to_disk, whole

SCHEDULE = "schedule"  # prefix of the entries that describe the schedule in the first frame
THERMO = ("potential_energy", "pressure", "temperature", "samples")
"""Means since the frame before (energy a particle), and of how many samples they are."""


class TrajectoryError(Exception):
    """A trajectory that cannot be read or does not say what it must."""

    user_error = True


@dataclass(frozen=True)
class Schedule:
    """Steps of the frames: block · block_steps + offsets, and one last frame at the end.

    Attributes
    ----------
    dt : time of a step in τ_LJ.
    block_steps : steps of a block.
    offsets : ascending steps inside a block, the first is 0.
    n_blocks : blocks of the run.
    """

    dt: float
    block_steps: int
    offsets: tuple[int, ...]
    n_blocks: int

    @classmethod
    def logarithmic(cls, dt: float, total: float, n_blocks: int, per_decade: int = 8) -> Schedule:
        """A schedule of at least `total` (τ_LJ) in so many blocks, with so many frames a decade inside each."""
        block_steps = max(2, int(np.ceil(total / dt / n_blocks)))
        n = int(np.ceil(per_decade * np.log10(block_steps))) + 1
        steps = np.unique(np.round(np.logspace(0, np.log10(block_steps), n)).astype(int))
        return cls(dt, block_steps, (0, *(int(s) for s in steps if s < block_steps)), n_blocks)

    @property
    def total_steps(self) -> int:
        """Steps of the whole run."""
        return self.n_blocks * self.block_steps

    def steps(self) -> np.ndarray:
        """(n_frames,) steps of all frames, ascending; the last is `total_steps`."""
        blocks = np.arange(self.n_blocks) * self.block_steps
        return np.append((blocks[:, None] + np.array(self.offsets)[None, :]).ravel(), self.total_steps)


@dataclass(frozen=True)
class Frame:
    """A configuration of the run.

    Attributes
    ----------
    step : steps since the start of the production.
    positions : (N, 3) unwrapped positions in σ_AA, float64.
    species : (N,) index of the species, 0: A, 1: B.
    box_length : edge of the periodic cube in σ_AA.
    thermo : means of potential energy a particle, pressure and temperature since the frame before, and the
        number of samples in them (see THERMO).
    """

    step: int
    positions: np.ndarray
    species: np.ndarray
    box_length: float
    thermo: dict[str, float]


class TrajectoryWriter:
    """Appends frames to a GSD file that OVITO and freud can read.

    Every frame carries step, positions, images and thermodynamic values; the first also species, box and
    schedule.

    Parameters
    ----------
    path : the file. `keep` frames of a file that is there are kept, the rest is dropped: a run that goes on
        from its restart then writes the dropped frames anew.
    """

    def __init__(self, path: Path, schedule: Schedule, species_names: tuple[str, ...], keep: int = 0) -> None:
        import gsd.hoomd

        self._path = path
        self._schedule = schedule
        self._names = list(species_names)
        try:
            if keep:
                self._cut(path, keep)
            self._file = gsd.hoomd.open(str(path), "r+" if keep else "w")
        except (OSError, RuntimeError, KeyError) as error:
            if is_disk_full(error):
                raise
            raise TrajectoryError(f"{path}: cannot be continued ({error}); remove the folder {path.parent} to run this "
                                  "state anew") from error

    @staticmethod
    def _cut(path: Path, keep: int) -> None:
        """Leave the first `keep` frames of the file."""
        import gsd.hoomd

        with gsd.hoomd.open(str(path), "r") as old:
            if len(old) < keep:
                raise TrajectoryError(f"{path}: {len(old)} frames, but the restart file was written after {keep}; "
                                      "remove the folder of this state to run it anew")
            if len(old) == keep:
                return
            with whole(path) as part, gsd.hoomd.open(str(part), "w") as new:
                for index in range(keep):
                    new.append(old[index])

    def __len__(self) -> int:
        return len(self._file)

    def append(self, step: int, wrapped: np.ndarray, images: np.ndarray, species: np.ndarray, box_length: float,
               thermo: dict[str, float]) -> None:
        """Add a frame: (N, 3) positions in [-L/2, L/2), (N, 3) images, (N,) species."""
        import gsd.hoomd

        frame = gsd.hoomd.Frame()
        frame.configuration.step = step
        frame.particles.N = len(wrapped)
        frame.particles.position = wrapped.astype(np.float32)
        frame.particles.image = images.astype(np.int32)
        if not len(self._file):
            frame.configuration.box = [box_length] * 3 + [0, 0, 0]
            frame.particles.types = self._names
            frame.particles.typeid = species.astype(np.uint32)
            frame.log[f"{SCHEDULE}/dt"] = np.array([self._schedule.dt])
            frame.log[f"{SCHEDULE}/block_steps"] = np.array([self._schedule.block_steps])
            frame.log[f"{SCHEDULE}/offsets"] = np.array(self._schedule.offsets)
            frame.log[f"{SCHEDULE}/n_blocks"] = np.array([self._schedule.n_blocks])
        for name in THERMO:
            frame.log[f"thermo/{name}"] = np.array([thermo[name]])
        self._file.append(frame)

    def flush(self) -> None:
        """Bring all frames to the disk."""
        self._file.flush()
        to_disk(self._path)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class Trajectory:
    """Reads the frames of a trajectory one by one.

    >>> with Trajectory("trajectory.gsd") as trajectory:
    ...     for frame in trajectory.frames():
    ...         frame.positions

    Attributes
    ----------
    schedule : when the frames were taken.
    species_names : names of the species.
    """

    def __init__(self, path: str | Path) -> None:
        import gsd.hoomd

        self.path = Path(path)
        try:
            self._file: Any = gsd.hoomd.open(str(path), "r")
        except (OSError, RuntimeError) as error:
            raise TrajectoryError(f"{path}: cannot be read as GSD: {error}; expected a trajectory written by python -m "
                                  "hpctools.liquids run. Where it is damaged, remove its folder and run the state "
                                  "again") from None
        if not len(self._file) or f"{SCHEDULE}/offsets" not in self._file[0].log:
            self._file.close()
            raise TrajectoryError(f"{path}: no schedule in its first frame; expected a trajectory written by "
                                  "python -m hpctools.liquids run")
        first = self._file[0]
        value = {key: first.log[f"{SCHEDULE}/{key}"] for key in ("dt", "block_steps", "offsets", "n_blocks")}
        self.schedule = Schedule(float(value["dt"][0]), int(value["block_steps"][0]),
                                 tuple(int(o) for o in value["offsets"]), int(value["n_blocks"][0]))
        self.species_names = tuple(first.particles.types)
        self._species = np.array(first.particles.typeid)
        self.box_length = float(first.configuration.box[0])

    def __len__(self) -> int:
        return len(self._file)

    @property
    def complete(self) -> bool:
        """Are all frames of the schedule there?"""
        return len(self) == len(self.schedule.steps())

    @property
    def species(self) -> np.ndarray:
        """(N,) index of the species of each particle."""
        return self._species

    def frame(self, index: int) -> Frame:
        """One frame."""
        raw = self._file[index]
        positions = raw.particles.position.astype(float) + self.box_length * raw.particles.image
        thermo = {name: float(raw.log[f"thermo/{name}"][0]) for name in THERMO}
        return Frame(int(raw.configuration.step), positions, self._species, self.box_length, thermo)

    def frames(self, start: int = 0, stop: int | None = None, step: int = 1) -> Iterator[Frame]:
        """The frames of a range, read one at a time."""
        for index in range(start, len(self) if stop is None else stop, step):
            yield self.frame(index)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Trajectory:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
