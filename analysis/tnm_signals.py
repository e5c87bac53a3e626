"""Heating scans of single samples: figure, table of features, cooling-rate law.

    python analysis/tnm_signals.py results/tnm_G.h5 --sample 0 7 12 --out results/signals.pdf
    python analysis/tnm_signals.py results/tnm_G.h5 --index 1681
    python analysis/tnm_signals.py --parameters -79.21 318440 0.57 0.71      # simulates, needs no file

Samples are counted from 0 in the order of the file; --index takes their places in the whole state space instead.
Features: CpN_max and the peak's temperature from the grid; ΔT_hw from the first crossing of CpN = 1 to the peak; Tf'
of the simulation beside T_hi − ∫ CpN dT. Cooling-rate law: ln(q/Tf'²) against 1/Tf' has the slope −Δh*/R.
"""

from __future__ import annotations

import argparse
import csv
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import figures
import numpy as np
from numpy.typing import NDArray

from hpctools.tnm.features import CoolingRateLaw, Features, cooling_rate_law, features
from hpctools.tnm.model import GAS_CONSTANT, PARAMETER_NAMES, reference_temperature
from hpctools.tnm.program import ZERO_CELSIUS, Program

MOST_SAMPLES = 8  # in a figure
COLUMNS = "sample cooling_rate_K_per_min cpn_max t_peak_celsius dt_hw_K ratio_per_K tf_celsius tf_area_celsius burst"


@dataclass(frozen=True)
class Sample:
    """A sample with all that is told of it."""

    name: str
    parameters: NDArray[np.float64]  # (4,)
    celsius: NDArray[np.float64]  # (points,)
    cooling_rates: NDArray[np.float64]  # (scans,) K/min
    cpn: NDArray[np.float32]  # (scans, points)
    tf_limit: NDArray[np.float64]  # (scans,) K
    burst: NDArray[np.bool_]  # (scans,)

    @property
    def features(self) -> Features:
        """Shape of the scans, temperatures in °C."""
        return features(self.celsius, self.cpn)

    @property
    def law(self) -> CoolingRateLaw | None:
        """Cooling-rate law; None where there are fewer than two rates."""
        if np.unique(self.cooling_rates).size < 2:
            return None
        return cooling_rate_law(self.cooling_rates, self.tf_limit)

    @property
    def title(self) -> str:
        """Name, parameters and T100."""
        ln_a, dh, x, beta = self.parameters
        t100 = float(reference_temperature(ln_a, dh)) - ZERO_CELSIUS
        return (
            f"{self.name}: ln(A/s) = {ln_a:.2f}, Δh* = {dh / 1e3:.1f} kJ/mol, x = {x:g}, β = {beta:g}, "
            f"T100 = {t100:.1f} °C"
        )


def from_file(path: str, places: list[int], indices: list[int]) -> list[Sample]:
    """Samples of a grid's file, by place or by global index."""
    from hpctools.tnm.grid_file import open_grid

    samples = []
    with open_grid(path) as grid:
        for index in indices:
            try:
                places = [*places, grid.find(index)]
            except KeyError as error:
                raise figures.AnalysisError(error.args[0]) from error
        for i in places or [0]:
            if not 0 <= i < len(grid):
                raise figures.AnalysisError(f"{path}: has no sample {i}; it holds {len(grid):,}, 0 … {len(grid) - 1}")
            samples.append(
                Sample(
                    f"sample {i} (index {grid.samples[i]['index']})", grid.parameters[i], grid.celsius,
                    grid.cooling_rates, grid.signals[i], grid.samples[i]["tf_limit"].astype(float),
                    grid.samples[i]["burst"].astype(bool),
                )
            )
    return samples


def simulated(parameters: list[float]) -> Sample:
    """A sample simulated here, with the paper's program."""
    from hpctools.tnm.simulator import simulate_windows

    program = Program()
    result = simulate_windows(parameters, program)
    return Sample(
        "simulated", np.array(parameters), program.celsius, np.array(program.cooling_rates), result.full(0),
        result.summary.tf_limit[0], result.summary.burst[0],
    )  # fmt: skip


def table(sample: Sample) -> str:
    """The features of the scans as a Markdown table, and the cooling-rate law."""
    shape = sample.features
    rows = []
    for k, q in enumerate(sample.cooling_rates):
        rows.append(
            (
                f"{q:g}", f"{shape.cpn_max[k]:.4f}" + (" burst" if sample.burst[k] else ""),
                f"{shape.t_peak[k]:.2f}", f"{shape.width[k]:.2f}", f"{shape.ratio[k]:.4f}",
                f"{sample.tf_limit[k] - ZERO_CELSIUS:.3f}", f"{shape.tf_area[k]:.3f}",
            )
        )
    head = ("cooling, K/min", "CpN_max", "T_peak, °C", "ΔT_hw, K", "CpN_max/ΔT_hw, 1/K", "Tf', °C", "Tf' by area, °C")
    lines = [f"### {sample.title}", "", figures.markdown(head, rows, left=()), ""]
    if (law := sample.law) is not None:
        dh, true = law.dh / 1e3, sample.parameters[1] / 1e3
        lines.append(
            f"Cooling-rate law: Δh* = {dh:.2f} ± {law.dh_error / 1e3:.3f} (fit) kJ/mol; true {true:.2f} "
            f"({100 * (dh / true - 1):+.2f} %)"
        )
    if sample.burst.any():
        lines.append(
            "burst: CpN_max > 20; the peak is thinner than the grid: CpN_max, ΔT_hw and the area are not to be trusted"
        )
    return "\n".join(lines) + "\n"


