"""Melt-quench runs: the plan is kept, whatever happens; records; what users type."""

import dataclasses
import json
import os
import random
import re
import runpy
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from hpctools.config import dump_toml
from hpctools.folders import locked
from hpctools.glasses import campaign, quench, record, structure, tables, trajectory
from hpctools.glasses.__main__ import main
from hpctools.glasses.job import make
from hpctools.glasses.record import RecordError
from hpctools.glasses.tables import TableError
from hpctools.stop import COMPLETE, ERROR, STOPPED, USAGE, Stop

ROOT = Path(__file__).parents[2]


def start(folder: Path, *words: object) -> subprocess.Popen[str]:
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, "-m", "hpctools.glasses", *map(str, words)], cwd=folder, env=environ,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def reached(folder: Path) -> int:
    """The last step of which a whole row of thermo.txt is on the disk."""
    path = folder / "thermo.txt"
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    rows = [line for line in lines if line.endswith("\n") and not line.startswith("#")]
    return int(rows[-1].split()[0]) if rows else 0


def test_a_run_leaves_rows_and_frames_as_planned(finished):
    job, folder = finished
    stages = {s.name: s for s in job.stages()}
    rows = trajectory.read_table(folder / "thermo.txt")
    assert rows[:, 0].tolist() == list(range(100, stages["production"].last + 1, 100))
    frames = [frame.step for frame in trajectory.read(folder / "quench.lammpstrj")]
    assert frames == list(range(0, stages["relax"].last + 1, 100))
    production = list(trajectory.read(folder / "production.lammpstrj"))
    assert [frame.step for frame in production] == list(range(stages["relax"].last, stages["production"].last + 1, 50))
    # the box of the production run is the mean of the relaxation's second half
    relax = rows[(rows[:, 0] > stages["relax"].first + 250) & (rows[:, 0] <= stages["relax"].last)]
    assert np.prod(production[-1].lengths) == pytest.approx(relax[:, 3].mean(), rel=1e-6)
    assert np.ptp(rows[rows[:, 0] > stages["relax"].last, 3]) == 0


def test_frames_say_their_time(finished, tmp_path):
    """As OVITO shows it, in ps, though steps are of 2 fs in the hot stages and 1 fs in the cold ones."""
    job, folder = finished
    lines = (folder / "production.lammpstrj").read_text().splitlines()
    times = [float(lines[k + 1]) for k, line in enumerate(lines) if line == "ITEM: TIME"]
    last = job.stages()[-1]
    steps = range(last.first, last.last + 1, 50)
    assert times == pytest.approx([last.time(step) for step in steps], abs=1e-3)
    # without times, as trajectories once were, they are read and cut alike
    plain = [line for k, line in enumerate(lines) if "ITEM: TIME" not in (line, lines[k - 1])]
    (tmp_path / "plain").write_text("\n".join(plain) + "\n")
    one, other = (list(trajectory.read(path)) for path in (folder / "production.lammpstrj", tmp_path / "plain"))
    assert [frame.step for frame in one] == [frame.step for frame in other] == list(steps)
    np.testing.assert_array_equal(one[3].positions, other[3].positions)
    trajectory.cut_dump(tmp_path / "plain", last.first + 100)
    assert [frame.step for frame in trajectory.read(tmp_path / "plain")] == [last.first, last.first + 50]


def test_a_record_says_what_the_trajectory_says(finished):
    job, folder = finished
    found = record.read(folder / "record.h5")
    frames = [f for f in trajectory.read(folder / "production.lammpstrj")][1:]
    again = structure.measure(frames, found.listed("atoms"), len(frames))
    np.testing.assert_array_equal(found.data["distances"], again.distances)
    np.testing.assert_array_equal(found.data["coordination"], again.coordination)
    for pair in found.pairs:
        np.testing.assert_allclose(found.g(pair)[1], again.g(pair)[1])
    # g(Si-O) integrates to the coordination number that is counted
    r, g = found.g(("Si", "O"))
    near = r < structure.CUTOFFS["Si"]
    shell = 4 / 3 * np.pi * ((r + 0.01) ** 3 - (r - 0.01) ** 3)
    oxygens = found.listed("atoms")["O"] / found.attributes["volume_angstrom3"]
    counts = found.data["coordination"][0].sum(0)  # blocks differ in frames, so their means do not just average
    assert (shell * g)[near].sum() * oxygens == pytest.approx(counts @ np.arange(13) / counts.sum())
    a = found.attributes
    assert (a["composition"], a["seed"], a["rate_K_ps"]) == (job.composition, 1, pytest.approx(2700.0))
    assert "extrapolation" in found.listed("warnings")[0]
    assert a["density_start_source"] == "Fluegel 2007"
    grams = sum(n * m for n, m in zip(found.listed("atoms").values(), (28.085, 10.81, 22.990, 65.38, 15.999)))
    assert a["density_g_cm3"] == pytest.approx(grams / 6.02214076e23 / a["volume_angstrom3"] * 1e24, rel=1e-6)
    # the self term, which the tables lack, is in the energy of an atom but not in the rows
    number = sum(found.listed("atoms").values())
    late = found.data["thermo"][-4:, 4].mean() / number
    own = tables.self_energy(quench.plan(job).field, found.listed("atoms")) / number
    assert a["potential_energy_eV_atom"] - own == pytest.approx(late, abs=1e-5) and own < -1
    assert all(data in found.data for data in ("angles", "boron", "thermo", "structure_factor", "final_positions"))
    assert "54SiO2-18B2O3-18Na2O-10ZnO" in record.summary(found) and "N4" in record.summary(found)


