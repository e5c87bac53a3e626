"""Many records together: which of them are in equilibrium, and where the main peak of S_AA lies.

    library = Library.load("hpctools/data/liquids/library")
    for entry in library.entries:
        entry.verdict.usable, entry.k_peak, entry.record.self_at(entry.k_peak)
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from .averages import halves_chi_square
from .crystal import THRESHOLD
from .dynamics import peak_estimate
from .mixture import mct_temperature
from .record import Record

SHIPPED = Path(__file__).parent.parent / "data" / "liquids" / "library"
BEFORE, AFTER = 10.0, 40.0
"""Relaxation times of the equilibration and of the production, at least, of a liquid in equilibrium."""
AGEING_LIMIT = 4.0  # χ² a point between the halves of a run of F_s; neighbouring points are correlated
STRUCTURE_LIMIT = 1.5  # the same of S(k): of the shipped runs, liquids reach 1.27 and glasses begin at 1.81
TEMPERATURE_LIMIT = 0.003  # of T: mean temperature off the label, drift of the energy; see `Verdict.remarks`
FAR_OFF = 0.05  # of T: a mean temperature beyond which a record is of another state than its label says
HALVES_LIMIT = 3.0  # standard errors between the halves of a run
_PEAK_SHELLS = 5  # around the maximum of S_AA, which are fitted by a parabola: a width of 1 σ_AA⁻¹


class LibraryError(Exception):
    """Records that cannot be used together."""

    user_error = True


@dataclass(frozen=True)
class Verdict:
    """What a record may be used for.

    Attributes
    ----------
    equilibrated : the run was long enough before and during production, and its halves agree in S(k) and F_s.
    glass : quenched, or too slow to relax in the longest equilibration allowed: kept as a glass, as Ciarella et al.
        (2023) do.
    crystal : part of the system has crystallised; the record is kept out of training.
    reasons : what was found, in words.
    remarks : what should be known and bars no use, in words with its numbers: drift of the total energy in NVE, mean
        temperature off the label, halves of the run that differ in U or P. T is the measured mean wherever it enters
        (the label tells which runs are of one state), and the drift moves it by less than what the errors of S(k) and
        F_s stand for.
    astray : the mean temperature is more than `FAR_OFF` from the label.
    """

    equilibrated: bool
    glass: bool
    crystal: bool
    reasons: tuple[str, ...]
    remarks: tuple[str, ...] = ()
    astray: bool = False

    @property
    def usable(self) -> bool:
        """Is it a liquid or a glass of about the temperature that its label says, and no crystal?"""
        return not self.crystal and not self.astray and (self.equilibrated or self.glass)


def judge(record: Record) -> Verdict:
    """The verdict on a record."""
    found = record.attributes
    tau, _ = record.relaxation_at(peak_estimate(found["density"]))
    slowest = float(np.max(tau))  # NaN where one of the species does not relax
    reasons = []
    quenched = found["protocol"] == "glass"
    if quenched:
        reasons.append("quenched")
    if not slowest * BEFORE <= found["equilibration_time"]:
        reasons.append(f"equilibrated for {found['equilibration_time'] / slowest:.1f} relaxation times, expected "
                       f"{BEFORE:g}" if math.isfinite(slowest) else "does not relax within the run")
    if not slowest * AFTER <= found["duration"] and math.isfinite(slowest):
        reasons.append(f"production of {found['duration'] / slowest:.1f} relaxation times, expected {AFTER:g}")
    chi = found["ageing_chi_square"]
    if found["ageing_points"] > 0 and chi > AGEING_LIMIT:
        reasons.append(f"F_s differs between the halves of the run (χ² = {chi:.1f} a point)")
    if (chi := structure_chi_square(record)) > STRUCTURE_LIMIT:
        reasons.append(f"S(k) differs between the halves of the run (χ² = {chi:.1f} a point)")
    crystal = float(np.max(record.bond_order[:, 2])) > THRESHOLD
    if crystal:
        reasons.append("part of it has crystallised")
    off = found["mean_temperature"] / found["temperature"] - 1
    astray = not abs(off) <= FAR_OFF
    if astray:
        reasons.append(f"the mean temperature is {found['mean_temperature']:.4g}, {100 * off:+.1f} % off")
    # a run that was stopped before it relaxed, though the clock said that it had, is too short, and no glass
    arrested = not math.isfinite(slowest) and not found.get("relaxed_in_equilibration", False)
    return Verdict(not reasons, quenched or arrested, crystal, tuple(reasons), remarks_on(found), astray)


def structure_chi_square(record: Record) -> float:
    """χ² a point between the halves of the run over all shells and pairs of S(k); NaN where no error is known."""
    known = (record.shell_vectors > 0)[:, None] & (record.structure_factor_error > 0)
    halves = np.moveaxis(record.structure_factor_halves, 1, 0)
    return halves_chi_square(halves[:, known], record.structure_factor_error[known])


def remarks_on(found: Mapping[str, Any]) -> tuple[str, ...]:
    """The remarks of a verdict from the attributes of a record.

    A drift of the energy by 1 % of T moves T by about a third of that, since the heat capacity is about 3 a particle.
    """
    remarks, label = [], found["temperature"]
    drift = found["total_energy_drift"] / label
    if abs(drift) > TEMPERATURE_LIMIT:
        remarks.append(f"the energy drifts by {100 * drift:.2f} % of T")
    off = found["mean_temperature"] / label - 1
    if abs(off) > TEMPERATURE_LIMIT:
        remarks.append(f"the mean temperature is {found['mean_temperature']:.4g}, {100 * off:+.2f} % off")
    for name, words in (("potential_energy", "U"), ("pressure", "P")):
        first, second = found[f"{name}_halves"]
        error = 2 * found[f"{name}_error"]  # of a difference between halves; that of the whole is half as large
        if abs(second - first) > HALVES_LIMIT * error:
            remarks.append(f"{words} differs between the halves by {second - first:.2g}, "
                           f"{abs(second - first) / error:.1f} standard errors")
    return tuple(remarks)


def peak_of(record: Record) -> tuple[float, float]:
    """Position of the main peak of S_AA (σ_AA⁻¹) by a weighted parabola through the shells around it, and its error."""
    k, s, error = record.shell_k, record.structure_factor[:, 0], record.structure_factor_error[:, 0]
    expected = peak_estimate(record.attributes["density"])
    near = np.flatnonzero((record.shell_vectors > 0) & (np.abs(k - expected) < 1.0))
    top = k[near[np.argmax(s[near])]]
    fitted = near[np.argsort(np.abs(k[near] - top))][:_PEAK_SHELLS]
    if len(fitted) < 4 or not np.all(error[fitted] > 0):
        raise LibraryError(f"{record.path}: {len(fitted)} shells with errors around the peak of S_AA, expected "
                           f"{_PEAK_SHELLS}; take shells of width 0.2 or less")
    coefficients, covariance = np.polyfit(k[fitted] - top, s[fitted], 2, w=1 / error[fitted], cov="unscaled")
    a, b, _ = coefficients
    slope = np.array([b / (2 * a * a), -1 / (2 * a), 0.0])  # of the vertex -b/2a
    return float(top - b / (2 * a)), float(math.sqrt(slope @ covariance @ slope))


@dataclass(frozen=True, eq=False)
class Entry:
    """A record with its verdict and its place in the library.

    Attributes
    ----------
    k_peak : k_p in σ_AA⁻¹, smoothed over the temperatures of the same potential and density, of liquids and glasses
        apart.
    relative_temperature : T/T_mct with T_mct of our own structure factors.
    """

    record: Record
    verdict: Verdict
    k_peak: float

    @property
    def potential(self) -> str:
        """LJ or WCA."""
        return str(self.record.attributes["potential"])

    @property
    def density(self) -> float:
        """Number density in σ_AA⁻³."""
        return float(self.record.attributes["density"])

    @property
    def temperature(self) -> float:
        """Temperature in ε_AA/k_B."""
        return float(self.record.attributes["temperature"])

    @cached_property
    def relative_temperature(self) -> float:
        """T/T_mct."""
        return self.temperature / mct_temperature(self.potential, self.density)

    @property
    def state(self) -> tuple[str, float, float]:
        """Potential, density and temperature: what several seeds have in common."""
        return self.potential, self.density, self.temperature


@dataclass(frozen=True, eq=False)
class Library:
    """Records of several states, ordered by potential, density, temperature and seed."""

    entries: tuple[Entry, ...]

    @classmethod
    def load(cls, *folders: str | Path) -> Library:
        """All records (*.h5) of some folders, by default the shipped ones; a file that two folders lead to counts once.

        Raises LibraryError if there are none, or if a run (state, size, engine and seed) is there more than once.
        """
        places = [Path(folder) for folder in folders] or [SHIPPED]
        paths = sorted({path.resolve() for place in places for path in place.glob("*.h5")})
        if not paths:
            raise LibraryError(f"no records (*.h5) in {', '.join(map(str, places))}; make some with "
                               "python -m hpctools.liquids campaign")
        records = [Record.load(path) for path in paths]
        for record in records:
            if "potential" not in record.attributes:
                raise LibraryError(f"{record.path}: was made of a trajectory by `observe` and does not tell its state; "
                                   "expected records of runs. Move it to another folder")
        check_once(records)
        return cls.of(records)

    @classmethod
    def of(cls, records: Iterable[Record]) -> Library:
        """A library of these records."""
        def key(record: Record) -> tuple[str, float, float, int]:
            found = record.attributes
            return found["potential"], found["density"], found["temperature"], found["seed"]

        ordered = sorted(records, key=key)
        verdicts = [judge(record) for record in ordered]
        return cls(tuple(map(Entry, ordered, verdicts, _smooth_peaks(ordered, verdicts))))

    @property
    def usable(self) -> list[Entry]:
        """Liquids in equilibrium and glasses, without crystals and what failed."""
        return [entry for entry in self.entries if entry.verdict.usable]


def check_once(records: Iterable[Record]) -> None:
    """Raise LibraryError where a run (state, size, engine and seed) is there more than once: it would count twice."""
    runs: dict[tuple[object, ...], Path] = {}
    for record in records:
        found = record.attributes
        run = (*(found[name] for name in ("potential", "density", "temperature", "seed", "protocol")),
               sum(found["particles"]), str(found["engine"]).split()[0])
        if run in runs:
            raise LibraryError(f"{runs[run]} and {record.path} are the same state with the same seed; expected "
                               "each run once: an independent one has another seed")
        runs[run] = record.path


def _smooth_peaks(records: list[Record], verdicts: list[Verdict]) -> list[float]:
    """k_p of each record from a weighted cubic in ln T through those of the liquids of its potential and density.

    Glasses have a line of their own: their structure stays behind. What is neither shifts no other.
    """
    measured = np.array([peak_of(record) for record in records])
    x = np.log([record.attributes["mean_temperature"] for record in records])
    groups = [(r.attributes["potential"], r.attributes["density"], v.glass) for r, v in zip(records, verdicts)]
    found = measured[:, 0].copy()
    for group in set(groups):
        rows = np.array([row for row, other in enumerate(groups) if other == group])
        good = np.array([row for row in rows if verdicts[row].usable], int)
        if not len(good):
            continue
        temperatures = len({records[row].attributes["temperature"] for row in good})
        degree = min(1 if group[2] else 3, temperatures - 1)
        fit = np.polyfit(x[good], measured[good, 0], degree, w=1 / np.maximum(measured[good, 1], 1e-4))
        found[rows] = np.polyval(fit, np.clip(x[rows], x[good].min(), x[good].max()))
    return [float(value) for value in found]
