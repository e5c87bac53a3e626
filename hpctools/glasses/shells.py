"""What is read off a g(r): first peak, end of the first shell, coordination number."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .fingerprint import Pair
from .structure import CUTOFFS

LOW, HIGH = 1.0, 4.5  # Å, between which the first peak is
REACH_OF_SHELL = 2.0  # Å after the peak, in which the first minimum is looked for
Curve = NDArray[np.float64]


def shell_volumes(r: Curve) -> Curve:
    """Volumes of the bins' spherical shells, Å³; r: centres of equal bins from 0."""
    width = r[1] - r[0]
    edges = np.arange(len(r) + 1) * width
    return np.asarray(4 / 3 * np.pi * np.diff(edges**3))


def first_peak(r: Curve, g: Curve, low: float = LOW, high: float = HIGH) -> tuple[float, float]:
    """Position (Å) and height of the highest point between low and high, both by the parabola through three bins.

    NaN where that is no maximum: g rises over an edge of the range, or is 0 in all of it."""
    inside = np.flatnonzero((r > low) & (r < high))
    top = int(inside[np.argmax(g[inside])]) if len(inside) else len(g)
    if top + 1 >= len(g):
        return np.nan, np.nan
    left, middle, right = g[top - 1 : top + 2]
    if middle <= 0 or left > middle or right > middle:
        return np.nan, np.nan
    bend = left - 2 * middle + right
    if not bend < 0:
        return float(r[top]), float(middle)
    shift = 0.5 * (left - right) / bend
    return float(r[top] + shift * (r[1] - r[0])), float(middle - 0.25 * (left - right) * shift)


def first_peaks(r: Curve, g: NDArray[np.float64], ends: Sequence[float]) -> NDArray[np.float64]:
    """The same of each curve g (n, bins) below its own end: (n, 2)."""
    return np.array([first_peak(r, row, high=end) for row, end in zip(g, ends)]).reshape(-1, 2)


def end_of_first_shell(pair: Pair, r: Curve, g: Curve) -> float:
    """Å: the cut-off of cation-oxygen bonds (`structure.CUTOFFS`), else the first minimum of g smoothed over 0.3 Å, at
    an edge of a bin. g: best the mean over many glasses.

    Where g still rises at `HIGH` (Ti-Ti: a shoulder, the peak is at 4.9 Å), the shell ends there: what lies beyond is
    not counted among a pair's nearest."""
    width = r[1] - r[0]
    cations = [element for element in pair if element != "O"]
    if len(cations) == 1 and cations[0] in CUTOFFS:
        return round(round(CUTOFFS[cations[0]] / width) * width, 6)
    half = round(0.15 / width)
    smooth = np.convolve(np.pad(g, half, "edge"), np.full(2 * half + 1, 1 / (2 * half + 1)), "valid")
    peak = first_peak(r, smooth)[0]
    if not np.isfinite(peak):
        return round(min(round(HIGH / width) * width, float(r[-1] + width / 2)), 6)
    inside = np.flatnonzero((r > peak) & (r < min(peak + REACH_OF_SHELL, r[-1])))
    if not len(inside):
        return round(float(r[-1] + width / 2), 6)
    # the right edge of the lowest bin: an edge, so that no bin is cut
    return round(float(r[inside[np.argmin(smooth[inside])]] + width / 2), 6)


def coordination_number(r: Curve, g: Curve, density: float, cutoff: float) -> float:
    """Neighbours within cutoff (Å): density (1/Å³, of the neighbours) times the integral of 4πr² g."""
    inside = r < cutoff
    return float(density * (shell_volumes(r)[inside] * g[inside]).sum())
