"""The compiled parts of `time_doubling`: one block of time steps, and its thinning out.

A block's arrays are (block + 1, n_s, n_s, n_k), of points or, from 1 on, of the intervals that end at them: X and m;
the means dX and dM of an interval; the differences step_x and step_m over it.
"""

from __future__ import annotations

import numpy as np
from numba import njit, types

from .kernel import SIGNATURE
from .matrices import add_product, inverse

_SET = types.float64[:, :, ::1]
_HISTORY = types.float64[:, :, :, ::1]


@njit(types.void(types.int64, types.int64, *[_HISTORY] * 6), cache=True, nogil=True)
def new_intervals(first, last, x, m, dx, dm, step_x, step_m):
    """Means and differences of the intervals first … last, by the trapezoidal rule."""
    _, n_s, _, n_k = x.shape
    for i in range(first, last + 1):
        for p in range(n_s):
            for q in range(n_s):
                for k in range(n_k):
                    dx[i, p, q, k] = 0.5 * (x[i, p, q, k] + x[i - 1, p, q, k])
                    dm[i, p, q, k] = 0.5 * (m[i, p, q, k] + m[i - 1, p, q, k])
                    step_x[i, p, q, k] = x[i, p, q, k] - x[i - 1, p, q, k]
                    step_m[i, p, q, k] = m[i, p, q, k] - m[i - 1, p, q, k]


