"""Model curves at measured temperatures: the simulator seen through an instrument.

    measured(T) = (1 + gain + gain-tilt · s) C_lag(T - shift) + offset + tilt · s,   s = -1 … 1 along the scan
    L dC_lag/dT + C_lag = CpN(T),   L = heating rate · lag                    (first-order thermal lag)

Each scan is simulated with its own program, from its last equilibrium through every ramp and hold.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from . import cpu
from .model import GAS_CONSTANT, reference_temperature, transition_width
from .program import Segments
from .scans import Scan
from .simulator import CHANGE_COOLING, CHANGE_HEATING, Plan, deep_glass
from .spectrum import TableStack, default_spacing, join_tables, make_tables

Array = NDArray[np.float64]
STEPS_A_WIDTH = 32.0  # points of the model's own grid in w₀
STEP_LIMITS = (0.005, 0.5)  # K
MOST_POINTS = 60_000
MARGIN = 3.0  # K of model beyond both ends of a scan
LANDING = 1e-3  # s: a hold before heating, so that cooling ends exactly where the program says
TAIL = 20.0  # lag lengths after which the start of a lagging signal is forgotten
LEAST_LAG = 1e-9  # steps of the grid: a shorter lag is none

_GAUSS_X, _GAUSS_W = np.polynomial.legendre.leggauss(10)
_GAUSS_X, _GAUSS_W = 0.5 * (_GAUSS_X + 1.0), 0.5 * _GAUSS_W
# monomial coefficients [node, power] of the Lagrange polynomials through -1, 0, 1, 2
_CUBIC = np.linalg.inv(np.vander(np.array([-1.0, 0.0, 1.0, 2.0]), increasing=True)).T.copy()


@njit(cache=True, nogil=True)
def _lag_weights(a):
    """a ∫_0^1 exp(-a (1-u)) ℓ_j(u) du of the cubic Lagrange polynomials through -1, 0, 1, 2; a = step/length."""
    moment = np.empty(4)
    if a < 2.0:
        for j in range(4):
            total = 0.0
            for k in range(_GAUSS_X.size):
                total += _GAUSS_W[k] * math.exp(-a * (1.0 - _GAUSS_X[k])) * _GAUSS_X[k] ** j
            moment[j] = a * total
    else:
        moment[0] = -math.expm1(-a)
        for j in range(1, 4):
            moment[j] = 1.0 - j / a * moment[j - 1]
    weights = np.zeros(4)
    for node in range(4):
        for power in range(4):
            weights[node] += _CUBIC[node, power] * moment[power]
    return weights


@njit(cache=True, nogil=True)
def lagged(signal, step, length):
    """The signal (n,) on an even grid, behind a first-order lag of this length (same unit as step)."""
    out = np.empty_like(signal)
    n = signal.size
    decay = math.exp(-step / length)
    weights = _lag_weights(step / length)
    out[0] = signal[0]
    for i in range(n - 1):
        before = signal[i - 1] if i > 0 else 2.0 * signal[0] - signal[1]
        after = signal[i + 2] if i + 2 < n else 2.0 * signal[n - 1] - signal[n - 2]
        out[i + 1] = (
            out[i] * decay + weights[0] * before + weights[1] * signal[i] + weights[2] * signal[i + 1]
            + weights[3] * after
        )  # fmt: skip
    return out


@njit(cache=True, nogil=True)
def _interpolate(signal, low, step, temperatures, value):
    """Cubic interpolation of an even grid at temperatures (n,), into value (n,)."""
    n = signal.size
    for i in range(temperatures.size):
        at = (temperatures[i] - low) / step
        k = min(max(int(at), 1), n - 3)
        u = at - k
        a, b, c, d = signal[k - 1], signal[k], signal[k + 1], signal[k + 2]
        c1 = c - b / 2.0 - a / 3.0 - d / 6.0
        c2 = 0.5 * (a + c) - b
        c3 = (d - a) / 6.0 + 0.5 * (b - c)
        value[i] = b + u * (c1 + u * (c2 + u * c3))


def tables(betas: ArrayLike, resolution: float = 1.0) -> TableStack:
    """Tables of these β, one behind the other."""
    factor = min(1.0, resolution**-0.5)
    return join_tables([make_tables(float(b), default_spacing(float(b)) * factor) for b in np.atleast_1d(betas)])


class Curves:
    """The model of a set of scans; their points one behind the other, scan k in offset[k] … offset[k+1]."""

    def __init__(self, scans: Sequence[Scan]) -> None:
        self.scans = tuple(scans)
        self.offset = np.concatenate([[0], np.cumsum([len(s.temperature) for s in scans])]).astype(np.int64)
        self.temperature = np.concatenate([s.temperature for s in scans])
        self.heating = np.array([s.heating_rate / 60 for s in scans])
        self._segments = [self._si(s) for s in scans]

    def __len__(self) -> int:
        return len(self.scans)

    def part(self, k: int) -> slice:
        """The points of scan k."""
        return slice(int(self.offset[k]), int(self.offset[k + 1]))

    @staticmethod
    def _si(one: Scan) -> Segments:
        top = max(one.start, float(one.temperature[-1])) + MARGIN
        rows = [(s.rate / 60, s.end, 60 * s.minutes) for s in one.history]
        rows += [(0.0, one.history[-1].end, LANDING), (one.heating_rate / 60, top, 0.0)]
        table = np.array(rows, float)[None]
        return Segments(*(np.ascontiguousarray(table[:, :, k]) for k in range(3)))

    def evaluate(
        self,
        parameters: Array,
        lag: float = 0.0,
        shift: float = 0.0,
        resolution: float = 1.0,
        stack: tuple[TableStack, NDArray[np.int64]] | None = None,
    ) -> Array:
        """CpN of parameter sets (k, 4) at the measured temperatures.

        lag in s, shift in K: reading minus true temperature; stack: tables and the table of each set, if made already.
        Returns (k, points), NaN where the simulator failed.
        """
        if stack is None:
            betas, which = np.unique(parameters[:, 3], return_inverse=True)
            stack = tables(betas, resolution), which.astype(np.int64)
        n = len(parameters)
        value = np.empty((n, self.offset[-1]))
        width = transition_width(parameters[:, 0], parameters[:, 1])
        fine = float(np.clip(width.min() / STEPS_A_WIDTH, *STEP_LIMITS))
        change = np.array([CHANGE_COOLING, CHANGE_HEATING]) / resolution
        for k, one in enumerate(self.scans):
            part = self.part(k)
            t = one.temperature - shift
            length = self.heating[k] * lag
            low = t[0] - MARGIN - TAIL * length
            step = max(fine, (t[-1] + MARGIN - low) / MOST_POINTS)
            points = int((t[-1] + MARGIN - low) / step) + 1
            glass = deep_glass(parameters, self.heating[k : k + 1])
            plan = Plan(self._program(k, parameters, glass), one.start, low, step, change, width, glass)
            grid = np.empty((n, points))
            summary = np.zeros((n, 1, 6))
            cpu.simulate_into(
                parameters, stack[0], stack[1], plan, np.zeros(n, np.int64), np.full(n, points, np.int64),
                np.arange(n + 1, dtype=np.int64) * points, grid.reshape(-1), summary,
            )  # fmt: skip
            for i in range(n):
                signal = grid[i]
                if length > LEAST_LAG * step:
                    signal = lagged(signal, step, length)
                _interpolate(signal, low, step, t, value[i, part])
            value[summary[:, 0, 5] != cpu.STATUS_OK, part] = np.nan
        return value

    def _program(self, k: int, parameters: Array, glass: Array) -> Segments:
        """The program of scan k; where cooling ends deep in the glass the landing is left out, which is faster."""
        segments = self._segments[k]
        history = self.scans[k].history
        if history[-1].rate == 0:
            return segments
        ln_a, dh, x, _ = parameters.T
        theta = dh / GAS_CONSTANT
        width = transition_width(ln_a, dh)
        frozen = reference_temperature(ln_a, dh, np.log(-width * 60 / history[-1].rate))  # type: ignore[arg-type]
        if np.all(ln_a + x * theta / history[-1].end + (1 - x) * theta / frozen > glass + 3.0):
            keep = [j for j in range(segments.rate.shape[1]) if j != len(history)]
            return Segments(*(np.ascontiguousarray(column[:, keep]) for column in segments))
        return segments
