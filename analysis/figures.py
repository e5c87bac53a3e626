"""What the scripts of this folder share: style and saving of figures, tables, one-line errors, DSC scans.

They run on a login node: no MPI, no display, no GPU.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

USAGE = 2  # exit code
FORMATS = ("png", "pdf", "svg")
STYLE = {
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.labelsize": 10,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "0.92",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "lines.linewidth": 1.4,
    "savefig.dpi": 160,
    "pdf.fonttype": 42,
}


class AnalysisError(ValueError):
    """Something that the user of a script can put right."""

    user_error = True


def run(main: Callable[[], None]) -> None:
    """Run a script; mistakes of its user end it with one line and exit code 2."""
    try:
        main()
    except Exception as error:
        if not getattr(error, "user_error", False):
            raise
        print(f"error: {error}", file=sys.stderr)
        sys.exit(USAGE)


def check_output(path: str | Path) -> Path:
    """The path of a figure, its folder made. Raises AnalysisError for an unknown suffix or an unusable folder."""
    path = Path(path)
    if path.suffix[1:].lower() not in FORMATS:
        raise AnalysisError(f"{path}: figures are written as {', '.join('.' + name for name in FORMATS)}")
    make_folder(path)
    return path


def check_table(path: Path) -> None:
    """Raise AnalysisError where a table cannot be written; its folder is made. Before hours of work: no empty table is
    left, should they fail."""
    make_folder(path)
    new = not path.exists()
    try:
        with open(path, "a", encoding="utf-8"):
            pass
        if new:
            path.unlink()
    except OSError as error:
        raise AnalysisError(f"{path}: a table cannot be written there ({error.strerror}); expected the name of a CSV "
                            "file") from error


def make_folder(path: Path) -> None:
    """Make the folder of a file."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AnalysisError(f"{path}: its folder cannot be made: {error.strerror}") from error


def pyplot() -> Any:
    """matplotlib.pyplot without a display, in the common style."""
    try:
        import matplotlib
    except ImportError as error:
        raise AnalysisError("figures need matplotlib: pip install 'hpctools[plot]'") from error
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    plt.rcParams.update(STYLE)
    return plt


def save(figure: Any, path: Path) -> None:
    """Write a figure and say so."""
    try:
        figure.savefig(path)
    except OSError as error:
        raise AnalysisError(f"{path}: cannot be written: {error.strerror}") from error
    print(f"figure: {path}")


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[int] = (0,)) -> str:
    """A Markdown table with aligned columns: those in `left` to the left, the others to the right."""
    widths = [max(len(row[k]) for row in (head, *rows)) for k in range(len(head))]

    def line(row: Sequence[str]) -> str:
        cells = (cell.ljust(w) if k in left else cell.rjust(w) for k, (cell, w) in enumerate(zip(row, widths)))
        return "| " + " | ".join(cells) + " |"

    rule = "|".join("-" * (w + 2) if k in left else "-" * (w + 1) + ":" for k, w in enumerate(widths))
    return "\n".join((line(head), f"|{rule}|", *map(line, rows)))


def rate_colours(rates: ArrayLike) -> NDArray[np.float64]:
    """A colour (n, 4) for each cooling rate, viridis from slow (dark) to fast; its palest end is left out."""
    from matplotlib import colormaps

    q = np.asarray(rates, float)
    order = np.argsort(np.argsort(q))
    return np.asarray(colormaps["viridis"](0.84 * order / max(1, q.size - 1)))


def transition(celsius: NDArray[Any], cpn: NDArray[Any], threshold: float = 0.02) -> slice:
    """Points in which any of the scans (scans, points) is neither glass nor liquid to `threshold`, and a margin."""
    glass = np.flatnonzero((np.abs(cpn) > threshold).any(0))
    liquid = np.flatnonzero((np.abs(cpn - 1) > threshold).any(0))
    first, last = (int(glass[0]), int(liquid[-1])) if glass.size and liquid.size else (0, len(celsius) - 1)
    margin = max(20, (last - first) // 8)
    return slice(max(0, first - margin), min(len(celsius), last + margin + 1))


def draw_scans(axes: Any, celsius: NDArray[Any], cpn: NDArray[Any], rates: ArrayLike) -> slice:
    """Draw scans (scans, points), cropped to the transition; returns the points drawn."""
    part = transition(celsius, cpn)
    for scan, q, colour in zip(cpn, np.asarray(rates, float), rate_colours(rates)):
        axes.plot(celsius[part], scan[part], color=colour, label=f"{q:g}")
    axes.set_xlim(celsius[part][0], celsius[part][-1])
    axes.set_ylim(bottom=min(-0.04 * float(cpn.max()), 1.05 * float(cpn.min())))
    return part
