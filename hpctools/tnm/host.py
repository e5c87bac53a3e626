"""Backend "host": the CUDA kernel's source built for the CPU with the system's C++ compiler.

It serves to test the source of the CUDA backend where no device is. Its numbers are those of the numba kernel to the
last bit (cpu.py).
"""

from __future__ import annotations

import ctypes
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from hpctools import kernels

from .cpu import SAMPLES_A_TASK, thread_count
from .source import arguments, host_tables, source
from .spectrum import TableStack

C_TYPES = {np.int64: ctypes.c_int64, np.int32: ctypes.c_int32, np.float64: ctypes.c_double}


def build(definitions: tuple[str, ...] = ()) -> Path:
    """Path of the shared library, built if it is not in the cache; definitions: macros for the compiler."""
    return kernels.build(source(), "tnm", definitions)


def load(definitions: tuple[str, ...] = ()) -> ctypes.CDLL:
    """The shared library; see build."""
    return kernels.load(source(), "tnm", definitions)


def simulate_into(
    parameters: Any, tables: TableStack, which: Any, plan: Any, start: Any, points: Any, offset: Any, out: Any,
    summary: Any, *, library: ctypes.CDLL | None = None, threads: int | None = None,
) -> None:  # fmt: skip
    """Fill `out` and `summary` on the host's threads; see backends.py for the arguments.

    library: another build than the default one; threads: thread_count() if None.
    """
    kernel = getattr(library or load(), f"tnm_{out.dtype.name}")
    kernel.restype = None
    n, scans = summary.shape[:2]
    values = arguments(parameters, which, plan, start, points, offset, np.arange(n), 1, host_tables(tables))
    shared = [
        ctypes.c_void_p(value.ctypes.data) if isinstance(value, np.ndarray) else C_TYPES[type(value)](value)
        for value in values
    ]
    ends = [ctypes.c_void_p(array.ctypes.data) for array in (out, summary)]

    def task(first: int) -> None:
        last = min(n, first + SAMPLES_A_TASK)
        kernel(*shared, ctypes.c_int64(first * scans), ctypes.c_int64(last * scans), *ends)

    with ThreadPoolExecutor(min(threads or thread_count(), max(1, n // SAMPLES_A_TASK))) as pool:
        list(pool.map(task, range(0, n, SAMPLES_A_TASK)))


def device_name() -> str:
    """What the results are made on, for provenance."""
    return f"host (C++), {thread_count()} threads"
