"""The command that runs a campaign: where it stands, processes on this machine, what is finished, the exit code."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from hpctools.campaign import DONE, ERROR_FILE, FAILED, RUNNING, Campaign, Task
from hpctools.config import ConfigError
from hpctools.folders import make_folder
from hpctools.stop import COMPLETE, ERROR, HELD, STOPPED, Stop, check_limits
from hpctools.world import PLACE, World

_WORKER = "HPCTOOLS_CAMPAIGN_WORKER"  # in processes that another one has started: which
_LAUNCHERS = ("PMI", "OMPI_", "HYDRA_")  # a started process must not take itself for its parent's MPI rank


def carry_out(campaign: Campaign, world: World, *, unit: str = "tasks", workers: int = 1,
              wall_time: float | None = None, margin: float = 30.0, keep_work: bool = False, retry: bool = False,
              dry_run: bool = False, finished: Callable[[Task, Path], None] | None = None) -> int:
    """A command that runs a campaign: says where it stands, runs it on all ranks or on so many processes of this
    machine (each the same command again), tells what is finished; returns the exit code, the same on all ranks:
    stop.HELD where tasks are left that other runners have, which no job is requeued for.

    Parameters
    ----------
    unit : what the tasks are called, in the plural.
    workers : processes; more than 1 only where there is one rank.
    wall_time, margin : minutes and seconds, see `Stop`.
    finished : called after each finished task.

    Raises config.ConfigError for workers under MPI, CampaignError where the folder holds products of other settings.
    """
    check_limits(wall_time, margin)
    if workers < 1:
        raise ConfigError(f"--workers {workers}; expected 1 or more")
    if workers > 1 and world.size > 1:
        raise ConfigError("--workers is for one process that starts others; under mpiexec each rank is a worker")
    first = is_first(world)
    if first:
        print(campaign.table(every=dry_run), flush=True)
    if dry_run:
        return COMPLETE
    make_folder(campaign.folder)  # before any process is started
    campaign.check_products(world)

    def tell(task: Task, product: Path) -> None:
        if finished is not None:
            finished(task, product)
        counts = campaign.summary()
        print(f"finished {task.name}: {counts[DONE]:.0f} of {len(campaign.tasks)} {unit}, about "
              f"{counts['remaining core-hours']:.1f} core-hours remain", flush=True)

    parent = int(os.environ[_WORKER]) if _WORKER in os.environ else None
    if parent is None:
        os.environ[PLACE] = str(world.local_rank)
    with Stop(wall_time, margin, ask_slurm=world.rank == 0, parent=parent) as stop:
        stop.deadline = world.bcast(stop.deadline)  # ranks do not meet between tasks, where they could agree
        children = _start_workers(workers - 1) if parent is None else []
        code = campaign.run(world, stop, keep_work=keep_work, retry=retry and parent is None, finished=tell)
        codes = [code, *_wait(children, stop)]
        code = STOPPED if STOPPED in codes else max(ERROR if c < 0 else c for c in codes)
        code = int(world.max(code))
        if parent is None:  # all is over, here and in the started processes
            counts = world.bcast(campaign.summary() if first else None)
            if counts[DONE] == len(campaign.tasks):
                code = COMPLETE
            elif code == COMPLETE:
                code = HELD
            if first:
                print(_ending(campaign, unit, code, counts, stop), flush=True)
    return code


def write_design(program: str, description: str, text: str, arguments: list[str]) -> int:
    """A command that writes the design of a shipped data set as a file, to be edited; returns the exit code.

    Raises config.ConfigError where the file cannot be written or is there already.
    """
    parser = argparse.ArgumentParser(f"{program} design", formatter_class=argparse.RawDescriptionHelpFormatter,
                                     description="Write the design of the shipped data set; edit it for your own.\n\n"
                                                 + description)
    parser.add_argument("file", type=Path, help="TOML file to write")
    path = parser.parse_args(arguments).file
    try:
        with open(path, "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise ConfigError(f"{path} exists already; expected a new file: remove it or choose another name") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}; expected a new file in a folder that is there"
                          ) from None
    print(path)
    return COMPLETE


def is_first(world: World) -> bool:
    """Is this the one of a campaign's processes that speaks for all?"""
    return world.rank == 0 and _WORKER not in os.environ


def _start_workers(number: int) -> list[subprocess.Popen[bytes]]:
    environ = {key: value for key, value in os.environ.items() if not key.startswith(_LAUNCHERS)}
    environ[_WORKER] = str(os.getpid())
    return [subprocess.Popen([sys.executable, *sys.orig_argv[1:]], env=environ | {PLACE: str(place)})
            for place in range(1, number + 1)]


def _wait(children: list[subprocess.Popen[bytes]], stop: Stop) -> list[int]:
    """Wait for the started processes, which are stopped where this one is; their exit codes."""
    told = False
    while any(child.poll() is None for child in children):
        if stop.requested and not told:
            told = True
            for child in children:
                child.terminate()
        time.sleep(0.2)
    for child in children:
        if child.returncode < 0:
            print(f"worker process {child.pid} was ended by signal {signal.Signals(-child.returncode).name}",
                  file=sys.stderr, flush=True)
    return [child.returncode for child in children]


def _ending(campaign: Campaign, unit: str, code: int, counts: dict[str, float], stop: Stop) -> str:
    left = len(campaign.tasks) - int(counts[DONE])
    if not left:
        return f"complete: all {len(campaign.tasks)} {unit} are in {campaign.folder}"
    if code == HELD:
        return (f"{left} {unit} are left, {counts[RUNNING]:.0f} of them in the hands of other runners; wait for them, "
                "or run the same command again later")
    if code == STOPPED:
        reason = stop.reason or "another process"
        return f"stopped ({reason}) with {left} {unit} left; run the same command again: it goes on"
    if counts[FAILED]:
        return (f"{counts[FAILED]:.0f} {unit} failed, see {campaign.folder}/runs/NAME/{ERROR_FILE}; "
                "--retry tries them again")
    return f"{left} {unit} are left; run the same command again: it goes on"
