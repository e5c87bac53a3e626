"""What the scripts on learned g(r) share: their options and the data set."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from figures import AnalysisError, check_output
from numpy.typing import NDArray

from hpctools.glasses.curves import LEAST_COUNTS, LIBRARY, REACH, Curves, find, gather
from hpctools.glasses.held_out import Runs
from hpctools.glasses.learning_settings import for_kind


def parser(description: str | None, figure: str) -> argparse.ArgumentParser:
    """A parser with the folders of records, --runs, --out and what decides which curves enter."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("folders", nargs="*", type=Path, help="folders of records (default: the shipped ones)")
    made.add_argument("--runs", default="runs/glasses", type=Path, help="of trainings (default runs/glasses)")
    made.add_argument("--out", default=figure, help=f"figure (default {figure})")
    made.add_argument("--epochs", type=int, default=0,
                      help="of the autoencoders, trained where missing (default: as they are)")
    made.add_argument("--least-counts", type=float, default=LEAST_COUNTS, metavar="N",
                      help=f"expected pairs in the first shell that a curve needs (default {LEAST_COUNTS:g})")
    made.add_argument("--reach", type=float, default=REACH, help=f"Å, of the curves (default {REACH:g})")
    return made


def read(given: argparse.Namespace) -> tuple[Curves, list[str], Runs, Path]:
    """The curves that enter, lines on the others, the runs and the figure's path."""
    out = check_output(given.out)
    for_kind("", {"reach": given.reach, "least_counts": given.least_counts})  # the ranges of a training
    curves, left = gather(find(given.folders or [LIBRARY]), given.reach).with_enough(given.least_counts)
    if not len(curves):
        raise AnalysisError(f"no curve has more than {given.least_counts:g} expected pairs in its first shell; lower "
                            "--least-counts, or add seeds")
    if curves.left_out:
        print("records left out:\n  " + "\n  ".join(curves.left_out))
    seeds = curves.seeds
    print(f"{len(curves)} curves of {len(curves.known_pairs)} pairs in {len(set(curves.glass))} glasses, {seeds.min()} "
          f"to {seeds.max()} seeds")
    return curves, left, Runs(given.runs, given.epochs), out


def r_squared(true: NDArray[np.float64], guessed: NDArray[np.float64]) -> float:
    """Of all numbers together, as one scatter plot shows them."""
    return float(1 - ((true - guessed) ** 2).sum() / max(((true - true.mean()) ** 2).sum(), 1e-300))
