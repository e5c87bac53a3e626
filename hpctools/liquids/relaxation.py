"""How often has the liquid relaxed? A clock that runs beside a simulation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np


class RelaxationClock:
    """Counts structural relaxations by the self part of the intermediate scattering function.

    From an origin on it follows F_s(k,t) = ⟨sin(kr)/kr⟩ over the displacements r of one species. When that
    falls below 1/e, one relaxation time has passed; the clock notes how long it took and takes a new
    origin. In an ageing system the noted times grow.

    Parameters
    ----------
    wave_number : k in σ_AA⁻¹, near the main peak of S_AA.
    state : what `state()` gave, to go on with.
    """

    def __init__(self, wave_number: float, state: dict[str, Any] | None = None) -> None:
        self.wave_number = wave_number
        state = state or {"times": [], "origin": None, "origin_time": 0.0}
        self.times: list[float] = list(state["times"])  # τ_LJ of each relaxation
        self._origin: np.ndarray | None = state["origin"]
        self._origin_time: float = state["origin_time"]

    @property
    def count(self) -> int:
        """Relaxations so far."""
        return len(self.times)

    def relaxation_time(self, now: float) -> float:
        """Mean relaxation in the later half of the time so far, in τ_LJ; NaN before the first.

        A liquid that was hot relaxes fast at first. One that goes on counts where it takes longer than that already.
        """
        if not self.times:
            return math.nan
        begin = self._origin_time - sum(self.times)
        ends = begin + np.cumsum(self.times)
        recent = [time for time, end in zip(self.times, ends) if 2 * end > begin + now] or self.times[-1:]
        running = now - self._origin_time
        return float(np.mean([*recent, running] if running > np.mean(recent) else recent))

    def look(self, time: float, positions: np.ndarray) -> None:
        """Show the clock (n, 3) unwrapped positions of the species at this time (τ_LJ)."""
        if self._origin is None:
            self._origin, self._origin_time = positions.copy(), time
            return
        moved = positions - self._origin
        distance = np.linalg.norm(moved - moved.mean(axis=0), axis=1)
        # numpy's sinc is sin(πx)/πx
        if np.sinc(self.wave_number * distance / np.pi).mean() < math.exp(-1):
            self.times.append(time - self._origin_time)
            self._origin, self._origin_time = positions.copy(), time

    def state(self) -> dict[str, Any]:
        """All that is needed to go on."""
        return {"times": self.times, "origin": self._origin, "origin_time": self._origin_time}
