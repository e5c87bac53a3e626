"""Backend "host": the source of the CUDA kernels built for the CPU, to test it where no device is."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from hpctools import kernels

from ...mct.equation import FloatArray
from .cpu import sample, upload
from .source import source

__all__ = ["device_name", "integrate", "sample", "stretched", "upload"]


def _call(name: str, *arguments: Any) -> None:
    function = getattr(kernels.load(source(), "memory"), name)
    function.restype = None
    types = {np.int64: ctypes.c_int64, np.float64: ctypes.c_double}
    function(*(ctypes.c_void_p(value.ctypes.data) if isinstance(value, np.ndarray) else types[type(value)](value)
               for value in arguments))


def stretched(t: FloatArray, c: FloatArray, v: FloatArray, tau: FloatArray, b: FloatArray) -> FloatArray:
    """M (n_t, batch); see cpu.py."""
    out = np.empty((len(t), len(c)))
    _call("memory_stretched", np.int64(len(t)), np.int64(len(c)), np.int64(v.shape[1]),
          *(np.ascontiguousarray(array, np.float64) for array in (t, c, v, tau, b)), out)
    return out


def integrate(M: FloatArray, step: float, block: int, inertia: tuple[float, float], omega2: float) -> FloatArray:
    """X (n_t, batch); see cpu.py."""
    n_t, batch = M.shape
    out, work = np.empty((n_t, batch)), np.empty(6 * (block + 1) * batch)
    _call("memory_integrate", np.int64(n_t), np.int64(batch), np.int64(block),
          *map(np.float64, (step, *inertia, omega2)), np.ascontiguousarray(M), work, out)
    return out


def device_name() -> str:
    """What the results are made on, for provenance."""
    return "host (C++)"
