"""`python -m hpctools.glasses`: make glasses, one or a whole design."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from hpctools import command_line, config, stop, world

from . import learning_commands
from .protocol import PROTOCOLS

HELP = """Melt-quench simulations of oxide glasses, and their pair correlation functions, simulated and predicted.

    python -m hpctools.glasses quench --composition 60SiO2-20B2O3-20Na2O --protocol fast
    python -m hpctools.glasses design glasses.toml          the design of the shipped data set
    python -m hpctools.glasses campaign glasses.toml --out results/glasses --workers 2
    python -m hpctools.glasses status glasses.toml --out results/glasses
    python -m hpctools.glasses show results/glasses/SiO2_s1.h5
    python -m hpctools.glasses train gaussian-process --records results/glasses
    python -m hpctools.glasses predict --composition 60SiO2-20B2O3-20Na2O --pair Si-O

Each command has --help. Work can be stopped (signals USR1, USR2, TERM, INT; the end of a Slurm job; --wall-time) or
killed, and goes on when the same command is run again. Exit codes: 0 complete, 75 stopped with work left, 2 usage,
1 error.
"""

QUENCH = """Make one glass: melt, quench, relax, measure.

    python -m hpctools.glasses quench --composition 60SiO2-20B2O3-20Na2O --dry-run
    python -m hpctools.glasses quench --composition 80SiO2-20BaO --protocol fast --seed 2 --out results/ba
    mpiexec -n 8 python -m hpctools.glasses quench --composition SiO2 --atoms 10000 --out results/large

Settings come from the command line, else from --config FILE (TOML, keys as the options with underscores), else from
the protocol. The folder --out holds the run, and record.h5 when it is finished; its trajectories (*.lammpstrj) open
in OVITO. Under mpiexec all ranks share the one glass.

Protocols:
    standard   3500 K for 20 ps, 25 K/ps, NPT 10 ps, production 20 ps; steps of 2 fs until the glass is cold, then 1 fs
    fast       for small machines: 3500 K for 10 ps, 100 K/ps, NPT 5 ps, production 10 ps
    slow       standard at 5 K/ps
    fine       standard with steps of 1 fs throughout
    paper      arXiv:2308.11151: from PACKMOL, 5000 K for 10 ns, 0.4 K/ps, steps of 1 fs; NPT and production 1 ns each
"""

CAMPAIGN = """Make all glasses of a design file, one process a glass.

    python -m hpctools.glasses campaign glasses.toml --out results/glasses --dry-run
    python -m hpctools.glasses campaign glasses.toml --out results/glasses --workers 2
    mpiexec -n 64 python -m hpctools.glasses campaign glasses.toml --out results/glasses

