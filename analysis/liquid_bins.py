"""What the scripts on the networks of liquids share: controls, bins in T/T_mct, figures of merit in them, panels.

Controls are shown less than a model, to tell what S(k) adds: the nearest state, S(k) zeroed (interpolation in T, ρ and
the potential), S(k) of another state, and S(k) alone. All of them that a folder of trials holds are in every table and
figure. Glasses are no liquids in equilibrium: they have rows and marks of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from figures import AnalysisError

from hpctools.liquids.network import metrics
from hpctools.liquids.network.metrics import Prediction
from hpctools.liquids.network.trials import LABELS, missing, read_all

EDGES = (0.25, 0.35, 0.45, 0.62, 0.75, 0.85, 0.95, 1.05, 1.2, 1.45, 1.8, 2.5, 4.0, 50.0)
"""Of the bins: 0.3, 0.4, 0.5 … 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.3, 1.6, 2, 3, 5 as the library has them up to ρ = 1.6;
at ρ = 1.8 its temperatures are 0.86 times as many T_mct of ours."""
BINS = tuple(pairwise(EDGES))
Repeats = dict[int, list[Prediction]]  # predictions by repeat
PANELS = (("r2", "$R^2$"), ("r2_A", "$R^2$ of $F/F(0)$, A"), ("r2_B", "$R^2$ of $F/F(0)$, B"),
          ("log_tau_A", r"$|\Delta\log_{10}\tau_\alpha|$, A"), ("rmse", "RMSE of $F$"),
          ("rmse_A", "RMSE of $F/F(0)$, A"), ("rmse_B", "RMSE of $F/F(0)$, B"),
          ("log_tau_B", r"$|\Delta\log_{10}\tau_\alpha|$, B"))  # fmt: skip
ORDER = ("mlp", "gp/reduced", "gp", "gp/mct", "mlp/mct", "mlp/reduced", "monotone", "monotone/mct", "ridge")
LEAST_R2 = -0.5  # of an axis: below, a model is useless
DRAWS = 2000  # of the bootstrap


def load(folder: str, transfers: Sequence[str] = ()) -> dict[str, dict[str, Repeats]]:
    """Trials by transfer and label; raises AnalysisError where those transfers are not there.

    Where some trials are missing it says so, and leaves the predictions of those states that all models were tested on:
    others would not compare.
    """
    found = read_all(folder)
    if lacking := missing(folder):
        print(f"{len(lacking)} trials are missing, such as {lacking[0]}: what follows is of the states that all models "
              f"were tested on. python -m hpctools.liquids trials --out {folder} goes on with the others\n")
        found = {transfer: common(models) for transfer, models in found.items()}
        for transfer in [name for name, models in found.items() if not any(models.values())]:
            del found[transfer]
            print(f"{transfer}: no state was tried by all models yet; left out\n")
        if not found:
            raise AnalysisError(f"{folder}: no state was tried by all models yet; let the trials finish, or give fewer "
                                "--models to them")
    if transfers and not any(name in found for name in transfers):
        raise AnalysisError(f"{folder}: trials of {', '.join(found)}, none of {', '.join(transfers)}; make them with "
                            f"python -m hpctools.liquids trials --out {folder}")
    return found


def common(models: dict[str, Repeats]) -> dict[str, Repeats]:
    """Of each repeat the states that all models have predictions of; repeats without any left out."""
    every = sorted(set().union(*models.values()))
    shared = {repeat: set.intersection(*({state(one) for one in found.get(repeat, [])} for found in models.values()))
              for repeat in every}
    return {name: {repeat: [one for one in found if state(one) in shared[repeat]] for repeat, found in repeats.items()
                   if shared[repeat]} for name, repeats in models.items()}


def state(one: Prediction) -> tuple[str, float, float]:
    """Potential, density and temperature."""
    return one.potential, one.density, one.temperature


def advantage(model: Repeats, other: Repeats) -> tuple[float, float, float]:
    """By how much R² of a model is above that of another on the states of both, with its 90 % interval.

    Bootstrap over states, whose errors in all repeats go together: what is hard for one model is so for the other, and
    repeats that share their test states are not independent.
    """
    both = common({"model": model, "other": other})
    rows: dict[tuple[str, float, float], np.ndarray] = {}
    for repeat, found in both["model"].items():
        mine, its = metrics.sums(found), metrics.sums(both["other"][repeat])
        for name, row in mine.items():
            rows[name] = rows.get(name, 0) + np.append(row[:4], its[name][3])
    if not rows:
        return np.nan, np.nan, np.nan
    table = np.array([rows[name] for name in sorted(rows)])
    drawn = np.random.default_rng(0).multinomial(len(table), np.full(len(table), 1 / len(table)), DRAWS)
    n, first, second, mine_squared, its_squared = np.vstack([np.ones(len(table)), drawn]).dot(table).T
    gain = (its_squared - mine_squared) / (second - first**2 / n)
    return float(gain[0]), float(np.quantile(gain[1:], 0.05)), float(np.quantile(gain[1:], 0.95))


def without_structure(name: str) -> bool:
    """Is it a control that is not shown the S(k) of the state?"""
    model, _, inputs = name.partition("/")
    return model == "nearest" or inputs in ("zeroed", "permuted")


def control(name: str) -> bool:
    """Is it a control, no model to be used?"""
    return without_structure(name) or name.endswith("/structure")


def ordered(names: Iterable[str]) -> list[str]:
    """Models, then controls, each in the same order everywhere."""
    known = (*ORDER, *LABELS)
    return sorted(names, key=lambda name: (control(name), known.index(name) if name in known else len(known), name))


def chosen(found: Iterable[str], wanted: Sequence[str] = ()) -> list[str]:
    """The wanted ones (all, if empty) of the models that were tried, and all controls."""
    found = list(found)
    if wanted and not any(name in found for name in wanted):
        raise AnalysisError(f"none of {', '.join(wanted)} was tried; found {', '.join(found)}")
    return ordered(name for name in found if control(name) or not wanted or name in wanted)


def title(name: str) -> str:
    """A model for people."""
    return LABELS.get(name, name) + (" (control)" if control(name) else "")


def style(name: str, names: Sequence[str]) -> dict[str, Any]:
    """Line of a model among others: coloured; a control is thin and grey."""
    if not control(name):
        return {"color": f"C{[one for one in names if not control(one)].index(name)}", "lw": 1.2, "zorder": 3}
    place = [one for one in names if control(one)].index(name)
    return {"color": ("0.35", "0.6")[place % 2], "lw": 0.7, "ls": ("-", "--", ":", "-.")[place // 2 % 4]}


def only(repeats: Repeats, glass: bool) -> Repeats:
    """The glasses alone, or the liquids in equilibrium."""
    return {repeat: [one for one in found if bool(one.glass) == glass] for repeat, found in repeats.items()}


def inside(found: Sequence[Prediction], low: float, high: float) -> list[Prediction]:
    """Those with low ≤ T/T_mct < high."""
    return [one for one in found if low <= one.relative < high]


def merits(repeats: Repeats, low: float = 0.0, high: float = np.inf) -> dict[str, tuple[float, float]]:
    """Mean over the repeats and standard error of all figures of merit of a range in T/T_mct."""
    return metrics.over_repeats([inside(found, low, high) for found in repeats.values()])


def number(value: float, error: float, digits: int = 3) -> str:
    """A value with its error, for a table; the error of one state is not known."""
    form = f".{digits}f" if abs(value) < 100 else ".3g"
    return f"{value:{form}} ± {error:{form}}" if np.isfinite(error) else f"{value:{form}}"


def curve(repeats: Repeats, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A figure of merit against T/T_mct: mean T/T_mct of the bins, values, standard errors; empty bins left out."""
    x, y, e = [], [], []
    for low, high in BINS:
        if here := [one.relative for found in repeats.values() for one in inside(found, low, high)]:
            value, error = merits(repeats, low, high)[name]
            x.append(float(np.mean(here)))
            y.append(value)
            e.append(error)
    return np.array(x), np.array(y), np.array(e)


