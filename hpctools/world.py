"""MPI made small: who am I, how many are we, and how do we stop together.

`start()` gives a `World`. Without a launcher (login node, notebook, plain ``python -m``) it is one rank
and MPI is never imported. Under ``mpiexec``, ``mpirun`` or ``srun`` with several tasks it initialises
MPI through mpi4py, refuses a run that fell apart into singletons, and installs an abort hook, because an
exception on one rank would otherwise leave the others waiting for ever.

Set ``HPCTOOLS_MPI=off`` to ignore a launcher and run as one rank, for example inside an interactive
Slurm step.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from hpctools.stop import ERROR, USAGE

# (launcher, number of tasks, own rank). Slurm comes last: mpiexec inside a Slurm job starts one proxy a
# node through srun, and the ranks inherit the proxy's SLURM_STEP_NUM_TASKS, which counts nodes.
_LAUNCHERS = (
    ("Open MPI's mpirun", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"),
    ("MPICH's mpiexec or srun --mpi=pmi2", "PMI_SIZE", "PMI_RANK"),
    ("srun", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID"),
)
_GRACE_SECONDS = 5.0
"""How long a rank that leaves with an error waits for the others to leave too, before it aborts them."""

_HOOK_SECONDS = 1.0
"""The same for an exception."""


class LaunchError(Exception):
    """The launcher and MPI disagree; the message says how to start the program instead."""

    user_error = True
    exit_code = USAGE


@dataclass
class World:
    """The ranks of this run.

    Attributes
    ----------
    rank, size : this rank's number and the number of ranks.
    local_rank : this rank's number among the ranks of its node.
    comm : the mpi4py communicator, or None where there is one rank and MPI was not started.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    comm: Any = None

    def barrier(self) -> None:
        """Wait until every rank is here."""
        if self.comm is not None:
            self.comm.Barrier()

    def bcast(self, value: Any = None) -> Any:
        """Rank 0's value (any picklable object) on every rank."""
        return value if self.comm is None else self.comm.bcast(value, root=0)

    def gather(self, value: Any) -> list[Any] | None:
        """The values of all ranks in rank order on rank 0, None elsewhere."""
        return [value] if self.comm is None else self.comm.gather(value, root=0)

    def max(self, value: Any) -> Any:
        """Largest of the ranks' scalars, on every rank."""
        return self._reduce(value, "MAX")

    def min(self, value: Any) -> Any:
        """Smallest of the ranks' scalars, on every rank."""
        return self._reduce(value, "MIN")

    def sum(self, value: Any) -> Any:
        """Sum of the ranks' scalars, on every rank."""
        return self._reduce(value, "SUM")

    def _reduce(self, value: Any, operation: str) -> Any:
        if self.comm is None:
            return value
        from mpi4py import MPI

        return self.comm.allreduce(value, op=getattr(MPI, operation))

    def exit(self, code: int) -> None:
        """Leave the program with this exit code.

        A rank that leaves with an error while the others still work would keep them waiting in their
        next collective call. So it waits a few seconds for them to leave as well, then aborts them.
        """
        if code != 0 and not self.leave_together(_GRACE_SECONDS):
            print(f"rank {self.rank} of {self.size} leaves with exit code {code} while others still work: "
                  "stopping all of them", file=sys.stderr, flush=True)
            self.comm.Abort(code)
        sys.exit(code)

    def leave_together(self, seconds: float) -> bool:
        """Do all ranks arrive here within this time? For the end of the program only, once."""
        if self.size == 1:
            return True
        arrival = self.comm.Ibarrier()
        deadline = time.monotonic() + seconds
        while not arrival.Test():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True


PLACE = "HPCTOOLS_LOCAL_RANK"
"""Set for code without a World, such as engines of molecular dynamics, and for processes that a command starts."""


def place_on_node() -> int:
    """This process among those of the run on its node: 0, 1, …"""
    found = os.environ.get(PLACE, "")
    return int(found) if found.isdigit() else 0


def device_index(local_rank: int, n_visible: int) -> int:
    """GPU of a rank: its node-local rank modulo the number of visible devices.

    Right both where Slurm shows each task its own device (``--gpus-per-task=1``) and where all tasks see
    all devices (``--gpus-per-node``). Raises ValueError where no device is visible.
    """
    if n_visible < 1:
        raise ValueError(f"no GPU is visible to node-local rank {local_rank}: ask the batch system for one "
                         "(slurm: --gpus-per-node), or choose the CPU backend")
    return local_rank % n_visible


