"""Losses and other metrics of a training: means over samples, added up over batches and ranks."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from hpctools.training_data import Samples, Tensors, share
from hpctools.training_world import TorchWorld

Loss = Callable[[nn.Module, Tensors], Mapping[str, Tensor]]


@torch.no_grad()
def evaluate(
    model: nn.Module, data: Samples, loss: Loss, batch: int, world: TorchWorld | None = None, precision: str = "float32"
) -> dict[str, float]:
    """Means of the metrics over a set, the model in its evaluation mode. Collective: the ranks share the set."""
    world = TorchWorld() if world is None else world
    was_training = model.training
    model.eval()
    sums: dict[str, Tensor] = {}
    for position in range(-(-data.number // batch)):
        part = share(data.number, batch, position, world.rank, world.size)
        tensors = move(data.in_order(part.first + part.low, part.first + part.high), world.device)
        add(sums, called(loss, model, tensors, world.device, precision), part.number)
    model.train(was_training)
    return {name: value / data.number for name, value in reduced(sums, world).items()}


def move(tensors: Tensors, device: torch.device) -> Tensors:
    """Tensors on a device."""
    return tuple(tensor.to(device, non_blocking=True) for tensor in tensors)


def called(
    loss: Loss, model: nn.Module, tensors: Tensors, device: torch.device, precision: str
) -> Mapping[str, Tensor]:
    """The metrics of a batch, its forward pass in a precision."""
    with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
        return loss(model, tensors)


def add(sums: dict[str, Tensor], metrics: Mapping[str, Tensor], number: int) -> None:
    """Add the metrics of a batch of `number` samples to sums over samples."""
    for name, value in metrics.items():
        term = value.detach().double() * number
        sums[name] = sums[name] + term if name in sums else term


def reduced(sums: Mapping[str, Tensor], world: TorchWorld) -> dict[str, float]:
    """Sums over all ranks. Collective."""
    if not sums:
        return {}
    total = world.sum(torch.stack([value.cpu() for value in sums.values()]))
    return dict(zip(sums, total.tolist(), strict=True))
