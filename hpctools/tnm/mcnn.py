"""The multi-scale convolutional network of Mater. Chem. Phys. 329 (2025) 130107, sections 2.2 and 2.3.

Six heating scans → three branches (the significant segment of each scan as a cubic polynomial; the scans thinned by 3;
the scans as they are) → two dense layers → ln A, Δh*, x, β, scaled by fixed limits. The paper does not publish the
numbers of filters, pool sizes, dense units of the branches, dropout and initial weights; `Architecture` names them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from hpctools.training_data import SampleDropout, Tensors
from hpctools.training_settings import TrainingError

from .learning_settings import LIMITS

SEGMENT_POINTS = 1000  # of the polynomial
THINNING = 3
KERNELS = (4, 12, 24)  # of the branches: segment, thinned, raw
THINNED = ((KERNELS[1], THINNING), (KERNELS[2], 1))  # kernels of branches whose input has a scan's points, thinned
HIDDEN = 32


@dataclass(frozen=True)
class Architecture:
    """Sizes of the network; all but epsilon are unpublished.

    points: of an input scan; filters, pools: of the three convolutions of a branch; units: of a branch's dense layer;
    own_weights: each scan has its own convolutions, else all share them; limits: see LIMITS.
    """

    points: int
    scans: int = 6
    filters: tuple[int, ...] = (8, 16, 32)
    pools: tuple[int, ...] = (4, 4, 4)
    units: int = 32
    dropout: float = 0.1
    own_weights: bool = True
    epsilon: float = 1e-3
    limits: str = "widened"


def segment_ends(signals: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
    """First and last point of the significant segment of scans (…, points).

    First: the last point before CpN first reaches epsilon. Last: the last point with |CpN - 1| > epsilon; the paper's
    own condition (CpN within epsilon below 1 and falling) is never met after an overshoot, which falls from above.
    """
    points = signals.shape[-1]
    risen = signals >= epsilon
    first = torch.where(risen.any(-1), risen.byte().argmax(-1) - 1, 0).clamp(min=0)
    away = ((signals - 1).abs() > epsilon).flip(-1)
    last = torch.where(away.any(-1), points - 1 - away.byte().argmax(-1), points - 1)
    return first, torch.maximum(last, first)


def significant_segment(signals: Tensor, epsilon: float, points: int = SEGMENT_POINTS) -> Tensor:
    """Cubic least squares through the significant segment of each scan, (…, points) at even distances along it.

    By the orthogonal polynomials of evenly spaced points (Gram; Abramowitz & Stegun 22.17), so that no equations are
    solved. Segments of n < 4 points get a polynomial of degree n - 1. Computed in float32 or better.
    """
    signals = signals.float()
    first, last = segment_ends(signals, epsilon)
    n = (last - first + 1)[..., None].float()
    half = ((n - 1) / 2).clamp(min=0.5)  # places are scaled to -1 … 1
    place = torch.arange(signals.shape[-1], device=signals.device)
    inside = (place >= first[..., None]) & (place <= last[..., None])
    s = (place - first[..., None] - (n - 1) / 2) / half
    at = torch.linspace(-1, 1, points, device=signals.device).expand(*first.shape, points)
    result = torch.zeros(*first.shape, points, device=signals.device)
    for degree in range(4):
        basis = _gram(degree, s, n, half) * inside
        norm = (basis * basis).sum(-1, keepdim=True)
        coefficient = (basis * signals).sum(-1, keepdim=True) / norm.clamp(min=1e-12)
        result = result + torch.where(n > degree, coefficient, 0.0) * _gram(degree, at, n, half)
    return result


def _gram(degree: int, s: Tensor, n: Tensor, half: Tensor) -> Tensor:
    if degree == 0:
        return torch.ones_like(s)
    if degree == 1:
        return s
    if degree == 2:
        return s * s - (n * n - 1) / (12 * half * half)
    return s * (s * s - (3 * n * n - 7) / (20 * half * half))


def points_needed(kernel: int, pools: Sequence[int]) -> int:
    """Fewest points of a branch's input that leave one behind its three convolutions and pools."""
    least = 1
    for pool in reversed(pools):
        least = least * pool + kernel - 1
    return least


