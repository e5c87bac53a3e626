"""Simulated liquids beside numbers of other programs, from the shipped records."""

import shutil
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import h5py
import numpy as np
import pytest

from hpctools.liquids.library import LibraryError, Verdict
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
    """Energies, pressures, peaks, relaxation times and diffusion at T = 2, 1 and 0.8; two rows are known to fail, that
    of ⟨r²⟩/6t against a box of 4000 particles with these three records alone."""
    rows = with_record(validation.compare(records))
    assert len(rows) == 20
    assert [(row.state, row.quantity) for row in rows if not row.passes] == [
        ("LJ T = 2", "g_AA position"), ("LJ T = 0.8", "D_A (t = 131.072)")]
    assert {row.quantity.split()[0] for row in rows} == {"U", "P", "tau_A", "tau_B", "D_A", "g_AA", "g_AB"}


def test_references_without_a_record_are_told(records):
    """Every reference has its row; those without a record are neither passed nor failed, and are counted."""
    rows = validation.compare(records) + validation.variants(records)
    assert len(rows) == len(validation.REFERENCES) + 2
    missing = [row for row in rows if row.passes is None]
    assert {"LJ T = 0.45", "WCA T = 0.6"} < {row.state for row in missing}
    assert [row.quantity for row in missing[-2:]] == ["another N against 1200", "another engine against LAMMPS"]
    assert validation.text(rows).count("no value") == len(missing) == len(rows) - 20
    assert validation.summary(rows).startswith(f"18 of {len(rows)} rows pass, 0 of them by their errors alone; "
                                               f"2 fail, {len(missing)} have no value")


def test_a_tolerance_is_not_widened_by_an_assumed_error(records):
    """A peak may be off by its tolerance of 0.01 and no more."""
    for off, passes in ((0.0099, True), (0.0101, False)):
        position = validation.peak(records[0], 0)[0]
        reference = validation.Reference("LJ", 2.0, "g_AA position", position + off, 0.0, 0.01, "")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(validation, "REFERENCES", [reference])
            assert [row.passes for row in validation.compare(records)] == [passes]


def test_errors_of_the_fit_are_those_to_a_record_left_out(monkeypatch):
    """A record beside the fit to all others, in units of both errors, for shipped pairs of two seeds: about 1.

    With the errors at fixed energy it is 1.7 for U and 1.8 for P, although their χ² raises those of the fit.
    """
    runs = [Record.load(path) for density in (1.2, 1.4) for path in
            sorted((DATA.parent / "library").glob(f"*-rho{density}-*.h5")) if "glass" not in path.stem]
    monkeypatch.setattr(validation, "quantity", cache(validation.quantity))
    found = {name: [] for name in ("U", "P", "tau_A", "D_A")}
    for twin in (run for run in runs if run.attributes["seed"] == 2):
        potential, density, temperature = (twin.attributes[key] for key in ("potential", "density", "temperature"))
        same = [run for run in runs if run.attributes["potential"] == potential
                and run.attributes["density"] == density]
        for name, values in found.items():
            probe = validation.Reference(potential, temperature, name, 0, 0, 0, "",
                                         7.25 * (density / 1.2) ** (1 / 3), 100 / np.sqrt(temperature))
            for one in (run for run in same if run.attributes["temperature"] == temperature):
                fit = validation.fit([run for run in same if run is not one], probe)
                value, error = validation.at_nominal(one, probe, fit.slope)
                values.append((value - fit.value) / np.hypot(error, fit.error))
    for name, values in found.items():
        assert len(values) >= 28
        assert 0.7 < np.sqrt(np.mean(np.square(values))) < 1.4, name


@pytest.fixture
def fit_to(records, monkeypatch):
    """Fit at T = 1 to made-up records with τ = exp(1 + 2/T + 0.3/T²) ± 1 %, off by a noise in units of this error."""
    monkeypatch.setattr(validation, "quantity", lambda record, _: record.attributes["made"])

    def fit(temperatures, noise=0.0, seed=0):
        random = np.random.default_rng(seed)
        tau = {T: np.exp(1 + 2 / T + 0.3 / T**2) for T in temperatures}
        made = [replace(records[1], attributes={
            "temperature": T, "mean_temperature": T, "made": (tau[T] * np.exp(0.01 * noise * random.normal()),
                                                              0.01 * tau[T])}) for T in temperatures]  # fmt: skip
        return validation.fit(made, validation.Reference("LJ", 1.0, "tau_A", 0, 0, 0, "", 7.25))

    return fit


