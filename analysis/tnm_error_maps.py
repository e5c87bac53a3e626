"""Mean errors over pairs of parameters, as surfaces and as heat maps (the paper's figures 8, 10 and 11).

    python analysis/tnm_error_maps.py runs/MCNN-G/predictions.h5 --out results/tnm_error_maps.png

Rows: the pairs Δh*-ln A, x-β (figure 10), Δh*-x, Δh*-β (figure 11). Columns: mean SSE of the signals (eq. 15), of all
four scaled parameters, and of the pair alone (eq. 14); a surface and a heat map of each, with the file of the surfaces
at OUT and that of the maps beside it (NAME_heat). Samples with CpN_max > 6 are left out. Blank: no samples.
"""

from __future__ import annotations

import argparse
from typing import Any

import figures
import numpy as np
from numpy.typing import NDArray
from tnm_prediction_files import BETA, DH, LN_A, Method, Parameter, X, load

PAIRS = ((DH, LN_A), (X, BETA), (DH, X), (DH, BETA))
_BINS = 24  # where a parameter has more values than this


def edges(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Edges of bins: one a value where there are few, else even ones."""
    few = np.unique(np.round(values, 9))
    if 1 < len(few) <= 2 * _BINS:
        middle = (few[1:] + few[:-1]) / 2
        return np.concatenate([[2 * few[0] - middle[0]], middle, [2 * few[-1] - middle[-1]]])
    low, high = float(few[0]), float(few[-1])
    if low == high:
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, _BINS + 1)


def means(method: Method, pair: tuple[Parameter, Parameter], values: NDArray[np.float64]) -> tuple[Any, Any, Any]:
    """Edges of both axes, and the mean (n, m) of `values` over the samples of each cell; NaN where there are none."""
    good = np.isfinite(values)
    one, two = (method.values(parameter)[good] for parameter in pair)
    ends = edges(one), edges(two)
    total = np.histogram2d(one, two, ends, weights=values[good])[0]
    count = np.histogram2d(one, two, ends)[0]
    with np.errstate(invalid="ignore", divide="ignore"):
        return *ends, np.where(count > 0, total / count, np.nan)


def kinds(method: Method, pair: tuple[Parameter, Parameter]) -> tuple[tuple[str, NDArray[np.float64]], ...]:
    """The three errors of a row of panels."""
    names = f"{pair[0].name}, {pair[1].name}"
    return (
        ("signals", method.samples.sse),
        ("four parameters", method.parameter_sse()),
        (names, method.parameter_sse((pair[0].column, pair[1].column))),
    )


def table(method: Method) -> str:
    """Markdown table: over the cells of each map, the median, and where the largest value is."""
    rows = []
    for pair in PAIRS:
        for name, values in kinds(method, pair):
            one, two, mean = means(method, pair, values)
            i, j = np.unravel_index(np.nanargmax(mean), mean.shape)
            where = [f"{p.name} {(e[k] + e[k + 1]) / 2:.4g}" for p, e, k in ((pair[0], one, i), (pair[1], two, j))]
            rows.append([f"{pair[0].name}-{pair[1].name}", name, f"{np.nanmedian(mean):.3g}", f"{np.nanmax(mean):.3g}",
                         ", ".join(where)])  # fmt: skip
    return figures.markdown(["map", "mean SSE of", "median cell", "largest", "there"], rows, left=(0, 1, 4))


def draw(method: Method, flat: bool) -> Any:
    """All maps, as heat maps (flat) or surfaces."""
    from matplotlib.colors import LogNorm

    plt = figures.pyplot()
    options = {} if flat else {"subplot_kw": {"projection": "3d"}}
    figure, axes = plt.subplots(4, 3, figsize=(12, 14), layout="constrained", **options)
    for pair, line in zip(PAIRS, axes):
        for (name, values), panel in zip(kinds(method, pair), line):
            one, two, mean = means(method, pair, values)
            panel.set(xlabel=pair[0].label, ylabel=pair[1].label, title=f"mean SSE: {name}")
            if flat:
                positive = mean[mean > 0]
                norm = LogNorm(positive.min(), positive.max()) if positive.size else None
                panel.grid(False)
                figure.colorbar(panel.pcolormesh(one, two, mean.T, norm=norm, cmap="viridis"), ax=panel)
            else:
                at = np.argwhere(np.isfinite(mean))
                a, b = ((e[k] + e[k + 1]) / 2 for e, k in ((one, at[:, 0]), (two, at[:, 1])))
                height = mean[at[:, 0], at[:, 1]]
                if min(len(np.unique(at[:, 0])), len(np.unique(at[:, 1]))) > 1:
                    panel.plot_trisurf(a, b, height, cmap="viridis", linewidth=0.1)
                else:
                    panel.plot(a, b, height)
    figure.suptitle(method.label)
    return figure


def main() -> None:
    """Read the command line, print the table, write both figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", help="file of predictions")
    parser.add_argument("--out", default="tnm_error_maps.png", help="surfaces, by suffix .png, .pdf or .svg")
    given = parser.parse_args()
    out = figures.check_output(given.out)
    method = load([given.file])[0]
    print(table(method))
    figures.save(draw(method, flat=False), out)
    figures.save(draw(method, flat=True), out.with_name(f"{out.stem}_heat{out.suffix}"))


if __name__ == "__main__":
    figures.run(main)
