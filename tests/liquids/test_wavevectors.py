"""Shells of wave vectors against an enumeration of all of them."""

from __future__ import annotations

import numpy as np
import pytest

from hpctools.liquids.wavevectors import SIGNS, central_moments, shells

UNIT = 2 * np.pi / 10.0


def all_vectors(k_max: float) -> tuple[np.ndarray, np.ndarray]:
    """Every whole-numbered vector with 0 < |k| < k_max, both signs, and its |k|."""
    axis = np.arange(-int(k_max / UNIT) - 1, int(k_max / UNIT) + 2)
    n = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    k = UNIT * np.linalg.norm(n, axis=1)
    return n[(k > 0) & (k < k_max)], k[(k > 0) & (k < k_max)]


def test_all_vectors_once():
    found = shells(10.0, 0.2, 8.0, 10**6, 1)
    n, k = all_vectors(8.0)
    number = np.bincount((k / 0.2).astype(int), minlength=40)
    assert np.array_equal(2 * found.used, number)
    assert np.array_equal(2 * found.available, number)
    assert list(found.used[:3]) == [0, 0, 0] and np.isnan(found.mean_k[:3]).all()
    filled = number > 0
    mean = np.bincount((k / 0.2).astype(int), k, minlength=40)[filled] / number[filled]
    assert np.allclose(found.mean_k[filled], mean, rtol=1e-12)
    # a set's distinct vectors under the four signs and inversion are as many as its weight says
    every = {tuple(sign * v) for row in found.n for v in row * SIGNS for sign in (1, -1)}
    assert every == {tuple(v) for v in n}
    for row, weight in zip(found.n[:200], found.weight[:200]):
        assert len({max(tuple(v), tuple(-v)) for v in row * SIGNS}) == weight


def test_central_moments():
    found = shells(10.0, 0.2, 8.0, 10**6, 1)
    filled = found.used > 0
    deviation = found.k - np.repeat(found.mean_k, np.diff(found.first))
    for power in (2, 3):
        expected = found.mean(deviation**power)[filled]
        assert np.allclose(central_moments(10.0, 0.2, 40)[filled, power - 2], expected, rtol=1e-8, atol=1e-14)
    # a shell far out is filled nearly evenly
    assert central_moments(10.0, 0.2, 200)[150:, 0] == pytest.approx(0.2**2 / 12, rel=0.2)


def test_draw_is_reproducible_and_limited():
    found, again, other = (shells(10.0, 0.2, 20.0, 60, seed) for seed in (1, 1, 2))
    assert np.array_equal(found.n, again.n) and not np.array_equal(found.n, other.n)
    large = found.available > 60
    assert np.all((found.used[large] >= 60) & (found.used[large] < 64))
    assert np.array_equal(found.used[~large], found.available[~large])
    k = found.k
    assert np.all(k >= np.repeat(np.arange(100) * 0.2, np.diff(found.first)) - 1e-12)
    assert np.all(k < np.repeat(np.arange(1, 101) * 0.2, np.diff(found.first)))
    # a shell's draw depends on its number alone
    assert np.array_equal(shells(10.0, 0.2, 10.0, 60, 1).n, found.n[:found.first[50]])


def test_part_holds_the_same_vectors():
    found = shells(10.0, 0.2, 10.0, 60, 1)
    part = found.part(range(30, 35))
    assert np.array_equal(part.mean_k, found.mean_k[30:35])


@pytest.mark.parametrize("grid", [(10.0, 0.3, 40.0, 100), (0.0, 0.2, 40.0, 100), (10.0, 0.2, 40.0, 0)])
def test_senseless_grids_are_refused(grid: tuple[float, float, float, int]):
    with pytest.raises(ValueError, match="expected positive numbers and a whole number of shells"):
        shells(*grid, 1)
