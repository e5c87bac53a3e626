"""Memory kernels of mode-coupling theory, compiled.

For a liquid (Götze 2009; Weysser et al. 2010, eq. 4), with p = |k-q| and the vertices
V_aμν = (k̂·q) c_aμ(q) δ_aν + (k̂·p) c_aν(p) δ_aμ,

    m_ab(k) = ρ/(2 k² x_a x_b) ∫ d³q/(2π)³ Σ V_aμν F_μμ'(q) F_νν'(p) V_bμ'ν' .

In bipolar coordinates, with A = cFc, G = cF, H = Fc at each wave number, the sum over species is done before the
integral, and only products of the same element ab are left:

    m_ab(k) = ρ dk²/(32 π² x_a x_b k⁵) Σ_{|q-p| ≤ k ≤ q+p} qp [k⁴ (A_q F_p + F_q A_p + G_q H_p + H_q G_p)
              + (q²-p²)² (A_q F_p + F_q A_p - G_q H_p - H_q G_p) + 2 k² (q²-p²) (A_q F_p - F_q A_p)] .

The region of (q, p) for k_n is that of k_{n-1} with the diagonals |i-j| = n more and the anti-diagonal i+j = n-1 less
(Bengtzelius 1986), and on both of them q²-p² is n dk² times an integer. So all k take one pass over n_k²/2 + n_k²/4
pairs i ≥ j, O(n_k²) in place of O(n_k³), with nothing stored but vectors.

Every kernel here has one signature, so that the solver is compiled once for all of them:

    kernel(F, step, parameters, out):  out[a, b, k] = m_ab(k) from F[a, b, k] at the time of index `step`,

with parameters, a flat array of float64, laid out as the kernel wants it. Another kernel is any function compiled by
`numba.njit(SIGNATURE)`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba import njit, types

from .equation import FloatArray, Liquid

_ARRAY = types.float64[:, :, ::1]
SIGNATURE = types.void(_ARRAY, types.int64, types.float64[::1], _ARRAY)
# Sums may be reordered for vector units; nothing here depends on NaN or infinity.
_FAST = {"nsz", "arcp", "contract", "reassoc", "nnan", "ninf"}


class Kernel(NamedTuple):
    """A compiled kernel with its parameters. explicit: it does not depend on F."""

    function: Callable[..., Any]
    parameters: FloatArray
    explicit: bool = False


def flops(n_k: int, n_s: int) -> int:
    """Floating-point operations of one evaluation of `liquid_kernel`, from the loops as they are written.

    A pair of wave numbers costs 17 for a ≠ b, 15 for a = b where G = H. The matrix products A, G cost 2 n_s³ each a
    wave number.
    """
    pairs = n_k * (n_k - 1) // 2 + sum(n // 2 for n in range(1, n_k))
    return pairs * (15 * n_s + 17 * (n_s * (n_s - 1) // 2)) + 4 * n_s**3 * n_k


@njit(cache=True, fastmath=_FAST, nogil=True)
def _sums_equal(a, f, g, prefactor, out):
    """out[n] = m(k_n) for vectors that carry the factor i + ½, with h = g."""
    n_k = a.size
    ar, fr, gr = a[::-1].copy(), f[::-1].copy(), g[::-1].copy()
    t1 = t2 = t3 = 0.0
    for i in range(n_k):
        t1 += a[i] * f[i] + g[i] * g[i]
    out[0] = prefactor[0] * 0.0625 * t1
    for n in range(1, n_k):
        x1 = x2 = x3 = 0.0
        an, fn, gn = a[n:], f[n:], g[n:]
        s = n + 1.0
        for j in range(n_k - n):
            af = an[j] * f[j]
            fa = fn[j] * a[j]
            u = af + fa
            w = 2.0 * gn[j] * g[j]
            d = s + 2.0 * j
            x1 += u + w
            x2 += d * d * (u - w)
            x3 += d * (af - fa)
        # i + j = n - 1 with i > j, and with i = j where n is odd
        first = (n + 1) // 2
        an, fn, gn = a[first:], f[first:], g[first:]
        shift = n_k - n + first
        aj, fj, gj = ar[shift:], fr[shift:], gr[shift:]
        s = 2.0 * first - n + 1.0
        for i in range(n - first):
            af = an[i] * fj[i]
            fa = fn[i] * aj[i]
            u = af + fa
            w = 2.0 * gn[i] * gj[i]
            d = s + 2.0 * i
            x1 -= u + w
            x2 -= d * d * (u - w)
            x3 -= d * (af - fa)
        if n % 2:
            i = n // 2
            x1 -= a[i] * f[i] + g[i] * g[i]
        t1 += x1
        t2 += n * (n * x2)
        t3 += n * x3
        k2 = (n + 0.5) * (n + 0.5)
        out[n] = prefactor[n] * (k2 * k2 * t1 + t2 + 2.0 * k2 * t3)


@njit(cache=True, fastmath=_FAST, nogil=True)
def _sums(a, f, g, h, prefactor, out):
    """As `_sums_equal`, for an element off the diagonal."""
    n_k = a.size
    ar, fr, gr, hr = a[::-1].copy(), f[::-1].copy(), g[::-1].copy(), h[::-1].copy()
    t1 = t2 = t3 = 0.0
    for i in range(n_k):
        t1 += a[i] * f[i] + g[i] * h[i]
    out[0] = prefactor[0] * 0.0625 * t1
    for n in range(1, n_k):
        x1 = x2 = x3 = 0.0
        an, fn, gn, hn = a[n:], f[n:], g[n:], h[n:]
        s = n + 1.0
        for j in range(n_k - n):
            af = an[j] * f[j]
            fa = fn[j] * a[j]
            u = af + fa
            w = gn[j] * h[j] + hn[j] * g[j]
            d = s + 2.0 * j
            x1 += u + w
            x2 += d * d * (u - w)
            x3 += d * (af - fa)
        first = (n + 1) // 2
        an, fn, gn, hn = a[first:], f[first:], g[first:], h[first:]
        shift = n_k - n + first
        aj, fj, gj, hj = ar[shift:], fr[shift:], gr[shift:], hr[shift:]
        s = 2.0 * first - n + 1.0
        for i in range(n - first):
            af = an[i] * fj[i]
            fa = fn[i] * aj[i]
            u = af + fa
            w = gn[i] * hj[i] + hn[i] * gj[i]
            d = s + 2.0 * i
            x1 -= u + w
            x2 -= d * d * (u - w)
            x3 -= d * (af - fa)
        if n % 2:
            i = n // 2
            x1 -= a[i] * f[i] + g[i] * h[i]
        t1 += x1
        t2 += n * (n * x2)
        t3 += n * x3
        k2 = (n + 0.5) * (n + 0.5)
        out[n] = prefactor[n] * (k2 * k2 * t1 + t2 + 2.0 * k2 * t3)


@njit(SIGNATURE, cache=True, fastmath=_FAST, nogil=True)
def liquid_kernel(F, step, parameters, out):
    """m_ab(k) of the collective correlators; parameters: c, then the prefactors, both (n_s, n_s, n_k)."""
    n_s, _, n_k = F.shape
    size = n_s * n_s * n_k
    c = parameters[:size].reshape(n_s, n_s, n_k)
    prefactor = parameters[size:].reshape(n_s, n_s, n_k)
    f = np.empty((n_s, n_s, n_k))
    g = np.zeros((n_s, n_s, n_k))  # c F
    for x in range(n_s):
        for y in range(n_s):
            for i in range(n_k):
                f[x, y, i] = (i + 0.5) * F[x, y, i]
            for z in range(n_s):
                for i in range(n_k):
                    g[x, y, i] += c[x, z, i] * ((i + 0.5) * F[z, y, i])
    a = np.empty(n_k)
    for x in range(n_s):
        for y in range(x, n_s):
            for i in range(n_k):
                a[i] = 0.0
            for z in range(n_s):
                for i in range(n_k):
                    a[i] += g[x, z, i] * c[z, y, i]
            if x == y:
                _sums_equal(a, f[x, x], g[x, x], prefactor[x, x], out[x, x])
            else:
                # F and c are symmetric, so that H = Fc is the transpose of G = cF
                _sums(a, f[x, y], g[x, y], g[y, x], prefactor[x, y], out[x, y])
                for i in range(n_k):
                    out[y, x, i] = out[x, y, i]


def liquid_memory(structure: Liquid) -> Kernel:
    """The kernel of a liquid's collective dynamics."""
    x = structure.fractions
    prefactor = mode_prefactor(structure) / (x[:, None] * x)[:, :, None]
    return Kernel(liquid_kernel, np.concatenate([structure.c.ravel(), prefactor.ravel()]))


