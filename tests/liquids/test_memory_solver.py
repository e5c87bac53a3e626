"""F(t) from given memory functions: closed forms, mode-coupling theory, backends, forms of input, errors."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from hpctools.kernels import BackendError, find_compiler
from hpctools.liquids import mct, memory
from hpctools.liquids.memory import MemoryFunctionError, PaperForm, StretchedSum, integration
from hpctools.liquids.memory.integration import source

TIMES = np.concatenate([[0.0], np.geomspace(1e-3, 30.0, 60)])
TWO = StretchedSum(5.0, [300.0, 60.0], [0.05, 3.0], [1.6, 0.6])


def closed_form(dynamics: str, omega2: float, amplitude: float, rate: float, t: np.ndarray) -> np.ndarray:
    """F of M = λ exp(-νt) from the roots of the characteristic polynomial: its Laplace transform is rational."""
    if dynamics == "newtonian":
        z = np.roots([1.0, rate, omega2 + amplitude, rate * omega2])
        start = [1.0, 0.0, -omega2]
    else:
        z = np.roots([1.0, rate + omega2 + amplitude, rate * omega2])
        start = [1.0, -omega2]
    weights = np.linalg.solve(np.vander(z, increasing=True).T, np.array(start, complex))
    return np.asarray((np.exp(np.multiply.outer(t, z)) @ weights).real)


@pytest.mark.parametrize("dynamics", ["newtonian", "overdamped"])
def test_exponential_memory(dynamics: str):
    """Against the closed form; the error falls faster than with the square of the block (see memory/equation.py)."""
    expected = closed_form(dynamics, 4.0, 40.0, 10.0, TIMES)
    errors = []
    for block in (32, 64, 128):
        F = memory.solve(4.0, StretchedSum(0.0, [40.0], [0.1], [1.0]), TIMES, dynamics=dynamics, block=block).F
        errors.append(float(np.abs(F - expected).max()))
    assert errors[1] < 1e-5
    assert errors[0] / errors[1] > 5 and errors[1] / errors[2] > 5


@pytest.mark.parametrize("dynamics", ["newtonian", "overdamped"])
def test_plateau(dynamics: str):
    """F(∞)/F(0) = c/(Ω² + c)."""
    t = np.geomspace(1e-2, 1e8, 30)
    memory_function = StretchedSum([3.0, 0.0], [[20.0], [20.0]], [[1.0], [1.0]], [[0.8], [0.8]])
    F = memory.solve(7.0, memory_function, t, F0=2.0, dynamics=dynamics).F
    np.testing.assert_allclose(F[:, -1], 2.0 * memory_function.nonergodicity(7.0), atol=1e-7)
    assert F[0, -1] == pytest.approx(2.0 * 3.0 / 10.0, abs=1e-7)


@pytest.mark.parametrize("what", ["collective", "tagged"])
def test_convention_is_that_of_mode_coupling_theory(what: str):
    """With Ω² = k² D/S and M = k² D m the equation of a liquid's density, with Ω² = k² D that of a particle."""
    k = mct.wave_numbers()
    S, density = mct.hard_spheres(k, 0.5)
    found = mct.solve(k, S, density, t_min=5e-8, t_max=1e3)
    at = 17
    if what == "collective":
        omega2, F, m = k[at] ** 2 / S[at], found.F[:, at] / S[at], found.M[:, at]
    else:
        tagged = mct.tagged_particle(found)
        omega2, F, m = k[at] ** 2, tagged.F_s[:, at], tagged.M_s[:, at]
    again = memory.solve(omega2, k[at] ** 2 * m, found.t, dynamics="overdamped").F
    np.testing.assert_allclose(again, F, atol=1e-4)  # of which most is the error of mct.solve


def test_matrices_are_those_of_mode_coupling_theory():
    """A mixture: Ω² = J S⁻¹, M = J m, F(0) = S."""
    k, x = (np.arange(40) + 0.5) * 0.6, np.array([0.2, 0.8])
    S, density = mct.hard_sphere_mixture(k, 0.48, np.array([0.8, 1.0]), x)
    found = mct.solve(k, S, density, x, t_min=1e-7, t_max=10.0, block=128)
    at = 11
    J = np.diag(k[at] ** 2 * x)
    again = memory.solve(J @ np.linalg.inv(S[at]), J @ found.M[:, at], found.t, F0=S[at], dynamics="overdamped").F
    np.testing.assert_allclose(again, found.F[:, at], atol=1e-4)


def test_single_number_and_matrix_are_the_same():
    """A 1 × 1 matrix, which mct.time_doubling integrates."""
    matrix = memory.solve([[42.0]], lambda t: TWO(t)[:, None, None], TIMES, F0=[[1.0]]).F[:, 0, 0]
    np.testing.assert_allclose(matrix, memory.solve(42.0, TWO, TIMES).F, atol=1e-9)


