"""Files of simulated grids: their data sets, and reading them back as full signals."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import EllipsisType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from hpctools.store import DataSet, Static
from hpctools.store_reader import open_reader
from hpctools.whole import whole
from hpctools.world import World

from . import packing
from .grid import Grid
from .model import PARAMETER_NAMES, PARAMETER_UNITS
from .program import Program
from .simulator import BURST, windows

KIND = "tnm grid"
# Storage chunks of the packed signals: small ones make a single sample quick to read, but HDF5's index of very many
# slows the opening and the resuming of a large file.
STORAGE_BYTES = (1 << 18, 1 << 22)
STORAGE_CHUNKS = 50_000

READING = """hpctools.tnm.open_grid(path).signals[i] gives the full float32 signals (scans, points) of sample i.
By hand: window_start, window_points, packed_offset, quantum and base are columns of `samples`. CpN of sample i is 0 on
grid points before window_start, 1 from window_start + window_points on, and between them packed in the bytes from
packed_offset on of `packed`. With n = window_points and N = n * scans, and for precision > 0: the first N bytes are the
low bytes, the next N the high bytes of 16-bit codes, scan after scan; undo zig-zag, d = (code >> 1) ^ -(code & 1); the
running sum of the running sum of d of a scan, modulo 2**16, plus base[scan], times quantum[scan], is CpN. For
precision 0: 4 byte planes (lowest first) of 32-bit words whose running sum modulo 2**32 over the whole block is the bit
pattern of the float32 values."""

# name: (unit, meaning); from quantum on a value a scan
COLUMNS = {
    "index": ("1", "global index in the whole state space"),
    "window_start": ("1", "first grid point of the window"),
    "window_points": ("1", "grid points of the window"),
    "packed_offset": ("byte", "where the sample's block begins in `packed`"),
    "quantum": ("1", "CpN of one unit of the packed integers"),
    "base": ("1", "added to the packed integers"),
    "cpn_max": ("1", "highest CpN of the continuous curve"),
    "t_peak": ("K", "temperature of the highest CpN"),
    "tf_limit": ("K", "Tf', fictive temperature at the start of the heating scan"),
    "burst": ("1", f"1 where CpN_max > {BURST:g}: the peak is thinner than the grid can show"),
}


def sample_type(scans: int) -> np.dtype[Any]:
    """The compound type of a row of `samples`."""
    kinds = ("<i8", "<i4", "<i4", "<i8", "<f4", "<i4", "<f4", "<f4", "<f4", "u1")
    return np.dtype(
        [
            (name, kind, (scans,)) if place >= 4 else (name, kind)
            for place, (name, kind) in enumerate(zip(COLUMNS, kinds, strict=True))
        ]
    )


def grid_layout(
    grid: Grid, program: Program, precision: float, compression: int, world: World
) -> tuple[list[DataSet], list[Static], NDArray[np.int64]]:
    """Data sets and static data of a grid's file, and where each node's packed bytes begin (n_nodes + 1,).

    Collective: the ranks share the windows of the nodes, 5 s for the whole grid on one.
    """
    n, scans = grid.samples_per_node, program.scans
    bounds = np.arange(grid.n_nodes + 1, dtype=np.int64) * n
    used = np.zeros(grid.n_nodes, np.int64)
    for node in range(world.rank, grid.n_nodes, world.size):
        points = windows(grid.parameters(node), program)[1]
        used[node] = packing.block_bytes(points, scans, precision).sum()
    used = world.sum(used)
    smallest, largest = STORAGE_BYTES
    storage = 1 << math.ceil(math.log2(max(used.sum() / STORAGE_CHUNKS, 1)))
    storage = min(max(storage, smallest), largest, 1 << math.ceil(math.log2(used.max())))
    slots = np.zeros(grid.n_nodes + 1, np.int64)
    np.cumsum(-(-used // storage) * storage, out=slots[1:])

    parameter_units = {"columns": list(PARAMETER_NAMES), "units": list(PARAMETER_UNITS)}
    columns = sample_type(scans)
    data_sets = [
        DataSet(
            "parameters", (len(grid), 4), "f8", bounds, "see `units`", "ln A (A in s), Δh*, x, β",
            storage_rows=n, compression=compression, attributes=parameter_units,
        ),
        DataSet(
            "samples", (len(grid),), columns, bounds, "see `units`", "what is known of each sample and its scans",
            storage_rows=n, compression=compression, attributes={
                "columns": list(COLUMNS), "units": [COLUMNS[name][0] for name in COLUMNS],
                "meanings": [COLUMNS[name][1] for name in COLUMNS],
            },
        ),
        DataSet(
            "packed", (int(slots[-1]),), "u1", slots, "1", "packed windows, see the file's attribute `reading`",
            storage_rows=storage, compression=compression, shuffle=False,
        ),
    ]  # fmt: skip
    static = [
        Static("celsius", program.celsius, "°C", "temperatures of the grid points"),
        Static("cooling_rates", np.array(program.cooling_rates), "K/min", "of the scans' thermal histories"),
        Static("heating_rates", np.array(program.heating_rates), "K/min", "of the scans"),
        Static("nodes", grid.nodes, "J/mol, ln(A/s)", "Δh* and ln A of the nodes; a node is a chunk of work"),
        Static("node_index", grid.node_index, "1", "places of the nodes in the whole space"),
        Static("x_values", grid.x, "1", "values of x of every node"),
        Static("beta_values", grid.beta, "1", "values of β of every node"),
    ]
    return data_sets, static, slots


class Signals:
    """Full signals of a grid's file, read on demand: `signals[i]`, `signals[10:20]`, `signals[mask]`."""

    def __init__(self, grid: GridFile) -> None:
        self._grid = grid
        self.shape = (len(grid), grid.scans, grid.points)
        self.dtype = np.dtype(np.float32)

    def __len__(self) -> int:
        return len(self._grid)

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, key: int | slice | EllipsisType | Sequence[int] | NDArray[Any]) -> NDArray[np.float32]:
        """One sample (scans, points), or several (k, scans, points), as float32."""
        if isinstance(key, (int, np.integer)) and not isinstance(key, bool):
            return self._full(_place(int(key), len(self)))
        if key is Ellipsis:
            key = slice(None)
        if isinstance(key, slice):
            places = np.arange(*key.indices(len(self)))
        else:
            asked = np.asarray(key)
            if asked.dtype == bool and asked.ndim:
                if asked.shape != (len(self),):
                    raise IndexError(f"mask of shape {asked.shape} for {len(self)} samples")
                places = np.flatnonzero(asked)
            elif asked.ndim == 1 and (asked.dtype.kind in "iu" or not asked.size):
                places = np.array([_place(int(i), len(self)) for i in asked], np.int64)
            else:
                raise TypeError(f"samples are chosen by whole numbers, slices or masks, not by {key!r}")
        out = np.empty((len(places), *self.shape[1:]), np.float32)
        for row, place in zip(out, places, strict=True):
            self._full(int(place), row)
        return out

    def _full(self, i: int, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        start, window = self._grid.window(i)
        out = np.empty(self.shape[1:], np.float32) if out is None else out
        out[:, :start] = 0.0
        out[:, start : start + window.shape[1]] = window
        out[:, start + window.shape[1] :] = 1.0
        return out


def _place(i: int, length: int) -> int:
    if not -length <= i < length:
        raise IndexError(f"sample {i} of {length}")
    return i % length


class GridFile:
    """A finished grid file. Use as a context manager, or close().

    parameters: data set (n, 4), ln A, Δh* (J/mol), x, β; signals: full float32 signals on demand; samples: data set
    (n,) with the columns index, cpn_max, tf_limit, t_peak, burst, …, read as `samples["cpn_max"]` or `samples[i]`;
    celsius (points,): temperatures; file: the h5py.File.

    Raises StoreError where the file is missing, unfinished, damaged or of another kind.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._open = ExitStack()
        self.file = self._open.enter_context(open_reader(path, KIND))
        self.parameters = self.file["parameters"]
        self.celsius: NDArray[np.float64] = self.file["celsius"][()]
        self.cooling_rates: NDArray[np.float64] = self.file["cooling_rates"][()]
        self.heating_rates: NDArray[np.float64] = self.file["heating_rates"][()]
        self.precision = float(self.file.attrs["precision"])
        self.scans = len(self.cooling_rates)
        self.points = len(self.celsius)
        self.samples = self.file["samples"]
        self._start = self.samples["window_start"]
        self._points = self.samples["window_points"]
        self._offset = self.samples["packed_offset"]
        self.signals = Signals(self)

    def __len__(self) -> int:
        return len(self._start)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._open.close()

    def window(self, i: int) -> tuple[int, NDArray[np.float32]]:
        """First grid point and CpN (scans, window points) of the window of sample i."""
        points = int(self._points[i])
        first = int(self._offset[i])
        size = int(packing.block_bytes(np.array([points]), self.scans, self.precision)[0])
        block = self.file["packed"][first : first + size]
        row = self.samples[i]
        return int(self._start[i]), packing.unpack(block, points, self.scans, row["quantum"], row["base"])

    def find(self, index: int) -> int:
        """Place in this file of the sample with a global index. Raises KeyError where it is not here."""
        places = np.flatnonzero(self.samples["index"] == index)
        if not places.size:
            raise KeyError(f"{self.path} does not hold the sample with global index {index}")
        return int(places[0])


def open_grid(path: str | Path) -> GridFile:
    """Open a finished grid file for reading; see GridFile."""
    return GridFile(path)


def export(path: str | Path, out: str | Path, first: int = 0, count: int | None = None) -> int:
    """Write samples as plain float32 HDF5, `signals` (n, scans, points), for other programs; returns n.

    444 kB a sample before compression. Raises StoreError where `out` exists or the disk is too small.
    """
    import h5py

    from hpctools.store import StoreError, check_space

    out = Path(out)
    if out.exists():
        raise StoreError(f"{out}: exists already; choose another name or remove it")
    with open_grid(path) as grid:
        last = len(grid) if count is None else min(len(grid), first + count)
        if not 0 <= first < last:
            raise StoreError(
                f"{path}: holds samples 0 … {len(grid) - 1}; found first {first}, count {count}: expected some of them"
            )
        n = last - first
        check_space(out, n * 64_000)  # gzip leaves 2-60 kB a sample
        with whole(out) as part, h5py.File(part, "w") as plain:
            signals = plain.create_dataset(
                "signals", (n, grid.scans, grid.points), "f4", chunks=(1, grid.scans, grid.points),
                compression=1, shuffle=True,
            )  # fmt: skip
            signals.attrs["unit"] = "1"
            signals.attrs["description"] = f"CpN, quantised at {grid.precision:g}" if grid.precision else "CpN"
            for i in range(n):
                signals[i] = grid.signals[first + i]
            for name in ("parameters", "samples"):
                source = grid.file[name]
                copy = plain.create_dataset(name, data=source[first:last])
                copy.attrs.update(source.attrs)
            for name in ("celsius", "cooling_rates", "heating_rates"):
                grid.file.copy(name, plain)
            plain.attrs.update(grid.file.attrs)
            plain.attrs["kind"] = "tnm signals"
    return n
