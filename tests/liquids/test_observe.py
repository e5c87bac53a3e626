"""From a trajectory to the record of a state: contents, use, and trajectories that cannot be measured."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import gsd.hoomd
import h5py
import numpy as np
import pytest
from stop_after import StopAfter

from hpctools.campaign import Campaign, Stopped
from hpctools.liquids import run
from hpctools.liquids.__main__ import main
from hpctools.liquids.frames import Schedule, Trajectory, TrajectoryError
from hpctools.liquids.observation import Observation
from hpctools.liquids.observe import observe, static_offsets
from hpctools.liquids.record import Record
from hpctools.liquids.state import State
from hpctools.liquids.structure import GridError
from hpctools.stop import COMPLETE, STOPPED, USAGE
from hpctools.store import StoreError
from hpctools.store_reader import verify
from hpctools.world import World

COUNTS = (160, 40)
LENGTH = 200 ** (1 / 3) / 1.2 ** (1 / 3)  # ρ = 1.2
SCHEDULE = Schedule(0.01, 20, (0, 1, 3, 7, 13), 32)
SETTINGS = Observation(vectors=40, k_max=20.0, static_frames=64)


def energies(step: int) -> dict[str, float]:
    """Values with a drift of 0.1 in the energy and a known noise."""
    noise = np.random.default_rng(step).normal(size=3)
    return {"potential_energy": -6 + 0.1 * step / SCHEDULE.total_steps + 0.01 * noise[0],
            "pressure": 10 + 0.1 * noise[1], "temperature": 1 + 0.01 * noise[2], "samples": 2}


@pytest.fixture(scope="module")
def path(tmp_path_factory, write_trajectory, brownian) -> Path:
    """A trajectory of free Brownian particles, D = 0.4."""
    return write_trajectory(tmp_path_factory.mktemp("run") / "trajectory.gsd", SCHEDULE,
                            brownian(200, LENGTH, SCHEDULE, 0.4, 1), COUNTS, LENGTH, energies)


@pytest.fixture(scope="module")
def record(path: Path) -> Record:
    further = {"potential": "LJ", "temperature": 1.0, "seed": 3, "flags": ["glass", "ageing"], "none": None,
               "history": {"steps": 5}}
    found = observe(path, path.with_name("state.h5"), further, settings=SETTINGS)
    assert found is not None
    return found


def test_contents(record: Record):
    attributes = record.attributes
    assert attributes["kind"] == "liquid state" and attributes["potential"] == "LJ" and attributes["seed"] == 3
    assert list(attributes["flags"]) == ["glass", "ageing"] and json.loads(attributes["history"]) == {"steps": 5}
    assert "none" not in attributes and list(attributes["particles"]) == [160, 40]
    assert "vectors = 40" in attributes["config_toml"] and attributes["backend"] == "cpu"
    n_lags, n_k = len(record.times), len(record.self_k)
    assert record.self_scattering.shape == (n_lags, 2, n_k) and record.structure_factor.shape == (100, 3)
    assert record.self_scattering_halves.shape == (n_lags, 2, 2, n_k) and record.bond_order.shape == (4, 3)
    with h5py.File(record.path) as file:
        for name, data in file.items():
            assert data.attrs["unit"] and data.attrs["description"], name
    assert verify(record.path) == 1
    assert record.path.stat().st_size < 90_000
    assert not record.path.with_name("state.h5.parts").exists()


def test_physics_of_free_particles(record: Record):
    """S_ab = x_a δ_ab, F_s = exp(-k²Dt), g = 1, D, τ_α = 1/(k²D), no crystal."""
    filled = record.shell_vectors > 0
    z = ((record.structure_factor - [0.8, 0, 0.2]) / record.structure_factor_error)[filled]
    assert np.abs(z).max() < 8 and np.median(np.abs(z)) < 1.2
    d = 0.4 * (1 - 1 / 200)
    j = int(np.argmin(np.abs(record.self_k - 2.0)))
    known = np.isfinite(record.self_scattering_error[:, 0, j]) & (record.times > 0)
    z = (record.self_scattering[known, 0, j] - np.exp(-4 * d * record.times[known]))
    z /= record.self_scattering_error[known, 0, j]
    assert np.abs(z).max() < 6
    assert record.relaxation_time[0, j] == pytest.approx(1 / (4 * d), abs=5 * record.relaxation_time_error[0, j])
    assert record.diffusion[0] == pytest.approx(d, abs=5 * record.diffusion_error[0])
    r, g = record.pair_distribution()
    assert np.abs(np.mean(g[50:], axis=0) - 1).max() < 0.05 and r[0] == 0.01
    assert record.attributes["solid_cluster"] < 0.05
    assert np.nanmean(record.collective_scattering[0], axis=0) == pytest.approx([0.8, 0, 0.2], abs=0.1)


def test_energies(record: Record):
    found = record.attributes
    assert found["potential_energy"] == pytest.approx(-5.95, abs=0.01)
    assert found["potential_energy_drift"] == pytest.approx(0.1, abs=5 * found["potential_energy_drift_error"])
    first, second = found["potential_energy_halves"]
    assert second - first == pytest.approx(0.05, abs=0.02)
    assert found["pressure"] == pytest.approx(10, abs=5 * found["pressure_error"])
    assert found["total_energy"] == pytest.approx(-5.95 + 1.5 * 199 / 200, abs=0.02)
    assert found["mean_temperature_error"] == pytest.approx(0.01 / 160**0.5, rel=0.6)


def test_equals_plain_numpy_all_at_once(path: Path, record: Record):
    """F_s and ⟨r²⟩ from all frames in memory, over every pair of frames that the schedule holds."""
    with Trajectory(path) as trajectory:
        x = {frame.step: frame.positions - frame.positions.mean(axis=0) for frame in trajectory.frames()}
    for row, t in enumerate(record.times[1:], 1):
        lag = round(t / SCHEDULE.dt)
        starts = [b * 20 for b in range(32) if b * 20 + lag in x]
        assert len(starts) == record.origins[row]
        square = np.mean([np.sum((x[s + lag] - x[s]) ** 2, axis=1) for s in starts], axis=0)
        f = np.mean([np.sinc(7.25 * np.linalg.norm(x[s + lag] - x[s], axis=1) / np.pi) for s in starts], axis=0)
        j = int(np.argmin(np.abs(record.self_k - 7.25)))
        for species, rows in enumerate((slice(0, 160), slice(160, 200))):
            assert record.square_displacement[row, species] == pytest.approx(square[rows].mean(), rel=2e-5)
            assert record.self_scattering[row, species, j] == pytest.approx(f[rows].mean(), rel=1e-5, abs=1e-6)


def test_self_part_at_any_wave_number(record: Record):
    value, error = record.self_at(7.25)
    j = int(np.argmin(np.abs(record.self_k - 7.25)))
    assert np.array_equal(value, record.self_scattering[..., j])
    assert np.array_equal(error, record.self_scattering_error[..., j], equal_nan=True)
    for k in (6.3, 7.11, 8.2):
        value, error = record.self_at(k)
        early = record.times < 0.2
        assert np.allclose(value[early], np.exp(-(k**2) * 0.4 * record.times[early, None]), atol=0.02)
        a, b = np.searchsorted(record.self_k, k) - 1, np.searchsorted(record.self_k, k)
        ends = record.self_scattering[..., [a, b]]
        # between its neighbours, but for the rounding to 4·10⁻⁶ of what is stored
        assert np.all((value < ends.max(axis=-1) + 3e-3) & (value > ends.min(axis=-1) - 3e-3))
    middle = 0.5 * (record.self_k[j] + record.self_k[j + 1])
    assert np.all(record.relaxation_at(middle)[0] < record.relaxation_at(7.25)[0])
    with pytest.raises(GridError, match=r"F_s at k = 9: expected 6.235 ≤ k ≤ 8.265 or one of 1, 2,"):
        record.self_at(9.0)


def test_structure_on_grid(record: Record):
    k = (np.arange(45) + 0.5) * 0.4
    value, error = record.structure_on_grid(k)
    assert value.shape == error.shape == (45, 3) and np.all(error > 0)
    assert np.abs((value - [0.8, 0, 0.2]) / error).max() < 8


def test_static_offsets_are_spread():
    schedule = Schedule(0.004, 1000, (0, 1, 3, 10, 30, 100, 170, 300, 420, 560, 750), 64)
    assert static_offsets(schedule, 64) == [0]
    assert [schedule.offsets[row] for row in static_offsets(schedule, 256)] == [0, 300, 560, 750]
    assert static_offsets(schedule, 10**6)[0] == 0


def test_the_analysis_can_be_stopped_and_shows_its_progress(path: Path, record: Record, tmp_path: Path,
                                                            capsys: pytest.CaptureFixture):
    with pytest.raises(Stopped, match="signal SIGTERM"):
        observe(path, tmp_path / "state.h5", settings=SETTINGS, stop=StopAfter(100), show=True, label="state, analysis")
    assert "state, analysis: 100 of 161 frames (62 %)" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    again = observe(path, tmp_path / "state.h5", settings=SETTINGS, stop=StopAfter(1000), show=True)
    assert "161 of 161 frames (100 %)" in capsys.readouterr().err
    assert again.attributes["content_sha256"] == record.attributes["content_sha256"]
    assert 0 < again.attributes["analysis_seconds"] < 100


def test_a_stopped_analysis_leaves_work_to_the_same_command(path: Path, tmp_path: Path,
                                                            monkeypatch: pytest.MonkeyPatch):
    """The campaign of a state whose simulation is over: stopped, then complete."""
    class Over:
        def __init__(self, state: State, folder: Path, stop: object, **_: object) -> None:
            if not (folder / run.TRAJECTORY).exists():
                shutil.copy(path, folder / run.TRAJECTORY)

        def run(self) -> None: ...

        def history(self) -> dict: return {}

    monkeypatch.setattr(run, "Simulation", Over)
    campaign = Campaign(tmp_path, [replace(run.task(State(), show=False), seconds=None, check=None)])
    assert campaign.run(World(), StopAfter(101)) == STOPPED
    assert (tmp_path / "runs" / State().name / run.TRAJECTORY).exists() and not list(tmp_path.glob("*.h5"))
    assert campaign.run(World(), StopAfter(1000)) == COMPLETE
    assert campaign.product(campaign.tasks[0]).exists()


def test_a_record_is_never_overwritten(path: Path, record: Record):
    before = record.path.read_bytes()
    with pytest.raises(StoreError, match="a record is never overwritten"):
        observe(path, record.path, settings=SETTINGS)
    assert record.path.read_bytes() == before


def test_no_record_of_something_else(path: Path, tmp_path: Path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = 1
    with pytest.raises(StoreError, match="no result file of hpctools"):
        Record.load(tmp_path / "other.h5")
    with pytest.raises(StoreError, match="no such file"):
        Record.load(tmp_path / "none.h5")


def test_leftovers_of_a_killed_write_are_no_obstacle(path, tmp_path):
    """A folder of parts with other content, as a kill on a machine with other rounding leaves it."""
    parts = tmp_path / "again.h5.parts"
    parts.mkdir()
    (parts / "job.json").write_text('{"digest": "other"}')
    assert observe(path, tmp_path / "again.h5", settings=SETTINGS) is not None
    assert not parts.exists()


def damaged(path: Path, change: Callable[[list[gsd.hoomd.Frame]], list[gsd.hoomd.Frame]], out: Path) -> Path:
    """A copy of a trajectory with other frames."""
    with gsd.hoomd.open(str(path), "r") as old:
        frames = change([old[i] for i in range(len(old))])
    with gsd.hoomd.open(str(out), "w") as new:
        new.extend(frames)
    return out


def _no_schedule(frames: list[gsd.hoomd.Frame]) -> list[gsd.hoomd.Frame]:
    for frame in frames:
        frame.log = {}
    return frames


def _other_step(frames: list[gsd.hoomd.Frame]) -> list[gsd.hoomd.Frame]:
    frames[7].configuration.step += 1
    return frames


def _no_number(frames: list[gsd.hoomd.Frame]) -> list[gsd.hoomd.Frame]:
    frames[9].particles.position[5, 1] = np.nan
    return frames


def _one_species(frames: list[gsd.hoomd.Frame]) -> list[gsd.hoomd.Frame]:
    for frame in frames:
        frame.particles.typeid = np.zeros(200, np.uint32)
    return frames


@pytest.mark.parametrize(("change", "message"), [
    (lambda frames: frames[:-3], "158 frames, expected 161 by its schedule; let the run finish"),
    (_no_schedule, "no schedule in its first frame; expected a trajectory written by"),
    (_other_step, "frame 7 is at step 24 with 200 particles; expected step 23"),
    (_no_number, "frame 9 holds positions that are no numbers"),
    (_one_species, r"\[200, 0\] particles of the species A, B; expected some of each"),
])  # fmt: skip
def test_bad_trajectories(path: Path, tmp_path: Path, change: Callable, message: str):
    with pytest.raises(TrajectoryError, match=message):
        observe(damaged(path, change, tmp_path / "bad.gsd"), tmp_path / "bad.h5", settings=SETTINGS)
    assert not list(tmp_path.glob("*.h5*"))


def test_truncated_and_foreign_files(path: Path, tmp_path: Path):
    (tmp_path / "cut.gsd").write_bytes(path.read_bytes()[:100_000])
    (tmp_path / "text.gsd").write_text("no trajectory")
    for name in ("cut.gsd", "text.gsd", "missing.gsd"):
        with pytest.raises(TrajectoryError, match=rf"{name}: .* remove its folder and run the state again"):
            observe(tmp_path / name, tmp_path / "bad.h5", settings=SETTINGS)


@pytest.mark.parametrize("words", [
    ("--shell-width", "0.3"), ("--vectors", "-3"), ("--bin-width", "0"), ("--bin-width", "9"), ("--static-frames", "0"),
    ("--collective-shells", "400"), ("--collective-shells", "0"), ("--k-max", "nan"), ("--vector-seed", "-1"),
    ("--shell-width", "0.5", "--k-max", "0.5", "--collective-shells", "1"),
])  # fmt: skip
def test_settings_without_sense(path: Path, tmp_path: Path, words: tuple[str, ...], capsys: pytest.CaptureFixture):
    assert main(["observe", str(path), str(tmp_path / "bad.h5"), *words]) == USAGE
    error = capsys.readouterr().err
    assert error.startswith("error: ") and "expected" in error and error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def _huge(file: h5py.File) -> None:
    del file["diffusion"]
    file.create_dataset("diffusion", (1 << 50,), float, chunks=(1 << 10,))


def test_a_damaged_record_is_noticed(record: Record, tmp_path: Path):
    """One number of F_s or S(k) is another one, an array is missing or says to be larger than any memory, an attribute
    is another one or missing: checksums, names and sizes tell."""
    for name, change in (("wrong.h5", lambda file: file["self_scattering"].__setitem__((3, 0, 2), 0.123)),
                         ("worse.h5", lambda file: file["structure_factor"].__setitem__((3, 0), -1.3e38)),
                         ("less.h5", lambda file: file.__delitem__("diffusion")),
                         ("huge.h5", _huge),
                         ("warmer.h5", lambda file: file.attrs.__setitem__("temperature", 1.0 + 2**-40)),
                         ("named.h5", lambda file: file.attrs.__setitem__("species", ["A", "C"])),
                         ("without.h5", lambda file: file.attrs.__delitem__("seed"))):
        shutil.copy(record.path, tmp_path / name)
        with h5py.File(tmp_path / name, "r+") as file:
            change(file)
        with pytest.raises(StoreError, match=rf"{name}: .*(is|are) damaged"):
            Record.load(tmp_path / name)


def test_order_of_the_particles_does_not_matter(path: Path, tmp_path: Path, record: Record):
    mixed = np.random.default_rng(2).permutation(200)

    def shuffled(frames: list[gsd.hoomd.Frame]) -> list[gsd.hoomd.Frame]:
        for frame in frames:
            for name in ("position", "image", "typeid"):
                setattr(frame.particles, name, getattr(frame.particles, name)[mixed])
        return frames

    found = observe(damaged(path, shuffled, tmp_path / "mixed.gsd"), tmp_path / "mixed.h5", settings=SETTINGS)
    assert found is not None
    assert np.allclose(found.structure_factor, record.structure_factor, rtol=1e-4, atol=1e-5, equal_nan=True)
    assert np.allclose(found.self_scattering, record.self_scattering, atol=2e-5)
    assert np.array_equal(found.pair_counts, record.pair_counts)
