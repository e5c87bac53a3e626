"""All models and all controls in one table over three kinds of transfer, and the goals that are met.

    python -m hpctools.liquids trials --out results/liquid_trials --workers 2
    python analysis/liquid_judgement.py results/liquid_trials --out results/liquid_judgement.csv --missed results

Columns: R² and RMSE of F with the mean of the truth; R² and RMSE of F/F(0) of each species; mean |Δ log₁₀ τ_α| (the
least it can be where the prediction does not relax); share of the points within the 90 % band, its width and interval
score (less is better: a wide band covers everything) over F(0), means over states. Each with its standard error: over
splits and seeds, and over the states tested. Rows: liquids above and below T_mct (or T_0, or by bins in T/T_mct of the
tested potential), and glasses by themselves. The controls are the nearest state, interpolation in T, ρ and the
potential without S(k), and models with S(k) zeroed, alone, and permuted between states.

The goals are judged below the table, on liquids in equilibrium: met, missed, or open where too little was tested to
say, with the reason. A model beats the controls if it is better than the best of those without the S(k) of the state:
the 90 % interval of the difference, by bootstrap over the states of both, is above 0. --missed draws each goal that is
missed and what limits it, see liquid_limits.py.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import figures
import liquid_limits
import numpy as np
from liquid_bins import BINS, Repeats, advantage, control, load, merits, number, only, ordered, title, without_structure

from hpctools.liquids.network import metrics
from hpctools.liquids.network.trials import missing

COLUMNS = metrics.NAMES
COVERED = (0.80, 0.97)
FEWEST = 10  # states held out; from fewer no goal is judged
FEWEST_TRANSFER = 5  # of a range of a transfer: the complete library has at most ten at 0.5 … 0.6 T_mct
HALF = (0.45, 0.62)  # 0.5 … 0.6 T_mct
COLDEST, STEP = 0.55, 0.01  # of the goal for τ_α, and how near to it a state must be
Found = dict[str, dict[str, Repeats]]


@dataclass(frozen=True)
class Range:
    """Part of a transfer's test states."""

    words: str
    low: float
    high: float
    glass: bool = False

    def of(self, repeats: Repeats) -> Repeats:
        """Those predictions that lie in it."""
        return {repeat: [one for one in found if self.low <= one.relative < self.high]
                for repeat, found in only(repeats, self.glass).items()}


@dataclass(frozen=True)
class Goal:
    """A goal, its verdict (met, missed, open), why, and what it was judged on. name: for files."""

    name: str
    words: str
    verdict: str
    found: str
    transfer: str = ""
    model: str = ""
    range: Range | None = None


def ranges(transfer: str) -> list[Range]:
    """Liquids on both sides of T_mct, or of the coldest temperature trained on, and glasses."""
    t, words = (float(transfer[3:]), "T_0") if transfer.startswith("T0=") else (1.0, "T_mct")
    edge = t - 1e-9 if words == "T_0" else t + 1e-9
    return [Range(f"liquids, T {'≥' if words == 'T_0' else '>'} {words}", edge, np.inf),
            Range(f"liquids, T {'<' if words == 'T_0' else '≤'} {words}", 0.0, edge),
            Range("glasses", 0.0, np.inf, True)]


def words_of(transfer: str) -> str:
    """A transfer for people."""
    if transfer == "states":
        return "states held out"
    if transfer.startswith("T0="):
        return f"T_0 = {transfer[3:]} T_mct"
    return f"{transfer} → {'WCA' if transfer == 'LJ' else 'LJ'}"


def transfers(found: Found) -> list[str]:
    """Held-out states first."""
    return sorted(found, key=lambda name: (name != "states", name))


def sections(found: Found) -> Iterator[tuple[str, Range]]:
    """Transfer and range of the parts of the table."""
    for transfer in transfers(found):
        parts = ranges(transfer)
        if transfer in ("LJ", "WCA"):
            cold = [Range(f"liquids, {low:g} … {high:g}", low, high) for low, high in BINS if high <= 1.1]
            parts = [Range("all liquids", 0.0, np.inf), *cold, parts[-1]]
        yield from ((transfer, part) for part in parts)


def verdict(good: bool, states: float, fewest: int, repeats: int, *lacking: str) -> str:
    """Met or missed; open, with the reason, where the trials do not tell."""
    reasons = [*lacking]
    if states < fewest:
        reasons.append(f"{states:.0f} states, {fewest} needed")
    if repeats < 2:
        reasons.append("one repeat: its error is not known")
    found = "met" if good else "missed"
    return f"open, so far {found} ({'; '.join(reasons)})" if reasons else found


