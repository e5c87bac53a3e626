"""Folders of results: made where they are missing, and held by one process.

A lock is held by the process itself, so it vanishes with it, after a ``kill -9`` too.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TextIO

from hpctools.config import ConfigError
from hpctools.world import World

_TURN_SECONDS = 0.1  # between two looks at a lock that another has for a moment


class NoLocksError(Exception):
    """A file system without locks."""

    user_error = True


def make_folder(folder: Path) -> None:
    """Make a folder where it is missing. Raises config.ConfigError where that is not possible, or nothing can be
    written to it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _not_writable(folder, error) from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise _not_writable(folder, OSError(errno.EACCES, "no permission, or a file system that can only be read"))


def holder_of(folder: Path, name: str = "lock") -> str:
    """Which process holds the lock of a folder, see `locked`; "" where none does or where it cannot be known.

    Nothing is written, but whoever wants the lock in this moment finds it taken.
    """
    try:
        with open(folder / name, encoding="utf-8") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return _text(lock)
    except OSError:  # no lock file, no permission, no locks on this file system
        pass
    return ""


@contextmanager
def locked(folder: Path, name: str = "lock") -> Iterator[str]:
    """Hold the lock of a folder, which is made if missing; yields "" or, where another process has it, who that is.

    name : of the file, where a folder has locks for several things.

    Raises NoLocksError on a file system without locks, ConfigError where nothing can be written.
    """
    make_folder(folder)
    try:
        lock = open(folder / name, "a+", encoding="utf-8")
    except OSError as error:
        raise _not_writable(folder, error) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield _text(lock)
            return
        except OSError as error:
            raise NoLocksError(f"{folder}: no file locks on this file system ({error.strerror}), so runners cannot "
                               "share the folder; expected one with flock (for Lustre the mount option flock), for "
                               "example a home folder") from None
        job = os.environ.get("SLURM_JOB_ID", "none")
        text = (f"host {os.uname().nodename}, process {os.getpid()}, Slurm job {job}, since "
                f"{time.strftime('%Y-%m-%d %H:%M:%S')}")
        with suppress(OSError):  # on a full disk the lock holds, but does not tell of whom
            os.ftruncate(lock.fileno(), 0)
            os.write(lock.fileno(), text.encode())
        yield ""


@contextmanager
def locked_if_possible(folder: Path, name: str = "lock") -> Iterator[str]:
    """`locked`, but without a lock on a file system that has none: there the user must not start a thing twice."""
    with ExitStack() as stack:
        holder = ""
        with suppress(NoLocksError):
            holder = stack.enter_context(locked(folder, name))
        yield holder


@contextmanager
def locked_in_turn(folder: Path, name: str) -> Iterator[None]:
    """Hold a lock for a moment, after whoever has it now; without a lock on a file system that has none."""
    while True:
        with locked_if_possible(folder, name) as holder:
            if not holder:
                yield
                return
        time.sleep(_TURN_SECONDS)


@contextmanager
def locked_by_all(folder: Path, world: World, name: str = "lock") -> Iterator[str]:
    """`locked_if_possible` for the ranks of a run, of which rank 0 holds the lock; all raise its error. Collective."""
    with ExitStack() as stack:
        holder, error = "", None
        if world.rank == 0:
            try:
                holder = stack.enter_context(locked_if_possible(folder, name))
            except ConfigError as found:
                error = found
        holder, error = world.bcast((holder, error))
        if error is not None:
            raise error
        yield holder


def _text(lock: TextIO) -> str:
    lock.seek(0)
    return lock.read().strip() or "another process"


def _not_writable(folder: Path, error: OSError) -> ConfigError:
    reason = "it is a file" if isinstance(error, FileExistsError) else error.strerror
    return ConfigError(f"{folder}: results cannot be written there ({reason}); expected a folder that can be made or "
                       "written to")
