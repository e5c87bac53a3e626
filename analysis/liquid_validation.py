"""Molecular dynamics against numbers of other programs: energy, pressure, structure, relaxation, diffusion.

    python -m hpctools.liquids campaign hpctools/data/liquids/validation.toml --out results/validation
    python -m hpctools.liquids campaign hpctools/data/liquids/size.toml --out results/validation
    python analysis/liquid_validation.py results/validation hpctools/data/liquids/library --out validation.csv

The shipped records are in validation, hoomd and library of hpctools/data/liquids.

Kob-Andersen Lennard-Jones and its WCA truncation at ρ = 1.2, in LJ units. References:

* gamdpy: reference data of runs with RUMD 3 that come with the source of gamdpy 0.8.3 (PyPI). D_A is as fitted
  there, and ⟨r²⟩/6t of both at one lag t, since that still falls with t where the liquid is cold (by a tenth between
  t = 500 and 2000 at T = 0.5). N = 4000 at T = 2 and 10,000 at T = 0.45: D is a few per cent larger there than in a
  box of 1200, by D(L) = D - 2.837 T/(6 π η L) (Yeh and Hummer, J. Phys. Chem. B 108, 15873, 2004);
* trial: runs of N = 1200 with LAMMPS by other hands, errors in brackets as given.

What is "ours" is a fit over all LAMMPS liquids of N = 1200 and ρ = 1.2 of the folders, of any seed, within a quarter of
the temperature of the reference, at their mean temperatures: U and P as parabolas in T, ln τ and ln D in 1/T, weighted
by the errors of the records. Its error is that at the nominal T, times √(χ²/ν) where that is above 1. Where fewer than
three temperatures are so near, those at both sides take part whatever their distance, and two make a line. A
temperature without a record of its own stays open. The last column tells how many records a value rests on; "at <T>"
means that there is one alone, and value and error are those of the run. Peaks of g(r) are those of one record.

A run in NVE is never exactly at its temperature: U and P fluctuate with <T>, which is known to about 10⁻³. In the fit
their errors are those of U - U'(T) T and P - P'(T) T, in which U + 3/2 T is fixed. At fixed energy they would be 4 to
5 times smaller. The error of <T> is not added to those of τ and D, of which it is a tenth or less. A shipped record
is off the fit to all others by 1.0 times both errors in U, P and τ_A and 1.2 times in D_A (rms over 50 records;
tests/analysis/test_liquid_validation.py).

A row passes where ours and the reference agree within the tolerance of the reference or three standard errors of both
together; where they do by their errors alone, the row says so and is counted. Rows that fail are marked, and so are
references that no record tells. Further rows: drift of the energy in NVE, N = 1200 against N = 4000, and other engines
against LAMMPS. Glasses have no row for <T>: after a quench they have the temperature that they have.
"""

from __future__ import annotations

import argparse
import csv
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from figures import AnalysisError, make_folder, markdown, run

from hpctools.liquids.averages import standard_error
from hpctools.liquids.library import check_once, judge
from hpctools.liquids.record import Record

GAMDPY, TRIAL = "gamdpy 0.8.3", "trial run"


@dataclass(frozen=True)
class Reference:
    """A number to meet. tolerance: what a reference without an error of its own may be off by."""

    potential: str
    temperature: float
    quantity: str  # U, P, tau_A, tau_B, D_A, or a peak such as g_AA position
    value: float
    error: float
    tolerance: float
    source: str
    k: float = 0.0  # wave number of a relaxation time
    lag: float = 0.0  # time of D = ⟨r²⟩/6t

    @property
    def label(self) -> str:
        """The quantity and what it is taken at."""
        at = f" (k = {self.k:g})" if self.k else f" (t = {self.lag:g})" if self.lag else ""
        return self.quantity + at


def _relaxation(potential: str, temperature: float, a: float, b: float | None, k_a: float, k_b: float, share: float,
                source: str) -> list[Reference]:
    rows = [Reference(potential, temperature, "tau_A", a, 0.0, share * a, source, k_a)]
    if b is not None:
        rows.append(Reference(potential, temperature, "tau_B", b, 0.0, share * b, source, k_b))
    return rows


def _energies(potential: str, temperature: float, u: float, p: float, source: str,
              errors: tuple[float, float] = (0.0, 0.0)) -> list[Reference]:
    return [Reference(potential, temperature, "U", u, errors[0], 0.01, source),
            Reference(potential, temperature, "P", p, errors[1], 0.05, source)]


