"""A first look at the TNM simulator and at a file of its grid; `make run` ends with it.

    python analysis/tnm_first_look.py results/tnm_G.h5

Simulates real glass-formers (hpctools.tnm.materials) and sets T100, Tf' and peaks beside the known ones, in a figure
and a table; then says what the file holds, and what to do next.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import figures
import numpy as np
from numpy.typing import NDArray

from hpctools.tnm.materials import MATERIALS, Material
from hpctools.tnm.model import reference_temperature
from hpctools.tnm.program import ZERO_CELSIUS, Program

SHOWN = ("As2Se3", "a-Se (enthalpy)", "TPD", "acetaminophen", "nifedipine", "griseofulvin")
KNOWN = "#D55E00"  # colour of the known T100
HIGH, BURST = 6.0, 20.0  # CpN_max above which the paper evaluates nothing, above which a grid of 0.1 K is too coarse


@dataclass(frozen=True)
class Found:
    """A material as simulated here."""

    material: Material
    cpn: NDArray[np.float32]  # (6, points)
    peaks: NDArray[np.float64]  # (6,)
    t_peaks: NDArray[np.float64]  # (6,) K
    tf_limit: NDArray[np.float64]  # (6,) K

    @property
    def t100(self) -> float:
        """K."""
        return float(reference_temperature(self.material.ln_a, self.material.dh))


def simulated(program: Program) -> list[Found]:
    """All materials."""
    from hpctools.tnm.simulator import simulate_windows

    result = simulate_windows(np.array([m.parameters for m in MATERIALS]), program)
    known = result.summary
    return [
        Found(m, result.full(i), known.cpn_max[i], known.t_peak[i], known.tf_limit[i])
        for i, m in enumerate(MATERIALS)
    ]


def materials_table(found: list[Found], program: Program) -> str:
    """Three rows a material: known, direct method, simulated here; and the largest differences."""
    ten = program.cooling_rates.index(10.0)
    rows = []
    for f in found:
        m = f.material
        rows += [
            (m.name, "known", f"{m.t100:.1f}", f"{m.tf_limit:.2f}", *(f"{p:.3f}" for p in m.peaks)),
            ("", "direct", "", "", *(f"{p:.3f}" for p in m.peaks_direct)),
            ("", "here", f"{f.t100:.1f}", f"{f.tf_limit[ten]:.2f}", *(f"{p:.3f}" for p in f.peaks)),
        ]
    head = ("material", "", "T100, K", "Tf', K", *(f"{q:g} K/min" for q in program.cooling_rates))
    lines = [figures.markdown(head, rows, left=(0, 1)), ""]
    lines.append(f"Tf' after 10 K/min: {max(abs(f.tf_limit[ten] - f.material.tf_limit) for f in found):.3f} K at most")
    for words, known in (
        ("known ", np.array([f.material.peaks for f in found])),
        ("direct", np.array([f.material.peaks_direct for f in found])),
    ):
        away = 100 * (np.array([f.peaks for f in found]) / known - 1)
        k, scan = np.unravel_index(np.abs(away).argmax(), away.shape)
        lines.append(
            f"peaks here − {words}: {away[k, scan]:+.2f} % at most ({found[k].material.name}, "
            f"{program.cooling_rates[scan]:g} K/min), {np.median(np.abs(away)):.2f} % in the median"
        )
    return "\n".join(lines)


def draw(found: list[Found], program: Program) -> Any:
    """Six scans of six materials, with T100 and the known peaks."""
    plt = figures.pyplot()
    figure, axes = plt.subplots(2, 3, figsize=(13, 7.4), layout="constrained")
    by_name = {f.material.name: f for f in found}
    for axis, name in zip(axes.flat, SHOWN, strict=True):
        draw_material(axis, by_name[name], program)
    for axis in axes[-1]:
        axis.set_xlabel("T / °C")
    for axis in axes[:, 0]:
        axis.set_ylabel("$C_p^N$")
    handles, labels = axes.flat[0].get_legend_handles_labels()
    figure.legend(
        handles, [f"{text} K min$^{{-1}}$" if text[0].isdigit() else text for text in labels],
        loc="outside lower center", ncols=len(labels),
    )  # fmt: skip
    figure.suptitle("Heating scans at 10 K min$^{-1}$ after six cooling rates. Peaks, $T_{100}$: known | simulated")
    return figure


def draw_material(axes: Any, found: Found, program: Program) -> None:
    """Scans of a material; circles are the known peaks, at their known temperatures where there are any."""
    m = found.material
    figures.draw_scans(axes, program.celsius, found.cpn, program.cooling_rates)
    colours = figures.rate_colours(program.cooling_rates)
    at = np.array(m.t_peaks or found.t_peaks) - ZERO_CELSIUS
    axes.scatter(at, m.peaks, s=34, facecolors="white", edgecolors=colours, linewidths=1.4, zorder=4)
    axes.scatter([], [], s=34, facecolors="white", edgecolors="0.3", linewidths=1.4, label="known peak")
    axes.axvline(m.t100 - ZERO_CELSIUS, color=KNOWN, ls="--", lw=1.2, zorder=1, label="known $T_{100}$")
    axes.set_title(f"{m.name}\nln(A/s) = {m.ln_a:g}, Δh*/R = {m.kilokelvin:g} kK, x = {m.x:g}, β = {m.beta:g}")
    t100 = (f"{m.t100 - ZERO_CELSIUS:5.1f} | {found.t100 - ZERO_CELSIUS:5.1f} °C", KNOWN)
    lines = [(f"{known:.3f} | {ours:.3f}", colour) for known, ours, colour in zip(m.peaks, found.peaks, colours)]
    for k, (text, colour) in enumerate((*lines, t100)):
        axes.annotate(
            text, (0.02, 0.98), xycoords="axes fraction", xytext=(0, -12.5 * k), textcoords="offset points",
            va="top", color=colour, size=9, weight="bold", family="monospace",
        )  # fmt: skip


def file_table(path: str) -> str:
    """What a grid's file holds."""
    from hpctools.tnm.grid_file import open_grid

    with open_grid(path) as grid:
        highest = grid.samples["cpn_max"].max(1)
        attributes = dict(grid.file.attrs)
        stored = grid.path.stat().st_size
        if "sources" in grid.file:  # one file a rank
            stored += int(grid.file["sources"].attrs["bytes"].sum())
        runs = [json.loads(text) for text in grid.file["runs"].asstr()[()]]
        n, scans, points = grid.signals.shape
        nodes = len(grid.file["nodes"])
    rows = [
        ("samples", f"{n:,}", f"{nodes:,} nodes (Δh*, ln A) × {n // nodes:,} (x, β), {scans} scans each"),
        ("stored", f"{stored / 1e6:,.1f} MB", f"plain float32: {n * scans * points * 4 / 1e6:,.0f} MB"),
        ("a sample", f"{stored / n:,.0f} B", f"plain float32: {scans * points * 4:,} B"),
    ]
    begin, end = (datetime.fromisoformat(attributes[key]) for key in ("start_utc", "finished_utc"))
    seconds = (end - begin).total_seconds()
    if len(runs) == 1 and seconds > 0:
        ranks = runs[0]["ranks"]
        words = f"{seconds:.0f} s from start to finish on {ranks} rank{'s' * (ranks > 1)}"
        rows.append(("rate", f"{n / seconds:,.0f} /s", words))
    for limit, words in ((HIGH, "the paper leaves them out"), (BURST, "bursts, thinner than 0.1 K can show")):
        rows.append((f"CpN_max > {limit:g}", f"{100 * (highest > limit).mean():.1f} %", f"of samples; {words}"))
    return figures.markdown((path, "", ""), rows, left=(0, 2))


