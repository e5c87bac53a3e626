"""Train models of glasses as a Slurm job array: each fold of the judgement is a job, requeued until it is done.

    python jobs/glass_train.py --dry-run                                   the commands, nothing submitted
    python jobs/glass_train.py --gpus 1 --minutes 10                       the autoencoder: all curves and nine folds
    python jobs/glass_train.py --folds all glass-1 --epochs 100 --records results/glasses
    python jobs/glass_train.py --kind mean-force --folds all               the file for `predict`, with its intervals
    python jobs/glass_train.py --status                                    what has become of them

Options that are not listed here go to `python -m hpctools.glasses train`, whose --help explains them. Results are in
runs/glasses/KIND/FOLD (--runs), where analysis/glass_judgement.py finds those of the autoencoder; logs and the table of
jobs in runs/glasses/jobs. Site settings (environment, modules): slurm/site.sh; account and partition: SBATCH_ACCOUNT
and SBATCH_PARTITION, or options. Start it in the top folder of hpctools.

A job that is preempted or runs out of time writes a checkpoint, exits with 75 and is requeued; a killed one loses at
most --checkpoint-minutes of work. Submitting the same again goes on as well. Folds that the records do not have, such
as a dopant that none contains, are named and left out.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from hpctools import config, launcher
from hpctools.glasses import splits
from hpctools.glasses.learning import check, data_of
from hpctools.glasses.learning_commands import settings_of
from hpctools.glasses.learning_settings import FOLDS, KINDS, GlassTraining, folder_name
from hpctools.submission import Command, SubmissionError


def main() -> int:
    """Read the command line and submit."""
    parser = launcher.parser(__doc__)
    parser.add_argument("--kind", choices=KINDS, default="autoencoder", help="of the models (default autoencoder)")
    parser.add_argument("--folds", nargs="+", choices=FOLDS, metavar="FOLD",
                        help=f"some of {', '.join(FOLDS)} (default: those of these that the records have)")  # fmt: skip
    parser.add_argument("--runs", default="runs/glasses", help="folder of the results (default runs/glasses)")
    given, rest = parser.parse_known_args()
    return launcher.launch(given, Path(given.runs) / "jobs", lambda: commands(given, rest))


def commands(given: argparse.Namespace, options: Sequence[str]) -> list[Command]:
    """A training for each fold; wrong options end here, not in the job."""
    parser = argparse.ArgumentParser("python -m hpctools.glasses train", add_help=False)
    parser.add_argument("--config")
    config.add_arguments(parser, GlassTraining)
    found = parser.parse_args(options)
    if hasattr(found, "fold") or hasattr(found, "out"):
        raise SubmissionError("--fold and --out are set by this script: choose --folds and --runs")
    found.kind = given.kind
    settings = settings_of(found)
    curves, _ = data_of(settings)
    made = []
    for name in given.folds or (FOLDS if given.kind != "gaussian-process" else FOLDS[:1]):
        try:
            splits.fold(curves, name)
        except splits.SplitError as error:
            if given.folds:
                raise
            print(f"left out: {error}", file=sys.stderr)
            continue
        check(given.kind, replace(settings, fold=name))
        out = f"{given.runs}/{folder_name(given.kind, name, settings.encoding)}"
        words = ("train", given.kind, "--fold", name, "--out", out, *options)
        made.append(Command(f"{given.kind}-{name}", "hpctools.glasses.__main__", words))
    if not made:
        raise SubmissionError("no fold is left: add glasses")
    return made


if __name__ == "__main__":
    sys.exit(main())
