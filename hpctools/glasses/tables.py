"""A force field as LAMMPS input: one table a pair for Coulomb and short range together, or separate pair styles.

Charges are constant, so that the damped Coulomb term of a pair is a function of distance like any other. One table
does the work of three pair styles. Its energy lacks the self term of `coul/dsf`, a constant (`self_energy`).
"""

from __future__ import annotations

from itertools import combinations_with_replacement, product
from pathlib import Path

import numpy as np

from . import potentials
from .composition import MASSES
from .forcefield import Field, pair_of

# Å, below which no two atoms come: cations repel each other by their charges alone, Na-Na at 0.6 Å by 6 eV. Its square
# must not be a power of two: with 0.5 and a cut-off of 8 Å LAMMPS' bitmap ends exactly at the cut-off, and a distance
# that single precision rounds up to it is looked up in the first bin. For cut-offs up to 9.5 Å nine bits of resolution
# are left in each octave of r², beyond that eight.
INNER = 0.6
FILE_POINTS = 6000  # of each table in the file, evenly spaced in r²; LAMMPS draws splines through them
# LAMMPS' own table; "linear 12000" overflows the caches and is slower. At distances that atoms reach and with a cut-off
# of 8 Å it errs by at most 3e-5 eV and 2e-4 eV/Å (tests/glasses/test_forcefield.py), "linear 12000" by 4e-5 and 3e-4.
# Only the steps of the field at its short-range cut-offs, up to 5 meV, are smeared over a few thousandths of an Å.
LOOKUP = "bitmap 12"
ANGLES = 1801  # points of the functions of the angle, a tenth of a degree apart
LAMMPS_STYLE = {"pedone": "pedone", "buck": "buck", "mie": "mie/cut"}


class TableError(ValueError):
    """Files that LAMMPS could not read."""

    user_error = True


def check_folder(field: Field, folder: Path) -> None:
    """Raises TableError where LAMMPS could not find the files of the field in a folder."""
    if any(term.screens for term in field.three_body) and len(str(folder).split()) > 1:
        raise TableError(f"{folder}: found white space in the path, which the files of LAMMPS' sw/angle/table cannot "
                         "name; choose another folder")


def pair_commands(field: Field, elements: tuple[str, ...], folder: Path, *, merged: bool = True,
                  lookup: str = LOOKUP) -> list[str]:
    """LAMMPS commands that define the field for atom types 1 … n = elements; writes their files into `folder`.

    merged : one table a pair; else the separate styles `coul/dsf`, `pedone`, `buck`, `mie/cut`.
    """
    styles, coefficients = _merged(field, elements, folder, lookup) if merged else _separate(field, elements)
    if field.three_body:
        names, more = _three_body(field, elements, folder)
        styles, coefficients = styles + names, more + coefficients
    if len(styles) > 1:
        return ["pair_style hybrid/overlay " + " ".join(styles), *coefficients]
    name = styles[0].split()[0]
    return [f"pair_style {styles[0]}", *(line.replace(f" {name} ", " ") for line in coefficients)]


def _three_body(field: Field, elements: tuple[str, ...], folder: Path) -> tuple[list[str], list[str]]:
    """Styles of the three-body term and their coefficients, which come before those of the pairs.

    Such a style searches the neighbours within the cut-off of the pairs for legs, which takes as long as the pairs
    themselves. Only pairs of an apex and an end stay on its list: elements without a part are NULL, and `none` takes
    all styles from a pair, which gets those of the two-body forces afterwards.
    """
    legs = {frozenset((term.apex, end)) for term in field.three_body for end in term.ends}
    present = [any(e in leg for leg in legs) for e in elements]
    names = " ".join(e if here else "NULL" for e, here in zip(elements, present, strict=True))
    off = [f"pair_coeff {i + 1} {j + 1} none" for i, j in combinations_with_replacement(range(len(elements)), 2)
           if present[i] and present[j] and frozenset((elements[i], elements[j])) not in legs]
    number = len(field.three_body[0].screens)
    if not number:
        path = folder / "three_body.nb3b"
        write_three_body(field, elements, path)
        return ["nb3b/screened"], [f'pair_coeff * * nb3b/screened "{path}" {names}', *off]
    on = []
    for index in range(number):
        path = folder / f"three_body_{index + 1}.sw"
        write_smooth_three_body(field, elements, index, path)
        which = f" {index + 1}" if number > 1 else ""
        on.append(f'pair_coeff * * sw/angle/table{which} "{path}" {names}')
    return ["sw/angle/table"] * number, on + off


def _merged(field: Field, elements: tuple[str, ...], folder: Path, lookup: str) -> tuple[list[str], list[str]]:
    path = folder / "pair.table"
    write_pair_tables(field, elements, path)
    coefficients = [f'pair_coeff {i + 1} {j + 1} table "{path}" {"-".join(pair_of(elements[i], elements[j]))}'
                    for i in range(len(elements)) for j in range(i, len(elements))]
    return [f"table {lookup}"], coefficients


