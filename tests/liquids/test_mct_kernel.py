"""Structure factors of Percus and Yevick, and the memory kernel against the sums that define it."""

import numpy as np
import pytest

from hpctools.liquids import mct
from hpctools.liquids.mct.equation import MCTError, liquid
from hpctools.liquids.mct.kernel import flops, liquid_memory, mode_prefactor, tagged_kernel

MIXTURES = {1: ([1.0], [1.0]), 2: ([0.8, 1.0], [0.2, 0.8]), 3: ([0.7, 1.0, 1.3], [0.5, 0.3, 0.2])}


def mixture(n_s, n_k=14, k_max=21.0, packing=0.45):
    k = mct.wave_numbers(n_k, k_max)
    diameters, fractions = MIXTURES[n_s]
    S, density = mct.hard_sphere_mixture(k, packing, diameters, fractions)
    return liquid(k, S, density, fractions)


def triple_sum(structure, F):
    """m_ab from the vertices V_aμν, wave number by wave number (Weysser et al. 2010, eq. 4)."""
    k, c, n_s = structure.k, structure.c, structure.n_species
    one = np.eye(n_s)
    m = np.zeros_like(F)
    for n, kn in enumerate(k):
        for i, q in enumerate(k):
            for j, p in enumerate(k):
                if not abs(i - j) <= n <= i + j:
                    continue
                along_q, along_p = (kn**2 + q**2 - p**2) / (2 * kn), (kn**2 + p**2 - q**2) / (2 * kn)
                V = along_q * np.einsum("am,an->amn", c[:, :, i], one)
                V += along_p * np.einsum("an,am->amn", c[:, :, j], one)
                m[:, :, n] += q * p / kn * np.einsum("amn,mx,ny,bxy->ab", V, F[:, :, i], F[:, :, j], V)
    x = structure.fractions
    factor = structure.density * structure.dk**2 / (8 * np.pi**2 * k**2)  # ρ/(2k²) · dq dp/(4π²)
    return m * factor / np.outer(x, x)[:, :, None]


def evaluate(kernel, F):
    out = np.empty_like(F)
    kernel.function(F, 0, kernel.parameters, out)
    return out


@pytest.mark.parametrize("n_s", [1, 2, 3])
def test_recursion_is_the_triple_sum(n_s):
    structure = mixture(n_s)
    # not S itself, so that terms which cancel there would be seen
    F = structure.S * np.exp(-0.02 * structure.k**2) * (1 + 0.1 * np.sin(structure.k))
    expected = triple_sum(structure, F)
    np.testing.assert_allclose(evaluate(liquid_memory(structure), F), expected, rtol=1e-11)


def test_kernel_is_quadratic_and_symmetric():
    structure = mixture(3, n_k=40)
    kernel = liquid_memory(structure)
    m = evaluate(kernel, structure.S)
    np.testing.assert_allclose(evaluate(kernel, 3 * structure.S), 9 * m, rtol=1e-12)
    np.testing.assert_array_equal(m, m.transpose(1, 0, 2))
    assert (np.linalg.eigvalsh(np.moveaxis(m, -1, 0)) > 0).all()  # it keeps the order of positive matrices


def test_tagged_kernel_is_that_of_a_trace_species():
    """A species of vanishing fraction: m_ss x_s → m_s, if its correlator is x_s F_s."""
    trace = 1e-7
    k = mct.wave_numbers(40, 20.0)
    S, density = mct.hard_sphere_mixture(k, 0.5, [0.8, 1.0], [trace, 1 - trace])
    structure = liquid(k, S, density, [trace, 1 - trace])
    m = evaluate(liquid_memory(structure), structure.S)[0, 0] * trace
    A = np.einsum("ak,abk,bk->k", structure.c[0], structure.S, structure.c[0])
    m_s = np.empty((1, 1, 40))
    tagged_kernel(np.ones((1, 1, 40)), 0, np.concatenate([mode_prefactor(structure), A]), m_s)
    np.testing.assert_allclose(m, m_s[0, 0], rtol=1e-5)


def test_count_of_operations():
    """The pairs i ≥ j of all diagonals and anti-diagonals, counted one by one."""
    n_k = 30
    diagonal = sum(n_k - n for n in range(1, n_k))
    anti = sum(1 for n in range(1, n_k) for i in range(n_k) if 0 <= n - 1 - i < i)
    assert flops(n_k, 1) == 15 * (diagonal + anti) + 4 * n_k


def test_hard_spheres_are_those_of_wertheim_and_thiele():
    """c(r) = -λ1 - 6 η λ2 r - ½ η λ1 r³ inside the core (Wertheim 1963; Thiele 1963), and S(0) of its pressure."""
    eta = 0.5159
    k = mct.wave_numbers(300, 60.0)
    S, density = mct.hard_spheres(k, eta)
    l1, l2 = (1 + 2 * eta) ** 2 / (1 - eta) ** 4, -((1 + eta / 2) ** 2) / (1 - eta) ** 4
    nodes, weights = np.polynomial.legendre.leggauss(100)
    r, w = 0.5 + 0.5 * nodes, 0.5 * weights
    inside = r * (l1 + 6 * eta * l2 * r + 0.5 * eta * l1 * r**3)
    c = -4 * np.pi * (np.sin(np.outer(k, r)) / k[:, None]) @ (w * inside)
    np.testing.assert_allclose(S, 1 / (1 - density * c), rtol=1e-11)
    near_zero, _ = mct.hard_spheres([1e-4], eta)
    assert near_zero[0] == pytest.approx((1 - eta) ** 4 / (1 + 2 * eta) ** 2, rel=1e-6)


def test_mixture_of_equal_spheres_is_one_liquid():
    k = mct.wave_numbers()
    x = np.array([0.2, 0.5, 0.3])
    S, density = mct.hard_sphere_mixture(k, 0.5, [1, 1, 1], x)
    one, same = mct.hard_spheres(k, 0.5)
    assert density == pytest.approx(same)
    expected = np.diag(x) + np.outer(x, x) * (one - 1)[:, None, None]
    np.testing.assert_allclose(S, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("arguments, words", [
    ((1.2, [1.0], [1.0]), "packing = 1.2"),
    ((0.5, [1.0, 0.8], [1.0]), "as many of both"),
    ((0.5, [1.0, 0.8], [0.5, 0.6]), "their sum is 1.1"),
])  # fmt: skip
def test_bad_mixtures(arguments, words):
    with pytest.raises(MCTError, match=words):
        mct.hard_sphere_mixture(mct.wave_numbers(), *arguments)
