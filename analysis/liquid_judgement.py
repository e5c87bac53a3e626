"""All models and all controls in one table over three kinds of transfer, and the goals that are met.

    python -m hpctools.liquids trials --out results/liquid_trials --workers 2
    python analysis/liquid_judgement.py results/liquid_trials --out results/liquid_judgement.csv

Columns: R² and RMSE of F with the mean of the truth; R² and RMSE of F/F(0) of each species; mean |Δ log₁₀ τ_α| (the
least it can be where the prediction does not relax); share of the points within the 90 % band, mean over states. Each
with its standard error over splits and seeds. Rows of held-out states: T > T_mct, and below. Rows of LJ and WCA: bins
in T/T_mct of the tested potential from 0.3 to 1. The controls are the nearest state, interpolation in T, ρ and the
potential without S(k), and the network with S(k) zeroed, alone, and permuted between states.

The goals are judged below the table; one that the library cannot judge yet is named with the states that it lacks.
--figure draws those that are missed: |error of F/F(0)| of A over the reduced time, which shows what limits them.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import figures
import numpy as np
from liquid_bins import BINS, Repeats, inside, load, merits, number, title

from hpctools.liquids.network import metrics

COLUMNS = metrics.NAMES
CONTROLS = ("nearest", "gp/zeroed", "mlp/zeroed", "mlp/structure", "mlp/permuted", "gp/permuted")
INTERPOLATION = ("nearest", "gp/zeroed", "mlp/zeroed")  # without S(k)
COVERED = (0.80, 0.97)
FEWEST = 10  # states tested on; from fewer no goal is judged
HALF = (0.45, 0.62)  # 0.5 … 0.6 T_mct


def sections(found: dict[str, dict[str, Repeats]]) -> list[tuple[str, str, float, float]]:
    """Transfer, words, and range in T/T_mct of the parts of the table."""
    out = []
    for transfer in sorted(found, key=lambda name: (name != "states", name)):
        if transfer == "states":
            out += [(transfer, "states held out, T > T_mct", 1.0 + 1e-9, np.inf),
                    (transfer, "states held out, T ≤ T_mct", 0.0, 1.0 + 1e-9)]
        elif transfer.startswith("T0="):
            out.append((transfer, f"T < T_0 = {transfer[3:]} T_mct", 0.0, float(transfer[3:]) - 1e-9))
        else:
            words = f"{transfer} → {'WCA' if transfer == 'LJ' else 'LJ'}"
            out.append((transfer, f"{words}, all", 0.0, np.inf))
            out += [(transfer, f"{words}, {low:g} … {high:g}", low, high)
                    for low, high in BINS if high <= 1.1]
    return out


def judged(good: bool, states: float) -> str:
    """Met, missed, or open where there are too few states."""
    return f"open ({states:.0f} states)" if states < FEWEST else "met" if good else "missed"


def goals(found: dict[str, dict[str, Repeats]]) -> list[tuple[str, str, str]]:
    """Goal, met, missed or open, and what was found."""
    out = []
    held = found.get("states", {})
    warm = {name: merits(repeats, 1.0 + 1e-9) for name, repeats in held.items()}
    warm = {name: row for name, row in warm.items() if row["states"][0] > 0}
    rivals = {name: row for name, row in warm.items() if name not in CONTROLS}
    without = {name: row for name, row in warm.items() if name in INTERPOLATION}
    goal = "R² ≥ 0.99 for T > T_mct on held-out states, better than without S(k)"
    if rivals and without:
        best, control = (max(rows, key=lambda name: rows[name]["r2"][0]) for rows in (rivals, without))
        (r2, e), (c, f) = rivals[best]["r2"], without[control]["r2"]
        beats = r2 - c > np.hypot(np.nan_to_num(e), np.nan_to_num(f))
        text = f"{title(best)} {r2:.4f} ± {e:.4f}, {title(control)} {c:.4f} ± {f:.4f}"
        out.append((goal, judged(r2 >= 0.99 and beats, warm[best]["states"][0]), text))
    else:
        out.append((goal, "open", "no trials with and without S(k) at T > T_mct"))
    for trained in ("LJ", "WCA"):
        words = f"{trained} → {'WCA' if trained == 'LJ' else 'LJ'}"
        rows = {name: merits(repeats, *HALF) for name, repeats in found.get(trained, {}).items()}
        rows = {name: row for name, row in rows.items() if row["states"][0] > 0 and name not in CONTROLS}
        goal = f"{words}: R² ≥ 0.9 at 0.5 … 0.6 T_mct"
        if rows:
            best = max(rows, key=lambda name: rows[name]["r2"][0])
            value, error = rows[best]["r2"]
            out.append((goal, "met" if value >= 0.9 else "missed", f"{title(best)} {value:.3f} ± {error:.3f}"))
        else:
            out.append((goal, "open", "the library has no such states of the tested potential"))
        goal = f"{words}: |Δ log₁₀ τ_α| ≤ 0.3 down to 0.55 T_mct"
        worst: dict[str, tuple[float, str]] = {}
        coldest = min((one.relative for repeats in found.get(trained, {}).values() for part in repeats.values()
                       for one in part), default=np.inf)
        for name, repeats in found.get(trained, {}).items():
            bins = [(low, high, merits(repeats, max(low, 0.54), high)) for low, high in BINS[2:]]
            known = [(float(np.nanmax([row["log_tau_A"][0], row["log_tau_B"][0], 0.0])), f"{low:g} … {high:g}")
                     for low, high, row in bins if row["states"][0] > 0]
            if known and name not in CONTROLS:
                worst[name] = max(known)
        if worst and coldest <= 0.56:
            best = min(worst, key=lambda name: worst[name][0])
            out.append((goal, "met" if worst[best][0] <= 0.3 else "missed",
                        f"{title(best)}: {worst[best][0]:.2f} at worst, at {worst[best][1]} T_mct"))
        elif worst:
            best = min(worst, key=lambda name: worst[name][0])
            out.append((goal, "open", f"coldest state {coldest:.2f} T_mct; so far {title(best)}: {worst[best][0]:.2f} "
                        f"at worst, at {worst[best][1]} T_mct"))
        else:
            out.append((goal, "open", "no trials"))
    for name, repeats in held.items():
        value, error = merits(repeats)["coverage"]
        if np.isfinite(value) and name not in CONTROLS:
            good = COVERED[0] <= value <= COVERED[1]
            states = merits(repeats)["states"][0]
            out.append((f"90 % band of {title(name)} covers 80-97 %, by state", judged(good, states),
                        f"{value:.3f} ± {error:.3f}"))
    return out


def draw_errors(found: dict[str, dict[str, Repeats]], out: Path) -> None:
    """|error of F/F(0)| of A over t for the best model of each transfer, a line a state, coloured by T/T_mct."""
    plt = figures.pyplot()
    names = [transfer for transfer in sorted(found) if any(label not in CONTROLS for label in found[transfer])]
    figure, axes = plt.subplots(1, len(names), figsize=(3.2 * len(names), 3), squeeze=False, layout="constrained",
                                sharey=True)
    colours = plt.get_cmap("coolwarm")
    for axis, transfer in zip(axes[0], names):
        models = {label: repeats for label, repeats in found[transfer].items() if label not in CONTROLS}
        best = min(models, key=lambda label: merits(models[label])["rmse_A"][0])
        for one in inside(min(models[best].items())[1], 0.0, np.inf):
            error = np.abs(one.F - one.truth)[:, 0] / one.initial[0]
            axis.plot(one.times, error, color=colours(float(np.clip(0.5 + 0.7 * np.log(one.relative), 0, 1))), lw=0.8)
        axis.set(xscale="log", xlabel=r"$t$ / $\tau_\mathrm{LJ}$", title=f"{transfer}: {title(best)}")
    axes[0, 0].set_ylabel("|error of $F/F(0)$|, A")
    figures.save(figure, out)


def main() -> None:
    """Read the command line, print the tables, write CSV and figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="of `python -m hpctools.liquids trials`")
    parser.add_argument("--out", type=Path, help="CSV file of all rows")
    parser.add_argument("--figure", help="figure of the errors, by suffix .png, .pdf or .svg")
    given = parser.parse_args()
    found = load(given.folder)
    rows, plain = [], []
    for transfer, words, low, high in sections(found):
        for name, repeats in found[transfer].items():
            row = merits(repeats, low, high)
            if not row["states"][0] > 0:
                continue
            control = " (control)" if name in CONTROLS else ""
            rows.append([words, title(name) + control, f"{row['states'][0]:.0f}", f"{len(repeats)}",
                         *(number(*row[column]) for column in COLUMNS)])
            plain.append([words, name, row["states"][0], len(repeats), *(x for c in COLUMNS for x in row[c])])
    print(figures.markdown(["transfer", "model", "states", "repeats", *(metrics.TITLES[c] for c in COLUMNS)], rows,
                           left=(0, 1)))
    print()
    print(figures.markdown(["goal", "", "found"], goals(found), left=(0, 1, 2)))
    if given.out:
        figures.make_folder(given.out)
        with open(given.out, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            errors = (x for c in COLUMNS for x in (c, f"{c}_error"))
            writer.writerow(["transfer", "model", "states", "repeats", *errors])
            writer.writerows(plain)
        print(f"table: {given.out}")
    if given.figure:
        draw_errors(found, figures.check_output(given.figure))


if __name__ == "__main__":
    figures.run(main)
