"""Training of the networks that read TNM parameters off scans, and their predictions for the test samples.

grid or file → split 70/15/15 → scans on the device → network → weights, log → predictions of the test part.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hpctools import weights
from hpctools.progress import Progress, duration
from hpctools.provenance import provenance
from hpctools.stop import COMPLETE, STOPPED, Stop
from hpctools.store_layout import size_text
from hpctools.training import MODEL, Samples, TorchWorld, TrainingError, derived_seed, train
from hpctools.training_data import share

from . import compact_scans
from .grid_file import GridFile, open_grid
from .learning_settings import MODELS, TrainJob
from .mcnn import MCNN, THINNED, Architecture, WeightedLoss, forward_flop, points_needed
from .predictions import Predictions, make_predictions, write
from .program import Program
from .simulator import windows

PREDICTIONS = "predictions.h5"
SPLIT = (0.70, 0.15, 0.15)  # training, validation, test
_TIMED_STEPS = 3
_TIMED_SAMPLES = 8  # on a CPU
_SPLIT_SEED = 0  # not that of the training, so that all trainings of a model share their test samples


@dataclass(frozen=True)
class Source:
    """The samples of a training. parameters (n, 4), index (n,): global; file: with their scans, None to simulate."""

    parameters: NDArray[np.float64]
    index: NDArray[np.int64]
    program: Program
    file: GridFile | None

    @property
    def fingerprint(self) -> str:
        """Hash of the samples and of what their scans are."""
        precision = 0.0 if self.file is None else self.file.precision
        data = self.parameters.tobytes() + repr((self.program, precision)).encode()
        return hashlib.sha256(data).hexdigest()[:16]

    def scans(
        self, rows: NDArray[np.int64], device: torch.device, backend: str, label: str, talk: bool
    ) -> compact_scans.CompactScans:
        """Scans of some samples on a device."""
        with Progress(len(rows), "samples", label, enabled=talk) as progress:
            if self.file is not None:
                return compact_scans.of_file(self.file, rows, device, progress.update)
            return compact_scans.of_parameters(self.parameters[rows], self.program, device, backend, progress.update)


def open_source(job: TrainJob) -> Source:
    """The samples that a job asks for. Raises TrainingError where its file has others."""
    grid = job.grid()
    parameters = np.concatenate([grid.parameters(node) for node in range(grid.n_nodes)])
    index = np.concatenate([grid.index(node) for node in range(grid.n_nodes)])
    if not job.data:
        return Source(parameters, index, Program(), None)
    file = open_grid(job.data)
    program = Program(tuple(file.cooling_rates), tuple(file.heating_rates), float(file.celsius[0]),
                      float(file.celsius[-1]), round(float(file.celsius[1] - file.celsius[0]), 9))  # fmt: skip
    found = file.samples["index"]
    if program.points != file.points or len(found) != len(index) or not np.array_equal(found, index):
        subset = MODELS[job.model][0]
        raise TrainingError(
            f"{job.data}: holds {len(found):,} samples, not the {len(index):,} of subset {subset} with strides "
            f"{job.stride_x} and {job.stride_beta}; make it with `python -m hpctools.tnm --subset {subset} --stride-x "
            f"{job.stride_x} --stride-beta {job.stride_beta}`, or leave --data out"
        )
    return Source(file.parameters[()], index, program, file)


def split(number: int) -> tuple[NDArray[np.int64], ...]:
    """Rows of the training, validation and test part of a shuffled set."""
    order = np.random.default_rng(_SPLIT_SEED).permutation(number)
    first, second = round(SPLIT[0] * number), round((SPLIT[0] + SPLIT[1]) * number)
    return order[:first], order[first:second], order[second:]


def samples(source: Source, rows: NDArray[np.int64], job: TrainJob, world: TorchWorld, label: str) -> Samples:
    """Some samples as signals and parameters on the rank's device: kept there, or made anew for each batch."""
    parameters = torch.as_tensor(source.parameters[rows], dtype=torch.float32, device=world.device)
    if job.resident:
        scans = source.scans(rows, world.device, job.backend, label, world.rank == 0)

        def kept(places: Tensor) -> tuple[Tensor, ...]:
            return scans.signals(places, job.every), parameters[places.to(world.device)]

        return Samples(len(rows), kept)

    def made(places: Tensor) -> tuple[Tensor, ...]:
        batch = source.scans(rows[places.numpy()], world.device, job.backend, "", False)
        return batch.signals(torch.arange(len(places)), job.every), parameters[places.to(world.device)]

    return Samples(len(rows), made)


