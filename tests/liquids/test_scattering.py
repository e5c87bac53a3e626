"""The kernels against plain NumPy: numba, the CUDA source built for the host, and the CUDA backend's Python code."""

from __future__ import annotations

import ctypes
import importlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from hpctools.kernels import BackendError
from hpctools.liquids import scattering
from hpctools.liquids.scattering import cpu, source
from hpctools.liquids.wavevectors import SIGNS, shells

COMPILER = next(filter(None, map(shutil.which, ("c++", "g++", "clang++"))), None)
SHIM = """
#define __CUDACC__
#include <cmath>
using std::cos; using std::rint; using std::sin; using std::sqrt;
#define __device__
#define __global__
#define __forceinline__ inline
#define __launch_bounds__(...)
struct Index { unsigned x; };
extern "C" { Index gridDim, blockDim, blockIdx, threadIdx; }
"""


class DeviceArray(np.ndarray):
    """Stands for an array on a device: only such arrays may go to a kernel."""


class Module:
    """A RawModule whose kernels run thread by thread."""

    def __init__(self, code: str, options: tuple[str, ...], folder: Path):
        library = folder / "kernel.so"
        command = [str(COMPILER), *options, "-O2", "-fPIC", "-shared", "-x", "c++", "-", "-o", str(library)]
        subprocess.run(command, input=SHIM + code, text=True, check=True)
        self.compiled = ctypes.CDLL(str(library))

    def get_function(self, name: str) -> Callable[..., None]:
        kernel = getattr(self.compiled, name)
        kernel.restype = None
        types = {np.int64: ctypes.c_int64, np.int32: ctypes.c_int32}

        def launch(grid: tuple[int], block: tuple[int], arguments: tuple[Any, ...]) -> None:
            for value in arguments:
                assert isinstance(value, DeviceArray | np.integer), type(value)
            passed = [types[type(value)](value) if isinstance(value, np.integer) else ctypes.c_void_p(value.ctypes.data)
                      for value in arguments]
            place = {key: ctypes.c_uint.in_dll(self.compiled, key)
                     for key in ("gridDim", "blockDim", "blockIdx", "threadIdx")}
            place["gridDim"].value, place["blockDim"].value = grid[0], block[0]
            for b in range(grid[0]):
                for t in range(block[0]):
                    place["blockIdx"].value, place["threadIdx"].value = b, t
                    kernel(*passed)

        return launch


