"""The time-doubling solver: closed forms, its order, limits, symmetry, threads; tagged particles; bad input."""

import subprocess
import sys

import numpy as np
import pytest

from hpctools.liquids import mct
from hpctools.liquids.mct import time_doubling
from hpctools.liquids.mct.kernel import given_memory, liquid_memory, polynomial_memory

special = pytest.importorskip("scipy.special")

ONE = np.ones((1, 1, 1))


def scalar(kernel, t, block, omega2=1.0, newtonian=False, tolerance=1e-13):
    """F(t) of ∂F + Ω² F + ∫ m ∂F = 0, or with ∂²F, F(0) = 1."""
    second, first = (ONE, 0 * ONE) if newtonian else (0 * ONE, ONE)
    equation = time_doubling.Equation(second, first, omega2 * ONE, omega2 * ONE, ONE, kernel)
    return time_doubling.integrate(equation, t, block, tolerance).F[:, 0, 0, 0]


def f1(block, tolerance=1e-13):
    """Error of the F1 model at its transition, F = e^-2t (I0(2t) + I1(2t)), at times from 1e-3 to 1e3."""
    t = time_doubling.times(1e-6, 1e3, block)
    exact = special.ive(0, 2 * t) + special.ive(1, 2 * t)
    return np.abs(scalar(polynomial_memory(1.0), t, block, tolerance=tolerance) - exact).max()


def test_f1_model_and_second_order():
    errors = [f1(block) for block in (32, 64, 128)]
    assert errors[-1] < 1e-4
    assert 3.6 < errors[0] / errors[1] < 4.4
    assert 3.6 < errors[1] / errors[2] < 4.4


def modes(numerator, denominator, t):
    """The function whose Laplace transform is a ratio of polynomials with simple roots."""
    roots = np.roots(denominator)
    weights = np.polyval(numerator, roots) / np.polyval(np.polyder(denominator), roots)
    return (weights * np.exp(np.outer(t, roots))).sum(1).real


@pytest.mark.parametrize("newtonian", [False, True])
def test_exponential_memory(newtonian):
    """m = λ e^-t: F̂ is rational, (z+1+λ)/((z+1)(z+Ω²) + λz) and with z² in place of z in the Newtonian case."""
    strength, omega2 = 3.0, 2.0
    errors = []
    for block in (128, 256):
        t = time_doubling.times(1e-6, 100.0, block)
        memory = given_memory(strength * np.exp(-t)[:, None, None, None])
        F = scalar(memory, t, block, omega2, newtonian)
        if newtonian:
            exact = modes([1, 1, strength], [1, 1, omega2 + strength, omega2], t)
        else:
            exact = modes([1, 1 + strength], [1, 1 + omega2 + strength, omega2], t)
        errors.append(np.abs(F - exact).max())
    assert errors[1] < (2e-3 if newtonian else 1e-4)
    assert 3.4 < errors[0] / errors[1] < 4.6


def test_f2_model_reaches_its_plateau_beyond_1e10():
    """f = 0.500025 at ν = 4.00000001, reached at t ≫ 1e10."""
    t = time_doubling.times(1e-8, 1e18, 64)
    F = scalar(polynomial_memory(0.0, 4.00000001), t, 64)
    assert F[np.searchsorted(t, 1e6)] > 0.5005
    assert F[-1] == pytest.approx(0.500025, abs=1e-8)


def test_a_kernel_of_the_user():
    """Any function compiled for the kernels' signature goes through the same solver."""
    from numba import njit

    from hpctools.liquids.mct.kernel import SIGNATURE, Kernel

    @njit(SIGNATURE)
    def square(F, step, parameters, out):
        out[0, 0, 0] = parameters[0] * F[0, 0, 0] * F[0, 0, 0]

    t = time_doubling.times(1e-6, 1e3, 32)
    own = scalar(Kernel(square, np.array([3.5])), t, 32)
    np.testing.assert_allclose(own, scalar(polynomial_memory(0.0, 3.5), t, 32), atol=1e-12)


@pytest.fixture(scope="module")
def glass():
    k = mct.wave_numbers(50, 40.0)
    S, density = mct.hard_spheres(k, 0.53)
    return mct.solve(k, S, density, block=64)


