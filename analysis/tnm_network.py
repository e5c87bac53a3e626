"""The networks that read TNM parameters off scans, on samples that they have never seen: accuracy and calibration.

    python analysis/tnm_network.py                                    # both networks, 24,576 samples each
    python analysis/tnm_network.py --variants clean --blocks 8        # 4,096 samples, a quick look

Samples are drawn uniformly from the continuous box (Δh* 2e5 … 12e5 J/mol, ln A between the grid's ends at that Δh*, x
and β 0.2 … 1), six scans each: cooling at 0.5, 1, 2, 5, 10, 20 K/min, heating at 10 K/min; for the network
"instrument" also what a measurement adds, half of the samples with other cooling rates, two thirds with scans missing
(hpctools/tnm/streams.py, instrument.py). The seed is none of the training's. Errors are binomial, one standard
deviation. "paper": Mater. Chem. Phys. 329 (2025) 130107, whose networks read clean scans at the grid's nodes.
"""

from __future__ import annotations

import argparse
import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from figures import AnalysisError, check_output, markdown, pyplot, run, save
from numpy.typing import NDArray

from hpctools.progress import Progress
from hpctools.tnm import streams
from hpctools.tnm.grid import PAPER
from hpctools.tnm.instrument import Instruments
from hpctools.tnm.network import LEVELS, VARIANTS, Estimates, Network, load

Array = NDArray[Any]

# what, column of the parameters, limit of the error, paper, goal for clean scans with CpN_max ≤ 6
SHARES = (
    ("|Δβ| < 0.02", 3, 0.02, "90 %", "≥ 99 %"),
    ("|Δx| < 0.02", 2, 0.02, "99 %", "≥ 99 %"),
    ("Δh* within 10 kJ/mol", 1, 1e4, "about 20 %", "≥ 95 %"),
    ("ln A within 1", 0, 1.0, "10-20 %, 1 to 2", "≥ 75 %"),
    ("ln A within 2", 0, 2.0, "10-20 %, 1 to 2", "≥ 90 %"),
)
NAMES = ("ln A", "Δh*", "x", "β")
COVERAGES = (0.68, 0.95)
EDGES = (0.2, 0.3, 0.5, 0.75, 1.0)  # of x and β
PEAK = 6.0
LEAST = 150  # samples of a region that is shown
QUIET = Instruments(
    noise=(1e-4, 1e-4), correlation=(1.0, 1.0), lag=(0.0, 0.0), step=(0.5, 0.5), quality=(1.0, 1.0), gain=0.0,
    offset=0.0, tilt=0.0, calibration=0.0, drift=0.0, rate=0.0,
)  # fmt: skip
FINE = replace(QUIET, noise=(1e-8, 1e-8), step=(0.1, 0.1), below=(12.0, 12.0), above=(6.0, 6.0))
SETUPS = {
    "clean": {
        "as simulated": FINE,
        "noise 0.03 %": replace(FINE, noise=(3e-4, 3e-4)),
        "offset up to 0.3 %": replace(FINE, offset=0.003),
        "lag 1 s": replace(FINE, lag=(1.0, 1.0)),
    },
    "instrument": {
        "noise 0.01 %": QUIET,
        "noise 0.3 %": replace(QUIET, noise=(3e-3, 3e-3)),
        "noise 1 %": replace(QUIET, noise=(1e-2, 1e-2)),
        "noise 2 %": replace(QUIET, noise=(2e-2, 2e-2)),
        "0.3 %, lag 4 s": replace(QUIET, noise=(3e-3, 3e-3), lag=(4.0, 4.0)),
        "0.3 %, baselines and gain up to 1 %": replace(QUIET, noise=(3e-3, 3e-3), gain=0.01, offset=0.01, tilt=0.01),
    },
}


def draw(variant: str, blocks: int, seed: int, **options: Any) -> streams.Batch:
    """Fresh samples of the box."""
    parts = []
    with Progress(blocks * streams.BLOCK, "samples", f"simulating, {variant}") as progress:
        for number in range(blocks):
            parts.append(streams.block(variant, seed, number, margin=0.0, betas=None, repeats=1, **options))
            progress.update((number + 1) * streams.BLOCK)
    return streams.join(parts)


