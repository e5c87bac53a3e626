"""Make the glasses of a design as a Slurm job array, each job a block of glasses, requeued until they are done.

    python jobs/glass_campaign.py glasses.toml --dry-run                  the commands, nothing submitted
    python jobs/glass_campaign.py glasses.toml --jobs 24 --minutes 240    in 24 blocks
    python jobs/glass_campaign.py glasses.toml --out results/glasses --jobs 4 --tasks 16
    python jobs/glass_campaign.py glasses.toml --status                   states of the jobs and of the campaign

Each of a job's --tasks makes one glass of the block at a time. Records are in --out, logs and the table of jobs in
OUT/jobs. A job that is preempted or runs out of time writes restart files, exits with 75 and is requeued; a killed one
loses at most the work since the last restart file (restart_time of the protocol). Submitting the same again goes on as
well; a finished glass is never made again. A design to begin with: python -m hpctools.glasses design glasses.toml.
Site settings (environment, modules): slurm/site.sh. Start it in the top folder of hpctools.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from hpctools import config, stop, submission
from hpctools.glasses import design
from hpctools.glasses.campaign import campaign_of
from hpctools.submission import Command, Resources, SubmissionError


def main() -> int:
    """Read the command line and submit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
                                     allow_abbrev=False)  # fmt: skip
    parser.add_argument("design", help="TOML file of glasses")
    parser.add_argument("--out", default="results/glasses", help="folder of the records (default results/glasses)")
    parser.add_argument("--jobs", type=int, default=8, help="blocks of glasses, a job each (default 8)")
    parser.add_argument("--dry-run", action="store_true", help="print the commands of the jobs and stop")
    parser.add_argument("--status", action="store_true", help="print the states of jobs and campaign and stop")
    parser.add_argument("--wait", action="store_true", help="wait until all submitted jobs have ended")
    config.add_arguments(parser, Resources)
    given = parser.parse_args()
    folder = Path(given.out) / "jobs"
    try:
        campaign = campaign_of(design.read(given.design), Path(given.out), sys.argv)
        if given.status:
            print(submission.status_text(folder))
            print(campaign.table())
            return stop.COMPLETE
        commands = blocks(given.design, given.out, given.jobs)
        if given.dry_run:
            print("\n".join(one.text for one in commands))
            return stop.COMPLETE
        for one, job in zip(commands, submission.submit(commands, folder, config.from_arguments(Resources, given))):
            print(f"job {job}: {one.text}")
        print(f"logs: {folder}; states: python jobs/glass_campaign.py {given.design} --out {given.out} --status")
        if given.wait and not submission.wait(folder):
            print(submission.status_text(folder))
            return stop.ERROR
    except Exception as error:
        if not getattr(error, "user_error", False):
            raise
        print(f"error: {error}", file=sys.stderr)
        return stop.USAGE
    return stop.COMPLETE


def blocks(path: str, out: str, jobs: int) -> list[Command]:
    """One command a block. Every n-th glass is in a block, so that each has large and small ones."""
    if jobs < 1:
        raise SubmissionError(f"--jobs {jobs}; expected 1 or more")
    return [Command(f"block-{block}", "hpctools.glasses.__main__",
                    ("campaign", path, "--out", out, "--share", f"{block}/{jobs}"))
            for block in range(1, jobs + 1)]  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
