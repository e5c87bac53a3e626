"""Speed of the mode-coupling solver beside mctpy (Voigtmann) in one run, and beside its floor; tables in Markdown.

    python tests/benchmarks/mct_speed.py [--mctpy FOLDER] [--repeats 3] [--problem spheres binary]

Percus-Yevick hard spheres at φ = 0.515 and the mixture (diameters 0.8, 1; fractions 0.2, 0.8) at 0.51, n_k = 100,
k_max = 40, from t = 1e-10 to 1e10, overdamped. mctpy is no dependency: pip install --target FOLDER --no-deps mctpy
(it needs h5py and scipy); without it the ratios are left out. Both programs use one thread. Times are CPU seconds,
which other work on the machine disturbs least, the best of the repeats.

cold: a fresh process, from its start to its end, with one solution; our compiled code comes from numba's cache, which
an earlier process has filled; mctpy makes its functions anew in each process, so numba has nothing to keep.
warm: the second and later solutions of a process, nothing is compiled; first at the same block, then each program at
the smallest block of those tried at which its τ (k = 7.4, 1/e) is within 1e-3 of the limit of small steps.

kernel: one evaluation of m. mctpy's mixtures (0.0.2.post1) have a kernel, but their dynamics do not compile, since its
matrix solver assigns complex numbers to real arrays; there, only the kernels are compared.

The floor is the kernel's arithmetic (`kernel.flops`) at the rate at which numpy multiplies matrices on one core.

ModeCouplingTheory.jl, read in its source (0.8.9; not run here), integrates by the same scheme with blocks of 4 × 32
points and tolerance 1e-10, iterating plainly, and one linear solve an iteration. Its kernels too use Bengtzelius'
recursion, but first fill three n_k² arrays of integrands for each element of m: vectorised for one component; in
mixtures by 4 n_s² products of four factors for each pair of wave numbers. Here the products cFc and cF are made once
a wave number, so that an element costs 15 or 17 operations a pair for any number of species, one visit serves (q, p)
and (p, q), and nothing of size n_k² is stored; extrapolation and Anderson's mixing leave 1.6 evaluations a step at
block 256. Faster still would be: the convolution over the past, a third of the time for two species, for several
steps at once; the derivative of the kernel kept over a block, for Newton's method near a transition; and, beyond some
300 wave numbers, the sums along diagonals by fast Fourier transforms.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
PACKING = {"spheres": 0.515, "binary": 0.51}
DIAMETERS, FRACTIONS = np.array([0.8, 1.0]), np.array([0.2, 0.8])
T_MIN, T_MAX = 1e-10, 1e10
BLOCKS = (64, 128, 144, 192, 256)
FINE = 512  # ours, for the limit of small steps
PEAK_AT = 7.4
EQUAL_BLOCK = 256  # mctpy's default
ACCURACY = 1e-3


def ours(problem: str) -> Callable[[int], tuple[Callable[[], Any], Callable[[Any], float]]]:
    """For a block: a function that solves, and one that finds τ in what it returns."""
    from hpctools.liquids import mct

    k = mct.wave_numbers()
    if problem == "spheres":
        S, density = mct.hard_spheres(k, PACKING[problem])
        x = None
    else:
        S, density = mct.hard_sphere_mixture(k, PACKING[problem], DIAMETERS, FRACTIONS)
        x = FRACTIONS

    def prepare(block: int) -> tuple[Callable[[], Any], Callable[[Any], float]]:
        def solve() -> Any:
            return mct.solve(k, S, density, x, t_min=T_MIN, t_max=T_MAX, block=block, tolerance=1e-9)

        return solve, lambda found: found.relaxation_time(PEAK_AT, 0 if x is None else 1)

    return prepare


def model_of_mctpy(problem: str) -> Any:
    """The liquid as mctpy has it."""
    import mctpy

    from hpctools.liquids.mct import wave_numbers

    if problem == "spheres":
        return mctpy.simple_liquid_model(mctpy.structurefactors.hssPY(PACKING[problem]), wave_numbers())
    density = PACKING[problem] / (np.pi / 6 * np.sum(FRACTIONS * DIAMETERS**3))
    return mctpy.mixture_model(mctpy.structurefactors.hsmPY(density * FRACTIONS, DIAMETERS), wave_numbers())


def theirs(problem: str) -> Callable[[int], tuple[Callable[[], Any], Callable[[Any], float]]]:
    """The same with mctpy at its default accuracy, 1e-9."""
    import mctpy

    from hpctools.liquids.mct.solver import crossing

    model = model_of_mctpy(problem)
    at = int(np.abs(model.q - PEAK_AT).argmin())

    def prepare(block: int) -> tuple[Callable[[], Any], Callable[[Any], float]]:
        doublings = int(np.ceil(np.log2(T_MAX / T_MIN / (block - 1)))) + 1

        def solve() -> Any:
            found = mctpy.correlator(blocksize=block, h=T_MIN, blocks=doublings, model=model, store=True)
            found.solve_all()
            return found

        def tau(found: Any) -> float:
            phi = found.phi[:, at] if problem == "spheres" else found.phi[:, at, 1, 1]
            return crossing(found.t, phi / phi[0], float(np.exp(-1)))

        return solve, tau

    return prepare


def kernel_seconds(program: str, problem: str, repeats: int) -> float:
    """CPU seconds of one evaluation of the memory kernel at F = S."""
    if program == "ours":
        from hpctools.liquids.mct import hard_sphere_mixture, wave_numbers
        from hpctools.liquids.mct.equation import liquid
        from hpctools.liquids.mct.kernel import liquid_memory

        k = wave_numbers()
        x, d = ([1.0], [1.0]) if problem == "spheres" else (FRACTIONS, DIAMETERS)
        S, density = hard_sphere_mixture(k, PACKING[problem], d, x)
        structure = liquid(k, S, density, x)
        kernel, parameters, _ = liquid_memory(structure)
        arguments = (structure.S, 0, parameters, np.empty_like(structure.S))
    else:
        model = model_of_mctpy(problem)
        kernel, phi = model.get_kernel(), model.phi0()
        arguments = (np.empty_like(phi), phi, 0, 0.0)

    def many() -> None:
        for _ in range(100):
            kernel(*arguments)

    many()
    return least(many, 5 * repeats) / 100


def worker(program: str, problem: str, blocks: list[int], repeats: int) -> None:
    """Solve at each block, `repeats` times, or once and untimed; print the best times and τ.

    Block 0 stands for one evaluation of the kernel.
    """
    prepare = {"ours": ours, "mctpy": theirs}[program](problem)
    if repeats and any(blocks):
        prepare(32)[0]()  # compiles, or loads what is compiled
    rows = []
    for block in blocks:
        if not block:
            rows.append({"block": 0, "tau": np.nan, "seconds": kernel_seconds(program, problem, repeats)})
            continue
        solve, tau = prepare(block)
        found, seconds = None, np.inf
        for _ in range(max(1, repeats)):
            begin = time.process_time()
            found = solve()
            seconds = min(seconds, time.process_time() - begin)
        rows.append({"block": block, "tau": tau(found), "seconds": seconds})
    print(json.dumps(rows))


def least(action: Callable[[], Any], repeats: int) -> float:
    """CPU seconds of the best of some repeats."""
    best = np.inf
    for _ in range(repeats):
        begin = time.process_time()
        action()
        best = min(best, time.process_time() - begin)
    return float(best)


def run(program: str, problem: str, blocks: list[int], repeats: int, folder: str | None) -> tuple[float, Any]:
    """CPU seconds of a worker process, all of it, and what it printed."""
    path = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, **dict.fromkeys(THREADS, "1"), "PYTHONPATH": os.pathsep.join(filter(None, path))}
    if folder and program == "mctpy":
        environment["PYTHONPATH"] += os.pathsep + folder
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    words = [sys.executable, __file__, "--worker", program, "--problem", problem, "--repeats", str(repeats)]
    done = subprocess.run(
        [*words, "--blocks", *map(str, blocks)], env=environment, text=True, stdout=subprocess.PIPE, check=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, json.loads(done.stdout.splitlines()[-1])


def compare(problem: str, repeats: int, folder: str | None) -> None:
    """Print the table of a problem."""
    run("ours", problem, [16], 0, folder)  # fills the cache
    whole = ["ours"] + (["mctpy"] if folder is not None and problem == "spheres" else [])
    both = ["ours"] + (["mctpy"] if folder is not None else [])
    cold, warm, kernel = {}, {}, {}
    for program in both:
        kernel[program] = run(program, problem, [0], repeats, folder)[1][0]["seconds"]
    for program in whole:
        cold[program] = min(run(program, problem, [EQUAL_BLOCK], 0, folder)[0] for _ in range(repeats))
        blocks = [*BLOCKS, FINE] if program == "ours" else list(BLOCKS)
        warm[program] = {row["block"]: row for row in run(program, problem, blocks, repeats, folder)[1]}
    coarse, fine = (warm["ours"][block]["tau"] for block in (FINE // 2, FINE))
    limit = fine + (fine - coarse) / 3  # the error falls with the square of the step
    enough = {
        name: next((row for row in rows.values() if abs(row["tau"] / limit - 1) <= ACCURACY), None)
        for name, rows in warm.items()
    }
    print(f"\n{problem}, packing {PACKING[problem]}: τ = {limit:.6g} in the limit of small steps\n")
    print("| CPU ms | ours | mctpy | ratio |\n|---|---:|---:|---:|")
    blocks_used = ", ".join(str(row["block"]) for row in enough.values() if row)
    lines = {
        f"cold, block {EQUAL_BLOCK}": cold,
        f"warm, block {EQUAL_BLOCK}": {name: rows[EQUAL_BLOCK]["seconds"] for name, rows in warm.items()},
        f"warm, τ to {ACCURACY:g}: block {blocks_used}": {name: row["seconds"] for name, row in enough.items() if row},
        "kernel": kernel,
    }
    for name, seconds in lines.items():
        mine, other = seconds["ours"], seconds.get("mctpy")
        last = ("", "") if other is None else (f"{1e3 * other:.4g}", f"{other / mine:.1f}")
        print(f"| {name} | {1e3 * mine:.4g} | {last[0]} | {last[1]} |")
    for name, rows in warm.items():
        errors = ", ".join(
            f"{block}: {row['tau'] / limit - 1:+.1e} in {row['seconds']:.3f} s" for block, row in rows.items()
        )
        print(f"\nerror of τ by block, {name}: {errors}")


def floor(repeats: int) -> None:
    """Print the share of the rate of multiplied matrices that the kernel reaches."""
    from hpctools.liquids.mct import hard_sphere_mixture, wave_numbers
    from hpctools.liquids.mct.equation import liquid
    from hpctools.liquids.mct.kernel import flops, liquid_memory

    size = 512
    a = np.random.default_rng(1).normal(size=(size, size))
    peak = 2 * size**3 / least(lambda: a @ a, 10 * repeats)
    print(f"\nkernel alone; matrices are multiplied at {peak / 1e9:.1f} Gflop/s by one core\n")
    print("| species | n_k | µs | kflop | Gflop/s | share of the floor |\n|---:|---:|---:|---:|---:|---:|")
    for n_s, n_k in ((1, 100), (2, 100), (3, 100), (1, 300), (2, 300)):
        k = wave_numbers(n_k, 40.0)
        x = np.ones(n_s) / n_s
        S, density = hard_sphere_mixture(k, 0.5, [1.0, 0.8, 0.9][:n_s], x)
        structure = liquid(k, S, density, x)
        function, parameters, _ = liquid_memory(structure)
        out = np.empty_like(structure.S)

        def many(call: Any = function, S: Any = structure.S, p: Any = parameters, out: Any = out) -> None:
            for _ in range(200):
                call(S, 0, p, out)

        seconds = least(many, 5 * repeats) / 200
        count = flops(n_k, n_s)
        print(
            f"| {n_s} | {n_k} | {seconds * 1e6:.1f} | {count / 1e3:.0f} | {count / seconds / 1e9:.1f} "
            f"| {count / seconds / peak:.0%} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mctpy", metavar="FOLDER", help="where mctpy was installed; '' if it can be imported anyway")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--problem", nargs="+", choices=list(PACKING), default=list(PACKING))
    parser.add_argument("--worker", choices=("ours", "mctpy"), help=argparse.SUPPRESS)
    parser.add_argument("--blocks", type=int, nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        worker(options.worker, options.problem[0], options.blocks, options.repeats)
        return
    # set before numpy's library of linear algebra starts its threads
    if any(os.environ.get(name) != "1" for name in THREADS):
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **dict.fromkeys(THREADS, "1")})
    floor(options.repeats)
    for problem in options.problem:
        compare(problem, options.repeats, options.mctpy)


if __name__ == "__main__":
    main()
