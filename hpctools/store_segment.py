"""A segment: one HDF5 file that holds some of a job's chunks, and its journal.

All ranks may share a segment (collective writes through MPI), or each rank has its own; a later run may
go on with it in either way. A segment has the full shape of every data set; what was never written takes
no room, or the few bytes of a compressed fill value.

HDF5 has no journal of its own: a process killed while HDF5 rewrites its index may leave a file that does
not open. So beside ``segment-00000.h5`` lies ``segment-00000.journal``: after the data were flushed, one
line of JSON for each finished chunk with its checksums and with the place of its bytes in the file
(offset, size, filter mask of every storage chunk). A chunk is done when its line is there. `repaired`
compares index and journal, and where they disagree it copies the bytes that the journal knows into a new
segment: what was once done is not lost.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hpctools.store_layout import DataSet
from hpctools.whole import is_disk_full

Record = dict[str, Any]
"""{"chunk": int, "crc": [one a data set], "places": [[[offset, size, mask], ...] a data set]}."""


class Segment:
    """An open or closed segment file with its journal.

    Parameters
    ----------
    path : the HDF5 file.
    data_sets : what it holds.
    digest : hash of the job's identity, stored in the file.
    locking : HDF5 file locking, as h5py.File takes it.
    """

    def __init__(self, path: Path, data_sets: Sequence[DataSet], digest: str, locking: str | bool) -> None:
        self.path = path
        self.journal = path.with_suffix(".journal")
        self._data_sets = data_sets
        self._digest = digest
        self._locking = locking
        self._file: Any = None
        self._collective: Any = None
        self._handles: list[Any] = []

    def create(self) -> None:
        """Write the empty file, serially. An older file of this name without finished chunks is replaced."""
        import h5py

        self.journal.unlink(missing_ok=True)  # it would speak of the older file
        with h5py.File(self.path, "w", locking=self._locking) as file:
            file.attrs["job_digest"] = self._digest
            for item in self._data_sets:
                made = file.create_dataset(
                    item.name, shape=item.shape, dtype=item.dtype, fillvalue=item.fill,
                    chunks=(item.storage_rows, *item.shape[1:]), compression=item.compression,
                    shuffle=item.shuffle if item.compression is not None else None)
                describe(made, item)

    def create_if_missing(self) -> None:
        """Write the empty file unless there is one to go on with."""
        if not self.path.exists():
            self.create()

    def open(self, comm: Any = None) -> None:
        """Open for writing; collective over `comm` (parallel HDF5) where it is given."""
        import h5py

        if comm is None:
            # No chunk cache: a chunk goes to the file in its own write, so that a full disk shows there.
            self._file = h5py.File(self.path, "r+", rdcc_nbytes=0, locking=self._locking)
        else:
            self._file = h5py.File(self.path, "r+", driver="mpio", comm=comm, locking=self._locking)
            self._collective = h5py.h5p.create(h5py.h5p.DATASET_XFER)
            self._collective.set_dxpl_mpio(h5py.h5fd.MPIO_COLLECTIVE)
            # Opening a data set in parallel allocates its storage: have that index on disk before the data.
            self._file.flush()
        self._handles = [self._file[item.name].id for item in self._data_sets]

    @property
    def is_open(self) -> bool:
        """Is the HDF5 file open?"""
        return self._file is not None

    def write(self, chunk: int | None, arrays: Mapping[str, np.ndarray]) -> None:
        """Write the rows of a chunk; in a collective segment every rank calls it, with None for nothing."""
        import h5py

        for item, handle in zip(self._data_sets, self._handles, strict=True):
            low, high = item.rows(chunk) if chunk is not None else (0, 0)
            space = handle.get_space()
            if high > low and chunk is not None:
                array = arrays[item.name]
                memory = h5py.h5s.create_simple(array.shape)
                space.select_hyperslab((low,) + (0,) * (len(item.shape) - 1), array.shape)
            elif self._collective is None:
                continue
            else:
                array = np.zeros((1, *item.shape[1:]), item.dtype)
                memory = h5py.h5s.create_simple(array.shape)
                memory.select_none()
                space.select_none()
            handle.write(memory, space, array, dxpl=self._collective)

    def flush(self) -> None:
        """Bring data and index to the disk; collective in a collective segment."""
        self._file.flush()
        if self._collective is None:
            os.fsync(self._file.id.get_vfd_handle())

    def record(self, chunk: int, checksums: list[int]) -> Record:
        """The journal's entry for a chunk that was written and flushed."""
        places = [_places(handle, item, chunk)
                  for item, handle in zip(self._data_sets, self._handles, strict=True)]
        return {"chunk": chunk, "crc": checksums, "places": places}

    def append(self, records: Sequence[Record]) -> None:
        """Add entries to the journal and bring them to the disk. Only one rank may do this."""
        if records:
            # After a kill the last line may be half a line: begin on a new one.
            lines = "".join("\n" + json.dumps(record, separators=(",", ":")) for record in records) + "\n"
            with open(self.journal, "a", encoding="ascii") as file:
                file.write(lines)
                file.flush()
                os.fsync(file.fileno())

    def close(self) -> None:
        """Close the HDF5 file; collective in a collective segment."""
        if self._file is not None:
            file, self._file, self._handles, self._collective = self._file, None, [], None
            file.close()

    def records(self) -> dict[int, Record]:
        """The journal: finished chunks. Lines that a kill or a full disk cut short do not count."""
        found = {}
        try:
            text = self.journal.read_text(encoding="ascii", errors="replace")
        except FileNotFoundError:
            return {}
        for line in text.split("\n")[:-1]:
            try:
                record = json.loads(line)
                found[int(record["chunk"])] = record
            except (ValueError, KeyError, TypeError):
                continue
        return found

    def is_sound(self) -> bool:
        """Does the file open, and does HDF5's index agree with the journal?"""
        import h5py

        try:
            with h5py.File(self.path, "r", locking=self._locking) as file:
                if file.attrs["job_digest"] != self._digest:
                    return False
                handles = [file[item.name].id for item in self._data_sets]
                known = [_index(handle) for handle in handles]
                return all(_places(handle, item, chunk, index) == places
                           for chunk, record in self.records().items()
                           for item, handle, index, places in zip(self._data_sets, handles, known,
                                                                  record["places"], strict=True))
        except (OSError, KeyError, RuntimeError, ValueError, TypeError):
            return False

    def rescued(self, path: Path) -> Segment:
        """A new segment at `path` with every chunk of this one whose bytes are where the journal says.

        Each chunk is read back and compared with its checksums; those that differ are left to be redone.
        """
        import h5py

        new = Segment(path, self._data_sets, self._digest, self._locking)
        new.create()
        new.open()
        good = []
        with open(self.path, "rb") as raw:
            for chunk, record in sorted(self.records().items()):
                try:
                    for item, handle, places in zip(self._data_sets, new._handles, record["places"]):
                        for coordinates, (offset, size, mask) in zip(item.storage_chunks(chunk), places):
                            stored = os.pread(raw.fileno(), size, offset)
                            if len(stored) == size:
                                handle.write_direct_chunk(coordinates, stored, filter_mask=mask)
                    checksums = [checksum(h5py.Dataset(handle)[slice(*item.rows(chunk))])
                                 for item, handle in zip(self._data_sets, new._handles, strict=True)]
                except (OSError, ValueError, RuntimeError) as error:
                    if is_disk_full(error):
                        raise  # the bytes are still good where they are
                    continue
                if checksums == record["crc"]:
                    good.append((chunk, checksums))
        new.flush()
        new.append([new.record(chunk, checksums) for chunk, checksums in good])
        new.close()
        return new

    def remove(self) -> None:
        """Delete the file and its journal."""
        self.journal.unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)


def describe(made: Any, item: Any) -> None:
    """Give an HDF5 data set its unit, description and further attributes."""
    made.attrs["unit"] = item.unit
    made.attrs["description"] = item.description
    for key, value in getattr(item, "attributes", {}).items():
        made.attrs[key] = value


def checksum(array: np.ndarray) -> int:
    """CRC-32 of an array's bytes."""
    return zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)


def _index(handle: Any) -> dict[tuple[int, ...], Any] | None:
    """Where all storage chunks of a data set are, in one pass; None before HDF5 1.12.3."""
    if not hasattr(handle, "chunk_iter"):
        return None
    found: dict[tuple[int, ...], Any] = {}

    def keep(info: Any) -> None:
        found[info.chunk_offset] = info

    handle.chunk_iter(keep)
    return found


def _places(handle: Any, item: DataSet, chunk: int, index: dict[tuple[int, ...], Any] | None = None
            ) -> list[list[int]]:
    """Where the storage chunks of a chunk of work are; asks HDF5 for each where there is no index."""
    places = []
    for coordinates in item.storage_chunks(chunk):
        info = handle.get_chunk_info_by_coord(coordinates) if index is None else index[coordinates]
        places.append([info.byte_offset, info.size, info.filter_mask])
    return places
