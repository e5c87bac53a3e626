"""Memory functions by evolution: recovery of known ones, MCT's own, stop and resume, errors."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from stop_after import StopAfter

from hpctools.campaign import Stopped
from hpctools.liquids import mct, memory
from hpctools.liquids.memory import MemoryFunctionError, SchematicForm, StretchedSum

T = np.geomspace(0.004, 300.0, 50)
CASES = {
    "one": ("overdamped", 5.0, StretchedSum(0.0, [30.0], [2.0], [1.0])),
    "two": ("overdamped", 42.0, StretchedSum(0.0, [900.0, 180.0], [0.05, 3.0], [1.0, 1.0])),
    "compressed": ("newtonian", 42.0, StretchedSum(0.0, [300.0, 60.0], [0.05, 3.0], [1.6, 0.6])),
    "glass": ("newtonian", 42.0, StretchedSum(60.0, [300.0, 80.0], [0.05, 1.0], [2.0, 0.6])),
}


def made(case: str) -> tuple[str, float, StretchedSum, np.ndarray]:
    """Dynamics, Ω², M and F of a known memory function, by a finer solver than that of the search."""
    dynamics, omega2, known = CASES[case]
    return dynamics, omega2, known, memory.solve(omega2, known, T, dynamics=dynamics, block=256).F


@pytest.mark.parametrize("case", CASES)
def test_recovery(case: str):
    """Mean squared residual below 1e-8, all parameters within 5 %."""
    dynamics, omega2, known, F = made(case)
    found = memory.evolve(T, F, known.n_exp, omega2=omega2, dynamics=dynamics, F0=1.0, restarts=1)
    assert found.loss / len(T) < 1e-8 and 1 - found.R2 < 1e-7
    for name in ("v", "tau", "b"):
        np.testing.assert_allclose(getattr(found.memory, name), getattr(known, name), rtol=0.05)
    assert float(found.memory.c) == pytest.approx(float(known.c), rel=0.01, abs=1e-3)
    assert found.nonergodicity == pytest.approx(float(known.nonergodicity(omega2)), abs=1e-4)
    np.testing.assert_allclose(found.paper.effective()(T), found.memory(T), rtol=1e-12)


@pytest.mark.parametrize("case", ["two", "compressed"])
def test_recovery_with_noise(case: str):
    """Noise of 1e-3: χ² as it must be, parameters within five of their errors; never worse than least squares from 10
    random starts."""
    dynamics, omega2, known, F = made(case)
    noisy = F + 1e-3 * np.random.default_rng(3).standard_normal(len(T))
    late = T > 0.03
    options: dict[str, Any] = {"omega2": omega2, "dynamics": dynamics, "F0": 1.0, "error": 1e-3}
    found = memory.evolve(T[late], noisy[late], known.n_exp, restarts=2, **options)
    n = late.sum()
    assert 1 - 4 * np.sqrt(2 / n) < found.chi_square < 1 + 4 * np.sqrt(2 / n)
    for name in ("v", "tau", "b"):
        off = np.abs(getattr(found.memory, name) - getattr(known, name))
        assert (off < 5 * found.error[name] + 1e-3 * getattr(known, name)).all(), name
    _, rival = memory.least_squares(T[late], noisy[late], **options)
    assert found.chi_square * n < rival * 1.001 + 1e-6


def test_mode_coupling_theory():
    """The paper's check: M from the F of mode-coupling theory, whose M is no sum of stretched exponentials."""
    k = mct.wave_numbers()
    S, density = mct.hard_spheres(k, 0.5)
    solution = mct.solve(k, S, density, t_min=5e-8, t_max=1e3, block=128)
    at = 17
    omega2 = k[at] ** 2 / S[at]
    t = np.geomspace(1e-5, 50.0, 60)
    F, M = (np.interp(np.log(t), np.log(solution.t[1:]), values[1:, at])
            for values in (solution.F / S, k[at] ** 2 * solution.M))
    start = memory.fit_curve(t, M)
    found = memory.evolve(t, F, omega2=omega2, dynamics="overdamped", F0=1.0, start=start, restarts=1)
    assert found.loss < 3e-4
    large = M > 0.01 * M[0]
    assert np.abs(found.memory(t)[large] / M[large] - 1).max() < 0.35