def test_a_resumed_run_goes_on_as_if_nothing_had_happened(tmp_path, short):
    """Energy, temperature and pressure of the first 0.1 ps after a restart in mid-quench, thermostat included."""
    job = make("fast", short, "test")
    middle = job.stages()[2].first + 500
    whole, cut = quench.Run(job, tmp_path / "whole"), quench.Run(job, tmp_path / "cut")
    for run in (whole, cut):
        run.open()
        while run.step < middle:
            run.advance()
    # both go on from a restart file written at the same step
    cut.save()
    cut.close()
    again = quench.Run(job, tmp_path / "cut")
    again.open()
    assert again.step == middle
    for run in (whole, again):
        run.advance()
        run.close()
    rows = [trajectory.read_table(run.folder / "thermo.txt")[-1] for run in (whole, again)]
    assert rows[0][0] == rows[1][0] == middle + 100
    np.testing.assert_allclose(rows[1][[1, 3, 4]], rows[0][[1, 3, 4]], rtol=1e-4)
    assert rows[1][2] == pytest.approx(rows[0][2], abs=2e-3 * np.abs(rows[0][2]) + 50)


def test_killed_at_the_ends_of_the_last_stages(tmp_path, short):
    """Where the relaxation ends another file takes the frames; and between the last step and the record."""
    job = make("fast", short, "test")
    last = job.stages()[-1]
    for until in (last.first, last.last):
        run = quench.Run(job, tmp_path)
        run.open()
        while run.step < until:
            run.advance()
        run.close()
        assert quench.saved_step(tmp_path) == until
    run = quench.Run(job, tmp_path)
    run.open()
    assert run.finished and run.seconds > 0
    run.close()
    record.finish(run, tmp_path / "r.h5", [])
    assert trajectory.steps(tmp_path / "quench.lammpstrj") == list(range(0, last.first + 1, 100))
    assert trajectory.steps(tmp_path / "production.lammpstrj") == list(range(last.first, last.last + 1, 50))


def test_what_a_run_cannot_go_on_with(finished, tmp_path):
    job, folder = finished
    for name in ("job.toml", "field.json", "thermo.txt", "quench.lammpstrj", "production.lammpstrj"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    (tmp_path / "state.json").write_text('{"step": 1600, "restart": "restart.1600", "seconds": 1.0}')
    with pytest.raises(quench.QuenchError, match=r"restart.1600 is missing.* at step 1600: put it back, or remove"):
        quench.Run(job, tmp_path).open()
    (tmp_path / "restart.1600").touch()
    lines = (tmp_path / "thermo.txt").read_text().splitlines(keepends=True)
    (tmp_path / "thermo.txt").write_text("".join(lines[:4] + lines[3:]))  # a row twice
    run = quench.Run(job, tmp_path)
    with pytest.raises(quench.QuenchError, match="holds 17 rows up to step 1600, expected 16: no record could be"):
        run.open()
    run.close()
    (tmp_path / "thermo.txt").write_text("".join(lines))
    dump = tmp_path / "quench.lammpstrj"
    frames = dump.read_text().split("ITEM: TIMESTEP")
    dump.write_text("ITEM: TIMESTEP".join(frames[:5] + frames[6:]))
    run = quench.Run(job, tmp_path)
    with pytest.raises(quench.QuenchError, match=r"quench.lammpstrj holds 16 frames up to step 1600, expected 17: no"):
        run.open()
    run.close()
    dump.unlink()
    run = quench.Run(job, tmp_path)
    with pytest.raises(quench.QuenchError, match=r"holds 0 frames .* expected 17: .*cannot be read: No such file"):
        run.open()
    run.close()


def test_restart_files_are_as_far_apart_as_asked_for(tmp_path, short, monkeypatch):
    """In ps: hot stages have steps of 2 fs, cold ones of 1 fs."""
    job = make("fast", {**short, "restart_time": 0.4, "melt_time": 1.0}, "test")
    run = quench.Run(job, tmp_path)
    saved = []
    monkeypatch.setattr(run, "save", lambda: saved.append(next(s.time(run.step) for s in run.stages
                                                               if s.first < run.step <= s.last)))
    run.open()
    while not run.finished:
        run.advance()
    run.close()
    ends = [stage.time(stage.last) for stage in run.stages]
    # the first sample of 0.2 or 0.1 ps that ends beyond each multiple of 0.4 ps, and the ends of the stages
    assert all(any(-1e-9 < time - 0.4 * k < 0.2 for time in saved) for k in range(1, int(ends[-1] / 0.4) + 1))
    assert len(saved) <= ends[-1] / 0.4 + len(ends) and all(any(abs(e - t) < 1e-9 for t in saved) for e in ends)


def test_what_a_run_goes_on_with_is_on_the_disk(tmp_path, short, monkeypatch):
    """Before the state that names the restart file."""
    synced, known = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(os.readlink(f"/proc/self/fd/{file}")) or known(file))
    run = quench.Run(make("fast", short, "test"), tmp_path)
    run.open()
    while not synced:
        run.advance()
    run.close()
    names = [Path(path).name for path in synced]
    assert names == [f"restart.{run.step}.part", "quench.lammpstrj", "thermo.txt", "state.json.part"]


