"""Predictions of curves by models that have not seen them: every model fitted within each fold of a split.

What takes time is kept in a folder of runs and not done again: networks as KIND/FOLD (the same folders as of
`python -m hpctools.glasses train`), or, where that is of other curves or epochs, as KIND/FOLD-HASH-EPOCHS; predictions
of models without a network as predictions/MODEL-FOLD-HASHES.npz, the hashes those of training curves, without and with
sparse ones, their noise, test curves and the program.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hpctools.stop import Stop
from hpctools.training_log import read_log
from hpctools.training_settings import MACHINE, TrainingError
from hpctools.whole import whole

from .curves import Curves
from .images import Axes
from .learning_settings import folder_name, for_kind
from .models import ComponentForest, DirectForest, GaussianProcess, Model, NearestComposition, PairMean, with_deviation
from .splits import Fold

if TYPE_CHECKING:
    from .autoencoder import Trained
    from .mean_force import MeanForce

Array = NDArray[np.float64]
# quick to fit; those of networks are added by `held_out`
SIMPLE: dict[str, Callable[[], Model]] = {
    "pair mean": PairMean,
    "nearest composition": NearestComposition,
    "PCA-8 + forest": ComponentForest,
    "direct forest, paper": lambda: DirectForest("paper"),
    "direct forest, fractions": lambda: DirectForest("fractions"),
    "Gaussian process, plain": lambda: GaussianProcess(plain=True),
    "Gaussian process": GaussianProcess,
}
MEAN_FORCE = "mean-force network"
LATENT = {"CNN + forest, paper": ("raster", "paper"), "CNN + forest, fractions": ("raster", "fractions"),
          "CNN + forest, bars": ("bars", "fractions")}  # fmt: skip
MODELS = (*SIMPLE, MEAN_FORCE, *LATENT)
_OF_A_RUN = ("epochs", "seed", "validation_epochs", "checkpoint_minutes", *MACHINE)
"""Settings of a training that are told by themselves, or change no weight."""


class NotTrained(Exception):
    """A network's fold that has no weights for these curves yet."""

    user_error = True


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Of the n curves of a data set: predictions (n, bins), NaN where no fold tests the curve; top (n,) of their plots;
    fold (n,) that tests a curve, -1 where none does; learned (n,): whether this fold learns from curves of its pair;
    deviation (n, bins), counting (n, 1) of the first element's neighbours, and images (n, 64, 64) where a model has
    them; trainings: a line on the network of each fold."""

    g: Array
    top: Array
    fold: NDArray[np.int64]
    learned: NDArray[np.bool_]
    deviation: Array | None = None
    counting: Array | None = None
    images: Array | None = None
    trainings: tuple[str, ...] = ()

    @property
    def tested(self) -> NDArray[np.int64]:
        """Rows that a fold tests."""
        return np.flatnonzero(self.fold >= 0)


@dataclass(frozen=True)
class Runs:
    """Where trainings and predictions are kept, and how missing ones are made.

    epochs : of autoencoders; 0 takes those that are there, whatever their epochs, and trains none. force_epochs : of
    mean-force networks; 0 takes those that are there, and trains missing ones as `train mean-force` does.
    """

    folder: Path
    epochs: int = 0
    force_epochs: int = 0

    def network(self, kind: str, fold: Fold, encoding: str = "raster", curves: str = "", epochs: int = 0) -> Path:
        """Folder of a training: KIND/FOLD, unless what is there is of other curves (their hash) or epochs.

        curves : hash of those that are learned from, where networks of a fold may be of several data sets, as of
        shuffled ones; KIND/FOLD is then only what `train` has left there.
        """
        from hpctools import weights
        from hpctools.training import MODEL

        plain = self.folder / folder_name(kind, fold.name, encoding)
        if (plain / MODEL).exists():
            config = weights.load(plain / MODEL).config
            if (not curves or config["curves"] == curves) and epochs in (0, config["settings"]["epochs"]):
                return plain
        elif not curves:
            return plain
        return plain.with_name("-".join([fold.name, *([curves] if curves else []), *([f"e{epochs}"] * (epochs > 0))]))


def held_out(name: str, curves: Curves, folds: list[Fold], runs: Runs, stop: Stop | None = None,
             labels: Curves | None = None) -> HeldOut:
    """Predictions of a model of `MODELS` for the test parts of folds. Raises NotTrained.

    labels : of `LATENT` models, the same curves with other glasses, for the forest to learn from and to be asked for;
    the autoencoder, which sees none, is that of `curves`.
    """
    n, bins = curves.g.shape
    g, top, place = np.full((n, bins), np.nan), np.ones(n), np.full(n, -1)
    learned = np.zeros(n, bool)
    further: dict[str, Array] = {}
    trainings: list[str] = []
    for index, fold in enumerate(folds):
        found = (_cached(name, curves, fold, runs, stop, trainings) if labels is None else
                 _latent(name, curves, labels, fold, runs, stop, trainings))
        test = fold.test
        g[test], place[test] = found["g"], index
        known = set(curves.rows(fold.train).pairs)
        learned[test] = [curves.pairs[row] in known for row in test]
        top[test] = Axes.of(curves.rows(fold.train)).top(curves.rows(test).query)
        for key in found.keys() - {"g"}:
            if key not in further:
                further[key] = np.full((n, *found[key].shape[1:]), np.nan)
            further[key][test] = found[key]
    return HeldOut(g, top, place, learned, further.get("deviation"), further.get("counting"), further.get("images"),
                   tuple(dict.fromkeys(trainings)))


def _cached(name: str, curves: Curves, fold: Fold, runs: Runs, stop: Stop | None, trainings: list[str]
            ) -> dict[str, Array]:
    if name not in SIMPLE:  # a network may be trained further, and predicts quickly
        return _fitted(name, curves, fold, runs, stop, trainings)
    words = name.replace(",", "").replace(" ", "-")
    learned = curves.rows(fold.train)
    noise = hashlib.sha256(np.round(learned.with_sparse().variance, 9).tobytes()).hexdigest()[:8]
    hashed = "-".join([learned.fingerprint(), learned.with_sparse().fingerprint()[:8], noise,
                       curves.rows(fold.test).fingerprint(), _program()])
    path = runs.folder / "predictions" / f"{words}-{fold.name}-{hashed}.npz"
    found = _read(path)
    if found is None:
        found = _fitted(name, curves, fold, runs, stop, trainings)
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole(path, shared=True) as part, open(part, "wb") as file:
            np.savez_compressed(file, **found)  # type: ignore[arg-type]
    return found


def _read(path: Path) -> dict[str, Array] | None:
    """None where there is no whole file."""
    try:
        with np.load(path) as file:
            return {key: file[key] for key in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return None


@cache
def _program() -> str:
    """A hash of what the predictions of `SIMPLE` follow from beside the curves."""
    here = Path(__file__).parent
    text = "".join((here / f"{name}.py").read_text(encoding="utf-8")
                   for name in ("models", "forest", "fingerprint", "boron", "curves", "held_out"))
    return hashlib.sha256(f"{text}{version('scikit-learn')}{version('numpy')}".encode()).hexdigest()[:8]


def _fitted(name: str, curves: Curves, fold: Fold, runs: Runs, stop: Stop | None, trainings: list[str]
            ) -> dict[str, Array]:
    learned, asked = curves.rows(fold.train), curves.rows(fold.test).query
    if name in SIMPLE:
        model = SIMPLE[name]()
        model.fit(learned)
        g, deviation = with_deviation(model, asked)
        if not isinstance(model, GaussianProcess):
            return {"g": g}
        counting = model.deviation_of_sums(asked, curves.rows(fold.test).counting_weights())
        return {"g": g, "deviation": deviation, "counting": counting}
    if name == MEAN_FORCE:
        return {"g": mean_force(curves, fold, runs, stop, trainings).predict(asked)}
    return _latent(name, curves, curves, fold, runs, stop, trainings)


def _latent(name: str, curves: Curves, labels: Curves, fold: Fold, runs: Runs, stop: Stop | None, trainings: list[str]
            ) -> dict[str, Array]:
    from .autoencoder import LatentForest

    encoding, fingerprint = LATENT[name]
    pipeline = LatentForest(autoencoder(curves, fold, runs, encoding, stop, trainings), fingerprint)
    pipeline.fit(labels.rows(fold.train))
    asked = labels.rows(fold.test).query
    found = {"g": pipeline.predict(asked)}
    return {**found, "images": pipeline.predict_images(asked)} if encoding == "raster" else found


def mean_force(curves: Curves, fold: Fold, runs: Runs, stop: Stop | None = None,
               trainings: list[str] | None = None) -> MeanForce:
    """The network of a fold, trained where it is missing. Its file belongs to the fold's training curves."""
    from hpctools import weights
    from hpctools.training import MODEL, TorchWorld

    from . import mean_force as network

    hashed = curves.rows(fold.train).fingerprint()
    folder = runs.network("mean-force", fold, curves=hashed, epochs=runs.force_epochs)
    if not (folder / MODEL).exists():
        settings = for_kind("mean-force", {"epochs": runs.force_epochs} if runs.force_epochs else {})
        hidden = replace(fold, test=np.zeros(0, np.int64))
        if not network.train_mean_force(curves, hidden, settings, folder, TorchWorld(), stop).complete:
            raise NotTrained(f"{folder}: stopped before its end; the same command goes on")
    stored = weights.load(folder / MODEL)
    if trainings is not None:
        trainings.append(training_text(folder, "mean-force", stored.config))
    return network.MeanForce(stored.arrays, stored.config)


