"""Training, prediction, judgement and figures as a user runs them, on real but hot and small glasses."""

import csv
import json
import os
import runpy
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hpctools.glasses import curves, prediction
from hpctools.glasses.__main__ import main
from hpctools.glasses.composition import parse
from hpctools.glasses.models import GaussianProcess
from hpctools.glasses.splits import by_glass
from hpctools.training_log import read_log

ROOT = Path(__file__).parents[2]
REACH = ("--reach", "4", "--least-counts", "20")
LEARN = (*REACH, "--threads", "1")


def words(short_glasses, *more):
    return [*more, "--records", str(short_glasses), *LEARN]


@pytest.fixture
def script(monkeypatch, capsys):
    """A script of analysis/ or jobs/ as a user runs it, but in this process, which has its libraries in memory."""
    monkeypatch.syspath_prepend(str(ROOT / "analysis"))

    def run(path, *words):
        monkeypatch.setattr(sys, "argv", [path, *map(str, words)])
        module = runpy.run_path(str(ROOT / path))
        code = 0
        try:
            code = module["run"](module["main"]) if "run" in module else module["main"]()
        except SystemExit as end:
            code = end.code
        done = capsys.readouterr()
        return code or 0, done.out, done.err

    return run


@pytest.fixture(scope="module")
def weights(short_glasses, tmp_path_factory):
    """A trained Gaussian process."""
    out = tmp_path_factory.mktemp("gp")
    assert main(words(short_glasses, "train", "gaussian-process", "--out", str(out))) == 0
    return out / "pair_correlation.npz"


def test_prediction_of_the_command(weights, short_glasses, tmp_path, capsys):
    figure, table = tmp_path / "p.png", tmp_path / "p.csv"
    asked = ["predict", "--composition", "57SiO2-22B2O3-21Na2O", "--pair", "O-Si", "--weights", str(weights)]
    assert main([*asked, "--out", str(figure), "--csv", str(table), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)[0]
    assert figure.stat().st_size > 5000 and found["pair"] == "Si-O"
    # the file gives what the same model gives when it is fitted here
    data, _ = curves.gather(curves.find([short_glasses]), 4.0).with_enough(20)
    process = GaussianProcess()
    process.fit(data)
    query = [(parse("57SiO2-22B2O3-21Na2O"), ("Si", "O"))]
    np.testing.assert_allclose(found["g"], process.predict(query)[0], atol=2e-3)
    with open(table, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["g"]) for row in rows] == pytest.approx(found["g"], abs=1e-4)
    low, high = np.array(found["low"]), np.array(found["high"])
    assert (low >= 0).all() and (low <= found["g"]).all() and (high >= found["g"]).all()
    # neighbours by the integral, and n_ab ρ_a = n_ba ρ_b: 57 Si to 114 + 66 + 21 O
    r, g = np.array(found["r_angstrom"]), np.array(found["g"])
    edges = np.arange(41) * 0.1
    density = query[0][0].number_density(found["density_g_cm3"])
    oxygen = density * 201 / (57 + 44 + 42 + 201)
    expected = oxygen * (4 / 3 * np.pi * np.diff(edges**3) * g)[r < 2.2].sum()
    assert found["neighbours"]["Si-O"] == pytest.approx(expected, rel=1e-4)
    assert found["neighbours"]["O-Si"] == pytest.approx(expected * 57 / 201, rel=1e-4)
    assert 3 < expected < 5, "silicon in a glass has about four oxygens"


