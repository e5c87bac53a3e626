"""Memory functions of simulated liquids and glasses: figures 6 and 7 of Ciarella et al. (2023) and what goes with them.

    python -m hpctools.liquids memory --all --out results/memory           the memory functions of the library, then
    python analysis/liquid_memory.py results/memory                        tables
    python analysis/liquid_memory.py results/memory --figures results/     and figures
    python analysis/liquid_memory.py results/memory --t-mct t_mct.csv      with T_mct of another library, as
                                                                           analysis/liquid_mct_table.py --out writes it

Figures: memory_fig6 (F_s and M/Ω² from the liquid to the glass: simulation, evolution with two exponentials, mode-
coupling theory), memory_fig7 (1 - R² against the number of exponentials; weight of the slower one against T/T_mct: far
above T_mct one exponential describes F_s nearly as well, and which of two is the slower one is left to the noise),
memory_forms (one state: M/Ω² by evolution in both orders of the equation, by inversion, and of mode-coupling theory),
memory_schematic (equation (8) beside two free exponentials). T_mct is that of the shipped S(k).
Curves from CSV files are listed by themselves, and drawn as memory_forms_NAME.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from figures import AnalysisError, check_output, markdown, pyplot, run, save

from hpctools.liquids.memory.job import summary
from hpctools.liquids.memory.product import MemoryFile
from hpctools.liquids.mixture import mct_temperature, read_mct_temperatures

SHOWN = 5  # states of a panel, from the liquid to the glass
TICKS = (0.3, 0.5, 1, 2, 5)  # T/T_mct


def load(folder: Path) -> tuple[list[MemoryFile], list[MemoryFile]]:
    """Memory functions of a folder: of states, by potential, density and temperature; and of curves from CSV files."""
    paths = sorted(folder.glob("*.h5"))
    if not paths:
        raise AnalysisError(f"{folder}: no memory functions; make them with python -m hpctools.liquids memory --all "
                            f"--out {folder}")
    files = [MemoryFile.load(path) for path in paths]
    states = sorted((file for file in files if file.attributes["potential"]),
                    key=lambda one: tuple(one.attributes[key] for key in ("potential", "density", "temperature")))
    for file in states:
        if len(file.c) != len(states[0].c):
            raise AnalysisError(f"{file.path} has up to {len(file.c)} exponentials, {states[0].path} up to "
                                f"{len(states[0].c)}; expected files of the same settings: put them into folders of "
                                "their own")
    return states, [file for file in files if not file.attributes["potential"]]


class States:
    """Files with their T/T_mct."""

    def __init__(self, files: Sequence[MemoryFile], table: Path | None) -> None:
        self.files, self.own = list(files), read_mct_temperatures(table) if table else {}

    def reduced(self, file: MemoryFile) -> float:
        """T/T_mct."""
        potential, density = str(file.attributes["potential"]), float(file.attributes["density"])
        known = self.own.get(potential, {}).get(density) or mct_temperature(potential, density)
        return float(file.attributes["temperature"]) / known

    def by_potential(self) -> dict[str, list[MemoryFile]]:
        """Files of each potential, warm ones first."""
        names = sorted({str(file.attributes["potential"]) for file in self.files})
        return {name: sorted((file for file in self.files if file.attributes["potential"] == name),
                             key=self.reduced, reverse=True) for name in names}

    def spread_out(self, files: Sequence[MemoryFile]) -> list[MemoryFile]:
        """A few of them at one density, the one that goes farthest down, from the warmest to the coldest."""
        density = min(files, key=self.reduced).attributes["density"]
        files = [file for file in files if file.attributes["density"] == density]
        at = np.unique(np.linspace(0, len(files) - 1, min(SHOWN, len(files))).round().astype(int))
        return [files[i] for i in at]


def slow_weight(file: MemoryFile, species: int) -> tuple[float, float]:
    """Share of the slower of two exponentials in M(0), and in ∫(M - c) dt, the friction."""
    memory = file.memory(2, species)
    area = memory.v * memory.relaxation_times()
    return float(memory.v[1] / memory.v.sum()), float(area[1] / area.sum())


def fit_table(states: States) -> str:
    """χ² and R² of each state."""
    lines = []
    for name, files in states.by_potential().items():
        for file in files:
            for j, label in enumerate(file.attributes["species"]):
                chi = [f"{value:.2f}" for value in file.chi_square[:, j]]
                lines.append((f"{name} ρ = {file.attributes['density']:g}, T = {file.attributes['temperature']:.3f}",
                              f"{states.reduced(file):.2f}", str(label), *chi,
                              *(f"{1 - value:.1e}" for value in file.r_square[:, j]),
                              f"{file.schematic_chi_square[j]:.1f}", f"{file.first_chi_square[j]:.2f}",
                              f"{slow_weight(file, j)[1]:.3f}", f"{file.seconds[1, j]:.1f}"))
    n_fits = states.files[0].chi_square.shape[0]
    head = ("state", "T/T_mct", "", *(f"χ², N = {n}" for n in range(1, n_fits + 1)),
            *(f"1 - R², N = {n}" for n in range(1, n_fits + 1)), "χ², eq. (8)", "χ², 1st order", "slow share of ∫M",
            "s, N = 2")
    return markdown(head, lines)


def paper_table(states: States) -> str:
    """`paper | ours | n`."""
    chi = np.concatenate([file.chi_square[1] for file in states.files])
    known = chi[np.isfinite(chi)]
    seconds = np.array([file.seconds[1].sum() for file in states.files])
    agreeing = np.concatenate([file.agreeing[1] for file in states.files])
    better = np.concatenate([file.chi_square[0] / file.chi_square[1] for file in states.files])
    return markdown(("quantity", "paper", "ours", "n"), [
        ("exponentials needed", "2", f"2: χ² is 1/{np.nanmedian(better):.0f} (median) of that with 1", len_of(better)),
        ("χ² a point, N = 2: median, largest", "", f"{np.median(known):.2f}, {known.max():.2f}" if known.size else "",
         len_of(known)),
        ("time of a state, both species, N = 2", "a couple of hours", f"{np.median(seconds):.0f} s of a core (median)",
         len_of(seconds)),
        ("restarts that found the same minimum", "", f"{100 * agreeing.mean():.0f} %", len_of(agreeing)),
    ], left=(0, 1, 2))  # fmt: skip


def len_of(values: np.ndarray) -> str:
    """Number of values, as text."""
    return str(len(values))


def colours(files: Sequence[MemoryFile]) -> Any:
    """Red (warm) to blue (cold)."""
    from matplotlib import colormaps

    return colormaps["turbo"](np.linspace(0.93, 0.07, max(len(files), 2)))


def figure_6(states: States, path: Path) -> None:
    """F_s and M/Ω² from the liquid to the glass."""
    plt = pyplot()
    potentials = states.by_potential()
    figure, axes = plt.subplots(2, 2 * len(potentials), figsize=(4.2 * 2 * len(potentials), 6.4), layout="constrained",
                                sharex=True, squeeze=False)
    for column, (name, files) in enumerate(potentials.items()):
        shown = states.spread_out(files)
        for j, label in enumerate(shown[0].attributes["species"]):
            upper, lower = axes[0, 2 * column + j], axes[1, 2 * column + j]
            for file, colour in zip(shown, colours(shown)):
                omega2 = file.attributes["omega2"][j]
                upper.errorbar(file.t, file.F[:, j], file.error[:, j], fmt="o", markersize=2.5, color=colour)
                upper.plot(file.t, file.fit[1, j], color=colour, label=f"{states.reduced(file):.2f}")
                t = np.geomspace(file.t[0], file.t[-1], 200)
                lower.plot(t, file.memory(2, j)(t) / omega2, color=colour)
                upper.plot(file.t, file.mct_F[j], "--", color=colour, linewidth=0.9)
                lower.plot(file.t, file.mct_M[j] / omega2, "--", color=colour, linewidth=0.9)
            density = shown[0].attributes["density"]
            upper.set(xscale="log", ylim=(-0.05, 1.05), title=f"{name}, ρ = {density:g}, species {label}")
            lower.set(xscale="log", yscale="log", ylim=(3e-3, 60), xlabel="t/τ_LJ")
            upper.legend(title="T/T_mct")
        axes[0, 2 * column].set_ylabel("F_s(k_p, t)")
        axes[1, 2 * column].set_ylabel("M/Ω²")
    figure.suptitle("points: simulation; lines: evolution, two exponentials; dashed: mode-coupling theory")
    save(figure, path)


def figure_7(states: States, path: Path) -> None:
    """1 - R² against N_exp, and the weight of the slower exponential."""
    plt = pyplot()
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(12.5, 3.8), layout="constrained")
    files = sorted(states.files, key=states.reduced, reverse=True)
    n = np.arange(1, files[0].r_square.shape[0] + 1)
    for file, colour in zip(files, colours(files)):
        for j, marker in zip(range(file.r_square.shape[1]), "os"):
            left.plot(n, 1 - file.r_square[:, j], marker=marker, markersize=3.5, color=colour,
                      label=f"{states.reduced(file):.2f}" if j == 0 else None)
    left.set(yscale="log", xticks=n, xlabel="N_exp", ylabel="1 - R²")
    if len(files) <= 12:
        left.legend(title="T/T_mct", ncols=2)
    for name, group in states.by_potential().items():
        for j, label in enumerate(group[0].attributes["species"]):
            x = [states.reduced(file) for file in group]
            y = np.array([slow_weight(file, j) for file in group])
            style = {"marker": "o" if name == "LJ" else "^", "linestyle": "none", "label": f"{name}, {label}",
                     "fillstyle": "full" if j == 0 else "none", "color": "C0" if name == "LJ" else "C3"}
            middle.plot(x, y[:, 0], **style)
            right.plot(x, y[:, 1], **style)
    middle.set(xlabel="T/T_mct", ylabel="v₂/(v₁ + v₂)", xscale="log")
    right.set(xlabel="T/T_mct", ylabel="share of the slower exponential in ∫M dt", xscale="log")
    for axis in (middle, right):
        axis.set_xticks(TICKS, [f"{value:g}" for value in TICKS])
        axis.set_xticks([], minor=True)
    middle.legend()
    save(figure, path)


def figure_forms(file: MemoryFile, path: Path) -> None:
    """One state: M/Ω² by all ways."""
    plt = pyplot()
    labels = list(file.attributes["species"])
    figure, axes = plt.subplots(1, len(labels), figsize=(5.2 * len(labels), 4.0), layout="constrained", squeeze=False)
    ballistic = float(file.attributes["first_order_omega2"][0] / file.attributes["omega2"][0])
    t = np.geomspace(file.t[0], file.t[-1], 300)
    for j, (axis, label, omega2) in enumerate(zip(axes[0], labels, file.attributes["omega2"])):
        axis.plot(t, file.memory(2, j)(t) / omega2, "C0", label="evolution, second order")
        late = t > ballistic
        axis.plot(t[late], file.first_order(j)(t[late]), "C1--", label="evolution, first order")
        axis.plot(file.t, file.prony[j] / omega2, "C2-.", label="Prony fit, Laplace inversion")
        axis.plot(file.points_t[j], file.points[j] / omega2, "k.", markersize=4, label="point by point")
        if np.isfinite(file.mct_M[j]).any():
            axis.plot(file.t, file.mct_M[j] / omega2, "C3:", label="mode-coupling theory")
        axis.set(xscale="log", yscale="log", ylim=(3e-3, 60), xlabel="t/τ_LJ", ylabel="M/Ω²",
                 title=f"{file.attributes['state']}, species {label}")
    axes[0, 0].legend()
    save(figure, path)


def figure_schematic(file: MemoryFile, path: Path) -> None:
    """Equation (8) beside two free exponentials, for one state."""
    plt = pyplot()
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
    for j, label in enumerate(file.attributes["species"]):
        left.errorbar(file.t, file.F[:, j], file.error[:, j], fmt="o", markersize=2.5, color=f"C{j}")
        left.plot(file.t, file.fit[1, j], color=f"C{j}", label=f"{label}: two exponentials")
        left.plot(file.t, file.schematic_fit[j], "--", color=f"C{j}", label=f"{label}: equation (8)")
        for fit, style in ((file.fit[1, j], "-"), (file.schematic_fit[j], "--")):
            right.plot(file.t, (fit - file.F[:, j]) / file.error[:, j], style, color=f"C{j}")
    left.set(xscale="log", xlabel="t/τ_LJ", ylabel="F_s(k_p, t)", title=str(file.attributes["state"]))
    right.set(xscale="log", yscale="symlog", xlabel="t/τ_LJ", ylabel="deviation/error")
    left.legend()
    save(figure, path)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("results/memory"),
                        help="memory functions (default results/memory)")
    parser.add_argument("--figures", type=Path, metavar="FOLDER", help="write the figures into this folder")
    parser.add_argument("--format", default="png", help="of the figures: png, pdf or svg (default png)")
    parser.add_argument("--t-mct", type=Path, metavar="CSV",
                        help="T_mct of another library, a table of analysis/liquid_mct_table.py")
    parser.add_argument("--state", help="name of the state of the last two figures (default: nearest to T_mct)")
    given = parser.parse_args()
    files, curves = load(given.folder)
    for curve in curves:
        print(summary(curve.path) + "\n")
        if given.figures:
            name = str(curve.attributes["state"])
            figure_forms(curve, check_output(given.figures / f"memory_forms_{name}.{given.format}"))
    if not files:
        return
    states = States(files, given.t_mct)
    print(fit_table(states))
    print()
    print(paper_table(states))
    if not given.figures:
        return
    chosen = min(states.files, key=lambda file: abs(math.log(states.reduced(file))))
    if given.state:
        found = [file for file in states.files if file.attributes["state"] == given.state]
        if not found:
            raise AnalysisError(f"--state {given.state}: not in {given.folder}")
        chosen = found[0]

    def path(name: str) -> Path:
        return check_output(given.figures / f"memory_{name}.{given.format}")

    figure_6(states, path("fig6"))
    figure_7(states, path("fig7"))
    figure_forms(chosen, path("forms"))
    figure_schematic(chosen, path("schematic"))


if __name__ == "__main__":
    run(main)
