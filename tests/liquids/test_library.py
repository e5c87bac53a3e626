"""Verdicts on records and the position of the main peak: real records, and the same with one thing changed."""

import shutil
from dataclasses import replace

import h5py
import numpy as np
import pytest

from hpctools.liquids.library import (
    AFTER,
    BEFORE,
    STRUCTURE_LIMIT,
    Library,
    LibraryError,
    judge,
    peak_of,
    structure_chi_square,
)
from hpctools.liquids.record import Record


@pytest.fixture(scope="module")
def record(record_folder):
    return Record.load(record_folder / "LJ-rho1.2-T1-seed1.h5")


def with_attributes(record, **changed):
    return replace(record, attributes={**record.attributes, **changed})


def slowest(record):
    return float(np.max(record.relaxation_at(7.25)[0]))


def test_a_liquid_in_equilibrium(record):
    found = judge(record)
    assert found.equilibrated and found.usable and not found.glass and not found.crystal and found.reasons == ()


def test_equilibration_counts_relaxation_times(record):
    tau = slowest(record)
    short = judge(with_attributes(record, equilibration_time=0.99 * BEFORE * tau))
    assert not short.equilibrated and not short.usable and "equilibrated for 9.9" in short.reasons[0]
    assert judge(with_attributes(record, equilibration_time=1.01 * BEFORE * tau)).equilibrated


def test_production_counts_relaxation_times(record):
    tau = slowest(record)
    short = judge(with_attributes(record, duration=0.99 * AFTER * tau))
    assert not short.equilibrated and not short.usable and "production of 39.6" in short.reasons[0]
    assert judge(with_attributes(record, duration=1.01 * AFTER * tau)).equilibrated


def test_ageing(record):
    ages = judge(with_attributes(record, ageing_chi_square=9.0, ageing_points=20))
    assert not ages.equilibrated and not ages.usable and "halves" in ages.reasons[0]
    assert judge(with_attributes(record, ageing_chi_square=np.nan, ageing_points=0)).equilibrated


def test_ageing_of_the_structure(record):
    """Halves that differ by four standard errors in every other shell."""
    halves = record.structure_factor_halves.copy()
    halves[::2, 0] += 4 * 2 * np.nan_to_num(record.structure_factor_error[::2])
    ages = judge(replace(record, structure_factor_halves=halves))
    assert not ages.equilibrated and not ages.usable and "S(k) differs between the halves" in ages.reasons[0]
    glass = judge(with_attributes(replace(record, structure_factor_halves=halves), protocol="glass"))
    assert glass.glass and glass.usable


def test_halves_of_the_structure_tell_shipped_glasses_from_liquids():
    """Those of F_s do not: 0.7 … 3.7 in glasses, up to 2.7 in liquids."""
    for entry in Library.load().entries:
        ages = structure_chi_square(entry.record) > STRUCTURE_LIMIT
        assert ages == entry.verdict.glass, entry.record.path


def test_a_quenched_glass_is_kept_as_one(record):
    found = judge(with_attributes(record, protocol="glass"))
    assert found.glass and found.usable and not found.equilibrated and found.reasons == ("quenched",)


def test_what_does_not_relax_is_a_glass(record):
    slow = replace(record, self_scattering=np.maximum(record.self_scattering, 0.6))
    found = judge(with_attributes(slow, relaxed_in_equilibration=False))
    assert found.glass and found.usable and not found.equilibrated
    assert "does not relax" in " ".join(found.reasons)
    # the clock had said that it relaxes: a production that was too short, and no glass
    found = judge(with_attributes(slow, relaxed_in_equilibration=True))
    assert not found.glass and not found.usable and "does not relax" in " ".join(found.reasons)


@pytest.mark.parametrize("protocol", ["liquid", "glass"])
def test_a_record_of_another_temperature_than_its_label_is_used_for_nothing(record, protocol):
    label = record.attributes["temperature"]
    for off, used in ((0.04, True), (0.06, False), (-0.06, False), (np.nan, False)):
        found = judge(with_attributes(record, protocol=protocol, mean_temperature=label * (1 + off)))
        assert found.usable == used and found.astray != used
        assert ("mean temperature" in " ".join(found.reasons)) != used


@pytest.mark.parametrize("protocol", ["liquid", "glass"])
def test_a_crystal_is_used_for_nothing(record, protocol):
    order = record.bond_order.copy()
    order[1, 2] = 0.9  # in one configuration of the run
    found = judge(with_attributes(replace(record, bond_order=order), protocol=protocol))
    assert found.crystal and not found.usable and not found.equilibrated


