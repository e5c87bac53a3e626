"""Trained on one potential, tested on the other: R² and RMSE against T/T_mct (Ciarella et al. 2023, figure 5).

    python -m hpctools.liquids trials --transfers potential --out results/liquid_trials
    python analysis/liquid_potential_transfer.py results/liquid_trials --out results/liquid_potential_transfer.png

One row of panels a direction. R² with the mean of the truth, also of each species on F/F(0), RMSE of both; errors of
log₁₀ τ_α. T_mct is that of the tested potential. Lines: liquids; open squares: glasses; grey: controls, which are
always there. Inset: a liquid of the bin whose R² by the first model is nearest to 0.8, which the paper calls
acceptable. Error bars: standard errors over the states tested, over a tenth of the training states left out, and seeds.
"""

from __future__ import annotations

import argparse

import figures
import numpy as np
from liquid_bins import (
    BINS,
    PANELS,
    chosen,
    draw,
    dress,
    inset,
    inside,
    load,
    merits,
    number,
    only,
    style,
    title,
)

from hpctools.liquids.network import metrics


def main() -> None:
    """Read the command line, print the table, write the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="of `python -m hpctools.liquids trials`")
    parser.add_argument("--models", nargs="+", default=(), help="MODEL or MODEL/INPUTS (default: all that were tried)")
    parser.add_argument("--out", default="liquid_potential_transfer.png", help="figure: .png, .pdf or .svg")
    given = parser.parse_args()
    out = figures.check_output(given.out)
    found = load(given.folder, ["LJ", "WCA"])
    directions = [name for name in ("LJ", "WCA") if name in found]
    plt = figures.pyplot()
    figure, axes = plt.subplots(len(directions), len(PANELS), figsize=(22, 3 * len(directions)),
                                layout="constrained", squeeze=False)
    rows = []
    for line, trained in zip(axes, directions):
        tested = "WCA" if trained == "LJ" else "LJ"
        names = chosen(found[trained], given.models)
        for axis, (merit, words) in zip(line, PANELS):
            for name in names:
                draw(axis, found[trained][name], merit, label=title(name), **style(name, names))
            dress(axis, merit, words)
        line[0].set_title(f"trained on {trained}, tested on {tested}")
        first = only(found[trained][names[0]], False)
        liquids = [one for part in first.values() for one in part]
        bins = [(low, high) for low, high in BINS if inside(liquids, low, high)]
        scores = [merits(first, low, high)["r2"][0] for low, high in bins]
        if bins and np.isfinite(scores).any():
            nearest = bins[int(np.nanargmin(np.abs(np.array(scores) - 0.8)))]
            inset(line[0], inside(liquids, *nearest), (0.5, 0.15, 0.42, 0.34))
        for low, high in BINS:
            for name in names:
                for glass in (False, True):
                    here = merits(only(found[trained][name], glass), low, high)
                    if here["states"][0] > 0:
                        rows.append([f"{trained} → {tested}", f"{low:g} … {high:g}{', glasses' * glass}", title(name),
                                     f"{here['states'][0]:.0f}", *(number(*here[m]) for m, _ in PANELS),
                                     f"{here['coverage'][0]:.2f}"])
    axes[0, -1].legend(fontsize=5.5)
    print(figures.markdown(["transfer", "T/T_mct", "model", "states", *(metrics.TITLES[m] for m, _ in PANELS),
                            "coverage"], rows, left=(0, 1, 2)))
    figures.save(figure, out)


if __name__ == "__main__":
    figures.run(main)
