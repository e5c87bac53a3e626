"""Models on curves whose law is known, and what the errors, intervals and tests of the judgement say of known cases."""

from dataclasses import replace
from statistics import harmonic_mean

import numpy as np
import pytest
import torch

from hpctools.glasses import curves, errors, models, permutation, prediction, record, unseen
from hpctools.glasses.autoencoder import Autoencoder
from hpctools.glasses.composition import parse
from hpctools.glasses.density import start_density
from hpctools.glasses.fingerprint import mole_fractions
from hpctools.glasses.forest import SCANS, Components, FittedForest, scan
from hpctools.glasses.held_out import Runs, held_out
from hpctools.glasses.intervals import Conformal
from hpctools.glasses.learning_settings import FOLDS, GlassTraining, for_kind
from hpctools.glasses.mean_force import PAIRS, MeanForceNetwork, inputs, tables
from hpctools.glasses.permutation import permutation_test
from hpctools.glasses.relaxed_density import RelaxedDensity, simulated
from hpctools.glasses.splits import by_glass, fold, folds
from hpctools.glasses.unseen import Intervals
from hpctools.training_settings import TrainingError
from hpctools.weights import Weights


@pytest.fixture(scope="module")
def shipped():
    """Curves of the first records of the library."""
    names = ("SiO2_bmp-shrm_s1.h5", "40SiO2-40B2O3-20Na2O_bmp-shrm_s1.h5")
    from hpctools.glasses import record

    return curves.gather([record.read(curves.LIBRARY / name) for name in names])


def designed(glasses, law, pairs=(("Si", "O"), ("O", "O"))):
    """Curves by a known law(glass, pair) -> g, to see whether a model finds it; no simulation stands behind them."""
    compositions = tuple(parse(glass) for glass in glasses)
    index = np.repeat(np.arange(len(compositions)), len(pairs))
    every = [(glass, pair) for glass in compositions for pair in pairs]
    g = np.array([law(glass, pair) for glass, pair in every])
    r = (np.arange(g.shape[1]) + 0.5) * 0.1
    n = len(g)
    return curves.Curves(compositions, compositions, index, tuple(pair for _, pair in every), r, g,
                         np.full_like(g, np.nan), np.ones(n, int), np.full(n, 1e3), np.full((n, 2), 0.05),
                         {pair: 2.2 for pair in pairs})  # fmt: skip


def linear(glass, pair):
    """1 + 2 x_Na (1, 2, 3 …) for Si-O, its mirror image for O-O."""
    slope = np.arange(1, 41) / 40
    return 1 + 2 * mole_fractions(glass)[0] * (slope if "Si" in pair else slope[::-1])


SODIUM = [f"{100 - x}SiO2-{x}Na2O" for x in (4, 8, 12, 16, 20, 24, 28, 32)]


def test_pair_mean_and_nearest_composition():
    data = designed(SODIUM, linear)
    mean, nearest = models.PairMean(), models.NearestComposition()
    mean.fit(data)
    nearest.fit(data)
    query = [(parse("81SiO2-19Na2O"), ("Si", "O")), (parse("90SiO2-10Na2O"), ("O", "O"))]
    np.testing.assert_allclose(mean.predict(query)[0], linear(parse("82SiO2-18Na2O"), ("Si", "O")))
    np.testing.assert_allclose(nearest.predict(query)[0], linear(parse("80SiO2-20Na2O"), ("Si", "O")))
    # 8 and 12 % are equally near
    np.testing.assert_allclose(nearest.predict(query)[1], linear(parse("90SiO2-10Na2O"), ("O", "O")))


def test_gaussian_process_finds_a_linear_law():
    data = designed(SODIUM, linear)
    process = models.GaussianProcess()
    process.fit(data)
    query = [(parse("82SiO2-18Na2O"), pair) for pair in (("Si", "O"), ("O", "O"))]
    g, deviation = process.predict_with_deviation(query)
    expected = np.array([linear(*one) for one in query])
    np.testing.assert_allclose(g, expected, atol=0.01)
    assert (np.abs(g - expected) < 3 * deviation + 1e-3).all()
    # and it is far surer there than beyond the data
    far = process.predict_with_deviation([(parse("40SiO2-60Na2O"), ("Si", "O"))])[1]
    assert far.mean() > 1.5 * deviation[0].mean()
    # the parameters alone make the same process again
    again = models.GaussianProcess()
    again.fit(data, {pair: one.parameters for pair, one in process.pairs.items()})
    np.testing.assert_allclose(again.predict(query), g, rtol=1e-9)