def mode_prefactor(structure: Liquid) -> FloatArray:
    """ρ dk³/(16 π² (n+½)⁵) (n_k,): what the sums in units of dk are multiplied by, and 2 for the pairs i > j."""
    half = np.arange(len(structure.k)) + 0.5
    return np.asarray(structure.density * structure.dk**3 / (16 * math.pi**2 * half**5))


@njit(SIGNATURE, cache=True, fastmath=_FAST, nogil=True)
def tagged_kernel(F, step, parameters, out):
    """m_s(k) = ρ/k² ∫ d³q/(2π)³ (k̂·q)² A_aa(q) F_s(p) of a tagged particle; F (1, 1, n_k).

    parameters: the prefactors (n_k,), then A_aa = (cFc)_aa of the liquid at each time (times, n_k).
    """
    n_k = F.shape[2]
    prefactor = parameters[:n_k]
    begin = (1 + step) * n_k
    a = np.empty(n_k)
    f = np.empty(n_k)
    for i in range(n_k):
        a[i] = (i + 0.5) * parameters[begin + i]
        f[i] = (i + 0.5) * F[0, 0, i]
    _sums_equal(a, f, np.zeros(n_k), prefactor, out[0, 0])


@njit(SIGNATURE, cache=True, nogil=True)
def given_kernel(F, step, parameters, out):
    """A memory that is known: parameters holds out at each time, (times, n_s, n_s, n_k)."""
    value = out.reshape(out.size)
    for i in range(value.size):
        value[i] = parameters[step * value.size + i]


@njit(SIGNATURE, cache=True, nogil=True)
def polynomial_kernel(F, step, parameters, out):
    """Schematic models: m = Σ v_n F^n element by element; parameters v_1, v_2, … (Leutheusser 1984; Götze 2009)."""
    value = out.reshape(out.size)
    f = F.reshape(F.size)
    for i in range(value.size):
        value[i] = 0.0
        for n in range(parameters.size - 1, -1, -1):
            value[i] = (value[i] + parameters[n]) * f[i]


def given_memory(memory: FloatArray) -> Kernel:
    """The kernel that is `memory` (times, n_s, n_s, n_k) on the solver's times."""
    return Kernel(given_kernel, np.ascontiguousarray(memory, dtype=np.float64).ravel(), explicit=True)


def polynomial_memory(*v: float) -> Kernel:
    """The kernel m = v_1 F + v_2 F² + …: F1, F2, F12 models."""
    return Kernel(polynomial_kernel, np.array(v, float))
