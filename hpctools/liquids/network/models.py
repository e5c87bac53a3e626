"""All models under one name each, with bands that are calibrated, and in files.

A model learns from samples and gives draws of F(t) for a state; see `Model`. `fit` also finds the factor of its 90 %
band: regressions are made again without each fifth of the states, without each density, and without the coldest
states; a network has states held out. The file of a model is one of hpctools.weights: arrays, configuration with the
range that was trained on, provenance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from hpctools import weights

from .bands import Band, Factor, Factors, band, scores
from .inputs import NO_POTENTIAL
from .samples import FRACTION, FloatArray, Key, Sample, State, fingerprint, folds, states
from .settings import NETWORKS, PLACES, TrainJob
from .structure_check import SAME_DENSITY, point_of, structure_distance

if TYPE_CHECKING:
    from .regression import CurveModel

PARTS = 5  # of the states, for the calibration of regressions
COLDEST = (0.2, 0.4, 0.6)  # shares of the states, left out together for the calibration of colder ones
LEAST = 2  # states to learn from in a calibration
BEGINNING = 1e-4  # τ_LJ; F there is F(0)
APART = (0.95, 1.5)  # quantile of the distances of states left out, and the factor on it that S(k) may lie apart; the
# largest would be that of a state at an edge, apart from all others
MARGIN = 0.02  # of T/T_mct
OTHER_MIXTURE = 0.02  # of the fraction of A; S(k) at large k gives it to 0.003
VERSION = 2  # raised where the same arrays would mean another model
_LISTS = ("layers", "monotone_layers")
_ARRAYS = ("structures", "points", "relative")  # of the configuration


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
    """A model with its band. factors: of the band; config: what it was trained on and with."""

    model: Model
    factors: Factors
    config: dict[str, Any]

    def band(self, state: State, times: FloatArray) -> Band:
        """F and its 90 % band at times (n,)."""
        found, initial = draws(self.model, state, times)
        return band(found, times, initial, self.z(state))

    def z(self, state: State) -> float:
        """The factor of a state's band, NaN where it is not known."""
        coldest = self._relative_range(state)[0] * (1 - MARGIN)
        densities = np.exp(self.config["points"][:, 1])
        known = state.potential in self.config["range"]["potentials"] and bool(
            np.any(np.abs(state.density / densities - 1) < SAME_DENSITY))
        known = known and not other_mixture(state)
        return self.factors.z(state.relative_temperature, coldest, not known)

    def warnings(self, state: State) -> list[str]:
        """In what a state lies outside what the model was trained on, as sentences."""
        found = []
        limits = self.config["range"]
        shown = self.model.kind not in NO_POTENTIAL
        if other_mixture(state):
            found.append(f"the mixture was not trained on: {state.fraction:.2g} of its particles are A by S(k) at "
                         f"large k (trained: {FRACTION:g})")
        if shown and state.potential not in limits["potentials"]:
            found.append(f"potential {state.potential} was not trained on (trained: {', '.join(limits['potentials'])})")
        for name, value in (("temperature", state.temperature), ("density", state.density)):
            low, high = limits[name]
            if not low - 1e-9 <= value <= high + 1e-9:
                found.append(f"{name} {value:g} is outside the trained range {low:g} … {high:g}")
        relative = state.relative_temperature
        low, high = self._relative_range(state)
        if np.isfinite(relative) and not low * (1 - MARGIN) <= relative <= high * (1 + MARGIN):
            found.append(f"T/T_mct {relative:.2g} is outside the trained range {low:.2g} … {high:.2g} at density "
                         f"{state.density:g}")
        if self.model.kind != "zeroed":
            points, structures = self.config["points"], self.config["structures"]
            away = structure_distance(points, structures, point_of(state), state.S)
            limit = self.config["structure_limit"]
            if away > limit:
                found.append(f"S(k) is unlike that of the nearest states trained on: it is {away:.3g} times as far "
                             f"from the nearest one as its neighbours are from each other, expected up to {limit:.3g}")
        return found

    def _relative_range(self, state: State) -> tuple[float, float]:
        """Lowest and highest T/T_mct trained on, interpolated between the densities of the potential (or of all)."""
        points, relative = self.config["points"], self.config["relative"]
        rows = points[:, 2] == point_of(state)[2]
        if not rows.any():
            rows = np.ones(len(points), bool)
        densities = np.unique(points[rows, 1])
        groups = [relative[rows & (points[:, 1] == density)] for density in densities]
        ends = [[edge(group) for group in groups] for edge in (np.min, np.max)]
        low, high = (float(np.interp(np.log(state.density), densities, end)) for end in ends)
        return low, high


def other_mixture(state: State) -> bool:
    """Has the mixture of a state another composition than those that models learn from?"""
    return abs(state.fraction - FRACTION) > OTHER_MIXTURE


def trained_range(samples: Sequence[Sample]) -> dict[str, Any]:
    """Configuration entries: what was trained on. Leaving each state out gives the limit of `structure_distance`."""
    first = {sample.state.key: sample.state for sample in reversed(samples)}
    known = [first[key] for key in sorted(first)]
    points, structures = np.array([point_of(state) for state in known]), np.array([state.S for state in known])
    others = [np.arange(len(known)) != i for i in range(len(known))]
    apart = [structure_distance(points[rest], structures[rest], points[i], structures[i])
             for i, rest in enumerate(others)]
    return {
        "range": {
            "potentials": sorted({s.state.potential for s in samples}),
            "temperature": [min(s.state.temperature for s in samples), max(s.state.temperature for s in samples)],
            "density": [min(s.state.density for s in samples), max(s.state.density for s in samples)],
            "time": [min(float(s.times[0]) for s in samples), max(float(s.times[-1]) for s in samples)],
        },
        "states": len(states(samples)), "records": len(samples), "learned_from": fingerprint(samples),
        "structure_limit": APART[1] * float(np.quantile(apart, APART[0])), "points": points, "structures": structures,
        "relative": np.array([state.relative_temperature for state in known]),
    }  # fmt: skip


