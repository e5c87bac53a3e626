"""Sets of samples on disk for the training of the networks, in shards; each is made by one rank and appears whole."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hpctools.progress import Progress
from hpctools.stop import Stop
from hpctools.whole import whole
from hpctools.world import World

from . import inputs, streams

SHARD_BLOCKS = 64
_FIELDS = ("scans", "common", "present", "parameters", "cpn_max")


@dataclass(frozen=True)
class Set:
    """A set of samples in shards: its seed, the shards' number, and whether it is for learning or for judging.

    For learning, the box is a little larger and samples share β; for judging it is the box, each sample measured once.
    """

    variant: str
    seed: int
    shards: int
    judging: bool

    def path(self, folder: Path, shard: int) -> Path:
        purpose = "judging" if self.judging else "learning"
        return folder / f"samples_{self.variant}_{self.seed}_{purpose}_{shard:03d}.npz"

    def make(self, shard: int) -> streams.Batch:
        blocks = range(shard * SHARD_BLOCKS, (shard + 1) * SHARD_BLOCKS)
        options: dict[str, Any] = {"margin": 0.0, "betas": None, "repeats": 1} if self.judging else {}
        return streams.join([streams.block(self.variant, self.seed, number, **options) for number in blocks])


def write_shard(path: Path, batch: streams.Batch) -> None:
    """Write a shard; it appears when it is whole."""
    frame = np.stack([batch.frame.t_m, batch.frame.width, batch.frame.heating, batch.frame.law])
    with whole(path) as part, open(part, "wb") as file:
        np.savez(file, frame=frame, **{name: getattr(batch, name) for name in _FIELDS})


def read_shard(path: Path) -> streams.Batch:
    """A shard."""
    with np.load(path) as file:
        return streams.Batch(
            file["scans"], file["common"], file["present"], file["parameters"], inputs.Frame(*file["frame"]),
            file["cpn_max"],
        )  # fmt: skip


def make_sets(sets: list[Set], folder: Path, world: World, stop: Stop) -> bool:
    """Make what is missing of the sets, the shards shared by the ranks; False where it was stopped. Collective."""
    wanted = [(one, shard) for one in sets for shard in range(one.shards)]
    todo = [(one, shard) for one, shard in wanted if not one.path(folder, shard).exists()]
    todo = world.bcast(todo)
    per_shard = streams.BLOCK * SHARD_BLOCKS
    with Progress(
        len(wanted) * per_shard, "simulated samples", "samples", initial=(len(wanted) - len(todo)) * per_shard,
        enabled=world.rank == 0,
    ) as progress:  # fmt: skip
        for first in range(0, len(todo), world.size):
            if stop.agreed(world):
                return False
            if first + world.rank < len(todo):
                one, shard = todo[first + world.rank]
                write_shard(one.path(folder, shard), one.make(shard))
            progress.update((len(wanted) - len(todo) + min(first + world.size, len(todo))) * per_shard)
    world.barrier()
    return True


def load_set(one: Set, folder: Path) -> streams.Batch:
    """All shards of a set, and only samples whose numbers are finite."""
    batch = streams.join([read_shard(one.path(folder, shard)) for shard in range(one.shards)])
    finite = np.isfinite(batch.common).all(1) & np.isfinite(batch.scans.sum((1, 2)))
    return streams.take(batch, finite)
