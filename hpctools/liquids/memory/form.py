"""Sums of stretched exponentials as memory functions, and the redundant form in print.

Ciarella et al., Mach. Learn.: Sci. Technol. 4 (2023) 025010, eq. (6), write

    M(t) = c + Σ_i w_i {(1 - a_i) exp[-(t/τ_i)^b_i] + a_i} ,

in which c and the a_i enter only as c + Σ w_i a_i, and the w_i only as w_i (1 - a_i): 1 + 4 n parameters, of which
1 + 3 n can be found. `StretchedSum` has those; `PaperForm` maps to and fro.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from .equation import FloatArray
from .errors import MemoryFunctionError


@dataclass(frozen=True, eq=False)
class StretchedSum:
    """M(t) = c + Σ_i v_i exp[-(t/τ_i)^b_i], one or a batch of them.

    c (…): long-time limit; v, tau, b (…, n): amplitudes in the units of M, times, exponents (b < 1 stretched, b > 1
    compressed). Raises MemoryFunctionError for shapes that do not match, tau or b that are not positive, and NaN.
    """

    c: FloatArray
    v: FloatArray
    tau: FloatArray
    b: FloatArray

    def __init__(self, c: ArrayLike, v: ArrayLike, tau: ArrayLike, b: ArrayLike) -> None:
        values = {"c": np.asarray(c, float)}
        values |= {name: np.atleast_1d(np.asarray(value, float))
                   for name, value in (("v", v), ("tau", tau), ("b", b))}
        shape = values["v"].shape
        for name, value in values.items():
            if value.shape != (shape[:-1] if name == "c" else shape):
                raise MemoryFunctionError(f"{name} has shape {value.shape}; v has {shape}, expected c of shape "
                                          f"{shape[:-1]} and tau, b of the shape of v")
            if not np.isfinite(value).all() or (name in ("tau", "b") and not (value > 0).all()):
                wrong = np.isnan(value) | ~np.isfinite(value) | (value <= 0 if name in ("tau", "b") else False)
                at = tuple(int(i) for i in np.argwhere(wrong)[0])
                raise MemoryFunctionError(f"{name}{list(at)} = {value[at]}; expected a finite"
                                          f"{' positive' if name in ('tau', 'b') else ''} number")
            object.__setattr__(self, name, value)

    @property
    def n_exp(self) -> int:
        """Number of stretched exponentials."""
        return self.v.shape[-1]

    def __call__(self, t: ArrayLike) -> FloatArray:
        """M at times t (n_t,): (…, n_t); at one time: (…). Raises MemoryFunctionError for t < 0 and NaN."""
        times = np.asarray(t, float)
        if times.ndim == 0:
            return np.asarray(self(times[None])[..., 0])
        if not (times >= 0).all():
            raise MemoryFunctionError(f"M(t) at t = {times[~(times >= 0)][0]:g}; expected times from 0 on")
        with np.errstate(divide="ignore"):
            log_t = np.log(times)
        out = np.repeat(self.c[..., None], len(log_t), axis=-1)
        for i in range(self.n_exp):
            exponent = self.b[..., i, None] * (log_t - np.log(self.tau[..., i, None]))
            with np.errstate(over="ignore"):  # exp of a late time may overflow: then the term is over
                out += self.v[..., i, None] * np.exp(-np.exp(exponent))
        return out

    def __getitem__(self, row: int) -> StretchedSum:
        """One of a batch."""
        return StretchedSum(self.c[row], self.v[row], self.tau[row], self.b[row])

    @property
    def initial(self) -> FloatArray:
        """M(0) (…)."""
        return self.c + self.v.sum(axis=-1)

    def nonergodicity(self, omega2: float) -> FloatArray:
        """F(∞)/F(0) = c/(Ω² + c) (…), for either kind of dynamics: z F̂ at z → 0 with M̂ → c/z."""
        return self.c / (omega2 + self.c)

    def relaxation_times(self) -> FloatArray:
        """∫ exp[-(t/τ)^b] dt = τ Γ(1 + 1/b) of each term (…, n)."""
        gamma = np.vectorize(_gamma, otypes=[float])
        return self.tau * gamma(1 + 1 / self.b)

    def ordered(self) -> StretchedSum:
        """The same function with its terms by τ, fastest first."""
        order = np.argsort(self.tau, axis=-1)
        return StretchedSum(self.c, *(np.take_along_axis(part, order, -1) for part in (self.v, self.tau, self.b)))


def _gamma(x: float) -> float:
    import math

    return math.gamma(x) if x < 170 else math.inf


@dataclass(frozen=True, eq=False)
class PaperForm:
    """The form in print: c (…); w, a, tau, b (…, n). The sum has n terms; in print it has one more, i = 0 … N_exp."""

    c: FloatArray
    w: FloatArray
    a: FloatArray
    tau: FloatArray
    b: FloatArray

    def effective(self) -> StretchedSum:
        """The parameters that M(t) depends on: c + Σ w a, and w (1 - a)."""
        c, w, a = (np.asarray(part, float) for part in (self.c, self.w, self.a))
        return StretchedSum(c + (w * a).sum(axis=-1), w * (1 - a), self.tau, self.b)

    @classmethod
    def of(cls, memory: StretchedSum, a: ArrayLike = 0.0) -> PaperForm:
        """The member of the family of equal M(t) that has these a (…, n), a < 1; by default none.

        Raises MemoryFunctionError for a ≥ 1, where w = v/(1 - a) has no meaning.
        """
        share = np.broadcast_to(np.asarray(a, float), memory.v.shape)
        if not (share < 1).all():
            raise MemoryFunctionError(f"a = {np.asarray(a).tolist()}; expected numbers below 1")
        w = memory.v / (1 - share)
        return cls(memory.c - (w * share).sum(axis=-1), w, share.copy(), memory.tau, memory.b)
