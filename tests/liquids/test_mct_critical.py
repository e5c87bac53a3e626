"""Long-time limits, transition points and exponents against published numbers."""

import numpy as np
import pytest

from hpctools.liquids import mct
from hpctools.liquids.mct.equation import liquid
from hpctools.liquids.mct.kernel import liquid_memory, polynomial_memory
from hpctools.liquids.mct.steady import largest_solution

PHI_C = 0.51591213  # Percus-Yevick hard spheres, n_k = 100, k_max = 40 (Franosch et al. 1997)


def hard_spheres(n_k, k_max):
    k = mct.wave_numbers(n_k, k_max)
    return lambda phi: (k, *mct.hard_spheres(k, phi), None)


@pytest.fixture(scope="module")
def standard():
    return mct.critical_point(hard_spheres(100, 40.0), 0.4, 0.6, 1e-8)


def test_critical_packing_on_the_standard_grid(standard):
    assert standard.value == pytest.approx(PHI_C, abs=1e-7)
    assert standard.error <= 0.5e-8
    assert standard.liquid < standard.value < standard.glass


def test_exponents_on_the_standard_grid(standard):
    """λ = 0.735, a = 0.312, b = 0.583, γ = 2.46 (Franosch et al. 1997)."""
    np.testing.assert_allclose(standard.exponents, (0.735, 0.312, 0.583, 2.46), atol=0.005, rtol=0)
    assert standard.exponents.lambda_ == pytest.approx(0.735, abs=5e-4)
    S, density = mct.hard_spheres(standard.k, standard.glass)
    eigenvalue, found = mct.exponents_of(standard.k, S, density, None, standard.F_inf)
    assert 0.999 < eigenvalue < 1
    assert found.lambda_ == pytest.approx(standard.exponents.lambda_, abs=1e-3)


def test_plateau_on_the_standard_grid(standard):
    """f_c at the grid's k = 7.0 and 7.4."""
    S, _ = mct.hard_spheres(standard.k, standard.glass)
    f = dict(zip(np.round(standard.k, 1), standard.F_inf / S))
    assert f[7.0] == pytest.approx(0.849, abs=6e-4)
    assert f[7.4] == pytest.approx(0.803, abs=6e-4)


def test_localisation_length_at_the_transition(standard):
    """r_s = 0.0746 σ (Fuchs, Götze and Mayr 1998)."""
    S, density = mct.hard_spheres(standard.k, standard.glass)
    _, length = mct.lamb_moessbauer(standard.k, S, density, None, standard.F_inf)
    assert length == pytest.approx(0.0746, abs=1e-4)


@pytest.mark.parametrize("n_k, k_max, expected", [(50, 40, 0.522526), (200, 40, 0.515875), (300, 60, 0.515867)])
def test_critical_packing_on_other_grids(n_k, k_max, expected):
    point = mct.critical_point(hard_spheres(n_k, k_max), 0.51, 0.53, 1e-7)
    assert point.value == pytest.approx(expected, abs=6e-7)


def test_binary_mixture_sum():
    """ModeCouplingTheory.jl's test has 45.501463 from a rounded file of S; 45.500986 from the closed form."""
    k = mct.wave_numbers()
    S, density = mct.hard_sphere_mixture(k, 0.55, [0.8, 1.0], [0.2, 0.8])
    F = mct.nonergodicity(k, S, density, [0.2, 0.8])
    assert F.shape == (100, 2, 2)
    assert F.sum() == pytest.approx(45.5010, abs=5e-4)
    np.testing.assert_array_equal(F, F.transpose(0, 2, 1))


def test_a_liquid_in_two_colours_is_one_liquid():
    """F∞_ab of equal particles with two names: f_s from the differences, F∞ from the sum."""
    k = mct.wave_numbers(50, 40.0)
    S, density = mct.hard_spheres(k, 0.53)
    one = mct.nonergodicity(k, S, density)
    f_s, length = mct.lamb_moessbauer(k, S, density, None, one)
    x = np.array([0.3, 0.7])
    colours, _ = mct.hard_sphere_mixture(k, 0.53, [1, 1], x)
    F = mct.nonergodicity(k, colours, density, x)
    expected = np.diag(x) * f_s[:, None, None] + np.outer(x, x) * (one - f_s)[:, None, None]
    np.testing.assert_allclose(F, expected, atol=1e-9)
    assert 0.04 < length < 0.09


def test_acceleration_finds_what_the_plain_iteration_finds():
    k = mct.wave_numbers(50, 40.0)
    for phi, glass in ((0.52253, True), (0.52252, False)):  # 4e-6 and 6e-6 from the transition
        S, density = mct.hard_spheres(k, phi)
        structure = liquid(k, S, density)
        kernel = liquid_memory(structure)
        F, m = structure.S.copy(), np.empty_like(structure.S)
        for _ in range(20_000):
            kernel.function(F, 0, kernel.parameters, m)
            F = structure.S - 1 / (structure.S_inverse + m)
        assert (F.max() > 0.1) == glass
        np.testing.assert_allclose(mct.nonergodicity(k, S, density), F[0, 0], atol=1e-8)


def test_schematic_models():
    """F2: f/(1-f) = ν f², a step at ν = 4. F1: f = 1 - 1/ν, continuous from ν = 1 (Götze 2009, § 4.3)."""
    one = np.ones((1, 1, 1))
    assert largest_solution(one, one, polynomial_memory(0, 3.9999))[0, 0, 0] == 0
    f = largest_solution(one, one, polynomial_memory(0, 4.00000001))[0, 0, 0]
    assert f == pytest.approx(0.500025, abs=1e-9)
    assert largest_solution(one, one, polynomial_memory(2.0))[0, 0, 0] == pytest.approx(0.5, abs=1e-10)