def test_long_time_limit_is_the_steady_state(glass):
    expected = mct.nonergodicity(glass.k, glass.S, glass.density)
    assert glass.F.shape == (len(glass.t), 50)
    assert glass.t[0] == 0 and glass.t[1] == 1e-10 and glass.t[-1] >= 1e10
    np.testing.assert_array_equal(glass.F[0], glass.S)
    np.testing.assert_allclose(glass.F[-1], expected, atol=1e-7)
    assert glass.relaxation_time(7.0) == np.inf


def test_memory_is_the_kernel_of_the_correlator(glass):
    kernel = liquid_memory(glass.structure)
    m = np.empty((1, 1, 50))
    for at in (0, 500, -1):
        kernel.function(np.ascontiguousarray(glass.F[at][None, None]), 0, kernel.parameters, m)
        np.testing.assert_allclose(glass.M[at], m[0, 0], rtol=1e-7)


def test_first_decay(glass):
    """F = S - k² D t + …, and S - k² v² t²/2 for Newtonian motion."""
    k = glass.k
    np.testing.assert_allclose((glass.F[0] - glass.F[40]) / glass.t[40], k**2, rtol=2e-5)
    fast = mct.solve(k, glass.S, glass.density, dynamics="newtonian", temperature=2.0, masses=0.5, t_min=5e-6,
                     t_max=10.0, block=64)  # fmt: skip
    np.testing.assert_allclose((fast.F[0] - fast.F[2]) / fast.t[2] ** 2, 2 * k**2, rtol=1e-5)


def test_newtonian_glass_has_the_same_plateau(glass):
    fast = mct.solve(glass.k, glass.S, glass.density, dynamics="newtonian", t_min=1e-6, t_max=1e6, block=128)
    np.testing.assert_allclose(fast.F[-1], glass.F[-1], atol=1e-5)


def test_long_newtonian_relaxation_is_the_overdamped_one():
    """The shape of the α relaxation does not depend on the short-time motion: one factor of time (Götze 2009)."""
    k = mct.wave_numbers(50, 40.0)
    S, density = mct.hard_spheres(k, 0.522)
    slow = mct.solve(k, S, density, block=128, t_max=1e7)
    fast = mct.solve(k, S, density, block=128, dynamics="newtonian", t_min=1e-7, t_max=1e8)
    levels = np.array([0.6, 0.5, 0.4, 0.3, 0.2])
    ratio = [fast.relaxation_time(7.0, level=y) / slow.relaxation_time(7.0, level=y) for y in levels]
    np.testing.assert_allclose(ratio, ratio[0], rtol=5e-3)
    assert ratio[0] > 2


def test_relaxation_times_follow_the_power_law():
    """τ ~ (φ_c - φ)^-γ with γ = 2.43 on this grid (from λ = 0.7284)."""
    k = mct.wave_numbers(50, 40.0)
    distance = np.array([1e-4, 4e-4])
    tau = []
    for d in distance:
        S, density = mct.hard_spheres(k, 0.522525801 * (1 - d))
        tau.append(mct.solve(k, S, density, block=64, t_max=1e12).relaxation_time(7.0))
    slope = -np.log(tau[1] / tau[0]) / np.log(distance[1] / distance[0])
    assert slope == pytest.approx(2.431, abs=0.05)


@pytest.fixture(scope="module")
def colours():
    """One liquid below its transition, whole, and with its particles in two colours."""
    k = mct.wave_numbers(50, 40.0)
    x = np.array([0.3, 0.7])
    S, density = mct.hard_spheres(k, 0.515)
    mixed, _ = mct.hard_sphere_mixture(k, 0.515, [1, 1], x)
    settings = {"block": 64, "t_max": 1e6}
    return mct.solve(k, S, density, **settings), mct.solve(k, mixed, density, x, **settings), x


def test_two_colours_of_one_liquid(colours):
    """The sum over colours is the liquid; differences of colours move like a tagged particle."""
    whole, mixed, x = colours
    tagged = mct.tagged_particle(whole)
    np.testing.assert_allclose(mixed.F.sum((2, 3)), whole.F, atol=1e-7)
    F_s = tagged.F_s[:, :, None, None]
    expected = np.diag(x) * F_s + np.outer(x, x) * (whole.F[:, :, None, None] - F_s)
    np.testing.assert_allclose(mixed.F, expected, atol=1e-7)
    of_colour = mct.tagged_particle(mixed, species=1)
    np.testing.assert_allclose(of_colour.F_s, tagged.F_s, atol=1e-7)
    np.testing.assert_allclose(of_colour.msd, tagged.msd, rtol=1e-6)


