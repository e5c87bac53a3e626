"""How good predictions of F_s(k_p,t) are.

R² = 1 - Σ(prediction - truth)²/Σ(truth - mean of the truth)²: the paper's eq. (4) prints the mean of the prediction.
It is ruled by the decay itself and by A, whose F is ten times that of B; so it is given also for each species on
F/F(0), beside the error of log₁₀ τ_α.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from . import curves
from .bands import LEVEL
from .samples import FloatArray, Key


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
    return float(_r_squared(_squares(truth, predicted)))


def _squares(truth: FloatArray, predicted: FloatArray) -> FloatArray:
    """(4,) what R² and RMSE follow from, summed over all values; such sums of several states add up."""
    return np.array([truth.size, truth.sum(), np.square(truth).sum(), np.square(predicted - truth).sum()])


def _r_squared(sums: FloatArray) -> FloatArray:
    """R² of sums (…, 4)."""
    n, first, second, error = np.moveaxis(sums, -1, 0)
    with np.errstate(all="ignore"):
        total = second - first**2 / n
        return np.where(total > 1e-12 * second, 1 - error / total, np.nan)  # else it is rounding


def sums(found: Sequence[Prediction]) -> dict[Key, FloatArray]:
    """(21,) of each state: `_squares` of F, then of F/F(0) of A and of B; sums and numbers of |Δ log₁₀ τ_α| of A and of
    B; coverage, width and interval score of the band, means over the state's seeds, with 1 (0: no band), and 1."""
    out: dict[Key, FloatArray] = {}
    bands: dict[Key, list[tuple[float, ...]]] = {}  # two seeds do not count twice
    for one in found:
        key = (one.potential, one.density, one.temperature)
        truth, F, tau = one.truth / one.initial, one.F / one.initial, one.log_tau_error
        known = np.isfinite(tau)
        row = np.concatenate([_squares(one.truth, one.F), *(_squares(truth[:, a], F[:, a]) for a in range(2)),
                              np.stack([np.where(known, tau, 0.0), known], axis=1).ravel()])
        out[key] = out.get(key, np.zeros(len(row))) + row
        bands.setdefault(key, []).append((one.coverage, one.width, one.interval_score))
    for key, rows in bands.items():
        band = np.mean(rows, axis=0)
        has = np.isfinite(band).all()
        out[key] = np.concatenate([out[key], band if has else np.zeros(3), [has, 1.0]])
    return out


def _figures(total: FloatArray) -> dict[str, FloatArray]:
    """All figures of merit of sums over states (…, 21); NaN where there is nothing to judge."""
    total = np.asarray(total)
    of_F, of_A, of_B = (total[..., first : first + 4] for first in (0, 4, 8))
    with np.errstate(all="ignore"):
        def rmse(part: FloatArray) -> FloatArray:
            return np.sqrt(np.maximum(part[..., 3], 0) / part[..., 0])

        def mean(column: int, number: int) -> FloatArray:
            return np.where(total[..., number] > 0.5, total[..., column] / total[..., number], np.nan)

        return {
            "r2": _r_squared(of_F), "rmse": rmse(of_F), "r2_A": _r_squared(of_A), "r2_B": _r_squared(of_B),
            "rmse_A": rmse(of_A), "rmse_B": rmse(of_B), "log_tau_A": mean(12, 13), "log_tau_B": mean(14, 15),
            "coverage": mean(16, 19), "width": mean(17, 19), "score": mean(18, 19), "states": total[..., 20],
        }  # fmt: skip


def of(found: Sequence[Prediction]) -> dict[str, float]:
    """All figures of merit over some states; NaN where there is nothing to judge."""
    if not found:
        return {name: float("nan") for name in NAMES} | {"states": 0.0}
    return {name: float(value) for name, value in _figures(np.sum([*sums(found).values()], axis=0)).items()}


NAMES = ("r2", "rmse", "r2_A", "r2_B", "rmse_A", "rmse_B", "log_tau_A", "log_tau_B", "coverage", "width",
         "score")
TITLES = {
    "r2": "R²", "rmse": "RMSE", "r2_A": "R² A", "r2_B": "R² B", "rmse_A": "RMSE A", "rmse_B": "RMSE B",
    "log_tau_A": "Δlog τ A", "log_tau_B": "Δlog τ B", "coverage": "coverage", "width": "width",
    "score": "interval score", "states": "states",
}  # fmt: skip


def over_repeats(repeats: Sequence[Sequence[Prediction]]) -> dict[str, tuple[float, float]]:
    """Mean over repeats with other splits and seeds, and standard error, of each figure of merit.

    The error adds in quadrature that of the mean over repeats and that of the states which happened to be tested, by
    leaving out each of them in all repeats (jackknife: Efron & Stein, Ann. Stat. 9 (1981) 586), since repeats share
    them. NaN of one state.
    """
    if not (by_state := [sums(found) for found in repeats if found]):
        return {name: (float("nan"), float("nan")) for name in NAMES} | {"states": (0.0, float("nan"))}
    totals = np.array([np.sum([*rows.values()], axis=0) for rows in by_state])
    keys = sorted(set().union(*by_state))
    without = totals - np.array([[rows.get(key, 0 * totals[0]) for rows in by_state] for key in keys])
    each, fewer = _figures(totals), _figures(without)
    out = {}
    for name, values in each.items():
        known = values[np.isfinite(values)]
        out[name] = float(known.mean()) if len(known) else float("nan"), _error(known, fewer[name])
    return out


def _error(values: FloatArray, fewer: FloatArray) -> float:
    """Standard error of the mean of values (repeats,), those without each state being fewer (states, repeats)."""
    known = np.isfinite(fewer)
    rows = known.any(1)
    means = np.where(known, fewer, 0.0).sum(1)[rows] / known.sum(1)[rows]
    if len(means) < 2:
        return float("nan")
    of_states = (len(means) - 1) * means.var()
    of_repeats = values.var(ddof=1) / len(values) if len(values) > 1 else 0.0
    return float(np.sqrt(of_states + of_repeats))


def relaxation(times: FloatArray, F: FloatArray, initial: FloatArray) -> FloatArray:
    """(2,) τ_α of a predicted F (n, 2) on fine times, the first of them at least; infinite where it does not relax."""
    return np.maximum(curves.relaxation_time(times, F / initial), times[0])
