"""Speed of the TNM simulator on the host, by region of x and β, beside its floor; a table in Markdown.

    python tests/benchmarks/tnm_speed.py [--samples 1000] [--backend cpu]

Samples are drawn uniformly from the grid of 13,752,261. "Full" writes all 6 × 18,501 points of a sample into an array
that is used again; "windowed" only the transition. Each figure is the best of `--repeats` runs, since other work on
the machine only slows it.

The floor: flops at the rate of independent multiply-adds in registers, and bytes written at the rate at which
memory takes a fill of the same size, both measured in the same run. Steps and mode
updates are counted by a host build of the C++ kernel, so a compiler is needed.
"""

from __future__ import annotations

import argparse

import numpy as np
from timing import flop_rate, least
from tnm_gpu import COUNTED, FLOPS, work

from hpctools.tnm import simulate, simulate_windows
from hpctools.tnm.cpu import thread_count
from hpctools.tnm.grid import select

REGIONS = ((0.2, 0.4), (0.42, 0.7), (0.72, 1.0))
PAPER_SECONDS = 600.0  # a sample on one core, Mater. Chem. Phys. 329 (2025) 130107


def draw(n: int, x: tuple[float, float] = (0.2, 1.0), beta: tuple[float, float] = (0.2, 1.0)) -> np.ndarray:
    """Samples (n, 4) drawn uniformly from the part of the grid with x and β in these ranges."""
    grid = select()
    random = np.random.default_rng(7)
    values = grid.ranges.shape
    inner = [np.flatnonzero((values >= low - 1e-9) & (values <= high + 1e-9)) for low, high in (x, beta)]
    nodes = random.integers(grid.n_nodes, size=n)
    return np.column_stack(
        [grid.nodes[nodes, 1], grid.nodes[nodes, 0], *(values[random.choice(axis, n)] for axis in inner)]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--backend", default="cpu")
    options = parser.parse_args()
    n = options.samples
    threads = thread_count()
    out = np.empty((n, 6, 18501), np.float32)
    rows = [("all", draw(n))]
    rows += [
        (f"x {x[0]:.2f}-{x[1]:.2f}, β {b[0]:.2f}-{b[1]:.2f}", draw(n // 4, x, b)) for x in REGIONS for b in REGIONS
    ]
    print(f"backend {options.backend}, {threads} threads, {n} samples\n")
    print("| region | windowed, samples/s | full, samples/s | full, times the paper's 10 min a core |")
    print("|---|---|---|---|")
    seconds = {}
    for name, parameters in rows:
        part = out[: len(parameters)]

        def full(parameters: np.ndarray = parameters, part: np.ndarray = part) -> None:
            simulate(parameters, backend=options.backend, out=part)

        def windowed(parameters: np.ndarray = parameters) -> None:
            simulate_windows(parameters, backend=options.backend)

        rates = [len(parameters) / least(action, options.repeats) for action in (windowed, full)]
        seconds[name] = 1 / rates[1]
        ratio = rates[1] / threads * PAPER_SECONDS
        print(f"| {name} | {rates[0]:,.0f} | {rates[1]:,.0f} | {ratio:,.0f} |")
    floor(seconds["all"] * threads, draw(200), out)


def floor(core_seconds: float, parameters: np.ndarray, out: np.ndarray) -> None:
    """Print what arithmetic and memory alone would take, beside a core's seconds a sample."""
    counts = dict(zip(COUNTED, work(parameters), strict=True))
    rate = flop_rate()
    fill = out.nbytes / least(lambda: out.fill(0.0), 5)
    flops = {name: counts[name] * cost for name, cost in zip(COUNTED, FLOPS, strict=True)}
    modes, total = flops["mode updates"] / rate, sum(flops.values()) / rate
    memory = 6 * 18501 * 4 / fill
    print("\na sample: " + ", ".join(f"{value:,.0f} {name}" for name, value in counts.items()))
    print(
        f"floor of a core: {modes * 1e6:.0f} µs for the mode updates, {total * 1e6:.0f} µs for all "
        f"{sum(flops.values()) / 1e6:.1f} Mflop, at {rate / 1e9:.1f} Gflop/s; {memory * 1e6:.0f} µs for 444,024 bytes "
        f"at {fill / 1e9:.1f} GB/s\n"
        f"taken: {core_seconds * 1e6:.0f} µs, {core_seconds / (total + memory):.1f} times that"
    )


if __name__ == "__main__":
    main()
