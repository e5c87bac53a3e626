"""The modes of exp(-t**β) against the function itself and closed forms."""

import math

import numpy as np
import pytest

from hpctools.tnm.spectrum import Z_EQUILIBRIUM, Z_FROZEN, default_spacing, density, mode_tables, modes

BETAS = [0.15, 0.2, 0.3, 0.4, 0.5, 0.51, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999]


@pytest.mark.parametrize("beta", [*BETAS, 1.0])
def test_kernel(beta):
    rates, weights = modes(beta, default_spacing(beta))
    t = 10.0 ** np.linspace(-30, 4, 3000)
    t = t[t**beta > 1e-4]  # the truncated fast modes are missing before
    error = np.exp(-np.minimum(np.outer(t, rates), 700.0)) @ weights - np.exp(-(t**beta))
    assert np.abs(error).max() < (3e-6 if beta < 0.99 else 6e-6)
    assert weights.sum() == pytest.approx(1.0, abs=3e-6)
    assert np.all(weights >= 0) and np.all(np.diff(rates) > 0)


def test_density_at_one_half():
    """β = ½: exp(-√t) = ∫ k**(-3/2) exp(-1/(4k)) / (2√π) exp(-k t) dk."""
    u = np.linspace(-4.0, 12.0, 60)
    k = np.exp(u)
    assert density(0.5, u) == pytest.approx(k**-0.5 * np.exp(-0.25 / k) / (2 * math.sqrt(math.pi)), rel=1e-10)


@pytest.mark.parametrize("beta", [0.3, 0.6, 0.8, 0.95, 0.99])
def test_density_is_continuous_where_the_formulas_meet(beta):
    split = 0.5 if beta > 0.5 else -0.5
    below, above = density(beta, np.array([split - 1e-9])), density(beta, np.array([split + 1e-9]))
    assert below == pytest.approx(above, rel=1e-6)


def test_smooth_in_beta():
    """The mean relaxation time Σ w/k = Γ(1/β)/β and its derivative; a fitted table would show steps."""
    betas = np.linspace(0.30, 0.95, 66)
    means = []
    for beta in betas:
        rates, weights = modes(beta, default_spacing(beta))
        means.append((weights / rates).sum() * beta / math.gamma(1 / beta))
    assert means == pytest.approx(np.ones(len(betas)), abs=3e-5)


def test_tables():
    tables = mode_tables(0.6)
    n = tables.rates.size
    for row in (3, len(tables.e) // 2, len(tables.e) - 1):
        z = tables.rates * 2.0 ** (tables.first_level + row)
        assert tables.e[row] == pytest.approx(np.exp(-z), rel=1e-13, abs=1e-300)
        s, w = np.polynomial.legendre.leggauss(60)
        s, w = 0.5 * (s + 1), 0.5 * w
        for m in np.flatnonzero(z < 20):
            for j in range(5):
                assert tables.g[row, j, m] == pytest.approx((w * np.exp(-z[m] * (1 - s)) * s**j).sum(), rel=1e-12)
        lo, hi = tables.limits[row]
        assert np.all(z[:lo] < Z_FROZEN) and np.all(z[hi:] > Z_EQUILIBRIUM)
    assert tables.limits[1, 0] == n and tables.limits[-1, 1] == 0


def test_number_of_modes():
    assert [modes(beta, default_spacing(beta))[0].size for beta in (0.2, 0.5, 0.9)] == [101, 50, 38]
