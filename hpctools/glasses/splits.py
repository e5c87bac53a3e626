"""Which curves a model learns from, and which test it.

random curves : as K. Ayush et al. (arXiv:2308.11151) split theirs; curves of one glass stand on both sides.
by glass : all curves of a glass on one side.
leave a dopant out : the glasses with it test, and no curve of its cation is known.
leave the top out : the glasses with most dopant test.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpctools.stop import USAGE

from .curves import Curves
from .fingerprint import DOPANTS

FOLDS = 5
TOP = 16.0  # mol % of a dopant from which a glass belongs to the top
SPLITS = ("random curves", "by glass", "leave a dopant out", "leave the top out")
_SEED = 0
Rows = NDArray[np.int64]


class SplitError(ValueError):
    """Too few glasses for a split."""

    user_error = True
    exit_code = USAGE


@dataclass(frozen=True, eq=False)
class Fold:
    """Rows to learn from and rows to test; name: that of the training (`learning_settings.FOLDS`)."""

    name: str
    train: Rows
    test: Rows


def folds(curves: Curves, split: str) -> list[Fold]:
    """The folds of a split. Raises SplitError where there are too few glasses."""
    if split == "random curves":
        return random_curves(curves)
    if split == "by glass":
        return by_glass(curves)
    if split == "leave a dopant out":
        return [fold for oxide in DOPANTS if (fold := _without(curves, oxide)) is not None] or _refuse(
            split, "glasses with BaO, ZnO or TiO2 and others", curves)
    if split == "leave the top out":
        found = _without_top(curves)
        return [found] if found is not None else _refuse(split, f"glasses with {TOP:g} mol % of a dopant and others",
                                                         curves)
    raise SplitError(f"split {split!r} is unknown; expected one of {', '.join(SPLITS)}")


def fold(curves: Curves, name: str) -> Fold:
    """A fold by its name; "all" has every curve, four fifths of them to learn from, as the paper's training."""
    if name == "all":
        first = random_curves(curves)[0]
        return Fold("all", first.train, first.test)
    if name.startswith("glass-"):
        for one in by_glass(curves):
            if one.name == name:
                return one
        raise SplitError(f"fold {name}: unknown; expected glass-1 to glass-{FOLDS}")
    part = name.removeprefix("without-")
    if name == part or part not in (*DOPANTS, "top"):
        raise SplitError(f"fold {name}: unknown; expected all, glass-1 to glass-{FOLDS}, or without- and one of "
                         f"{', '.join(DOPANTS)}, top")
    found = _without_top(curves) if part == "top" else _without(curves, part)
    if found is None:
        what = f"at least {TOP:g} mol % of a dopant" if part == "top" else part
        raise SplitError(f"fold {name}: expected some glasses with {what} and some others; found "
                         f"{len(set(curves.glass))} glasses of one of these kinds alone")
    return found


def random_curves(curves: Curves) -> list[Fold]:
    """Five folds of curves."""
    if len(curves) < FOLDS:
        raise SplitError(f"random curves: found {len(curves)} curves, expected at least {FOLDS}")
    part = np.random.default_rng(_SEED).permutation(np.arange(len(curves)) % FOLDS)
    return [Fold(f"curves-{k + 1}", np.flatnonzero(part != k), np.flatnonzero(part == k)) for k in range(FOLDS)]


def by_glass(curves: Curves) -> list[Fold]:
    """Five folds of glasses; each dopant, and the glasses without any, spread over all of them."""
    glasses = np.unique(curves.glass)
    if len(glasses) < FOLDS:
        raise SplitError(f"by glass: found {len(glasses)} glass{'es' * (len(glasses) != 1)}, expected at least {FOLDS}")
    shuffled = np.random.default_rng(_SEED).permutation(glasses)
    kinds = [tuple(curves.compositions[glass][oxide] > 0 for oxide in DOPANTS) for glass in shuffled]
    order = shuffled[sorted(range(len(shuffled)), key=lambda i: kinds[i])]
    part = dict(zip(order, np.arange(len(order)) % FOLDS))
    fold_of = np.array([part[glass] for glass in curves.glass])
    return [Fold(f"glass-{k + 1}", np.flatnonzero(fold_of != k), np.flatnonzero(fold_of == k)) for k in range(FOLDS)]


def _without(curves: Curves, oxide: str) -> Fold | None:
    return _by(curves, f"without-{oxide}", np.array([glass[oxide] > 0 for glass in curves.compositions]))


def _without_top(curves: Curves) -> Fold | None:
    top = np.array([max(glass[oxide] for oxide in DOPANTS) >= TOP for glass in curves.compositions])
    return _by(curves, "without-top", top)


def _by(curves: Curves, name: str, tested: NDArray[np.bool_]) -> Fold | None:
    test = tested[curves.glass]
    found = Fold(name, np.flatnonzero(~test), np.flatnonzero(test))
    return found if len(found.train) and len(found.test) else None


def _refuse(split: str, needed: str, curves: Curves) -> list[Fold]:
    raise SplitError(f"{split}: needs {needed}; found {len(set(curves.glass))} glasses of another kind")
