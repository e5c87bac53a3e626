"""What a result file holds: data sets cut into chunks of work, and the identity of the job.

A job has `n_chunks` chunks of work. Every data set is cut along axis 0 by its `bounds`: chunk c owns the
rows bounds[c] to bounds[c + 1]. The result does not depend on which rank computed which chunk.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

SCHEMA = 1
"""Version of the file layout, stored as attribute `hpctools_schema`."""

_TARGET_BYTES = 1 << 20
"""Default storage chunks are near this size: large enough for Lustre, small enough to read one sample."""


class StoreError(Exception):
    """A result file that cannot be written, resumed or read; the message says what to do next."""

    user_error = True
    exit_at_once = False
    """HDF5 was left with a file that it cannot close: see `world.install_abort_hook`."""


@dataclass(frozen=True, eq=False)
class DataSet:
    """One data set of a result file.

    Attributes
    ----------
    name, shape, dtype : as in HDF5; axis 0 is cut into chunks of work.
    bounds : int64 (n_chunks + 1,), rising from 0 to shape[0]; chunk c owns rows bounds[c]:bounds[c + 1].
    unit, description : stored as attributes; unit "1" for a pure number.
    storage_rows : rows of an HDF5 storage chunk; each inner bound must be a multiple of it, so that no two
        chunks of work share a storage chunk. None chooses about 1 MiB.
    compression : gzip level, or None.
    shuffle : byte shuffle before gzip.
    fill : value of rows that were never written; NaN for floats and 0 for others when None.
    attributes : further attributes of the data set.
    """

    name: str
    shape: tuple[int, ...]
    dtype: Any
    bounds: np.ndarray
    unit: str
    description: str
    storage_rows: int | None = None
    compression: int | None = 4
    shuffle: bool = True
    fill: Any = None
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        put = object.__setattr__  # the way to normalise fields of a frozen dataclass
        bounds = np.asarray(self.bounds, dtype=np.int64)
        put(self, "bounds", bounds)
        put(self, "dtype", np.dtype(self.dtype))
        put(self, "shape", tuple(int(n) for n in self.shape))
        if len(bounds) < 2 or bounds[0] != 0 or bounds[-1] != self.shape[0] or np.any(np.diff(bounds) < 0):
            raise ValueError(f"data set {self.name}: bounds must rise from 0 to {self.shape[0]}")
        if 0 in self.shape:
            raise ValueError(f"data set {self.name}: shape {self.shape} has no elements")
        if self.fill is None:
            put(self, "fill", np.nan if self.dtype.kind == "f" else np.zeros((), self.dtype)[()])
        common = int(np.gcd.reduce(bounds[1:-1])) or self.shape[0]
        if self.storage_rows is None:
            wanted = max(_TARGET_BYTES // self.row_bytes, 1)
            put(self, "storage_rows", max(d for d in _divisors(common) if d <= max(wanted, 1)))
        elif common % self.storage_rows and len(bounds) > 2:
            raise ValueError(f"data set {self.name}: bounds are no multiples of storage_rows = "
                             f"{self.storage_rows}, so two chunks of work would share a storage chunk")
        else:
            put(self, "storage_rows", min(self.storage_rows, self.shape[0]))

    @property
    def n_chunks(self) -> int:
        """Number of chunks of work."""
        return len(self.bounds) - 1

    @property
    def row_bytes(self) -> int:
        """Bytes of one row before compression."""
        return int(np.prod(self.shape[1:], dtype=np.int64)) * int(self.dtype.itemsize)

    @property
    def nbytes(self) -> int:
        """Bytes of the whole data set before compression."""
        return self.shape[0] * self.row_bytes

    def rows(self, chunk: int) -> tuple[int, int]:
        """First row of a chunk of work, and the row after its last."""
        return int(self.bounds[chunk]), int(self.bounds[chunk + 1])

    def storage_chunks(self, chunk: int) -> list[tuple[int, ...]]:
        """HDF5 coordinates of the storage chunks that hold a chunk of work."""
        low, high = self.rows(chunk)
        return [(row,) + (0,) * (len(self.shape) - 1) for row in range(low, high, self.storage_rows or 1)]

    def checked(self, chunk: int, values: Any) -> np.ndarray:
        """The values of a chunk as a contiguous array; ValueError where dtype or shape is wrong.

        The dtype must be that of the data set: HDF5 cannot convert in a collective write with filters.
        """
        low, high = self.rows(chunk)
        array = np.ascontiguousarray(values)
        expected = (high - low, *self.shape[1:])
        if array.shape != expected or array.dtype != self.dtype:
            raise ValueError(f"data set {self.name}, chunk {chunk}: found {array.dtype} {array.shape}, "
                             f"expected {self.dtype} {expected}")
        return array


@dataclass(frozen=True, eq=False)
class Static:
    """A small data set that is known beforehand (nodes, offsets); rank 0 writes it when the job is done."""

    name: str
    data: Any
    unit: str
    description: str


def _divisors(number: int) -> list[int]:
    low = [d for d in range(1, int(number**0.5) + 1) if number % d == 0]
    return low + [number // d for d in low]


def job_identity(data_sets: Sequence[DataSet], fingerprint: Mapping[str, Any]) -> dict[str, Any]:
    """All that must agree before a run may go on with the chunks of an earlier one, ready for JSON."""
    identity = {"schema": SCHEMA, "n_chunks": data_sets[0].n_chunks, "job": dict(fingerprint)}
    for item in data_sets:
        identity[f"data set {item.name}"] = {
            "shape": item.shape, "dtype": item.dtype.descr, "storage_rows": item.storage_rows,
            "compression": item.compression, "shuffle": item.shuffle,
            "bounds": hashlib.sha256(item.bounds.tobytes()).hexdigest()[:16]}
    return dict(json.loads(json.dumps(identity, default=str)))


def digest(identity: Mapping[str, Any]) -> str:
    """Short hash of a job's identity."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]


def differences(found: Mapping[str, Any], wanted: Mapping[str, Any], prefix: str = "") -> list[str]:
    """In words, where two identities differ: "job.precision: file has 0.0001, this run wants None"."""
    lines = []
    for key in sorted({*found, *wanted}):
        old, new = found.get(key), wanted.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            lines += differences(old, new, f"{prefix}{key}.")
        elif old != new:
            lines.append(f"{prefix}{key}: file has {old!r}, this run wants {new!r}")
    # the data sets' layout follows from the job's settings, which say it in the user's words
    return [line for line in lines if line.startswith("job.")] or lines


def check_space(path: str | Path, bytes_needed: int) -> int:
    """Free bytes of the file system that holds `path` (which need not exist yet).

    Raises StoreError where they are fewer than `bytes_needed`. Quotas are not seen.
    """
    place = Path(path).absolute()
    while not place.exists():
        place = place.parent
    state = os.statvfs(place)
    free = state.f_bavail * state.f_frsize
    if free < bytes_needed:
        raise StoreError(f"{path}: no space: at least {size_text(bytes_needed)} needed, {size_text(free)} "
                         "free. Free some space or choose another place for the output, then run the same "
                         "command again: it goes on where it stopped")
    return free


def size_text(count: float) -> str:
    """A number of bytes for people: '512 B', '1.5 MB', '6.1 TB'."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.4g} {unit}"
        count /= 1000
    return f"{count:.4g} TB"
