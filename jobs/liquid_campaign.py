"""Simulate the states of a design as a Slurm job array, each job a block of states, requeued until they are done.

    python jobs/liquid_campaign.py --dry-run                              the commands, nothing submitted
    python jobs/liquid_campaign.py --jobs 24 --minutes 240                the shipped library in 24 blocks
    python jobs/liquid_campaign.py design.toml --out library --jobs 4 --tasks 16
    python jobs/liquid_campaign.py --status                               states of the jobs and of the campaign

Each of a job's --tasks takes one state of the block at a time. Records are in --out, logs and the table of jobs in
OUT/jobs. A job that is preempted or runs out of time writes a checkpoint, exits with 75 and is requeued; a killed one
loses at most a minute of work. Submitting the same again goes on as well; a finished state is never run again. Site
settings (environment, modules): slurm/site.sh. Start it in the top folder of hpctools.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from hpctools import config, stop, submission
from hpctools.campaign import CampaignError
from hpctools.liquids.mixture import MixtureError
from hpctools.liquids.run import campaign_of
from hpctools.liquids.state import StateError
from hpctools.submission import Command, Resources, SubmissionError


def main() -> int:
    """Read the command line and submit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
                                     allow_abbrev=False)  # fmt: skip
    parser.add_argument("design", nargs="?", help="TOML file (default: the shipped library)")
    parser.add_argument("--out", default="results/liquids", help="folder of the records (default results/liquids)")
    parser.add_argument("--jobs", type=int, default=8, help="blocks of states, a job each (default 8)")
    parser.add_argument("--dry-run", action="store_true", help="print the commands of the jobs and stop")
    parser.add_argument("--status", action="store_true", help="print the states of jobs and campaign and stop")
    parser.add_argument("--wait", action="store_true", help="wait until all submitted jobs have ended")
    config.add_arguments(parser, Resources)
    given = parser.parse_args()
    folder = Path(given.out) / "jobs"
    try:
        campaign = campaign_of(given.design, Path(given.out))
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
        print(f"logs: {folder}; states: python jobs/liquid_campaign.py --out {given.out} --status")
        if given.wait and not submission.wait(folder):
            print(submission.status_text(folder))
            return stop.ERROR
    except (SubmissionError, CampaignError, config.ConfigError, StateError, MixtureError) as error:
        print(f"error: {error}", file=sys.stderr)
        return stop.USAGE
    return stop.COMPLETE


def blocks(design: str | None, out: str, jobs: int) -> list[Command]:
    """One command a block. Every n-th state is in a block, so that each has warm and cold ones."""
    if jobs < 1:
        raise SubmissionError(f"--jobs {jobs}; expected 1 or more")
    first = ("campaign", *([design] if design else []), "--out", out, "--share")
    return [Command(f"block-{block}", "hpctools.liquids.__main__", (*first, f"{block}/{jobs}"))
            for block in range(1, jobs + 1)]


if __name__ == "__main__":
    sys.exit(main())