def launcher(environ: Mapping[str, str] = os.environ) -> tuple[str, int, int] | None:
    """Which launcher started this process: (name, tasks, own rank), or None.

    The number of tasks is 0 where only PMIx is there, which does not say it in the environment.
    """
    if environ.get("HPCTOOLS_MPI", "").lower() == "off":
        return None
    for name, size, rank in _LAUNCHERS:
        if environ.get(size, "").isdigit():
            return name, int(environ[size]), int(environ.get(rank, "0"))
    if environ.get("PMIX_RANK", "").isdigit():
        return "a PMIx launcher", 0, int(environ["PMIX_RANK"])
    return None


def peers(environ: Mapping[str, str] = os.environ) -> tuple[int, int]:
    """Number of tasks that were started together, by torchrun too, and own rank; 0 tasks where nobody says."""
    found = launcher(environ)
    if found is None and environ.get("WORLD_SIZE", "").isdigit():
        found = "torchrun", int(environ["WORLD_SIZE"]), int(environ.get("RANK", "0"))
    return (1, 0) if found is None else found[1:]


def connect(environ: Mapping[str, str] = os.environ) -> World:
    """Initialise MPI where a launcher asks for it; raise LaunchError where launcher and MPI disagree."""
    found = launcher(environ)
    if found is None or found[1] == 1:
        return World()
    name, tasks, rank = found
    several = f"{tasks} tasks" if tasks else "several tasks"
    try:
        from mpi4py import MPI
    except Exception as error:  # ImportError without mpi4py, RuntimeError without an MPI library
        raise LaunchError(
            f"{name} started {several}, but mpi4py does not work here ({error}). Install it with an MPI "
            "library (pip install mpi4py mpich), or start one task only, or set HPCTOOLS_MPI=off") from error
    comm = MPI.COMM_WORLD
    if comm.size == 1 and (tasks > 1 or rank > 0):
        library = MPI.Get_library_version().splitlines()[0].strip("\0 ")
        raise LaunchError(
            f"{name} started {several}, but MPI ({library}) sees one rank: launcher and MPI library do not "
            "belong together, and every task would do the whole job. Start with `srun --mpi=pmi2` under "
            "Slurm (`srun --mpi=list` shows the choices), else with the mpiexec of the same MPI library as "
            "mpi4py's (for the mpich wheel: mpiexec in this environment's bin folder)")
    local = comm.Split_type(MPI.COMM_TYPE_SHARED)
    # A communicator of our own: the abort hook and exit() must not meet a library's collectives.
    return World(comm.rank, comm.size, local.rank, comm.Dup() if comm.size > 1 else comm)


def start() -> World:
    """The ranks of this run, with the abort hook in place. For the beginning of a command.

    Ends the program with exit code 2 and a message where launcher and MPI do not belong together.
    """
    try:
        world = connect()
    except LaunchError as error:
        found = launcher()
        if found is None or found[2] == 0:
            print(f"error: {error}", file=sys.stderr, flush=True)
        sys.exit(USAGE)
    install_abort_hook(world)
    return world


def install_abort_hook(world: World) -> None:
    """From now on an uncaught exception on one rank is printed once and ends all ranks, exit code 1.

    Exceptions with a true attribute `user_error` (wrong input, full disk) are printed as one line, all
    others with their traceback. Where all ranks meet a user's error together, rank 0 prints it and all
    leave without an abort. An exception with a true attribute `exit_at_once` ends the process with no
    further ado: HDF5 would try to close a broken file in MPI_Abort and in an ordinary exit, and crash.
    The launcher then ends the other ranks (srun needs --kill-on-bad-exit=1 for this).
    """

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        by_user = getattr(error, "user_error", False)
        at_once = getattr(error, "exit_at_once", False)
        orderly = by_user and not at_once
        if world.rank > 0:
            if orderly and world.leave_together(_HOOK_SECONDS):
                return
            if not orderly:
                # An error that all ranks meet is printed by rank 0, whose abort ends this sleep.
                time.sleep(_HOOK_SECONDS)
        if not by_user:
            traceback.print_exception(kind, error, trace)
        where = f"rank {world.rank} of {world.size}: " if world.size > 1 and not orderly else ""
        print(f"{where}{'error' if by_user else kind.__name__}: {error}", file=sys.stderr, flush=True)
        sys.stdout.flush()
        if at_once:
            os._exit(ERROR)
        if world.size > 1 and not (world.rank == 0 and orderly and world.leave_together(_HOOK_SECONDS)):
            world.comm.Abort(ERROR)

    sys.excepthook = hook
