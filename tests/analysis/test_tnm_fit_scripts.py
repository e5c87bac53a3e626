"""The scripts that prove the fit, as a user runs them, on few samples."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def script(name, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HPCTOOLS_THREADS": "1"}
    return subprocess.run(
        [sys.executable, ROOT / "analysis" / f"{name}.py", *map(str, arguments)], cwd=ROOT, env=environment,
        capture_output=True, text=True, timeout=280,
    )  # fmt: skip


def cells(text, first):
    """The rows of Markdown tables whose first cell is this."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    return [row for row in rows if row[0] == first]


def test_fit(tmp_path):
    out = tmp_path / "new" / "fit.csv"
    done = script("tnm_fit", "--samples", 2, "--out", out)
    assert done.returncode == 0, done.stderr
    shares = {row[1]: row for row in cells(done.stdout, "clean")}
    assert shares["Δh* within 1 kJ/mol"][3].startswith("100.0")
    assert shares["Δh* within 10 kJ/mol"][2] == "20 % (RU 70 %)"
    assert len(cells(done.stdout, "noise")) == 9
    assert out.with_suffix(".png").stat().st_size > 10_000
    # stopped within a row, the same command goes on
    text = out.read_text()
    out.write_text(text[: len(text) - 40])
    again = script("tnm_fit", "--samples", 2, "--out", out)
    assert again.returncode == 0, again.stderr
    assert cells(again.stdout, "all") == cells(done.stdout, "all")
    with out.open() as lines:
        next(lines)
        assert len(list(csv.DictReader(lines))) == 4
    other = script("tnm_fit", "--samples", 2, "--seed", 5, "--out", out)
    assert other.returncode == 2
    assert "choose another --out" in other.stderr


def test_methods(tmp_path):
    out = tmp_path / "methods.csv"
    done = script("tnm_methods", "--samples", 1, "--out", out)
    assert done.returncode == 0, done.stderr
    clean = {row[1]: row for row in cells(done.stdout, "clean")}
    assert float(clean["refinement"][2]) < 1.0
    assert float(clean["cooling-rate law"][2]) < 10.0
    assert clean["cooling-rate law"][4] == ""
    assert {row[1] for row in cells(done.stdout, "bad start")} == {
        "LM, naive start", "refinement", "refinement with lag"
    }  # fmt: skip
    assert out.with_suffix(".png").stat().st_size > 10_000


def test_coverage(tmp_path):
    out = tmp_path / "coverage.csv"
    done = script("tnm_coverage", "--files", 2, "--cases", "nifedipine", "--out", out)
    assert done.returncode == 0, done.stderr
    rows = cells(done.stdout, "nifedipine, noise 1 %")
    assert [row[1] for row in rows] == ["fit", "predict"]
    assert [row[-1] for row in rows] == ["2 of 2", "2 of 2"]
    with out.open() as lines:
        next(lines)
        z = [abs(float(row[name])) for row in csv.DictReader(lines) for name in ("z_dh", "z_x", "z_beta")]
    assert max(z) < 4
    assert script("tnm_coverage", "--files", 0, "--out", out).returncode == 2


def test_no_samples(tmp_path):
    for name in ("tnm_fit", "tnm_methods"):
        done = script(name, "--samples", 0, "--out", tmp_path / "none.csv")
        assert done.returncode == 2
        assert "--samples 0: expected one or more" in done.stderr
    assert not list(tmp_path.iterdir())


def test_example_files(tmp_path):
    """The shipped files are what the script makes, up to the last digit of a row."""
    done = script("tnm_example_files", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    from hpctools.tnm import dsc

    names = sorted(path.name for path in tmp_path.iterdir())
    assert len(names) == 12
    for name in names:
        if name.endswith(".json"):
            assert (tmp_path / name).read_text() == (ROOT / "hpctools" / "data" / "dsc" / name).read_text()
            continue
        new, shipped = dsc.read(tmp_path / name), dsc.read(ROOT / "hpctools" / "data" / "dsc" / name)
        assert new.signal == pytest.approx(shipped.signal, abs=2e-5)
