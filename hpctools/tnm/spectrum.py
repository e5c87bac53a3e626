"""Spectrum of relaxation rates of the stretched exponential, and the step tables made from it.

The Kohlrausch function is a positive mixture of exponentials,

    exp(-t**β) = ∫ H(u) exp(-t e**u) du ,        u = ln k ,

whose density is that of the logarithm of a one-sided Lévy-stable variable (Pollard 1946). With W = a(θ) e**(-y),
y = u β/(1-β), Zolotarev's integral (Zolotarev 1986, § 2.2; Kanter 1975) gives it as

    H(u) = β/(1-β) · 1/π ∫_0^π W exp(-W) dθ ,
    ln a(θ) = ln[sin βθ / sin θ]/(1-β) + ln[sin (1-β)θ / sin βθ] ,

with a positive integrand that stays well-conditioned up to β → 1, and Humbert's series at large u.

The rates are placed by u(v) = (1-β) v + β ln(1/β + c e**v (1-β)/β) at equally spaced v. Near the peak of H, whose
width shrinks as 1-β, the spacing in u is 1-β of that in v, so that it is uniform in y; in the tail of fast modes it
is that of v. The map is analytic in |Im v| < π, so the trapezoidal rule converges exponentially at any β, with 38
(β > 0.9) to 101 (β = 0.2) modes for an error of the kernel of about 1e-6, and rates and weights are smooth in β.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numba import njit

MAP_C = 0.1
TAIL = 1e-6  # share of the fastest modes that is taken as instantaneous
SLOW = 3.6  # the slow end of the spectrum is cut where W = e**SLOW, that is H ~ exp(-36)
Z_EQUILIBRIUM = 36.0  # a mode that decays by e**-36 in a step follows the forcing
Z_FROZEN = 1e-9
NODES = 5  # the forcing of a step is a polynomial through this many nodes
SUMS = 4 * NODES + 1


class ModeTables(NamedTuple):
    """Coefficients of one β for steps of the reduced time Δξ = 2**(first_level + row).

    A mode obeys dp/dξ = N - k p. Where the forcing N = dT/dξ is Σ a_j s**j on a step, s from 0 to 1,
    p moves exactly by  p1 = e p0 + Δξ Σ_j g_j a_j,  with z = k Δξ, e = exp(-z), g_j = ∫ exp(-z(1-s)) s**j ds.

    rates, weights: (M,), ascending rates in 1/τ; e: (rows, M); g: (rows, 5, M);
    limits: (rows, 2): first mode that is not frozen, first mode that is in equilibrium;
    sums: (rows, 21): Σ w g_j over all modes for the whole step (columns 0-4) and its first half (5-9); Σ w k g_j
    over the modes in equilibrium, likewise (10-14, 15-19); Σ w over the frozen modes (20).
    """

    rates: np.ndarray
    weights: np.ndarray
    first_level: int
    e: np.ndarray
    g: np.ndarray
    sums: np.ndarray
    limits: np.ndarray


@njit(cache=True)
def _ln_a(beta, theta, phi):
    """ln a(θ), with φ = π - θ given apart so that nothing is lost near π."""
    sin_theta = math.sin(theta) if theta < phi else math.sin(phi)
    return (
        math.log(math.sin(beta * theta) / sin_theta) / (1.0 - beta)
        + math.log(math.sin((1.0 - beta) * theta) / math.sin(beta * theta))
    )


@njit(cache=True)
def _density_integral(beta, u, step):
    """H(u) by Zolotarev's integral, in a variable r with ln a = ln a(0) + r²/√(1+r²): even in r, so that the
    mid-point rule converges exponentially."""
    d = beta / (1.0 - beta)
    la0 = math.log(1.0 - beta) + d * math.log(beta)
    top = -1e300
    for i in range(u.size):
        top = max(top, u[i] * d)
    n = int(max(top - la0 + 7.0, 7.0) / step) + 1
    la = np.empty(n)
    weight = np.empty(n)
    v = -math.inf
    for i in range(n):
        r = (i + 0.5) * step
        g = r * r / math.sqrt(1.0 + r * r)
        # θ = π/(1 + e**-s): bracket grows upwards, since θ rises with r
        lo = v if v > -math.inf else -60.0
        width = 1.0
        hi = lo + width
        while True:
            theta = math.pi / (1.0 + math.exp(-hi))
            phi = math.pi / (1.0 + math.exp(hi))
            if _ln_a(beta, theta, phi) - la0 > g:
                break
            lo = hi
            width *= 2.0
            hi = lo + width
        for _ in range(200):
            mid = 0.5 * (lo + hi)
            if mid <= lo or mid >= hi:
                break
            theta = math.pi / (1.0 + math.exp(-mid))
            phi = math.pi / (1.0 + math.exp(mid))
            if _ln_a(beta, theta, phi) - la0 < g:
                lo = mid
            else:
                hi = mid
            if hi - lo < 1e-13 * (1.0 + abs(lo)):
                break
        v = lo
        theta = math.pi / (1.0 + math.exp(-v))
        phi = math.pi / (1.0 + math.exp(v))
        cot = 1.0 / math.tan(theta) if theta < phi else -1.0 / math.tan(phi)
        slope = (
            (beta / math.tan(beta * theta) - cot) / (1.0 - beta)
            + (1.0 - beta) / math.tan((1.0 - beta) * theta)
            - beta / math.tan(beta * theta)
        )
        la[i] = la0 + g
        weight[i] = step * r * (r * r + 2.0) / (1.0 + r * r) ** 1.5 / slope
    out = np.empty(u.size)
    for j in range(u.size):
        y = u[j] * d
        total = 0.0
        for i in range(n):
            x = la[i] - y
            if x < 6.7:  # W exp(-W) is below 1e-350 beyond
                if x < -745.0:
                    continue
                w = math.exp(x)
                total += w * math.exp(-w) * weight[i]
        out[j] = d / math.pi * total
    return out


@njit(cache=True)
def _density_series(beta, u):
    """H(u) by Humbert's series, for u large enough that its terms fall from the start."""
    out = np.zeros(u.size)
    for j in range(1, 200):
        factor = math.sin(math.pi * j * beta) / math.pi
        if j % 2 == 0:
            factor = -factor
        ln_gamma = math.lgamma(j * beta + 1.0) - math.lgamma(j + 1.0)
        largest = 0.0
        for i in range(u.size):
            term = math.exp(ln_gamma - j * beta * u[i])
            largest = max(largest, term)
            out[i] += factor * term
        if largest < 1e-17:
            break
    return out


