"""Networks from a state and a time to F_s(k_p,t), and their training through hpctools.training.

`Mlp` is the network of Ciarella et al., Mach. Learn.: Sci. Technol. 4 (2023) 025010, § 4.2: 303 numbers of a state and
log₁₀ t, layers of 500, 400, 400, 300, 200 with ReLU, F of A and B; L1 loss, Lasso, Adam. `Monotone` is shown the state
alone and gives the amplitudes of the modes of curves.py, non-negative with sum 1, so that F falls with t whatever it
is shown; its loss counts both species alike.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hpctools.stop import Stop
from hpctools.training import Result, Samples, TorchWorld, derived_seed, train

from . import curves
from .inputs import Scaler, plain, scaled
from .samples import FloatArray, Sample, State, fingerprint
from .settings import TrainJob
from .theory import curve_of


def dense(sizes: Sequence[int]) -> nn.Sequential:
    """Layers of these sizes with ReLU between them."""
    parts: list[nn.Module] = []
    for before, after in pairwise(sizes):
        parts += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*parts[:-1])


class Mlp(nn.Module):
    """Standardised inputs of a state (n, inputs) and of time (n, 1) to F (n, 2)."""

    def __init__(self, n_inputs: int, layers: Sequence[int]) -> None:
        super().__init__()
        self.body = dense([n_inputs + 1, *layers, curves.SPECIES])

    def forward(self, state: Tensor, time: Tensor) -> Tensor:
        found: Tensor = self.body(torch.cat([state, time], dim=1))
        return found


class Monotone(nn.Module):
    """Standardised inputs of a state (n, inputs) and delayed times (n, 1) to f (n, 2) and ln F(0) (n, 2)."""

    def __init__(self, n_inputs: int, layers: Sequence[int]) -> None:
        super().__init__()
        self.n_modes = len(curves.RATES)
        self.body = dense([n_inputs, *layers, curves.SPECIES * (self.n_modes + 1)])
        self.rates: Tensor
        self.register_buffer("rates", torch.tensor(curves.RATES, dtype=torch.float32))

    def forward(self, state: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
        out = self.body(state)
        amplitudes = out[:, curves.SPECIES :].reshape(-1, curves.SPECIES, self.n_modes).softmax(dim=2)
        f = (amplitudes * torch.exp(-s[:, :, None] * self.rates)).sum(2)
        return f, out[:, : curves.SPECIES]


def mlp_loss(model: nn.Module, tensors: tuple[Tensor, ...]) -> Mapping[str, Tensor]:
    """Mean absolute error of F (L1), and that of each species."""
    state, time, _, F, _ = tensors
    error = (model(state, time) - F).abs()
    return {"loss": error.mean(), "mae_A": error[:, 0].mean(), "mae_B": error[:, 1].mean()}


def monotone_loss(model: nn.Module, tensors: tuple[Tensor, ...]) -> Mapping[str, Tensor]:
    """Mean absolute errors of f and of ln F(0), added; and those of F of each species as in `mlp_loss`."""
    state, _, s, F, initial = tensors
    f, log_initial = model(state, s)
    error = (f * log_initial.exp() - F).detach().abs()
    loss = (f - F / initial).abs().mean() + (log_initial - initial.log()).abs().mean()
    return {"loss": loss, "mae_A": error[:, 0].mean(), "mae_B": error[:, 1].mean()}


LOSSES = {"mlp": mlp_loss, "monotone": monotone_loss}


class Network:
    """A network as a model: `name` and `kind` as in models.py."""

    def __init__(self, name: str, kind: str, job: TrainJob | None = None) -> None:
        self.name, self.kind = name, kind
        self.job = job or TrainJob(model=name, inputs=kind)
        self.result: Result | None = None

    # --- inputs ---------------------------------------------------------------------------------------

    def _rows(self, states: Sequence[State]) -> FloatArray:
        """As the paper has them for its network; as regressions have them for the other."""
        return plain(states, self.kind) if self.name == "mlp" else scaled(states, self.kind)

    def _log_times(self, times: FloatArray, state: State) -> FloatArray:
        """log₁₀ t as the network is shown it: in reduced units, where the inputs are."""
        unit = curves.reduced(state) if self.kind == "reduced" else 1.0
        with np.errstate(divide="ignore"):
            return np.asarray(np.log10(np.asarray(times) * unit))

    def _tensors(self, states: Sequence[State], times: Sequence[FloatArray]) -> list[Tensor]:
        """Rows of all times of all states: state, log₁₀ t standardised, s."""
        rows = self.scaler(self._rows(states))
        lengths = [len(t) for t in times]
        log_t = np.concatenate([self._log_times(t, state) for t, state in zip(times, states)])
        log_t = np.clip(log_t, *self.log_times)  # what was trained on: a network knows nothing beyond
        middle, half = np.mean(self.log_times), max(np.ptp(self.log_times) / 2, 1e-9)
        s = np.concatenate([curves.delayed(t, state, self.kind) for t, state in zip(times, states)])
        rows = np.repeat(rows, lengths, axis=0)
        if self.kind == "mct" and self.name == "mlp":  # what the theory says at this time
            rows = np.hstack([rows, np.concatenate([
                curve_of(state.theory, t, state) for t, state in zip(times, states) if state.theory is not None])])
        columns = (rows, ((log_t - middle) / half)[:, None], s[:, None])
        return [torch.tensor(column, dtype=torch.float32) for column in columns]

    def data(self, samples: Sequence[Sample]) -> Samples:
        """All points of samples."""
        tensors = self._tensors([s.state for s in samples], [s.times for s in samples])
        F = np.concatenate([s.F for s in samples])
        initial = np.concatenate([np.broadcast_to(s.initial, s.F.shape) for s in samples])
        return Samples.of(*tensors, *(torch.tensor(a, dtype=torch.float32) for a in (F, initial)))

    # --- learning -------------------------------------------------------------------------------------

    def prepare(self, samples: Sequence[Sample]) -> None:
        """Standardise by the samples; a new network with weights by the seed."""
        self.scaler = Scaler.of(self._rows([s.state for s in samples]))
        ends = np.array([self._log_times(s.times[[0, -1]], s.state) for s in samples])
        self.log_times = np.array([ends[:, 0].min(), ends[:, 1].max()])
        torch.manual_seed(derived_seed(self.job.seed, 2))
        self._build(samples)

    def _build(self, samples: Sequence[Sample] = ()) -> None:
        n = len(self.scaler.mean) + (curves.SPECIES if self.kind == "mct" and self.name == "mlp" else 0)
        if self.name == "mlp":
            self.model: Mlp | Monotone = Mlp(n, self.job.layers)
            return
        self.model = Monotone(n, self.job.monotone_layers)
        if samples:  # begins at the mean curve
            last: Any = self.model.body[-1]
            mean = np.mean([curves.fit_modes(s, self.kind) for s in samples], axis=0)
            start = [np.log([s.initial for s in samples]).mean(0), np.log(mean + 1e-4).ravel()]
            with torch.no_grad():
                last.weight.mul_(0.1)
                last.bias.copy_(torch.tensor(np.concatenate(start), dtype=torch.float32))

    def train(self, samples: Sequence[Sample], validation: Sequence[Sample], folder: Path, *,
              world: TorchWorld | None = None, stop: Stop | None = None, label: str = "training",
              arguments: Sequence[str] | None = None) -> bool:
        """Train, or go on with it; False where it was stopped. Collective."""
        self.prepare(samples)
        data = self.data(samples)
        job = self.job
        if job.steps:
            job = replace(job, epochs=-(-job.steps // -(-data.number // job.batch)))
        identity = {"network": "liquid", "model": self.name, "inputs": self.kind, "layers": list(job.layers),
                    "monotone_layers": list(job.monotone_layers), "learned_from": fingerprint(samples)}
        self.result = train(self.model, data, LOSSES[self.name], job, out=folder,
                            validation=self.data(validation) if validation else None, identity=identity, world=world,
                            stop=stop, label=label, arguments=arguments)
        self.model.eval()
        return self.result.complete

    def fit(self, samples: Sequence[Sample], seed: int) -> None:
        """Train in a temporary folder."""
        import tempfile

        self.job = replace(self.job, seed=seed)
        with tempfile.TemporaryDirectory() as folder:
            self.train(samples, (), Path(folder))

    # --- answers --------------------------------------------------------------------------------------

    @torch.no_grad()
    def predict(self, state: State, times: FloatArray) -> FloatArray:
        """F (1, n, 2) of a state at times (n,). Outside the trained times `mlp` keeps the value at their end."""
        rows, time, s = self._tensors([state], [np.asarray(times, float)])
        device = next(self.model.parameters()).device
        rows, time, s = (tensor.to(device) for tensor in (rows, time, s))
        if self.name == "mlp":
            found = self.model(rows, time)
        else:
            f, log_initial = self.model(rows, s)
            found = f * log_initial.exp()
        return found.cpu().double().numpy()[None]

    def arrays(self) -> dict[str, FloatArray]:
        """All that was learned."""
        weights = {f"weights.{k}": v.detach().cpu().numpy() for k, v in self.model.state_dict().items()}
        return {"mean": self.scaler.mean, "scale": self.scaler.scale, "log_times": self.log_times, **weights}

    def restore(self, arrays: dict[str, Any]) -> None:
        """What `arrays` gave."""
        self.scaler = Scaler(arrays["mean"], arrays["scale"])
        self.log_times = arrays["log_times"]
        self._build()
        self.model.load_state_dict({k[len("weights.") :]: torch.from_numpy(v) for k, v in arrays.items()
                                    if k.startswith("weights.")})
        self.model.eval()


def parameters(network: nn.Module) -> int:
    """Number of weights."""
    return sum(math.prod(p.shape) for p in network.parameters())
