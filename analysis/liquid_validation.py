"""Molecular dynamics against numbers of other programs: energy, pressure, structure, relaxation, diffusion.

    python -m hpctools.liquids campaign hpctools/data/liquids/validation.toml --out results/validation
    python -m hpctools.liquids campaign hpctools/data/liquids/size.toml --out results/validation
    python analysis/liquid_validation.py results/validation hpctools/data/liquids/library --out validation.csv

Kob-Andersen Lennard-Jones and its WCA truncation at ρ = 1.2, in LJ units. References:

* gamdpy: reference data of runs with RUMD 3 that come with the source of gamdpy 0.8.3 (PyPI). D_A is ⟨r²⟩/6t
  of both at one lag t, since it still falls with t where the liquid is cold (by a tenth between t = 500 and 2000 at
  T = 0.5). N = 4000 at T = 2 and 10,000 at T = 0.45: D is a few per cent larger there than in a box of 1200, by
  D(L) = D - 2.837 T/(6 π η L) (Yeh and Hummer, J. Phys. Chem. B 108, 15873, 2004);
* trial: runs of N = 1200 with LAMMPS by other hands, errors in brackets as given.

A run in NVE is never exactly at its temperature; U, P and log τ are moved to the nominal one by the slopes
between the records of neighbouring temperatures. A row passes where ours and the reference agree within three
standard errors of both together plus the stated tolerance of a reference without errors. Rows that fail are
marked. Further rows: drift of the energy in NVE, and N = 1200 against N = 4000.
"""

from __future__ import annotations

import argparse
import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from figures import AnalysisError, markdown, run

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


def _diffusion(temperature: float, lag: float, square: float, share: float) -> Reference:
    value = square / (6 * lag)
    return Reference("LJ", temperature, "D_A", value, 0.0, share * value, GAMDPY, lag=lag)


def _peak(temperature: float, pair: str, position: float, height: float) -> list[Reference]:
    return [Reference("LJ", temperature, f"g_{pair} position", position, 0.0, 0.01, GAMDPY),
            Reference("LJ", temperature, f"g_{pair} height", height, 0.0, 0.02 * height, GAMDPY)]


REFERENCES = [
    *_energies("LJ", 2.0, -4.654, 19.32, GAMDPY), *_relaxation("LJ", 2.0, 0.352, 0.447, 7.28, 5.55, 0.10, GAMDPY),
    _diffusion(2.0, 43.6085, 12.3815, 0.05), *_peak(2.0, "AA", 1.008, 2.80), *_peak(2.0, "AB", 0.844, 3.31),
    *_energies("LJ", 1.0, -6.008, 9.93, TRIAL, (0.003, 0.02)),
    *_relaxation("LJ", 1.0, 1.24, 0.66, 7.25, 7.25, 0.10, TRIAL),
    *_energies("LJ", 0.8, -6.346, 7.60, GAMDPY), *_relaxation("LJ", 0.8, 2.22, 1.14, 7.5, 7.5, 0.10, GAMDPY),
    _diffusion(0.8, 131.072, 4.27946, 0.05),
    *_relaxation("LJ", 0.6, 11.58, 5.51, 7.5, 7.5, 0.15, GAMDPY), _diffusion(0.6, 131.072, 0.98877, 0.15),
    *_energies("LJ", 0.6, -6.703, 5.16, TRIAL, (0.003, 0.02)),
    *_relaxation("LJ", 0.6, 12.6, 6.4, 7.25, 7.25, 0.15, TRIAL),
    *_relaxation("LJ", 0.5, 103.3, 53.8, 7.5, 7.5, 0.15, GAMDPY), _diffusion(0.5, 524.288, 0.62279, 0.15),
    *_energies("LJ", 0.45, -7.012, 3.061, GAMDPY), *_relaxation("LJ", 0.45, 1189.0, 1144.0, 7.25, 5.5, 0.10, GAMDPY),
    _diffusion(0.45, 16777.2, 2.85345, 0.10), *_peak(0.45, "AA", 1.071, 4.23), *_peak(0.45, "AB", 0.882, 5.41),
    *_peak(0.45, "BB", 1.382, 1.59),
    *_energies("WCA", 1.0, 1.763, 19.08, TRIAL, (0.003, 0.02)),
    *_relaxation("WCA", 1.0, 0.911, None, 7.25, 7.25, 0.10, TRIAL),
    *_energies("WCA", 0.8, 1.496, 16.90, TRIAL, (0.003, 0.02)),
    *_relaxation("WCA", 0.8, 1.43, None, 7.25, 7.25, 0.10, TRIAL),
    *_energies("WCA", 0.6, 1.188, 14.31, TRIAL, (0.003, 0.02)),
    *_relaxation("WCA", 0.6, 3.27, None, 7.25, 7.25, 0.10, TRIAL),
]  # fmt: skip
PAIRS = ("AA", "AB", "BB")
DRIFT_LIMIT = 0.003  # of T, over a whole run
TEMPERATURE_LIMIT = 0.003  # of the mean temperature in NVE


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    state: str
    quantity: str
    reference: float
    reference_error: float
    ours: float
    error: float
    passes: bool
    source: str


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
        return apparent_diffusion(record, reference.lag)
    pair, what = name[2:4], name[5:]
    position, height, error = peak(record, PAIRS.index(pair))
    # the position's error is that of its five bins, far below a tenth of a bin
    return (position, 0.1 * record.attributes["bin_width"]) if what == "position" else (height, error)


