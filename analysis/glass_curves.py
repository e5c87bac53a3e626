"""Predicted beside simulated g(r) of nine held-out cases (Ayush et al., arXiv:2308.11151, figure 9).

    python analysis/glass_curves.py --models "CNN + forest, paper" "Gaussian process" --out glass_curves.png

Every curve is predicted by models that have seen neither it nor its glass; of random curves only the curve itself is
unseen, and the network of CNN + forest has seen four fifths of them. The cases are spread over the pairs, from
curve to curve at even steps of the first model's error. Bands: the simulation ± σ of its seeds, where there are some.
"""

from __future__ import annotations

import numpy as np
from figures import markdown, pyplot, run, save
from glass_learning import parser, read

from hpctools.glasses.errors import of
from hpctools.glasses.held_out import MODELS, NotTrained, held_out
from hpctools.glasses.splits import SPLITS, folds

CASES = 9


def main() -> None:
    """The command."""
    asked = parser(__doc__, "glass_curves.png")
    asked.add_argument("--models", nargs="+", choices=MODELS, metavar="MODEL",
                       default=["CNN + forest, paper", "Gaussian process"], help=f"some of: {'; '.join(MODELS)}")
    asked.add_argument("--split", choices=SPLITS, default="by glass", help="default by glass")
    given = asked.parse_args()
    curves, _, runs, out = read(given)
    parts = folds(curves, given.split)
    found, skipped = {}, None
    for name in given.models:
        try:
            found[name] = held_out(name, curves, parts, runs)
        except NotTrained as error:
            print(f"left out: {name}: {error}")
            skipped = error
    if not found:
        raise skipped or NotTrained("no model")
    rows = next(iter(found.values())).tested
    error = ((next(iter(found.values())).g[rows] - curves.g[rows]) ** 2).mean(1) / (curves.g[rows] ** 2).mean(1)
    order = rows[np.argsort(error)]
    chosen, pairs = [], set()
    for place in np.linspace(0, len(order) - 1, min(CASES, len(order))).astype(int):
        near = sorted(range(len(order)), key=lambda k: (curves.pairs[order[k]] in pairs, abs(k - place)))
        row = next(order[k] for k in near if order[k] not in chosen)
        chosen.append(row)
        pairs.add(curves.pairs[row])
    plt = pyplot()
    figure, panels = plt.subplots(3, 3, figsize=(10, 8), sharex=True, constrained_layout=True)
    table = []
    for axes, row in zip(panels.flat, chosen):
        g = curves.g[row]
        axes.plot(curves.r, g, color="0.2", lw=1.8, label="simulated")
        if np.isfinite(curves.variance[row]).all():
            deviation = np.sqrt(curves.variance[row])
            axes.fill_between(curves.r, g - deviation, g + deviation, color="0.8", lw=0)
        cells = [f"{curves.compositions[curves.glass[row]]}, {'-'.join(curves.pairs[row])}"]
        for name, one in found.items():
            axes.plot(curves.r, one.g[row], lw=1.1, label=name)
            of_one = of(curves.rows([row]), one.g[[row]], one.top[[row]], None if one.images is None else
                        one.images[[row]])
            cells.append(f"{100 * of_one.image[0]:.2f} %, {np.sqrt(of_one.mse[0]):.3f}")
        axes.set_title(cells[0], fontsize=7.5)
        table.append(cells)
    for axes in panels.flat[len(chosen):]:
        axes.set_visible(False)
    for axes in panels[-1]:
        axes.set_xlabel("r [Å]")
    panels[0, 0].legend(fontsize=7)
    print(markdown(("case", *(f"{name}: image MSE, RMSE of g" for name in found)), table))
    save(figure, out)


if __name__ == "__main__":
    run(main)
