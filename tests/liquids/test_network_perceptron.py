"""The paper's network and the monotone one: sizes, limits by construction, learning, stop and resume, files."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from hpctools.liquids.network import curves, models
from hpctools.liquids.network.settings import LAYERS, TrainJob
from hpctools.stop import Stop
from hpctools.training_log import read_log

torch = pytest.importorskip("torch")
perceptron = pytest.importorskip("hpctools.liquids.network.perceptron")

SMALL = (32, 32)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def job(model="mlp", **further):
    return TrainJob(model=model, layers=SMALL, monotone_layers=SMALL, **{"steps": 40, "batch": 128, **further})


def test_the_papers_layers():
    network = perceptron.Mlp(303, LAYERS)
    sizes = (304, 500, 400, 400, 300, 200, 2)
    found = [tuple(layer.weight.shape[::-1]) for layer in network.body if hasattr(layer, "weight")]
    assert found == list(pairwise(sizes))
    assert sum(isinstance(layer, torch.nn.ReLU) for layer in network.body) == 5
    assert perceptron.parameters(network) == sum((a + 1) * b for a, b in pairwise(sizes))


def test_loss_of_the_paper_is_l1():
    class Zero(torch.nn.Module):
        def forward(self, state, time):
            return torch.zeros(len(state), 2)

    F = torch.tensor([[1.0, -2.0], [3.0, 0.0]])
    found = perceptron.mlp_loss(Zero(), (torch.zeros(2, 3), torch.zeros(2, 1), torch.zeros(2, 1), F, F))
    assert {name: float(value) for name, value in found.items()} == {"loss": 1.5, "mae_A": 2.0, "mae_B": 1.0}


@pytest.mark.parametrize("seed", range(5))
def test_monotone_by_construction(seed):
    """Whatever the weights and inputs: f(0) = 1, f falls, stays positive, and is convex in s (complete monotony)."""
    torch.manual_seed(seed)
    network = perceptron.Monotone(303, (64, 64)).double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(5.0)
        s = torch.linspace(0, 30, 400, dtype=torch.float64)[:, None]
        f, _ = network(torch.randn(1, 303, dtype=torch.float64).expand(400, -1), s)
    f = f.numpy()
    np.testing.assert_allclose(f[0], 1, atol=1e-12)
    assert np.all(f > -1e-12)
    for order in range(1, 5):  # signs of the differences alternate
        assert np.all((-1) ** order * np.diff(f, order, axis=0) > -1e-10)


@pytest.mark.parametrize("model", ["mlp", "monotone"])
def test_it_learns_and_its_file_is_the_same(samples, tmp_path, model):
    liquids = [s for s in samples if not s.glass]
    network = perceptron.Network(model, "full", job(model, steps=200, learning_rate=5e-3))
    assert network.train(liquids, (), tmp_path)
    log = read_log(tmp_path)
    assert log["loss"][-1] < 0.35 * log["loss"][0]
    error = [np.abs(network.predict(s.state, s.times)[0] - s.F) / s.initial for s in liquids]
    assert np.mean([e.mean() for e in error]) < 0.12
    trained = models.calibrated(network, network.job, liquids, liquids[:2])
    models.save(tmp_path / "liquid.npz", trained, {}, {})
    again = models.load(tmp_path / "liquid.npz")
    one = liquids[0]
    np.testing.assert_array_equal(again.model.predict(one.state, one.times), network.predict(one.state, one.times))
    assert again.z(one.state) == trained.z(one.state) > 0


def test_stopped_and_gone_on_is_the_same(samples, tmp_path, monkeypatch):
    """A training that is stopped after some steps and called again ends with the weights of one that was not."""
    monkeypatch.setattr("hpctools.training._CHECK_SECONDS", 0.0)  # looks at the stop after each step
    whole = perceptron.Network("mlp", "full", job())
    assert whole.train(samples, samples[:1], tmp_path / "whole")

    class After(Stop):
        def __init__(self, looks):
            super().__init__()
            self.left = looks

        def agreed(self, world):
            self.left -= 1
            return self.left < 0

    cut = perceptron.Network("mlp", "full", job())
    with After(7) as stop:
        stopped = not cut.train(samples, samples[:1], tmp_path / "cut", stop=stop)
    again = perceptron.Network("mlp", "full", job())
    assert again.train(samples, samples[:1], tmp_path / "cut")
    state = samples[0]
    assert stopped and cut.result.rows[-1]["epoch"] < whole.result.rows[-1]["epoch"]
    np.testing.assert_array_equal(again.predict(state.state, state.times), whole.predict(state.state, state.times))


def test_the_zeroed_network_does_not_see_the_structure(samples):
    network = perceptron.Network("mlp", "zeroed", job(steps=5))
    network.fit(samples, 0)
    one = samples[0]
    other = replace(one.state, S=samples[-1].state.S)
    np.testing.assert_array_equal(network.predict(one.state, one.times), network.predict(other, one.times))


def test_times_beyond_those_trained_on_keep_the_value_at_their_end(samples):
    network = perceptron.Network("mlp", "full", job(steps=5))
    network.fit(samples, 0)
    last = 10 ** network.log_times[1]
    F = network.predict(samples[0].state, np.array([last, 100 * last]))[0]
    np.testing.assert_allclose(F[0], F[1], atol=1e-6)


def test_theory_at_each_time_is_an_input(samples):
    """The network with the theory is shown its F_s at the time asked for: another curve, another answer."""
    from hpctools.liquids.network.theory import TIMES

    def with_curve(sample, tau):
        f = np.exp(-TIMES / tau)
        return replace(sample, state=replace(sample.state, theory=np.concatenate([[0.1], f, f])))

    shown = [with_curve(s, 1.0 + i) for i, s in enumerate(samples)]
    network = perceptron.Network("mlp", "mct", job(steps=30))
    network.fit(shown, 0)
    one = shown[0]
    other = with_curve(one, 100.0)
    assert np.abs(network.predict(one.state, one.times) - network.predict(other.state, one.times)).max() > 1e-4
    assert curves.SPECIES + 304 + 1 == network.model.body[0].in_features
