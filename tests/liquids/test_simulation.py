"""The run of a state: killed and stopped runs go on, nothing is lost or doubled, and the record tells the truth."""

import errno
import itertools
import os
import random
import re
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from stop_after import StopAfter

from hpctools.campaign import STARTED, Campaign, Stopped
from hpctools.folders import locked
from hpctools.liquids import checkpoint, finished, simulation
from hpctools.liquids import run as liquids_run
from hpctools.liquids.__main__ import main
from hpctools.liquids.design import OF_STATES
from hpctools.liquids.frames import Trajectory, TrajectoryError, TrajectoryWriter
from hpctools.liquids.observe import observe
from hpctools.liquids.record import Record
from hpctools.liquids.relaxation import RelaxationClock
from hpctools.liquids.run import task
from hpctools.liquids.simulation import CHECKPOINT, TRAJECTORY, Simulation
from hpctools.liquids.state import State, StateError
from hpctools.stop import COMPLETE, ERROR, HELD, USAGE, Stop

SMALL = {"potential": "WCA", "density": 1.2, "temperature": 1.0, "particles": 200, "melt_time": 2.0, "blocks": 8,
         "equilibration_relaxations": 4.0, "production_relaxations": 10.0, "production_time": 20.0,
         "temperature_tolerance": 0.5}


@pytest.fixture
def stop():
    with Stop() as made:
        yield made


def options(settings: dict) -> list[str]:
    return [word for key, value in settings.items() for word in (f"--{key.replace('_', '-')}", str(value))]


def command(folder: Path, settings: dict, *more: str) -> list[str]:
    return [sys.executable, "-m", "hpctools.liquids", "run", "--out", str(folder), "--keep",
            "--checkpoint-seconds", "0.05", *options(settings), *more]


def run_in_pieces(state: State, folder: Path, looks: int) -> tuple[Simulation, set[str]]:
    """A run that is stopped and goes on all the time, and the stages in which it was stopped."""
    stages = set()
    for _ in range(300):
        run = Simulation(state, folder, StopAfter(looks), show=False)
        try:
            run.run()
            break
        except Stopped:
            stages.add(run.done.stage)
    return run, stages


def test_a_whole_run_keeps_every_frame(tmp_path, stop):
    state = State(**SMALL)
    run = Simulation(state, tmp_path, stop, show=False)
    run.run()
    with Trajectory(tmp_path / TRAJECTORY) as trajectory:
        assert trajectory.complete
        assert trajectory.schedule.total_steps * state.step >= state.least_production
        thermo = [frame.thermo for frame in trajectory.frames()]
        assert sum(entry["samples"] for entry in thermo) > trajectory.schedule.total_steps / simulation.SAMPLE_STEPS
    history = run.history()
    assert history["relaxed_in_equilibration"] and history["relaxations_in_equilibration"] >= 4
    assert run.done.lengthened == 0 and run.done.clock["times"]  # the clock goes on
    assert abs(history["last_energy"] - history["first_energy"]) < 2e-3
    assert history["nvt_energy"] == pytest.approx(history["first_energy"], abs=1e-6)
    assert State(**tomllib.loads(history["state_toml"])) == state
    # nothing is left to do
    again = Simulation(state, tmp_path, stop, show=False)
    again.run()
    assert again.done.wall_seconds == run.done.wall_seconds


def test_a_production_that_was_planned_too_short_is_begun_anew(tmp_path, monkeypatch):
    """As where the liquid relaxes more slowly in production than before it; cut off and gone on with all the time."""
    shorter = 0.3
    known = RelaxationClock.relaxation_time
    monkeypatch.setattr(RelaxationClock, "relaxation_time", lambda self, now: shorter * known(self, now))
    state = State(**{**SMALL, "production_relaxations": 20.0, "production_time": 1.0})
    run, _ = run_in_pieces(state, tmp_path, 60)
    done, history = run.done, run.history()
    assert done.lengthened >= 1 and done.attempts >= done.lengthened and len(done.joins) > 3
    tau = np.mean(done.clock["times"])
    with Trajectory(tmp_path / TRAJECTORY) as trajectory:
        assert trajectory.complete
        assert trajectory.schedule.total_steps * state.step > 0.8 * 20.0 * tau
        assert [frame.step for frame in trajectory.frames()] == trajectory.schedule.steps().tolist()
    # what was given up counts as equilibration
    assert history["equilibration_time"] > 0.67 * 4 * tau
    assert history["relaxations_in_equilibration"] >= 4
    assert history["clock_relaxation_time"] > 2 * shorter * tau


