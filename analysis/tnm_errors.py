"""Errors of predicted parameters and signals in ascending order, and shares below thresholds (the paper's figure 9).

    python analysis/tnm_errors.py runs/MCNN-*/predictions.h5 --out results/tnm_errors.png

a, b: absolute errors of the four parameters and SSE of the signals (eq. 15) of the first file, sorted; c-f: errors of
each parameter, all files. The table sets shares of samples beside what the paper states for its networks
(Mater. Chem. Phys. 329 (2025) 130107, section 3.2), and of what the mean of the true values would reach as a constant
prediction: in a subset of 11 Δh* that is not little. Samples with CpN_max > 6 are left out, as there. ± is the binomial
standard error.
"""

from __future__ import annotations

import argparse
from typing import Any

import figures
import numpy as np
from tnm_prediction_files import BETA, DH, LN_A, PARAMETERS, Method, Parameter, X, load, share

# parameter, threshold, what the paper states (in per cent)
STATED: tuple[tuple[Parameter, float, str], ...] = (
    (BETA, 0.02, "90"),
    (BETA, 0.05, "≥ 98"),
    (X, 0.02, "99 (G 97)"),
    (X, 0.05, "≈ 100"),
    (DH, 10.0, "20 (RU 70)"),
    (DH, 50.0, ""),
    (LN_A, 1.0, "10"),
    (LN_A, 2.0, "20"),
    (LN_A, 10.0, "LD 50"),
)


def table(methods: list[Method]) -> str:
    """Markdown table of shares of samples, %."""
    rows = [
        [f"{parameter.name} within {threshold:g}", stated, _constant(methods[0], parameter, threshold),
         *(share(method.errors(parameter) < threshold) for method in methods)]
        for parameter, threshold, stated in STATED
    ]  # fmt: skip
    rows.append(["median SSE of signals", "", "", *(f"{np.nanmedian(method.samples.sse):.3g}" for method in methods)])
    rows.append(["not to be simulated", "", "", *(str(int(np.isnan(method.samples.sse).sum())) for method in methods)])
    rows.append(["samples", "", "", *(f"{len(method.samples):,}" for method in methods)])
    rows.append(["left out, CpN_max > 6", "", "", *(f"{method.left_out:,}" for method in methods)])
    head = ["share of test samples, %", "paper", "constant", *(method.label for method in methods)]
    return figures.markdown(head, rows)


def _constant(method: Method, parameter: Parameter, threshold: float) -> str:
    """Share of samples (%) whose parameter is within a threshold of its mean."""
    values = method.values(parameter)
    return f"{100 * (np.abs(values - values.mean()) < threshold).mean():.1f}"


def _sorted(axes: Any, values: Any, **style: Any) -> None:
    values = np.sort(values[np.isfinite(values)])
    axes.plot(100 * (np.arange(len(values)) + 0.5) / max(len(values), 1), values, **style)


def draw(methods: list[Method]) -> Any:
    """The six panels."""
    plt = figures.pyplot()
    figure, axes = plt.subplots(3, 2, figsize=(10, 10.5), layout="constrained")
    first = methods[0]
    for parameter in PARAMETERS:
        unit = " (kJ mol$^{-1}$)" if parameter is DH else ""
        _sorted(axes[0, 0], first.errors(parameter), label=parameter.symbol + unit)
    axes[0, 0].set(yscale="log", ylabel="absolute error", title=f"a  {first.label}")
    axes[0, 0].legend()
    for method in methods:
        _sorted(axes[0, 1], method.samples.sse, label=method.label)
    axes[0, 1].set(yscale="log", ylabel="SSE of the signals", title="b")
    axes[0, 1].legend()
    for letter, parameter, panel in zip("cdef", PARAMETERS, axes.flat[2:]):
        for method in methods:
            _sorted(panel, method.errors(parameter), label=method.label)
        for other, threshold, _ in STATED:
            if other is parameter:
                panel.axhline(threshold, color="0.6", lw=0.8, ls=":")
        panel.set(yscale="log", ylabel=f"error of {parameter.label}", title=letter)
    for panel in axes.flat:
        panel.set(xlim=(0, 100), xlabel="samples / %")
    return figure


def main() -> None:
    """Read the command line, print the table, write the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", help="files of predictions")
    parser.add_argument("--out", default="tnm_errors.png", help="figure, by suffix .png, .pdf or .svg")
    given = parser.parse_args()
    out = figures.check_output(given.out)
    methods = load(given.files)
    print(table(methods))
    figures.save(draw(methods), out)


if __name__ == "__main__":
    figures.run(main)
