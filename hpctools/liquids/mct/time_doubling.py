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

from .equation import FloatArray, MCTError
from .kernel import Kernel
from .step_block import decimate, fill_block, new_intervals

MAX_ITERATIONS = 10_000
START_LIMIT = 0.02  # rate × time up to which the short-time expansion is used


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
    if not isinstance(block, int | np.integer) or block < 16 or block % 4:
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
    new_intervals(1, half, *arrays)
    keep(0, half + 1, 0)
    weight = 1 / _scale(equation.initial)
    h, done, first = float(t[1]), 0, half + 1
    evaluations, asymmetry = half + 1, 0.0
    coefficients = (equation.alpha, equation.beta, equation.gamma, equation.source, equation.initial)
    while True:
        arguments = (h, first, done, *coefficients, *arrays, weight, tolerance, MAX_ITERATIONS)
        count, failed, lack = fill_block(*equation.kernel, *arguments)
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
        decimate(block, *arrays)
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