@pytest.mark.parametrize("seed", [1, 2])
def test_scattered_sodium_does_not_run_through_its_repulsion(tmp_path, short, seed):
    """Cations repel each other by charge alone; without settling first this start ends in LAMMPS' error."""
    job = make("fast", {**short, "composition": "33.4SiO2-33.3B2O3-33.3Na2O", "atoms": 300, "seed": seed,
                        "melt_temperature": 3500.0, "disorder_time": 0.4}, "test")  # fmt: skip
    run = quench.Run(job, tmp_path)
    run.open()
    while run.step < job.stages()[0].last:
        run.advance()
    run.close()
    rows = trajectory.read_table(tmp_path / "thermo.txt")
    assert rows[:, 0].tolist() == [100, 200] and rows[:, 1].max() < 5000


def test_killed_at_five_random_times_in_mid_quench(tmp_path, short):
    """Final step, T(t) and pressure are as planned."""
    short |= {"rate": 300.0, "restart_time": 0.5, "relax_time": 4.0, "atoms": 450}  # 9 ps of quench
    job = make("fast", short, "test")
    (tmp_path / "job.toml").write_text(dump_toml(job))
    cooling, folder = job.stages()[2], tmp_path / "run"
    seed = random.randrange(2**32)
    print(f"seed of the kills: {seed}")  # shown when the test fails
    targets = sorted(random.Random(seed).sample(range(cooling.first + 500, cooling.last - 500), 5))
    resumed = []
    for target in targets:
        process = start(tmp_path, "quench", "--config", "job.toml", "--out", folder)
        deadline = time.monotonic() + 100
        while reached(folder) < target:
            assert process.poll() is None and time.monotonic() < deadline, process.communicate()[0]
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        resumed.append(quench.saved_step(folder))
        assert not (folder / "record.h5").exists() and cooling.first <= resumed[-1] <= cooling.last
    process = start(tmp_path, "quench", "--config", "job.toml", "--out", folder)
    text, _ = process.communicate(timeout=200)
    assert process.returncode == COMPLETE, text
    found = record.read(folder / "record.h5")
    rows = trajectory.read_table(folder / "thermo.txt")
    last = job.stages()[-1].last
    assert rows[:, 0].tolist() == list(range(100, last + 1, 100)) and found.attributes["steps"] == last
    assert found.attributes["forces"] == "compiled"
    frames = [frame.step for frame in trajectory.read(folder / "quench.lammpstrj")]
    assert frames == list(range(0, job.stages()[-1].first + 1, 100))
    # rows are means over 0.2 ps; a thermostat of 0.1 ps lags behind the ramp by its damping
    part = rows[(rows[:, 0] > cooling.first) & (rows[:, 0] <= cooling.last)]
    planned = np.array([cooling.temperature(step - 50) for step in part[:, 0]])
    off = part[:, 1] - planned
    # a whole kinetic energy fluctuates by sqrt(2/3N) = 10 % with 60 atoms, 4 % with 450
    blocks = (off / planned).reshape(9, -1).mean(1)
    assert np.abs(blocks).max() < 0.12 and abs(blocks.mean()) < 0.04
    slope = np.polyfit([cooling.time(step) for step in part[:, 0]], part[:, 1], 1)[0]
    assert slope == pytest.approx(-300.0, rel=0.08)
    relax = job.stages()[-2]
    pressure = rows[(rows[:, 0] > relax.first + 1000) & (rows[:, 0] <= relax.last), 2] / 1e4
    error = pressure.reshape(6, -1).mean(1).std(ddof=1) / 6**0.5
    assert abs(pressure.mean()) < max(4 * error, 0.5), "1 bar is nothing beside the fluctuations, in GPa"


def test_wall_time_stops_cleanly_and_the_run_goes_on(tmp_path, short):
    short |= {"melt_time": 1000.0}
    (tmp_path / "job.toml").write_text(dump_toml(make("fast", short, "test")))
    words = ("quench", "--config", "job.toml", "--out", "run", "--margin", 0, "--wall-time", 0.03)
    steps = []
    for _ in range(2):
        process = start(tmp_path, *words)
        text, _ = process.communicate(timeout=100)
        assert process.returncode == STOPPED and "stopped (wall time" in text, text
        assert ("resumed" in text) == bool(steps) and (not steps or f"resumed   at step {steps[0]:,} of" in text)
        steps.append(quench.saved_step(tmp_path / "run"))
    assert 0 < steps[0] < steps[1]
    assert len(list((tmp_path / "run").glob("restart.*"))) == 1