@pytest.mark.parametrize(("most", "lengthened"), [(1e5, 2), (10.0, 0)])
def test_what_stops_to_relax_does_not_run_for_ever(tmp_path, stop, monkeypatch, most, lengthened):
    """As a crystal: three times as long at most, twice; not where it counts as a glass by then."""
    look = Simulation._look_at_clock
    monkeypatch.setattr(Simulation, "_look_at_clock",
                        lambda run: look(run) if run.done.stage == "equilibrate" else None)
    state = State(**{**SMALL, "production_relaxations": 3.0, "production_time": 1.0, "max_equilibration": most})
    run = Simulation(state, tmp_path, stop, show=False)
    run.run()
    assert run.done.equilibrated and run.done.lengthened == lengthened
    with Trajectory(tmp_path / TRAJECTORY) as trajectory:
        assert trajectory.complete
        assert trajectory.schedule.total_steps * state.step < 1.1 * 3**lengthened * 3 * 2.0  # τ about 1


def test_a_production_whose_energy_drifts_is_begun_anew_with_half_the_time_step(tmp_path, monkeypatch):
    """As WCA at low densities does; cut off and gone on with all the time."""
    state = State(**{**SMALL, "temperature_tolerance": 0.05})
    advance = Simulation._advance

    def drifting(run, words, total, look=lambda: None, *more, **named):
        def warmer():
            if words == "producing" and not run.done.halvings:
                run._engine.scale_velocities(1 + 1e-5 * simulation.SAMPLE_STEPS)
            look()

        advance(run, words, total, warmer, *more, **named)

    monkeypatch.setattr(Simulation, "_advance", drifting)
    again, given_up = Simulation._again, []

    def told(run, energy):
        given_up.append(run.done.steps / run.schedule.total_steps * 2**run.done.halvings)
        again(run, energy)

    monkeypatch.setattr(Simulation, "_again", told)
    run, _ = run_in_pieces(state, tmp_path, 100)
    assert given_up[0] < 0.25, "the first part of it tells"
    assert run.done.halvings == 1 and run.history()["time_step_halvings"] == 1
    assert abs(run.done.last_energy - run.done.first_energy) < 0.01
    # trials of the former time step are forgotten, and each production counts once
    lengths = [time for _, time in run.done.trials]
    assert lengths == [pytest.approx(run.schedule.total_steps * run.schedule.dt)] * len(lengths) and lengths
    with Trajectory(tmp_path / TRAJECTORY) as trajectory:
        assert trajectory.complete and trajectory.schedule.dt == pytest.approx(state.step / 2)
        assert trajectory.schedule.total_steps * trajectory.schedule.dt >= state.least_production
        assert [frame.step for frame in trajectory.frames()] == trajectory.schedule.steps().tolist()
    observe(tmp_path / TRAJECTORY, tmp_path / "record.h5", run.history(), backend="cpu")
    assert finished.differences(state, Record.load(tmp_path / "record.h5").attributes) == []


def test_a_production_at_a_wrong_temperature_is_begun_anew_at_its_end(tmp_path, stop, monkeypatch):
    """Where the first part of it did not tell."""
    monkeypatch.setattr(simulation, "_TRIAL_SHARE", 1.0)
    scale_to = Simulation._scale_to
    monkeypatch.setattr(Simulation, "_scale_to",
                        lambda run, energy: scale_to(run, energy if run.done.attempts else energy + 0.4))
    state = State(**{**SMALL, "temperature_tolerance": 0.06})
    run = Simulation(state, tmp_path, stop, show=False)
    run.run()
    assert run.done.attempts >= 1 and not run.done.halvings
    assert run.done.temperature.value == pytest.approx(1.0, abs=0.06)  # and not 0.4/3.5 off


