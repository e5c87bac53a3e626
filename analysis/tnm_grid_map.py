"""The state space of the TNM grid with its subsets: map and table (the paper's figures 2 and 3).

    python analysis/tnm_grid_map.py                               # the whole space
    python analysis/tnm_grid_map.py results/tnm_G.h5 --out results/tnm_grid_map.png

Left: the 101 × 81 nodes (Δh*, ln A) by their places, as in the paper's figure 2, small Δh* on top. Right: the same
nodes in the plane of ln A and Δh*, as in its figure 3. Colour: T100, the temperature at which τ = 100 s. The nodes of
FILE are ringed. The paper's lists of nodes are unpublished; the table sets its remarks beside the reconstruction of
hpctools.tnm.grid.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from typing import Any

import figures
import numpy as np
from numpy.typing import NDArray

from hpctools.tnm.grid import PAPER, SUBSETS, select
from hpctools.tnm.model import reference_temperature
from hpctools.tnm.program import ZERO_CELSIUS

NAMES = {
    "all": "whole space", "LU": "left, upper", "RU": "right, upper", "LD": "left, lower", "RD": "right, lower",
    "C": "centre", "G": "spread evenly",
}  # fmt: skip
# what the paper says of its subsets in §3.2-3.4: span of ln A, of Tg
REMARKS = {"RU": "more than 400 °C", "LD": "≈ 200, ≈ 115 °C", "C": "≈ 25, ≈ 70 °C"}
SQUARES = {"ms": 4, "mfc": "white", "mec": "k", "mew": 0.6, "ls": "none"}


@dataclass(frozen=True)
class Nodes:
    """Some nodes and their samples, for a row of the table."""

    name: str
    nodes: NDArray[np.float64]  # (n, 2): Δh* in J/mol, ln A
    samples: int

    @property
    def celsius(self) -> NDArray[np.float64]:
        """T100 (n,), °C."""
        return reference_temperature(self.nodes[:, 1], self.nodes[:, 0]) - ZERO_CELSIUS


@dataclass(frozen=True)
class FileNodes(Nodes):
    """The nodes of a file; on_grid: their places in the paper's space, -1 where they are not of it."""

    on_grid: NDArray[np.int64]


def file_nodes(path: str) -> FileNodes:
    """The nodes that a grid's file contains."""
    from hpctools.tnm.grid_file import open_grid

    with open_grid(path) as grid:
        nodes, places = grid.file["nodes"][()], grid.file["node_index"][()]
        samples = len(grid)
    paper = select().nodes
    inside = places < len(paper)
    same = inside & np.isclose(nodes, paper[np.where(inside, places, 0)], rtol=1e-9).all(1)
    return FileNodes(path, nodes, samples, np.where(same, places, -1))


def table(contained: FileNodes | None) -> str:
    """Markdown table of the subsets, and of the file."""
    rows = [Nodes(name, (grid := select(name)).nodes, len(grid)) for name in ("all", *SUBSETS)]
    lines = []
    for row in (*rows, *([contained] if contained else [])):
        dh, ln_a = row.nodes.T
        lines.append(
            (
                row.name, NAMES.get(row.name, "this file"), f"{len(dh):,}", f"{row.samples:,}",
                f"{dh.min() / 1e3:.0f} … {dh.max() / 1e3:.0f}", f"{ln_a.min():.1f} … {ln_a.max():.1f}",
                f"{np.ptp(ln_a):.0f}", f"{row.celsius.min():.0f} … {row.celsius.max():.0f}",
                f"{np.ptp(row.celsius):.0f}", REMARKS.get(row.name, ""),
            )
        )
    head = (
        "subset", "where", "nodes", "samples", "Δh*, kJ/mol", "ln(A/s)", "span", "T100, °C", "span, K",
        "paper: spans of ln A, Tg",
    )  # fmt: skip
    return figures.markdown(head, lines, left=(0, 1))


def draw(contained: FileNodes | None) -> Any:
    """Both maps."""
    plt = figures.pyplot()
    figure, (left, right) = plt.subplots(1, 2, figsize=(11.5, 5.6), layout="constrained")
    celsius = Nodes("all", select().nodes, 0).celsius
    shades = {"cmap": "viridis", "norm": _logarithm_of_kelvin(celsius)}
    draw_places(left, celsius.reshape(PAPER.dh_points, PAPER.ln_a_points), shades, contained)
    points = draw_plane(right, celsius, shades, contained)
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    bar = figure.colorbar(points, ax=(left, right), pad=0.015, aspect=32)
    bar.set_label("$T_{100}$ / °C")
    bar.set_ticks([c for c in (-40, 0, 50, 100, 200, 300, 500, 700, 1000, 1300) if c < celsius.max()])
    bar.outline.set_visible(False)
    return figure


def _logarithm_of_kelvin(celsius: NDArray[np.float64]) -> Any:
    """Even steps of colour for even ratios of temperature: most nodes are cold."""
    from matplotlib.colors import FuncNorm

    return FuncNorm(
        (lambda c: np.log(np.asarray(c) + ZERO_CELSIUS), lambda y: np.exp(y) - ZERO_CELSIUS),
        vmin=celsius.min(), vmax=celsius.max(),
    )  # fmt: skip


