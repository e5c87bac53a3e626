"""Trained on warm states alone: R² and RMSE against T/T_mct for several T_0 (Ciarella et al. 2023, figure 4).

    python -m hpctools.liquids trials --transfers temperature --out results/liquid_trials
    python analysis/liquid_temperature_transfer.py results/liquid_trials --out results/liquid_temperature_transfer.png
    python analysis/liquid_temperature_transfer.py results/liquid_trials --models gp/mct

One row of panels a model, one curve a T_0, with a rhombus at T_0 on the edge of the panel. Full lines: warm states left
out of the training; dashed: colder than all of it. R² with the mean of the truth, also of each species on F/F(0), RMSE
of both; errors of log₁₀ τ_α, which are the least they can be where a prediction does not relax. Open squares: glasses.
The table holds all controls, the figure the nearest state and those with S(k) zeroed. Inset: the coldest liquid by the
lowest T_0. Error bars: standard errors over splits and seeds, and over the states tested.
"""

from __future__ import annotations

import argparse

import figures
import numpy as np
from liquid_bins import PANELS, chosen, control, curve, dress, inset, inside, load, merits, number, only, points, title

from hpctools.liquids.network import metrics

FIRST_CONTROLS = ("nearest", "gp/zeroed", "mlp/zeroed")


def main() -> None:
    """Read the command line, print the table, write the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="of `python -m hpctools.liquids trials`")
    parser.add_argument("--models", nargs="+", default=(), help="MODEL or MODEL/INPUTS (default: all that were tried)")
    parser.add_argument("--out", default="liquid_temperature_transfer.png", help="figure: .png, .pdf or .svg")
    given = parser.parse_args()
    out = figures.check_output(given.out)
    found = load(given.folder)
    limits = sorted(float(name[3:]) for name in found if name.startswith("T0="))
    if not limits:
        raise figures.AnalysisError(f"{given.folder}: no trials of transfer in temperature; the library needs states "
                                    "on both sides of a T_0, 3 at least above it")
    names = chosen({name for t0 in limits for name in found[f"T0={t0:g}"]}, given.models)
    drawn = [name for name in names if not control(name) or name in FIRST_CONTROLS]
    plt = figures.pyplot()
    figure, axes = plt.subplots(len(drawn), len(PANELS), figsize=(22, 2.4 * len(drawn)), layout="constrained",
                                squeeze=False)
    rows = []
    for name in names:
        line = axes[drawn.index(name)] if name in drawn else ()
        for k, t0 in enumerate(limits):
            repeats = found[f"T0={t0:g}"].get(name)
            if not repeats:
                continue
            for axis, (merit, words) in zip(line, PANELS):
                x, y, e = curve(only(repeats, False), merit)
                warm = x >= t0 - 1e-6
                label = rf"$T_0$ = {t0:g} $T_\mathrm{{mct}}$"
                points(axis, x[warm], y[warm], e[warm], merit, color=f"C{k}", label=label, lw=1)
                cold = ~warm
                if warm.any():
                    cold[np.flatnonzero(warm)[0]] = True  # the dashed line begins where the full one ends
                points(axis, x[cold], y[cold], e[cold], merit, color=f"C{k}", ls="--", lw=1)
                points(axis, *curve(only(repeats, True), merit), merit, glass=True, color=f"C{k}", ls="none", lw=1)
                axis.plot(t0, 1.0 if merit.startswith("r2") else 0.0, "D", color=f"C{k}", ms=5, clip_on=False)
                dress(axis, merit, words)
            for words, low, high, glass in (
                ("trained range", t0 - 1e-9, np.inf, False), ("0.8 T_0 … T_0", 0.8 * t0, t0 - 1e-9, False),
                ("0.5 T_0 … 0.8 T_0", 0.5 * t0, 0.8 * t0, False), ("below 0.5 T_0", 0.0, 0.5 * t0, False),
                ("glasses", 0.0, np.inf, True),
            ):  # fmt: skip
                merit_of = merits(only(repeats, glass), low, high)
                if merit_of["states"][0] > 0:
                    rows.append([title(name), f"{t0:g}", words, f"{merit_of['states'][0]:.0f}",
                                 *(number(*merit_of[merit]) for merit, _ in PANELS),
                                 f"{merit_of['coverage'][0]:.2f}"])
        if name not in drawn:
            continue
        first = only(found[f"T0={limits[0]:g}"].get(name, {}), False)
        liquids = [one for part in first.values() for one in part]
        if liquids:
            inset(line[0], inside(liquids, 0.0, min(one.relative for one in liquids) + 0.05), (0.5, 0.15, 0.42, 0.36))
        line[0].set_title(title(name))
    axes[0, -1].legend(fontsize=7)
    print(figures.markdown(["model", "T_0", "range", "states", *(metrics.TITLES[m] for m, _ in PANELS), "coverage"],
                           rows, left=(0, 2)))
    figures.save(figure, out)


if __name__ == "__main__":
    figures.run(main)
