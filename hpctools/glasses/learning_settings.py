"""Settings of the trainings on glasses. Nothing heavy is imported here, so that --help is quick."""

from __future__ import annotations

from dataclasses import dataclass, fields

from hpctools.config import setting
from hpctools.training_settings import CommandSettings, TrainingSettingError

KINDS = ("gaussian-process", "mean-force", "autoencoder")
ENCODINGS = ("raster", "bars")  # of `images`
FOLDS = ("all", "glass-1", "glass-2", "glass-3", "glass-4", "glass-5", "without-BaO", "without-ZnO", "without-TiO2",
         "without-top")  # fmt: skip


@dataclass(frozen=True)
class GlassTraining(CommandSettings):
    """Settings of a training; each may stand in a TOML file or on the command line.

    Fields that belong to one kind of model are ignored by the others.
    """

    records: tuple[str, ...] = setting((), "folders of records; the shipped ones if empty")
    fold: str = setting("all", "curves to learn from: all, or those outside a part that is kept for the test",
                        choices=FOLDS)  # fmt: skip
    least_counts: float = setting(300.0, "expected pairs of atoms in the first shell, over seeds, of a tested curve")
    reach: float = setting(10.0, "up to which curves go; records of smaller boxes are refused", unit="Å")
    out: str = setting("", "folder of the run; runs/glasses/KIND/FOLD if empty")
    encoding: str = setting("raster", "of a curve as an image (autoencoder): plotted line, or lossless bars",
                            choices=ENCODINGS)  # fmt: skip
    latent: int = setting(8, "length of the latent vector (autoencoder)")
    members: int = setting(3, "networks whose mean is taken (mean-force)")
    width: int = setting(64, "of the two hidden layers (mean-force)")
    channels: int = setting(16, "of the 1-D convolutions (mean-force)")
    epochs: int = setting(800, "passes through the training set")
    batch: int = setting(32, "samples of an optimiser step, over all ranks")
    optimiser: str = setting("adam", "by which the weights move", choices=("sgd", "adam", "adamw"))
    learning_rate: float = setting(1e-3, "highest learning rate")
    validation_epochs: int = setting(5, "validate after every n-th epoch, and after the last")

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("latent", "members", "width", "channels"):
            if not getattr(self, name) >= 1:
                raise TrainingSettingError(f"{name} {getattr(self, name)}; expected 1 or more")
        if not 4 <= self.reach <= 10:
            raise TrainingSettingError(f"reach {self.reach:g} Å; expected 4 to 10")
        if not self.least_counts >= 0:
            raise TrainingSettingError(f"least_counts {self.least_counts:g}; expected 0 or more")


def folder_name(kind: str, fold: str, encoding: str = "raster") -> str:
    """Where the training of a kind of model on a fold is kept, in a folder of runs: "autoencoder-bars/glass-1"."""
    return f"{kind}{'' if kind != 'autoencoder' or encoding == 'raster' else '-' + encoding}/{fold}"


# what a kind does differently unless it is asked for
DEFAULTS: dict[str, dict[str, object]] = {
    "mean-force": {"epochs": 300, "batch": 64, "optimiser": "adamw", "learning_rate": 3e-3, "weight_decay": 0.02,
                   "schedule": "cosine", "warmup": 0.05, "clip": 5.0},
}  # fmt: skip


def for_kind(kind: str, given: dict[str, object]) -> GlassTraining:
    """Settings of a kind of model: its defaults, and what is given."""
    known = {field.name for field in fields(GlassTraining)}
    return GlassTraining(**{key: value for key, value in {**DEFAULTS.get(kind, {}), **given}.items()
                            if key in known})  # type: ignore[arg-type]
