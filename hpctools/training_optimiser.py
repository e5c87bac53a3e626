"""Optimisers of a training, and the learning rate of each of its steps."""

from __future__ import annotations

import math

import torch
from torch import nn

from hpctools.training_settings import Settings

_START = 1 / 25  # of the highest learning rate, where a warm-up begins
_ONE_CYCLE_WARMUP = 0.3


def learning_rate(settings: Settings, step: int, steps: int) -> float:
    """Learning rate of step 0 … steps - 1; a pure function, so that a schedule has no state of its own."""
    warmup = settings.warmup or (_ONE_CYCLE_WARMUP if settings.schedule == "one-cycle" else 0.0)
    done = step / steps
    if done < warmup:
        rise = done / warmup
        if settings.schedule == "one-cycle":
            rise = 0.5 - 0.5 * math.cos(math.pi * rise)
        return settings.learning_rate * (_START + (1 - _START) * rise)
    if settings.schedule == "constant":
        return settings.learning_rate
    fall = 0.5 + 0.5 * math.cos(math.pi * (done - warmup) / (1 - warmup))
    return settings.learning_rate * (settings.final_rate + (1 - settings.final_rate) * fall)


def optimiser(model: nn.Module, settings: Settings) -> torch.optim.Optimizer:
    """The optimiser that the settings name, for all weights of a model."""
    rate, decay = settings.learning_rate, settings.weight_decay
    if settings.optimiser == "sgd":
        return torch.optim.SGD(model.parameters(), lr=rate, momentum=settings.momentum, weight_decay=decay)
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[settings.optimiser]
    return kind(model.parameters(), lr=rate, weight_decay=decay)
