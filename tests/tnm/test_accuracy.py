"""The judge of the simulator's accuracy: its box, its verdicts, and stop-and-resume."""

import argparse
import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

PATH = Path(__file__).parents[2] / "analysis" / "tnm_accuracy.py"


@pytest.fixture(scope="module")
def judge():
    spec = importlib.util.spec_from_file_location("tnm_accuracy", PATH)
    module = importlib.util.module_from_spec(spec)
    sys.modules["tnm_accuracy"] = module
    spec.loader.exec_module(module)
    return module


def test_box(judge):
    assert judge.PAPER.ln_a_limits(2e5) == pytest.approx((-101.2, -18.0), abs=0.05)
    assert judge.PAPER.ln_a_limits(12e5) == pytest.approx((-630.0, -86.9), abs=0.05)
    samples = judge.draw(64)
    assert samples.shape == (80, 4)
    assert len({tuple(row) for row in samples.tolist()}) == 80
    assert np.all(judge.draw(20)[:36] == samples[:36])  # fewer samples are the first of more


def test_verdicts(judge):
    parameters = np.array([-79.21, 318443.9, 0.57, 0.71])
    one = judge.direct(parameters, 4.0)
    assert all(row["ok"] for row in judge.compare(parameters, one, judge.direct(parameters, 8.0)))
    off = judge.Result(one.signals + 2e-3)
    assert not any(row["ok"] for row in judge.compare(parameters, one, off))
    off.signals[:, 0] = np.nan
    assert judge.compare(parameters, one, off)[0]["share"] == np.inf
    off = judge.Result(one.signals, limiting=one.limiting + 0.03)
    assert not any(row["ok"] for row in judge.compare(parameters, one, off))


def test_resume(judge, tmp_path, monkeypatch):
    few = judge.corners()[[3, 5, 11]]
    monkeypatch.setattr(judge, "draw", lambda n, seed: few)
    options = argparse.Namespace(
        samples=1, seed=0, method="direct", candidate="coarse", resolution=4.0, processes=1,
        out=tmp_path / "rows.csv",
    )  # fmt: skip
    whole = {(r["sample"], r["scan"]): r["error"] for r in judge.run(options)}
    lines = options.out.read_text().splitlines(keepends=True)
    options.out.write_text("".join(lines[:-3]) + lines[-3][:20])  # stopped within a row
    again = {(r["sample"], r["scan"]): r["error"] for r in judge.run(options)}
    assert again == whole
    assert len(whole) == 3 * 6
    assert judge.table(judge.run(options)).count("\n") >= 7
    options.resolution = 5.0
    with pytest.raises(SystemExit, match="choose another"):
        judge.run(options)
