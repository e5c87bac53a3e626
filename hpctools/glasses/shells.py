"""What is read off a g(r): first peak, end of the first shell, coordination number."""

from __future__ import annotations

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
    """Position (Å) and height of the highest point between low and high, both by the parabola through three bins."""
    inside = np.flatnonzero((r > low) & (r < min(high, r[-1])))
    top = int(inside[np.argmax(g[inside])])
    if top + 1 >= len(g):
        return float(r[top]), float(g[top])
    left, middle, right = g[top - 1 : top + 2]
    bend = left - 2 * middle + right
    if not bend < 0 or not (middle >= left and middle >= right):
        return float(r[top]), float(middle)
    shift = 0.5 * (left - right) / bend
    return float(r[top] + shift * (r[1] - r[0])), float(middle - 0.25 * (left - right) * shift)


def end_of_first_shell(pair: Pair, r: Curve, g: Curve) -> float:
    """Å: the cut-off of cation-oxygen bonds (`structure.CUTOFFS`), else the first minimum of g smoothed over 0.3 Å, at
    an edge of a bin. g: best the mean over many glasses."""
    width = r[1] - r[0]
    cations = [element for element in pair if element != "O"]
    if len(cations) == 1 and cations[0] in CUTOFFS:
        return round(round(CUTOFFS[cations[0]] / width) * width, 6)
    window = np.ones(2 * round(0.15 / width) + 1)
    smooth = np.convolve(g, window / window.sum(), "same")
    peak = first_peak(r, smooth)[0]
    inside = np.flatnonzero((r > peak) & (r < min(peak + REACH_OF_SHELL, r[-1])))
    if not len(inside):
        return round(float(r[-1] + width / 2), 6)
    # the right edge of the lowest bin: an edge, so that no bin is cut
    return round(float(r[inside[np.argmin(smooth[inside])]] + width / 2), 6)


def coordination_number(r: Curve, g: Curve, density: float, cutoff: float) -> float:
    """Neighbours within cutoff (Å): density (1/Å³, of the neighbours) times the integral of 4πr² g."""
    inside = r < cutoff
    return float(density * (shell_volumes(r)[inside] * g[inside]).sum())
