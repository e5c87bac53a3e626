"""Whether a measured S(k) is of the state it is said to be: its density, temperature and potential, LJ or WCA, by the
structures that a model was trained on.

Density: the main peak of S_AA lies at the same k ρ^(-1/3) in all of them but for 1 %; each of 106 states agrees with
its neighbours to 0.7 %. Temperature and potential: S(k) is compared with that of each trained potential, at the trained
density nearest to the state's, interpolated linearly in ln T. A liquid without its own state among them is then off by
0.002 in the median, 0.007 at most, with a temperature wrong by a quarter by 0.0125, a glass by up to 0.015. At high T
and ρ the potentials hardly differ. Of 165 shipped records, each compared without its own state, none contradicts its
potential; 68 contradict the other one, among them 65 of the 71 liquids at ρ = 1.2 and 1.4 below T = 3. The nearer
potential is the right one of 142, and of all 68 that are clear. Measured by
`python -m pytest -s tests/liquids/test_network_structure_check.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .inputs import peak as main_peak
from .samples import FloatArray, State

NEIGHBOURS = 6
METRIC = np.array([1.0, 4.0, 0.1])  # of ln T, ln ρ and the potential: S at ρ = 1.2 and 1.4 differs more than in T
SAME_DENSITY = 0.01  # relative
PEAK = 0.01  # of k_p: what is farther from that of its neighbours has another density
OFF = 0.008  # root mean square of S from that of the same temperature; glasses, each with its own past, lie apart
OFF_GLASS, GLASS_BELOW = 0.018, 0.5  # the latter in T/T_mct
MARGIN = 0.02  # of ln T, beyond the states trained on
POTENTIALS = ("WCA", "LJ")
"""By the last number of the points of `models.trained_range`."""
CLEARLY = 2.0  # ratio of the two distances
NOISE = 0.002  # root mean square of S over seeds of one state: 0.0014 … 0.0046, median 0.0022


@dataclass(frozen=True)
class Comparison:
    """Root mean square differences of S(k) from that of each trained potential, and where they were taken.

    distances: by potential, empty where the potentials were trained on at no common density and temperature;
    temperature: that of the state, or the end of the common range that is next to it.
    """

    distances: dict[str, float]
    density: float = np.nan
    temperature: float = np.nan

    @property
    def nearest(self) -> str:
        """The potential of the smallest distance; "" where there is none."""
        return min(self.distances, key=self.distances.__getitem__, default="")

    def contradicts(self, potential: str) -> bool:
        """Is S(k) clearly nearer to that of another potential?"""
        own, least = self.distances.get(potential, 0.0), self.distances.get(self.nearest, 0.0)
        return own > CLEARLY * least and own > least + NOISE

    @property
    def is_clear(self) -> bool:
        """Does S(k) contradict all potentials but the nearest?"""
        others = [name for name in self.distances if name != self.nearest]
        return bool(others) and all(self.contradicts(name) for name in others)

    @property
    def words(self) -> str:
        """The distances for people."""
        distances = " and ".join(f"{value:.4f} from that of {name}"
                                 for name, value in sorted(self.distances.items(), key=lambda item: item[1]))
        return f"which is off by {distances} at density {self.density:.4g}, temperature {self.temperature:.4g}"


def compare(config: dict[str, Any], state: State) -> Comparison:
    """A state's S(k) with the trained ones. config: of `models.Trained`, points (n, 3) and structures (n, 100, 3)."""
    points, structures = config["points"], config["structures"]
    trained = {POTENTIALS[int(flag)]: points[:, 2] == flag for flag in np.unique(points[:, 2])}
    common = set.intersection(*(set(points[rows, 1]) for rows in trained.values()))
    if not common:
        return Comparison({})
    density = min(common, key=lambda x: abs(x - np.log(state.density)))
    groups = {name: rows & (points[:, 1] == density) for name, rows in trained.items()}
    # beyond the range of one potential alone its S(k) would be that of another temperature, and so the farther one
    low = max(points[rows, 0].min() for rows in groups.values())
    high = min(points[rows, 0].max() for rows in groups.values())
    if low > high:
        return Comparison({})
    temperature = float(np.clip(np.log(state.temperature), low, high))
    distances = {name: float(np.sqrt(np.mean((state.S - _at(points[rows, 0], structures[rows], temperature)) ** 2)))
                 for name, rows in groups.items()}
    return Comparison(distances, float(np.exp(density)), float(np.exp(temperature)))


