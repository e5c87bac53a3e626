"""What limits a prediction: the shares of its squared error, and the noise of the truth; figures of missed goals.

The squared error of F over all points is taken apart in this order (`shares`):

    F(0)   gone when F is scaled so that it begins at the true value
    τ_α    gone when, besides, ln t is shifted so that F/F(0) falls to 1/e when the true one does
    shape  what is left

A share below zero means that two errors had cancelled. Only records whose true and predicted τ_α lie within the run
are counted, and whose prediction begins above a tenth of F(0): one that has no beginning has no shape. `floor`: root
mean square difference of F between independent seeds of a state, over √2.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import figures
import numpy as np
from liquid_bins import title

from hpctools.liquids.network import curves
from hpctools.liquids.network.metrics import Prediction
from hpctools.liquids.network.samples import State

PARTS = ("F(0)", "τ_α", "shape")


def corrected(one: Prediction) -> tuple[np.ndarray, np.ndarray]:
    """F (n, 2) with the true F(0); and with the true τ_α as well, NaN where that is not within the run."""
    with np.errstate(all="ignore"):
        scaled = np.where(one.F[0] > 0.1 * one.truth[0], one.F * one.truth[0] / one.F[0], np.nan)
    ours, true = (curves.relaxation_time(one.times, F / F[0]) for F in (scaled, one.truth))
    shifted = np.full(scaled.shape, np.nan)
    for a in range(2):
        if 0 < ours[a] < np.inf and 0 < true[a] < np.inf:
            shifted[:, a] = np.interp(np.log(one.times * ours[a] / true[a]), np.log(one.times), scaled[:, a])
    return scaled, shifted


def shares(found: Sequence[Prediction]) -> tuple[float, tuple[float, float, float], int]:
    """Root mean square error of F, its shares by `PARTS`, and on how many records they rest, in whatever repeats."""
    squares, runs = [], set()
    for one in found:
        scaled, shifted = corrected(one)
        if np.isfinite(shifted).all():
            squares.append([np.mean((F - one.truth) ** 2) for F in (one.F, scaled, shifted)])
            runs.add((one.potential, one.density, one.temperature, one.truth.tobytes()))
    if not squares:
        return float("nan"), (float("nan"),) * 3, 0
    total, after, left = np.mean(squares, axis=0)
    parts = np.array([total - after, after - left, left]) / max(total, 1e-300)
    return float(np.sqrt(total)), (float(parts[0]), float(parts[1]), float(parts[2])), len(runs)


def floor(found: Sequence[Prediction]) -> float:
    """What the statistics of the truth alone add to the root mean square error; NaN without a second seed.

    One run's curve is taken at the times of the other that lie within it, by lines in ln t: productions of a cold state
    are as long as its own relaxation time asks for.
    """
    groups: dict[tuple[str, float, float], list[Prediction]] = {}
    for one in found:
        groups.setdefault((one.potential, one.density, one.temperature), []).append(one)
    squares = []
    for group in groups.values():
        for one, other in combinations(group, 2):
            common = (one.times >= other.times[0]) & (one.times <= other.times[-1])
            if np.array_equal(one.truth, other.truth) or not common.any():
                continue  # one and the same run, in two repeats
            there = [np.interp(np.log(one.times[common]), np.log(other.times), F) for F in other.truth.T]
            squares.append(np.mean((one.truth[common] - np.stack(there, axis=1)) ** 2) / 2)
    return float(np.sqrt(np.mean(squares))) if squares else float("nan")


def words_of(found: Sequence[Prediction]) -> str:
    """Error, shares and floor in one line."""
    error, parts, records = shares(found)
    if not records:
        return "no record whose true and predicted τ_α are both known"
    text = ", ".join(f"{name} {100 * part:.0f} %" for name, part in zip(PARTS, parts))
    least = floor(found)
    seeds = f"between seeds {least:.2g}" if np.isfinite(least) else "one seed a state"
    return f"RMSE {error:.3g}: {text}; {seeds}"


def draw(words: str, model: str, found: Sequence[Prediction], covered: tuple[float, float], out: Path) -> None:
    """|error of F/F(0)| of A over reduced time, a line a record, coloured by T/T_mct; the error of ln τ_α, or the
    coverage, of each record; and what the error is made of."""
    plt = figures.pyplot()
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.3), layout="constrained")
    colours = plt.get_cmap("coolwarm")
    for one in found:
        colour = colours(float(np.clip(0.5 + 0.7 * np.log(one.relative), 0, 1)))
        time = one.times * curves.reduced(State(one.potential, one.density, one.temperature, np.zeros((100, 3))))
        axes[0].plot(time, np.abs(one.F - one.truth)[:, 0] / one.initial[0], color=colour, lw=0.8)
        if "bands" in words:
            axes[1].plot(one.relative, one.coverage, "o", color=colour, ms=4)
        else:
            axes[1].plot(one.relative, one.log_tau_error[0], "o", color=colour, ms=4)
            axes[1].plot(one.relative, one.log_tau_error[1], "s", color=colour, ms=4, mfc="none")
    axes[0].set(xscale="log", xlabel=r"$t\,\rho^{1/3}\sqrt{T}$", ylabel="|error of $F/F(0)$|, A")
    label = "share within the 90 % band" if "bands" in words else r"$|\Delta\log_{10}\tau_\alpha|$, A (●), B (□)"
    axes[1].set(xlabel=r"$T/T_\mathrm{mct}$", ylabel=label)
    if "bands" in words:
        axes[1].axhspan(*covered, color="0.9", zorder=0)
    elif "τ" in words:
        axes[1].axhline(0.3, color="0.6", lw=0.8)
    error, parts, records = shares(found)
    if records:
        bars = [np.sign(part) * error * np.sqrt(abs(part)) for part in parts]
        least = floor(found)
        axes[2].bar([*PARTS, "between\nseeds"], [*bars, least], color=["C0", "C1", "C2", "0.6"])
        axes[2].set_xlim(-0.6, len(PARTS) + 0.6)
        if np.isnan(least):
            axes[2].text(len(PARTS), 0, "unknown", rotation=90, ha="center", va="bottom", color="0.4")
    axes[2].set_ylabel("root mean square error of $F$")
    axes[2].set_title(f"{records} records", fontsize=8)
    figure.suptitle(f"{words}\n{title(model)}; {words_of(found)}", fontsize=8)
    figures.save(figure, out)
    plt.close(figure)