def best_of(rows: dict[str, Repeats], column: str) -> tuple[str, float, float, float]:
    """Model with the largest value, the value, its error, and the number of states."""
    found = {name: merits(repeats) for name, repeats in rows.items()}
    name = max(found, key=lambda one: np.nan_to_num(found[one][column][0], nan=-np.inf))
    return name, *found[name][column], found[name]["states"][0]


def tested(models: dict[str, Repeats], part: Range) -> dict[str, Repeats]:
    """Predictions within a range of the models that have some."""
    found = {name: part.of(repeats) for name, repeats in models.items()}
    return {name: repeats for name, repeats in found.items() if any(repeats.values())}


def beside_control(rows: dict[str, Repeats], name: str) -> tuple[str, float, int]:
    """A model beside the best of the controls that are not shown the S(k) of the state, in words; the lower end of the
    difference of R² (NaN: no such control), and the number of repeats of that control."""
    bars = {label: one for label, one in rows.items() if without_structure(label)}
    if not bars:
        return "no control was tried", np.nan, 0
    bar, value, error, _ = best_of(bars, "r2")
    gain, low, high = advantage(rows[name], bars[bar])
    text = f"best control: {title(bar)} {number(value, error, 4)}; "
    return f"{text}difference {gain:.4f}, by states {low:.4f} … {high:.4f}", low, len(bars[bar])


def accuracy_goal(found: Found) -> Goal:
    """R² above T_mct, beside the best of the controls that are not shown the S(k) of the state."""
    words = "R² ≥ 0.99 for T > T_mct on held-out states, better than without S(k)"
    part = ranges("states")[0]
    rows = tested(found.get("states", {}), part)
    models = {name: one for name, one in rows.items() if not control(name)}
    if not models or not any(without_structure(name) for name in rows):
        return Goal("r2", words, "open (no trials with and without S(k))", "")
    name, r2, error, states = best_of(models, "r2")
    bar, low, repeats = beside_control(rows, name)
    text = f"{title(name)} {number(r2, error, 4)}, {bar}"
    found_here = verdict(r2 >= 0.99 and low > 0, states, FEWEST, min(len(models[name]), repeats))
    return Goal("r2", words, found_here, text, "states", name, part)


def half_goal(found: Found, trained: str) -> Goal:
    """R² around half of T_mct of the other potential."""
    words = f"{words_of(trained)}: R² ≥ 0.9 at 0.5 … 0.6 T_mct"
    part = Range("liquids", *HALF)
    every = tested(found.get(trained, {}), part)
    rows = {name: one for name, one in every.items() if not control(name)}
    if not rows:
        return Goal(f"r2_{trained}", words, "open (no liquids there)", "")
    name, r2, error, states = best_of(rows, "r2")
    return Goal(f"r2_{trained}", words, verdict(r2 >= 0.9, states, FEWEST_TRANSFER, len(rows[name])),
                f"{title(name)} {number(r2, error)}, {beside_control(every, name)[0]}", trained, name, part)


def known(repeats: Repeats) -> Repeats:
    """Those whose true τ_α is known for both species."""
    return {repeat: [one for one in found if np.isfinite(one.tau).all()] for repeat, found in repeats.items()}


def tau_goal(found: Found, trained: str) -> Goal:
    """|Δ log₁₀ τ_α| of both species in all bins down to 0.55 T_mct of the other potential."""
    words = f"{words_of(trained)}: error of log₁₀ τ_α ≤ 0.3 down to {COLDEST:g} T_mct"
    part = Range("liquids", COLDEST - STEP, np.inf)
    every = {name: known(one) for name, one in tested(found.get(trained, {}), part).items()}
    every = {name: one for name, one in every.items() if any(one.values())}
    rows = {name: one for name, one in every.items() if not control(name)}
    if not rows:
        return Goal(f"tau_{trained}", words, "open (no liquids with a known τ_α)", "")
    worst = {}
    for name, repeats in every.items():
        bins = [(max(low, part.low), high) for low, high in BINS if high > part.low]
        values = [(max(here["log_tau_A"][0], here["log_tau_B"][0]), low, high) for low, high in bins
                  if (here := merits(repeats, low, high))["states"][0] > 0]
        worst[name] = max(values)
    name = min(rows, key=lambda one: worst[one][0])
    repeats = rows[name]
    coldest = min(one.relative for part_found in repeats.values() for one in part_found)
    lacking = [f"coldest liquid at {coldest:.2f} T_mct"] if coldest > COLDEST + STEP else []
    states = merits(repeats, 0.0, HALF[1])["states"][0]
    value, low, high = worst[name]
    text = f"{title(name)}: {value:.2f} at worst, at {low:g} … {high:g} T_mct"
    if bars := [one for one in every if without_structure(one)]:
        bar = min(bars, key=lambda one: worst[one][0])
        text += f"; best control: {title(bar)} {worst[bar][0]:.2f}, at {worst[bar][1]:g} … {worst[bar][2]:g}"
    return Goal(f"tau_{trained}", words, verdict(value <= 0.3, states, FEWEST_TRANSFER, len(repeats), *lacking), text,
                trained, name, part)