def settled(config: dict[str, Any], state: State) -> tuple[State, list[str], list[str]]:
    """The state with its potential, found from S(k) where it has none; remarks and warnings on it, as sentences.

    The potential stays empty where there is nothing to compare with.
    """
    compared = compare(config, state)
    if state.potential:
        contradiction = f"the potential {state.potential} contradicts S(k), {compared.words}"
        return state, [], [contradiction] if compared.contradicts(state.potential) else []
    found = f"the potential is taken as {compared.nearest} by S(k), {compared.words}"
    state = replace(state, potential=compared.nearest)
    if compared.is_clear or not compared.nearest:
        return state, [found] if compared.nearest else [], []
    return state, [], [f"{found}: no clear difference, so give --potential where it is known"]


def point_of(state: State) -> FloatArray:
    """(3,) ln T, ln ρ, 1 for LJ or 0."""
    return np.array([np.log(state.temperature), np.log(state.density), float(state.potential == "LJ")])


def neighbours(points: FloatArray, point: FloatArray) -> NDArray[np.intp]:
    """Rows of the `NEIGHBOURS` nearest in ln T, ln ρ and the potential among points (n, 3), the nearest first."""
    return np.argsort((((points - point) * METRIC) ** 2).sum(1))[:NEIGHBOURS]


def structure_distance(points: FloatArray, structures: FloatArray, point: FloatArray, S: FloatArray) -> float:
    """How far S (100, 3) is from that of the nearest state, in units of how S varies there.

    Nearest of `neighbours` among the states at points (n, 3) with structures (n, 100, 3). The unit is the root mean
    square deviation of S from its mean over them.
    """
    near = neighbours(points, point)
    spread = np.sqrt(((structures[near] - structures[near].mean(0)) ** 2).mean())
    return float(np.sqrt(((structures[near[0]] - S) ** 2).mean()) / max(spread, 1e-6))


def doubts(config: dict[str, Any], state: State) -> list[str]:
    """In what S(k) contradicts the density or the temperature of its state, as sentences."""
    points, structures = config["points"], config["structures"]
    rows = neighbours(points, point_of(state))
    reduced = [main_peak(S) * np.exp(-rho / 3) for S, rho in zip(structures[rows], points[rows, 1])]
    peak, expected = main_peak(state.S), float(np.mean(reduced) * state.density ** (1 / 3))
    if abs(peak / expected - 1) > PEAK:
        return [f"the main peak of S_AA is at k = {peak:.3f}, expected {expected:.3f} at density {state.density:g}; "
                f"there it is at density {(peak / np.mean(reduced)) ** 3:.3g}"]
    own = (points[:, 2] == point_of(state)[2]) & (np.abs(np.exp(points[:, 1]) / state.density - 1) < SAME_DENSITY)
    x = np.log(state.temperature)
    if state.potential and own.any() and points[own, 0].min() - MARGIN <= x <= points[own, 0].max() + MARGIN:
        off = float(np.sqrt(np.mean((state.S - _at(points[own, 0], structures[own], x)) ** 2)))
        limit = OFF_GLASS if state.relative_temperature < GLASS_BELOW else OFF
        if off > limit:
            return [f"S(k) is off by {off:.4f} (root mean square) from that of {state.potential} at density "
                    f"{state.density:g} and temperature {state.temperature:g}, expected up to {limit:g}: another "
                    "temperature, too few frames, or another system"]
    return []


def _at(known: FloatArray, structures: FloatArray, x: float) -> FloatArray:
    """S (100, 3) at x = ln T, within the known ones (n,), by linear interpolation."""
    order = np.argsort(known)
    place = np.interp(x, known[order], np.arange(len(known)))
    below, above = order[int(np.floor(place))], order[int(np.ceil(place))]
    return np.asarray(structures[below] + (place % 1) * (structures[above] - structures[below]))
