"""The data set of the learning: g(r) of each glass and pair as the mean over seeds, with the seeds' noise.

Records of the commonest force field and protocol (all settings but seed, composition and size) count, and each seed
once; of a composition's sizes the one with most seeds. What is left out stands in `Curves.left_out`. A curve has 100
bins up to 10 Å, as the paper's. Pairs that a glass does not have are not there; those that are too rare in it for a
curve to judge models by are kept apart, for models that know how noisy they are (`Curves.sparse`).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from . import identity
from .composition import Composition, from_units, parse
from .fingerprint import Pair, Query, check, ordered
from .record import Record, read
from .shells import end_of_first_shell, shell_volumes

BINS, REACH = 100, 10.0  # of a curve; Å
LEAST_COUNTS = 300.0  # pairs of atoms in the first shell, over all seeds, that a curve must be expected to have
SPARSE_COUNTS = 30.0  # the same for a sparse one
LIBRARY = Path(__file__).parents[1] / "data/glasses/library"


class CurvesError(ValueError):
    """Records that no data set can be made of."""

    user_error = True


@dataclass(frozen=True, eq=False)
class Curves:
    """n curves with the same bins.

    Attributes
    ----------
    compositions : of the glasses, as asked for; realised : as simulated, in whole formula units.
    glass : (n,) the glass of each curve. pairs : (n) its elements.
    r : (bins,) Å, centres. g : (n, bins).
    variance : (n, bins) of g, from the scatter between seeds; of a glass with one seed that of the same pair in
        others, by the number of expected pairs of atoms; NaN where no glass has two seeds.
    seeds : (n,). expected : (n,) pairs of atoms in the first shell over all seeds, by the pair's mean g(r).
    densities : (n, 2) 1/Å³ of the two elements.
    cutoffs : end of the first shell of each pair, Å.
    left_out : lines on the records that do not count. field : name of the force field.
    sparse : curves of the same glasses with too few counts to be tested.
    """

    compositions: tuple[Composition, ...]
    realised: tuple[Composition, ...]
    glass: NDArray[np.int64]
    pairs: tuple[Pair, ...]
    r: NDArray[np.float64]
    g: NDArray[np.float64]
    variance: NDArray[np.float64]
    seeds: NDArray[np.int64]
    expected: NDArray[np.float64]
    densities: NDArray[np.float64]
    cutoffs: dict[Pair, float]
    left_out: tuple[str, ...] = ()
    field: str = ""
    sparse: Curves | None = None

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def query(self) -> Query:
        """Composition as simulated, and pair, of each curve."""
        return [(self.realised[glass], pair) for glass, pair in zip(self.glass, self.pairs)]

    @property
    def noise(self) -> NDArray[np.float64]:
        """σ² of each curve (n,): the mean of its variance over the bins, the error of a perfect prediction."""
        return self.variance.mean(1)

    @property
    def known_pairs(self) -> list[Pair]:
        """Each pair once, in the order of their first curve."""
        return list(dict.fromkeys(self.pairs))

    def of_pair(self, pair: Pair) -> NDArray[np.int64]:
        """Rows of a pair."""
        return np.array([row for row, one in enumerate(self.pairs) if one == pair], int)

    def rows(self, index: Iterable[int] | NDArray[np.int64]) -> Curves:
        """Some of the curves, and the sparse ones of their glasses; the glasses keep their numbers."""
        index = np.asarray(list(index), int)
        sparse = self.sparse
        if sparse is not None:
            sparse = sparse.rows(np.flatnonzero(np.isin(sparse.glass, self.glass[index])))
        return replace(
            self, glass=self.glass[index], pairs=tuple(self.pairs[i] for i in index), g=self.g[index],
            variance=self.variance[index], seeds=self.seeds[index], expected=self.expected[index],
            densities=self.densities[index], sparse=sparse,
        )  # fmt: skip

    def with_sparse(self) -> Curves:
        """All curves as one, the sparse ones last."""
        if self.sparse is None:
            return self
        other = self.sparse
        return replace(
            self, glass=np.concatenate([self.glass, other.glass]), pairs=self.pairs + other.pairs,
            g=np.concatenate([self.g, other.g]), variance=np.concatenate([self.variance, other.variance]),
            seeds=np.concatenate([self.seeds, other.seeds]), expected=np.concatenate([self.expected, other.expected]),
            densities=np.concatenate([self.densities, other.densities]), sparse=None,
        )  # fmt: skip

    def counting_weights(self) -> NDArray[np.float64]:
        """What g of each bin adds to the neighbours of the pair's first element within its first shell (n, bins)."""
        ends = np.array([self.cutoffs[pair] for pair in self.pairs])
        return self.densities[:, 1:] * shell_volumes(self.r) * (self.r < ends[:, None])

    def neighbours(self, g: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of the pair's first element within its first shell (n, 1), from g or from errors of g (n, bins)."""
        return np.asarray((g * self.counting_weights()).sum(1, keepdims=True))

    def noise_of_a_count(self, pair: Pair) -> NDArray[np.float64]:
        """Variance of g times expected pairs of atoms, mean over the pair's curves (bins,): the variance of a ratio of
        counts goes as one over the counts. NaN where no variance is known."""
        rows = [row for row in self.of_pair(pair) if np.isfinite(self.variance[row]).all()]
        return (self.variance[rows] * self.expected[rows, None]).mean(0) if rows else np.full(len(self.r), np.nan)

    def with_enough(self, least: float = LEAST_COUNTS) -> tuple[Curves, list[str]]:
        """The curves with more than `least` expected pairs in the first shell, with those of the same glasses that have
        more than `SPARSE_COUNTS` as sparse ones; and lines that list the others."""
        chosen = np.flatnonzero(self.expected > least)
        sparse = self.rows(np.flatnonzero((self.expected > SPARSE_COUNTS) & (self.expected <= least)
                                          & np.isin(self.glass, self.glass[chosen])))
        left: dict[Pair, list[str]] = {}
        for row in np.flatnonzero(self.expected <= least):
            text = f"{self.compositions[self.glass[row]]} ({self.expected[row]:.0f})"
            left.setdefault(self.pairs[row], []).append(text)
        lines = ["-".join(pair) + ": " + ", ".join(which) for pair, which in sorted(left.items())]
        return replace(self.rows(chosen), sparse=sparse if len(sparse) else None), lines

    def fingerprint(self) -> str:
        """A hash of the curves: weights belong to the data they were fitted to."""
        text = repr([(str(glass), pair) for glass, pair in self.query]).encode()
        return hashlib.sha256(text + np.round(self.g, 9).tobytes()).hexdigest()[:16]


def find(folders: Sequence[str | Path]) -> list[Record]:
    """The records in some folders. Raises CurvesError for a folder without any."""
    paths = {str(folder): set(Path(folder).glob("*.h5")) for folder in folders}
    if empty := [folder for folder, held in paths.items() if not held]:
        raise CurvesError(f"no records (*.h5) in {', '.join(empty)}; make some with "
                          "python -m hpctools.glasses campaign")
    return [read(path) for path in sorted(set().union(*paths.values()))]


def gather(records: Sequence[Record], reach: float = REACH) -> Curves:
    """The curves of records. Raises CurvesError where a box is too small for `reach` Å."""
    groups, told = _base_groups(records)
    bins = int(reach / REACH * BINS + 1e-6)  # whole ones: a record may end within the next
    for group in groups:
        for record in group:
            if record.attributes["reach_angstrom"] < bins * REACH / BINS - 1e-9:
                raise CurvesError(f"{record.path}: g(r) reaches {record.attributes['reach_angstrom']:.2f} Å, half its "
                                  f"box; expected at least {reach:g} Å: make the glass of more atoms")
    rebin = round(REACH / BINS / groups[0][0].attributes["bin_angstrom"])
    r = (np.arange(bins) + 0.5) * REACH / BINS
    compositions, realised, glass, pairs, g, variance = [], [], [], [], [], []
    seeds, number, densities = [], [], []
    for index, group in enumerate(groups):
        atoms, volumes = group[0].listed("atoms"), [record.attributes["volume_angstrom3"] for record in group]
        compositions.append(parse(group[0].attributes["composition"]))
        realised.append(from_units(group[0].listed("formula_units")))
        for named in group[0].pairs:
            pair = ordered(named)
            check(realised[-1], pair)
            one = np.array([record.g(named, rebin)[1][:bins] for record in group])
            of = atoms[pair[0]] * (atoms[pair[1]] if pair[0] != pair[1] else (atoms[pair[0]] - 1) / 2)
            glass.append(index)
            pairs.append(pair)
            g.append(one.mean(0))
            variance.append(one.var(0, ddof=1) / len(one) if len(one) > 1 else np.full(bins, np.nan))
            seeds.append(len(one))
            number.append(sum(of / volume for volume in volumes))
            densities.append([atoms[element] / np.mean(volumes) for element in pair])
    found = Curves(
        tuple(compositions), tuple(realised), np.array(glass), tuple(pairs), r, np.array(g), np.array(variance),
        np.array(seeds), np.zeros(len(pairs)), np.array(densities), {}, tuple(told),
        str(groups[0][0].attributes["force_field"]),
    )  # fmt: skip
    return _with_shells(found, np.array(number))


def _base_groups(records: Sequence[Record]) -> tuple[list[list[Record]], list[str]]:
    """Seeds of each composition, of one force field, protocol and size, by seed; and lines on the other records."""
    if not records:
        raise CurvesError("no records to learn from")
    every = [record.attributes for record in records]
    protocol = list(zip(identity.fields(every), map(identity.protocol, every)))
    keys = [(str(a["composition"]), *used, identity.size(a), int(a["seed"])) for a, used in zip(every, protocol)]
    kept, told = identity.without_copies([record.path for record in records], keys)
    numbers = Counter(protocol[row] for row in kept)
    rates = {protocol[row]: float(every[row]["rate_K_ps"]) for row in kept}
    # of equally common ones the faster, and longer steps
    common = max(numbers, key=lambda one: (numbers[one], rates[one], dict(one[1])["hot_timestep"], one[0]))
    groups: dict[str, dict[tuple[int, float], list[Record]]] = {}
    for row in kept:
        if protocol[row] == common:
            sizes = groups.setdefault(keys[row][0], {})
            sizes.setdefault(identity.size(every[row]), []).append(records[row])
        else:
            told.append(f"{records[row].path}: {identity.unlike(common, protocol[row])}")
    chosen = []
    for _, sizes in sorted(groups.items()):
        best = max(sizes, key=lambda one: (len(sizes[one]), -one[0], one[1]))
        chosen.append(sorted(sizes[best], key=lambda record: int(record.attributes["seed"])))
        told += [f"{record.path}: {size[0]} atoms from {size[1]:.3f} g/cm³, its seeds {best[0]} from {best[1]:.3f}"
                 for size in sizes if size != best for record in sizes[size]]
    return chosen, told


def _with_shells(curves: Curves, number: NDArray[np.float64]) -> Curves:
    """Fill in what needs all glasses: cut-offs, expected counts, the noise of glasses with one seed.

    number: pairs of atoms over the volume, summed over seeds (n,), 1/Å³.
    """
    expected, variance, cutoffs = np.zeros(len(curves)), curves.variance.copy(), {}
    for pair in curves.known_pairs:
        rows = curves.of_pair(pair)
        mean = np.average(curves.g[rows], axis=0, weights=number[rows])
        cutoffs[pair] = cutoff = end_of_first_shell(pair, curves.r, mean)
        inside = curves.r < cutoff
        expected[rows] = number[rows] * (shell_volumes(curves.r) * mean)[inside].sum()
        several = rows[curves.seeds[rows] > 1]
        if len(several):
            unit = replace(curves, expected=expected, variance=variance).noise_of_a_count(pair)
            for row in rows[curves.seeds[rows] == 1]:
                variance[row] = unit / expected[row]
    return replace(curves, expected=expected, variance=variance, cutoffs=cutoffs)
