"""From DSC files to scans ready for a fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from . import dsc
from .cycles import Heating, heating_scans
from .normalise import normalise
from .program import ZERO_CELSIUS
from .scans import LEAST_POINTS, Scan, ScanError
from .startup import start_lag

Window = tuple[float, float]
SETTLES = 0.6  # min after the start of a scan, in which the instrument settles: to 1e-4 of its jump with a lag of 4 s
LEAST_SKIP, MOST_SKIP = 3.0, 0.1  # K, and share of a scan, left out for it
LAGS, MOST_LAGGED = 9.0, 0.2  # the same time in lags, where the start of a scan shows its lag, and the most then


@dataclass(frozen=True)
class Options:
    """How files are read: windows in °C, rates in K/min; what is None or empty is found in the files."""

    cooling_rates: tuple[float, ...] = ()
    heating_rate: float | None = None
    glass: Window | None = None
    liquid: Window | None = None
    exotherm: str | None = None
    limits: Window | None = None  # °C: only this part of the scans is used
    skip: float | None = None  # K at the start of each scan
    whole_history: bool = False
    kind: str | None = None  # of dsc.READERS
    temperature_unit: str | None = None  # "C" or "K", where the file names none


def load(paths: Sequence[str | Path], options: Options | None = None) -> list[Scan]:
    """Scans of DSC files, normalised, each with its program.

    Cooling rates that are given are shared out to the scans in the order of the files. Raises dsc.FileError and
    ScanError, which name the file or scan and the reason.
    """
    options = Options() if options is None else options
    for name, rate in (*(("cooling rate", q) for q in options.cooling_rates), ("heating rate", options.heating_rate)):
        if rate is not None and not (np.isfinite(rate) and rate > 0):
            raise ScanError(name, f"found {rate:g} K/min; expected a positive number")
    records = [dsc.read(path, options.kind, options.temperature_unit) for path in paths]
    counts = [_count(record) for record in records]
    rates = list(options.cooling_rates)
    if rates and len(rates) != sum(counts):
        raise ScanError(
            ", ".join(record.source for record in records),
            f"{sum(counts)} heating scans found, but {len(rates)} cooling rates were given; give one a scan, in order",
        )
    scans = []
    for record, count in zip(records, counts, strict=True):
        own, rates = (rates[:count], rates[count:]) if options.cooling_rates else ([], [])
        for heating in heating_scans(record, own, options.heating_rate, options.whole_history):
            scans.append(_scan(record, heating, options))
    return scans


def _count(record: dsc.Record) -> int:
    """Heating scans of a record, any cooling rate being known."""
    if record.seconds is None:
        return 1
    try:
        return len(heating_scans(record))
    except ScanError:
        return 1


def _scan(record: dsc.Record, heating: Heating, options: Options) -> Scan:
    inside = slice(heating.first, heating.last + 1)
    kelvin, signal = record.celsius[inside] + ZERO_CELSIUS, record.signal[inside]
    order = np.argsort(kelvin, kind="stable")
    keep = np.concatenate([[True], np.diff(kelvin[order]) > 0])
    kelvin, signal = kelvin[order][keep], signal[order][keep]
    bottom = heating.history[-1].end
    length = float(kelvin[-1]) - bottom
    lag = start_lag(60 * (kelvin - bottom) / heating.rate, signal)
    settled = max(LEAST_SKIP, min(SETTLES * heating.rate, MOST_SKIP * length))
    if lag is not None:
        settled = max(settled, min(LAGS * lag / 60 * heating.rate, MOST_LAGGED * length))
    use = kelvin >= bottom + (settled if options.skip is None else options.skip)
    if options.limits is not None:
        use &= (kelvin >= options.limits[0] + ZERO_CELSIUS) & (kelvin <= options.limits[1] + ZERO_CELSIUS)
    kelvin, signal = kelvin[use], signal[use]
    if kelvin.size < LEAST_POINTS:
        raise ScanError(heating.name, f"{kelvin.size} points between the limits; expected at least {LEAST_POINTS}")
    notes: tuple[str, ...] = ()
    noise = step = None
    if record.quantity == "cpn" and options.glass is None and options.liquid is None:
        cpn = signal
    else:
        windows = [
            None if w is None else (w[0] + ZERO_CELSIUS, w[1] + ZERO_CELSIUS) for w in (options.glass, options.liquid)
        ]
        # heat capacity is positive whatever the instrument's sign of heat flow
        sign = options.exotherm or ("down" if record.quantity != "heat flow" else record.exotherm)
        made = normalise(kelvin, signal, heating.name, windows[0], windows[1], sign)
        cpn, noise, step = made.cpn, made.noise, made.step
        notes = tuple(
            f"{word} {low - ZERO_CELSIUS:.1f} … {high - ZERO_CELSIUS:.1f} °C"
            for word, (low, high) in (("glass", made.glass), ("liquid", made.liquid))
        )
    return Scan(kelvin, cpn, heating.history, heating.start, heating.rate, heating.name, noise, notes, step,
                tuple(f"{record.source}: {words}" for words in record.assumed), lag)  # fmt: skip
