"""The training loop on one rank: what it learns, stop and resume, kills, bad checkpoints, the log."""

import csv
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from hpctools import training, weights
from hpctools.training import SampleDropout, Samples, Settings, Stream, TrainingError, evaluate, learning_rate, train
from hpctools.training_data import share
from hpctools.training_log import read_log

torch.set_num_threads(1)
ROOT = Path(__file__).parents[1]
DRIVER = ROOT / "tests/mpi/training_driver.py"


def line(number=200, seed=1):
    """Samples of y = 2 x₁ - x₂ + 0.5."""
    x = torch.rand((number, 2), generator=torch.Generator().manual_seed(seed))
    return x, (x @ torch.tensor([2.0, -1.0]) + 0.5)[:, None]


def squares(model, tensors):
    inputs, targets = tensors
    errors = model(inputs) - targets
    return {"loss": errors.square().mean(), "mae": errors.abs().mean()}


def linear(seed=0):
    torch.manual_seed(seed)
    return nn.Linear(2, 1)


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(2, 8), nn.Tanh(), SampleDropout(0.3), nn.Linear(8, 1))


class StopAfter:
    """A stop flag that comes after some looks at it."""

    reason = None

    def __init__(self, looks):
        self.looks = looks

    def agreed(self, world):
        self.looks -= 1
        return self.looks < 0


