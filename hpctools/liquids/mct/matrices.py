"""Small matrices n_s × n_s at each wave number, stored (n_s, n_s, n_k): compiled products and inverses."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def inverse(a, out):
    """out = a⁻¹ at each wave number, by Gauss-Jordan elimination; a is positive definite, so no pivot is sought."""
    n_s, _, n_k = a.shape
    work = np.empty((n_s, n_s))
    inv = np.empty((n_s, n_s))
    for k in range(n_k):
        for i in range(n_s):
            for j in range(n_s):
                work[i, j] = a[i, j, k]
                inv[i, j] = 1.0 if i == j else 0.0
        for i in range(n_s):
            pivot = 1.0 / work[i, i]
            for j in range(n_s):
                work[i, j] *= pivot
                inv[i, j] *= pivot
            for row in range(n_s):
                if row != i:
                    factor = work[row, i]
                    for j in range(n_s):
                        work[row, j] -= factor * work[i, j]
                        inv[row, j] -= factor * inv[i, j]
        for i in range(n_s):
            for j in range(n_s):
                out[i, j, k] = inv[i, j]


@njit(cache=True, nogil=True, fastmath={"contract", "nsz"})
def add_product(a, b, out, sign):
    """out += sign a b at each wave number."""
    n_s, _, n_k = out.shape
    for x in range(n_s):
        for y in range(n_s):
            for z in range(n_s):
                for k in range(n_k):
                    out[x, y, k] += sign * (a[x, z, k] * b[z, y, k])
