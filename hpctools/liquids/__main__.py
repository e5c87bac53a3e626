"""`python -m hpctools.liquids`: simulate states of binary mixtures, one or many."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from hpctools import command_line, config, stop, world

from .memory.command import memory_command
from .network import commands as network_commands
from .observation import Observation
from .state import State

OVERVIEW = """Molecular dynamics of binary mixtures (Kob-Andersen Lennard-Jones and WCA), their structure and dynamics.

    python -m hpctools.liquids run --potential LJ --density 1.2 --temperature 0.8 --out results/liquids
    python -m hpctools.liquids campaign --out results/library --workers 2
    python -m hpctools.liquids design liquids.toml
    mpiexec -n 64 python -m hpctools.liquids campaign liquids.toml --out library
    python -m hpctools.liquids predict --structure S.csv --temperature 0.8 --density 1.2
    python -m hpctools.liquids status --out results/library

commands:
    run         one state: equilibrate, produce, analyse; a record NAME.h5 in the folder --out
    design      the design of the shipped library as a file, to be edited
    campaign    all states of a design, one a rank or process at a time; can be stopped and goes on
    status      what of a campaign is done, running, waiting, and how many core-hours remain
    observe     measure a trajectory that was kept, on any number of ranks
    train       a model from S(k), T and ρ to F_s(k_p,t), on the shipped records or one's own
    trials      many models, tested on states, temperatures and a potential that they have not seen
    predict     F_s(k_p,t) with a 90 % band from S(k) of one's own
    memory      memory functions of a state, of a curve in a CSV file, or of all states of a library

`COMMAND --help` lists its options. All quantities are in Lennard-Jones units: σ_AA, ε_AA, k_B = 1, τ_LJ.
Exit codes: 0 complete, 75 stopped with work left (run the same command again), 2 usage, 1 error.
"""

RUN = """Simulate one state and write its record.

Melts, equilibrates in NVT until a clock has counted enough structural relaxations, goes on in NVE at the mean energy,
keeps frames at block-logarithmic times in a GSD trajectory (OVITO reads it), and writes S(k), F_s(k,t), g(r), MSD,
energies and their errors to OUT/NAME.h5. A run that failed or was cut off, by kill -9 too, goes on when the same
command is given again. A record that is there already counts as this state if it is whole and of the same settings.
"""

CAMPAIGN = """Simulate all states of a design; without a design the states of the shipped library.

Any number of ranks, processes and jobs can work in the same folder at the same time; each takes one state at a time.
A finished state is never run again. The design is a TOML file such as this:

    [settings]                                # of all states, if wanted: options of `run`, with underscores
    box_length = 10.0
    [[states]]                                # one or more; each is the product of its lists
    potentials = ["LJ", "WCA"]                # default ["LJ"]
    densities = [1.2, 1.4]                    # in σ_AA⁻³; default [1.2]
    relative_temperatures = [0.6, 1.0, 2.0]   # in T_mct; or temperatures = [0.5, 1.0], in ε_AA/k_B
    max_temperature = 15.0                    # leave out what is warmer [ε_AA/k_B]; default: nothing
    seeds = [1, 2]                            # default [1]
    protocol = "liquid"                       # or "glass"; default "liquid"
    settings = { blocks = 32 }                # of these states, before those of all

`design FILE` writes that of the shipped library; --dry-run lists the states of a design.
"""

STATUS = """State of a campaign: how many states are done, and a line for each other one.

Finished states have a line where there is something to say of them: not in equilibrium (too short, or S(k) or F_s
differ between the halves of the run), crystallised, mean temperature off the label or drift of the energy by more than
0.3 %, U or P that differ between the halves by more than three standard errors.
"""

OBSERVE = """Measure a trajectory and write its record: S(k), F_s(k,t), g(r), MSD, energies and their errors.

    mpiexec -n 4 python -m hpctools.liquids observe results/liquids/runs/NAME/trajectory.gsd record.h5

