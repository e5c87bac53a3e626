"""Training of the autoencoder and three curves through it (Ayush et al., arXiv:2308.11151, figure 6).

    python -m hpctools.glasses train autoencoder
    python analysis/glass_autoencoder.py --out glass_autoencoder.png

Left: mean squared error over the epochs, of the images learned from and of a fifth of the curves that is not, the last
quarter in the small panel, beside the error of a blank image. Right: three of that fifth before and after.
"""

from __future__ import annotations

import numpy as np
from figures import AnalysisError, pyplot, run, save
from glass_learning import parser, read

from hpctools.glasses.held_out import autoencoder
from hpctools.glasses.learning_settings import ENCODINGS
from hpctools.glasses.splits import fold
from hpctools.training_log import read_log


def main() -> None:
    """The command."""
    asked = parser(__doc__, "glass_autoencoder.png")
    asked.add_argument("--encoding", choices=ENCODINGS, default="raster", help="of the images")
    given = asked.parse_args()
    curves, _, runs, out = read(given)
    part = fold(curves, "all")
    trained = autoencoder(curves, part, runs, given.encoding)
    folder = runs.network("autoencoder", part, given.encoding, epochs=runs.epochs)
    log = read_log(folder)
    if len(part.test) < 3:
        raise AnalysisError(f"{len(part.test)} held-out curves; the figure needs three: add glasses")
    test = curves.rows(part.test)
    images = trained.images(test.query, test.g)
    rebuilt = trained.decoded(trained.latents(images))
    error = ((rebuilt - images) ** 2).mean((1, 2))
    chosen = np.argsort(error)[[len(error) // 6, len(error) // 2, -1 - len(error) // 6]]
    plt = pyplot()
    figure = plt.figure(figsize=(10, 4.2), constrained_layout=True)
    grid = figure.add_gridspec(2, 5)
    axes = figure.add_subplot(grid[:, :2])
    epoch, learned, held = (np.array(log[name], float) for name in ("epoch", "loss", "val_loss"))
    for values, label in ((learned, "learned"), (held, "held out")):
        seen = np.isfinite(values)
        axes.plot(epoch[seen], values[seen], label=label)
    axes.axhline((images**2).mean(), color="0.5", ls="--", lw=0.8, label="blank image")
    axes.set(xlabel="epoch", ylabel="mean squared error of a pixel", yscale="log")
    axes.legend(loc="upper right")
    inset = axes.inset_axes((0.34, 0.42, 0.3, 0.26))
    for values in (learned, held):
        late = np.isfinite(values) & (epoch >= 0.75 * epoch[-1])
        inset.plot(epoch[late], values[late], lw=0.9)
    inset.tick_params(labelsize=6)
    for k, row in enumerate(chosen):
        for line, (image, name) in enumerate(((images[row], "before"), (rebuilt[row], "after"))):
            panel = figure.add_subplot(grid[line, 2 + k])
            panel.imshow(1 - image, origin="lower", cmap="gray", vmin=0, vmax=1)
            panel.set(xticks=[], yticks=[])
            title = f"{'-'.join(test.pairs[row])}, {name}" if line == 0 else f"{name}, MSE {100 * error[row]:.2f} %"
            panel.set_title(title, fontsize=8)
            panel.grid(False)
    print(f"{int(epoch[-1])} epochs: learned {learned[-1]:.4f}, held out {error.mean():.4f}, blank "
          f"{(images**2).mean():.4f}; the paper's 0.005 and below 0.006")
    save(figure, out)


if __name__ == "__main__":
    run(main)