def test_fit_recovers_a_known_function(fit_to):
    """A parabola of ln τ in 1/T is met exactly; noise of twice the errors is found in the error of the fit."""
    around = np.linspace(0.8, 1.2, 9)
    exact = fit_to(around)
    assert exact.value == pytest.approx(np.exp(3.3), rel=1e-9)
    assert exact.slope == pytest.approx(2.6, rel=1e-6)
    design = np.vander(1 / around - 1, 3)
    assert exact.error / exact.value == pytest.approx(0.01 * np.sqrt(np.linalg.inv(design.T @ design)[2, 2]))
    noisy = [fit_to(around, 2.0, seed) for seed in range(300)]
    assert np.sqrt(np.mean([(fit.error / exact.error) ** 2 for fit in noisy])) == pytest.approx(2, rel=0.1)
    pulls = [(fit.value - exact.value) / fit.error for fit in noisy]
    assert np.sqrt(np.mean(np.square(pulls))) == pytest.approx(np.sqrt(6 / 4), rel=0.2)  # Student's t of 6 freedoms
    assert fit_to(around, 0.5).error == pytest.approx(exact.error, rel=0.05)  # never below that of the records


def test_what_takes_part_in_a_fit(fit_to):
    """All within a quarter of T; else the neighbours, a line where there is one; nothing without T itself."""
    assert fit_to([0.5, 0.7, 0.75, 1.0, 1.1, 1.25, 1.3]).records == 4
    assert fit_to([0.3, 0.5, 1.0, 2.0, 3.0]).records == 3
    line = fit_to([0.5, 0.6, 1.0])
    assert line.records == 2 and line.value == pytest.approx(np.exp(3.3))
    assert line.slope == pytest.approx((2 / 0.6 + 0.3 / 0.6**2 - 2.3) / (1 / 0.6 - 1))
    assert fit_to([1.0, 1.0]).slope == 0 and fit_to([1.0, 1.0]).records == 2
    assert fit_to([1.0]).basis == "one record, at <T>"
    assert fit_to([0.9, 1.1]) is None


def test_values_are_moved_to_the_nominal_temperature(records):
    """U(T) along a straight line is met at T whatever the mean temperature was; so is the error of U - U'(T) T."""
    middle = records[1]
    probe = validation.Reference("LJ", 1.0, "U", 0, 0, 0, "")
    whole = validation.fit(records, probe)
    slope = whole.slope
    assert slope == pytest.approx(1.65, abs=0.15)  # the excess heat capacity a particle, by Rosenfeld and Tarazona
    moved = replace(middle, thermo=middle.thermo + np.array([slope, 0, 1.0]) * 0.05)
    there = validation.at_nominal(middle, probe, slope)
    assert validation.at_nominal(moved, probe, slope) == pytest.approx(there)
    assert (whole.value, whole.error) == pytest.approx(there, rel=0.05)  # three temperatures and three parameters
    assert whole.value == pytest.approx(there[0], abs=0.1 * there[1])
    n = 1199 / 1200
    expected = (slope + 1.5 * n) * middle.attributes["mean_temperature_error"]
    assert there[1] == pytest.approx(expected, rel=0.05)
    alone = validation.fit([middle], probe)
    assert alone.slope == 0 and alone.error == pytest.approx(middle.attributes["potential_energy_error"])


def test_a_row_that_passes_by_its_errors_alone_is_marked(records):
    """|difference| > tolerance, but within 3 σ: told in the table and counted, neither where the tolerance does nor
    where it fails; the tolerance does not add to 3 σ."""
    reference = validation.Reference("LJ", 2.0, "U", 0, 0.01, 0.02, "")
    ours = validation.fit(records, reference).value
    rows = []
    for off in (0.019, 0.025, 0.045):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(validation, "REFERENCES", [replace(reference, value=ours + off)])
            rows += validation.compare(records)
    assert [row.passes for row in rows] == [True, True, False]
    lines = validation.text(rows).splitlines()[2:]
    assert ["within 3 σ" in line for line in lines] == [False, True, False]
    assert ["FAILS" in line for line in lines] == [False, False, True]
    assert validation.summary(rows).startswith("2 of 3 rows pass, 1 of them by their errors alone; 1 fail")
    equal = validation.Row("", "", 1.0, 0.1, 1.2, 0.1, True, "three standard errors")
    assert not equal.stretched  # no tolerance to exceed


