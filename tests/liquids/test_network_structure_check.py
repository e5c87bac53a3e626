"""LJ or WCA by S(k): over all shipped_samples records, each without its own state, and as `predict` uses it."""

import csv
import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from hpctools.liquids.__main__ import main
from hpctools.liquids.network import models, prediction, regression, samples, structure_check
from hpctools.liquids.network.bands import Factor, Factors
from hpctools.liquids.structure import PAPER_GRID

OTHER = {"LJ": "WCA", "WCA": "LJ"}


@pytest.fixture(scope="module")
def config(shipped_samples):
    return models.trained_range(shipped_samples)


def without(config, rows):
    return {name: config[name][~rows] for name in ("points", "structures")}


def test_no_record_contradicts_its_potential(shipped_samples, config):
    """At low density most contradict the other one, and none is taken for it clearly."""
    count, warm, keys = Counter(), Counter(), samples.states(shipped_samples)
    for sample in shipped_samples:
        state = sample.state
        found = structure_check.compare(without(config, np.arange(len(keys)) == keys.index(state.key)), state)
        told = {"records": 1, "right": found.nearest == state.potential, "clear": found.is_clear,
                "clear and wrong": found.is_clear and found.nearest != state.potential,
                "contradict their own": found.contradicts(state.potential),
                "contradict the other": found.contradicts(OTHER[state.potential])}
        count.update(told)
        if not sample.glass and state.density < 1.5 and state.temperature < 3:
            warm.update(told)
    print(f"\nall: {dict(count)}\nliquids at ρ = 1.2 and 1.4 below T = 3: {dict(warm)}")
    assert count["contradict their own"] == count["clear and wrong"] == 0
    assert count["right"] > 0.8 * count["records"]
    assert warm["right"] == warm["records"] and warm["contradict the other"] > 0.8 * warm["records"]


def test_states_are_where_their_structure_says(shipped_samples, config):
    """None contradicts its density or temperature, each without its own state; most do with others."""
    keys, count = samples.states(shipped_samples), Counter()
    for sample in shipped_samples:
        state, rest = sample.state, without(config, np.arange(len(keys)) == keys.index(sample.state.key))
        assert structure_check.doubts(rest, state) == [], state.name
        if sample.glass:
            continue
        for name, factor in (("density", 1.07), ("density", 0.93), ("temperature", 1.25), ("temperature", 0.8)):
            told = structure_check.doubts(config, replace(state, **{name: factor * getattr(state, name)}))
            count[name] += 1
            count[f"{name} told"] += bool(told)
    print(f"\n{dict(count)}")
    assert count["density told"] == count["density"]
    assert count["temperature told"] > 0.8 * count["temperature"]  # the ends of the range are not compared


def test_noise_between_seeds(shipped_samples):
    first = {sample.state.key: sample.state.S for sample in reversed(shipped_samples)}
    apart = [np.sqrt(np.mean((sample.state.S - first[sample.state.key]) ** 2)) for sample in shipped_samples
             if sample.state.S is not first[sample.state.key]]
    print(f"\nrms between seeds, {len(apart)} pairs: {np.min(apart):.4f}, {np.median(apart):.4f}, {np.max(apart):.4f}")
    assert np.median(apart) == pytest.approx(structure_check.NOISE, rel=0.3)


def test_another_density_contradicts_nothing(shipped_samples, config):
    """S(k) differs by far more than between the potentials."""
    for sample in shipped_samples:
        others = without(config, np.isclose(config["points"][:, 1], np.log(sample.state.density)))
        found = structure_check.compare(others, sample.state)
        assert not found.is_clear and not found.contradicts(sample.state.potential), sample.state.name


def test_known_distances():
    """Halfway in ln T between two known structures; beyond the common range at its end."""
    points = np.array([[np.log(T), 0.0, flag] for T, flag in ((1, 1), (4, 1), (1, 0), (9, 0), (2, 0))])
    structures = np.stack([np.full((100, 3), value) for value in (0.0, 2.0, 5.0, 7.0, 6.0)])
    config = {"points": points, "structures": structures}
    found = structure_check.compare(config, samples.State("", 1.1, 2.0, np.full((100, 3), 1.5)))
    assert found.distances == pytest.approx({"LJ": 0.5, "WCA": 4.5}) and found.is_clear
    assert (found.density, found.temperature) == pytest.approx((1.0, 2.0))
    hot = structure_check.compare(config, samples.State("", 1.1, 100.0, structures[1]))
    assert hot.temperature == pytest.approx(4.0) and hot.distances["LJ"] == 0


