"""analysis/liquid_mct_examples.py as a user runs it, on a coarse grid."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def script(*arguments):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "analysis/liquid_mct_examples.py", *map(str, arguments)], cwd=ROOT, env=environment,
        capture_output=True, text=True, timeout=280,
    )  # fmt: skip


def test_table_and_figure(tmp_path):
    from matplotlib.image import imread

    path = tmp_path / "mct.png"
    done = script("--n-k", "50", "--block", "32", "--out", path)
    assert done.returncode == 0, done.stderr
    table = dict(re.findall(r"^\| (\S.*?) +\| .*? \| +(\S.*? ± \S+) \|", done.stdout, re.MULTILINE))
    number = {name: float(text.split(" ± ")[0]) for name, text in table.items()}
    assert number["φ_c"] == pytest.approx(0.522526, abs=1e-6)
    assert number["γ, fit to τ"] == pytest.approx(number["γ"], abs=0.03)
    assert "0.51591213" not in done.stdout  # that number is for another grid
    picture = imread(path)
    assert min(picture.shape[:2]) > 400 and picture[..., :3].std() > 0.03


@pytest.mark.parametrize("arguments, words", [
    (("--n-k", "2"), "n_k = 2"),
    (("--block", "30", "--n-k", "20"), "block = 30; expected a multiple of 4"),
    (("--out", "a.bmp"), r"a\.bmp: figures are written as"),
])  # fmt: skip
def test_mistakes_end_with_one_line(arguments, words):
    done = script(*arguments)
    assert done.returncode == 2
    assert re.search(words, done.stderr) and done.stderr.count("\n") == 1, done.stderr
