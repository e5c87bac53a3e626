"""Scans for the proofs of the fit: samples of the box, made with finer steps and other modes than the fit uses.

A module of other scripts, not one to run.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hpctools.tnm import Program, Scan, scan, simulate_windows
from hpctools.tnm.cramer_rao import correlated_noise
from hpctools.tnm.curves import Curves, lagged
from hpctools.tnm.direct import scan as direct_scan
from hpctools.tnm.grid import PAPER
from hpctools.tnm.model import reference_temperature, transition_width
from hpctools.tnm.program import ZERO_CELSIUS
from hpctools.tnm.residuals import Noise

Array = NDArray[np.float64]
RATES = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0)  # K/min, the paper's
FINE = 2.0  # resolution of the samples; the fit's is 1
FLAT = 2e-4  # of CpN: where scans begin and end
BESIDE = 10.0  # K of flat scan kept on both sides


def draw(n: int, seed: int, cpn_max: float = 6.0) -> Array:
    """n samples (n, 4) drawn uniformly from the continuous box, those with a higher peak left out."""
    random = np.random.default_rng(seed)
    kept = np.empty((0, 4))
    while len(kept) < n:
        dh = random.uniform(2e5, 12e5, 2 * n)
        low, high = PAPER.ln_a_limits(dh)
        shape = random.uniform(0.2, 1.0, (2 * n, 2))
        sets = np.column_stack([random.uniform(low, high), dh, shape])
        peaks = simulate_windows(sets, backend="cpu").summary.cpn_max
        kept = np.concatenate([kept, sets[(peaks <= cpn_max).all(1)]])
    return kept[:n]


def clean(samples: Array, spacing: float = 0.5) -> list[list[Scan]]:
    """Six scans of each sample on points `spacing` K apart, with finer steps and other modes than the fit's."""
    every = round(spacing / 0.1)
    kelvin = Program().celsius + ZERO_CELSIUS
    made = simulate_windows(samples, backend="cpu", resolution=FINE, dtype=np.float64)
    out = []
    for i in range(len(samples)):
        signal = made.full(i)
        points = _points(signal, every)
        out.append([_scan(kelvin[points], signal[k, points], q) for k, q in enumerate(RATES)])
    return out


def direct(parameters: Array, spacing: float = 0.5) -> list[Scan]:
    """The same by the second method, hpctools.tnm.direct."""
    coarse = clean(np.atleast_2d(parameters), spacing)[0]
    return [replace(s, cpn=direct_scan(parameters, s.cooling_rate / 60, s.heating_rate / 60, s.temperature)[0])
            for s in coarse]  # fmt: skip


def _points(signal: Array, every: int) -> NDArray[np.int64]:
    moving = np.flatnonzero(((np.abs(signal) > FLAT) & (np.abs(signal - 1) > FLAT)).any(0))
    beside = round(BESIDE / 0.1)
    return np.arange(max(0, moving[0] - beside), min(signal.shape[1], moving[-1] + beside + 1), every)


def _scan(kelvin: Array, cpn: Array, rate: float) -> Scan:
    return scan(kelvin, cpn, rate, start=1600 + ZERO_CELSIUS, low=ZERO_CELSIUS - 250, name=f"after {rate:g} K/min")


def noisy(scans: list[Scan], noise: Noise, random: np.random.Generator) -> list[Scan]:
    """Scans with noise."""
    return [replace(s, cpn=s.cpn + e) for s, e in zip(scans, correlated_noise(scans, noise, random), strict=True)]


def lagging(scans: list[Scan], seconds: float, share: float = 1.0) -> list[Scan]:
    """A share of each signal behind a first-order lag: all of it as in a simple sensor, a part as a skewed peak."""
    out = []
    for s in scans:
        fine = np.arange(s.temperature[0], s.temperature[-1] + 0.05, 0.05)
        signal = np.interp(fine, s.temperature, s.cpn)
        late = np.interp(s.temperature, fine, lagged(signal, 0.05, seconds * s.heating_rate / 60))
        out.append(replace(s, cpn=(1 - share) * s.cpn + share * late))
    return out


def annealed(parameters: Array, minutes: tuple[float, ...] = (10, 30, 100, 300, 1000, 3000)) -> list[Scan]:
    """Scans after annealing 3 w₀ below T100 for different times, cooling and heating at 10 K/min."""
    t100 = float(reference_temperature(parameters[0], parameters[1]))
    width = float(transition_width(parameters[0], parameters[1]))
    kelvin = t100 + width * np.arange(-25.0, 15.0, 0.1)
    blank = [
        scan(kelvin, np.zeros_like(kelvin), 10.0, start=t100 + 40 * width, low=kelvin[0],
             holds=[(t100 - 3 * width, m)], name=f"annealed for {m:g} min")
        for m in minutes
    ]  # fmt: skip
    curves = Curves(blank)
    values = curves.evaluate(np.asarray(parameters)[None], resolution=FINE)[0]
    return [replace(s, cpn=values[curves.part(k)]) for k, s in enumerate(blank)]
