"""The commands `train` and `predict` of `python -m hpctools.glasses`."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpctools import config, stop

from .learning_settings import KINDS, GlassTraining, for_kind

if TYPE_CHECKING:
    from .prediction import Prediction

TRAIN = """Learn g(r) from the records of glasses.

    python -m hpctools.glasses train gaussian-process --records results/glasses --out runs/gp
    python -m hpctools.glasses train mean-force --dry-run
    python -m hpctools.glasses train autoencoder --fold glass-1
    mpiexec -n 4 python -m hpctools.glasses train autoencoder --fold all

gaussian-process: one within each pair, over mole fractions and what boron makes of them; it learns from curves with
fewer than --least-counts counts (but 30 or more), too, by their noise. mean-force: a 1-D convolutional network for the
change of the potential of mean force. autoencoder: images of curves to 8 latents, and a forest to these.
Without --fold the model learns from every curve (the autoencoder from four fifths, as the paper's), its intervals come
from five folds by glass, and the file pair_correlation.npz in --out serves `predict --weights`. The autoencoder is
trained once: in these folds its forest alone is fitted anew, so that its intervals are too narrow, which `predict`
says. Networks of other folds keep a part for analysis/glass_judgement.py.
Stopped or killed trainings go on when the same command is run again.
"""

PREDICT = """g(r) of pairs in a glass, with intervals, coordination numbers and a figure, from a trained model.

    python -m hpctools.glasses predict --composition 60SiO2-20B2O3-20Na2O --pair Si-O
    python -m hpctools.glasses predict --composition 80SiO2-20BaO --pair Ba-O --csv ba.csv --out ba.png
    python -m hpctools.glasses predict --composition 60SiO2-20B2O3-20Na2O --json --weights runs/gp/pair_correlation.npz

Without --weights a Gaussian process of the shipped records predicts. Without --pair all pairs of the glass are shown.
Intervals hold 90 % of the bins of glasses like those learned from; a glass unlike them (other oxides, far from all of
them, outside the force field's limits) gets a warning.
"""

_RAW = argparse.RawDescriptionHelpFormatter


def train_command(arguments: list[str]) -> int:
    """Training of a model."""
    parser = argparse.ArgumentParser("python -m hpctools.glasses train", description=TRAIN, formatter_class=_RAW)
    parser.add_argument("kind", choices=KINDS, help="of the model")
    parser.add_argument("--config", metavar="FILE", help="TOML file with settings")
    parser.add_argument("--dry-run", action="store_true", help="print the plan and stop")
    config.add_arguments(parser, GlassTraining)
    given = parser.parse_args(arguments)
    settings = settings_of(given)
    try:
        from .learning import run
    except ImportError as error:
        print(f"error: training needs torch and scikit-learn ({error}): pip install 'hpctools[ml]'", file=sys.stderr)
        return stop.ERROR
    # as it is typed: weights are shipped, paths of this machine are not
    return run(given.kind, settings, ["python", "-m", "hpctools.glasses", "train", *arguments], given.dry_run)


def settings_of(given: argparse.Namespace) -> GlassTraining:
    """The settings of a parsed command line with `kind` and `config`: the kind's, the file's, the command line's."""
    asked = {} if given.config is None else config.read_toml(GlassTraining, given.config)
    typed = {key: value for key, value in vars(given).items() if key in GlassTraining.__dataclass_fields__}
    asked.update(config.check(GlassTraining, typed, "command line"))
    return for_kind(given.kind, asked)


def predict_command(arguments: list[str]) -> int:
    """Prediction of curves."""
    parser = argparse.ArgumentParser("python -m hpctools.glasses predict", description=PREDICT, formatter_class=_RAW)
    parser.add_argument("--composition", required=True, help="mol %%, such as 60SiO2-20B2O3-20Na2O")
    parser.add_argument("--pair", nargs="+", default=[], metavar="A-B", help="pairs of elements (default all)")
    parser.add_argument("--weights", metavar="FILE", help="file of `train` (default: the shipped one)")
    parser.add_argument("--density", type=float, metavar="G/CM3",
                        help="for coordination numbers (default: as the simulations relax it)")
    parser.add_argument("--out", default="prediction.png", help="figure: .png, .pdf or .svg (default prediction.png)")
    parser.add_argument("--no-figure", action="store_true", help="numbers alone")
    parser.add_argument("--csv", metavar="FILE", help="curves as a table; of several pairs FILE-A-B.csv each")
    parser.add_argument("--json", action="store_true", help="for programs, with the curves")
    given = parser.parse_args(arguments)
    from . import prediction

    query = prediction.named_query(given.composition, given.pair)
    if given.density is not None and not 0 < given.density < 20:
        raise PredictionError(f"--density {given.density:g} g/cm³; expected a density above 0 and below 20")
    if not given.no_figure and Path(given.out).suffix not in (".png", ".pdf", ".svg"):
        raise PredictionError(f"{given.out}: figures are written as .png, .pdf, .svg")
    for name in filter(None, (given.csv, None if given.no_figure else given.out)):
        if Path(name).is_dir():
            raise PredictionError(f"{name} is a folder; expected the name of a file")
        Path(name).parent.mkdir(parents=True, exist_ok=True)  # what cannot be written ends here
    path = Path(given.weights) if given.weights else prediction.SHIPPED
    if not path.exists():
        raise PredictionError(f"{path}: no such file; make it with python -m hpctools.glasses train "
                                 "gaussian-process, and name it by --weights")
    predictor = prediction.load(path, [pair for _, pair in query])
    found = [predictor.predict(glass, pair, given.density) for glass, pair in query]
    if given.json:
        print(json.dumps([_plain(one) for one in found], ensure_ascii=False))
    else:
        print("\n\n".join(one.text() for one in found))
    if given.csv:
        for one in found:
            name = Path(given.csv)
            name = name if len(found) == 1 else name.with_name(f"{name.stem}-{'-'.join(one.pair)}.csv")
            name.write_text(one.table(), encoding="utf-8")
    if not given.no_figure:
        draw(found, given.out)
        print(f"figure: {given.out}", file=sys.stderr if given.json else sys.stdout)
    return stop.COMPLETE


class PredictionError(ValueError):
    """A wrong option of a prediction."""

    user_error = True
    exit_code = stop.USAGE


def _plain(one: Prediction) -> dict[str, Any]:
    """As values of JSON."""
    curve = {name: [round(float(x), 6) for x in getattr(one, name)] for name in ("r", "g", "low", "high")}
    peak, height = (value if math.isfinite(value) else None for value in one.peak)
    return {
        "composition": str(one.composition), "pair": "-".join(one.pair), "level": one.level,
        "peak_angstrom": peak, "peak_height": height, "peak_error_angstrom": one.peak_error[0],
        "peak_height_error": one.peak_error[1], "cutoff_angstrom": one.cutoff,
        "neighbours": one.neighbours, "neighbours_error": one.neighbours_error,
        "neighbours_interval": {name: one.neighbours_interval(name) for name in one.neighbours},
        "density_g_cm3": one.density, "density_error_g_cm3": one.density_error,
        "density_source": one.density_source, "warnings": list(one.warnings), "r_angstrom": curve.pop("r"), **curve,
    }  # fmt: skip


def draw(found: Sequence[Prediction], path: str) -> None:
    """A panel for each curve with its interval."""
    try:
        import matplotlib
    except ImportError as error:
        raise PredictionError(f"figures need matplotlib ({error}): pip install 'hpctools[plot]', or --no-figure"
                              ) from error
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    columns = min(len(found), 3)
    rows = -(-len(found) // columns)
    figure, panels = plt.subplots(rows, columns, figsize=(1.4 + 3.4 * columns, 0.6 + 2.5 * rows), squeeze=False,
                                  constrained_layout=True)
    for axes, one in zip(panels.flat, found):
        axes.fill_between(one.r, one.low, one.high, alpha=0.3, lw=0, label=f"{100 * one.level:.0f} % interval")
        axes.plot(one.r, one.g, lw=1.3)
        axes.axhline(1, color="0.8", lw=0.6, zorder=0)
        neighbours = ", ".join(f"{name}: {value:.2f}" for name, value in one.neighbours.items())
        warned = "; with warnings" * bool(one.warnings)
        axes.set(title=f"{'-'.join(one.pair)}; neighbours {neighbours}{warned}", xlim=(0, one.r[-1]), ylim=(0, None))
        axes.title.set_fontsize(9)
    for axes in panels.flat[len(found) :]:
        axes.set_visible(False)
    panels[0, 0].legend(frameon=False, fontsize=8)
    figure.supxlabel("r [Å]", fontsize=9)
    figure.supylabel(f"g(r) in {found[0].composition}", fontsize=9)
    figure.savefig(path, dpi=160)
    plt.close(figure)


COMMANDS = {"train": train_command, "predict": predict_command}