def test_memory_off_the_diagonal_cannot_be_identified():
    """Two curves F_AA, F_BB leave M_AB free: -M_AB gives the same, and another M_AA takes the place of M_AB = 0."""
    t = np.concatenate([[0.0], np.geomspace(1e-3, 30.0, 80)])
    J = np.diag([3.0, 2.0])
    found = {}
    for sign in (1.0, -1.0, 0.0):
        m = np.array([[2.0, sign], [sign, 1.5]])
        M = J @ m * np.exp(-t)[:, None, None]
        found[sign] = memory.solve(J, M, t, F0=np.eye(2), dynamics="overdamped").F
    for a in (0, 1):
        np.testing.assert_allclose(found[1.0][:, a, a], found[-1.0][:, a, a], atol=1e-12)
        assert np.abs(found[1.0][:, a, a] - found[0.0][:, a, a]).max() > 0.01
    np.testing.assert_allclose(found[1.0][:, 0, 1], -found[-1.0][:, 0, 1], atol=1e-12)
    # the same F_AA from a scalar M_AA without any M_AB
    alone = memory.invert(t, found[1.0][:, 0, 0], omega2=3.0, dynamics="overdamped")
    np.testing.assert_allclose(memory.solve(3.0, alone.M, alone.t, dynamics="overdamped").F, found[1.0][1:, 0, 0],
                               atol=2e-3)
    at = int(np.argmin(np.abs(alone.t - 1.0)))
    assert abs(alone.M[at] / (3.0 * 2.0 * np.exp(-alone.t[at])) - 1) > 0.05


@pytest.fixture(params=["cpu", "host", pytest.param("cuda", marks=pytest.mark.gpu)])
def backend(request: pytest.FixtureRequest) -> str:
    """Every backend that runs here."""
    try:
        if request.param == "host":
            find_compiler()
        module: ModuleType = integration.choose(request.param)
        module.device_name()
    except BackendError as error:
        pytest.skip(str(error))
    return str(request.param)


@pytest.mark.parametrize("dynamics", ["newtonian", "overdamped"])
def test_backends(backend: str, dynamics: str):
    """A batch of any backend is that of numba, one candidate after the other, for sums and for arrays."""
    rng = np.random.default_rng(1)
    v, tau, b = rng.uniform(1, 100, (7, 3)), rng.uniform(0.1, 10, (7, 3)), rng.uniform(0.4, 1.5, (7, 3))
    v[:, 0], tau[:, 0] = 400.0, 0.05  # a friction, against oscillations that last
    batch = StretchedSum(rng.uniform(0, 5, 7), v, tau, b)
    found = memory.solve(9.0, batch, TIMES, dynamics=dynamics, backend=backend)
    values = memory.solve(9.0, lambda t: batch(t), TIMES, dynamics=dynamics, backend=backend)
    for row in range(7):
        one = memory.solve(9.0, batch[row], TIMES, dynamics=dynamics, backend="cpu")
        # the first step of a batch is that of its fastest candidate
        np.testing.assert_allclose(found.F[row], one.F, atol=1e-5)
    np.testing.assert_allclose(found.F, memory.solve(9.0, batch, TIMES, dynamics=dynamics, backend="cpu").F, atol=1e-11)
    np.testing.assert_allclose(found.F, values.F, atol=1e-11)


@pytest.mark.parametrize("architecture", ["sm_80", "sm_90"])
def test_cuda_source_compiles(architecture: str, compile_cuda):
    """The kernels are there, without arrays in a thread's own memory."""
    _, code = compile_cuda(source.source(), "memory.cu", architecture)
    assert "memory_integrate" in code and "memory_stretched" in code
    assert ".local" not in code


def test_ways_to_give_a_memory_function():
    """A sum, the form in print, a function, an array on the times: the same F."""
    expected = memory.solve(42.0, TWO, TIMES).F
    for given in (PaperForm.of(TWO, 0.4), TWO.__call__):
        np.testing.assert_allclose(memory.solve(42.0, given, TIMES).F, expected, atol=1e-12)
    t = np.concatenate([[0.0], np.geomspace(1e-4, 30.0, 300)])
    array = memory.solve(42.0, TWO(t), t).F
    np.testing.assert_allclose(array, memory.solve(42.0, TWO, t).F, atol=1e-5)
    pair = memory.solve(42.0, np.stack([TWO(t), 0.5 * TWO(t)]), t).F
    np.testing.assert_allclose(pair[0], array, atol=1e-8)
    assert np.abs(pair[1] - array).max() > 0.05


