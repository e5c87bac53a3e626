"""Speed and quality of memory functions; tables in Markdown.

    python tests/benchmarks/memory_speed.py [--records FOLDER] [--part solver recovery rivals inversion theory states]

solver: time of a candidate and error of F by block, against a block of 1024. recovery: F made with a known M of two
exponentials. rivals: evolution beside least squares from 10 random starts, on known M with noise of 1e-3. inversion:
errors of M by noise. theory: evolution of mode-coupling theory's own F (hard spheres), where M is no sum of stretched
exponentials. states: simulated states, N_exp = 2, both methods. Times are CPU seconds of one thread, which other work
on the machine disturbs least.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.update(dict.fromkeys(("NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1"))

import numpy as np

from hpctools.liquids import mct, memory
from hpctools.liquids.memory import StretchedSum
from hpctools.liquids.memory.equation import Grid, fastest_rate
from hpctools.liquids.memory.measured import of_record
from hpctools.liquids.memory.solver import solve_candidates
from hpctools.liquids.record import Record

ROOT = Path(__file__).parents[2]
KNOWN = {
    "newtonian": (42.0, StretchedSum(0.0, [300.0, 60.0], [0.05, 3.0], [1.6, 0.6])),
    "overdamped": (42.0, StretchedSum(0.0, [900.0, 180.0], [0.05, 3.0], [1.0, 1.0])),
}
T = np.geomspace(0.004, 300.0, 50)


def timed(call: Callable[..., Any], *arguments: Any, **options: Any) -> tuple[Any, float]:
    """Result and CPU seconds of a call."""
    start = time.process_time()
    result = call(*arguments, **options)
    return result, time.process_time() - start


def table(head: str, rows: list[str]) -> None:
    """Print a Markdown table of rows with | between the cells."""
    print(f"| {head} |\n|{'---|' * (head.count('|') + 1)}")
    print("\n".join(f"| {row} |" for row in rows), end="\n\n", flush=True)


def solver() -> None:
    """Time and error by block."""
    rows, batch = [], 24
    for dynamics, (omega2, known) in KNOWN.items():
        many = StretchedSum(np.zeros(batch), *(np.tile(part, (batch, 1)) for part in (known.v, known.tau, known.b)))
        inertia = (1.0, 0.0) if dynamics == "newtonian" else (0.0, 1.0)
        exact = memory.solve(omega2, known, T, dynamics=dynamics, block=1024).F
        for block in (16, 32, 64, 128):
            grid = Grid.of(T, fastest_rate(omega2, 2e4 * omega2, dynamics), block)
            F = solve_candidates(many, grid, inertia, omega2, "cpu")
            seconds = min(timed(solve_candidates, many, grid, inertia, omega2, "cpu")[1] for _ in range(10))
            rows.append(f"{dynamics} | {block} | {1e6 * seconds / batch:.0f} | {np.abs(F[0] - exact).max():.1e}")
    table("dynamics | block | µs a candidate, with M | largest error of F", rows)


def recovery() -> None:
    """Known M without noise."""
    rows = []
    for dynamics, (omega2, known) in KNOWN.items():
        F = memory.solve(omega2, known, T, dynamics=dynamics, block=256).F
        found, seconds = timed(memory.evolve, T, F, omega2=omega2, dynamics=dynamics, F0=1.0)
        off = max(float(np.abs(getattr(found.memory, name) / getattr(known, name) - 1).max())
                  for name in ("v", "tau", "b"))
        rows.append(f"{dynamics} | {found.loss / len(T):.1e} | {100 * off:.2f} % | {found.agreeing} of "
                    f"{len(found.restarts)} | {seconds:.1f}")
    table("two exponentials | mean squared residual | worst parameter off by | restarts agreeing | s", rows)


def rivals(cases: int = 6) -> None:
    """Beside least squares on noisy curves of random M."""
    rows, rng = [], np.random.default_rng(1)
    for case in range(cases):
        dynamics = ("newtonian", "overdamped")[case % 2]
        known = StretchedSum(0.0, rng.uniform([200, 20], [900, 200]), rng.uniform([0.02, 1], [0.1, 20]),
                             rng.uniform([0.8, 0.4], [2.0, 0.9]))
        F = memory.solve(42.0, known, T, dynamics=dynamics, block=256).F + 1e-3 * rng.standard_normal(len(T))
        options: dict[str, Any] = {"omega2": 42.0, "dynamics": dynamics, "F0": 1.0, "error": 1e-3}
        found, ours = timed(memory.evolve, T, F, **options)
        (_, sum_of_squares), theirs = timed(memory.least_squares, T, F, **options)
        rows.append(f"{dynamics} | {found.chi_square * len(T):.4f} | {sum_of_squares:.4f} | "
                    f"{found.chi_square * len(T) / sum_of_squares:.6f} | {ours:.1f} | {theirs:.1f}")
    table("curve | χ² evolution | χ² least squares, 10 starts | ratio | s | s", rows)


def inversion(repeats: int = 8) -> None:
    """Root mean square of the relative error of M, where M > 0.01 M(0), over curves of different noise."""
    t = np.geomspace(0.01, 1000.0, 100)
    known = StretchedSum(0.0, [10.0, 2.0], [0.5, 20.0], [1.0, 1.0])
    F = memory.solve(1.0, known, t, dynamics="overdamped", block=256).F
    rows, rng = [], np.random.default_rng(2)
    ways: dict[str, dict[str, Any]] = {
        "Prony, Laplace": {}, "points": {"method": "points"}, "points from 0.1, ratio 1.5": {
            "method": "points", "ratio": 1.5, "t_from": 0.1}, "points from 0.1, ratio 2": {
            "method": "points", "ratio": 2.0, "t_from": 0.1}}  # fmt: skip
    common: dict[str, Any] = {"omega2": 1.0, "dynamics": "overdamped", "F0": 1.0}
    for noise in (0.0, 1e-4, 1e-3, 5e-3):
        cells = []
        curves = [F + noise * rng.standard_normal(len(t)) for _ in range(repeats if noise else 1)]
        for options in ways.values():
            errors = []
            for curve in curves:
                found = memory.invert(t, curve, error=noise or None, **common, **options)
                used = (known(found.t) > 0.01 * 12) & (found.t > 0.01)
                errors.append(np.mean((found.M / known(found.t) - 1)[used] ** 2))
            cells.append(f"{100 * np.sqrt(np.median(errors)):.2g} %")
        rows.append(f"{noise:g} | " + " | ".join(cells))
    table("noise of F | " + " | ".join(ways), rows)


def theory() -> None:
    """The check of Ciarella et al. (2023), supplement: M of mode-coupling theory from its F."""
    rows, k, at = [], mct.wave_numbers(), 17
    for packing in (0.45, 0.5, 0.51):
        S, density = mct.hard_spheres(k, packing)
        solution = mct.solve(k, S, density, t_min=1e-8, t_max=1e4, block=128)
        F, M, omega2 = solution.F[:, at] / S[at], k[at] ** 2 * solution.M[:, at], k[at] ** 2 / S[at]
        t = np.geomspace(1e-5, solution.t[np.argmax(F < 1e-3)], 60)
        F, M = (np.interp(np.log(t), np.log(solution.t[1:]), values[1:]) for values in (F, M))
        for n_exp in (1, 2, 3):
            found = memory.evolve(t, F, n_exp, omega2=omega2, dynamics="overdamped", F0=1.0, restarts=3,
                                  start=memory.fit_curve(t, M, n_exp))
            large = M > 0.01 * M[0]
            off = np.abs(found.memory(t) / M - 1)[large]
            rows.append(f"{packing} | {n_exp} | {found.loss:.1e} | {100 * off.max():.0f} % at t = "
                        f"{t[large][off.argmax()]:.1g} | {100 * np.median(off):.1f} %")
    table("φ | N_exp | summed loss | M off by at most | median", rows)


def states(folder: Path) -> None:
    """Simulated states."""
    rows = []
    for path in sorted(folder.glob("*.h5")):
        measured = of_record(Record.load(path))
        assert measured.error is not None
        for j, label in enumerate(measured.species):
            options: dict[str, Any] = {"omega2": measured.omega2[j], "F0": 1.0, "error": measured.error[:, j]}
            found, ours = timed(memory.evolve, measured.t, measured.F[:, j], **options)
            (_, sum_of_squares), theirs = timed(memory.least_squares, measured.t, measured.F[:, j], **options)
            ratio = found.chi_square * len(measured.t) / sum_of_squares
            rows.append(f"{path.stem} | {label} | {found.chi_square:.2f} | {ratio:.5f} | "
                        f"{found.agreeing} of {len(found.restarts)} | {ours:.1f} | {theirs:.1f}")
    table("state | | χ² a point | χ² over that of least squares, 10 starts | restarts agreeing | s | s", rows)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = {"solver": solver, "recovery": recovery, "rivals": rivals, "inversion": inversion, "theory": theory}
    parser.add_argument("--part", nargs="+", choices=[*parts, "states"], default=[*parts, "states"])
    parser.add_argument("--records", type=Path, default=ROOT / "hpctools" / "data" / "liquids" / "validation",
                        help="folder of simulated states (default: the shipped validation)")
    given = parser.parse_args()
    for name in given.part:
        print(f"### {name}\n")
        if name == "states":
            states(given.records)
        else:
            parts[name]()


if __name__ == "__main__":
    main()