def _diffusion(temperature: float, fitted: float, lag: float, square: float, share: float) -> list[Reference]:
    """D as fitted to runs of another program, and its ⟨r²⟩/6t at one lag, which is above D where the lag is short.

    Which lags were fitted is not known: 10 % at least are allowed there, as for relaxation times.
    """
    value = square / (6 * lag)
    return [Reference("LJ", temperature, "D_A", fitted, 0.0, max(share, 0.10) * fitted, GAMDPY),
            Reference("LJ", temperature, "D_A", value, 0.0, share * value, GAMDPY, lag=lag)]


def _peak(temperature: float, pair: str, position: float, height: float) -> list[Reference]:
    return [Reference("LJ", temperature, f"g_{pair} position", position, 0.0, 0.01, GAMDPY),
            Reference("LJ", temperature, f"g_{pair} height", height, 0.0, 0.02 * height, GAMDPY)]


REFERENCES = [
    *_energies("LJ", 2.0, -4.654, 19.32, GAMDPY), *_relaxation("LJ", 2.0, 0.352, 0.447, 7.28, 5.55, 0.10, GAMDPY),
    *_diffusion(2.0, 0.0474, 43.6085, 12.3815, 0.05), *_peak(2.0, "AA", 1.008, 2.80), *_peak(2.0, "AB", 0.844, 3.31),
    *_energies("LJ", 1.0, -6.008, 9.93, TRIAL, (0.003, 0.02)),
    *_relaxation("LJ", 1.0, 1.24, 0.66, 7.25, 7.25, 0.10, TRIAL),
    *_energies("LJ", 0.8, -6.346, 7.60, GAMDPY), *_relaxation("LJ", 0.8, 2.22, 1.14, 7.5, 7.5, 0.10, GAMDPY),
    *_diffusion(0.8, 0.00544, 131.072, 4.27946, 0.05),
    *_relaxation("LJ", 0.6, 11.58, 5.51, 7.5, 7.5, 0.15, GAMDPY), *_diffusion(0.6, 1.294e-3, 131.072, 0.98877, 0.15),
    *_energies("LJ", 0.6, -6.703, 5.16, TRIAL, (0.003, 0.02)),
    *_relaxation("LJ", 0.6, 12.6, 6.4, 7.25, 7.25, 0.15, TRIAL),
    *_relaxation("LJ", 0.5, 103.3, 53.8, 7.5, 7.5, 0.15, GAMDPY), *_diffusion(0.5, 1.794e-4, 524.288, 0.62279, 0.15),
    *_energies("LJ", 0.45, -7.012, 3.061, GAMDPY), *_relaxation("LJ", 0.45, 1189.0, 1144.0, 7.25, 5.5, 0.10, GAMDPY),
    *_diffusion(0.45, 2.76e-5, 16777.2, 2.85345, 0.10), *_peak(0.45, "AA", 1.071, 4.23),
    *_peak(0.45, "AB", 0.882, 5.41), *_peak(0.45, "BB", 1.382, 1.59),
    *_energies("WCA", 1.0, 1.763, 19.08, TRIAL, (0.003, 0.02)),
    *_relaxation("WCA", 1.0, 0.911, None, 7.25, 7.25, 0.10, TRIAL),
    *_energies("WCA", 0.8, 1.496, 16.90, TRIAL, (0.003, 0.02)),
    *_relaxation("WCA", 0.8, 1.43, None, 7.25, 7.25, 0.10, TRIAL),
    *_energies("WCA", 0.6, 1.188, 14.31, TRIAL, (0.003, 0.02)),
    *_relaxation("WCA", 0.6, 3.27, None, 7.25, 7.25, 0.10, TRIAL),
]  # fmt: skip
COLUMNS = {"U": 0, "P": 1}  # of `Record.thermo`
PAIRS = ("AA", "AB", "BB")
NEAR = 0.25  # of the temperature of a reference: records within take part in a fit
DRIFT_LIMIT = 0.003  # of T, over a whole run
TEMPERATURE_LIMIT = 0.003  # of the mean temperature in NVE


@dataclass(frozen=True)
class Row:
    """A line of the table. passes: None where no record tells the value."""

    state: str
    quantity: str
    reference: float
    reference_error: float
    ours: float
    error: float
    passes: bool | None
    source: str
    tolerance: float = 0.0

    @property
    def stretched(self) -> bool:
        """It passes, but by its errors: the tolerance of the reference is exceeded."""
        return bool(self.passes) and abs(self.ours - self.reference) > self.tolerance > 0