class Branch(nn.Module):
    """Three times convolution, ReLU, max-pooling on every scan, then a dense tanh layer and dropout."""

    def __init__(self, points: int, kernel: int, architecture: Architecture) -> None:
        super().__init__()
        self.own_weights, scans = architecture.own_weights, architecture.scans
        groups = scans if self.own_weights else 1
        layers: list[nn.Module] = []
        length = points
        for (before, after), pool in zip(pairwise((1, *architecture.filters)), architecture.pools, strict=True):
            layers += [nn.Conv1d(before * groups, after * groups, kernel, groups=groups), nn.ReLU(), nn.MaxPool1d(pool)]
            length = (length - kernel + 1) // pool
        if length < 1:
            raise TrainingError(
                f"scans of {points} points are too short for kernels of {kernel} and pools {architecture.pools}: "
                "use more points (every) or smaller pools"
            )
        self.convolutions = nn.Sequential(*layers)
        self.dense = nn.Linear(scans * architecture.filters[-1] * length, architecture.units)
        self.dropout = SampleDropout(architecture.dropout)

    def forward(self, signals: Tensor) -> Tensor:
        number, scans, points = signals.shape
        if not self.own_weights:
            signals = signals.reshape(number * scans, 1, points)
        features = self.convolutions(signals).reshape(number, -1)
        return self.dropout(torch.tanh(self.dense(features)))


class MCNN(nn.Module):
    """Signals (n, scans, points) → ln A, Δh*, x, β (n, 4), scaled to the limits; see `parameters`."""

    low: Tensor
    high: Tensor

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        lengths = (SEGMENT_POINTS, -(-architecture.points // THINNING), architecture.points)
        self.branches = nn.ModuleList(
            Branch(length, kernel, architecture) for length, kernel in zip(lengths, KERNELS, strict=True)
        )
        self.head = nn.Sequential(
            nn.Linear(3 * architecture.units, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, HIDDEN), nn.Tanh(),
            nn.Linear(HIDDEN, 4),
        )  # fmt: skip
        limits = torch.tensor(LIMITS[architecture.limits])
        self.register_buffer("low", limits[:, 0], persistent=False)
        self.register_buffer("high", limits[:, 1], persistent=False)
        for layer in self.modules():  # Glorot's uniform weights and no bias
            if isinstance(layer, (nn.Linear, nn.Conv1d)):
                nn.init.xavier_uniform_(layer.weight)
                assert layer.bias is not None
                nn.init.zeros_(layer.bias)

    def forward(self, signals: Tensor) -> Tensor:
        with torch.no_grad():
            segment = significant_segment(signals, self.architecture.epsilon)
        inputs = (segment, signals[..., ::THINNING], signals)
        return self.head(torch.cat([branch(values) for branch, values in zip(self.branches, inputs)], dim=1))

    def scaled(self, parameters: Tensor) -> Tensor:
        """ln A, Δh* (J/mol), x, β (n, 4) → the network's targets."""
        return (parameters - self.low) / (self.high - self.low)

    def parameters_of(self, output: Tensor) -> Tensor:
        """The network's output → ln A, Δh* (J/mol), x, β (n, 4)."""
        return self.low + output * (self.high - self.low)


class WeightedLoss:
    """Mean over samples and parameters of weight · (scaled error)²; errors of ln A, Δh* (kJ/mol), x, β beside it.

    For training.train: tensors are signals (n, scans, points) and parameters (n, 4). weights: of ln A, Δh*, x, β.
    """

    def __init__(self, network: MCNN, weights: tuple[float, ...]) -> None:
        self.network, self.weights = network, torch.tensor(weights)

    def __call__(self, model: nn.Module, tensors: Tensors) -> Mapping[str, Tensor]:
        signals, parameters = tensors
        output = model(signals).float()
        difference = output - self.network.scaled(parameters)
        error = (self.network.high - self.network.low) * difference.detach().abs()
        ln_a, dh, x, beta = error.mean(0)
        return {
            "loss": (difference.square() * self.weights.to(output.device)).mean(),
            "mae_ln_A": ln_a, "mae_dh_kJ": dh / 1e3, "mae_x": x, "mae_beta": beta,
        }  # fmt: skip


def forward_flop(architecture: Architecture) -> int:
    """Operations of one sample's forward pass (a multiply-add counts 2); a training step takes 3 times as many."""
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    with torch.device("meta"), torch.no_grad(), counter:
        MCNN(architecture)(torch.zeros(1, architecture.scans, architecture.points))
    return int(counter.get_total_flops())