def test_energies_of_the_beginning_are_forgotten():
    """An energy that falls as 1/t: the mean is that of the later half of the steps, up to three quarters of them."""
    for last in (1000, 1500, 1990):
        progress = checkpoint.Progress()
        for step in range(100, last + 1):
            progress.steps = step
            progress.take_energy(1 / step)
        taken = progress.energy.samples
        assert 0.5 * last <= taken <= 0.76 * last
        expected = np.mean(1 / np.arange(last - taken + 1, last + 1))
        assert progress.energy.value == pytest.approx(expected) and progress.energy.variance > 0
    early = checkpoint.Progress(steps=7)
    early.take_energy(2.0)
    assert early.energy.value == 2.0 and early.energy.samples == 1


def test_stops_and_goes_on_in_every_stage(tmp_path):
    state = State(**{**SMALL, "protocol": "glass", "temperature": 0.4, "quench_time": 5.0, "waiting_time": 5.0})
    run, stages = run_in_pieces(state, tmp_path, 25)
    assert stages == {"melt", "quench", "wait", "produce"}
    assert len(run.done.joins) > 5
    assert max(map(abs, run.done.joins)) < 1e-6
    with Trajectory(tmp_path / TRAJECTORY) as trajectory:
        assert [frame.step for frame in trajectory.frames()] == trajectory.schedule.steps().tolist()
    assert not run.done.equilibrated
    assert len(list(tmp_path.glob("restart-*"))) == 1