@pytest.fixture
def false_cuda(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The module hpctools.liquids.scattering.cuda over a CuPy made of NumPy and a C++ compiler."""

    def empty(shape: Any, dtype: Any) -> np.ndarray:
        array = np.empty(shape, dtype)
        array.view(np.uint8).fill(0x7F)  # what nothing writes is seen
        return array.view(DeviceArray)

    runtime = SimpleNamespace(getDevice=lambda: 0, getDeviceCount=lambda: 1, CUDARuntimeError=RuntimeError,
                              getDeviceProperties=lambda device: {"name": b"false device"})
    false = SimpleNamespace(
        cuda=SimpleNamespace(runtime=runtime, Device=nullcontext), empty=empty,
        RawModule=lambda code, options: Module(code, options, tmp_path), asnumpy=np.asarray,
        asarray=lambda array: np.array(array).view(DeviceArray),
    )  # fmt: skip
    monkeypatch.setitem(sys.modules, "cupy", false)
    monkeypatch.delitem(sys.modules, "hpctools.liquids.scattering.cuda", raising=False)
    module = importlib.import_module("hpctools.liquids.scattering.cuda")
    monkeypatch.setattr("hpctools.kernels.DeviceKernels.BLOCKS", 3)  # so that threads take several items
    monkeypatch.delattr(scattering, "cuda")
    yield module
    sys.modules.pop("hpctools.liquids.scattering.cuda", None)


@pytest.fixture(params=["cpu", pytest.param("host", marks=pytest.mark.skipif(COMPILER is None, reason="no compiler")),
                        pytest.param("cuda", marks=pytest.mark.gpu),
                        pytest.param("false cuda", marks=pytest.mark.skipif(COMPILER is None, reason="no compiler"))])
def kernel(request: pytest.FixtureRequest) -> ModuleType:
    """Every backend."""
    if request.param == "false cuda":
        return request.getfixturevalue("false_cuda")
    try:
        module = scattering.choose(request.param)
        module.device_name()
    except BackendError as error:
        pytest.skip(str(error))
    return module


BOUNDS = np.array([0, 150, 193])  # neither is a multiple of a chunk


def test_densities(kernel: ModuleType):
    """ρ_a(k) = Σ exp(i k·r), also for positions far outside of the box."""
    rng = np.random.default_rng(1)
    fractional = rng.uniform(-3, 3, (193, 3))
    grid = shells(10.0, 0.4, 40.0, 12, 3)
    found = kernel.densities(fractional, BOUNDS, grid.n)
    assert found.shape == (len(grid.n), 2, 4, 2)
    for sign in range(4):
        wave = np.exp(2j * np.pi * fractional @ (grid.n * SIGNS[sign]).T)
        for species in range(2):
            expected = wave[BOUNDS[species]:BOUNDS[species + 1]].sum(axis=0)
            assert np.abs(found[:, species, sign, 0] + 1j * found[:, species, sign, 1] - expected).max() < 1e-10


def test_self_parts(kernel: ModuleType):
    rng = np.random.default_rng(2)
    displacement = rng.normal(size=(193, 3)) * rng.lognormal(-1, 2, (193, 1))
    displacement[:3] = 0
    k = np.array([0.5, 1.0, 7.25, 20.0])
    found = kernel.self_parts(displacement, BOUNDS, k)
    square = np.sum(displacement**2, axis=1)
    for species in range(2):
        rows = slice(BOUNDS[species], BOUNDS[species + 1])
        expected = [np.sinc(wave * np.sqrt(square[rows]) / np.pi).mean() for wave in k]
        expected += [square[rows].mean(), (square[rows] ** 2).mean()]
        assert np.allclose(found[species], expected, rtol=1e-12, atol=1e-14)


def test_pair_counts():
    rng = np.random.default_rng(3)
    fractional = rng.uniform(-2, 2, (193, 3))
    difference = fractional[:, None] - fractional[None]
    distance = 10 * np.linalg.norm(difference - np.rint(difference), axis=-1)
    found = cpu.pair_counts(fractional, BOUNDS, 50, 100.0)
    parts = (slice(0, 150), slice(150, 193))
    for row, (a, b) in enumerate(((0, 0), (0, 1), (1, 1))):
        block = distance[parts[a], parts[b]]
        values = block[np.triu_indices(len(block), 1)] if a == b else block.ravel()
        assert np.array_equal(found[row], np.histogram(values, 50, (0, 5.0))[0])


@pytest.mark.parametrize("architecture", ["sm_80", "sm_90"])
def test_cuda_source_compiles(architecture: str, compile_cuda):
    """For the devices it is meant for."""
    _, text = compile_cuda(source.source(), "scattering.cu", architecture)
    # each kernel is there, and a power is read at once
    assert all(f".entry liquid_{name}" in text for name in ("powers", "densities", "self_parts"))
    assert text.count("v2.f64") >= 3


def test_choice_of_backend(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(scattering.VARIABLE, "host")
    assert scattering.choose().__name__.endswith(".host")
    assert scattering.choose("cpu").__name__.endswith(".cpu")
    with pytest.raises(BackendError, match="'gpu' is unknown; expected one of cpu, cuda, host"):
        scattering.choose("gpu")
    monkeypatch.setitem(sys.modules, "cupy", None)
    monkeypatch.delitem(sys.modules, "hpctools.liquids.scattering.cuda", raising=False)
    with pytest.raises(BackendError, match=r"pip install hpctools\[gpu\]"):
        scattering.choose("cuda")
