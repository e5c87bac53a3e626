"""Partial structure factors and pair distribution functions, summed over the frames of a run.

S_ab(k) = ⟨ρ_a(k) ρ_b(-k)⟩/N with N of all particles, so S_ab → x_a δ_ab at large k (Hansen & McDonald, Theory
of Simple Liquids, 4th ed., eq. (4.1.22) and section 4.1). g_ab(r) → 1 at large r.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .averages import lagrange, standard_error
from .scattering import cpu
from .wavevectors import Shells

PAPER_GRID = (np.arange(100) + 0.5) * 0.4
"""Wave numbers in σ_AA⁻¹ of Ciarella et al., Mach. Learn.: Sci. Technol. 4 (2023) 025010."""


class GridError(ValueError):
    """Wave numbers at which a record knows nothing."""

    user_error = True


def pairs(n_species: int) -> list[tuple[int, int]]:
    """Pairs of species in the order of all arrays: AA, AB, BB."""
    return [(a, b) for a in range(n_species) for b in range(a, n_species)]


def products(left: np.ndarray, right: np.ndarray, n: int) -> np.ndarray:
    """Re ρ_a(k) ρ_b(-k)/N, averaged over the four signs: (n_sets, n_pairs) of two (n_sets, n_species, 4, 2).

    For two configurations the pair AB is the mean of A with B and B with A.
    """
    out = np.empty((len(left), len(pairs(left.shape[1]))))
    for row, (a, b) in enumerate(pairs(left.shape[1])):
        value = np.einsum("msc,msc->m", left[:, a], right[:, b])
        if a != b and left is not right:
            value = 0.5 * (value + np.einsum("msc,msc->m", left[:, b], right[:, a]))
        out[:, row] = value / (4 * n)
    return out


class Structure:
    """Sums of one run, block by block of its schedule; memory does not grow with the frames of a block.

    Attributes
    ----------
    factor : (n_blocks, n_shells, n_pairs) sums of S_ab over the frames.
    counts : (n_blocks, n_pairs, n_bins) pairs of particles at a distance.
    frames : (n_blocks,) frames added.
    """

    def __init__(self, n_blocks: int, shells: Shells, n_species: int, bin_width: float) -> None:
        self.shells = shells
        self.bin_width = bin_width
        n_pairs = len(pairs(n_species))
        self.n_bins = int(shells.box_length / 2 / bin_width + 1e-9)
        self.factor = np.zeros((n_blocks, len(shells.available), n_pairs))
        self.counts = np.zeros((n_blocks, n_pairs, self.n_bins), np.int64)
        self.frames = np.zeros(n_blocks, np.int64)

    def add(self, block: int, fractional: np.ndarray, bounds: np.ndarray, density: np.ndarray) -> None:
        """Add a frame: (N, 3) positions r/L sorted by species, and the densities of the shells' vectors."""
        self.factor[block] += self.shells.mean(products(density, density, len(fractional)))
        self.counts[block] += cpu.pair_counts(fractional, bounds, self.n_bins,
                                                     self.shells.box_length / self.bin_width)
        self.frames[block] += 1

    def structure_factor(self, blocks: slice = slice(None)) -> np.ndarray:
        """(n_shells, n_pairs) mean over the frames of some blocks."""
        return self.factor[blocks].sum(axis=0) / self.frames[blocks].sum()

    def structure_factor_error(self) -> np.ndarray:
        """(n_shells, n_pairs) standard error from consecutive blocks of frames."""
        return standard_error(self.factor / self.frames[:, None, None])

    def pair_distribution_error(self, bounds: np.ndarray) -> np.ndarray:
        """(n_pairs, n_bins) standard error of g_ab from consecutive blocks of frames."""
        norm = ideal_counts(bounds, self.shells.box_length, self.bin_width, self.n_bins)
        return standard_error(self.counts / (self.frames[:, None, None] * norm))


def ideal_counts(bounds: np.ndarray, box_length: float, bin_width: float, n_bins: int) -> np.ndarray:
    """(n_pairs, n_bins) pairs that an ideal gas has on average in each bin of one frame."""
    n = np.diff(bounds)
    edges = np.arange(n_bins + 1) * bin_width
    share = 4 / 3 * np.pi * np.diff(edges**3) / box_length**3
    number = [n[a] * (n[a] - 1) / 2 if a == b else n[a] * n[b] for a, b in pairs(len(n))]
    return np.array(number)[:, None] * share[None, :]


def grid_weights(mean_k: np.ndarray, moments: np.ndarray, used: np.ndarray,
                 k: Sequence[float] | np.ndarray) -> np.ndarray:
    """(n_k, n_shells) weights that bring a function of k from the means over shells to wave numbers k.

    Between the shells it is the cubic whose means over the four shells around k are theirs: a cubic through the
    means themselves would lower the main peak of a liquid by 0.6 % at a width of 0.2. Below the first shell that
    is not empty it is the straight line in k² through the first three, fitted with the number of vectors as
    weights.

    Parameters
    ----------
    mean_k : (n_shells,) mean |k|.
    moments : (n_shells, 2) second and third central moment of |k|, see `wavevectors.central_moments`.
    used : (n_shells,) wave vectors; 0 where a shell is empty.
    k : (n_k,) wave numbers.

    Raises GridError above the last shell.
    """
    k = np.asarray(k, float)
    filled = np.flatnonzero(used > 0)
    nodes, second, third = mean_k[filled], moments[filled, 0], moments[filled, 1]
    reach = nodes[-1] + 0.5 * (nodes[-1] - nodes[-2])
    if np.any(k <= 0) or np.any(k > reach):
        raise GridError(f"wave numbers from {k.min():g} to {k.max():g}; expected 0 < k ≤ {reach:.4g}")
    weights = np.zeros((len(k), len(mean_k)))
    design = np.stack([np.ones(3), nodes[:3] ** 2 + second[:3]], axis=1)
    root = np.sqrt(used[filled[:3]])[:, None]
    line = np.linalg.pinv(design * root) * root.T  # (2, 3): constant and slope in k² from the three values
    for row, value in enumerate(k):
        if value < nodes[0]:
            weights[row, filled[:3]] = line[0] + line[1] * value**2
        else:
            near, _ = lagrange(nodes, float(value))
            x, m2, m3 = nodes[near] - value, second[near], third[near]
            means = np.stack([np.ones(4), x, x**2 + m2, x**3 + 3 * x * m2 + m3])  # of the powers of k - value
            weights[row, filled[near]] = np.linalg.solve(means, [1.0, 0.0, 0.0, 0.0])
    return weights