def test_an_unfinished_folder_is_not_measured(finished, tmp_path):
    job, folder = finished
    run = quench.Run(job, folder)
    run.folder = tmp_path
    for name in ("thermo.txt", "quench.lammpstrj", "production.lammpstrj"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    last, rows = run.last_step, run.last_step // job.sample_steps
    trajectory.cut_dump(tmp_path / "production.lammpstrj", last - 100)
    with pytest.raises(RecordError, match=rf"holds \d frames of production, {rows} rows .* expected 10, {rows} and"):
        record.finish(run, tmp_path / "r.h5", [])
    (tmp_path / "production.lammpstrj").write_bytes((folder / "production.lammpstrj").read_bytes())
    trajectory.cut_dump(tmp_path / "quench.lammpstrj", 1000)
    with pytest.raises(RecordError, match=r"and 10 frames of the quench, expected .* and 17: remove this folder"):
        record.finish(run, tmp_path / "r.h5", [])
    (tmp_path / "quench.lammpstrj").unlink()
    with pytest.raises(RecordError, match=r"quench.lammpstrj cannot be read: No such file.* Remove this folder"):
        record.finish(run, tmp_path / "r.h5", [])
    assert not list(tmp_path.glob("*r.h5*"))


def test_a_folder_that_lammps_cannot_name_is_refused(tmp_path, short):
    with pytest.raises(TableError, match="white space"):
        quench.Run(make("fast", short, "test"), tmp_path / "my glass")


def test_a_folder_of_other_settings_or_in_use_is_refused(tmp_path, short):
    job = make("fast", short, "test")
    quench.Run(job, tmp_path)
    with pytest.raises(quench.QuenchError, match="other settings"):
        quench.Run(dataclasses.replace(job, seed=2), tmp_path)
    with locked(tmp_path):
        text = start(tmp_path, "quench", "--atoms", 60, "--out", tmp_path).communicate(timeout=60)[0]
    assert f"is in use (host {os.uname().nodename}, process {os.getpid()}" in text


def test_a_force_field_that_is_edited_during_a_run_is_refused(tmp_path, short):
    own, folder = tmp_path / "mine.toml", tmp_path / "run"
    text = 'base = "bmp-shrm-smooth"\ntitle = "{}"\n'
    own.write_text(text.format("mine"))
    job = make("fast", {**short, "field": str(own)}, "test")
    run = quench.Run(job, folder)
    own.write_text(text.format("mine") + "[coulomb]\ndamping = 0.2\ncutoff = 7.0\n")
    run = quench.Run(job, folder)  # nothing was made yet by the former numbers
    own.write_text(text.format("other words"))
    run = quench.Run(job, folder)
    run.open()
    run.advance()
    run.save()
    run.close()
    own.write_text(text.format("mine"))
    assert quench.Run(job, folder).plan.field.damping == run.plan.field.damping, "the words may change"
    own.write_text(text.format("mine") + "[coulomb]\ndamping = 0.2\ncutoff = 7.0\n")
    kept = (folder / "field.json").read_text()
    with pytest.raises(quench.QuenchError, match=r"other numbers of the force field mine: dsf damping is 0\.\d+, "
                       r"asked for 0\.2; dsf cutoff is 8\.0, asked for 7\.0\. Undo the change"):  # fmt: skip
        quench.Run(job, folder)
    assert (folder / "field.json").read_text() == kept
    # a run that was begun before the numbers were kept goes on
    (folder / "field.json").unlink()
    own.write_text(text.format("mine"))
    run = quench.Run(job, folder)
    run.open()
    assert run.step == 100
    run.close()
    assert (folder / "field.json").read_text() == kept


def test_atoms_without_a_place_are_named(tmp_path, short):
    job = make("fast", {**short, "overlap": 2.2}, "test")
    run = quench.Run(job, tmp_path)
    with pytest.raises(quench.QuenchError, match=r"only \d+ of 60 atoms found a place 2.2 Å from all others"):
        run.open()
    run.close()
    with pytest.raises(quench.QuenchError, match=r"overlap 3 Å leaves no room for 60 atoms in a box of 9.68 Å: lower"):
        quench.plan(make("fast", {**short, "overlap": 3.0}, "test"))


DESIGN = """
seeds = [1, 2]
{settings}
[[glass]]
composition = "SiO2"
"""


def test_a_campaign_is_made_once_and_shown(tmp_path, short, capsys):
    design = tmp_path / "design.toml"
    settings = "\n".join(f"{key} = {value}" for key, value in short.items())
    design.write_text(DESIGN.format(settings='protocol = "fast"\n' + settings))
    out = tmp_path / "out"
    assert main(["campaign", str(design), "--out", str(out), "--dry-run"]) == COMPLETE
    assert "2 of 1 compositions, 60 to 60 atoms" in capsys.readouterr().out and not out.exists()
    assert main(["campaign", str(design), "--out", str(out), "--share", "2/2"]) == COMPLETE
    assert [path.name for path in out.glob("*.h5")] == ["SiO2_fast_n60_s2.h5"]
    assert main(["campaign", str(design), "--out", str(out)]) == COMPLETE
    text = capsys.readouterr().out
    assert "finished SiO2_fast_n60_s1: 2 of 2 glasses" in text and "complete: all 2 glasses" in text
    work = out / "runs/SiO2_fast_n60_s1"
    assert {path.name for path in work.iterdir()} == {
        "field.json", "job.toml", "lock", "log.lammps", "production.lammpstrj.gz", "quench.lammpstrj.gz", "state.json",
        "thermo.txt", "three_body_1.sw", "three_body_2.sw"}
    stamps = [path.stat().st_mtime_ns for path in sorted(out.glob("*.h5"))]
    assert main(["campaign", str(design), "--out", str(out)]) == COMPLETE
    assert [path.stat().st_mtime_ns for path in sorted(out.glob("*.h5"))] == stamps
    capsys.readouterr()
    assert main(["status", str(design), "--out", str(out), "--json"]) == COMPLETE
    rows = json.loads(capsys.readouterr().out)
    assert [row["state"] for row in rows] == ["done", "done"]
    # the estimate is now the measured speed
    seconds = [record.attributes(path)["integration_seconds"] for path in out.glob("*.h5")]
    assert min(seconds) * 0.99 <= rows[0]["cost_seconds"] <= max(seconds) * 1.01
    assert main(["show", str(out / "SiO2_fast_n60_s1.h5")]) == COMPLETE
    assert "bonds     Si-O" in capsys.readouterr().out


@pytest.mark.parametrize(("words", "code", "message"), [
    (["quench", "--composition", "60SiO2-30B2O3"], USAGE, "add up to 90; expected 100"),
    (["quench", "--composition", "60SiO2-20B2O3-20Xx"], USAGE, "unknown oxide 'Xx'"),
    (["quench", "--composition", "60SiO2-20B2O3-20Na2O", "--field", "pmmcs"], USAGE, "pmmcs has no B"),
    (["quench", "--rate", "-3"], USAGE, "rate -3; expected a number above 0"),
    (["quench", "--melt-time", "1e300", "--dry-run"], USAGE, "steps in all; expected at most 1e+12"),
    (["quench", "--rate", "1e-300", "--dry-run"], USAGE, "steps in all; expected at most 1e+12"),
    (["quench", "--frame-time", "1e-9", "--dry-run"], USAGE, "frame_time 1e-09 ps; expected at least a timestep"),
    (["quench", "--forces", "compiled", "--atoms", "60", "--dry-run"], USAGE, "compiled forces serve one process"),
    (["quench", "--thermostat", "0.001"], USAGE, "thermostat 0.001 ps; expected at least 10 timesteps"),
    (["quench", "--sample-time", "1000"], USAGE, "rate 25 K/ps would be 1.6, since stages are whole numbers of"),
    (["quench", "--composition", "70SiO2-30K2O", "--dry-run"], USAGE, "no molar volume of K2O is known to begin with"),
    (["quench", "--config", "none.toml"], USAGE, "none.toml: cannot be read"),
    (["campaign", "none.toml"], USAGE, "none.toml: cannot be read"),
    (["show", "none.h5"], ERROR, "none.h5 cannot be read"),
    (["melt"], USAGE, "command 'melt' is unknown"),
    (["design", "here.toml"], USAGE, "here.toml exists already"),
])
def test_bad_input_gets_one_line(tmp_path, monkeypatch, capsys, words, code, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here.toml").touch()
    assert main(words) == code
    error = capsys.readouterr().err
    assert message in error and error.startswith("error: ") and error.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["here.toml"]


def test_a_finished_glass_of_other_settings_is_no_answer(finished, tmp_path, capsys):
    job, folder = finished
    settings = tmp_path / "job.toml"
    settings.write_text(dump_toml(job))
    asked = ["quench", "--config", str(settings), "--out", str(folder)]
    assert main(asked) == COMPLETE and "complete already" in capsys.readouterr().out
    assert main([*asked, "--composition", " 54 SiO2 - 18B2O3-18Na2O-10ZnO", "--restart-time", "9"]) == COMPLETE
    capsys.readouterr()
    assert main([*asked, "--rate", "100", "--seed", "7", "--composition", "80SiO2-20BaO"]) == ERROR
    error = capsys.readouterr().err
    assert "rate is 2700, asked for 100; " in error and "seed is 1, asked for 7" in error and "another --out" in error
    assert "composition is 54SiO2-18B2O3-18Na2O-10ZnO, asked for 80SiO2-20BaO" in error and error.count("\n") == 1
    # numbers of the force field, not the words of its file
    own = tmp_path / f"{job.field}.toml"
    text = (ROOT / f"hpctools/glasses/fields/{job.field}.toml").read_text()
    own.write_text('base = "bmp-shrm"\nnote = "other words"\n' + text[text.index("[three_body]"):])
    assert main([*asked, "--field", str(own)]) == COMPLETE
    own.write_text(own.read_text().replace("0.418", "0.419"))
    capsys.readouterr()
    assert main([*asked, "--field", str(own)]) == ERROR
    assert "the numbers of the force field bmp-shrm-smooth have changed" in capsys.readouterr().err


def test_a_finished_campaign_of_another_design_is_no_answer(finished, tmp_path, short, capsys):
    folder = finished[1]
    values = {**short, "atoms": 90}
    text = 'protocol = "fast"\n{}\n[[glass]]\ncomposition = "54SiO2-18B2O3-18Na2O-10ZnO"\n'
    design = tmp_path / "d.toml"
    product = tmp_path / "54SiO2-18B2O3-18Na2O-10ZnO_fast_n90_s1.h5"
    product.write_bytes((folder / "record.h5").read_bytes())
    design.write_text(text.format("\n".join(f"{key} = {value}" for key, value in values.items())))
    assert main(["campaign", str(design), "--out", str(tmp_path)]) == COMPLETE
    assert "complete: all 1 glasses" in capsys.readouterr().out
    values["rate"] = 2000.0
    design.write_text(text.format("\n".join(f"{key} = {value}" for key, value in values.items())))
    asked = [str(design), "--out", str(tmp_path)]

    def refused(words):
        assert main(["campaign", *asked]) == ERROR
        error = capsys.readouterr().err
        assert main(["status", *asked]) == COMPLETE
        table = capsys.readouterr().out
        for word in words:
            assert word in error and word in table and "Traceback" not in error
        assert "1 failed" in table and error.count("\n") == 1

    refused(["rate is 2700, asked for 2000", "another --out"])
    product.write_bytes((folder / "record.h5").read_bytes()[:9000])  # cut off
    refused([f"{product} cannot be read", "move it away"])
    assert main(["show", str(product)]) == ERROR


def test_a_damaged_record_is_made_again_from_what_its_run_left(finished, tmp_path, short, capsys):
    design, out = tmp_path / "d.toml", tmp_path / "out"
    settings = "\n".join(f"{key} = {value}" for key, value in {**short, "atoms": 90}.items())
    design.write_text(f'protocol = "fast"\n{settings}\n[[glass]]\ncomposition = "54SiO2-18B2O3-18Na2O-10ZnO"\n')
    asked = ["campaign", str(design), "--out", str(out)]
    product = out / "54SiO2-18B2O3-18Na2O-10ZnO_fast_n90_s1.h5"
    work = out / "runs" / product.stem
    shutil.copytree(finished[1], work)
    (work / "record.h5").unlink()
    campaign.tidy(work)
    assert not list(work.glob("restart.*")) and not list(work.glob("*.lammpstrj"))
    log = (work / "log.lammps").stat().st_size
    product.write_bytes(b"damaged")
    assert main(asked) == ERROR and "move it away; the glass is then measured again" in capsys.readouterr().err
    product.unlink()
    assert main(asked) == COMPLETE
    assert (work / "log.lammps").stat().st_size == log, "nothing was integrated"
    again, before = record.read(product), record.read(finished[1] / "record.h5")
    for name, values in before.data.items():
        np.testing.assert_array_equal(again.data[name], values, err_msg=name)
    assert again.attributes["integration_seconds"] == before.attributes["integration_seconds"]
    # nor is a damaged trajectory made up for
    product.unlink()
    packed = work / "production.lammpstrj.gz"
    packed.write_bytes(packed.read_bytes()[:5000])
    capsys.readouterr()
    assert main(asked) == ERROR
    assert "is not a whole run: " in (error := capsys.readouterr().err) and "Remove this folder" in error


def test_records_that_are_not_whole_are_named(finished, tmp_path):
    import h5py

    path = tmp_path / "record.h5"
    for change, words in (
        (lambda file: file.attrs.__setitem__("schema", 9), "has the format .*9.* expected 1: it is of another version"),
        (lambda file: file.attrs.__delitem__("pairs"), "is not a whole record: it lacks attribute pairs$"),
        (lambda file: file.__delitem__("distances"), "it lacks data set distances$"),
    ):  # fmt: skip
        path.write_bytes((finished[1] / "record.h5").read_bytes())
        with h5py.File(path, "r+") as file:
            change(file)
        with pytest.raises(RecordError, match=words):
            record.read(path)


def test_the_shipped_records_are_those_of_the_shipped_design():
    from hpctools.glasses import curves, design, identity

    jobs = {glass.name: glass.job for glass in design.read(ROOT / "hpctools/data/glasses/design.toml")}
    paths = sorted(curves.LIBRARY.glob("*.h5"))
    assert len(paths) >= 8
    for path in paths:
        found = record.attributes(path)
        assert not identity.differences(found, jobs[path.stem], quench.plan(jobs[path.stem]).field), path


def test_designs_that_cannot_be(tmp_path, capsys):
    design = tmp_path / "d.toml"
    two = '[[glass]]\ncomposition = "SiO2"\n[[glass]]\ncomposition = "SiO2"\nrate = 50.0\n'
    for text, message in ((two, "SiO2_s1 stands there twice, with rate 25.0 and 50.0"),
                          ("glass = [1, 2]", "glass: found 1"),
                          ('protocol = ["fast"]\n' + two, "protocol: found ['fast']"),
                          (two + 'label = "a b"', "label: found 'a b'"),
                          (two + "seed = 4", "seed = 4: expected seeds, a list of whole numbers")):  # fmt: skip
        design.write_text(text)
        assert main(["campaign", str(design), "--out", str(tmp_path / "o"), "--dry-run"]) == USAGE
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1
    design.write_text(two + 'label = "quick"')
    assert main(["campaign", str(design), "--out", str(tmp_path / "o"), "--dry-run"]) == COMPLETE
    assert "SiO2_quick_s1" in capsys.readouterr().out
    assert main(["campaign", str(design), "--out", str(tmp_path / "o"), "--share", "3/8"]) == COMPLETE
    assert "no glasses in this share" in capsys.readouterr().out and not (tmp_path / "o").exists()


def test_no_more_blocks_than_glasses(tmp_path, monkeypatch, capsys):
    design = tmp_path / "d.toml"
    design.write_text('seeds = [1, 2]\n[[glass]]\ncomposition = "SiO2"\n')
    script = str(ROOT / "jobs/glass_campaign.py")
    monkeypatch.setattr(sys, "argv", [script, str(design), "--dry-run", "--out", str(tmp_path / "o"), "--jobs", "8",
                                      "--retry", "--keep"])
    assert runpy.run_path(script)["main"]() == COMPLETE
    text = capsys.readouterr().out
    assert text.count("--retry --keep --share") == 2 and "--share 2/2" in text


def test_folders_and_files_that_cannot_be(tmp_path, short, capsys):
    file = tmp_path / "file"
    file.touch()
    design = tmp_path / "d.toml"
    design.write_text('[[glass]]\ncomposition = "SiO2"\natoms = 60\n')
    for asked in (["quench", "--atoms", "60", "--out", "/proc/foo"], ["quench", "--atoms", "60", "--out", str(file)],
                  ["campaign", str(design), "--out", f"{file}/x"], ["design", str(tmp_path / "none/a.toml")]):
        assert main(asked) == USAGE, asked
        error = capsys.readouterr().err
        assert re.search("cannot be (used|written)", error) and error.count("\n") == 1
    for asked in (["quench", "--dry-run"], ["campaign", str(design), "--dry-run"]):
        assert main([*asked, "--out", str(tmp_path / "my glass")]) == ERROR
        assert "white space" in capsys.readouterr().err
    for more in ([], ["--dry-run"]):
        assert main(["quench", "--atoms", "60", "--wall-time", "-5", "--out", str(tmp_path / "new"), *more]) == USAGE
        assert "wall time -5; expected minutes, 0 or more" in capsys.readouterr().err


def test_a_state_that_is_cut_off(tmp_path, short, capsys):
    job = make("fast", short, "test")
    quench.Run(job, tmp_path / "run")
    (tmp_path / "run/state.json").write_text('{"step": 10')
    assert quench.saved_step(tmp_path / "run") == 0
    (tmp_path / "job.toml").write_text(dump_toml(job))
    assert main(["quench", "--config", str(tmp_path / "job.toml"), "--out", str(tmp_path / "run")]) == ERROR
    assert "state.json is not whole" in capsys.readouterr().err


def test_pieces_of_a_sample_leave_the_same_rows(tmp_path, short, monkeypatch):
    """Looked at every few steps, stopped, resumed, killed and resumed within sample_times: rows, frames and steps as
    planned."""
    monkeypatch.setattr(quench, "PIECE", 1e-9)
    job = make("fast", short, "test")
    rng = np.random.default_rng(0)
    run = quench.Run(job, tmp_path / "run")
    run.open()
    stops = [150, 610, job.stages()[-1].first + 33, 10**9]
    for stop in stops:
        while run.step < min(stop, run.last_step):
            run._speed = 1e9 * rng.integers(7, 60)
            before = run.step
            run.advance()
            assert 0 < run.step - before < 60 and run.step // 100 <= before // 100 + 1
        if not run.finished:
            run.save()
            run.close()
            saved = run.step
            assert saved % 100, "stopped within a sample_time"
            for killed in (True, False):
                run = quench.Run(job, tmp_path / "run")
                run.open()
                assert run.step == saved
                if killed:  # after rows and frames that the restart file knows nothing of
                    while run.step < saved + 140:
                        run.advance()
                    run.close()
    run.close()
    record.finish(run, tmp_path / "r.h5", [])
    rows = trajectory.read_table(tmp_path / "run/thermo.txt")
    last = job.stages()[-1].last
    assert rows[:, 0].tolist() == list(range(100, last + 1, 100))
    frames = [frame.step for frame in trajectory.read(tmp_path / "run/production.lammpstrj")]
    assert frames == list(range(job.stages()[-1].first, last + 1, 50))
    cooling = job.stages()[2]
    part = rows[(rows[:, 0] > cooling.first) & (rows[:, 0] <= cooling.last)]
    assert part[-1, 1] < part[0, 1] - 1000


def test_the_benchmark_counts_what_was_done(tmp_path, short, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tests/benchmarks"))
    from glass_overhead import Result, measure

    job = make("fast", {**short, "melt_time": 0.8, "sample_time": 0.02, "frame_time": 0.02}, "test")
    found = measure(job, 2, tmp_path)
    assert found.steps.tolist() == [[100, 100]] * 2 and (found.seconds > 0).all()
    rows = [trajectory.read_table(tmp_path / name / "thermo.txt")[:, 0].tolist() for name in ("toolkit", "plain")]
    first = job.stages()[1].first + 20
    assert rows[1] == list(range(first + 20, first + 301, 20)) == rows[0][-15:], "both wrote all their rows"
    assert trajectory.steps(tmp_path / "plain/frames.lammpstrj") == trajectory.steps(
        tmp_path / "toolkit/quench.lammpstrj")[-16:]
    made_up = Result(10, np.array([[2.0, 1.0], [1.0, 1.0], [4.0, 3.0]]), np.full((3, 2), 20))
    assert made_up.median()[0] == pytest.approx(0.25) and made_up.rates == pytest.approx((100.0, 200.0))
    with pytest.raises(ValueError, match="the melt has 400 steps, expected at least 156 sample_times"):
        measure(job, 30, tmp_path / "more")


def test_plans_say_what_will_be(tmp_path, capsys):
    asked = ["quench", "--dry-run", "--out", str(tmp_path / "o"), "--protocol", "fast", "--atoms", "60"]
    assert main([*asked, "--rate", "3000"]) == COMPLETE
    text = capsys.readouterr().out
    # 3200 K in 1.07 ps, rounded up to 2 ps
    assert "at 1600 K/ps (asked for 3000" in text and "shorter than twice the cut-off of 8 Å" in text
    # K = 8 as asked, 8.1 in whole formula units
    assert main([*asked, "--composition", "80SiO2-10B2O3-10Na2O"]) == COMPLETE
    assert "asked for" not in capsys.readouterr().out
    assert main([*asked, "--composition", "81SiO2-10B2O3-9Na2O"]) == USAGE
    assert "K = 8.1" in capsys.readouterr().err
    assert main([*asked, "--composition", "20SiO2-80Na2O"]) == COMPLETE
    assert "probably outside its range" in capsys.readouterr().out
    for value in ("nan", "inf", "1e12"):
        assert main([*asked, "--pressure", value]) == USAGE
        assert f"pressure {float(value):g} bar" in capsys.readouterr().err


def test_packmol_is_missed_before_a_folder_is_made(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("hpctools.glasses.packmol.find", lambda: None)
    out = tmp_path / "o"
    assert main(["quench", "--start", "packmol", "--atoms", "60", "--out", str(out)]) == ERROR
    assert "there is no packmol" in capsys.readouterr().err and not out.exists()


def test_means_weigh_blocks_by_their_frames(finished):
    found = record.read(finished[1] / "record.h5")
    counts = np.zeros((4, 13), int)
    counts[:, 3], counts[0, 4] = (0, 1, 1, 1), 9
    boron = found.listed("cations").index("B")
    found.data["coordination"][boron] = counts
    assert found.n4() == pytest.approx(9 / 12) and found.coordination("B") == pytest.approx(3.75)


def test_errors_from_blocks_are_those_of_independent_counts(finished):
    """Counts of Poisson's law: the variance that blocks show is that of the mean, with blocks of unlike length too."""
    found = record.read(finished[1] / "record.h5")
    pair = ("Si", "O")
    r, g, _ = found.g_with_error(pair)
    np.testing.assert_allclose(g, found.g(pair, 5)[1])
    np.testing.assert_allclose(r, found.g(pair, 5)[0])
    joined = found.g_with_error(pair, 4)
    np.testing.assert_allclose(joined[1], found.g(pair, 20)[1])
    rng = np.random.default_rng(5)
    row, frames = found.pairs.index(pair), np.array([5, 5, 5, 5])
    found.data["block_frames"] = frames
    expected, ratios = np.full(100, 400.0), []
    for _ in range(20):
        found.data["block_distances"] = rng.poisson(expected, (len(found.pairs), 4, 100))
        _, g, error = found.g_with_error(pair)
        norm = g / found.data["block_distances"][row].sum(0)  # g of one count in all blocks
        ratios.append(np.mean(error**2 / (norm**2 * 4 * expected)))
    # mean of 2000 variances from 4 blocks each: known to sqrt(2/3/2000) = 2 %
    assert np.mean(ratios) == pytest.approx(1, abs=0.08)
    found.data["block_frames"], found.data["block_distances"] = np.array([9, 1, 0, 0]), np.zeros((10, 4, 100), int)
    found.data["block_distances"][row, :2, 50] = 9, 3
    _, g, error = found.g_with_error(pair)
    # g of the blocks is 1 and 3 in units of one count a frame: mean 1.2, squares 0.9² 0.2² + 0.1² 1.8², times 2
    assert error[50] / g[50] == pytest.approx((2 * (0.81 * 0.04 + 0.01 * 3.24)) ** 0.5 / 1.2)


def test_errors_of_ratios_from_blocks(finished):
    found = record.read(finished[1] / "record.h5")
    boron = found.listed("cations").index("B")
    counts = np.zeros((4, 13), int)
    counts[:, 4], counts[:, 3] = (4, 5, 6, 9), (6, 5, 4, 1)
    found.data["coordination"][boron] = counts
    shares = np.array([0.4, 0.5, 0.6, 0.9])
    assert found.block_error(lambda r: r.n4()) == pytest.approx(shares.std(ddof=1) / 2)
    assert found.block_error(lambda r: r.coordination("B")) == pytest.approx(shares.std(ddof=1) / 2)
    sums = found.data["angle_sums"][found.listed("triplets").index("O-Si-O")]
    sums[:, 0], sums[:, 1] = (100.0, 110.0, 105.0, 115.0), 1.0
    own = np.std((100, 110, 105, 115), ddof=1) / 2
    assert found.block_error(lambda r: r.mean_angle("O-Si-O")) == pytest.approx(own)
    for whole in (lambda r: r.first_peak(("Si", "O")), lambda r: r.attributes["density_g_cm3"]):
        assert np.isnan(found.block_error(whole)), "not kept by block"
    found.data["block_frames"] = np.array([2, 0, 0, 0])
    assert np.isnan(found.block_error(lambda r: r.n4())) and np.isnan(found.g_with_error(("Si", "O"))[2]).all()


def test_an_edge_is_no_peak(finished):
    found = record.read(finished[1] / "record.h5")
    distances = found.data["distances"][found.pairs.index(("Si", "O"))]
    distances[:] = 0
    distances[99:102] = 200, 80, 20  # g falls from 2 Å on
    assert np.isnan(found.first_peak(("Si", "O"), low=2.0, high=3.0))
    assert found.first_peak(("Si", "O"), low=1.9, high=3.0) == pytest.approx(1.995, abs=0.01)


def test_start_by_packmol(tmp_path, short):
    """No two atoms nearer than the overlap, across the boundaries too; the counts are right."""
    from hpctools.glasses.packmol import PackmolError, find, pack

    if find() is None:
        pytest.skip("no packmol here: pip install packmol")
    atoms, length = {"Si": 20, "O": 40}, 10.0
    points = pack(atoms, length, 1.5, 7, tmp_path)
    assert points.shape == (60, 3)
    apart = points[:, None] - points
    apart -= length * np.round(apart / length)
    assert np.linalg.norm(apart, axis=2)[~np.eye(60, dtype=bool)].min() > 1.49
    job = make("fast", {**short, "start": "packmol"}, "test")
    run = quench.Run(job, tmp_path / "run")
    run.open()
    with Stop():
        run.advance()
    run.close()
    assert reached(tmp_path / "run") == 100
    with pytest.raises(PackmolError, match=r"found no positions for 4 atoms 2.5 Å apart.*packmol.log"):
        pack({"Si": 4}, 3.0, 2.5, 7, tmp_path)
