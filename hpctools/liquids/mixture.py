"""Binary mixtures of Kob and Andersen: their pair potentials and the number of particles.

Lennard-Jones (Kob & Andersen, Phys. Rev. E 51 (1995) 4626) and its purely repulsive truncation (Weeks,
Chandler & Andersen, J. Chem. Phys. 54 (1971) 5237). Both are truncated at a cut-off of each pair and
shifted to zero there; the force is not shifted.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np

from hpctools.stop import USAGE

MCT_TEMPERATURES = {
    "LJ": {1.2: 0.90, 1.4: 1.87, 1.6: 3.53, 1.8: 5.10},
    "WCA": {1.2: 0.74, 1.4: 1.77, 1.6: 3.49, 1.8: 5.10},
}
"""Critical temperatures of mode-coupling theory in ε_AA/k_B by potential and density: table 1 of Ciarella et al.,
Mach. Learn.: Sci. Technol. 4 (2023) 025010."""

OWN_MCT_TEMPERATURES = Path(__file__).parent.parent / "data" / "liquids" / "t_mct.csv"
"""The same from the shipped structure factors."""


class MixtureError(ValueError):
    """A mixture or a state of it that makes no sense."""

    user_error = True
    exit_code = USAGE


@dataclass(frozen=True)
class Mixture:
    """An 80 : 20 mixture of A and B with equal masses.

    Attributes
    ----------
    name : "LJ" or "WCA".
    cutoff_factor : the cut-off of each pair in units of its own σ.
    """

    name: str
    cutoff_factor: float
    species = ("A", "B")
    fractions = (0.8, 0.2)

    @cached_property
    def epsilon(self) -> np.ndarray:
        """(2, 2) depths of the wells in ε_AA."""
        return np.array([[1.0, 1.5], [1.5, 0.5]])

    @cached_property
    def sigma(self) -> np.ndarray:
        """(2, 2) diameters in σ_AA."""
        return np.array([[1.0, 0.8], [0.8, 0.88]])

    @cached_property
    def cutoff(self) -> np.ndarray:
        """(2, 2) cut-offs in σ_AA."""
        return self.cutoff_factor * self.sigma

    def counts(self, density: float, box_length: float) -> tuple[int, int]:
        """Particles of A and of B in a cubic box of this length (σ_AA) at this number density (σ_AA⁻³).

        Raises MixtureError where the density asks for a fraction of a particle, since the run would then
        be at another density than its name says, where one species would have no particle, or where the box is too
        small for the potential.
        """
        total = density * box_length**3
        if not (density > 0 and box_length > 0) or abs(total - round(total)) > 1e-6 * max(total, 1.0):
            raise MixtureError(f"density {density:g} in a box of length {box_length:g} makes {total:g} particles; "
                               "expected a whole number")
        if box_length < 2 * self.cutoff.max():
            raise MixtureError(f"box length {box_length:g}; expected at least twice the longest cut-off, "
                               f"{2 * self.cutoff.max():g}")
        b = round(self.fractions[1] * round(total))
        if not 0 < b < round(total):
            raise MixtureError(f"density {density:g} in a box of length {box_length:g} makes {round(total) - b} A and "
                               f"{b} B; expected some of both")
        return round(total) - b, b

    def pair_energy(self, r: np.ndarray, a: int, b: int) -> np.ndarray:
        """Energy of a pair of species a and b (0: A, 1: B) at distance r (σ_AA), in ε_AA."""
        def unshifted(distance: np.ndarray | float) -> np.ndarray:
            sixth = (self.sigma[a, b] / np.asarray(distance, float)) ** 6
            return 4 * self.epsilon[a, b] * (sixth**2 - sixth)

        return np.where(r < self.cutoff[a, b], unshifted(r) - unshifted(self.cutoff[a, b]), 0.0)

    def pair_curvature(self, r: np.ndarray, a: int, b: int) -> np.ndarray:
        """∇²u of the same pair, in ε_AA/σ_AA²; the jump of the force at the cut-off is left out."""
        sixth = (self.sigma[a, b] / np.asarray(r, float)) ** 6
        return np.where(r < self.cutoff[a, b], 4 * self.epsilon[a, b] * (132 * sixth**2 - 30 * sixth) / r**2, 0.0)


MIXTURES = {"LJ": Mixture("LJ", 2.5), "WCA": Mixture("WCA", 2 ** (1 / 6))}


def mixture(name: str) -> Mixture:
    """The mixture of this name; raises MixtureError with the known names."""
    try:
        return MIXTURES[name]
    except KeyError:
        raise MixtureError(f"potential {name!r} is unknown; expected one of {', '.join(MIXTURES)}") from None


def printed_mct_temperature(potential: str, density: float) -> float:
    """Critical temperature of mode-coupling theory in print, between the densities as a power law, in ε_AA/k_B.

    Designs of campaigns are in units of it. Raises MixtureError outside ρ = 1.2 … 1.8, where nothing is in print.
    """
    return _between(MCT_TEMPERATURES[mixture(potential).name], density)


def mct_temperature(potential: str, density: float) -> float:
    """Critical temperature of mode-coupling theory from our own S(k), between the densities as a power law.

    In ε_AA/k_B. From the shipped table, which analysis/liquid_mct_table.py makes (grid dk = 0.2); figures and transfers
    are in units of it. Raises MixtureError outside ρ = 1.2 … 1.8.
    """
    return _between(read_mct_temperatures(OWN_MCT_TEMPERATURES)[mixture(potential).name], density)


@cache
def read_mct_temperatures(path: Path) -> dict[str, dict[float, float]]:
    """T_mct by potential and density from a table of analysis/liquid_mct_table.py. Raises MixtureError."""
    out: dict[str, dict[float, float]] = {}
    try:
        with open(path, newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                if row["grid"] == "0.2":
                    out.setdefault(row["potential"], {})[float(row["density"])] = float(row["t_mct"])
    except (OSError, KeyError, ValueError) as error:
        raise MixtureError(f"{path}: expected the CSV file of analysis/liquid_mct_table.py --out ({error})") from error
    return out


def _between(table: dict[float, float], density: float) -> float:
    densities = np.array(sorted(table))
    if not densities[0] <= density <= densities[-1]:
        raise MixtureError(f"density {density:g}: a temperature in units of T_mct is known only for "
                           f"{densities[0]:g} … {densities[-1]:g}; give the temperature itself")
    values = np.log([table[d] for d in densities])
    return float(np.exp(np.interp(np.log(density), np.log(densities), values)))