def test_shipped_weights_belong_to_the_shipped_records(capsys):
    """The same curves, the held-out errors of the README, and beyond them a wider interval."""
    data, _ = curves.gather(curves.find([curves.LIBRARY])).with_enough()
    made = prediction.load(prediction.SHIPPED, [("Si", "O")])
    assert made.stored.config["curves"] == data.fingerprint()
    np.testing.assert_allclose(made.curves.g, data.g, atol=1e-5)
    assert len(made.curves.sparse) == len(data.sparse)
    assert made.stored.results["rmse_unseen_glasses"] == pytest.approx(0.0846, abs=0.001)
    assert main(["predict", "--composition", "60SiO2-20B2O3-20Na2O", "--pair", "Si-O", "--no-figure", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)[0]
    # the simulated glass, from which it has learned, within its own noise
    row = next(row for row in data.of_pair(("Si", "O")) if str(data.compositions[data.glass[row]]) ==
               "60SiO2-20B2O3-20Na2O")  # fmt: skip
    assert np.sqrt(((found["g"] - data.g[row]) ** 2).mean()) < 3 * np.sqrt(data.noise[row])
    width = [np.mean(one.high - one.g) for one in (made.predict(parse(text), ("Si", "O")) for text in (
        "60SiO2-20B2O3-20Na2O", "20SiO2-20B2O3-60Na2O"))]  # fmt: skip
    assert width[1] > 1.5 * width[0]


def test_neighbours_have_the_error_of_the_density(weights, capsys):
    asked = ["predict", "--composition", "57SiO2-22B2O3-21Na2O", "--pair", "Si-O", "Na-Na", "--weights", str(weights),
             "--no-figure", "--json"]  # fmt: skip
    assert main(asked) == 0
    one, rare = json.loads(capsys.readouterr().out)
    assert 0 < one["density_error_g_cm3"] < 0.5 * one["density_g_cm3"]
    assert main([*asked, "--density", str(one["density_g_cm3"])]) == 0
    given = json.loads(capsys.readouterr().out)[0]
    assert given["density_error_g_cm3"] == 0
    assert given["neighbours"]["Si-O"] == pytest.approx(one["neighbours"]["Si-O"])
    relative = one["density_error_g_cm3"] / one["density_g_cm3"]
    for name, value in one["neighbours"].items():
        assert one["neighbours_error"][name] == pytest.approx(
            np.hypot(given["neighbours_error"][name], value * relative), rel=1e-6)
    assert rare["neighbours_interval"]["Na-Na"][0] >= 0


def test_neighbours_are_not_fewer_than_none(weights):
    from dataclasses import replace

    one = prediction.load(weights, [("Si", "O")]).predict(parse("57SiO2-22B2O3-21Na2O"), ("Si", "O"))
    wide = replace(one, neighbours={"Si-O": 0.5}, neighbours_error={"Si-O": 0.75})
    assert wide.neighbours_interval("Si-O") == (0.0, 1.25) and "0.50 (0.00 to 1.25) O" in wide.text()


def test_all_pairs_and_warnings(weights, tmp_path, capsys):
    asked = ["predict", "--composition", "40SiO2-20B2O3-20Na2O-20BaO", "--weights", str(weights)]
    assert main([*asked, "--out", str(tmp_path / "p.pdf")]) == 0
    text = capsys.readouterr().out
    assert text.count("first peak") == 15 and (tmp_path / "p.pdf").exists()
    assert "no glass that was learned from has enough Ba-Ba pairs" in text
    assert "40 mol % SiO2 is outside" in text


@pytest.mark.parametrize("asked, message", [
    (("--composition", "SiO2", "--pair", "B-O"), "SiO2 has no B"),
    (("--composition", "SiO3"), "unknown oxide"),
    (("--composition", "90SiO2-10CaO"), "CaO has no place"),
    (("--composition", "SiO2", "--density", "-1"), "--density -1"),
    (("--composition", "SiO2", "--out", "x.gif"), "x.gif"),
    (("--composition", "SiO2", "--no-figure", "--csv", "."), ". is a folder"),
    (("--composition", "SiO2", "--weights", "none.npz"), "none.npz: no such file"),
])  # fmt: skip
def test_mistakes_take_one_line(asked, message, capsys):
    assert main(["predict", *asked]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and message in error and error.count("\n") == 1


def test_files_that_cannot_be_written(tmp_path, capsys):
    for words in (("--out", "/proc/x/a.png"), ("--no-figure", "--csv", "/proc/x/x.csv")):
        assert main(["predict", "--composition", "SiO2", *words]) == 2
        error = capsys.readouterr().err
        assert "/proc/x cannot be used" in error and error.count("\n") == 1


def test_mean_force_file(short_glasses, tmp_path, capsys):
    out = tmp_path / "mf"
    asked = words(short_glasses, "train", "mean-force", "--out", str(out), "--epochs", "3", "--members", "2")
    assert main([*asked, "--dry-run"]) == 0 and not out.exists()
    assert "3 epochs of" in capsys.readouterr().out
    assert main(asked) == 0
    read = prediction.load(out / "pair_correlation.npz")
    one = read.predict(parse("57SiO2-22B2O3-21Na2O"), ("B", "O"))
    assert one.g[-1] == pytest.approx(1, abs=1e-5) and (one.g >= 0).all() and not one.g[:8].any()
    assert len(read_log(out / "glass-3")["epoch"]) == 3, "the networks of the intervals, without a validation"


def test_autoencoder_file_says_that_its_network_has_seen_the_glasses(short_glasses, tmp_path, capsys):
    """Only the forest is fitted anew in the folds of the intervals."""
    out = tmp_path / "ae"
    assert main(words(short_glasses, "train", "autoencoder", "--out", str(out), "--epochs", "2")) == 0
    told = capsys.readouterr().out
    assert "in glasses that the network has seen" in told and "unseen" not in told
    stored = prediction.load(out / "pair_correlation.npz").stored
    assert list(stored.results) == ["rmse_glasses_seen_by_network"]
    asked = ["predict", "--composition", "60SiO2-20B2O3-20Na2O", "--pair", "Si-O", "--no-figure", "--json", "--weights"]
    assert main([*asked, str(out / "pair_correlation.npz")]) == 0
    one = json.loads(capsys.readouterr().out)[0]
    assert one["warnings"] == [
        "the network has seen the glasses by whose errors the interval is made: it is too narrow"]


def test_warnings_of_glasses_unlike_the_learned_ones(weights, capsys):
    assert "rmse_unseen_glasses" in prediction.load(weights).stored.results
    for composition, message in (
        ("80SiO2-20Na2O", "no glass that was learned from consists of SiO2, Na2O:"),
        ("55SiO2-20B2O3-13Na2O-4BaO-4ZnO-4TiO2", "no glass that was learned from consists of SiO2, B2O3, Na2O, BaO, "),
        ("90SiO2-5B2O3-5Na2O", "expected K from 0 to 8"),
        ("60SiO2-20B2O3-20Na2O", None),
    ):  # fmt: skip
        asked = ["predict", "--composition", composition, "--pair", "Si-O", "--no-figure", "--weights", str(weights)]
        assert main([*asked, "--json"]) == 0
        found = json.loads(capsys.readouterr().out)[0]["warnings"]
        assert found == [] if message is None else any(message in text for text in found)


def test_weights_that_are_no_weights(tmp_path, capsys):
    import h5py

    h5py.File(tmp_path / "x.h5", "w").close()
    (tmp_path / "x.npz").write_text("text")
    (tmp_path / "empty.npz").touch()
    for name, what in (("x.h5", "an HDF5 file"), ("x.npz", "other data"), ("empty.npz", "an empty file")):
        assert main(["predict", "--composition", "SiO2", "--weights", str(tmp_path / name)]) != 0
        error = capsys.readouterr().err
        assert error.count("\n") == 1 and f"found {what}" in error and "expected weights" in error
        assert "pickle" not in error


def test_too_few_glasses_for_a_fold(capsys):
    code = main(["train", "autoencoder", "--fold", "without-ZnO", "--least-counts", "1e9"])
    assert code == 1 and "no curve of the" in capsys.readouterr().err


def test_killed_autoencoder_goes_on_to_the_same_weights(short_glasses, tmp_path):
    """Killed by SIGKILL after some epochs; the resumed training ends as one in one go."""
    base = [sys.executable, "-m", "hpctools.glasses", *words(short_glasses, "train", "autoencoder", "--epochs", "5",
            "--validation-epochs", "3", "--checkpoint-minutes", "0.001", "--fold", "glass-2")]  # fmt: skip
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    run = subprocess.Popen([*base, "--out", tmp_path / "a"], env=environ, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL, start_new_session=True)
    log, limit = tmp_path / "a/log.csv", time.monotonic() + 120
    while time.monotonic() < limit and not (log.exists() and "\n2," in log.read_text()):
        time.sleep(0.05)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    assert not (tmp_path / "a/model.npz").exists(), "it was over before it could be killed"
    assert (tmp_path / "a/checkpoint.pt").exists(), "there is something to go on from"
    for folder in ("a", "b"):
        subprocess.run([*base, "--out", tmp_path / folder], env=environ, check=True, capture_output=True, timeout=200)
    one, two = (np.load(tmp_path / folder / "model.npz") for folder in ("a", "b"))
    for name in set(one.files) - {"head"}:
        np.testing.assert_array_equal(one[name], two[name])


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Folder of the trainings that the scripts below share."""
    return tmp_path_factory.mktemp("runs")


def test_judgement(short_glasses, runs, tmp_path, script):
    """The whole table with networks of a few epochs; numbers of it by hand."""
    code, text, error = script(
        "analysis/glass_judgement.py", short_glasses, "--runs", runs, *REACH, "--epochs", 2, "--force-epochs", 4,
        "--out", tmp_path / "j.png", "--table", tmp_path / "j.csv", "--shuffles", 2, "--network-shuffles", 1,
        "--splits", "by glass", "leave the top out", "--models", "nearest composition", "Gaussian process",
        "mean-force network", "CNN + forest, paper")  # fmt: skip
    assert code == 0, error
    assert (tmp_path / "j.png").stat().st_size > 20_000
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| ")]
    table = {(row[0], row[1]): row for row in rows if len(row) == 16}
    models = ("pair mean", "nearest composition", "Gaussian process", "mean-force network", "CNN + forest, paper")
    for split in ("by glass", "leave the top out"):
        # no glass but one has BaO, and it is the top
        never = {f"{name}, other pairs" for name in models} if split == "leave the top out" else set()
        assert {name for name, of in table if of == split} == set(models) | never, split
    # the mean squared error of the pair mean, by hand: Si-O, each glass from the mean of those in other folds
    data, left = curves.gather(curves.find([short_glasses]), 4.0).with_enough(20)
    assert all(line.split(":")[0] in text for line in left)
    total = {}
    for fold in by_glass(data):
        train = data.rows(fold.train)
        for row in fold.test:
            if data.pairs[row] == ("Si", "O"):
                total[row] = ((train.g[train.of_pair(("Si", "O"))].mean(0) - data.g[row]) ** 2).mean()
    with open(tmp_path / "j.csv", newline="") as file:
        found = {(row["model"], row["split"], row["pair"]): row for row in csv.DictReader(file)}
    base = found["pair mean", "by glass", "Si-O"]
    assert float(base["mse"]) == pytest.approx(np.mean(list(total.values()))) and float(base["skill"]) == 0
    assert base["curves"] == base["curves_with_pair_mean"] == "5"
    # barium stands in one glass: no fold that tests it has learned Ba-O
    assert [found["pair mean", "by glass", "Ba-O"][name] for name in ("curves", "curves_with_pair_mean")] == ["1", "0"]
    assert "Ba-O (0)" in text and "sets of fits" in error
    nearest = found["nearest composition", "by glass", "Si-O"]
    assert float(nearest["skill"]) == pytest.approx(1 - float(nearest["mse"]) / float(base["mse"]))
    assert "latents that never fire" in text and "a blank image" in text and "best by glass: " in text
    image = next(row for row in rows if row[0] == "image MSE, test curves, paper")
    assert len(image) == 7 and all(0 < float(cell) < 1 for cell in image[2:6]) and image[6].endswith(" of 8")
    assert "chosen by these same errors" in text and "reconstruction MSE, learned curves (2 epochs, loss" in text
    for kind, epochs in (("mean-force", 4), ("autoencoder", 2)):
        lines = [line for line in text.splitlines() if f"/{kind}/" in line and f": {epochs} epochs, loss at" in line]
        assert len(lines) == 6, "five folds by glass, and the top"
    for model in set(models) - {"pair mean"}:
        assert table[model, "by glass"][-1] != "–", "fitted to shuffled compositions"
    assert {path.parent.name for path in runs.rglob("autoencoder/*/model.npz")} == {
        "all", "glass-1", "glass-2", "glass-3", "glass-4", "glass-5", "without-top"}


def test_forests_learn_shuffled_compositions_on_the_autoencoders_of_the_folds(short_glasses, runs):
    from hpctools.glasses.held_out import Runs, held_out
    from hpctools.glasses.permutation import shuffled

    data, _ = curves.gather(curves.find([short_glasses]), 4.0).with_enough(20)
    there = Runs(runs, epochs=2)
    name, parts = "CNN + forest, fractions", by_glass(data)
    real = held_out(name, data, parts, there)
    before = set(runs.rglob("*"))
    np.testing.assert_array_equal(held_out(name, data, parts, there, labels=data).g, real.g)
    other = held_out(name, data, parts, there, labels=shuffled(data, 3))
    assert not np.array_equal(other.g, real.g) and set(runs.rglob("*")) == before, "nothing is trained"
    np.testing.assert_array_equal(other.fold, real.fold)


def test_epochs_that_are_asked_for_are_those_that_were_run(short_glasses, tmp_path):
    """What is there serves where it is of as many epochs, or none are asked for; else another is trained beside it."""
    from hpctools.glasses.held_out import Runs, autoencoder, mean_force

    data, _ = curves.gather(curves.find([short_glasses]), 4.0).with_enough(20)
    fold = by_glass(data)[0]
    trained = words(short_glasses, "train", "mean-force", "--epochs", "2", "--members", "1", "--fold", "glass-1")
    assert main([*trained, "--out", str(tmp_path / "mean-force/glass-1")]) == 0
    for asked, ran in ((0, 2), (2, 2), (1, 1), (3, 3)):
        told: list[str] = []
        mean_force(data, fold, Runs(tmp_path, force_epochs=asked), trainings=told)
        assert f": {ran} epochs, loss at the end: learned curves " in told[0] and ", best " in told[0]
        assert ("; not as by default: members 1" in told[0]) == (ran == 2)
        assert ("mean-force/glass-1: " in told[0]) == (ran == 2), "that of the command serves"
    assert len(list(tmp_path.glob("mean-force/*/model.npz"))) == 3
    for asked, ran in ((1, 1), (2, 2), (0, 1)):
        told = []
        autoencoder(data, fold, Runs(tmp_path, epochs=asked), trainings=told)
        assert f": {ran} epochs, loss at the end: learned curves " in told[0] and "; others " in told[0]


def test_a_fold_neither_chooses_weights_nor_vanishes(capsys):
    for kind in ("autoencoder", "mean-force"):
        assert main(["train", kind, "--fold", "glass-1", "--keep", "best"]) == 2
        assert f"would choose the weights by the curves that {kind} --fold glass-1" in capsys.readouterr().err
    assert main(["train", "mean-force", "--keep", "best", "--dry-run"]) == 2
    assert "expected last" in capsys.readouterr().err
    assert main(["train", "gaussian-process", "--fold", "glass-1"]) == 2
    assert "leaves no file of a fold" in capsys.readouterr().err


def test_the_pair_mean_alone_has_no_figure(short_glasses, tmp_path, script, recwarn):
    code, text, error = script("analysis/glass_judgement.py", short_glasses, "--runs", tmp_path, *REACH, "--models",
                               "pair mean", "--splits", "by glass", "--out", tmp_path / "j.png")  # fmt: skip
    assert code == 0 and "no figure: it compares models with the pair mean" in text
    assert "Warning" not in error and not [one for one in recwarn if "legend" in str(one.message)]


def test_intervals_of_a_fold_come_from_the_others(monkeypatch):
    """Errors of 0.1 in one fold and 1 in the other, of alternating sign: the wide intervals hold all of the small
    errors, the narrow ones none of the large. A calibration for a left-out part leaves the tested glasses out."""
    monkeypatch.syspath_prepend(str(ROOT / "analysis"))
    from glass_judgement import coverage

    from hpctools.glasses.held_out import HeldOut

    n, bins = 8, 20
    glasses = tuple(parse(f"{100 - x}SiO2-{x}Na2O") for x in range(5, 45, 5))
    size = np.where(np.arange(n) < 4, 0.1, 1.0)
    error = size[:, None] * (-1.0) ** np.arange(bins)
    data = curves.Curves(glasses, glasses, np.arange(n), n * (("Si", "O"),), np.arange(bins) * 0.1, np.ones((n, bins)),
                         np.zeros((n, bins)), np.ones(n, int), np.ones(n), np.ones((n, 2)), {("Si", "O"): 1.0})
    fold = (np.arange(n) >= 4).astype(int)
    found = HeldOut(data.g + error, np.ones(n), fold, np.ones(n, bool))
    for column in coverage(data, found, None).T:  # of bins, of the highest, of neighbours
        np.testing.assert_array_equal(column, fold == 0)
    # tested: two of the glasses with large errors, by the errors of all others, four small and two large
    tested = HeldOut(data.g + error, np.ones(n), np.where(np.arange(n) > 5, 0, -1), np.ones(n, bool))
    np.testing.assert_array_equal(coverage(data, tested, found)[:, 0], [1, 1])
    small = HeldOut(data.g + np.where(np.arange(n)[:, None] > 5, error, error / size[:, None] / 10), np.ones(n), fold,
                    np.ones(n, bool))
    np.testing.assert_array_equal(coverage(data, tested, small)[:, 0], [0, 0])


def test_goals_count_the_curves_whose_noise_is_known(short_glasses, monkeypatch):
    from dataclasses import replace

    monkeypatch.syspath_prepend(str(ROOT / "analysis"))
    from glass_judgement import Row, goal_lines

    from hpctools.glasses import errors

    data, _ = curves.gather(curves.find([short_glasses]), 4.0).with_enough(20)
    variance = np.full_like(data.g, 0.01)
    variance[0] = np.nan
    predicted = data.g + 0.1
    found = errors.of(data, predicted, np.full(len(data), 10.0))
    base = np.full(len(data), 0.05)
    row = Row("CNN + forest, paper", "random curves", replace(data, variance=variance), found, base, base, base, base)
    assert row.over_noise() == pytest.approx(1.0)
    text = "\n".join(goal_lines(row))
    assert f"1 of {len(data)} curves have no noise floor" in text and "median error 1.00 σ, goal ≤ 1.5: met" in text
    assert row.cells()[0] == "CNN + forest, paper (network saw the test curves)"
    assert replace(row, split="by glass").cells()[0] == "CNN + forest, paper"
    pair = data.pairs[0]
    shares = [share for share in row.pair_shares() if share.signal]
    assert pair not in [share.pair for share in shares] and "-".join(pair) not in text.splitlines()[0]
    # MSE 0.01, that of the pair mean 0.05, σ² = 0.01: all is explained, but for one pair
    assert text.startswith(f"explained share > 0.5 in {len(shares)} of the {len(shares)} pairs with signal: met; in "
                           "their median, 1.00: met")
    worse = np.where([one == shares[0].pair for one in data.pairs], 0.04, 0.01)
    text = "\n".join(goal_lines(replace(row, errors=replace(found, mse=worse))))
    failing = f"FAILS ({'-'.join(shares[0].pair)} 0.25); in their median"
    assert f"{len(shares) - 1} of the {len(shares)} pairs with signal: {failing}" in text
    noisy = "\n".join(goal_lines(replace(row, curves=replace(data, variance=variance * 4))))
    assert "no pair has signal" in noisy and "median error 0.50 σ, goal ≤ 1.5: met" in noisy
    unknown = replace(row, curves=replace(data, variance=variance * np.nan))
    assert "waiting for second seeds" in goal_lines(unknown)[0] and np.isnan(unknown.over_noise())


def test_predictions_are_those_of_this_program(short_glasses, tmp_path, monkeypatch):
    """A cached prediction is read again, but not by another version of the models."""
    from hpctools.glasses import held_out

    data, _ = curves.gather(curves.find([short_glasses]), 4.0).with_enough(20)
    runs, parts = held_out.Runs(tmp_path), by_glass(data)
    first = held_out.held_out("pair mean", data, parts, runs)
    files = sorted((tmp_path / "predictions").iterdir())
    np.savez(files[0].open("wb"), g=np.full((len(parts[0].test), 40), 7.0))
    again = held_out.held_out("pair mean", data, parts, runs)
    assert (again.g == 7).any() and not (first.g == 7).any()
    monkeypatch.setattr(held_out, "_program", lambda: "other")
    np.testing.assert_array_equal(held_out.held_out("pair mean", data, parts, runs).g, first.g)


@pytest.mark.parametrize("name, more", [
    ("glass_autoencoder", ()), ("glass_forest_scans", ("--targets", "latents")), ("glass_forest_parity", ()),
    ("glass_curves", ("--models", "CNN + forest, paper", "Gaussian process")),
])  # fmt: skip
def test_figures(short_glasses, runs, tmp_path, script, name, more):
    """From the trainings of the judgement, none of which is made anew."""
    before = {path: path.stat().st_mtime_ns for path in runs.rglob("model.npz")}
    out = tmp_path / f"{name}.png"
    code, text, error = script(f"analysis/{name}.py", short_glasses, "--runs", runs, *REACH, "--epochs", 2, *more,
                               "--out", out)  # fmt: skip
    assert code == 0, error
    assert out.stat().st_size > 20_000 and "left out: " not in text
    if before:
        assert before == {path: path.stat().st_mtime_ns for path in runs.rglob("model.npz")}


def test_untrained_networks_are_named_with_their_command(tmp_path, script):
    code, _, error = script("analysis/glass_autoencoder.py", "--runs", tmp_path)
    assert code == 2 and error.count("\n") == 1
    assert "python -m hpctools.glasses train autoencoder --fold all" in error


def test_few_cases_leave_panels_empty(short_glasses, tmp_path, script):
    data, _ = curves.gather(curves.find([short_glasses]), 4.0).with_enough(20)
    least = np.sort(data.expected)[-7]  # six have more
    code, text, error = script("analysis/glass_curves.py", short_glasses, "--runs", tmp_path, "--reach", 4,
                               "--least-counts", least, "--models", "pair mean", "--split",
                               "random curves", "--out", tmp_path / "c.png")  # fmt: skip
    assert code == 0, error
    assert text.count("SiO2") == 6 and (tmp_path / "c.png").exists()


def test_a_table_that_cannot_be_written_is_told_before_the_work(short_glasses, tmp_path, script):
    for name in ("glass_judgement", "glass_structure"):
        code, _, error = script(f"analysis/{name}.py", short_glasses, "--out", tmp_path / "f.png", "--table", tmp_path)
        assert code == 2 and "a table cannot be written there (Is a directory)" in error
        assert not (tmp_path / "f.png").exists()
        code, _, error = script(f"analysis/{name}.py", tmp_path / "none", "--out", tmp_path / "f.png", "--table",
                                tmp_path / "t.csv")  # fmt: skip
        assert code == 2 and "no records" in error and not (tmp_path / "t.csv").exists(), "no empty table"


def test_curves_with_few_counts_are_learned_from_and_kept_in_the_file(short_glasses, tmp_path, capsys):
    """--least-counts 150 leaves some to the Gaussian process alone; a file of it predicts what it does here."""
    every = curves.gather(curves.find([short_glasses]), 4.0)
    data, _ = every.with_enough(150)
    few = (every.expected > 30) & (every.expected <= 150) & np.isin(every.glass, data.glass)
    assert data.sparse is not None and len(data.sparse) == few.sum() > 3
    asked = words(short_glasses, "train", "gaussian-process", "--out", str(tmp_path))
    asked[asked.index("--least-counts") + 1] = "150"
    assert main(asked) == 0
    capsys.readouterr()
    made = prediction.load(tmp_path / "pair_correlation.npz")
    assert len(made.curves) == len(data) and len(made.curves.sparse) == len(data.sparse)
    process = GaussianProcess()
    process.fit(data)
    glass = parse("57SiO2-22B2O3-21Na2O")
    for pair in data.known_pairs:
        np.testing.assert_allclose(made.model.predict([(glass, pair)]), process.predict([(glass, pair)]), atol=5e-3)
    # a pair that has sparse curves alone is learned from these
    alone = [pair for pair in data.sparse.known_pairs if pair not in data.known_pairs]
    for pair in alone:
        g = made.model.predict([(glass, pair)])[0]
        assert g[(data.sparse.g[data.sparse.of_pair(pair)] == 0).all(0)].max() < 1e-6
    assert alone
    both = [pair for pair in data.known_pairs if pair in data.sparse.pairs]
    without = GaussianProcess()
    without.fit(replace(data, sparse=None))
    assert all(np.abs(without.predict([(glass, one)]) - process.predict([(glass, one)])).max() > 1e-3 for one in both)


def test_slow_models_have_enough_shuffles_for_a_p(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "analysis"))
    import glass_judgement

    asked = {shuffles: glass_judgement.draws_of("Gaussian process", "by glass", shuffles, 0)
             for shuffles in (0, 2, 19, 30, 39, 99)}
    assert asked == {0: 0, 2: 2, 19: 19, 30: 19, 39: 19, 99: 49}


def test_jobs_of_the_folds(short_glasses, script):
    code, text, error = script("jobs/glass_train.py", "--dry-run", "--records", short_glasses, *REACH, "--runs", "r")
    assert code == 0, error
    lines = text.splitlines()
    assert len(lines) == 9 and "without-TiO2" not in text and "left out" in error
    assert "train autoencoder --fold glass-1 --out r/autoencoder/glass-1" in lines[1]
    for wrong in (("--keep", "best"), ("--kind", "gaussian-process", "--folds", "glass-1")):
        code, _, error = script("jobs/glass_train.py", "--dry-run", "--records", short_glasses, *REACH, *wrong)
        assert code == 2 and ("expected last" in error or "leave --fold out" in error)
    code, _, error = script("jobs/glass_train.py", "--dry-run", "--fold", "all")
    assert code == 2 and "--fold and --out are set by this script" in error
