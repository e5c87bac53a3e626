"""The mode-coupling equation of a liquid: its input, checked, and its coefficients.

For the matrix F_ab(k,t) = N⁻¹⟨ρ_a(-k,0) ρ_b(k,t)⟩ with F(0) = S (Götze 2009, ch. 4; Weysser et al. 2010)

    J⁻¹ ∂t F + S⁻¹ F + ∫0^t m(t-t') ∂t' F(t') dt' = 0 ,      J_ab = k² D_a x_a δ_ab              (overdamped)
    J⁻¹ ∂t² F + S⁻¹ F + ∫0^t m(t-t') ∂t' F(t') dt' = 0 ,     J_ab = k² (k_B T/m_a) x_a δ_ab      (Newtonian)

with (S⁻¹)_ab = δ_ab/x_a - ρ c_ab. The memory kernel m is in `kernel`, the integration in `time_doubling`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]

DYNAMICS = ("overdamped", "newtonian")


class MCTError(ValueError):
    """Input for which mode-coupling theory has no meaning, or a solution that was not reached."""

    user_error = True


@dataclass(frozen=True)
class Liquid:
    """Structure of a liquid on the grid k_i = (i + ½) dk, species first: the layout of the compiled code.

    k (n_k,); S, c (n_s, n_s, n_k): partial structure factors, S_ab → x_a δ_ab at large k, and direct correlation
    functions; S_inverse (n_s, n_s, n_k); density: particles a volume, all species; fractions (n_s,).
    scalar: S was given without species axes, and results are given so too.
    """

    k: FloatArray
    S: FloatArray
    c: FloatArray
    S_inverse: FloatArray
    density: float
    fractions: FloatArray
    scalar: bool

    @property
    def dk(self) -> float:
        """Spacing of the grid."""
        return float(2.0 * self.k[0])

    @property
    def n_species(self) -> int:
        """Number of species."""
        return len(self.fractions)

    def shaped(self, array: FloatArray) -> FloatArray:
        """(…, n_s, n_s, n_k) as the caller's (…, n_k, n_s, n_s), or (…, n_k) where S was given so."""
        moved = np.moveaxis(array, -1, -3)
        return np.ascontiguousarray(moved[..., 0, 0] if self.scalar else moved)

    def unshaped(self, array: ArrayLike, name: str) -> FloatArray:
        """The inverse of `shaped`, checked. Raises MCTError for a wrong shape."""
        found = np.asarray(array, float)
        expected = (len(self.k),) if self.scalar else (len(self.k), self.n_species, self.n_species)
        if found.shape != expected:
            raise MCTError(f"{name} has shape {found.shape}; expected {expected}, that of S")
        return np.ascontiguousarray(np.moveaxis(found.reshape(len(self.k), self.n_species, self.n_species), 0, -1))


def liquid(k: ArrayLike, S: ArrayLike, density: float, fractions: ArrayLike | None = None) -> Liquid:
    """Check the input of the theory and derive c(k).

    k (n_k,): wave numbers (i + ½) dk; S (n_k, n_s, n_s), or (n_k,) for one species; density: particles a volume;
    fractions (n_s,): particles of each species over all, may be left out for one species.
    Raises MCTError, which says what was found, where, and what was expected.
    """
    grid = _checked_grid(k)
    array = np.asarray(S, float)
    scalar = array.ndim == 1
    if scalar:
        array = array[:, None, None]
    if array.ndim != 3 or array.shape[1] != array.shape[2] or len(array) != len(grid):
        raise MCTError(
            f"S has shape {np.shape(S)}; expected ({len(grid)}, n_s, n_s) with n_s species, or ({len(grid)},) for one"
        )
    n_s = array.shape[1]
    x = _checked_fractions(fractions, n_s)
    if not (isinstance(density, float | int | np.number) and np.isfinite(density) and density > 0):
        raise MCTError(f"density = {density!r}; expected a positive number of particles a volume")
    _check_structure(grid, array, x)
    array = 0.5 * (array + array.transpose(0, 2, 1))
    inverse = np.linalg.inv(array)
    c = (np.diag(1 / x) - inverse) / density
    first, second, third = (np.ascontiguousarray(np.moveaxis(part, 0, -1)) for part in (array, c, inverse))
    return Liquid(grid, first, second, third, float(density), x, scalar)