def state_of(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def without_time(folder):
    return {name: values for name, values in read_log(folder).items() if name != "seconds"}


# --- what it learns ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimiser, rate", [("sgd", 0.5), ("adam", 0.03), ("adamw", 0.03)])
def test_finds_the_line(tmp_path, optimiser, rate):
    settings = Settings(epochs=300, batch=32, optimiser=optimiser, learning_rate=rate, schedule="cosine")
    result = train(linear(), Samples.of(*line()), squares, settings, out=tmp_path, validation=Samples.of(*line(50, 2)))
    assert result.complete
    found = torch.cat([result.model.weight[0], result.model.bias]).detach().numpy()
    np.testing.assert_allclose(found, [2, -1, 0.5], atol=2e-3)
    log = read_log(tmp_path)
    assert log["epoch"] == list(range(301)) and log["samples"] == [200 * n for n in range(301)]
    assert log["val_loss"][-1] < 1e-5 * log["val_loss"][0] and log["val_mae"][-1] < 2e-3
    assert math.isnan(log["loss"][0]) and log["loss"][-1] < 1e-5


def test_sgd_step_by_hand(tmp_path):
    """Two steps of plain SGD on an uneven epoch of 3 + 1 samples, with L1 and L2 penalties and a clipped gradient."""
    x, y = line(4)
    settings = Settings(
        epochs=1, batch=3, optimiser="sgd", learning_rate=0.1, weight_decay=0.2, lasso=0.05, clip=0.7, seed=3
    )
    seen = []

    def fetch(rows):
        seen.append(rows)
        return x[rows], y[rows]

    result = train(linear(), Samples(4, fetch), squares, settings, out=tmp_path)
    assert sorted(torch.cat(seen).tolist()) == [0, 1, 2, 3]
    weight, bias = (value.detach().numpy().astype(float) for value in linear().parameters())
    for rows in seen:
        xs, ys = x[rows].numpy().astype(float), y[rows].numpy().astype(float)
        error = xs @ weight.T + bias - ys
        to_weight = 2 * (error * xs).mean(0)[None] + 0.05 * np.sign(weight)
        to_bias = 2 * error.mean(0)
        shrink = min(1, 0.7 / (np.sqrt((to_weight**2).sum() + (to_bias**2).sum()) + 1e-6))
        weight = weight - 0.1 * (shrink * to_weight + 0.2 * weight)
        bias = bias - 0.1 * (shrink * to_bias + 0.2 * bias)
    np.testing.assert_allclose(result.model.weight.detach().numpy(), weight, rtol=1e-5)
    np.testing.assert_allclose(result.model.bias.detach().numpy(), bias, rtol=1e-5)


def test_schedules():
    rates = [learning_rate(Settings(learning_rate=2.0), step, 100) for step in range(100)]
    assert set(rates) == {2.0}
    cosine = Settings(learning_rate=2.0, schedule="cosine", final_rate=0.1)
    assert learning_rate(cosine, 0, 100) == 2.0
    assert learning_rate(cosine, 50, 100) == pytest.approx(1.1)
    assert learning_rate(cosine, 100, 100) == pytest.approx(0.2)
    cycle = Settings(learning_rate=1.0, schedule="one-cycle", warmup=0.25)
    rates = [learning_rate(cycle, step, 100) for step in range(101)]
    assert rates[0] == pytest.approx(0.04) and rates[25] == 1.0 == max(rates) and rates[100] == pytest.approx(0)
    assert all(np.diff(rates[:26]) > 0) and all(np.diff(rates[25:]) < 0)


def test_lasso_moves_weights_as_it_must(tmp_path):
    """Nearly uncorrelated inputs: the penalty takes lasso/(2 variance) from a weight, or all of it."""
    generator = torch.Generator().manual_seed(5)
    x = torch.rand((300, 6), generator=generator) - 0.5
    y = 3 * x[:, :1] + 0.05 * torch.randn((300, 1), generator=generator)

    def size(lasso):
        torch.manual_seed(0)
        settings = Settings(epochs=150, batch=300, learning_rate=0.1, schedule="cosine", lasso=lasso)
        out = tmp_path / str(lasso)
        return train(nn.Linear(6, 1), Samples.of(x, y), squares, settings, out=out).model.weight[0].detach().abs()

    free, bound = size(0.0), size(0.01)
    assert bound[1:].max() < 2e-3 < free[1:].max()
    assert float(free[0] - bound[0]) == pytest.approx(0.01 / (2 * float(x[:, 0].var())), rel=0.15)


def test_running_mean_and_best_weights(tmp_path):
    """The running mean of SGD's weights by hand, and the weights of the best validation of a diverging training."""
    x, y = line(64)
    path = []

    def remember(model, tensors):
        if model.training:
            path.append(model.weight.detach().clone())
        return squares(model, tensors)

    settings = Settings(epochs=2, batch=16, optimiser="sgd", learning_rate=0.2, ema=0.5)
    result = train(linear(), Samples.of(x, y), remember, settings, out=tmp_path / "mean")
    path.append(torch.load(tmp_path / "mean/checkpoint.pt", weights_only=True)["model"]["weight"])
    expected = path[1]  # the first update copies
    for weight in path[2:]:
        expected = 0.5 * expected + 0.5 * weight
    torch.testing.assert_close(result.model.weight.detach(), expected)
    stored = weights.load(tmp_path / "mean/model.npz").arrays["weight"]
    torch.testing.assert_close(torch.from_numpy(stored), expected)
    assert (expected - path[-1]).abs().max() > 0.01

    rising = Settings(epochs=6, batch=64, optimiser="sgd", learning_rate=1.9, keep="best")
    result = train(linear(), Samples.of(x, y), squares, rising, out=tmp_path / "best", validation=Samples.of(x, y))
    log = read_log(tmp_path / "best")
    assert log["val_loss"][-1] > 2 * min(log["val_loss"])
    kept = evaluate(result.model, Samples.of(x, y), squares, 64)["loss"]
    assert kept == pytest.approx(min(log["val_loss"]), rel=1e-6)
    stored = weights.load(tmp_path / "best/model.npz")
    assert stored.results["epoch"] == int(np.argmin(log["val_loss"]))


def test_a_stream_is_never_seen_twice(tmp_path):
    seen = []

    def batch(first, end):
        seen.extend(range(first, end))
        return line(end - first, seed=first)

    train(linear(), Stream(10, batch), squares, Settings(epochs=3, batch=4), out=tmp_path)
    assert seen == list(range(30))


def test_epochs_are_shuffled_by_seed_and_epoch(tmp_path):
    def orders(seed, out):
        seen = []

        def fetch(rows):
            seen.append(tuple(rows.tolist()))
            return tuple(tensor[rows] for tensor in line(10))

        train(linear(), Samples(10, fetch), squares, Settings(epochs=2, batch=10, seed=seed), out=tmp_path / out)
        return seen

    first, second = orders(0, "a")
    assert sorted(first) == sorted(second) == list(range(10)) and first != second
    assert orders(0, "b") == [first, second] and orders(1, "c")[0] != first


def test_shares_cover_a_batch_once():
    for size in (1, 2, 3, 7):
        for position in range(4):
            parts = [share(35, 10, position, rank, size) for rank in range(size)]
            total = 10 if position < 3 else 5
            covered = [i for part in parts if part.weight for i in range(part.low, part.high)]
            assert covered == list(range(total))
            assert sum(part.weight for part in parts) == pytest.approx(size)
            assert sum(part.number for part in parts) == total


def test_dropout_belongs_to_the_sample():
    layer = SampleDropout(0.25).train()
    whole, part = share(40, 40, 0, 0, 1), share(40, 40, 0, 1, 3)
    layer.set_share(7, whole)
    everything = layer(torch.ones(40, 5))
    layer.set_share(7, part)
    assert torch.equal(layer(torch.ones(part.high - part.low, 5)), everything[part.low : part.high])
    layer.set_share(8, whole)
    assert not torch.equal(layer(torch.ones(40, 5)), everything)
    assert everything.unique().tolist() == pytest.approx([0.0, 1 / 0.75])
    layer.set_share(7, part)
    assert layer(torch.ones((part.high - part.low) * 6, 2)).shape == ((part.high - part.low) * 6, 2)
    layer.set_share(9, share(4000, 4000, 0, 0, 1))
    assert abs((layer(torch.ones(4000, 10)) == 0).float().mean() - 0.25) < 5 * math.sqrt(0.25 * 0.75 / 40000)
    assert torch.equal(layer.eval()(torch.ones(3, 2)), torch.ones(3, 2))


# --- stop, resume, kill -----------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [
    {}, {"ema": 0.9, "keep": "best"}, {"optimiser": "sgd", "momentum": 0.9, "schedule": "one-cycle"},
])  # fmt: skip
def test_stopped_and_resumed_is_as_uninterrupted(tmp_path, monkeypatch, options):
    monkeypatch.setattr(training, "_CHECK_SECONDS", 0.0)
    settings = Settings(epochs=5, batch=16, learning_rate=0.01, checkpoint_minutes=0, **options)
    data, validation = Samples.of(*line(100)), Samples.of(*line(30, 2))

    def noisy(model, tensors):  # takes random numbers of torch's own generator
        return squares(model, (tensors[0] + 0.1 * torch.randn_like(tensors[0]), tensors[1]))

    whole = train(network(), data, noisy, settings, out=tmp_path / "whole", validation=validation)
    runs = 0
    torch.manual_seed(99)
    result = None
    while result is None or not result.complete:
        model = network() if runs == 0 else network(seed=50 + runs)  # what a later run begins with does not matter
        result = train(
            model, data, noisy, settings, out=tmp_path / "pieces", validation=validation, stop=StopAfter(runs + 1)
        )
        runs += 1
        assert len(read_log(tmp_path / "pieces")["epoch"]) == len(result.rows)
    assert runs >= 2
    assert all(torch.equal(a, b) for a, b in zip(whole.model.parameters(), result.model.parameters()))
    assert (tmp_path / "whole/log.csv").exists()
    np.testing.assert_array_equal(
        list(without_time(tmp_path / "pieces").values()), list(without_time(tmp_path / "whole").values())
    )
    for name, array in weights.load(tmp_path / "whole/model.npz").arrays.items():
        np.testing.assert_array_equal(array, weights.load(tmp_path / "pieces/model.npz").arrays[name])