def draw(axes: Any, repeats: Repeats, name: str, **line: Any) -> None:
    """A figure of merit against T/T_mct with error bars: liquids as a line, glasses as open squares. R² is cut off."""
    for glass in (False, True):
        x, y, e = curve(only(repeats, glass), name)
        points(axes, x, y, e, name, **(line | {"ls": "none", "label": None} if glass else line), glass=glass)


def points(axes: Any, x: np.ndarray, y: np.ndarray, e: np.ndarray, name: str, *, glass: bool = False,
           **line: Any) -> None:
    """Values with error bars."""
    shown = np.maximum(y, LEAST_R2) if name.startswith("r2") else y
    mark = {"marker": "s", "mfc": "none"} if glass else {"marker": "o"}
    axes.errorbar(x, shown, np.nan_to_num(e), ms=3, capsize=2, **mark, **line)


def dress(axes: Any, name: str, label: str) -> None:
    """Scales and names of a panel."""
    axes.set(xscale="log", xlabel=r"$T/T_\mathrm{mct}$", ylabel=label)
    axes.set_xticks([0.3, 0.5, 1, 2, 5], labels=["0.3", "0.5", "1", "2", "5"])
    axes.set_xticks([], minor=True)
    axes.axvline(1, color="0.7", lw=0.8)
    if name.startswith("r2"):
        axes.set_ylim(LEAST_R2 - 0.03, 1.03)


def inset(axes: Any, found: Sequence[Prediction], place: tuple[float, float, float, float]) -> None:
    """F/F(0) of A, simulated and predicted, of the state with the middle R² of those given."""
    if not found:
        return
    scores = [metrics.r_squared(one.truth, one.F) for one in found]
    one = found[int(np.argsort(scores)[len(scores) // 2])]
    small = axes.inset_axes(place)
    small.plot(one.times, one.truth[:, 0] / one.initial[0], "k.", ms=2)
    small.plot(one.times, one.F[:, 0] / one.initial[0], "C3", lw=1)
    small.set(xscale="log", ylim=(-0.05, 1.08), xticks=[], yticks=[])
    small.grid(False)
    small.set_title(f"{one.potential} ρ={one.density:g}, {one.relative:.2g} $T_\\mathrm{{mct}}$\n"
                    f"$R^2$ = {metrics.r_squared(one.truth, one.F):.2f}", fontsize=5.5, pad=2)