def test_gaussian_process_of_two_curves_is_their_mean(shipped):
    process = models.GaussianProcess()
    process.fit(shipped)
    rows = shipped.of_pair(("Si", "O"))
    glass = shipped.realised[0]
    expected = shipped.expected[rows]
    mean = np.average(shipped.g[rows], axis=0, weights=1 / (1 / expected + 1 / expected.max()))
    np.testing.assert_allclose(process.predict([(glass, ("Si", "O"))])[0], mean)
    # a pair without curves: that of another dopant, else of all
    assert process.predict([(parse("90SiO2-10BaO"), ("Ba", "O"))]).shape == (1, 100)


def test_forests_interpolate_what_they_learned(shipped):
    for model in (models.DirectForest("paper"), models.DirectForest("fractions"), models.ComponentForest()):
        model.fit(shipped)
        g = model.predict(shipped.query)
        assert ((g - shipped.g) ** 2).mean() < 0.5 * shipped.g.var(0).mean(), model.name
    # one tree of full depth on all features, no bootstrap twin: as many leaves as distinct inputs
    components = Components(shipped.g, 8)
    assert components.directions.shape == (8, 100)
    np.testing.assert_allclose(components.directions @ components.directions.T, np.eye(8), atol=1e-12)
    full = Components(shipped.g, 100)
    np.testing.assert_allclose(full.curves(full.scores(shipped.g)), shipped.g, atol=1e-9)


def test_scan_gives_mean_squared_errors(shipped):
    """At one tree of depth 2 by hand; every value of the scan is there."""
    from hpctools.glasses.fingerprint import matrix

    x, y = matrix("fractions", shipped.query), shipped.g[:, 15:25]
    parts = [(one.train, one.test) for one in folds(shipped, "random curves")]
    points = scan("depth", x, y, parts)
    assert [point.value for point in points] == list(SCANS["depth"])
    spread = y.std(0)
    by_hand = [np.mean((FittedForest(x[a], (y / spread)[a], replace(models.PAPER, depth=2)).predict(x[b])
                        - (y / spread)[b]) ** 2) for a, b in parts]  # fmt: skip
    assert points[0].test == pytest.approx(np.mean(by_hand))
    assert points[0].error == pytest.approx(np.std(by_hand, ddof=1) / 5**0.5)


# --- the mean-force network and the autoencoder


def test_mean_force_obeys_its_constraints(shipped):
    """Before learning it is the pair's mean, tapered to 1; with any weights g ≥ 0, 0 in the core, 1 at the end."""
    means, weight = tables(shipped)
    torch.manual_seed(0)
    network = MeanForceNetwork(means, shipped.r, 2, 16, 4)
    x = torch.as_tensor(inputs(shipped.query), dtype=torch.float32)
    rows = torch.tensor([PAIRS.index(pair) for pair in shipped.pairs])
    g = network(x, rows).detach().numpy()
    np.testing.assert_allclose(g[:, 0, :90], means[rows][:, :90], atol=1e-5)
    assert len(PAIRS) == 28 and weight[PAIRS.index(("Ba", "Ba"))] == 0
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    wild = network(x, rows).detach().numpy()
    assert np.abs(wild - g).max() > 0.1
    assert (wild >= 0).all()
    assert not wild[:, 0][:, :90][means[rows][:, :90] == 0].any()
    np.testing.assert_allclose(wild[:, :, -1], 1, atol=1e-6)


def test_the_papers_network():
    """Latent 1 × 1 × 8 of 64 × 64 × 1; the numbers of weights by hand, 3 × 3 kernels."""
    network = Autoencoder()
    latent = network.encoder(torch.rand(2, 1, 64, 64))
    assert latent.shape == (2, 8, 1, 1) and (latent >= 0).all()
    out = network(torch.rand(2, 1, 64, 64))
    assert out.shape == (2, 1, 64, 64) and (out >= 0).all() and (out <= 1).all()
    steps = ((1, 64), (64, 32), (32, 32), (32, 16), (16, 16), (16, 8), (8, 8), (8, 16), (16, 16), (16, 32), (32, 32),
             (32, 64), (64, 1))  # fmt: skip
    assert sum(p.numel() for p in network.parameters()) == sum(9 * a * b + b for a, b in steps)


