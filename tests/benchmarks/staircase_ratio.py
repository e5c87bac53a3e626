"""Time of the published staircase scheme against `hpctools.tnm.simulate`, one core each, in one run.

    python tests/benchmarks/staircase_ratio.py
    python tests/benchmarks/staircase_ratio.py --full       # one sample at 0.1 K: minutes

Six cycles of the paper's program, -250 … 1600 degrees Celsius. The staircase is timed at 2, 1 and 0.5 K; the
exponent of the last halving shows the N**2 law, by which the time at 0.1 K, the step of the paper's grid, is
extrapolated. Errors are those of the scan after cooling at 0.5 K/min, against the direct method.
"""

from __future__ import annotations

import argparse
import math
import os
import time

import numpy as np

from hpctools.tnm.direct import GAS_CONSTANT, scan
from hpctools.tnm.staircase import COOLING_RATES, HEATING_RATE, simulate_staircase

AS2SE3 = (-79.21, 38.3e3 * GAS_CONSTANT, 0.57, 0.71)
LOW, HIGH = 23.15, 1873.15  # K


def staircase_seconds(step: float, repeats: int) -> tuple[float, float]:
    """Best time of six cycles [s], and max |dCpN| of the first scan against the direct method."""
    best = math.inf
    for _ in range(repeats):
        start = time.perf_counter()
        signals = simulate_staircase(AS2SE3, step=step)
        best = min(best, time.perf_counter() - start)
    grid = np.linspace(LOW, HIGH, signals.shape[1])
    exact = scan(AS2SE3, COOLING_RATES[0], HEATING_RATE, grid)[0]
    return best, float(np.max(np.abs(signals[0] - exact)))


def fast_seconds(samples: int, repeats: int) -> float:
    """Best time a sample [s] of `simulate` at full output, over samples around As2Se3."""
    from hpctools.tnm import simulate

    os.environ["HPCTOOLS_THREADS"] = "1"
    out = np.empty((samples, 6, 18501), np.float32)
    parameters = np.tile(np.array(AS2SE3), (samples, 1))
    parameters[:, 2:] += np.linspace(-0.1, 0.1, samples)[:, None]
    simulate(parameters, out=out)
    best = math.inf
    for _ in range(repeats):
        start = time.perf_counter()
        simulate(parameters, out=out)
        best = min(best, time.perf_counter() - start)
    return best / samples


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--full", action="store_true", help="also run one whole sample at 0.1 K")
    parser.add_argument("--samples", type=int, default=200, help="samples of the fast solver")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    simulate_staircase(AS2SE3, step=50.0)  # compile
    steps = [2.0, 1.0, 0.5]
    measured = [staircase_seconds(s, options.repeats if s > 0.5 else 1) for s in steps]
    print("| scheme | step K | jumps a cycle | s a sample | exponent | max abs dCpN |\n" + 6 * "|---" + "|")
    for n, (step, (seconds, error)) in enumerate(zip(steps, measured, strict=True)):
        law = f"{math.log2(seconds / measured[n - 1][0]):.2f}" if n else ""
        print(
            f"| staircase | {step} | {2 * round((HIGH - LOW) / step)} | {seconds:.3f} | {law} | {error:.1e} |"
        )
    full = measured[-1][0] * 25.0
    print(f"| staircase, extrapolated by N**2 | 0.1 | {2 * 18500} | {full:.1f} | 2 | |")
    if options.full:
        seconds, error = staircase_seconds(0.1, 1)
        print(f"| staircase, measured | 0.1 | {2 * 18500} | {seconds:.1f} | | {error:.1e} |")
        full = seconds
    try:
        fast = fast_seconds(options.samples, options.repeats)
    except ImportError as missing:
        print(f"\nno ratio: {missing}")
        return
    print(f"| simulate | | | {fast:.6f} | | |\n\n{full:.1f} s / {1e3 * fast:.3f} ms: ratio {full / fast:.0f}")


if __name__ == "__main__":
    main()
