"""The Tool-Narayanaswamy-Moynihan model: parameters, characteristic temperatures, validation.

    τ(T, Tf) = exp[ ln A + x Δh*/(R T) + (1-x) Δh*/(R Tf) ]                        (Moynihan et al. 1976)
    Tf(t)    = T(t) - ∫ exp{-[ξ(t) - ξ(t')]**β} dT(t') ,    dξ = dt/τ              (Narayanaswamy 1971)
    CpN(T)   = dTf/dT on the heating scan

A parameter set is the row (ln A, Δh*, x, β): A in s (natural logarithm), Δh* in J/mol, x and β in (0, 1].
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

GAS_CONSTANT = 8.314462618  # J/(mol K), CODATA 2018
PARAMETER_NAMES = ("ln_A", "dh", "x", "beta")
PARAMETER_UNITS = ("ln(A/s)", "J/mol", "1", "1")
BETA_LOWEST = 0.05  # below, relaxation spreads over more decades of time than double precision holds
LN_TAU_REFERENCE = float(np.log(100.0))  # T100 is where τ(T, T) = 100 s

FloatArray = NDArray[np.float64]


class ParameterError(ValueError):
    """A parameter set that has no meaning, or that a temperature program cannot measure."""

    user_error = True


def reference_temperature(ln_a: ArrayLike, dh: ArrayLike, ln_tau: float = LN_TAU_REFERENCE) -> FloatArray:
    """Temperature (K) at which the equilibrium relaxation time is exp(ln_tau) s; T100 by default.

    It solves ln A + Δh*/(R T) = ln τ.
    """
    return np.asarray(dh, float) / GAS_CONSTANT / (ln_tau - np.asarray(ln_a, float))


def transition_width(ln_a: ArrayLike, dh: ArrayLike) -> FloatArray:
    """w₀ = R T100²/Δh* (K), over which the equilibrium relaxation time changes e-fold."""
    return reference_temperature(ln_a, dh) ** 2 * GAS_CONSTANT / np.asarray(dh, float)


def check_parameters(parameters: ArrayLike) -> FloatArray:
    """The parameters as a contiguous (n, 4) array of float64.

    Raises ParameterError, which names the first offending sample, its parameter, value and the allowed range.
    """
    array = np.ascontiguousarray(parameters, dtype=np.float64)
    if array.ndim == 1 and array.size == 4:
        array = array.reshape(1, 4)
    if array.ndim != 2 or array.shape[1] != 4:
        raise ParameterError(
            f"parameters have shape {array.shape}; expected (n, 4), a row (ln A, Δh* in J/mol, x, β) a sample"
        )
    limits = {
        0: (-np.inf, LN_TAU_REFERENCE, "a finite number below ln 100 = 4.6, A in s"),
        1: (0.0, np.inf, "a positive number of J/mol"),
        2: (0.0, 1.0, "in (0, 1]"),
        3: (0.0, 1.0, "in (0, 1]"),
    }

    for column, (low, high, words) in limits.items():
        values = array[:, column]
        upper = values <= high if column > 1 else values < high
        bad = np.flatnonzero(~(np.isfinite(values) & (values > low) & upper))
        if bad.size:
            raise ParameterError(
                f"sample {bad[0]}: {PARAMETER_NAMES[column]} = {values[bad[0]]:g}; expected {words}"
                + (f" ({bad.size} samples are outside)" if bad.size > 1 else "")
            )
    flat = np.flatnonzero(array[:, 3] < BETA_LOWEST)
    if flat.size:
        raise ParameterError(
            f"sample {flat[0]}: beta = {array[flat[0], 3]:g}; this solver's spectra begin at {BETA_LOWEST:g}"
        )
    return array
