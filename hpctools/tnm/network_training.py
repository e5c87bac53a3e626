"""Training of the networks of network.py: make the samples, train, calibrate, test, write one file of weights.

The folder of a run holds the samples in shards, each appearing when it is whole, what `hpctools.training` leaves, and
tnm_VARIANT.npz with the network, its calibration and its test (tnm_VARIANT.json: all of it but the arrays). The same
command goes on where it was stopped.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from hpctools import weights
from hpctools.progress import duration
from hpctools.stop import COMPLETE, STOPPED, Stop
from hpctools.training import Samples, TorchWorld, start, train

from . import inputs, network_samples, streams
from .instrument import Instruments
from .job import set_threads
from .model import PARAMETER_NAMES
from .network import (
    HEAD,
    LEVELS,
    LOG_SIGMA,
    LOWER,
    QUARTERS,
    REGIONS,
    TARGETS,
    Network,
    forward,
    layer_shapes,
    quarter,
    region,
    whiten,
)
from .network_samples import Set, load_set, make_sets
from .network_settings import NetworkJob

FloatArray = NDArray[np.float64]

LEAST_IN_REGION = 400  # samples, below which a region's calibration leans on that of all
_STATISTICS = 100_000  # scans from which the whitening is computed


# --- network ------------------------------------------------------------------------------------------------


def statistics(
    batch: streams.Batch, targets: FloatArray, floor: float, measured: bool
) -> dict[str, NDArray[np.float32]]:
    """What standardises inputs and targets: principal components of the scans' inputs, means, standard deviations.

    measured: whether the network sees the inputs which describe the measurement (inputs.MEASUREMENT_SCAN).
    """
    scans = batch.scans[batch.present][:_STATISTICS].astype(float)
    unseen = () if measured else inputs.MEASUREMENT_SCAN
    scans[:, unseen] = 0.0
    variance, axes = np.linalg.eigh(np.cov(scans.T))
    whitening = axes / np.sqrt(np.maximum(variance, 0.0) + floor**2)
    whitening[unseen, :] = 0.0
    found = {
        "scan_mean": scans.mean(0),
        "scan_whiten": whitening[:, ::-1],
        "common_mean": batch.common.mean(0),
        "common_scale": batch.common.std(0) + 1e-3,
        "target_mean": targets.mean(0),
        "target_scale": targets.std(0),
    }
    if not measured:
        found["common_scale"][list(inputs.MEASUREMENT_COMMON)] = np.inf
    return {name: np.ascontiguousarray(value, np.float32) for name, value in found.items()}


class TnmNetwork(nn.Module):
    """The layers of network.forward as parameters of torch."""

    def __init__(self, shapes: dict[str, tuple[int, int]], standard: dict[str, NDArray[np.float32]]) -> None:
        super().__init__()
        for name, value in standard.items():
            self.register_buffer(name, torch.tensor(value))
        for name, (before, after) in shapes.items():
            spread = before**-0.5 * (0.1 if name == "head" else 1.0)
            self.register_parameter(f"{name}_w", nn.Parameter(spread * torch.randn(before, after)))
            self.register_parameter(f"{name}_b", nn.Parameter(torch.zeros(after)))

    def forward(self, scans: torch.Tensor, common: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
        """The head's numbers (n, HEAD)."""
        arrays = {**dict(self.named_parameters()), **dict(self.named_buffers())}
        found: torch.Tensor = forward(arrays, scans, common, present, nn.functional.silu)
        return found


def gaussian_loss(model: nn.Module, tensors: tuple[torch.Tensor, ...]) -> dict[str, torch.Tensor]:
    """Negative log-likelihood a sample, without its constant, and the mean absolute errors of standardised targets."""
    scans, common, present, targets = tensors
    numbers = model(scans, common, present)
    rest = targets - numbers[:, :TARGETS]
    log_sigma = numbers[:, TARGETS : 2 * TARGETS].clamp(*LOG_SIGMA)
    lower = torch.zeros(len(numbers), TARGETS, TARGETS, device=numbers.device)
    lower[:, LOWER[0], LOWER[1]] = numbers[:, 2 * TARGETS : HEAD]
    z = (rest + (lower @ rest[:, :, None])[:, :, 0]) * torch.exp(-log_sigma)
    found = {"loss": (0.5 * z**2 + log_sigma).sum(1).mean()}
    for k, name in enumerate(inputs.TARGET_NAMES):
        found[f"mae_{name}"] = rest[:, k].abs().mean()
    return found


