"""Files that are there whole or not at all, and what stands in their way."""

from __future__ import annotations

import contextlib
import errno
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole(path: str | Path, *, sync: bool = False, shared: bool = False) -> Iterator[Path]:
    """The name of a new file beside `path`, which becomes `path` when the block ends, in the place of a former one.

        with whole(path) as part, open(part, "w") as file:
            ...

    A kill leaves the former file, an error does, too, and takes the new one away. What a kill left of the new one is
    written over by the next attempt. sync: on the disk before it gets its name, for what a power cut must not take.
    shared: other processes may write the same file at the same time; what a kill leaves then stays.
    """
    path = Path(path)
    part = path.with_name(f"{path.name}.{platform.node()}-{os.getpid()}.part" if shared else path.name + ".part")
    try:
        yield part
        if sync:
            to_disk(part)
        os.replace(part, path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def to_disk(path: Path) -> None:
    """Wait until what was written to a file, or the names in a folder, are on the disk."""
    written = os.open(path, os.O_RDONLY)
    try:
        os.fsync(written)
    finally:
        os.close(written)


def is_disk_full(error: BaseException) -> bool:
    """Does this error of the system, HDF5 or MPI, or the one that it came from, say that the disk or the quota is full?
    """
    numbers = (errno.ENOSPC, errno.EDQUOT)
    words = [f"errno = {number}" for number in numbers] + [os.strerror(number) for number in numbers]
    if getattr(error, "errno", None) in numbers or any(word in str(error) for word in words):
        return True
    before = error.__cause__ or error.__context__
    return before is not None and is_disk_full(before)