def training_text(folder: Path, kind: str, config: dict[str, Any]) -> str:
    """Epochs that were run, and the training's error (validation's, where there is one) at its end and its best; and
    what it was not trained as `train KIND` does."""
    given, usual = config["settings"], vars(for_kind(kind, {}))
    own = {**given, **{key: config[key] for key in ("latent", "members", "width", "channels") if key in config}}
    others = [f"{key} {own[key]}" for key in own if key in usual and key not in _OF_A_RUN and own[key] != usual[key]]
    ends = f"; not as by default: {', '.join(others)}" if others else ""
    try:
        log = read_log(folder)
    except TrainingError:
        return f"{folder}: {given['epochs']} epochs, no log{ends}"
    parts = []
    for name, what in (("loss", "learned curves"), ("val_loss", "others")):
        values = [value for value in log.get(name, []) if np.isfinite(value)]
        if values:
            parts.append(f"{what} {values[-1]:.3g}, best {min(values):.3g}")
    return f"{folder}: {max(log['epoch']):.0f} epochs, loss at the end: {'; '.join(parts)}{ends}"


def autoencoder(curves: Curves, fold: Fold, runs: Runs, encoding: str = "raster", stop: Stop | None = None,
                trainings: list[str] | None = None) -> Trained:
    """The autoencoder of a fold; of a fold of random curves, as in the paper, that of all curves."""
    from hpctools.training import MODEL, TorchWorld

    from . import autoencoder as network
    from .splits import fold as named

    used = named(curves, "all") if fold.name.startswith("curves-") else fold
    folder = runs.network("autoencoder", used, encoding, epochs=runs.epochs)
    command = f"python -m hpctools.glasses train autoencoder --fold {used.name} --out {folder}"
    if encoding != "raster":
        command += f" --encoding {encoding}"
    if not (folder / MODEL).exists():
        if not runs.epochs:
            raise NotTrained(f"{folder}: no {MODEL}; train it with {command}")
        settings = for_kind("autoencoder", {"epochs": runs.epochs, "encoding": encoding})
        if not network.train_autoencoder(curves, used, settings, folder, TorchWorld(), stop).complete:
            raise NotTrained(f"{folder}: stopped before its end; the same command goes on")
    trained = network.Trained.load(folder)
    if trained.config["curves"] != curves.rows(used.train).fingerprint():
        raise NotTrained(f"{folder}: was trained on other curves ({trained.config['samples']}, now {len(used.train)}); "
                         f"remove it and run {command}")
    if trainings is not None:
        trainings.append(training_text(folder, "autoencoder", trained.config))
    return trained
