"""From a heating scan to the numbers that the networks read: levels of the rise, Tf', peak, and an aligned curve.

A scan is CpN at ascending temperatures, of any spacing and length. It is measured (SCAN_COLUMNS):

* T_half, where CpN first rises through ½, and the width d = T(0.8) - T(0.1) of that rise;
* the temperatures of all LEVELS, the peak, Tf' by equal area from the scan's own ends, and the roughness of the tails;
* the mean of CpN in CELLS cells whose edges stand at T_half + d sinh(EDGES): fine at the rise, wide in the tails of the
  glass. Cells that lie beyond the data are filled up with glass (0) or liquid (1). Means keep areas exactly and average
  noise.

Between points the curve is the cubic through the values with the slopes of the parabolas through three neighbours, so
that temperatures are good to far below the spacing of the points.

By the stretch T → λT, Δh* → λΔh*, ln A → ln A + ln λ at the same rates (Tf → λTf), and the rates' scale
q → sq, ln A → ln A - ln s, everything that is built here from differences of temperatures in units of a width, and from
the means, is unchanged: four parameters come down to three.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .cpu import SAMPLES_A_TASK, thread_count
from .program import Program
from .simulator import Windows

LEVELS = np.array([0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9])
HALF, NARROW, WIDE = 3, 0, 5  # places of 0.5, and of the levels of d
EDGES = np.linspace(-5.1, 3.9, 61)
CELLS = EDGES.size - 1
_SINH = np.sinh(EDGES)

# columns of a reduced scan; the cells' means follow
SCAN_COLUMNS = ("width", "tf_limit", "cpn_max", "t_peak", "first", "last", "rough", "glass", "liquid")
(WIDTH, TF_LIMIT, CPN_MAX, T_PEAK, FIRST, LAST, ROUGH, GLASS, LIQUID) = range(len(SCAN_COLUMNS))
AT_LEVELS = len(SCAN_COLUMNS)
AT_CELLS = AT_LEVELS + LEVELS.size
COLUMNS = AT_CELLS + CELLS

STATUS_OK, STATUS_FEW, STATUS_NO_RISE, STATUS_NO_GLASS, STATUS_NO_LIQUID = range(5)
STATUS_WORDS = {
    STATUS_FEW: "holds fewer than 8 points",
    STATUS_NO_RISE: "never rises through CpN = 0.5: no glass transition",
    STATUS_NO_GLASS: "does not begin in the glass: CpN stays above 0.1 before the rise",
    STATUS_NO_LIQUID: "does not reach the liquid: CpN stays below 0.9 after the rise",
}
LEAST_POINTS = 8


@njit(cache=True, nogil=True, error_model="numpy")
def _slope(t, c, k):
    """Slope at point k of the parabola through it and its neighbours; of the line at the ends."""
    n = t.size
    if k == 0:
        return (c[1] - c[0]) / (t[1] - t[0])
    if k == n - 1:
        return (c[n - 1] - c[n - 2]) / (t[n - 1] - t[n - 2])
    before, after = t[k] - t[k - 1], t[k + 1] - t[k]
    return ((c[k + 1] - c[k]) / after * before + (c[k] - c[k - 1]) / before * after) / (before + after)


@njit(cache=True, nogil=True, error_model="numpy")
def _part(t, c, k, s):
    """∫ of the cubic from t[k] over the share s of the interval to t[k+1]."""
    h = t[k + 1] - t[k]
    s2 = s * s
    s3 = s2 * s
    s4 = s3 * s
    values = c[k] * (s - s3 + 0.5 * s4) + c[k + 1] * (s3 - 0.5 * s4)
    slopes = _slope(t, c, k) * (0.5 * s2 - 2.0 * s3 / 3.0 + 0.25 * s4) + _slope(t, c, k + 1) * (0.25 * s4 - s3 / 3.0)
    return h * (values + h * slopes)


@njit(cache=True, nogil=True, error_model="numpy")
def _crossing(t, c, k, level):
    """Where the cubic between t[k] and t[k+1] passes `level`; c[k] and c[k+1] lie on either side of it."""
    h = t[k + 1] - t[k]
    a, b = h * _slope(t, c, k), h * _slope(t, c, k + 1)
    low, high = 0.0, 1.0
    for _ in range(30):
        s = 0.5 * (low + high)
        r = 1.0 - s
        value = r * r * ((1.0 + 2.0 * s) * c[k] + s * a) + s * s * ((1.0 + 2.0 * r) * c[k + 1] - r * b)
        if value < level:
            low = s
        else:
            high = s
    return t[k] + 0.5 * (low + high) * h


@njit(cache=True, nogil=True, error_model="numpy")
def _roughness(c, first, last):
    """Mean square of how far points lie from the middle of their neighbours, times ⅔: the variance of white noise."""
    total = 0.0
    count = 0
    for k in range(max(1, first), min(c.size - 1, last)):
        bend = c[k] - 0.5 * (c[k - 1] + c[k + 1])
        total += bend * bend
        count += 1
    return total * 2.0 / 3.0 / count if count > 0 else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def reduce_scan(t, c, out):
    """Reduce one scan: t (n,) in K, ascending; c (n,) CpN; out (COLUMNS,), see the module. Returns a status."""
    n = t.size
    out[:] = 0.0
    if n < LEAST_POINTS:
        return STATUS_FEW
    rise = -1
    for k in range(n - 1):
        if c[k] < 0.5 <= c[k + 1]:
            rise = k
            break
    if rise < 0:
        return STATUS_NO_RISE
    for i in range(LEVELS.size):
        level = LEVELS[i]
        k = rise
        if level <= 0.5:
            while k >= 0 and not c[k] < level:
                k -= 1
            if k < 0:
                return STATUS_NO_GLASS
        else:
            while k < n - 1 and not c[k + 1] >= level:
                k += 1
            if k == n - 1:
                return STATUS_NO_LIQUID
        out[AT_LEVELS + i] = _crossing(t, c, k, level)
    half = out[AT_LEVELS + HALF]
    d = out[AT_LEVELS + WIDE] - out[AT_LEVELS + NARROW]

    area = np.empty(n)
    area[0] = 0.0
    for k in range(n - 1):
        area[k + 1] = area[k] + _part(t, c, k, 1.0)
    best = 0
    for k in range(n):
        if c[k] > c[best]:
            best = k
    shift = 0.0
    height = c[best]
    where = t[best]
    if 0 < best < n - 1:
        slope = _slope(t, c, best)
        after = (c[best + 1] - c[best]) / (t[best + 1] - t[best])
        before = (c[best] - c[best - 1]) / (t[best] - t[best - 1])
        bend = 2.0 * (after - before) / (t[best + 1] - t[best - 1])
        if bend < 0.0:
            shift = min(max(-slope / bend, 0.5 * (t[best - 1] - t[best])), 0.5 * (t[best + 1] - t[best]))
            where += shift
            height += 0.5 * slope * shift
    out[WIDTH] = d
    out[TF_LIMIT] = t[n - 1] - area[n - 1]
    out[CPN_MAX] = height
    out[T_PEAK] = where
    out[FIRST] = t[0]
    out[LAST] = t[n - 1]

    k = 0
    previous = 0.0
    for j in range(CELLS + 1):
        edge = half + d * _SINH[j]
        if edge <= t[0]:
            total = 0.0
        elif edge >= t[n - 1]:
            total = area[n - 1] + edge - t[n - 1]
        else:
            while t[k + 1] <= edge:
                k += 1
            total = area[k] + _part(t, c, k, (edge - t[k]) / (t[k + 1] - t[k]))
        if j > 0:
            out[AT_CELLS + j - 1] = (total - previous) / (d * (_SINH[j] - _SINH[j - 1]))
        previous = total

    # tails: what lies more than two widths before the rise, and more than three behind it
    low = 0
    while low < n and t[low] < half - 2.0 * d:
        low += 1
    high = n - 1
    while high > 0 and t[high] > half + 3.0 * d:
        high -= 1
    out[ROUGH] = np.sqrt(0.5 * (_roughness(c, 0, low) + _roughness(c, high, n)))
    out[GLASS] = np.mean(c[:low]) if low > 0 else 0.0
    out[LIQUID] = np.mean(c[high + 1 :]) if high < n - 1 else 1.0
    return STATUS_OK


@njit(cache=True, nogil=True)
def _reduce_even(first_sample, last_sample, start, points, offset, values, scans, low, step, out, status):
    for i in range(first_sample, last_sample):
        t = low + step * (start[i] + np.arange(points[i]))
        for scan in range(scans):
            begin = offset[i] + scan * points[i]
            status[i, scan] = reduce_scan(t, values[begin : begin + points[i]].astype(np.float64), out[i, scan])


def reduce_windows(scans: Windows, program: Program) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Reduce simulated scans (`Windows`): (n, scans, COLUMNS) and the statuses (n, scans)."""
    n = len(scans)
    out = np.empty((n, scans.scans, COLUMNS))
    status = np.empty((n, scans.scans), np.int64)
    arguments = (scans.start, scans.points, scans.offset, scans.values, scans.scans, program.grid_low, program.step)
    on_threads(_reduce_even, n, *arguments, out, status)
    return out, status


def on_threads(work: Callable[..., None], n: int, *arguments: Any) -> None:
    """work(first, last, *arguments) for some samples at a time, on the host's threads."""
    with ThreadPoolExecutor(thread_count()) as pool:
        parts = [pool.submit(work, k, min(n, k + SAMPLES_A_TASK), *arguments) for k in range(0, n, SAMPLES_A_TASK)]
        for part in parts:
            part.result()
