"""Tables of the shipped records: their rows agree with the records, and their commands make the same states."""

import csv
import gzip
import shlex
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from hpctools.liquids import __main__ as command_line
from hpctools.liquids.library import SHIPPED, Library
from hpctools.liquids.structure import PAPER_GRID
from hpctools.stop import COMPLETE

sys.path.insert(0, str(Path(__file__).parents[2] / "analysis"))

import liquid_library as script

NAMES = ("LJ-rho1.2-T0.9-seed1", "LJ-rho1.4-T1.028-seed1", "WCA-rho1.2-T0.222-glass-seed1")


@pytest.fixture
def folder(tmp_path):
    """A liquid without its settings in its record, one with, and a glass."""
    for name in NAMES:
        shutil.copy(SHIPPED / f"{name}.h5", tmp_path)
    return tmp_path


@pytest.fixture
def tables(folder, monkeypatch):
    """tables(*options) -> the rows of both tables."""

    def tables(*options):
        out, structure = folder / "new" / "library.csv", folder / "new" / "structure.csv.gz"
        words = ["liquid_library.py", str(folder), "--out", str(out), "--structure", str(structure), *options]
        monkeypatch.setattr(sys, "argv", words)
        script.main()
        with open(out, newline="") as one, gzip.open(structure, "rt", newline="") as other:
            return list(csv.DictReader(one)), list(csv.DictReader(other))

    return tables


def test_rows_agree_with_the_records(folder, tables):
    rows, structure = tables()
    entries = {entry.record.path.stem: entry for entry in Library.load(folder).entries}
    assert [row["name"] for row in rows] == list(entries) == list(NAMES)
    for row in rows:
        entry = entries[row["name"]]
        found, verdict = entry.record.attributes, entry.verdict
        for name in ("density", "temperature", "mean_temperature", "potential_energy", "pressure", "seed"):
            assert float(row[name]) == pytest.approx(found[name], rel=1e-6)
        assert float(row["pressure_error"]) == pytest.approx(found["pressure_error"], rel=0.01)
        flags = [bool(int(row[name])) for name in ("equilibrated", "glass", "crystal")]
        assert flags == [verdict.equilibrated, verdict.glass, verdict.crystal]
        tau, error = entry.record.relaxation_at(entry.k_peak)
        for a, species in enumerate("AB"):
            if verdict.glass:
                assert row[f"tau_{species}"] == row[f"tau_{species}_error"] == ""
            else:
                assert float(row[f"tau_{species}"]) == pytest.approx(tau[a], rel=1e-6)
                assert float(row[f"tau_{species}_error"]) == pytest.approx(error[a], rel=0.01)
        mine = [one for one in structure if one["name"] == row["name"]]
        value, error = entry.record.structure_on_grid(PAPER_GRID)
        assert np.array([float(one["k"]) for one in mine]) == pytest.approx(PAPER_GRID)
        for pair, name in enumerate(("S_AA", "S_AB", "S_BB")):
            assert np.array([float(one[name]) for one in mine]) == pytest.approx(value[:, pair], rel=1e-5)
            assert np.array([float(one[f"{name}_error"]) for one in mine]) == pytest.approx(error[:, pair], rel=0.01)


def test_a_finer_grid_and_the_same_bytes(folder, tables):
    _, structure = tables("--dk", "0.2")
    assert len(structure) == 3 * 200 and structure[199]["k"] == "39.9"
    first = (folder / "new" / "structure.csv.gz").read_bytes()
    tables("--dk", "0.2")
    assert (folder / "new" / "structure.csv.gz").read_bytes() == first
    with pytest.raises(script.AnalysisError, match="expected a whole part of 40"):
        tables("--dk", "0.3")


def test_the_command_of_a_row_is_that_of_its_record(folder, tables, capsys):
    """`run` takes the record for the state that it was asked for, and has nothing to do."""
    for row in tables()[0]:
        words = shlex.split(row["command"])
        assert words[:4] == ["python", "-m", "hpctools.liquids", "run"]
        assert command_line.main([*words[3:], "--out", str(folder)]) == COMPLETE
        assert "is complete already" in capsys.readouterr().out


def test_records_are_printed(folder, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["liquid_library.py", str(folder)])
    script.main()
    printed = capsys.readouterr().out
    assert all(name in printed for name in NAMES) and printed.count("\n") == 5
