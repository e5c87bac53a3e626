"""Fingerprints by hand."""

import numpy as np
import pytest

from hpctools.glasses.composition import parse
from hpctools.glasses.fingerprint import (
    ELEMENTS,
    FingerprintError,
    check,
    fractions,
    mole_fractions,
    ordered,
    pair_of,
    paper,
    substitutes,
)

NBS = parse("54SiO2-18B2O3-18Na2O-10BaO")


def test_the_papers_vector_by_hand():
    """(Na2O, B2O3, SiO2 | BaO, TiO2, ZnO | their mol % | 7 × 7): silica has the base (0, 0, 1)."""
    silica = paper(parse("SiO2"), ("Si", "O"))
    assert silica.shape == (58,) and list(silica[:9]) == [0, 0, 1, 0, 0, 0, 0, 0, 0]
    doped = paper(NBS, ("Ba", "O"))
    assert list(doped[:9]) == [1, 1, 1, 1, 0, 0, 10, 0, 0]
    matrix = doped[9:].reshape(7, 7)
    assert matrix.sum() == 2 and matrix[ELEMENTS.index("Ba"), ELEMENTS.index("O")] == 1
    assert paper(NBS, ("O", "O"))[9:].sum() == 1
    np.testing.assert_array_equal(doped, paper(NBS, ("O", "Ba")))


def test_only_mole_fractions_tell_ratios_apart():
    one, other = parse("60SiO2-20B2O3-20Na2O"), parse("40SiO2-40B2O3-20Na2O")
    np.testing.assert_array_equal(paper(one, ("Si", "O")), paper(other, ("Si", "O")))
    assert list(fractions(one, ("Si", "O"))[:3]) == [20, 20, 60]
    assert list(fractions(other, ("Si", "O"))[:3]) == [20, 40, 40]
    np.testing.assert_allclose(mole_fractions(NBS), [0.18, 0.18, 0.54, 0.10, 0, 0])


def test_pairs_and_what_stands_for_unknown_ones():
    assert ordered(("O", "Na")) == pair_of("Na-O") == ("Na", "O")
    known = [("Si", "O"), ("Zn", "O"), ("Ti", "O"), ("Zn", "Zn"), ("Si", "Ti")]
    assert substitutes(("Ba", "O"), known) == [("Zn", "O"), ("Ti", "O")]
    assert substitutes(("Ba", "Ba"), known) == [("Zn", "Zn")]
    assert substitutes(("Si", "Ba"), known) == [("Si", "Ti")]
    assert substitutes(("B", "B"), known) == [one for one in known if "O" not in one]
    assert substitutes(("O", "O"), known) == known, "none has two oxygens"


@pytest.mark.parametrize("glass, pair, message", [
    ("SiO2", ("B", "O"), "SiO2 has no B"),
    ("90SiO2-10CaO", ("Si", "O"), "CaO has no place in the fingerprint"),
])  # fmt: skip
def test_what_has_no_place_is_named(glass, pair, message):
    with pytest.raises(FingerprintError, match=message):
        check(parse(glass), pair)


@pytest.mark.parametrize("name, message", [("SiO", "two elements joined"), ("Si-Xx", "unknown element Xx")])
def test_a_wrong_pair_is_named(name, message):
    with pytest.raises(FingerprintError, match=message):
        pair_of(name)