def _separate(field: Field, elements: tuple[str, ...]) -> tuple[list[str], list[str]]:
    styles, coefficients = [f"coul/dsf {field.damping} {field.cutoff}"], ["pair_coeff * * coul/dsf"]
    for form, style in LAMMPS_STYLE.items():
        cutoffs = {term.cutoff for terms in field.pairs.values() for term in terms if term.form == form}
        if not cutoffs:
            continue
        styles.append(f"{style} {max(cutoffs)}")
        for i, j in product(range(len(elements)), repeat=2):
            for term in field.pairs[pair_of(elements[i], elements[j])]:
                if term.form == form and i <= j:
                    numbers = " ".join(f"{value:.12g}" for value in term.parameters)
                    coefficients.append(f"pair_coeff {i + 1} {j + 1} {style} {numbers} {term.cutoff}")
    return styles, coefficients


def write_pair_tables(field: Field, elements: tuple[str, ...], path: Path, points: int = FILE_POINTS) -> None:
    """All pair tables of the elements in one LAMMPS table file; energies in eV, forces in eV/Å."""
    r = np.sqrt(np.linspace(INNER**2, field.reach**2, points))
    with path.open("w", encoding="utf-8") as file:
        file.write(f"# {field.title}: damped shifted-force Coulomb and short range. UNITS: metal\n")
        for i, a in enumerate(elements):
            for b in elements[i:]:
                pair = pair_of(a, b)
                energy, force = field.pair(*pair, r)
                file.write(f"\n{'-'.join(pair)}\nN {points} RSQ {INNER:.15g} {field.reach:.15g}\n\n")
                rows = np.column_stack([np.arange(1, points + 1), r, energy, force])
                np.savetxt(file, rows, fmt=("%d", "%.15g", "%.15g", "%.15g"))


def write_three_body(field: Field, elements: tuple[str, ...], path: Path) -> None:
    """The file of `nb3b/screened`: all triples; the first element of a row is the apex.

    Rows (i j j) carry the cut-off of the legs i-j, rows (i j k) and (i k j) the strength.
    """
    present = [e for e in elements if any(e in (*term.ends, term.apex) for term in field.three_body)]
    terms = {(term.apex, *ends): term for term in field.three_body for ends in (term.ends, term.ends[::-1])}
    legs = {(term.apex, end): term for term in field.three_body for end in term.ends}
    with path.open("w", encoding="utf-8") as file:
        file.write(f"# {field.title}. UNITS: metal\n# apex end end  half_k/(eV/rad^2) theta0/degree rho/A cutoff/A\n")
        for apex, first, second in product(present, repeat=3):
            term = terms.get((apex, first, second))
            leg = legs.get((apex, first)) if first == second else None
            some = term or leg
            cutoff = leg.cutoff if leg else 0.0
            angle = f"{some.theta0} {some.rho}" if some else "0.0 1.0"
            file.write(f"{apex} {first} {second}  {term.half_k if term else 0.0} {angle} {cutoff}\n")


def write_smooth_three_body(field: Field, elements: tuple[str, ...], index: int, path: Path) -> None:
    """The files of `sw/angle/table` for one of the screens: all triples, and beside it the functions of the angle.

    Its three-body term is f(θ) e^{s/(r1 - c)} e^{s/(r2 - c)}; its two-body terms are zero here.
    """
    present = [e for e in elements if any(e in (*term.ends, term.apex) for term in field.three_body)]
    terms = {(term.apex, *ends): term for term in field.three_body for ends in (term.ends, term.ends[::-1])}
    legs = {(term.apex, end): term for term in field.three_body for end in term.ends}
    angles = path.with_suffix(".angles")
    degrees = np.linspace(0, 180, ANGLES)
    with angles.open("w", encoding="utf-8") as file:
        file.write(f"# {field.title}. UNITS: metal\n\nZERO\nN 2\n\n1 0 0 0\n2 180 0 0\n")
        for term in field.three_body:
            strength = term.half_k * term.screens[index][0]
            off = np.radians(degrees - term.theta0)
            rows = [np.arange(1, ANGLES + 1), degrees, strength * off**2, -2 * strength * np.radians(off)]
            file.write(f"\n{term.ends[0]}-{term.apex}-{term.ends[1]}\nN {ANGLES}\n\n")
            np.savetxt(file, np.column_stack(rows), fmt=("%d", "%.15g", "%.15g", "%.15g"))
    with path.open("w", encoding="utf-8") as file:
        file.write(f"# {field.title}. UNITS: metal\n# apex end end  epsilon sigma/A a lambda gamma costheta0 "
                   "A B p q tol  functions name style points\n")
        for apex, first, second in product(present, repeat=3):
            leg, bent = legs.get((apex, first)), terms.get((apex, first, second))
            cutoff, length = (leg.cutoff, leg.screens[index][1]) if leg else (0.0, 0.0)
            name = f"{bent.ends[0]}-{apex}-{bent.ends[1]}" if bent else "ZERO"
            file.write(f"{apex} {first} {second}  0.0 1.0 {cutoff:.15g} 0.0 {length:.15g} 0.0 0.0 0.0 0.0 0.0 0.0  "
                       f"{angles} {name} spline {ANGLES}\n")


def self_energy(field: Field, atoms: dict[str, int]) -> float:
    """Self term of `coul/dsf` in eV for atoms of each element: add it to the tables' energy."""
    squared = sum(number * field.charges[element] ** 2 for element, number in atoms.items())
    return potentials.dsf_self_energy(squared, field.damping, field.cutoff)


def masses(elements: tuple[str, ...]) -> list[str]:
    """LAMMPS commands for the masses of the types."""
    return [f"mass {i + 1} {MASSES[element]}" for i, element in enumerate(elements)]