Each rank reads its share of the frames; the record is the same for any number of ranks. It lacks what only the run
knows (potential, seed, equilibration, flags).
"""


def _parser(command: str, text: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(f"python -m hpctools.liquids {command}", description=text,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="results/liquids", help="folder of the records (default results/liquids)")
    return parser


def _add_limits(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--wall-time", type=float, metavar="MIN", help="stop cleanly after this time [min]")
    parser.add_argument("--keep", action="store_true", help="keep the trajectory of a finished state in OUT/runs/NAME")
    parser.add_argument("--checkpoint-seconds", type=float, default=60.0, metavar="S",
                        help="a kill loses at most this much work [s] (default 60)")
    parser.add_argument("--dry-run", action="store_true", help="print the plan and stop")


def run_command(arguments: list[str]) -> int:
    """One state."""
    parser = _parser("run", RUN)
    parser.add_argument("--config", metavar="FILE", help="TOML file with settings")
    _add_limits(parser)
    config.add_arguments(parser, State)
    given = parser.parse_args(arguments)
    state = config.from_arguments(State, given, given.config)
    stop.check_limits(given.wall_time)
    ranks = world.start()
    if ranks.size > 1:
        raise config.ConfigError(f"run simulates one state on one rank, found {ranks.size} ranks; expected a start "
                                 "without mpiexec. Many states on many ranks: campaign; a trajectory measured by many "
                                 "ranks: observe")
    from hpctools.campaign import Campaign

    from . import engines
    from .run import plan_text, task, tell_remarks

    job = task(state, checkpoint_seconds=given.checkpoint_seconds)
    campaign = Campaign(Path(given.out), [job])
    if given.dry_run:
        print(plan_text(state, campaign.product(job)))
        return stop.COMPLETE
    campaign.check_products(ranks)
    if campaign.product(job).exists():
        print(f"{campaign.product(job)} is complete already: nothing to do")
        return stop.COMPLETE
    print(f"{state.name}, engine {engines.choose(state.engine).NAME}", flush=True)
    tell_remarks([state])
    with stop.Stop(given.wall_time, 30.0) as stopping:
        code = campaign.run(ranks, stopping, keep_work=given.keep, retry=True)
        if code == stop.STOPPED:
            print(f"stopped ({stopping.reason}) with work left; run the same command again: it goes on")
    if campaign.product(job).exists():
        print(f"complete: {campaign.product(job)}")
    elif code == stop.COMPLETE:  # nothing was left to take
        holder = campaign.rows()[0].note or "another process, which has just ended"
        print(f"{state.name} is in the hands of {holder}; wait for it, or run the same command again later",
              file=sys.stderr)
        return stop.HELD
    return code


def campaign_command(arguments: list[str]) -> int:
    """All states of a design."""
    parser = _parser("campaign", CAMPAIGN)
    parser.add_argument("design", nargs="?", help="TOML file (default: the shipped library)")
    parser.add_argument("--workers", type=int, default=1, help="processes on this machine, without MPI (default 1)")
    parser.add_argument("--share", metavar="I/N", help="take only part I of N of the states, as one job of an array")
    parser.add_argument("--retry", action="store_true", help="try states again that failed before")
    _add_limits(parser)
    given = parser.parse_args(arguments)
    ranks = world.start()
    from .run import run_campaign

    return run_campaign(given.design, Path(given.out), ranks, workers=given.workers, share=given.share,
                        wall_time=given.wall_time, keep=given.keep, retry=given.retry,
                        checkpoint_seconds=given.checkpoint_seconds, dry_run=given.dry_run)


def design_command(arguments: list[str]) -> int:
    """The shipped design as a file."""
    from hpctools.campaign_command import write_design

    from . import design

    text = design.SHIPPED.read_text(encoding="utf-8")
    return write_design("python -m hpctools.liquids", design.__doc__ or "", text, arguments)


def status_command(arguments: list[str]) -> int:
    """What is done and what is left."""
    parser = _parser("status", STATUS)
    parser.add_argument("design", nargs="?", help="TOML file (default: the shipped library)")
    parser.add_argument("--json", action="store_true", help="for programs")
    given = parser.parse_args(arguments)
    from hpctools.campaign import to_json

    from .run import campaign_of

    out = Path(given.out)
    campaign = campaign_of(given.design, out)
    if not out.is_dir():
        found = "is a file" if out.exists() else "no such folder"
        raise config.ConfigError(f"--out {out}: {found}; expected the folder of a campaign (`campaign --dry-run` shows "
                                 "one that was not begun)")
    print(to_json(campaign) if given.json else campaign.table())
    if others := {path.stem for path in out.glob("*.h5")} - {task.name for task in campaign.tasks}:
        print(f"{out} holds NAME.h5 of states that are not of this design: {len(others)}, such as {min(others)}",
              file=sys.stderr)
    return stop.COMPLETE


def observe_command(arguments: list[str]) -> int:
    """A record from a trajectory."""
    parser = argparse.ArgumentParser("python -m hpctools.liquids observe", description=OBSERVE,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trajectory", help="GSD file written by `run --keep`")
    parser.add_argument("out", help="the record, an HDF5 file that must not exist yet")
    parser.add_argument("--backend", default="", choices=("cpu", "cuda", "host"),
                        help="of S(k) and F_s (default: HPCTOOLS_SCATTERING_BACKEND, else cuda where a device is, "
                        "else cpu)")
    config.add_arguments(parser, Observation)
    given = parser.parse_args(arguments)
    ranks = world.start()
    from .observe import observe

    record = observe(given.trajectory, given.out, world=ranks, settings=config.from_arguments(Observation, given),
                     backend=given.backend, show=True)
    if record is not None:
        print(record.path)
    return stop.COMPLETE


COMMANDS = {"run": run_command, "design": design_command, "campaign": campaign_command, "status": status_command,
            "observe": observe_command, **network_commands.COMMANDS, "memory": memory_command}


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    return command_line.main(COMMANDS, OVERVIEW, arguments)


if __name__ == "__main__":
    sys.exit(main())
