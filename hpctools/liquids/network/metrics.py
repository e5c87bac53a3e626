"""How good predictions of F_s(k_p,t) are.

R² = 1 - Σ(prediction - truth)²/Σ(truth - mean of the truth)²: the paper's eq. (4) prints the mean of the prediction.
It is ruled by the decay itself and by A, whose F is ten times that of B; so it is given also for each species on
F/F(0), beside the error of log₁₀ τ_α.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from . import curves
from .bands import LEVEL
from .samples import FloatArray


@dataclass(frozen=True, eq=False)
class Prediction:
    """A state, with its nominal temperature, and what was predicted for it.

    truth, F, low, high (n, 2) at times (n,); initial (2,) the true F(0); tau (2,) true, NaN: not within the run;
    tau_predicted (2,) infinite where the prediction does not relax; relative: T/T_mct; z: factor of the band's width.
    """

    potential: str
    density: float
    temperature: float
    relative: float
    glass: bool
    times: FloatArray
    truth: FloatArray
    F: FloatArray
    low: FloatArray
    high: FloatArray
    initial: FloatArray
    tau: FloatArray
    tau_predicted: FloatArray
    z: float

    @property
    def coverage(self) -> float:
        """Share of the points within the band; NaN where there is none."""
        if not np.isfinite(self.z):
            return float("nan")
        return float(np.mean((self.truth >= self.low) & (self.truth <= self.high)))

    @property
    def width(self) -> float:
        """Mean width of the band over F(0); NaN where there is none."""
        return float(np.mean((self.high - self.low) / self.initial)) if np.isfinite(self.z) else float("nan")

    @property
    def interval_score(self) -> float:
        """Mean interval score of the band over F(0), less is better: its width, and 2/(1 - level) times what lies
        outside (Gneiting & Raftery, J. Am. Stat. Assoc. 102 (2007) 359, eq. 43); NaN where there is no band."""
        outside = np.maximum(self.low - self.truth, 0) + np.maximum(self.truth - self.high, 0)
        return self.width + float(np.mean(outside / self.initial)) * 2 / (1 - LEVEL)

    @property
    def log_tau_error(self) -> FloatArray:
        """(2,) |Δ log₁₀ τ_α|; NaN where the truth does not relax; the least it can be where the prediction does not."""
        predicted = np.where(np.isfinite(self.tau_predicted), self.tau_predicted,
                             np.maximum(self.times[-1], np.nan_to_num(self.tau)))
        return np.asarray(np.abs(np.log10(predicted / self.tau)))


def r_squared(truth: FloatArray, predicted: FloatArray) -> float:
    """R² over all values, with the mean of the truth; NaN where the truth is constant."""
    total = np.sum((truth - truth.mean()) ** 2)
    return float(1 - np.sum((predicted - truth) ** 2) / total) if total > 0 else float("nan")


def of(found: Sequence[Prediction]) -> dict[str, float]:
    """All figures of merit over some states; NaN where there is nothing to judge."""
    if not found:
        return {name: float("nan") for name in NAMES} | {"states": 0.0}
    truth, F = (np.concatenate([getattr(one, name) for one in found]) for name in ("truth", "F"))
    unit = np.concatenate([np.broadcast_to(one.initial, one.truth.shape) for one in found])
    f, g = truth / unit, F / unit
    tau = np.array([one.log_tau_error for one in found])
    bands: dict[tuple[str, float, float], list[tuple[float, ...]]] = {}  # by state: two seeds do not count twice
    for one in found:
        row = (one.coverage, one.width, one.interval_score)
        bands.setdefault((one.potential, one.density, one.temperature), []).append(row)
    by_state = np.array([np.mean(rows, axis=0) for rows in bands.values()])
    with np.errstate(all="ignore"):
        return {
            "r2": r_squared(truth, F), "rmse": float(np.sqrt(np.mean((F - truth) ** 2))),
            "r2_A": r_squared(f[:, 0], g[:, 0]), "r2_B": r_squared(f[:, 1], g[:, 1]),
            "rmse_A": float(np.sqrt(np.mean((f - g)[:, 0] ** 2))),
            "rmse_B": float(np.sqrt(np.mean((f - g)[:, 1] ** 2))),
            "log_tau_A": _mean(tau[:, 0]), "log_tau_B": _mean(tau[:, 1]), "states": float(len(bands)),
            "coverage": _mean(by_state[:, 0]), "width": _mean(by_state[:, 1]), "score": _mean(by_state[:, 2]),
        }  # fmt: skip


NAMES = ("r2", "rmse", "r2_A", "r2_B", "rmse_A", "rmse_B", "log_tau_A", "log_tau_B", "coverage", "width",
         "score")
TITLES = {
    "r2": "R²", "rmse": "RMSE", "r2_A": "R² A", "r2_B": "R² B", "rmse_A": "RMSE A", "rmse_B": "RMSE B",
    "log_tau_A": "Δlog τ A", "log_tau_B": "Δlog τ B", "coverage": "coverage", "width": "width",
    "score": "interval score", "states": "states",
}  # fmt: skip


def _mean(values: FloatArray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def over_repeats(repeats: Sequence[Mapping[str, float]]) -> dict[str, tuple[float, float]]:
    """Mean and standard error of each figure over repeats with other splits and seeds; NaN for the error of one."""
    out = {}
    for name in repeats[0]:
        values = np.array([row[name] for row in repeats])
        values = values[np.isfinite(values)]
        error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else float("nan")
        out[name] = (float(values.mean()) if len(values) else float("nan"), float(error))
    return out


def relaxation(times: FloatArray, F: FloatArray, initial: FloatArray) -> FloatArray:
    """(2,) τ_α of a predicted F (n, 2) on fine times, the first of them at least; infinite where it does not relax."""
    return np.maximum(curves.relaxation_time(times, F / initial), times[0])