def test_complete_training_is_not_done_again_and_may_be_extended(tmp_path):
    data = Samples.of(*line(60))
    train(linear(), data, squares, Settings(epochs=2, batch=20), out=tmp_path / "a")
    written = (tmp_path / "a/model.npz").stat().st_mtime_ns
    again = train(linear(7), data, squares, Settings(epochs=2, batch=20), out=tmp_path / "a")
    assert again.complete and (tmp_path / "a/model.npz").stat().st_mtime_ns == written
    longer = train(linear(), data, squares, Settings(epochs=4, batch=20), out=tmp_path / "a")
    once = train(linear(), data, squares, Settings(epochs=4, batch=20), out=tmp_path / "b")
    assert all(torch.equal(a, b) for a, b in zip(longer.model.parameters(), once.model.parameters()))
    assert len(longer.rows) == 4
    cosine = Settings(epochs=2, batch=20, schedule="cosine")
    train(linear(), data, squares, cosine, out=tmp_path / "c")
    with pytest.raises(TrainingError, match=r"settings.epochs: it has 2, this run 4"):
        train(linear(), data, squares, Settings(epochs=4, batch=20, schedule="cosine"), out=tmp_path / "c")


def test_two_trainings_keep_out_of_each_others_folder(tmp_path):
    data = Samples.of(*line(60))
    heard = []

    def loss(model, tensors):
        if not heard:
            heard.append(1)
            with pytest.raises(TrainingError, match=r"a: another training is at work there \(host .*, process \d+"):
                train(linear(), data, squares, Settings(epochs=1, batch=20), out=tmp_path / "a")
        return squares(model, tensors)

    assert train(linear(), data, loss, Settings(epochs=1, batch=20), out=tmp_path / "a").complete and heard
    assert train(linear(), data, squares, Settings(epochs=2, batch=20), out=tmp_path / "a").complete, "free again"


