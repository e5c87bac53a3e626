"""Heating scans of a DSC record, and what was done to the sample before each.

Temperature against time is cut at its turning points. Between two of them lies a ramp, whose rate is the slope of its
middle part, with holds where the temperature stays; the holds at turning points are what is left between ramps. A
heating scan is the part in which temperature keeps its rate: a turning point itself lies anywhere in its hold, by
the jitter of the readings.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .dsc import Record
from .program import ZERO_CELSIUS
from .scans import ScanError, Segment

TURN = 3.0  # K: smaller changes of direction are noise
LEAST_SPAN = 10.0  # K of a heating scan
HOLD_BIN = 1.0  # K: resolution of holds within a ramp
HOLD_FACTOR, HOLD_MINUTES = 4.0, 1.0  # time in a bin, in units of the ramp's, and least excess, that make a hold
SHORTEST_HOLD = 0.05  # min
RATE_SPAN, UNEVEN = 1.0, 0.3  # K over which a rate is taken at the ends of a ramp; relative change that ends it

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Heating:
    """A heating scan: its points (first … last), program before it, rates in K/min, temperatures in K."""

    name: str
    first: int
    last: int
    rate: float
    start: float
    history: tuple[Segment, ...]


class _Ramp(NamedTuple):
    first: int
    last: int
    rate: float  # K/min, signed
    begin_time: float  # min: where its line leaves the turning point before it
    end_time: float
    begin: float  # K
    end: float
    holds: tuple[tuple[float, float], ...]  # (K, minutes)


def turning_points(temperature: Array, least: float = TURN) -> list[int]:
    """Indices of the first point, the extremes that differ by at least this from their neighbours, the last point."""
    points = [0]
    low = high = 0
    rising: bool | None = None
    for i, value in enumerate(temperature):
        if value > temperature[high]:
            high = i
        if value < temperature[low]:
            low = i
        if rising is not False and temperature[high] - value > least:
            if rising or high > 0:
                points.append(high)
            rising, low = False, i
            high = i
        elif rising is not True and value - temperature[low] > least:
            if rising is False or low > 0:
                points.append(low)
            rising, high = True, i
            low = i
    points.append(len(temperature) - 1)
    return sorted(set(points))


def _ramp(minutes: Array, kelvin: Array, first: int, last: int) -> _Ramp | None:
    t, k = minutes[first : last + 1], kelvin[first : last + 1]
    span = k[-1] - k[0]
    if abs(span) < TURN or len(t) < 5:
        return None
    edges = np.arange(min(k[0], k[-1]), max(k[0], k[-1]) + HOLD_BIN, HOLD_BIN)
    share = np.histogram(0.5 * (k[1:] + k[:-1]), edges, weights=np.diff(t))[0]
    usual = float(np.median(share[share > 0])) if (share > 0).any() else 0.0
    holds = []
    inner = np.flatnonzero((share > HOLD_FACTOR * usual) & (share - usual > HOLD_MINUTES))
    for j in inner:
        # those at the ends belong to the turning points
        if 1 < j < len(share) - 2:
            holds.append((float(edges[j] + 0.5 * HOLD_BIN), float(share[j] - usual)))
    holds.sort(reverse=bool(span < 0))
    # the slope of the middle, held parts left out
    inside = (np.abs(k - k[0]) > 0.15 * abs(span)) & (np.abs(k - k[0]) < 0.85 * abs(span))
    for level, _ in holds:
        inside &= np.abs(k - level) > HOLD_BIN
    if inside.sum() < 3:
        return None
    steps = np.diff(k)[inside[1:] & inside[:-1]].sum() / np.diff(t)[inside[1:] & inside[:-1]].sum()
    rate = float(steps) if holds else float(np.polyfit(t[inside], k[inside], 1)[0])
    middle_t, middle_k = float(t[inside][0]), float(k[inside][0])
    end_t, end_k = float(t[inside][-1]), float(k[inside][-1])
    if rate > 0:
        last = first + _leaves(t, k, rate, int(np.flatnonzero(inside)[-1]))
        first = first + len(t) - 1 - _leaves(-t[::-1], -k[::-1], rate, len(t) - 1 - int(np.flatnonzero(inside)[0]))
    return _Ramp(
        first, last, rate, middle_t - (middle_k - k[0]) / rate, end_t + (k[-1] - end_k) / rate, float(k[0]),
        float(k[-1]), tuple(holds),
    )  # fmt: skip


def _leaves(t: Array, k: Array, rate: float, start: int) -> int:
    """Last point behind `start` of a ramp: its rate over the RATE_SPAN kelvin behind a point stays near `rate`.

    The first that fails may be of the hold already, whatever its temperature, and is left out.
    """
    ahead = np.searchsorted(t, t + RATE_SPAN / rate)
    for i in range(start, len(t)):
        if ahead[i] >= len(t):
            # too near the end for a rate, unless temperature stands still there
            rises = k[i:] - k[i] > (1 - UNEVEN) * rate * (t[i:] - t[i])
            return len(t) - 1 if rises[1:].all() else i - 1
        slope = (k[ahead[i]] - k[i]) / (t[ahead[i]] - t[i])
        if abs(slope / rate - 1) > UNEVEN:
            return i - 1
    return len(t) - 1


def heating_scans(
    record: Record,
    cooling_rates: Sequence[float] = (),
    heating_rate: float | None = None,
    whole_history: bool = False,
) -> list[Heating]:
    """Heating scans of a record, each after a cooling from what is taken as equilibrium.

    cooling_rates (K/min), one a scan, and heating_rate replace what the record shows, and are needed where it has no
    times. whole_history: each scan's program begins at the start of the record's first cooling, instead of at that of
    its own. A first heating with nothing known before it is left out. Raises ScanError where nothing is found.
    """
    kelvin = record.celsius + ZERO_CELSIUS
    if record.seconds is None:
        return [_without_time(record, kelvin, cooling_rates, heating_rate)]
    minutes = record.seconds / 60
    points = turning_points(kelvin)
    ramps = [
        ramp for a, b in itertools.pairwise(points) if (ramp := _ramp(minutes, kelvin, a, b)) is not None
    ]
    given = _facts(record)
    up = [k for k, ramp in enumerate(ramps) if ramp.rate > 0 and ramp.end - ramp.begin >= LEAST_SPAN]
    known = [k for k in up if k > 0 and ramps[k - 1].rate < 0]
    if not up:
        raise ScanError(record.source, f"no heating scan of {LEAST_SPAN:g} K or more in the record")
    if len(cooling_rates) == len(up) or (len(up) == 1 and given.get("cooling rate")):
        known = up
    elif not known:
        raise ScanError(
            record.source,
            "a heating scan with no cooling before it: give the rate of the cooling before (--cooling-rate), or a "
            "record that begins with it",
        )
    if cooling_rates and len(cooling_rates) != len(known):
        raise ScanError(
            record.source, f"{len(known)} heating scans found, but {len(cooling_rates)} cooling rates were given"
        )
    out = []
    for number, k in enumerate(known):
        ramp = ramps[k]
        rate = heating_rate or ramp.rate
        cooling = cooling_rates[number] if cooling_rates else None
        if k == 0 or ramps[k - 1].rate > 0:
            cooling = cooling or float(given["cooling rate"])
            start = ramp.end
            history: tuple[Segment, ...] = (Segment(-cooling, ramp.begin),)
        else:
            before = [ramps[j] for j in range(0 if whole_history else k - 1, k)]
            while before[0].rate > 0:
                before.pop(0)
            start, history = before[0].begin, _history(before, ramp, cooling)
        name = record.source if len(known) == 1 else f"{record.source}, scan {number + 1}"
        out.append(Heating(name, ramp.first, ramp.last, rate, start, history))
    return out


def _history(before: list[_Ramp], heating: _Ramp, cooling: float | None) -> tuple[Segment, ...]:
    """Ramps and holds up to the start of a heating scan."""
    segments: list[Segment] = []
    for ramp, follower in zip(before, [*before[1:], heating], strict=True):
        rate = ramp.rate if cooling is None or ramp is not before[-1] else -cooling
        for level, minutes in ramp.holds:
            segments += [Segment(rate, level), Segment(0.0, level, minutes)]
        segments.append(Segment(rate, ramp.end))
        pause = follower.begin_time - ramp.end_time
        if pause > SHORTEST_HOLD:
            segments.append(Segment(0.0, ramp.end, pause))
    return tuple(segments)


def _facts(record: Record) -> dict[str, str]:
    return {k: v.split()[0].replace(",", ".") for k, v in record.facts.items() if k.endswith("rate") and v.split()}


def _number(facts: dict[str, str], key: str) -> float:
    try:
        return float(facts.get(key, "nan"))
    except ValueError:
        return float("nan")


def _without_time(
    record: Record, kelvin: Array, cooling_rates: Sequence[float], heating_rate: float | None
) -> Heating:
    facts = _facts(record)
    rates = [_number(facts, "heating rate") if heating_rate is None else heating_rate, *cooling_rates]
    if not cooling_rates:
        rates.append(_number(facts, "cooling rate"))
    if not np.isfinite(rates).all():
        raise ScanError(
            record.source,
            "has no column of time: the cooling rate before the scan and the heating rate must be given "
            "(--cooling-rate, --heating-rate, or lines '# cooling rate: 5' and '# heating rate: 10', K/min)",
        )
    if len(rates) != 2:
        raise ScanError(record.source, f"one scan without times, but {len(rates) - 1} cooling rates were given")
    points = turning_points(kelvin)
    longest = max(itertools.pairwise(points), key=lambda ends: kelvin[ends[1]] - kelvin[ends[0]])
    if kelvin[longest[1]] - kelvin[longest[0]] < LEAST_SPAN:
        raise ScanError(record.source, f"no heating scan of {LEAST_SPAN:g} K or more in the record")
    begin, end = float(kelvin[longest[0]]), float(kelvin[longest[1]])
    return Heating(record.source, longest[0], longest[1], rates[0], end, (Segment(-rates[1], begin),))