def read(network: Network, batch: streams.Batch) -> Estimates:
    """The network's answer."""
    return network.read(batch.scans, batch.common, batch.present, batch.frame, batch.measured_peak())


def share(hits: Array) -> str:
    """A share in per cent with its binomial error, that of one more hit and one more miss where there is none."""
    n = hits.size
    if not n:
        return ""
    p = (hits.sum() + 1) / (n + 2)
    error = 100 * np.sqrt(p * (1 - p) / n)
    digits = 2 if error >= 0.01 else 3
    return f"{100 * hits.mean():.{digits}f} ± {error:.{digits}f} %"


def shares_table(error: Array, cpn_max: Array, goals: bool) -> str:
    """Shares of samples within the limits, for CpN_max ≤ 6 and above."""
    rows = []
    calm = cpn_max <= PEAK
    for words, some in ((f"CpN_max ≤ {PEAK:g}", calm), (f"CpN_max > {PEAK:g}", ~calm)):
        for what, column, limit, paper, goal in SHARES:
            rows.append((
                words, what, paper if some is calm else "left out", goal if goals and some is calm else "",
                share(error[some, column] < limit), f"{int(some.sum()):,}",
            ))  # fmt: skip
    return markdown(("scans", "share of samples", "paper", "goal", "ours", "n"), rows, left=(0, 1))


def accuracy_row(words: str, error: Array, some: Array) -> tuple[str, ...]:
    """Median errors and shares of some samples."""
    median = np.median(error[some], axis=0)
    return (
        words, f"{some.sum():,}", f"{median[0]:.2g}", f"{median[1] / 1e3:.2g}", f"{median[2]:.2g}", f"{median[3]:.2g}",
        *(f"{100 * (error[some, column] < limit).mean():.1f}" for _, column, limit, _, _ in SHARES),
    )  # fmt: skip


ACCURACY_HEAD = (
    "samples", "n", "median error of ln A", "Δh*, kJ/mol", "x", "β", "Δβ < 0.02, %", "Δx < 0.02, %",
    "Δh* < 10 kJ/mol, %", "ln A < 1, %", "ln A < 2, %",
)  # fmt: skip


def regions(batch: streams.Batch) -> list[tuple[str, Array]]:
    """Named parts of the samples by the true parameters."""
    ln_a, dh, x, beta = batch.parameters.T
    calm = batch.cpn_max <= PEAK
    cold, hot = PAPER.ln_a_limits(dh)
    place = (ln_a - cold) / (hot - cold)
    small = dh < 0.5 * (PAPER.dh_low + PAPER.dh_high)
    count = batch.present.sum(1)
    found: list[tuple[str, Array]] = [
        ("all, CpN_max ≤ 6", calm),
        ("CpN_max > 6", ~calm),
        ("small Δh*, low ln A", calm & small & (place < 0.5)),
        ("small Δh*, high ln A", calm & small & (place >= 0.5)),
        ("large Δh*, low ln A", calm & ~small & (place < 0.5)),
        ("large Δh*, high ln A", calm & ~small & (place >= 0.5)),
    ]
    if (count < 6).any():
        found += [(f"{words} scans", calm & (count >= a) & (count <= b)) for words, a, b in
                  (("1", 1, 1), ("2-3", 2, 3), ("4-6", 4, 6))]
    for (a, b), (c, d) in itertools.product(itertools.pairwise(EDGES), itertools.pairwise(EDGES)):
        found.append((f"x {a:g}-{b:g}, β {c:g}-{d:g}", calm & (x >= a) & (x <= b) & (beta >= c) & (beta <= d)))
    return [(words, some) for words, some in found if some.sum() >= LEAST]


def coverage_table(found: Estimates, batch: streams.Batch) -> tuple[str, float]:
    """Share of truths inside the 68 and 95 % intervals, by parameter and region; the largest significant excess."""
    error = np.abs(found.parameters - batch.parameters)
    inside = {level: error <= found.half_width(level) for level in COVERAGES}
    rows, worst = [], 0.0
    for words, some in regions(batch):
        row = [words, f"{some.sum():,}"]
        for k in range(4):
            shares = [inside[level][some, k].mean() for level in COVERAGES]
            row.append(" ".join(f"{100 * p:.1f}" for p in shares))
            for p, level in zip(shares, COVERAGES):
                noise = 2 * np.sqrt(level * (1 - level) / some.sum())
                worst = max(worst, abs(p - level) - noise)
        rows.append(tuple(row))
    return markdown(("region", "n", *(f"{name}: 68, 95 %" for name in NAMES)), rows), worst