def drive(out, *options):
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "HPCTOOLS_MPI": "off", "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, str(DRIVER), str(out), *map(str, options)], env=environ, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)  # fmt: skip


def test_kill_9_then_resume(tmp_path):
    """Killed in the middle of an epoch, while it writes checkpoints all the time."""
    options = ("--epochs", 6, "--checkpoint-minutes", 0, "--pause", 0.02)
    whole = drive(tmp_path / "whole", *options)
    process = drive(tmp_path / "killed", *options)
    log = tmp_path / "killed/log.csv"
    deadline = time.monotonic() + 120
    while not (log.exists() and log.read_text().count("\n") >= 4) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "killed/model.npz").exists()
    with open(log, "a", encoding="utf-8") as file:
        file.write("5,12")  # half a row, as a kill may leave
    for running in (whole, drive(tmp_path / "killed", *options)):
        text, _ = running.communicate(timeout=120)
        assert running.returncode == 0, text
    logs = [without_time(tmp_path / name) for name in ("killed", "whole")]
    np.testing.assert_array_equal(*(list(log.values()) for log in logs))
    one, two = (weights.load(tmp_path / name / "model.npz").arrays for name in ("whole", "killed"))
    assert all(np.array_equal(one[name], two[name]) for name in one)


def test_signal_stops_with_75(tmp_path):
    process = drive(tmp_path / "run", "--epochs", 1000, "--pause", 0.02)
    deadline = time.monotonic() + 120
    while not (tmp_path / "run/log.csv").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGUSR1)
    text, _ = process.communicate(timeout=120)
    assert process.returncode == 75, text
    assert (tmp_path / "run/checkpoint.pt").exists() and not (tmp_path / "run/model.npz").exists()


# --- bad input --------------------------------------------------------------------------------------------


