"""Files that are there whole or not at all."""

from __future__ import annotations

import contextlib
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
            written = os.open(part, os.O_RDONLY)
            try:
                os.fsync(written)
            finally:
                os.close(written)
        os.replace(part, path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise
