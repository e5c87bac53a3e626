"""Train models from S(k) to F_s(k_p,t) as Slurm jobs, which are requeued until they are done.

    python jobs/liquid_train.py --dry-run                                  the commands, nothing submitted
    python jobs/liquid_train.py --models mlp --steps 20000 --gpus 4        one job, a rank a GPU
    python jobs/liquid_train.py --models mlp mlp/zeroed gp monotone --minutes 60
    python jobs/liquid_train.py --models mlp --tasks 2 --data results/library
    python jobs/liquid_train.py --status                                   what has become of them

A model is MODEL or MODEL/INPUTS. Options that are not listed here go to `python -m hpctools.liquids train`, whose
--help explains them. Results are in runs/liquid-MODEL-INPUTS (--runs), logs and the table of jobs in runs/jobs. Site
settings (environment, modules): slurm/site.sh; account and partition: SBATCH_ACCOUNT and SBATCH_PARTITION, or options.
Start it in the top folder of hpctools.

A job that is preempted or runs out of time writes a checkpoint, exits with 75 and is requeued; a killed one loses at
most --checkpoint-minutes of work. Submitting the same again goes on as well.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from hpctools import config, launcher
from hpctools.liquids.network.settings import TrainJob, parsed
from hpctools.submission import Command, SubmissionError


def main() -> int:
    """Read the command line and submit."""
    parser = launcher.parser(__doc__)
    parser.add_argument("--models", nargs="+", default=["mlp"], metavar="MODEL",
                        help="MODEL or MODEL/INPUTS (default mlp, the paper's network)")
    parser.add_argument("--runs", default="runs", help="folder of the results (default runs)")
    given, rest = parser.parse_known_args()
    return launcher.launch(given, Path(given.runs) / "jobs", lambda: commands(given.models, given.runs, rest))


def commands(models: Sequence[str], runs: str, options: list[str]) -> list[Command]:
    """The trainings of some models, each in a folder of its own."""
    found = [command(name, runs, options) for name in models]
    names = [one.name for one in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise SubmissionError(f"--models {' '.join(models)}: {twice[0]} stands there {names.count(twice[0])} times; "
                              "expected each model once, since two jobs would write to the same folder")
    return found


def command(name: str, runs: str, options: list[str]) -> Command:
    """The training of a model; wrong options end here, not in the job."""
    model, inputs = parsed(name)
    check = argparse.ArgumentParser("python -m hpctools.liquids train", add_help=False)
    check.add_argument("--config")
    config.add_arguments(check, TrainJob)
    found = check.parse_args(options)
    if any(hasattr(found, key) for key in ("model", "inputs", "out")):
        raise SubmissionError("--model, --inputs and --out are set by this script: choose --models and --runs")
    config.from_arguments(TrainJob, found, found.config)
    words = ("train", "--model", model, "--inputs", inputs, "--out", f"{runs}/liquid-{model}-{inputs}", *options)
    return Command(f"liquid-{model}-{inputs}", "hpctools.liquids.__main__", words)


if __name__ == "__main__":
    sys.exit(main())
