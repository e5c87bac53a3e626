"""The record of a trajectory under a real mpiexec: the same whoever measures."""

import subprocess
import sys

import h5py
import numpy as np
import pytest

from hpctools.liquids.frames import Schedule, TrajectoryWriter
from hpctools.liquids.observation import Observation
from hpctools.liquids.observe import observe
from hpctools.stop import ERROR

SCHEDULE = Schedule(0.01, 10, (0, 1, 4), 4)
OPTIONS = ("--vectors", 20, "--k-max", 10, "--static-frames", 8, "--backend", "cpu")


def write_trajectory(path):
    """60 random walkers, 4 blocks."""
    rng = np.random.default_rng(1)
    writer = TrajectoryWriter(path, SCHEDULE, ("A", "B"))
    positions = rng.uniform(-2, 2, (60, 3))
    for step in SCHEDULE.steps():
        positions += rng.normal(scale=0.1, size=(60, 3))
        images = np.floor(positions / 4 + 0.5).astype(int)
        thermo = {"potential_energy": rng.normal(), "pressure": rng.normal(), "temperature": 1.0, "samples": 2}
        writer.append(int(step), positions - 4 * images, images, np.repeat([0, 1], (48, 12)), 4.0, thermo)
    writer.close()
    return path


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The record by one process."""
    folder = tmp_path_factory.mktemp("alone")
    observe(write_trajectory(folder / "trajectory.gsd"), folder / "one.h5", backend="cpu",
            settings=Observation(vectors=20, k_max=10.0, static_frames=8))
    return folder / "one.h5"


def contents(path):
    """Every array, byte by byte, and the attributes that do not tell of the run."""
    own = ("arguments", "start_utc", "finished_utc", "ranks", "config_toml", "analysis_seconds",
           "attributes_sha256")
    with h5py.File(path) as file:
        attributes = {key: str(value) for key, value in file.attrs.items() if key not in own}
        return {name: data[()].tobytes() for name, data in file.items() if name != "runs"}, attributes


@pytest.mark.parametrize("ranks", [2, 5])
def test_any_number_of_ranks_gives_the_same_bytes(run_observe, alone, tmp_path, ranks):
    """5 ranks are more than there are blocks."""
    write_trajectory(tmp_path / "trajectory.gsd")
    code, text = run_observe(ranks, "trajectory.gsd", "many.h5", *OPTIONS)
    assert code == 0 and "many.h5\n" in text and text.count("frames (100 %)") == 1, text
    assert contents(tmp_path / "many.h5") == contents(alone)
    with h5py.File(tmp_path / "many.h5") as file:
        assert file.attrs["ranks"] == ranks


def test_a_damaged_trajectory_ends_all_ranks_with_one_line(run_observe, tmp_path):
    path = write_trajectory(tmp_path / "trajectory.gsd")
    path.write_bytes(path.read_bytes()[:2000])
    code, text = run_observe(3, "trajectory.gsd", "out.h5", *OPTIONS)
    assert code == ERROR and text.count("error: trajectory.gsd: ") == 1, text
    assert "Traceback" not in text and not list(tmp_path.glob("out*"))


def test_help_is_quick_and_imports_nothing_heavy():
    found = subprocess.run([sys.executable, "-X", "importtime", "-m", "hpctools.liquids", "observe", "--help"],
                           capture_output=True, text=True)
    assert found.returncode == 0 and "same for any number of ranks" in found.stdout
    assert not any(f" {name}\n" in found.stderr for name in ("numba", "h5py", "mpi4py", "freud", "gsd"))
