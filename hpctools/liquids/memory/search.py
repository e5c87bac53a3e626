"""The forms of M(t) that are fitted, as points in a box: what the evolution and least squares search.

Coordinates are ln(v_i/Ω²), ln τ_i, b_i, and f = F(∞)/F(0) in place of c = Ω² f/(1 - f).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from .curve import Curve
from .equation import FloatArray, Grid, check_dynamics, check_times, fastest_rate
from .errors import MemoryFunctionError
from .form import StretchedSum
from .solver import solve_candidates

AMPLITUDES = (1e-5, 1e4)  # of v/Ω²
EXPONENTS = (0.15, 3.0)
PLATEAU = 0.9999  # of F(∞)/F(0) at most
BEYOND = 30.0  # τ lies within the times of the curve, and by this factor beyond


class Form(Protocol):
    """A family of M(t), and the box of its coordinates."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the coordinates."""

    @property
    def lower(self) -> FloatArray:
        """Lower bounds (n,)."""

    @property
    def upper(self) -> FloatArray:
        """Upper bounds (n,)."""

    @property
    def scales(self) -> FloatArray:
        """What one unit of a search's step means in each coordinate (n,)."""

    @property
    def omega2(self) -> float:
        """Ω²."""

    def memory(self, x: FloatArray) -> StretchedSum:
        """The batch of M(t) at coordinates x (batch, n)."""

    def coordinates(self, memory: StretchedSum) -> FloatArray:
        """Coordinates (n,) of one M(t), within the box."""


@dataclass(frozen=True, eq=False)
class StretchedForm:
    """All sums of n_exp stretched exponentials and a constant; t: times of the curve; scales: steps of a search."""

    n_exp: int
    omega2: float
    t: FloatArray

    def __post_init__(self) -> None:
        if self.n_exp < 1:
            raise MemoryFunctionError(f"n_exp = {self.n_exp}; expected 1 or more")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the coordinates."""
        return tuple(f"{name}{i + 1}" for i in range(self.n_exp) for name in ("ln v/Ω² ", "ln τ ", "b ")) + ("f",)

    @property
    def lower(self) -> FloatArray:
        """Lower bounds."""
        term = [math.log(AMPLITUDES[0]), math.log(self.t[0] / BEYOND), EXPONENTS[0]]
        return np.array(term * self.n_exp + [0.0])

    @property
    def upper(self) -> FloatArray:
        """Upper bounds."""
        term = [math.log(AMPLITUDES[1]), math.log(self.t[-1] * BEYOND), EXPONENTS[1]]
        return np.array(term * self.n_exp + [PLATEAU])

    @property
    def scales(self) -> FloatArray:
        """What one unit of a search's step means in each coordinate."""
        return np.array([1.0, 1.0, 0.3] * self.n_exp + [0.1])

    def memory(self, x: FloatArray) -> StretchedSum:
        """See Form."""
        terms = x[:, :-1].reshape(len(x), self.n_exp, 3)
        f = x[:, -1]
        return StretchedSum(self.omega2 * f / (1 - f), self.omega2 * np.exp(terms[..., 0]), np.exp(terms[..., 1]),
                            terms[..., 2])

    def coordinates(self, memory: StretchedSum) -> FloatArray:
        """See Form."""
        if memory.v.shape != (self.n_exp,):
            raise MemoryFunctionError(f"a start of {memory.n_exp} exponentials; expected {self.n_exp}")
        v = np.log(np.maximum(memory.v / self.omega2, 1e-300))
        c = max(float(memory.c), 0.0)
        x = np.concatenate([np.stack([v, np.log(memory.tau), memory.b], axis=-1).ravel(), [c / (self.omega2 + c)]])
        return np.clip(x, self.lower, self.upper)


@dataclass(frozen=True, eq=False)
class SchematicForm:
    """Equation (8) of Ciarella et al. (2023), in units of Ω²:  M/Ω² = exp(-Ω² t^ν) + K exp(-Ω̃² t^μ) .

    Only M/Ω² is fixed by a curve, so the equation's first amplitude, a bare 1, is taken in these units; Ω² in its
    exponent is the number in the unit of time of t, as in print. Four parameters: ν, K, Ω̃², μ.
    """

    omega2: float
    t: FloatArray
    names = ("ν", "ln K", "ln Ω̃²^(-1/μ)", "μ")

    @property
    def lower(self) -> FloatArray:
        """Lower bounds."""
        return np.array([EXPONENTS[0], math.log(AMPLITUDES[0]), math.log(self.t[0] / BEYOND), EXPONENTS[0]])

    @property
    def upper(self) -> FloatArray:
        """Upper bounds."""
        return np.array([EXPONENTS[1], math.log(AMPLITUDES[1]), math.log(self.t[-1] * BEYOND), EXPONENTS[1]])

    @property
    def scales(self) -> FloatArray:
        """What one unit of a search's step means in each coordinate."""
        return np.array([0.3, 1.0, 1.0, 0.3])

    def memory(self, x: FloatArray) -> StretchedSum:
        """See Form."""
        one = np.ones(len(x))
        return StretchedSum(0 * one, self.omega2 * np.stack([one, np.exp(x[:, 1])], axis=-1),
                            np.stack([self.omega2 ** (-1 / x[:, 0]), np.exp(x[:, 2])], axis=-1),
                            np.stack([x[:, 0], x[:, 3]], axis=-1))

    def coordinates(self, memory: StretchedSum) -> FloatArray:
        """See Form: the slower of two terms is that of K."""
        last = memory.ordered()
        x = np.array([1.0, np.log(max(last.v[-1] / self.omega2, 1e-300)), np.log(last.tau[-1]), last.b[-1]])
        return np.clip(x, self.lower, self.upper)


