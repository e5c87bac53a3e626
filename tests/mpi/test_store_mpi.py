"""`store` and `world` under a real mpiexec: same bytes, kills, full disks, resumes."""

import os
import random
import signal
import subprocess
import time

import h5py
import numpy as np
import pytest

from hpctools.store_reader import StoreError, merge, open_reader, verify

LAYOUTS = ["files", pytest.param("mpio", marks=pytest.mark.skipif(
    not h5py.get_config().mpi, reason="h5py is not built on parallel HDF5"))]


def contents(path):
    """All data sets but those that tell of the runs."""
    with open_reader(path, kind="test") as file:
        return {name: file[name][()].tobytes() for name in file if name not in ("runs", "sources")}


@pytest.fixture
def reference(reference_file):
    return contents(reference_file)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_same_bytes_for_any_number_of_ranks(run_job, tmp_path, reference, layout, ranks):
    out = tmp_path / "out.h5"
    code, text = run_job(ranks, out, "--layout", layout)
    assert code == 0, text
    assert contents(out) == reference
    assert verify(out) == 11
    single = layout == "mpio" or ranks == 1
    assert (tmp_path / "out.h5.parts").exists() != single
    if ranks == 2:
        code, text = run_job(ranks, out, "--layout", layout)
        assert code == 0 and "already complete" in text and contents(out) == reference


@pytest.mark.parametrize("layout", LAYOUTS)
def test_more_ranks_than_chunks(run_job, tmp_path, layout):
    code, text = run_job(3, tmp_path / "a.h5", "--layout", layout, "--chunks", 2)
    assert code == 0, text
    assert run_job(1, tmp_path / "b.h5", "--chunks", 2)[0] == 0
    assert contents(tmp_path / "a.h5") == contents(tmp_path / "b.h5")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_killed_rank_then_resume(run_job, tmp_path, reference, layout):
    out = tmp_path / "out.h5"
    code, text = run_job(2, out, "--layout", layout, "--kill", 1, 3)
    assert code != 0 and not out.exists(), text
    code, text = run_job(2, out, "--layout", layout)
    assert code == 0 and "chunks done" in text, text
    assert contents(out) == reference


@pytest.mark.parametrize("layout", LAYOUTS)
def test_kills_at_random_times(run_job, tmp_path, layout):
    """Kill -9 of all ranks at once, anywhere in start-up, write, flush or journal, until it is through."""
    out, options = tmp_path / "out.h5", ("--layout", layout, "--chunks", 60, "--delay", 0.01)
    chance = random.Random(1)
    for _ in range(6):
        process = run_job.start(2, out, *options)
        time.sleep(chance.uniform(0.4, 0.9))
        for rank in run_job.ranks_of(out):
            os.kill(rank, signal.SIGKILL)
        run_job.wait(process)
    code, text = run_job(2, out, *options)
    assert code == 0, text
    assert run_job(1, tmp_path / "one.h5", "--chunks", 60, "--commit", 10)[0] == 0
    assert contents(out) == contents(tmp_path / "one.h5")


@pytest.mark.parametrize("first, then", [
    (("files", 3), ("files", 2)), (("files", 2), ("files", 3)), (("files", 2), ("mpio", 2)),
    (("mpio", 2), ("files", 3)), (("mpio", 3), ("files", 1)), (("files", 1), ("mpio", 3))])
def test_resume_with_other_ranks_or_writer(run_job, tmp_path, reference, first, then):
    if "mpio" in (*first, *then) and not h5py.get_config().mpi:
        pytest.skip("h5py is not built on parallel HDF5")
    out = tmp_path / "out.h5"
    code, text = run_job(first[1], out, "--layout", first[0], "--stop-after", 2)
    assert code == 75 and not out.exists(), text
    code, text = run_job(then[1], out, "--layout", then[0])
    assert code == 0 and f"{2 * first[1]} of 11 chunks done" in text, text
    assert contents(out) == reference
    # The file moves together with its folder, and one file can be made of it.
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for path in tmp_path.glob("out.h5*"):
        path.rename(moved / path.name)
    assert contents(moved / "out.h5") == reference
    merge(moved / "out.h5", tmp_path / "merged.h5")
    assert contents(tmp_path / "merged.h5") == reference
    assert verify(tmp_path / "merged.h5") == 11


