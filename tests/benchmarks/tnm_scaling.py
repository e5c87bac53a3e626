"""Scaling of the TNM grid job on this machine, and what follows for the full grid on 256 ranks.

    python tests/benchmarks/tnm_scaling.py [--layout files]

Runs subset G at every fourth x and β on one and on two ranks (best of three each), and prints the rates, the
efficiency, the seconds until a rank starts to work, the memory of a rank, and the estimate for 13,752,261 samples.
tests/benchmarks/store_scaling.py measures the writing alone with more ranks than cores.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

NODES, SAMPLES = 8181, 13_752_261
RANKS = 256


def run(ranks: int, layout: str) -> tuple[float, float, float]:
    """Samples/s, share of the run spent writing, and seconds outside the job's own clock."""
    mpiexec = Path(sys.executable).with_name("mpiexec")
    with tempfile.TemporaryDirectory() as folder:
        command = [
            str(mpiexec), "-n", str(ranks), sys.executable, "-m", "hpctools.tnm", "--subset", "G", "--stride-x", "4",
            "--stride-beta", "4", "--layout", layout, "--out", f"{folder}/grid.h5",
        ]  # fmt: skip
        started = time.perf_counter()
        # one rank alone would use all cores
        environ = {**os.environ, "HPCTOOLS_THREADS": "1"}
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
        spent = time.perf_counter() - started
    rate = float(re.search(r"rate +([\d,]+) samples/s", done.stdout)[1].replace(",", ""))
    writing = float(re.search(r"writing +(\d+) %", done.stdout)[1]) / 100
    return rate, writing, spent - 9680 / rate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layout", default="files", choices=("files", "mpio"))
    options = parser.parse_args()
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import hpctools.tnm.job"], check=True)
    imported = time.perf_counter() - started
    best = {ranks: max(run(ranks, options.layout) for _ in range(3)) for ranks in (1, 2)}
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print("| ranks | samples/s | efficiency | writing | start-up and probe, s |\n|---|---|---|---|---|")
    for ranks, (rate, writing, start) in best.items():
        print(f"| {ranks} | {rate:,.0f} | {rate / ranks / best[1][0]:.0%} | {writing:.0%} | {start:.1f} |")
    rounds = -(-NODES // RANKS)
    busy = NODES / (rounds * RANKS)
    seconds = SAMPLES / (best[2][0] / 2 * RANKS * busy)
    print(
        f"\nimport of the job: {imported:.2f} s; memory of a rank: {memory:.0f} MiB\nfull grid on {RANKS} ranks: "
        f"{rounds} nodes a rank at most, {busy:.1%} of the ranks' time used, {seconds:.0f} s at the rate of two ranks"
    )


if __name__ == "__main__":
    main()