def write_csv(path: str, samples: list[Sample]) -> None:
    """The features of all samples, a row a scan."""
    figures.make_folder(Path(path))
    try:
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow((*COLUMNS.split(), *PARAMETER_NAMES))
            for sample in samples:
                shape = sample.features
                for k, q in enumerate(sample.cooling_rates):
                    numbers = (
                        *(column[k] for column in shape[:4]), sample.tf_limit[k] - ZERO_CELSIUS, shape.tf_area[k]
                    )  # fmt: skip
                    row = (f"{q:g}", *(f"{number:.6g}" for number in numbers), int(sample.burst[k]))
                    writer.writerow((sample.name, *row, *(f"{p:.10g}" for p in sample.parameters)))
    except OSError as error:
        raise figures.AnalysisError(f"{path}: cannot be written: {error.strerror}") from error
    print(f"table: {path}")


def draw(samples: list[Sample]) -> Any:
    """A row a sample: its scans, and the cooling-rate law."""
    plt = figures.pyplot()
    figure, axes = plt.subplots(
        len(samples), 2, figsize=(9.5, 3.7 * len(samples)), width_ratios=(2.3, 1), squeeze=False, layout="constrained"
    )
    for sample, (left, right) in zip(samples, axes):
        figures.draw_scans(left, sample.celsius, sample.cpn, sample.cooling_rates)
        ln_a, dh, x, beta = sample.parameters
        t100 = float(reference_temperature(ln_a, dh)) - ZERO_CELSIUS
        left.axvline(t100, color="0.4", ls="--", lw=1, zorder=1)
        left.annotate(
            "$T_{100}$", (t100, 1), xycoords=("data", "axes fraction"), xytext=(-3, -2), textcoords="offset points",
            ha="right", va="top", color="0.3",
        )  # fmt: skip
        left.set(
            xlabel="T / °C", ylabel="$C_p^N$",
            title=f"{sample.name}\nln(A/s) = {ln_a:.2f}, Δh* = {dh / 1e3:.1f} kJ/mol, x = {x:g}, β = {beta:g}",
        )  # fmt: skip
        left.legend(title="cooled at / K min$^{-1}$", loc="upper left" if _peak_is_right(sample) else "lower right")
        draw_law(right, sample)
    return figure


def _peak_is_right(sample: Sample) -> bool:
    part = figures.transition(sample.celsius, sample.cpn)
    return bool(sample.cpn[:, part].max(0).argmax() > 0.4 * (part.stop - part.start))


def draw_law(axes: Any, sample: Sample) -> None:
    """ln(q/Tf'²) against 1000/Tf', the fit, and the slope of the true Δh*."""
    q = sample.cooling_rates / 60
    x, y = 1 / sample.tf_limit, np.log(q / sample.tf_limit**2)
    axes.scatter(1e3 * x, y, color=figures.rate_colours(sample.cooling_rates), s=36, zorder=3)
    axes.set(xlabel="1000 K / Tf'", ylabel="ln(q/Tf'²), q in K s$^{-1}$, Tf' in K", title="cooling-rate law")
    if (law := sample.law) is None:
        return
    ends = np.array([x.min(), x.max()])
    dh = sample.parameters[1]
    axes.plot(1e3 * ends, law.intercept - law.dh / GAS_CONSTANT * ends, "k-", lw=1, label=f"fit {law.dh / 1e3:.1f}")
    axes.plot(
        1e3 * ends, y.mean() - dh / GAS_CONSTANT * (ends - x.mean()), "--", color="#D55E00", lw=1.4,
        label=f"true {dh / 1e3:.1f}",
    )  # fmt: skip
    axes.legend(title="Δh* / kJ mol$^{-1}$", loc="lower left")
    axes.locator_params(axis="x", nbins=4)


def main() -> None:
    """Read the command line, print the tables, write the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", help="file of `python -m hpctools.tnm`")
    parser.add_argument("--sample", type=int, nargs="+", default=[], metavar="I", help="places in the file (default 0)")
    parser.add_argument("--index", type=int, nargs="+", default=[], metavar="N", help="global indices")
    parser.add_argument(
        "--parameters", type=float, nargs=4, metavar=("LN_A", "DH", "X", "BETA"),
        help="simulate this set (A in s, Δh* in J/mol) and show it",
    )  # fmt: skip
    parser.add_argument("--out", default="tnm_signals.png", help="figure, by suffix .png, .pdf or .svg")
    parser.add_argument("--csv", help="also write the table of features")
    given = parser.parse_args()
    if given.file is None and given.parameters is None:
        parser.error("nothing to show: name a FILE or give --parameters")
    if given.file is None and (given.sample or given.index):
        parser.error("--sample and --index need a FILE")
    out = figures.check_output(given.out)
    samples = from_file(given.file, given.sample, given.index) if given.file else []
    if given.parameters:
        samples.append(simulated(given.parameters))
    for sample in samples:
        print(table(sample))
    sys.stdout.flush()
    if given.csv:
        write_csv(given.csv, samples)
    if len(samples) > MOST_SAMPLES:
        print(f"the figure shows the first {MOST_SAMPLES} of {len(samples)} samples")
    figures.save(draw(samples[:MOST_SAMPLES]), out)


if __name__ == "__main__":
    figures.run(main)
