"""Settings of the training of networks. Nothing heavy is imported here, so that --help is quick."""

from __future__ import annotations

from dataclasses import dataclass

from hpctools.config import setting
from hpctools.training_settings import CommandSettings, TrainingSettingError

from .grid import Grid, select
from .settings import SettingsError

TEXT_WEIGHTS = (0.1, 1.0, 3.0, 3.0)  # of ln A, Δh*, x, β, as the paper's text has it
# name: subset, weights of ln A, Δh*, x, β in the loss. The paper's seven models; its eq. 12 prints w = (1, 0.1, 3, 3)
# "for A, Δh*, x, β", which would give 0.1 to Δh*, while its text sets the weight of ln A to 0.1: the text is followed,
# and MCNN-C-printed is the other reading.
MODELS: dict[str, tuple[str, tuple[float, ...]]] = {
    "MCNN-LU": ("LU", TEXT_WEIGHTS),
    "MCNN-RU": ("RU", TEXT_WEIGHTS),
    "MCNN-LD": ("LD", TEXT_WEIGHTS),
    "MCNN-RD": ("RD", TEXT_WEIGHTS),
    "MCNN-C": ("C", TEXT_WEIGHTS),
    "MCNN-G": ("G", TEXT_WEIGHTS),
    "MCNN-C-lnA": ("C", (1.0, 1.0, 3.0, 3.0)),
    "MCNN-C-printed": ("C", (1.0, 0.1, 3.0, 3.0)),
}

# ln A, Δh*, x, β: the limits of the paper's table 3. Those of ln A as printed, -630/1.2 … -18·1.2, leave out nodes at
# both ends of its own grid (2.4 % of all, most in LD), so the default has the factor 1.2 on the other side.
LIMITS = {
    "widened": ((-630 * 1.2, -18 / 1.2), (2e5 / 1.2, 12e5 * 1.2), (0.2 / 1.2, 1.2), (0.2 / 1.2, 1.2)),
    "printed": ((-630 / 1.2, -18 * 1.2), (2e5 / 1.2, 12e5 * 1.2), (0.2 / 1.2, 1.2), (0.2 / 1.2, 1.2)),
}


@dataclass(frozen=True)
class TrainJob(CommandSettings):
    """Settings of a training; each may stand in a TOML file or on the command line."""

    model: str = setting("MCNN-C", "of the paper: its subset and the weights of its loss", choices=tuple(MODELS))
    out: str = setting("", "folder of checkpoint, log, weights, predictions; runs/MODEL if empty")
    data: str = setting("", "file of `python -m hpctools.tnm` with these samples; simulated here if empty")
    resident: bool = setting(True, "keep all scans in memory (the GPU's); else make each batch anew")
    backend: str = setting("", "of the simulator: cpu, cuda or host; by what is there if empty")
    stride_x: int = setting(1, "keep every n-th value of x")
    stride_beta: int = setting(1, "keep every n-th value of β")
    every: int = setting(1, "keep every n-th of the 18,501 grid points; the paper: 1")
    filters: tuple[int, ...] = setting((8, 16, 32), "of the three convolutions of a branch (unpublished)")
    pools: tuple[int, ...] = setting((4, 4, 4), "sizes of the three max-pools (unpublished)")
    units: int = setting(32, "of the dense layer of a branch (unpublished)")
    dropout: float = setting(0.1, "rate at the end of a branch (unpublished)")
    own_weights: bool = setting(True, "convolutions of each scan's own; else shared by the scans (unpublished)")
    limits: str = setting(
        "widened", "of scaled ln A: -756 … -15, or as printed, -525 … -21.6, which cuts off LD",
        choices=tuple(LIMITS),
    )  # fmt: skip
    # the paper's table 4
    epochs: int = setting(200, "passes through the training set")
    optimiser: str = setting("sgd", "by which the weights move", choices=("sgd", "adam", "adamw"))
    learning_rate: float = setting(0.01, "highest learning rate")
    batch: int = setting(128, "samples of an optimiser step, over all ranks")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.model not in MODELS:
            raise TrainingSettingError(f"model {self.model!r} is unknown; expected one of {', '.join(MODELS)}")
        if not len(self.filters) == len(self.pools) == 3 or min(*self.filters, *self.pools, self.units, self.every) < 1:
            raise SettingsError(
                f"filters {self.filters}, pools {self.pools}, units {self.units}, every {self.every}; expected three "
                "filters and three pools, all 1 or more"
            )
        if not 0 <= self.dropout < 1:
            raise SettingsError(f"dropout {self.dropout:g}; expected 0 or more and below 1")

    @property
    def folder(self) -> str:
        """Where the results go."""
        return self.out or f"runs/{self.model}"

    @property
    def weights(self) -> tuple[float, ...]:
        """Of ln A, Δh*, x, β in the loss."""
        return MODELS[self.model][1]

    def grid(self) -> Grid:
        """The samples of the model's subset."""
        return select(MODELS[self.model][0], self.stride_x, self.stride_beta)