@njit(cache=True)
def density(beta, u):
    """H(u), the density of ln k of the modes of exp(-t**β), at ascending u (n,); 0 < β < 1."""
    split = 0.5 if beta > 0.5 else -0.5
    n = np.searchsorted(u, split)
    out = np.empty(u.size)
    out[:n] = _density_integral(beta, u[:n], 0.2)
    out[n:] = _density_series(beta, u[n:])
    return out


@njit(cache=True)
def _map(beta, v):
    """u(v) of the module's docstring, zero at v = 0."""
    d = (1.0 - beta) / beta
    if v > 30.0:  # the exponential rules and would overflow far out
        return (1.0 - beta) * v + beta * (v + math.log(d * MAP_C)) - beta * math.log(1.0 / beta + d * MAP_C)
    return (1.0 - beta) * v + beta * math.log((1.0 / beta + d * MAP_C * math.exp(v)) / (1.0 / beta + d * MAP_C))


@njit(cache=True)
def _inverse_map(beta, u):
    lo, hi = -500.0, 500.0
    for _ in range(80):
        mid = 0.5 * (lo + hi)
        if _map(beta, mid) < u:
            lo = mid
        else:
            hi = mid
    return lo


@njit(cache=True, nogil=True)
def modes(beta, spacing):
    """Rates and weights of the modes of exp(-t**β).

    Parameters: 0 < beta ≤ 1; spacing in v (0.9 - 0.6 gives kernel errors of 1e-6).
    Returns rates (M,), ascending, in units of 1/τ, and weights (M,), whose sum is 1 - 1e-6 for β < 1.
    """
    if beta > 0.9999:  # H is narrower than the accuracy asked for
        return np.ones(1), np.ones(1)
    d = (1.0 - beta) / beta
    ln_a0 = math.log(1.0 - beta) + math.log(beta) / d
    centre = d * (ln_a0 + 2.0)
    low = d * (ln_a0 - SLOW) - centre
    high = max(-math.log(TAIL * math.gamma(1.0 - beta)) / beta - centre, 2.0 * d)
    first = math.floor(_inverse_map(beta, low) / spacing)
    last = math.ceil(_inverse_map(beta, high) / spacing)
    n = last - first + 1
    u = np.empty(n)
    du = np.empty(n)
    for i in range(n):
        v = (first + i) * spacing
        q = d * MAP_C * math.exp(v)
        u[i] = centre + _map(beta, v)
        du[i] = spacing * (d + q) / (1.0 + d + q)
    return np.exp(u), density(beta, u) * du


def default_spacing(beta: float) -> float:
    """Spacing of the modes in v at which the kernel is good to about 1e-6 at any β."""
    return 1.0 - 0.4 * beta


