"""Bands that hold what they promise: widths are set on states that the model has not seen.

A prediction is the median of the model's draws, which falls with t as each of them does. Its raw width is made of
their standard deviation, of what a shift of ln t by 0.05 does to F, and of a floor: a network has one draw, and is
wrong above all in the relaxation time. The factor z is the quantile of |error|/width over states left out (split and
cross-conformal prediction: Vovk, Gammerman & Shafer, Algorithmic Learning in a Random World, 2005; Lei et al., J. Am.
Stat. Assoc. 113 (2018) 1094), and of these those that are nearest in T/T_mct: in warm liquids the errors are smaller
than this width says (local conformal prediction: Lei & Wasserman, J. R. Stat. Soc. B 76 (2014) 71). Glasses, where
they are several to many times larger, have a factor of their own, below all liquids. Points of a curve are not
independent; each state counts the same, and coverage is reported by state. States colder than all that was trained on
are no draw from the same states: their factor is that of colder ones left out, by how far beyond the edge they were;
that of a density or mixture not trained on is the one of whole densities left out. These are no promises, but measured
where they can be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .samples import FloatArray, Sample, SampleError

LEVEL = 0.9
FLOOR = 0.005  # of F(0): the width never falls below that
SHIFT = 0.05  # of ln t
NEAREST = 20  # states that set a local factor
SLACK = 0.05  # of F(0): a band never leaves 0 … F(0) by more


@dataclass(frozen=True, eq=False)
class Band:
    """F and its band, each (n, 2); initial (2,) is F(0)."""

    F: FloatArray
    low: FloatArray
    high: FloatArray
    initial: FloatArray


def raw_width(draws: FloatArray, times: FloatArray, initial: FloatArray) -> FloatArray:
    """(n, 2) of draws (draws, n, 2) at ascending times (n,), where `initial` (2,) is the predicted F(0)."""
    spread = draws.std(0) if len(draws) > 1 else np.zeros(draws.shape[1:])
    slope = np.gradient(np.median(draws, axis=0), np.log(times), axis=0) if len(times) > 1 else 0.0 * spread
    return np.asarray(np.sqrt(spread**2 + (SHIFT * slope) ** 2 + (FLOOR * initial) ** 2))


def band(draws: FloatArray, times: FloatArray, initial: FloatArray, z: float) -> Band:
    """The band of draws (draws, n, 2); arguments as of `raw_width`. F lies between 0 and F(0), up to noise."""
    middle, width = np.median(draws, axis=0), z * raw_width(draws, times, initial)
    slack = min(z * FLOOR, SLACK) * initial
    low, high = (np.clip(edge, -slack, initial + slack) for edge in (middle - width, middle + width))
    return Band(middle, low, high, initial)


def scores(predict: Callable[[Sample], tuple[FloatArray, FloatArray]], samples: Sequence[Sample]) -> list[FloatArray]:
    """|error|/width at all points of each sample; predict: gives its draws (draws, n, 2) and F(0) (2,)."""
    found = []
    for sample in samples:
        draws, initial = predict(sample)
        found.append((np.abs(sample.F - np.median(draws, axis=0)) / raw_width(draws, sample.times, initial)).ravel())
    return found


@dataclass(frozen=True, eq=False)
class Factor:
    """z along one coordinate: that of all states, and at each x in `at` (m,), ascending, that of the nearest."""

    everywhere: float
    at: FloatArray
    local: FloatArray

    @classmethod
    def unknown(cls) -> Factor:
        """Where no states were left out."""
        return cls(float("nan"), np.zeros(0), np.zeros(0))

    @classmethod
    def of(cls, found: Sequence[FloatArray], x: Sequence[float], glass: Sequence[bool] = ()) -> Factor:
        """From the scores of states at x, some of which may be glasses.

        That of the liquids is local where x is known of `NEAREST` of them; that of the glasses stands below the middle
        between the two.
        """
        if not found:
            return cls.unknown()
        place = np.asarray(x, float)
        solid = np.array(glass, bool) if len(glass) else np.zeros(len(place), bool)
        liquids = np.flatnonzero(np.isfinite(place) & ~solid)
        glasses = np.flatnonzero(np.isfinite(place) & solid)
        if len(liquids) < NEAREST and not len(glasses):
            return cls(quantile(found), np.zeros(0), np.zeros(0))
        at = np.unique(place[liquids]) if len(liquids) >= NEAREST else place[liquids][:1]
        near = [liquids[np.argsort(np.abs(place[liquids] - centre), kind="stable")[:NEAREST]] for centre in at]
        local = np.array([quantile([found[int(i)] for i in rows]) for rows in near])
        if len(glasses) and len(liquids):
            edge = max(place[glasses].max(), 0.5 * (place[glasses].max() + place[liquids].min()))
            above, theirs = np.nextafter(edge, np.inf), quantile([found[int(i)] for i in glasses])
            inside, ends = at > above, [theirs, float(np.interp(above, at, local))]
            at, local = np.concatenate([[edge, above], at[inside]]), np.concatenate([ends, local[inside]])
        return cls(quantile(found), at, local)

    def __call__(self, x: float) -> float:
        """z of a state at x, that of all where x is not known; NaN: no states were left out."""
        return float(np.interp(x, self.at, self.local)) if len(self.at) and np.isfinite(x) else self.everywhere

    def __str__(self) -> str:
        if not len(self.at):
            return f"{self.everywhere:.3g}"
        return f"{self.everywhere:.3g} ({self.local.min():.3g} … {self.local.max():.3g} by temperature)"


@dataclass(frozen=True, eq=False)
class Factors:
    """z of states like those trained on, of colder ones, and of other densities and mixtures (foreign).

    known and foreign are by ln T/T_mct; colder by ln of the coldest T/T_mct trained on over that of the state. Where
    the others are unknown (networks, which are trained once), `known` has to do.
    """

    known: Factor
    colder: Factor
    foreign: Factor

    def z(self, relative: float, coldest: float, is_foreign: bool) -> float:
        """Of a state at T/T_mct `relative` (NaN: unknown), where `coldest` is the lowest trained on."""
        x = np.log(relative)
        found = [self.known(x)]
        if relative < coldest:
            found.append(self.colder(np.log(coldest / relative)))
        if is_foreign:
            found.append(self.foreign(x))
        return float(np.nanmax(found)) if np.isfinite(found).any() else float("nan")

    def arrays(self) -> dict[str, FloatArray]:
        """For a file."""
        return {f"band_{name}": np.vstack([np.append(part.at, np.nan), np.append(part.local, part.everywhere)])
                for name, part in vars(self).items()}

    @classmethod
    def restored(cls, arrays: Mapping[str, FloatArray]) -> Factors:
        """From `arrays`; KeyError where they lack some."""
        return cls(*(Factor(float(table[1, -1]), table[0, :-1], table[1, :-1])
                     for table in (arrays[f"band_{name}"] for name in cls.__dataclass_fields__)))


def quantile(found: Sequence[FloatArray], level: float = LEVEL) -> float:
    """z: the quantile of the scores in which each state has the same weight.

    With n states the level is raised to level (n + 1)/n, at most 1, as for exchangeable data. Raises SampleError
    without states.
    """
    if not found:
        raise SampleError("no states to calibrate the band with")
    values = np.concatenate(found)
    weights = np.concatenate([np.full(len(part), 1 / (len(found) * len(part))) for part in found])
    order = np.argsort(values)
    wanted = min(1.0, level * (len(found) + 1) / len(found))
    place = int(np.searchsorted(np.cumsum(weights[order]), wanted - 1e-12))
    return float(values[order[min(place, len(order) - 1)]])
