"""Temperature programs of a DSC measurement: cycles of cooling, holds and a heating scan."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from hpctools.stop import USAGE

ZERO_CELSIUS = 273.15  # K
MOST_POINTS = 1_000_000  # of an output grid: 24 MB a sample of six scans


class ProgramError(ValueError):
    """A temperature program that contradicts itself."""

    user_error = True
    exit_code = USAGE


class Hold(NamedTuple):
    """An isothermal hold on the way down, before the heating scan."""

    celsius: float
    minutes: float


class Segments(NamedTuple):
    """The program as the kernels want it: per scan, ramps and holds in order, the heating scan last.

    rate (S, G) in K/s, negative on cooling, 0 in a hold; end (S, G) in K; duration (S, G) in s, of holds.
    """

    rate: np.ndarray
    end: np.ndarray
    duration: np.ndarray


@dataclass(frozen=True)
class Program:
    """Cycles of a DSC run; the defaults are the six cycles of the paper (its table 1).

    Each cycle starts in equilibrium (Tf = T) at `high_celsius`, cools to `low_celsius` at its cooling rate, with
    the holds on the way, and heats back at its heating rate; the heating scan is what is returned. So cycles are
    independent of each other.

    cooling_rates   K/min, positive, one a cycle
    heating_rates   K/min, positive, one a cycle, or one for all
    low_celsius, high_celsius   limits of the ramps, °C
    step            K between points of the output grid
    grid_low_celsius, grid_high_celsius   first and last point of the output grid, °C; the ramps' limits if None
    holds           (°C, minutes) in the order in which cooling meets them; one at low_celsius is allowed
    """

    cooling_rates: tuple[float, ...] = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
    heating_rates: tuple[float, ...] = (10.0,)
    low_celsius: float = -250.0
    high_celsius: float = 1600.0
    step: float = 0.1
    grid_low_celsius: float | None = None
    grid_high_celsius: float | None = None
    holds: tuple[Hold, ...] = ()

    def __post_init__(self) -> None:
        cooling = tuple(float(q) for q in np.atleast_1d(self.cooling_rates))
        heating = tuple(float(q) for q in np.atleast_1d(self.heating_rates))
        if not cooling or not heating:
            raise ProgramError("no cooling or no heating rates; expected at least one of each, K/min")
        if len(heating) == 1:
            heating = heating * len(cooling)
        object.__setattr__(self, "cooling_rates", cooling)
        object.__setattr__(self, "heating_rates", heating)
        object.__setattr__(self, "holds", tuple(Hold(*map(float, hold)) for hold in self.holds))
        if len(heating) != len(cooling):
            raise ProgramError(
                f"{len(heating)} heating rates for {len(cooling)} cooling rates; expected one, or one a cycle"
            )
        for name, rates in (("cooling", cooling), ("heating", heating)):
            for q in rates:
                if not (math.isfinite(q) and q > 0):
                    raise ProgramError(f"{name} rate {q:g} K/min; expected a positive number")
        if not -ZERO_CELSIUS < self.low_celsius < self.high_celsius < math.inf:
            raise ProgramError(
                f"ramps between {self.low_celsius:g} and {self.high_celsius:g} °C; expected "
                f"{-ZERO_CELSIUS} < low_celsius < high_celsius"
            )
        first, last = self.grid_limits
        if not self.low_celsius <= first < last <= self.high_celsius:
            raise ProgramError(
                f"output grid {first:g} … {last:g} °C; expected inside the ramps' limits "
                f"{self.low_celsius:g} … {self.high_celsius:g} °C"
            )
        if not 0 < self.step <= last - first:
            raise ProgramError(f"grid step {self.step:g} K; expected 0 < step ≤ {last - first:g}")
        if self.points > MOST_POINTS:
            raise ProgramError(f"a grid of {self.points:,} points; at most {MOST_POINTS:,}: choose a longer step")
        level = self.high_celsius
        for hold in self.holds:
            if not self.low_celsius <= hold.celsius <= level:
                raise ProgramError(
                    f"hold at {hold.celsius:g} °C; expected between {self.low_celsius:g} and {level:g} °C, "
                    "in the order in which cooling meets them"
                )
            if not (math.isfinite(hold.minutes) and hold.minutes > 0):
                raise ProgramError(f"hold of {hold.minutes:g} min at {hold.celsius:g} °C; expected a positive time")
            level = hold.celsius

    @property
    def grid_limits(self) -> tuple[float, float]:
        """First and last temperature of the output grid, °C."""
        return (
            self.low_celsius if self.grid_low_celsius is None else self.grid_low_celsius,
            self.high_celsius if self.grid_high_celsius is None else self.grid_high_celsius,
        )

    @property
    def scans(self) -> int:
        """Number of heating scans."""
        return len(self.cooling_rates)

    @property
    def points(self) -> int:
        """Number of points of the output grid; 18,501 for the paper's program."""
        first, last = self.grid_limits
        return math.floor((last - first) / self.step + 1e-6) + 1

    @property
    def celsius(self) -> np.ndarray:
        """Temperatures of the output grid (points,), °C."""
        return self.grid_limits[0] + self.step * np.arange(self.points)

    @property
    def grid_low(self) -> float:
        """First temperature of the output grid, K."""
        return self.grid_limits[0] + ZERO_CELSIUS

    @property
    def low(self) -> float:
        """Lower limit of the ramps, K."""
        return self.low_celsius + ZERO_CELSIUS

    @property
    def high(self) -> float:
        """Upper limit of the ramps, K."""
        return self.high_celsius + ZERO_CELSIUS

    def segments(self) -> Segments:
        """The program in SI units, for the kernels."""
        rows = []
        for cooling, heating in zip(self.cooling_rates, self.heating_rates, strict=True):
            row, level = [], self.high
            for hold in self.holds:
                kelvin = hold.celsius + ZERO_CELSIUS
                if kelvin < level:
                    row.append((-cooling / 60, kelvin, 0.0))
                row.append((0.0, kelvin, hold.minutes * 60))
                level = kelvin
            if self.low < level:
                row.append((-cooling / 60, self.low, 0.0))
            row.append((heating / 60, self.high, 0.0))
            rows.append(row)
        table = np.array(rows, float)
        return Segments(
            *(np.ascontiguousarray(table[:, :, k]) for k in range(3))
        )
