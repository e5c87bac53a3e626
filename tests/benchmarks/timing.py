"""Timing of the benchmarks: the best of several runs, and what a core can do."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numba import njit

_CHAINS = 96


def least(call: Callable[[], object], repeats: int) -> float:
    """Least seconds of a call, after one that is not timed."""
    call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


@njit(fastmath=True)
def _multiply_adds(rounds):
    """In registers: as many independent chains as hide the latency of each operation."""
    sums = np.ones(_CHAINS)
    for _ in range(rounds):
        for lane in range(_CHAINS):
            sums[lane] = sums[lane] * 0.999 + 0.001
    return sums.sum()


def flop_rate() -> float:
    """Floating-point operations a second of one core in independent multiply-adds: the most that a kernel can do."""
    # many short runs: on a busy machine a long one is interrupted
    return 2 * _CHAINS * 20_000 / least(lambda: _multiply_adds(20_000), 300)
