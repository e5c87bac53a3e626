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

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from hpctools import launcher
from hpctools.campaign import Campaign
from hpctools.glasses import design
from hpctools.glasses.campaign import campaign_of
from hpctools.world import World


def main() -> int:
    """Read the command line and submit."""
    parser = launcher.parser(__doc__)
    parser.add_argument("design", help="TOML file of glasses")
    parser.add_argument("--out", default="results/glasses", help="folder of the records (default results/glasses)")
    parser.add_argument("--jobs", type=int, default=8, help="blocks of glasses, a job each (default 8)")
    parser.add_argument("--retry", action="store_true", help="try glasses again that failed before")
    parser.add_argument("--keep", action="store_true", help="keep restart files and raw trajectories too")
    given = parser.parse_args()

    def campaign() -> Campaign:
        return campaign_of(design.read(given.design), Path(given.out), sys.argv)

    def commands() -> list[launcher.Command]:
        campaign().check_products(World())  # a wrong design ends here, not in the job
        words = ("campaign", given.design, "--out", given.out, *launcher.flags(given, "retry", "keep"))
        return launcher.blocks("hpctools.glasses", words,
                               min(given.jobs, len(design.read(given.design))))

    return launcher.launch(given, Path(given.out) / "jobs", commands, lambda: campaign().table())


if __name__ == "__main__":
    sys.exit(main())