def test_goes_on_after_kill_9_at_five_random_times(tmp_path):
    settings = {**SMALL, "particles": 400, "production_time": 150.0, "frames_per_decade": 6}
    state = State(**settings)
    work = tmp_path / "runs" / state.name
    rng = random.Random(8)
    kills, stages = 0, []
    while kills < 5 or stages.count("produce") < 2:
        process = subprocess.Popen(command(tmp_path, settings), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        before = (work / CHECKPOINT).stat().st_mtime_ns if (work / CHECKPOINT).exists() else 0
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and process.poll() is None:  # until this process has gone on a little
            if (work / CHECKPOINT).exists() and (work / CHECKPOINT).stat().st_mtime_ns > before:
                break
            time.sleep(0.01)
        assert process.poll() is None, "the run ended before it could be killed: make it longer"
        time.sleep(rng.uniform(0.0, 0.3))
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        kills += 1
        killed = checkpoint.load_any(work / CHECKPOINT)
        assert killed is not None
        stages.append(killed.stage if killed.stage != "produce" or killed.frames else "before its first frame")
    last = subprocess.run(command(tmp_path, settings), capture_output=True, text=True, check=False)
    assert last.returncode == 0, last.stderr
    record = Record.load(tmp_path / f"{state.name}.h5")
    assert record.attributes["restarts"] >= 5
    assert record.attributes["worst_join"] < 1e-6
    assert abs(record.attributes["total_energy_drift"]) < 2e-3
    with Trajectory(work / TRAJECTORY) as trajectory:
        steps = [frame.step for frame in trajectory.frames()]
        assert steps == trajectory.schedule.steps().tolist()
        # a frame written twice from different states would jump: particles move by less than this in a step
        first = [trajectory.frame(index) for index in range(len(steps) - 1)]
        for one, other in itertools.pairwise(first):
            reach = 8.0 * (other.step - one.step) * state.step + 1e-4
            assert np.abs(other.positions - one.positions).max() < reach


def test_wall_time_stops_with_75_and_the_same_command_goes_on(tmp_path):
    settings = {**SMALL, "production_time": 4000.0}
    stopped = subprocess.run(command(tmp_path, settings, "--wall-time", "0.2"), capture_output=True, text=True,
                             check=False)
    assert stopped.returncode == 75, stopped.stderr
    assert "run the same command again" in stopped.stdout
    state = State(**settings)
    done = checkpoint.load_any(tmp_path / "runs" / state.name / CHECKPOINT)
    assert done is not None and done.steps > 0


def test_other_settings_in_the_same_folder_are_refused(tmp_path, stop):
    Simulation(State(**SMALL), tmp_path, stop, show=False).run()
    with pytest.raises(checkpoint.CheckpointError, match=r"temperature = 1\.1"):
        Simulation(State(**{**SMALL, "temperature": 1.1}), tmp_path, stop)


def test_a_run_goes_on_with_its_own_engine_alone(tmp_path, stop, monkeypatch):
    """Restart files of one say nothing to another, and the records tell the engine."""
    Simulation(State(**SMALL), tmp_path, stop, show=False).run()
    monkeypatch.setattr(simulation.engines, "choose", lambda name: SimpleNamespace(NAME="hoomd"))
    with pytest.raises(checkpoint.CheckpointError, match="begun with lammps, now hoomd; take --engine lammps"):
        Simulation(State(**SMALL), tmp_path, stop)


def test_a_damaged_restart_is_noticed(tmp_path, stop):
    stop.reason = "test"
    state = State(**SMALL)
    with pytest.raises(Stopped):
        Simulation(state, tmp_path, stop, show=False).run()
    done = checkpoint.load_any(tmp_path / CHECKPOINT)
    done.saved_energy += 1e-4
    checkpoint.save(tmp_path / CHECKPOINT, done, simulation.dump_toml(state))
    with pytest.raises(Exception, match="when the file was written"):
        Simulation(state, tmp_path, stop, show=False).run()


def test_damaged_files_of_a_run_say_what_to_do(tmp_path):
    """The checkpoint and the trajectory of a run that was stopped in production, cut to a half."""
    state = State(**SMALL)
    folder = tmp_path / "runs" / state.name
    run = Simulation(state, folder, StopAfter(400), show=False)
    with pytest.raises(Stopped):
        run.run()
    assert run.done.stage == "produce" and run.done.frames > 20
    for name, error in ((TRAJECTORY, TrajectoryError), (CHECKPOINT, checkpoint.CheckpointError)):
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[:len(whole) // 2])
        with pytest.raises(error, match=f"remove the folder {folder} to"):
            Simulation(state, folder, StopAfter(10**9), show=False).run()
    row = Campaign(tmp_path, [task(state)]).rows()[0]
    assert row.state == STARTED and "checkpoint.npz: is damaged" in row.note


def test_a_full_disk_is_told_in_one_line(tmp_path, capsys, monkeypatch):
    """Also where the trajectory then cannot be closed; and the same command goes on."""
    def full(self, *values):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "the trajectory")

    words = ["run", "--out", str(tmp_path), *options(SMALL)]
    with monkeypatch.context() as patch:
        patch.setattr(TrajectoryWriter, "append", full)
        patch.setattr(TrajectoryWriter, "close", full)
        assert main(words) == ERROR
    told = [line for line in capsys.readouterr().err.splitlines() if "steps" not in line]
    assert len(told) == 1 and told[0].startswith("error: ") and "'the trajectory'); make some" in told[0]
    with monkeypatch.context() as patch:
        patch.setattr("gsd.hoomd.open", full)
        assert main(words) == ERROR
    assert "remove" not in capsys.readouterr().err
    assert main(words) == COMPLETE


def test_what_a_run_goes_on_with_is_on_the_disk(tmp_path, monkeypatch):
    """Before the restart file and the checkpoint get their names."""
    synced, known = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(os.readlink(f"/proc/self/fd/{file}")) or known(file))
    with pytest.raises(Stopped):
        Simulation(State(**SMALL), tmp_path, StopAfter(400), show=False).run()
    names = [Path(path).name for path in synced]
    assert names[-3].startswith("restart-produce") and names[-2:] == [TRAJECTORY, f"{CHECKPOINT}.part"]


def test_a_state_in_other_hands_is_told(tmp_path, capsys):
    state = State(**SMALL)
    with locked(tmp_path / "runs" / state.name):
        assert main(["run", "--out", str(tmp_path), *options(SMALL)]) == HELD
    assert f"{state.name} is in the hands of host" in capsys.readouterr().err
    assert not list(tmp_path.glob("*.h5"))


