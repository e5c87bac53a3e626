"""The shift that a time step makes, expected and seen in the shipped runs."""

import sys
from pathlib import Path

import numpy as np
import pytest

from hpctools.liquids.library import Library
from hpctools.liquids.record import Record
from hpctools.liquids.time_step import structural_shift

ROOT = Path(__file__).parents[2]
DATA = ROOT / "hpctools" / "data" / "liquids"
sys.path.insert(0, str(ROOT / "analysis"))


@pytest.fixture(scope="module")
def script():
    import liquid_time_step

    return liquid_time_step


def test_half_the_time_step_looks_colder(script, capsys, monkeypatch):
    """Energy and pressure of a run with half the step are those of a colder one, as far as the curvature says."""
    short = Record.load(DATA / "time_step" / "LJ-rho1.8-T5.1-seed1.h5")
    nearest = Record.load(DATA / "library" / short.path.name)
    low, high = np.subtract(structural_shift(nearest), structural_shift(short))
    long = script.neighbours(short, Library.load().usable)
    for quantity in ("potential_energy", "pressure"):
        seen, error = script.seen_shift(short, long, quantity)
        assert low - 2 * error < seen < high + 2 * error and seen > 3 * error and error < 0.0015
    monkeypatch.setattr(sys, "argv", ["liquid_time_step.py"])
    script.main()
    assert "LJ-rho1.8-T5.1-seed1" in capsys.readouterr().out


def test_few_neighbours_are_named(script):
    short = Record.load(DATA / "time_step" / "LJ-rho1.8-T5.1-seed1.h5")
    with pytest.raises(script.AnalysisError, match="expected at least 4"):
        script.neighbours(short, Library.load(DATA / "validation").usable)