def test_symmetry_of_a_mixture():
    """F_AB = F_BA: what a step lacks in symmetry falls with its square; exchanged names exchange the results."""
    k = mct.wave_numbers(40, 32.0)
    x, d = np.array([0.2, 0.8]), np.array([0.8, 1.0])
    S, density = mct.hard_sphere_mixture(k, 0.5, d, x)
    coarse, fine = (mct.solve(k, S, density, x, block=block, t_max=1e4) for block in (32, 64))
    assert coarse.asymmetry < 1e-4
    assert 2.5 < coarse.asymmetry / fine.asymmetry < 6
    np.testing.assert_array_equal(fine.F[..., 0, 1], fine.F[..., 1, 0])
    other = mct.solve(k, S[:, ::-1, ::-1], density, x[::-1], block=64, t_max=1e4)
    np.testing.assert_allclose(other.F[..., ::-1, ::-1], fine.F, atol=1e-9)


def test_each_species_with_its_own_diffusion():
    k = mct.wave_numbers(40, 32.0)
    x = np.array([0.2, 0.8])
    S, density = mct.hard_sphere_mixture(k, 0.4, [0.8, 1.0], x)
    found = mct.solve(k, S, density, x, diffusion=[1.25, 1.0], block=32, t_max=10)
    rate = (found.F[0] - found.F[10]) / found.t[10]
    np.testing.assert_allclose(rate[:, 0, 0], 1.25 * 0.2 * k**2, rtol=1e-4)
    np.testing.assert_allclose(rate[:, 1, 1], 0.8 * k**2, rtol=1e-4)
    tagged = mct.tagged_particle(found, 0)
    assert tagged.msd[1] == pytest.approx(6 * 1.25 * found.t[1], rel=1e-5)


def test_threads_give_the_same_bytes():
    k = mct.wave_numbers(40, 32.0)
    states = []
    for phi in (0.40, 0.45, 0.50):
        S, density = mct.hard_spheres(k, phi)
        states.append({"k": k, "S": S, "density": density, "block": 32, "t_max": 1e3})
    for one, two in zip(mct.solve_states(states), mct.solve_states(states, threads=2)):
        np.testing.assert_array_equal(one.F, two.F)
        np.testing.assert_array_equal(one.M, two.M)
    with pytest.raises(mct.MCTError, match="threads = 0"):
        mct.solve_states(states, threads=0)


def test_tagged_particle_in_the_glass(glass):
    """Lamb-Mössbauer factor by its own fixed point, 6 r_s² by it, and free motion at the start."""
    tagged = mct.tagged_particle(glass)
    F_inf = mct.nonergodicity(glass.k, glass.S, glass.density)
    f_s, length = mct.lamb_moessbauer(glass.k, glass.S, glass.density, None, F_inf)
    np.testing.assert_allclose(tagged.F_s[-1], f_s, atol=1e-7)
    assert tagged.localisation_length == pytest.approx(length, rel=1e-6)
    np.testing.assert_allclose(tagged.msd[1:40], 6 * tagged.t[1:40], rtol=1e-4)
    np.testing.assert_allclose(1 - tagged.F_s[40], glass.k**2 * tagged.t[40], rtol=1e-4)
    # Gaussian at small k, at every time; the sums over q, p are coarse at the grid's first points
    np.testing.assert_allclose(-np.log(tagged.F_s[1:, 2]), glass.k[2] ** 2 * tagged.msd[1:] / 6, rtol=0.06)


def test_tagged_particle_in_the_liquid():
    """δr² = 6 D t in the end, with D = D0/(1 + D0 ∫ m_0 dt); ballistic, 3 v² t², at first for Newtonian motion."""
    k = mct.wave_numbers(50, 40.0)
    S, density = mct.hard_spheres(k, 0.45)
    found = mct.solve(k, S, density, block=128, t_max=1e4)
    tagged = mct.tagged_particle(found)
    t = tagged.t
    slope = (tagged.msd[-1] - tagged.msd[-20]) / (t[-1] - t[-20]) / 6
    friction = np.sum(0.5 * (tagged.M_0[1:] + tagged.M_0[:-1]) * np.diff(t))
    assert slope == pytest.approx(1 / (1 + friction), rel=2e-3)
    newtonian = mct.solve(k, S, density, block=64, dynamics="newtonian", t_min=1e-6, t_max=1, temperature=2.0)
    np.testing.assert_allclose(mct.tagged_particle(newtonian).msd[1:20], 6 * newtonian.t[1:20] ** 2, rtol=1e-5)
    empty, infinite = mct.lamb_moessbauer(k, S, density, None, np.zeros(50))
    assert not empty.any() and infinite == np.inf


