"""Source of the C++ kernel: kernel.h with the constants of the numba kernel before it.

The same text is compiled for CUDA devices (cuda.py) and for the host (host.py).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import cpu
from .model import GAS_CONSTANT
from .spectrum import MAX_MODES, SUMS, TableStack

BLOCK = 128  # threads of a block on the device
BLOCKS = 3  # blocks that a multiprocessor should hold: 168 registers a thread
# names in cpu.py, columns of the summary among them
SHARED = (
    "TF_LIMIT", "CPN_MAX", "T_PEAK", "FIRST", "LAST", "STATUS", "STATUS_OK", "STATUS_STEP", "STENCIL", "MOST_STEPS",
    "FLAT", "FLAT_FACTOR", "FLATTER", "FLATTER_FACTOR", "EASE", "EASE_SLOPE", "EASE_SHARPNESS", "EASE_LEAST", "SOLVED",
)  # fmt: skip


def source(blocks: int = BLOCKS) -> str:
    """The complete C++ source; blocks: of a multiprocessor, see BLOCKS."""

    def numbers(array: NDArray[Any]) -> str:
        return ", ".join(repr(float(value)) for value in array.ravel())

    constants = {
        "BASIS": numbers(cpu.BASIS),
        "FULL": numbers(cpu.FULL),
        "HALF": numbers(cpu.HALF),
        "GAS_CONSTANT": repr(GAS_CONSTANT),
        "SUMS": SUMS,
        "MODES": MAX_MODES,
        "BLOCK": BLOCK,
        "BLOCKS": blocks,
        **{name: repr(getattr(cpu, name)) for name in SHARED},
    }
    text = Path(__file__).with_name("kernel.h").read_text(encoding="utf-8")
    return "".join(f"#define TNM_{name} {value}\n" for name, value in constants.items()) + text


def arguments(
    parameters: NDArray[np.float64],
    which: NDArray[np.integer],
    plan: Any,
    start: NDArray[np.integer],
    points: NDArray[np.integer],
    offset: NDArray[np.integer],
    order: NDArray[np.integer],
    side: int,
    tables: list[Any],
) -> list[Any]:
    """The kernel's TNM_ARGUMENTS, in order: NumPy scalars and arrays of the types that it expects.

    order (n,): samples in the order of work; side: samples beside each other, see item_scan in kernel.h; tables:
    arrays in the form of the host or the device, passed through. For the rest see backends.py.
    """
    rate, end, duration = plan.segments
    small = np.int32
    return [
        np.int64(len(parameters)), small(rate.shape[0]), small(rate.shape[1]), small(side), order.astype(small),
        np.ascontiguousarray(parameters), plan.width, plan.glass, which.astype(small), *map(np.float64, plan.change),
        rate, end, duration, np.float64(plan.high), *tables, start.astype(small), points.astype(small),
        offset.astype(np.int64), np.float64(plan.grid_low), np.float64(plan.step),
    ]  # fmt: skip


def host_tables(tables: TableStack) -> list[NDArray[Any]]:
    """Tables as the kernel takes them on the host: index, first_level, TNM_TABLES, sums, limits."""
    index, first_level, rates, weights, e, g, sums, limits = tables
    return [index, first_level.astype(np.int32), rates, weights, e, g, sums, limits.astype(np.int32)]


def device_tables(tables: TableStack) -> list[NDArray[Any]]:
    """Tables as the kernel takes them on a device: index, first_level, records, sums, limits.

    records: (rows · modes, 8) of every β behind each other, columns e, g_0 … g_4, weight, rate.
    """
    index, first_level, rates, weights, e, g, sums, limits = tables
    records = np.empty((e.size, 8))
    records[:, 0] = e
    for at_modes, at_e, at_g, _, _, modes, rows in index:
        part = records[at_e : at_e + rows * modes].reshape(rows, modes, 8)
        moments = g[at_g : at_g + rows * 5 * modes].reshape(rows, 5, modes)
        part[:, :, 1:6] = moments.transpose(0, 2, 1)
        part[:, :, 6] = weights[at_modes : at_modes + modes]
        part[:, :, 7] = rates[at_modes : at_modes + modes]
    return [index, first_level.astype(np.int32), records, sums, limits.astype(np.int32)]
