"""Cramér-Rao bounds: the smallest errors that scans with a given noise allow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .residuals import Noise, Nuisance, Problem
from .scans import Scan

Array = NDArray[np.float64]


def bounds(
    parameters: ArrayLike, scans: Sequence[Scan], noise: Noise, nuisance: Nuisance = (), resolution: float = 1.0
) -> Array:
    """Covariance (4, 4) of ln A, Δh* (J/mol), x, β that no unbiased estimate can undercut.

    The inverse of the Fisher information of Gaussian noise of this size and exponential correlation at the points of
    the scans, at these parameters (4,); nuisance: instrument parameters that are unknown as well, with the priors of
    the fit. The CpN of the scans plays no part. At x = 1 and β = 1 the bound is that of an estimate that may cross 1.
    """
    problem = Problem(scans, nuisance)
    values = problem.initial(np.asarray(parameters, float))
    _, jacobian = problem.linearise(values, resolution, central=True)
    rows = problem.whitened(jacobian, noise)
    information = rows @ rows.T + np.diag(1 / problem.prior**2)
    scale = np.sqrt(np.diag(information))
    inner = np.linalg.inv(information / np.outer(scale, scale)) / np.outer(scale, scale)
    outer = problem.parameter_jacobian(values)
    return np.asarray(outer @ inner @ outer.T)


def correlated_noise(scans: Sequence[Scan], noise: Noise, random: np.random.Generator) -> list[Array]:
    """Gaussian noise of this size and exponential correlation for each scan, (points,) each."""
    out = []
    for one in scans:
        gaps = np.diff(one.temperature)
        rho = np.exp(-gaps / noise.length) if noise.length > 0 else np.zeros_like(gaps)
        fresh = random.standard_normal(len(one.temperature))
        values = np.empty_like(fresh)
        values[0] = fresh[0]
        for i in range(len(gaps)):
            values[i + 1] = rho[i] * values[i] + np.sqrt(1 - rho[i] ** 2) * fresh[i + 1]
        out.append(noise.sigma * values)
    return out

