"""Training of a model on the records of glasses: the networks of single folds, and files for `predict`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpctools.config import ConfigError
from hpctools.stop import COMPLETE, STOPPED, Stop

from . import curves, prediction
from .curves import LIBRARY, Curves
from .learning_settings import GlassTraining, folder_name
from .models import GaussianProcess, deviation_of_sums, with_deviation
from .splits import Fold, fold
from .unseen import QUANTITIES, Unseen, coverage

FILE = "pair_correlation.npz"
Array = NDArray[np.float64]


def folder_of(kind: str, settings: GlassTraining) -> Path:
    """Where a training is kept."""
    return Path(settings.out or Path("runs/glasses") / folder_name(kind, settings.fold, settings.encoding))


def data_of(settings: GlassTraining) -> tuple[Curves, list[str]]:
    """The curves of a training, and lines that list those with too few counts. Raises CurvesError, RecordError."""
    records = curves.find(settings.records or (LIBRARY,))
    found, left = curves.gather(records, settings.reach).with_enough(settings.least_counts)
    if not len(found):
        raise curves.CurvesError(f"no curve of the {len(records)} records is expected to have more than "
                                 f"{settings.least_counts:g} pairs of atoms in its first shell: add seeds, or lower "
                                 "--least-counts")
    return found, left


def plan_text(kind: str, settings: GlassTraining, data: Curves, left: list[str], chosen: Fold) -> str:
    """What a training will do."""
    seeds = data.seeds
    return "\n".join((
        f"curves    {len(data)} of {len(data.known_pairs)} pairs in {len(set(data.glass))} glasses, {seeds.min()} to "
        f"{seeds.max()} seeds; left out for too few counts: {sum(line.count('(') for line in left)}",
        *(f"left out  {line}" for line in data.left_out),
        f"fold      {chosen.name}: {len(chosen.train)} curves to learn from, {len(chosen.test)} others",
        f"model     {kind}" + ("" if kind == "gaussian-process" else f", {settings.epochs} epochs of "
                               f"{-(-len(chosen.train) // settings.batch)} steps"),
        f"output    {folder_of(kind, settings)}",
    ))  # fmt: skip


def check(kind: str, settings: GlassTraining) -> None:
    """Raise ConfigError for what a fold cannot do."""
    if kind == "gaussian-process" and settings.fold != "all":
        raise ConfigError(f"--fold {settings.fold}: a Gaussian process is fitted within the judgement "
                          "(analysis/glass_judgement.py) and leaves no file of a fold; leave --fold out")
    if settings.keep == "best":
        raise ConfigError(f"--keep best would choose the weights by the curves that {kind} --fold {settings.fold} "
                          "is tested on, if by any; expected last")


def run(kind: str, settings: GlassTraining, arguments: Sequence[str], dry_run: bool = False) -> int:
    """Train; returns the exit code. All ranks call it. Raises ConfigError for what a fold cannot do."""
    check(kind, settings)
    from hpctools.training import start

    world = start(settings.device, settings.threads)
    data, left = data_of(settings)
    everything = np.arange(len(data))
    if kind != "autoencoder" and settings.fold == "all":
        chosen = Fold("all", everything, everything[:0])
    else:
        chosen = fold(data, settings.fold)
    inner_folds = prediction.inner_folds(data) if settings.fold == "all" else []  # before hours of work
    if world.rank == 0:
        print(plan_text(kind, settings, data, left, chosen), flush=True)
    if dry_run:
        return COMPLETE
    folder = folder_of(kind, settings)
    with Stop(settings.wall_time, settings.margin, ask_slurm=world.rank == 0) as stop:
        trained = _train(kind, data, chosen, settings, folder, world, stop, arguments)
        if trained is None:
            return STOPPED
        if settings.fold != "all":
            return COMPLETE
        every = data.with_sparse()
        unseen = Unseen.empty(every)
        for inner in inner_folds:
            part = replace(inner, test=inner.test[:0]) if kind == "mean-force" else inner
            model = _of_fold(kind, data, part, settings, folder, world, stop, arguments, trained)
            if model is None:
                return STOPPED
            rows = np.flatnonzero(np.isin(every.glass, data.glass[inner.test]))
            asked = every.rows(rows)
            g, unseen.deviations[rows] = with_deviation(model, asked.query)
            unseen.counting[rows] = deviation_of_sums(model, asked.query, asked.counting_weights())
            unseen.errors[rows] = g - asked.g
    if world.rank == 0:
        _finish(kind, data, unseen, inner_folds, trained, settings, folder, arguments)
    return COMPLETE


def _train(kind: str, data: Curves, chosen: Fold, settings: GlassTraining, folder: Path, world: Any, stop: Stop,
           arguments: Sequence[str]) -> Any:
    """The model that was fitted to a fold's part, or None where it was stopped. Collective."""
    if kind == "gaussian-process":
        process = GaussianProcess()
        process.fit(data.rows(chosen.train))
        return process
    from hpctools import weights
    from hpctools.training import MODEL

    if kind == "mean-force":
        from .mean_force import MeanForce as Network
        from .mean_force import train_mean_force as train
    else:
        from .autoencoder import Trained as Network  # type: ignore[assignment]
        from .autoencoder import train_autoencoder as train
    if not train(data, chosen, settings, folder, world, stop, arguments).complete:
        return None
    world.barrier()  # the file is there
    stored = weights.load(folder / MODEL)
    return Network(stored.arrays, stored.config)


def _of_fold(kind: str, data: Curves, inner: Fold, settings: GlassTraining, folder: Path, world: Any, stop: Stop,
             arguments: Sequence[str], trained: Any) -> Any:
    """The model fitted to the part of an inner fold, for the intervals; None where it was stopped."""
    if kind == "autoencoder":
        # the forest alone is fitted anew, which the file and `predict` say: five more networks would take hours
        from .autoencoder import LatentForest

        pipeline = LatentForest(trained, "fractions")
        pipeline.fit(data.rows(inner.train))
        return pipeline
    return _train(kind, data, inner, settings, folder / inner.name, world, stop, arguments)


def _finish(kind: str, data: Curves, unseen: Unseen, folds: Sequence[Fold], trained: Any, settings: GlassTraining,
            folder: Path, arguments: Sequence[str]) -> None:
    """Write the file and tell of it."""
    if kind == "gaussian-process":
        arrays = {f"model/{'-'.join(pair)}": one.parameters for pair, one in trained.pairs.items()}
        config: dict[str, Any] = {}
    else:
        arrays = {f"model/{name}": array for name, array in trained.arrays.items()}
        config = {"model": trained.config}
    path = folder / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    error = float(np.sqrt((unseen.errors[: len(data)] ** 2).mean()))
    name = "rmse_glasses_seen_by_network" if kind in prediction.SEEN else "rmse_unseen_glasses"
    prediction.save(path, kind, data, unseen, arrays, config, settings, arguments, {name: error})
    if kind in prediction.SEEN:
        print(f"{path}: root mean square error of g {error:.3f} in glasses that the network has seen, and only the "
              "forest has not: intervals from these errors are too narrow")
    else:
        print(f"{path}: root mean square error of g in unseen glasses {error:.3f}")
        for name, found in zip(("usual", "rare"), coverage(data, unseen, folds)):
            if np.isfinite(found).any():
                shares = ", ".join(f"{what} {100 * share:.0f} %" for what, share in zip(QUANTITIES, found))
                print(f"90 % intervals of {name} pairs, from the errors in other folds, cover: {shares}")
    sys.stdout.flush()
