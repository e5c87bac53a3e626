"""The convolutional autoencoder of K. Ayush et al. (arXiv:2308.11151, figure 2), and the forest to its latents.

Six times convolution, ReLU and max-pool take an image of 64 × 64 to 1 × 1 × 8; six times transposed convolution, ReLU
and up-sampling, and a last convolution to one channel, take it back. Kernels of 3 × 3, a batch of 32 and the logistic
function at the end are choices of ours: the paper does not say. Weights begin at random after K. He et al.
(ICCV 2015), and the last bias where the output is the mean grey value; with a last bias of 0 (an output of 0.5, ten
times too bright) trial runs fell to a blank image within ten epochs and never left it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hpctools import weights
from hpctools.stop import Stop
from hpctools.training import MODEL, Result, Samples, TorchWorld, train

from .curves import Curves
from .fingerprint import Query, matrix, pair_of
from .forest import PAPER, FittedForest, Forest
from .images import SIZE, Axes, decode, encode
from .learning_settings import GlassTraining
from .models import max_0
from .splits import Fold

FILTERS = (64, 32, 32, 16, 16)
NETWORK = "glass autoencoder"
Array = NDArray[np.float64]


class Autoencoder(nn.Module):
    """Images (n, 1, 64, 64) of grey values 0 … 1 -> the same, through `latent` numbers, none negative.

    grey: mean of the images, where the output begins.
    """

    def __init__(self, latent: int = 8, grey: float = 0.05) -> None:
        super().__init__()
        filters = (1, *FILTERS, latent)
        # ReLU after the pool: the same numbers, since the largest of four passes ReLU last or first, and a quarter of
        # them to work on
        self.encoder = nn.Sequential(*(
            part for a, b in pairwise(filters)
            for part in (nn.Conv2d(a, b, 3, padding=1), nn.MaxPool2d(2), nn.ReLU())
        ))  # fmt: skip
        back = (latent, latent, *FILTERS[::-1])
        self.decoder = nn.Sequential(*(
            part for a, b in pairwise(back)
            for part in (nn.ConvTranspose2d(a, b, 3, padding=1), nn.ReLU(), nn.Upsample(scale_factor=2))
        ), nn.Conv2d(FILTERS[0], 1, 3, padding=1), nn.Sigmoid())  # fmt: skip
        for part in self.modules():
            if isinstance(part, nn.Conv2d | nn.ConvTranspose2d):
                # kernels of a transposed convolution have their inputs on the first axis
                fan = part.in_channels * 9
                nn.init.normal_(part.weight, std=(2 / fan) ** 0.5)
                assert part.bias is not None
                nn.init.zeros_(part.bias)
        last = self.decoder[-2]
        assert isinstance(last, nn.Conv2d) and last.bias is not None
        nn.init.normal_(last.weight, std=0.02)
        nn.init.constant_(last.bias, math.log(grey / (1 - grey)))
        # half the time of a step on a CPU; torch's types do not know the word
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, images: Tensor) -> Tensor:
        return torch.as_tensor(self.decoder(self.encoder(images)))


def squared_error(model: nn.Module, tensors: tuple[Tensor, ...]) -> dict[str, Tensor]:
    """Mean over pixels and images."""
    return {"loss": nn.functional.mse_loss(model(tensors[0]), tensors[0])}


def train_autoencoder(curves: Curves, fold: Fold, settings: GlassTraining, folder: Path, world: TorchWorld,
                      stop: Stop | None, arguments: Sequence[str] = ()) -> Result:
    """Train on the fold's part; its test part is only watched, as the validation of the log. Collective."""
    learned = curves.rows(fold.train)
    axes = Axes.of(learned)

    def samples(part: Curves) -> Samples:
        images = encode(settings.encoding, part.g, axes.top(part.query))
        return Samples.of(torch.as_tensor(images[:, None], dtype=torch.float32, device=world.device))

    data = samples(learned)
    torch.manual_seed(settings.seed)
    model = Autoencoder(settings.latent, float(data.in_order(0, data.number)[0].mean()))
    return train(
        model, data, squared_error, settings, out=folder, validation=samples(curves.rows(fold.test)),
        identity={
            "network": NETWORK, "encoding": settings.encoding, "latent": settings.latent, "fold": fold.name,
            "curves": learned.fingerprint(), "tops": {"-".join(pair): top for pair, top in axes.tops.items()},
            "bins": curves.g.shape[1],
        },
        world=world, stop=stop, label=f"autoencoder {fold.name}", arguments=arguments,
    )  # fmt: skip


class Trained:
    """A trained autoencoder: latents of curves, and curves of latents."""

    def __init__(self, arrays: dict[str, NDArray[Any]], config: dict[str, Any]) -> None:
        self.arrays, self.config = arrays, config
        self.encoding, self.bins = config["encoding"], int(config["bins"])
        self.axes = Axes({pair_of(name): top for name, top in config["tops"].items()})
        self.model = Autoencoder(int(config["latent"]))
        self.model.load_state_dict({name: torch.from_numpy(np.asarray(array)) for name, array in arrays.items()})
        self.model.eval()

    @classmethod
    def load(cls, path: str | Path) -> Trained:
        """Raises WeightsError. path: a file of weights, or the folder of a run."""
        path = Path(path)
        stored = weights.load(path / MODEL if path.is_dir() else path, {"network": NETWORK})
        return cls(stored.arrays, stored.config)

    def images(self, query: Query, g: Array) -> Array:
        """Images (n, 64, 64) of curves as the network sees them."""
        return encode(self.encoding, g, self.axes.top(query))

    @torch.no_grad()
    def latents(self, images: Array) -> Array:
        """(n, latent)."""
        found = self.model.encoder(torch.as_tensor(images[:, None], dtype=torch.float32))
        return np.asarray(found.flatten(1).double().numpy())

    @torch.no_grad()
    def decoded(self, latents: Array) -> Array:
        """Images (n, 64, 64) of latents."""
        shaped = torch.as_tensor(latents[:, :, None, None], dtype=torch.float32)
        return np.asarray(self.model.decoder(shaped).reshape(-1, SIZE, SIZE).double().numpy())

    def curves(self, query: Query, images: Array) -> Array:
        """Curves (n, bins) read from images."""
        return decode(self.encoding, images, self.axes.top(query), self.bins)


class LatentForest:
    """The paper's pipeline: fingerprint, forest, latents, decoder, image, curve (its figures 5, 8b and 9)."""

    def __init__(self, trained: Trained, fingerprint: str = "paper", forest: Forest = PAPER) -> None:
        self.trained, self.fingerprint, self.forest = trained, fingerprint, forest
        self.name = f"CNN + forest, {trained.encoding}, {fingerprint}"

    def fit(self, curves: Curves) -> None:
        """Fit the forest; the autoencoder must have been fitted to nothing else."""
        latents = self.trained.latents(self.trained.images(curves.query, curves.g))
        self.fitted = FittedForest(matrix(self.fingerprint, curves.query), latents, self.forest)

    def predict_latents(self, query: Query) -> Array:
        """(n, latent)."""
        return self.fitted.predict(matrix(self.fingerprint, query))

    def predict_images(self, query: Query) -> Array:
        """(n, 64, 64)."""
        return self.trained.decoded(self.predict_latents(query))

    def predict(self, query: Query) -> Array:
        return max_0(self.trained.curves(query, self.predict_images(query)))
