"""A curve as a grey image of 64 × 64 pixels, and back.

raster : the line of a plot, 1 where it is and 0 elsewhere, with soft edges; the probable recipe of K. Ayush et al.
    (arXiv:2308.11151), which is not published. It is read back column by column, and loses much: a column is 0.16 Å
    wide, and of a steep flank only the middle is left.
bars : lossless. Even bins are bars that stand on the image's bottom, odd bins bars that stand on its middle; the sum
    over a bar's pixels is its value.

Rows count from the bottom. The axis of g goes from 0 to `top`, which belongs to the pair (`Axes`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .curves import Curves
from .fingerprint import Pair, Query, substitutes

SIZE = 64
_MARGIN = 1.1  # of the axis over the highest curve
_FAINT = 0.1  # of a column's brightest pixel: what is darker is not read
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Axes:
    """Upper end of the axis of g of each pair, from training curves alone."""

    tops: dict[Pair, float]

    @classmethod
    def of(cls, curves: Curves) -> Axes:
        """10 % above the highest curve of each pair."""
        return cls({pair: float(_MARGIN * curves.g[curves.of_pair(pair)].max()) for pair in curves.known_pairs})

    def top(self, query: Query) -> Array:
        """Of some curves (n,)."""
        known = list(self.tops)
        return np.array([self.tops[pair] if pair in self.tops
                         else max(self.tops[other] for other in substitutes(pair, known)) for _, pair in query])


def encode(encoding: str, g: Array, top: Array) -> Array:
    """Images (n, 64, 64) of curves (n, bins); what is above `top` (n,) is cut off."""
    return _raster(g / top[:, None]) if encoding == "raster" else _bars(g / top[:, None])


def decode(encoding: str, images: Array, top: Array, bins: int) -> Array:
    """Curves (n, bins) of images (n, 64, 64)."""
    heights = _read_raster(images, bins) if encoding == "raster" else _read_bars(images, bins)
    return heights * top[:, None]


def _raster(heights: Array) -> Array:
    """Lines one pixel wide through the bins' centres: a pixel is 1 less its centre's distance from the line."""
    bins = heights.shape[1]
    x = (np.arange(bins) + 0.5) * SIZE / bins
    columns = np.floor(x[:-1]).astype(int)[:, None] + np.arange(-1, 4)  # near each segment (segments, 5)
    inside = (columns >= 0) & (columns < SIZE)
    px = np.clip(columns, 0, SIZE - 1) + 0.5
    py = np.arange(SIZE) + 0.5
    images = np.zeros((len(heights), SIZE, SIZE))
    for image, one in zip(images, heights):
        y = np.clip(one, 0, 1) * (SIZE - 1) + 0.5
        dx, dy = np.diff(x)[:, None, None], np.diff(y)[:, None, None]
        ax, ay = px[:, None, :] - x[:-1, None, None], py[None, :, None] - y[:-1, None, None]
        along = np.clip((ax * dx + ay * dy) / (dx**2 + dy**2), 0, 1)
        ink = np.clip(1 - np.hypot(ax - along * dx, ay - along * dy), 0, 1) * inside[:, None, :]
        place = np.broadcast_to(np.arange(SIZE)[None, :, None], ink.shape), np.broadcast_to(
            (px - 0.5).astype(int)[:, None, :], ink.shape)
        np.maximum.at(image, place, ink)
    return images


def _read_raster(images: Array, bins: int) -> Array:
    """The middle of each column's ink; columns without any are interpolated."""
    faint = _FAINT * images.max(1, keepdims=True)
    ink = np.where(images > faint, images, 0.0)
    total = ink.sum(1)
    rows = np.arange(SIZE, dtype=float)[None, :, None]
    with np.errstate(invalid="ignore"):
        heights = (ink * rows).sum(1) / total / (SIZE - 1)
    x, centres = (np.arange(bins) + 0.5) * SIZE / bins, np.arange(SIZE) + 0.5
    found = np.zeros((len(images), bins))
    for row, one in enumerate(heights):
        seen = np.isfinite(one)
        if seen.any():
            found[row] = np.interp(x, centres[seen], one[seen])
    return found


def _places(bins: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Column and lowest row of each bin's bar."""
    if bins > 2 * SIZE:
        raise ValueError(f"{bins} bins; an image holds at most {2 * SIZE}")
    first = (SIZE - (bins + 1) // 2) // 2
    return first + np.arange(bins) // 2, np.arange(bins) % 2 * (SIZE // 2)


def _bars(heights: Array) -> Array:
    half = SIZE // 2
    columns, rows = _places(heights.shape[1])
    images = np.zeros((len(heights), SIZE, SIZE))
    for k, (column, row) in enumerate(zip(columns, rows)):
        filled = np.clip(heights[:, k], 0, 1)[:, None] * half - np.arange(half)
        images[:, row : row + half, column] = np.clip(filled, 0, 1)
    return images


def _read_bars(images: Array, bins: int) -> Array:
    half = SIZE // 2
    columns, rows = _places(bins)
    return np.stack([images[:, row : row + half, column].mean(1) for column, row in zip(columns, rows)], axis=1)