Any number of runners may work in one folder at the same time, on one machine or on many: each takes a glass that
nobody else has. Finished glasses are never made again; interrupted ones go on.
"""

_RAW = argparse.RawDescriptionHelpFormatter


def quench_command(arguments: list[str]) -> int:
    """One glass."""
    from .job import QuenchJob, from_arguments

    parser = argparse.ArgumentParser("python -m hpctools.glasses quench", description=QUENCH, formatter_class=_RAW)
    parser.add_argument("--config", metavar="FILE", help="TOML file with settings")
    parser.add_argument("--protocol", choices=PROTOCOLS, help="named settings (default standard)")
    parser.add_argument("--out", metavar="FOLDER", help="folder of the run (default results/NAME)")
    _add_run_options(parser)
    config.add_arguments(parser, QuenchJob)
    given = parser.parse_args(arguments)
    ranks = world.start()
    job = from_arguments(given, given.config)
    from . import single

    return single.run(job, given.out, ranks, sys.argv, given.wall_time, given.margin, given.dry_run)


def campaign_command(arguments: list[str]) -> int:
    """A design."""
    parser = argparse.ArgumentParser("python -m hpctools.glasses campaign", description=CAMPAIGN, formatter_class=_RAW)
    parser.add_argument("design", help="TOML file of glasses (see: python -m hpctools.glasses design --help)")
    parser.add_argument("--out", default="results/glasses", help="folder of the campaign (default results/glasses)")
    parser.add_argument("--workers", type=int, default=1, help="processes on this machine, without MPI (default 1)")
    parser.add_argument("--share", metavar="I/N", help="take only part I of N of the glasses, as one job of an array")
    parser.add_argument("--retry", action="store_true", help="try glasses again that failed before")
    parser.add_argument("--keep", action="store_true", help="keep restart files and raw trajectories too")
    _add_run_options(parser)
    given = parser.parse_args(arguments)
    ranks = world.start()
    from hpctools.campaign import share_of
    from hpctools.campaign_command import carry_out, is_first

    from . import campaign, design

    glasses = share_of(design.read(given.design), given.share)
    if not glasses:
        if is_first(ranks):
            print(f"complete: no glasses in this share ({given.share})")
        return stop.COMPLETE
    made = campaign.campaign_of(glasses, Path(given.out), sys.argv)
    if is_first(ranks):
        print(campaign.plan_text(made, glasses, max(ranks.size, given.workers)), flush=True)
    return carry_out(made, ranks, unit="glasses", workers=given.workers, wall_time=given.wall_time,
                     margin=given.margin, keep_work=given.keep, retry=given.retry, dry_run=given.dry_run)


def status_command(arguments: list[str]) -> int:
    """Where a campaign stands."""
    parser = argparse.ArgumentParser("python -m hpctools.glasses status", description="Where a campaign stands.")
    parser.add_argument("design")
    parser.add_argument("--out", default="results/glasses", help="folder of the campaign (default results/glasses)")
    parser.add_argument("--json", action="store_true", help="for programs")
    given = parser.parse_args(arguments)
    from hpctools.campaign import to_json

    from . import campaign, design

    made = campaign.campaign_of(design.read(given.design), Path(given.out), sys.argv)
    print(to_json(made) if given.json else made.table())
    return stop.COMPLETE


def design_command(arguments: list[str]) -> int:
    """The shipped design as a file."""
    from hpctools.campaign_command import write_design

    from . import design

    return write_design("python -m hpctools.glasses", design.__doc__ or "", design.shipped_toml(), arguments)


def show_command(arguments: list[str]) -> int:
    """What a record says."""
    parser = argparse.ArgumentParser("python -m hpctools.glasses show", description="Structure of finished glasses.")
    parser.add_argument("records", nargs="+", help="record files")
    given = parser.parse_args(arguments)
    from . import record

    for path in given.records:
        print(record.summary(record.read(path)))
    return stop.COMPLETE


def _add_run_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--wall-time", type=float, metavar="MINUTES", help="stop cleanly after this time")
    parser.add_argument("--margin", type=float, default=60.0, metavar="SECONDS",
                        help="time kept for closing before the wall time (default 60)")
    parser.add_argument("--dry-run", action="store_true", help="print the plan and stop")


class FileError(OSError):
    """A file or folder that cannot be used."""

    user_error = True
    exit_code = stop.USAGE


def _with_files(command: command_line.Command) -> command_line.Command:
    """The command, with files and folders that cannot be used as a mistake of the user's."""
    def carried(arguments: list[str]) -> int:
        try:
            return command(arguments)
        except OSError as error:
            if error.filename is None or isinstance(error, BrokenPipeError):
                raise
            raise FileError(f"{error.filename} cannot be used: {error.strerror}; choose another file or folder"
                            ) from error
    return carried


COMMANDS = {"quench": quench_command, "campaign": campaign_command, "status": status_command,
            "design": design_command, "show": show_command, **learning_commands.COMMANDS}  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    return command_line.main({name: _with_files(one) for name, one in COMMANDS.items()}, HELP, arguments)


if __name__ == "__main__":
    sys.exit(main())