@dataclass(frozen=True)
class Fit:
    """A quantity at the nominal temperature. slope: dU/dT or dP/dT; of τ and D, d ln/d(1/T); 0 where not known."""

    value: float
    error: float
    slope: float
    records: int

    @property
    def basis(self) -> str:
        """What it rests on, for the last column."""
        return f"{self.records} records" if self.records > 1 else "one record, at <T>"


def peak(record: Record, pair: int) -> tuple[float, float, float]:
    """Position and height of the first peak of g(r) by a parabola through its five bins, and the height's error."""
    r, g = record.pair_distribution()
    top = int(np.argmax(g[:, pair]))
    near = slice(top - 2, top + 3)
    a, b, c = np.polyfit(r[near] - r[top], g[near, pair], 2)
    return float(r[top] - b / (2 * a)), float(c - b * b / (4 * a)), float(record.pair_distribution_error[top, pair])


def apparent_diffusion(record: Record, lag: float) -> tuple[float, float]:
    """⟨r_A²⟩/6t at a lag t and its standard error; NaN where the record has no lag with a known error beyond t."""
    known = np.isfinite(record.square_displacement_error[:, 0]) & (record.times > 0)
    times, square = record.times[known], record.square_displacement[known, 0]
    if not times[0] <= lag <= times[-1]:
        return math.nan, math.nan
    value = math.exp(np.interp(math.log(lag), np.log(times), np.log(square))) / (6 * lag)
    return value, value * float(np.interp(lag, times, record.square_displacement_error[known, 0] / square))


def quantity(record: Record, reference: Reference) -> tuple[float, float]:
    """What a record says of the quantity of a reference, and its standard error."""
    name = reference.quantity
    if name == "U":
        return record.attributes["potential_energy"], record.attributes["potential_energy_error"]
    if name == "P":
        return record.attributes["pressure"], record.attributes["pressure_error"]
    if name in ("tau_A", "tau_B"):
        value, error = record.relaxation_at(reference.k)
        species = "AB".index(name[-1])
        return float(value[species]), float(error[species])
    if name == "D_A":
        fitted = float(record.diffusion[0]), float(record.diffusion_error[0])
        return apparent_diffusion(record, reference.lag) if reference.lag else fitted
    pair, what = name[2:4], name[5:]
    position, height, error = peak(record, PAIRS.index(pair))
    # no error of the position is known: quartics instead of parabolas move it by up to 0.004
    return (position, 0.0) if what == "position" else (height, error)


def fit(records: Sequence[Record], reference: Reference) -> Fit | None:
    """The quantity of a reference by all records near its temperature; None without a record at that temperature.

    records: liquids of one potential, density and size. Records that do not tell the quantity or its error are left
    out. Polynomials in T of U and P, in 1/T of ln τ and ln D, of second degree where there are three temperatures;
    a peak of g(r) is that of the first record.
    """
    found = [(record, *quantity(record, reference)) for record in records]
    known = [one for one in found if np.isfinite(one[1:]).all()]
    labels = np.array([record.attributes["temperature"] for record, _, _ in known])
    own = np.flatnonzero(np.isclose(labels, reference.temperature, rtol=1e-6))
    if len(own) == 0:
        return None
    if reference.quantity.startswith("g_"):
        return Fit(known[own[0]][1], known[own[0]][2], 0.0, 1)
    temperatures, which = np.unique(labels, return_inverse=True)
    near = np.abs(temperatures / reference.temperature - 1) < NEAR + 1e-9
    if near.sum() < 3:
        near[max(which[own[0]] - 1, 0):which[own[0]] + 2] = True
    used = [one for one, taken in zip(known, near[which]) if taken]
    degree = min(2, int(near.sum()) - 1)
    T = np.array([record.attributes["mean_temperature"] for record, _, _ in used])
    y, error = np.array([one[1:] for one in used]).T
    if reference.quantity in COLUMNS:
        x = T - reference.temperature
        slopes = np.polyval(np.polyder(np.polyfit(x, y, degree)), x)
        error = np.array([_error_at_fixed_temperature(one[0], reference, slope) for one, slope in zip(used, slopes)])
    else:
        x, y, error = 1 / T - 1 / reference.temperature, np.log(y), error / y
    curve, covariance = np.polyfit(x, y, degree, w=1 / error, cov="unscaled")
    off, freedom = (y - np.polyval(curve, x)) / error, len(x) - degree - 1
    spread = max(1.0, math.sqrt(off @ off / freedom)) if freedom else 1.0
    value, sigma = float(curve[-1]), spread * math.sqrt(covariance[-1, -1])
    if reference.quantity not in COLUMNS:
        value, sigma = math.exp(value), math.exp(value) * sigma
    return Fit(value, sigma, float(np.polyval(np.polyder(curve), 0.0)), len(used))