def _checked_grid(k: ArrayLike) -> FloatArray:
    grid = np.ascontiguousarray(k, dtype=np.float64)
    if grid.ndim != 1 or grid.size < 3:
        raise MCTError(f"k has shape {grid.shape}; expected (n_k,) with at least 3 wave numbers")
    dk = 2.0 * grid[0]
    # relative to k itself, so that numbers of single precision pass
    bad = np.flatnonzero(~(np.abs(grid - (np.arange(grid.size) + 0.5) * dk) <= 1e-6 * grid))
    if not dk > 0 or bad.size:
        at = int(bad[0]) if dk > 0 else 0
        raise MCTError(
            f"k[{at}] = {grid[at]:g}; expected k_i = (i + ½) dk from k[0] = dk/2 = {grid[0]:g} on: interpolate S onto "
            "such a grid, the kernel's sums need it"
        )
    return grid


def _checked_fractions(fractions: ArrayLike | None, n_s: int) -> FloatArray:
    if fractions is None:
        if n_s > 1:
            raise MCTError(f"fractions are missing; S has {n_s} species, expected one number for each")
        return np.ones(1)
    x = np.atleast_1d(np.asarray(fractions, float))
    if x.shape != (n_s,):
        raise MCTError(f"fractions have shape {x.shape}; S has {n_s} species, expected ({n_s},)")
    if not (np.all(x > 0) and abs(x.sum() - 1) < 1e-6):
        raise MCTError(f"fractions are {x.tolist()}, their sum is {x.sum():g}; expected positive numbers of sum 1")
    return x / x.sum()


def _check_structure(k: FloatArray, S: FloatArray, x: FloatArray) -> None:
    bad = np.flatnonzero(~np.isfinite(S).all((1, 2)))
    if bad.size:
        raise MCTError(f"S is not finite at k[{bad[0]}] = {k[bad[0]]:g} ({bad.size} of {len(k)} wave numbers)")
    lack = np.abs(S - S.transpose(0, 2, 1)).max((1, 2))
    bad = np.flatnonzero(lack > 1e-6 * np.abs(S).max((1, 2)))
    if bad.size:
        raise MCTError(f"S is not symmetric at k[{bad[0]}] = {k[bad[0]]:g}: S_ab and S_ba differ by {lack[bad[0]]:g}")
    lowest = np.linalg.eigvalsh(S)[:, 0]
    bad = np.flatnonzero(lowest <= 0)
    if bad.size:
        raise MCTError(
            f"S is not positive definite at k[{bad[0]}] = {k[bad[0]]:g}: lowest eigenvalue {lowest[bad[0]]:g}, "
            f"expected > 0 ({bad.size} of {len(k)} wave numbers); S_ab must tend to x_a δ_ab, and be free of much noise"
        )
    # another normalisation is the commonest mistake: S_aa → 1, or S over x_a x_b
    level = np.einsum("kaa->ka", S)[-(len(k) // 4 + 1) :].mean(0)
    off = np.flatnonzero((level > 2 * x) | (level < 0.5 * x))
    if off.size:
        raise MCTError(
            f"S_aa of species {off[0]} tends to {level[off[0]]:.3g} at large k; expected its fraction, "
            f"{x[off[0]]:.3g}: S_ab is ⟨ρ_a ρ_b⟩/N with N of all particles"
        )


def per_species(values: ArrayLike, n_s: int, name: str) -> FloatArray:
    """One positive number for each species, from one for all or from n_s. Raises MCTError."""
    array = np.asarray(values, float)
    if array.shape not in ((), (1,), (n_s,)) or not (np.isfinite(array).all() and (array > 0).all()):
        raise MCTError(f"{name} = {array.tolist()}; expected one positive number, or one for each of {n_s} species")
    return np.broadcast_to(array, (n_s,)).astype(np.float64)


def inertia(
    structure: Liquid, dynamics: str, diffusion: ArrayLike, temperature: float, masses: ArrayLike
) -> tuple[FloatArray, FloatArray]:
    """Coefficients (n_s, n_s, n_k) of ∂t² F and of ∂t F: one of them is J⁻¹, the other zero.

    diffusion: D_a of overdamped motion; temperature k_B T and masses m_a of Newtonian motion. Raises MCTError.
    """
    if dynamics not in DYNAMICS:
        raise MCTError(f"dynamics = {dynamics!r}; expected one of {', '.join(DYNAMICS)}")
    n_s = structure.n_species
    if dynamics == "overdamped":
        speed = per_species(diffusion, n_s, "diffusion")
    else:
        speed = per_species(temperature, 1, "temperature")[0] / per_species(masses, n_s, "masses")
    inverse = np.zeros_like(structure.S)
    for a in range(n_s):
        inverse[a, a] = 1.0 / (structure.k**2 * speed[a] * structure.fractions[a])
    zero = np.zeros_like(inverse)
    return (zero, inverse) if dynamics == "overdamped" else (inverse, zero)
