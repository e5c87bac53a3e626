"""Checkpoint of a training: everything that the next step depends on, and the rows of the log so far."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hpctools.training_settings import TrainingError
from hpctools.whole import whole
from hpctools.world import World

CHECKPOINT = "checkpoint.pt"
_FORMAT = "hpctools checkpoint 1"


@dataclass
class State:
    """How far a training is; the fields are stored in the checkpoint as they are.

    epoch: finished epochs; position: finished batches of the current epoch; samples: seen in all; seconds: of all runs;
    sums: of the metrics over the samples of the current epoch; rows: of the log; best: weights of the best validation.
    """

    epoch: int = 0
    position: int = 0
    samples: int = 0
    seconds: float = 0.0
    sums: dict[str, float] = field(default_factory=dict)
    rows: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = -1
    best_loss: float = float("inf")
    best: dict[str, Tensor] = field(default_factory=dict)


def write_checkpoint(folder: Path, content: Mapping[str, Any]) -> None:
    """Replace the folder's checkpoint; a kill leaves the former one. For rank 0."""
    path = folder / CHECKPOINT
    try:
        with whole(path, sync=True) as part, open(part, "wb") as file:
            torch.save({"format": _FORMAT, **content}, file)
    except (OSError, RuntimeError) as error:  # torch wraps a full disk into a RuntimeError
        words = str(error).split("\n")[0]
        raise TrainingError(f"{path}: cannot be written ({words}); the former checkpoint is as it was") from error


def read_checkpoint(folder: Path, identity: Mapping[str, Any], world: World) -> dict[str, Any] | None:
    """The folder's checkpoint on every rank, its tensors on the CPU; None where there is none. Collective.

    Raises TrainingError on all ranks where the file is damaged or of a training with another identity.
    """
    data: bytes | None = None
    if world.rank == 0 and (folder / CHECKPOINT).exists():
        data = (folder / CHECKPOINT).read_bytes()
    data = world.bcast(data)  # not read by each rank: a shared file system may show them different states
    if data is None:
        return None
    path = folder / CHECKPOINT
    try:
        content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        if content["format"] != _FORMAT:
            raise TrainingError(f"{path}: has the format {content['format']!r}, not {_FORMAT!r}; {_remedy(folder)}")
        found, expected = flat(content["identity"]), flat(identity)
    except TrainingError:
        raise
    except Exception as error:  # torch has many for a damaged file
        words = str(error).split("\n")[0]
        raise TrainingError(
            f"{path}: expected a checkpoint of hpctools, found a damaged or other file ({type(error).__name__}: "
            f"{words}); {_remedy(folder)}"
        ) from error
    missing = "nothing"
    differences = [
        f"{key}: it has {found.get(key, missing)}, this run {expected.get(key, missing)}"
        for key in sorted({*found, *expected})
        if found.get(key) != expected.get(key)
    ]
    if differences:
        raise TrainingError(f"{path}: is of another training ({'; '.join(differences)}); {_remedy(folder)}")
    return dict(content)


def _remedy(folder: Path) -> str:
    return f"choose another output folder, or remove {folder} to start again"


def flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """A nested table as key.key: text of the value."""
    found: dict[str, str] = {}
    for key, value in table.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            found.update(flat(value, name + "."))
        else:
            found[name] = json.dumps(value, ensure_ascii=False, default=list)
    return found