class Problem:
    """A curve and a form: residuals of many candidates at once.

    lasso: λ of λ Σ|amplitude|/Ω², added to the sum of squares (Ciarella et al. 2023, § 4.4, who do not give λ).
    Amplitudes are c and v, since the printed c, w, a are redundant.
    """

    def __init__(self, curve: Curve, form: Form, dynamics: str, *, lasso: float = 0.0, block: int = 32,
                 backend: str | None = "cpu", threads: int = 1) -> None:
        if not (math.isfinite(lasso) and lasso >= 0):
            raise MemoryFunctionError(f"lasso = {lasso}; expected 0 or a positive number")
        if threads < 1:
            raise MemoryFunctionError(f"threads = {threads}; expected 1 or more")
        self.curve, self.form, self.lasso, self.threads = curve, form, lasso, threads
        self.inertia = check_dynamics(dynamics)
        largest = AMPLITUDES[1] * form.omega2 * (len(form.names) // 3)
        self.grid = Grid.of(curve.t, fastest_rate(form.omega2, largest, dynamics), block)
        self.backend = backend
        self.evaluations = 0

    def F(self, x: FloatArray) -> FloatArray:
        """F/F(0) (batch, n_t) at coordinates x (batch, n); the same numbers for any number of threads."""
        self.evaluations += len(x)
        parts = [part for part in np.array_split(x, self.threads) if len(part)]
        if len(parts) < 2:
            return self._part(x)
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(len(parts)) as pool:  # the compiled code runs outside Python's lock
            return np.concatenate(list(pool.map(self._part, parts)))

    def _part(self, x: FloatArray) -> FloatArray:
        return solve_candidates(self.form.memory(x), self.grid, self.inertia, self.form.omega2, self.backend)

    def residuals(self, x: FloatArray) -> FloatArray:
        """Residuals (batch, n_t + 1): deviations over errors, and the square root of the Lasso term."""
        deviations = (self.F(x) - self.curve.F) / self.curve.error
        memory = self.form.memory(x)
        amplitude = (np.abs(memory.v).sum(axis=-1) + np.abs(memory.c)) / self.form.omega2
        return np.concatenate([deviations, np.sqrt(self.lasso * amplitude)[:, None]], axis=1)

    def objective(self, x: FloatArray) -> FloatArray:
        """Sum of squares (batch,); infinite where it is no number."""
        total = (self.residuals(x) ** 2).sum(axis=1)
        return np.where(np.isfinite(total), total, np.inf)


def fit_curve(t: ArrayLike, M: ArrayLike, n_exp: int = 2, starts: Sequence[float] = (0.2, 0.35, 0.5)) -> StretchedSum:
    """The sum of n_exp stretched exponentials nearest to a curve M(t), in ln M: a start made of MCT's kernel or of an
    inversion.

    t, M (n_t,): where M > 1e-4 of its largest value it is fitted. starts: where, in ln t, the first term may end.
    Raises MemoryFunctionError where M is not positive.
    """
    from .refinement import import_scipy

    times, values = check_times(t), np.asarray(M, float)
    kept = (times > 0) & (values > 1e-4 * np.nanmax(values))
    if kept.sum() < 3 * n_exp + 1:
        raise MemoryFunctionError(f"M(t) is positive at {kept.sum()} times; expected {3 * n_exp + 1} for {n_exp} terms")
    x, y = times[kept], values[kept]
    scale = float(y.max())
    form = StretchedForm(n_exp, scale, x)
    least = 1e-9

    def deviation(point: FloatArray) -> FloatArray:
        return np.asarray(np.log((form.memory(point[None])(x)[0] + least * scale) / y))

    best = None
    for share in starts:
        cuts = np.exp(np.log(x[0]) + np.log(x[-1] / x[0]) * np.linspace(share, 1.0, n_exp))
        v = np.interp(np.log(cuts / 3), np.log(x), y)
        v = np.maximum(v - np.append(v[1:], 0.0), 1e-3 * scale)
        start = form.coordinates(StretchedSum(0.0, v, cuts / 3, np.full(n_exp, 0.8)))
        start = np.clip(start, form.lower + 1e-9, form.upper - 1e-9)
        found = import_scipy("optimize").least_squares(deviation, start, bounds=(form.lower, form.upper), max_nfev=200)
        if best is None or found.cost < best.cost:
            best = found
    assert best is not None
    return form.memory(best.x[None])[0].ordered()