def test_peak_of_a_parabola(record):
    top = 7.11
    k = record.shell_k
    parabola = np.where(np.isnan(k), 0, 2.4 - 1.3 * (np.nan_to_num(k) - top) ** 2)
    exact = replace(record, structure_factor=np.repeat(parabola[:, None], 3, axis=1),
                    structure_factor_error=np.full((len(k), 3), 0.01))
    position, error = peak_of(exact)
    assert position == pytest.approx(top, abs=1e-9)
    assert 0 < error < 0.02


def test_smoothed_peaks_agree_with_their_own(record_folder):
    library = Library.load(record_folder)
    for entry in library.entries:
        own, error = peak_of(entry.record)
        assert abs(entry.k_peak - own) < max(5 * error, 0.03), entry.state
    order = [(e.potential, e.density, e.temperature) for e in library.entries]
    assert order == sorted(order)


def test_a_shift_of_k_peak_with_temperature(record_folder):
    """On cooling at fixed density particles come closer to the bottom of the well: k_p of LJ falls at ρ = 1.2."""
    found = {e.temperature: e.k_peak for e in Library.load(record_folder).entries if e.state[:2] == ("LJ", 1.2)}
    assert found[0.8] < found[2.0]


def test_a_run_counts_once(record_folder, tmp_path, monkeypatch):
    """The same folder by two names is one; a copy under another name is refused."""
    monkeypatch.chdir(record_folder)
    both = Library.load(record_folder, ".")
    assert len(both.entries) == len(Library.load(record_folder).entries)
    for path in list(record_folder.glob("*.h5"))[:1] * 2:
        shutil.copy(path, tmp_path / f"copy{len(list(tmp_path.iterdir()))}.h5")
    with pytest.raises(LibraryError, match="the same state with the same seed"):
        Library.load(tmp_path)


def test_no_records(tmp_path):
    with pytest.raises(LibraryError, match="no records"):
        Library.load(tmp_path)


@pytest.mark.parametrize(("changed", "remark"), [
    ({"total_energy_drift": 0.0032}, "the energy drifts by 0.32 % of T"),
    ({"total_energy_drift": -0.0052}, "the energy drifts by -0.52 % of T"),
    ({"mean_temperature": 0.9891}, "the mean temperature is 0.9891, -1.09 % off"),
    ({"pressure_halves": [9.0, 9.07], "pressure_error": 0.01},
     "P differs between the halves by 0.07, 3.5 standard errors"),
    ({"potential_energy_halves": [-6.0, -6.007], "potential_energy_error": 0.001},
     "U differs between the halves by -0.007, 3.5 standard errors"),
])  # fmt: skip
def test_remarks_bar_no_use(record, changed, remark):
    """Limits of the validation: 0.3 % of T and three standard errors."""
    assert judge(record).remarks == ()
    for protocol in ("liquid", "glass"):
        found = judge(with_attributes(record, protocol=protocol, **changed))
        assert found.remarks == (remark,) and found.usable
        assert found.reasons == (("quenched",) if protocol == "glass" else ())


def test_shipped_records_with_remarks():
    """Only the two coldest liquids drift; all that have a remark are used."""
    remarked = [entry for entry in Library.load().entries if entry.verdict.remarks and not entry.verdict.glass]
    drifting = {entry.state for entry in remarked if any("drifts" in text for text in entry.verdict.remarks)}
    assert drifting <= {("LJ", 1.2, 0.45), ("WCA", 1.2, 0.37)}
    assert all(entry.verdict.usable for entry in remarked)


def test_a_record_without_a_state(record, tmp_path):
    """As `observe` makes it."""
    shutil.copy(record.path, tmp_path / "observed.h5")
    with h5py.File(tmp_path / "observed.h5", "r+") as file:
        del file.attrs["potential"]
    with pytest.raises(LibraryError, match="made of a trajectory by `observe`"):
        Library.load(tmp_path)


def test_errors_hold_between_independent_runs():
    """Pairs of shipped runs differ by about the standard errors in the records."""
    first: dict[tuple, Record] = {}
    found: dict[str, list[float]] = {"diffusion": [], "relaxation_time": []}
    for entry in Library.load().entries:
        if entry.verdict.glass:
            continue
        other = first.setdefault(entry.state, entry.record)
        if other is not entry.record:
            for name, z in found.items():
                a, b = getattr(entry.record, name), getattr(other, name)
                errors = np.hypot(getattr(entry.record, f"{name}_error"), getattr(other, f"{name}_error"))
                z.extend(((a - b) / errors)[np.isfinite(errors)])
    for z in found.values():
        assert len(z) > 50 and 0.75 < np.sqrt(np.mean(np.square(z))) < 1.35