def corrected(records: Sequence[Record], index: int, reference: Reference) -> tuple[float, float]:
    """The quantity at the nominal temperature: moved by the slope between the neighbouring records."""
    record = records[index]
    value, error = quantity(record, reference)
    others = [records[j] for j in (index - 1, index + 1) if 0 <= j < len(records)]
    if not others or "position" in reference.quantity or "height" in reference.quantity:
        return value, error
    positive = reference.quantity not in ("U", "P")  # relaxation and diffusion change by factors
    ends = [record, *others] if len(others) == 1 else others
    values = [quantity(end, reference)[0] for end in ends]
    temperatures = [end.attributes["mean_temperature"] for end in ends]
    if not all(map(math.isfinite, values)):
        return value, error
    off = reference.temperature - record.attributes["mean_temperature"]
    if positive:
        slope = math.log(values[-1] / values[0]) / (1 / temperatures[-1] - 1 / temperatures[0])
        change = 1 / reference.temperature - 1 / record.attributes["mean_temperature"]
        return value * math.exp(slope * change), error
    slope = (values[-1] - values[0]) / (temperatures[-1] - temperatures[0])
    return value + slope * off, error


def compare(records: Sequence[Record]) -> list[Row]:
    """The rows for which there are records."""
    rows = []
    for reference in REFERENCES:
        same = sorted((r for r in records if r.attributes["potential"] == reference.potential
                       and r.attributes["density"] == 1.2 and _size(r) == 1200 and _engine(r) == "lammps"
                       and r.attributes["seed"] == 1 and r.attributes["protocol"] == "liquid"),
                      key=lambda r: r.attributes["temperature"])
        index = next((i for i, r in enumerate(same)
                      if abs(r.attributes["temperature"] - reference.temperature) < 1e-6), None)
        if index is None:
            continue
        ours, error = corrected(same, index, reference)
        allowed = reference.tolerance + 3 * math.hypot(error, reference.error)
        rows.append(Row(f"{reference.potential} T = {reference.temperature:g}", reference.label, reference.value,
                        reference.error, ours, error, abs(ours - reference.value) <= allowed,
                        reference.source))
    return rows


def conservation(records: Sequence[Record]) -> list[Row]:
    """Drift of the energy and mean temperature in NVE, of every record."""
    rows = []
    for record in records:
        found = record.attributes
        if found["protocol"] != "liquid":
            continue
        name = f"{found['potential']} ρ = {found['density']:g}, T = {found['temperature']:g}, seed {found['seed']}"
        drift, error = found["total_energy_drift"] / found["temperature"], found["total_energy_drift_error"]
        rows.append(Row(name, "energy drift/T", 0.0, 0.0, drift, error / found["temperature"],
                        abs(drift) <= DRIFT_LIMIT, f"limit {DRIFT_LIMIT:g}"))
        off = found["mean_temperature"] / found["temperature"] - 1
        rows.append(Row(name, "<T>/T - 1", 0.0, 0.0, off, found["mean_temperature_error"] / found["temperature"],
                        abs(off) <= TEMPERATURE_LIMIT, f"limit {TEMPERATURE_LIMIT:g}"))
    return rows