def test_a_campaign_prints_a_line_now_and_then(tmp_path, capsys, monkeypatch):
    """On the state in work, its stage, speed and time left."""
    monkeypatch.setattr(liquids_run, "LINE_SECONDS", 1e-3)
    (tmp_path / "design.toml").write_text("[settings]\n" + "".join(
        f"{key} = {value}\n" for key, value in SMALL.items() if key not in OF_STATES)
        + '[[states]]\npotentials = ["WCA"]\ntemperatures = [1.0]')
    assert main(["campaign", str(tmp_path / "design.toml"), "--out", str(tmp_path)]) == COMPLETE
    lines = capsys.readouterr().err.splitlines()
    assert any(re.search(r"^WCA-rho1.2-T1-N200-seed1, producing: .* steps/s, .* left$", line) for line in lines)


@pytest.mark.parametrize("words", [
    ["run", "--wall-time", "-1"], ["run", "--wall-time", "nan"], ["run", "--wall-time", "nan", "--dry-run"],
    ["run", "--checkpoint-seconds", "nan"],
    ["run", "--checkpoint-seconds", "-1"], ["campaign", "--wall-time", "nan"],
    ["campaign", "--wall-time", "nan", "--dry-run"], ["campaign", "--share", "¹/2"],
    ["run", "--out", "/proc/liquids"], ["campaign", "--out", "/proc/liquids"], ["run", "--density", "0.001"],
    ["design", "none/a.toml"], ["design", "file"],
    ["status", "--out", "nowhere"], ["status", "--out", "file"], ["campaign", "--out", "file/below"],
])  # fmt: skip
def test_wrong_options(words, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    assert main(words) == USAGE
    printed = capsys.readouterr()
    assert printed.err.startswith("error: ") and printed.err.count("\n") == 1 and "expected" in printed.err
    assert {path.name for path in tmp_path.iterdir()} <= {"file", "results"}


@pytest.mark.parametrize(("change", "message"), [
    ({"temperature": -1.0}, "temperature -1"),
    ({"density": float("nan")}, "density nan"),
    ({"temperature": 1e-99}, r"a production of .* steps at T = 1e-99; expected at most 1e\+12"),
    ({"engine": "lamps"}, "engine 'lamps'; expected lammps or hoomd"),
    ({"box_length": 12.0}, "particles 200 and box length 12; expected one of them"),
    ({"density": 4.0}, "density 4; expected at most 3"),
    ({"dt": 0.05}, "dt 0.05; expected at most 0.02"),
    ({"blocks": 2}, "at least 4"),
    ({"frames_per_decade": 0}, "frames per decade 0; expected 1 or more"),
    ({"frames_per_decade": -3}, "frames per decade -3"),
    ({"protocol": "glass", "temperature": 9.0}, "nothing to quench"),
])  # fmt: skip
def test_settings_without_sense(change, message):
    with pytest.raises(StateError, match=message):
        State(**{**SMALL, **change})


def test_temperatures_that_look_like_kelvin_are_remarked(tmp_path, capsys):
    for temperature, odd in ((1.0, False), (300.0, True)):
        assert main(["run", "--dry-run", "--temperature", str(temperature)]) == COMPLETE
        assert ("not kelvin" in capsys.readouterr().out) is odd
    (tmp_path / "design.toml").write_text("[[states]]\ntemperatures = [1.0, 300.0, 400.0]")
    assert main(["campaign", str(tmp_path / "design.toml"), "--out", str(tmp_path / "o"), "--dry-run"]) == COMPLETE
    told = capsys.readouterr().err
    assert told.startswith("remark: LJ-rho1.2-T300-seed1: T = 300 is in units of") and "and 1 others" in told


def test_usage_errors_are_one_line():
    for words, message in ((["run", "--density", "1.2345"], "whole number"), (["observe-it"], "unknown"),
                           (["run", "--potential", "LJ", "--temperature", "-2"], "positive")):
        result = subprocess.run([sys.executable, "-m", "hpctools.liquids", *words], capture_output=True, text=True,
                                check=False)
        assert result.returncode == 2 and message in result.stderr, result.stderr
        assert result.stderr.count("\n") == 1
