"""The training of the networks, small: samples by number, stop and resume, torch and NumPy alike, the command."""

import numpy as np
import pytest
import torch

from hpctools import weights
from hpctools.tnm import __main__ as command
from hpctools.tnm import inputs, network, network_samples, network_training, streams
from hpctools.tnm.network_settings import NetworkJob


@pytest.fixture
def small(monkeypatch):
    """Blocks of 48 samples, two a shard."""
    monkeypatch.setattr(streams, "BLOCK", 48)
    monkeypatch.setattr(streams, "BETAS", 6)
    monkeypatch.setattr(network_samples, "SHARD_BLOCKS", 2)
    monkeypatch.setattr(torch, "set_num_threads", lambda n: None)


def test_blocks(small):
    """A block depends on the seed and its number; parameters lie in the box, and beyond by the margin only."""
    a, b = (streams.block("instrument", 5, 3, repeats=2) for _ in range(2))
    other = streams.block("instrument", 5, 4, repeats=2)
    assert np.array_equal(a.scans, b.scans) and np.array_equal(a.parameters, b.parameters)
    assert not np.array_equal(a.parameters, other.parameters)
    assert len(a) <= 2 * streams.BLOCK and a.present.any(1).all()
    assert (a.scans[~a.present] == 0).all()
    rng = np.random.default_rng(0)
    for margin in (0.0, streams.MARGIN):
        parameters = streams.draw_parameters(rng, 20_000, margin)
        low, high = network.box(parameters[:, 1])
        out = (parameters < low) | (parameters > high)
        assert out.any() == (margin > 0)
        assert parameters[:, 2:].min() >= 0.2 - margin / 4 and parameters.max(0)[2] <= 1
    assert np.unique(streams.draw_parameters(rng, 1000, betas=7)[:, 3]).size == 7


def test_torch_and_numpy(small):
    """The trained layers give the same numbers in torch and in NumPy, and the loss is the Gaussian's."""
    batch = streams.block("clean", 5, 0)
    targets = batch.frame.targets(batch.parameters, True)
    standard = network_training.statistics(batch, targets, 1e-3, False)
    torch.manual_seed(0)
    model = network_training.TnmNetwork(network.layer_shapes(16, 24, 3), standard)
    with torch.no_grad():
        model.head_w.normal_(0, 0.3)
    samples = network_training.as_samples(batch, standard, True)
    scans, common, present, y = samples.in_order(0, len(batch))
    with torch.no_grad():
        numbers = model(scans, common, present).numpy()
        loss = float(network_training.gaussian_loss(model, (scans, common, present, y))["loss"])
    arrays = {name: value.numpy() for name, value in model.state_dict().items()}
    here = batch.present.astype(np.float32)
    white = network.whiten(arrays, batch.scans)
    assert network.forward(arrays, white, batch.common, here) == pytest.approx(numbers, abs=2e-4)
    # the same density from the mean and covariance that the network gives in the space of the parameters
    loaded = network.Network(arrays, True, weights.Weights({}, {}, {}, {}))
    _, covariance, _ = loaded.gaussian(batch.scans, batch.common, batch.present, batch.frame)
    mean = numbers[:, :4] * standard["target_scale"] + standard["target_mean"]
    jacobian = batch.frame.jacobian(mean.astype(float), True)
    inverse = np.linalg.inv(jacobian)
    in_targets = inverse @ covariance @ inverse.swapaxes(1, 2)
    scale = standard["target_scale"].astype(float)
    standardised = in_targets / scale[:, None] / scale
    rest = y.numpy() - numbers[:, :4]
    density = 0.5 * np.einsum("ni,nij,nj->n", rest, np.linalg.inv(standardised), rest)
    density += 0.5 * np.linalg.slogdet(standardised)[1]
    assert loss == pytest.approx(density.mean(), rel=1e-3)


def test_command(small, tmp_path, monkeypatch, capsys):
    """Trained in two goes as in one; the file reads scans; usage errors are one line."""
    options = ["--shards", "2", "--epochs", "3", "--batch", "32", "--width", "8", "--trunk", "12", "--device", "cpu"]
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert command.main(["train-network", "instrument", "--out", str(whole), *options]) == 0
    capsys.readouterr()
    assert command.main(["train-network", "instrument", "--out", str(parts), "--dry-run", *options]) == 0
    plan = capsys.readouterr().out
    assert "0 of 4 shards are there" in plan and "3 epochs of" in plan and not parts.exists()
    # stopped while samples are made, then go on
    made = network_samples.write_shard
    count = []

    def stop_after_one(path, batch):
        made(path, batch)
        count.append(path)
        if len(count) == 1:
            import os
            import signal

            os.kill(os.getpid(), signal.SIGUSR1)

    monkeypatch.setattr(network_samples, "write_shard", stop_after_one)
    assert command.main(["train-network", "instrument", "--out", str(parts), *options]) == 75
    assert len(list(parts.glob("samples*.npz"))) == 1 and not list(parts.glob("*.part"))
    assert command.main(["train-network", "instrument", "--out", str(parts), *options]) == 0
    a, b = (weights.load(folder / "tnm_instrument.npz", {"network": "tnm"}) for folder in (whole, parts))
    for name, value in a.arrays.items():
        assert np.array_equal(value, b.arrays[name]), name
    assert a.config["variant"] == "instrument" and a.results["cpn_max<=6"]["samples"] > 0
    assert a.provenance["arguments"].startswith("python -m hpctools.tnm train-network instrument --out")
    assert a.provenance["config_toml"] and a.provenance["git_state"] is not None
    batch = streams.block("instrument", 99, 0, repeats=1)
    found = network.load(str(whole / "tnm_instrument.npz")).read(
        batch.scans, batch.common, batch.present, batch.frame, batch.measured_peak()
    )
    assert np.isfinite(found.covariance).all() and (np.abs(found.parameters[:, 2:] - 0.6) < 1.5).all()
    capsys.readouterr()
    assert command.main(["train-network", "clean", "--depth", "0"]) == 2
    assert "depth 0; expected 1 or more" in capsys.readouterr().err


def test_settings():
    """Both variants have their own defaults."""
    clean, instrument = NetworkJob(variant="clean"), NetworkJob(variant="instrument")
    assert clean.with_law and not instrument.with_law
    assert clean.folder == "tnm_clean" and instrument.whitening_floor > clean.whitening_floor
    assert inputs.SCAN_INPUTS == network.layer_shapes(8, 8, 1)["scan1"][0]
