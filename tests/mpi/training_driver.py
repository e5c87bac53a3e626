"""A small training for the tests: training_driver.py OUT [--stream] [--pause SECONDS] [--NAME VALUE of Settings]."""

import argparse
import atexit
import os
import sys
import time
from pathlib import Path

import torch
from torch import nn

from hpctools import config
from hpctools.stop import COMPLETE, STOPPED, Stop
from hpctools.training import SampleDropout, Samples, Settings, Stream, start, train

NUMBER, BATCH = 250, 32  # the last batch of an epoch has 26 samples


def sample(index):
    """Sample i from a generator of its own."""
    values = torch.stack([torch.rand(3, generator=torch.Generator().manual_seed(1000 + int(i))) for i in index])
    return values, torch.stack([values.sum(1), (3 * values[:, 0]).sin()], 1)


def loss(model, tensors):
    inputs, targets = tensors
    errors = model(inputs) - targets
    return {"loss": errors.square().mean(), "mae_sum": errors[:, 0].abs().mean(), "mae_sin": errors[:, 1].abs().mean()}


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 16), nn.Tanh(), SampleDropout(0.2), nn.Linear(16, 2))


def show_threads(word):
    names = (Path("/proc/self/task", task, "comm").read_text().strip() for task in os.listdir("/proc/self/task"))
    line = " ".join([word, *(name.replace(" ", "_") for name in names)])
    os.write(1, f"\n{line}\n".encode())  # in one piece, whatever the other ranks print


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out")
    parser.add_argument("--stream", action="store_true")
    parser.add_argument("--pause", type=float, default=0)
    parser.add_argument("--wall-time", type=float)
    parser.add_argument("--show-threads", action="store_true", help="before the process group's end and after it")
    config.add_arguments(parser, Settings)
    given = parser.parse_args()
    settings = config.from_arguments(Settings, given)
    if given.show_threads:
        atexit.register(show_threads, "after:")
    world = start("cpu")
    if given.show_threads:
        atexit.register(show_threads, "before:")

    def slow_loss(model, tensors):
        time.sleep(given.pause)
        return loss(model, tensors)

    data = Samples.of(*sample(range(NUMBER)))
    if given.stream:
        data = Stream(NUMBER, lambda first, end: sample(range(first, end)))
    with Stop(given.wall_time, ask_slurm=False) as stop:
        result = train(
            network(), data, slow_loss, settings, out=given.out, validation=Samples.of(*sample(range(5000, 5041))),
            identity={"network": "test"}, world=world, stop=stop,
        )  # fmt: skip
    world.exit(COMPLETE if result.complete else STOPPED)


if __name__ == "__main__":
    sys.exit(main())
