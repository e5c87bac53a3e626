"""The network that reads the TNM parameters off a set of scans: its layers, its error bars, its answer.

Every scan passes the same two layers; their mean and spread over the scans that are there and the common inputs pass
the trunk; the head gives a Gaussian with full covariance for the targets of inputs.py. So the scans may be any number,
at any rates. The error bars are then made true by a table of the quantiles of |error|/σ, for each parameter and region,
on samples that were never trained on.

`forward` works on NumPy arrays and torch tensors alike, so that reading scans needs no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpctools import weights

from .grid import PAPER
from .inputs import COMMON_INPUTS, LOG_ROUGH, ROUGH_LEAST, SCAN_INPUTS, Frame
from .network_settings import VARIANTS

FloatArray = NDArray[np.float64]

TARGETS = 4
HEAD = TARGETS + TARGETS * (TARGETS + 1) // 2
LEVELS = (0.5, 0.68, 0.8, 0.9, 0.95, 0.99)  # of the calibration's intervals
ONE_SIGMA = 0.6827
SHAPE_EDGES = (0.3, 0.5, 0.75)  # of its regions in x and in β, by the estimate
PEAK_EDGE = 6.0  # of CpN_max, by the scans; above, one region
COUNT_EDGES = (2, 4)  # of the number of scans
QUARTERS = 4  # of the box, for a factor on the calibration of a region
REGIONS = ((len(SHAPE_EDGES) + 1) ** 2 + 1) * (len(COUNT_EDGES) + 1)
OUTSIDE_SIGMAS = 2.0  # an estimate is outside the box where it is so by more than this
LOWER = np.tril_indices(TARGETS, -1)
LOG_SIGMA = (-9.0, 4.0)  # range, of a standardised target
_CHUNK = 4096  # samples a pass
_LOG_SMOOTH = float(np.log(1.01 * ROUGH_LEAST + 1e-5))


def layer_shapes(width: int, trunk: int, depth: int) -> dict[str, tuple[int, int]]:
    """Shapes of the weights: `width` of the scans' layers, `trunk` and `depth` of the trunk."""
    found = {"scan1": (SCAN_INPUTS, width), "scan2": (width, width)}
    before = 2 * width + COMMON_INPUTS
    for i in range(depth):
        found[f"trunk{i + 1}"] = (before, trunk)
        before = trunk
    found["head"] = (before, HEAD)
    return found


def silu(values: NDArray[Any]) -> NDArray[Any]:
    """x/(1 + exp(-x))."""
    return np.asarray(values * (0.5 + 0.5 * np.tanh(0.5 * values)))


def whiten(arrays: Mapping[str, Any], scans: Any) -> Any:
    """The scans' inputs (…, SCAN_INPUTS) in units of the training set's principal components, nearly."""
    return (scans - arrays["scan_mean"]) @ arrays["scan_whiten"]


def forward(arrays: Mapping[str, Any], scans: Any, common: Any, present: Any, activation: Any = silu) -> Any:
    """The head's numbers (n, HEAD) for standardised targets.

    scans (n, scans, SCAN_INPUTS), whitened; common (n, COMMON_INPUTS); present (n, scans), 0 or 1; all of NumPy or all
    of torch. A row holds the means μ, four ln σ, and the six numbers of a strictly lower matrix G, row by row:
    exp(-ln σ) (1 + G) (y - μ) is standard normal.
    """
    h = activation(scans @ arrays["scan1_w"] + arrays["scan1_b"])
    h = activation(h @ arrays["scan2_w"] + arrays["scan2_b"])
    here = present[:, :, None]
    count = here.sum(1)
    mean = (h * here).sum(1) / count
    spread = ((h - mean[:, None, :]) ** 2 * here).sum(1) / count
    h = _join((common - arrays["common_mean"]) / arrays["common_scale"], mean, spread)
    layer = 1
    while f"trunk{layer}_w" in arrays:
        new = activation(h @ arrays[f"trunk{layer}_w"] + arrays[f"trunk{layer}_b"])
        h = new if layer == 1 else h + new
        layer += 1
    return h @ arrays["head_w"] + arrays["head_b"]


def _join(*parts: Any) -> Any:
    if isinstance(parts[0], np.ndarray):
        return np.concatenate(parts, axis=1)
    import torch

    return torch.cat(parts, dim=1)


