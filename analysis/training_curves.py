"""Curves of trainings of any network of the toolkit: loss and mean absolute errors against epochs, from their logs.

    python analysis/training_curves.py runs/MCNN-C runs/MCNN-G --out results/tnm_training.png
    python analysis/training_curves.py runs/liquid-mlp-full runs/liquid-mlp-long --out results/liquid_training.png

Full lines: training (with dropout, mean over the epoch); dashed: validation. The table shows the last validation.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import figures
import numpy as np

from hpctools.training_log import read_log
from hpctools.training_settings import TrainingError

NAMES = {"loss": "loss", "mae_ln_A": "MAE of ln A", "mae_dh_kJ": "MAE of Δh* / kJ mol$^{-1}$", "mae_x": "MAE of x",
         "mae_beta": "MAE of β", "mae_A": "MAE of $F_s$ of A", "mae_B": "MAE of $F_s$ of B"}  # fmt: skip


def table(logs: dict[str, dict[str, list[float]]], metrics: list[str]) -> str:
    """Markdown table of the last validations."""
    rows = []
    for name, log in logs.items():
        rows.append([name, f"{log['epoch'][-1]:.0f}", f"{log['samples'][-1]:,.0f}", f"{log['seconds'][-1] / 60:.1f}",
                     *(f"{log.get('val_' + metric, log[metric])[-1]:.4g}" for metric in metrics)])  # fmt: skip
    return figures.markdown(["training", "epochs", "samples seen", "min", *metrics], rows)


def draw(logs: dict[str, dict[str, list[float]]], metrics: list[str]) -> Any:
    """A panel a metric."""
    plt = figures.pyplot()
    columns = min(3, len(metrics))
    lines = -(-len(metrics) // columns)
    size = (3.9 * columns, 3.1 * lines)
    figure, axes = plt.subplots(lines, columns, figsize=size, layout="constrained", squeeze=False)
    for panel in axes.flat[len(metrics) :]:
        panel.set_axis_off()
    for metric, panel in zip(metrics, axes.flat):
        for k, (name, log) in enumerate(logs.items()):
            panel.plot(log["epoch"], log[metric], color=f"C{k}", label=name)
            if f"val_{metric}" in log:
                known = np.isfinite(log[f"val_{metric}"])
                panel.plot(np.array(log["epoch"])[known], np.array(log[f"val_{metric}"])[known], "--", color=f"C{k}")
        panel.set(yscale="log", xlabel="epoch", ylabel=NAMES.get(metric, metric))
    axes[0, 0].legend()
    return figure


def main() -> None:
    """Read the command line, print the table, write the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", help="folders of trainings")
    parser.add_argument("--out", default="training_curves.png", help="figure, by suffix .png, .pdf or .svg")
    given = parser.parse_args()
    out = figures.check_output(given.out)
    logs = {Path(folder).name or folder: read_log(folder) for folder in given.folders}
    for name, log in logs.items():
        if not log:
            raise TrainingError(f"{name}: its log is empty")
    first = next(iter(logs.values()))
    metrics = [name for name in first if not name.startswith("val_") and name not in
               ("epoch", "samples", "learning_rate", "seconds")]  # fmt: skip
    print(table(logs, metrics))
    figures.save(draw(logs, metrics), out)


if __name__ == "__main__":
    figures.run(main)
