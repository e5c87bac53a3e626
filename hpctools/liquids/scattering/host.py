"""Backend "host": the source of the CUDA kernels built for the CPU, to test it where no device is."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from hpctools import kernels

from .source import chunks, source


def _call(name: str, *arguments: Any) -> None:
    function = getattr(kernels.load(source(), "scattering"), name)
    function.restype = None
    types = {np.int64: ctypes.c_int64, np.int32: ctypes.c_int32}
    function(*(ctypes.c_void_p(value.ctypes.data) if isinstance(value, np.ndarray) else types[type(value)](value)
               for value in arguments))


def densities(fractional: np.ndarray, bounds: np.ndarray, n: np.ndarray) -> np.ndarray:
    """ρ_a(k), (n_sets, n_species, 4, 2); see cpu.py."""
    start, first = chunks(bounds)
    particles, n_max = len(fractional), int(n.max())
    waves = np.empty((3, particles, n_max + 1, 2))
    _call("liquid_powers", np.int64(particles), np.int32(n_max), np.ascontiguousarray(fractional), waves)
    out = np.empty((len(start) - 1, len(n), 4, 2))
    _call("liquid_densities", np.int64(particles), np.int32(n_max), np.int64(len(n)), np.int64(len(start) - 1),
          np.ascontiguousarray(n, np.int32), start, waves, out)
    return np.add.reduceat(out, first, axis=0).swapaxes(0, 1)


def self_parts(displacement: np.ndarray, bounds: np.ndarray, k: np.ndarray) -> np.ndarray:
    """F_s, ⟨r²⟩, ⟨r⁴⟩, (n_species, n_k + 2); see cpu.py."""
    start, first = chunks(bounds)
    out = np.empty((len(start) - 1, len(k) + 2))
    _call("liquid_self_parts", np.int64(out.shape[1]), np.int64(len(out)), np.ascontiguousarray(k, float), start,
          np.ascontiguousarray(displacement), out)
    return np.add.reduceat(out, first, axis=0) / np.diff(bounds)[:, None]


def device_name() -> str:
    """What the results are made on, for provenance."""
    return "host (C++)"