@njit(types.void(types.int64, *[_HISTORY] * 6), cache=True, nogil=True)
def decimate(block, x, m, dx, dm, step_x, step_m):
    """Keep every second point, average the means of two intervals, add their differences."""
    _, n_s, _, n_k = x.shape
    for j in range(1, block // 2 + 1):
        for p in range(n_s):
            for q in range(n_s):
                for k in range(n_k):
                    x[j, p, q, k] = x[2 * j, p, q, k]
                    m[j, p, q, k] = m[2 * j, p, q, k]
                    dx[j, p, q, k] = 0.5 * (dx[2 * j - 1, p, q, k] + dx[2 * j, p, q, k])
                    dm[j, p, q, k] = 0.5 * (dm[2 * j - 1, p, q, k] + dm[2 * j, p, q, k])
                    step_x[j, p, q, k] = step_x[2 * j - 1, p, q, k] + step_x[2 * j, p, q, k]
                    step_m[j, p, q, k] = step_m[2 * j - 1, p, q, k] + step_m[2 * j, p, q, k]


@njit(cache=True, nogil=True, fastmath={"contract", "nsz", "reassoc"})
def _convolution(i, x, m, dx, dm, step_x, step_m, out):
    """The part of C_i that is an integral over the past, into out (n_s, n_s, n_k)."""
    n_s, _, n_k = out.shape
    middle = i // 2
    for p in range(n_s):
        for q in range(n_s):
            for k in range(n_k):
                out[p, q, k] = 0.0
    add_product(m[i - middle], x[middle], out, 1.0)
    add_product(m[i - 1], dx[1], out, -1.0)
    add_product(dm[1], x[i - 1], out, -1.0)
    # a time after the other, so that its matrices stay in the first-level cache for all their products
    for l in range(2, middle + 1):
        for p in range(n_s):
            for q in range(n_s):
                total = out[p, q]
                for r in range(n_s):
                    a, b = step_m[i - l + 1, p, r], dx[l, r, q]
                    c, d = dm[l, p, r], step_x[i - l + 1, r, q]
                    for k in range(n_k):
                        total[k] += a[k] * b[k] + c[k] * d[k]
    if i - middle > middle:
        last = i - middle
        add_product(dm[last], step_x[i - last + 1], out, 1.0)


@njit(
    types.Tuple((types.int64, types.int64, types.float64))(
        types.FunctionType(SIGNATURE), types.float64[::1], types.boolean, types.float64, types.int64, types.int64,
        *[_SET] * 5, *[_HISTORY] * 6, _SET, types.float64, types.int64,
    ),
    cache=True, nogil=True, fastmath={"contract", "nsz", "reassoc", "arcp", "nnan", "ninf"},
)  # fmt: skip
def fill_block(
    kernel, parameters, explicit, h, first, done, alpha, beta, gamma, source, initial, x, m, dx, dm, step_x, step_m,
    weight, tolerance, max_iterations,
):  # fmt: skip
    """Fill the points first … of a block. Returns evaluations of the kernel, the point that failed or -1, asymmetry."""
    n_s, _, n_k = initial.shape
    convolution = np.empty((n_s, n_s, n_k))
    right = np.empty((n_s, n_s, n_k))
    known = np.empty((n_s, n_s, n_k))
    new = np.empty((n_s, n_s, n_k))
    f = np.empty((n_s, n_s, n_k))
    residual = np.zeros((n_s, n_s, n_k))
    image = np.zeros((n_s, n_s, n_k))
    velocity = np.empty((n_s, n_s, n_k))
    acceleration = np.empty((n_s, n_s, n_k))
    matrix = np.empty((n_s, n_s, n_k))
    for p in range(n_s):
        for q in range(n_s):
            for k in range(n_k):
                matrix[p, q, k] = (
                    2.0 / (h * h) * alpha[p, q, k] + 1.5 / h * beta[p, q, k] + gamma[p, q, k] + dm[1, p, q, k]
                )
    solved = np.empty((n_s, n_s, n_k))
    inverse(matrix, solved)
    evaluations = 0
    asymmetry = 0.0
    for i in range(first, x.shape[0]):
        _convolution(i, x, m, dx, dm, step_x, step_m, convolution)
        for p in range(n_s):
            for q in range(n_s):
                for k in range(n_k):
                    right[p, q, k] = source[p, q, k] - convolution[p, q, k]
                    known[p, q, k] = 0.0
                    x1, x2, x3 = x[i - 1, p, q, k], x[i - 2, p, q, k], x[i - 3, p, q, k]
                    velocity[p, q, k] = (2.0 * x1 - 0.5 * x2) / h
                    acceleration[p, q, k] = (5.0 * x1 - 4.0 * x2 + x3) / (h * h)
        add_product(beta, velocity, right, 1.0)
        add_product(alpha, acceleration, right, 1.0)
        add_product(solved, right, known, 1.0)
        current = x[i]
        for p in range(n_s):
            for q in range(n_s):
                for k in range(n_k):
                    current[p, q, k] = (
                        4.0 * (x[i - 1, p, q, k] + x[i - 3, p, q, k]) - 6.0 * x[i - 2, p, q, k] - x[i - 4, p, q, k]
                    )
        converged = False
        for count in range(max_iterations):
            for p in range(n_s):
                for q in range(n_s):
                    for k in range(n_k):
                        f[p, q, k] = initial[p, q, k] - current[p, q, k]
                        right[p, q, k] = 0.0
                        new[p, q, k] = known[p, q, k]
            kernel(f, done + i, parameters, m[i])
            evaluations += 1
            add_product(m[i], dx[1], right, -1.0)
            add_product(solved, right, new, 1.0)
            largest = 0.0
            product = 0.0
            squares = 0.0
            for p in range(n_s):
                for q in range(p, n_s):
                    for k in range(n_k):
                        value = 0.5 * (new[p, q, k] + new[q, p, k])
                        lack = abs(new[p, q, k] - new[q, p, k])
                        asymmetry = max(asymmetry, lack * weight[p, q, k])
                        new[p, q, k] = value
                        new[q, p, k] = value
                        step = (value - current[p, q, k]) * weight[p, q, k]
                        bend = step - residual[p, q, k]
                        largest = max(largest, abs(step))
                        product += step * bend
                        squares += bend * bend
                        residual[p, q, k] = step
            converged = explicit or largest < tolerance
            # Anderson's mixing of the last two iterates, once there are two
            mix = product / squares if count > 0 and squares > 0.0 and not converged else 0.0
            for p in range(n_s):
                for q in range(n_s):
                    for k in range(n_k):
                        current[p, q, k] = new[p, q, k] - mix * (new[p, q, k] - image[p, q, k])
                        image[p, q, k] = new[p, q, k]
            if converged:
                break
        if not converged:
            return evaluations, i, asymmetry
        new_intervals(i, i, x, m, dx, dm, step_x, step_m)
    return evaluations, -1, asymmetry