def test_missing_source_is_seen(run_job, tmp_path):
    out = tmp_path / "out.h5"
    assert run_job(2, out, "--layout", "files")[0] == 0
    victim = tmp_path / "out.h5.parts" / "segment-00001.h5"
    saved = victim.read_bytes()
    victim.write_bytes(saved[:-100])
    with pytest.raises(StoreError, match="segment-00001"), open_reader(out):
        pass
    victim.unlink()
    with pytest.raises(StoreError, match=r"segment-00001\.h5, which is missing"), open_reader(out):
        pass
    code, text = run_job(1, out)
    assert code == 1 and "which is missing" in text and "Traceback" not in text


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("guard", [(), ("--quota",)], ids=["seen before", "seen in the write"])
def test_full_disk(run_job, tmp_path, layout, ranks, guard):
    """A real small file system. With a quota HDF5 itself meets the end of the disk."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", disk], capture_output=True,
                             check=False)
    if mounted.returncode:
        pytest.skip("mounting a small tmpfs needs root")
    options = ("--layout", layout, "--chunks", 40, "--big", 20)
    try:
        code, text = run_job(ranks, disk / "out.h5", *options, *guard)
        assert code == 1 and "no space" in text and "free" in text and "same command again" in text, text
        assert "Traceback" not in text and "Segmentation" not in text and "Assertion" not in text, text
        assert not (disk / "out.h5").exists()
        subprocess.run(["mount", "-o", "remount,size=60m", disk], check=True)
        code, text = run_job(ranks, disk / "out.h5", *options)
        assert code == 0 and "of 40 chunks done" in text, text
        assert run_job(1, tmp_path / "one.h5", *options[2:], "--commit", 10)[0] == 0
        assert contents(disk / "out.h5") == contents(tmp_path / "one.h5")
    finally:
        subprocess.run(["umount", disk], check=True)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_foreign_output_is_refused_on_all_ranks(run_job, tmp_path, layout):
    out = tmp_path / "out.h5"
    out.write_bytes(b"my thesis")
    code, text = run_job(2, out, "--layout", layout)
    assert code == 1 and text.count("found no HDF5 file") == 1 and "Traceback" not in text, text
    assert out.read_bytes() == b"my thesis" and not (tmp_path / "out.h5.parts").exists()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_exception_on_one_rank_ends_all(run_job, tmp_path, layout):
    code, text = run_job(3, tmp_path / "out.h5", "--layout", layout, "--raise-on", 1)
    # mpiexec tells the code of the rank that aborted, or the signal by which it killed the others
    assert code in (1, 9) and text.count("rank 1 of 3: RuntimeError: something unforeseen") == 1, text


def test_exit_of_one_rank_ends_all(run_job, tmp_path):
    code, text = run_job(2, tmp_path / "out.h5", "--leave-on", 1)
    # MPICH's launcher now and then has a code of its own after an abort
    assert code in (1, 3) and "rank 1 of 2 leaves with exit code 3" in text, text


@pytest.mark.parametrize("layout", LAYOUTS)
def test_signal_to_one_rank_stops_all(run_job, tmp_path, layout):
    out, options = tmp_path / "out.h5", ("--layout", layout, "--chunks", 60, "--delay", 0.03)
    process = run_job.start(2, out, *options)
    journal = tmp_path / "out.h5.parts"
    while process.poll() is None and not list(journal.glob("*.journal")):
        time.sleep(0.05)
    os.kill(run_job.ranks_of(out)[0], signal.SIGUSR1)
    code, text = run_job.wait(process)
    assert code == 75 and not out.exists(), text
    code, text = run_job(2, out, *options)
    assert code == 0 and "chunks done" in text, text
    assert len(np.frombuffer(contents(out)["done"], np.uint8)) == 60
