"""Wave vectors of a periodic cube, in spherical shells.

A cube of edge L knows only k = (2π/L) n with whole n. A shell holds the vectors with |k| in
[i·width, (i + 1)·width). Vectors come in sets {(±n_x, ±n_y, ±n_z)}, of which a density needs half, since
ρ(-k) = ρ(k)*: four vectors where no component is zero, two where one is, one where two are. A set is
described by its member with n ≥ 0; all four sign combinations are computed together from the same products.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

SIGNS = np.array([(1, 1, 1), (1, 1, -1), (1, -1, 1), (1, -1, -1)])
"""Signs of the four vectors of a set, in the order in which the kernels give their densities."""


@dataclass(frozen=True)
class Shells:
    """The wave vectors used, shell by shell.

    Attributes
    ----------
    box_length : edge of the cube in σ_AA.
    width : of a shell in σ_AA⁻¹.
    n : (n_sets, 3) int32, n ≥ 0, sorted by shell.
    first : (n_shells + 1,) rows of n that belong to a shell: first[i] to first[i + 1].
    weight : (n_sets,) vectors of a set up to their sign: 4, 2 or 1.
    available : (n_shells,) vectors that exist in a shell, up to their sign.
    """

    box_length: float
    width: float
    n: np.ndarray
    first: np.ndarray
    weight: np.ndarray
    available: np.ndarray

    @property
    def used(self) -> np.ndarray:
        """(n_shells,) vectors used, up to their sign; 0 where a shell is empty."""
        return self.sums(self.weight).astype(int)

    @property
    def mean_k(self) -> np.ndarray:
        """(n_shells,) mean |k| of the vectors used in σ_AA⁻¹; NaN where a shell is empty."""
        return self.mean(self.k)

    @property
    def k(self) -> np.ndarray:
        """(n_sets,) |k| in σ_AA⁻¹."""
        return 2 * np.pi / self.box_length * np.linalg.norm(self.n, axis=1)

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Sum of (n_sets, …) values over each shell's sets."""
        total = np.zeros((len(self.available), *values.shape[1:]))
        filled = self.first[1:] > self.first[:-1]
        total[filled] = np.add.reduceat(values, self.first[:-1][filled], axis=0)
        return total

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Mean of (n_sets, …) values over each shell's vectors; NaN where a shell is empty."""
        weight = self.weight.reshape(-1, *[1] * (values.ndim - 1))
        with np.errstate(invalid="ignore"):
            return self.sums(values * weight) / self.used.reshape(-1, *[1] * (values.ndim - 1))

    def part(self, shells: range) -> Shells:
        """Neighbouring shells only; their centres are counted from the first of them."""
        rows = slice(self.first[shells.start], self.first[shells.stop])
        return Shells(self.box_length, self.width, self.n[rows], self.first[shells.start:shells.stop + 1]
                      - self.first[shells.start], self.weight[rows], self.available[shells.start:shells.stop])


def shells(box_length: float, width: float, k_max: float, limit: int, seed: int) -> Shells:
    """The shells up to k_max, each with all its vectors or about `limit` of them drawn at random.

    Whole sets are drawn until there are at least `limit` vectors (up to their sign). The draw of a shell
    depends on the seed and the shell's number alone. Raises ValueError for a senseless grid.
    """
    n_shells = round(k_max / width) if width > 0 else 0
    if not (box_length > 0 and n_shells >= 1 and abs(n_shells * width - k_max) < 1e-9 * k_max and limit >= 1):
        raise ValueError(f"box length {box_length:g}, shells of width {width:g} up to k = {k_max:g}, at most {limit} "
                         "vectors each: expected positive numbers and a whole number of shells")
    unit = 2 * np.pi / box_length
    n_max = int(k_max / unit) + 1
    axis = np.arange(n_max + 1, dtype=np.int32)
    square = axis[:, None, None] ** 2 + axis[None, :, None] ** 2 + axis[None, None, :] ** 2
    shell = np.floor(unit * np.sqrt(square) / width).astype(np.int64)
    inside = np.flatnonzero((shell.ravel() < n_shells) & (square.ravel() > 0))
    n = np.stack(np.unravel_index(inside, square.shape), axis=1).astype(np.int32)
    shell = shell.ravel()[inside]
    order = np.argsort(shell, kind="stable")
    n, shell = n[order], shell[order]
    zeros = np.count_nonzero(n == 0, axis=1)
    weight = np.array([4, 2, 1])[zeros]
    bounds = np.searchsorted(shell, np.arange(n_shells + 1))
    available = np.zeros(n_shells, int)
    chosen: list[np.ndarray] = []
    first = np.zeros(n_shells + 1, int)
    for i in range(n_shells):
        rows = np.arange(bounds[i], bounds[i + 1])
        available[i] = weight[rows].sum()
        if available[i] > limit:
            rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(i,)))
            rows = rng.permutation(rows)
            rows = np.sort(rows[:np.searchsorted(np.cumsum(weight[rows]), limit) + 1])
        chosen.append(rows)
        first[i + 1] = first[i] + len(rows)
    rows = np.concatenate(chosen)
    return Shells(box_length, width, np.ascontiguousarray(n[rows]), first, weight[rows], available)


@cache
def central_moments(box_length: float, width: float, n_shells: int) -> np.ndarray:
    """(n_shells, 2) second and third central moment of |k| over all wave vectors of each shell; 0 where it is empty."""
    unit = 2 * np.pi / box_length
    axis = np.arange(int(n_shells * width / unit) + 2)
    square = (axis[:, None, None] ** 2 + axis[None, :, None] ** 2 + axis[None, None, :] ** 2).ravel()
    some = np.where(axis == 0, 1.0, 2.0)  # n and -n
    number = np.bincount(square, (some[:, None, None] * some[None, :, None] * some[None, None, :]).ravel())
    k = unit * np.sqrt(np.arange(len(number)))
    shell = np.floor(k / width).astype(int)
    use = (shell < n_shells) & (number > 0) & (k > 0)
    k, shell, number = k[use], shell[use], number[use]
    total = np.maximum(np.bincount(shell, number, n_shells), 1)
    mean = np.bincount(shell, number * k, n_shells) / total
    return np.stack([np.bincount(shell, number * (k - mean[shell]) ** power, n_shells) / total for power in (2, 3)],
                    axis=1)
