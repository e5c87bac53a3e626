"""The backend "cuda" with its kernel and its Python code run as they are, on a CuPy made of NumPy and a C++ compiler.

This covers what the host build leaves out: the layout of the tables and of the work space, the work items of warps,
the flat parts, the order of the arguments, and the batches. It says nothing of a device's arithmetic or speed.
"""

from __future__ import annotations

import ctypes
import importlib
import shutil
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import hpctools.tnm
from hpctools.tnm import Program, simulate_windows
from hpctools.tnm.model import GAS_CONSTANT

COMPILER = next(filter(None, map(shutil.which, ("c++", "g++", "clang++"))), None)
pytestmark = pytest.mark.skipif(COMPILER is None, reason="no C++ compiler")
C_TYPES = {np.int64: ctypes.c_int64, np.int32: ctypes.c_int32, np.float64: ctypes.c_double}


class DeviceArray(np.ndarray):
    """An array with what cuda.py uses of cupy.ndarray beyond NumPy's."""

    @property
    def data(self) -> Any:
        return SimpleNamespace(memset_async=lambda value, size: self.fill(value))

    def get(self, out: np.ndarray | None = None) -> np.ndarray:
        if out is None:
            return np.array(self)
        assert out.flags.c_contiguous and out.dtype == self.dtype and out.size == self.size
        out[...] = np.asarray(self)
        return out


