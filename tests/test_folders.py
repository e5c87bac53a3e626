"""Folders held by one process: who has them, and what happens on a file system without locks."""

import errno
import fcntl
import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from hpctools.config import ConfigError
from hpctools.folders import NoLocksError, holder_of, locked, locked_by_all, locked_if_possible, locked_in_turn
from hpctools.world import World


class Others(World):
    """A rank that hears from rank 0 what it says here."""

    said = ("host elsewhere", None)

    def bcast(self, value=None):
        return self.said


def test_a_lock_tells_who_holds_it_and_goes_with_its_block(tmp_path):
    """Locks of other names, and of the same one afterwards, are free."""
    folder = tmp_path / "new" / "folder"
    with locked(folder) as first, locked(folder) as second, locked(folder, "other.lock") as other:
        assert first == other == "" and f"process {os.getpid()}, Slurm job" in second
    with locked_if_possible(folder) as again:
        assert again == ""


def test_a_look_at_a_lock_writes_nothing(tmp_path):
    assert holder_of(tmp_path) == holder_of(tmp_path / "none") == "" and not list(tmp_path.iterdir())
    with locked(tmp_path):
        assert f"process {os.getpid()}" in holder_of(tmp_path)
    (tmp_path / "lock").write_text("who was here before")
    assert holder_of(tmp_path) == "" and (tmp_path / "lock").read_text() == "who was here before"
    with open(tmp_path / "lock") as other:
        fcntl.flock(other, fcntl.LOCK_SH)
        assert holder_of(tmp_path) == "", "two who look"


def test_a_lock_holds_on_a_full_disk(tmp_path, monkeypatch):
    def full(file, text):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with locked(tmp_path) as mine, locked(tmp_path) as its:
        assert mine == "" and its == "another process"


def test_a_folder_that_can_only_be_read(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(ConfigError, match=r"cannot be written there \(no permission"), locked(tmp_path):
        pass


def test_rank_0_holds_the_lock_for_all(tmp_path):
    with locked_by_all(tmp_path, World()) as mine, locked_by_all(tmp_path, World()) as its:
        assert mine == "" and "process" in its
    with locked_by_all(tmp_path / "none", Others(rank=1, size=2)) as heard:
        assert heard == "host elsewhere" and not (tmp_path / "none").exists()


def test_all_ranks_hear_that_nothing_can_be_written(tmp_path):
    """Else they would wait for rank 0 for ever."""
    (tmp_path / "file").touch()
    heard = []
    first, other = World(size=2), Others(rank=1, size=2)
    first.bcast = lambda value: heard.append(value) or value
    with pytest.raises(ConfigError, match="it is a file"), locked_by_all(tmp_path / "file", first):
        pass
    other.said = heard[0]
    with pytest.raises(ConfigError, match="it is a file"), locked_by_all(tmp_path / "file", other):
        pass


def test_without_locks(tmp_path, monkeypatch):
    """Those who share a folder need locks; a run of its own goes on without."""
    def refuse(file, operation):
        raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(NoLocksError, match=r"no file locks on this file system .* expected one with flock"):
        with locked(tmp_path):
            pass
    with locked_if_possible(tmp_path) as holder:
        assert holder == ""
    with locked_by_all(tmp_path, World()) as holder:
        assert holder == ""


def test_an_error_inside_is_not_swallowed(tmp_path):
    for enter in (locked_if_possible, lambda folder: locked_by_all(folder, World())):
        with pytest.raises(NoLocksError, match="mine"), enter(tmp_path):
            raise NoLocksError("mine")


def test_a_file_in_the_place_of_a_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"results cannot be written there \(it is a file\)"):
        with locked(tmp_path / "file"):
            pass


def test_a_lock_in_turn_waits_for_the_other(tmp_path):
    """Two threads change a number by reading and writing it; none of the changes is lost."""
    number = tmp_path / "number"
    number.write_text("0")

    def add():
        for _ in range(5):
            with locked_in_turn(tmp_path, "number.lock"):
                value = int(number.read_text())
                time.sleep(0.01)
                number.write_text(str(value + 1))

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(add) for _ in range(2)]:
            done.result(timeout=60)
    assert number.read_text() == "10"
