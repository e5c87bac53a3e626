"""Training and testing of many models for three kinds of transfer, each a task of a campaign.

    states   each state is in the test set once, in parts; repeats draw other parts
    T0=1.2   trained on T/T_mct ≥ 1.2, tested on all that is colder, and on a tenth of the warm states, at the
             densities trained on
    LJ, WCA  trained on this potential, tested on the other

A task leaves a file of predictions, which analysis/liquid_*.py read. All that a model sees of a test state is its
inputs; bands are set with states of its training set alone.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from hpctools.campaign import Campaign, Stopped, Task
from hpctools.folders import locked_in_turn
from hpctools.stop import Stop
from hpctools.whole import whole
from hpctools.world import World

from . import metrics, models, theory
from .metrics import Prediction
from .samples import (
    Sample,
    SampleError,
    Split,
    by_potential,
    by_temperature,
    fingerprint,
    folds,
    load,
    permuted,
    states,
)
from .settings import NETWORKS, Plan, TrainJob, check_folder, parsed

MARK = "trials.json"
FORMAT = 6  # raised where a model, its band or a split changes: trials of several versions are not compared
KIND = "liquid trial"
LABELS = {
    "nearest": "nearest state", "gp/zeroed": "interpolation in T, ρ, potential", "ridge": "ridge", "gp": "PCA + GP",
    "gp/structure": "PCA + GP, S(k) alone", "gp/permuted": "PCA + GP, S(k) permuted", "gp/mct": "PCA + GP + MCT",
    "gp/reduced": "PCA + GP, reduced units",
    "mlp": "paper's network", "mlp/zeroed": "network, S(k) zeroed", "mlp/structure": "network, S(k) alone",
    "mlp/permuted": "network, S(k) permuted", "mlp/mct": "network + MCT's F_s",
    "mlp/reduced": "network, reduced units", "monotone": "monotone network",
    "monotone/mct": "monotone network + MCT",
}  # fmt: skip
_FINE = np.geomspace(1e-3, 1e6, 600)  # τ_LJ


@dataclass(frozen=True)
class Trial:
    """One training and its test."""

    transfer: str
    model: str
    inputs: str
    seed: int
    part: int

    @property
    def name(self) -> str:
        """Of the task and its file."""
        return f"{self.transfer}-{self.model}-{self.inputs}-seed{self.seed}-part{self.part}"

    @property
    def label(self) -> str:
        """MODEL or MODEL/INPUTS."""
        return self.model if self.inputs == "full" else f"{self.model}/{self.inputs}"


def splits(plan: Plan, samples: Sequence[Sample], seed: int) -> Iterator[tuple[str, int, Split]]:
    """Transfer, part and split of all trials of a repeat; those that the states do not allow are left out."""
    for transfer in plan.transfers:
        if transfer == "states":
            for part, split in enumerate(folds(samples, plan.parts, seed)):
                yield "states", part, split
        elif transfer == "temperature":
            for t0 in plan.t0:
                if (found := by_temperature(samples, t0, seed)) is not None:
                    yield f"T0={t0:g}", 0, found
        elif transfer == "potential":
            for trained in ("LJ", "WCA"):
                if (found := by_potential(samples, trained, seed)) is not None:
                    yield trained, 0, found
        else:
            raise SampleError(f"transfer {transfer!r}; expected states, temperature or potential")


@lru_cache(maxsize=1)
def load_samples(data: tuple[str, ...], cache: str) -> list[Sample]:
    """The usable samples with the numbers of the theory, where `cache` is a file."""
    found = load(data)
    return theory.with_numbers(found, theory.Cache(cache), show=False) if cache else found


def campaign(plan: Plan, world: World, prepare: bool = True) -> Campaign:
    """All trials of a plan. Collective: rank 0 asks the theory, where an input needs it, and marks the folder.

    With prepare = False nothing is computed or written: enough to list the trials, not to run them. Raises SampleError
    where the folder holds trials with other records or settings.
    """
    wanted = [parsed(name) for name in plan.models]
    if prepare:
        check_folder(plan.out, "--out")
    out, cache = Path(plan.out), ""
    samples = load_samples(plan.data, "")
    cut = [(seed, transfer, part) for seed in range(plan.repeats) for transfer, part, _ in splits(plan, samples, seed)]
    if not cut:
        raise SampleError(f"no trials: {len(states(samples))} states allow none of the transfers "
                          f"{', '.join(plan.transfers)} (--t0 {' '.join(f'{t0:g}' for t0 in plan.t0)}): each needs 3 "
                          "states to learn from and others to test on")
    if any(inputs == "mct" for _, inputs in wanted):
        cache = str(out / "mct.npz")
        if world.rank == 0 and prepare:
            theory.with_numbers(samples, theory.Cache(cache))
        world.barrier()
    tasks = []
    for seed, transfer, part in cut:
        for model, inputs in wanted:
            trial = Trial(transfer, model, inputs, seed, part)
            cost = (0.008 + 6e-5 * plan.batch) * plan.steps if model in NETWORKS else 30.0
            tasks.append(Task(trial.name, cost, partial(_run, plan, trial, cache), check=check))
    if world.rank == 0:
        with locked_in_turn(out, "trials.lock") if prepare else nullcontext():  # other jobs may add theirs
            _mark(plan, samples, [task.name for task in tasks], prepare)
    world.barrier()
    return Campaign(out, tasks)


def _mark(plan: Plan, samples: Sequence[Sample], names: Sequence[str], write: bool) -> None:
    """Note what the folder's trials have in common, and the names of all that were asked for (if `write`), or check
    it."""
    path = Path(plan.out) / MARK
    mine = {"format": FORMAT, "learned_from": fingerprint(samples), "records": len(samples), "parts": plan.parts,
            "steps": plan.steps, "batch": plan.batch, "layers": list(plan.layers)}
    if path.exists():
        found = _marked(plan.out)
        names = [*found.pop("trials", []), *names]
        if found != mine:
            different = [f"{k} {found.get(k)}, now {mine[k]}" for k in mine if found.get(k) != mine[k]]
            raise SampleError(f"{plan.out} holds trials with other records or settings ({'; '.join(different)}); give "
                              "another --out, or remove it")
    if not write:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path, shared=True) as part:
        part.write_text(json.dumps({**mine, "trials": sorted(set(names))}, indent=1) + "\n", encoding="utf-8")


def _run(plan: Plan, trial: Trial, cache: str, folder: Path, product: Path, stop: Stop) -> None:
    samples = load_samples(plan.data, cache)
    if trial.inputs == "permuted":
        samples = permuted(samples, trial.seed)
    split = next(found for transfer, part, found in splits(plan, samples, trial.seed)
                 if (transfer, part) == (trial.transfer, trial.part))
    job = TrainJob(model=trial.model, inputs=trial.inputs, seed=trial.seed, steps=plan.steps, batch=plan.batch,
                   validation_epochs=10**6)
    if plan.layers:
        job = replace(job, layers=plan.layers, monotone_layers=plan.layers)
    trained = train(job, [samples[i] for i in split.train], folder, stop)
    write(product, [judged(trained, samples[i]) for i in split.test], vars(trial))


def train(job: TrainJob, samples: Sequence[Sample], folder: Path, stop: Stop) -> models.Trained:
    """A model with its band, trained in a working folder, where it goes on. Raises campaign.Stopped."""
    if job.model not in NETWORKS:
        return models.fit_regression(job, samples)
    import torch

    from .perceptron import Network

    torch.set_num_threads(int(os.environ.get("HPCTOOLS_THREADS", "1")))
    kept, away = models.held_out(samples, job.held_out, job.seed)
    network = Network(job.model, job.inputs, job)
    if not network.train(kept, (), folder, stop=stop, label=f"{job.model}/{job.inputs}"):
        raise Stopped
    return models.calibrated(network, job, kept, away)


def judged(trained: models.Trained, sample: Sample) -> Prediction:
    """What a model says of a sample, beside the truth."""
    found = trained.band(sample.state, sample.times)
    fine = trained.band(sample.state, _FINE)
    state = sample.state
    return Prediction(*state.key, state.relative_temperature, sample.glass,
                      sample.times, sample.F, found.F, found.low, found.high, sample.initial, sample.tau,
                      metrics.relaxation(_FINE, fine.F, fine.initial), trained.z(state))


_POINTS = ("times", "truth", "F", "low", "high")
_STATE = ("potential", "density", "temperature", "relative", "glass", "initial", "tau", "tau_predicted", "z")
_UNITS = {"times": "τ_LJ", "tau": "τ_LJ", "tau_predicted": "τ_LJ", "density": "1/σ_AA³", "temperature": "ε_AA/k_B"}


def write(path: Path, found: Sequence[Prediction], attributes: dict[str, Any]) -> None:
    """Write a file of predictions; it appears when it is whole. points: of each state, in `first` … `first` of next."""
    import h5py

    with whole(path) as part, h5py.File(part, "w") as file:
        arrays = {name: np.concatenate([getattr(one, name) for one in found]) for name in _POINTS}
        arrays |= {name: np.array([getattr(one, name) for one in found]) for name in _STATE if name != "potential"}
        arrays["first"] = np.concatenate([[0], np.cumsum([len(one.times) for one in found])])
        for name, array in arrays.items():
            file.create_dataset(name, data=array).attrs["unit"] = _UNITS.get(name, "1")
        file.create_dataset("potential", data=[one.potential for one in found])
        file.attrs.update({**attributes, "kind": KIND})


def read(path: Path) -> tuple[Trial, list[Prediction]]:
    """A file of predictions. Raises SampleError for another file."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            if file.attrs.get("kind") != KIND:
                raise SampleError(f"{path}: holds {file.attrs.get('kind')!r}, expected {KIND!r}")
            trial = Trial(**{name: value.item() if isinstance(value, np.generic) else value
                             for name, value in file.attrs.items() if name != "kind"})
            arrays = {name: file[name][()] for name in (*_POINTS, *_STATE, "first")}
    except (OSError, RuntimeError, KeyError, TypeError) as error:  # as HDF5 tells of files that are cut off
        raise SampleError(f"{path}: no whole file of a trial ({str(error).splitlines()[0]}); remove it and run the "
                          "trials again") from None
    out = []
    for i, potential in enumerate(arrays["potential"]):
        rows = slice(arrays["first"][i], arrays["first"][i + 1])
        fixed = {name: arrays[name][i] for name in _STATE if name != "potential"}
        out.append(Prediction(potential=potential.decode(), **fixed, **{name: arrays[name][rows] for name in _POINTS}))
    return trial, out


