"""Files of predictions: true and estimated parameters of many samples, from any network or fit, for analysis/.

HDF5, one row a sample:

    true, predicted  (n, 4)  ln A, Δh* (J/mol), x, β
    index            (n,)    global index in the grid; -1 for samples that are not on it
    cpn_max          (n,)    highest CpN of the scans
    width            (n,)    ΔT_hw of the scan with the highest peak, K; NaN where it has no overshoot
    sse              (n,)    eq. 15 of the paper: squared differences of CpN, summed over all points of the scans that
                             true and predicted parameters give; NaN where the prediction cannot be simulated
    sigma            (n, 4)  optional: estimated standard errors, in the units of `predicted`

and the attributes kind, label (name of network or method), subset, samples_seen, and provenance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpctools.whole import whole

from .features import first_crossing
from .model import PARAMETER_NAMES, PARAMETER_UNITS, ParameterError
from .program import Program
from .simulator import Windows, simulate_windows

KIND = "tnm predictions"
BURST = 6.0  # the paper leaves out samples with a higher CpN_max
X_LEAST, BETA_LEAST = 0.05, 0.1  # predictions are moved to these, and to 1, before they are simulated
_UNITS = {"index": "1", "cpn_max": "1", "width": "K", "sse": "1"}
_BATCH = 256

FloatArray = NDArray[np.float64]


class PredictionsError(Exception):
    """A file of predictions that cannot be used; the message says why."""

    user_error = True


@dataclass(frozen=True)
class Predictions:
    """Columns of a file of predictions, see the head of this module."""

    true: FloatArray
    predicted: FloatArray
    index: NDArray[np.int64]
    cpn_max: FloatArray
    width: FloatArray
    sse: FloatArray
    sigma: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.true)

    def select(self, rows: Any) -> Predictions:
        """Some of the samples, by mask or indices."""
        columns: dict[str, Any] = {}
        for field in fields(self):
            column = getattr(self, field.name)
            columns[field.name] = None if column is None else column[rows]
        return Predictions(**columns)

    @property
    def evaluated(self) -> Predictions:
        """Those that the paper evaluates: CpN_max ≤ 6."""
        return self.select(self.cpn_max <= BURST)


def make_predictions(
    true: FloatArray, predicted: FloatArray, index: NDArray[np.int64] | None = None, program: Program | None = None,
    backend: str = "", sigma: FloatArray | None = None,
) -> Predictions:  # fmt: skip
    """Simulate true and predicted parameters (n, 4) for shape quantities and SSE; about 1 ms a sample and core."""
    program = Program() if program is None else program
    n = len(true)
    cpn_max, width, sse = np.full(n, np.nan), np.full(n, np.nan), np.full(n, np.nan)
    for first in range(0, n, _BATCH):
        some = slice(first, min(first + _BATCH, n))
        scans = simulate_windows(true[some], program, backend or None)
        cpn_max[some], width[some] = _shape(scans, program)
        for row, other in _simulated(_physical(predicted[some]), program, backend):
            for i in range(len(other)):
                sse[first + row + i] = squared_difference(scans, row + i, other, i)
    places = np.full(n, -1) if index is None else index
    return Predictions(true, predicted, places.astype(np.int64), cpn_max, width, sse, sigma)


def _physical(parameters: FloatArray) -> FloatArray:
    """Nearest parameters that the model has a meaning for."""
    near = parameters.copy()
    near[:, 2] = np.clip(near[:, 2], X_LEAST, 1.0)
    near[:, 3] = np.clip(near[:, 3], BETA_LEAST, 1.0)
    return near


def _simulated(parameters: FloatArray, program: Program, backend: str) -> list[tuple[int, Windows]]:
    """Scans of those samples that can be simulated, in runs of neighbours with the place of the first."""
    try:
        return [(0, simulate_windows(parameters, program, backend or None))]
    except ParameterError:
        if len(parameters) == 1:
            return []
    half = len(parameters) // 2
    later = _simulated(parameters[half:], program, backend)
    return _simulated(parameters[:half], program, backend) + [(half + place, scans) for place, scans in later]


def _shape(scans: Windows, program: Program) -> tuple[FloatArray, FloatArray]:
    """CpN_max (n,) and ΔT_hw (n,) of the scan with the highest peak."""
    cpn_max, at = scans.summary.cpn_max, scans.summary.cpn_max.argmax(1)
    width = np.full(len(scans), np.nan)
    kelvin = program.grid_low + program.step * np.arange(program.points)
    for i, scan in enumerate(at):
        if cpn_max[i, scan] > 1.001 and scans.points[i] >= 3:
            part = slice(int(scans.start[i]), int(scans.start[i] + scans.points[i]))
            crossing = first_crossing(kelvin[part], scans[i][scan])
            width[i] = scans.summary.t_peak[i, scan] - float(crossing)
    return cpn_max.max(1), width


def squared_difference(one: Windows, i: int, other: Windows, j: int) -> float:
    """Σ (CpN of sample i of one - CpN of sample j of other)² over all scans and grid points."""
    low = min(one.start[i], other.start[j])
    high = max(one.start[i] + one.points[i], other.start[j] + other.points[j])

    def window(scans: Windows, k: int) -> FloatArray:
        values = np.zeros((scans.scans, int(high - low)))
        first = int(scans.start[k] - low)
        values[:, first : first + scans.points[k]] = scans[k]
        values[:, first + scans.points[k] :] = 1.0
        return values

    return float(((window(one, i) - window(other, j)) ** 2).sum())


def write(path: str | Path, predictions: Predictions, attributes: Mapping[str, Any]) -> None:
    """Write a file of predictions; it appears when it is whole. attributes: label, subset and provenance."""
    import h5py

    path = Path(path)
    with whole(path) as part, h5py.File(part, "w") as file:
        for field in fields(predictions):
            column = getattr(predictions, field.name)
            if column is None:
                continue
            stored = file.create_dataset(field.name, data=column, compression=4, shuffle=True)
            if field.name in _UNITS:
                stored.attrs["unit"] = _UNITS[field.name]
            else:
                stored.attrs["columns"], stored.attrs["units"] = list(PARAMETER_NAMES), list(PARAMETER_UNITS)
        file.attrs.update({**attributes, "kind": KIND})


def read(path: str | Path) -> tuple[Predictions, dict[str, Any]]:
    """Columns and attributes of a file of predictions. Raises PredictionsError."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            if (found := file.attrs.get("kind")) != KIND:
                raise PredictionsError(f"{path}: holds {found!r}, expected {KIND!r}")
            columns = {f.name: file[f.name][()] for f in fields(Predictions) if f.name in file}
            return Predictions(**columns), dict(file.attrs)
    except FileNotFoundError as error:
        raise PredictionsError(f"{path}: no such file") from error
    except OSError as error:
        raise PredictionsError(f"{path}: expected a file of predictions, cannot be read as HDF5 ({error})") from error
    except TypeError as error:
        raise PredictionsError(f"{path}: lacks a column of predictions ({error})") from error
