"""F(t) from a given memory function: `solve`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..mct import time_doubling
from ..mct.kernel import given_memory
from . import integration
from .equation import (
    FloatArray,
    Grid,
    check_dynamics,
    check_omega2,
    check_times,
    cubic,
    fastest_rate,
)
from .errors import MemoryFunctionError
from .form import PaperForm, StretchedSum

BLOCK = 64
SYMMETRY = 1e-8  # relative, of matrices that must be symmetric


@dataclass(frozen=True, eq=False)
class Solution:
    """t (n_t,); F and M, (n_t,), or (batch, n_t) for a batch of M, or (n_t, n_s, n_s) for matrices."""

    t: FloatArray
    F: FloatArray
    M: FloatArray


def solve(
    omega2: ArrayLike,
    memory: StretchedSum | PaperForm | Callable[[FloatArray], ArrayLike] | ArrayLike,
    t: ArrayLike,
    *,
    F0: ArrayLike = 1.0,
    dynamics: str = "newtonian",
    block: int = BLOCK,
    backend: str | None = None,
) -> Solution:
    """Solve the memory equation for F(t), F(0) = F0.

    omega2: Ω², a number, or a matrix (n_s, n_s) = J S⁻¹ with F0 = S; J must come out symmetric and positive, as
    J_ab = k² (k_B T/m_a) x_a δ_ab does (mct.equation).
    memory: M(t) as a `StretchedSum` or `PaperForm` (one or a batch), as a function of times (n,) that returns (n,),
    (batch, n) or (n, n_s, n_s), or as an array on t (n_t,), (batch, n_t), (n_t, n_s, n_s), which is interpolated by
    cubics in ln t. In matrices M is that of ∂t F + Ω² F + ∫M ∂t' F = 0, J times the kernel m of mode-coupling theory.
    t (n_t,): ascending, from 0 or later. dynamics: "newtonian" (∂t² F first) or "overdamped" (∂t F).
    block: steps of a block; the error falls with about block⁻², Newtonian block⁻³, and is below 3e-5 of F0 at the
    default (tests/benchmarks/memory_speed.py).
    A block's steps grow with t: an oscillation of frequency ω that lasts to ω t > block is not resolved.
    backend: of batches and numbers, see `integration`; matrices are solved by `mct.time_doubling`.
    Raises MemoryFunctionError, which names the place of what is wrong.
    """
    times = check_times(t)
    inertia = check_dynamics(dynamics)
    function = _as_function(memory, times)
    if np.ndim(omega2) not in (0, 2) or np.ndim(F0) not in (0, 2):
        raise MemoryFunctionError(f"omega2 has shape {np.shape(omega2)}, F0 {np.shape(F0)}; expected a number each, or "
                                  "matrices (n_s, n_s)")
    if np.ndim(omega2) == 2 or np.ndim(F0) == 2:
        return _solve_matrix(np.asarray(omega2, float), function, times, np.asarray(F0, float), inertia, block)
    number = check_omega2(float(np.asarray(omega2)))
    start = float(np.asarray(F0))
    if not (np.isfinite(start) and start > 0):
        raise MemoryFunctionError(f"F0 = {start:g}; expected a positive number")
    initial = _checked_memory(function(np.zeros(1)), 1, "M(0)")
    grid = Grid.of(times, fastest_rate(number, float(initial.max()), dynamics), block)
    values = _checked_memory(function(grid.fine), len(grid.fine), "M")
    F = start * solve_on_grid(values, grid, inertia, number, backend)
    M = np.asarray(function(times), float)
    return Solution(times, F.reshape(M.shape), M)


def solve_on_grid(M: FloatArray, grid: Grid, inertia: tuple[float, float], omega2: float,
                  backend: str | None = None) -> FloatArray:
    """F(t)/F(0) (batch, n_out) for kernels M (batch, n_t) on the grid's fine times. Nothing is checked."""
    kernel = integration.choose(backend)
    return _solutions(kernel, kernel.upload(M.T), grid, inertia, omega2)


def solve_candidates(memory: StretchedSum, grid: Grid, inertia: tuple[float, float], omega2: float,
                     backend: str | None = None) -> FloatArray:
    """F(t)/F(0) (batch, n_out) for a batch of sums of stretched exponentials. Nothing is checked."""
    kernel = integration.choose(backend)
    M = kernel.stretched(grid.fine, memory.c, memory.v, memory.tau, memory.b)
    return _solutions(kernel, M, grid, inertia, omega2)


def _solutions(kernel: Any, M: Any, grid: Grid, inertia: tuple[float, float], omega2: float) -> FloatArray:
    fine = kernel.integrate(M, grid.first_step / 2, 2 * grid.block, inertia, omega2)
    coarse = kernel.integrate(M[grid.shared], grid.first_step, grid.block, inertia, omega2)
    return np.asarray(kernel.sample(coarse, fine, grid.shared, *grid.stencil))


