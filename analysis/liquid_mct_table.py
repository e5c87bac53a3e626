"""Critical temperatures of mode-coupling theory from simulated structure factors: table 1 of Ciarella et al. (2023).

    python analysis/liquid_mct_table.py                                    the shipped library
    python analysis/liquid_mct_table.py results/library --out t_mct.csv --figure t_mct.png

For each potential and density, S(k) of the states around the transition goes into the matrix equations, as it
is in the records: on the grid k = (i + ½) dk with dk = 0.2 (200 wave numbers, as fine as the shells) and with
dk = 0.4 (100 wave numbers, that of the paper; interpolated from shells of width 0.2, and as means over shells
of width 0.4), at the mean temperature of each run. Errors: statistical from independent runs (jackknife over S(k) and
temperatures of the seeds; the halves of a run stand for two where a state has one seed, marked), and of the
interpolation in temperature. The temperature is that of the velocities; by how much a run with a short time step would
be warmer for the same S(k) stands beside it, see hpctools.liquids.time_step. The slope d ln T/d ln ρ between
neighbouring densities shows whether the values of one potential fit together: repulsive cores scale.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from figures import AnalysisError, check_output, markdown, pyplot, run, save

from hpctools.liquids.library import Entry, Library
from hpctools.liquids.mct import MCTError, critical_temperature
from hpctools.liquids.mixture import MCT_TEMPERATURES, printed_mct_temperature
from hpctools.liquids.time_step import structural_shift

FRACTIONS = np.array([0.8, 0.2])
LIMITS = {1.2: 0.03, 1.4: 0.03, 1.6: 0.05}  # relative, of the printed values; none for ρ = 1.8
RANGE = (0.85, 1.35)  # of T/T_mct: S(k) of these states is interpolated
GRIDS = ("0.2", "0.4", "0.4 wide")


@dataclass(frozen=True)
class Row:
    """T_mct of a mixture on one grid: value, statistical error, error of interpolation, runs a temperature.

    time_step: least and largest (T' - T)/T of the nearest state, T' that of a run with a short time step.
    """

    potential: str
    density: float
    grid: str
    value: float
    statistical: float
    interpolation: float
    repeats: int
    halves: bool
    temperatures: int
    time_step: tuple[float, float]

    @property
    def error(self) -> float:
        """Both errors together."""
        return math.hypot(self.statistical if math.isfinite(self.statistical) else 0.0, self.interpolation)


def matrices(pairs: np.ndarray) -> np.ndarray:
    """(n_k, 2, 2) from the pairs AA, AB, BB (n_k, 3)."""
    return pairs[:, [0, 1, 1, 2]].reshape(-1, 2, 2)


def on_grid(entry: Entry, values: np.ndarray, grid: str) -> tuple[np.ndarray, np.ndarray]:
    """Wave numbers (n_k,) and S (n_k, 2, 2) from shell values (shells, pairs) of a record."""
    record = entry.record
    used = record.shell_vectors
    dk = float(grid.split()[0])
    k = (np.arange(round(40 / dk)) + 0.5) * dk
    weights = record.grid_weights(k)
    if grid.endswith("wide"):  # a shell of width 0.4 is two of 0.2 together
        width = record.attributes["shell_width"]
        for row, centre in enumerate(k):
            both = np.flatnonzero((np.abs((np.arange(len(used)) + 0.5) * width - centre) < dk / 2) & (used > 0))
            available = record.shell_available[both]
            if len(both) and centre > 1.0:
                weights[row] = 0.0
                weights[row, both] = available / available.sum()
    return k, matrices(weights @ np.nan_to_num(values))


def table_row(potential: str, density: float, entries: Sequence[Entry], grid: str) -> Row:
    """T_mct of a potential and density on a grid. Raises MCTError where the temperatures do not enclose it."""
    by_temperature = defaultdict(list)
    for entry in entries:
        by_temperature[entry.temperature].append(entry)
    temperatures = sorted(by_temperature)
    fewest = min(len(runs) for runs in by_temperature.values())
    repeats = max(fewest, 2)
    structures, measured = [], []  # S(k) is that of the mean temperature of a run in NVE
    for temperature in temperatures:
        runs = by_temperature[temperature]
        if len(runs) < 2:
            first = runs[0]
            measured.append(list(first.record.attributes["mean_temperature_halves"]))
            parts = [on_grid(first, first.record.structure_factor_halves[:, h], grid) for h in (0, 1)]
        else:
            measured.append([one.record.attributes["mean_temperature"] for one in runs[:repeats]])
            parts = [on_grid(one, one.record.structure_factor, grid) for one in runs[:repeats]]
        k = parts[0][0]
        structures.append([part[1] for part in parts])
    found = critical_temperature(k, np.array(measured), np.array(structures), density, FRACTIONS)
    nearest = min(entries, key=lambda one: abs(one.temperature - found.value))
    return Row(potential, density, grid, found.value, found.statistical_error, found.interpolation_error,
               repeats, fewest < 2, len(temperatures), structural_shift(nearest.record))


def in_range(entry: Entry) -> bool:
    """Near the transition, as far as print can tell where that is."""
    return RANGE[0] <= entry.temperature / printed_mct_temperature(entry.potential, entry.density) <= RANGE[1]


def rows_of(library: Library) -> list[Row]:
    """All rows for which there are states enough."""
    groups = defaultdict(list)
    for entry in library.usable:
        if not entry.verdict.glass and in_range(entry):
            groups[entry.potential, entry.density].append(entry)
    rows = []
    for (potential, density), entries in sorted(groups.items()):
        for grid in GRIDS:
            try:
                rows.append(table_row(potential, density, entries, grid))
            except MCTError as error:
                print(f"{potential} ρ = {density:g}, dk = {grid}: {error}")
    return rows


def text(rows: Sequence[Row]) -> str:
    """The table for people."""
    lines = []
    for potential, density in sorted({(row.potential, row.density) for row in rows}):
        own = {row.grid: row for row in rows if (row.potential, row.density) == (potential, density)}
        paper = MCT_TEMPERATURES[potential].get(density, math.nan)
        cells = [f"{own[g].value:.4f} ± {own[g].error:.4f}" + ("*" if own[g].halves else "") if g in own else ""
                 for g in GRIDS]
        best = own.get("0.4") or next(iter(own.values()))
        limit = LIMITS.get(density)
        verdict = "" if limit is None else "passes" if abs(best.value / paper - 1) <= limit else "FAILS"
        shift = " … ".join(f"{100 * value:.2f}" for value in best.time_step)
        off, bound = f"{100 * (best.value / paper - 1):+.1f} %", f"{100 * limit:.0f} %" if limit else ""
        lines.append((potential, f"{density:g}", f"{paper:g}", *cells, f"{shift} %", off, bound, verdict))
    head = ("", "ρ", "paper", *(f"ours, dk = {g}" for g in GRIDS), "time step", "off (dk = 0.4)", "limit", "")
    return markdown(head, lines)


def slopes(rows: Sequence[Row]) -> str:
    """d ln T/d ln ρ between neighbouring densities, in print and of ours."""
    lines = []
    for potential in sorted({row.potential for row in rows}):
        own = sorted((row for row in rows if row.potential == potential and row.grid == "0.2"),
                     key=lambda row: row.density)
        for one, other in itertools.pairwise(own):
            span = math.log(other.density / one.density)
            print_one, print_other = (MCT_TEMPERATURES[potential][r.density] for r in (one, other))
            error = math.hypot(one.error / one.value, other.error / other.value) / span
            printed, ours = math.log(print_other / print_one) / span, math.log(other.value / one.value) / span
            between = f"{one.density:g} … {other.density:g}"
            lines.append((potential, between, f"{printed:.2f}", f"{ours:.2f} ± {error:.2f}"))
    return markdown(("", "ρ", "d ln T/d ln ρ in print", "ours"), lines) if lines else ""


def draw(rows: Sequence[Row], path: Path) -> None:
    """T_mct against density, ours and in print."""
    plt = pyplot()
    figure, axes = plt.subplots(figsize=(4.5, 3.6), layout="constrained")
    for potential, colour in (("LJ", "C0"), ("WCA", "C3")):
        own = sorted((r for r in rows if r.potential == potential and r.grid == "0.2"), key=lambda r: r.density)
        printed = MCT_TEMPERATURES[potential]
        axes.plot(list(printed), list(printed.values()), "x", color=colour, label=f"{potential}, paper")
        axes.errorbar([r.density for r in own], [r.value for r in own], [r.error for r in own], fmt="o-", color=colour,
                      markersize=4, label=f"{potential}, ours (dk = 0.2)")
    axes.set(xscale="log", yscale="log", xlabel="ρ σ³", ylabel="k T_mct/ε")
    densities = sorted({r.density for r in rows})
    axes.set_xticks(densities, [f"{value:g}" for value in densities])
    axes.set_xticks([], minor=True)
    axes.set_yticks([1, 2, 5], ["1", "2", "5"])
    axes.set_yticks([], minor=True)
    axes.legend()
    save(figure, path)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path, help="folders of records (default: the shipped library)")
    parser.add_argument("--out", type=Path, help="CSV file of all rows")
    parser.add_argument("--figure", type=Path, help="figure of T_mct against density")
    given = parser.parse_args()
    rows = rows_of(Library.load(*given.folders))
    if not rows:
        raise AnalysisError("no potential and density has three temperatures in equilibrium around its transition; "
                            "let the campaign go on (python -m hpctools.liquids status)")
    print(text(rows))
    if any(row.halves for row in rows):
        print("* at some temperatures from the halves of one run")
    print()
    print(slopes(rows))
    if given.out:
        with open(given.out, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow("potential density grid t_mct statistical_error interpolation_error runs time_step_least "
                            "time_step_largest".split())
            writer.writerows((r.potential, r.density, r.grid, r.value, r.statistical, r.interpolation,
                              0 if r.halves else r.repeats, *r.time_step) for r in rows)
    if given.figure:
        draw(rows, check_output(given.figure))


if __name__ == "__main__":
    run(main)
