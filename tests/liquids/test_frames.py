"""Frame schedules and trajectories."""

import numpy as np
import pytest

from hpctools.liquids.frames import Schedule, Trajectory, TrajectoryError, TrajectoryWriter

THERMO = {"potential_energy": -6.0, "pressure": 3.0, "temperature": 0.8, "samples": 4}


def test_logarithmic_schedule():
    schedule = Schedule.logarithmic(0.004, 1500.0, 64)
    steps = schedule.steps()
    assert schedule.total_steps * 0.004 >= 1500
    assert steps[0] == 0 and steps[-1] == schedule.total_steps
    assert (np.diff(steps) > 0).all()
    assert set(schedule.offsets[:4]) == {0, 1, 2, 3}
    inside = np.array(schedule.offsets[1:])
    assert (inside[8:][1:] / inside[8:][:-1]).max() < 10 ** (1 / 8) * 1.1


def write(path, schedule, places, keep=0):
    rng = np.random.default_rng(5)
    species = np.array([0, 0, 0, 1])
    unwrapped = np.cumsum(rng.normal(0, 3, (len(schedule.steps()), 4, 3)), axis=0)
    writer = TrajectoryWriter(path, schedule, ("A", "B"), keep)
    for index in places:
        images = np.floor((unwrapped[index] + 5) / 10).astype(int)
        writer.append(int(schedule.steps()[index]), unwrapped[index] - 10 * images, images, species, 10.0, THERMO)
    writer.close()
    return unwrapped, species


def test_round_trip(tmp_path):
    schedule = Schedule(0.004, 100, (0, 1, 3, 10, 30), 4)
    unwrapped, species = write(tmp_path / "t.gsd", schedule, range(21))
    with Trajectory(tmp_path / "t.gsd") as trajectory:
        assert trajectory.complete and trajectory.schedule == schedule and trajectory.species_names == ("A", "B")
        for index, frame in enumerate(trajectory.frames()):
            assert frame.step == schedule.steps()[index]
            np.testing.assert_allclose(frame.positions, unwrapped[index], atol=1e-5)
            np.testing.assert_array_equal(frame.species, species)
            assert frame.thermo == THERMO and frame.box_length == 10


@pytest.mark.parametrize("keep", [1, 7, 12])
def test_going_on_from_a_restart_drops_what_came_after_it(tmp_path, keep):
    schedule = Schedule(0.004, 100, (0, 1, 3, 10, 30), 4)
    write(tmp_path / "whole.gsd", schedule, range(21))
    write(tmp_path / "t.gsd", schedule, range(12))
    write(tmp_path / "t.gsd", schedule, range(keep, 21), keep)
    with Trajectory(tmp_path / "whole.gsd") as whole, Trajectory(tmp_path / "t.gsd") as trajectory:
        assert len(trajectory) == 21
        for one, other in zip(whole.frames(), trajectory.frames(), strict=True):
            assert one.step == other.step
            np.testing.assert_array_equal(one.positions, other.positions)
    assert not list(tmp_path.glob("*.part"))


def test_bad_trajectories(tmp_path):
    import gsd.hoomd

    schedule = Schedule(0.004, 100, (0, 1), 4)
    write(tmp_path / "short.gsd", schedule, range(3))
    with Trajectory(tmp_path / "short.gsd") as trajectory:
        assert not trajectory.complete
    with pytest.raises(TrajectoryError, match="3 frames, but the restart file was written after 5"):
        TrajectoryWriter(tmp_path / "short.gsd", schedule, ("A", "B"), keep=5)
    (tmp_path / "text.gsd").write_text("no trajectory")
    with pytest.raises(TrajectoryError, match="cannot be read as GSD"):
        Trajectory(tmp_path / "text.gsd")
    with gsd.hoomd.open(str(tmp_path / "other.gsd"), "w") as file:
        file.append(gsd.hoomd.Frame())
    with pytest.raises(TrajectoryError, match="no schedule"):
        Trajectory(tmp_path / "other.gsd")
