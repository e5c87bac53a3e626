"""Numba kernels: densities in reciprocal space, self parts, and pair distances (which have this backend alone).

kernel.h computes the first two for CUDA devices, term by term as here.
"""

from __future__ import annotations

import numba
import numpy as np

SMALL = 1e-4
"""kr below which sin(kr)/(kr) is 1 - (kr)²/6, to 1e-18."""

_CHUNK = 128
"""Particles whose powers of exp(2πi x/L) stay in the cache together: 0.4 MB at k_max L = 400."""


@numba.njit(cache=True, fastmath={"contract", "reassoc", "nsz"}, error_model="numpy")
def densities(fractional: np.ndarray, bounds: np.ndarray, n: np.ndarray) -> np.ndarray:
    """ρ_a(k) = Σ_j exp(i k·r_j) of each species for the sets of wave vectors.

    Parameters
    ----------
    fractional : (N, 3) positions r/L.
    bounds : (n_species + 1,) rows of the species.
    n : (n_sets, 3) whole numbers ≥ 0, k = (2π/L) n.

    Returns (n_sets, n_species, 4, 2): real and imaginary part for the signs of `wavevectors.SIGNS`.
    The powers exp(2πi n x/L) come from one sine and cosine an axis by multiplication; with the products
    of sines and cosines shared by the four signs a vector costs 6 floating-point operations a particle.
    """
    n_sets, n_species = len(n), len(bounds) - 1
    n_max = n.max()
    out = np.zeros((n_sets, n_species, 4, 2))
    cos = np.empty((3, n_max + 1, _CHUNK))
    sin = np.empty((3, n_max + 1, _CHUNK))
    for species in range(n_species):
        for start in range(bounds[species], bounds[species + 1], _CHUNK):
            size = min(_CHUNK, bounds[species + 1] - start)
            for axis in range(3):
                for i in range(size):
                    x = fractional[start + i, axis]
                    angle = 2 * np.pi * (x - np.rint(x))
                    cos[axis, 0, i], sin[axis, 0, i] = 1.0, 0.0
                    cos[axis, 1, i], sin[axis, 1, i] = np.cos(angle), np.sin(angle)
                for power in range(2, n_max + 1):
                    c1, s1 = cos[axis, 1], sin[axis, 1]
                    c, s = cos[axis, power - 1], sin[axis, power - 1]
                    for i in range(size):
                        cos[axis, power, i] = c[i] * c1[i] - s[i] * s1[i]
                        sin[axis, power, i] = s[i] * c1[i] + c[i] * s1[i]
            for row in range(n_sets):
                cx, sx = cos[0, n[row, 0]], sin[0, n[row, 0]]
                cy, sy = cos[1, n[row, 1]], sin[1, n[row, 1]]
                cz, sz = cos[2, n[row, 2]], sin[2, n[row, 2]]
                pc = ps = qc = qs = uc = us = vc = vs = 0.0
                for i in range(size):
                    cc, ss = cx[i] * cy[i], sx[i] * sy[i]
                    sc, cs = sx[i] * cy[i], cx[i] * sy[i]
                    p, q = cc - ss, sc + cs  # cosine and sine of x + y
                    u, v = cc + ss, sc - cs  # of x - y
                    pc += p * cz[i]
                    ps += p * sz[i]
                    qc += q * cz[i]
                    qs += q * sz[i]
                    uc += u * cz[i]
                    us += u * sz[i]
                    vc += v * cz[i]
                    vs += v * sz[i]
                sums = out[row, species]
                sums[0, 0] += pc - qs
                sums[0, 1] += qc + ps
                sums[1, 0] += pc + qs
                sums[1, 1] += qc - ps
                sums[2, 0] += uc - vs
                sums[2, 1] += vc + us
                sums[3, 0] += uc + vs
                sums[3, 1] += vc - us
    return out


@numba.njit(cache=True, fastmath={"contract", "reassoc", "nsz"}, error_model="numpy")
def self_parts(displacement: np.ndarray, bounds: np.ndarray, k: np.ndarray) -> np.ndarray:
    """Averages over the particles of each species of sin(kr)/(kr), r² and r⁴.

    displacement: (N, 3); k: (n_k,) positive. Returns (n_species, n_k + 2): the n_k self intermediate
    scattering functions, averaged over the directions of k, then ⟨r²⟩ and ⟨r⁴⟩.
    """
    n_species, n_k = len(bounds) - 1, len(k)
    out = np.zeros((n_species, n_k + 2))
    for species in range(n_species):
        sums = out[species]
        for i in range(bounds[species], bounds[species + 1]):
            square = displacement[i, 0] ** 2 + displacement[i, 1] ** 2 + displacement[i, 2] ** 2
            r = np.sqrt(square)
            sums[n_k] += square
            sums[n_k + 1] += square * square
            for j in range(n_k):
                x = k[j] * r
                sums[j] += 1.0 - x * x / 6.0 if x < SMALL else np.sin(x) / x
        for j in range(n_k + 2):
            sums[j] /= bounds[species + 1] - bounds[species]
    return out


@numba.njit(cache=True, fastmath={"contract"}, error_model="numpy")
def pair_counts(fractional: np.ndarray, bounds: np.ndarray, n_bins: int, bins_per_length: float) -> np.ndarray:
    """Pairs at each distance below half the box: (n_pairs of species, n_bins) int64, pairs AA, AB, …, BB.

    fractional: (N, 3) positions r/L; bins_per_length: bins in the length L. A pair is counted once.
    """
    n_species = len(bounds) - 1
    counts = np.zeros((n_species * (n_species + 1) // 2, n_bins + 1), np.int64)
    xs, ys, zs = fractional[:, 0].copy(), fractional[:, 1].copy(), fractional[:, 2].copy()
    bins = np.empty(len(fractional), np.int32)
    row = 0
    for a in range(n_species):
        for b in range(a, n_species):
            for i in range(bounds[a], bounds[a + 1]):
                x, y, z = xs[i], ys[i], zs[i]
                low, high = (i + 1 if a == b else bounds[b]), bounds[b + 1]
                for j in range(low, high):  # apart from the counting, so that it runs in vectors
                    dx, dy, dz = xs[j] - x, ys[j] - y, zs[j] - z
                    dx -= np.rint(dx)
                    dy -= np.rint(dy)
                    dz -= np.rint(dz)
                    bins[j] = np.int32(min(np.sqrt(dx * dx + dy * dy + dz * dz) * bins_per_length, float(n_bins)))
                for j in range(low, high):
                    counts[row, bins[j]] += 1
            row += 1
    return counts[:, :n_bins]


def device_name() -> str:
    """What the results are made on, for provenance."""
    return "numba, one thread"
