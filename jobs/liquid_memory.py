"""Memory functions of all states of a library as a Slurm job array, each job a block of states, requeued until done.

    python jobs/liquid_memory.py --dry-run                            the commands, nothing submitted
    python jobs/liquid_memory.py --jobs 4 --tasks 4 --minutes 60      the shipped library in 4 blocks
    python jobs/liquid_memory.py results/liquids --out memory --jobs 4
    python jobs/liquid_memory.py --status                             states of the jobs and of the campaign

Each of a job's --tasks takes one state of the block at a time, about 45 s of a core. Results are in --out, logs and the
table of jobs in OUT/jobs. A job that is preempted or runs out of time keeps its finished restarts, exits with 75 and is
requeued; a killed one loses a few seconds of work. Submitting the same again goes on as well; a finished state is never
done again. Site settings (environment, modules): slurm/site.sh. Start it in the top folder of hpctools.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from hpctools import config, launcher
from hpctools.campaign import Campaign
from hpctools.liquids.memory.job import campaign_of, check_settings
from hpctools.liquids.memory.settings import MemorySettings


def main() -> int:
    """Read the command line and submit."""
    parser = launcher.parser(__doc__)
    parser.add_argument("folders", nargs="*", help="folders of records (default: the shipped library)")
    parser.add_argument("--out", default="results/memory", help="folder of the results (default results/memory)")
    parser.add_argument("--jobs", type=int, default=4, help="blocks of states, a job each (default 4)")
    parser.add_argument("--retry", action="store_true", help="try states again that failed before")
    config.add_arguments(parser, MemorySettings)
    given = parser.parse_args()

    def planned() -> tuple[Campaign, MemorySettings]:
        settings = config.from_arguments(MemorySettings, given)
        return campaign_of(given.folders, Path(given.out), settings), settings

    def commands() -> list[launcher.Command]:
        # a folder without records, or with results of other settings, ends here, not in the job
        check_settings(*planned())
        words = ("memory", "--all", *given.folders, "--out", given.out,
                 *launcher.flags(given, "retry"), *config.options_of(MemorySettings, given))
        return launcher.blocks("hpctools.liquids", words, given.jobs)

    return launcher.launch(given, Path(given.out) / "jobs", commands, lambda: planned()[0].table())


if __name__ == "__main__":
    sys.exit(main())
