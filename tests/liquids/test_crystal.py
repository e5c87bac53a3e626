"""The criterion of crystals: both crystals of the mixture with thermal noise, and a real liquid."""

from __future__ import annotations

import numpy as np
import pytest

from hpctools.liquids.crystal import THRESHOLD, bond_order

pytest.importorskip("freud")

FCC = np.array([(0, 0, 0), (0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5)])
CSCL = np.array([(0, 0, 0), (0.5, 0.5, 0.5)])


@pytest.mark.parametrize(("basis", "cells", "neighbour"), [(FCC, 7, 2**-0.5), (CSCL, 8, 3**0.5 / 2)])
@pytest.mark.parametrize("density", [1.2, 1.8])
@pytest.mark.parametrize("noise", [0.0, 0.05, 0.1])
def test_crystals(basis: np.ndarray, cells: int, neighbour: float, density: float, noise: float):
    """noise: of each coordinate in units of the distance of neighbours; 0.1 is beyond Lindemann's melting point
    (the root mean square displacement √3 · 0.1 is 17 % of it)."""
    length = (len(basis) * cells**3 / density) ** (1 / 3)
    corner = np.stack(np.meshgrid(*[np.arange(cells)] * 3, indexing="ij"), axis=-1).reshape(-1, 1, 3)
    positions = ((corner + basis) * (length / cells)).reshape(-1, 3)
    shake = np.random.default_rng(8).normal(scale=noise * neighbour * length / cells, size=positions.shape)
    found = bond_order(positions + shake, length)
    assert found.cluster > (0.5 if noise == 0.1 else 0.98)


def test_a_crystal_in_a_liquid(liquid):
    """A seed of fcc in a box of liquid is seen once it holds more than the threshold."""
    frames, _, length = liquid
    cell = (4 / 1.2) ** (1 / 3)
    corner = np.stack(np.meshgrid(*[np.arange(-3, 3)] * 3, indexing="ij"), axis=-1).reshape(-1, 1, 3)
    fcc = ((corner + FCC) * cell).reshape(-1, 3)
    wrapped = frames[0] - length * np.rint(frames[0] / length)
    for radius, crystal in ((1.5, False), (4.0, True)):
        kept = wrapped[np.linalg.norm(wrapped, axis=1) > radius + 0.45]
        found = bond_order(np.concatenate([kept, fcc[np.linalg.norm(fcc, axis=1) < radius]]), length)
        assert (found.cluster > THRESHOLD) == crystal


def test_no_liquid_configuration_is_flagged(liquid):
    """20 configurations at T_mct; none comes near the threshold."""
    found = [bond_order(frame, liquid[2]) for frame in liquid[0]]
    print("solid-like, largest cluster:", [(round(o.solid, 4), round(o.cluster, 4)) for o in found])
    assert len(found) == 20
    assert max(order.cluster for order in found) < THRESHOLD / 3
