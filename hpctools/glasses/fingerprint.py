"""A glass and a pair of its elements as numbers.

`paper` is the vector of 58 of K. Ayush, P. Sahu, S. M. Ali and T. K. Patra (arXiv:2308.11151, figure 1): which base
oxides are present, which dopants and how much of them, and the pair as a symmetric 7 × 7 matrix. Borosilicates of
different ratios look alike in it. `fractions` has the mole fractions of the base oxides instead of their presence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from hpctools.stop import USAGE

from .composition import ORDER, Composition
from .composition import OXIDES as FORMULAS

Pair = tuple[str, str]
Query = Sequence[tuple[Composition, Pair]]
BASE = ("Na2O", "B2O3", "SiO2")
DOPANTS = ("BaO", "TiO2", "ZnO")
OXIDES = BASE + DOPANTS
ELEMENTS = ("Si", "B", "O", "Ba", "Na", "Ti", "Zn")
LENGTH = len(BASE) + 2 * len(DOPANTS) + len(ELEMENTS) ** 2


class FingerprintError(ValueError):
    """A glass or a pair that the fingerprint has no place for."""

    user_error = True
    exit_code = USAGE


def check(glass: Composition, pair: Pair) -> None:
    """Raises FingerprintError for an oxide or element outside the seven, or a pair that the glass does not have."""
    if unknown := sorted(set(glass.percent) - set(OXIDES)):
        raise FingerprintError(f"{glass}: {unknown[0]} has no place in the fingerprint; it knows {', '.join(OXIDES)}")
    if absent := [element for element in pair if element not in glass.elements]:
        raise FingerprintError(f"pair {'-'.join(pair)}: {glass} has no {absent[0]}; its elements are "
                               f"{', '.join(glass.elements)}")


def mole_fractions(glass: Composition) -> NDArray[np.float64]:
    """Mole fractions of `OXIDES` (6,), sum 1."""
    return np.array([glass[oxide] / 100 for oxide in OXIDES])


def pair_matrix(pair: Pair) -> NDArray[np.float64]:
    """Symmetric (7, 7), 1 at the pair."""
    i, j = (ELEMENTS.index(element) for element in pair)
    matrix = np.zeros((len(ELEMENTS), len(ELEMENTS)))
    matrix[i, j] = matrix[j, i] = 1
    return matrix


def paper(glass: Composition, pair: Pair) -> NDArray[np.float64]:
    """The k-hot vector (58,): presence of the base oxides (3) and dopants (3), mol % of the dopants (3), pair (49)."""
    check(glass, pair)
    present = [float(glass[oxide] > 0) for oxide in OXIDES]
    return np.concatenate([present, [glass[oxide] for oxide in DOPANTS], pair_matrix(pair).ravel()])


def fractions(glass: Composition, pair: Pair) -> NDArray[np.float64]:
    """The same with mol % of the base oxides instead of their presence (58,)."""
    vector = paper(glass, pair)
    vector[: len(BASE)] = [glass[oxide] for oxide in BASE]
    return vector


FINGERPRINTS: dict[str, Callable[[Composition, Pair], NDArray[np.float64]]] = {"paper": paper, "fractions": fractions}


def matrix(kind: str, query: Query) -> NDArray[np.float64]:
    """Fingerprints of some glasses and pairs (n, 58)."""
    make = FINGERPRINTS[kind]
    return np.array([make(glass, pair) for glass, pair in query]).reshape(-1, LENGTH)


def ordered(pair: Pair) -> Pair:
    """The pair as records name it, oxygen last: g_ab = g_ba."""
    if unknown := [element for element in pair if element not in ELEMENTS]:
        raise FingerprintError(f"pair {'-'.join(pair)}: unknown element {unknown[0]}; expected two of "
                               f"{', '.join(ELEMENTS)}")
    a, b = sorted(pair, key=(*ORDER, "O").index)
    return a, b


def pair_of(name: str) -> Pair:
    """The pair of "Si-O" or "O-Si". Raises FingerprintError."""
    elements = name.strip().split("-")
    if len(elements) != 2:
        raise FingerprintError(f"pair {name!r}: expected two elements joined by a hyphen, such as Si-O")
    return ordered((elements[0], elements[1]))


def substitutes(pair: Pair, known: Sequence[Pair]) -> list[Pair]:
    """Pairs that stand for one without data: those with another dopant's cation in its place, else all known ones
    with as many oxygens, else all."""

    def kind(one: Pair) -> list[str]:
        return sorted("dopant" if element in ("Ba", "Ti", "Zn") else element for element in one)

    alike = [other for other in known if kind(other) == kind(pair)]
    return alike or [other for other in known if other.count("O") == pair.count("O")] or list(known)


def shares(glass: Composition) -> dict[str, float]:
    """Share of each element among the atoms of a glass."""
    amount = {FORMULAS[oxide][0]: float(p) * FORMULAS[oxide][1] for oxide, p in glass.percent.items()}
    amount["O"] = sum(float(p) * FORMULAS[oxide][2] for oxide, p in glass.percent.items())
    total = sum(amount.values())
    return {element: value / total for element, value in amount.items()}