def test_settings_of_the_kinds():
    assert (for_kind("autoencoder", {}).epochs, for_kind("autoencoder", {}).optimiser) == (800, "adam")
    assert for_kind("mean-force", {}).optimiser == "adamw" and for_kind("mean-force", {"epochs": 7}).epochs == 7
    with pytest.raises(TrainingError, match="reach 12"):
        GlassTraining(reach=12.0)


# --- splits, errors, intervals


DOPED = ["SiO2", *(f"{100 - x}SiO2-{x}{d}" for d in ("BaO", "ZnO", "TiO2") for x in (2, 10, 20)),
         "60SiO2-20B2O3-20Na2O", "50SiO2-25B2O3-25Na2O", "40SiO2-40B2O3-20Na2O"]  # fmt: skip


def test_splits_keep_what_they_promise():
    data = designed(DOPED, lambda glass, pair: np.ones(40))
    for split in ("random curves", "by glass"):
        parts = folds(data, split)
        assert sorted(np.concatenate([one.test for one in parts])) == list(range(len(data)))
        assert all(not set(one.train) & set(one.test) and len(one.train) + len(one.test) == len(data) for one in parts)
    assert all(not set(data.glass[one.train]) & set(data.glass[one.test]) for one in by_glass(data))
    assert max(len(set(data.glass[one.test])) for one in by_glass(data)) == 3
    left = folds(data, "leave a dopant out")
    assert [one.name for one in left] == ["without-BaO", "without-TiO2", "without-ZnO"]
    for one, oxide in zip(left, ("BaO", "TiO2", "ZnO")):
        assert all(not data.compositions[data.glass[row]][oxide] for row in one.train)
        assert all(data.compositions[data.glass[row]][oxide] for row in one.test)
    top = folds(data, "leave the top out")[0]
    tested = {str(data.compositions[glass]) for glass in data.glass[top.test]}
    assert tested == {"80SiO2-20BaO", "80SiO2-20ZnO", "80SiO2-20TiO2"}
    for name in FOLDS:
        assert fold(data, name).name == name


def test_shares_by_hand():
    pairs = 5 * (("Si", "O"),) + 5 * (("O", "O"),) + 4 * (("Na", "O"),)
    mse = np.array([1.0, 3, 1, 3, 2, *9 * [1.0]])
    base = np.array([4.0, 6, 4, 6, 5, *5 * [1.0], *4 * [90.0]])
    noise = np.ones(14)
    one, other, few = errors.shares(pairs, mse, base, noise)
    assert (one.curves, one.mse, one.baseline, one.noise) == (5, 2, 5, 1)
    assert one.skill == pytest.approx(0.6) and one.explained == pytest.approx(0.75) and one.signal
    assert not other.signal and np.isnan(other.explained) and other.skill == 0
    assert not few.signal and np.isnan(few.explained), "four glasses say nothing"
    weights = np.array([np.ones(14), np.eye(14)[1] * 2, np.eye(14)[13]])
    # the second draw has the second curve twice, the third none of the pairs that count
    np.testing.assert_allclose(errors.median_skill(pairs, mse, base, weights), [0.3, 0.5, np.nan])
    np.testing.assert_allclose(errors.median_explained(pairs, mse, base, noise, weights), [0.75, 0.6, np.nan])
    # a curve without a noise floor takes its own pair out, where it is drawn, and no other
    unknown = np.where(np.arange(14) == 7, np.nan, noise)
    np.testing.assert_allclose(errors.median_explained(pairs, mse, base, unknown, weights), [0.75, 0.6, np.nan])
    unknown = np.where(np.arange(14) == 2, np.nan, noise)
    np.testing.assert_allclose(errors.median_explained(pairs, mse, base, unknown, weights), [np.nan, 0.6, np.nan])
    assert np.isnan(errors.shares(pairs, mse, base, unknown)[0].explained)


def test_curves_without_a_pair_mean_do_not_count():
    """Na-Ba was learned for four of its glasses; the substitute's error for the fifth is no baseline."""
    pairs = 5 * (("Si", "O"),) + 5 * (("Na", "Ba"),)
    mse, base = np.array([*5 * [2.0], *5 * [1.0]]), np.array([*5 * [5.0], *4 * [90.0], np.nan])
    one, few = errors.shares(pairs, mse, base, np.ones(10))
    assert one.signal and few.curves == 4 and not few.signal and few.baseline == 90
    every = np.ones((1, 10))
    assert errors.enough(pairs, base) == [("Si", "O")]
    assert errors.median_skill(pairs, mse, base, every) == pytest.approx(0.6)
    assert errors.median_explained(pairs, mse, base, np.ones(10), every) == pytest.approx(0.75)
    # the sixth curve, which is learned, lets the pair count, without the fifth
    more, twice = (*pairs, ("Na", "Ba")), np.append(base, 90.0)
    share = errors.shares(more, np.append(mse, 1.0), twice, np.ones(11))[1]
    assert (share.curves, share.baseline, share.mse) == (5, 90, 1) and share.signal
    rare = errors.shares((("Na", "Ba"),), np.ones(1), np.array([np.nan]), np.ones(1))[0]
    assert rare.curves == 0 and not rare.signal and np.isnan(rare.mse)


