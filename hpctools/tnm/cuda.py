"""Backend "cuda": the kernel on an NVIDIA device, through CuPy.

The source (kernel.h) is tested without a device by the backend "host", by running this module over a false CuPy, and
by compiling it for sm_80 and sm_90. It has not yet run on a device: neither its numbers nor its speed there have been
measured (tests/tnm/test_cuda.py and tests/benchmarks/tnm_gpu.py do both).

A device fuses multiply-adds and has its own exp and log, so its numbers should be those of the other backends to
about 1e-6 of CpN_max, in rare cases 1e-4, and not to the last bit (see cpu.py): so it is between host builds with and
without fused multiply-adds.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hpctools.kernels import BackendError, device_count, device_name, import_cupy, set_device

from .program import Program
from .simulator import Plan, Summary, check_ends, prepare
from .source import BLOCK, BLOCKS, arguments, device_tables, source
from .spectrum import TableStack

__all__ = ["DeviceScans", "device_count", "device_name", "launcher", "set_device", "simulate_device", "simulate_into"]

cupy: Any = import_cupy()

OPTIONS = ("-std=c++17",)
WARP = 32
BATCH_BYTES = 4 << 30  # of signals in flight when they go to the host
CACHED_TABLES = 4  # sets of tables kept on a device, 0.1-0.7 MB a β

_tables: OrderedDict[tuple[int, str], list[Any]] = OrderedDict()


@dataclass(frozen=True)
class DeviceScans:
    """Scans in device memory.

    values: CuPy array, (n, scans, points) for full signals, else flat and laid out by start, points and offset as in
    simulator.Windows; torch.from_dlpack(values) shares its memory. start, points, offset, summary are on the host.
    """

    values: Any
    start: NDArray[np.int64]
    points: NDArray[np.int64]
    offset: NDArray[np.int64]
    summary: Summary


@cache
def _module(device: int, blocks: int) -> Any:
    with cupy.cuda.Device(device):
        return cupy.RawModule(code=source(blocks), options=OPTIONS)


def on_device(tables: TableStack) -> list[Any]:
    """The tables on the current device, kept there for the next call. Rates and weights stand for all of them."""
    digest = hashlib.sha256(tables.index.tobytes() + tables.rates.tobytes() + tables.weights.tobytes()).hexdigest()
    key = (cupy.cuda.runtime.getDevice(), digest)
    if key not in _tables:
        _tables[key] = [cupy.asarray(array) for array in device_tables(tables)]
        while len(_tables) > CACHED_TABLES:
            _tables.popitem(last=False)
    _tables.move_to_end(key)
    return _tables[key]


def work_order(x: NDArray[np.float64], which: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
    """Order of samples in which a warp finds scans of one β and nearly one x, and how many lie side by side.

    x, which: (n,), parameter and table. Within equal x to 1/1024 the samples keep their order, so that those of
    neighbouring grid nodes remain neighbours. Where fewer than a warp of samples share a β, the scans of a sample
    lie beside each other instead.
    """
    tables = int(which.max()) + 1
    order = np.lexsort(((x * 1024).astype(np.uint16), which.astype(np.uint16 if tables < 65536 else np.int64)))
    return order, WARP if len(x) >= WARP * tables else 1


def launcher(
    parameters: NDArray[np.float64], tables: list[Any], which: NDArray[np.int64], plan: Plan,
    start: NDArray[np.int64], points: NDArray[np.int64], offset: NDArray[np.int64], out: Any, summary: Any,
    blocks: int = BLOCKS,
) -> Callable[[], None]:  # fmt: skip
    """Bring the input to the current device; the function returned starts the kernels and waits for nothing.

    tables: of on_device; out: (offset[-1],) float32 or float64 and summary (n, scans, 6) on the device; blocks: of
    BLOCK threads on a multiprocessor.
    """
    device = cupy.cuda.runtime.getDevice()
    module = _module(device, blocks)
    physics, flats = (module.get_function(f"tnm_{kernel}_{out.dtype.name}") for kernel in ("physics", "flats"))
    n, scans = summary.shape[:2]
    order, side = work_order(parameters[:, 2], which)
    values = [
        cupy.asarray(value) if isinstance(value, np.ndarray) else value
        for value in arguments(parameters, which, plan, start, points, offset, order, side, tables)
    ]
    processors = cupy.cuda.runtime.deviceGetAttribute(cupy.cuda.runtime.cudaDevAttrMultiProcessorCount, device)
    grid = min(processors * blocks, -(-(n + side) * scans // BLOCK))
    work = cupy.empty(int(tables[0][:, 5].max()) * grid * BLOCK, cupy.float64)
    counter = cupy.empty(1, cupy.uint64)
    written = cupy.empty((n, scans, 2), cupy.int32)
    lengths, places = values[-4], values[-3]

    def launch() -> None:
        counter.data.memset_async(0, counter.nbytes)
        physics((grid,), (BLOCK,), (*values, work, counter, out, summary, written))
        rows = min(n * scans, processors * 16)
        flats((rows,), (BLOCK,), (np.int64(n), np.int32(scans), lengths, places, written, out))

    return launch


def simulate_into(
    parameters: Any, tables: TableStack, which: Any, plan: Any, start: Any, points: Any, offset: Any, out: Any,
    summary: Any,
) -> None:  # fmt: skip
    """Fill `out` and `summary`, on the host, in batches that fit the device; see backends.py for the arguments."""
    device_count()
    stack = on_device(tables)
    n = len(parameters)
    budget = min(BATCH_BYTES, cupy.cuda.runtime.memGetInfo()[0] // 4) // out.itemsize
    first = 0
    while first < n:
        last = int(np.searchsorted(offset, offset[first] + budget, side="right")) - 1
        last = max(first + 1, min(n, last))
        part = slice(first, last)
        signals = cupy.empty(int(offset[last] - offset[first]), out.dtype)
        found = cupy.empty(summary[part].shape, cupy.float64)
        plan_part = plan._replace(width=plan.width[part], glass=plan.glass[part])
        launcher(
            parameters[part], stack, which[part], plan_part, start[part], points[part],
            offset[first : last + 1] - offset[first], signals, found,
        )()  # fmt: skip
        signals.get(out=out[offset[first] : offset[last]])
        found.get(out=summary[part])
        first = last


def simulate_device(
    parameters: ArrayLike,
    program: Program | None = None,
    *,
    full: bool = True,
    dtype: Any = np.float32,
    resolution: float = 1.0,
) -> DeviceScans:
    """Heating scans in device memory; parameters, program, dtype and resolution as in simulator.simulate_windows.

    Nothing but the summary, 48 bytes a scan, goes to the host, and the result is complete on return. Raises
    BackendError where the signals do not fit the device's free memory, and ParameterError as simulate_windows does.
    """
    device_count()
    program = Program() if program is None else program
    job = prepare(parameters, program, resolution, full)
    n = len(job.parameters)
    need, free = int(job.offset[-1]) * np.dtype(dtype).itemsize, cupy.cuda.runtime.memGetInfo()[0]
    if need > free:
        cupy.get_default_memory_pool().free_all_blocks()
        free = cupy.cuda.runtime.memGetInfo()[0]
    if need > free:
        raise BackendError(
            f"the signals of {n} samples need {need / 1e9:.1f} GB of device memory, {free / 1e9:.1f} GB are free; "
            f"simulate at most {int(n * 0.8 * free / need)} samples at a time"
        )
    values = cupy.empty(int(job.offset[-1]), dtype)
    found = cupy.empty((n, program.scans, 6), cupy.float64)
    if n:
        launcher(*job._replace(tables=on_device(job.tables)), values, found)()  # type: ignore[arg-type]
    summary = found.get()
    check_ends(job.parameters, program, summary)
    if full:
        values = values.reshape((n, program.scans, program.points))
    return DeviceScans(
        values, job.start, job.points, job.offset, Summary(summary[:, :, 0], summary[:, :, 1], summary[:, :, 2])
    )
