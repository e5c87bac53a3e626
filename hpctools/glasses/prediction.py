"""Trained models as files, and predictions from them: g(r) with its interval, first peak, coordination number.

A file holds what the model was fitted to, the parameters that were fitted, and the errors of the model on glasses that
it had not seen, from which the intervals come. It is read by `load`. Of an autoencoder only the forest has not seen
these glasses (`SEEN`): its intervals are too narrow.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpctools import weights
from hpctools.provenance import provenance
from hpctools.weights import Weights, WeightsError
from hpctools.world import World

from .composition import Composition, from_units, parse
from .curves import Curves
from .density import start_density
from .fingerprint import OXIDES, Pair, Query, check, mole_fractions, pair_of, shares, substitutes
from .forcefield import ForceFieldError, available
from .forcefield import load as load_field
from .intervals import LEVEL
from .learning_settings import GlassTraining
from .models import GaussianProcess, Model, deviation_of_sums, with_deviation
from .relaxed_density import RelaxedDensity, simulated
from .shells import coordination_number, first_peak, shell_volumes
from .splits import FOLDS, Fold, by_glass
from .unseen import Intervals, Unseen, at_the_top, intervals_of, is_rare

NETWORK = "glass pair correlation 2"
SHIPPED = Path(__file__).parents[1] / "data/glasses/pair_correlation.npz"
SEEN = ("autoencoder",)  # kinds whose network has learned from the glasses by whose errors the intervals are made
Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Prediction:
    """g(r) of a pair in a glass.

    r (bins,) in Å; g, low, high (bins,): curve and its interval; peak: of the first (Å, height), as the
    bins show it, peak_error: half-widths; neighbours: each
    element's number of the other within `cutoff` (Å) as {"Si-O": 4.0, "O-Si": 2.0}, neighbours_error: half-widths;
    density: g/cm³, by which they are counted, its half-width, and its source.
    """

    composition: Composition
    pair: Pair
    r: Array
    g: Array
    low: Array
    high: Array
    level: float
    peak: tuple[float, float]
    peak_error: tuple[float, float]
    cutoff: float
    neighbours: dict[str, float]
    neighbours_error: dict[str, float]
    density: float
    density_error: float
    density_source: str
    warnings: tuple[str, ...] = ()

    def neighbours_interval(self, name: str) -> tuple[float, float]:
        """Of neighbours[name]: none is below 0."""
        value, error = self.neighbours[name], self.neighbours_error[name]
        return max(value - error, 0.0), value + error

    def table(self) -> str:
        """CSV: r, g and interval."""
        rows = ["r_angstrom,g,low,high"]
        rows += [f"{a:.4f},{b:.6g},{c:.6g},{d:.6g}" for a, b, c, d in zip(self.r, self.g, self.low, self.high)]
        return "\n".join(rows) + "\n"

    def text(self) -> str:
        """For people."""
        (place, height), (off, more) = self.peak, self.peak_error
        width = self.r[1] - self.r[0]
        peak = f"{place:.3f} ± {off:.3f} Å, g = {height:.2f} ± {more:.2f}, as bins of {width:g} Å show it"
        if not np.isfinite(self.peak[0]):
            peak = f"none below {self.cutoff:g} Å"
        lines = [f"{self.composition}, {'-'.join(self.pair)}, {100 * self.level:.0f} % intervals",
                 f"first peak   {peak}"]
        for name, value in self.neighbours.items():
            a, b = name.split("-")
            low, high = self.neighbours_interval(name)
            lines.append(f"neighbours   {value:.2f} ({low:.2f} to {high:.2f}) {b} within {self.cutoff:g} Å of {a}")
        error = f" ± {self.density_error:.3f}" if self.density_error else ""
        lines.append(f"density      {self.density:.3f}{error} g/cm³ ({self.density_source})")
        return "\n".join([*lines, *(f"warning      {text}" for text in self.warnings)])


@dataclass(frozen=True, eq=False)
class Predictor:
    """A file of a trained model in memory."""

    model: Model
    curves: Curves
    intervals: tuple[Intervals, Intervals]  # of usual and of rare pairs
    relaxed: RelaxedDensity
    stored: Weights

    def predict(self, glass: Composition, pair: Pair, density: float | None = None) -> Prediction:
        """One curve. density: g/cm³, else that of the simulations, with its error in that of neighbours. Raises
        FingerprintError."""
        check(glass, pair)
        query = [(glass, pair)]
        curve, deviation = with_deviation(self.model, query)
        made = self.intervals[is_rare(self.curves, pair)]
        g, width = curve[0], made.g.half_width(query, deviation)[0]
        value, relative, source = self._density(glass) if density is None else (density, 0.0, "as given")
        cutoff = self.cutoff(pair)
        top = at_the_top(self.curves.r, curve, [cutoff], deviation)
        share = shares(glass)
        first = glass.number_density(value) * share[pair[1]] * shell_volumes(self.curves.r) * (self.curves.r < cutoff)
        error = float(made.neighbours.half_width(query, deviation_of_sums(self.model, query, first[None]))[0, 0])
        neighbours, errors = {}, {}
        for a, b in dict.fromkeys((pair, pair[::-1])):
            number_density = glass.number_density(value) * share[b]
            number = coordination_number(self.curves.r, g, number_density, cutoff)
            neighbours[f"{a}-{b}"] = number
            # n_ab ρ_a = n_ba ρ_b, and so their errors; those of g and of the density are independent
            errors[f"{a}-{b}"] = float(np.hypot(error * share[pair[0]] / share[a], number * relative))
        return Prediction(glass, pair, self.curves.r, g, np.maximum(g - width, 0), g + width, LEVEL,
                          first_peak(self.curves.r, g, high=cutoff),
                          (float(made.place.half_width(query)[0, 0]), float(made.height.half_width(query, top)[0, 0])),
                          cutoff, neighbours, errors, value, value * relative, source,
                          tuple(self._warnings(glass, pair)))

    def _density(self, glass: Composition) -> tuple[float, float, str]:
        """Relaxed density in g/cm³, its relative half-width, and its source."""
        estimate, factor = start_density(glass), self.relaxed.factor(glass)
        return (estimate.value * factor, self.relaxed.half_width(LEVEL),
                f"{estimate.source}, times {factor:.3f} as in {len(self.relaxed.left_out)} simulated glasses")

    def cutoff(self, pair: Pair) -> float:
        """Å."""
        known = list(self.curves.cutoffs)
        return self.curves.cutoffs[pair if pair in known else substitutes(pair, known)[0]]

    def _warnings(self, glass: Composition, pair: Pair) -> list[str]:
        found = []
        if self.stored.config["kind"] in SEEN:
            found.append("the network has seen the glasses by whose errors the interval is made: it is too narrow")
        few = self._learned.of_pair(pair)
        if is_rare(self.curves, pair) and len(few):
            usual = len(self.curves.of_pair(pair))
            more = f" ({len(few) - usual} have {self._learned.expected[few].min():.0f} or more in the first shell)"
            found.append(f"{usual} of the glasses that were learned from have enough {'-'.join(pair)} pairs to test "
                         f"the model by{more * (len(few) > usual)}: its intervals are made of the errors in all such "
                         "pairs together")
        elif not len(few):
            found.append(f"no glass that was learned from has enough {'-'.join(pair)} pairs: this is a guess from "
                         "other pairs")
        for oxide in OXIDES:
            values = [one[oxide] for one in self.curves.compositions]
            if not min(values) - 0.5 <= glass[oxide] <= max(values) + 0.5:
                found.append(f"{glass[oxide]:g} mol % {oxide} is outside the {min(values):g} to {max(values):g} that "
                             "was learned from: the interval is too narrow there")
        if all(set(one.percent) != set(glass.percent) for one in self.curves.compositions):
            found.append(f"no glass that was learned from consists of {', '.join(glass.percent)}: the interval is of "
                         "other kinds of glass, and too narrow")
        return [*found, *self._far(glass, pair), *_of_field(self.curves.field, glass)]

    @property
    def _learned(self) -> Curves:
        """What the model has learned from."""
        return self.curves.with_sparse() if isinstance(self.model, GaussianProcess) else self.curves

    def _far(self, glass: Composition, pair: Pair) -> list[str]:
        """A line if the nearest glass with the pair is farther away than the learned glasses are from each other.

        Errors for the intervals were made at distances of one learned glass to the next: the bound is the distance
        that a share `LEVEL` of the glasses keep to their nearest, in mol %, as the root of summed squares.
        """
        learned = self._learned
        names = np.unique(learned.glass)
        points = 100 * np.array([mole_fractions(self.curves.realised[name]) for name in names])
        apart = np.linalg.norm(points[:, None] - points, axis=2)
        np.fill_diagonal(apart, np.inf)
        usual = float(np.quantile(apart.min(1), LEVEL))
        having = np.isin(names, learned.glass[learned.of_pair(pair)]) | (pair not in learned.pairs)
        away = np.where(having, np.linalg.norm(points - 100 * mole_fractions(glass), axis=1), np.inf)
        nearest = int(np.argmin(away))
        if away[nearest] <= usual:
            return []
        which = " with this pair" if pair in learned.pairs else ""
        return [f"the nearest glass{which} that was learned from, {self.curves.compositions[names[nearest]]}, "
                f"is {away[nearest]:.1f} mol % away (root of summed squares), while {100 * LEVEL:.0f} % of the learned "
                f"glasses have another within {usual:.1f} mol %: the interval may be too narrow"]


def _of_field(field: str, glass: Composition) -> list[str]:
    """What the force field of the simulations says of the glass; nothing of a field that does not come with the
    package."""
    if field not in available():
        return []
    try:
        return [f"force field {field}: {text}" for text in load_field(field, glass).warnings]
    except ForceFieldError as error:
        return [f"the simulations that were learned from cannot be made of this glass: {error}"]


def inner_folds(curves: Curves) -> list[Fold]:
    """Folds by glass for the intervals; with fewer than five glasses each is one."""
    glasses = np.unique(curves.glass)
    if len(glasses) >= FOLDS:
        return by_glass(curves)
    if len(glasses) < 2:
        raise WeightsError("intervals need at least 2 glasses; found 1")
    return [Fold(f"glass-{g}", np.flatnonzero(curves.glass != g), np.flatnonzero(curves.glass == g)) for g in glasses]


def save(path: Path, kind: str, curves: Curves, unseen: Unseen, arrays: dict[str, NDArray[Any]],
         config: dict[str, Any], settings: GlassTraining, arguments: Sequence[str], results: dict[str, Any]) -> None:
    """Write a trained model. unseen: of all curves, the sparse ones last."""
    every = curves.with_sparse()
    table: dict[str, NDArray[Any]] = {
        "curves/g": every.g.astype(np.float32), "curves/errors": unseen.errors.astype(np.float32),
        "curves/deviations": unseen.deviations.astype(np.float32),
        "curves/counting_deviations": unseen.counting.astype(np.float32),
        "curves/glass": every.glass.astype(np.int16), "curves/seeds": every.seeds.astype(np.int8),
        "curves/densities": every.densities, "curves/expected": every.expected, "curves/r": curves.r,
        "curves/noise": np.array([every.noise_of_a_count(pair) for pair in every.known_pairs], np.float32),
    }  # fmt: skip
    head = {
        **config, "network": NETWORK, "kind": kind, "compositions": [str(glass) for glass in curves.compositions],
        "units": [json.loads(_units(glass)) for glass in curves.realised],
        "pairs": ["-".join(pair) for pair in every.pairs],
        "cutoffs": {"-".join(pair): value for pair, value in curves.cutoffs.items()}, "field": curves.field,
        "curves": curves.fingerprint(), "tested": len(curves), "settings": asdict(settings),
    }  # fmt: skip
    weights.save(path, Weights({**table, **arrays}, head, results,
                               provenance("glass model", arguments, settings, World(), seed=settings.seed,
                                          packages=("numpy", "torch", "scikit-learn"))))


def _units(glass: Composition) -> str:
    """Whole numbers in the ratio of the oxides."""
    least = np.lcm.reduce([value.denominator for value in glass.percent.values()])
    return json.dumps({oxide: int(value * int(least)) for oxide, value in glass.percent.items()})


def load(path: str | Path, pairs: Sequence[Pair] = ()) -> Predictor:
    """Read a trained model; of the Gaussian processes only those for these pairs are set up, or all.

    Raises WeightsError.
    """
    stored = weights.load(path, {"network": NETWORK})
    curves = _curves(stored)
    unseen = Unseen(*(stored.arrays[f"curves/{name}"].astype(float)
                      for name in ("errors", "deviations", "counting_deviations")))
    relaxed = RelaxedDensity.of(*simulated(curves))
    return Predictor(_model(stored, curves, pairs), curves, intervals_of(curves, unseen), relaxed, stored)


def _curves(stored: Weights) -> Curves:
    a, c = stored.arrays, stored.config
    n, pairs, expected = int(c["tested"]), tuple(pair_of(name) for name in c["pairs"]), a["curves/expected"]
    noise = dict(zip(dict.fromkeys(pairs), a["curves/noise"].astype(float)))
    every = Curves(
        tuple(parse(text) for text in c["compositions"]), tuple(from_units(units) for units in c["units"]),
        a["curves/glass"].astype(int), pairs, a["curves/r"], a["curves/g"].astype(float),
        np.array([noise[pair] for pair in pairs]) / expected[:, None], a["curves/seeds"].astype(int), expected,
        a["curves/densities"], {pair_of(name): value for name, value in c["cutoffs"].items()},
        field=c.get("field", ""),
    )  # fmt: skip
    return replace(every.rows(range(n)), sparse=every.rows(range(n, len(every))) if len(every) > n else None)


def _model(stored: Weights, curves: Curves, pairs: Sequence[Pair]) -> Model:
    kind = stored.config["kind"]
    own = {name.removeprefix("model/"): array for name, array in stored.arrays.items() if name.startswith("model/")}
    if kind == "gaussian-process":
        process = GaussianProcess()
        known = curves.with_sparse().known_pairs
        needed = {one for pair in pairs or known for one in ([pair] if pair in known else substitutes(pair, known))}
        process.fit(curves, {pair: own["-".join(pair)] for pair in needed})
        return process
    if kind == "mean-force":
        from .mean_force import MeanForce

        return MeanForce(own, stored.config["model"])
    if kind == "autoencoder":
        from .autoencoder import LatentForest, Trained

        pipeline = LatentForest(Trained(own, stored.config["model"]), "fractions")
        pipeline.fit(curves)
        return pipeline
    raise WeightsError(f"its model is {kind!r}, expected gaussian-process, mean-force or autoencoder")


def named_query(composition: str, pairs: Sequence[str]) -> Query:
    """The query of a command line; all pairs of the glass if none is given. Raises FingerprintError."""
    from .forcefield import pairs_of

    glass = parse(composition)
    found = [pair_of(name) for name in pairs] or pairs_of(glass.elements)
    for pair in found:
        check(glass, pair)
    return [(glass, pair) for pair in found]