def fit_regression(job: TrainJob, samples: Sequence[Sample]) -> Trained:
    """Fit a model that is no network, and its band by states left out."""
    from .regression import CurveModel

    model = make(job)
    assert isinstance(model, CurveModel)
    model.fit(samples, job.seed)
    return Trained(model, _left_out(model, samples, job.seed), _config(job, samples))


def _left_out(model: CurveModel, samples: Sequence[Sample], seed: int) -> Factors:
    """Factors of a regression that was fitted to all samples: fifths of the states left out, densities, the coldest."""
    places = {sample.state.key: sample.state.relative_temperature for sample in samples}

    def without(away: set[Key]) -> dict[Key, FloatArray]:
        if not away or len(places) - len(away) < LEAST:
            return {}
        fewer = model.of_fewer([s for s in samples if s.state.key not in away], seed)
        return _scores(fewer, [s for s in samples if s.state.key in away])

    known: dict[Key, FloatArray] = {}
    foreign: dict[Key, FloatArray] = {}
    colder: list[tuple[float, FloatArray]] = []
    for split in folds(samples, PARTS, seed):
        known |= without({samples[i].state.key for i in split.test})
    for density in sorted({key[1] for key in places}):
        foreign |= without({key for key in places if key[1] == density})
    finite = np.sort([place for place in places.values() if np.isfinite(place)])
    for edge in np.unique([finite[int(share * len(finite))] for share in COLDEST]) if len(finite) else ():
        colder += [(float(np.log(edge / places[key])), one)
                   for key, one in without({key for key in places if places[key] < edge}).items()]
    return Factors(_factor(known, samples), Factor.of([one for _, one in colder], [x for x, _ in colder]),
                   _factor(foreign, samples))


def calibrated(model: Model, job: TrainJob, samples: Sequence[Sample], unseen: Sequence[Sample]) -> Trained:
    """A trained network with the band that states held out give it."""
    factors = Factors(_factor(_scores(model, unseen), unseen), Factor.unknown(), Factor.unknown())
    return Trained(model, factors, _config(job, samples))


def _config(job: TrainJob, samples: Sequence[Sample]) -> dict[str, Any]:
    return {**{k: v for k, v in asdict(job).items() if k not in PLACES}, **trained_range(samples)}


def _scores(model: Model, samples: Sequence[Sample]) -> dict[Key, FloatArray]:
    """Of each state, whose seeds count as one."""
    found: dict[Key, list[FloatArray]] = {}
    for sample, part in zip(samples, scores(lambda one: draws(model, one.state, one.times), samples)):
        found.setdefault(sample.state.key, []).append(part)
    return {key: np.concatenate(parts) for key, parts in found.items()}


def _factor(found: dict[Key, FloatArray], samples: Sequence[Sample]) -> Factor:
    """By ln T/T_mct, glasses apart."""
    known = {sample.state.key: (float(np.log(sample.state.relative_temperature)), sample.glass) for sample in samples}
    return Factor.of(list(found.values()), [known[key][0] for key in found], [known[key][1] for key in found])


def held_out(samples: Sequence[Sample], share: float, seed: int) -> tuple[list[Sample], list[Sample]]:
    """Samples to train a network with, and those of a share of the states, of liquids and of glasses.

    None of fewer than 8 liquids, and none of fewer than 4 glasses; else at least one.
    """
    glasses = {sample.state.key for sample in samples if sample.glass}
    rng, away = np.random.default_rng([seed, 3]), set[Key]()
    for keys, least in (([key for key in states(samples) if key not in glasses], 8), (sorted(glasses), 4)):
        number = max(1, round(share * len(keys))) if share > 0 and len(keys) >= least else 0
        away |= {keys[i] for i in rng.permutation(len(keys))[:number]}
    return ([s for s in samples if s.state.key not in away], [s for s in samples if s.state.key in away])


def save(path: Path, trained: Trained, results: dict[str, Any], provenance: dict[str, Any]) -> None:
    """Write the file of a model."""
    config = {**trained.config, "network": "liquid", "version": VERSION}
    arrays = {**trained.model.arrays(), **{name: config.pop(name) for name in _ARRAYS}, **trained.factors.arrays()}
    weights.save(path, weights.Weights(arrays, config, results, provenance))


def load(path: str | Path) -> Trained:
    """Read the file of a model. Raises weights.WeightsError."""
    stored = weights.load(path, {"network": "liquid"})
    bands = [f"band_{name}" for name in Factors.__dataclass_fields__]
    if lacking := [name for name in (*_ARRAYS, *bands) if name not in stored.arrays]:
        raise weights.WeightsError(f"{path}: lacks {', '.join(lacking)}; expected the file liquid.npz that "
                                   "`python -m hpctools.liquids train` leaves, not model.npz beside it")
    if (version := stored.config.get("version")) != VERSION:
        raise weights.WeightsError(f"{path}: is of version {version} of the models, expected {VERSION}; train it again "
                                   "with python -m hpctools.liquids train")
    settings: dict[str, Any] = {key: tuple(value) if key in _LISTS else value for key, value in stored.config.items()
                                if key in TrainJob.__dataclass_fields__}
    model = make(TrainJob(**settings))
    arrays = dict(stored.arrays)
    config = {**stored.config, **{name: arrays.pop(name) for name in _ARRAYS}, "provenance": stored.provenance}
    factors = Factors.restored({name: arrays.pop(name) for name in bands})
    model.restore(arrays)
    return Trained(model, factors, config)
