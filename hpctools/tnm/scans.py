"""Measured heating scans: CpN against temperature, each with the program that led to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

LEAST_POINTS = 20
END_LEVEL = 0.1  # a scan whose ends are further than this from 0 and 1 is not normalised
RATE_RATIO = 1.3  # cooling rates of a set must span at least this, or Δh* is not in the data
DEFAULT_HEATING = 10.0  # K/min


class ScanError(ValueError):
    """A scan, or a set of them, that cannot be used; the message begins with its name."""

    user_error = True

    def __init__(self, name: str, reason: str = "") -> None:
        super().__init__(f"{name}: {reason}" if reason else name)


class Segment(NamedTuple):
    """A ramp, or a hold (rate 0), of the program before a heating scan."""

    rate: float  # K/min, negative on cooling
    end: float  # K
    minutes: float = 0.0  # of a hold


@dataclass(frozen=True)
class Scan:
    """One heating scan.

    temperature (n,) in K, ascending; cpn (n,): normalised heat capacity, 0 in the glass and 1 in the liquid;
    history: what happened since the sample was last in equilibrium, at `start` (K), a cooling at least;
    heating_rate in K/min; noise: standard deviation of cpn where it is known; step (n,): distance of the lines through
    glass and liquid that made cpn of a signal, over its mean, None where none were drawn; assumed: what its file left
    open and how it was read, in words; start_lag: the calorimeter's lag (s) by the start of the scan, where it shows.
    """

    temperature: NDArray[np.float64]
    cpn: NDArray[np.float64]
    history: tuple[Segment, ...]
    start: float
    heating_rate: float = DEFAULT_HEATING
    name: str = "scan"
    noise: float | None = None
    notes: tuple[str, ...] = field(default=())
    step: NDArray[np.float64] | None = None
    assumed: tuple[str, ...] = ()
    start_lag: float | None = None

    @property
    def cooling_rate(self) -> float:
        """Rate of the last cooling, K/min, positive."""
        return next(-segment.rate for segment in reversed(self.history) if segment.rate < 0)

    @property
    def annealed(self) -> bool:
        """Whether there is a hold before the end of the last cooling."""
        last = next(k for k in reversed(range(len(self.history))) if self.history[k].rate < 0)
        return any(segment.rate == 0 and segment.minutes > 0 for segment in self.history[:last])


def scan(
    temperature: ArrayLike,
    cpn: ArrayLike,
    cooling_rate: float,
    heating_rate: float = DEFAULT_HEATING,
    start: float | None = None,
    low: float | None = None,
    holds: Sequence[tuple[float, float]] = (),
    name: str = "scan",
    noise: float | None = None,
) -> Scan:
    """A heating scan after one cooling from equilibrium.

    temperature (n,) in K; rates in K/min, positive; start, low: limits of the cooling, K (the scan's own last and
    first temperature if None); holds: (K, minutes), in the order in which cooling meets them, one at `low` allowed.
    Raises ScanError for data that are no scan.
    """
    t, c = np.asarray(temperature, float), np.asarray(cpn, float)
    if t.ndim != 1 or t.shape != c.shape or t.size < LEAST_POINTS:
        raise ScanError(name, f"{t.shape} temperatures, {c.shape} CpN; expected one length, {LEAST_POINTS} or more")
    if not (np.isfinite(t).all() and np.isfinite(c).all()):
        raise ScanError(name, "some temperatures or CpN are not numbers; remove those points")
    if t.min() <= 0:
        raise ScanError(name, f"temperatures from {t.min():g} K; expected kelvin above 0")
    order = np.argsort(t, kind="stable")
    keep = np.concatenate([[True], np.diff(t[order]) > 0])
    t, c = t[order][keep], c[order][keep]
    for label, rate in (("cooling", cooling_rate), ("heating", heating_rate)):
        if not (np.isfinite(rate) and rate > 0):
            raise ScanError(name, f"{label} rate {rate:g} K/min; expected a positive number")
    top = t[-1] if start is None else float(start)
    bottom = t[0] if low is None else float(low)
    if not 0 < bottom <= t[0] + 1.0 or not bottom < top:
        raise ScanError(
            name, f"cooled from {top:g} to {bottom:g} K, heated from {t[0]:g} K; expected start > low, low ≤ scan"
        )
    history, level = [], top
    for kelvin, minutes in holds:
        if not bottom <= kelvin <= level or not minutes > 0:
            raise ScanError(name, f"hold of {minutes:g} min at {kelvin:g} K; expected within the cooling, in its order")
        if kelvin < level:
            history.append(Segment(-cooling_rate, float(kelvin)))
        history.append(Segment(0.0, float(kelvin), float(minutes)))
        level = kelvin
    if bottom < level:
        history.append(Segment(-cooling_rate, float(bottom)))
    return Scan(t, c, tuple(history), float(top), float(heating_rate), name, noise)


def check_levels(scans: Sequence[Scan]) -> None:
    """Raise ScanError for a scan that does not go from 0 to 1, or has the wrong sign."""
    for one in scans:
        n = max(3, len(one.cpn) // 30)
        first, last = float(np.median(one.cpn[:n])), float(np.median(one.cpn[-n:]))
        if abs(first) < END_LEVEL and abs(last + 1) < END_LEVEL:
            raise ScanError(one.name, "CpN goes from 0 to -1: the sign of the heat flow is wrong; turn it round")
        if abs(first) > END_LEVEL or abs(last - 1) > END_LEVEL:
            raise ScanError(
                one.name,
                f"CpN is {first:.2f} at its lower and {last:.2f} at its upper end, expected 0 and 1 within "
                f"{END_LEVEL}: measure from glass to liquid, or give other glass and liquid windows",
            )


def lag_of(scans: Sequence[Scan]) -> float:
    """The calorimeter's lag (s) by the starts of the scans, their median; 0 where none shows one."""
    found = [one.start_lag for one in scans if one.start_lag is not None]
    return float(np.median(found)) if found else 0.0


def check_rates(scans: Sequence[Scan], dh_known: bool = False) -> None:
    """Raise ScanError where the cooling rates do not determine Δh*."""
    for one in scans:
        if not isinstance(one, Scan):
            raise ScanError("scans", f"found {type(one).__name__}; expected what hpctools.tnm.scan or load gives")
    if not scans:
        raise ScanError("no scans", "expected at least two heating scans after cooling at different rates")
    rates = sorted({round(one.cooling_rate, 6) for one in scans})
    heated = len({round(one.heating_rate, 1) for one in scans})
    if not dh_known and rates[-1] < RATE_RATIO * rates[0]:
        names = ", ".join(one.name for one in scans)
        raise ScanError(
            names,
            f"too few scans for Δh*: cooled at {', '.join(f'{q:g}' for q in rates)} K/min only; expected at least two "
            "different cooling rates (better six, 0.5 to 20 K/min), or a known Δh*"
            + ("; different heating rates do not replace them: lag and Δh* move the peak alike" if heated > 1 else ""),
        )
