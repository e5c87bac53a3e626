"""From the trajectory of a run to the record of its state: one pass over the frames, which are not kept.

Each rank takes a run of neighbouring blocks. Every average belongs to one block and one lag, so that the
record does not depend on the number of ranks.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from hpctools.campaign import Stopped
from hpctools.progress import Progress
from hpctools.provenance import provenance
from hpctools.stop import Stop
from hpctools.world import World

from . import crystal, scattering
from .dynamics import LADDER, Dynamics, Origin, peak_estimate, wave_numbers
from .frames import THERMO, Frame, Schedule, Trajectory, TrajectoryError
from .observation import Observation
from .record import KIND, Record, arrays_of, check_free, summary_of, write_record
from .structure import Structure
from .wavevectors import shells


def static_offsets(schedule: Schedule, frames: int) -> list[int]:
    """Rows of `schedule.offsets` whose frames serve for static averages: as evenly spaced as can be."""
    wanted = min(-(-frames // schedule.n_blocks), len(schedule.offsets))
    offsets = np.array(schedule.offsets)
    targets = np.arange(wanted) / wanted * schedule.block_steps
    return sorted({int(np.argmin(np.abs(offsets - target))) for target in targets})


class _Reader:
    """Frames of a trajectory, checked, sorted by species."""

    def __init__(self, trajectory: Trajectory) -> None:
        steps = trajectory.schedule.steps()
        if not trajectory.complete:
            raise TrajectoryError(f"{trajectory.path}: {len(trajectory)} frames, expected {len(steps)} by its "
                                  "schedule; let the run finish (the same command goes on where it stopped)")
        self.trajectory = trajectory
        self.schedule = trajectory.schedule
        self.order = np.argsort(trajectory.species, kind="stable")
        self._sorted = bool(np.all(trajectory.species[1:] >= trajectory.species[:-1]))
        self.counts = np.bincount(trajectory.species, minlength=len(trajectory.species_names))
        if np.any(self.counts == 0):
            raise TrajectoryError(f"{trajectory.path}: {self.counts.tolist()} particles of the species "
                                  f"{', '.join(trajectory.species_names)}; expected some of each")
        self.bounds = np.concatenate([[0], np.cumsum(self.counts)])
        self._steps = steps

    def frame(self, block: int, row: int) -> Frame:
        """The frame at offset `row` of a block."""
        index = block * len(self.schedule.offsets) + row
        try:
            found = self.trajectory.frame(index)
        except (OSError, RuntimeError, KeyError) as error:
            raise TrajectoryError(f"{self.trajectory.path}: frame {index} cannot be read ({error}); "
                                  "remove the trajectory and run the state again") from None
        if found.step != self._steps[index] or len(found.positions) != self.bounds[-1]:
            raise TrajectoryError(f"{self.trajectory.path}: frame {index} is at step {found.step} with "
                                  f"{len(found.positions)} particles; expected step {self._steps[index]}, "
                                  f"{self.bounds[-1]} particles")
        if not np.all(np.isfinite(found.positions)):
            raise TrajectoryError(f"{self.trajectory.path}: frame {index} holds positions that are no numbers")
        if not self._sorted:
            found = Frame(found.step, found.positions[self.order], found.species[self.order], found.box_length,
                          found.thermo)
        return found


def measure(trajectory: Trajectory, settings: Observation, world: World, kernel: ModuleType, stop: Stop | None = None,
            *, show: bool | float = False, label: str = "analysis") -> tuple[Structure, Dynamics, np.ndarray]:
    """The averages of a trajectory, summed over the ranks: structure, dynamics, and thermodynamic values.

    kernel: the backend, see `scattering`; stop, show, label: see `observe`. The thermodynamic values are (n_blocks, 3):
    potential energy a particle, pressure, temperature, means over each block.
    Complete on rank 0 only. Raises TrajectoryError for an unfinished or damaged trajectory.
    """
    reader = _Reader(trajectory)
    schedule, length, bounds = trajectory.schedule, trajectory.box_length, reader.bounds
    settings.check_box(length)
    collective = settings.collective(peak_estimate(bounds[-1] / length**3))
    grid = shells(length, settings.shell_width, settings.k_max, settings.vectors, settings.vector_seed)
    rows = slice(grid.first[collective.start], grid.first[collective.stop])
    some = grid.part(collective)
    structure = Structure(schedule.n_blocks, grid, len(reader.counts), settings.bin_width)
    dynamics = Dynamics(schedule, wave_numbers(bounds[-1] / length**3), some, len(reader.counts), kernel)
    sums = np.zeros((schedule.n_blocks, len(THERMO)))  # of values times samples, and of samples
    own = [int(block) for block in np.array_split(np.arange(schedule.n_blocks), world.size)[world.rank]]
    static = static_offsets(schedule, settings.static_frames)

    def looked_at(block: int, row: int, with_static: bool) -> Origin:
        """Read a frame and add what belongs to its configuration alone."""
        if stop is not None and stop.requested:
            raise Stopped(stop.reason)
        bar.update(bar.done + 1)
        frame = reader.frame(block, row)
        # a frame tells the means since the frame before; that of a block's start lies in the block before
        if (owner := max(block - (row == 0), 0)) in own:
            samples = frame.thermo["samples"]
            sums[owner] += np.array([*(samples * frame.thermo[name] for name in THERMO[:-1]), samples])
        fractional = frame.positions / length
        if with_static:
            density = kernel.densities(fractional, bounds, grid.n)
            structure.add(block, fractional, bounds, density)
            density = density[rows].copy()
        else:
            density = kernel.densities(fractional, bounds, some.n)
        return Origin(frame.positions - frame.positions.mean(axis=0), density)

    origins: dict[int, Origin] = {}

    def between(block: int, now: Origin) -> None:
        """Correlate the start of a block with the earlier origins of this rank."""
        for earlier, origin in origins.items():
            if (row := dynamics.row_of_lag.get(block - earlier)) is not None:
                dynamics.add(row, earlier, origin, now, bounds)

    after = range(own[-1] + 1, schedule.n_blocks + 1) if own else range(0)
    with Progress(len(own) * len(schedule.offsets) + len(after), "frames", label, enabled=bool(show),
                  every=None if isinstance(show, bool) else show) as bar:
        for block in own:
            start = looked_at(block, 0, 0 in static)
            between(block, start)
            origins[block] = start
            dynamics.add(0, block, start, start, bounds)
            for row in range(1, len(schedule.offsets)):
                dynamics.add(row, block, start, looked_at(block, row, row in static), bounds)
        for block in after:
            between(block, looked_at(block, 0, False))
    for array in (structure.factor, structure.counts, structure.frames, dynamics.self_part, dynamics.collective, sums):
        _sum_on_first(array, world)
    with np.errstate(invalid="ignore"):  # ranks other than 0 lack blocks
        return structure, dynamics, sums[:, :-1] / sums[:, -1:]


def _sum_on_first(array: np.ndarray, world: World) -> None:
    """Sum an array over the ranks in place on rank 0. Each element is zero on all ranks but one."""
    if world.comm is not None and world.size > 1:
        from mpi4py import MPI

        world.comm.Reduce(MPI.IN_PLACE if world.rank == 0 else array, array if world.rank == 0 else None, root=0)


def observe(trajectory_path: str | Path, out: str | Path, further: Mapping[str, Any] | None = None, *,
            world: World | None = None, settings: Observation | None = None,
            backend: str = "", stop: Stop | None = None, show: bool | float = False,
            label: str = "analysis") -> Record | None:
    """Measure a trajectory and write the record of its state. All ranks call it; rank 0 gets the record.

    Parameters
    ----------
    trajectory_path : a finished trajectory written by `frames.TrajectoryWriter`.
    out : the record, an HDF5 file.
    further : attributes to store: potential, density, temperature, seed, flags, …
    world : the ranks; each reads its share of the frames.
    settings : how to measure.
    backend : "cpu", "cuda" or "host", see `scattering`; chosen by what is there if empty.
    stop : looked at between frames; for one rank alone, since the others would wait for it.
    show : print the progress, as `simulation.Simulation` does, with the words `label` before it.

    Raises campaign.Stopped when asked to stop before the end: nothing is kept of what was measured.
    Raises TrajectoryError for a trajectory that is unfinished or damaged, StoreError where `out` exists already,
    ObservationError for settings that do not fit the box.
    """
    world = world or World()
    settings = settings or Observation()
    kernel = scattering.choose(backend or None)
    if hasattr(kernel, "set_device"):
        kernel.set_device(world.local_rank)
    check_free(out)
    begun = time.monotonic()
    with Trajectory(trajectory_path) as trajectory:
        structure, dynamics, thermo = measure(trajectory, settings, world, kernel, stop,
                                               show=show if world.rank == 0 else False, label=label)
        if world.rank > 0:
            return None
        schedule, counts = trajectory.schedule, np.bincount(trajectory.species)
        density = counts.sum() / trajectory.box_length**3
        order = []
        for block in np.unique(np.round(np.linspace(0.25, 1, 4) * schedule.n_blocks).astype(int)):
            frame = trajectory.frame(int(block) * len(schedule.offsets))
            order.append((frame.step * schedule.dt, crystal.bond_order(frame.positions, frame.box_length)))
        arrays = arrays_of(structure, dynamics, thermo, order, np.concatenate([[0], np.cumsum(counts)]))
        attributes = {
            "box_length": trajectory.box_length, "particles": counts, "species": list(trajectory.species_names),
            "shell_width": settings.shell_width, "vector_seed": settings.vector_seed, "bin_width": settings.bin_width,
            "static_frames": int(structure.frames.sum()), "ladder": peak_estimate(density) * LADDER[[0, -1]],
            "duration": schedule.total_steps * schedule.dt, "blocks": schedule.n_blocks, "time_step": schedule.dt,
            "analysis_seconds": time.monotonic() - begun, **summary_of(arrays, counts, density), **(further or {}),
        }  # fmt: skip
        described = provenance(KIND, sys.argv, settings, world, backend=kernel.__name__.split(".")[-1],
                               device=kernel.device_name(), further=attributes)
        write_record(out, arrays, described)
    return Record.load(out)