def _as_function(memory: Any, t: FloatArray) -> Callable[[FloatArray], FloatArray]:
    """M as a function of times."""
    if isinstance(memory, PaperForm):
        return memory.effective()
    if callable(memory):
        return lambda times: np.asarray(memory(times), float)
    values = np.asarray(memory, float)
    if values.ndim == 2 and values.shape[1:] == t.shape:
        by_time = values.T
    elif values.ndim != 2 and t.shape == values.shape[:1]:
        by_time = values
    else:
        raise MemoryFunctionError(f"M has shape {values.shape}; t has {len(t)} times, expected (n_t,), (batch, n_t) or "
                                  "(n_t, n_s, n_s) on the same times")
    bad = np.argwhere(~np.isfinite(by_time.reshape(len(t), -1)))
    if bad.size:
        raise MemoryFunctionError(f"M at t[{bad[0][0]}] = {t[bad[0][0]]:g} is {by_time[bad[0][0]]}; expected finite "
                                  "numbers")
    late = t > 0
    if late.sum() < 4:
        raise MemoryFunctionError(f"M is given at {late.sum()} positive times; expected 4 or more to interpolate")
    nodes, at_nodes = np.log(t[late]), by_time[late]

    def function(times: FloatArray) -> FloatArray:
        with np.errstate(divide="ignore"):
            rows, weights = cubic(nodes, np.maximum(np.log(times), nodes[0]))
        found = np.einsum("oj,oj...->o...", weights, at_nodes[rows])
        if not late[0]:  # between M(0) and the first M
            early = times < t[1]
            share = np.expand_dims(times[early] / t[1], tuple(range(1, found.ndim)))
            found[early] = by_time[0] + share * (by_time[1] - by_time[0])
        return found.T if values.ndim == 2 else found

    return function


def _checked_memory(values: FloatArray, n_t: int, name: str) -> FloatArray:
    """M as (batch, n_t); raises MemoryFunctionError for another shape or what is not finite."""
    if values.ndim not in (1, 2) or values.shape[-1] != n_t:
        raise MemoryFunctionError(f"{name} has shape {values.shape} at {n_t} times; expected ({n_t},) or (batch, "
                                  f"{n_t}), or matrices together with a matrix omega2")
    if not np.isfinite(values).all():
        at = np.argwhere(~np.isfinite(np.atleast_2d(values)))[0]
        raise MemoryFunctionError(f"{name} of candidate {at[0]} is not finite at the solver's time {at[1]}")
    return np.atleast_2d(values)


def _symmetric(matrix: FloatArray, name: str, positive: bool) -> FloatArray:
    """A symmetric matrix, checked. Raises MemoryFunctionError, naming the element or the eigenvalue."""
    if not np.isfinite(matrix).all():
        at = tuple(int(i) for i in np.argwhere(~np.isfinite(matrix))[0])
        raise MemoryFunctionError(f"{name}{list(at)} = {matrix[at]}; expected finite numbers")
    lack = np.abs(matrix - matrix.T)
    if lack.max() > SYMMETRY * max(np.abs(matrix).max(), 1e-300):
        at = tuple(int(i) for i in np.unravel_index(lack.argmax(), lack.shape))
        raise MemoryFunctionError(f"{name}{list(at)} = {matrix[at]:g}, but {name}{list(at[::-1])} = "
                                  f"{matrix[at[::-1]]:g}; expected a symmetric matrix")
    lowest = float(np.linalg.eigvalsh(matrix)[0])
    if positive and lowest <= 0:
        raise MemoryFunctionError(f"{name} has the eigenvalue {lowest:g}; expected positive ones only")
    return 0.5 * (matrix + matrix.T)


def _solve_matrix(omega2: FloatArray, function: Callable[[FloatArray], FloatArray], t: FloatArray, F0: FloatArray,
                  inertia: tuple[float, float], block: int) -> Solution:
    if omega2.ndim != 2 or omega2.shape[0] != omega2.shape[1] or F0.shape != omega2.shape:
        raise MemoryFunctionError(f"omega2 has shape {omega2.shape}, F0 {F0.shape}; expected (n_s, n_s) for both")
    n_s = len(omega2)
    F0 = _symmetric(F0, "F0", positive=True)
    mobility = _symmetric(omega2 @ F0, "omega2 F0", positive=True)
    inverse = np.linalg.inv(mobility)
    initial = np.asarray(function(np.zeros(1)), float)
    if initial.shape != (1, n_s, n_s):
        raise MemoryFunctionError(f"M has shape {initial.shape} at one time; expected (1, {n_s}, {n_s})")
    stiffness = float(np.abs(omega2 + initial[0]).sum(axis=1).max())
    grid = Grid.of(t, np.sqrt(stiffness) if inertia[0] else stiffness, block)
    matrices = (inertia[0] * inverse, inertia[1] * inverse, np.linalg.inv(F0), np.eye(n_s), F0)
    alpha, beta, gamma, unit, initial_F = (np.ascontiguousarray(one, dtype=np.float64)[..., None] for one in matrices)
    paths = []
    for times, steps in ((grid.coarse, block), (grid.fine, 2 * block)):
        m = inverse @ np.asarray(function(times), float)
        for row, at in enumerate(times):
            m[row] = _symmetric(m[row], f"J⁻¹M at t = {at:g}: element ", positive=False)
        equation = time_doubling.Equation(alpha, beta, gamma, unit, initial_F,
                                          given_memory(np.ascontiguousarray(m)[..., None]))
        paths.append(time_doubling.integrate(equation, times, steps, 1e-10).F[:, 0])
    F = (4.0 * paths[1][grid.shared] - paths[0]) / 3.0
    at, weights = grid.stencil
    return Solution(t, np.einsum("oj,oj...->o...", weights, F[at]), np.asarray(function(t), float))
