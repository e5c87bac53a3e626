"""Mode-coupling theory of hard spheres around its transition: table against the literature, and a figure.

    python analysis/liquid_mct_examples.py --out results/liquid_mct.png
    python analysis/liquid_mct_examples.py --n-k 50 --block 64            # coarse and quick

Percus-Yevick structure factors, overdamped dynamics, diameter σ = 1, short-time diffusion coefficient D = 1. States at
φ = φ_c (1 ± 10^-n). The grid belongs to the numbers: those of the literature are for 100 wave numbers up to 40/σ.
The error beside our number is: half the bracket of liquid and glass (φ_c); the change when that bracket is ten times
as wide (exponents, f_c, r_s); the change of γ from one pair of states to the next (fit to τ); the change when the
tolerance of the iteration is 100 times as wide (ΣF∞). For one's own liquid see `hpctools.liquids.mct.solve`.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from typing import Any

import figures
import numpy as np
from numpy.typing import NDArray

COMMAND = "python analysis/liquid_mct_examples.py"
PEAK = 7.0  # the wave number of the correlators shown, near the first peak of S
SOURCES = """[1] Franosch, Fuchs, Götze, Mayr and Singh, Phys. Rev. E 55 (1997) 7153
[2] Fuchs, Götze and Mayr, Phys. Rev. E 58 (1998) 3384
[3] tests of ModeCouplingTheory.jl, from S rounded in a file: diameters 0.8, 1, fractions 0.2, 0.8, packing 0.55"""
STEPS = (1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0)  # -log10 of the relative distance to φ_c
Array = NDArray[np.float64]


@dataclass
class State:
    """A packing fraction with its relaxation."""

    exponent: float
    glass: bool
    solution: Any  # hpctools.liquids.mct.Solution
    tagged: Any  # hpctools.liquids.mct.TaggedParticle


def solve(phi_c: float, k: Array, block: int) -> list[State]:
    """Liquids and glasses on both sides of φ_c, from far to near."""
    from hpctools.liquids import mct

    states = []
    for exponent in STEPS:
        for glass in (False, True):
            S, density = mct.hard_spheres(k, phi_c * (1 + (1 if glass else -1) * 10**-exponent))
            solution = mct.solve(k, S, density, block=block, t_max=1e12)
            states.append(State(exponent, glass, solution, mct.tagged_particle(solution)))
    return states


def power_law(states: list[State]) -> tuple[float, float]:
    """γ of τ ~ |φ - φ_c|^-γ from the last two liquids, and the change from the two before."""
    liquids = [state for state in states if not state.glass]
    ln_tau = np.log([state.solution.relaxation_time(PEAK) for state in liquids])
    slopes = np.diff(ln_tau) / np.diff([state.exponent for state in liquids]) / np.log(10)
    return float(slopes[-1]), float(abs(slopes[-1] - slopes[-2]))


def table(point: Any, wider: Any, k: Array, states: list[State]) -> str:
    """The Markdown table of literature and our numbers."""
    from hpctools.liquids import mct

    rows = [("φ_c", "0.51591213 [1]", f"{point.value:.9f} ± {point.error:.0e}")]

    def add(name: str, literature: str, value: float, compared: float, digits: int = 5) -> None:
        rows.append((name, literature, f"{value:.{digits}f} ± {abs(value - compared):.0e}"))

    for name, literature, *values in zip(
        ("λ", "a", "b", "γ"), ("0.735 [1]", "0.312 [1]", "0.583 [1]", "2.46 [1]"), point.exponents, wider.exponents
    ):
        add(name, literature, *values)
    gamma, change = power_law(states)
    rows.append(("γ, fit to τ", "2.46 [1]", f"{gamma:.3f} ± {change:.3f}"))
    plateaus, lengths = [], []
    for found in (point, wider):
        S, density = mct.hard_spheres(k, found.glass)
        plateaus.append(found.F_inf / S)
        lengths.append(mct.lamb_moessbauer(k, S, density, None, found.F_inf)[1])
    for wanted, literature in ((7.0, "0.849 [1]"), (7.4, "0.803 [1]")):
        at = int(np.abs(k - wanted).argmin())
        add(f"f_c(k σ = {k[at]:.2f})", literature, plateaus[0][at], plateaus[1][at])
    add("r_s/σ at φ_c", "0.0746 [2]", *lengths)
    S, density = mct.hard_sphere_mixture(k, 0.55, [0.8, 1.0], [0.2, 0.8])
    sums = [mct.nonergodicity(k, S, density, [0.2, 0.8], tolerance=tolerance).sum() for tolerance in (1e-11, 1e-9)]
    add("ΣF∞ of a mixture", "45.501463 [3]", *sums, digits=6)
    if len(k) != 100 or abs(k[0] - 0.2) > 1e-9:
        rows = [(name, "(another grid)", number) for name, _, number in rows]
    head = ("quantity", "literature", "ours", "command")
    return figures.markdown(head, [(*row, f"`{COMMAND}`") for row in rows], left=(0, 1, 3))


def draw(point: Any, k: Array, states: list[State]) -> Any:
    """f_c(k); correlators; mean-squared displacements; relaxation times."""
    from matplotlib import colormaps

    from hpctools.liquids import mct

    plt = figures.pyplot()
    figure, axes = plt.subplots(2, 2, figsize=(9.5, 7.2), layout="constrained")
    S, density = mct.hard_spheres(k, point.glass)
    f_s, _ = mct.lamb_moessbauer(k, S, density, None, point.F_inf)
    top = axes[0, 0]
    top.plot(k, point.F_inf / S, "o-", ms=3, label="$f_c$, collective")
    top.plot(k, f_s, "-", color="#D55E00", label="$f_c^s$, single particle")
    top.plot(k, S / S.max(), "--", color="0.5", lw=1, label="$S$ over its peak")
    top.set(xlabel="k σ", ylabel="plateau at $φ_c$", xlim=(0, min(25, k[-1])), ylim=(0, 1.03))
    top.legend(loc="upper right")
    colours = colormaps["viridis"](0.85 * np.arange(len(STEPS)) / max(1, len(STEPS) - 1))
    for state in states:
        style = {"color": colours[STEPS.index(state.exponent)], "ls": "--" if state.glass else "-"}
        label = None if state.glass else f"{state.exponent:g}"
        t = state.solution.t[1:]
        axes[0, 1].plot(t, state.solution.correlator(PEAK)[1:], label=label, **style)
        axes[1, 0].plot(t, state.tagged.msd[1:], **style)
    at = f"{k[np.abs(k - PEAK).argmin()]:.1f}"
    axes[0, 1].set(xscale="log", xlim=(1e-5, 1e12), ylim=(-0.02, 1.02), xlabel="t D/σ²", ylabel=f"F(k σ = {at}, t)/S")
    axes[0, 1].legend(title="$-\\log_{10}|φ/φ_c - 1|$\nliquid —, glass - -", loc="lower left")
    axes[1, 0].set(
        xscale="log", yscale="log", xlim=(1e-5, 1e12), ylim=(1e-4, 1e2), xlabel="t D/σ²", ylabel="$δr²$ / σ²"
    )
    liquids = [state for state in states if not state.glass]
    distance = 10.0 ** -np.array([state.exponent for state in liquids])
    tau = np.array([state.solution.relaxation_time(PEAK) for state in liquids])
    last = axes[1, 1]
    last.loglog(distance, tau, "o", label="$F$ falls to 1/e")
    law = tau[-1] * (distance / distance[-1]) ** -point.exponents.gamma
    last.loglog(distance, law, "-", color="0.3", lw=1, label=f"γ = {point.exponents.gamma:.3f} from λ")
    last.set(xlabel="$1 - φ/φ_c$", ylabel="τ D/σ²")
    last.legend()
    return figure


def main() -> None:
    """Read the command line, print the table, write the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="liquid_mct.png", help="figure, by suffix .png, .pdf or .svg")
    parser.add_argument("--n-k", type=int, default=100, help="wave numbers (default 100)")
    parser.add_argument("--k-max", type=float, default=40.0, help="upper end of their grid, in 1/σ (default 40)")
    parser.add_argument("--block", type=int, default=128, help="time steps before they double (default 128)")
    given = parser.parse_args()
    out = figures.check_output(given.out)
    from hpctools.liquids import mct

    k = mct.wave_numbers(given.n_k, given.k_max)
    wider, point = (
        mct.critical_point(lambda phi: (k, *mct.hard_spheres(k, phi), None), 0.45, 0.58, tolerance)
        for tolerance in (1e-7, 1e-8)
    )
    states = solve(point.value, k, given.block)
    print(f"Percus-Yevick hard spheres, {given.n_k} wave numbers up to {given.k_max:g}/σ\n")
    print(table(point, wider, k, states))
    print(f"\n{SOURCES}\n")
    sys.stdout.flush()
    figures.save(draw(point, k, states), out)


if __name__ == "__main__":
    figures.run(main)
