"""Simulated liquids beside numbers of other programs, from the shipped records."""

import sys
from dataclasses import replace
from pathlib import Path

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


def test_records_meet_the_references(records):
    """Energies, pressures, peaks, relaxation times and diffusion at T = 2, 1 and 0.8."""
    rows = validation.compare(records)
    assert len(rows) == 18
    assert all(row.passes for row in rows), [row for row in rows if not row.passes]
    assert {row.quantity.split()[0] for row in rows} == {"U", "P", "tau_A", "tau_B", "D_A", "g_AA", "g_AB"}


def test_a_wrong_record_fails(records):
    """Displacements that are 25 % too large, energies that are 0.05 too high: these rows fail and no others."""
    wrong = replace(records[0], square_displacement=1.25 * records[0].square_displacement,
                    attributes={**records[0].attributes,
                                "potential_energy": records[0].attributes["potential_energy"] + 0.05})
    rows = validation.compare([wrong])
    assert {row.quantity.split()[0] for row in rows if not row.passes} == {"U", "D_A"}
    assert "FAILS" in validation.text(rows)


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
    large = replace(records[2], attributes={**records[2].attributes, "particles": [3200, 800], "potential_energy":
                                            records[2].attributes["potential_energy"] + 0.1})
    rows = validation.variants([*records, large])
    assert [row.passes for row in rows] == [False, True, True, True, True]
    assert rows[-1].quantity == "D_A, N = 4000 against 1200"


def test_two_engines(records):
    """A record of another engine stands beside that of LAMMPS and is not compared with the references itself."""
    other = replace(records[1], attributes={**records[1].attributes, "engine": "hoomd 4.8.2"})
    rows = validation.variants([*records, other])
    assert len(rows) == 5 and all(row.passes for row in rows)
    assert rows[0].quantity == "U, hoomd against LAMMPS"
    assert len(validation.compare([*records, other])) == len(validation.compare(records))
