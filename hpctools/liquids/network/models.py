"""All models under one name each, with bands that are calibrated, and in files.

A model learns from samples and gives draws of F(t) for a state; see `Model`. `fit` also finds the factor of its 90 %
band: regressions are fitted again without each fifth of the states, a network has states held out. The file of a model
is one of hpctools.weights: arrays, configuration with the range that was trained on, provenance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from hpctools import weights

from .bands import Band, band, factor, scores
from .samples import FloatArray, Sample, State, fingerprint, folds, states
from .settings import NETWORKS, PLACES, TrainJob

PARTS = 5  # of the states, for the calibration of regressions
BEGINNING = 1e-4  # τ_LJ; F there is F(0)
_LISTS = ("layers", "monotone_layers")


class Model(Protocol):
    """Something that learns F_s(k_p,t); kind: of inputs.KINDS."""

    name: str
    kind: str

    def fit(self, samples: Sequence[Sample], seed: int) -> None:
        """Learn from samples."""

    def predict(self, state: State, times: FloatArray) -> FloatArray:
        """F (draws, n, 2) of a state at times (n,)."""

    def arrays(self) -> dict[str, FloatArray]:
        """All that was learned."""

    def restore(self, arrays: dict[str, Any]) -> None:
        """What `arrays` gave."""


def make(job: TrainJob) -> Model:
    """A model that knows nothing yet."""
    if job.model in NETWORKS:
        from .perceptron import Network

        return Network(job.model, job.inputs, job)
    from .regression import GaussianProcess, Nearest, Ridge

    kinds = {"nearest": Nearest, "ridge": Ridge, "gp": GaussianProcess}
    kind = "zeroed" if job.model == "nearest" else job.inputs
    return kinds[job.model](kind)


def draws(model: Model, state: State, times: FloatArray) -> tuple[FloatArray, FloatArray]:
    """F (draws, n, 2), and F(0) (2,)."""
    found = model.predict(state, np.concatenate([[BEGINNING], times]))
    return found[:, 1:], np.median(found[:, 0], axis=0)


@dataclass(frozen=True)
class Trained:
    """A model with its band. z: factor of the band (NaN: not known); config: what it was trained on and with."""

    model: Model
    z: float
    config: dict[str, Any]

    def band(self, state: State, times: FloatArray) -> Band:
        """F and its 90 % band at times (n,)."""
        found, initial = draws(self.model, state, times)
        return band(found, times, initial, self.z)

    def warnings(self, state: State, rows: FloatArray | None = None) -> list[str]:
        """In what a state lies outside what the model was trained on, as sentences."""
        found = []
        limits = self.config["range"]
        if self.model.kind == "structure":
            limits = {}
        elif state.potential not in limits["potentials"]:
            found.append(f"potential {state.potential} was not trained on (trained: {', '.join(limits['potentials'])})")
        for name, value in (("temperature", state.temperature), ("density", state.density)):
            if name in limits and not limits[name][0] - 1e-9 <= value <= limits[name][1] + 1e-9:
                low, high = limits[name]
                found.append(f"{name} {value:g} is outside the trained range {low:g} … {high:g}")
        if self.model.kind != "zeroed":
            away = self.structure_distance(state)
            if away > (limit := self.config["structure_limit"]):
                found.append(f"S(k) is unlike those trained on: it is off the nearest one by {away:.3g} (root mean "
                             f"square), expected up to {limit:.3g}")
        return found

    def structure_distance(self, state: State) -> float:
        """Root mean square difference of S(k) to that of the nearest state trained on."""
        known = np.asarray(self.config["structures"])
        return float(np.sqrt(((known - state.S) ** 2).mean((1, 2))).min())


def trained_range(samples: Sequence[Sample]) -> dict[str, Any]:
    """Configuration entries: what was trained on."""
    structures = np.array([sample.state.S for sample in samples])
    apart = np.sqrt(((structures[:, None] - structures[None]) ** 2).mean((2, 3)))
    for i, one in enumerate(samples):  # itself and other seeds
        apart[i, [j for j, other in enumerate(samples) if other.state.key == one.state.key]] = np.inf
    return {
        "range": {
            "potentials": sorted({s.state.potential for s in samples}),
            "temperature": [min(s.state.temperature for s in samples), max(s.state.temperature for s in samples)],
            "density": [min(s.state.density for s in samples), max(s.state.density for s in samples)],
            "time": [min(float(s.times[0]) for s in samples), max(float(s.times[-1]) for s in samples)],
        },
        "states": len(states(samples)), "records": len(samples), "learned_from": fingerprint(samples),
        "structure_limit": float(2 * apart.min(1).max()), "structures": structures,
    }  # fmt: skip


def fit_regression(job: TrainJob, samples: Sequence[Sample]) -> Trained:
    """Fit a model that is no network, and its band by states left out."""
    found = []
    for split in folds(samples, PARTS, job.seed):
        model = make(job)
        model.fit([samples[i] for i in split.train], job.seed)
        found += _scores(model, [samples[i] for i in split.test])
    model = make(job)
    model.fit(samples, job.seed)
    return Trained(model, factor(found), _config(job, samples))


def calibrated(model: Model, job: TrainJob, samples: Sequence[Sample], unseen: Sequence[Sample]) -> Trained:
    """A trained network with the band that states held out give it."""
    z = factor(_scores(model, unseen)) if unseen else float("nan")
    return Trained(model, z, _config(job, samples))


def _config(job: TrainJob, samples: Sequence[Sample]) -> dict[str, Any]:
    return {**{k: v for k, v in asdict(job).items() if k not in PLACES}, **trained_range(samples)}


def _scores(model: Model, samples: Sequence[Sample]) -> list[FloatArray]:
    return scores(lambda sample: draws(model, sample.state, sample.times), samples)


def held_out(samples: Sequence[Sample], share: float, seed: int) -> tuple[list[Sample], list[Sample]]:
    """Samples to train a network with, and those of a share of the states; none where there are fewer than 8."""
    keys = states(samples)
    number = max(1, round(share * len(keys))) if share > 0 and len(keys) >= 8 else 0
    order = np.random.default_rng([seed, 3]).permutation(len(keys))
    away = {keys[i] for i in order[:number]}
    return ([s for s in samples if s.state.key not in away], [s for s in samples if s.state.key in away])


def save(path: Path, trained: Trained, results: dict[str, Any], provenance: dict[str, Any]) -> None:
    """Write the file of a model."""
    config = {**trained.config, "network": "liquid", "z": trained.z}
    arrays = {**trained.model.arrays(), "structures": config.pop("structures")}
    weights.save(path, weights.Weights(arrays, config, results, provenance))


def load(path: str | Path) -> Trained:
    """Read the file of a model. Raises weights.WeightsError."""
    stored = weights.load(path, {"network": "liquid"})
    settings: dict[str, Any] = {key: tuple(value) if key in _LISTS else value for key, value in stored.config.items()
                                if key in TrainJob.__dataclass_fields__}
    model = make(TrainJob(**settings))
    arrays = dict(stored.arrays)
    config = {**stored.config, "structures": arrays.pop("structures"), "provenance": stored.provenance}
    model.restore(arrays)
    return Trained(model, float(stored.config["z"]), config)
