"""What a calorimeter adds to a heating scan: thermal lag, gain and baselines, wrong temperatures and rates, noise.

    C(T) = g L[CpN](T - δ) + o + b (T - T_mid)/(half the range) + noise

with L the first-order lag C(T) = ∫ CpN(T') exp(-(T - T')/Λ) dT'/Λ, Λ = q_h × time constant (thermal resistance of the
sample and its contact; the temperature that is read runs ahead of the sample's), g the gain, o and b what the straight
lines through glass and liquid leave as offset and tilt, δ the error of the temperature, and noise with
autocorrelation exp(-|ΔT|/ℓ), as a filtered signal has it. Cooling rates are off by some per cent from those stated.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numba import njit
from numpy.typing import NDArray

from . import reduction as r
from .program import Program
from .simulator import Windows

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Instruments:
    """A population of instruments; half widths of uniform distributions but for what is given as a range."""

    step: tuple[float, float] = (0.1, 1.0)  # between points, K, log-uniform; between d/60 and d/6
    below: tuple[float, float] = (2.0, 12.0)  # where scans begin, widths d below the rise
    above: tuple[float, float] = (1.5, 6.0)  # where they end, widths d above the rise
    noise: tuple[float, float] = (2e-5, 2e-2)  # of ΔCp, log-uniform
    correlation: tuple[float, float] = (0.0, 3.0)  # ℓ of the noise, K
    lag: tuple[float, float] = (-1.0, 8.0)  # s; below 0: corrected for
    quality: tuple[float, float] = (0.01, 1.0)  # log-uniform; multiplies all of the following for a sample
    gain: float = 0.03  # of a scan against the others
    offset: float = 0.02  # of ΔCp
    tilt: float = 0.02
    calibration: float = 0.3  # error of the temperature, common to a sample's scans, K
    drift: float = 0.02  # of the temperature between scans, standard deviation, K
    rate: float = 0.02  # relative error of a cooling rate


@dataclass(frozen=True)
class Effects:
    """What one measurement adds to each scan; arrays (n, scans)."""

    noise: FloatArray  # standard deviation
    correlation: FloatArray  # K
    lag: FloatArray  # Λ, K
    step: FloatArray  # K
    first: FloatArray  # K
    last: FloatArray  # K
    gain: FloatArray
    offset: FloatArray
    tilt: FloatArray
    shift: FloatArray  # K
    rate: FloatArray  # stated rate over the actual one

    def table(self) -> FloatArray:
        """(n, scans, effects), in the order of the fields; `rate`, which changes no signal, left out."""
        return np.stack([getattr(self, field.name) for field in fields(self)[:-1]], axis=2)


def draw_effects(
    rng: np.random.Generator, reduced: FloatArray, heating: float, population: Instruments, present: NDArray[np.bool_]
) -> Effects:
    """One measurement of each sample of undisturbed reduced scans (n, scans, reduction.COLUMNS); heating: K/s.

    present (n, scans): scans that are measured; the ends of all are laid around these. Gain, baselines, rates and drift
    are of a scan, the rest of a sample.
    """
    n, scans = reduced.shape[:2]

    def sample(low: float, high: float) -> FloatArray:
        return np.broadcast_to(rng.uniform(low, high, (n, 1)), (n, scans))

    def scan(width: float) -> FloatArray:
        return rng.uniform(-width, width, (n, scans)) * quality

    quality = np.exp(sample(*np.log(population.quality)))
    half = np.where(present, reduced[:, :, r.AT_LEVELS + r.HALF], np.nan)
    width = np.nanmean(np.where(present, reduced[:, :, r.WIDTH], np.nan), axis=1, keepdims=True)
    lag = np.maximum(sample(*population.lag), 0.0) * heating
    step = np.clip(np.exp(sample(*np.log(population.step))), width / 60, width / 6)
    return Effects(
        np.exp(sample(*np.log(population.noise))),
        sample(*population.correlation),
        lag,
        step,
        np.maximum(np.nanmin(half, axis=1, keepdims=True) - width * sample(*population.below), 5.0),
        np.nanmax(half, axis=1, keepdims=True) + width * sample(*population.above) + 3 * lag,
        1 + scan(population.gain),
        scan(population.offset),
        scan(population.tilt),
        sample(-population.calibration, population.calibration) * quality
        + population.drift * quality * rng.standard_normal((n, scans)),
        1 + scan(population.rate),
    )


@njit(cache=True, nogil=True, error_model="numpy")
def measure_scan(low, step, c, effects, white, t_out, c_out):
    """Add the effects to one scan.

    c (points,): CpN at low + step·i (K), 0 below and 1 above; effects: a row of Effects.table(); white: normal
    deviates, one a point of the result. Fills t_out and c_out and returns the number of points.
    """
    noise, correlation, lag, out_step, first, last, gain, offset, tilt, shift = effects
    n = min(t_out.size, int((last - first) / out_step) + 1)
    keep = np.exp(-out_step / correlation) if correlation > 0 else 0.0
    fresh = np.sqrt(1.0 - keep * keep)
    decay = np.exp(-step / lag) if lag > 1e-3 * step else 0.0
    share = (1.0 - decay) * lag / step  # of the value before, in the mean over the lag of a line between two points
    middle, half = 0.5 * (first + last), 0.5 * (last - first)
    at = -1  # `lagged` holds the lagged signal at low + step·at, `next_lagged` at the point behind it
    lagged = next_lagged = 0.0
    deviate = white[0]
    for k in range(n):
        t = first + out_step * k
        place = (t - low) / step
        while at + 1 <= place:
            at += 1
            lagged = next_lagged
            value = c[at + 1] if at + 1 < c.size else 1.0
            here = c[at] if 0 <= at < c.size else (0.0 if at < 0 else 1.0)
            if at == 0:
                lagged = here
            next_lagged = decay * lagged + (share - decay) * here + (1.0 - share) * value
        signal = 0.0 if place < 0 else lagged + (place - at) * (next_lagged - lagged)
        if k > 0:
            deviate = keep * deviate + fresh * white[k]
        t_out[k] = t + shift
        c_out[k] = gain * signal + offset + tilt * (t - middle) / half + noise * deviate
    return n


@njit(cache=True, nogil=True)
def _measure_and_reduce(first, last, start, points, offset, values, scans, low, step, table, normals, out, status):
    t = np.empty(normals.shape[2])
    c = np.empty(normals.shape[2])
    for i in range(first, last):
        for scan in range(scans):
            begin = offset[i] + scan * points[i]
            signal = values[begin : begin + points[i]]
            n = measure_scan(low + step * start[i], step, signal, table[i, scan], normals[i, scan], t, c)
            status[i, scan] = r.reduce_scan(t[:n], c[:n], out[i, scan])


def measure_windows(
    scans: Windows, program: Program, effects: Effects, rng: np.random.Generator
) -> tuple[FloatArray, NDArray[np.int64]]:
    """Simulated scans (`Windows`) as an instrument shows them, reduced: (n, scans, COLUMNS) and statuses (n, scans)."""
    n = len(scans)
    table = effects.table()
    longest = int(np.ceil(((effects.last - effects.first) / effects.step).max())) + 2
    normals = rng.standard_normal((n, scans.scans, longest), dtype=np.float32)
    out = np.empty((n, scans.scans, r.COLUMNS))
    status = np.empty((n, scans.scans), np.int64)
    arguments = (scans.start, scans.points, scans.offset, scans.values, scans.scans, program.grid_low, program.step)
    r.on_threads(_measure_and_reduce, n, *arguments, table, normals, out, status)
    return out, status