@njit(cache=True)
def _moments(z, out):
    """out[j] = ∫_0^1 exp(-z(1-s)) s**j ds for j = 0 … 4; returns exp(-z)."""
    if z < 2.0:  # the upward recursion would lose digits
        term = 1.0 / 5.0
        total = term
        for n in range(6, 34):
            term *= -z / n
            total += term
            if abs(term) < 1e-18:
                break
        out[4] = total
        for j in range(4, 0, -1):
            out[j - 1] = (1.0 - z * out[j]) / j
    else:
        out[0] = -math.expm1(-z) / z
        for j in range(1, 5):
            out[j] = (1.0 - j * out[j - 1]) / z
    return math.exp(-z)


@njit(cache=True, nogil=True)
def _fill(rates, weights, first_level, rows):
    e = np.zeros((rows, rates.size))
    g = np.zeros((rows, NODES, rates.size))
    sums = np.zeros((rows, SUMS))
    limits = np.zeros((rows, 2), np.int64)
    full = np.empty(NODES)
    half = np.empty(NODES)
    below = np.empty((rates.size, NODES))  # moments of half the step: those of the row before
    for m in range(rates.size):
        _moments(0.5 * rates[m] * 2.0**first_level, below[m])
    for row in range(rows):
        scale = 2.0 ** (first_level + row)
        lo = np.searchsorted(rates, Z_FROZEN / scale)
        hi = np.searchsorted(rates, Z_EQUILIBRIUM / scale)
        limits[row, 0] = lo
        limits[row, 1] = hi
        for m in range(rates.size):
            z = rates[m] * scale
            w = weights[m]
            e[row, m] = _moments(z, full)
            half[:] = below[m]
            below[m] = full
            part = 0.5
            for j in range(NODES):
                g[row, j, m] = full[j]
                sums[row, j] += w * full[j]
                sums[row, NODES + j] += w * half[j] * part
                if m >= hi:
                    sums[row, 2 * NODES + j] += w * rates[m] * full[j]
                    sums[row, 3 * NODES + j] += w * rates[m] * half[j] * part
                part *= 0.5
            if m < lo:
                sums[row, 4 * NODES] += w
    return e, g, sums, limits


def make_tables(beta: float, spacing: float | None = None) -> ModeTables:
    """Tables of one β; see ModeTables. They take 0.6-2 ms to make and 0.1-0.5 MB."""
    rates, weights = modes(beta, default_spacing(beta) if spacing is None else spacing)
    # from all modes frozen to all in equilibrium, with room for the faster and the slower ramp of a program
    first_level = math.floor(math.log2(Z_FROZEN / rates[-1])) - 3
    last_level = math.ceil(math.log2(Z_EQUILIBRIUM / rates[0])) + 12
    tables = _fill(rates, weights, first_level, last_level - first_level + 1)
    return ModeTables(rates, weights, first_level, *tables)


mode_tables = lru_cache(maxsize=512)(make_tables)  # for grids, whose β come again and again

MAX_MODES = 1024  # for which the kernels have work space


class TableStack(NamedTuple):
    """The tables of several β one behind the other, as the kernels take them.

    index (n_beta, 7): offsets of a β in modes, e, g, sums and limits, its number of modes and its rows;
    first_level (n_beta,). The other arrays are flat.
    """

    index: np.ndarray  # type: ignore[assignment]
    first_level: np.ndarray
    rates: np.ndarray
    weights: np.ndarray
    e: np.ndarray
    g: np.ndarray
    sums: np.ndarray
    limits: np.ndarray


def stack_tables(betas: np.ndarray, spacing_factor: float = 1.0) -> TableStack:
    """Tables of the given β (n_beta,), with the default spacing of the modes times a factor."""
    return join_tables([mode_tables(float(b), default_spacing(float(b)) * spacing_factor) for b in betas])


def join_tables(tables: list[ModeTables]) -> TableStack:
    """The stack of tables already made."""
    most = max((t.rates.size for t in tables), default=0)
    if most > MAX_MODES:
        raise ValueError(f"{most} modes for one β, at most {MAX_MODES} fit: choose a lower resolution")
    index = np.zeros((len(tables), 7), np.int64)
    sizes = np.array(
        [[t.rates.size, t.e.size, t.g.size, t.sums.size, t.limits.size] for t in tables], np.int64
    ).reshape(-1, 5)
    index[1:, :5] = np.cumsum(sizes, axis=0)[:-1]
    index[:, 5] = sizes[:, 0]
    index[:, 6] = [t.e.shape[0] for t in tables]
    return TableStack(
        index,
        np.array([t.first_level for t in tables], np.int64),
        *(
            np.concatenate([getattr(t, name).ravel() for t in tables] or [np.empty(0)])
            for name in ("rates", "weights", "e", "g", "sums", "limits")
        ),
    )