def coverage_goals(found: Found) -> Iterator[Goal]:
    """Of each transfer and range, over all models that have a band."""
    for transfer in transfers(found):
        for k, part in enumerate(ranges(transfer)):
            rows = {name: one for name, one in tested(found[transfer], part).items() if not control(name)}
            all_merits = {name: merits(rows[name]) for name in ordered(rows)}
            values = {name: row["coverage"] for name, row in all_merits.items() if np.isfinite(row["coverage"][0])}
            if not values:
                continue
            good = [COVERED[0] <= value <= COVERED[1] for value, _ in values.values()]
            worst = max(values, key=lambda name: abs(values[name][0] - np.mean(COVERED)))
            states = merits(rows[worst])["states"][0]
            fewest = FEWEST if transfer == "states" else FEWEST_TRANSFER
            found_here = verdict(all(good), states, fewest, min(len(rows[name]) for name in values))
            found_here = found_here.replace("missed", f"missed by {len(good) - sum(good)} of {len(good)} models")
            text = ", ".join(f"{title(name)} {number(*value)}, {all_merits[name]['width'][0]:.2g} wide"
                             for name, value in values.items())
            slug = f"coverage_{transfer.replace('=', '')}_{('warm', 'cold', 'glasses')[k]}"
            words = f"90 % bands cover {100 * COVERED[0]:g}-{100 * COVERED[1]:g} %, by state: {words_of(transfer)}, "
            yield Goal(slug, words + part.words, found_here, text, transfer, worst, part)


def goals(found: Found, lacking: bool = False) -> list[Goal]:
    """All goals; none is judged where trials are lacking."""
    pairs = [goal(found, trained) for trained in ("LJ", "WCA") for goal in (half_goal, tau_goal)]
    judged = [accuracy_goal(found), *pairs, *coverage_goals(found)]
    return [replace(goal, verdict=f"open, so far {goal.verdict} (trials are missing)")
            if lacking and not goal.verdict.startswith("open") else goal for goal in judged]


def draw_missed(found: Found, judged: list[Goal], folder: Path) -> None:
    """A figure of each goal that is missed, or missed so far, and a table of what limits it."""
    rows = []
    for goal in judged:  # of goals that are met by now
        (folder / f"missed_{goal.name}.png").unlink(missing_ok=True)
    for goal in judged:
        if "missed" in goal.verdict and goal.range is not None:
            here = [one for part in goal.range.of(found[goal.transfer][goal.model]).values() for one in part]
            out = figures.check_output(folder / f"missed_{goal.name}.png")
            liquid_limits.draw(goal.words, goal.model, here, COVERED, out)
            rows.append([goal.words, title(goal.model), liquid_limits.words_of(here)])
    if rows:
        print(figures.markdown(["missed", "model", "what limits it"], rows, left=(0, 1, 2)))
    else:
        print("no goal is missed: no figures")


def main() -> None:
    """Read the command line, print the tables, write CSV and figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="of `python -m hpctools.liquids trials`")
    parser.add_argument("--out", type=Path, help="CSV file of all rows")
    parser.add_argument("--missed", type=Path, metavar="FOLDER", help="draw each missed goal, FOLDER/missed_NAME.png")
    given = parser.parse_args()
    found = load(given.folder)
    rows, plain = [], []
    for transfer, part in sections(found):
        words = f"{words_of(transfer)}, {part.words}"
        for name in ordered(found[transfer]):
            repeats = found[transfer][name]
            row = merits(part.of(repeats))
            if not row["states"][0] > 0:
                continue
            rows.append([words, title(name), f"{row['states'][0]:.0f}", f"{len(repeats)}",
                         *(number(*row[column]) for column in COLUMNS)])
            plain.append([words, name, row["states"][0], len(repeats), *(x for c in COLUMNS for x in row[c])])
    print(figures.markdown(["transfer", "model", "states", "repeats", *(metrics.TITLES[c] for c in COLUMNS)], rows,
                           left=(0, 1)))
    print()
    judged = goals(found, bool(missing(given.folder)))
    print(figures.markdown(["goal", "", "found"], [[g.words, g.verdict, g.found] for g in judged], left=(0, 1, 2)))
    if given.out:
        figures.make_folder(given.out)
        with open(given.out, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            errors = (x for c in COLUMNS for x in (c, f"{c}_error"))
            writer.writerow(["transfer", "model", "states", "repeats", *errors])
            writer.writerows(plain)
        print(f"table: {given.out}")
    if given.missed:
        draw_missed(found, judged, given.missed)


if __name__ == "__main__":
    figures.run(main)