def test_bad_checkpoints_are_refused(tmp_path):
    data, settings = Samples.of(*line(40)), Settings(epochs=2, batch=20)
    train(linear(), data, squares, settings, out=tmp_path, identity={"network": {"filters": 8}})
    with pytest.raises(TrainingError, match=r"network.filters: it has 8, this run 16\); choose another output folder"):
        train(linear(), data, squares, settings, out=tmp_path, identity={"network": {"filters": 16}})
    with pytest.raises(TrainingError, match=r"samples: it has 40, this run 41; settings.batch: it has 20, this run 10"):
        train(linear(), Samples.of(*line(41)), squares, Settings(epochs=2, batch=10), out=tmp_path,
              identity={"network": {"filters": 8}})  # fmt: skip
    whole = (tmp_path / "checkpoint.pt").read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", b"not a checkpoint at all"):
        (tmp_path / "checkpoint.pt").write_bytes(damaged)
        with pytest.raises(TrainingError, match=r"checkpoint.pt: expected a checkpoint of hpctools, found a damaged"):
            train(linear(), data, squares, settings, out=tmp_path)
        assert (tmp_path / "checkpoint.pt").read_bytes() == damaged


def test_a_loss_that_is_not_finite_ends_the_training(tmp_path):
    settings = Settings(epochs=50, batch=20, optimiser="sgd", learning_rate=1e3, checkpoint_minutes=0)
    with pytest.raises(TrainingError, match=r"loss became (inf|nan) in epoch \d+: lower the learning rate"):
        train(linear(), Samples.of(*line(200)), squares, settings, out=tmp_path)
    kept = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["model"]
    assert all(value.isfinite().all() for value in kept.values())


@pytest.mark.parametrize("wrong, words", [
    ({"epochs": 0}, "epochs 0; expected 1 or more"), ({"ema": 1.0}, "ema 1; expected 0 or more and below 1"),
    ({"learning_rate": float("nan")}, "learning_rate nan"),
])  # fmt: skip
def test_settings_that_make_no_sense(wrong, words):
    with pytest.raises(TrainingError, match=words):
        Settings(**wrong)


def test_files_of_weights(tmp_path):
    settings = Settings(epochs=2, batch=20, learning_rate=0.02)
    result = train(linear(), Samples.of(*line(40)), squares, settings, out=tmp_path, identity={"network": "line"})
    stored = weights.load(tmp_path / "model.npz", {"network": "line"})
    np.testing.assert_array_equal(stored.arrays["weight"], result.model.weight.detach().numpy())
    assert stored.config["settings"]["learning_rate"] == 0.02 and stored.config["samples"] == 40
    assert stored.results["loss"] == result.rows[-1]["loss"] and stored.provenance["kind"] == "network"
    with pytest.raises(weights.WeightsError, match=r"its network is 'line', expected 'mcnn'"):
        weights.load(tmp_path / "model.npz", {"network": "mcnn"})
    with pytest.raises(weights.WeightsError, match="no such file"):
        weights.load(tmp_path / "none.npz")
    (tmp_path / "model.npz").write_bytes((tmp_path / "model.npz").read_bytes()[:200])
    with pytest.raises(weights.WeightsError, match="expected weights of a network"):
        weights.load(tmp_path / "model.npz")


def test_weights_are_read_without_torch(tmp_path):
    train(linear(), Samples.of(*line(40)), squares, Settings(epochs=1, batch=20), out=tmp_path)
    program = f"import sys; from hpctools import weights; w = weights.load({str(tmp_path / 'model.npz')!r}); " \
              "assert w.arrays['weight'].shape == (1, 2) and 'torch' not in sys.modules"  # fmt: skip
    subprocess.run([sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True)


def test_log_reads_as_plain_csv(tmp_path):
    settings = Settings(epochs=3, batch=20, validation_epochs=2)
    train(linear(), Samples.of(*line(40)), squares, settings, out=tmp_path, validation=Samples.of(*line(10, 2)))
    with open(tmp_path / "log.csv", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["epoch", "samples", "learning_rate", "loss", "mae", "val_loss", "val_mae", "seconds"]
    assert [row[0] for row in rows[1:]] == ["0", "1", "2", "3"]
    assert [bool(row[5]) for row in rows[1:]] == [True, False, True, True]  # after the last epoch always