def next_commands(path: str) -> str:
    """What to try next."""
    commands = {
        "source .venv/bin/activate": "the environment of make run",
        f"python analysis/tnm_signals.py {path} --sample 0 7": "scans, features, cooling-rate law",
        f"python analysis/tnm_grid_map.py {path}": "the state space and its subsets",
        "python -m hpctools.tnm --dry-run": "plan of all 13,752,261 samples",
        "mpirun -n 256 python -m hpctools.tnm --out tnm_grid.h5": "all of them, on 256 cores",
        "sbatch slurm/tnm_grid.sh --subset C --out tnm_C.h5": "a subset, through Slurm",
    }
    width = max(map(len, commands))
    return "\n".join(("next:", *(f"  {command:<{width}}  # {words}" for command, words in commands.items())))


def main() -> None:
    """Read the command line, print the tables, write the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", help="file of `python -m hpctools.tnm`")
    parser.add_argument("--out", default="results/tnm_first_look.png", help="figure, by suffix .png, .pdf or .svg")
    given = parser.parse_args()
    out = figures.check_output(given.out)
    contents = file_table(given.file)
    program = Program()
    found = simulated(program)
    print(
        "\nReal glass-formers: T100, Tf' after cooling at 10 K/min, peak CpN after six cooling rates.\n"
        "known: literature and a second-order solver; direct: the slow second method, the more accurate reference.\n"
    )
    print(materials_table(found, program))
    print(f"\n{contents}\n")
    sys.stdout.flush()
    figures.save(draw(found, program), out)
    print(f"\n{next_commands(given.file)}")


if __name__ == "__main__":
    figures.run(main)
