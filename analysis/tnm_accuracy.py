"""Accuracy of the TNM simulator against a slow second method, over the whole box of parameters.

    python analysis/tnm_accuracy.py --samples 1000 --out accuracy.csv            # simulate by direct
    python analysis/tnm_accuracy.py --samples 100 --candidate coarse             # direct by its finer self
    python analysis/tnm_accuracy.py --samples 1000 --method fine                 # simulate by finer steps

Samples: the 16 corners of the box, then a Sobol sequence over it (activation energy 2e5 … 12e5 J/mol, ln A
by the rule of hpctools.tnm.grid, x and beta 0.2 … 1). Six scans a sample: cooling at 0.5, 1, 2, 5, 10, 20 K/min,
heating at 10 K/min. What is demanded of each scan, CpN_max being the maximum of its continuous curve:

* CpN_max <= 20: max |dCpN| <= 1e-3 max(1, CpN_max - 5) at every point of the grid;
* above, bursts narrower than the grid: |dCpN| <= 1e-3 CpN_max further than 0.3 K from the burst, the burst's
  temperature within max(0.02 K, 0.005 w0), int CpN dT within 0.02 K;
* always: Tf' within 0.02 K.

One CSV row a scan, written sample by sample: the same command goes on where it was stopped. The table of
worst errors is printed as Markdown. The step of the direct method is `--resolution` steps per e-fold of tau;
`--candidate coarse` judges it at half of that, which shows its own convergence (of fourth order: the finer
one is about 16 times better than this difference).
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import itertools
import math
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hpctools.tnm.grid import PAPER
from hpctools.tnm.model import GAS_CONSTANT
from hpctools.whole import whole

RATES = np.array([0.5, 1.0, 2.0, 5.0, 10.0, 20.0]) / 60.0  # K/s
HEATING = 10.0 / 60.0  # K/s
GRID = np.linspace(-250.0, 1600.0, 18501) + 273.15  # K
BURST = 20.0  # CpN_max above which a scan is judged as a burst
X_EDGES = BETA_EDGES = (0.2, 0.3, 0.5, 0.75, 1.0)
CLASSES = (0.0, 6.0, 20.0, math.inf)  # of CpN_max
FIELDS = (
    "sample ln_a energy x beta scan w0 cpn_max error allowed celsius share error_far burst limiting area "
    "seconds_reference seconds_candidate ok"
).split()
Array = NDArray[np.float64]


@dataclass
class Result:
    """Six scans of one sample; what a method does not give is nan."""

    signals: Array  # (6, 18501)
    limiting: Array = field(default_factory=lambda: np.full(6, np.nan))  # Tf' [K]
    area: Array = field(default_factory=lambda: np.full(6, np.nan))  # int CpN dT over -250 … 1600 C [K]
    peak: Array = field(default_factory=lambda: np.full(6, np.nan))  # of the continuous curve
    peak_temperature: Array = field(default_factory=lambda: np.full(6, np.nan))  # [K]


def corners() -> Array:
    """The 16 corners of the box, (16, 4)."""
    return np.array(
        [
            (ln_a, energy, x, beta)
            for energy in (2e5, 12e5)
            for ln_a in PAPER.ln_a_limits(energy)
            for x in (0.2, 1.0)
            for beta in (0.2, 1.0)
        ]
    )


def draw(n: int, seed: int = 0) -> Array:
    """The corners and n Sobol points of the box, (16 + n, 4)."""
    from scipy.stats import qmc

    u = qmc.Sobol(4, seed=seed).random_base2(max(1, math.ceil(math.log2(max(n, 2)))))[:n]
    energy = 2e5 + 10e5 * u[:, 0]
    ends = np.column_stack(PAPER.ln_a_limits(energy))
    ln_a = ends[:, 0] + (ends[:, 1] - ends[:, 0]) * u[:, 1]
    inner = np.column_stack([ln_a, energy, 0.2 + 0.8 * u[:, 2], 0.2 + 0.8 * u[:, 3]])
    return np.concatenate([corners(), inner])


def direct(parameters: Array, resolution: float) -> Result:
    """Six scans by the superposition integral itself."""
    from hpctools.tnm.direct import scan

    out = Result(np.empty((6, len(GRID))))
    for i, rate in enumerate(RATES):
        out.signals[i], out.limiting[i], info = scan(parameters, rate, HEATING, GRID, resolution)
        out.area[i] = info["area"] + GRID[-1] - info["limits"][1]
        out.peak[i], out.peak_temperature[i] = info["peak"], info["peak_temperature"]
    return out


def fast(parameters: Array, **settings: float) -> Result:
    """Six scans by the simulator.

    The area is that of the signal on the 0.1 K grid, and for bursts (CpN_max > 20), thinner than that grid, the
    rise of Tf, which is T_hi - Tf' where the liquid is in equilibrium.
    """
    from hpctools.tnm import simulate_windows

    scans = simulate_windows(parameters[None, :], full=True, **settings)
    summary = scans.summary
    signals = scans.full(0).astype(float)
    area = np.where(summary.burst[0], GRID[-1] - summary.tf_limit[0], np.trapezoid(signals, GRID, axis=1))
    return Result(signals, summary.tf_limit[0], area, summary.cpn_max[0], summary.t_peak[0])


def compare(parameters: Array, reference: Result, candidate: Result) -> list[dict[str, float]]:
    """Six rows of errors and verdicts. `share` is the worst error in units of what is allowed (ok: <= 1)."""
    t100 = parameters[1] / GAS_CONSTANT / (math.log(100.0) - parameters[0])
    w0 = GAS_CONSTANT * t100**2 / parameters[1]
    rows = []
    for i in range(len(RATES)):
        top = float(reference.peak[i])
        difference = np.abs(candidate.signals[i] - reference.signals[i])
        difference[~np.isfinite(difference)] = math.inf
        far = np.abs(GRID - reference.peak_temperature[i]) > 0.3
        worst = int(difference.argmax())
        burst = abs(float(candidate.peak_temperature[i] - reference.peak_temperature[i]))
        limiting = abs(float(candidate.limiting[i] - reference.limiting[i]))
        area = abs(float(candidate.area[i] - reference.area[i]))
        error_far = float(difference[far].max())
        shares = [limiting / 0.02]
        if top <= BURST:
            allowed = 1e-3 * max(1.0, top - 5.0)
            shares.append(float(difference[worst]) / allowed)
        else:
            allowed = 1e-3 * top
            shares += [error_far / allowed, burst / max(0.02, 0.005 * w0), area / 0.02]
        share = float(np.nanmax(shares))
        rows.append(
            {"scan": i, "w0": w0, "cpn_max": top, "error": float(difference[worst]), "allowed": allowed,
             "celsius": float(GRID[worst] - 273.15), "share": share, "error_far": error_far, "burst": burst,
             "limiting": limiting, "area": area, "ok": float(share <= 1.0)}
        )  # fmt: skip
    return rows


def _methods(options: argparse.Namespace) -> tuple[Callable[[Array], Result], Callable[[Array], Result]]:
    def simulated(p: Array) -> Result:
        return fast(p)

    def fine(p: Array) -> Result:
        return fast(p, resolution=options.resolution)

    def slow(p: Array) -> Result:
        return direct(p, options.resolution)

    def coarse(p: Array) -> Result:
        return direct(p, 0.5 * options.resolution)

    return (fine if options.method == "fine" else slow), (
        coarse if options.candidate == "coarse" else simulated
    )


def _one(task: tuple[int, Array, argparse.Namespace]) -> list[dict[str, float]]:
    index, parameters, options = task
    reference, candidate = _methods(options)
    start = time.perf_counter()
    known = reference(parameters)
    middle = time.perf_counter()
    judged = candidate(parameters)
    end = time.perf_counter()
    names = dict(zip(("ln_a", "energy", "x", "beta"), parameters.tolist(), strict=True))
    spent = {"seconds_reference": middle - start, "seconds_candidate": end - middle}
    return [{"sample": index, **names, **row, **spent} for row in compare(parameters, known, judged)]


def run(options: argparse.Namespace) -> list[dict[str, float]]:
    """All samples that the CSV file lacks; returns all rows."""
    o = options
    settings = f"# method={o.method} candidate={o.candidate} resolution={o.resolution} seed={o.seed}"
    rows: list[dict[str, float]] = []
    path: Path = options.out
    if path.exists():
        with path.open() as lines:
            found = lines.readline().rstrip()
            if found != settings:
                sys.exit(f"{path}: begins with '{found}', expected '{settings}'; choose another --out")
            for read in csv.DictReader(lines):
                if not {None, ""} & set(read.values()):  # a row cut short by a stop
                    rows.append({str(k): float(v) for k, v in read.items()})
    counts: dict[int, int] = {}
    for row in rows:
        counts[int(row["sample"])] = counts.get(int(row["sample"]), 0) + 1
    rows = [r for r in rows if counts[int(r["sample"])] == len(RATES)]
    done = {int(r["sample"]) for r in rows}
    tasks = [(i, p, options) for i, p in enumerate(draw(options.samples, options.seed)) if i not in done]
    with whole(path) as part, part.open("w", newline="") as out:
        out.write(settings + "\n")
        writer = csv.DictWriter(out, FIELDS)
        writer.writeheader()
        writer.writerows(rows)
    with path.open("a", newline="") as out, contextlib.ExitStack() as stack:
        results: Iterator[list[dict[str, float]]] = map(_one, tasks)
        if options.processes > 1 and tasks:
            pool = stack.enter_context(multiprocessing.get_context("spawn").Pool(options.processes))
            results = pool.imap_unordered(_one, tasks)
        writer = csv.DictWriter(out, FIELDS)
        for n, new in enumerate(results, 1):
            writer.writerows(new)
            out.flush()
            rows += new
            if n % 50 == 0 or n == len(tasks):
                print(f"{len(done) + n} of {len(done) + len(tasks)} samples", file=sys.stderr, flush=True)
    return rows


def _regions() -> Iterator[tuple[str, Callable[[dict[str, float]], bool]]]:
    for x0, x1 in itertools.pairwise(X_EDGES):
        for b0, b1 in itertools.pairwise(BETA_EDGES):

            def inside(r: dict[str, float], x0=x0, x1=x1, b0=b0, b1=b1) -> bool:
                in_x = x0 <= r["x"] < x1 or r["x"] == x1 == X_EDGES[-1]
                return in_x and (b0 <= r["beta"] < b1 or r["beta"] == b1 == BETA_EDGES[-1])

            yield f"x {x0}-{x1}, beta {b0}-{b1}", inside


def table(rows: list[dict[str, float]]) -> str:
    """Worst errors by class of CpN_max and by region of x and beta, as Markdown."""

    def line(name: str, some: list[dict[str, float]]) -> str:
        plain = [r["error"] for r in some if r["cpn_max"] <= BURST]
        bursts = [r for r in some if r["cpn_max"] > BURST]
        worst = [
            max(plain, default=math.nan),
            *(max((r[k] / r["cpn_max"] if k == "error_far" else r[k] for r in bursts if r[k] == r[k]),
                  default=math.nan) for k in ("error_far", "burst")),
            *(max((r[k] for r in some if r[k] == r[k]), default=math.nan) for k in ("limiting", "area")),
        ]  # fmt: skip
        failed = sum(not r["ok"] for r in some)
        share = max((r["share"] for r in some), default=math.nan)
        cells = " | ".join("" if w != w else f"{w:.1e}" for w in worst)
        return f"| {name} | {len(some)} | {len(bursts)} | {cells} | {share:.3f} | {failed} |"

    head = [
        "| scans | n | bursts | max abs dCpN (CpN_max <= 20) | bursts: dCpN/CpN_max beyond 0.3 K "
        "| burst dT [K] "
        "| dTf' [K] | d area [K] | worst/allowed | failed |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    body = [line("all", rows)]
    for low, high in itertools.pairwise(CLASSES):
        body.append(line(f"CpN_max {low:g}-{high:g}", [r for r in rows if low < r["cpn_max"] <= high]))
    for name, inside in _regions():
        some = [r for r in rows if inside(r)]
        if some:
            body.append(line(name, some))
    return "\n".join(head + body)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--samples", type=int, default=1000, help="Sobol samples besides the 16 corners")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--method", choices=("direct", "fine"), default="direct", help="the reference")
    parser.add_argument("--candidate", choices=("simulate", "coarse"), default="simulate")
    parser.add_argument(
        "--resolution", type=float, default=8.0, help="steps per e-fold of tau of the reference"
    )
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("tnm_accuracy.csv"))
    options = parser.parse_args()
    os.environ.setdefault("NUMBA_NUM_THREADS", "1")
    rows = run(options)
    print(table(rows))
    for name in ("reference", "candidate"):
        print(f"\n{name}: {np.mean([r['seconds_' + name] for r in rows]):.3f} s a sample", end="")
    failed = [r for r in rows if not r["ok"]]
    print(f"\n{len(failed)} of {len(rows)} scans beyond what is allowed")
    for r in sorted(failed, key=lambda r: -r["share"])[:20]:
        print("  " + " ".join(f"{k}={r[k]:g}" for k in FIELDS if k in r))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