def test_relaxation_is_slower_in_the_box_of_the_library():
    """LJ at T = 0.8, all shipped runs: N = 1200 has longer τ and smaller D than N = 4000, the same U and P."""
    names = sorted([*DATA.glob("LJ-rho1.2-*.h5"), *(DATA.parent / "library").glob("LJ-rho1.2-*.h5")])
    rows = with_record(validation.variants([Record.load(path) for path in names if "glass" not in path.stem]))
    found = {row.quantity.split(",")[0]: row.ours / row.reference for row in rows}
    passes = {name: row.passes for name, row in zip(found, rows)}
    assert passes["U"] and passes["P"] and not passes["tau_A"] and not passes["tau_B"]
    assert 1.04 < found["tau_A"] < 1.10 and 1.03 < found["tau_B"] < 1.09 and 0.94 < found["D_A"] < 0.99


def test_a_wrong_record_fails(records):
    """Displacements that are 25 % too large, energies that are 0.05 too high: these rows fail too."""
    thermo = records[0].thermo + np.array([0.05, 0, 0])
    wrong = replace(records[0], square_displacement=1.25 * records[0].square_displacement, thermo=thermo,
                    attributes={**records[0].attributes, "potential_energy": float(thermo[:, 0].mean())})
    for others in ([], records[1:]):
        rows = [row for row in with_record(validation.compare([wrong, *others])) if row.state == "LJ T = 2"]
        assert {row.quantity for row in rows if not row.passes} == {"U", "D_A (t = 43.6085)", "g_AA position"}
        assert validation.text(rows).count("FAILS") == 3
    assert "one record, at <T>" in with_record(validation.compare([wrong]))[0].source


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


def test_glasses_are_judged_by_their_drift_alone(records):
    """A glass has one row, a liquid two; a glass whose energy drifts fails."""
    glass = Record.load(DATA.parent / "library" / "WCA-rho1.2-T0.296-glass-seed1.h5")
    rows = validation.conservation([records[0], glass])
    assert [row.quantity for row in rows] == ["energy drift/T", "<T>/T - 1", "energy drift/T"]
    assert all(row.passes for row in rows) and "glass" in rows[2].state
    drifting = replace(glass, attributes={**glass.attributes, "total_energy_drift": 0.01})
    assert [row.passes for row in validation.conservation([drifting])] == [False]


def test_command(folder, records, monkeypatch, capsys):
    """Records without a state are left out and told; the exit code says that a row fails where it is asked to."""
    def command(*words):
        monkeypatch.setattr(sys, "argv", ["liquid_validation.py", *map(str, words)])
        validation.main()
        return capsys.readouterr()

    printed = command(folder, "--out", folder / "rows.csv")
    assert "1 of 2 records are left out" in printed.err and "have no value to compare with" in printed.out
    assert ",no value," in (folder / "rows.csv").read_text()
    assert "glasses" not in printed.out
    glass = shutil.copy(DATA.parent / "library" / "WCA-rho1.2-T0.296-glass-seed1.h5", folder)
    assert "1 of the records are glasses, judged by their drift alone" in command(folder).out
    Path(glass).unlink()
    twice = shutil.copy(records[0].path, folder / "copy.h5")
    with pytest.raises(LibraryError, match="are the same state with the same seed"):
        command(folder)
    Path(twice).unlink()
    monkeypatch.setattr(validation, "judge",
                        lambda record: Verdict(True, False, record.attributes["temperature"] < 1, ()))
    shutil.copy(records[2].path, folder / "cold.h5")
    assert "1 records are no liquids in equilibrium and compared with nothing: cold" in command(folder).out
    (folder / "cold.h5").unlink()
    with pytest.raises(SystemExit) as left:
        command(folder, "--strict")
    assert left.value.code == 1
    (folder / "LJ-rho1.2-T2-seed1.h5").unlink()
    with pytest.raises(validation.AnalysisError, match="none of a state with a reference"):
        command(folder)
