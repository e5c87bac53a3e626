"""What is read off DSC heating scans: overshoot, limiting fictive temperature, cooling-rate law.

Pure functions of arrays. `cpn` is CpN = dTf/dT, of shape (…, points), e.g. (samples, scans, points), on the ascending
temperatures `temperature` (points,); °C or K, results are in the same.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .model import GAS_CONSTANT

OVERSHOOT = 1e-3  # CpN_max must exceed 1 by more than this, the accuracy of signals, to count as an overshoot


class Features(NamedTuple):
    """Shape of scans; arrays (…,) without the axis of points, NaN where there is no overshoot.

    The shape quantities of the paper, figure 8e (Mater. Chem. Phys. 329 (2025) 130107), and the equal-area Tf'.
    """

    cpn_max: NDArray[np.float64]  # CpN at the peak; 1 is the liquid
    t_peak: NDArray[np.float64]  # temperature of the peak
    width: NDArray[np.float64]  # ΔT_hw = t_peak − temperature of the first crossing of CpN = 1, K
    ratio: NDArray[np.float64]  # CpN_max/ΔT_hw, 1/K
    tf_area: NDArray[np.float64]  # Tf' by equal area


class CoolingRateLaw(NamedTuple):
    """Δh* from the dependence of Tf' on the cooling rate; arrays (…,)."""

    dh: NDArray[np.float64]  # J/mol
    dh_error: NDArray[np.float64]  # standard error of the fit, J/mol; NaN for two rates
    intercept: NDArray[np.float64]  # ln(q/Tf'²) at 1/Tf' = 0, q in K/s


def _checked(temperature: ArrayLike, cpn: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    t, c = np.asarray(temperature, float), np.asarray(cpn, float)
    if t.ndim != 1 or c.shape[-1:] != t.shape or t.size < 3:
        raise ValueError(
            f"temperatures of shape {t.shape}, CpN of shape {c.shape}; expected (points,) and (…, points), points ≥ 3"
        )
    return t, c


def peak(temperature: ArrayLike, cpn: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """CpN_max and its temperature, (…,) each: the top of the parabola through the highest point and its neighbours.

    On an even grid. A peak that is thinner than about three steps (a burst) is higher than it shows.
    """
    t, c = _checked(temperature, cpn)
    best = c.argmax(-1)
    inner = np.clip(best, 1, t.size - 2)
    left, top, right = (np.take_along_axis(c, (inner + k)[..., None], -1)[..., 0] for k in (-1, 0, 1))
    bend = left - 2 * top + right
    with np.errstate(divide="ignore", invalid="ignore"):
        shift = np.where((best == inner) & (bend < 0), 0.5 * (left - right) / bend, 0.0)
    shift = np.clip(shift, -0.5, 0.5)
    height = np.where(best == inner, top - 0.25 * (left - right) * shift, c.max(-1))
    return height, t[best] + shift * (t[inner + 1] - t[inner])


def first_crossing(temperature: ArrayLike, cpn: ArrayLike, level: float = 1.0) -> NDArray[np.float64]:
    """Lowest temperature (…,) at which CpN rises through `level`, linear between points; NaN where it does not."""
    t, c = _checked(temperature, cpn)
    crosses = (c[..., :-1] < level) & (c[..., 1:] >= level)
    at = crosses.argmax(-1)
    below, above = (np.take_along_axis(c, (at + k)[..., None], -1)[..., 0] for k in (0, 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        found = t[at] + (level - below) / (above - below) * (t[at + 1] - t[at])
    return np.where(crosses.any(-1), found, np.nan)


def fictive_temperature(temperature: ArrayLike, cpn: ArrayLike) -> NDArray[np.float64]:
    """Tf' (…,) by equal area: T_hi − ∫ CpN dT by the trapezoidal rule over the whole scan, T_lo to T_hi.

    From ∫ CpN dT = Tf(T_hi) − Tf' (Moynihan et al. 1976). Exact where the liquid at T_hi is in equilibrium; otherwise
    too high by the lag T_hi − Tf(T_hi) ≈ q τ(T_hi) Γ(1/β)/β. The trapezoidal rule errs where a flank of the peak is as
    steep as the grid is fine, by up to about CpN_max times the step: always for bursts (CpN_max > 20 on 0.1 K),
    sometimes from CpN_max = 6 on.
    """
    t, c = _checked(temperature, cpn)
    return np.asarray(t[-1] - np.trapezoid(c, t, axis=-1))


def features(temperature: ArrayLike, cpn: ArrayLike) -> Features:
    """All shape quantities of scans; see Features."""
    t, c = _checked(temperature, cpn)
    height, t_peak = peak(t, c)
    over = height > 1 + OVERSHOOT
    width = np.where(over, t_peak - first_crossing(t, c), np.nan)
    with np.errstate(divide="ignore"):
        ratio = height / width
    return Features(height, t_peak, width, ratio, fictive_temperature(t, c))


def cooling_rate_law(cooling_rates: ArrayLike, tf_limit: ArrayLike) -> CoolingRateLaw:
    """Δh* by least squares of ln(q/Tf'²) against 1/Tf', whose slope is −Δh*/R.

    cooling_rates (scans,) in K/min; tf_limit (…, scans), Tf' in K. With ln q alone the slope (Moynihan et al. 1974)
    would be too large by 2 R Tf'/Δh*, 1-3 %. Raises ValueError for fewer than two different rates.
    """
    q, tf = np.asarray(cooling_rates, float) / 60, np.asarray(tf_limit, float)
    if q.ndim != 1 or tf.shape[-1:] != q.shape or np.unique(q).size < 2:
        raise ValueError(
            f"cooling rates of shape {q.shape}, Tf' of shape {tf.shape}; expected (scans,) and (…, scans), "
            "at least two different rates"
        )
    x, y = 1 / tf, np.log(q) - 2 * np.log(tf)
    x_mean, y_mean = x.mean(-1, keepdims=True), y.mean(-1, keepdims=True)
    dx, dy = x - x_mean, y - y_mean
    spread = (dx**2).sum(-1)
    slope = (dx * dy).sum(-1) / spread
    rest = ((dy - slope[..., None] * dx) ** 2).sum(-1)
    error = np.sqrt(rest / (q.size - 2) / spread) if q.size > 2 else np.full_like(slope, np.nan)
    return CoolingRateLaw(-slope * GAS_CONSTANT, error * GAS_CONSTANT, y_mean[..., 0] - slope * x_mean[..., 0])
