"""Forests against the simulations (Ayush et al., arXiv:2308.11151, figure 8): (a) all bins of g(r), (b) latents.

    python analysis/glass_forest_parity.py --out glass_forest_parity.png

Four fifths of the curves are learned, as in the paper, and R² is given with and without them. (b) needs the autoencoder
of all curves (python -m hpctools.glasses train autoencoder, or --epochs); without it eight principal components stand
in its place.
"""

from __future__ import annotations

from figures import markdown, pyplot, run, save
from glass_learning import parser, r_squared, read

from hpctools.glasses.fingerprint import FINGERPRINTS, matrix
from hpctools.glasses.forest import Components, FittedForest
from hpctools.glasses.held_out import NotTrained, autoencoder
from hpctools.glasses.splits import fold


def main() -> None:
    """The command."""
    asked = parser(__doc__, "glass_forest_parity.png")
    asked.add_argument("--fingerprint", choices=list(FINGERPRINTS), default="paper", help="default paper")
    given = asked.parse_args()
    curves, _, runs, out = read(given)
    part = fold(curves, "all")
    inputs = matrix(given.fingerprint, curves.query)
    try:
        trained = autoencoder(curves, part, runs)
        second, name = trained.latents(trained.images(curves.query, curves.g)), "latents"
    except NotTrained as error:
        print(f"(b) shows principal components: {error}")
        second, name = Components(curves.g[part.train]).scores(curves.g), "principal components"
    plt = pyplot()
    figure, panels = plt.subplots(1, 2, figsize=(8.6, 4.2), constrained_layout=True)
    rows = []
    for axes, letter, label, targets in ((panels[0], "a", "bins of g(r)", curves.g), (panels[1], "b", name, second)):
        guessed = FittedForest(inputs[part.train], targets[part.train]).predict(inputs)
        for rows_of, colour, kind in ((part.train, "0.7", "learned"), (part.test, "C0", "test")):
            axes.plot(targets[rows_of].ravel(), guessed[rows_of].ravel(), ".", ms=2, color=colour, label=kind)
        ends = [min(targets.min(), guessed.min()), max(targets.max(), guessed.max())]
        axes.plot(ends, ends, color="0.3", lw=0.8)
        axes.set(xlabel=f"({letter}) {label}, simulated", ylabel="predicted")
        axes.legend(markerscale=4)
        test = part.test
        rows.append((label, f"{targets.size}", f"{r_squared(targets, guessed):.3f}",
                     f"{r_squared(targets[test], guessed[test]):.3f}",
                     f"{((targets - guessed)[test] ** 2).mean():.4g}"))
    print(markdown(("forest to", "numbers", "R², all as in the paper", "R², test", "MSE, test"), rows))
    save(figure, out)


if __name__ == "__main__":
    run(main)
