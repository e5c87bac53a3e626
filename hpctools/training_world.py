"""Ranks of a training: torch.distributed behind the `World` of the other commands.

Ranks come from torchrun's variables (RANK, WORLD_SIZE, LOCAL_RANK), else from Slurm (srun), else from an MPI launcher
through `hpctools.world`; without any of them there is one rank and no process group. Tensors of the CPU travel by gloo,
those of a GPU by nccl. MASTER_ADDR and MASTER_PORT are obeyed where they are set; GLOO_SOCKET_IFNAME and
NCCL_SOCKET_IFNAME choose the network where a node has several.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import os
import socket
import subprocess
import sys
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

from hpctools import world as mpi_world
from hpctools.training_settings import TrainingError
from hpctools.world import World, device_index

_TIMEOUT = timedelta(minutes=10)
_PORTS = range(15000, 32000)  # below those that Linux hands out itself


@dataclass
class TorchWorld(World):
    """A World whose ranks talk through torch.distributed; device: that of this rank."""

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def _reduce(self, value: Any, operation: str) -> Any:
        if self.comm is None:
            return value
        tensor = torch.as_tensor(value, dtype=torch.float64).clone()
        dist.all_reduce(tensor, getattr(dist.ReduceOp, operation))
        if isinstance(value, torch.Tensor):
            return tensor
        return type(value)(tensor.item())


class _Comm:
    """What World uses of an mpi4py communicator."""

    def Barrier(self) -> None:
        dist.barrier()

    def bcast(self, value: Any, root: int) -> Any:
        box = [value]
        dist.broadcast_object_list(box, root, device=torch.device("cpu"))
        return box[0]

    def gather(self, value: Any, root: int) -> list[Any] | None:
        boxes = [None] * dist.get_world_size()
        dist.all_gather_object(boxes, value)
        return list(boxes) if dist.get_rank() == root else None

    def Ibarrier(self) -> Any:
        return _Arrival()

    def Abort(self, code: int) -> None:
        """The others fail in their next collective, or their launcher ends them."""
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


class _Arrival:
    def __init__(self) -> None:
        self._work = dist.all_reduce(torch.zeros(1), async_op=True)

    def Test(self) -> bool:
        return bool(self._work.is_completed())


def start(device: str = "", threads: int = 0, environ: Mapping[str, str] = os.environ) -> TorchWorld:
    """The ranks of this training, with process group and abort hook in place. For the beginning of a command.

    device: cpu or cuda; cuda where there is one if empty. A rank takes the device of its node-local rank modulo the
    visible ones. threads: of torch; if 0 HPCTOOLS_THREADS or those of Slurm, with several ranks 1, else its own choice.
    Raises TrainingError where the ranks do not find each other, or no such device is there.
    """
    rank, size, local_rank, address = _who(environ)
    chosen = _device(device, local_rank)
    given = environ.get("HPCTOOLS_THREADS") or environ.get("SLURM_CPUS_PER_TASK") or ("1" if size > 1 else "0")
    if wanted := threads or int(given):
        torch.set_num_threads(wanted)
    if size == 1:
        world = TorchWorld(device=chosen)
    else:
        try:
            _connect(rank, size, address, chosen)
        except Exception as error:
            raise TrainingError(
                f"rank {rank} of {size} finds no rank 0 at {address[0]}, port {address[1]} ({error}). Set MASTER_ADDR "
                "and MASTER_PORT to a name of rank 0's node that all nodes know and a free port there"
            ) from error
        world = TorchWorld(rank, size, local_rank, _Comm(), chosen)
    mpi_world.install_abort_hook(world)
    return world


def _connect(rank: int, size: int, address: tuple[str, int], device: torch.device) -> None:
    # Default arguments of this module are the process group of the moment of its import, which a model's wrapping
    # brings about. With a group in them its threads live until the interpreter ends, and abort it when they then ask
    # for its lock (terminate called without an active exception).
    importlib.import_module("torch.distributed.nn.functional")
    store = dist.TCPStore(*address, size, rank == 0, timeout=_TIMEOUT)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo", store=store, rank=rank, world_size=size,
        timeout=_TIMEOUT,
    )  # fmt: skip
    atexit.register(_disconnect)


def _disconnect() -> None:
    """End the process group and its threads, which wrapped models that are no longer used hold as well."""
    gc.collect()
    dist.destroy_process_group()


def _device(name: str, local_rank: int) -> torch.device:
    name = name or ("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cpu":
        return torch.device("cpu")
    if name != "cuda":
        raise TrainingError(f"device {name!r}; expected cpu or cuda (the rank's number chooses which)")
    try:
        return torch.device("cuda", device_index(local_rank, torch.cuda.device_count()))
    except ValueError as error:
        raise TrainingError(f"device cuda: {error}") from error


def _who(environ: Mapping[str, str]) -> tuple[int, int, int, tuple[str, int]]:
    """Rank, number of ranks, node-local rank, and where rank 0 listens."""
    nowhere = ("", 0)
    if all(environ.get(name, "").isdigit() for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")):
        rank, size, local = (int(environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
        if size > 1 and not environ.get("MASTER_PORT", "").isdigit():
            raise TrainingError(f"WORLD_SIZE is {size}, but MASTER_PORT is not set: start the ranks with torchrun")
        return rank, size, local, (environ.get("MASTER_ADDR", "localhost"), int(environ.get("MASTER_PORT", 0)))
    found = mpi_world.launcher(environ)
    if found is None or found[1] == 1:
        return 0, 1, 0, nowhere
    tasks = environ.get("SLURM_STEP_NUM_TASKS", "")
    # mpiexec inside a Slurm job: Slurm's step then counts its proxies, not the ranks
    if tasks.isdigit() and (int(tasks), int(environ["SLURM_PROCID"])) == found[1:]:
        return found[2], found[1], int(environ["SLURM_LOCALID"]), _slurm_address(environ)
    world = mpi_world.connect(environ)
    address = nowhere
    if world.rank == 0:
        with socket.socket() as free:
            free.bind(("", 0))
            address = (environ.get("MASTER_ADDR", socket.gethostname()), free.getsockname()[1])
    return world.rank, world.size, world.local_rank, world.bcast(address)


def _slurm_address(environ: Mapping[str, str]) -> tuple[str, int]:
    """The first node of the step by the address under which Slurm itself knows it, and a port of this run's own."""
    run = "-".join(environ.get(name, "0") for name in ("SLURM_JOB_ID", "SLURM_STEP_ID", "SLURM_RESTART_COUNT"))
    port = int(environ.get("MASTER_PORT", _PORTS[zlib.crc32(run.encode()) % len(_PORTS)]))
    if "MASTER_ADDR" in environ:
        return environ["MASTER_ADDR"], port
    nodes = environ.get("SLURM_STEP_NODELIST", environ.get("SLURM_JOB_NODELIST", ""))
    try:
        first = _scontrol("show", "hostnames", nodes).split()[0]
        words = _scontrol("show", "node", first, "--oneliner").split()
        return next(word.split("=", 1)[1] for word in words if word.startswith("NodeAddr=")), port
    except (OSError, subprocess.SubprocessError, IndexError, StopIteration) as error:
        raise TrainingError(
            f"scontrol does not tell the address of the first of the nodes {nodes} ({error}): set MASTER_ADDR"
        ) from error


def _scontrol(*words: str) -> str:
    return subprocess.run(["scontrol", *words], capture_output=True, text=True, timeout=60, check=True).stdout
