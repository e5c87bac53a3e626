"""Settings of the training of the networks of network.py. Nothing heavy is imported here, so that --help is quick."""

from __future__ import annotations

from dataclasses import dataclass

from hpctools.config import setting
from hpctools.training_settings import CommandSettings, TrainingSettingError

VARIANTS = ("clean", "instrument")  # what a network reads: undisturbed simulated scans, or measured ones


@dataclass(frozen=True)
class NetworkJob(CommandSettings):
    """Settings of a training; each may stand in a TOML file or on the command line."""

    variant: str = setting("clean", "scans that it learns to read", choices=VARIANTS, flag=False)
    out: str = setting("", "folder of the run; tnm_VARIANT if empty")
    shards: int = setting(4, "of 32,768 simulated samples in the training set; instrument measures each three times")
    data_seed: int = setting(1, "of the samples; those of calibration and test have the next two")
    test_shards: int = setting(1, "for the calibration, and as many for the test")
    width: int = setting(96, "of the two layers of a scan")
    trunk: int = setting(192, "width of the trunk")
    depth: int = setting(3, "layers of the trunk")
    floor: float = setting(0.0, "of the whitening, standard deviation; 0: 0.001 (clean), 0.02 (instrument)")
    epochs: int = setting(20, "passes through the training set")
    batch: int = setting(512, "samples of an optimiser step, over all ranks")
    learning_rate: float = setting(2e-3, "highest learning rate")
    weight_decay: float = setting(1e-4, "L2 penalty (decoupled from the gradient in adamw)")
    schedule: str = setting("cosine", "of the learning rate", choices=("constant", "cosine", "one-cycle"))
    warmup: float = setting(0.02, "share of all steps in which the learning rate rises")
    clip: float = setting(5.0, "longest gradient (2-norm over all weights); 0: as long as it is")

    def __post_init__(self) -> None:
        super().__post_init__()
        for least, names in ((1, ("shards", "test_shards", "width", "trunk", "depth")), (0, ("floor",))):
            for name in names:
                if not getattr(self, name) >= least:
                    raise TrainingSettingError(f"{name} {getattr(self, name)}; expected {least} or more")

    @property
    def folder(self) -> str:
        """Of the run."""
        return self.out or f"tnm_{self.variant}"

    @property
    def with_law(self) -> bool:
        """Undisturbed scans follow the cooling-rate law to 0.1 %: the network learns the rest of s."""
        return self.variant == "clean"

    @property
    def whitening_floor(self) -> float:
        return self.floor or (0.001 if self.variant == "clean" else 0.02)
