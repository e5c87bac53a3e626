"""Files that are there whole or not at all."""

import os
import signal
import subprocess
import sys

import pytest

from hpctools.whole import whole


@pytest.mark.parametrize("sync", [False, True])
def test_the_file_appears_at_the_end_in_the_place_of_a_former_one(tmp_path, sync):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with whole(path, sync=sync) as part:
        part.write_text("new")
        assert path.read_text() == "old" and part.parent == tmp_path
    assert path.read_text() == "new" and os.listdir(tmp_path) == ["a.txt"]


def test_an_error_leaves_the_former_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), whole(str(path)) as part:
        part.write_text("half")
        raise KeyboardInterrupt
    with pytest.raises(FileNotFoundError), whole(tmp_path / "never written"):
        pass
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["a.txt"]


def test_a_kill_leaves_the_former_file(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    script = ("import os, signal, sys; from hpctools.whole import whole\n"
              "with whole(sys.argv[1]) as part:\n    part.write_text('half'); os.kill(os.getpid(), signal.SIGKILL)")
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path / "a.txt")])
    assert done.returncode == -signal.SIGKILL
    assert (tmp_path / "a.txt").read_text() == "old" and (tmp_path / "a.txt.part").read_text() == "half"
    with whole(tmp_path / "a.txt") as part:
        part.write_text("new")
    assert os.listdir(tmp_path) == ["a.txt"]


def test_two_may_write_the_same_file(tmp_path):
    with whole(tmp_path / "a.txt", shared=True) as part:
        assert str(os.getpid()) in part.name
        part.write_text("mine")
        assert whole(tmp_path / "a.txt").__enter__() != part
    assert (tmp_path / "a.txt").read_text() == "mine"


def test_the_real_error_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="the real one"), whole(tmp_path / "file" / "a.txt"):
        raise ValueError("the real one")
