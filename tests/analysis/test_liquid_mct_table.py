"""Table 1 of Ciarella et al. (2023) from the shipped structure factors."""

import csv
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DATA = ROOT / "hpctools" / "data" / "liquids"
sys.path.insert(0, str(ROOT / "analysis"))


@pytest.fixture
def table(monkeypatch):
    """The script, on the grid of the paper alone."""
    import liquid_mct_table

    monkeypatch.setattr(liquid_mct_table, "GRIDS", ("0.4",))
    return liquid_mct_table


def test_critical_temperatures_at_low_density(table, tmp_path, monkeypatch, capsys):
    """Within 3 % of print, with errors that are smaller."""
    out, states = tmp_path / "t.csv", tmp_path / "states"
    states.mkdir()
    for name in ("LJ-rho1.2-T0.81", "LJ-rho1.2-T0.9", "LJ-rho1.2-T0.99", "LJ-rho1.2-T1.17",
                 "WCA-rho1.2-T0.666", "WCA-rho1.2-T0.74", "WCA-rho1.2-T0.814", "WCA-rho1.2-T0.962"):
        (states / f"{name}-seed1.h5").symlink_to(DATA / "library" / f"{name}-seed1.h5")
    monkeypatch.setattr(sys, "argv", ["liquid_mct_table.py", str(states), "--out", str(out), "--figure",
                                      str(tmp_path / "t.png")])
    table.main()
    text = capsys.readouterr().out
    assert text.count("passes") >= 2
    with out.open(encoding="utf-8") as file:
        rows = {(row["potential"], row["density"]): row for row in csv.DictReader(file)}
    for potential, printed in (("LJ", 0.9), ("WCA", 0.74)):
        row = rows[potential, "1.2"]
        error = float(row["statistical_error"])
        assert float(row["t_mct"]) == pytest.approx(printed, rel=0.03) and 0 < error < 0.02
        assert 0.001 < float(row["time_step_least"]) < float(row["time_step_largest"]) < 0.003
    assert (tmp_path / "t.png").stat().st_size > 10_000


def test_too_few_states_are_named(table, tmp_path, monkeypatch):
    (tmp_path / "one.h5").write_bytes((DATA / "validation" / "LJ-rho1.2-T1-seed1.h5").read_bytes())
    monkeypatch.setattr(sys, "argv", ["liquid_mct_table.py", str(tmp_path)])
    with pytest.raises(table.AnalysisError, match="three temperatures"):
        table.main()