def test_both_orders_of_the_equation():
    """A Newtonian curve from beyond its ballistic start on, by the first-order equation: M/Ω² is the same."""
    t = np.geomspace(0.004, 100.0, 60)
    known = StretchedSum(0.0, [800.0, 90.0], [0.04, 3.0], [2.0, 0.6])
    F = memory.solve(50.0, known, t, block=256).F
    omega2 = 50.0 * 0.1  # D_0 = k_B T/m · 0.1
    found = memory.evolve(t, F, omega2=omega2, dynamics="overdamped", F0=1.0, t_from=0.1, restarts=1)
    late = (t > 0.4) & (known(t) > 0.01 * known(np.array([0.4]))[0])
    np.testing.assert_allclose(found.memory(t[late]) / omega2, known(t[late]) / 50.0, rtol=0.05)
    # from t = 0 on it has no such M: F begins as t²
    whole = memory.evolve(t, F, omega2=omega2, dynamics="overdamped", F0=1.0, restarts=1)
    assert whole.loss > 30 * found.loss


def test_schematic_model():
    """Equation (8) is recovered from its own F, and fails for another M."""
    omega2, nu, amplitude, rate, mu = 5.0, 1.3, 2.0, 0.4, 0.7
    known = StretchedSum(0.0, [omega2, omega2 * amplitude], [omega2 ** (-1 / nu), rate ** (-1 / mu)], [nu, mu])
    F = memory.solve(omega2, known, T, dynamics="overdamped", block=256).F
    options: dict[str, Any] = {"dynamics": "overdamped", "F0": 1.0, "form": SchematicForm, "restarts": 1}
    found = memory.evolve(T, F, omega2=omega2, **options)
    x = found.restarts[0].x
    np.testing.assert_allclose([x[0], np.exp(x[1]), np.exp(-x[3] * x[2]), x[3]], [nu, amplitude, rate, mu], rtol=0.02)
    _, other, _, F = made("two")
    assert memory.evolve(T, F, omega2=other, **options).loss > 1e-3


def test_lasso():
    """It shrinks the amplitudes, most of all those that the curve does not need."""
    dynamics, omega2, _, F = made("one")
    options: dict[str, Any] = {"omega2": omega2, "dynamics": dynamics, "F0": 1.0, "restarts": 1}
    free, bound = (memory.evolve(T, F, 2, lasso=lasso, **options) for lasso in (0.0, 1e-5))
    assert bound.memory.v.sum() < free.memory.v.sum() * (1 + 1e-6)
    assert bound.loss > free.loss
    assert float(bound.memory.initial) == pytest.approx(30.0, rel=0.05)


def test_stop_and_resume(tmp_path: Path):
    """A stopped evolution goes on with the same result; a folder of another curve is refused."""
    dynamics, omega2, _, F = made("one")
    options: dict[str, Any] = {"omega2": omega2, "dynamics": dynamics, "F0": 1.0, "restarts": 3}
    whole = memory.evolve(T, F, 1, **options)
    with pytest.raises(Stopped):
        memory.evolve(T, F, 1, checkpoint=tmp_path, stop=StopAfter(whole.restarts[0].generations + 60), **options)
    assert 1 <= len(list(tmp_path.glob("restart-*.json"))) <= 2
    again = memory.evolve(T, F, 1, checkpoint=tmp_path, **options)
    for one, other in zip(whole.restarts, again.restarts):
        np.testing.assert_array_equal(one.x, other.x)
    with pytest.raises(MemoryFunctionError, match="belongs to another curve"):
        memory.evolve(T, 0.99 * F, 1, checkpoint=tmp_path, **options)


def test_another_start_is_another_evolution(tmp_path: Path):
    """Restarts that are kept belong to their start; a damaged file is named."""
    dynamics, omega2, known, F = made("one")
    options: dict[str, Any] = {"omega2": omega2, "dynamics": dynamics, "F0": 1.0, "restarts": 1, "checkpoint": tmp_path}
    memory.evolve(T, F, 1, **options)
    with pytest.raises(MemoryFunctionError, match="belongs to another curve or other settings"):
        memory.evolve(T, F, 1, start=known, **options)
    kept = tmp_path / "restart-00.json"
    kept.write_text(kept.read_text()[:40])
    with pytest.raises(MemoryFunctionError, match=r"restart-00.json is damaged .* remove it"):
        memory.evolve(T, F, 1, **options)


def test_no_error_bar_at_a_bound():
    """An exponent beyond the box ends at its bound: NaN there, error bars elsewhere."""
    dynamics, omega2, _, _ = made("one")
    sharp = StretchedSum(0.0, [30.0], [2.0], [4.0])
    found = memory.evolve(T, memory.solve(omega2, sharp, T, dynamics=dynamics).F, 1, omega2=omega2, dynamics=dynamics,
                          F0=1.0, restarts=1)
    assert found.memory.b[0] == pytest.approx(3.0, abs=1e-3) and np.isnan(found.error["b"][0])
    assert found.error["tau"][0] > 0 and found.error["v"][0] > 0


