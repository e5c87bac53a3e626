"""Settings of the training of a model. Nothing heavy is imported here, so that --help is quick."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from hpctools.config import ConfigError, setting
from hpctools.training_settings import MACHINE, CommandSettings, TrainingSettingError

NETWORKS = ("mlp", "monotone")
REGRESSIONS = ("nearest", "ridge", "gp")
MODELS = (*NETWORKS, *REGRESSIONS)
INPUTS = ("full", "reduced", "zeroed", "structure", "permuted", "mct")
PLACES = ("out", "mct_cache", "data", *MACHINE)
"""Settings that belong to a machine, not to the model; its file does not keep them."""
DEFAULT_TRIALS = ("nearest", "gp/zeroed", "ridge", "gp", "gp/structure", "gp/permuted", "gp/mct", "gp/reduced",
                  "mlp", "mlp/zeroed", "mlp/structure", "mlp/permuted", "mlp/mct", "mlp/reduced", "monotone",
                  "monotone/mct")  # fmt: skip
LAYERS = (500, 400, 400, 300, 200)
"""Of the network of Ciarella et al. (2023), § 4.2."""
STEPS, BATCH = 4000, 128
"""Of a network: its errors for states held out are those of 2.5 times as many, and of 4000 steps of 512 points; 1000
steps of 512, as in the paper, leave errors of log₁₀ τ_α that are up to twice as large (fifths of the library)."""


@dataclass(frozen=True)
class TrainJob(CommandSettings):
    """Settings of a training; each may stand in a TOML file or on the command line."""

    model: str = setting("mlp", "what learns: mlp is the paper's network", choices=MODELS)
    inputs: str = setting("full", "what it is shown of a state; full, reduced and mct are no controls", choices=INPUTS)
    data: tuple[str, ...] = setting((), "folders of records; the shipped library if empty")
    out: str = setting("", "folder of checkpoint, log and model; runs/liquid-MODEL-INPUTS if empty")
    steps: int = setting(STEPS, "optimiser steps, in whole epochs; 0: as --epochs says (networks)")
    layers: tuple[int, ...] = setting(LAYERS, "neurons of the hidden layers of mlp")
    monotone_layers: tuple[int, ...] = setting((128, 128), "neurons of the hidden layers of monotone")
    held_out: float = setting(0.1, "share of the states for validation and the width of the band (networks)")
    mct_cache: str = setting("", "file where results of mode-coupling theory are kept; OUT/mct.npz if empty")
    # of the base class; the size of the paper's Lasso is not in print
    epochs: int = setting(100, "passes through the training set, where --steps is 0")
    batch: int = setting(BATCH, "samples of an optimiser step, over all ranks; a sample is one time of one record")
    optimiser: str = setting("adam", "by which the weights move", choices=("sgd", "adam", "adamw"))
    lasso: float = setting(1e-7, "L1 penalty: this times the sum of |w| over all weight matrices, biases left out")
    schedule: str = setting(
        "cosine", "of the learning rate: constant; cosine to its final value; one-cycle, cosine both up and down",
        choices=("constant", "cosine", "one-cycle"),
    )  # fmt: skip
    validation_epochs: int = setting(5, "validate after every n-th epoch, and after the last")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.model == "nearest" and self.inputs not in ("full", "zeroed"):
            raise TrainingSettingError("model nearest looks at T, ρ and the potential alone; inputs "
                                       f"{self.inputs!r} have no meaning")
        if self.keep != "last":
            raise TrainingSettingError(f"keep {self.keep} would choose the weights by the states that the width of the "
                                       "band comes from; expected last")
        for name in ("layers", "monotone_layers"):
            if wrong := [size for size in getattr(self, name) if size < 1]:
                raise TrainingSettingError(f"{name} {wrong[0]}; expected at least 1 neuron in each")
        if not (self.steps >= 0 and 0 <= self.held_out < 1):
            raise TrainingSettingError(f"steps {self.steps}, held_out {self.held_out:g}; expected 0 or more, and from "
                                       "0 to below 1")

    @property
    def folder(self) -> str:
        """Of the results."""
        return self.out or f"runs/liquid-{self.model}-{self.inputs}"


def parsed(name: str) -> tuple[str, str]:
    """Model and inputs of MODEL or MODEL/INPUTS. Raises ConfigError."""
    model, _, inputs = name.partition("/")
    inputs = inputs or "full"
    if model not in MODELS or inputs not in INPUTS:
        raise ConfigError(f"model {name!r}; expected MODEL or MODEL/INPUTS with a model of {', '.join(MODELS)} and "
                          f"inputs of {', '.join(INPUTS)}")
    TrainJob(model=model, inputs=inputs)
    return model, inputs


@dataclass(frozen=True)
class Plan:
    """What is tried."""

    data: tuple[str, ...] = setting((), "folders of records; the shipped library if empty")
    out: str = setting("results/liquid_trials", "folder of the predictions")
    models: tuple[str, ...] = setting(DEFAULT_TRIALS, "MODEL or MODEL/INPUTS, as of the command train")
    transfers: tuple[str, ...] = setting(("states", "temperature", "potential"), "kinds of transfer")
    t0: tuple[float, ...] = setting((0.75, 0.95, 1.2, 1.45), "coldest T/T_mct trained on, one transfer each; best "
                                    "between temperatures of the library")
    repeats: int = setting(3, "splits and seeds")
    parts: int = setting(5, "parts of the states, each the test set once")
    steps: int = setting(STEPS, "optimiser steps of a network")
    batch: int = setting(BATCH, "points of an optimiser step")
    layers: tuple[int, ...] = setting((), "hidden layers of the networks; those of the command train if empty")

    def __post_init__(self) -> None:
        least = {"repeats": 1, "parts": 2, "steps": 1, "batch": 1}
        for name, number in least.items():
            if (found := getattr(self, name)) < number:
                raise ConfigError(f"--{name} {found}; expected at least {number}")
        if wrong := [t0 for t0 in self.t0 if not 0 < t0 < math.inf]:
            raise ConfigError(f"--t0 {wrong[0]:g}; expected temperatures in units of T_mct, above 0")
        if wrong_layers := [size for size in self.layers if size < 1]:
            raise ConfigError(f"--layers {wrong_layers[0]}; expected at least 1 neuron in each")


def check_folder(folder: str | Path, option: str) -> None:
    """Make a folder of results and try to write there, before any work. Raises ConfigError."""
    import tempfile

    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ConfigError(f"{option}: cannot write to the folder {folder} ({error.strerror}); give another "
                          "one") from error
