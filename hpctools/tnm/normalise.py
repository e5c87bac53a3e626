"""From heat flow to CpN: lines through the glass and the liquid, and refusal of what is no glass transition.

CpN = (y - y_glass)/(y_liquid - y_glass) with a straight line through each window (Moynihan et al. 1976), so that
mass, calibration factor and sign cancel. Windows are given, or grown from both ends of the scan until the data leave
the line.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .scans import ScanError

Array = NDArray[np.float64]
LEAST_WINDOW = 4.0  # K
BINS = 240
BLOCK = 2.0  # K
LEAVES = 0.012  # of the step: a block's departure from a line that ends its window
BLOCK_ERRORS = 3.5  # the same in errors of a block's mean
MOST_SKIPPED = 8.0  # K
KEPT = 0.6  # share of a window, counted from the end of the scan, that is used
SIGNIFICANT = 4.0  # standard errors
MOST_CORRELATED = 0.9  # of neighbours
CRYSTALLISES = 0.2  # of the step: departure from the liquid after the transition
LEAST_GAP = 0.15  # of the step: distance of the two lines anywhere in the scan
OPPOSITE, EVENT_SIGMAS = 0.3, 10.0  # of the highest signal above the glass, and of noise: a dip below it as deep
UNDERSHOOT = -0.7  # CpN below which a scan is no glass that relaxes
BEND = 0.05  # of the step: curvature of a window that makes it no line


class Normalised(NamedTuple):
    """CpN (n,) of a scan, its windows (K), its noise, and the distance of the lines over its mean (n,)."""

    cpn: Array
    glass: tuple[float, float]
    liquid: tuple[float, float]
    noise: float
    step: Array


class _Line(NamedTuple):
    slope: float
    middle: float  # value at `at`
    at: float
    rest: float  # standard deviation about the line
    error: float  # of the slope
    middle_error: float

    def __call__(self, x: Array) -> Array:
        return np.asarray(self.middle + self.slope * (x - self.at))


def _line(x: Array, y: Array) -> _Line:
    at = float(x.mean())
    dx = x - at
    slope = float(dx @ y / (dx @ dx))
    rest = y - y.mean() - slope * dx
    deviation = float(np.sqrt(rest @ rest / max(1, len(x) - 2)))
    spread = deviation * _fewer(rest)
    errors = spread / float(np.sqrt(dx @ dx)), spread / float(np.sqrt(len(x)))
    return _Line(slope, float(y.mean()), at, deviation, *errors)


def _fewer(rest: Array) -> float:
    """Factor on standard errors for noise that is correlated, by the correlation of neighbours in what is left."""
    near = float(rest[1:] @ rest[:-1]) / max(float(rest @ rest), 1e-300)
    near = float(np.clip(near + 4 / len(rest), 0.0, MOST_CORRELATED))  # what a line takes up makes it too small
    return float(np.sqrt((1 + near) / (1 - near)))


def _block_noise(x: Array, y: Array) -> float:
    """Standard deviation of means over BLOCK kelvin, by their second differences, of which few see the transition."""
    count = max(4, round(float(x[-1] - x[0]) / BLOCK))
    means = np.array([float(part.mean()) for part in np.array_split(y, min(count, len(y)))])
    bends = np.abs(np.diff(means, 2)) / np.sqrt(6.0)
    return 1.4826 * float(np.median(bends))


def _binned(x: Array, y: Array) -> tuple[Array, Array]:
    """Means in even bins of temperature."""
    count = min(BINS, len(x))
    place = np.minimum(((x - x[0]) / (x[-1] - x[0]) * count).astype(int), count - 1)
    n = np.bincount(place, minlength=count)
    keep = n > 0
    return (
        np.bincount(place, x, count)[keep] / n[keep],
        np.bincount(place, y, count)[keep] / n[keep],
    )


def _longest(x: Array, y: Array, step: float, noise: float, limit: int) -> tuple[int, int]:
    """First and last bin (exclusive) of the longest window from the start of x that is a line; at most `limit` bins.

    A window is a line where no block of about BLOCK kelvin lies off it. Up to MOST_SKIPPED kelvin at the start may be
    left out where they are none; the share towards the transition is left out always.
    """
    pitch = abs(float(x[-1] - x[0])) / (len(x) - 1)
    block = max(1, round(BLOCK / pitch))
    least = max(6, round(LEAST_WINDOW / pitch))
    allowed = max(LEAVES * step, BLOCK_ERRORS * noise)
    for first in range(0, max(1, round(MOST_SKIPPED / pitch)), block):
        for end in range(limit, first + least - 1, -max(1, block // 2)):
            rest = y[first:end] - _line(x[first:end], y[first:end])(x[first:end])
            count = max(1, len(rest) // block)
            if max(abs(float(part.mean())) for part in np.array_split(rest, count)) < allowed:
                # glass relaxes long before it shows: what the line has taken up of that, extrapolation would magnify
                return first, first + max(least, round(KEPT * (end - first)))
    return 0, min(least, limit)


def automatic_windows(kelvin: Array, signal: Array, name: str) -> tuple[tuple[float, float], tuple[float, float]]:
    """Glass and liquid windows (K) of a heating scan. Raises ScanError where there is no transition."""
    x, y = _binned(kelvin, signal)
    noise = _block_noise(x, y)
    width = max(2, len(x) // 60)
    smooth = np.convolve(y, np.ones(width) / width, "same")
    inner = slice(max(width, len(x) // 12), -max(width, len(x) // 12))
    # the flank: where the smoothed signal changes most against a straight line through the whole scan
    slope = np.gradient(smooth, x)
    steep = np.abs(slope - np.median(slope))[inner]
    flank = int(np.argmax(steep)) + inner.start
    ends = max(4, len(x) // 12)
    left, right = _line(x[:ends], y[:ends]), _line(x[-ends:], y[-ends:])
    step = max(abs(float(np.median(y[-ends:]) - np.median(y[:ends]))), 1e-300)
    first = abs(float(right(x[flank : flank + 1])[0] - left(x[flank : flank + 1])[0]))
    step = max(step, 0.3 * first)
    low = _longest(x, y, step, noise, flank)
    high = _longest(x[::-1], y[::-1], step, noise, len(x) - flank)
    return (float(x[low[0]]), float(x[low[1] - 1])), (float(x[-high[1]]), float(x[-1 - high[0]]))


def normalise(
    kelvin: Array,
    signal: Array,
    name: str,
    glass: tuple[float, float] | None = None,
    liquid: tuple[float, float] | None = None,
    exotherm: str | None = None,
) -> Normalised:
    """CpN of one heating scan.

    kelvin (n,) ascending; signal (n,): heat flow or heat capacity; glass, liquid: windows in K, found if None;
    exotherm: "up" or "down" where it is known. Raises ScanError, with the name of the scan, for no transition, a sign
    that contradicts the step, crystallisation or melting, and ends that are no lines.
    """
    if glass is None or liquid is None:
        found = automatic_windows(kelvin, signal, name)
        glass, liquid = glass or found[0], liquid or found[1]
    parts = []
    for word, (low, high) in (("glass", glass), ("liquid", liquid)):
        inside = (kelvin >= low) & (kelvin <= high)
        if inside.sum() < 6 or high - low < 0.5 * LEAST_WINDOW:
            raise ScanError(
                name,
                f"the {word} window {low - 273.15:.1f} … {high - 273.15:.1f} °C holds {inside.sum()} points; expected "
                f"{LEAST_WINDOW:g} K of straight {word}: measure from further "
                f"{'below' if word == 'glass' else 'above'}, or give another window",
            )
        parts.append(inside)
    if not glass[1] < liquid[0]:
        raise ScanError(name, f"the glass window ends at {glass[1]:.1f} K, above the liquid's start {liquid[0]:.1f} K")
    low_line, high_line = (_line(kelvin[part], signal[part]) for part in parts)
    gap = high_line(kelvin) - low_line(kelvin)
    middle = np.array([0.5 * (glass[1] + liquid[0])])
    step = float((high_line(middle) - low_line(middle))[0])
    doubt = float(
        np.hypot(high_line.error * (high_line.at - middle[0]), low_line.error * (low_line.at - middle[0]))
        + np.hypot(high_line.middle_error, low_line.middle_error)
    )
    noise = float(np.sqrt(0.5 * (low_line.rest**2 + high_line.rest**2)))
    between = (kelvin > glass[1]) & (kelvin < liquid[0])
    rounding = 1e-9 * float(np.ptp(signal))
    if abs(step) < max(SIGNIFICANT * doubt, 1.5 * noise, rounding):
        _refuse_exotherm(kelvin, signal, low_line, glass, name)
        largest = float(np.max(np.abs((signal - low_line(kelvin))[between]), initial=0.0))
        peak = largest > 10 * max(abs(step), noise)
        raise ScanError(
            name,
            f"no glass transition: the step between the lines is {step:.3g} ± {doubt:.2g}"
            + (f" below a peak of {largest:.3g}: does the sample crystallise or melt?" if peak else "")
            + "; give glass and liquid windows if there is one, or leave a part out (--limits)",
        )
    if exotherm is not None and (step > 0) == (exotherm == "up"):
        raise ScanError(
            name,
            f"the step at the transition is exothermic by the stated sign (exotherm {exotherm}), but heat capacity "
            f"rises from glass to liquid: wrong sign (give --exotherm {'down' if exotherm == 'up' else 'up'}), or what "
            f"was taken for liquid, {liquid[0] - 273.15:.1f} … {liquid[1] - 273.15:.1f} °C, is none, because the scan "
            "ends in its transition or the sample crystallises there",
        )
    span = (kelvin > glass[0] - 1e-9) & (kelvin < liquid[1] + 1e-9)
    if np.min(gap[span] / step) < LEAST_GAP:
        _refuse_exotherm(kelvin, signal, low_line, glass, name)
        raise ScanError(
            name,
            f"the lines of glass and liquid cross within the scan: what was taken for liquid, "
            f"{liquid[0] - 273.15:.1f} … {liquid[1] - 273.15:.1f} °C, is not straight liquid: the scan ends in its "
            "transition, or the sample crystallises or melts there; measure further, leave that part out (--limits), "
            "or give windows (--glass, --liquid)",
        )
    cpn = (signal - low_line(kelvin)) / gap
    _refuse_other_events(kelvin, cpn, glass, liquid, abs(noise / step), name)
    for word, part in zip(("glass", "liquid"), parts, strict=True):
        bend = _bend(kelvin[part], cpn[part])
        if bend > BEND:
            raise ScanError(
                name,
                f"CpN bends by {bend:.2f} within the {word} window: the scan does not reach straight {word} at "
                f"{'0' if word == 'glass' else '1'}; measure from further "
                f"{'below' if word == 'glass' else 'above'} the transition, or give another window",
            )
    return Normalised(cpn, glass, liquid, abs(noise / step), gap / gap.mean())


def _refuse_exotherm(kelvin: Array, signal: Array, low: _Line, glass: tuple[float, float], name: str) -> None:
    """Raise ScanError for a signal that rises out of the glass and then falls far below it."""
    x, y = _binned(kelvin, signal)
    above = y - low(x)
    behind = x > glass[1]
    # the transition goes to the side of its larger area
    above = above * (1.0 if above[behind].sum() > 0 else -1.0)
    top = int(np.argmax(np.where(behind, above, -np.inf)))
    for part, word in ((slice(top, None), "after"), (slice(int(np.argmax(behind)), top + 1), "before")):
        least = int(part.start) + int(np.argmin(above[part]))
        if above[least] < -max(OPPOSITE * above[top], EVENT_SIGMAS * low.rest):
            raise ScanError(
                name,
                f"the sample crystallises (exotherm near {x[least] - 273.15:.1f} °C, {word} the highest signal), or "
                "the scan begins within its transition: only scans of glass that becomes liquid can be fitted; use a "
                "scan from further below, that ends below the exotherm (--limits) and reaches straight liquid there",
            )


def _bend(x: Array, y: Array) -> float:
    """Sagitta of the parabola through a window, less four standard errors."""
    u = 2 * (x - x[0]) / (x[-1] - x[0]) - 1
    basis = np.vander(u, 3)
    found, *_ = np.linalg.lstsq(basis, y, rcond=None)
    rest = y - basis @ found
    error = float(np.sqrt(rest @ rest / max(1, len(x) - 3) * np.linalg.inv(basis.T @ basis)[0, 0]))
    return abs(float(found[0])) - 4 * error * _fewer(rest)


def _refuse_other_events(
    kelvin: Array, cpn: Array, glass: tuple[float, float], liquid: tuple[float, float], noise: float, name: str
) -> None:
    """Raise ScanError for exotherms, endotherms after the transition, and peaks against the step."""
    x, y = _binned(kelvin, cpn)
    width = max(1, round(1.0 / max(float(x[1] - x[0]), 1e-9)))
    smooth = np.convolve(np.pad(y, width, "edge"), np.ones(width) / width, "same")[width:-width]
    allowed = max(CRYSTALLISES, 4 * noise / np.sqrt(width))
    rises = np.flatnonzero(smooth > 0.5)
    if not rises.size:
        raise ScanError(name, "no glass transition: CpN stays below 0.5 between the lines")
    if float(smooth.min()) < UNDERSHOOT and int(np.argmin(smooth)) < rises[0]:
        raise ScanError(
            name,
            f"CpN falls to {smooth.min():.1f} at {x[np.argmin(smooth)] - 273.15:.1f} °C before the step: its sign is "
            "unclear, or the sample crystallises; give the direction of exotherms (--exotherm) or other windows",
        )
    # first peak after the rise, then where it is over
    at = rises[0]
    while at + 1 < len(smooth) and (smooth[at + 1] >= smooth[at] or smooth[at] < 1 - 0.5 * allowed):
        at += 1
    while at < len(smooth) and abs(smooth[at] - 1) > 0.5 * allowed:
        if smooth[at] < 1 - allowed:
            break
        at += 1
    rest = smooth[at:] - 1
    if rest.size and np.abs(rest).max() > allowed:
        worst = int(np.argmax(np.abs(rest)))
        first = int(np.flatnonzero(np.abs(rest) > allowed)[0])
        event = "crystallises (exotherm" if rest[first] < 0 else "melts or relaxes twice (second endotherm"
        raise ScanError(
            name,
            f"the sample {event} of {abs(rest[worst]):.2g} ΔCp near {x[at + first] - 273.15:.1f} °C, after the "
            "transition): only scans of glass that becomes liquid can be fitted; use a scan that ends below that "
            "temperature (--limits) and reaches straight liquid there",
        )