def test_held_out_knows_which_pairs_a_fold_learned(tmp_path):
    """Ba-O stands in one glass alone: no fold that tests it has learned it."""
    data = designed(SODIUM, linear)
    single = designed(["90SiO2-10BaO"], linear, (("Ba", "O"), ("Si", "O")))
    both = replace(data, compositions=data.compositions + single.compositions, glass=np.append(data.glass, [8, 8]),
                   realised=data.realised + single.realised, pairs=data.pairs + single.pairs,
                   g=np.concatenate([data.g, single.g]))  # fmt: skip
    both = replace(both, **{name: np.concatenate([getattr(data, name), getattr(single, name)])
                            for name in ("variance", "seeds", "expected", "densities")})
    found = held_out("pair mean", both, by_glass(both), Runs(tmp_path))
    assert [both.pairs[row] for row in np.flatnonzero(~found.learned)] == [("Ba", "O")]
    assert found.learned.sum() == len(both) - 1 and np.isfinite(found.g).all()


def test_neighbours_are_counted_by_the_second_elements_density():
    """A g too high by 0.5 everywhere: 0.5 ρ_O 4/3 π 2.2³ oxygens too many within 2.2 Å of a silicon."""
    data = designed(SODIUM, linear)
    data = replace(data, densities=np.tile([0.02, 0.05], (len(data), 1)))
    found = errors.of(data, data.g + 0.5, np.full(len(data), 10.0))
    np.testing.assert_allclose(found.coordination, 0.5 * 0.05 * 4 / 3 * np.pi * 2.2**3)


def test_intervals_of_the_gaussian_process_hold_the_noise_of_bins():
    """A linear law with noise of each bin's own, which no component follows: ± 1.645 deviations hold 90 % of others."""
    rng = np.random.default_rng(6)
    data = designed([f"{100 - x}SiO2-{x}Na2O" for x in range(4, 34)], linear, (("Si", "O"),))
    process = models.GaussianProcess()
    process.fit(replace(data, g=data.g + rng.normal(0, 0.05, data.g.shape)))
    g, deviation = process.predict_with_deviation(data.query)
    new = data.g + rng.normal(0, 0.05, data.g.shape)
    assert (np.abs(new - g) < 1.645 * deviation).mean() == pytest.approx(0.90, abs=0.04)


def test_gaussian_process_weighs_curves_by_their_counts():
    """A law in 4 curves of 1000 counts and 26 of 100, with noise by counts: these help, and less so where their noise
    is not known; errors are as large as the deviations say."""
    rng = np.random.default_rng(8)
    glasses = [f"{100 - x}SiO2-{x}Na2O" for x in range(4, 34)]
    better, ratio = [], []
    for _ in range(4):
        data = designed(glasses, linear)
        counts = np.full(60, 1000.0)  # of O-O, by which sparse glasses belong to the set
        counts[2 * rng.permutation(30)[4:]] = 100.0
        variance = np.tile((2.0 / counts)[:, None], (1, 40))
        noisy = replace(data, g=data.g + rng.normal(0, np.sqrt(variance)), variance=variance, expected=counts)
        chosen, _ = noisy.with_enough()
        assert len(chosen) == 34 and len(chosen.sparse) == 26
        asked, true = data.query[::2], data.g[::2]
        errors = {}
        for name, learned in (("good", replace(chosen, sparse=None)), ("all", chosen),
                              ("alike", replace(noisy, expected=np.full(60, 500.0)))):
            process = models.GaussianProcess()
            process.fit(learned)
            g, deviation = process.predict_with_deviation(asked)
            errors[name] = ((g - true) ** 2).mean()
            if name == "all":
                new = true + rng.normal(0, np.sqrt(2.0 / 1000), true.shape)
                ratio.append((np.abs(new - g) / deviation).mean() / np.sqrt(2 / np.pi))
        better.append([errors["all"] / errors["good"], errors["all"] / errors["alike"]])
    assert (np.mean(better, axis=0) < 0.9).all(), better
    assert 0.5 < np.mean(ratio) < 1.5, ratio


