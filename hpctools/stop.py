"""Clean stops: a flag from signals and from the wall time, and the exit codes of all commands.

The handlers only set a flag; the work looks at it between rounds, writes what it has, and leaves with
exit code 75, which tells Slurm (``RequeueExit=75``) or the user to start the same command again.
"""

from __future__ import annotations

import math
import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping
from types import FrameType
from typing import Any, Protocol, Self

COMPLETE = 0
ERROR = 1
USAGE = 2
HELD = 3
STOPPED = 75
"""Exit codes: all work done; error; wrong usage; what is left is in the hands of other runners; stopped cleanly with
work left (EX_TEMPFAIL), for which jobs are requeued."""

_WARNINGS = (signal.SIGUSR1, signal.SIGUSR2)
_SIGNALS = (signal.SIGTERM, *_WARNINGS, signal.SIGINT)


class _Reducer(Protocol):
    rank: int

    def max(self, value: Any) -> Any: ...


class WallTimeError(ValueError):
    """A wall time that is none."""

    user_error = True
    exit_code = USAGE


def check_limits(wall_time: float | None, margin: float = 0.0) -> None:
    """Raises WallTimeError for minutes of wall time, or seconds of margin, that are negative or no number."""
    if not 0 <= margin < math.inf:
        raise WallTimeError(f"margin {margin:g}; expected seconds, 0 or more")
    if wall_time is not None and not 0 <= wall_time < math.inf:
        raise WallTimeError(f"wall time {wall_time:g}; expected minutes, 0 or more")


class Stop:
    """Has somebody, or the clock, asked this run to stop?

    Parameters
    ----------
    wall_time : minutes this run may take from now, 0 or more; None for no limit of its own. Inside a Slurm job the
        job's own end counts as well, and the earlier of the two holds.
    margin : seconds to keep for writing and closing, at most half of the wall time. The longest round seen so far
        (time between two calls of `agreed`) is added to it, so that the last round still fits.
    ask_slurm : look for the end of the Slurm job. With many ranks let only rank 0 ask: `agreed` tells
        the others, and the controller is spared.
    parent : process without which this one shall not go on: its end is a request to stop.

    Use as a context manager, or call `close()`, to put the former signal handlers back; USR1 and USR2, by which
    batch systems tell that the time will be up, are ignored from then on unless somebody else handles them: the
    work is done, and their default action would kill the process while it writes its results. The first SIGINT
    stops cleanly, the second raises KeyboardInterrupt.

    Raises WallTimeError for a wall time or margin that is negative or no number.
    """

    def __init__(self, wall_time: float | None = None, margin: float = 60.0, ask_slurm: bool = True,
                 parent: int | None = None) -> None:
        check_limits(wall_time, margin)
        ends = []
        if wall_time is not None:
            ends.append(time.time() + 60.0 * wall_time)
            margin = min(margin, 30.0 * wall_time)  # half of it, else nothing would ever be done in a short one
        if ask_slurm and (slurm_end := slurm_end_time()) is not None:
            ends.append(slurm_end)
        self.deadline: float | None = min(ends, default=None)  # seconds since the epoch
        self.margin = margin
        self.reason: str | None = None
        self._parent = parent
        self._longest_round = 0.0
        self._last_call: float | None = None
        self._former = {number: signal.signal(number, self._handle) for number in _SIGNALS}

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and self.reason is not None:
            raise KeyboardInterrupt
        self.reason = f"signal {signal.Signals(number).name}"

    @property
    def remaining(self) -> float | None:
        """Seconds until this run must have ended; None without a limit."""
        return None if self.deadline is None else self.deadline - time.time()

    @property
    def requested(self) -> bool:
        """Has this rank got a signal, is its time up, or is its parent gone? `reason` then says which."""
        if self.reason is None and self._parent not in (None, os.getppid()):
            self.reason = f"process {self._parent}, which started this one, has ended"
        left = self.remaining
        if self.reason is None and left is not None and left < self.margin + self._longest_round:
            self.reason = f"wall time ({max(left, 0.0):.0f} s left)"
        return self.reason is not None

    def begin(self) -> None:
        """Other work begins: the time since the last call of `agreed` was no round of it."""
        self._last_call = None

    def agreed(self, world: _Reducer) -> bool:
        """Shall all ranks stop now? Collective: call it on every rank between two rounds of work."""
        now = time.monotonic()
        if self._last_call is not None:
            self._longest_round = max(self._longest_round, now - self._last_call)
        self._last_call = now
        stop = bool(world.max(int(self.requested)))
        if stop and self.reason is None:
            self.reason = "another rank"
        return stop

    def close(self) -> None:
        """Put the former signal handlers back, and ignore warnings that nobody handles."""
        for number, handler in self._former.items():
            ignore = number in _WARNINGS and handler == signal.SIG_DFL
            signal.signal(number, signal.SIG_IGN if ignore else handler)
        self._former = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def slurm_end_time(environ: Mapping[str, str] = os.environ) -> float | None:
    """End of this Slurm job in seconds since the epoch; None outside a job or where there is no limit.

    Newer versions of Slurm say it in SLURM_JOB_END_TIME, older ones (22.05) only through ``squeue``.
    """
    end = environ.get("SLURM_JOB_END_TIME", "")
    if end.isdecimal():
        return float(end)
    job = environ.get("SLURM_JOB_ID")
    if not job:
        return None
    try:
        answer = subprocess.run(["squeue", "-h", "-j", job, "-o", "%L"], capture_output=True, text=True,
                                timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    left = parse_slurm_time(answer.stdout.split("\n")[0].strip())
    return None if left is None else time.time() + left


def parse_slurm_time(text: str) -> float | None:
    """Seconds of a Slurm duration ``[days-][[hours:]minutes:]seconds``; None for UNLIMITED and the like."""
    match = re.fullmatch(r"(?:(\d+)-)?(?:(?:(\d+):)?(\d+):)?(\d+)", text)
    if match is None:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
