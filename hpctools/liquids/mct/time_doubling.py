"""Integration of mode-coupling equations over many decades of time by step doubling.

The equation, for matrices n_s × n_s at each wave number, in X(t) = F(0) - F(t), which keeps all digits at short times:

    α ∂t² X + β ∂t X + γ X + ∫0^t m(t-t') ∂t' X(t') dt' = s ,      X(0) = 0 .

With s = γ F(0) that is the equation of a correlator; with γ = 0, s = 6 that of a mean-squared displacement.

Scheme of Fuchs, Götze, Hofacker and Latz (1991), with the moments of Hofacker: a block has n + 1 equidistant times
i h. On an interval, one factor of the convolution is known by its differences, the other by its mean, dX_i and dM_i,
trapezoidal when the interval is new. With ī = ⌊i/2⌋

    C_i = M_{i-ī} X_ī - M_{i-1} dX_1 - dM_1 X_{i-1} + Σ_{l=2}^{ī} (M_{i-l+1} - M_{i-l}) dX_l
          + Σ_{l=2}^{i-ī} dM_l (X_{i-l+1} - X_{i-l}) + β (-2 X_{i-1} + ½ X_{i-2})/h
          + α (-5 X_{i-1} + 4 X_{i-2} - X_{i-3})/h² ,
    X_i = (2α/h² + 3β/2h + γ + dM_1)⁻¹ (s - C_i - M_i dX_1) ,

solved for X_i and M_i = m[F_i] by iteration from a polynomial through the last points, with Anderson's mixing of two
iterates (Anderson 1965). After a block every second point
is kept, the means of two intervals are averaged, h is doubled, and the second half of the block is filled anew. The
means are carried along: made anew from the points that are left they would reduce the order from two to one.

X is symmetric. Rounding and the order of the factors in C_i make it unsymmetric by O(h²); the symmetric part is kept,
and the largest asymmetry reported.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit, types

from .equation import FloatArray, MCTError
from .kernel import SIGNATURE, Kernel
from .matrices import add_product, inverse

MAX_ITERATIONS = 10_000
START_LIMIT = 0.02  # rate × time up to which the short-time expansion is used

_SET = types.float64[:, :, ::1]
_HISTORY = types.float64[:, :, :, ::1]


@dataclass(frozen=True)
class Equation:
    """Coefficients of the equation, all (n_s, n_s, n_k), and its kernel.

    alpha, beta, gamma, source: as in the module's docstring; initial: F(0), from which the kernel's F = F(0) - X.
    """

    alpha: FloatArray
    beta: FloatArray
    gamma: FloatArray
    source: FloatArray
    initial: FloatArray
    kernel: Kernel


@dataclass(frozen=True)
class Trajectory:
    """F = F(0) - X and m at the times t (n_t,), both (n_t, n_k, n_s, n_s); evaluations of the kernel; asymmetry."""

    t: FloatArray
    F: FloatArray
    M: FloatArray
    evaluations: int
    asymmetry: float


def times(t_min: float, t_max: float, block: int) -> FloatArray:
    """The times of the solver: 0, then `block` of spacing t_min, then block/2 for each doubling, beyond t_max."""
    check_times(t_min, t_max, block)
    steps = [np.arange(block + 1) * t_min]
    h = t_min
    while steps[-1][-1] < t_max:
        h *= 2.0
        steps.append(np.arange(block // 2 + 1, block + 1) * h)
    return np.concatenate(steps)


def check_times(t_min: float, t_max: float, block: int) -> None:
    """Raises MCTError for times or a block that make no grid."""
    if not (np.isfinite([t_min, t_max]).all() and 0 < t_min < t_max):
        raise MCTError(f"t_min = {t_min}, t_max = {t_max}; expected 0 < t_min < t_max, both finite")
    if block < 16 or block % 4:
        raise MCTError(f"block = {block}; expected a multiple of 4, at least 16 (128 is usual)")


def integrate(equation: Equation, t: FloatArray, block: int, tolerance: float) -> Trajectory:
    """Integrate over the times t, made by `times` with the same block.

    tolerance: of the iteration for X_i, in units of sqrt(F_aa(0) F_bb(0)). Raises MCTError where the first step is too
    long for the short-time expansion, or an iteration does not converge.
    """
    if not 0 < tolerance < 1:
        raise MCTError(f"tolerance = {tolerance}; expected a small positive number such as 1e-10")
    n_s, _, n_k = equation.initial.shape
    arrays = [np.zeros((block + 1, n_s, n_s, n_k)) for _ in range(6)]
    x, m = arrays[:2]
    F, M = (np.empty((len(t), n_k, n_s, n_s)) for _ in range(2))

    def keep(low: int, high: int, at: int) -> None:
        """Points low … high - 1 of the block are those from `at` on of the whole."""
        F[at : at + high - low] = np.moveaxis(equation.initial - x[low:high], -1, 1)
        M[at : at + high - low] = np.moveaxis(m[low:high], -1, 1)

    half = block // 2
    _start(equation, t, half, x, m)
    _new_intervals(1, half, *arrays)
    keep(0, half + 1, 0)
    weight = 1 / _scale(equation.initial)
    h, done, first = float(t[1]), 0, half + 1
    evaluations, asymmetry = half + 1, 0.0
    coefficients = (equation.alpha, equation.beta, equation.gamma, equation.source, equation.initial)
    while True:
        arguments = (h, first, done, *coefficients, *arrays, weight, tolerance, MAX_ITERATIONS)
        count, failed, lack = _block(*equation.kernel, *arguments)
        if failed >= 0 or not np.isfinite(x[-1]).all():
            raise MCTError(
                f"the iteration did not converge at t = {(failed if failed >= 0 else block) * h:g} in {MAX_ITERATIONS} "
                f"evaluations of the kernel; take a larger block than {block}, or a tolerance above {tolerance:g}"
            )
        evaluations += count
        asymmetry = max(asymmetry, lack)
        keep(first, block + 1, done + first)
        done += half
        if done + half + 1 >= len(t):
            break
        _decimate(block, *arrays)
        h, first = 2 * h, half + 1
    return Trajectory(t, F, M, evaluations, asymmetry)


def _scale(initial: FloatArray) -> FloatArray:
    """sqrt(F_aa(0) F_bb(0)), one where F(0) vanishes."""
    diagonal = np.einsum("aak->ak", initial)
    diagonal = np.where(diagonal > 0, diagonal, 1.0)
    return np.ascontiguousarray(np.sqrt(diagonal[:, None] * diagonal[None]))


def _start(equation: Equation, t: FloatArray, last: int, x: FloatArray, m: FloatArray) -> None:
    """Fill the points 0 … last by the expansion in t, to t² for overdamped and to t⁴ for Newtonian motion."""
    function, parameters, _ = equation.kernel

    def by_k(array: FloatArray) -> FloatArray:
        return np.moveaxis(array, -1, 0)

    def memory(i: int) -> None:
        function(np.ascontiguousarray(equation.initial - x[i]), i, parameters, m[i])

    memory(0)
    alpha, beta, gamma, source = map(by_k, (equation.alpha, equation.beta, equation.gamma, equation.source))
    stiffness = gamma + by_k(m[0])
    newtonian = bool(equation.alpha.any())
    mobility = np.linalg.inv(alpha if newtonian else beta)
    largest = float(np.abs(mobility @ stiffness).max())
    rate = math.sqrt(largest) if newtonian else largest
    if rate * t[last] > START_LIMIT:
        raise MCTError(
            f"t_min = {t[1]:g} is too long: the fastest rate is {rate:.3g}, and the first {last} steps end at "
            f"{t[last]:.3g}; expected t_min <= {START_LIMIT / rate / last:.2g}"
        )
    orders: dict[int, FloatArray]
    if newtonian:
        second = mobility @ source
        third = -mobility @ beta @ second
        fourth = -mobility @ (beta @ third + stiffness @ second)
        orders = {2: second / 2, 3: third / 6, 4: fourth / 24}
    else:
        velocity = mobility @ source
        orders = {1: velocity, 2: -mobility @ stiffness @ velocity / 2}
    for i in range(1, last + 1):
        for power, part in orders.items():
            x[i] += np.moveaxis(part * t[i] ** power, 0, -1)
        memory(i)


@njit(types.void(types.int64, types.int64, *[_HISTORY] * 6), cache=True, nogil=True)
def _new_intervals(first, last, x, m, dx, dm, step_x, step_m):
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
def _decimate(block, x, m, dx, dm, step_x, step_m):
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
def _block(
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
        _new_intervals(i, i, x, m, dx, dm, step_x, step_m)
    return evaluations, -1, asymmetry