def test_sparse_curves_stay_with_their_glasses():
    data = mixed()
    data = replace(data, expected=np.where(np.arange(len(data)) % 3, 1000.0, 100.0))
    chosen, left = data.with_enough()
    assert len(chosen) + len(chosen.sparse) == len(data) == len(chosen.with_sparse()) and left
    for part in by_glass(chosen):
        learned = chosen.rows(part.train)
        assert not set(learned.with_sparse().glass) & set(chosen.glass[part.test]) and len(learned.sparse)
    made = permutation.shuffled(chosen, 2)
    for pair in data.known_pairs:
        before, after = (one.with_sparse() for one in (chosen, made))
        rows = before.of_pair(pair)
        assert sorted(after.glass[rows]) == sorted(before.glass[rows])
        assert (after.glass[rows] != before.glass[rows]).any()


def test_intervals_by_own_deviations_cover_what_they_say():
    """Errors of each curve's own width, which the model tells up to a factor; a curve without deviations takes its
    pair's."""
    rng = np.random.default_rng(1)
    query = [(parse(glass), ("Si", "O")) for glass in DOPED]
    glass = np.arange(len(query))
    width = np.exp(rng.normal(0, 1, len(query)))[:, None] * np.ones(60)
    covered = []
    for _ in range(20):
        made = Conformal.of(query, glass, rng.normal(0, 1, width.shape) * width, 0.5 * width)
        covered.append(made.covered(query, rng.normal(0, 1, width.shape) * width, 0.5 * width))
    assert np.mean(covered) == pytest.approx(0.90, abs=0.01) and np.ptp(np.mean(covered, axis=0)) < 0.1
    np.testing.assert_allclose(made.q_own, 2 * 1.645, rtol=0.1)
    unknown = np.where(glass[:, None] == 0, np.nan, 0.5 * width)
    np.testing.assert_array_equal(made.half_width(query, unknown)[0], made.half_width(query)[0])
    np.testing.assert_allclose(made.half_width(query, unknown)[1:], made.q_own * 0.5 * width[1:])


def test_bins_that_are_rounded_do_not_count():
    """Errors and deviations of 1e-17, as principal components leave in the core, are neither covered nor calibrate."""
    rng = np.random.default_rng(2)
    query, glass = [(parse(glass), ("Si", "O")) for glass in DOPED], np.arange(len(DOPED))
    for deviation in (None, np.ones((len(DOPED), 60))):
        errors = rng.normal(0, 1, (len(DOPED), 60))
        plain = Conformal.of(query, glass, errors, deviation)
        core = 1e-17 * rng.normal(0, 1, (len(DOPED), 40))
        both = np.hstack([core, errors])
        told = None if deviation is None else np.hstack([np.abs(core), deviation])
        padded = Conformal.of(query, glass, both, told)
        assert padded.q == pytest.approx(plain.q, rel=0.05) and padded.q_own == pytest.approx(plain.q_own, nan_ok=True)
        covered = plain.covered(query, errors, deviation)
        np.testing.assert_allclose(padded.covered(query, both, told), covered, atol=0.04)


def test_gaussian_process_tells_the_deviation_of_a_sum():
    """Noise of each bin's own adds by squares; what components leave unknown adds with its sign."""
    rng = np.random.default_rng(6)
    data = designed([f"{100 - x}SiO2-{x}Na2O" for x in range(4, 34)], linear, (("Si", "O"),))
    process = models.GaussianProcess()
    process.fit(replace(data, g=data.g + rng.normal(0, 0.05, data.g.shape)))
    weights = np.ones((len(data), 40))
    deviation = process.deviation_of_sums(data.query, weights)
    miss = (data.g + rng.normal(0, 0.05, data.g.shape) - process.predict(data.query)).sum(1, keepdims=True)
    assert 0.6 < np.sqrt((miss**2).mean()) / deviation.mean() < 1.4
    far = [(parse("40SiO2-60Na2O"), ("Si", "O"))]
    assert process.deviation_of_sums(far, weights[:1])[0, 0] > 1.1 * deviation.mean()


