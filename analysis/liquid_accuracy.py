"""Predictions for states held out: R² and RMSE against T/T_mct (Ciarella et al. 2023, figure 3).

    python -m hpctools.liquids trials --transfers states --out results/liquid_trials
    python analysis/liquid_accuracy.py results/liquid_trials --out results/liquid_accuracy.png
    python analysis/liquid_accuracy.py results/liquid_trials --models mlp gp

R² with the mean of the truth, over all times and states of a bin in T/T_mct, and RMSE; the same for each species on
F/F(0); the errors of log₁₀ τ_α. Lines: liquids; open squares: glasses; grey: controls, which are always there. Error
bars: standard errors over splits and seeds, and over the states tested. Inset: a liquid of the coldest bin below 0.62
T_mct, or the coldest there is, by the first model. Values below -0.5 are drawn there.
"""

from __future__ import annotations

import argparse

import figures
from liquid_bins import BINS, PANELS, chosen, draw, dress, inset, inside, load, merits, number, only, style, title

from hpctools.liquids.network import metrics


def main() -> None:
    """Read the command line, print the table, write the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="of `python -m hpctools.liquids trials`")
    parser.add_argument("--models", nargs="+", default=(), help="MODEL or MODEL/INPUTS (default: all that were tried)")
    parser.add_argument("--out", default="liquid_accuracy.png", help="figure, by suffix .png, .pdf or .svg")
    given = parser.parse_args()
    out = figures.check_output(given.out)
    trials = load(given.folder, ["states"])["states"]
    names = chosen(trials, given.models)
    plt = figures.pyplot()
    figure, axes = plt.subplots(2, 4, figsize=(14, 6), layout="constrained")
    for axis, (merit, words) in zip(axes.flat, PANELS):
        for name in names:
            draw(axis, trials[name], merit, label=title(name), **style(name, names))
        dress(axis, merit, words)
    axes[0, 0].legend(fontsize=5.5, loc="lower right")
    first = [one for found in only(trials[names[0]], False).values() for one in found]
    cold = inside(first, 0.0, 0.62) or inside(first, 0.0, min((one.relative for one in first), default=0.0) + 1e-6)
    inset(axes[0, 0], cold, (0.08, 0.12, 0.34, 0.3))
    rows = []
    for low, high in BINS:
        for name in names:
            for glass in (False, True):
                found = merits(only(trials[name], glass), low, high)
                if found["states"][0] > 0:
                    rows.append([f"{low:g} … {high:g}{', glasses' * glass}", title(name), f"{found['states'][0]:.0f}",
                                 *(number(*found[merit]) for merit, _ in PANELS)])
    print(figures.markdown(["T/T_mct", "model", "states", *(metrics.TITLES[m] for m, _ in PANELS)], rows, left=(0, 1)))
    figures.save(figure, out)


if __name__ == "__main__":
    figures.run(main)
