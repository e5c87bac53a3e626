"""python -m hpctools.glasses, where of the ranks of a glass only the first may look at what stands in its folder.

On a cluster the file system may show another node files of some seconds ago: ranks that read state or box for
themselves could disagree.
"""

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

from hpctools.glasses.__main__ import main
from hpctools.glasses.quench import Run


def by_the_first(method: Callable[[Run], Any]) -> Callable[[Run], Any]:
    """The method, which fails on other ranks."""
    @wraps(method)
    def look(run: Run) -> Any:
        if run.world.rank > 0:
            raise AssertionError(f"rank {run.world.rank} reads {method.__name__} for itself")
        return method(run)
    return look


for name in ("relaxed_volume", "_read_state"):
    setattr(Run, name, by_the_first(getattr(Run, name)))
sys.exit(main())