class Module:
    """A RawModule whose kernels run thread by thread."""

    def __init__(self, code: str, options: tuple[str, ...], folder: Path):
        library = folder / f"kernel{len(list(folder.iterdir()))}.so"
        shim = Path(__file__).with_name("cuda_shim.h")
        command = [
            COMPILER, *options, "-O2", "-ffp-contract=off", "-fPIC", "-shared", "-Wno-unknown-pragmas",
            "-include", str(shim), "-x", "c++", "-", "-o", str(library),
        ]  # fmt: skip
        subprocess.run(command, input=code, text=True, check=True)
        self.compiled = ctypes.CDLL(str(library))

    def get_function(self, name: str) -> Any:
        kernel = getattr(self.compiled, name)
        kernel.restype = None

        def register(name: str) -> ctypes.c_uint:
            return ctypes.c_uint.in_dll(self.compiled, name)

        def launch(grid: tuple[int], block: tuple[int], arguments: tuple[Any, ...]) -> None:
            for value in arguments:
                assert isinstance(value, DeviceArray | np.generic), type(value)
            passed = [
                C_TYPES[type(value)](value) if isinstance(value, np.generic) else ctypes.c_void_p(value.ctypes.data)
                for value in arguments
            ]
            register("gridDim").value, register("blockDim").value = grid[0], block[0]
            for b in range(grid[0]):
                for t in range(block[0]):
                    register("blockIdx").value, register("threadIdx").value = b, t
                    register("position").value = 0
                    kernel(*passed)

        return launch


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The module hpctools.tnm.cuda over the false CuPy."""

    def empty(shape: Any, dtype: Any) -> DeviceArray:
        array = np.empty(shape, dtype)
        array.view(np.uint8).fill(0x7F)  # what nothing writes is seen
        return array.view(DeviceArray)

    runtime = SimpleNamespace(
        getDeviceCount=lambda: 3,
        getDevice=lambda: 0,
        memGetInfo=lambda: (1 << 20, 1 << 20),
        deviceGetAttribute=lambda attribute, device: 1,
        cudaDevAttrMultiProcessorCount=16,
        getDeviceProperties=lambda device: {"name": b"false device"},
        CUDARuntimeError=RuntimeError,
    )
    used: list[int] = []

    class Device(nullcontext):
        def use(self) -> None:
            used.append(self.enter_result)

    false = SimpleNamespace(
        cuda=SimpleNamespace(
            runtime=runtime,
            Device=Device,
        ),
        RawModule=lambda code, options: Module(code, options, tmp_path),
        asarray=lambda array: np.array(array).view(DeviceArray),
        empty=empty,
        float64=np.float64,
        uint64=np.uint64,
        int32=np.int32,
        get_default_memory_pool=lambda: SimpleNamespace(free_all_blocks=lambda: None),
        used=used,
    )
    monkeypatch.setitem(sys.modules, "cupy", false)
    monkeypatch.delitem(sys.modules, "hpctools.tnm.cuda", raising=False)
    monkeypatch.setattr(hpctools.tnm, "cuda", None, raising=False)  # which puts back what was there
    module = importlib.import_module("hpctools.tnm.cuda")
    yield module
    sys.modules.pop("hpctools.tnm.cuda", None)


def samples(n: int, betas: int) -> np.ndarray:
    rng = np.random.default_rng(5)
    t100 = rng.uniform(280.0, 500.0, n)
    dh = rng.uniform(25.0, 60.0, n) * GAS_CONSTANT * t100
    beta = rng.choice(np.linspace(0.4, 0.9, betas), n)
    return np.column_stack([np.log(100) - dh / (GAS_CONSTANT * t100), dh, rng.choice([0.4, 0.5, 0.7], n), beta])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("n", "betas"), [(1, 1), (45, 1), (7, 7), (70, 2)])
def test_same_numbers_as_numba(cuda: Any, n: int, betas: int, dtype: type):
    parameters = samples(n, betas)
    program = Program(cooling_rates=(1.0, 10.0), step=1.0)
    expected = simulate_windows(parameters, program, "cpu", dtype=dtype)
    found = simulate_windows(parameters, program, "cuda", dtype=dtype)
    assert np.abs(expected.values - found.values).max() <= 1e-10
    assert np.abs(expected.summary.cpn_max - found.summary.cpn_max).max() <= 1e-10


def test_batches_and_device_arrays(cuda: Any, monkeypatch: pytest.MonkeyPatch):
    parameters = samples(40, 3)
    program = Program(cooling_rates=(1.0, 10.0), step=1.0)
    expected = simulate_windows(parameters, program, "cpu", full=True)
    monkeypatch.setattr(cuda, "BATCH_BYTES", 100_000)  # 6 full samples
    found = simulate_windows(parameters, program, "cuda", full=True)
    assert np.array_equal(expected.values, found.values)
    monkeypatch.setattr(cuda.cupy.cuda.runtime, "memGetInfo", lambda: (1 << 30, 1 << 30))
    scans = cuda.simulate_device(parameters, program)
    assert scans.values.shape == (40, 2, program.points)
    assert np.array_equal(scans.values.ravel(), expected.values)
    windowed = cuda.simulate_device(parameters, program, full=False, dtype=np.float64)
    again = simulate_windows(parameters, program, "cpu", dtype=np.float64)
    assert np.abs(windowed.values - again.values).max() <= 1e-10
    assert np.array_equal(windowed.offset, again.offset)


def test_too_much_for_the_device_is_said(cuda: Any):
    with pytest.raises(cuda.BackendError, match=r"need .* GB of device memory.*at most \d+ samples"):
        cuda.simulate_device(samples(8, 1))


def test_device_of_a_rank(cuda: Any, monkeypatch: pytest.MonkeyPatch):
    assert [cuda.set_device(rank) for rank in range(5)] == [0, 1, 2, 0, 1]
    assert cuda.cupy.used == [0, 1, 2, 0, 1]
    monkeypatch.setattr(cuda.cupy.cuda.runtime, "getDeviceCount", lambda: 0)
    with pytest.raises(cuda.BackendError, match=r"no CUDA device is visible.*backend 'cpu'"):
        cuda.set_device(0)


def test_missing_cupy_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    monkeypatch.delitem(sys.modules, "hpctools.tnm.cuda", raising=False)
    with pytest.raises(Exception, match=r"pip install hpctools\[gpu\], or choose the backend 'cpu'"):
        importlib.import_module("hpctools.tnm.cuda")
