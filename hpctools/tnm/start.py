"""Start of the refinement: the network's estimate, and one from the scans alone where the network leads nowhere.

Without the network Δh* comes from the cooling-rate law, x and β from a coarse table.
In reduced temperature u = (T - Tf')/w, w = R Tf'²/Δh*, scans depend on x, β, the ratios of the rates, and little on
F = Δh*/(R Tf'). A table of simulated scans over (F, x, β), made once for a set of ratios, is compared with the scans
in u; the best few entries are the starts.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .estimation import estimate as network_estimate
from .features import cooling_rate_law, fictive_temperature
from .model import GAS_CONSTANT, LN_TAU_REFERENCE
from .program import ZERO_CELSIUS, Program
from .scans import Scan, ScanError
from .simulator import simulate_windows

Array = NDArray[np.float64]
TABLE_F = (25.0, 50.0, 120.0, 350.0)
TABLE_X = (0.08, 0.15, 0.22, 0.3, 0.4, 0.5, 0.6, 0.72, 0.86, 1.0)
TABLE_BETA = (0.17, 0.22, 0.28, 0.36, 0.46, 0.56, 0.66, 0.78, 0.9, 1.0)
TABLE_U = np.concatenate([np.arange(-60, -12, 2.0), np.arange(-12, 12, 0.25), np.arange(12, 30, 2.0)])
STRETCH = (0.8, 0.9, 1.0, 1.1, 1.25)  # of the cooling-rate law's Δh*
STARTS = 3
STANDARD_T100 = 400.0  # K, of the table; scaling of T and Δh* takes it anywhere


class Start(NamedTuple):
    """Parameter sets (k, 4) to start from, best first, and where they come from.

    covariance (4, 4) of the first, ln A, Δh*, x, β, or None; flags: what speaks against it, or why the network gives
    none; refused: whether the network was to answer and did not.
    """

    candidates: Array
    method: str
    covariance: Array | None = None
    flags: tuple[str, ...] = ()
    refused: bool = False

    @property
    def parameters(self) -> Array:
        """The best one, (4,)."""
        return self.candidates[0]

    @property
    def errors(self) -> Array:
        """Standard errors of the best one, (4,); NaN where there are none."""
        return np.full(4, np.nan) if self.covariance is None else np.sqrt(np.diag(self.covariance))


class _Table(NamedTuple):
    f: Array  # (n,) Δh*/(R T100)
    shape: Array  # (n, 2) x, β
    offset: Array  # (n, scans) (Tf' - T100)/w₀
    curves: Array  # (n, scans, u)


@lru_cache(maxsize=16)
def _table(cooling: tuple[float, ...], heating: tuple[float, ...], reference: int) -> _Table:
    """Scans at these rates (K/min, in units of a w₀ of the table a minute), u counted from Tf' of `reference`."""
    sets = np.array(list(itertools.product(TABLE_F, TABLE_X, TABLE_BETA)))
    f = sets[:, 0]
    curves = np.empty((len(sets), len(cooling), TABLE_U.size))
    offset = np.empty((len(sets), len(cooling)))
    for value in TABLE_F:
        rows = np.flatnonzero(f == value)
        width = STANDARD_T100 / value
        dh = GAS_CONSTANT * STANDARD_T100 * value
        parameters = np.column_stack([np.full(rows.size, LN_TAU_REFERENCE - value), np.full(rows.size, dh),
                                      sets[rows, 1:]])  # fmt: skip
        program = Program(
            tuple(q * width for q in cooling), tuple(q * width for q in heating),
            low_celsius=-ZERO_CELSIUS + 20.0, high_celsius=2500.0, step=width / 12,
        )  # fmt: skip
        scans = simulate_windows(parameters, program, "cpu")
        for i, row in enumerate(rows):
            tf = scans.summary.tf_limit[i]
            offset[row] = (tf - STANDARD_T100) / width
            t = program.celsius[scans.start[i] : scans.start[i] + scans.points[i]] + ZERO_CELSIUS
            for k in range(len(cooling)):
                u = (t - tf[reference]) / (tf[reference] ** 2 * GAS_CONSTANT / dh)
                curves[row, k] = np.interp(TABLE_U, u, scans[i][k], left=0.0, right=1.0)
    return _Table(f, sets[:, 1:], offset, curves)


def limiting_temperatures(scans: Sequence[Scan]) -> Array:
    """Tf' of each scan by equal area, K (features.fictive_temperature)."""
    return np.array([float(fictive_temperature(s.temperature, s.cpn)) for s in scans])


