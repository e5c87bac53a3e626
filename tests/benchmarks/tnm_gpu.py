"""Speed of the TNM simulator on a device: python tests/benchmarks/tnm_gpu.py

Correctness comes first: the device against the numba kernel on samples of the box. Then samples/s over blocks of
neighbouring grid nodes with all their x and β, windowed and full, the seconds that all 13,752,261 samples would take,
and how close that is to two ceilings of the device: its float64 arithmetic, from the operations that a host build of
the same source counts, and its memory, from the bytes of the signals.

    --backend host     measures the host build of the same source instead, on the CPUs
    --blocks 2 3 4     blocks of 128 threads a multiprocessor that are tried (registers against occupancy)
    --peak-flops, --peak-bytes    of the device, FLOP/s in float64 and B/s; the defaults are NVIDIA's for the H200
"""

from __future__ import annotations

import argparse
import ctypes
from functools import partial

import numpy as np
from timing import least

from hpctools.tnm import Program, simulate_windows
from hpctools.tnm import host as host_backend
from hpctools.tnm.cpu import thread_count
from hpctools.tnm.grid import PAPER
from hpctools.tnm.simulator import Job, prepare

GRID_SAMPLES = 13_752_261
COUNTED = ("steps", "newton passes", "mode updates", "stencils", "points")
# Floating-point operations of one of each, counted in kernel.h: an addition, a multiplication or a fused pair's two
# count one each, a division 20 and an exponential 40 (they are sequences of fused multiply-adds).
FLOPS = (410, 290, 34, 330, 17)


