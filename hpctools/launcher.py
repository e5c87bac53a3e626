"""What the scripts in jobs/ have in common: their options, and submitting, following and waiting for jobs."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from hpctools import command_line, config, stop, submission
from hpctools.submission import Command, Resources, SubmissionError


def parser(description: str) -> argparse.ArgumentParser:
    """A parser with --dry-run, --status, --wait and the options of `Resources`."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter,
                                   allow_abbrev=False)
    made.add_argument("--dry-run", action="store_true", help="print the commands of the jobs and stop")
    made.add_argument("--status", action="store_true", help="print what has become of the jobs and stop")
    made.add_argument("--wait", action="store_true", help="wait until all submitted jobs have ended")
    config.add_arguments(made, Resources)
    return made


def launch(given: argparse.Namespace, folder: Path, commands: Callable[[], Sequence[Command]],
           further_status: Callable[[], str] | None = None) -> int:
    """Do what the options ask for; the exit code. Mistakes of the user end it with one line.

    given : parsed by `parser`.
    folder : of logs and of the table of jobs.
    commands : makes the jobs' commands, and finds mistakes before anything is submitted.
    further_status : what --status prints after the states of the jobs.
    """
    return command_line.carry_out(lambda: _launch(given, folder, commands, further_status))


def _launch(given: argparse.Namespace, folder: Path, commands: Callable[[], Sequence[Command]],
            further_status: Callable[[], str] | None) -> int:
    if given.status:
        print(submission.status_text(folder))
        if further_status is not None:
            print(further_status())
        return stop.COMPLETE
    made = commands()
    if given.dry_run:
        print("\n".join(one.text for one in made))
        return stop.COMPLETE
    ids = submission.submit(made, folder, config.from_arguments(Resources, given))
    for one, job in zip(made, ids, strict=True):
        print(f"job {job}: {one.text}")
    print(f"logs: {folder}; states: the same command with --status")
    if given.wait and not submission.wait(folder):
        print(submission.status_text(folder))
        return stop.ERROR
    return stop.COMPLETE


def flags(given: argparse.Namespace, *names: str) -> list[str]:
    """Those of the options without a value that were given, as words for another command line."""
    return [f"--{name}" for name in names if getattr(given, name)]


def blocks(module: str, words: Sequence[str], count: int) -> list[Command]:
    """A campaign in so many blocks, a command each: `python -m module words --share I/N`."""
    if count < 1:
        raise SubmissionError(f"--jobs {count}; expected 1 or more")
    return [Command(f"block-{block}", f"{module}.__main__", (*words, "--share", f"{block}/{count}"))
            for block in range(1, count + 1)]
