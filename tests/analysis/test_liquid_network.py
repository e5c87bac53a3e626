"""The scripts that judge the networks of liquids, as a user runs them, on trials with the shipped records."""

import csv
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DATA = ROOT / "hpctools/data/liquids/validation"
PICTURES = ("liquid_accuracy", "liquid_temperature_transfer", "liquid_potential_transfer")


def python(*words):
    return subprocess.run([sys.executable, *map(str, words)], cwd=ROOT, capture_output=True, text=True, timeout=200)


@pytest.fixture(scope="module")
def trials(tmp_path_factory):
    out = tmp_path_factory.mktemp("trials")
    done = python("-m", "hpctools.liquids", "trials", "--data", DATA, "--out", out, "--models", "ridge", "gp/zeroed",
                  "nearest", "--repeats", 2, "--parts", 2, "--t0", 1.0)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return out


def is_picture(path):
    from matplotlib.image import imread

    picture = imread(path)
    return min(picture.shape[:2]) > 300 and picture[..., :3].std() > 0.03


@pytest.mark.parametrize("script", PICTURES)
def test_figures(trials, tmp_path, script):
    out = tmp_path / "figure.png"
    done = python(f"analysis/{script}.py", trials, "--models", "ridge", "gp/zeroed", "--out", out)
    assert done.returncode == 0, done.stderr
    assert is_picture(out)
    assert "| ridge" in done.stdout.replace("|  ", "| ") and "interpolation in T" in done.stdout


def test_curves_with_lines_of_the_theory(trials, tmp_path):
    done = python("analysis/liquid_curves.py", trials, "--data", DATA, "--model", "ridge", "--states", 2, "--out",
                  tmp_path / "curves.png")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert is_picture(tmp_path / "curves.png")
    rows = [line.split("|") for line in done.stdout.splitlines() if line.startswith("| LJ") or line.startswith("| WCA")]
    assert len(rows) == 4
    # at these temperatures the theory is slower than the liquid, so the model is nearer to it
    assert all(float(row[3]) > float(row[5]) for row in rows)


def test_judgement(trials, tmp_path):
    done = python("analysis/liquid_judgement.py", trials, "--out", tmp_path / "t.csv", "--figure", tmp_path / "t.png")
    assert done.returncode == 0, done.stderr
    assert is_picture(tmp_path / "t.png")
    with open(tmp_path / "t.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {"ridge", "gp/zeroed", "nearest"} == {row["model"] for row in rows}
    assert {"LJ → WCA, all", "states held out, T > T_mct"} <= {row["transfer"] for row in rows}
    held = {row["model"]: row for row in rows if row["transfer"] == "states held out, T > T_mct"}
    assert float(held["ridge"]["r2"]) > float(held["nearest"]["r2"]) > 0
    assert re.search(r"R² ≥ 0.99 .*\| (met|missed|open)", done.stdout)
    assert "WCA → LJ: R² ≥ 0.9" in done.stdout


def test_mistakes_get_one_line(tmp_path, trials):
    for words, expected in (((tmp_path,), "no trials"), ((trials, "--models", "mlp"), "none of mlp was tried")):
        done = python("analysis/liquid_accuracy.py", *words, "--out", tmp_path / "a.png")
        assert done.returncode == 2 and expected in done.stderr and done.stderr.count("\n") == 1
