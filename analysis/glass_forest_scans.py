"""Hyper-parameters of the forest (Ayush et al., arXiv:2308.11151, figure 7): errors over each of the four.

    python analysis/glass_forest_scans.py --targets latents --out glass_forest_scans.png
    python analysis/glass_forest_scans.py --targets components --split "by glass"

The others stay at the paper's choice (15 trees, 30 features, depth 20, 2 samples). Targets: the latents of the
autoencoder of all curves, eight principal components, or all bins, each in units of its standard deviation.
"""

from __future__ import annotations

import numpy as np
from figures import markdown, pyplot, run, save
from glass_learning import parser, read

from hpctools.glasses.fingerprint import FINGERPRINTS, matrix
from hpctools.glasses.forest import PAPER, SCANS, Components, scan
from hpctools.glasses.held_out import autoencoder
from hpctools.glasses.splits import SPLITS, fold, folds

LABELS = {"trees": "trees", "features": "features a split", "depth": "largest depth", "least": "samples to split"}


def main() -> None:
    """The command."""
    asked = parser(__doc__, "glass_forest_scans.png")
    asked.add_argument("--targets", choices=("latents", "components", "bins"), default="components",
                       help="what the forest predicts (default components)")
    asked.add_argument("--split", choices=SPLITS[:2], default=SPLITS[0], help=f"default {SPLITS[0]}")
    asked.add_argument("--fingerprint", choices=list(FINGERPRINTS), default="paper", help="default paper")
    given = asked.parse_args()
    curves, _, runs, out = read(given)
    parts = [(one.train, one.test) for one in folds(curves, given.split)]
    targets = curves.g
    if given.targets == "components":
        targets = Components(curves.g).scores(curves.g)
    elif given.targets == "latents":
        trained = autoencoder(curves, fold(curves, "all"), runs)
        targets = trained.latents(trained.images(curves.query, curves.g))
    targets = targets[:, targets.std(0) > 0]
    inputs = matrix(given.fingerprint, curves.query)
    plt = pyplot()
    figure, panels = plt.subplots(2, 2, figsize=(8, 5.6), sharey=True, constrained_layout=True)
    rows = []
    for letter, axes, name in zip("abcd", panels.flat, SCANS):
        points = scan(name, inputs, targets, parts)
        value, test = np.array([p.value for p in points]), np.array([p.test for p in points])
        axes.plot(value, [p.train for p in points], "o-", ms=3, label="learned")
        axes.errorbar(value, test, [p.error for p in points], fmt="s-", ms=3, label="test")
        axes.axvline(getattr(PAPER, name), color="0.6", ls="--", lw=0.8, label="the paper's choice")
        axes.set(xlabel=f"({letter}) {LABELS[name]}", ylabel="mean squared error")
        best = points[int(np.argmin(test))]
        near = [p for p in points if p.value == getattr(PAPER, name)]
        here = f"{near[0].test:.3f} ± {near[0].error:.3f}" if near else "–"
        rows.append((LABELS[name], f"{getattr(PAPER, name)}", here, f"{best.value}",
                     f"{best.test:.3f} ± {best.error:.3f}"))
    panels[0, 0].legend()
    figure.suptitle(f"forest to {given.targets}, {given.split}, fingerprint: {given.fingerprint}", fontsize=10)
    print(markdown(("hyper-parameter", "paper", "test error there", "lowest at", "test error there"), rows))
    save(figure, out)


if __name__ == "__main__":
    run(main)
