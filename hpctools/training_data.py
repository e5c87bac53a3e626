"""Data of a training, and how the ranks share them.

What a step sees depends on the seed and the global number of a sample alone, not on the number of ranks: each rank
takes its contiguous part of every global batch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

Tensors = tuple[Tensor, ...]


def derived_seed(*key: int) -> int:
    """A seed for torch's generators that belongs to these numbers."""
    return int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> 1)


@lru_cache(maxsize=2)
def _order(number: int, seed: int, epoch: int) -> Tensor:
    return torch.randperm(number, generator=torch.Generator().manual_seed(derived_seed(seed, 0, epoch)))


@dataclass(frozen=True, eq=False)
class Samples:
    """A finite set, shuffled anew in each epoch. As a validation set it is read in order.

    number: of samples; fetch: gives the samples of some indices (k,), int64, as tensors with k rows each, on any
    device.
    """

    number: int
    fetch: Callable[[Tensor], Tensors]

    @classmethod
    def of(cls, *tensors: Tensor) -> Samples:
        """The rows of tensors in memory, of the CPU or of a device."""
        numbers = {len(tensor) for tensor in tensors}
        if len(numbers) != 1:
            raise ValueError(f"tensors with {', '.join(map(str, sorted(numbers)))} rows; expected the same number")
        return cls(numbers.pop(), lambda rows: tuple(tensor[rows.to(tensor.device)] for tensor in tensors))

    def rows(self, seed: int, epoch: int, low: int, high: int) -> Tensors:
        """Samples low … high - 1 of the epoch's order."""
        return self.fetch(_order(self.number, seed, epoch)[low:high])

    def in_order(self, low: int, high: int) -> Tensors:
        """Samples low … high - 1 as they are."""
        return self.fetch(torch.arange(low, high))


@dataclass(frozen=True, eq=False)
class Stream:
    """An endless set: sample i is made when it is needed, and is never seen twice.

    number: of samples that count as an epoch; batch: gives samples start … stop - 1 as tensors with stop - start rows.
    Random numbers in it must be keyed by the sample's number.
    """

    number: int
    batch: Callable[[int, int], Tensors]

    def rows(self, seed: int, epoch: int, low: int, high: int) -> Tensors:
        """Samples low … high - 1 of the epoch."""
        start = epoch * self.number
        return self.batch(start + low, start + high)


Data = Samples | Stream


class Share(NamedTuple):
    """A rank's part low … high - 1 of a global batch that begins at `first` and has `total` samples.

    weight: by which the mean over the part enters the mean over the ranks, so that this is the mean over the batch.
    A rank for which nothing is left takes the first sample with weight 0: all ranks must do the same work.
    """

    first: int
    total: int
    low: int
    high: int
    weight: float

    @property
    def number(self) -> int:
        """Samples that count."""
        return self.high - self.low if self.weight else 0


def share(number: int, batch: int, position: int, rank: int, size: int) -> Share:
    """A rank's part of batch `position` of a set of `number` samples."""
    first = position * batch
    total = min(batch, number - first)
    low, high = total * rank // size, total * (rank + 1) // size
    if low == high:
        return Share(first, total, 0, 1, 0.0)
    return Share(first, total, low, high, (high - low) * size / total)


class SampleDropout(nn.Module):
    """Dropout whose mask belongs to the step and the sample, not to the rank.

    Within `train` every rank draws the mask of the whole global batch and takes its rows, so that one and several ranks
    drop the same. Elsewhere it is torch's dropout. The first axis counts samples, or samples times something.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self._key: tuple[int, Share] | None = None

    def set_share(self, seed: int, part: Share) -> None:
        """The next forward pass is of this part of a batch; seed: of this layer in this step."""
        self._key = seed, part

    def forward(self, values: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return values
        if self._key is None:
            return nn.functional.dropout(values, self.rate)
        seed, part = self._key
        each = len(values) // (part.high - part.low)
        generator = torch.Generator().manual_seed(seed)
        kept = torch.rand((part.total * each, *values.shape[1:]), generator=generator) >= self.rate
        mine = kept[part.low * each : part.high * each].to(values.device)
        return values * mine / (1 - self.rate)

    def extra_repr(self) -> str:
        return f"rate={self.rate:g}"