def _error_at_fixed_temperature(record: Record, reference: Reference, slope: float) -> float:
    return float(standard_error(record.thermo[:, COLUMNS[reference.quantity]] - slope * record.thermo[:, 2]))


def at_nominal(record: Record, reference: Reference, slope: float) -> tuple[float, float]:
    """The quantity of one record, moved to the nominal temperature of the reference by a slope, and its error there."""
    if reference.quantity in COLUMNS:
        mean = record.thermo.mean(axis=0)
        value = mean[COLUMNS[reference.quantity]] - slope * (mean[2] - reference.temperature)
        return float(value), _error_at_fixed_temperature(record, reference, slope)
    value, error = quantity(record, reference)
    factor = math.exp(slope * (1 / reference.temperature - 1 / record.attributes["mean_temperature"]))
    return value * factor, error * factor


def compare(records: Sequence[Record]) -> list[Row]:
    """A row for each reference."""
    rows = []
    for reference in REFERENCES:
        state = f"{reference.potential} T = {reference.temperature:g}"
        ours = fit(_usual(records, reference.potential), reference)
        if ours is None:
            rows.append(_missing(state, reference.label, reference.value, reference.error, reference.source))
            continue
        allowed = max(reference.tolerance, 3 * math.hypot(ours.error, reference.error))
        rows.append(Row(state, reference.label, reference.value, reference.error, ours.value, ours.error,
                        abs(ours.value - reference.value) <= allowed, f"{reference.source}; {ours.basis}",
                        reference.tolerance))
    return rows


def _usual(records: Sequence[Record], potential: str) -> list[Record]:
    """Liquids of 1200 particles at ρ = 1.2 from LAMMPS, by seed."""
    wanted = {"potential": potential, "density": 1.2, "protocol": "liquid"}
    return sorted((r for r in records if _size(r) == 1200 and _engine(r) == "lammps"
                   and all(r.attributes[key] == value for key, value in wanted.items())),
                  key=lambda r: int(r.attributes["seed"]))


def _missing(state: str, label: str, value: float, error: float, source: str) -> Row:
    return Row(state, label, value, error, math.nan, math.nan, None, source)


def conservation(records: Sequence[Record]) -> list[Row]:
    """Drift of the energy in NVE of every record, and mean temperature of every liquid."""
    rows = []
    for record in records:
        found = record.attributes
        name = (f"{found['potential']} ρ = {found['density']:g}, T = {found['temperature']:g}, "
                f"{'glass, ' * _is_glass(record)}seed {found['seed']}")
        drift, error = found["total_energy_drift"] / found["temperature"], found["total_energy_drift_error"]
        rows.append(Row(name, "energy drift/T", 0.0, 0.0, drift, error / found["temperature"],
                        abs(drift) <= DRIFT_LIMIT, f"limit {DRIFT_LIMIT:g}"))
        if _is_glass(record):
            continue
        off = found["mean_temperature"] / found["temperature"] - 1
        rows.append(Row(name, "<T>/T - 1", 0.0, 0.0, off, found["mean_temperature_error"] / found["temperature"],
                        abs(off) <= TEMPERATURE_LIMIT, f"limit {TEMPERATURE_LIMIT:g}"))
    return rows


def variants(records: Sequence[Record]) -> list[Row]:
    """Other boxes and engines against 1200 particles in LAMMPS, at ρ = 1.2: within three standard errors."""
    rows = []
    others = [r for r in records if (_size(r), _engine(r)) != (1200, "lammps") and r.attributes["density"] == 1.2
              and r.attributes["protocol"] == "liquid"]
    for other in others:
        found, size, engine = other.attributes, _size(other), _engine(other)
        same = _usual(records, found["potential"])
        differs = " and ".join([f"N = {size} against 1200"] * (size != 1200)
                               + [f"{engine} against LAMMPS"] * (engine != "lammps"))
        state = f"{found['potential']} T = {found['temperature']:g}"
        for name, k, lag in (("U", 0.0, 0.0), ("P", 0.0, 0.0), ("tau_A", 7.25, 0.0), ("tau_B", 7.25, 0.0),
                             ("D_A", 0.0, 131.072)):
            probe = Reference(found["potential"], found["temperature"], name, 0.0, 0.0, 0.0, "", k, lag)
            ours = fit(same, probe)
            theirs, error = at_nominal(other, probe, ours.slope if ours else 0.0)
            if ours is None:
                rows.append(_missing(state, f"{name}, {differs}", theirs, error, "three standard errors"))
                continue
            rows.append(Row(state, f"{name}, {differs}", theirs, error, ours.value, ours.error,
                            abs(ours.value - theirs) <= 3 * math.hypot(ours.error, error),
                            f"three standard errors; {ours.basis}"))
    for wanted, there in (("another N against 1200", any(_size(r) != 1200 for r in others)),
                          ("another engine against LAMMPS", any(_engine(r) != "lammps" for r in others))):
        if not there:
            rows.append(_missing("ρ = 1.2", wanted, math.nan, 0.0, "three standard errors"))
    return rows