def test_rare_pairs_have_intervals_of_their_own():
    """Errors three times their deviations in a pair of which three glasses have enough curves and nine few, as large as
    these in the other: intervals of both cover what they say."""
    rng = np.random.default_rng(4)
    glasses = [f"{100 - 2 * x}SiO2-{x}B2O3-{x}Na2O" for x in range(5, 17)]
    data = designed(glasses, linear)
    counts = np.where((np.arange(24) % 2 == 0) & (np.arange(24) > 5), 100.0, 1000.0)
    peak = 5 * np.exp(-(((data.r - 1.6) / 0.2) ** 2))
    chosen, _ = replace(data, expected=counts, g=data.g + peak).with_enough()
    every = chosen.with_sparse()
    assert unseen.is_rare(chosen, ("Si", "O")) and not unseen.is_rare(chosen, ("O", "O")) and len(every) == 24
    rare = np.array([pair == ("Si", "O") for pair in every.pairs])
    found, drawn = [], []
    for _ in range(10):
        size = np.where(rare, 0.3, 0.1)[:, None] * np.ones(40)
        made = unseen.Unseen(size * rng.normal(size=every.g.shape), np.full(every.g.shape, 0.1), np.full((24, 1), 0.5))
        found.append([of.g.q_own for of in unseen.intervals_of(chosen, made)])
        drawn.append([share[0] for share in unseen.coverage(chosen, made, by_glass(chosen))])
    assert np.mean(found, axis=0) == pytest.approx([1.645, 3 * 1.645], rel=0.05)
    assert np.mean(drawn, axis=0) == pytest.approx([0.9, 0.9], abs=0.02)


def test_what_the_network_of_a_glass_follows_from():
    """Boron takes the sodium of a glass of little of it, R = 0.25: none is left to break bonds."""
    few, many, none = (models.glass_inputs(parse(text)) for text in (
        "60SiO2-32B2O3-8Na2O", "40SiO2-20B2O3-40Na2O", "80SiO2-20Na2O"))  # fmt: skip
    assert few[6:] == pytest.approx([0.125, 0.0])
    # R = K = 2: N4 = (8 + 2)/12 (1 - 2/4) = 0.417 beyond R = 0.5 + K/4
    assert many[6:] == pytest.approx([2.5 / 12, 0.4 - 5 / 12 * 0.2]) and none[6:] == pytest.approx([0.25, 0.2])
    assert few[:6].sum() == pytest.approx(1)


def test_predictions_far_from_the_learned_glasses_say_so():
    """Two groups of glasses, 2.4 mol % from one to the next; between them nothing was learned."""
    data = designed([f"{100 - 2 * x}SiO2-{x}B2O3-{x}Na2O" for x in (10, 11, 12, 28, 29, 30)], linear)
    mean = models.PairMean()
    mean.fit(data)
    missed = np.random.default_rng(0).normal(0, 0.1, data.g.shape)
    one = Conformal.of(data.query, data.glass, missed[:, :1])
    made = prediction.Predictor(
        mean, data, 2 * (Intervals(Conformal.of(data.query, data.glass, missed), one, one, one),),
        RelaxedDensity.of(data.realised, np.linspace(2.3, 2.5, 6)), Weights({}, {"kind": "pair mean"}, {}, {}))

    def told(composition):
        return made.predict(parse(composition), ("Si", "O")).warnings

    assert told("79SiO2-10.5B2O3-10.5Na2O") == ()
    far, = told("60SiO2-20B2O3-20Na2O")
    assert "76SiO2-12B2O3-12Na2O, is 19.6 mol % away" in far and "within 2.4 mol %" in far


def test_a_perfect_prediction_explains_everything_but_noise():
    """Targets are means of noisy seeds of a law that is known: its explained share is 1, its RMSE σ."""
    rng = np.random.default_rng(5)
    sigma, seeds = 0.05, 3
    data = designed(DOPED + SODIUM, linear)
    noisy = data.g + rng.normal(0, sigma, (seeds, *data.g.shape))
    variance = noisy.var(0, ddof=1) / seeds
    target = replace(data, g=noisy.mean(0), variance=variance)
    mse = ((data.g - target.g) ** 2).mean(1)
    baseline = np.concatenate([[((target.g[target.of_pair(p)].mean(0) - target.g[row]) ** 2).mean()] for row, p in
                               enumerate(target.pairs)])  # fmt: skip
    found = errors.shares(target.pairs, mse, baseline, target.noise)
    assert all(share.signal for share in found)
    for share in found:
        assert share.explained == pytest.approx(1, abs=0.05)
    assert np.median(np.sqrt(mse / target.noise)) == pytest.approx(1, abs=0.1)


