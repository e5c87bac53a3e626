"""Simulated liquids beside numbers of other programs, from the shipped records."""

import shutil
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from hpctools.liquids.record import Record

ROOT = Path(__file__).parents[2]
DATA = ROOT / "hpctools" / "data" / "liquids" / "validation"
sys.path.insert(0, str(ROOT / "analysis"))

import liquid_validation as validation  # noqa: E402


@pytest.fixture(scope="module")
def records():
    return [Record.load(DATA / f"LJ-rho1.2-T{t}-seed1.h5") for t in ("2", "1", "0.8")]


def with_record(rows):
    return [row for row in rows if row.passes is not None]


def test_records_meet_the_references(records):
    """Energies, pressures, peaks, relaxation times and diffusion at T = 2, 1 and 0.8; one row is known to fail."""
    rows = with_record(validation.compare(records))
    assert len(rows) == 18
    assert [(row.state, row.quantity) for row in rows if not row.passes] == [("LJ T = 2", "g_AA position")]
    assert {row.quantity.split()[0] for row in rows} == {"U", "P", "tau_A", "tau_B", "D_A", "g_AA", "g_AB"}


def test_references_without_a_record_are_told(records):
    """Every reference has its row; those without a record are neither passed nor failed, and are counted."""
    rows = validation.compare(records) + validation.variants(records)
    assert len(rows) == len(validation.REFERENCES) + 2
    missing = [row for row in rows if row.passes is None]
    assert {"LJ T = 0.45", "WCA T = 0.6"} < {row.state for row in missing}
    assert [row.quantity for row in missing[-2:]] == ["another N against 1200", "another engine against LAMMPS"]
    assert validation.text(rows).count("no record") == len(missing) == len(rows) - 18
    assert validation.summary(rows).startswith(f"17 of {len(rows)} rows pass, 1 fail, {len(missing)} have no record")


def test_a_tolerance_is_not_widened_by_an_assumed_error(records):
    """A peak may be off by its tolerance of 0.01 and no more."""
    for off, passes in ((0.0099, True), (0.0101, False)):
        position = validation.peak(records[0], 0)[0]
        reference = validation.Reference("LJ", 2.0, "g_AA position", position + off, 0.0, 0.01, "")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(validation, "REFERENCES", [reference])
            assert [row.passes for row in validation.compare(records)] == [passes]


def test_errors_at_the_nominal_temperature_are_those_between_two_seeds():
    """Differences of two independent runs in units of their error, for the shipped pairs: about 1.

    With the errors at fixed energy it is about 4 for U and 5 for P.
    """
    runs = [Record.load(path) for path in sorted((DATA.parent / "library").glob("*.h5")) if "glass" not in path.stem]
    found = {name: [] for name in ("U", "P", "tau_A")}
    for other in (run for run in runs if run.attributes["seed"] == 2):
        potential, density, temperature = (other.attributes[key] for key in ("potential", "density", "temperature"))
        same = sorted((run for run in runs if run.attributes["seed"] == 1 and run.attributes["potential"] == potential
                       and run.attributes["density"] == density), key=lambda run: run.attributes["temperature"])
        index = [run.attributes["temperature"] for run in same].index(temperature)
        for name, values in found.items():
            probe = validation.Reference(potential, temperature, name, 0, 0, 0, "", 7.25 * (density / 1.2) ** (1 / 3))
            slope = validation.slope_at(same, index, probe)
            (one, error), (two, further) = (validation.at_nominal(run, probe, slope) for run in (same[index], other))
            values.append((one - two) / np.hypot(error, further))
    for name, values in found.items():
        assert len(values) >= 16
        assert 0.7 < np.sqrt(np.mean(np.square(values))) < 1.4, name


def test_values_are_moved_to_the_nominal_temperature(records):
    """U(T) along a straight line is met at T whatever the mean temperature was; so is the error of U - U'(T) T."""
    warm, middle, cold = records
    probe = validation.Reference("LJ", 1.0, "U", 0, 0, 0, "")
    slope = validation.slope_at([cold, middle, warm], 1, probe)
    assert slope == pytest.approx(1.65, abs=0.15)  # the excess heat capacity a particle, by Rosenfeld and Tarazona
    thermo = middle.thermo + np.array([slope, 0, 1.0]) * 0.05
    moved = replace(middle, thermo=thermo)
    assert validation.at_nominal(moved, probe, slope) == pytest.approx(validation.at_nominal(middle, probe, slope))
    n = 1199 / 1200
    expected = (slope + 1.5 * n) * middle.attributes["mean_temperature_error"]
    assert validation.at_nominal(middle, probe, slope)[1] == pytest.approx(expected, rel=0.05)
    assert validation.at_nominal(middle, probe, np.nan)[1] == middle.attributes["potential_energy_error"]


