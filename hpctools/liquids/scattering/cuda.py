"""Backend "cuda": the kernels on an NVIDIA device, through CuPy.

The source (kernel.h) is tested without a device by the backend "host", by running this module over a false CuPy, and
by compiling it for sm_80 and sm_90. It has not yet run on a device (tests/liquids/test_scattering.py does that
where one is). Frames go to the device one by one; only sums come back.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hpctools.kernels import DeviceKernels, device_count, device_name, import_cupy, set_device

from .source import BLOCK, chunks, source

__all__ = ["densities", "device_count", "device_name", "self_parts", "set_device"]

cupy: Any = import_cupy()

_launch = DeviceKernels(source, BLOCK).launch


def _species_sums(out: Any, first: np.ndarray) -> np.ndarray:
    """Sums over each species' chunks, axis 0, on the host: (n_species, …)."""
    ends = [*first[1:], len(out)]
    return np.stack([cupy.asnumpy(out[low:high].sum(axis=0)) for low, high in zip(first, ends)])


def densities(fractional: np.ndarray, bounds: np.ndarray, n: np.ndarray) -> np.ndarray:
    """ρ_a(k), (n_sets, n_species, 4, 2); see cpu.py."""
    start, first = chunks(bounds)
    particles, n_max, n_chunks = len(fractional), int(n.max()), len(start) - 1
    waves = cupy.empty((3, particles, n_max + 1, 2), np.float64)
    _launch("liquid_powers", 3 * particles, np.int64(particles), np.int32(n_max),
            cupy.asarray(np.ascontiguousarray(fractional)), waves)
    out = cupy.empty((n_chunks, len(n), 4, 2), np.float64)
    _launch("liquid_densities", n_chunks * len(n), np.int64(particles), np.int32(n_max), np.int64(len(n)),
            np.int64(n_chunks), cupy.asarray(np.ascontiguousarray(n, np.int32)), cupy.asarray(start), waves, out)
    return _species_sums(out, first).swapaxes(0, 1)


def self_parts(displacement: np.ndarray, bounds: np.ndarray, k: np.ndarray) -> np.ndarray:
    """F_s, ⟨r²⟩, ⟨r⁴⟩, (n_species, n_k + 2); see cpu.py."""
    start, first = chunks(bounds)
    out = cupy.empty((len(start) - 1, len(k) + 2), np.float64)
    _launch("liquid_self_parts", out.size, np.int64(out.shape[1]), np.int64(len(out)),
            cupy.asarray(np.ascontiguousarray(k, float)), cupy.asarray(start),
            cupy.asarray(np.ascontiguousarray(displacement)), out)
    return _species_sums(out, first) / np.diff(bounds)[:, None]
