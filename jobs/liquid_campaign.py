"""Simulate the states of a design as a Slurm job array, each job a block of states, requeued until they are done.

    python jobs/liquid_campaign.py --dry-run                              the commands, nothing submitted
    python jobs/liquid_campaign.py --jobs 24 --minutes 240                the shipped library in 24 blocks
    python jobs/liquid_campaign.py design.toml --out library --jobs 4 --tasks 16
    python jobs/liquid_campaign.py --status                               states of the jobs and of the campaign

Each of a job's --tasks takes one state of the block at a time. Records are in --out, logs and the table of jobs in
OUT/jobs. A job that is preempted or runs out of time writes a checkpoint, exits with 75 and is requeued; a killed one
loses at most --checkpoint-seconds of work. Submitting the same again goes on as well; a finished state is never run
again. Site settings (environment, modules): slurm/site.sh. Start it in the top folder of hpctools.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from hpctools import launcher
from hpctools.liquids.run import campaign_of
from hpctools.world import World


def main() -> int:
    """Read the command line and submit."""
    parser = launcher.parser(__doc__)
    parser.add_argument("design", nargs="?", help="TOML file (default: the shipped library)")
    parser.add_argument("--out", default="results/liquids", help="folder of the records (default results/liquids)")
    parser.add_argument("--jobs", type=int, default=8, help="blocks of states, a job each (default 8)")
    parser.add_argument("--retry", action="store_true", help="try states again that failed before")
    parser.add_argument("--keep", action="store_true", help="keep the trajectories of finished states in OUT/runs/NAME")
    parser.add_argument("--checkpoint-seconds", type=float, default=60.0, metavar="S",
                        help="a kill loses at most this much work [s] (default 60)")
    given = parser.parse_args()

    def commands() -> list[launcher.Command]:
        # a wrong design ends here, not in the job
        campaign_of(given.design, Path(given.out), None, given.checkpoint_seconds).check_products(World())
        words = ("campaign", *([given.design] if given.design else []), "--out", given.out, "--checkpoint-seconds",
                 f"{given.checkpoint_seconds:g}", *launcher.flags(given, "retry", "keep"))
        return launcher.blocks("hpctools.liquids", words, given.jobs)

    return launcher.launch(given, Path(given.out) / "jobs", commands,
                           lambda: campaign_of(given.design, Path(given.out)).table())


if __name__ == "__main__":
    sys.exit(main())