def grid_block(nodes: int, stride: int) -> np.ndarray:
    """All x and β (every stride-th) of neighbouring grid nodes from the middle of the space, in the grid's order."""
    rows = max(1, round(nodes**0.5))
    columns = -(-nodes // rows)
    first_row, first_column = (PAPER.dh_points - rows) // 2, (PAPER.ln_a_points - columns) // 2
    shape = PAPER.shape[::stride]
    parts = []
    for row in range(first_row, first_row + rows):
        for column in range(first_column, first_column + columns):
            x, beta = np.meshgrid(shape, shape, indexing="ij")
            node = np.full_like(x, PAPER.ln_a[row, column]), np.full_like(x, PAPER.dh[row])
            parts.append(np.column_stack([a.ravel() for a in (*node, x, beta)]))
    return np.concatenate(parts)


def grid_sample(n: int) -> np.ndarray:
    """n samples drawn uniformly from the whole grid."""
    rng = np.random.default_rng(20250)
    row, column = rng.integers(PAPER.dh_points, size=n), rng.integers(PAPER.ln_a_points, size=n)
    shape = rng.choice(PAPER.shape, (2, n))
    return np.column_stack([PAPER.ln_a[row, column], PAPER.dh[row], *shape])


def agreement(parameters: np.ndarray, backend: str) -> None:
    """Print the largest difference from the numba kernel; end the run if it is not small."""
    cpu = simulate_windows(parameters, backend="cpu", dtype=np.float64)
    other = simulate_windows(parameters, backend=backend, dtype=np.float64)
    peaks = np.maximum(1.0, cpu.summary.cpn_max.max(axis=1))
    smooth = np.flatnonzero(peaks <= 20)
    error = np.array([np.abs(cpu[i] - other[i]).max() / peaks[i] for i in smooth])
    print(
        f"{backend} against cpu, {smooth.size} samples with CpN_max ≤ 20: largest difference {error.max():.1e} of "
        f"CpN_max, 99 % below {np.quantile(error, 0.99):.1e}, median {np.median(error):.1e}"
    )
    if error.max() > 2e-4:
        raise SystemExit("the backend is wrong: no timing")


def work(parameters: np.ndarray) -> np.ndarray:
    """What a sample costs on average: counts in the order of COUNTED, by a host build that counts."""
    library = host_backend.load(("TNM_COUNT",))
    counted = (ctypes.c_int64 * len(COUNTED)).in_dll(library, "tnm_counted")
    job = prepare(parameters, Program())
    out, summary = np.empty(job.offset[-1], np.float32), np.zeros((len(parameters), 6, 6))
    before = np.array(counted)
    host_backend.simulate_into(*job, out, summary, library=library, threads=1)
    return (np.array(counted) - before) / len(parameters)


def device_seconds(job: Job, blocks: int, repeats: int) -> float:
    """Least seconds of the kernels for a job whose data are on the device."""
    from hpctools.tnm import cuda

    cupy = cuda.cupy
    out = cupy.empty(int(job.offset[-1]), np.float32)
    summary = cupy.empty((len(job.parameters), 6, 6), np.float64)
    launch = cuda.launcher(*job._replace(tables=cuda.on_device(job.tables)), out, summary, blocks=blocks)
    return least(lambda: (launch(), cupy.cuda.runtime.deviceSynchronize()), repeats)


def host_seconds(job: Job, repeats: int) -> float:
    """Least seconds of the host build."""
    out, summary = np.empty(job.offset[-1], np.float32), np.zeros((len(job.parameters), 6, 6))
    return least(lambda: host_backend.simulate_into(*job, out, summary), repeats)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", choices=("cuda", "host"), default="cuda")
    parser.add_argument("--nodes", type=int, default=64, help="neighbouring grid nodes in the windowed run")
    parser.add_argument("--full-nodes", type=int, default=32, help="the same for the full run, 0.75 GB a node")
    parser.add_argument("--stride", type=int, default=1, help="in x and β")
    parser.add_argument("--check", type=int, default=1000, help="samples compared with the numba kernel")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--blocks", type=int, nargs="+", default=[2, 3, 4])
    parser.add_argument("--peak-flops", type=float, default=34e12, help="FLOP/s in float64 without tensor cores")
    parser.add_argument("--peak-bytes", type=float, default=4.8e12, help="B/s")
    options = parser.parse_args()

    if options.backend == "cuda":
        from hpctools.tnm import cuda

        print(cuda.device_name())
    else:
        print(host_backend.device_name())
    agreement(grid_sample(options.check), options.backend)

    uniform = work(grid_sample(options.check))
    print("work of a sample, uniform over the grid: " + ", ".join(f"{n:.0f} {w}" for n, w in zip(uniform, COUNTED)))
    print(f"that is {uniform @ FLOPS / 1e6:.2f} MFLOP a sample, {GRID_SAMPLES * (uniform @ FLOPS):.2e} for the grid")

    print(f"{'output':>9} {'blocks':>6} {'samples':>8} {'samples/s':>11} {'grid, s':>9} {'% flops':>8} {'% bytes':>8}")
    for full, nodes in ((False, options.nodes), (True, options.full_nodes)):
        parameters = grid_block(nodes, options.stride)
        job = prepare(parameters, Program(), full=full)
        if options.backend == "cuda":
            call = partial(cuda.simulate_device, parameters, full=full)
            rate = len(parameters) / least(call, options.repeats)
            print(f"simulate_device, with the host's preparation: {rate:,.0f} samples/s")
        subset = np.random.default_rng(1).choice(len(parameters), min(len(parameters), options.check), replace=False)
        flops = work(parameters[subset]) @ FLOPS
        stored = 4 * int(job.offset[-1]) / len(parameters)
        for blocks in options.blocks if options.backend == "cuda" else [thread_count()]:
            if options.backend == "cuda":
                seconds = device_seconds(job, blocks, options.repeats)
            else:
                seconds = host_seconds(job, options.repeats)
            rate = len(parameters) / seconds
            # the grid has other samples than this block: scaled by their operations
            grid = GRID_SAMPLES / rate * (uniform @ FLOPS) / flops
            print(
                f"{'full' if full else 'windowed':>9} {blocks:>6} {len(parameters):>8} {rate:>11,.0f} {grid:>9.1f} "
                f"{100 * rate * flops / options.peak_flops:>8.2f} {100 * rate * stored / options.peak_bytes:>8.2f}"
            )


if __name__ == "__main__":
    main()
