"""Memory functions of real states and CSV files from the command line: files, campaign, resume, figures, errors."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hpctools import stop
from hpctools.liquids import __main__ as program
from hpctools.liquids import memory
from hpctools.liquids.memory.measured import mct_answer, of_csv, of_record
from hpctools.liquids.memory.product import MemoryFile
from hpctools.liquids.record import Record

ROOT = Path(__file__).parents[2]
STATES = ROOT / "hpctools" / "data" / "liquids" / "validation"
WARM = STATES / "LJ-rho1.2-T2-seed1.h5"
QUICK = ["--n-exp", "2", "--restarts", "1", "--population", "8"]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The memory functions of one real state, made as a campaign that is stopped at once, then goes on."""
    folder = tmp_path_factory.mktemp("memory")
    states, out = folder / "states", folder / "results"
    states.mkdir()
    shutil.copy(WARM, states)
    words = ["memory", "--all", str(states), "--out", str(out), *QUICK]
    assert program.main([*words, "--wall-time", "0.002"]) == stop.STOPPED
    assert not list(out.glob("*.h5"))
    assert program.main(words) == stop.COMPLETE
    assert program.main([*words, "--status"]) == stop.COMPLETE
    return out


def test_real_state(results: Path):
    """Two exponentials describe F_s of the simulation within its errors, one does not; the file gives it all back."""
    file = MemoryFile.load(results / WARM.name)
    assert (file.chi_square[1] < 1.5).all() and (file.chi_square[0] > 4).all()
    measured = of_record(Record.load(WARM))
    for species in (0, 1):
        F = memory.solve(file.attributes["omega2"][species], file.memory(2, species), file.t).F
        np.testing.assert_allclose(F, file.fit[1, species], atol=3e-4)
        np.testing.assert_allclose(measured.F[:, species], file.F[:, species])
    np.testing.assert_allclose(file.attributes["D_0"], 0.1 * measured.omega2 / measured.k**2)
    assert np.isfinite(file.mct_M).all()


def test_inversion_of_a_real_state():
    """Where F_s is no longer ballistic, the inversion finds the M of the evolution."""
    measured = of_record(Record.load(STATES / "LJ-rho1.2-T0.8-seed1.h5"))
    assert measured.error is not None
    curve = {"omega2": measured.omega2[0], "F0": 1.0, "error": measured.error[:, 0]}
    evolved = memory.evolve(measured.t, measured.F[:, 0], restarts=1, **curve)
    inverted = memory.invert(measured.t, measured.F[:, 0], **curve)
    late = (measured.t > 0.3) & (measured.t < 5.0)
    np.testing.assert_allclose(inverted.M[late], evolved.memory(measured.t[late]), rtol=0.25)


def test_mode_coupling_memory_belongs_to_its_curve():
    """F_s of the theory solves the memory equation with Ω² = k² k_B T/m and M = Ω² m_s."""
    measured = of_record(Record.load(WARM))
    t = np.geomspace(0.002, 5.0, 150)
    F, M = mct_answer(measured, t)
    omega2 = measured.k**2 * measured.temperature
    for species in (0, 1):
        np.testing.assert_allclose(memory.solve(omega2, M[:, species], t).F, F[:, species], atol=1e-3)