def test_paper_form_maps_to_and_fro():
    """All members of the family have the same M(t); the effective parameters come back."""
    rng = np.random.default_rng(2)
    for _ in range(5):
        printed = PaperForm(rng.uniform(0, 2), rng.uniform(1, 9, 3), rng.uniform(0, 0.9, 3), rng.uniform(0.1, 9, 3),
                            rng.uniform(0.3, 2, 3))
        t = np.geomspace(1e-3, 1e3, 20)
        by_hand = printed.c + sum(
            w * ((1 - a) * np.exp(-((t / tau) ** b)) + a)
            for w, a, tau, b in zip(printed.w, printed.a, printed.tau, printed.b))
        effective = printed.effective()
        np.testing.assert_allclose(effective(t), by_hand, rtol=1e-12)
        for a in (0.0, 0.3, rng.uniform(0, 0.9, 3)):
            np.testing.assert_allclose(PaperForm.of(effective, a).effective()(t), by_hand, rtol=1e-12)
    with pytest.raises(MemoryFunctionError, match="below 1"):
        PaperForm.of(TWO, 1.0)


@pytest.mark.parametrize(("change", "message"), [
    ({"t": [0.0, 0.2, 0.1]}, r"t\[2\] = 0.1 is earlier than t\[1\] = 0.2"),
    ({"t": [0.0, 0.1, 0.1]}, r"t\[2\] = 0.1 repeats t\[1\]"),
    ({"t": [-0.1, 0.1]}, r"t\[0\] = -0.1; expected times from 0"),
    ({"t": [0.0, np.nan]}, r"t\[1\] = nan"),
    ({"omega2": -1.0}, "omega2 = -1.0; expected a positive number"),
    ({"F0": 0.0}, "F0 = 0; expected a positive"),
    ({"memory": np.ones(3)}, r"M has shape \(3,\); t has 61 times"),
    ({"memory": np.where(TIMES == TIMES[7], np.nan, 1.0)}, r"M at t\[7\]"),
    ({"memory": lambda t: t[:, None] * np.ones(3)}, "M.* has shape"),
    ({"dynamics": "brownian"}, "expected one of newtonian, overdamped"),
    ({"block": 30}, "multiple of 4"),
    ({"block": 64.0}, "multiple of 4"),
    ({"omega2": [42.0, 43.0]}, r"omega2 has shape \(2,\)"),
    ({"memory": np.ones((61, 3))}, r"M has shape \(61, 3\); t has 61 times, expected .*\(batch, n_t\)"),
    ({"omega2": np.eye(2), "F0": np.array([[1.0, 2.0], [2.0, 1.0]])}, "F0 has the eigenvalue -1"),
    ({"omega2": np.array([[1.0, 0.0], [0.5, 1.0]]), "F0": np.eye(2)}, r"omega2 F0\[0, 1\] = 0, but .* = 0.5"),
    ({"omega2": np.eye(2), "F0": np.eye(3)}, r"omega2 has shape \(2, 2\), F0 \(3, 3\)"),
])  # fmt: skip
def test_bad_input(change: dict, message: str):
    """The place is named."""
    given = {"omega2": 42.0, "memory": TWO, "t": TIMES} | change
    with pytest.raises(MemoryFunctionError, match=message):
        memory.solve(given.pop("omega2"), given.pop("memory"), given.pop("t"), **given)


def test_as_many_candidates_as_times():
    """(batch, n_t) with batch = n_t."""
    values = np.array([share * TWO(TIMES) for share in np.linspace(0.5, 1.5, len(TIMES))])
    found = memory.solve(42.0, values, TIMES).F
    assert found.shape == values.shape
    # the fastest of a batch sets the grid of all
    np.testing.assert_allclose(found[7], memory.solve(42.0, values[7], TIMES).F, atol=1e-4)


def test_memory_at_one_time():
    assert TWO(0.5) == TWO(np.array([0.1, 0.5]))[1]
    with pytest.raises(MemoryFunctionError, match="t = -1; expected times from 0"):
        TWO([1.0, -1.0])


def test_bad_parameters():
    """NaN and wrong shapes of a sum."""
    with pytest.raises(MemoryFunctionError, match=r"tau\[1\] = -1.0; expected a finite positive number"):
        StretchedSum(0.0, [1.0, 2.0], [1.0, -1.0], [1.0, 1.0])
    with pytest.raises(MemoryFunctionError, match=r"b has shape \(1,\)"):
        StretchedSum(0.0, [1.0, 2.0], [1.0, 1.0], [1.0])


def test_source_has_no_second_text():
    """The header is part of the package that is installed."""
    assert Path(integration.__file__).with_name("kernel.h").exists()
    root = Path(__file__).parents[2]
    assert "hpctools.liquids.memory.integration = *.h" in (root / "setup.cfg").read_text()