def test_bootstrap_of_a_mean():
    """The interval of a mean over glasses is 1.645 standard errors; curves of one glass are drawn together."""
    rng = np.random.default_rng(0)
    values = rng.normal(0, 1, 200)
    low, high = errors.bootstrap(np.arange(200), lambda w: w @ values / w.sum(1))
    assert (high - low) / 2 == pytest.approx(1.645 * values.std() / 200**0.5, rel=0.15)
    twice = np.repeat(values, 2)
    low2, high2 = errors.bootstrap(np.repeat(np.arange(200), 2), lambda w: w @ twice / w.sum(1))
    assert high2 - low2 == pytest.approx(high - low, rel=0.15), "the second curve of a glass is no new glass"
    assert np.isnan(errors.bootstrap(np.zeros(5, int), lambda w: w[:, 0])).all()


MIXED = [*(f"{100 - x}SiO2-{x}Na2O" for x in (5, 10, 15, 20, 30)), *(f"{100 - x}SiO2-{x}BaO" for x in (4, 8, 12)),
         *(f"{100 - x - y}SiO2-{x}B2O3-{y}Na2O" for x, y in ((10, 25), (20, 20), (25, 15), (30, 10), (15, 5)))]


def mixed():
    """Glasses of which some have Na-O and some B-O; curves of 4 bins."""
    whole = designed(MIXED, lambda glass, pair: np.ones(4), (("Si", "O"), ("O", "O"), ("Na", "O"), ("B", "O")))
    return whole.rows(row for row, (glass, pair) in enumerate(whole.query) if set(pair) <= set(glass.elements))


FRACTIONS = np.array([mole_fractions(parse(glass)) for glass in MIXED])


def refitted(data):
    """Squared errors by glass of the nearest composition and of the pair mean, by hand: a thousand fits are needed."""
    fold = np.zeros(len(data), int)
    for k, part in enumerate(by_glass(data)):
        fold[part.test] = k
    apart = np.linalg.norm(FRACTIONS[data.glass][:, None] - FRACTIONS[data.glass], axis=2)
    index = np.unique([f"{a}-{b}" for a, b in data.pairs], return_inverse=True)[1]
    known = (fold[:, None] != fold) & (index[:, None] == index)
    nearest = data.g[np.argmin(np.where(known, apart, np.inf), axis=1)]
    mean = known @ data.g / known.sum(1, keepdims=True)
    return [((found - data.g) ** 2).mean(1) for found in (nearest, mean)]


def test_permutations_see_knowledge_of_glasses_with_different_pairs():
    """A law of Na2O and B2O3 in all pairs, with noise: no shuffle is as good, though hardly two glasses are alike."""
    rng = np.random.default_rng(1)
    data = mixed()
    law = np.array([mole_fractions(glass)[:2] @ (3, -2) for glass, _ in data.query])
    p, skill = permutation_test(replace(data, g=1 + law[:, None] + rng.normal(0, 0.05, data.g.shape)), refitted, 19)
    assert p == 0.05 and skill < 0
    assert np.isnan(permutation_test(data, refitted, 18)[0]), "too few draws for a p"


def test_without_knowledge_p_is_uniform():
    """Null: half of the variance is common to a glass's curves. Held-out predictions are worse than the pair mean."""
    rng = np.random.default_rng(3)
    data, p, real = mixed(), [], []
    for _ in range(40):
        hidden = rng.normal(size=(len(MIXED), 4))[data.glass] + rng.normal(size=data.g.shape)
        found = replace(data, g=hidden)
        p.append(permutation_test(found, refitted, 19)[0])
        mse, baseline = refitted(found)
        real.append(1 - mse.mean() / baseline.mean())
    assert np.mean(real) < -0.2
    assert 0.35 < np.mean(p) < 0.65 and np.mean(np.array(p) <= 0.1) <= 0.25 and np.mean(np.array(p) > 0.5) > 0.25


def test_shuffles_keep_the_curves_of_a_pair_and_of_a_glass_together():
    data = mixed()
    for seed in range(3):
        made = permutation.shuffled(data, seed)
        for pair in data.known_pairs:
            rows = data.of_pair(pair)
            assert sorted(made.glass[rows]) == sorted(data.glass[rows]) and (made.glass[rows] != data.glass[rows]).any()
        one, other = (made.glass[data.of_pair(pair)] for pair in (("Si", "O"), ("O", "O")))
        np.testing.assert_array_equal(one, other, "both stand in every glass")


