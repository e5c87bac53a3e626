"""Train the networks of the TNM part as Slurm jobs, which are requeued until they are done.

    python jobs/tnm_train.py --dry-run                                    the commands, nothing submitted
    python jobs/tnm_train.py --models MCNN-C --gpus 4 --minutes 60        one job, a rank a GPU
    python jobs/tnm_train.py --models all --gpus 1 --minutes 10           an array of all models, in pieces of 10 min
    python jobs/tnm_train.py --models MCNN-C --tasks 2 --every 20 --stride-x 4 --stride-beta 4 --epochs 20
    python jobs/tnm_train.py --status                                     what has become of them

Options that are not listed here go to `python -m hpctools.tnm train`, whose --help explains them. Results are in
runs/MODEL (--runs), logs and the table of jobs in runs/jobs. Site settings (environment, modules): slurm/site.sh;
account and partition: SBATCH_ACCOUNT and SBATCH_PARTITION, or options. Start it in the top folder of hpctools.

A job that is preempted or runs out of time writes a checkpoint, exits with 75 and is requeued; a killed one loses at
most --checkpoint-minutes of work. Submitting the same again goes on as well.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from hpctools import config, launcher
from hpctools.submission import Command, SubmissionError
from hpctools.tnm.learning_settings import MODELS, TrainJob


def main() -> int:
    """Read the command line and submit."""
    parser = launcher.parser(__doc__)
    parser.add_argument("--models", nargs="+", default=["MCNN-C"], metavar="MODEL", choices=[*MODELS, "all"],
                        help=f"all, or some of {', '.join(MODELS)} (default MCNN-C)")  # fmt: skip
    parser.add_argument("--runs", default="runs", help="folder of the results (default runs)")
    given, rest = parser.parse_known_args()
    models = list(MODELS) if "all" in given.models else given.models
    return launcher.launch(given, Path(given.runs) / "jobs",
                           lambda: [command(model, f"{given.runs}/{model}", rest) for model in models])


def command(model: str, out: str, options: list[str]) -> Command:
    """The training of a model; wrong options end here, not in the job."""
    check = argparse.ArgumentParser("python -m hpctools.tnm train", add_help=False)
    check.add_argument("--config")
    config.add_arguments(check, TrainJob)
    found = check.parse_args(options)
    if hasattr(found, "model") or hasattr(found, "out"):
        raise SubmissionError("--model and --out are set by this script: choose --models and --runs")
    config.from_arguments(TrainJob, found, found.config)
    return Command(model, "hpctools.tnm.__main__", ("train", "--model", model, "--out", out, *options))


if __name__ == "__main__":
    sys.exit(main())
