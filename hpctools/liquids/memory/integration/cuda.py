"""Backend "cuda": the kernels on an NVIDIA device, through CuPy.

The source (kernel.h) is tested without a device by the backend "host", and by compiling it for sm_80 and sm_90. It has
not yet run on a device (tests/liquids/test_memory_solver.py does that where one is). It pays for batches of thousands
of candidates; the populations of a single evolution are too small for it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hpctools.kernels import DeviceKernels, device_count, device_name, import_cupy, set_device

from ...mct.equation import FloatArray
from .source import BLOCK, source

__all__ = ["device_count", "device_name", "integrate", "sample", "set_device", "stretched", "upload"]

cupy: Any = import_cupy()

_launch = DeviceKernels(source, BLOCK).launch


def upload(M: FloatArray) -> Any:
    """M on the device."""
    return cupy.asarray(np.ascontiguousarray(M, np.float64))


def stretched(t: FloatArray, c: FloatArray, v: FloatArray, tau: FloatArray, b: FloatArray) -> Any:
    """M (n_t, batch) on the device; see cpu.py."""
    out = cupy.empty((len(t), len(c)), np.float64)
    _launch("memory_stretched", out.size, np.int64(len(t)), np.int64(len(c)), np.int64(v.shape[1]),
            *map(upload, (t, c, v, tau, b)), out)
    return out


def integrate(M: Any, step: float, block: int, inertia: tuple[float, float], omega2: float) -> Any:
    """X (n_t, batch) on the device; see cpu.py."""
    n_t, batch = M.shape
    out, work = cupy.empty((n_t, batch), np.float64), cupy.empty(6 * (block + 1) * batch, np.float64)
    _launch("memory_integrate", batch, np.int64(n_t), np.int64(batch), np.int64(block),
            *map(np.float64, (step, *inertia, omega2)), M, work, out)
    return out


def sample(coarse: Any, fine: Any, shared: np.ndarray, at: np.ndarray, weights: FloatArray) -> FloatArray:
    """F/F(0) (batch, n_out) on the host; see cpu.py."""
    x = (4.0 * fine[cupy.asarray(shared)] - coarse) / 3.0
    near = x[cupy.asarray(at)]
    return cupy.asnumpy(1.0 - (cupy.asarray(weights)[:, :, None] * near).sum(axis=1).T)
