"""Motion of single particles: F_s(k,t), its long-time limit, and the mean-squared displacement.

For a particle of species a in the liquid, with A = cFc (Götze 2009, § 4.3; Fuchs, Götze and Mayr 1998)

    ∂t F_s/(k² D) + F_s + ∫0^t m_s(t-t') ∂t' F_s dt' = 0 ,  m_s(k) = ρ/k² ∫ d³q/(2π)³ (k̂·q)² A_aa(q) F_s(|k-q|) ,
    ∂t δr²/D + ∫0^t m_0(t-t') ∂t' δr² dt' = 6 ,             m_0 = ρ/(6π²) ∫ dq q⁴ A_aa(q) F_s(q) = lim k² m_s(k) ,

or with ∂t²/(k² v²) and ∂t²/v², v² = k_B T/m, for Newtonian motion. In a glass F_s tends to the Lamb-Mössbauer factor
f_s = 1/(1 + m_s[f_s]), and δr² to 6 r_s² with r_s² = 1/m_0.

At the grid's first two or three wave numbers the sums over |q-p| ≤ k have few terms, and m_s(k) comes out too small,
most of all at k = dk/2; m_0 is a sum over the whole grid and does not suffer, so small k are better taken from δr².
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from . import time_doubling
from .equation import FloatArray, Liquid, MCTError, inertia, liquid
from .kernel import Kernel, given_memory, mode_prefactor, tagged_kernel
from .solver import Solution, crossing


@dataclass(frozen=True)
class TaggedParticle:
    """Motion of a particle of one species, on the times of the liquid's solution.

    t (n_t,); F_s, M_s (n_t, n_k); msd (n_t,) in units of 1/k²; M_0 (n_t,): memory of the msd.
    """

    t: FloatArray
    F_s: FloatArray
    M_s: FloatArray
    msd: FloatArray
    M_0: FloatArray
    k: FloatArray
    species: int

    def relaxation_time(self, k: float, level: float = float(np.exp(-1))) -> float:
        """Time at which F_s falls to `level` at the grid's wave number nearest to k; infinite where it does not."""
        return crossing(self.t, self.F_s[:, int(np.abs(self.k - k).argmin())], level)

    @property
    def localisation_length(self) -> float:
        """r_s = sqrt(δr²/6) at the last time; the localisation length if that is a glass's plateau."""
        return float(np.sqrt(self.msd[-1] / 6))


def tagged_particle(solution: Solution, species: int = 0) -> TaggedParticle:
    """F_s(k,t) and δr²(t) of a particle of a species, from a solution for the liquid.

    Raises MCTError for a species that is not there.
    """
    structure = solution.structure
    _check_species(structure, species)
    F = solution.F if solution.F.ndim == 4 else solution.F[:, :, None, None]
    A = _force_correlation(structure, np.moveaxis(F, 1, -1), species)
    motion = solution.motion
    full = inertia(structure, motion.dynamics, motion.diffusion, motion.temperature, motion.masses)
    x = structure.fractions[species]
    second, first = (x * np.ascontiguousarray(part[species, species][None, None]) for part in full)
    one = np.ones_like(second)
    kernel = Kernel(tagged_kernel, np.concatenate([mode_prefactor(structure), A.ravel()]))
    settings = (solution.t, solution.block, solution.tolerance)
    path = time_doubling.integrate(time_doubling.Equation(second, first, one, one, one, kernel), *settings)
    F_s = path.F[:, :, 0, 0]
    M_0 = _localising_force(structure, A, F_s)
    unit = np.ones((1, 1, 1))
    at_k = structure.k[0] ** 2  # second and first are those of k, over k²
    distance = time_doubling.Equation(
        second[..., :1] * at_k, first[..., :1] * at_k, 0 * unit, 6 * unit, 0 * unit,
        given_memory(M_0[:, None, None, None]),
    )  # fmt: skip
    msd = -time_doubling.integrate(distance, *settings).F[:, 0, 0, 0]
    return TaggedParticle(path.t, F_s, path.M[:, :, 0, 0], msd, M_0, structure.k, species)


def lamb_moessbauer(
    k: ArrayLike,
    S: ArrayLike,
    density: float,
    fractions: ArrayLike | None,
    F_inf: ArrayLike,
    species: int = 0,
    tolerance: float = 1e-12,
) -> tuple[FloatArray, float]:
    """Lamb-Mössbauer factor f_s(k) (n_k,) of a particle in a glass, and its localisation length r_s.

    F_inf: the result of `nonergodicity`, in the shape of S. In a liquid f_s = 0 and r_s is infinite.
    Raises MCTError.
    """
    structure = liquid(k, S, density, fractions)
    _check_species(structure, species)
    A = _force_correlation(structure, structure.unshaped(F_inf, "F_inf"), species)
    parameters = np.concatenate([mode_prefactor(structure), A])
    f = np.ones((1, 1, len(structure.k)))
    m = np.empty_like(f)
    for _ in range(1_000_000):
        tagged_kernel(f, 0, parameters, m)
        new = m / (1.0 + m)
        change = np.abs(new - f).max()
        f = new
        if change < tolerance:
            break
    else:
        raise MCTError(f"the Lamb-Mössbauer factor did not converge to {tolerance:g}; take a larger tolerance")
    if f.max() < 1e-6:
        return np.zeros(len(structure.k)), float("inf")
    return f[0, 0], float(1 / np.sqrt(_localising_force(structure, A, f[0, 0])))


def _check_species(structure: Liquid, species: int) -> None:
    if not 0 <= species < structure.n_species:
        raise MCTError(f"species = {species}; expected 0 … {structure.n_species - 1}")


def _force_correlation(structure: Liquid, F: FloatArray, species: int) -> FloatArray:
    """A_aa = (cFc)_aa (…, n_k) from F (…, n_s, n_s, n_k)."""
    c = structure.c[species]
    return np.einsum("ak,...abk,bk->...k", c, F, c)


def _localising_force(structure: Liquid, A: FloatArray, F_s: FloatArray) -> FloatArray:
    """m_0 (…) from A and F_s (…, n_k)."""
    return structure.density * structure.dk / (6 * np.pi**2) * np.sum(structure.k**4 * A * F_s, axis=-1)