def architecture(job: TrainJob, program: Program) -> Architecture:
    """The network of a job. Raises TrainingError where it leaves too few points of the scans."""
    least = max(1 + (points_needed(kernel, job.pools) - 1) * thinning for kernel, thinning in THINNED)
    most = (program.points - 1) // (least - 1)
    if job.every > most:
        raise TrainingError(
            f"--every {job.every} leaves {-(-program.points // job.every)} points, and kernels and pools {job.pools} "
            f"need {least}: take --every {most} or less, or smaller pools"
        )
    return Architecture(
        points=-(-program.points // job.every), scans=program.scans, filters=job.filters, pools=job.pools,
        units=job.units, dropout=job.dropout, own_weights=job.own_weights, limits=job.limits,
    )  # fmt: skip


def identity(job: TrainJob, source: Source, network: Architecture) -> dict[str, Any]:
    """What the weights depend on besides the settings of the training."""
    return {
        "network": "mcnn", "model": job.model, "weights": list(job.weights), "architecture": asdict(network),
        "every": job.every, "grid": source.fingerprint,
    }  # fmt: skip


def load_network(path: str | Path) -> tuple[MCNN, dict[str, Any]]:
    """A trained network in its evaluation mode, and its configuration. Raises WeightsError."""
    stored = weights.load(path, {"network": "mcnn"})
    table: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in stored.config["architecture"].items()
    }
    network = MCNN(Architecture(**table))
    network.load_state_dict({name: torch.from_numpy(array) for name, array in stored.arrays.items()})
    return network.eval(), stored.config


