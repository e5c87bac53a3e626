"""Settings of the training loop. torch is not imported here, so that the --help of a command is quick."""

from __future__ import annotations

from dataclasses import dataclass

from hpctools.config import setting
from hpctools.stop import USAGE


class TrainingError(Exception):
    """A training that cannot start or go on; the message says what to do."""

    user_error = True


class TrainingSettingError(TrainingError):
    """A setting out of its range."""

    exit_code = USAGE


@dataclass(frozen=True)
class Settings:
    """How a network is trained. A command's own settings may inherit these and change their defaults."""

    epochs: int = setting(100, "passes through the training set")
    batch: int = setting(128, "samples of an optimiser step, over all ranks")
    optimiser: str = setting("adamw", "by which the weights move", choices=("sgd", "adam", "adamw"))
    learning_rate: float = setting(1e-3, "highest learning rate")
    momentum: float = setting(0.0, "of SGD")
    weight_decay: float = setting(0.0, "L2 penalty (decoupled from the gradient in adamw)")
    lasso: float = setting(0.0, "L1 penalty: this times the sum of |w| over all weight matrices, biases left out")
    schedule: str = setting(
        "constant", "of the learning rate: constant; cosine to its final value; one-cycle, cosine both up and down",
        choices=("constant", "cosine", "one-cycle"),
    )  # fmt: skip
    warmup: float = setting(0.0, "share of all steps in which the learning rate rises from its final value")
    final_rate: float = setting(0.0, "final learning rate of cosine and one-cycle, as a share of the highest")
    clip: float = setting(0.0, "longest gradient (2-norm over all weights); 0: as long as it is")
    ema: float = setting(0.0, "decay of the running mean of the weights, used instead of them; 0: none")
    keep: str = setting("last", "weights to keep: last, or those of the best validation", choices=("last", "best"))
    seed: int = setting(0, "of shuffling and dropout")
    precision: str = setting("float32", "of the forward pass", choices=("float32", "bfloat16"))
    validation_epochs: int = setting(1, "validate after every n-th epoch, and after the last")
    checkpoint_minutes: float = setting(2.0, "a kill loses at most this much work", unit="min")

    def __post_init__(self) -> None:
        limits = {
            "epochs": (1, None), "batch": (1, None), "learning_rate": (0, None), "momentum": (0, 1),
            "weight_decay": (0, None), "lasso": (0, None), "warmup": (0, 1), "final_rate": (0, 1), "clip": (0, None),
            "ema": (0, 1), "seed": (0, None), "validation_epochs": (1, None), "checkpoint_minutes": (0, None),
        }  # fmt: skip
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if not (value >= low and (high is None or value < high)):
                upper = "" if high is None else f" and below {high}"
                raise TrainingSettingError(f"{name} {value:g}; expected {low} or more{upper}")


@dataclass(frozen=True)
class CommandSettings(Settings):
    """Settings of a training that is a command, with those of the machine it runs on."""

    device: str = setting("", "of the network: cpu or cuda; by what is there if empty")
    threads: int = setting(0, "of torch, a rank; 0: HPCTOOLS_THREADS, else its own choice")
    wall_time: float | None = setting(None, "stop cleanly after this time", unit="min")
    margin: float = setting(30.0, "time kept for the checkpoint before the wall time", unit="s")

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in MACHINE[1:]:
            value = getattr(self, name)
            if value is not None and not value >= 0:
                raise TrainingSettingError(f"{name} {value:g}; expected 0 or more")


MACHINE = ("device", "threads", "wall_time", "margin")
"""Settings that belong to a machine, not to what is trained."""

# What may change from one run to the next of the same training, because no weight depends on it.
FREE = ("checkpoint_minutes",)
