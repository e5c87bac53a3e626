"""Scans of many samples in the memory of one device, without their flat parts, and their expansion to full signals.

A sample of the paper's grid takes 444 kB as full float32 signals, but 14 kB (subset C) to 150 kB (RU) as the 16-bit
integers of its window, so that a whole training set stays in a GPU's memory and batches are made there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from . import backends
from .grid_file import GridFile
from .program import Program
from .simulator import simulate_windows, windows

QUANTUM = 1e-4  # of CpN; coarser where CpN_max exceeds 3.3
_LARGEST = 32767
_BATCH = 512  # samples simulated or read at a time


@dataclass(frozen=True)
class CompactScans:
    """Windows of n samples: CpN is 0 below the window of a sample and 1 above it.

    start, points (n,): first grid point and length of a sample's window, common to its scans; offset (n,): where its
    values begin in `values` (scans × points, one scan behind the other); quantum (n, scans): CpN of one unit of
    `values`; total_points: of the full grid. All are tensors on one device.
    """

    values: Tensor
    start: Tensor
    points: Tensor
    offset: Tensor
    quantum: Tensor
    total_points: int

    def __len__(self) -> int:
        return len(self.start)

    def signals(self, rows: Tensor, every: int = 1) -> Tensor:
        """Full signals of some samples at every n-th grid point, (k, scans, points), float32, on the device."""
        rows = rows.to(self.start.device)
        start, points, offset = (array[rows][:, None] for array in (self.start, self.points, self.offset))
        quantum = self.quantum[rows]
        inside = torch.arange(0, self.total_points, every, device=start.device) - start
        liquid = inside >= points
        window = (inside >= 0) & ~liquid
        scan = torch.arange(quantum.shape[1], device=start.device)[:, None]
        place = torch.where(window, offset + inside, 0)[:, None] + torch.where(window, points, 0)[:, None] * scan
        values = self.values[place].float() * quantum[:, :, None]
        return torch.where(window[:, None], values, liquid[:, None].float())


def of_parameters(
    parameters: NDArray[np.float64], program: Program, device: torch.device, backend: str = "",
    said: Callable[[int], None] = lambda done: None, rounded: bool = True,
) -> CompactScans:  # fmt: skip
    """Simulate samples (n, 4) into a device's memory; said(done) is called as they are made.

    On a GPU with the backend "cuda" nothing goes through the host. rounded: as 16-bit integers, else as float32.
    """
    kernel = backends.choose(backend or None)
    on_device = device.type == "cuda" and hasattr(kernel, "simulate_device")
    if on_device:
        kernel.set_device(device.index)

    def parts() -> Iterator[tuple[int, Tensor, NDArray[np.float64]]]:
        for first in range(0, len(parameters), _BATCH):
            some = parameters[first : first + _BATCH]
            if on_device:
                found = kernel.simulate_device(some, program, full=False)
                yield first, torch.from_dlpack(found.values), found.summary.cpn_max
            else:
                made = simulate_windows(some, program, backend or None)
                yield first, torch.from_numpy(made.values), made.summary.cpn_max

    start, points = windows(parameters, program)
    return _gathered(parts(), start, points, program.scans, program.points, device, said, rounded)


def of_file(
    grid: GridFile, rows: NDArray[np.integer], device: torch.device, said: Callable[[int], None] = lambda done: None
) -> CompactScans:
    """Read samples of a grid's file into a device's memory; said(done) is called as they are read."""
    points = grid.samples["window_points"][rows].astype(np.int64)
    start = grid.samples["window_start"][rows].astype(np.int64)
    cpn_max = grid.samples["cpn_max"][rows]

    def parts() -> Iterator[tuple[int, Tensor, Any]]:
        for first in range(0, len(rows), _BATCH):
            some = rows[first : first + _BATCH]
            values = np.concatenate([grid.window(int(row))[1].ravel() for row in some])
            yield first, torch.from_numpy(values), cpn_max[first : first + _BATCH]

    return _gathered(parts(), start, points, grid.scans, grid.points, device, said, True)


def _gathered(
    parts: Iterator[tuple[int, Tensor, Any]], start: NDArray[np.int64], points: NDArray[np.int64], scans: int,
    total_points: int, device: torch.device, said: Callable[[int], None], rounded: bool,
) -> CompactScans:  # fmt: skip
    offset = np.cumsum(points * scans) - points * scans
    values = torch.empty(int((points * scans).sum()), dtype=torch.int16 if rounded else torch.float32, device=device)
    quantum = torch.ones((len(start), scans), device=device)
    for first, found, cpn_max in parts:
        low, high = int(offset[first]), int(offset[first]) + len(found)
        found = found.to(device)
        if rounded:
            some = slice(first, first + len(cpn_max))
            # a little room for CpN at grid points that rounding puts above the peak
            unit = torch.as_tensor(np.maximum(QUANTUM, 1.001 * cpn_max / _LARGEST), dtype=torch.float32, device=device)
            quantum[some] = unit
            lengths = torch.as_tensor(np.repeat(points[some], scans), device=device)
            found = torch.round(found / torch.repeat_interleave(unit.ravel(), lengths)).to(torch.int16)
        values[low:high] = found
        said(first + len(cpn_max))
    places = [torch.as_tensor(array, device=device) for array in (start, points, offset)]
    return CompactScans(values, places[0], places[1], places[2], quantum, total_points)