def _size(record: Record) -> int:
    return int(sum(record.attributes["particles"]))


def _engine(record: Record) -> str:
    return str(record.attributes["engine"]).split()[0]


def _is_glass(record: Record) -> bool:
    return record.attributes["protocol"] == "glass"


def text(rows: Sequence[Row]) -> str:
    """The table for people."""
    verdict = {True: "", False: "FAILS", None: "no value"}
    near = "within 3 σ"

    def number(value: float, error: float) -> str:
        return "" if math.isnan(value) else f"{value:.4g}" + (f" ± {error:.1g}" if error > 0 else "")

    return markdown(("state", "quantity", "reference", "ours", "", "source"), [
        (row.state, row.quantity, number(row.reference, row.reference_error), number(row.ours, row.error),
         near if row.stretched else verdict[row.passes], row.source) for row in rows], left=(0, 1, 4, 5))  # fmt: skip


def summary(rows: Sequence[Row]) -> str:
    """How many rows pass, how many of them by their errors alone, how many fail and have no record."""
    passed, missing = sum(row.passes is True for row in rows), sum(row.passes is None for row in rows)
    return (f"{passed} of {len(rows)} rows pass, {sum(row.stretched for row in rows)} of them by their errors alone; "
            f"{len(rows) - passed - missing} fail, {missing} have no value to compare with")


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, help="folders of records")
    parser.add_argument("--out", type=Path, help="CSV file of all rows")
    parser.add_argument("--all", action="store_true", help="print the drift of every record, not only those that fail")
    parser.add_argument("--strict", action="store_true", help="exit with 1 where a row fails; without it the exit code "
                        "is 0 whatever the table says. References without a record do not count as failing")
    given = parser.parse_args()
    paths = sorted({path for folder in given.folders for path in folder.glob("*.h5")})
    if not paths:
        raise AnalysisError(f"no records (*.h5) in {', '.join(map(str, given.folders))}; make some with "
                            "python -m hpctools.liquids campaign hpctools/data/liquids/validation.toml")
    everything = [Record.load(path) for path in paths]
    records = [record for record in everything if "potential" in record.attributes]
    if len(records) < len(everything):
        print(f"{len(everything) - len(records)} of {len(everything)} records are left out: they were made by "
              "`observe` and do not tell their state", file=sys.stderr)
    check_once(records)
    sound = [record for record, verdict in zip(records, map(judge, records))
             if verdict.usable and (_is_glass(record) or not verdict.glass)]
    if len(sound) < len(records):
        names = ", ".join(record.path.stem for record in records if record not in sound)
        print(f"{len(records) - len(sound)} records are no liquids in equilibrium and compared with nothing: {names}\n")
    compared, conserved = compare(sound), conservation(records)
    if all(row.passes is None for row in compared):
        raise AnalysisError(f"{len(records)} records, but none of a state with a reference (liquids by LAMMPS, "
                            "ρ = 1.2, N = 1200)")
    rows = compared + variants(sound)
    print(text(rows + [row for row in conserved if given.all or not row.passes]))
    print(f"\n{summary(rows)}; energy drift and mean temperature pass in "
          f"{sum(bool(row.passes) for row in conserved)} of {len(conserved)} rows of {len(records)} records")
    if glasses := sum(map(_is_glass, records)):
        print(f"{glasses} of the records are glasses, judged by their drift alone: their temperature is what the "
              "quench left")
    if given.out:
        make_folder(given.out)
        with open(given.out, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(("state", "quantity", "reference", "reference_error", "ours", "error", "passes", "source",
                             "tolerance"))
            for r in rows + conserved:
                writer.writerow((r.state, r.quantity, r.reference, r.reference_error, r.ours, r.error,
                                 "no value" if r.passes is None else int(r.passes), r.source, r.tolerance))
    if given.strict and any(row.passes is False for row in rows + conserved):
        sys.exit(1)


if __name__ == "__main__":
    run(main)