def region(parameters: FloatArray, cpn_max: FloatArray, count: NDArray[np.int64]) -> NDArray[np.int64]:
    """Region of the calibration (n,), by estimated x and β, the highest CpN of the scans, and their number."""
    bins = len(SHAPE_EDGES) + 1
    shape = np.digitize(parameters[:, 2], SHAPE_EDGES) * bins + np.digitize(parameters[:, 3], SHAPE_EDGES)
    return np.where(cpn_max > PEAK_EDGE, bins * bins, shape) + (bins * bins + 1) * np.digitize(count, COUNT_EDGES)


def quarter(parameters: FloatArray) -> NDArray[np.int64]:
    """Quarter of the box (n,) in Δh* and in the place of ln A between its ends, by the estimate."""
    dh = parameters[:, 1]
    low, high = box(dh)
    return np.asarray(2 * (dh > 0.5 * (PAPER.dh_low + PAPER.dh_high)) + (2 * parameters[:, 0] > (low + high)[:, 0]))


@dataclass(frozen=True)
class Estimates:
    """Parameters read off n sets of scans.

    parameters (n, 4): ln A, Δh* in J/mol, x, β; covariance (n, 4, 4), its diagonal the squares of half the 68.27 %
    intervals; quantiles (n, 4, len(LEVELS)): half widths of the intervals at LEVELS; distance (n,): mean square of the
    scans' inputs in units of the training set's, about 1; flags: for each set what speaks against it, as sentences.
    """

    parameters: FloatArray
    covariance: FloatArray
    quantiles: FloatArray
    distance: FloatArray
    flags: list[tuple[str, ...]]

    def __len__(self) -> int:
        return len(self.parameters)

    def __getitem__(self, i: int) -> Estimate:
        return Estimate(
            self.parameters[i], self.covariance[i], self.quantiles[i], float(self.distance[i]), self.flags[i]
        )

    def half_width(self, level: float) -> FloatArray:
        """Half the interval that holds the truth with this probability, (n, 4); see Estimate.half_width."""
        return _half_width(self.quantiles, level)


@dataclass(frozen=True)
class Estimate:
    """Parameters read off one set of scans; the fields are those of Estimates without the first axis."""

    parameters: FloatArray
    covariance: FloatArray
    quantiles: FloatArray
    distance: float
    flags: tuple[str, ...]

    @property
    def errors(self) -> FloatArray:
        """Standard errors (4,)."""
        return np.sqrt(np.diag(self.covariance))

    @property
    def correlation(self) -> FloatArray:
        """(4, 4)."""
        return self.covariance / np.outer(self.errors, self.errors)

    def half_width(self, level: float) -> FloatArray:
        """Half the interval around a parameter that holds the truth with this probability (up to 0.99), (4,)."""
        return _half_width(self.quantiles, level)


def _half_width(quantiles: FloatArray, level: float) -> FloatArray:
    if not 0 < level <= LEVELS[-1]:
        raise ValueError(f"level {level:g}; expected in (0, {LEVELS[-1]:g}]")
    known = (0.0, *LEVELS)
    k = int(np.searchsorted(known, level))
    upper = quantiles[..., k - 1]
    lower = quantiles[..., k - 2] if k > 1 else np.zeros_like(upper)
    share = (level - known[k - 1]) / (known[k] - known[k - 1])
    return np.asarray(lower + share * (upper - lower))


