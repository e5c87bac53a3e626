"""Structure of simulated glasses against published values, with limits; rows that fail are marked.

    python -m hpctools.glasses design glasses.toml
    python -m hpctools.glasses campaign glasses.toml --out results/glasses --workers 2
    python analysis/glass_structure.py                                                     the shipped records
    python analysis/glass_structure.py results/glasses --out glass_structure.png --table glass_structure.csv
    python analysis/glass_structure.py --field bmp-shrm

Judged are the glasses of one force field (--field, else the commonest). Records that differ in the seed alone are
averaged, each seed once. Of a composition the group with most seeds is judged. A column says what an error is of:

    seeds    the standard error over seeds
    blocks   of one seed, from the four parts of its production run: the motion of this one glass at 300 K. It says
             nothing of the scatter between glasses that were made alike
    glasses  the standard deviation over several glasses, whose mean is shown

A row of several glasses passes where their mean lies within the limits, and none of them outside by more than twice its
standard error over seeds; how many do is told. What cannot be measured in a glass counts as outside.

Of one seed there is none for what is not kept by parts: density, S(q), and peaks of g(r) in its fine bins. An error of
0 over blocks says that no bond changed. Other cooling rates, sizes and settings of the field stand in rows of their own
and have the same limits; other force fields are shown.

N4, the share of four-fold boron, stands beside the model of Yun, Bray and Dell (W. J. Dell, P. J. Bray, S. Z. Xiao,
J. Non-Cryst. Solids 58:1, 1983), around which measured glasses scatter by 0.06. Densities stand beside the regression
of A. Fluegel (J. Am. Ceram. Soc. 90:2622, 2007) where it holds.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from figures import AnalysisError, check_output, check_table, markdown, pyplot, run, save
from glass_quantities import CHECKS, Check, angle, bond, density, first_diffraction_peak, neutron_factor

from hpctools.glasses import identity
from hpctools.glasses.curves import LIBRARY, find
from hpctools.glasses.record import Record

DOPANTS = ("Ba", "Zn", "Ti")
N4_LIMIT, N4_VALUES, K_RANGE = 0.10, 6, (0.95, 4.05)
DENSITY_LIMIT = 0.05  # of the regression's value
SEEDS, BLOCKS, GLASSES = "seeds", "blocks", "glasses"  # what errors are of


class Mean(NamedTuple):
    """A value, its error (NaN where there is none) and what that is of."""

    value: float
    error: float
    error_of: str

    def __str__(self) -> str:
        return f"{self.value:.4g}" + (f" ± {self.error:.1g}" if np.isfinite(self.error) else "")


@dataclass(frozen=True)
class Group:
    """Records that differ in the seed alone. settings: of the protocol, by name."""

    composition: str
    field: str
    rate: float
    atoms: int
    timestep: float
    settings: dict[str, object]
    records: tuple[Record, ...]

    def mean(self, value: Callable[[Record], float]) -> Mean:
        """Mean over seeds and its standard error; of one seed that over the parts of its run."""
        found = np.array([value(record) for record in self.records])
        if len(found) > 1:
            return Mean(float(found.mean()), float(found.std(ddof=1) / np.sqrt(len(found))), SEEDS)
        error = self.records[0].block_error(value)
        return Mean(float(found[0]), error, BLOCKS if np.isfinite(error) else "")


@dataclass(frozen=True)
class Row:
    """A line of the table; passes None: only shown."""

    glass: str
    quantity: str
    mean: Mean
    number: str
    limits: str
    passes: bool | None
    source: str
    field: str


def groups(records: Sequence[Record]) -> tuple[list[Group], list[str]]:
    """The records by composition, force field, protocol and size; lines on those whose seed is there already."""
    every = [record.attributes for record in records]
    keys = [(str(a["composition"]), field, identity.protocol(a), identity.size(a))
            for a, field in zip(every, identity.fields(every))]
    kept, told = identity.without_copies([record.path for record in records],
                                         [(*key, int(a["seed"])) for key, a in zip(keys, every)])
    found: dict[tuple[object, ...], list[int]] = {}
    for row in kept:
        found.setdefault(keys[row], []).append(row)
    made = []
    for rows in found.values():
        (composition, field, protocol, size), one = keys[rows[0]], records[rows[0]]
        made.append(Group(composition, field, round(float(one.attributes["rate_K_ps"]), 3), size[0], one.hot_timestep,
                          {**dict(protocol), "density at the start": size[1]}, tuple(records[row] for row in rows)))
    return sorted(made, key=lambda g: (g.composition, g.field, g.rate, g.atoms, g.timestep)), told


def field_of(found: Sequence[Group], asked: str | None) -> str:
    """The force field that is judged: as asked for, else that of most records. Raises AnalysisError."""
    number: dict[str, int] = {}
    for group in found:
        number[group.field] = number.get(group.field, 0) + len(group.records)
    if asked is not None and asked not in number:
        raise AnalysisError(f"--field {asked}: found records of {', '.join(sorted(number))}")
    return asked or max(sorted(number), key=lambda field: number[field])


def base_of(found: Sequence[Group], field: str) -> list[Group]:
    """Of each composition the group of this field with most seeds; of equals the faster, smaller, of longer steps."""
    best: dict[str, Group] = {}
    for group in sorted(found, key=lambda g: (-len(g.records), -g.rate, g.atoms, -g.timestep)):
        if group.field == field:
            best.setdefault(group.composition, group)
    return list(best.values())


def outside(mean: Mean, check: Check) -> bool:
    """Beyond the limits by more than twice the error over seeds, or not measurable."""
    slack = 2 * mean.error if mean.error_of == SEEDS else 0.0
    return not check.low - slack <= mean.value <= check.high + slack


def check_rows(base: Sequence[Group]) -> list[Row]:
    """The rows of `CHECKS` for which there are records."""
    rows = []
    for check in CHECKS:
        chosen = [g for g in base if (check.element in g.records[0].listed("atoms") if check.element
                                      else g.composition == check.glass)]
        means = [g.mean(check.value) for g in chosen]
        if not chosen:
            continue
        if check.element and len(chosen) > 1:
            values = np.array([mean.value for mean in means if np.isfinite(mean.value)])
            several, out = len(values) > 1, sum(outside(mean, check) for mean in means)
            mean = Mean(float(values.mean()) if len(values) else np.nan,
                        float(values.std(ddof=1)) if several else np.nan, GLASSES * several)
            number = f"{len(means)} glasses" + f", {out} outside" * (out > 0)
            name, passes = f"all with {check.element}", not out and check.low <= mean.value <= check.high
        else:
            mean, number, name = means[0], _seeds(chosen[0]), chosen[0].composition
            passes = check.low <= mean.value <= check.high
        rows.append(Row(name, check.name, mean, number, f"{check.low:g} to {check.high:g}", passes, check.published,
                        chosen[0].field))
    return rows


def boron_rows(base: Sequence[Group]) -> list[Row]:
    """N4 of the glasses of soda, boron oxide and silica with K from 1 to 4, and its distance from the model."""
    rows, off, ratios = [], [], set()
    for group in sorted(base, key=lambda g: (g.records[0].attributes.get("K", 0), g.records[0].attributes.get("R", 0))):
        a = group.records[0].attributes
        if "K" not in a or set(group.records[0].listed("atoms")) & set(DOPANTS):
            continue
        if not K_RANGE[0] <= a["K"] <= K_RANGE[1]:
            continue
        mean = group.mean(lambda record: record.n4())
        off.append(mean.value - a["n4_yun_bray_dell"])
        ratios.add(round(float(a["R"]), 2))
        rows.append(Row(group.composition, f"N4 at R = {a['R']:.2f}, K = {a['K']:.2f}", mean, _seeds(group), "",
                        None, f"{a['n4_yun_bray_dell']:.3f}, Yun-Bray-Dell", group.field))
    if off:
        rms = float(np.sqrt(np.mean(np.square(off))))
        enough = len(ratios) >= N4_VALUES
        rows.append(Row("all of these", "RMS of N4 to the model", Mean(rms, np.nan, ""), f"{len(ratios)} values of R",
                        f"at most {N4_LIMIT:g}, {N4_VALUES} values of R", rms <= N4_LIMIT if enough else None,
                        "" if enough else "too few values of R to judge", base[0].field))
    return rows


def density_rows(base: Sequence[Group]) -> list[Row]:
    """Relaxed densities beside the regression where it holds."""
    rows = []
    for group in base:
        expected = float(group.records[0].attributes["density_fluegel_g_cm3"])
        if np.isfinite(expected):
            mean = group.mean(density)
            rows.append(Row(group.composition, "density [g/cm³]", mean, _seeds(group),
                            f"{expected:.3f} ± {100 * DENSITY_LIMIT:g} %",
                            abs(mean.value / expected - 1) <= DENSITY_LIMIT, "Fluegel 2007", group.field))
    return rows


def comparison_rows(found: Sequence[Group], base: Sequence[Group]) -> list[Row]:
    """Other force fields, cooling rates, sizes and settings of a composition beside its base.

    Those of the base's field are judged by the limits that `CHECKS` and Fluegel's densities set for the composition."""
    rows = []
    for one in base:
        atoms = one.records[0].listed("atoms")
        shown: list[tuple[str, Callable[[Record], float]]] = [("Si-O peak [Å]", bond("Si")),
                                                              ("density [g/cm³]", density)]
        if set(atoms) == {"Si", "O"}:
            shown += [("Si-O-Si [°]", angle("Si-O-Si")), ("first peak of neutron S(q) [1/Å]", first_diffraction_peak)]
        if "B" in atoms:
            shown.append(("N4", lambda record: record.n4()))
        for other in found:
            if other.composition != one.composition or other is one:
                continue
            further = [f"{key} {value}" for key, value in other.settings.items()
                       if value != one.settings.get(key) and key not in ("rate", "hot_timestep")]
            for name, value in shown:
                first = one.mean(value)
                shows = f"{first} ({first.error_of})" if first.error_of else f"{first}"
                limits = limits_of(one, name) if other.field == one.field else None
                mean = other.mean(value)
                rows.append(Row(one.composition, ", ".join([name, _made(other), *further]), mean, _seeds(other),
                                f"{limits[0]:.4g} to {limits[1]:.4g}" if limits else "",
                                limits[0] <= mean.value <= limits[1] if limits else None,
                                f"{shows} at {_made(one)}, {one.field}", other.field))
    return rows


def limits_of(group: Group, quantity: str) -> tuple[float, float] | None:
    """Those of a quantity of this composition, if there are any."""
    for check in CHECKS:
        if not check.element and (check.glass, check.name) == (group.composition, quantity):
            return check.low, check.high
    expected = float(group.records[0].attributes["density_fluegel_g_cm3"])
    if quantity == "density [g/cm³]" and np.isfinite(expected):
        return expected * (1 - DENSITY_LIMIT), expected * (1 + DENSITY_LIMIT)
    return None


def _made(group: Group) -> str:
    return f"{group.rate:g} K/ps, {group.atoms} atoms, {group.timestep:g} fs"


def _seeds(group: Group) -> str:
    return f"{len(group.records)} seed{'s' * (len(group.records) > 1)}"


def text(rows: Sequence[Row]) -> str:
    """The table for people."""
    heads = ("glass", "field", "quantity", "simulated", "± over", "of", "limits", "", "published or compared")
    marks = {True: "", False: "FAILS", None: "shown"}
    cells = [(row.glass, row.field, row.quantity, str(row.mean), row.mean.error_of, row.number, row.limits,
              marks[row.passes], row.source) for row in rows]
    return markdown(heads, cells, left=(0, 1, 2, 4, 6, 7, 8))


def draw(base: Sequence[Group], path: Path) -> None:
    """Partial g(r) and neutron S(q) of the first glass, N4 over R, densities over the regression's."""
    plt = pyplot()
    figure, ((left, right), (boron, dense)) = plt.subplots(2, 2, figsize=(9.5, 7.2), constrained_layout=True)
    shown = next((g for g in base if g.composition == "SiO2"), base[0])
    for pair in shown.records[0].pairs:
        curves = [record.g(pair, 2) for record in shown.records]
        left.plot(curves[0][0], np.mean([g for _, g in curves], 0), label="-".join(pair))
    left.set(xlim=(1, 6), ylim=(0, 12), xlabel="r [Å]", ylabel="g(r)", title=shown.composition)
    left.legend()
    for group in [g for g in base if len(g.records[0].pairs) == 3][:4] or [shown]:
        curves = [neutron_factor(record) for record in group.records]
        fine = np.arange(0.6, 10, 0.02)
        right.plot(fine, np.mean([np.interp(fine, q, s) for q, s in curves], 0), label=group.composition)
    right.axvline(1.52, color="0.6", lw=0.8, ls="--")
    right.set(xlim=(0.5, 10), xlabel="q [1/Å]", ylabel="neutron S(q)")
    right.legend()
    from hpctools.glasses.boron import yun_bray_dell

    r = np.linspace(0, 3, 301)
    for k, colour in ((1, "C0"), (2, "C1"), (3, "C2"), (4, "C3"), (6, "C4")):
        near = [g for g in base if "K" in g.records[0].attributes
                and not set(g.records[0].listed("atoms")) & set(DOPANTS)
                and round(float(g.records[0].attributes["K"])) == k]
        if near:
            boron.plot(r, [yun_bray_dell(x, k) for x in r], color=colour, lw=1)
            values = [g.mean(lambda record: record.n4()) for g in near]
            boron.errorbar([g.records[0].attributes["R"] for g in near], [mean.value for mean in values],
                           [mean.error if mean.error_of == SEEDS else 0 for mean in values], fmt="o", ms=4,
                           color=colour, label=f"K = {k}")
    boron.set(xlim=(0, 2.2), ylim=(0, 1), xlabel="R = [Na2O]/[B2O3]", ylabel="N4; lines: Yun-Bray-Dell; bars: seeds")
    expected = np.array([g.records[0].attributes["density_fluegel_g_cm3"] for g in base], float)
    simulated = np.array([g.mean(density).value for g in base])
    dense.plot(expected, simulated, "o", ms=4)
    inside = expected[np.isfinite(expected)]
    if len(inside):
        ends = np.array([inside.min() - 0.1, inside.max() + 0.1])
        dense.plot(ends, ends, color="0.6", lw=0.8)
        dense.fill_between(ends, ends * (1 - DENSITY_LIMIT), ends * (1 + DENSITY_LIMIT), color="0.9")
    dense.set(xlabel="density by Fluegel 2007 [g/cm³]", ylabel="relaxed density [g/cm³]")
    for axes in (boron, dense):
        if not axes.has_data():
            axes.text(0.5, 0.5, "no records yet", transform=axes.transAxes, ha="center", color="0.5")
    if boron.get_legend_handles_labels()[0]:
        boron.legend()
    save(figure, path)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path, help="folders of records (default: the shipped ones)")
    parser.add_argument("--field", help="force field that is judged (default the commonest)")
    parser.add_argument("--out", default="glass_structure.png", help="figure (default glass_structure.png)")
    parser.add_argument("--table", type=Path, help="CSV file of all rows")
    given = parser.parse_args()
    out = check_output(given.out)
    if given.table:
        check_table(given.table)
    records = find(given.folders or [LIBRARY])
    found, copies = groups(records)
    field = field_of(found, given.field)
    base = base_of(found, field)
    rows = check_rows(base) + boron_rows(base) + density_rows(base) + comparison_rows(found, base)
    if rows:
        print(text(rows))
        if any(row.mean.error_of == BLOCKS for row in rows):
            print("\n± over blocks: over the parts of one glass's production run; it says nothing of the scatter "
                  "between glasses that were made alike")
    others = [group for group in found if group not in base]
    print(f"\njudged: {len(base)} glasses of {field}; " + (
        "only compared: " + "; ".join(f"{g.composition}, {g.field}, {_made(g)}" for g in others) if others
        else "none is only compared"))
    if copies:
        print("left out:\n  " + "\n  ".join(copies))
    judged = [row for row in rows if row.passes is not None]
    print(f"\n{sum(bool(row.passes) for row in judged)} of {len(judged)} rows pass; {len(records)} records of "
          f"{len({group.composition for group in found})} compositions")
    if given.table:
        with open(given.table, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(("glass", "field", "quantity", "simulated", "error", "error_of", "of", "limits", "passes",
                             "compared"))
            writer.writerows((r.glass, r.field, r.quantity, *r.mean, r.number, r.limits,
                              "" if r.passes is None else int(r.passes), r.source) for r in rows)
    draw(base, out)


if __name__ == "__main__":
    run(main)
