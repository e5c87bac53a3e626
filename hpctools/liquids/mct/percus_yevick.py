"""Percus-Yevick structure factors of hard spheres and of their additive mixtures.

Baxter's factorisation (Baxter 1970; Hiroike 1979): with x_i the fractions and ρ_i the densities,

    δ_ij - √(ρ_i ρ_j) c_ij(k) = Σ_l Q_li(-k) Q_lj(k) ,
    Q_ij(k) = δ_ij - 2π √(ρ_i ρ_j) ∫_S^R [½ a_i (r² - R²) + b_i (r - R)] exp(ikr) dr ,
    R = (σ_i + σ_j)/2 ,  S = (σ_i - σ_j)/2 ,
    a_i = (1 - ξ3 + 3 σ_i ξ2)/(1 - ξ3)² ,  b_i = -(3/2) σ_i² ξ2/(1 - ξ3)² ,  ξ_n = (π/6) Σ ρ_l σ_l^n ,

for any number of species. The integrals are taken by Gauss-Legendre quadrature with more nodes than the integrand
has turns, so that they hold to rounding at every k; the closed form loses digits at small k.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .equation import FloatArray, MCTError


def wave_numbers(n_k: int = 100, k_max: float = 40.0) -> FloatArray:
    """The grid k_i = (i + ½) k_max/n_k (n_k,); by default the one of Franosch et al. (1997), with σ = 1."""
    if n_k < 3 or n_k != int(n_k) or not 0 < k_max < np.inf:
        raise MCTError(f"n_k = {n_k}, k_max = {k_max}; expected at least 3 wave numbers up to a positive k_max")
    return np.asarray((np.arange(n_k) + 0.5) * (k_max / n_k))


def hard_spheres(k: ArrayLike, packing: float, diameter: float = 1.0) -> tuple[FloatArray, float]:
    """S(k) (n_k,) of hard spheres, and their density.

    packing: π ρ σ³/6, in (0, 1). Raises MCTError.
    """
    S, density = hard_sphere_mixture(k, packing, [diameter], [1.0])
    return S[:, 0, 0], density


def hard_sphere_mixture(
    k: ArrayLike, packing: float, diameters: ArrayLike, fractions: ArrayLike
) -> tuple[FloatArray, float]:
    """S_ab(k) (n_k, n_s, n_s) of a mixture of hard spheres, normalised to x_a δ_ab at large k, and its density.

    packing: ξ3, the volume of all spheres over that of the system; diameters, fractions (n_s,). Raises MCTError.
    """
    q, sigma, x = (np.atleast_1d(np.asarray(values, float)) for values in (k, diameters, fractions))
    if q.ndim != 1 or not np.isfinite(q).all():
        raise MCTError(f"k has shape {q.shape}, {(~np.isfinite(q)).sum()} of its numbers are not finite; expected "
                       "(n_k,) finite wave numbers")
    if not 0 < packing < 1:
        raise MCTError(f"packing = {packing}; expected a packing fraction in (0, 1)")
    if sigma.ndim != 1 or sigma.shape != x.shape or not ((sigma > 0).all() and (x > 0).all()):
        raise MCTError(f"diameters {sigma.tolist()}, fractions {x.tolist()}; expected as many of both, all positive")
    if abs(x.sum() - 1) > 1e-6:
        raise MCTError(f"fractions are {x.tolist()}, their sum is {x.sum():g}; expected 1")
    density = packing / (np.pi / 6 * np.sum(x * sigma**3))
    rho = density * x
    xi2 = np.pi / 6 * np.sum(rho * sigma**2)
    a = (1 - packing + 3 * sigma * xi2) / (1 - packing) ** 2
    b = -1.5 * sigma**2 * xi2 / (1 - packing) ** 2
    nodes, weights = np.polynomial.legendre.leggauss(32 + int(np.abs(q).max() * sigma.max()))
    n_s = len(x)
    Q = np.zeros((len(q), n_s, n_s), complex)
    for i in range(n_s):
        for j in range(n_s):
            R, half = 0.5 * (sigma[i] + sigma[j]), 0.5 * sigma[j]
            r = R - half + half * nodes
            inner = 0.5 * a[i] * (r**2 - R**2) + b[i] * (r - R)
            integral = np.exp(1j * np.outer(q, r)) @ (inner * weights * half)
            Q[:, i, j] = (i == j) - 2 * np.pi * np.sqrt(rho[i] * rho[j]) * integral
    inverse = np.einsum("kli,klj->kij", Q.conj(), Q).real
    return np.sqrt(np.outer(x, x)) * np.linalg.inv(inverse), float(density)
