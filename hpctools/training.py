"""The torch loop of every network here: many ranks, checkpoint, resume, stop, log.

    world = start()                                       # ranks, device; training_world.py
    torch.manual_seed(settings.seed)
    model = Network(...)
    with Stop(job.wall_time, ask_slurm=world.rank == 0) as stop:
        result = train(model, Samples.of(x, y), loss, settings, out="runs/a", validation=Samples.of(u, v),
                       world=world, stop=stop)
    return COMPLETE if result.complete else STOPPED

`loss(model, tensors)` gives a table of scalars, each a mean over the samples in `tensors`; the one named "loss" is
minimised, the others are reported, such as the mean absolute error of each target. Data are `Samples` (finite,
shuffled by seed and epoch) or a `Stream` (endless, keyed by the sample's number). One and several ranks give the same
curve within rounding: a step's samples do not depend on the number of ranks, gradients are averaged over samples, and
`SampleDropout` keys its masks by step and sample. Batch normalisation would not keep this and is refused on several
ranks.

The folder `out` holds checkpoint.pt, log.csv (a row an epoch; row 0 is the validation before training) and, when all is
done, model.npz with the weights, their configuration and provenance (`weights.load`). Running the same command again
goes on where the checkpoint is, bit for bit on one rank of the same machine (GPU libraries may add in another order).
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from hpctools import weights
from hpctools.folders import locked_by_all
from hpctools.progress import Progress
from hpctools.provenance import provenance
from hpctools.stop import Stop
from hpctools.training_checkpoint import State, read_checkpoint, write_checkpoint
from hpctools.training_data import Data, SampleDropout, Samples, Share, Stream, derived_seed, share
from hpctools.training_log import append_row, write_log
from hpctools.training_metrics import Loss, add, called, evaluate, move, reduced
from hpctools.training_optimiser import learning_rate, optimiser
from hpctools.training_settings import FREE, Settings, TrainingError
from hpctools.training_world import TorchWorld, start

__all__ = [
    "Loss", "Result", "SampleDropout", "Samples", "Settings", "Stream", "TorchWorld", "TrainingError", "derived_seed",
    "evaluate", "learning_rate", "start", "train",
]  # fmt: skip

MODEL = "model.npz"
LOCK = "training.lock"
_CHECK_SECONDS = 0.5  # between two looks at the stop flag, the clock and the loss


@dataclass(frozen=True)
class Result:
    """What `train` leaves: the model with its final weights (or those so far), and the rows of the log."""

    complete: bool
    model: nn.Module
    rows: list[dict[str, float]]
    folder: Path


def train(
    model: nn.Module,
    data: Data,
    loss: Loss,
    settings: Settings,
    *,
    out: str | Path,
    validation: Samples | None = None,
    identity: Mapping[str, Any] | None = None,
    world: TorchWorld | None = None,
    stop: Stop | None = None,
    label: str = "training",
    arguments: Sequence[str] | None = None,
) -> Result:
    """Train a model, or go on with it; see the head of this module. Collective.

    identity: what else the weights depend on, such as the configuration of the network and of its data, as plain
    values; a checkpoint with another identity is refused, and the file of weights holds it.

    Raises TrainingError where the checkpoint is damaged or of another training, where another process trains in the
    same folder, and where the loss is not finite.
    """
    world = TorchWorld() if world is None else world
    loop = _Loop(model, data, loss, settings, Path(out), validation, identity or {}, world)
    with locked_by_all(loop.folder, world, LOCK) as holder:
        if holder:
            raise TrainingError(f"{loop.folder}: another training is at work there ({holder}); wait for its end, or "
                                "choose another output folder")
        loop.resume()
        with Progress(
            settings.epochs * data.number, "samples", label, initial=loop.state.samples, enabled=world.rank == 0
        ) as progress:
            if validation is not None and not loop.state.rows:
                loop.add_row({}, loop.validate())
            worked = loop.state.epoch < settings.epochs
            while loop.state.epoch < settings.epochs:
                if not loop.epoch(progress, stop):
                    loop.checkpoint()
                    return Result(False, loop.model, loop.state.rows, loop.folder)
            if worked:
                loop.checkpoint()
        loop.finish(sys.argv if arguments is None else arguments, worked)
        return Result(True, loop.model, loop.state.rows, loop.folder)


class _Loop:
    """A training in progress."""

    def __init__(
        self, model: nn.Module, data: Data, loss: Loss, settings: Settings, folder: Path, validation: Samples | None,
        identity: Mapping[str, Any], world: TorchWorld,
    ) -> None:  # fmt: skip
        if world.size > 1 and any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in model.modules()):
            raise TrainingError(
                "the network has batch normalisation, whose statistics would depend on the number of ranks: use layer "
                "or group normalisation, or one rank"
            )
        if settings.keep == "best" and validation is None:
            raise TrainingError("keep = best needs a validation set")
        self.data, self.loss, self.settings, self.validation = data, loss, settings, validation
        self.folder, self.world = folder, world
        self.model = model.to(world.device)
        self.ranked: nn.Module = self.model
        if world.size > 1:
            devices = [world.device] if world.device.type == "cuda" else None
            self.ranked = DistributedDataParallel(self.model, device_ids=devices)
        self.mean = (
            AveragedModel(self.model, multi_avg_fn=get_ema_multi_avg_fn(settings.ema)) if settings.ema else None
        )
        self.dropouts = [part for part in model.modules() if isinstance(part, SampleDropout)]
        self.matrices = [p for p in model.parameters() if p.requires_grad and p.ndim > 1]
        self.optimiser = optimiser(self.model, settings)
        self.steps = -(-data.number // settings.batch)  # of an epoch
        self.state = State()
        self.sums: dict[str, Tensor] = {}
        self.settings_used = {
            key: value for key, value in asdict(settings).items() if key in Settings.__dataclass_fields__
        }
        self.identity = {
            "settings": {key: value for key, value in self.settings_used.items() if key not in FREE},
            "data": type(data).__name__.lower(),
            "samples": data.number,
            "validation_samples": 0 if validation is None else validation.number,
            **identity,
        }
        if settings.schedule == "constant" and not settings.warmup:
            del self.identity["settings"]["epochs"]  # more may be asked for later
        self._began = self._saved = time.monotonic()
        self._next_check = 0
        self._last_check = (0, time.monotonic(), 0.0)  # step, time, local sum of the loss

    # --- the state ------------------------------------------------------------------------------------

    def resume(self) -> None:
        """Take over the checkpoint, where there is one; the log then has its rows and no others."""
        if self.world.rank == 0:
            self.folder.mkdir(parents=True, exist_ok=True)
        found = read_checkpoint(self.folder, self.identity, self.world)
        if found is not None:
            self.model.load_state_dict(found["model"])
            self.optimiser.load_state_dict(found["optimiser"])
            if self.mean is not None:
                self.mean.load_state_dict(found["mean"])
            self.state = State(**found["state"])
            mine = float(self.world.rank == 0)  # the others begin with nothing
            self.sums = {
                name: torch.tensor(mine * value, dtype=torch.float64, device=self.world.device)
                for name, value in self.state.sums.items()
            }
            self._last_check = (self._step_number, time.monotonic(), self._local_loss())
            if self.world.rank < len(found["random"]):
                _set_random_state(found["random"][self.world.rank], self.world.device)
        if self.world.rank == 0:
            write_log(self.folder, self.state.rows)

    def checkpoint(self) -> None:
        """Write the checkpoint. Collective."""
        self.state.sums = reduced(self.sums, self.world)
        random = self.world.gather(_random_state(self.world.device))
        if self.world.rank == 0:
            self._count_time()
            write_checkpoint(self.folder, {
                "identity": self.identity, "model": self.model.state_dict(), "optimiser": self.optimiser.state_dict(),
                "mean": None if self.mean is None else self.mean.state_dict(), "state": vars(self.state),
                "random": random,
            })  # fmt: skip
        self._saved = time.monotonic()

    def _count_time(self) -> None:
        now = time.monotonic()
        self.state.seconds += now - self._began
        self._began = now

    # --- an epoch -------------------------------------------------------------------------------------

    def epoch(self, progress: Progress, stop: Stop | None) -> bool:
        """The current epoch from its next batch on, its row of the log; False where it was stopped before its end."""
        state, settings = self.state, self.settings
        self.ranked.train()
        while state.position < self.steps:
            if self._due() and self._check(progress, stop):
                return False
            part = share(self.data.number, settings.batch, state.position, self.world.rank, self.world.size)
            self._step(part)
            state.position += 1
            state.samples += part.total
        means = {name: value / self.data.number for name, value in reduced(self.sums, self.world).items()}
        _check_finite(means["loss"], state.epoch)
        state.epoch += 1
        state.position, self.sums = 0, {}
        self._last_check = (self._step_number, time.monotonic(), 0.0)
        last = state.epoch == settings.epochs
        wanted = self.validation is not None and (last or state.epoch % settings.validation_epochs == 0)
        self.add_row(means, self.validate() if wanted else {})
        progress.update(state.samples, f"loss {means['loss']:.4g}")
        return True

    @property
    def _step_number(self) -> int:
        return self.state.epoch * self.steps + self.state.position

    def _step(self, part: Share) -> None:
        settings, state = self.settings, self.state
        rate = learning_rate(settings, self._step_number, settings.epochs * self.steps)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        for layer, dropout in enumerate(self.dropouts):
            dropout.set_share(derived_seed(settings.seed, 1, self._step_number, layer), part)
        tensors = self.data.rows(settings.seed, state.epoch, part.first + part.low, part.first + part.high)
        metrics = called(
            self.loss, self.ranked, move(tensors, self.world.device), self.world.device, settings.precision
        )
        objective = metrics["loss"] * part.weight
        if settings.lasso:
            objective = objective + settings.lasso * torch.stack([p.abs().sum() for p in self.matrices]).sum()
        self.optimiser.zero_grad(set_to_none=True)
        objective.backward()
        if settings.clip:
            nn.utils.clip_grad_norm_(self.model.parameters(), settings.clip)
        self.optimiser.step()
        if self.mean is not None:
            self.mean.update_parameters(self.model)
        add(self.sums, metrics, part.number)

    def _local_loss(self) -> float:
        return self.sums["loss"].item() if self.sums else 0.0

    def _due(self) -> bool:
        return self._step_number >= self._next_check

    def _check(self, progress: Progress, stop: Stop | None) -> bool:
        """Loss and progress; a checkpoint where it is time; True to stop now. Collective, at the same step."""
        step, now = self._step_number, time.monotonic()
        before, then, former = self._last_check
        loss = self._local_loss()
        if step > before and self.state.position:
            recent = self.world.sum(loss - former) / min((step - before) * self.settings.batch, self.data.number)
            _check_finite(recent, self.state.epoch)
            progress.update(self.state.samples, f"loss {recent:.4g}")
        self._last_check = (step, now, loss)
        # no step has been timed yet at the beginning of an epoch
        a_step = (now - then) / (step - before) if step > before else _CHECK_SECONDS
        self._next_check = step + max(1, self.world.min(int(_CHECK_SECONDS / max(a_step, 1e-6))))
        if self.world.max(int(now - self._saved >= 60 * self.settings.checkpoint_minutes)):
            self.checkpoint()
        return stop is not None and stop.agreed(self.world)

    # --- rows and results -----------------------------------------------------------------------------

    def validate(self) -> dict[str, float]:
        """Metrics of the validation set; remembers the best weights. Collective."""
        assert self.validation is not None
        shown = self.model if self.mean is None else self.mean.module
        found = evaluate(
            shown, self.validation, self.loss, self.settings.batch, self.world, self.settings.precision
        )
        if self.settings.keep == "best" and found["loss"] < self.state.best_loss:
            self.state.best_loss, self.state.best_epoch = found["loss"], self.state.epoch
            self.state.best = {name: value.detach().cpu().clone() for name, value in shown.state_dict().items()}
        return found

    def add_row(self, means: Mapping[str, float], validated: Mapping[str, float]) -> None:
        """Add a row to the log."""
        self._count_time()
        state = self.state
        step = max(state.epoch * self.steps - 1, 0)
        state.rows.append({
            "epoch": state.epoch, "samples": state.samples,
            "learning_rate": learning_rate(self.settings, step, self.settings.epochs * self.steps),
            **means, **{f"val_{name}": value for name, value in validated.items()}, "seconds": round(state.seconds, 3),
        })  # fmt: skip
        if self.world.rank == 0:
            append_row(self.folder, state.rows)

    def finish(self, arguments: Sequence[str], worked: bool) -> None:
        """Give the model its final weights and write them, unless an earlier run did."""
        if self.state.best:
            self.model.load_state_dict(self.state.best)
        elif self.mean is not None:
            self.model.load_state_dict(self.mean.module.state_dict())
        if self.world.rank or (not worked and (self.folder / MODEL).exists()):
            return
        config = {**self.identity, "settings": self.settings_used}
        further = {"epoch": self.state.best_epoch} if self.state.best else {}
        weights.save(self.folder / MODEL, weights.Weights(
            {name: value.detach().cpu().numpy() for name, value in self.model.state_dict().items()}, config,
            {**self.state.rows[-1], **further},
            provenance("network", arguments, self.settings, self.world, device=_device_name(self.world.device),
                       seed=self.settings.seed),
        ))  # fmt: skip


def _check_finite(loss: float, epoch: int) -> None:
    if not math.isfinite(loss):
        raise TrainingError(
            f"the loss became {loss} in epoch {epoch + 1}: lower the learning rate, or clip the gradient; the last "
            "checkpoint is from before"
        )


def _random_state(device: torch.device) -> list[Tensor]:
    return [torch.get_rng_state(), *([torch.cuda.get_rng_state(device)] if device.type == "cuda" else [])]


def _set_random_state(states: Sequence[Tensor], device: torch.device) -> None:
    torch.set_rng_state(states[0])
    if device.type == "cuda" and len(states) > 1:
        torch.cuda.set_rng_state(states[1], device)


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