def test_only_pairs_with_signal_count_in_the_permutation_test():
    pairs = 5 * (("Si", "O"),) + 5 * (("O", "O"),)
    base = np.array([*5 * [5.0], *5 * [1.5]])
    chosen = permutation.pairs_to_learn(pairs, base, np.ones(10))
    assert chosen == [("Si", "O")]
    assert permutation.mean_skill(pairs, chosen, np.array([*5 * [1.0], *5 * [99.0]]), base) == pytest.approx(0.8)
    unknown = permutation.pairs_to_learn(pairs, base, np.full(10, np.nan))
    assert unknown == [("Si", "O"), ("O", "O")], "without noise all"


def test_intervals_cover_what_they_say():
    """Errors with a width of each pair's own: 90 % of the bins of new glasses are inside."""
    rng = np.random.default_rng(1)
    query = [(parse(glass), pair) for glass in DOPED for pair in (("Si", "O"), ("O", "O"), ("Si", "Si"))]
    glass = np.repeat(np.arange(len(DOPED)), 3)
    width = np.array([0.1, 0.02, 0.5])[np.arange(len(query)) % 3]
    covered = []
    for _ in range(20):
        made = Conformal.of(query, glass, rng.normal(0, 1, (len(query), 60)) * width[:, None])
        covered.append(made.covered(query, rng.normal(0, 1, (len(query), 60)) * width[:, None]).mean())
    assert np.mean(covered) == pytest.approx(0.90, abs=0.01)
    half = made.half_width(query)
    np.testing.assert_allclose(half[:3].mean(1) / width[:3], 1.645, rtol=0.2)
    # an unknown pair takes the widest of what stands for it
    glass = parse("80SiO2-20BaO")
    np.testing.assert_array_equal(made.half_width([(glass, ("Ba", "O")), (glass, ("Ba", "Ba"))]), half[[0, 2]])


def test_relaxed_densities_of_glasses_left_out(shipped):
    """A law over the estimate is found, and 90 % of new glasses lie in the interval; and of the shipped records."""
    rng = np.random.default_rng(4)
    learned, new = ([parse(f"{100 - 3 * x}SiO2-{x}B2O3-{2 * x}Na2O") for x in rng.uniform(1, 20, n).round(2)]
                    for n in (12, 20))

    def law(glasses):
        return np.array([start_density(glass).value * (0.95 + 0.2 * mole_fractions(glass)[0]) for glass in glasses])

    inside, errors_of_new = [], []
    for _ in range(40):
        fitted = RelaxedDensity.of(learned, law(learned) * np.exp(rng.normal(0, 0.01, len(learned))))
        truth = law(new) * np.exp(rng.normal(0, 0.01, len(new)))
        off = np.log([start_density(glass).value * fitted.factor(glass) for glass in new] / truth)
        inside += list(np.abs(off) <= fitted.half_width(0.9))
        errors_of_new.append(np.sqrt((off**2).mean()))
    assert np.mean(inside) == pytest.approx(0.9, abs=0.05) and np.mean(errors_of_new) < 0.013
    glasses, densities = simulated(curves.gather(curves.find([curves.LIBRARY])))
    of_silica = [record.attributes(path)["density_g_cm3"] for path in curves.LIBRARY.glob("SiO2_s?.h5")]
    # volumes are averaged over seeds; silica is the last by name
    assert densities[-1] == pytest.approx(harmonic_mean(of_silica), rel=1e-6)
    raw = np.log(densities / [start_density(glass).value for glass in glasses])
    left = RelaxedDensity.of(glasses, densities)
    assert (left.left_out**2).mean() < (raw**2).mean() / 4
    # 50 glasses: 0.9 ± 0.04
    assert np.mean(np.abs(left.left_out) < left.half_width(0.9)) == pytest.approx(0.9, abs=0.1)


def test_the_core_has_no_width():
    rng = np.random.default_rng(1)
    query = [(parse(glass), ("Si", "O")) for glass in SODIUM]
    missed = rng.normal(0, 1, (len(query), 40))
    missed[:, :12] = 0
    made = Conformal.of(query, np.arange(len(query)), missed)
    assert not made.half_width(query)[:, :12].any() and (made.half_width(query)[:, 12:] > 0).all()
    with pytest.raises(ValueError, match="no errors"):
        Conformal.of(query, np.arange(len(query)), np.zeros_like(missed))
