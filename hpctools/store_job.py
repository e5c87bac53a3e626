"""The folder of a job in progress: who may write, what is done, and the last step to the output file."""

from __future__ import annotations

import itertools
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from hpctools.folders import locked_if_possible
from hpctools.store_layout import SCHEMA, DataSet, Static, StoreError, check_space, differences, digest
from hpctools.store_segment import Segment, describe
from hpctools.whole import to_disk, whole

_SHARED, _OWN = "shared", "segment"
"""Names of segments begin so: made by all ranks through MPI, or by one process."""


@dataclass
class JobState:
    """What rank 0 found: is the job complete, which chunks remain, which segment each rank goes on with."""

    complete: bool
    remaining: np.ndarray
    segments: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class JobFolder:
    """``OUT.parts`` of the output file OUT. Only rank 0 calls its methods, but for `segment` and `unlock`.

    Parameters
    ----------
    output : path of the finished file.
    data_sets : what the job writes.
    identity : from `store_layout.job_identity`.
    locking : HDF5 file locking, as h5py.File takes it.
    """

    def __init__(self, output: Path, data_sets: Sequence[DataSet], identity: dict[str, Any],
                 locking: str | bool) -> None:
        self.output = output
        self.path = parts_folder(output)
        self._data_sets = data_sets
        self._identity = identity
        self._digest = digest(identity)
        self._locking = locking
        self._lock = ExitStack()

    def segment(self, name: str) -> Segment:
        """The segment of this name in the folder."""
        return Segment(self.path / name, self._data_sets, self._digest, self._locking)

    def prepare(self, shared: bool, ranks: int, run: Mapping[str, Any]) -> JobState:
        """Make or take over the folder for a run that writes one shared segment or one a rank.

        A shared segment is allocated in full when it is first opened, and can be continued in both ways.
        A segment of one process is allocated chunk by chunk, and HDF5 1.10 hangs when several ranks go on
        with it: a run with a shared segment leaves it as it is and makes a new one.

        Raises StoreError, before anything is touched, where output or folder are of something else or in
        use. Segments that a kill left damaged are replaced by what their journals can save.
        """
        if self.output.exists() or self.output.is_symlink():
            self._check_output()
            self._clean_up()
            return JobState(True, np.empty(0, dtype=np.int64), notes=[f"{self.output}: already complete"])
        self._check_folder()
        check_space(self.output, 1 << 20)
        self.path.mkdir(parents=True, exist_ok=True)
        if holder := self._lock.enter_context(locked_if_possible(self.path)):
            self.unlock()
            raise StoreError(f"{self.path}: another run is writing here ({holder}). Wait for its end, or choose "
                             "another output")
        if not (self.path / "job.json").exists():
            with whole(self.path / "job.json", sync=True) as part:
                part.write_text(json.dumps(self._identity, indent=1) + "\n", encoding="utf-8")
        with open(self.path / "runs.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(dict(run)) + "\n")
        (self.path / "master.h5").unlink(missing_ok=True)  # of a run that was killed in its last step

        notes: list[str] = []
        segments = [self._sound(segment, notes) for segment in self._segments()]
        segments = [segment for segment in segments if segment.path.exists()]
        owner = self._owners(segments)
        names = [segment.path.name for segment in segments
                 if not shared or segment.path.name.startswith(_SHARED)]
        wanted = 1 if shared else ranks
        unused = self._unused_names(_SHARED if shared else _OWN)
        names += itertools.islice(unused, max(wanted - len(names), 0))
        remaining = np.flatnonzero(owner < 0)
        if len(remaining) < self._n_chunks:
            notes.insert(0, f"{self.output}: going on with {self._n_chunks - len(remaining)} of "
                            f"{self._n_chunks} chunks done")
        return JobState(False, remaining, names[:wanted], notes)

    def assemble(self, attributes: Mapping[str, Any], static: Sequence[Static]) -> None:
        """All chunks are done: make the output file out of the segments, atomically.

        Raises StoreError where chunks are missing.
        """
        import h5py

        segments = self._segments()
        owner = self._owners(segments)
        if np.any(owner < 0):
            missing = np.flatnonzero(owner < 0)
            raise StoreError(f"{self.output}: {len(missing)} of {self._n_chunks} chunks are missing, the "
                             f"first is chunk {missing[0]}: run the same command again")
        used = [segments[number] for number in np.unique(owner)]
        checksums = np.zeros((self._n_chunks, len(self._data_sets)), dtype=np.uint32)
        for number in np.unique(owner):
            records = segments[number].records()
            for chunk in np.flatnonzero(owner == number):
                checksums[chunk] = records[int(chunk)]["crc"]
        single = len(used) == 1
        made = used[0].path if single else self.path / "master.h5"
        with h5py.File(made, "r+" if single else "w", locking=self._locking) as file:
            if not single:
                self._map_virtually(file, segments, owner)
            self._describe_job(file, attributes, static, checksums)
            file.flush()
            os.fsync(file.id.get_vfd_handle())
        os.replace(made, self.output)
        to_disk(self.output.absolute().parent)
        self._clean_up()

    def unlock(self) -> None:
        """Let another run have the folder."""
        self._lock.close()

    @property
    def _n_chunks(self) -> int:
        return self._data_sets[0].n_chunks

    def _segments(self) -> list[Segment]:
        return [self.segment(path.name) for prefix in (_SHARED, _OWN)
                for path in sorted(self.path.glob(f"{prefix}-*.h5"))]

    def _unused_names(self, prefix: str) -> Iterator[str]:
        names = (f"{prefix}-{number:05d}.h5" for number in itertools.count())
        return (name for name in names if not (self.path / name).exists())

    def _owners(self, segments: Sequence[Segment]) -> np.ndarray:
        """For each chunk the number of the first segment that holds it, or -1."""
        owner = np.full(self._n_chunks, -1, dtype=np.int64)
        for number, segment in reversed(list(enumerate(segments))):
            owner[list(segment.records())] = number
        return owner

    def _check_output(self) -> None:
        from hpctools.store_reader import read_identity

        if self.output.is_dir():
            raise StoreError(f"{self.output}: is a folder, expected a file name for the output")
        found = read_identity(self.output)
        lines = differences(found, self._identity)
        if lines:
            raise StoreError(f"{self.output}: is the finished file of another job; it is left as it is. "
                             f"Choose another output, or move it away. Differences: {'; '.join(lines)}")

    def _check_folder(self) -> None:
        if not self.path.exists():
            return
        job = self.path / "job.json"
        if not self.path.is_dir() or not job.is_file():
            if self.path.is_dir() and {path.name for path in self.path.iterdir()} <= {"lock", "job.json.part"}:
                return  # a run was killed before the folder had its description
            raise StoreError(f"{self.path}: expected the folder of a job in progress (with job.json), found "
                             "something else; it is left as it is. Choose another output, or move it away")
        try:
            found = json.loads(job.read_text(encoding="utf-8"))
            lines = differences(found, self._identity)
        except (ValueError, TypeError) as error:
            raise StoreError(f"{job}: cannot be read ({error}); the folder is left as it is. Move it away to "
                             "start again") from error
        if lines:
            raise StoreError(f"{self.path}: is in progress with other settings; it is left as it is. Run "
                             "with the same settings, choose another output, or move the folder away to "
                             f"start again. Differences: {'; '.join(lines)}")

    def _sound(self, segment: Segment, notes: list[str]) -> Segment:
        """The segment, or where a kill damaged it a new one with what its journal can save."""
        done = len(segment.records())
        if done == 0:
            segment.remove()  # nothing certain in it: its name is free for a new one
            return segment
        if segment.is_sound():
            return segment
        saved = segment.rescued(self.path / next(self._unused_names(_OWN)))
        kept = len(saved.records())
        notes.append(f"{segment.path}: was damaged by a kill or a full disk; {kept} of its {done} finished "
                     "chunks were rescued" + (", the others are computed again" if kept < done else ""))
        segment.remove()
        return saved

    def _map_virtually(self, file: Any, segments: Sequence[Segment], owner: np.ndarray) -> None:
        """Virtual data sets over the segments, with names relative to the output file."""
        import h5py

        starts = np.flatnonzero(owner != np.concatenate(([-2], owner[:-1])))
        ends = np.append(starts[1:], self._n_chunks)
        for item in self._data_sets:
            layout = h5py.VirtualLayout(shape=item.shape, dtype=item.dtype)
            for first, last in zip(starts, ends, strict=True):
                low, high = int(item.bounds[first]), int(item.bounds[last])
                if high > low:
                    name = f"{self.path.name}/{segments[owner[first]].path.name}"
                    source = h5py.VirtualSource(name, item.name, shape=item.shape, dtype=item.dtype)
                    layout[low:high] = source[low:high]
            describe(file.create_virtual_dataset(item.name, layout, fillvalue=item.fill), item)
        used = [segments[number].path for number in np.unique(owner)]
        names = [f"{self.path.name}/{path.name}" for path in used]
        made = file.create_dataset("sources", data=names, dtype=h5py.string_dtype())
        made.attrs["description"] = "files that hold the data, relative to this one; keep them beside it"
        made.attrs["bytes"] = [path.stat().st_size for path in used]
        file.attrs["job_digest"] = self._digest

    def _describe_job(self, file: Any, attributes: Mapping[str, Any], static: Sequence[Static],
                      checksums: np.ndarray) -> None:
        import h5py

        runs = (self.path / "runs.jsonl").read_text(encoding="utf-8").splitlines()
        own = [Static("done", np.ones(self._n_chunks, np.uint8), "1", "1 where a chunk of work is done"),
               Static("checksums", checksums, "1", "CRC-32 of each chunk's bytes, one column a data set, "
                      "in the order " + ", ".join(item.name for item in self._data_sets)),
               Static("chunk_bounds", np.stack([item.bounds for item in self._data_sets], axis=1), "rows",
                      "chunk c owns the rows [c] to [c + 1] of a data set, one column a data set"),
               Static("runs", np.array(runs, dtype=object), "1", "the runs that worked on this file, JSON")]
        for item in (*own, *static):
            if item.name in file:
                del file[item.name]  # a former run was killed in this step
            kind = h5py.string_dtype() if np.asarray(item.data).dtype.kind in "OUS" else None
            data = np.asarray(item.data, dtype=object) if kind else item.data
            describe(file.create_dataset(item.name, data=data, dtype=kind), item)
        for key, value in attributes.items():
            file.attrs[key] = value
        file.attrs["job"] = json.dumps(self._identity)
        file.attrs["chunk_data_sets"] = [item.name for item in self._data_sets]
        file.attrs["finished_utc"] = datetime.now(UTC).isoformat(timespec="seconds")
        file.attrs["hpctools_schema"] = SCHEMA

    def _clean_up(self) -> None:
        """Remove the folder of a finished job, unless its segments are the sources of the output."""
        import h5py

        try:
            found = json.loads((self.path / "job.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return
        with h5py.File(self.output, "r", locking=self._locking) as file:
            virtual = "sources" in file
        if found == self._identity and not virtual:
            shutil.rmtree(self.path, ignore_errors=True)


def parts_folder(output: Path) -> Path:
    """``OUT.parts`` for the output file OUT."""
    return output.with_name(output.name + ".parts")
