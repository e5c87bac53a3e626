"""train, predict and trials as a user runs them: files, warnings, errors of one line."""

import csv
import json
from dataclasses import replace

import h5py
import numpy as np
import pytest

from hpctools.liquids import mct
from hpctools.liquids.__main__ import main
from hpctools.liquids.network import bands, metrics, models, regression, theory, trials
from hpctools.liquids.network.samples import State
from hpctools.liquids.structure import PAPER_GRID


@pytest.fixture(scope="module")
def network(record_folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("gp")
    assert main(["train", "--model", "gp", "--data", str(record_folder), "--out", str(out)]) == 0
    return str(out / "liquid.npz")


@pytest.fixture
def table(samples):
    """Columns of a user's file, from a real liquid."""
    one = next(s for s in samples if s.state.key == ("LJ", 1.2, 1.0))
    return {"k": PAPER_GRID.copy(), **{name: one.state.S[:, a].copy() for a, name in
                                       enumerate(("S_AA", "S_AB", "S_BB"))}}


def write_csv(path, table):
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        file.write("# from elsewhere\n")
        writer.writerow(table)
        writer.writerows(zip(*table.values()))
    return str(path)


def predict(network, path, *further):
    return main(["predict", "--structure", str(path), "--network", network, "--potential", "LJ",
                 "--temperature", "1.0", "--density", "1.2", *map(str, further)])


def test_prediction_from_csv(network, table, samples, tmp_path, capsys):
    out = tmp_path / "deep/answer"
    assert predict(network, write_csv(tmp_path / "S.csv", table), "--out", out) == 0
    text = capsys.readouterr().out
    assert "τ_α A" in text and "warning" not in text
    with open(f"{out}.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    t, F, low, high = (np.array([float(row[name]) for row in rows]) for name in ("t", "F_A", "F_A_low", "F_A_high"))
    assert np.all(np.diff(t) > 0) and np.all((low <= F) & (F <= high)) and np.all(np.diff(F) <= 1e-9)
    one = next(s for s in samples if s.state.key == ("LJ", 1.2, 1.0))
    truth = np.interp(np.log(one.times), np.log(t), F)
    assert np.abs(truth - one.F[:, 0])[one.times > 0.01].max() < 0.15 * one.initial[0]
    head = json.loads((tmp_path / "deep/answer.json").read_text())
    assert head["tau"]["A"]["low"] <= head["tau"]["A"]["value"] <= head["tau"]["A"]["high"]
    assert head["tau"]["A"]["value"] == pytest.approx(one.tau[0], rel=0.25)
    assert head["warnings"] == [] and head["model"]["inputs"] == "full" and head["provenance"]["arguments"]
    assert (tmp_path / "deep/answer.png").stat().st_size > 10_000


def test_hdf5_record_and_csv_agree(network, table, record_folder, tmp_path):
    with h5py.File(tmp_path / "S.h5", "w") as file:
        for name, column in table.items():
            file[name] = column
    answers = []
    for name, words in (("S.h5", ()), ("S.csv", ()), ("record", ())):
        path = {"S.h5": tmp_path / "S.h5", "S.csv": write_csv(tmp_path / "S.csv", table),
                "record": record_folder / "LJ-rho1.2-T1-seed1.h5"}[name]
        assert predict(network, path, "--out", tmp_path / name, "--no-figure", *words) == 0
        answers.append((tmp_path / f"{name}.csv").read_text())
        # of a record: its mean temperature is 1 but for its error
        assert json.loads((tmp_path / f"{name}.json").read_text())["warnings"] == []
    assert answers[0] == answers[1] == answers[2]


def test_a_record_knows_its_state(network, record_folder, tmp_path, capsys):
    assert main(["predict", "--structure", str(record_folder / "WCA-rho1.2-T1-seed1.h5"), "--network", network,
                 "--out", str(tmp_path / "a"), "--no-figure"]) == 0
    assert "WCA ρ = 1.2, T = 0.999" in capsys.readouterr().out


def test_a_record_of_observe_knows_its_density(network, record_folder, tmp_path, capsys):
    """It was told neither its potential nor its temperature."""
    path = tmp_path / "observed.h5"
    path.write_bytes((record_folder / "LJ-rho1.2-T1-seed1.h5").read_bytes())
    with h5py.File(path, "a") as file:
        for name in ("potential", "density", "temperature"):
            del file.attrs[name]
    assert main(["predict", "--structure", str(path), "--network", network, "--temperature", "1", "--potential", "LJ",
                 "--out", str(tmp_path / "a"), "--no-figure"]) == 0
    assert "LJ ρ = 1.2, T = 1;" in capsys.readouterr().out


def test_a_table_of_numpy_is_read(table, tmp_path):
    """Its head line begins with #; another remark before it does not matter, a name that comes twice does."""
    from hpctools.liquids.network import structure_file

    path = tmp_path / "S.csv"
    columns = np.column_stack([*table.values()])
    np.savetxt(path, columns, delimiter=",", header="from elsewhere, N = 1200\n" + ",".join(table))
    np.testing.assert_allclose(structure_file.read(path).S, columns[:, 1:], rtol=1e-12)
    np.savetxt(path, np.hstack([columns, columns[:, 2:3]]), delimiter=",", header=",".join([*table, "S_AB"]))
    with pytest.raises(structure_file.StructureError, match="2 columns S_AB; expected one of each"):
        structure_file.read(path)


def test_a_folder_keeps_its_model(record_folder, tmp_path, capsys):
    words = ["train", "--data", str(record_folder), "--out", str(tmp_path), "--model"]
    assert main([*words, "ridge"]) == 0 and main([*words, "ridge"]) == 0
    before = (tmp_path / "liquid.npz").read_bytes()
    assert main([*words, "nearest"]) == 1
    assert "is of model ridge, inputs full, now nearest, full; give another --out" in capsys.readouterr().err
    assert (tmp_path / "liquid.npz").read_bytes() == before


def test_a_state_outside_is_a_warning_that_is_stored(network, table, tmp_path, capsys):
    table["S_AA"][:30] *= 3
    path = write_csv(tmp_path / "S.csv", table)
    assert main(["predict", "--structure", path, "--network", network, "--temperature", "100", "--density", "0.9",
                 "--potential", "LJ",
                 "--t-max", "1e9", "--out", str(tmp_path / "a"), "--no-figure"]) == 0
    text = capsys.readouterr().out
    found = json.loads((tmp_path / "a.json").read_text())["warnings"]
    for words in ("temperature 100 is outside", "density 0.9 is outside", "S(k) is unlike", "times up to 1e+09"):
        assert words in text and any(words in one for one in found), words


def test_another_mixture_is_a_warning_with_a_wider_band(network, table, tmp_path, capsys):
    """Hard spheres of two sizes, half and half, by Percus and Yevick."""
    S, _ = mct.hard_sphere_mixture(PAPER_GRID, 0.5, [1.0, 0.88], [0.5, 0.5])
    other = {**table, "S_AA": S[:, 0, 0], "S_AB": S[:, 0, 1], "S_BB": S[:, 1, 1]}
    assert predict(network, write_csv(tmp_path / "S.csv", other), "--out", tmp_path / "a", "--no-figure") == 0
    assert "the mixture was not trained on: 0.5 of its particles are A" in capsys.readouterr().out
    found = json.loads((tmp_path / "a.json").read_text())
    assert any("trained: 0.8" in one for one in found["warnings"])
    assert found["fraction_A"] == pytest.approx(0.5, abs=0.01)
    trained = models.load(network)  # of one density: it does not know how far off it is in others
    trained = replace(trained, factors=replace(trained.factors, foreign=bands.Factor(50.0, np.empty(0), np.empty(0))))
    state = State("LJ", 1.2, 1.0, np.column_stack([table[name] for name in ("S_AA", "S_AB", "S_BB")]))
    assert trained.z(replace(state, fraction=0.5)) == trained.z(replace(state, density=1.3)) == 50 > trained.z(state)


def fails(capsys, code, network, path, *words):
    assert predict(network, path, "--out", "/nowhere/x") == code
    text = capsys.readouterr().err
    assert text.startswith("error: ") and text.count("\n") == 1
    for word in words:
        assert word in text, text


def test_weights_are_not_chosen_by_the_states_of_the_band(capsys):
    assert main(["train", "--keep", "best", "--dry-run"]) == 2
    assert "keep best would choose the weights by the states that the width" in capsys.readouterr().err


def test_wrong_files_get_one_line(network, table, tmp_path, capsys):
    def changed(**columns):
        return write_csv(tmp_path / "S.csv", {name: column for name, column in {**table, **columns}.items()
                                              if column is not None})

    fails(capsys, 1, network, changed(S_AB=None), "lacks S_AB", "All three")
    fails(capsys, 1, network, changed(k=PAPER_GRID + 0.1), "wave number 1 is 0.3, expected 0.2", "Interpolate")
    short = {name: column[:50] for name, column in table.items()}
    fails(capsys, 1, network, write_csv(tmp_path / "S.csv", short), "50 wave numbers", "expected 100")
    fails(capsys, 1, network, changed(S_BB=table["S_BB"] * np.nan), "no numbers")
    fails(capsys, 1, network, changed(S_AA=table["S_AA"] / 0.8), "tend to 1, 0", "0.2 at large k", "together 1")
    fails(capsys, 1, network, changed(S_AB=table["S_AB"] + 3), "positive for any mixture")
    fails(capsys, 1, network, tmp_path / "none.csv", "no such file")
    (tmp_path / "S.csv").write_bytes(b"\xff\xfe\x00")
    fails(capsys, 1, network, tmp_path / "S.csv", "neither CSV nor HDF5")
    (tmp_path / "S.csv").write_text("k,S_AA,S_AB,S_BB\n1,2,3\n")
    fails(capsys, 1, network, tmp_path / "S.csv", "no number in each column")
    fails(capsys, 1, str(tmp_path / "none.npz"), changed(), "no such file")
    assert main(["predict", "--structure", changed(), "--network", network]) == 2
    assert "does not tell its temperature" in capsys.readouterr().err
    with h5py.File(tmp_path / "S.h5", "w") as file:
        file["k"] = PAPER_GRID
    fails(capsys, 1, network, tmp_path / "S.h5", "lacks S_AA, S_AB, S_BB")
    flat = np.tile([0.8, 0.0, 0.2], (100, 1)).T
    fails(capsys, 1, network, changed(**dict(zip(("S_AA", "S_AB", "S_BB"), flat))), "no main peak")


def test_broken_hdf5_gets_one_line(network, table, record_folder, tmp_path, capsys):
    path = tmp_path / "S.h5"
    path.write_bytes((record_folder / "LJ-rho1.2-T1-seed1.h5").read_bytes()[:20_000])
    fails(capsys, 1, network, path, str(path), "broken HDF5 file", "again")
    for column, words in (("group", "S_AA is a group"), (np.array([b"x"] * 100), "S_AA holds |S1")):
        with h5py.File(path, "w") as file:
            for name in table:
                file[name] = table[name] if name != "S_AA" else 0.0
            del file["S_AA"]
            if column is not None and not isinstance(column, str):
                file["S_AA"] = column
            else:
                file.create_group("S_AA")
        fails(capsys, 1, network, path, str(path), words, "expected")


def test_shapes_of_hdf5(network, table, tmp_path, capsys):
    def written(shape, **other):
        with h5py.File(tmp_path / "S.h5", "w") as file:
            for name, column in table.items():
                file[name] = np.resize(column, other.get(name, shape))
        return tmp_path / "S.h5"

    fails(capsys, 1, network, written((100, 1)), "k has the shape (100, 1); expected (100,)")
    fails(capsys, 1, network, written((100,), S_BB=(50, 2)), "S_BB has the shape (50, 2); expected (100,)")
    fails(capsys, 1, network, written((100,), S_AB=(90,)), "S_AB has 90 values, k 100; expected 100 each")


def test_a_file_of_a_spreadsheet(network, table, tmp_path):
    """It begins with a byte-order mark."""
    path = write_csv(tmp_path / "S.csv", table)
    text = (tmp_path / "S.csv").read_text().removeprefix("# from elsewhere\n")
    (tmp_path / "S.csv").write_text(text, encoding="utf-8-sig")
    assert predict(network, path, "--out", tmp_path / "a", "--no-figure") == 0


def test_numbers_that_make_no_sense(network, table, record_folder, tmp_path, capsys):
    path = write_csv(tmp_path / "S.csv", table)
    for words, code, expected in (
        (("--temperature", "inf"), 2, "--temperature inf; expected 0.001 … 1000"),
        (("--density", "1e300"), 2, "--density 1e+300"), (("--temperature", "nan"), 2, "--temperature nan"),
        (("--t-max", "inf"), 1, "times up to inf"), (("--t-max", "0"), 1, "times up to 0"),
        (("--t-max", "1e300"), 1, "at most 1e+12"),
    ):  # fmt: skip
        assert predict(network, path, *words, "--out", tmp_path / "a", "--no-figure") == code
        text = capsys.readouterr().err
        assert expected in text and text.count("\n") == 1, text
    assert not list(tmp_path.glob("a*"))
    np.savez(tmp_path / "model.npz", x=1)
    fails(capsys, 1, str(tmp_path / "model.npz"), path, "model.npz")


def test_the_file_beside_the_model(network, table, tmp_path, capsys):
    """A network's own weights are no model with a band."""
    from hpctools import weights

    stored = weights.load(network)
    weights.save(tmp_path / "model.npz", weights.Weights({"x": np.zeros(1)}, stored.config, {}, {}))
    path = write_csv(tmp_path / "S.csv", table)
    fails(capsys, 1, str(tmp_path / "model.npz"), path, "liquid.npz", "lacks")
    older = {key: value for key, value in stored.config.items() if key != "version"}
    weights.save(tmp_path / "model.npz", weights.Weights(stored.arrays, older, {}, {}))
    fails(capsys, 1, str(tmp_path / "model.npz"), path, "version None of the models, expected 2")


def test_options_that_contradict_a_record(network, record_folder, tmp_path, capsys):
    record = record_folder / "WCA-rho1.2-T1-seed1.h5"
    assert main(["predict", "--structure", str(record), "--network", network, "--temperature", "0.3", "--potential",
                 "LJ", "--out", str(tmp_path / "a"), "--no-figure"]) == 0
    found = " ".join(json.loads((tmp_path / "a.json").read_text())["warnings"])
    assert f"--temperature 0.3 contradicts {record}, a record at temperature 0.999" in found
    assert f"--potential LJ contradicts {record}, a record of WCA" in found
    assert "T/T_mct 0.34 is outside the trained range" in found


def test_a_structure_of_another_place_is_noticed(shipped_samples):
    """Like that of some state, but not of those around it; the shipped library."""
    from hpctools.liquids.network import samples
    from hpctools.liquids.network.bands import Factor, Factors

    known = shipped_samples
    factors = Factors(*[Factor.unknown()] * 3)
    trained = models.Trained(regression.Ridge("structure"), factors, models.trained_range(known))
    assert all(trained.warnings(sample.state) == [] for sample in known)
    by_key = {sample.state.key: sample.state for sample in known}
    for key, density, temperature, words in (
        (("WCA", 1.2, 0.222), 1.2, 0.9, "S(k) is unlike"), (("LJ", 1.2, 4.5), 1.8, 0.3, "T/T_mct"),
        (("LJ", 1.8, 10.2), 1.8, 0.3, "T/T_mct 0.051 is outside"), (("LJ", 1.2, 4.5), 1.8, 6.0, "S(k) is unlike"),
    ):  # fmt: skip
        state = samples.replace(by_key[key], density=density, temperature=temperature, nominal=None)
        assert any(words in one for one in trained.warnings(state)), key


def test_relaxation_before_the_first_time(network, table, tmp_path, capsys, monkeypatch):
    from hpctools.liquids.network import prediction

    monkeypatch.setattr(prediction, "FIRST", 100.0)
    assert predict(network, write_csv(tmp_path / "S.csv", table), "--t-max", "500", "--out", tmp_path / "a") == 0
    assert "τ_α A    under 100 τ_LJ" in capsys.readouterr().out
    head = json.loads((tmp_path / "a.json").read_text())
    assert head["tau"]["A"]["value"] is None and head["tau_outside_the_times"]["A.value"] == "under 100"


def test_records_that_do_not_know_their_state(record_folder, tmp_path, capsys):
    path = tmp_path / "observed.h5"
    path.write_bytes((record_folder / "LJ-rho1.2-T1-seed1.h5").read_bytes())
    with h5py.File(path, "a") as file:
        del file.attrs["potential"]
    assert main(["train", "--model", "ridge", "--data", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    text = capsys.readouterr().err
    assert str(path) in text and "observe" in text and text.count("\n") == 1


def test_folders_that_cannot_be_written(network, table, record_folder, tmp_path, capsys):
    path = write_csv(tmp_path / "S.csv", table)
    data = ("--data", str(record_folder))
    for folder in (tmp_path / "S.csv/below", "/proc/none"):
        for words in (("train", "--model", "ridge", *data, "--out", str(folder)),
                      ("trials", "--models", "ridge", *data, "--out", str(folder)),
                      ("predict", "--structure", path, "--network", network, "--temperature", "1", "--density", "1.2",
                       "--potential", "LJ", "--out", f"{folder}/a")):  # fmt: skip
            assert main(list(words)) == 2
            text = capsys.readouterr().err
            assert f"cannot write to the folder {folder}" in text and text.count("\n") == 1, text


def test_plans_that_make_no_sense(record_folder, tmp_path, capsys, monkeypatch):
    def never(*_, **__):
        raise AssertionError("the theory was asked first")

    monkeypatch.setattr(theory, "with_numbers", never)
    words = ["trials", "--data", str(record_folder), "--models", "gp/mct", "--out", str(tmp_path / "t")]
    for further, code, expected in (
        (("--workers", "0"), 2, "--workers 0"), (("--steps", "-4"), 2, "--steps -4"), (("--t0", "-1"), 2, "--t0 -1"),
        (("--t0", "nan"), 2, "--t0 nan"), (("--transfers", "temperature", "--t0", "90"), 1, "no trials"),
    ):  # fmt: skip
        assert main([*words, *further]) == code
        text = capsys.readouterr().err
        assert expected in text and text.count("\n") == 1, text


def test_train_refuses_what_makes_no_sense(record_folder, tmp_path, capsys):
    assert main(["train", "--model", "nearest", "--inputs", "structure"]) == 2
    assert "no meaning" in capsys.readouterr().err
    assert main(["train", "--model", "ridge", "--data", str(tmp_path)]) == 1
    assert "no records" in capsys.readouterr().err
    assert main(["train", "--layers", "0", "--data", str(record_folder)]) == 2
    assert "layers 0; expected at least 1 neuron" in capsys.readouterr().err


def test_a_training_that_is_stopped_before_its_first_epoch(record_folder, tmp_path, capsys):
    """Without a validation set its log is empty then; 75 lets a batch system requeue it."""
    words = ["train", "--data", str(record_folder), "--steps", "20", "--layers", "8", "--device", "cpu", "--held-out",
             "0", "--out", str(tmp_path)]
    assert main([*words, "--wall-time", "0"]) == 75
    assert "it goes on where it stopped" in capsys.readouterr().out
    assert main(words) == 0 and (tmp_path / "liquid.npz").exists()


def test_trials_go_on_and_refuse_other_settings(record_folder, tmp_path, capsys):
    words = ["trials", "--data", str(record_folder), "--out", str(tmp_path), "--models", "nearest", "ridge",
             "--transfers", "states", "potential", "--repeats", "1", "--parts", "2"]
    assert main([*words, "--dry-run"]) == 0
    assert "waiting" in capsys.readouterr().out
    assert main([*words, "--models", "gp/mct", "--dry-run"]) == 0
    assert not any(tmp_path.iterdir())  # not even what the theory makes of the states
    assert main(words) == 0
    products = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.h5")}
    assert len(products) >= 6
    assert main(words) == 0
    assert products == {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.h5")}
    capsys.readouterr()
    assert main([*words[:-1], "3"]) == 1
    assert "other records or settings (parts 2, now 3)" in capsys.readouterr().err
    found = trials.read_all(tmp_path)
    repeat = found["states"]["ridge"][0]
    keys = sorted((one.potential, one.density, one.temperature) for one in repeat)
    assert len(set(keys)) == metrics.of(repeat)["states"] == len(keys)
    assert {one.potential for one in found["LJ"]["ridge"][0]} == {"WCA"}


def test_metrics_of_known_errors():
    t = np.geomspace(0.1, 10, 5)
    truth = np.stack([np.array([2.0, 1.5, 1.0, 0.5, 0.0]), np.array([0.2, 0.1, 0.1, 0.0, 0.0])], axis=1)
    F = truth + np.array([0.1, -0.02])

    def prediction(predicted, tau_predicted):
        return metrics.Prediction("LJ", 1.2, 1.0, 1.1, False, t, truth, predicted, truth - 0.05, truth + 0.05,
                                  np.array([2.0, 0.2]), np.array([1.0, 2.0]), np.array(tau_predicted), 1.0)

    found = metrics.of([prediction(F, [10.0, 0.2])])
    assert found["rmse"] == pytest.approx(np.sqrt((0.1**2 + 0.02**2) / 2))
    assert found["rmse_A"] == pytest.approx(0.05) and found["rmse_B"] == pytest.approx(0.1)
    spread = np.sum((truth - truth.mean()) ** 2)
    assert found["r2"] == pytest.approx(1 - 5 * (0.1**2 + 0.02**2) / spread)
    assert found["log_tau_A"] == pytest.approx(1) and found["log_tau_B"] == pytest.approx(1)
    assert found["coverage"] == 1
    assert metrics.of([prediction(truth, [1.0, 2.0])])["r2"] == 1
    # no relaxation: the error is at least up to the end of the run
    assert metrics.of([prediction(F, [np.inf, 2.0])])["log_tau_A"] == pytest.approx(1)


def test_error_of_a_figure_of_merit_is_that_of_states_and_of_repeats():
    """Of a mean over states it is their standard error, however often they are repeated; that of repeats is added."""
    t, one = np.geomspace(0.1, 10, 20), np.ones((20, 2))
    truth = np.exp(-t)[:, None] * one
    inside = np.random.default_rng(2).uniform(0.5, 1, (12, 20, 2)) < 0.8

    def repeat(shift=0.0):
        return [metrics.Prediction("LJ", 1.2, float(i), 1.1, False, t, truth, truth + 0.1 * i,
                                   truth - np.where(kept, 1, -1), truth + 1, np.ones(2), np.ones(2),
                                   10 ** (0.1 * i + shift) * np.ones(2), 1.0)
                for i, kept in enumerate(inside, start=1)]

    covered = inside.reshape(12, -1).mean(1)
    for repeats in ([repeat()], [repeat(), repeat(), repeat()]):
        value, error = metrics.over_repeats(repeats)["coverage"]
        assert value == pytest.approx(covered.mean()) and error == pytest.approx(covered.std(ddof=1) / np.sqrt(12))
    value, error = metrics.over_repeats([repeat(), repeat(0.6)])["log_tau_A"]
    assert value == pytest.approx(0.65 + 0.3)
    assert error == pytest.approx(np.hypot(0.1 * np.arange(12).std(ddof=1) / np.sqrt(12), 0.3))
    assert np.isnan(metrics.over_repeats([repeat()[:1], repeat()[:1]])["r2"][1])
    found = metrics.of(repeat())
    both = [np.concatenate([getattr(one, name) for one in repeat()]) for name in ("truth", "F")]
    assert found["r2"] == pytest.approx(metrics.r_squared(*both))


def test_distance_to_the_transition_of_mode_coupling_theory():
    """Zero where `mct.critical_point` finds the transition of hard spheres, positive below, negative above."""
    def structure(packing):
        S, density = mct.hard_sphere_mixture(PAPER_GRID, packing, (1.0, 0.8), theory.FRACTIONS)
        return PAPER_GRID, S, density, theory.FRACTIONS

    critical = mct.critical_point(structure, 0.45, 0.58, 1e-4).value
    found = []
    for packing in (0.97 * critical, critical, 1.03 * critical):
        _, S, density, _ = structure(packing)
        found.append(theory.distance(State("", density, 1.0, np.stack([S[:, 0, 0], S[:, 0, 1], S[:, 1, 1]], axis=1))))
    assert found[1] == pytest.approx(0, abs=4e-3)
    assert found[0] > 0.1 > -0.1 > found[2]


def test_jobs_are_checked_before_they_are_submitted(tmp_path):
    import subprocess
    import sys
    from pathlib import Path

    def launch(*words):
        return subprocess.run([sys.executable, "jobs/liquid_train.py", "--runs", str(tmp_path), *words],
                              cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=60)

    done = launch("--dry-run", "--models", "mlp", "gp/zeroed", "--steps", "20")
    assert done.returncode == 0 and done.stdout.count("\n") == 2
    assert f"train --model gp --inputs zeroed --out {tmp_path}/liquid-gp-zeroed --steps 20" in done.stdout
    for words, expected in ((("--models", "forest"), "model 'forest'"), (("--steps", "-1"), "steps -1"),
                            (("--out", "x"), "--models and --runs")):
        done = launch("--dry-run", *words)
        assert done.returncode == 2 and expected in done.stderr and done.stderr.count("\n") == 1


def test_the_theory_gets_a_positive_structure(samples):
    """What is measured is left alone; an extrapolation that is not positive is mended."""
    S = samples[0].state.S
    np.testing.assert_array_equal(theory.matrices(S)[:, 0, 1], S[:, 1])
    spoiled = S.copy()
    spoiled[0] = -0.01, 0.1, 0.02
    assert np.all(np.linalg.eigvalsh(theory.matrices(spoiled)) > 0)