def variants(records: Sequence[Record]) -> list[Row]:
    """Other boxes and engines against 1200 particles in LAMMPS, at ρ = 1.2: within three standard errors."""
    rows = []
    usual = [r for r in records if _size(r) == 1200 and _engine(r) == "lammps"]
    for other in records:
        size, engine = _size(other), _engine(other)
        same = [r for r in usual if all(
            r.attributes[key] == other.attributes[key] for key in ("potential", "density", "temperature", "protocol"))]
        if (size, engine) == (1200, "lammps") or other.attributes["density"] != 1.2 or not same:
            continue
        differs = " and ".join([f"N = {size} against 1200"] * (size != 1200)
                               + [f"{engine} against LAMMPS"] * (engine != "lammps"))
        potential, temperature = other.attributes["potential"], other.attributes["temperature"]
        for name, k, lag in (("U", 0.0, 0.0), ("P", 0.0, 0.0), ("tau_A", 7.25, 0.0), ("tau_B", 7.25, 0.0),
                             ("D_A", 0.0, 131.072)):
            probe = Reference(potential, temperature, name, 0.0, 0.0, 0.0, "", k, lag)
            (ours, error), (theirs, error_theirs) = quantity(same[0], probe), quantity(other, probe)
            rows.append(Row(f"{potential} T = {temperature:g}", f"{name}, {differs}", theirs, error_theirs, ours, error,
                            abs(ours - theirs) <= 3 * math.hypot(error, error_theirs), "three standard errors"))
    return rows


def _size(record: Record) -> int:
    return int(sum(record.attributes["particles"]))


def _engine(record: Record) -> str:
    return str(record.attributes["engine"]).split()[0]


def text(rows: Sequence[Row]) -> str:
    """The table for people."""
    def number(value: float, error: float) -> str:
        return f"{value:.4g}" + (f" ± {error:.1g}" if error > 0 else "")

    return markdown(("state", "quantity", "reference", "ours", "", "source"), [
        (row.state, row.quantity, number(row.reference, row.reference_error), number(row.ours, row.error),
         "" if row.passes else "FAILS", row.source) for row in rows], left=(0, 1, 4, 5))  # fmt: skip


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, help="folders of records")
    parser.add_argument("--out", type=Path, help="CSV file of all rows")
    parser.add_argument("--all", action="store_true", help="print the drift of every record, not only those that fail")
    given = parser.parse_args()
    paths = sorted({path for folder in given.folders for path in folder.glob("*.h5")})
    if not paths:
        raise AnalysisError(f"no records (*.h5) in {', '.join(map(str, given.folders))}; make some with "
                            "python -m hpctools.liquids campaign hpctools/data/liquids/validation.toml")
    records = [Record.load(path) for path in paths]
    rows, conserved = compare(records) + variants(records), conservation(records)
    if not rows:
        raise AnalysisError(f"{len(records)} records, but none of a state with a reference (ρ = 1.2, N = 1200, seed 1)")
    print(text(rows + [row for row in conserved if given.all or not row.passes]))
    good = sum(row.passes for row in conserved)
    print(f"\n{sum(row.passes for row in rows)} of {len(rows)} rows pass; energy drift and mean temperature pass in "
          f"{good} of {len(conserved)} rows of {len(records)} records")
    if given.out:
        with open(given.out, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(("state", "quantity", "reference", "reference_error", "ours", "error", "passes", "source"))
            writer.writerows((r.state, r.quantity, r.reference, r.reference_error, r.ours, r.error, int(r.passes),
                              r.source) for r in rows + conserved)  # fmt: skip


if __name__ == "__main__":
    run(main)