@dataclass(frozen=True)
class Network:
    """A trained network: its arrays, whether it reads s against the cooling-rate law, where it comes from."""

    arrays: dict[str, NDArray[Any]]
    with_law: bool
    head: weights.Weights

    def gaussian(
        self, scans: NDArray[Any], common: NDArray[Any], present: NDArray[np.bool_], frame: Frame
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Parameters (n, 4), covariance (n, 4, 4) before calibration, distance (n,), from inputs.network_inputs."""
        parts = [
            self._pass(*(a[k : k + _CHUNK] for a in (scans, common, present))) for k in range(0, len(common), _CHUNK)
        ]
        numbers, distance = (np.concatenate(part) for part in zip(*parts))
        scale = self.arrays["target_scale"]
        targets = numbers[:, :TARGETS] * scale + self.arrays["target_mean"]
        factor = np.zeros((len(numbers), TARGETS, TARGETS))
        factor[:, LOWER[0], LOWER[1]] = numbers[:, 2 * TARGETS :]
        factor += np.eye(TARGETS)
        log_sigma = np.clip(numbers[:, TARGETS : 2 * TARGETS], *LOG_SIGMA)
        # y - μ = (1 + G)⁻¹ σ z, then to the parameters
        root = np.linalg.inv(factor) * np.exp(log_sigma)[:, None, :] * scale[:, None]
        root = frame.jacobian(targets, self.with_law) @ root
        return frame.parameters(targets, self.with_law), root @ root.swapaxes(1, 2), distance

    def _pass(
        self, scans: NDArray[Any], common: NDArray[Any], present: NDArray[np.bool_]
    ) -> tuple[FloatArray, FloatArray]:
        here = present.astype(np.float32)
        white = whiten(self.arrays, scans)
        square = ((white**2).mean(2) * here).sum(1) / here.sum(1)
        return forward(self.arrays, white, common, here).astype(float), square.astype(float)

    def read(
        self, scans: NDArray[Any], common: NDArray[Any], present: NDArray[np.bool_], frame: Frame, cpn_max: FloatArray
    ) -> Estimates:
        """The calibrated answer; cpn_max (n,): highest CpN of each sample's scans."""
        parameters, covariance, distance = self.gaussian(scans, common, present, frame)
        table = self.arrays["calibration"][region(parameters, cpn_max, present.sum(1))]  # (n, 4, levels)
        table = table * self.arrays["calibration_quarters"][quarter(parameters)]
        sigma = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
        quantiles = sigma[:, :, None] * table
        scale = _half_width(table, ONE_SIGMA)
        covariance = covariance * scale[:, :, None] * scale[:, None, :]
        smooth = np.full(len(common), False) if self.with_law else common[:, LOG_ROUGH] < _LOG_SMOOTH
        flags = self._flags(parameters, covariance, distance, smooth)
        return Estimates(parameters, covariance, quantiles, distance, flags)

    def _flags(
        self, parameters: FloatArray, covariance: FloatArray, distance: FloatArray, smooth: NDArray[np.bool_]
    ) -> list[tuple[str, ...]]:
        sigma = OUTSIDE_SIGMAS * np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
        low, high = box(parameters[:, 1])
        limit = float(self.arrays["distance_limit"])
        words = ("ln A = {:.4g}", "Δh* = {:.4g} J/mol", "x = {:.3g}", "β = {:.3g}")
        flags = []
        for i, row in enumerate(parameters):
            found = [
                f"outside the trained box: {words[k].format(row[k])}, expected {low[i, k]:.4g} … {high[i, k]:.4g}"
                for k in range(4)
                if not low[i, k] - sigma[i, k] <= row[k] <= high[i, k] + sigma[i, k]
            ]
            if not distance[i] <= limit:
                found.append(
                    f"unlike the trained scans: mean square distance {distance[i]:.3g}, expected up to {limit:.3g}"
                )
            if smooth[i]:
                found.append(
                    "smoother than the trained scans: the error bars may be too small, up to a factor of two; "
                    'simulated scans are read by the network "clean"'
                )
            flags.append(tuple(found))
        return flags


def box(dh: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Ends of the box, rows (ln A, Δh*, x, β) for each Δh* (n,): that of the paper's grid."""
    cold, hot = PAPER.ln_a_limits(np.clip(dh, PAPER.dh_low, PAPER.dh_high))
    one = np.ones_like(cold)
    low = np.column_stack([cold, one * PAPER.dh_low, one * PAPER.shape_low, one * PAPER.shape_low])
    high = np.column_stack([hot, one * PAPER.dh_high, one * PAPER.shape_high, one * PAPER.shape_high])
    return low, high


@lru_cache(maxsize=8)
def load(name: str) -> Network:
    """A network by the name of its variant ("clean", "instrument": shipped with this package) or by its file.

    Raises weights.WeightsError.
    """
    path = str(resources.files("hpctools") / "data" / "tnm" / f"{name}.npz") if name in VARIANTS else name
    found = weights.load(path, {"network": "tnm"})
    return Network(found.arrays, bool(found.config["with_law"]), found)
