"""`store` in one process: what is written, resumed, rescued and refused. MPI is in tests/mpi."""

import json
import os
from dataclasses import dataclass

import h5py
import numpy as np
import pytest

from hpctools import store_job
from hpctools.config import setting
from hpctools.provenance import provenance
from hpctools.store import DataSet, Static, StoreError, Writer, check_space, choose_layout
from hpctools.store_layout import size_text
from hpctools.store_reader import merge, open_reader, verify
from hpctools.world import World

N = 6
BOUNDS = np.arange(N + 1) * 10


def data_sets():
    return [DataSet("x", (60, 4), "f8", BOUNDS, "K", "positions", attributes={"axis": "sample"}),
            DataSet("code", (60 * 100,), "u1", BOUNDS * 100, "byte", "packed", storage_rows=500)]


def values(chunk):
    return {"x": np.arange(40.0).reshape(10, 4) + chunk,
            "code": np.random.default_rng(chunk).integers(0, 9, 1000).astype("u1")}


def writer(path, **options):
    options = {"fingerprint": {"precision": 1e-4}, "commit_seconds": 0.0, "attributes": {"kind": "test"},
               "static": [Static("nodes", [1.0, 2.0], "J/mol", "known before")], **options}
    return Writer(path, data_sets(), World(), **options)


def run(path, stop_after=N, **options):
    with writer(path, **options) as out:
        for number, chunk in enumerate(out.rounds()):
            if number == stop_after:
                return out
            out.write(chunk, values(chunk))
        out.finish()
    return out


def check(path):
    with open_reader(path, kind="test") as file:
        for chunk in range(N):
            assert np.array_equal(file["x"][10 * chunk:10 * chunk + 10], values(chunk)["x"])
            assert np.array_equal(file["code"][1000 * chunk:1000 * chunk + 1000], values(chunk)["code"])
    assert verify(path) == N