def test_figures(results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    """The script prints its tables and writes its figures."""
    monkeypatch.syspath_prepend(str(ROOT / "analysis"))
    spec = importlib.util.spec_from_file_location("liquid_memory", ROOT / "analysis" / "liquid_memory.py")
    assert spec and spec.loader
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    table = tmp_path / "t_mct.csv"
    table.write_text("potential,density,grid,t_mct\nLJ,1.2,0.2,0.5\n")
    monkeypatch.setattr(sys, "argv", ["x", str(results), "--figures", str(tmp_path), "--t-mct", str(table)])
    script.main()
    printed = capsys.readouterr().out
    assert " 4.00 | A |" in printed  # T/T_mct with the table's T_mct
    for name in ("fig6", "fig7", "forms", "schematic"):
        assert (tmp_path / f"memory_{name}.png").stat().st_size > 10_000


def test_results_of_other_settings_are_not_taken_for_done(results: Path, capsys: pytest.CaptureFixture):
    words = ["memory", "--all", str(results.parent / "states"), "--out", str(results), *QUICK]
    assert program.main(words) == stop.COMPLETE
    assert program.main([*words, "--seed", "7"]) in (stop.ERROR, stop.USAGE)
    assert "was made with other settings" in capsys.readouterr().err


def test_a_peak_that_moves_begins_a_state_anew(results: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    """k_p is smoothed over the library: with more states it moves, and what was begun at the former one is left."""
    states, out = tmp_path / "states", tmp_path / "results"
    shutil.copytree(results.parent / "states", states)
    words = ["memory", "--all", str(states), "--out", str(out), *QUICK]
    assert program.main([*words, "--wall-time", "0.002"]) == stop.STOPPED
    for name in ("LJ-rho1.2-T1-seed1.h5", "LJ-rho1.2-T0.8-seed1.h5"):
        shutil.copy(STATES / name, states)
    assert program.main(words) == stop.COMPLETE
    moved = [MemoryFile.load(folder / WARM.name).attributes["k"] for folder in (results, out)]
    assert moved[0] != moved[1] and len(list(out.glob("*.h5"))) == 3


def test_csv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    """A curve from a CSV file, with a known M."""
    t = np.geomspace(0.004, 50.0, 40)
    known = memory.StretchedSum(0.0, [300.0, 60.0], [0.05, 3.0], [1.6, 0.6])
    F = memory.solve(42.0, known, t, block=256).F
    path = tmp_path / "curve.csv"
    path.write_text("t,F,error\n0,2,1e-9\n" + "".join(f"{a},{2 * b},2e-4\n" for a, b in zip(t, F)))
    words = ["memory", str(path), "--omega2", "42", "--out", str(tmp_path / "out"), "--no-schematic", *QUICK]
    assert program.main(words) == stop.COMPLETE
    assert "| A | 2 |" in capsys.readouterr().out
    file = MemoryFile.load(tmp_path / "out" / "curve.h5")
    np.testing.assert_allclose(file.memory(2, 0).v, known.v, rtol=0.05)
    # figures and tables of curves, which have no T/T_mct
    monkeypatch.syspath_prepend(str(ROOT / "analysis"))
    import liquid_memory

    monkeypatch.setattr(sys, "argv", ["liquid_memory.py", str(tmp_path / "out"), "--figures", str(tmp_path)])
    liquid_memory.main()
    assert "curve: k = nan" in capsys.readouterr().out and (tmp_path / "memory_forms_curve.png").exists()
    assert program.main(words) == stop.ERROR
    assert "is there already" in capsys.readouterr().err


@pytest.mark.parametrize(("text", "message"), [
    ("t,F\n1,2\n2,x\n", "line 3: found '2,x'; expected t,F or t,F,error"),
    ("1,2\n2,1,0.1\n", "line 2: 3 columns; the lines before have 2"),
    ("1,2\n", "1 lines of numbers; expected 4 or more"),
    ("t,F\n0,1\n1,0.5\nnan,0.4\n", "line 4: found 'nan,0.4'; expected finite numbers"),
    ("-1,1\n", "line 1: t = -1; expected times from 0 on"),
    ("# made by hand\n\n1;0.5\n0;1\n", "line 4: t = 0 after 1; expected ascending times"),
    ("0 0\n1 0.5\n", r"line 1: F\(0\) = 0; expected a positive number"),
    ("0,1,0\n1,0.5,0\n", "line 2: the error is 0; expected a positive one"),
])  # fmt: skip
def test_bad_csv(tmp_path: Path, text: str, message: str):
    """The line is named."""
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(memory.MemoryFunctionError, match=message):
        of_csv(path, omega2=1.0)


def test_mistakes_of_the_user(tmp_path: Path, capsys: pytest.CaptureFixture):
    """One line each."""
    (tmp_path / "curve.csv").write_text("0,1\n1,0.5\n2,0.2\n3,0.1\n4,0.05\n")
    for words, message in (
        ([str(tmp_path / "no.h5")], "no such file"),
        ([str(tmp_path / "curve.csv")], "give --omega2, or --k and --temperature"),
        (["--all", str(tmp_path)], "no records"),
        ([str(WARM), "--omega2", "1"], "for CSV files"),
        ([str(WARM), "--k", "77"], "F_s at k = 77"),
        ([str(WARM), "--n-exp", "1"], "--n-exp 1; expected 2 or more"),
        ([str(WARM), "--seed", "-1"], "--seed -1; expected 0 or more"),
        ([str(tmp_path)], f"--all {tmp_path}"),
        ([str(tmp_path / "curve.txt"), "--omega2", "1"], "expected a record that ends in .h5, or a curve"),
        ([str(tmp_path / "curve.csv"), "--omega2", "-1", "--dry-run"], "omega2 = -1"),
    ):
        assert program.main(["memory", *words]) in (stop.ERROR, stop.USAGE)
        assert message in capsys.readouterr().err
    for option in (["--status"], ["--retry"], ["--share", "1/2"], ["--workers", "2"]):
        with pytest.raises(SystemExit):
            program.main(["memory", str(WARM), *option])
        assert f"{option[0]} is for --all" in capsys.readouterr().err
    assert program.main(["memory", str(WARM), "--dry-run"]) == stop.COMPLETE
    assert "fits: A-1, A-2" in capsys.readouterr().out


def test_launcher():
    """The commands of the Slurm jobs."""
    command = [sys.executable, "jobs/liquid_memory.py", "--dry-run", str(STATES), "--jobs", "2", "--retry"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.count("memory --all") == found.stdout.count("--retry") == 2 and "--share 2/2" in found.stdout