def test_eigenvalue_and_exponent_of_the_schematic_models():
    """F12 (Götze 1984): at its transition of step f, λ = 1 - f; the eigenvalue is 1 there."""
    from hpctools.liquids.mct.asymptotics import stability
    from hpctools.liquids.mct.equation import Liquid

    unit = np.ones((1, 1, 1))
    structure = Liquid(np.ones(1), unit, 0 * unit, unit, 1.0, np.ones(1), True)
    found = stability(structure, np.full((1, 1, 1), 0.5), polynomial_memory(0, 4.0))
    assert found.eigenvalue == pytest.approx(1.0, abs=1e-12)
    assert found.lambda_ == pytest.approx(0.5, abs=1e-12)


def test_exponents_of_lambda():
    """F2's λ = ½: a = 0.395, b = 1, γ = 1.765; and the law of τ from it (Götze 1985)."""
    found = mct.exponents(0.5)
    np.testing.assert_allclose(found, (0.5, 0.3953, 1.0, 1.765), atol=1e-3)
    assert mct.exponents(0.735).gamma == pytest.approx(2.46, abs=5e-3)
    with pytest.raises(mct.MCTError, match=r"lambda = 1\.2"):
        mct.exponents(1.2)


def soft_spheres(k, temperature):
    """Spheres whose diameter shrinks as T^(-1/12), at one density: the packing falls with T."""
    diameter = temperature ** (-1 / 12)
    return mct.hard_spheres(k, 0.52 * diameter**3, diameter)[0]


def test_critical_temperature_from_several():
    k = mct.wave_numbers(50, 40.0)
    density = 0.52 * 6 / np.pi
    exact = mct.critical_point(lambda T: (k, soft_spheres(k, T), density, None), 0.8, 1.2, 1e-7)
    T = np.array([0.8, 0.9, 1.0, 1.1, 1.2])
    S = np.array([soft_spheres(k, t) for t in T])
    found = mct.critical_temperature(k, T, S, density)
    assert abs(found.value - exact.value) < min(found.interpolation_error, 2e-4)
    assert found.interpolation_error < 0.01
    assert np.isnan(found.statistical_error)
    assert found.point.exponents.lambda_ == pytest.approx(exact.exponents.lambda_, abs=1e-3)

    noise = np.random.default_rng(3).normal(size=(5, 4, 50))
    repeats = S[:, None] * (1 + 0.004 * noise)
    # the order of the temperatures does not matter
    noisy = mct.critical_temperature(k, T[::-1], repeats[::-1], density)
    assert 0 < noisy.statistical_error < 0.02
    assert abs(noisy.value - exact.value) < 4 * noisy.statistical_error + found.interpolation_error

    # runs that were a little off their temperatures: the same transition, with their scatter in the error
    scattered = T[:, None] * (1 + 0.004 * np.random.default_rng(5).normal(size=(5, 4)))
    own = np.array([[soft_spheres(k, t) for t in row] for row in scattered])
    off = mct.critical_temperature(k, scattered, own, density)
    assert abs(off.value - exact.value) < 3e-4 and off.statistical_error < 5e-4
    assert mct.critical_temperature(k, T, own, density).statistical_error > 3 * off.statistical_error


def test_errors_of_transitions():
    k = mct.wave_numbers(50, 40.0)
    with pytest.raises(mct.MCTError, match=r"both ends of the range 0\.4 … 0\.45 are liquids"):
        mct.critical_point(hard_spheres(50, 40.0), 0.4, 0.45)
    with pytest.raises(mct.MCTError, match="expected low < high"):
        mct.critical_point(hard_spheres(50, 40.0), 0.6, 0.5)
    S = np.array([mct.hard_spheres(k, 0.5)[0]] * 3)
    with pytest.raises(mct.MCTError, match="1 liquid, 2 liquid, 3 liquid; expected glasses below"):
        mct.critical_temperature(k, [1, 2, 3], S, 0.95)
    with pytest.raises(mct.MCTError, match="at least three different"):
        mct.critical_temperature(k, [1, 2, 2], S, 0.95)
    with pytest.raises(mct.MCTError, match="one temperature for each S"):
        mct.critical_temperature(k, np.array([[1.0, 1.1], [2.0, 2.1], [3.0, 3.1]]), S, 0.95)
    deep = 0.56 * 6 / np.pi
    glass = mct.hard_spheres(k, 0.56)[0]
    with pytest.raises(mct.MCTError, match=r"E = 0\.\d+ gives λ = 0\.\d+, outside"):
        mct.exponents_of(k, glass, deep, None, mct.nonergodicity(k, glass, deep))
    for density in (None, "0.5", np.array([0.5, 0.6]), -1.0):
        with pytest.raises(mct.MCTError, match="expected a positive number of particles"):
            mct.nonergodicity(k, S[0], density)
    with pytest.raises(mct.MCTError, match="1 of its numbers are not finite"):
        mct.hard_spheres([0.1, np.nan], 0.5)
    with pytest.raises(mct.MCTError, match="at least 3 wave numbers"):
        mct.wave_numbers(10.5)
    mct.nonergodicity(k.astype(np.float32), S[0], 0.95)
    with pytest.raises(mct.MCTError, match="F∞ is zero"):
        mct.exponents_of(k, S[0], 0.95, None, np.zeros(50))
