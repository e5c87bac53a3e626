"""Do errors follow the shape of the scans? Errors against CpN_max, ΔT_hw and CpN_max/ΔT_hw (the paper's figure 8 e).

    python analysis/tnm_correlations.py runs/MCNN-*/predictions.h5 --out results/tnm_correlations.png

Tables: Spearman's rank correlations ± standard error (the paper reports "no direct correlations"); temperature ranges
in which the scans of each subset change (its figures S1, S2); and the errors that are usual for real materials (its
section 3.4) with the share of test samples that are at least as accurate. The figure shows the first file: samples and
running medians. Samples with CpN_max > 6 are left out; ΔT_hw exists only for scans with an overshoot.
"""

from __future__ import annotations

import argparse
from typing import Any

import figures
import numpy as np
from numpy.typing import NDArray
from tnm_prediction_files import BETA, DH, LN_A, PARAMETERS, Method, X, load, share

from hpctools.tnm import Program, windows
from hpctools.tnm.grid import SUBSETS, select

# Paper, section 3.4: material; errors of Δh* (kJ/mol), x and β, ln A as used there (upper ends of the stated ranges).
REAL = (
    ("poly(p-dioxanone)", 12.0, 0.05, None),
    ("the same, plasticised", 25.0, 0.05, None),
    ("indomethacin", 20.0, 0.01, None),
    ("nimesulide", 12.0, 0.01, None),
    ("Ge-, As-, Te-doped Se", 20.0, 0.06, 4.0),
    ("GeS2-Sb2S3, GeSe2-Sb2Se3", 20.0, 0.07, None),
    ("Ce-doped bioglass 45S5", 63.0, 0.1, None),
    ("Li-doped bioglass", 100.0, 0.1, None),
)


def shapes(method: Method) -> dict[str, NDArray[np.float64]]:
    """Shape quantities (n,) of the samples."""
    with np.errstate(divide="ignore"):
        ratio = method.samples.cpn_max / method.samples.width
    return {"CpN_max": method.samples.cpn_max, "ΔT_hw / K": method.samples.width, "CpN_max/ΔT_hw / K⁻¹": ratio}


def errors(method: Method) -> dict[str, NDArray[np.float64]]:
    """Errors (n,) of the samples."""
    return {**{p.name: method.errors(p) for p in PARAMETERS}, "SSE of signals": method.samples.sse}


def rank_correlation(one: NDArray[np.float64], two: NDArray[np.float64]) -> tuple[float, float]:
    """Spearman's ρ and its standard error (1 - ρ²)/√(n - 1)."""
    good = np.isfinite(one) & np.isfinite(two)
    if good.sum() < 3:
        return np.nan, np.nan
    ranks = [_ranks(values[good]) for values in (one, two)]
    rho = float(np.corrcoef(ranks[0], ranks[1])[0, 1])
    return rho, (1 - rho**2) / np.sqrt(good.sum() - 1)


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks; equal values share their mean rank."""
    _, where, count = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count - 1) / 2)[where]


def correlation_table(methods: list[Method]) -> str:
    """Markdown table of rank correlations."""
    rows = [
        [method.label, name, *("{:+.3f} ± {:.3f}".format(*rank_correlation(error, shape))
                               for shape in shapes(method).values())]
        for method in methods for name, error in errors(method).items()
    ]  # fmt: skip
    return figures.markdown(["rank correlation", "error of", *shapes(methods[0])], rows, left=(0, 1))


def range_table() -> str:
    """Markdown table: where the scans of each subset change from glass to liquid."""
    program = Program()
    rows = []
    for name in SUBSETS:
        grid = select(name, 4, 4)
        low, high, width = [], [], []
        for node in range(grid.n_nodes):
            start, points = windows(grid.parameters(node), program)
            low.append(program.celsius[start].min())
            high.append(program.celsius[start + points - 1].max())
            width.append(points.mean() * program.step)
        rows.append([name, f"{min(low):.0f} … {max(high):.0f}", f"{np.mean(width):.0f}"])
    return figures.markdown(["subset", "scans change within, °C", "mean window of a sample, K"], rows)


def real_table(methods: list[Method]) -> str:
    """Markdown table: errors usual for real materials, and the share of samples with at most these."""
    rows = []
    for name, dh, shape, ln_a in REAL:
        stated = f"{dh:g}, {shape:g}" + (f", {ln_a:g}" if ln_a else "")
        for method in methods:
            limits = ((DH, dh), (X, shape), (BETA, shape), (LN_A, ln_a))
            cells = [share(method.errors(parameter) <= limit) if limit else "" for parameter, limit in limits]
            rows.append([name, stated, method.label, *cells])
    head = ["material", "errors of Δh* (kJ/mol), x and β, ln A", "method", "Δh*, %", "x, %", "β, %", "ln A, %"]
    return figures.markdown(head, rows, left=(0, 1, 2))


def draw(method: Method) -> Any:
    """Errors against shapes, a panel each."""
    plt = figures.pyplot()
    lines, columns = errors(method), shapes(method)
    figure, axes = plt.subplots(len(lines), len(columns), figsize=(11, 12), layout="constrained", sharex="col")
    for (name, error), line in zip(lines.items(), axes):
        for (shape_name, shape), panel in zip(columns.items(), line):
            good = np.isfinite(shape) & np.isfinite(error) & (error > 0)
            panel.plot(shape[good], error[good], ".", ms=3, alpha=0.4, mew=0, color="C0", rasterized=True)
            if good.sum() > 40:
                order = np.argsort(shape[good])
                groups = np.array_split(order, 20)
                panel.plot([np.median(shape[good][g]) for g in groups], [np.median(error[good][g]) for g in groups],
                           "o-", color="C1", ms=3)  # fmt: skip
            panel.set(yscale="log")
            if panel is line[0]:
                panel.set_ylabel(f"error of {name}")
            if line is axes[-1]:
                panel.set_xlabel(shape_name)
    figure.suptitle(method.label)
    return figure


def main() -> None:
    """Read the command line, print the tables, write the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", help="files of predictions")
    parser.add_argument("--out", default="tnm_correlations.png", help="figure, by suffix .png, .pdf or .svg")
    given = parser.parse_args()
    out = figures.check_output(given.out)
    methods = load(given.files)
    print(correlation_table(methods), range_table(), real_table(methods), sep="\n\n")
    figures.save(draw(methods[0]), out)


if __name__ == "__main__":
    figures.run(main)
