"""Progress of long work: a bar on a terminal, whole lines in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Self, TextIO

_BAR_SECONDS = 0.2
_LINE_SECONDS = 10.0
_LINE_FRACTION = 0.05
_BAR_WIDTH = 30


class Progress:
    """Prints how much of a known total is done, the rate, and the time left.

    On a terminal one bar is redrawn; elsewhere a whole line appears every 10 s, or at every 5 % where
    that is rarer, so that the log of a long job stays short.

    Parameters
    ----------
    total : units of work in all, of which `initial` were done before this run (a resume).
    unit : name of a unit, in the plural, e.g. "samples".
    label : words at the start of each line.
    enabled : False on all ranks but 0.
    stream : where to print; standard error when None.
    every : a whole line each so many seconds instead, on a terminal too, and none at the end: for work that is one
        of many.
    clock : seconds, monotonic; for tests.
    """

    def __init__(self, total: int, unit: str = "steps", label: str = "", *, initial: int = 0,
                 enabled: bool = True, stream: TextIO | None = None, every: float | None = None,
                 clock: Callable[[], float] = time.monotonic) -> None:
        self.total = total
        self.done = initial
        self._initial = initial
        self._unit = unit
        self._label = f"{label}: " if label else ""
        self._enabled = enabled
        self._stream = stream if stream is not None else sys.stderr
        self._every = every
        self._terminal = self._stream.isatty() and every is None
        self._clock = clock
        self._start = clock()
        self._last_time = self._start
        self._last_done = initial
        self._width = 0
        self._note = ""

    @property
    def rate(self) -> float:
        """Units a second since the start of this run."""
        elapsed = self._clock() - self._start
        return (self.done - self._initial) / elapsed if elapsed > 0 else 0.0

    def update(self, done: int, note: str = "") -> None:
        """Say that `done` units of the total are finished now (a running count, not an increment).

        note: printed behind the rest, such as "loss 0.01"; it stays until there is another one.
        """
        self.done = done
        self._note = note or self._note
        if not self._enabled:
            return
        waited = self._clock() - self._last_time
        if self._every is not None:
            due = waited >= self._every
        elif self._terminal:
            due = waited >= _BAR_SECONDS
        else:
            due = waited >= _LINE_SECONDS and (done - self._last_done) >= _LINE_FRACTION * self.total
            # Very slow work still shows a sign of life.
            due = due or waited >= 6 * _LINE_SECONDS
        if due:
            self._print()

    def close(self) -> None:
        """Print the last state, finished or not."""
        if self._enabled and self._every is None:
            self._print()
            if self._terminal:
                self._stream.write("\n")
                self._stream.flush()
            self._enabled = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _print(self) -> None:
        self._last_time, self._last_done = self._clock(), self.done
        fraction = self.done / self.total if self.total else 1.0
        rate = self.rate
        text = (f"{self.done:,} of {self.total:,} {self._unit} ({100 * fraction:.0f} %), "
                f"{rate:,.4g} {self._unit}/s")
        if self.done >= self.total:
            text += f", {duration(self._clock() - self._start)} in all"
        elif rate > 0:
            text += f", {duration((self.total - self.done) / rate)} left"
        if self._note:
            text += f", {self._note}"
        if self._terminal:
            filled = int(_BAR_WIDTH * min(fraction, 1.0))
            text = f"{self._label}[{'#' * filled}{'.' * (_BAR_WIDTH - filled)}] {text}"
            self._stream.write("\r" + text.ljust(self._width))
            self._width = len(text)
        else:
            self._stream.write(f"{self._label}{text}\n")
        self._stream.flush()


def duration(seconds: float) -> str:
    """A time for people: '42 s', '3 min 05 s', '2 h 07 min', '3 d 04 h'."""
    whole = max(round(seconds), 0)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400} d {whole % 86400 // 3600:02d} h"