def as_samples(batch: streams.Batch, standard: dict[str, NDArray[np.float32]], with_law: bool) -> Samples:
    """Whitened inputs and standardised targets."""
    targets = (batch.frame.targets(batch.parameters, with_law) - standard["target_mean"]) / standard["target_scale"]
    scans = np.empty_like(batch.scans)
    for k in range(0, len(scans), 8192):
        scans[k : k + 8192] = whiten(standard, batch.scans[k : k + 8192]) * batch.present[k : k + 8192, :, None]
    arrays = (scans, batch.common, batch.present.astype(np.float32), targets.astype(np.float32))
    return Samples.of(*(torch.from_numpy(array) for array in arrays))


# --- calibration and test -----------------------------------------------------------------------------------


def calibrate(network: Network, batch: streams.Batch) -> dict[str, NDArray[np.float32]]:
    """Tables that make the error bars true, and the limit of the distance, twice its 99.9 % quantile.

    calibration (REGIONS, 4, levels): quantiles of |error|/σ; regions with few samples take the table of all as that
    many samples as are missing to LEAST_IN_REGION. calibration_quarters (QUARTERS, 4, levels): factors on it.
    """
    found, covariance, distance = network.gaussian(batch.scans, batch.common, batch.present, batch.frame)
    ratio = np.abs(found - batch.parameters) / np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    place = region(found, batch.measured_peak(), batch.present.sum(1))
    everywhere = np.quantile(ratio, LEVELS, axis=0).T
    table = np.empty((REGIONS, TARGETS, len(LEVELS)))
    for k in range(REGIONS):
        some = ratio[place == k]
        share = min(1.0, len(some) / LEAST_IN_REGION)
        here = np.quantile(some, LEVELS, axis=0).T if len(some) else everywhere
        table[k] = np.exp(share * np.log(here) + (1 - share) * np.log(everywhere))
    rest = ratio[:, :, None] / table[place]  # (n, 4, levels)
    part = quarter(found)
    factors = np.ones((QUARTERS, TARGETS, len(LEVELS)))
    for k in range(QUARTERS):
        if (part == k).sum() >= LEAST_IN_REGION:
            for j, level in enumerate(LEVELS):
                factors[k, :, j] = np.quantile(rest[part == k, :, j], level, axis=0)
    tables = {
        "calibration": table, "calibration_quarters": factors, "distance_limit": 2 * np.quantile(distance, 0.999),
    }  # fmt: skip
    return {name: np.asarray(value, np.float32) for name, value in tables.items()}


def judge(network: Network, batch: streams.Batch) -> dict[str, dict[str, float]]:
    """Shares of samples within the goals' limits and coverage of the intervals, for CpN_max ≤ 6 and above."""
    found = network.read(batch.scans, batch.common, batch.present, batch.frame, batch.measured_peak())
    error = np.abs(found.parameters - batch.parameters)
    results = {}
    for name, some in (("cpn_max<=6", batch.cpn_max <= 6), ("cpn_max>6", batch.cpn_max > 6)):
        results[name] = {
            "samples": int(some.sum()),
            "beta_0.02": float((error[some, 3] < 0.02).mean()),
            "x_0.02": float((error[some, 2] < 0.02).mean()),
            "dh_10kJ": float((error[some, 1] < 1e4).mean()),
            "ln_A_1": float((error[some, 0] < 1).mean()),
            "ln_A_2": float((error[some, 0] < 2).mean()),
        }
        for level in (0.68, 0.95):
            inside = (error <= found.half_width(level))[some].mean(0)
            for parameter, share in zip(PARAMETER_NAMES, inside):
                results[name][f"coverage_{100 * level:.0f}_{parameter}"] = float(share)
    return results


# --- the command --------------------------------------------------------------------------------------------