def activation_energy(scans: Sequence[Scan], tf: Array) -> float:
    """Δh* (J/mol) by the cooling-rate law, of scans with no hold on the way; a rough rule where that fails."""
    plain = [k for k, s in enumerate(scans) if not s.annealed]
    rates = [scans[k].cooling_rate for k in plain]
    dh = float("nan")
    if len(set(rates)) > 1:
        dh = float(cooling_rate_law(rates, tf[plain]).dh)
    rule = 100.0 * GAS_CONSTANT * float(tf.mean())
    return float(np.clip(dh, 0.1 * rule, 8 * rule)) if dh > 0 else rule


def estimate(scans: Sequence[Scan], dh: float | None = None) -> Start:
    """Starts of a refinement: the network's first, then the table's; dh: Δh* in J/mol where it is known."""
    table = from_table(scans, dh)
    network = from_network(scans)
    if not len(network.candidates):
        return table._replace(flags=network.flags)
    return network._replace(candidates=np.vstack([network.candidates, table.candidates]))


def from_network(scans: Sequence[Scan]) -> Start:
    """The network's estimate; no candidates, and the reason among the flags, where it refuses the scans."""
    rates = [one.heating_rate for one in scans]
    if any(one.annealed for one in scans) or min(rates) < 0.98 * max(rates):
        return Start(np.empty((0, 4)), "network", flags=("the network knows no holds and one heating rate only",))
    try:
        found = network_estimate(
            [(one.temperature, one.cpn, one.cooling_rate) for one in scans], float(np.mean(rates)),
            names=[one.name for one in scans],
        )  # fmt: skip
    except ScanError as error:
        return Start(np.empty((0, 4)), "network", flags=(str(error),))
    return Start(found.parameters[None], "network", found.covariance, found.flags)


def from_table(scans: Sequence[Scan], dh: float | None = None) -> Start:
    """Starts from the cooling-rate law and the table."""
    tf = limiting_temperatures(scans)
    energy = activation_energy(scans, tf) if dh is None else dh
    plain = [k for k, s in enumerate(scans) if not s.annealed] or list(range(len(scans)))
    reference = plain[int(np.argmin([abs(np.log(scans[k].cooling_rate / scans[k].heating_rate)) for k in plain]))]
    found: list[tuple[float, Array]] = []
    for stretch in (1.0,) if dh is not None else STRETCH:
        found += _compare(scans, plain, plain.index(reference), tf[reference], energy * stretch)
    # the law's own Δh* first: it is right to a few per cent unless the scans are distorted
    found.sort(key=lambda entry: (abs(np.log(entry[1][1] / energy)) > 1e-9, entry[0]))
    found[1:] = sorted(found[1:], key=lambda entry: entry[0])
    candidates = np.array([entry[1] for entry in found])
    return Start(candidates[:STARTS], "cooling-rate law and table")


def _compare(scans: Sequence[Scan], plain: list[int], place: int, tf: float, dh: float) -> list[tuple[float, Array]]:
    """Sum of squares and parameters of the best entries at this Δh*, of different shapes."""
    width = GAS_CONSTANT * tf**2 / dh
    # rates in widths a minute, rounded, so that like samples share a table
    unit = scans[plain[place]].heating_rate
    cooling = tuple(round(scans[k].cooling_rate / unit, 3) for k in plain)
    heating = tuple(round(scans[k].heating_rate / unit, 3) for k in plain)
    table = _table(cooling, heating, place)
    # the table's samples feel rates of one width a minute per `unit`; this sample feels `speed` of them
    speed = unit / width
    near = np.abs(np.log(table.f * GAS_CONSTANT * tf / dh))
    rows = np.flatnonzero(near == near.min())
    error = np.zeros(rows.size)
    for j, k in enumerate(plain):
        u = (scans[k].temperature - tf) / width
        data = np.interp(TABLE_U, u, scans[k].cpn, left=np.nan, right=np.nan)
        inside = np.isfinite(data)
        if inside.any():
            weight = np.gradient(TABLE_U)[inside]
            error += ((table.curves[rows, j][:, inside] - data[inside]) ** 2 * weight).sum(1)
    best = []
    for row in rows[np.argsort(error)[:2]]:
        # ln τ at T100 is ln 100 s for the table's rates: here the same state is met at τ smaller by the speed
        offset = table.offset[row, place]
        f = dh / (GAS_CONSTANT * tf)
        t_same = tf / (1 + offset / f)  # where τ = 100 s / speed
        ln_a = LN_TAU_REFERENCE - np.log(speed) - dh / (GAS_CONSTANT * t_same)
        x, beta = table.shape[row]
        best.append((float(error[np.flatnonzero(rows == row)[0]]), np.array([ln_a, dh, x, beta])))
    return best
