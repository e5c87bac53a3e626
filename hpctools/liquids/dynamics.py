"""Correlation functions in time over the block-logarithmic frames of a run.

Lags inside a block start at its first frame; lags between blocks are whole numbers of blocks and start at
every block. Displacements are those of the unwrapped positions relative to the centre of mass of all
particles.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

import numpy as np

from .averages import FEWEST, GROUPS, crossing, halves_chi_square, standard_error
from .frames import Schedule
from .structure import pairs, products
from .wavevectors import Shells

LADDER = 0.86 + 0.02 * np.arange(15)
"""Wave numbers around the main peak of S_AA in units of `peak_estimate`."""

FIXED = (1.0, 2.0, 3.0, 4.0, 5.5, 5.55, 7.25, 7.28, 7.5, 10.0, 14.0, 20.0)
"""Further wave numbers in σ_AA⁻¹: from the hydrodynamic end to small lengths, and those of published values."""


def peak_estimate(density: float) -> float:
    """Where the main peak of S_AA about lies, in σ_AA⁻¹: 7.25 at ρ = 1.2, scaled with the mean distance."""
    return 7.25 * (density / 1.2) ** (1 / 3)


def wave_numbers(density: float) -> np.ndarray:
    """Ascending wave numbers of F_s: the ladder around the peak and the fixed ones, without duplicates."""
    return np.unique(np.round(np.concatenate([peak_estimate(density) * LADDER, FIXED]), 6))


def block_lags(n_blocks: int, per_decade: int = 8) -> np.ndarray:
    """Lags between the starts of blocks, in blocks: logarithmically spaced whole numbers from 1 to n_blocks."""
    steps = int(np.ceil(per_decade * np.log10(n_blocks))) + 1
    return np.unique(np.round(np.logspace(0, np.log10(n_blocks), steps)).astype(int))


@dataclass
class Origin:
    """What is kept of a time origin: (N, 3) positions about the centre of mass, densities of a few shells."""

    positions: np.ndarray
    density: np.ndarray


class Dynamics:
    """Averages over the particles for every lag and time origin of a run.

    Only numbers are kept, no positions: for each lag one row an origin.

    Parameters
    ----------
    schedule : of the frames.
    k : (n_k,) wave numbers of F_s.
    shells : a few shells for the collective functions.
    n_species : of the mixture.
    kernel : the backend, see `scattering`.

    Attributes
    ----------
    times : (n_lags,) lags in τ_LJ, ascending from 0.
    n_origins : (n_lags,) time origins of each lag.
    self_part : (n_lags, n_blocks, n_species, n_k + 2) F_s, ⟨r²⟩, ⟨r⁴⟩ from each origin; 0 where there is none.
    collective : (n_lags, n_blocks, n_shells, n_pairs) F_ab of the shells given.
    """

    def __init__(self, schedule: Schedule, k: np.ndarray, shells: Shells, n_species: int, kernel: ModuleType) -> None:
        self.schedule = schedule
        self.kernel = kernel
        self.k = k
        self.shells = shells
        self.lags = block_lags(schedule.n_blocks)
        self.row_of_lag = {int(lag): len(schedule.offsets) + i for i, lag in enumerate(self.lags)}
        inside = np.array(schedule.offsets) * schedule.dt
        self.times = np.concatenate([inside, self.lags * schedule.block_steps * schedule.dt])
        self.n_origins = np.concatenate([np.full(len(inside), schedule.n_blocks), schedule.n_blocks - self.lags + 1])
        shape = (len(self.times), schedule.n_blocks, n_species)
        self.self_part = np.zeros((*shape, len(k) + 2))
        self.collective = np.zeros((*shape[:2], len(shells.available), len(pairs(n_species))))

    def add(self, row: int, block: int, origin: Origin, now: Origin, bounds: np.ndarray) -> None:
        """Add the correlation of a lag's row between the origin at the start of a block and a later frame."""
        self.self_part[row, block] = self.kernel.self_parts(now.positions - origin.positions, bounds, self.k)
        self.collective[row, block] = self.shells.mean(products(now.density, origin.density, len(now.positions)))

    def _groups(self, row: int) -> int:
        """Groups of origins for the error of a lag: none shorter than the lag, else they would share its frames."""
        lag = self.lags[row - len(self.schedule.offsets)] if row >= len(self.schedule.offsets) else 1
        return int(min(GROUPS, self.n_origins[row] // lag))

    def mean(self, series: np.ndarray) -> np.ndarray:
        """Mean over the origins of each lag of (n_lags, n_blocks, …) values."""
        return series.sum(axis=1) / self.n_origins.reshape(-1, *[1] * (series.ndim - 2))

    def error(self, series: np.ndarray) -> np.ndarray:
        """Standard error of that mean; NaN for the longest lags, of which the run holds fewer than 4 side by side."""
        rows = []
        for row, n in enumerate(self.n_origins):
            groups = self._groups(row)
            rows.append(standard_error(series[row, :n], groups) if groups >= FEWEST
                        else np.full(series.shape[2:], np.nan))
        return np.array(rows)

    def halves(self, series: np.ndarray) -> np.ndarray:
        """(2, n_lags, …) means of the first and second half of the run; NaN for lags that do not fit in a half."""
        n, middle = self.schedule.n_blocks, self.schedule.n_blocks // 2
        out = np.full((2, len(self.times), *series.shape[2:]), np.nan)
        for row in range(len(self.times)):
            lag = self.lags[row - len(self.schedule.offsets)] if row >= len(self.schedule.offsets) else 1
            for half, (start, stop) in enumerate(((0, middle - lag + 1), (middle, n - lag + 1))):
                if stop > start:
                    out[half, row] = series[row, start:stop].mean(axis=0)
        return out


def non_gaussian(square: np.ndarray, fourth: np.ndarray) -> np.ndarray:
    """α_2 = 3⟨r⁴⟩/(5⟨r²⟩²) - 1 (Rahman, Phys. Rev. 136 (1964) A405); NaN where nothing has moved."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return 3 * fourth / (5 * square**2) - 1


def relaxation_time(times: np.ndarray, f: np.ndarray, error: np.ndarray) -> tuple[float, float]:
    """τ_α, where F_s falls to 1/e, and its error in τ_LJ; NaN where it does not within the run."""
    late = times > 0
    return crossing(times[late], f[late], error[late], np.exp(-1))


def diffusion(times: np.ndarray, square: np.ndarray, error: np.ndarray) -> tuple[float, float]:
    """D = slope of ⟨r²⟩/6 at long times and its error, in σ_AA²/τ_LJ; NaN where the motion is not diffusive.

    The line 6 D t + c is fitted to the lags from a tenth of the longest one with a known error on, if
    ⟨r²⟩ > 0.5 σ_AA² there and grows as a power of t within 0.1 of 1. How the errors of these lags are correlated is
    not known: that of D is Σ|w| e, the largest that it can be, where D = Σ w ⟨r²⟩. Pairs of independent runs differ by
    0.96 times that (rms).
    """
    known = np.isfinite(error) & (times > 0)
    if not known.any():
        return np.nan, np.nan
    use = known & (times >= 0.1 * times[known].max()) & (square > 0.5)
    if use.sum() < 4:
        return np.nan, np.nan
    t, y, e = times[use], square[use], error[use]
    power = np.polyfit(np.log(t), np.log(y), 1, w=y / e)[0]
    if abs(power - 1) > 0.1:
        return np.nan, np.nan
    weights = np.linalg.pinv(np.stack([t, np.ones_like(t)], axis=1) / e[:, None])[0] / (6 * e)
    return float(weights @ y), float(np.abs(weights) @ e)


def ageing(times: np.ndarray, halves: np.ndarray, error: np.ndarray) -> tuple[float, int]:
    """How well two halves of the run agree: χ² a point, see `halves_chi_square`, and the number of points.

    halves (2, n_lags, …), error (n_lags, …) of the whole run. Points are the lags where F_s lies between 0.05
    and 0.95. Neighbouring lags are correlated, so that values up to about 3 happen by chance. (NaN, 0)
    where there are no points.
    """
    mean = halves.mean(axis=0)
    late = (times > 0).reshape(-1, *[1] * (error.ndim - 1))
    use = np.isfinite(mean) & (error > 0) & (mean > 0.05) & (mean < 0.95) & late
    return halves_chi_square(halves[:, use], error[use]), int(use.sum())
