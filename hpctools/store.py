"""Result files that many ranks write together, that survive a kill, and that explain themselves.

While a job runs, its data lie in the folder ``OUT.parts`` beside the output path ``OUT``:

    job.json               what the job is: data sets, chunks, settings
    shared-00000.h5        chunks written so far by all ranks through MPI (layout "mpio"),
    segment-00000.h5       or by one rank (layout "files", one file a rank)
    segment-00000.journal  which chunks this segment holds for certain: the `done` map
    runs.jsonl             provenance of each run that worked on it
    lock                   held by the run at work

Segments hold the same whoever writes them, so a run may go on with another number of ranks or the other
layout. When all chunks are done, OUT appears by a rename: the segment itself where one holds everything,
else a small file of virtual data sets over the segments, which then stay in ``OUT.parts`` (`merge` in
`store_reader` makes one file of it). OUT therefore exists only complete.

File locking: ``locking="best-effort"`` locks where the file system can; set HDF5_USE_FILE_LOCKING=FALSE
where a Lustre or NFS mount refuses locks. Files are written for HDF5 1.8 and later.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import numpy as np

from hpctools.store_job import JobFolder
from hpctools.store_layout import DataSet, Static, StoreError, check_space, job_identity, size_text
from hpctools.store_segment import Segment, checksum
from hpctools.whole import is_disk_full
from hpctools.world import World

__all__ = ["DataSet", "Static", "StoreError", "Writer", "check_space", "choose_layout"]

LAYOUTS = ("auto", "mpio", "files")


def choose_layout(layout: str, world: World) -> str:
    """"mpio" or "files". "auto" takes mpio where h5py is built with MPI and several ranks run.

    Raises StoreError where mpio is asked for and h5py cannot.
    """
    import h5py

    if layout not in LAYOUTS:
        raise StoreError(f"layout: found {layout!r}, expected one of {', '.join(LAYOUTS)}")
    parallel = bool(h5py.get_config().mpi)
    if layout == "mpio" and not parallel:
        raise StoreError(f"layout mpio needs h5py built on parallel HDF5; h5py {h5py.__version__} here is "
                         "not. Use --layout files, or build h5py with HDF5_MPI=ON (see the README)")
    if layout == "auto":
        return "mpio" if parallel and world.size > 1 else "files"
    return layout


class Writer:
    """Writes the chunks of a job; opens or resumes it. All methods are collective.

    Parameters
    ----------
    path : the output file, which appears when the job is complete.
    data_sets : what to write; all with the same number of chunks.
    world : the ranks.
    attributes : of the finished file, e.g. from `provenance`; plain numbers, strings, arrays.
    static : small data sets that are known beforehand.
    fingerprint : all settings that the numbers depend on; a resume must have the same ones.
    layout : "auto", "mpio" or "files".
    commit_seconds : flush and journal after this time; a kill loses at most this much work. 0: every round.
    locking : HDF5 file locking, as h5py.File takes it.

    Attributes
    ----------
    remaining : int64 array of the chunks that are not done yet, the same on all ranks.
    already_complete : the output exists already and is of this job.
    bytes_raw, bytes_stored : of this rank in this run, before and after compression.
    seconds : dict of the time this rank spent in "open", "write", "done" (flush and journal), "finish".
    notes : lines for the user (on rank 0): what was resumed, rescued, lost.

    Raises StoreError on all ranks alike, the files untouched, where the path holds something else. Leave
    a StoreError to the hook of `world.start`, which knows how to end a run whose files are broken.
    """

    def __init__(self, path: str | Path, data_sets: Sequence[DataSet], world: World, *,
                 attributes: Mapping[str, Any] | None = None, static: Sequence[Static] = (),
                 fingerprint: Mapping[str, Any] | None = None, layout: str = "auto",
                 commit_seconds: float = 10.0, locking: str | bool = "best-effort") -> None:
        started = time.perf_counter()
        if len({item.n_chunks for item in data_sets}) != 1:
            raise ValueError("all data sets must have the same number of chunks")
        self.path = Path(path)
        self.layout = choose_layout(layout, world)
        self.n_chunks = data_sets[0].n_chunks
        self.bytes_raw = self.bytes_stored = 0
        self.seconds = {"open": 0.0, "write": 0.0, "done": 0.0, "finish": 0.0}
        self._world = world
        self._data_sets = tuple(data_sets)
        self._static = tuple(static)
        self._attributes = dict(attributes or {})
        self._commit_seconds = commit_seconds
        self._pending: list[tuple[int, list[int]]] = []
        self._segment: Segment | None = None
        self._failed = False
        identity = job_identity(data_sets, fingerprint or {})
        self._folder = JobFolder(self.path, self._data_sets, identity, locking)

        run = {"start_utc": datetime.now(UTC).isoformat(timespec="seconds"), "layout": self.layout,
               "ranks": world.size, "host": os.uname().nodename,
               "slurm_job_id": os.environ.get("SLURM_JOB_ID")}
        state = self._on_first_rank(lambda: self._folder.prepare(self.layout == "mpio", world.size, run))
        self.already_complete: bool = state.complete
        self.remaining: np.ndarray = state.remaining
        self.notes: list[str] = state.notes
        own = 0 if self.layout == "mpio" else world.rank
        self._segment_name = "" if state.complete else state.segments[own]
        self._last_commit = time.monotonic()
        self.seconds["open"] += time.perf_counter() - started

    def rounds(self, order: str = "auto") -> Iterator[int | None]:
        """This rank's chunks in turn, equally many on all ranks: None where it has nothing (left) to do.

        "block" gives each rank a run of neighbouring chunks (few virtual mappings; "auto" with files),
        "interleaved" deals them out in turn (neighbours in the file are written together, and costs that
        vary over the grid are spread; "auto" with mpio).
        """
        rank, size = self._world.rank, self._world.size
        if order == "auto":
            order = "interleaved" if self.layout == "mpio" else "block"
        count = -(-len(self.remaining) // size)
        if order == "block":
            own = np.array_split(self.remaining, size)[rank]
        else:
            own = self.remaining[rank::size]
        for turn in range(count):
            yield int(own[turn]) if turn < len(own) else None

    def write(self, chunk: int | None, arrays: Mapping[str, Any] | None = None) -> None:
        """Write one chunk of work a rank; None on ranks that have nothing. Every rank must call it.

        Raises StoreError when the disk is full: what was journaled stays, and a later run goes on.
        """
        started = time.perf_counter()
        checked: dict[str, np.ndarray] = {}
        if chunk is not None:
            checked = {item.name: item.checked(chunk, (arrays or {})[item.name]) for item in self._data_sets}
        raw = sum(array.nbytes for array in checked.values())
        try:
            self._make_room(raw)
            segment = self._opened(chunk)
            if segment is not None:
                segment.write(chunk, checked)
        except _HDF5_ERRORS as error:
            raise self._broken(error, raw) from error
        if chunk is not None:
            self._pending.append((chunk, [checksum(checked[item.name]) for item in self._data_sets]))
            self.bytes_raw += raw
        self.seconds["write"] += time.perf_counter() - started
        # The clocks of the ranks differ: rank 0's decides.
        if self._world.bcast(time.monotonic() - self._last_commit >= self._commit_seconds):
            self.commit()

    def commit(self) -> None:
        """Flush, then mark what was written as done. `write` does it every `commit_seconds`."""
        started = time.perf_counter()
        segment = self._segment
        try:
            if segment is not None and segment.is_open:
                segment.flush()
                records = [segment.record(chunk, crc) for chunk, crc in self._pending]
                self.bytes_stored += sum(place[1] for record in records for places in record["places"]
                                         for place in places)
                if self.layout == "mpio":
                    # All ranks' data are on the disk (the flush is collective): rank 0 keeps the journal.
                    gathered = self._world.gather(records)
                    records = [record for part in gathered for record in part] if gathered else []
                segment.append(records)
        except _HDF5_ERRORS as error:
            raise self._broken(error, 0) from error
        self._pending = []
        self._last_commit = time.monotonic()
        self.seconds["done"] += time.perf_counter() - started

    def close(self) -> None:
        """Commit and close; a later run with the same settings goes on from here."""
        if self._segment is not None and self._segment.is_open:
            self.commit()
            try:
                self._segment.close()
            except _HDF5_ERRORS as error:
                raise self._broken(error, 0) from error
        self._world.barrier()
        self._folder.unlock()

    def finish(self) -> None:
        """After the last chunk: close, check that all are done, and give the file its final name.

        Raises StoreError where chunks are missing; the state stays resumable.
        """
        started = time.perf_counter()
        if not self.already_complete:
            if self._segment is not None and self._segment.is_open:
                self.commit()
                try:
                    self._segment.close()
                except OSError as error:
                    raise self._broken(error, 0) from error
            self._world.barrier()
            self._on_first_rank(lambda: self._folder.assemble(self._attributes, self._static))
        self._folder.unlock()
        self.seconds["finish"] += time.perf_counter() - started

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        # After an error on one rank the others do not come to a collective close: the abort hook of
        # `world` ends them, and the journal says what is safe.
        if kind is None or (self._world.size == 1 and not self._failed):
            self.close()

    def _opened(self, chunk: int | None) -> Segment | None:
        """This rank's segment, opened at its first chunk (so that idle ranks leave no empty files)."""
        if self._segment is None and (chunk is not None or self.layout == "mpio"):
            started = time.perf_counter()
            segment = self._folder.segment(self._segment_name)
            if self.layout == "mpio":
                self._on_first_rank(segment.create_if_missing)
                segment.open(self._world.comm or _one_rank())
            else:
                segment.create_if_missing()
                segment.open()
            self._segment = segment
            spent = time.perf_counter() - started
            self.seconds["open"] += spent
            self.seconds["write"] -= spent
        return self._segment

    def _make_room(self, raw: int) -> None:
        """Stop before the disk is full, while HDF5 can still close its files: it does not like a full disk.

        The compressed size is guessed from this run's own ratio, doubled.
        """
        ratio = 2.0 * self.bytes_stored / self.bytes_raw if self.bytes_stored and self.bytes_raw else 0.0
        need = self._world.sum(int(raw * min(ratio, 1.0))) + _RESERVE
        problem = None
        if self._world.rank == 0:
            try:
                check_space(self.path, need)
            except StoreError as error:
                problem = str(error)
        problem = self._world.bcast(problem)
        if problem is not None:
            self.close()
            raise StoreError(problem)

    def _broken(self, error: Exception, raw: int) -> StoreError:
        """The error to raise after HDF5 failed.

        The segment stays open, as HDF5 crashes when it closes a file that it cannot write; the next run
        compares it with its journal.
        """
        self._failed = True
        again = "then run the same command again: it goes on where it stopped"
        if is_disk_full(error):
            free = size_text(check_space(self.path, 0))
            problem = StoreError(f"{self._folder.path}: no space (disk or quota): {size_text(raw)} before "
                                 f"compression were to be written, {free} are free on the file system. "
                                 f"Free some space, {again}")
        else:
            problem = StoreError(f"{self._folder.path}: cannot be written: {error}. Remove the cause, "
                                 f"{again}")
        problem.exit_at_once = self._world.size == 1 or self.layout == "mpio"
        return problem

    def _on_first_rank(self, action: Any) -> Any:
        """Do something on rank 0; its result, or its StoreError, on all ranks."""
        result, problem, at_once = None, None, False
        if self._world.rank == 0:
            try:
                result = action()
            except StoreError as error:
                problem = str(error)
            except _HDF5_ERRORS as error:
                problem, at_once = str(self._broken(error, 0)), True
        result, problem, at_once = self._world.bcast((result, problem, at_once))
        if problem is not None:
            raised = StoreError(problem)
            raised.exit_at_once = at_once
            raise raised
        return result


_HDF5_ERRORS = (OSError, RuntimeError)
"""What h5py raises when HDF5 fails: OSError in a write, RuntimeError in a flush or close."""

_RESERVE = 1 << 20
"""Bytes kept free for HDF5's index and the journal."""


def _one_rank() -> Any:
    from mpi4py import MPI

    return MPI.COMM_SELF
