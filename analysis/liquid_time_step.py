"""How far the time step moves the temperature of the shipped liquids: expected from the curvature, and seen.

    python analysis/liquid_time_step.py                        the shipped library and its run with half the time step
    python analysis/liquid_time_step.py FOLDER --short FOLDER

Early displacements: the temperature T' with which they begin, <r²> = 3T't², over that of the velocities, beside what
is expected, 1 + Ω_E²δ²/3, by density.
Structure: a state run with a shorter time step δ has the potential energy and pressure of a colder one; by how much,
beside the difference of what is expected of the structure's slow and fast parts, (T' - T)/T = Ω_E²δ²/6 and Ω_E²δ²/4.
See hpctools.liquids.time_step.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from figures import AnalysisError, markdown, run

from hpctools.liquids.library import Entry, Library
from hpctools.liquids.record import Record
from hpctools.liquids.time_step import ballistic_temperature, early_temperature, structural_shift

DATA = Path(__file__).parents[1] / "hpctools" / "data" / "liquids"
NEAR, ORDER = 0.15, 2  # states within 15 % of T: their energies and pressures go on a parabola
SLOPES = {"potential_energy": "U", "pressure": "P"}


def early(record: Record) -> tuple[float, float, float]:
    """(T' - T)/T of A, T' that with which its displacements begin; its error; what is expected."""
    T = record.attributes["mean_temperature"]
    error = record.square_displacement_error[1, 0] / record.square_displacement[1, 0]
    return early_temperature(record)[0] / T - 1, error, ballistic_temperature(record)[0] / T - 1


def early_table(entries: Iterable[Entry]) -> str:
    """By potential and density: means over states, weighted by their errors, and χ² without and with the correction."""
    groups = defaultdict(list)
    for entry in entries:
        if not entry.verdict.glass:
            groups[entry.potential, entry.density].append(early(entry.record))
    lines = []
    for (potential, density), found in sorted(groups.items()):
        seen, error, expected = np.array(found).T
        weight = error**-2 / np.sum(error**-2)
        lines.append((potential, f"{density:g}", str(len(found)),
                      f"{100 * weight @ seen:.2f} ± {100 * np.sum(error**-2) ** -0.5:.2f}",
                      f"{100 * weight @ expected:.2f}", f"{np.mean((seen / error) ** 2):.1f}",
                      f"{np.mean(((seen - expected) / error) ** 2):.1f}"))
    return markdown(("", "ρ", "runs", "early displacements, % above T", "expected", "χ² a run, uncorrected",
                     "corrected"), lines)


def seen_shift(short: Record, long: Sequence[Record], quantity: str) -> tuple[float, float]:
    """(T' - T)/T by which the runs with the long step look warmer than `short`, from one quantity, and its error.

    Their values are laid through by a parabola in T. In a run at constant energy the mean potential energy and T move
    together; the error is from the scatter about the parabola and the error of the short run.
    """
    T = np.array([one.attributes["mean_temperature"] for one in long])
    values = np.array([one.attributes[quantity] for one in long])
    here, middle = short.attributes, float(np.mean(T))
    fit = np.polyfit(T - middle, values, ORDER)
    at = here["mean_temperature"]
    slope = np.polyval(np.polyder(fit), at - middle)
    scatter = np.sqrt(np.sum((np.polyval(fit, T - middle) - values) ** 2) / (len(T) - ORDER - 1))
    error = np.hypot(scatter, slope * here["mean_temperature_error"] + here[f"{quantity}_error"])
    return float((np.polyval(fit, at - middle) - here[quantity]) / slope / at), float(error / slope / at)


def neighbours(short: Record, entries: Iterable[Entry]) -> list[Record]:
    """Liquids of the same potential and density near its temperature. Raises AnalysisError for fewer than four runs."""
    T = short.attributes["temperature"]
    found = [one.record for one in entries if not one.verdict.glass and abs(one.temperature / T - 1) < NEAR
             and (one.potential, one.density) == (short.attributes["potential"], short.attributes["density"])]
    if len(found) < 4:
        raise AnalysisError(f"{short.path}: {len(found)} runs of its potential and density within {100 * NEAR:g} % of "
                            "its temperature; expected at least 4")
    return found


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path, help="folders of records (default: the shipped library)")
    parser.add_argument("--short", type=Path, default=DATA / "time_step", help="runs with a shorter time step")
    given = parser.parse_args()
    entries = Library.load(*given.folders).usable
    print(early_table(entries))
    lines = []
    for path in sorted(given.short.glob("*.h5")):
        short = Record.load(path)
        long = neighbours(short, entries)
        nearest = min(long, key=lambda one: abs(one.attributes["temperature"] - short.attributes["temperature"]))
        expected = np.subtract(structural_shift(nearest), structural_shift(short))
        steps = f"{nearest.attributes['time_step']:.5f} and {short.attributes['time_step']:.5f}"
        seen = ["{:.2f} ± {:.2f}".format(*(100 * x for x in seen_shift(short, long, name))) for name in SLOPES]
        lines.append((path.stem, steps, " … ".join(f"{100 * value:.2f}" for value in expected), *seen))
    if lines:
        print()
        print(markdown(("state", "time steps [τ_LJ]", "(T' - T)/T expected [%]", *(f"from {name}" for name in
                                                                                 SLOPES.values())), lines))


if __name__ == "__main__":
    run(main)