def _halo() -> list[Any]:
    from matplotlib.patheffects import withStroke

    return [withStroke(linewidth=2.5, foreground="white")]


def draw_places(axes: Any, celsius: NDArray[np.float64], shades: dict[str, Any], contained: FileNodes | None) -> None:
    """Nodes by their places on the axes of the grid."""
    axes.imshow(celsius, aspect="auto", interpolation="nearest", **shades)
    axes.grid(False)
    for name in SUBSETS:
        rows, columns = np.divmod(select(name).node_index, PAPER.ln_a_points)
        if name == "G":
            axes.plot(columns, rows, "s", **SQUARES, label="subset G", clip_on=False, zorder=4)
            continue
        left, right, top, bottom = columns.min() - 0.5, columns.max() + 0.5, rows.min() - 0.5, rows.max() + 0.5
        for colour, width in (("white", 2.6), ("k", 1.2)):
            axes.fill(
                (left, right, right, left), (top, top, bottom, bottom), fill=False, ec=colour, lw=width, zorder=3,
                clip_on=False,
            )  # fmt: skip
        axes.text(
            columns.mean(), rows.mean(), name, ha="center", va="center", weight="bold", size=12, zorder=5,
            path_effects=_halo(),
        )  # fmt: skip
    if contained is not None and (contained.on_grid >= 0).any():
        rows, columns = np.divmod(contained.on_grid[contained.on_grid >= 0], PAPER.ln_a_points)
        axes.plot(columns, rows, "o", **_rings(len(rows)), label="in the file", clip_on=False, zorder=4)
    ticks = np.arange(0, PAPER.dh_points, 20)
    axes.set_yticks(ticks, [f"{PAPER.dh[k] / 1e3:.0f}" for k in ticks])
    axes.set(
        xlabel="place of ln A in its row (0: the most negative)", ylabel="Δh* / kJ mol$^{-1}$",
        title="nodes by place: subsets LU, RU, LD, RD, C and G",
    )  # fmt: skip


def draw_plane(axes: Any, celsius: NDArray[np.float64], shades: dict[str, Any], contained: FileNodes | None) -> Any:
    """Nodes in the plane of ln A and Δh*."""
    dh, ln_a = select().nodes.T
    points = axes.scatter(ln_a, dh / 1e3, c=celsius, s=2.2, linewidths=0, **shades)
    for name in SUBSETS:
        grid = select(name)
        if name == "G":
            axes.plot(grid.nodes[:, 1], grid.nodes[:, 0] / 1e3, "s", **SQUARES)
            continue
        d, a = (grid.nodes[:, k].reshape(11, 11) for k in (0, 1))
        edge = [(0, slice(None)), (slice(None), -1), (-1, slice(None, None, -1)), (slice(None, None, -1), 0)]
        outline = np.concatenate([np.stack([a[part], d[part] / 1e3], -1) for part in edge])
        axes.plot(*outline.T, color="k", lw=1.2, zorder=3)
        side = 0 if name == "C" else (-1 if name.startswith("L") else 1)
        at = {-1: a[5, 0], 0: a[5, 5], 1: a[5, 10]}[side], d[5, 5] / 1e3
        axes.annotate(
            name, at, xytext=(7 * side, 0), textcoords="offset points", va="center", weight="bold", size=12, zorder=5,
            ha={-1: "right", 0: "center", 1: "left"}[side], path_effects=_halo(),
        )  # fmt: skip
    if contained is not None:
        axes.plot(contained.nodes[:, 1], contained.nodes[:, 0] / 1e3, "o", **_rings(len(contained.nodes)))
    axes.invert_yaxis()
    axes.margins(x=0.07)
    axes.set(xlabel="ln(A/s)", ylabel="Δh* / kJ mol$^{-1}$", title="the same nodes in the plane of ln A and Δh*")
    return points


def _rings(number: int) -> dict[str, Any]:
    size = 9 if number <= 200 else (4 if number <= 1000 else 1.5)
    return {"ms": size, "mfc": "none", "mec": "#D55E00", "mew": 1.3 if number <= 200 else 0.5, "ls": "none"}


def main() -> None:
    """Read the command line, print the table, write the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", help="file of `python -m hpctools.tnm`, whose nodes are ringed")
    parser.add_argument("--out", default="tnm_grid_map.png", help="figure, by suffix .png, .pdf or .svg")
    given = parser.parse_args()
    out = figures.check_output(given.out)
    contained = file_nodes(given.file) if given.file else None
    print(table(contained))
    if contained is not None and (away := int((contained.on_grid < 0).sum())):
        print(f"{away:,} of {len(contained.nodes):,} nodes of {given.file} are not of the paper's space")
    sys.stdout.flush()
    figures.save(draw(contained), out)


if __name__ == "__main__":
    figures.run(main)
