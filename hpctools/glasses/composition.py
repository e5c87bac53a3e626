"""Compositions of oxide glasses: mol % of oxides, atoms of a simulation box, masses."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from hpctools.stop import USAGE

AVOGADRO = 6.02214076e23  # 1/mol
# oxide: (cation, cations, oxygens of a formula unit)
OXIDES = {
    "SiO2": ("Si", 1, 2), "B2O3": ("B", 2, 3), "Na2O": ("Na", 2, 1), "BaO": ("Ba", 1, 1), "ZnO": ("Zn", 1, 1),
    "TiO2": ("Ti", 1, 2), "Li2O": ("Li", 2, 1), "K2O": ("K", 2, 1), "MgO": ("Mg", 1, 1), "CaO": ("Ca", 1, 1),
    "SrO": ("Sr", 1, 1), "Al2O3": ("Al", 2, 3), "P2O5": ("P", 2, 5), "ZrO2": ("Zr", 1, 2), "GeO2": ("Ge", 1, 2),
    "PbO": ("Pb", 1, 1),
}  # fmt: skip
# g/mol, standard atomic weights (IUPAC 2021, abridged)
MASSES = {
    "O": 15.999, "Si": 28.085, "B": 10.81, "Na": 22.990, "Ba": 137.33, "Zn": 65.38, "Ti": 47.867, "Li": 6.94,
    "K": 39.098, "Mg": 24.305, "Ca": 40.078, "Sr": 87.62, "Al": 26.982, "P": 30.974, "Zr": 91.224, "Ge": 72.630,
    "Pb": 207.2,
}  # fmt: skip
ORDER = tuple(cation for cation, _, _ in OXIDES.values())
_TERM = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)?\s*([A-Z][A-Za-z0-9]*)\s*")


class CompositionError(ValueError):
    """A composition that cannot be read or simulated; the message says what was expected."""

    user_error = True
    exit_code = USAGE


@dataclass(frozen=True)
class Composition:
    """A glass: its oxides and their mol %, exact.

    Attributes
    ----------
    percent : oxide -> mol % (Fraction, all positive, sum 100), in the order of `OXIDES`.
    """

    percent: dict[str, Fraction]

    def __post_init__(self) -> None:
        unknown = [oxide for oxide in self.percent if oxide not in OXIDES]
        if unknown:
            close = difflib.get_close_matches(unknown[0], OXIDES, n=1, cutoff=0.5)
            guess = f" Did you mean {close[0]}?" if close else ""
            raise CompositionError(f"unknown oxide {unknown[0]!r}.{guess} Known oxides: {', '.join(OXIDES)}")
        total = sum(self.percent.values(), Fraction(0))
        if abs(total - 100) > Fraction(1, 100):
            raise CompositionError(f"the mol % of {self._text(self.percent)} add up to {float(total):g}; expected 100")
        ordered = {o: self.percent[o] * 100 / total for o in OXIDES if self.percent.get(o, 0) > 0}
        object.__setattr__(self, "percent", ordered)

    def __hash__(self) -> int:
        return hash(tuple(self.percent.items()))

    @staticmethod
    def _text(percent: dict[str, Fraction]) -> str:
        if list(percent.values()) == [100]:
            return next(iter(percent))
        return "-".join(f"{_number(value)}{oxide}" for oxide, value in percent.items())

    def __str__(self) -> str:
        return self._text(self.percent)

    def __getitem__(self, oxide: str) -> float:
        """Mol % of an oxide, 0 where it is absent."""
        return float(self.percent.get(oxide, 0))

    @cached_property
    def elements(self) -> tuple[str, ...]:
        """Oxygen last, cations in the order of `OXIDES`."""
        return tuple(OXIDES[oxide][0] for oxide in self.percent) + ("O",)

    def atoms_per_unit(self) -> float:
        """Atoms of one mean formula unit."""
        return sum(float(p) / 100 * sum(OXIDES[o][1:]) for o, p in self.percent.items())

    def mass_per_unit(self) -> float:
        """g/mol of one mean formula unit."""
        return sum(float(p) / 100 * oxide_mass(o) for o, p in self.percent.items())

    def number_density(self, density: float) -> float:
        """Atoms a Å³ at a density in g/cm³."""
        return density / self.mass_per_unit() * AVOGADRO * self.atoms_per_unit() * 1e-24

    def units(self, atoms: int) -> dict[str, int]:
        """Whole formula units of each oxide for about this many atoms, by the largest remainder.

        Whole units keep the box neutral. Raises CompositionError where an oxide would get none.
        """
        total = max(round(atoms / self.atoms_per_unit()), 1)
        exact = {oxide: total * value / 100 for oxide, value in self.percent.items()}
        units = {oxide: int(value) for oxide, value in exact.items()}
        rest = sorted(exact, key=lambda oxide: units[oxide] - exact[oxide])
        for oxide in rest[: total - sum(units.values())]:
            units[oxide] += 1
        if none := [oxide for oxide, count in units.items() if count == 0]:
            raise CompositionError(f"{atoms} atoms are too few for {float(self.percent[none[0]]):g} mol % {none[0]}: "
                                   f"take at least {int(atoms / exact[none[0]]) + 1}")
        return units


def counts(units: dict[str, int]) -> dict[str, int]:
    """Atoms of each element in formula units of oxides; oxygen last."""
    found = {OXIDES[oxide][0]: OXIDES[oxide][1] * number for oxide, number in units.items()}
    return {**found, "O": sum(OXIDES[oxide][2] * number for oxide, number in units.items())}


def from_units(units: dict[str, int]) -> Composition:
    """The composition that whole formula units stand for."""
    total = sum(units.values())
    return Composition({oxide: Fraction(100 * number, total) for oxide, number in units.items()})


def oxide_mass(oxide: str) -> float:
    """g/mol of a formula unit."""
    cation, cations, oxygens = OXIDES[oxide]
    return cations * MASSES[cation] + oxygens * MASSES["O"]


def parse(text: str) -> Composition:
    """Read "60SiO2-20B2O3-20Na2O" (mol %), or one oxide alone such as "SiO2".

    Spaces are ignored, decimals allowed, the order is free. Raises CompositionError for an unknown or repeated
    oxide, a missing number, or numbers that do not add up to 100.
    """
    percent: dict[str, Fraction] = {}
    terms = [term for term in re.split(r"[-+]", text.strip())]
    for term in terms:
        match = _TERM.fullmatch(term)
        if match is None:
            raise CompositionError(f"composition {text!r}: cannot read {term!r}; expected mol % and oxide joined by "
                                   "hyphens, such as 60SiO2-20B2O3-20Na2O")
        number, oxide = match.groups()
        if number is None and len(terms) > 1:
            raise CompositionError(f"composition {text!r}: {oxide} has no number; expected its mol % before it")
        if oxide in percent:
            raise CompositionError(f"composition {text!r}: {oxide} stands there twice")
        percent[oxide] = Fraction(number) if number is not None else Fraction(100)
    return Composition(percent)


def _number(value: Fraction) -> str:
    """At most three decimals, none where there are none."""
    return f"{float(value):.3f}".rstrip("0").rstrip(".")