def bad(**changes):
    k = mct.wave_numbers(20, 20.0)
    S, density = mct.hard_sphere_mixture(k, 0.4, [0.8, 1.0], [0.2, 0.8])
    return {"k": k, "S": S, "density": density, "fractions": [0.2, 0.8], **changes}


def changed(place, value):
    S = bad()["S"]
    S[place] = value
    return S


@pytest.mark.parametrize("changes, words", [
    ({"k": np.linspace(0, 20, 20)}, r"k\[0\] = 0; expected k_i"),
    ({"k": mct.wave_numbers(20, 20.0) ** 1.01}, r"k\[1\] = .*interpolate S onto such a grid"),
    ({"k": mct.wave_numbers(19, 20.0)}, r"S has shape \(20, 2, 2\); expected \(19, n_s, n_s\)"),
    ({"S": np.ones((20, 2, 3))}, r"S has shape \(20, 2, 3\)"),
    ({"S": changed((3, 0, 0), np.nan)}, r"S is not finite at k\[3\] = 3\.5"),
    ({"S": changed((4, 0, 1), 0.1)}, r"S is not symmetric at k\[4\] = 4\.5"),
    ({"S": changed((5, 0, 0), -0.1)}, r"not positive definite at k\[5\] = 5\.5: lowest eigenvalue -0\."),
    ({"S": bad()["S"] / np.sqrt(np.outer([0.2, 0.8], [0.2, 0.8]))}, r"S_aa of species 0 tends to .* fraction, 0\.2:"),
    ({"fractions": [0.2, 0.7]}, r"fractions are \[0\.2, 0\.7\], their sum is 0\.9"),
    ({"fractions": [1.2, -0.2]}, "expected positive numbers of sum 1"),
    ({"fractions": [0.2, 0.3, 0.5]}, r"fractions have shape \(3,\); S has 2 species"),
    ({"fractions": None}, "fractions are missing; S has 2 species"),
    ({"density": 0.0}, r"density = 0\.0"),
    ({"dynamics": "brownian"}, "dynamics = 'brownian'; expected one of overdamped, newtonian"),
    ({"diffusion": [1.0, 2.0, 3.0]}, "diffusion = .* one for each of 2 species"),
    ({"dynamics": "newtonian", "masses": -1.0}, r"masses = -1\.0"),
    ({"t_min": 1.0, "t_max": 0.5}, "expected 0 < t_min < t_max"),
    ({"t_min": 1e-3}, r"t_min = 0\.001 is too long: the fastest rate .* expected t_min <="),
    ({"block": 30}, "block = 30; expected a multiple of 4"),
    ({"tolerance": 0.0}, r"tolerance = 0\.0"),
])  # fmt: skip
def test_bad_input(changes, words):
    with pytest.raises(mct.MCTError, match=words) as raised:
        mct.solve(**bad(**changes))
    assert "\n" not in str(raised.value)
    assert raised.value.user_error


def test_bad_species_and_shapes(glass):
    with pytest.raises(mct.MCTError, match=r"species = 1; expected 0 … 0"):
        mct.tagged_particle(glass, species=1)
    with pytest.raises(mct.MCTError, match=r"F_inf has shape \(3,\); expected \(50,\)"):
        mct.lamb_moessbauer(glass.k, glass.S, glass.density, None, np.ones(3))


def test_iteration_that_cannot_converge(monkeypatch, glass):
    monkeypatch.setattr(time_doubling, "MAX_ITERATIONS", 1)
    with pytest.raises(mct.MCTError, match=r"did not converge at t = .*take a larger block than 16"):
        mct.solve(glass.k, glass.S, glass.density, block=16, t_max=1)


def test_import_is_light():
    code = "import sys, hpctools.liquids.mct; sys.exit('numba' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
