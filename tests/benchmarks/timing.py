"""Timing of the benchmarks: the best of several runs, and what a core can do."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numba import njit


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
def _multiply_adds(a, b, c, rounds):
    for _ in range(rounds):
        for i in range(a.size):
            a[i] = a[i] * b[i] + c[i]
    return a[0]


def multiply_add_rate() -> float:
    """Floating-point operations a second of a loop of multiply-adds on numbers in the first-level cache, one core."""
    a, b, c = (np.full(1024, value) for value in (0.5, 0.999, 1e-3))
    # many short runs: on a busy machine a long one is interrupted
    return 2 * 1024 * 1000 / least(lambda: _multiply_adds(a, b, c, 1000), 300)
