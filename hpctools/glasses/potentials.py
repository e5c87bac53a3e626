"""Pair and three-body energies and forces in closed form. Energies in eV, forces in eV/Å, distances in Å.

All functions take distances of any shape and return (energy, force) of that shape; the force is -dE/dr. Beyond its
cut-off a short-range term is zero, without a shift, as LAMMPS has it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

COULOMB = 14.399645  # eV Å/e², as in LAMMPS units metal
Array = NDArray[np.float64]


def pedone(r: ArrayLike, D: float, a: float, r0: float, C: float) -> tuple[Array, Array]:
    """D [(1 - e^{-a(r - r0)})² - 1] + C/r¹² (A. Pedone et al., J. Phys. Chem. B 110:11780, 2006, eq. 1)."""
    r = np.asarray(r, float)
    x = np.exp(-a * (r - r0))
    return D * (x * x - 2 * x) + C / r**12, 2 * a * D * (x * x - x) + 12 * C / r**13


def buck(r: ArrayLike, A: float, rho: float, C: float) -> tuple[Array, Array]:
    """A e^{-r/ρ} - C/r⁶ (R. A. Buckingham 1938)."""
    r = np.asarray(r, float)
    x = A * np.exp(-r / rho)
    return x - C / r**6, x / rho - 6 * C / r**7


def mie(r: ArrayLike, epsilon: float, sigma: float, repulsive: float, attractive: float) -> tuple[Array, Array]:
    """c ε [(σ/r)ⁿ - (σ/r)ᵐ] with c = n/(n-m) (n/m)^{m/(n-m)}, so that the well is ε deep (G. Mie 1903)."""
    r = np.asarray(r, float)
    n, m = repulsive, attractive
    c = n / (n - m) * (n / m) ** (m / (n - m)) * epsilon
    high, low = (sigma / r) ** n, (sigma / r) ** m
    return c * (high - low), c * (n * high - m * low) / r


SHORT_RANGE: dict[str, Callable[..., tuple[Array, Array]]] = {"pedone": pedone, "buck": buck, "mie": mie}
"""Forms of short-range terms, by the names of a field file's tables."""


def dsf(r: ArrayLike, charges: float, damping: float, cutoff: float) -> tuple[Array, Array]:
    """Damped Coulomb term with energy and force shifted to zero at the cut-off (C. J. Fennell, J. D. Gezelter,
    J. Chem. Phys. 124:234104, 2006, eq. 18); `charges` is the product of the two charges in e²."""
    from scipy.special import erfc

    r = np.asarray(r, float)

    def bare(x: Array | float) -> tuple[Array, Array]:
        screened = erfc(damping * x) / x
        gauss = 2 * damping / np.sqrt(np.pi) * np.exp(-((damping * x) ** 2))
        return screened, (screened + gauss) / x

    energy, force = bare(r)
    energy_cut, force_cut = bare(cutoff)
    scale = COULOMB * charges
    inside = r < cutoff
    return (
        np.where(inside, scale * (energy - energy_cut + force_cut * (r - cutoff)), 0.0),
        np.where(inside, scale * (force - force_cut), 0.0),
    )


def dsf_self_energy(squared_charges: float, damping: float, cutoff: float) -> float:
    """The constant that LAMMPS adds to the energy in `coul/dsf`, in eV; squared_charges is Σ q² in e²."""
    from scipy.special import erfc

    screened = erfc(damping * cutoff) / cutoff
    force_cut = screened / cutoff + 2 * damping / np.sqrt(np.pi) * np.exp(-((damping * cutoff) ** 2)) / cutoff
    shift = screened + force_cut * cutoff
    return float(-COULOMB * squared_charges * (shift / 2 + damping / np.sqrt(np.pi)))


def screen(r: float, rho: float) -> tuple[float, float]:
    """e^{-r/ρ} and its slope (1/Å), the weight of a leg of a three-body term; r and ρ in Å."""
    value = float(np.exp(-r / rho))
    return value, -value / rho


def smooth_screen(r: float, strength: float, cutoff: float) -> tuple[float, float]:
    """e^{s/(r - c)} and its slope (1/Å), with s the strength and c the cut-off, where all derivatives vanish; 0 beyond.

    The weight of F. H. Stillinger, T. A. Weber, Phys. Rev. B 31:5262 (1985). Lengths in Å.
    """
    if r >= cutoff:
        return 0.0, 0.0
    value = float(np.exp(strength / (r - cutoff)))
    return value, -value * strength / (r - cutoff) ** 2


def bend(r1: ArrayLike, r2: ArrayLike, half_k: float, theta0: float, weight1: tuple[float, float],
         weight2: tuple[float, float]) -> tuple[Array, Array]:
    """Energy and forces on the two outer atoms of half_k (θ - θ0)² w1(|r1|) w2(|r2|).

    r1, r2 : (3,), from the atom at the apex to the outer ones, Å. theta0 in degrees, half_k in eV/rad².
    weight1, weight2 : value and slope of the weights of the legs (`screen`, `smooth_screen`).
    Returns the energy () and the forces (2, 3); the apex takes minus their sum.
    """
    r1, r2 = np.asarray(r1, float), np.asarray(r2, float)
    d1, d2 = np.linalg.norm(r1), np.linalg.norm(r2)
    u1, u2 = r1 / d1, r2 / d2
    cosine = float(np.clip(u1 @ u2, -1, 1))
    theta = np.arccos(cosine)
    sine = max(np.sqrt(1 - cosine**2), 1e-12)
    off = theta - np.radians(theta0)
    (w1, slope1), (w2, slope2) = weight1, weight2
    bare = half_k * off**2
    slope = 2 * half_k * off * w1 * w2  # dE/dθ
    force1 = -bare * slope1 * w2 * u1 + slope / sine * (u2 - cosine * u1) / d1
    force2 = -bare * w1 * slope2 * u2 + slope / sine * (u1 - cosine * u2) / d2
    return np.asarray(bare * w1 * w2), np.array([force1, force2])
