"""The memory equation, its two conventions, and the times on which it is solved.

For a scalar F with F(0) > 0, in X = F(0) - F,

    α ∂t² X + β ∂t X + Ω² X + ∫0^t M(t-t') ∂t' X(t') dt' = Ω² F(0) ,

(α, β) = (1, 0) for "newtonian" and (0, 1) for "overdamped" dynamics. Integration is that of
`hpctools.liquids.mct.time_doubling`: blocks of equidistant times, halved and doubled. Its error is of order
block⁻² with a smooth coefficient, so each solution is made with `block` and 2 · `block` steps, and extrapolated,

    F = (4 F_{2 block} - F_block)/3 ,

which is worth a factor of some tens at half again the cost (tests/benchmarks/memory_speed.py).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..mct import time_doubling
from .errors import MemoryFunctionError

FloatArray = NDArray[np.float64]

DYNAMICS = ("newtonian", "overdamped")
START = 0.005  # rate × time up to which the expansion at short times serves; its error is the cube of that over 6


def check_dynamics(dynamics: str) -> tuple[float, float]:
    """α and β. Raises MemoryFunctionError for a name that is not known."""
    if dynamics not in DYNAMICS:
        raise MemoryFunctionError(f"dynamics = {dynamics!r}; expected one of {', '.join(DYNAMICS)}")
    return (1.0, 0.0) if dynamics == "newtonian" else (0.0, 1.0)


def check_times(t: ArrayLike) -> FloatArray:
    """Times as an array; raises MemoryFunctionError where they do not ascend from 0 or later, naming the place."""
    times = np.asarray(t, float)
    if times.ndim != 1 or len(times) < 2:
        raise MemoryFunctionError(f"t has shape {times.shape}; expected (n_t,) with at least 2 times")
    bad = np.flatnonzero(~np.isfinite(times))
    if bad.size:
        raise MemoryFunctionError(f"t[{bad[0]}] = {times[bad[0]]}; expected finite times")
    if times[0] < 0:
        raise MemoryFunctionError(f"t[0] = {times[0]:g}; expected times from 0 on")
    bad = np.flatnonzero(np.diff(times) <= 0)
    if bad.size:
        at = int(bad[0]) + 1
        kind = "repeats" if times[at] == times[at - 1] else "is earlier than"
        raise MemoryFunctionError(f"t[{at}] = {times[at]:g} {kind} t[{at - 1}] = {times[at - 1]:g}; expected ascending "
                                  "times, each once")
    return times


def check_omega2(omega2: float) -> float:
    """Ω² of a scalar equation; raises MemoryFunctionError where it is not a positive number."""
    value = float(omega2)
    if not (math.isfinite(value) and value > 0):
        raise MemoryFunctionError(f"omega2 = {omega2}; expected a positive number: k² k_B T/m (newtonian) or k² D_0 "
                                  "(overdamped)")
    return value


@dataclass(frozen=True, eq=False)
class Grid:
    """The solver's times for output at times t (n_t,), and how solutions on them become F(t).

    first_step: of the coarse solution; block: its steps in a block.
    """

    t: FloatArray
    first_step: float
    block: int

    @classmethod
    def of(cls, t: FloatArray, rate: float, block: int) -> Grid:
        """A grid for output at times t; rate: the fastest, whose start must be resolved (1/time).

        Raises MemoryFunctionError for a block that makes no grid.
        """
        if not isinstance(block, int | np.integer) or block < 16 or block % 4:
            raise MemoryFunctionError(f"block = {block}; expected a multiple of 4, at least 16")
        positive = t[t > 0]
        # the expansion at short times serves for the first half of a block
        step = min(START / rate / (block // 2), float(positive[0]) / 4)
        return cls(t, step, block)

    @cached_property
    def coarse(self) -> FloatArray:
        """Times of the solution with `block`, from 0 to beyond the last output."""
        return time_doubling.times(self.first_step, float(self.t[-1]) * (1 + 1e-12), self.block)

    @cached_property
    def fine(self) -> FloatArray:
        """Times of the solution with 2 · `block`; `coarse` are among them."""
        return time_doubling.times(self.first_step / 2, float(self.t[-1]) * (1 + 1e-12), 2 * self.block)

    @cached_property
    def shared(self) -> NDArray[np.int64]:
        """Where in `fine` the times of `coarse` are."""
        found = np.searchsorted(self.fine, self.coarse * (1 - 1e-9))
        assert np.allclose(self.fine[found], self.coarse, rtol=1e-12, atol=0)
        return found

    @cached_property
    def stencil(self) -> tuple[NDArray[np.int64], FloatArray]:
        """The four coarse times around each output, and weights of the cubic in t through them: two (n_t, 4)."""
        return cubic(self.coarse, self.t)


def cubic(nodes: FloatArray, x: FloatArray) -> tuple[NDArray[np.int64], FloatArray]:
    """The four nodes around each x, and weights of the cubic through them: two (n_x, 4)."""
    at = np.clip(np.searchsorted(nodes, x) - 2, 0, len(nodes) - 4)[:, None] + np.arange(4)
    near = nodes[at]
    weights = np.ones_like(near)
    for j in range(4):
        for other in range(4):
            if other != j:
                weights[:, j] *= (x - near[:, other]) / (near[:, j] - near[:, other])
    return at, weights


def fastest_rate(omega2: float, initial_memory: float, dynamics: str) -> float:
    """Rate at which X(t) begins: sqrt(Ω² + M(0)) or Ω² + M(0)."""
    stiffness = omega2 + max(initial_memory, 0.0)
    return math.sqrt(stiffness) if dynamics == "newtonian" else stiffness
