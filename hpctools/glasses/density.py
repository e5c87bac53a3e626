"""Densities of glasses at room temperature, as the start of a simulation and to compare with."""

from __future__ import annotations

from dataclasses import dataclass

from hpctools.stop import USAGE

from .boron import K_MAX, ratios, yun_bray_dell
from .composition import AVOGADRO, Composition, counts, oxide_mass

FLUEGEL = "Fluegel 2007"
SILICA = 2.20  # g/cm³
# cm³/mol. SiO2, BO3: from the densities of the pure glasses (2.20, 1.84 g/cm³); the other values make the sum agree
# with Fluegel's densities where those hold: 2.4 % rms, 5.6 % at most over 183 glasses with K 2.5 to 6, R 0.3 to 2 and 0
# to 20 mol % of a dopant (tests/glasses/test_composition.py).
_VOLUMES = {"SiO2": 27.3, "Na2O": 18.0, "BaO": 22.0, "ZnO": 14.5, "TiO2": 21.0}
_BO3, _BO4 = 18.9, 9.6


class DensityError(ValueError):
    """A glass whose density cannot be estimated."""

    user_error = True
    exit_code = USAGE


@dataclass(frozen=True)
class Density:
    """A density in g/cm³ and where it comes from."""

    value: float
    source: str


def fluegel(glass: Composition) -> float | None:
    """Density in g/cm³ at 20 °C by the regression of A. Fluegel (J. Am. Ceram. Soc. 90:2622, 2007), or None where it
    does not hold: B2O3 > 25 mol %, Na2O < 5 mol %, or other oxides than those of the six elements."""
    na, b, ba, zn, ti = (glass[oxide] for oxide in ("Na2O", "B2O3", "BaO", "ZnO", "TiO2"))
    if b > 25 or na < 5 or not set(glass.percent) <= {"SiO2", "B2O3", "Na2O", "BaO", "ZnO", "TiO2"}:
        return None
    return (
        2.121560704
        + (0.018129123 - 0.000264838 * na + 1.614e-6 * na**2) * na
        + (0.00579283 + 0.000129174 * b - 1.9887e-5 * b**2) * b
        + _dopants(ba, zn, ti)
        + 0.000242157 * na * b
        - 0.000171693 * na * ba
        - 0.000155275 * na * zn
        - 0.00014331 * na * ti
    )


def _dopants(ba: float, zn: float, ti: float) -> float:
    return (0.049879597 - 0.000168063 * ba) * ba + (0.025221567 + 0.000099961 * zn) * zn + 0.018820343 * ti


def start_density(glass: Composition) -> Density:
    """Density to begin with: Fluegel where it holds; 2.20 g/cm³ and Fluegel's dopant terms in silica; else the sum of
    molar volumes, with boron's volume by its coordination after Yun, Bray and Dell. Raises DensityError."""
    value = fluegel(glass)
    if value is not None:
        return Density(value, FLUEGEL)
    if set(glass.percent) <= {"SiO2", "BaO", "ZnO", "TiO2"}:
        source = "silica" if len(glass.percent) == 1 else "silica with the dopant terms of Fluegel 2007"
        return Density(SILICA + _dopants(glass["BaO"], glass["ZnO"], glass["TiO2"]), source)
    return Density(molar_volume_density(glass), "sum of molar volumes")


def molar_volume_density(glass: Composition) -> float:
    """Density in g/cm³ by the sum of the oxides' molar volumes. Raises DensityError where one of them is not known."""
    known = {*_VOLUMES, "B2O3"}
    if unknown := [oxide for oxide in glass.percent if oxide not in known]:
        raise DensityError(f"{glass}: no molar volume of {', '.join(unknown)} is known to begin with; give the glass's "
                           "density by --density (g/cm³), or density in a file")
    volume = sum(float(p) / 100 * _VOLUMES[oxide] for oxide, p in glass.percent.items() if oxide != "B2O3")
    if glass["B2O3"]:
        r, k = ratios(glass)
        n4 = yun_bray_dell(r, min(k, K_MAX))
        volume += glass["B2O3"] / 100 * 2 * (n4 * _BO4 + (1 - n4) * _BO3)
    return glass.mass_per_unit() / volume


def box_length(units: dict[str, int], density: float) -> float:
    """Edge in Å of the cubic box that holds these formula units at a density in g/cm³."""
    grams = sum(number * oxide_mass(oxide) for oxide, number in units.items()) / AVOGADRO
    return float((grams / density) ** (1 / 3) * 1e8)


def atoms_for_length(glass: Composition, density: float, length: float) -> int:
    """Least number of atoms (in whole formula units of the glass) whose cubic box has this edge in Å."""
    atoms = int(length**3 * glass.number_density(density))
    while box_length(glass.units(atoms), density) < length:
        atoms += 1
    return sum(counts(glass.units(atoms)).values())
