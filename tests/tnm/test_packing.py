"""Packed windows: what comes back, within the precision or to the bit."""

import numpy as np
import pytest

from hpctools.tnm import packing

CURVES = {
    "flat": np.zeros(50),
    "step": np.r_[np.zeros(20), np.ones(30)],
    "wave": np.sin(np.linspace(0, 9, 400)),
    "burst": 400 * np.exp(-(np.linspace(-30, 30, 300) ** 2)),
    "endothermic dip": np.linspace(0.1, -3.0, 77),
    "noise": np.random.default_rng(0).normal(size=200) * 50,
}


def pack_one(values: np.ndarray, precision: float):
    values = np.asarray(values, np.float32)
    points = np.array([len(values) // 2])
    size = int(packing.block_bytes(points, 2, precision)[0])
    # a block in the midst of others
    block, quantum, base = packing.pack(values, np.array([0]), points, 2, precision, np.array([5]), size + 9)
    assert not block[:5].any() and not block[5 + size :].any()
    return packing.unpack(block[5 : 5 + size], int(points[0]), 2, quantum[0], base[0]), quantum[0]


@pytest.mark.parametrize("name", CURVES)
@pytest.mark.parametrize("precision", [1e-4, 1e-2])
def test_within_the_precision(name, precision):
    curve = CURVES[name][: len(CURVES[name]) // 2 * 2].reshape(2, -1)
    found, quantum = pack_one(curve.ravel(), precision)
    span = np.ptp(curve, axis=1)
    assert quantum == pytest.approx(precision * np.maximum(1.0, span / 6), rel=1e-5)
    assert np.all(np.abs(found - curve) <= 0.5001 * quantum[:, None] + 1e-6 * np.abs(curve))


@pytest.mark.parametrize("name", CURVES)
def test_exact(name):
    curve = CURVES[name].astype(np.float32)[: len(CURVES[name]) // 2 * 2].reshape(2, -1)
    found, _ = pack_one(curve.ravel(), 0.0)
    assert found.tobytes() == curve.tobytes()