def test_constant_curve():
    """R² has no meaning."""
    start = StretchedSum(1.0, [1.0], [1.0], [1.0])
    found = memory.evolve(T, np.ones(50), 1, omega2=1e-6, F0=1.0, restarts=1, start=start)
    assert np.isnan(found.R2) and found.loss < 1e-6


def test_ranks_and_threads():
    """The same result for one rank, two ranks, and two threads."""
    dynamics, omega2, _, F = made("one")
    options: dict[str, Any] = {"omega2": omega2, "dynamics": dynamics, "F0": 1.0, "restarts": 3}
    alone = memory.evolve(T, F, 1, **options)
    threaded = memory.evolve(T, F, 1, threads=2, **options)
    barrier, sent, results = threading.Barrier(2), [None, None], [None, None]

    def rank(number: int) -> None:
        def gather(value: Any) -> Any:
            sent[number] = value
            barrier.wait()
            return sent if number == 0 else None

        world = SimpleNamespace(rank=number, size=2, gather=gather, bcast=lambda value=None: sent)
        results[number] = memory.evolve(T, F, 1, world=world, **options)

    ranks = [threading.Thread(target=rank, args=(number,)) for number in (0, 1)]
    for one in ranks:
        one.start()
    for one in ranks:
        one.join()
    for other in (threaded, *results):
        assert [one.number for one in other.restarts] == [one.number for one in alone.restarts]
        np.testing.assert_array_equal(other.restarts[0].x, alone.restarts[0].x)


@pytest.mark.parametrize(("change", "message"), [
    ({"t": np.where(np.arange(50) == 5, 0.0041, T)}, r"t\[5\] = 0.0041 is earlier than t\[4\]"),
    ({"t": np.where(np.arange(50) == 5, T[4], T)}, r"t\[5\] .* repeats t\[4\]"),
    ({"F": np.where(np.arange(50) == 7, np.nan, 0.5)}, r"F\[7\] = nan at t = "),
    ({"F": np.ones(3)}, r"F has shape \(3,\), t \(50,\)"),
    ({"F0": None}, r"t\[0\] = 0.004; expected t\[0\] = 0, or F0"),
    ({"t": np.append(0.0, T[1:]), "F": np.full(50, 0.5)}, r"F\[0\] = 0.5 at t = 0; expected F\(0\) = 1"),
    ({"F": np.where(np.arange(50) == 3, 1.2, 0.5)}, r"F\[3\] = 1.2 at t = .* is above F\(0\) = 1"),
    ({"F0": -1.0}, r"F\(0\) = -1"),
    ({"error": np.where(np.arange(50) == 9, 0.0, 0.1)}, r"error\[9\] = 0 at t ="),
    ({"error": np.where(np.arange(50) == 9, np.nan, 0.1)}, r"error\[9\] = nan at t ="),
    ({"omega2": None}, "omega2 is missing; expected k² k_B T/m"),
    ({"omega2": np.inf}, "omega2 = inf; expected a positive number"),
    ({"n_exp": 0}, "n_exp = 0"),
    ({"n_exp": 17}, "50 points for 52 parameters"),
    ({"t_from": 299.0}, "1 of 50 times are at 299 or later"),
    ({"start": "mct"}, "expected 'inversion' or a StretchedSum"),
    ({"lasso": -1.0}, "lasso = -1.0"),
    ({"restarts": 0}, "restarts = 0"),
    ({"seed": -1}, "seed = -1"),
    ({"start": np.ones(4)}, "expected 'inversion' or a StretchedSum"),
    ({"error": np.ones(3)}, r"error has shape \(3,\), t \(50,\)"),
    ({"F0": 2.0, "F": 0.5 * np.ones(50)}, r"F/F\(0\) = 0.25 at t = 0.004 is below 1 - Ω² t²/2"),
    ({"dynamics": "langevin"}, "expected one of newtonian"),
])  # fmt: skip
def test_bad_input(change: dict, message: str):
    """The place is named."""
    given: dict[str, Any] = {"t": T, "F": np.exp(-T), "n_exp": 1, "omega2": 5.0, "F0": 1.0} | change
    with pytest.raises(MemoryFunctionError, match=message):
        memory.evolve(given.pop("t"), given.pop("F"), given.pop("n_exp"), **given)
