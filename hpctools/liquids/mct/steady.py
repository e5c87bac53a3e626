"""Long-time limits: the non-ergodicity parameters F∞ = lim F(t).

They solve F = S - (S⁻¹ + m[F])⁻¹. Iterated from F = S the map falls, in the order of positive matrices, to its largest
solution, which is the one that the dynamics reaches (Götze and Sjögren 1995; Franosch and Voigtmann 2002): zero in
the liquid, positive in the glass.
"""

from __future__ import annotations

import numpy as np
from numba import njit, types
from numpy.typing import ArrayLike

from .equation import FloatArray, Liquid, MCTError, liquid
from .kernel import SIGNATURE, Kernel, liquid_memory
from .matrices import add_product, inverse

BURST = 24  # plain iterations between two extrapolations
VANISHED = 1e-6  # of sqrt(S_aa S_bb): below, F falls to zero, each iteration squaring it
ROUNDING = 1e-15  # changes below are those of the kernel's rounding
TOLERANCE = 1e-11
MAX_ITERATIONS = 1_000_000

_SET = types.float64[:, :, ::1]


def nonergodicity(
    k: ArrayLike, S: ArrayLike, density: float, fractions: ArrayLike | None = None, *, tolerance: float = TOLERANCE
) -> FloatArray:
    """Long-time limit F∞ of the correlators, in the shape of S; zero in the liquid.

    k (n_k,): (i + ½) dk; S (n_k, n_s, n_s), or (n_k,) for one species; density: particles a volume; fractions (n_s,).
    tolerance: estimated error of F∞ in units of sqrt(S_aa S_bb). Raises MCTError.
    """
    structure = liquid(k, S, density, fractions)
    return structure.shaped(largest_solution(structure.S, structure.S_inverse, liquid_memory(structure), tolerance))


def nonergodicity_of(structure: Liquid, tolerance: float = TOLERANCE) -> FloatArray:
    """F∞ (n_s, n_s, n_k) of a checked structure."""
    return largest_solution(structure.S, structure.S_inverse, liquid_memory(structure), tolerance)


def largest_solution(
    S: FloatArray, S_inverse: FloatArray, kernel: Kernel, tolerance: float = TOLERANCE
) -> FloatArray:
    """The largest F (n_s, n_s, n_k) with F = S - (S⁻¹ + m[F])⁻¹, for any kernel. Raises MCTError."""
    F = S.copy()
    diagonal = np.sqrt(np.einsum("aak->ak", S))
    scale = np.ascontiguousarray(diagonal[:, None] * diagonal[None])
    function, parameters, _ = kernel
    count = _fall(function, parameters, S, S_inverse, scale, F, tolerance, MAX_ITERATIONS)
    if count < 0:
        raise MCTError(
            f"F∞ did not converge to {tolerance:g} in {MAX_ITERATIONS:,} iterations: the state is too close to its "
            "transition for this tolerance"
        )
    return F


@njit(cache=True, nogil=True)
def _map(kernel, parameters, S, S_inverse, F, m, work, R, out):
    """out = S - (S⁻¹ + m[F])⁻¹ = S m (S⁻¹ + m)⁻¹, which keeps its digits where F is small; R the inverse."""
    n_s, _, n_k = F.shape
    kernel(F, 0, parameters, m)
    for a in range(n_s):
        for b in range(n_s):
            for k in range(n_k):
                work[a, b, k] = S_inverse[a, b, k] + m[a, b, k]
                out[a, b, k] = 0.0
    inverse(work, R)
    for a in range(n_s):
        for b in range(n_s):
            for k in range(n_k):
                work[a, b, k] = 0.0
    add_product(S, m, work, 1.0)
    add_product(work, R, out, 1.0)
    for a in range(n_s):
        for b in range(a + 1, n_s):
            for k in range(n_k):
                mean = 0.5 * (out[a, b, k] + out[b, a, k])
                out[a, b, k] = mean
                out[b, a, k] = mean


@njit(
    types.int64(types.FunctionType(SIGNATURE), types.float64[::1], *[_SET] * 4, types.float64, types.int64),
    cache=True, nogil=True,
)  # fmt: skip
def _fall(kernel, parameters, S, S_inverse, scale, F, tolerance, max_iterations):
    """Iterate F in place to the fixed point; returns the number of iterations, or -1.

    Near a transition the change falls as a geometric series of ratio E → 1. After a burst of iterations, when it is
    along one direction, nine tenths of the rest of the series is added. Seen along that direction this is Newton's
    method for a convex function from above: it cannot pass the fixed point, and where there is none, in the liquid, the
    ratio passes one, and the plain iteration goes on to zero.
    """
    n_s, _, n_k = F.shape
    m = np.zeros_like(F)
    work = np.empty_like(F)
    R = np.empty_like(F)
    new = np.empty_like(F)
    change = np.zeros_like(F)
    since = 0  # iterations since the last extrapolation
    for count in range(1, max_iterations + 1):
        _map(kernel, parameters, S, S_inverse, F, m, work, R, new)
        squares = 0.0
        product = 0.0
        largest = 0.0
        height = 0.0
        for a in range(n_s):
            for b in range(n_s):
                for k in range(n_k):
                    d = (new[a, b, k] - F[a, b, k]) / scale[a, b, k]
                    squares += change[a, b, k] * change[a, b, k]
                    product += d * change[a, b, k]
                    largest = max(largest, abs(d))
                    height = max(height, new[a, b, k] / scale[a, b, k])
                    change[a, b, k] = d
                    F[a, b, k] = new[a, b, k]
        if height < VANISHED:
            for a in range(n_s):
                for b in range(n_s):
                    for k in range(n_k):
                        F[a, b, k] = 0.0
            return count
        ratio = product / squares if squares > 0.0 else 0.0
        since += 1
        if largest < ROUNDING or (since > 2 and 0.0 <= ratio < 1.0 and largest * ratio / (1.0 - ratio) < tolerance):
            return count
        if since >= BURST and 0.5 < ratio < 1.0:
            since = 0
            jump = 0.9 * ratio / (1.0 - ratio)
            for a in range(n_s):  # but never by more than a third of F_aa(k)
                for k in range(n_k):
                    fall = -change[a, a, k] * scale[a, a, k]
                    if fall * jump > F[a, a, k] / 3.0:
                        jump = F[a, a, k] / 3.0 / fall
            for a in range(n_s):
                for b in range(n_s):
                    for k in range(n_k):
                        F[a, b, k] += jump * change[a, b, k] * scale[a, b, k]
    return -1
