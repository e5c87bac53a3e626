"""Reading result files: is this one of ours, complete, and are its sources there? And merging to one file."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from hpctools.store_layout import SCHEMA, StoreError, check_space
from hpctools.store_segment import checksum
from hpctools.whole import whole

CACHE_BYTES = 1 << 25
"""Of unpacked storage chunks a data set, so that neighbouring samples are not unpacked again and again."""


@contextmanager
def open_reader(path: str | Path, kind: str | None = None) -> Iterator[Any]:
    """A finished result file as an open h5py.File.

    Parameters
    ----------
    path : the file.
    kind : expected value of the attribute `kind`; None for any.

    Raises StoreError where the file is missing, in progress, truncated, of another kind, or where one of
    the files that hold its data is missing (HDF5 would silently read fill values).
    """
    path = Path(path)
    with _opened(path) as file:
        found = file.attrs.get("kind")
        if kind is not None and found != kind:
            raise StoreError(f"{path}: holds {found!r}, expected {kind!r}")
        _check_sources(path, file)
        yield file


def read_identity(path: Path) -> dict[str, Any]:
    """What job the finished file at `path` is of. Raises StoreError where it is none of ours."""
    with _opened(path) as file:
        _check_sources(path, file)
        return dict(json.loads(file.attrs["job"]))


def verify(path: str | Path) -> int:
    """Read the whole file and compare each chunk with its checksum; the number of chunks.

    Raises StoreError that names the first chunk and data set that differ.
    """
    with open_reader(path) as file:
        if "checksums" not in file:
            raise StoreError(f"{path}: holds {file.attrs.get('kind')!r} without checksums: nothing to compare with")
        expected, bounds = file["checksums"][()], file["chunk_bounds"][()]
        for column, name in enumerate(file.attrs["chunk_data_sets"]):
            for chunk, (low, high) in enumerate(itertools.pairwise(bounds[:, column])):
                if checksum(file[name][low:high]) != expected[chunk, column]:
                    raise StoreError(
                        f"{path}: data set {name}, chunk {chunk} (rows {low} to {high}) is damaged: its "
                        "checksum differs. Fetch the file again, or delete it and run the job again")
        return len(expected)


def merge(path: str | Path, out: str | Path) -> None:
    """Write one plain file with the same data sets as `path`, without virtual sources.

    Stored chunks are copied as they are, compressed. Raises StoreError as `open_reader` does, where `out`
    exists, and where the disk is too small.
    """
    import h5py

    path, out = Path(path), Path(out)
    if out.exists():
        raise StoreError(f"{out}: exists already; choose another name or remove it")
    with open_reader(path) as file:
        sources = [path.parent / name for name in _sources(file)]
        check_space(out, sum(source.stat().st_size for source in sources) or path.stat().st_size)
        with whole(out, sync=True) as part, h5py.File(part, "w") as merged:
            for name in file:
                if isinstance(file[name], h5py.Dataset) and file[name].is_virtual:
                    _copy_chunks(path, file[name], merged)
                elif name != "sources":
                    file.copy(name, merged)
            for key, value in file.attrs.items():
                merged.attrs[key] = value


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    import h5py

    if not path.exists():
        parts = path.with_name(path.name + ".parts")
        if (parts / "job.json").exists():
            raise StoreError(f"{path}: is not finished (its chunks so far are in {parts}). Run the command "
                             "that makes it again: it goes on where it stopped")
        raise StoreError(f"{path}: no such file")
    if path.is_dir():
        raise StoreError(f"{path}: is a folder, expected a result file")
    try:
        file = h5py.File(path, "r", rdcc_nbytes=CACHE_BYTES)
    except OSError as error:
        what = "a truncated or damaged HDF5 file" if _looks_like_hdf5(path) else "no HDF5 file"
        raise StoreError(f"{path}: expected a result file of hpctools, found {what} ({error}); it is left "
                         "as it is. Choose another path, or move it away") from error
    with file:
        schema = file.attrs.get("hpctools_schema")
        if schema is None or "job" not in file.attrs:
            raise StoreError(f"{path}: is an HDF5 file, but no result file of hpctools (it has no attribute "
                             "hpctools_schema); it is left as it is. Choose another path, or move it away")
        if schema != SCHEMA:
            raise StoreError(f"{path}: has schema version {schema}, expected {SCHEMA}: use the version of "
                             f"hpctools that wrote it ({file.attrs.get('hpctools_version', 'unknown')})")
        yield file


def _looks_like_hdf5(path: Path) -> bool:
    with open(path, "rb") as raw:
        return raw.read(8) == b"\x89HDF\r\n\x1a\n"


def _sources(file: Any) -> list[str]:
    return list(file["sources"].asstr()[()]) if "sources" in file else []


def _check_sources(path: Path, file: Any) -> None:
    import h5py

    if "sources" not in file:
        return
    for name, size in zip(_sources(file), file["sources"].attrs["bytes"], strict=True):
        source = path.parent / name
        if not source.exists():
            raise StoreError(f"{path}: its data are in {name}, which is missing. Move or copy the folder "
                             f"{Path(name).parent} together with the file")
        try:
            with h5py.File(source, "r") as part:
                digest = part.attrs.get("job_digest")
        except OSError as error:
            raise StoreError(f"{source}: source of {path}, cannot be read: {error}") from error
        if digest != file.attrs["job_digest"] or source.stat().st_size != size:
            raise StoreError(f"{source}: is not the file that {path} refers to: found job {digest}, "
                             f"{source.stat().st_size} bytes; expected {file.attrs['job_digest']}, {size}")


def _copy_chunks(path: Path, virtual: Any, merged: Any) -> None:
    """Copy a virtual data set's storage chunks, compressed as they are, from its sources."""
    import h5py

    made = None
    for mapping in virtual.virtual_sources():
        low, high = (int(edge[0]) for edge in mapping.vspace.get_select_bounds())
        with h5py.File(path.parent / mapping.file_name, "r") as part:
            source = part[mapping.dset_name]
            if made is None:
                made = merged.create_dataset(
                    virtual.name, shape=source.shape, dtype=source.dtype, chunks=source.chunks,
                    compression=source.compression, compression_opts=source.compression_opts,
                    shuffle=source.shuffle, fillvalue=source.fillvalue)
                for key, value in virtual.attrs.items():
                    made.attrs[key] = value
            rest = (0,) * (source.ndim - 1)
            for row in np.arange(low, high + 1, source.chunks[0]):
                mask, stored = source.id.read_direct_chunk((int(row), *rest))
                made.id.write_direct_chunk((int(row), *rest), stored, filter_mask=mask)
