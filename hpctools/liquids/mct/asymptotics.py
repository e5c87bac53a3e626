"""Stability of the glass state and the exponents of its dynamics near a transition.

With R = S - F∞, the linear part of the map of `steady` is C[H] = R (2 m[F∞, H]) R, and its largest eigenvalue E is one
at a transition. With its right and left eigenvectors H, Ĥ there, to second order in F - F∞ = H G(t),

    λ = ⟨Ĥ, R m[H, H] R⟩ / ⟨Ĥ, H R⁻¹ H⟩                     (Götze 1985; for mixtures Voigtmann 2003)
    λ = Γ(1-a)²/Γ(1-2a) = Γ(1+b)²/Γ(1+2b) ,  γ = 1/2a + 1/2b ,

the exponents of the approach to the plateau, F - F∞ ~ t^-a, of the departure, ~ -t^b, and of the time of relaxation,
τ ~ |distance|^-γ.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .equation import FloatArray, Liquid, MCTError, liquid
from .kernel import Kernel, liquid_memory


class Exponents(NamedTuple):
    """Exponent parameter λ, critical exponent a, von Schweidler exponent b, γ of the time of relaxation."""

    lambda_: float
    a: float
    b: float
    gamma: float


class Stability(NamedTuple):
    """Largest eigenvalue E of the linear map, one at a transition, and λ from its eigenvectors."""

    eigenvalue: float
    lambda_: float


def exponents(lambda_: float) -> Exponents:
    """a, b and γ of an exponent parameter in [½, 1). Raises MCTError."""
    if not 0.5 <= lambda_ < 1.0:
        raise MCTError(f"lambda = {lambda_}; expected a number in [0.5, 1)")
    a = _root(lambda x: math.gamma(1 - x) ** 2 / math.gamma(1 - 2 * x) - lambda_, 0.0, 0.3954)
    b = _root(lambda x: math.gamma(1 + x) ** 2 / math.gamma(1 + 2 * x) - lambda_, 0.0, 1.0)
    return Exponents(lambda_, a, b, 0.5 / a + 0.5 / b)


def exponents_of(
    k: ArrayLike, S: ArrayLike, density: float, fractions: ArrayLike | None, F_inf: ArrayLike
) -> tuple[float, Exponents]:
    """Eigenvalue E and exponents of a glass with F∞ = F_inf, in the shape of S.

    They are those of the transition where E is close to one; λ is off by an amount of order 1 - E.
    Raises MCTError, also where F_inf is zero, and with the value of E where it is so far from one that λ is none.
    """
    structure = liquid(k, S, density, fractions)
    found = stability(structure, structure.unshaped(F_inf, "F_inf"))
    if not 0.5 <= found.lambda_ < 1.0:
        raise MCTError(f"E = {found.eigenvalue:.4g} gives λ = {found.lambda_:.4g}, outside [0.5, 1); expected a glass "
                       "close to the transition, E → 1 (see critical_point)")
    return found.eigenvalue, exponents(found.lambda_)


def stability(structure: Liquid, F: FloatArray, kernel: Kernel | None = None) -> Stability:
    """E and λ of a glass with F∞ = F (n_s, n_s, n_k). Raises MCTError where F vanishes."""
    if not (F > 0).any():
        raise MCTError("F∞ is zero: a liquid has neither E nor λ; take a state in the glass")
    function, parameters, _ = kernel or liquid_memory(structure)
    n_s, _, n_k = F.shape
    rows, columns = np.triu_indices(n_s)
    R = np.moveaxis(structure.S - F, -1, 0)

    def memory(f: FloatArray) -> FloatArray:
        out = np.empty_like(f)
        function(f, 0, parameters, out)
        return out

    def dressed(m: FloatArray) -> FloatArray:
        """The elements a ≤ b (n_pairs, n_k) of R m R."""
        return np.moveaxis(R @ np.moveaxis(m, -1, 0) @ R, 0, -1)[rows, columns]

    def matrices(vector: FloatArray) -> FloatArray:
        full = np.zeros((n_s, n_s, n_k))
        full[rows, columns] = full[columns, rows] = vector.reshape(len(rows), n_k)
        return full

    # The kernel is bilinear: 2 m[F, H] = (m[F+H] - m[F-H])/2 exactly.
    size = len(rows) * n_k
    unit = np.sqrt(structure.S[rows, rows] * structure.S[columns, columns]).ravel()
    linear = np.empty((size, size))
    for i in range(size):
        step = np.zeros(size)
        step[i] = unit[i]
        H = matrices(step)
        linear[:, i] = dressed(0.5 * (memory(F + H) - memory(F - H))).ravel() / unit[i]
    value, right = _largest(linear, unit)
    _, left = _largest(linear.T, 1 / unit)
    H = matrices(right)
    by_k = np.moveaxis(H, -1, 0)
    curvature = np.moveaxis(by_k @ np.linalg.inv(R) @ by_k, 0, -1)[rows, columns].ravel()
    return Stability(value, float(left @ dressed(memory(H)).ravel() / (left @ curvature)))


def _largest(matrix: FloatArray, unit: FloatArray) -> tuple[float, FloatArray]:
    """Largest eigenvalue and its vector by the power method; the map keeps the order of positive matrices."""
    vector = unit / np.linalg.norm(unit)
    value = 0.0
    for _ in range(20_000):
        new = matrix @ vector
        last, value = value, float(np.linalg.norm(new))
        new /= value
        if abs(value - last) < 1e-14 * value and np.abs(new - vector).max() < 1e-12:
            break
        vector = new
    return value, new


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    """The zero of a falling function by bisection, to rounding."""
    for _ in range(100):
        middle = 0.5 * (low + high)
        if function(middle) > 0:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)
