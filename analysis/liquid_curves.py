"""F_s(k_p,t) simulated and predicted, with the lines of mode-coupling theory (Ciarella et al. 2023, figure 2).

    python -m hpctools.liquids trials --out results/liquid_trials
    python analysis/liquid_curves.py results/liquid_trials --out results/liquid_curves.png
    python analysis/liquid_curves.py results/liquid_trials --model gp --density 1.4

Points: simulation. Lines with bands: predictions for states that the model had not seen (transfer `states`, first
repeat). Dotted: mode-coupling theory of the same structure on the networks' grid, Newtonian, no free parameter; it is
computed once and kept in the folder (about a second a state). Thin grey lines: the controls that the folder holds. One
panel a potential and species. The table gives R² and RMSE of each state shown, for the model, the theory and each
control; glasses are marked.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import figures
import numpy as np
from liquid_bins import Repeats, chosen, control, load, title

from hpctools.liquids.network import metrics, theory
from hpctools.liquids.network.curves import reduced
from hpctools.liquids.network.metrics import Prediction
from hpctools.liquids.network.samples import Sample
from hpctools.liquids.network.samples import load as load_samples


def same(sample: Sample, one: Prediction) -> bool:
    """Is it the sample of this prediction?"""
    return (sample.state.key == (one.potential, one.density, one.temperature) and len(sample.times) == len(one.times)
            and np.allclose(sample.F, one.truth))


def spread(found: list[Prediction], number: int) -> list[Prediction]:
    """So many states at most, one record each, from warm to cold."""
    first = {one.temperature: one for one in reversed(found)}
    ordered = [first[t] for t in sorted(first, reverse=True)]
    rows = np.unique(np.linspace(0, len(ordered) - 1, min(number, len(ordered))).astype(int))
    return [ordered[i] for i in rows]


def main() -> None:
    """Read the command line, print the table, write the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="of `python -m hpctools.liquids trials`")
    parser.add_argument("--data", nargs="*", default=[], help="folders of the records (default: the shipped library)")
    parser.add_argument("--model", default="mlp", help="MODEL or MODEL/INPUTS (default mlp, the paper's network)")
    parser.add_argument("--density", type=float, default=1.2, help="(default 1.2)")
    parser.add_argument("--states", type=int, default=6, help="of each potential, from warm to cold (default 6)")
    parser.add_argument("--out", default="liquid_curves.png", help="figure, by suffix .png, .pdf or .svg")
    given = parser.parse_args()
    out = figures.check_output(given.out)
    trials = load(given.folder, ["states"])["states"]
    name = given.model
    controls = [other for other in chosen(trials, [name]) if control(other) and other != name]
    found = [one for one in min(trials[name].items())[1] if one.density == given.density]
    potentials = sorted({one.potential for one in found})
    if not found:
        raise figures.AnalysisError(f"{given.folder}: no state of density {given.density:g}")
    samples = load_samples(given.data)
    cache = theory.Cache(Path(given.folder) / "mct.npz")
    plt = figures.pyplot()
    figure, axes = plt.subplots(len(potentials), 2, figsize=(8.4, 3.1 * len(potentials)), squeeze=False,
                                layout="constrained", sharex=True)
    rows = []
    for row, potential in zip(axes, potentials):
        for k, one in enumerate(spread([o for o in found if o.potential == potential], given.states)):
            sample = next((s for s in samples if same(s, one)), None)
            if sample is None:
                raise figures.AnalysisError("the trials are of other records than --data; give the folders of both")
            line = theory.lines([sample], cache)[0]
            colour = plt.get_cmap("coolwarm")(1 - k / max(given.states - 1, 1))
            rivals = {other: rival for other in controls if (rival := of_state(trials[other], one)) is not None}
            rows += draw(row, one, sample, line, colour, title(name), rivals)
        for axis, species in zip(row, "AB"):
            axis.set(xscale="log", ylabel=rf"$F_s^{{{species}{species}}}(k_p,t)$", title=f"{potential}, {species}")
        row[0].legend(title=r"$T/T_\mathrm{mct}$")
    for axis in axes[-1]:
        axis.set_xlabel(r"$t$ / $\tau_\mathrm{LJ}$")
    figure.suptitle(f"{title(name)}, ρ = {given.density:g}; dotted: mode-coupling theory; grey: controls", fontsize=10)
    print(figures.markdown(["state", "model", "T/T_mct", "R²", "RMSE"], rows, left=(0, 1)))
    figures.save(figure, out)


def of_state(repeats: Repeats, one: Prediction) -> Prediction | None:
    """What another model says of the same record."""
    return next((other for other in min(repeats.items())[1] if other.potential == one.potential
                 and len(other.times) == len(one.times) and np.array_equal(other.truth, one.truth)), None)


def draw(row: Any, one: Prediction, sample: Sample, line: Any, colour: Any, model: str,
         controls: dict[str, Prediction]) -> list[list[str]]:
    """Points, line, band, theory and controls of a state; its rows of the table."""
    times = theory.TIMES / reduced(sample.state)
    by_theory = np.stack([np.interp(np.log(one.times), np.log(times), line[:, a]) for a in range(2)], axis=1)
    for a, axis in enumerate(row):
        if np.isfinite(one.z):
            axis.fill_between(one.times, one.low[:, a], one.high[:, a], color=colour, alpha=0.18, lw=0)
        for other in controls.values():
            axis.plot(other.times, other.F[:, a], color="0.6", lw=0.4, zorder=1)
        axis.plot(one.times, one.F[:, a], color=colour, label=f"{one.relative:.2f}{' (glass)' * bool(one.glass)}")
        axis.plot(one.times, one.truth[:, a], ".", color=colour, ms=3.5)
        axis.plot(one.times, by_theory[:, a] * one.initial[a], ":", color=colour, lw=1)
    compared = {model: one.F, "mode-coupling theory": by_theory * one.initial,
                **{title(other): prediction.F for other, prediction in controls.items()}}
    state = sample.state.name + ", glass" * bool(one.glass)
    return [[state, words, f"{one.relative:.2f}", f"{metrics.r_squared(one.truth, F):.4f}",
             f"{np.sqrt(np.mean((one.truth - F) ** 2)):.4f}"] for words, F in compared.items()]


if __name__ == "__main__":
    figures.run(main)
