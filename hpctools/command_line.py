"""The commands of a program `python -m hpctools.X COMMAND …`: exit codes, and a user's mistakes as one line.

An exception with a true attribute `user_error` is a mistake of the user's (a wrong option, a broken file, a full disk).
Its attribute `exit_code` is the exit code then: 2 (`stop.USAGE`) for what is wrong in the command line or in a
file of settings, else 1.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence

from . import stop, world

Command = Callable[[list[str]], int]


def carry_out(command: Callable[[], int]) -> int:
    """The command's exit code; a user's mistake is printed as one line.

    Wrong usage is met by all ranks alike, and rank 0 prints it. Any other mistake is raised again where several ranks
    run: the hook of `world.start` has them leave together.
    """
    try:
        code = command()
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # whoever read the output has seen enough, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return stop.ERROR
    except Exception as error:
        code = int(getattr(error, "exit_code", stop.ERROR))
        tasks, rank = world.peers()
        if not getattr(error, "user_error", False) or (tasks != 1 and code != stop.USAGE):
            raise
        if rank == 0:
            print(f"error: {error}", file=sys.stderr)
        return code


def main(commands: Mapping[str, Command], overview: str, arguments: Sequence[str] | None = None) -> int:
    """Choose the command by the first argument and carry it out; without one print the overview."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    return carry_out(lambda: _choose(commands, overview, given))


def _choose(commands: Mapping[str, Command], overview: str, given: list[str]) -> int:
    if not given or given[0] in ("-h", "--help"):
        print(overview.rstrip("\n"))
        return stop.COMPLETE if given else stop.USAGE
    if given[0] not in commands:
        print(f"error: command {given[0]!r} is unknown; expected one of {', '.join(commands)} (--help)",
              file=sys.stderr)
        return stop.USAGE
    return commands[given[0]](given[1:])
