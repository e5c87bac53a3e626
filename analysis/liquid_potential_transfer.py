"""Trained on one potential, tested on the other: R² and RMSE against T/T_mct (Ciarella et al. 2023, figure 5).

    python -m hpctools.liquids trials --transfers potential --out results/liquid_trials
    python analysis/liquid_potential_transfer.py results/liquid_trials --out results/liquid_potential_transfer.png

One row of panels a direction. R² with the mean of the truth, also of each species on F/F(0); error of log₁₀ τ_α of A.
T_mct is that of the tested potential. Inset: a state of the bin whose R² by the first model is nearest to 0.8, which
the paper calls acceptable. Error bars: standard errors over a tenth of the training states left out, and seeds.
"""

from __future__ import annotations

import argparse

import figures
import numpy as np
from liquid_bins import BINS, TRANSFER_PANELS, chosen, curve, draw, dress, inset, inside, load, merits, number, title

MODELS = ("mlp", "mlp/structure", "gp", "gp/structure", "gp/mct", "ridge", "gp/zeroed")


def main() -> None:
    """Read the command line, print the table, write the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="of `python -m hpctools.liquids trials`")
    parser.add_argument("--models", nargs="+", default=MODELS, help="MODEL or MODEL/INPUTS, those that were tried")
    parser.add_argument("--out", default="liquid_potential_transfer.png", help="figure: .png, .pdf or .svg")
    given = parser.parse_args()
    out = figures.check_output(given.out)
    found = load(given.folder, ["LJ", "WCA"])
    directions = [name for name in ("LJ", "WCA") if name in found]
    plt = figures.pyplot()
    figure, axes = plt.subplots(len(directions), len(TRANSFER_PANELS), figsize=(12, 3 * len(directions)),
                                layout="constrained", squeeze=False)
    rows = []
    for line, trained in zip(axes, directions):
        tested = "WCA" if trained == "LJ" else "LJ"
        names = chosen(found[trained], given.models)
        for axis, (merit, words) in zip(line, TRANSFER_PANELS):
            for name in names:
                draw(axis, *curve(found[trained][name], merit), merit, label=title(name), lw=1)
            dress(axis, merit, words)
        line[0].set_title(f"trained on {trained}, tested on {tested}")
        first = [one for part in found[trained][names[0]].values() for one in part]
        bins = [(low, high) for low, high in BINS if inside(first, low, high)]
        scores = [merits(found[trained][names[0]], low, high)["r2"][0] for low, high in bins]
        if bins and np.isfinite(scores).any():
            nearest = bins[int(np.nanargmin(np.abs(np.array(scores) - 0.8)))]
            inset(line[0], inside(first, *nearest), (0.5, 0.15, 0.42, 0.34))
        for low, high in bins:
            for name in names:
                here = merits(found[trained][name], low, high)
                rows.append([f"{trained} → {tested}", f"{low:g} … {high:g}", title(name), f"{here['states'][0]:.0f}",
                             *(number(*here[merit]) for merit, _ in TRANSFER_PANELS),
                             f"{here['coverage'][0]:.2f}"])
    axes[0, -1].legend(fontsize=6.5)
    print(figures.markdown(["transfer", "T/T_mct", "model", "states", "R²", "RMSE", "R² B", "Δlog τ A", "coverage"],
                           rows, left=(0, 1, 2)))
    figures.save(figure, out)


if __name__ == "__main__":
    figures.run(main)