def seconds_a_step(network: MCNN, data: Samples, loss: WeightedLoss, job: TrainJob, world: TorchWorld) -> float:
    """Seconds of an optimiser step, the data included; the weights change. On a CPU of a part of it, in proportion."""
    optimiser = torch.optim.SGD(network.parameters(), lr=0.0)
    whole = number = -(-min(job.batch, data.number) // world.size)
    if world.device.type == "cpu":
        number = min(number, _TIMED_SAMPLES)
    for step in range(_TIMED_STEPS + 1):
        if step == 1:  # the first one warms up
            _wait_for(world.device)
            began = time.perf_counter()
        optimiser.zero_grad()
        loss(network, data.in_order(0, number))["loss"].backward()
        optimiser.step()
    _wait_for(world.device)
    return (time.perf_counter() - began) / _TIMED_STEPS * whole / number


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def plan_text(job: TrainJob, source: Source, network: MCNN, parts: Sequence[int], world: TorchWorld) -> str:
    """What the job will do, for people."""
    flop = 3 * forward_flop(network.architecture)
    count = sum(values.numel() for values in network.parameters())
    total = flop * job.epochs * parts[0]
    stored = 2 * source.program.scans * int(windows(source.parameters, source.program)[1].sum())
    kept = f"{size_text(stored)} in memory" if job.resident else "made anew for each batch"
    return "\n".join((
        f"model     {job.model}: {count:,} weights, {flop / 1e9:.3g} GFLOP a sample and training step",
        f"samples   {parts[0]:,} training, {parts[1]:,} validation, {parts[2]:,} test; scans of "
        f"{network.architecture.points:,} points, {kept}",
        f"cost      {job.epochs} epochs of {-(-parts[0] // job.batch):,} steps: {total / 1e15:.3g} PFLOP",
        f"ranks     {world.size}, rank 0 on {world.device}",
        f"output    {job.folder}",
    ))  # fmt: skip


def run(job: TrainJob, world: TorchWorld, arguments: Sequence[str], dry_run: bool = False) -> int:
    """Train, or go on with it, then predict the test samples; the exit code. Collective."""
    talk = world.rank == 0
    os.environ.setdefault("HPCTOOLS_THREADS", str(torch.get_num_threads()))  # of the simulator
    source = open_source(job)
    rows = split(len(source.index))
    torch.manual_seed(derived_seed(job.seed, 2))
    config = architecture(job, source.program)
    network = MCNN(config)
    loss = WeightedLoss(network, job.weights)
    if talk:
        print(plan_text(job, source, network, [len(part) for part in rows], world), flush=True)
    if dry_run:
        if talk:
            print("time      of a step: being measured", flush=True)
        few = samples(source, rows[0][: job.batch], job, world, "first batch")
        step = world.max(seconds_a_step(network.to(world.device), few, loss, job, world))
        if talk:
            steps = job.epochs * -(-len(rows[0]) // job.batch)
            print(f"time      {1e3 * step:.0f} ms a step, about {duration(step * steps)} in all")
        return COMPLETE
    with Stop(job.wall_time, job.margin, ask_slurm=talk) as stop:
        result = train(
            network, samples(source, rows[0], job, world, "training scans"), loss, job, out=job.folder,
            validation=samples(source, rows[1], job, world, "validation scans"),
            identity=identity(job, source, config), world=world, stop=stop, label=job.model, arguments=arguments,
        )  # fmt: skip
        if not result.complete:
            if talk:
                print(f"stopped ({stop.reason}) after {result.rows[-1]['epoch']} epochs; run the same command again: "
                      "it goes on where it stopped")  # fmt: skip
            return STOPPED
    path = Path(job.folder) / PREDICTIONS
    if world.max(int(not path.exists())):
        found = predict(network, source, rows[2], job, world)
        if talk:
            write_predictions(path, found, job, result.rows[-1], world, arguments)
    if talk:
        print(f"complete: {Path(job.folder) / MODEL}, {path}")
        print(f"look at it:  python analysis/training_curves.py {job.folder}; python analysis/tnm_errors.py {path}")
    return COMPLETE


def write_predictions(
    path: Path, found: Predictions, job: TrainJob, row: dict[str, float], world: TorchWorld, arguments: Sequence[str]
) -> None:
    """The file of predictions of a trained network."""
    further = {
        "label": job.model, "subset": MODELS[job.model][0], "epochs": row["epoch"], "samples_seen": row["samples"],
        "every": job.every,
    }  # fmt: skip
    write(path, found, provenance("", arguments, job, world, seed=job.seed, further=further))


@torch.no_grad()
def predict(
    network: MCNN, source: Source, rows: NDArray[np.int64], job: TrainJob, world: TorchWorld
) -> Predictions:
    """Predictions of some samples. Collective: the ranks share them; rank 0 gets all, the others have their own."""
    part = share(len(rows), len(rows), 0, world.rank, world.size)
    mine = rows[part.low : part.low + part.number]
    data = samples(source, mine, job, world, "test scans")
    network.eval()
    outputs = []
    for first in range(0, len(mine), job.batch):
        signals, _ = data.in_order(first, min(first + job.batch, len(mine)))
        outputs.append(network.parameters_of(network(signals)).cpu().double())
    predicted = torch.cat(outputs).numpy() if outputs else np.zeros((0, 4))
    found = make_predictions(source.parameters[mine], predicted, source.index[mine], source.program, job.backend)
    gathered = world.gather(found)
    if gathered is None:
        return found
    columns = ("true", "predicted", "index", "cpn_max", "width", "sse")
    return Predictions(*(np.concatenate([getattr(piece, name) for piece in gathered]) for name in columns))
