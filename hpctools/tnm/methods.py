"""The traditional ways to TNM parameters, as they are practised; for comparison with the refinement.

    activation energy      slope of ln(q/Tf'²) against 1/Tf' (Moynihan et al. 1976; Kissinger form)
    peak shift             x from the shift of the peak with annealing (Hutchinson and Ruddy 1988)
    simulation-comparative Δh* from the above, then x and β (A with them) by comparison with simulated scans
    curve fitting          Levenberg-Marquardt from a naive start (Hodge 1994)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .curves import Curves
from .features import fictive_temperature, peak
from .model import GAS_CONSTANT
from .refinement import Result, refine
from .residuals import Noise
from .scans import Scan, ScanError
from .start import Start, activation_energy, limiting_temperatures

Array = NDArray[np.float64]
NAIVE_X = NAIVE_BETA = 0.5
ZOOM_LEVELS, ZOOM_POINTS, ZOOM_SHRINK = 4, 6, 0.35  # of the simulation-comparative method
SMALLEST = (0.1, 0.15)  # x, β


class Compared(NamedTuple):
    """Result of the simulation-comparative method: parameters (4,), rms of the scans, simulated sets."""

    parameters: Array
    rms: float
    evaluations: int


def activation_energy_of(scans: Sequence[Scan]) -> float:
    """Δh* in J/mol from the cooling-rate dependence of Tf' (equal area)."""
    return activation_energy(scans, limiting_temperatures(scans))


def naive_start(scans: Sequence[Scan]) -> Array:
    """What one starts a fit from without a better idea: Δh* by the law, τ(Tf') = w/q, x = β = 0.5."""
    tf = limiting_temperatures(scans)
    dh = activation_energy(scans, tf)
    reference = int(np.argmin([abs(np.log(s.cooling_rate / s.heating_rate)) for s in scans]))
    return np.array([_ln_a(scans[reference], float(tf[reference]), dh), dh, NAIVE_X, NAIVE_BETA])


def _ln_a(one: Scan, tf: float, dh: float) -> float:
    """ln A with q τ(Tf') = w₀, the rule of Cooper and Gupta for where a liquid falls out of equilibrium."""
    width = GAS_CONSTANT * tf**2 / dh
    return float(np.log(width / (one.cooling_rate / 60)) - dh / (GAS_CONSTANT * tf))


def curve_fit(scans: Sequence[Scan], start: Array | None = None) -> Result:
    """Least squares of all points with equal weights from one start, naive_start if None."""
    values = naive_start(scans) if start is None else np.asarray(start, float)
    return refine(scans, Start(values[None], "naive" if start is None else "given"), noise=Noise(0.01, 0.0))


def simulation_comparative(scans: Sequence[Scan]) -> Compared:
    """Δh* by the law, x and β by a grid that closes in on the least sum of squares.

    At each (x, β) ln A is set so that the Tf' of the scan whose cooling rate is nearest its heating rate agrees.
    """
    tf = limiting_temperatures(scans)
    dh = activation_energy(scans, tf)
    reference = int(np.argmin([abs(np.log(s.cooling_rate / s.heating_rate)) for s in scans]))
    curves = Curves(scans)
    data = np.concatenate([s.cpn for s in scans])
    theta = dh / GAS_CONSTANT
    ln_a = _ln_a(scans[reference], float(tf[reference]), dh)
    centre, half = np.array([0.55, 0.575]), np.array([0.45, 0.425])
    best, least, evaluations = np.array([ln_a, dh, *centre]), np.inf, 0
    for _ in range(ZOOM_LEVELS):
        axes = [np.clip(c + h * np.linspace(-1, 1, ZOOM_POINTS), low, 1.0)
                for c, h, low in zip(centre, half, SMALLEST, strict=True)]  # fmt: skip
        grid = np.array([(ln_a, dh, x, beta) for x in axes[0] for beta in axes[1]])
        for _ in range(2):
            values = curves.evaluate(grid)
            evaluations += len(grid)
            if not np.isfinite(values).all():
                raise ScanError(scans[0].name, "the simulation-comparative method met scans that cannot be simulated")
            part = curves.part(reference)
            simulated = fictive_temperature(curves.temperature[part], values[:, part])
            # Tf' falls where ln A falls: w₀ per e-fold
            grid[:, 0] += theta * (1 / simulated - 1 / tf[reference])
        values = curves.evaluate(grid)
        evaluations += len(grid)
        squares = ((values - data) ** 2).mean(1)
        k = int(np.argmin(squares))
        if squares[k] < least:
            least, best = float(squares[k]), grid[k].copy()
        ln_a, centre, half = best[0], best[2:], half * ZOOM_SHRINK
    return Compared(best, float(np.sqrt(least)), evaluations)


def peak_shift(annealed: Sequence[Scan]) -> float:
    """x from scans after annealing for different times, same rates: ŝ = -dT_p/dTf' = 1/x - 1.

    Annealing lowers the enthalpy by ΔCp times the fall of Tf'; the slope is taken of the half of the scans that are
    annealed longest, where it has become constant. Hutchinson and Ruddy, J. Polym. Sci. B 26 (1988) 2341. Good for
    x > 0.3 at well-annealed glasses. Raises ScanError for fewer than three scans.
    """
    if len(annealed) < 3:
        raise ScanError("peak shift", f"{len(annealed)} annealed scans; expected three or more")
    tf = np.array([float(fictive_temperature(s.temperature, s.cpn)) for s in annealed])
    top = np.array([float(peak(s.temperature, s.cpn)[1]) for s in annealed])
    order = np.argsort(tf)[: max(3, len(tf) // 2)]
    fall, rise = tf[order] - tf[order].mean(), top[order] - top[order].mean()
    if np.ptp(tf) < 0.1:
        raise ScanError("peak shift", f"Tf' of the annealed scans differ by {np.ptp(tf):.2g} K; anneal for longer")
    slope = -float(fall @ rise / (fall @ fall))
    return 1.0 / (1.0 + slope) if slope > -0.5 else 1.0