def figure(results: dict[str, tuple[Estimates, streams.Batch]], path: Path) -> None:
    """Cumulative errors, and coverage against the stated level, per network."""
    plt = pyplot()
    fig, axes = plt.subplots(len(results), 5, figsize=(15, 3.1 * len(results)), squeeze=False, layout="constrained")
    limits = ((1.0, "|Δ ln A|"), (1e4, "|Δ(Δh*)|, J/mol"), (0.02, "|Δx|"), (0.02, "|Δβ|"))
    for row, (variant, (found, batch)) in zip(axes, results.items()):
        error = np.abs(found.parameters - batch.parameters)
        calm = batch.cpn_max <= PEAK
        for k, (limit, label) in enumerate(limits):
            for some, words, style in ((calm, "CpN_max ≤ 6", "-"), (~calm, "CpN_max > 6", "--")):
                value = np.sort(error[some, k])
                row[k].plot(value, 100 * np.arange(1, value.size + 1) / value.size, style, label=words)
            row[k].axvline(limit, color="0.6", lw=0.8)
            row[k].set(xscale="log", xlabel=label, ylim=(0, 100), xlim=(limit / 1e3, limit * 30))
        row[0].set_ylabel(f"{variant}\nsamples below, %")
        row[0].legend()
        row[4].plot((0, 100), (0, 100), color="0.7", lw=0.8)
        for k, name in enumerate(NAMES):
            inside = [100 * (error[calm, k] <= found.half_width(level)[calm, k]).mean() for level in LEVELS]
            row[4].plot([100 * level for level in LEVELS], inside, "o-", ms=3, label=name)
        row[4].set(xlabel="stated probability, %", ylabel="intervals that hold the truth, %")
        row[4].legend()
    save(fig, path)


def setups(network: Network, populations: dict[str, Instruments], blocks: int, seed: int) -> str:
    """Accuracy with all six scans of the paper's rates, for single effects of the instrument."""
    rows = []
    for number, (words, population) in enumerate(populations.items()):
        batch = draw("instrument", blocks, seed + 1 + number, population=population, all_scans=True)
        error = np.abs(read(network, batch).parameters - batch.parameters)
        rows.append(accuracy_row(words, error, batch.cpn_max <= PEAK))
    return markdown(ACCURACY_HEAD, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS), metavar="VARIANT")
    parser.add_argument("--blocks", type=int, default=48, help=f"of {streams.BLOCK} samples a network (default 48)")
    parser.add_argument("--setup-blocks", type=int, default=4, help="for a row of single effects (default 4; 0: none)")
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--out", default="tnm_network.png", help="figure (default tnm_network.png)")
    options = parser.parse_args()
    out = check_output(options.out)
    if options.blocks < 1 or options.setup_blocks < 0:
        raise AnalysisError(f"blocks {options.blocks}, setup-blocks {options.setup_blocks}; expected ≥ 1 and ≥ 0")
    results = {}
    for variant in options.variants:
        network = load(variant)
        used = network.head.config["data_seed"]
        if options.seed in range(used, used + 3):
            raise AnalysisError(f"seed {options.seed} is one of the training's ({used} … {used + 2}): choose another")
        batch = draw(variant, options.blocks, options.seed)
        found = read(network, batch)
        error = np.abs(found.parameters - batch.parameters)
        print(f"\n## {variant}\n\n{shares_table(error, batch.cpn_max, variant == 'clean')}")
        rows = [accuracy_row(words, error, some) for words, some in regions(batch)]
        print(f"\n{markdown(ACCURACY_HEAD, rows)}")
        table, worst = coverage_table(found, batch)
        print(f"\nIntervals that hold the truth, % of samples:\n\n{table}")
        print(f"\nlargest deviation from 68 and 95 beyond twice its binomial error: {100 * worst:.1f} points")
        if options.setup_blocks:
            print("\nSingle effects, six scans at the paper's rates, CpN_max ≤ 6:\n")
            print(setups(network, SETUPS[variant], options.setup_blocks, options.seed))
        results[variant] = found, batch
    figure(results, out)


if __name__ == "__main__":
    run(main)
