"""Backend "host": the CUDA kernel's source built for the CPU with the system's C++ compiler.

It serves to test the source of the CUDA backend where no device is. The shared library is made on first use, in
HPCTOOLS_CACHE, else $XDG_CACHE_HOME/hpctools, else ~/.cache/hpctools, under a name that follows from the source, the
compiler and the processor, so that nodes of different kinds can share a home.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from .backends import BackendError
from .cpu import SAMPLES_A_TASK, thread_count
from .source import arguments, host_tables, source
from .spectrum import TableStack

# No operation is reordered or fused, so that the numbers are those of the numba kernel to the last bit (cpu.py).
FLAGS = ("-std=c++17", "-O3", "-march=native", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-fPIC",
         "-shared")  # fmt: skip
C_TYPES = {np.int64: ctypes.c_int64, np.int32: ctypes.c_int32, np.float64: ctypes.c_double}


def cache_folder() -> Path:
    """Where built libraries are kept."""
    chosen = os.environ.get("HPCTOOLS_CACHE")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hpctools"


def find_compiler() -> str:
    """Path of the C++ compiler: $CXX, else c++, g++ or clang++."""
    names = [os.environ["CXX"]] if os.environ.get("CXX") else ["c++", "g++", "clang++"]
    for name in names:
        path = shutil.which(name)
        if path:
            return path
    raise BackendError(
        f"the backend 'host' needs a C++ compiler, but {' and '.join(names)} cannot be found; install one (Debian: "
        "apt-get install g++) or set CXX, or choose the backend 'cpu', which needs none"
    )


def _processor() -> str:
    """What -march=native depends on."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith(("flags", "Features"))), platform.processor())


def build(definitions: tuple[str, ...] = ()) -> Path:
    """Path of the shared library, built if it is not in the cache; definitions: macros for the compiler."""
    compiler = find_compiler()
    text = source()
    version = subprocess.run([compiler, "--version"], capture_output=True, text=True).stdout
    options = [*FLAGS, *(f"-D{name}" for name in definitions)]
    key = hashlib.sha256("\0".join([text, version, _processor(), *options]).encode()).hexdigest()[:20]
    folder = cache_folder()
    library = folder / f"tnm-{key}.so"
    if library.exists():
        return library
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="build-", dir=folder) as scratch:
        built = Path(scratch) / "tnm.so"
        command = [compiler, *options, "-x", "c++", "-", "-o", str(built)]
        result = subprocess.run(command, input=text, capture_output=True, text=True)
        if result.returncode:
            raise BackendError(
                f"{' '.join(command)} failed with exit code {result.returncode}; choose the backend 'cpu', which "
                f"needs no compiler. Its message:\n{result.stderr[-2000:]}"
            )
        os.replace(built, library)
    return library


@cache
def load(definitions: tuple[str, ...] = ()) -> ctypes.CDLL:
    """The shared library; see build."""
    return ctypes.CDLL(str(build(definitions)))


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
