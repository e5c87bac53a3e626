"""Kernels with several backends: the rule that chooses one, C++ built for the host, and the device of a rank.

The backends of a kernel are modules with the same functions, "cpu" (numba), "cuda" (CuPy) and "host": the source of
the CUDA kernel built with the system's C++ compiler, which serves to test that source where no device is.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from hpctools.stop import USAGE
from hpctools.world import device_index

# No operation is reordered or fused, so that the numbers do not depend on the compiler.
FLAGS = ("-std=c++17", "-O3", "-march=native", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-fPIC",
         "-shared")  # fmt: skip
BACKENDS = ("cpu", "cuda", "host")


class BackendError(RuntimeError):
    """A backend that is unknown or cannot run here."""

    user_error = True
    exit_code = USAGE


def choose(package: str, variable: str, name: str | None = None) -> ModuleType:
    """The backend by one rule: the option, else the environment variable, else cuda where a device is, else cpu.

    package: the one that holds the modules cpu, cuda and host.
    """
    name = name or os.environ.get(variable) or ("cuda" if device_present() else "cpu")
    if name not in BACKENDS:
        raise BackendError(f"backend {name!r} is unknown; expected one of {', '.join(BACKENDS)}")
    return importlib.import_module(f"{package}.{name}")


def device_present() -> bool:
    """Is there a CUDA device that CuPy can use?"""
    if not os.path.exists("/dev/nvidiactl"):
        return False
    try:
        import cupy

        return bool(cupy.cuda.runtime.getDeviceCount() > 0)
    except Exception:  # CuPy is absent or finds no driver: then there is no device to use
        return False


def import_cupy() -> ModuleType:
    """CuPy, or a BackendError that says how to get it."""
    try:
        return importlib.import_module("cupy")
    except ImportError as error:
        raise BackendError(
            f"the backend 'cuda' needs CuPy ({error}): pip install hpctools[gpu], or choose the backend 'cpu'"
        ) from None


class DeviceKernels:
    """The kernels of a CUDA source on the devices of this process, compiled once a device; needs CuPy.

    source: gives the text; block: threads of a block.
    """

    BLOCKS = 1 << 16
    """Blocks of a launch at most: threads go on to further items by themselves."""

    def __init__(self, source: Callable[[], str], block: int) -> None:
        self._cupy, self._source, self._block = import_cupy(), source, block
        self._modules: dict[int, Any] = {}

    def launch(self, name: str, items: int, *arguments: Any) -> None:
        """Run a kernel over so many items on the device in use."""
        device = self._cupy.cuda.runtime.getDevice()
        if device not in self._modules:
            with self._cupy.cuda.Device(device):
                self._modules[device] = self._cupy.RawModule(code=self._source(), options=("-std=c++17",))
        kernel = self._modules[device].get_function(name)
        kernel((min(self.BLOCKS, -(-items // self._block)),), (self._block,), arguments)


def device_count() -> int:
    """Number of visible devices; BackendError where there is none."""
    cupy = import_cupy()
    try:
        count = int(cupy.cuda.runtime.getDeviceCount())
    except cupy.cuda.runtime.CUDARuntimeError as error:
        raise BackendError(f"no CUDA device can be used ({error}); choose the backend 'cpu'") from None
    if count == 0:
        raise BackendError("no CUDA device is visible (see CUDA_VISIBLE_DEVICES); choose the backend 'cpu'")
    return count


def set_device(local_rank: int) -> int:
    """Make a node-local rank's device that of this thread; returns its number among the visible ones.

    CUDA_VISIBLE_DEVICES is left as the scheduler has set it.
    """
    index = device_index(local_rank, device_count())
    import_cupy().cuda.Device(index).use()
    return index


def device_name() -> str:
    """The current device, for provenance."""
    device_count()
    runtime = import_cupy().cuda.runtime
    device = runtime.getDevice()
    return f"{runtime.getDeviceProperties(device)['name'].decode()}, device {device}"


def cache_folder() -> Path:
    """Where built libraries are kept: HPCTOOLS_CACHE, else $XDG_CACHE_HOME/hpctools, else ~/.cache/hpctools."""
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


def build(text: str, name: str, definitions: Sequence[str] = ()) -> Path:
    """Path of the shared library of a C++ source, built if it is not in the cache.

    Its name follows from the source, the compiler and the processor, so that nodes of different kinds can share a
    home. definitions: macros for the compiler.
    """
    compiler = find_compiler()
    version = subprocess.run([compiler, "--version"], capture_output=True, text=True).stdout
    options = [*FLAGS, *(f"-D{macro}" for macro in definitions)]
    key = hashlib.sha256("\0".join([text, version, _processor(), *options]).encode()).hexdigest()[:20]
    folder = cache_folder()
    library = folder / f"{name}-{key}.so"
    if library.exists():
        return library
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="build-", dir=folder) as scratch:
        built = Path(scratch) / f"{name}.so"
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
def load(text: str, name: str, definitions: tuple[str, ...] = ()) -> ctypes.CDLL:
    """The shared library; see build."""
    return ctypes.CDLL(str(build(text, name, definitions)))
