"""A 1-D convolutional network for the change of the potential of mean force with composition.

    g(r) = 1 + t(r) (ḡ(r) e^{f(r)} - 1)

ḡ is the mean of the training curves of the pair, -k_B T f the change of the potential of mean force, which the network
gives for a composition and a pair, and t a taper from 1 to 0 over the last ångström. So g is never negative, is 0
in the core wherever all training curves are, is 1 at the end of the range, and without any learning the pair's mean.
Some networks from different random weights are trained as one, and their mean is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hpctools.stop import Stop
from hpctools.training import Result, Samples, TorchWorld, train

from .curves import Curves
from .fingerprint import ELEMENTS, OXIDES, Query, mole_fractions, ordered
from .learning_settings import GlassTraining
from .models import PairMean
from .splits import Fold

NETWORK = "glass mean force"
PAIRS = tuple(dict.fromkeys(ordered((a, b)) for a in ELEMENTS for b in ELEMENTS))
TAPER = 1.0  # Å
_INPUTS = len(OXIDES) + len(ELEMENTS) + len(PAIRS)
_WINDOWS = 25  # of the first convolution
_FLOOR = 1e-3  # added to the variance of a pair's curves, which weights its errors
Array = NDArray[np.float64]


def inputs(query: Query) -> Array:
    """(n, 41): mole fractions in tenths, atoms of each element in the pair, the pair."""
    table = np.zeros((len(query), _INPUTS))
    for row, (glass, pair) in zip(table, query):
        row[: len(OXIDES)] = mole_fractions(glass) * 10
        for element in pair:
            row[len(OXIDES) + ELEMENTS.index(element)] += 1
        row[len(OXIDES) + len(ELEMENTS) + PAIRS.index(ordered(pair))] = 1
    return table


class _Member(nn.Module):
    """Inputs (n, 41) -> f (n, bins)."""

    def __init__(self, bins: int, width: int, channels: int) -> None:
        super().__init__()
        self.bins, self.channels = bins, channels
        self.trunk = nn.Sequential(nn.Linear(_INPUTS, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(),
                                   nn.Linear(width, channels * _WINDOWS))
        self.first = nn.Conv1d(channels, channels, 5, padding=2)
        self.second = nn.Conv1d(channels, channels, 5, padding=2)
        self.last = nn.Conv1d(channels, 1, 5, padding=2)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        wave = self.trunk(x).reshape(len(x), self.channels, _WINDOWS)
        wave = nn.functional.interpolate(wave, scale_factor=2)
        wave = nn.functional.interpolate(nn.functional.silu(self.first(wave)), size=self.bins)
        return torch.as_tensor(self.last(nn.functional.silu(self.second(wave)))[:, 0])


class MeanForceNetwork(nn.Module):
    """Inputs (n, 41) and row of the pair in `PAIRS` (n,) -> g of each member (n, members, bins).

    means (28, bins): of the pairs. r: centres of the bins, Å.
    """

    means: Tensor
    taper: Tensor

    def __init__(self, means: Array, r: Array, members: int, width: int, channels: int) -> None:
        super().__init__()
        end = r[-1] + (r[1] - r[0]) / 2
        done = np.clip((r - (end - TAPER)) / (r[-1] - (end - TAPER)), 0, 1)
        self.register_buffer("means", torch.as_tensor(means, dtype=torch.float32))
        self.register_buffer("taper", torch.as_tensor(np.cos(np.pi / 2 * done) ** 2, dtype=torch.float32))
        self.members = nn.ModuleList(_Member(len(r), width, channels) for _ in range(members))

    def forward(self, x: Tensor, pairs: Tensor) -> Tensor:
        f = torch.stack([member(x) for member in self.members], 1)
        # a change by more than a factor of e^5 is none of glass
        return 1 + self.taper * (self.means[pairs][:, None] * torch.exp(5 * torch.tanh(f / 5)) - 1)


def weighted_error(model: nn.Module, tensors: tuple[Tensor, ...]) -> dict[str, Tensor]:
    """Squared error of g over the variance of the pair's curves, mean over bins, members and samples."""
    x, pairs, g, weight = tensors
    error = (model(x, pairs) - g[:, None]) ** 2
    return {"loss": (error.mean((1, 2)) * weight).mean(), "mse": error.mean()}


def tables(curves: Curves) -> tuple[Array, Array]:
    """Mean curve (28, bins) and weight (28,) of each pair of `PAIRS`."""
    mean = PairMean()
    mean.fit(curves)
    spread = {pair: curves.g[curves.of_pair(pair)].var(0).mean() + _FLOOR for pair in curves.known_pairs}
    weight = [1 / spread[pair] if pair in spread else 0.0 for pair in PAIRS]
    return np.array([mean.of(pair) for pair in PAIRS]), np.array(weight)


def train_mean_force(curves: Curves, fold: Fold, settings: GlassTraining, folder: Path, world: TorchWorld,
                     stop: Stop | None, arguments: Sequence[str] = ()) -> Result:
    """Train on the fold's part; its test part, if any, is only watched. Collective."""
    learned = curves.rows(fold.train)
    means, weight = tables(learned)

    def samples(part: Curves) -> Samples:
        rows = [PAIRS.index(pair) for pair in part.pairs]
        numbers = [inputs(part.query), part.g, weight[rows]]
        x, g, w = (torch.as_tensor(table, dtype=torch.float32, device=world.device) for table in numbers)
        return Samples.of(x, torch.as_tensor(rows, device=world.device), g, w)

    torch.manual_seed(settings.seed)
    model = MeanForceNetwork(means, curves.r, settings.members, settings.width, settings.channels)
    return train(
        model, samples(learned), weighted_error, settings, out=folder,
        validation=samples(curves.rows(fold.test)) if len(fold.test) else None,
        identity={
            "network": NETWORK, "fold": fold.name, "curves": learned.fingerprint(), "members": settings.members,
            "width": settings.width, "channels": settings.channels, "bins": len(curves.r), "reach": _end(curves.r),
        },
        world=world, stop=stop, label=f"mean force {fold.name}", arguments=arguments,
    )  # fmt: skip


def _end(r: Array) -> float:
    return round(float(r[-1] + (r[1] - r[0]) / 2), 6)


class MeanForce:
    """A trained network as a model."""

    name = "mean-force network"

    def __init__(self, arrays: dict[str, NDArray[Any]], config: dict[str, Any]) -> None:
        bins, end = int(config["bins"]), float(config["reach"])
        r = (np.arange(bins) + 0.5) * end / bins
        self.config, self.arrays = config, arrays
        self.model = MeanForceNetwork(arrays["means"], r, int(config["members"]), int(config["width"]),
                                      int(config["channels"]))
        self.model.load_state_dict({name: torch.from_numpy(np.asarray(array)) for name, array in arrays.items()})
        self.model.eval()

    def fit(self, curves: Curves) -> None:
        """Nothing: it is trained."""

    @torch.no_grad()
    def predict(self, query: Query) -> Array:
        rows = torch.tensor([PAIRS.index(ordered(pair)) for _, pair in query])
        found = self.model(torch.as_tensor(inputs(query), dtype=torch.float32), rows)
        return np.asarray(found.mean(1).double().numpy())