def tree(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_file_explains_itself(tmp_path):
    path = tmp_path / "out.h5"
    out = run(path)
    check(path)
    assert os.listdir(tmp_path) == ["out.h5"]
    assert out.bytes_raw == 60 * 32 + 6000 and 0 < out.bytes_stored < out.bytes_raw
    with open_reader(path) as file:
        assert file["x"].attrs["unit"] == "K" and file["x"].attrs["axis"] == "sample"
        assert file["nodes"].attrs["unit"] == "J/mol" and list(file["nodes"]) == [1.0, 2.0]
        assert all("unit" in file[name].attrs and "description" in file[name].attrs for name in file)
        assert file["done"].dtype == np.uint8 and file["done"][()].all()
        assert json.loads(file["runs"].asstr()[0])["ranks"] == 1


def test_stop_and_resume_equals_one_run(tmp_path):
    run(tmp_path / "one.h5")
    for stop_after in (2, 1, 0, N):
        out = run(tmp_path / "two.h5", stop_after)
    assert list(out.remaining) == [3, 4, 5] and "3 of 6 chunks done" in out.notes[0]
    with open_reader(tmp_path / "one.h5") as one, open_reader(tmp_path / "two.h5") as two:
        assert all(np.array_equal(one[name][()], two[name][()]) for name in one if name != "runs")
        assert len(two["runs"]) == 4
    again = writer(tmp_path / "two.h5")
    assert again.already_complete and len(again.remaining) == 0
    again.finish()
    check(tmp_path / "two.h5")


def test_uncommitted_chunks_are_not_done(tmp_path):
    out = writer(tmp_path / "out.h5", commit_seconds=1e9)
    out.write(0, values(0))
    out.commit()
    out.write(1, values(1))
    out._segment.close()  # as after a kill: data of chunk 1 may be there, its journal line is not
    out._folder.unlock()
    assert list(writer(tmp_path / "out.h5").remaining) == [1, 2, 3, 4, 5]


def half_done(tmp_path):
    path = tmp_path / "out.h5"
    run(path, 4)
    return path, tmp_path / "out.h5.parts" / "segment-00000.h5"


@pytest.mark.parametrize("damage", ["superblock", "index"])
def test_chunks_are_rescued_from_a_damaged_file(tmp_path, damage):
    """HDF5 cannot read the file any more, but the journal knows where the data are."""
    path, segment = half_done(tmp_path)
    raw = bytearray(segment.read_bytes())
    if damage == "superblock":
        raw[:64] = bytes(64)
    else:
        place = raw.index(b"TREE", raw.index(b"TREE") + 1)
        raw[place:place + 200] = os.urandom(200)
    segment.write_bytes(raw)
    out = writer(path)
    assert list(out.remaining) == [4, 5]
    assert any("4 of its 4 finished chunks were rescued" in note for note in out.notes)
    out.close()
    run(path)
    check(path)


def test_what_cannot_be_rescued_is_computed_again(tmp_path):
    path, segment = half_done(tmp_path)
    places = json.loads((segment.with_suffix(".journal")).read_text().split()[-1])["places"]
    offset, size, _ = places[0][0]
    segment.write_bytes(segment.read_bytes()[:offset + size // 2])  # cut within the data of the last chunk
    out = writer(path)
    assert 3 in out.remaining and any("computed again" in note for note in out.notes)
    out.close()
    run(path)
    check(path)


def test_half_a_line_in_the_journal(tmp_path):
    path, segment = half_done(tmp_path)
    journal = segment.with_suffix(".journal")
    journal.write_text(journal.read_text()[:-40])
    assert list(run(path).remaining) == [3, 4, 5]
    check(path)


@pytest.mark.parametrize("step", ["replace", "rmtree"])
def test_killed_in_the_last_step(tmp_path, monkeypatch, step):
    class Killed(BaseException):
        pass

    def kill(*_, **__):
        raise Killed

    path = tmp_path / "out.h5"
    run(path, 5)
    out = writer(path)
    out.write(5, values(5))
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(store_job.os if step == "replace" else store_job.shutil, step, kill)
        out.finish()
    out._folder.unlock()
    assert path.exists() == (step == "rmtree")
    run(path)
    check(path)
    assert os.listdir(tmp_path) == ["out.h5"]


def test_killed_before_the_description(tmp_path):
    path = tmp_path / "out.h5"
    (folder := tmp_path / "out.h5.parts").mkdir()
    (folder / "lock").write_text("node, process 1")
    (folder / "job.json.part").write_text('{"kind": "te')
    run(path)
    check(path)
    assert os.listdir(tmp_path) == ["out.h5"]


def test_other_settings_are_refused(tmp_path):
    path, _ = half_done(tmp_path)
    before = tree(tmp_path)
    with pytest.raises(StoreError, match=r"job\.precision: file has 0\.0001, this run wants 0\.001"):
        writer(path, fingerprint={"precision": 1e-3})
    assert tree(tmp_path) == before
    run(path)
    before = tree(tmp_path)
    with pytest.raises(StoreError, match="is the finished file of another job"):
        writer(path, fingerprint={"precision": 1e-3})
    assert tree(tmp_path) == before


def make_foreign_hdf5(path):
    with h5py.File(path, "w") as file:
        file["x"] = 1


def make_truncated(path):
    run(path)
    path.write_bytes(path.read_bytes()[:-500])


@pytest.mark.parametrize("make, words", [
    (lambda path: path.write_text("notes"), "found no HDF5 file"),
    (lambda path: path.write_bytes(b""), "found no HDF5 file"),
    (make_truncated, "found a truncated or damaged HDF5 file"),
    (make_foreign_hdf5, "is an HDF5 file, but no result file of hpctools"),
    (lambda path: path.mkdir(), "is a folder"),
    (lambda path: path.with_name("out.h5.parts").write_text("a"), "expected the folder of a job in progress"),
    (lambda path: (path.with_name("out.h5.parts") / "sub").mkdir(parents=True), "job in progress"),
])
def test_other_things_at_the_path_are_left_alone(tmp_path, make, words):
    path = tmp_path / "out.h5"
    make(path)
    before = tree(tmp_path)
    with pytest.raises(StoreError, match=words):
        writer(path)
    assert tree(tmp_path) == before


def test_two_runs_at_once_are_refused(tmp_path):
    first = writer(tmp_path / "out.h5")
    with pytest.raises(StoreError, match=f"another run is writing here .*process {os.getpid()}"):
        writer(tmp_path / "out.h5")
    first.close()
    run(tmp_path / "out.h5")


def test_reader_errors(tmp_path):
    path, _ = half_done(tmp_path)
    for name, words in ((path, "is not finished"), (tmp_path / "none.h5", "no such file")):
        with pytest.raises(StoreError, match=words), open_reader(name):
            pass
    run(path)
    with pytest.raises(StoreError, match="holds 'test', expected 'tnm grid'"), open_reader(path, "tnm grid"):
        pass
    with h5py.File(path, "r+") as file:
        file["code"][3210] += 1
    with pytest.raises(StoreError, match=r"data set code, chunk 3 \(rows 3000 to 4000\) is damaged"):
        verify(path)
    with pytest.raises(StoreError, match="exists already"):
        merge(path, path)


def test_merge_of_a_plain_file(tmp_path):
    run(tmp_path / "out.h5")
    merge(tmp_path / "out.h5", tmp_path / "copy.h5")
    check(tmp_path / "copy.h5")


def test_missing_chunks_are_named(tmp_path):
    out = writer(tmp_path / "out.h5")
    out.write(0, values(0))
    with pytest.raises(StoreError, match="5 of 6 chunks are missing, the first is chunk 1"):
        out.finish()


def test_wrong_arrays_are_named(tmp_path):
    with writer(tmp_path / "out.h5") as out:
        with pytest.raises(ValueError, match=r"x, chunk 2: found float32 \(10, 4\), expected float64"):
            out.write(2, {**values(2), "x": values(2)["x"].astype("f4")})
        with pytest.raises(ValueError, match=r"found float64 \(9, 4\), expected float64 \(10, 4\)"):
            out.write(2, {**values(2), "x": values(2)["x"][1:]})


@pytest.mark.parametrize("bounds, rows, words", [
    ([0, 10, 5, 20], None, "rise from 0 to 20"), ([0, 10], None, "rise from 0 to 20"),
    ([0, 10, 20], 4, "share a storage chunk")])
def test_bad_bounds(bounds, rows, words):
    with pytest.raises(ValueError, match=words):
        DataSet("x", (20,), "f4", np.array(bounds), "K", "", storage_rows=rows)


@pytest.mark.parametrize("shape, bounds, rows", [
    ((20, 2), [0, 10, 20], 10), ((17,), [0, 10, 17], 10), ((5,), [0, 5], 5), ((9,), [0, 0, 6, 9], 6),
    ((4000, 500), [0, 2000, 4000], 250)])
def test_storage_chunks_fit_the_work(shape, bounds, rows):
    assert DataSet("x", shape, "f8", np.array(bounds), "K", "").storage_rows == rows


def test_rounds_deal_out_all_chunks(tmp_path):
    with writer(tmp_path / "out.h5") as out:
        for size in (1, 2, 4, 9):
            for order in ("block", "interleaved"):
                dealt = []
                for rank in range(size):
                    out._world = World(rank, size)
                    dealt.append(list(out.rounds(order)))
                out._world = World()
                assert len({len(turns) for turns in dealt}) == 1
                assert sorted(c for turns in dealt for c in turns if c is not None) == list(range(N))


def test_layout_choice():
    assert choose_layout("auto", World()) == "files" == choose_layout("files", World())
    with pytest.raises(StoreError, match="found 'netcdf', expected one of auto, mpio, files"):
        choose_layout("netcdf", World())
    if not h5py.get_config().mpi:
        with pytest.raises(StoreError, match="layout mpio needs h5py built on parallel HDF5"):
            choose_layout("mpio", World())


def test_space(tmp_path):
    assert check_space(tmp_path / "not" / "yet", 1) > 1
    with pytest.raises(StoreError, match=r"no space: at least 1000 TB needed, .* free\. Free some space"):
        check_space(tmp_path / "out.h5", 10**15)
    assert [size_text(x) for x in (512, 1500, 6.1e12)] == ["512 B", "1.5 kB", "6.1 TB"]


def test_provenance(tmp_path, monkeypatch):
    @dataclass
    class Job:
        stride: int = setting(4, "every n-th")
        margin: float = setting(60.0, unit="s")

    monkeypatch.setenv("SLURM_JOB_ID", "42")
    found = provenance("test", ["tnm", "--out", "a b"], Job(), World(), backend="numba", seed=7)
    assert found["config_toml"] == "stride = 4\nmargin = 60.0  # s\n"
    assert found["arguments"] == "tnm --out 'a b'"
    assert found["slurm_job_id"] == "42" and found["seed"] == 7 and "device" not in found
    assert "numpy" in json.loads(found["packages"])
    run(tmp_path / "out.h5", attributes=found)
    with open_reader(tmp_path / "out.h5") as file:
        assert {key: file.attrs[key] for key in found} == found
