"""Who works on what: claims in a folder that several runners share, on one machine or on many.

A claim is a file that only one runner can create. Its holder renews it; a claim whose holder has died, or that was
not renewed for long, can be taken over.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import time
from pathlib import Path

STALE_SECONDS = 1800.0  # without renewal; a claim of this host goes as soon as its process is gone


class Claim:
    """The right to work on one thing; `take` it, `renew` it now and then, `release` it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.held = False

    def take(self) -> bool:
        """Try to get the claim; False where somebody else holds it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.alive():
            return False
        if self.path.exists():
            # of several that see a dead claim, one succeeds in moving it away
            dead = self.path.with_name(f"{self.path.name}.{platform.node()}.{os.getpid()}.dead")
            with contextlib.suppress(FileNotFoundError):
                os.rename(self.path, dead)
                dead.unlink()
        try:
            handle = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        except FileExistsError:
            return False
        with os.fdopen(handle, "w") as file:
            json.dump({"host": platform.node(), "pid": os.getpid(), "start": time.time()}, file)
        self.held = True
        return True

    def alive(self) -> bool:
        """Does somebody hold the claim and still work?"""
        try:
            age = time.time() - self.path.stat().st_mtime
            holder = json.loads(self.path.read_text())
        except FileNotFoundError:
            return False
        except ValueError:
            return age < 10  # being written just now, or left half-written by a kill
        if holder["host"] == platform.node():
            return Path(f"/proc/{holder['pid']}").exists() if Path("/proc/self").exists() else age < STALE_SECONDS
        return age < STALE_SECONDS

    def renew(self) -> None:
        """Say that the holder still works."""
        with contextlib.suppress(FileNotFoundError):
            os.utime(self.path)

    def release(self) -> None:
        """Give the claim back."""
        if self.held:
            self.path.unlink(missing_ok=True)
            self.held = False
