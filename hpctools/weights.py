"""Files of trained networks: weights, configuration and provenance in one .npz, read without torch or pickle."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpctools.whole import whole

_FORMAT = "hpctools network 1"
_HEAD = "head"


class WeightsError(Exception):
    """A file of weights that cannot be used; the message says why."""

    user_error = True


@dataclass(frozen=True)
class Weights:
    """A trained network.

    arrays: by the names of torch's state_dict; config: what it takes to build the network and what it was trained
    with; results: the last row of the training's log; provenance: as of every result file.
    """

    arrays: dict[str, NDArray[Any]]
    config: dict[str, Any]
    results: dict[str, Any]
    provenance: dict[str, Any]


def save(path: str | Path, weights: Weights) -> None:
    """Write a file of weights; it appears when it is whole."""
    path = Path(path)
    head = {
        "format": _FORMAT, "config": weights.config, "results": weights.results, "provenance": weights.provenance,
    }  # fmt: skip
    with whole(path, sync=True) as part, open(part, "wb") as file:
        arrays: dict[str, Any] = {_HEAD: np.array(json.dumps(head, ensure_ascii=False)), **weights.arrays}
        np.savez_compressed(file, **arrays)


def load(path: str | Path, expected: Mapping[str, Any] | None = None) -> Weights:
    """Read a file of weights.

    expected: items that its configuration must have, such as {"network": "mcnn"}. Raises WeightsError.
    """
    try:
        if Path(path).is_file() and not zipfile.is_zipfile(path):
            raise WeightsError(f"{path}: expected weights of a network of hpctools, an .npz file that a training has "
                               f"written; found {_kind_of(Path(path))}")
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        head = json.loads(str(arrays.pop(_HEAD)))
        if head["format"] != _FORMAT:
            raise WeightsError(f"{path}: has the format {head['format']!r}, expected {_FORMAT!r}")
    except FileNotFoundError as error:
        raise WeightsError(f"{path}: no such file") from error
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise WeightsError(f"{path}: expected weights of a network of hpctools, found other data ({error})") from error
    for key, value in (expected or {}).items():
        if (found := head["config"].get(key)) != value:
            raise WeightsError(f"{path}: its {key} is {found!r}, expected {value!r}")
    return Weights(arrays, head["config"], head["results"], head["provenance"])


def _kind_of(path: Path) -> str:
    """In words, by the first bytes."""
    with open(path, "rb") as file:
        start = file.read(8)
    if not start:
        return "an empty file"
    return "an HDF5 file" if start == b"\x89HDF\r\n\x1a\n" else "other data"
