"""Grid files of one process: reading back, precision, other programs, export, settings from TOML."""

import h5py
import numpy as np
import pytest

from hpctools.config import load
from hpctools.store import StoreError
from hpctools.store_reader import verify
from hpctools.tnm import open_grid, simulate
from hpctools.tnm.grid_file import export
from hpctools.tnm.job import run
from hpctools.tnm.settings import GridJob, SettingsError
from hpctools.world import World

NODES = "dh,ln_a\n318443.9,-79.21\n355000,-133\n1.2e6,-630\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("grid")
    (place / "nodes.csv").write_text(NODES)
    return place


def make(folder, name, **settings):
    job = GridJob(out=str(folder / name), nodes=str(folder / "nodes.csv"), stride_x=10, stride_beta=8, **settings)
    assert run(job, job.grid(), job.program(), World(), ["test"]) == 0
    return folder / name


@pytest.fixture(scope="module")
def path(folder):
    return make(folder, "grid.h5")


def test_signals_come_back(path):
    with open_grid(path) as grid:
        assert grid.signals.shape == (90, 6, 18501) and len(grid) == 90
        expected = simulate(grid.parameters[()])
        top = expected.max(axis=(1, 2))
        error = np.abs(grid.signals[:] - expected).max(axis=(1, 2))
        assert np.all(error <= 5.1e-5 * np.maximum(1, top / 6) + 5e-5)  # half a quantum, and the window
        assert np.array_equal(grid.signals[-1], grid.signals[89])
        assert np.array_equal(grid.signals[[3, 7]], grid.signals[:10][[3, 7]])
        mask = grid.parameters[:, 3] == 1.0
        assert np.array_equal(grid.signals[mask], grid.signals[np.flatnonzero(mask)])
        assert grid.signals[5:2].shape == (0, 6, 18501)
        assert grid.find(int(grid.samples["index"][17])) == 17
        for bad in (90, -91, [3, 90]):
            with pytest.raises(IndexError, match="of 90"):
                grid.signals[bad]
        assert grid.signals[...].shape == (90, 6, 18501)
        for bad in ([1.5], True, "a", 1.5):
            with pytest.raises(TypeError, match="whole numbers, slices or masks"):
                grid.signals[bad]
        with pytest.raises(IndexError, match="mask of shape"):
            grid.signals[np.ones(3, bool)]
        with pytest.raises(KeyError, match="global index"):
            grid.find(10**9)


def test_the_file_explains_itself(path):
    with h5py.File(path) as file:
        for name, item in file.items():
            assert "unit" in item.attrs or name in ("done", "checksums", "chunk_bounds", "runs", "sources"), name
        for key in ("reading", "precision", "hpctools_version", "arguments", "config_toml", "start_utc", "host"):
            assert key in file.attrs, key
        # what `reading` says, done by hand
        i, scan = 40, 2
        row = file["samples"][i]
        n, scans = int(row["window_points"]), 6
        at = int(row["packed_offset"])
        low = file["packed"][at : at + n * scans].astype(int).reshape(scans, n)[scan]
        high = file["packed"][at + n * scans : at + 2 * n * scans].astype(int).reshape(scans, n)[scan]
        code = low + 256 * high
        d = (code >> 1) ^ -(code & 1)
        number = np.cumsum(np.cumsum(d)) % 2**16
        by_hand = (number + int(row["base"][scan])) * float(row["quantum"][scan])
        start = int(row["window_start"])
    with open_grid(path) as grid:
        assert grid.signals[i][scan, start : start + n] == pytest.approx(by_hand, abs=1e-6)
    assert verify(path) == 3


def test_bursts_carry_a_flag(path):
    with open_grid(path) as grid:
        top, burst = grid.samples["cpn_max"], grid.samples["burst"]
        assert np.array_equal(burst == 1, top > 20)
        assert burst.any() and not burst.all()


def test_exact(folder):
    with open_grid(make(folder, "exact.h5", precision=0.0)) as grid:
        expected = simulate(grid.parameters[()])
        for i in range(len(grid)):
            start, window = grid.window(i)
            assert np.array_equal(window, expected[i][:, start : start + window.shape[1]])
            assert np.abs(grid.signals[i] - expected[i]).max() < 5e-5  # outside the window


def test_other_program(folder):
    path = make(folder, "other.h5", cooling_rates=(40.0, 3.0), heating_rates=(20.0,), step=0.5)
    with open_grid(path) as grid:
        assert grid.signals.shape == (90, 2, 3701)
        assert grid.cooling_rates.tolist() == [40.0, 3.0] and grid.heating_rates.tolist() == [20.0, 20.0]


def test_export(path, folder):
    out = folder / "plain.h5"
    assert export(path, out, first=10, count=3) == 3
    with h5py.File(out) as plain, open_grid(path) as grid:
        assert np.array_equal(plain["signals"][()], grid.signals[10:13])
        assert np.array_equal(plain["parameters"][()], grid.parameters[10:13])
        assert plain["celsius"].shape == (18501,)
    with pytest.raises(StoreError, match="exists already"):
        export(path, out)
    with pytest.raises(StoreError, match="holds samples 0 … 89; found first 90"):
        export(path, folder / "none.h5", first=90)


def test_settings_from_toml(folder):
    file = folder / "job.toml"
    file.write_text('subset = "G"\nstride_x = 4\nln_a_points = 11\ncooling_rates = [1.0, 10]\n')
    job = load(GridJob, file)
    assert (job.subset, job.stride_x, job.cooling_rates) == ("G", 4, (1.0, 10.0))
    assert job.grid().ranges.ln_a.shape == (101, 11)


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"out": ""}, "out is empty"),
        ({"wall_time": -1.0}, "wall_time -1; expected a time"),
        ({"commit_seconds": float("nan")}, "commit_seconds nan"),
        ({"precision": -1.0}, "precision -1; expected 0"),
        ({"compression": 12}, "compression 12; expected a gzip level"),
        ({"nodes": "a.csv", "subset": "C"}, "both nodes a.csv and subset C"),
        ({"shape_low": 0.0}, "expected inside"),
        ({"ln_a_low": -10.0, "ln_a_high": -20.0}, "ln_a_low < ln_a_high"),
    ],
)
def test_settings_that_make_no_sense(settings, words):
    with pytest.raises(SettingsError, match=words):
        GridJob(**settings)