def test_nothing_to_compare_with():
    """One potential alone; two without a common density, or without a common temperature."""
    points = np.array([[0.0, 0, 1], [1, 0, 1], [0, 0, 0], [1, 0, 0]])
    structures = np.stack([np.full((100, 3), value) for value in (0.0, 1.0, 5.0, 6.0)])
    state = samples.State("", 1.1, 2.0, structures[0])
    for rows, moved, nearest in ((2, 0.0, "LJ"), (4, [0.0, 0.3, 0.0], ""), (4, [2.0, 0.0, 0.0], "")):
        moving = points + np.where(points[:, 2:] == 0, moved, 0.0)
        found = structure_check.compare({"points": moving[:rows], "structures": structures[:rows]}, state)
        assert found.nearest == nearest and not found.is_clear
        assert not found.contradicts("LJ") and not found.contradicts("WCA")


@pytest.fixture(scope="module")
def network(shipped_samples, tmp_path_factory):
    """A quick model of the whole library, without a band."""
    model = regression.Ridge("full")
    model.fit(shipped_samples, 0)
    job = {"model": "ridge", "inputs": "full", "seed": 0}
    trained = models.Trained(model, Factors(*[Factor.unknown()] * 3), {**job, **models.trained_range(shipped_samples)})
    path = tmp_path_factory.mktemp("ridge") / "liquid.npz"
    models.save(path, trained, {}, {})
    return path


@pytest.fixture
def predict(network, shipped_samples, tmp_path):
    def run(key, *further):
        """The answer for the S(k) of the second seed of a state."""
        state = [sample.state for sample in shipped_samples if sample.state.key == key][-1]
        with open(tmp_path / "S.csv", "w", newline="") as file:
            csv.writer(file).writerows([("k", "S_AA", "S_AB", "S_BB"), *np.column_stack([PAPER_GRID, state.S])])
        words = ("--structure", tmp_path / "S.csv", "--network", network, "--density", key[1], "--temperature", key[2],
                 "--out", tmp_path / "a", "--no-figure", *further)
        assert main(["predict", *map(str, words)]) == 0
        return json.loads((tmp_path / "a.json").read_text())

    return run


@pytest.mark.parametrize("key", [("LJ", 1.2, 0.81), ("WCA", 1.2, 0.814)])
def test_the_potential_is_found(predict, capsys, key):
    answer = predict(key)
    assert answer["potential"] == key[0]
    assert len(answer["remarks"]) == 1 and f"taken as {key[0]} by S(k)" in answer["remarks"][0]
    assert not any("potential" in one for one in answer["warnings"])
    assert f"remark   {answer['remarks'][0]}" in capsys.readouterr().out
    given = predict(key, "--potential", key[0])
    assert given["remarks"] == [] and given["tau"] == answer["tau"]


def test_a_doubtful_potential_is_a_warning(predict):
    answer = predict(("LJ", 1.6, 3.883))
    assert answer["potential"] in OTHER and answer["remarks"] == []
    assert any("no clear difference, so give --potential" in one for one in answer["warnings"])


def test_a_potential_that_contradicts_the_structure_is_a_warning(predict):
    answer = predict(("LJ", 1.2, 0.81), "--potential", "WCA")
    assert answer["potential"] == "WCA"
    assert any("the potential WCA contradicts S(k)" in one and "of LJ and" in one for one in answer["warnings"])
    assert not any("contradicts" in one for one in predict(("LJ", 1.8, 5.61), "--potential", "WCA")["warnings"])


def test_a_structure_of_another_state_is_a_warning(predict):
    """Of another temperature, and of a density between those trained on; then the right one is named."""
    answer = predict(("LJ", 1.2, 0.54), "--potential", "LJ", "--temperature", "0.27")
    assert any("S(k) is off by 0.02" in one and "expected up to 0.018" in one for one in answer["warnings"])
    answer = predict(("LJ", 1.2, 0.81), "--potential", "LJ", "--temperature", "1.2")
    assert any("S(k) is off by 0.0" in one and "expected up to 0.008" in one for one in answer["warnings"])
    answer = predict(("LJ", 1.4, 1.87), "--potential", "LJ", "--density", "1.5")
    assert any("there it is at density 1.4" in one for one in answer["warnings"])
    right = predict(("LJ", 1.4, 1.87), "--potential", "LJ")
    assert not any("S(k)" in one or "S_AA" in one for one in right["warnings"])


def test_a_potential_that_cannot_be_found(network, shipped_samples):
    """The two were trained on at different densities."""
    from hpctools.config import ConfigError

    trained = models.load(network)
    rows = (trained.config["points"][:, 2] == 1) == (trained.config["points"][:, 1] < np.log(1.5))
    fewer = replace(trained, config={**trained.config, **without(trained.config, ~rows)})
    with pytest.raises(ConfigError, match="give --potential LJ or"):
        prediction.predict(fewer, replace(shipped_samples[0].state, potential=""))