def test_a_wrong_record_fails(records):
    """Displacements that are 25 % too large, energies that are 0.05 too high: these rows fail too."""
    thermo = records[0].thermo + np.array([0.05, 0, 0])
    wrong = replace(records[0], square_displacement=1.25 * records[0].square_displacement, thermo=thermo,
                    attributes={**records[0].attributes, "potential_energy": float(thermo[:, 0].mean())})
    for others in ([], records[1:]):
        rows = with_record(validation.compare([wrong, *others]))
        assert {row.quantity for row in rows if not row.passes} == {"U", "D_A (t = 43.6085)", "g_AA position"}
        assert validation.text(rows).count("FAILS") == 3
    assert "at <T> of the run" in with_record(validation.compare([wrong]))[0].source


def test_diffusion_is_taken_at_the_lag_of_the_reference(records):
    """⟨r²⟩ = 6Dt + c gives D + c/6t at each lag, and NaN beyond the lags with an error."""
    times = records[0].times
    square = np.repeat((6 * 0.05 * times + 0.3)[:, None], 2, axis=1)
    made = replace(records[0], square_displacement=square)
    known = times[np.isfinite(made.square_displacement_error[:, 0]) & (times > 0)]
    lag = float(known[-2])
    value, error = validation.apparent_diffusion(made, lag)
    assert value == pytest.approx(0.05 + 0.3 / (6 * lag), rel=1e-9) and error > 0
    assert np.isnan(validation.apparent_diffusion(made, 1.01 * float(known[-1]))[0])


def test_boxes_of_two_sizes(records):
    """A larger box enters beside that of 1200 particles; one with another energy fails in that row alone."""
    large = replace(records[1], attributes={**records[1].attributes, "particles": [3200, 800]},
                    thermo=records[1].thermo + np.array([0.1, 0, 0]))
    rows = with_record(validation.variants([*records, large]))
    assert [row.passes for row in rows] == [False, True, True, True, True]
    assert rows[-1].quantity == "D_A, N = 4000 against 1200"


def test_two_engines(records):
    """A record of another engine stands beside that of LAMMPS and is not compared with the references itself."""
    other = replace(records[1], attributes={**records[1].attributes, "engine": "hoomd 4.8.2"})
    rows = with_record(validation.variants([*records, other]))
    assert len(rows) == 5 and all(row.passes for row in rows)
    assert rows[0].quantity == "U, hoomd against LAMMPS"
    assert with_record(validation.compare([*records, other])) == with_record(validation.compare(records))
    assert all(row.passes is None for row in validation.variants([other]))


@pytest.fixture
def folder(records, tmp_path):
    """A folder with a record of a run and one that `observe` made of a trajectory."""
    shutil.copy(records[0].path, tmp_path)
    shutil.copy(records[1].path, tmp_path / "observed.h5")
    with h5py.File(tmp_path / "observed.h5", "r+") as file:
        for key in ("potential", "density", "temperature", "seed", "protocol", "engine"):
            del file.attrs[key]
    return tmp_path


def test_command(folder, monkeypatch, capsys):
    """Records without a state are left out and told; the exit code says that a row fails where it is asked to."""
    def command(*words):
        monkeypatch.setattr(sys, "argv", ["liquid_validation.py", *map(str, words)])
        validation.main()
        return capsys.readouterr()

    printed = command(folder, "--out", folder / "rows.csv")
    assert "1 of 2 records are left out" in printed.err and "have no record to compare with" in printed.out
    assert ",no record," in (folder / "rows.csv").read_text()
    with pytest.raises(SystemExit) as left:
        command(folder, "--strict")
    assert left.value.code == 1
    (folder / "LJ-rho1.2-T2-seed1.h5").unlink()
    with pytest.raises(validation.AnalysisError, match="none of a state with a reference"):
        command(folder)