def check(path: Path) -> None:
    """Raise SampleError where a file of predictions is damaged."""
    read(path)


def _marked(folder: str | Path) -> dict[str, Any]:
    """What trials.json says. Raises SampleError where it is damaged."""
    path = Path(folder) / MARK
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(found, dict):
            return found
        raise ValueError("no table")
    except ValueError as error:
        raise SampleError(f"{path}: cannot be read ({error}); the trials there are not known to be of the same "
                          "records: give another --out, or remove it") from None


def missing(folder: str | Path) -> list[str]:
    """Trials that were asked for in a folder and have no file there yet."""
    path = Path(folder)
    names = _marked(folder).get("trials", []) if (path / MARK).exists() else []
    return [name for name in names if not (path / f"{name}.h5").exists()]


def read_all(folder: str | Path) -> dict[str, dict[str, dict[int, list[Prediction]]]]:
    """Predictions by transfer, label of the model and repeat; the parts of a repeat together.

    Raises SampleError where there are none.
    """
    out: dict[str, dict[str, dict[int, list[Prediction]]]] = {}
    paths = sorted(Path(folder).glob("*-part*.h5"))
    if not paths:
        raise SampleError(f"{folder}: no trials; make some with python -m hpctools.liquids trials --out {folder}")
    for path in paths:
        trial, found = read(path)
        out.setdefault(trial.transfer, {}).setdefault(trial.label, {}).setdefault(trial.seed, []).extend(found)
    return out