def run(job: NetworkJob, arguments: list[str], dry_run: bool = False) -> int:
    """The training on this rank; returns the exit code. All ranks call it."""
    world = start(job.device, job.threads)
    set_threads(world)
    folder = Path(job.folder)
    if world.rank == 0:
        print(plan_text(job, folder, world))
    if dry_run:
        return COMPLETE
    if world.rank == 0:
        folder.mkdir(parents=True, exist_ok=True)
    world.barrier()
    learning, calibrating, testing = sets_of(job)
    with Stop(job.wall_time, job.margin, ask_slurm=world.rank == 0) as stop:
        if not make_sets([learning, calibrating, testing], folder, world, stop):
            return STOPPED
        batch = load_set(learning, folder)
        targets = batch.frame.targets(batch.parameters, job.with_law)
        standard = statistics(batch, targets, job.whitening_floor, job.variant == "instrument")
        data = as_samples(batch, standard, job.with_law)
        del batch
        calibration = load_set(calibrating, folder)
        torch.manual_seed(job.seed)
        model = TnmNetwork(layer_shapes(job.width, job.trunk, job.depth), standard)
        result = train(
            model, data, gaussian_loss, job, out=folder, validation=as_samples(calibration, standard, job.with_law),
            identity={
                "network": "tnm", "variant": job.variant, "with_law": job.with_law, "data_seed": job.data_seed,
                "width": job.width, "trunk": job.trunk, "depth": job.depth, "floor": job.whitening_floor,
            },
            world=world, stop=stop, label=f"network {job.variant}", arguments=arguments,
        )  # fmt: skip
    if not result.complete:
        return STOPPED
    if world.rank == 0:
        finish(job, folder, calibration, load_set(testing, folder))
    return COMPLETE


def sets_of(job: NetworkJob) -> list[Set]:
    """The sets for learning, for the calibration, and for the test."""
    return [Set(job.variant, job.data_seed + k, job.test_shards if k else job.shards, k > 0) for k in range(3)]


def plan_text(job: NetworkJob, folder: Path, world: TorchWorld) -> str:
    """The plan of a training, with its time from a trial of one block and of some steps."""
    sets = sets_of(job)
    made = [one.path(folder, shard).exists() for one in sets for shard in range(one.shards)]
    streams.block(job.variant, 0, 0)  # compiles
    began = time.perf_counter()
    batch = streams.block(job.variant, 0, 1)
    blocks = network_samples.SHARD_BLOCKS
    simulating = (time.perf_counter() - began) * blocks * (len(made) - sum(made)) / world.size
    standard = statistics(
        batch, batch.frame.targets(batch.parameters, job.with_law), job.whitening_floor, job.variant == "instrument"
    )
    model = TnmNetwork(layer_shapes(job.width, job.trunk, job.depth), standard)
    tensors = as_samples(batch, standard, job.with_law).in_order(0, min(job.batch, len(batch)))
    for _ in range(4):
        began = time.perf_counter()
        gaussian_loss(model, tensors)["loss"].backward()
    samples = job.shards * blocks * len(batch)
    judged = job.test_shards * blocks * streams.BLOCK
    training = (time.perf_counter() - began) / len(tensors[0]) * samples * job.epochs / world.size
    weights_number = sum(parameter.numel() for parameter in model.parameters())
    return "\n".join((
        f"network   {job.variant}, {weights_number:,} weights, scans {job.width}, trunk {job.depth} × {job.trunk}",
        f"samples   {samples:,} to learn from, {judged:,} for the calibration, and as many for the test; "
        f"{sum(made)} of {len(made)} shards are there",
        f"training  {job.epochs} epochs of {-(-samples // job.batch):,} steps of {job.batch} samples",
        f"time      about {duration(simulating)} to make samples, {duration(training)} to train, on {world.size} "
        f"rank{'s' * (world.size > 1)} (CPU)",
        f"output    {folder}",
    ))  # fmt: skip


def finish(job: NetworkJob, folder: Path, calibration: streams.Batch, test: streams.Batch) -> Path:
    """Calibrate the trained network, test it, and write its file."""
    trained = weights.load(folder / "model.npz", {"network": "tnm"})
    arrays = dict(trained.arrays)
    network = Network(arrays, job.with_law, trained)
    arrays.update(calibrate(network, calibration))
    results = judge(network, test)
    path = folder / f"tnm_{job.variant}.npz"
    _, calibrated, tested = sets_of(job)
    config = {
        **trained.config, "calibration_seed": calibrated.seed, "test_seed": tested.seed, "margin": streams.MARGIN,
        "instruments": str(Instruments()) if job.variant == "instrument" else "",
    }  # fmt: skip
    done = replace(trained, arrays=arrays, config=config, results={**trained.results, **results})
    weights.save(path, done)
    # what the file's head holds, for people
    head = {"config": done.config, "results": done.results, "provenance": done.provenance}
    path.with_suffix(".json").write_text(json.dumps(head, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    for name, row in results.items():
        print(f"test, {name}: " + ", ".join(f"{key} {value:.4g}" for key, value in row.items()))
    print(path)
    sys.stdout.flush()
    return path
