"""Numba kernel: the memory equation for given M(t), one candidate after the other.

kernel.h does the same for CUDA devices, statement by statement.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ...mct.equation import FloatArray
from ..form import StretchedSum


@njit(cache=True, nogil=True, fastmath={"contract", "nsz", "reassoc"}, error_model="numpy")
def _integrate(M, step, block, alpha, beta, omega2, out):
    n_t, batch = M.shape
    half = block // 2
    x, m, dx, dm, step_x, step_m = (np.empty(block + 1), np.empty(block + 1), np.empty(block + 1),
                                    np.empty(block + 1), np.empty(block + 1), np.empty(block + 1))
    for candidate in range(batch):
        h = step
        stiffness = omega2 + M[0, candidate]
        for i in range(half + 1):
            t = i * h
            x[i] = omega2 * t * (1.0 - 0.5 * stiffness * t)
            if alpha > 0.0:
                x[i] = 0.5 * omega2 * t * t * (1.0 - stiffness * t * t / 12.0)
            m[i] = M[i, candidate]
            out[i, candidate] = x[i]
            if i > 0:
                dx[i], dm[i] = 0.5 * (x[i] + x[i - 1]), 0.5 * (m[i] + m[i - 1])
                step_x[i], step_m[i] = x[i] - x[i - 1], m[i] - m[i - 1]
        first, done = half + 1, 0
        while True:
            a, b = alpha / (h * h), beta / h
            factor = 1.0 / (2.0 * a + 1.5 * b + omega2 + dm[1])
            for i in range(first, block + 1):
                middle = i // 2
                m[i] = M[done + i, candidate]
                past = m[i - middle] * x[middle] - m[i - 1] * dx[1] - dm[1] * x[i - 1]
                for l in range(2, middle + 1):
                    past += step_m[i - l + 1] * dx[l] + dm[l] * step_x[i - l + 1]
                if i - middle > middle:
                    past += dm[i - middle] * step_x[middle + 1]
                known = (omega2 - past - m[i] * dx[1] + b * (2.0 * x[i - 1] - 0.5 * x[i - 2])
                         + a * (5.0 * x[i - 1] - 4.0 * x[i - 2] + x[i - 3]))
                x[i] = known * factor
                dx[i], dm[i] = 0.5 * (x[i] + x[i - 1]), 0.5 * (m[i] + m[i - 1])
                step_x[i], step_m[i] = x[i] - x[i - 1], m[i] - m[i - 1]
                out[done + i, candidate] = x[i]
            done += half
            if done + half + 1 >= n_t:
                break
            for j in range(1, half + 1):
                x[j], m[j] = x[2 * j], m[2 * j]
                dx[j], dm[j] = 0.5 * (dx[2 * j - 1] + dx[2 * j]), 0.5 * (dm[2 * j - 1] + dm[2 * j])
                step_x[j] = step_x[2 * j - 1] + step_x[2 * j]
                step_m[j] = step_m[2 * j - 1] + step_m[2 * j]
            h *= 2.0
            first = half + 1


def stretched(t: FloatArray, c: FloatArray, v: FloatArray, tau: FloatArray, b: FloatArray) -> FloatArray:
    """M (n_t, batch) at times t (n_t,) from c (batch,) and v, tau, b (batch, n_exp)."""
    return StretchedSum(c, v, tau, b)(t).T


def upload(M: FloatArray) -> FloatArray:
    """M as this backend keeps it: the times of a candidate beside each other."""
    return np.asfortranarray(M)


def integrate(M: FloatArray, step: float, block: int, inertia: tuple[float, float], omega2: float) -> FloatArray:
    """X(t) = 1 - F(t)/F(0) (n_t, batch) for kernels M (n_t, batch), by the scheme of `mct.time_doubling`.

    step: the first; M: on `time_doubling.times` of this step and block; inertia: α and β; omega2: Ω². Nothing is
    solved for, since M is given: each step costs its convolution, block/2 … block multiply-adds.
    """
    out = np.empty(M.shape[::-1]).T
    _integrate(np.asfortranarray(M), step, block, *inertia, omega2, out)
    return out


def sample(coarse: FloatArray, fine: FloatArray, shared: np.ndarray, at: np.ndarray,
           weights: FloatArray) -> FloatArray:
    """F(t)/F(0) (batch, n_out) from both solutions; shared, at, weights: those of `equation.Grid`."""
    x = (4.0 * fine[shared] - coarse) / 3.0
    return 1.0 - np.einsum("oj,ojb->bo", weights, x[at])


def device_name() -> str:
    """What the results are made on, for provenance."""
    return "numba, one thread"
