"""Ridge, Gaussian process and nearest state against closed forms; bands against known coverage; controls; splits."""

import numpy as np
import pytest
from scipy.interpolate import CubicSpline

from hpctools.liquids.network import bands, curves, inputs, models, regression
from hpctools.liquids.network import samples as samples_module
from hpctools.liquids.network.inputs import Scaler
from hpctools.liquids.network.settings import TrainJob
from hpctools.liquids.structure import PAPER_GRID

N = 40


@pytest.fixture(scope="module")
def table():
    """(n, 303) inputs and (n, 122) targets which follow them linearly, with noise."""
    random = np.random.default_rng(3)
    rows = random.normal(size=(N, 4)) @ random.normal(size=(4, 303))
    noise = 0.1 * random.normal(size=(N, regression.TARGETS))
    wanted = 0.05 * rows @ random.normal(size=(303, regression.TARGETS)) + noise
    return rows, wanted


def test_ridge_is_the_closed_form(table):
    rows, wanted = table
    model = regression.Ridge()
    model.fit_rows(rows, wanted, 0)
    z = Scaler.of(rows)(rows)
    centred = wanted - wanted.mean(0)
    exact = np.linalg.solve(z.T @ z + float(model.penalty) * np.eye(303), z.T @ centred)
    np.testing.assert_allclose(model.weights, exact, atol=1e-8)
    new = rows[:3] + 0.1
    expected = wanted.mean(0) + Scaler.of(rows)(new) @ exact
    np.testing.assert_allclose(model.draws(new).mean(0), expected, atol=1e-8)


def test_ridge_leaves_one_out_in_closed_form(table):
    """The residuals are those of fits without the row, with the penalty and the scale of all."""
    rows, wanted = table
    model = regression.Ridge()
    model.fit_rows(rows, wanted, 0)
    z = Scaler.of(rows)(rows)
    for i in (0, 17):
        rest = np.arange(N) != i
        x, y = z[rest], wanted[rest]
        x0, y0 = x.mean(0), y.mean(0)
        weights = np.linalg.solve((x - x0).T @ (x - x0) + float(model.penalty) * np.eye(303), (x - x0).T @ (y - y0))
        left_out = wanted[i] - y0 - (z[i] - x0) @ weights
        np.testing.assert_allclose(model.residuals[i], left_out, atol=2e-6)


def test_gaussian_process_is_the_closed_form(table):
    """Mean and variance by k(x,X) (K + σ²)⁻¹, with the hyperparameters found, of each component of the curves."""
    rows, wanted = table
    model = regression.GaussianProcess()
    model.fit_rows(rows, wanted, 0)
    x = model.inputs
    process = model._processes[0]
    linear, length_scale, noise = process.kernel_.k1.k1, process.kernel_.k1.k2, process.kernel_.k2
    a, sigma0 = linear.k1.constant_value, linear.k2.sigma_0
    b, length = length_scale.k1.constant_value, length_scale.k2.length_scale

    def kernel(u, v):
        r = np.sqrt(5 * (((u[:, None] - v[None]) / length) ** 2).sum(2))
        return a * (u @ v.T + sigma0**2) + b * (1 + r + r**2 / 3) * np.exp(-r)

    new = x[:5] + 0.3
    full = kernel(x, x) + (noise.noise_level + 1e-9) * np.eye(N)
    mean = kernel(new, x) @ np.linalg.solve(full, model.scores[:, 0])
    variance = np.diag(kernel(new, new) - kernel(new, x) @ np.linalg.solve(full, kernel(x, new))) + noise.noise_level
    found, sigma = process.predict(new, return_std=True)
    np.testing.assert_allclose(found, mean, atol=1e-7)
    np.testing.assert_allclose(sigma**2, variance, rtol=1e-5)


def test_gaussian_process_learns_a_linear_law(table):
    rows, wanted = table
    model = regression.GaussianProcess()
    model.fit_rows(rows[:30], wanted[:30], 0)
    error = model.draws(rows[30:]).mean(0) - wanted[30:]
    assert np.sqrt(np.mean(error**2)) < 0.2 * wanted.std()  # the noise is a tenth


def test_nearest_state_is_itself(samples):
    model = regression.Nearest("zeroed")
    model.fit(samples, 0)
    for sample in samples:
        F = np.median(model.predict(sample.state, sample.times), axis=0)
        if not sample.glass:
            np.testing.assert_allclose(F / sample.initial, sample.f, atol=0.02)


def test_constant_inputs_are_taken_out():
    rows = np.random.default_rng(0).normal(size=(6, 4))
    rows[:, 2] = 1.0
    other = rows[:1].copy()
    other[0, 2] = 0.0
    np.testing.assert_array_equal(Scaler.of(rows)(other)[:, 2], 0)


def test_wave_numbers_share_a_scale():
    """Noise at large k stays small beside the peak."""
    random = np.random.default_rng(0)
    rows = np.zeros((50, 303))
    rows[:, 17] = random.normal(size=50)
    rows[:, 90] = 0.01 * random.normal(size=50)
    z = Scaler.of(rows)(rows)
    assert z[:, 90].std() / z[:, 17].std() == pytest.approx(0.01, rel=0.3)


def test_controls_are_shown_less(samples):
    states = [s.state for s in samples]
    full, zeroed, structure = (inputs.plain(states, kind) for kind in ("full", "zeroed", "structure"))
    assert np.all(zeroed[:, :300] == 0) and np.all(structure[:, 300:] == 0)
    np.testing.assert_array_equal(full, zeroed + structure)
    np.testing.assert_array_equal(full[0, :100], states[0].S[:, 0])
    with pytest.raises(samples_module.SampleError, match="mode-coupling"):
        inputs.plain(states, "mct")


def test_states_alike_in_reduced_units_are_shown_alike(samples):
    """A liquid of inverse powers at ρ and T is that at ρ' and T' = T (ρ'/ρ)^γ, with all lengths in ρ^(-1/3)."""
    one = next(s.state for s in samples if s.state.key == ("LJ", 1.2, 1.0))
    k = np.clip(PAPER_GRID * (1.2 / 1.5) ** (1 / 3), PAPER_GRID[0], PAPER_GRID[-1])
    other = samples_module.replace(one, density=1.5, temperature=one.temperature * (1.5 / 1.2) ** inputs.GAMMA,
                                   S=CubicSpline(PAPER_GRID, one.S)(k))
    for show in (inputs.plain, inputs.scaled):
        rows = show([one, other], "reduced")
        np.testing.assert_allclose(rows[0], rows[1], atol=0.02)  # of up to 2.7; the splines' own error
    assert np.abs(np.subtract(*inputs.scaled([one, other], "structure"))).max() > 0.3
    rows = inputs.scaled([one, other], "zeroed")
    np.testing.assert_allclose(rows[0, [300, 302, 303]], rows[1, [300, 302, 303]])  # z, potential, exp(-z)
    assert inputs.peak(other.S) == pytest.approx(inputs.peak(one.S) * (1.5 / 1.2) ** (1 / 3), rel=2e-3)
    np.testing.assert_allclose(inputs.initial([one], "full"), inputs.initial([other], "reduced"), atol=0.01)
    assert np.all(inputs.initial([one], "zeroed") == 0) and np.all(inputs.initial([one], "permuted") == 0)


def test_the_structure_shown_gives_the_beginning(samples):
    """S at its peak is F_s at t = 0, on another grid, within 3 %."""
    found = inputs.initial([s.state for s in samples], "full")
    np.testing.assert_allclose(found, np.log([s.initial for s in samples]), atol=0.03)


def test_reduced_units_carry_from_one_potential_to_the_other(shipped_samples):
    """Relaxation times of supercooled WCA liquids from LJ alone; T, ρ and the potential do not tell them."""
    train = [s for s in shipped_samples if s.state.potential == "LJ" and s.state.key[1] < 1.5]
    test = [s for s in shipped_samples if s.state.potential == "WCA" and s.state.key[1] < 1.5 and not s.glass
            and s.state.relative_temperature < 0.75]
    assert len(test) >= 6
    off = {}
    for kind in ("reduced", "zeroed"):
        model = regression.GaussianProcess(kind)
        model.fit(train, 0)
        times = np.geomspace(1e-2, 1e7, 800)
        off[kind] = []
        for sample in test:
            F = np.median(model.predict(sample.state, np.append(1e-4, times)), axis=0)
            off[kind].append(np.abs(np.log10(curves.relaxation_time(times, F[1:] / F[0]) / sample.tau)).mean())
    assert np.mean(off["reduced"]) < 0.3 < 1 < np.mean(off["zeroed"]), off


def test_glasses_have_processes_of_their_own(shipped_samples):
    samples = [s for s in shipped_samples if s.state.key[1] < 1.5 and s.state.relative_temperature < 2]
    glasses = [s for s in samples if s.glass]
    model = regression.GaussianProcess("zeroed")
    model.fit(samples, 0)
    coldest = min(s.state.relative_temperature for s in samples if not s.glass)
    assert max(s.state.relative_temperature for s in glasses) < model.border < coldest
    liquid = next(s for s in samples if not s.glass)
    restored = regression.GaussianProcess("zeroed")
    restored.restore({key: value.copy() for key, value in model.arrays().items()})
    alone = regression.GaussianProcess("zeroed")
    alone.fit([s for s in samples if not s.glass], 0)
    for sample in (liquid, glasses[0]):
        found = model.predict(sample.state, sample.times)
        np.testing.assert_allclose(restored.predict(sample.state, sample.times), found, atol=1e-9)
        same = np.allclose(alone.predict(sample.state, sample.times), found, atol=1e-6)
        assert same == (not sample.glass)


def test_without_structure_a_model_does_not_see_it(samples):
    model = regression.GaussianProcess("zeroed")
    model.fit(samples, 0)
    one = samples[0]
    other = samples_module.replace(one.state, S=samples[-1].state.S)
    np.testing.assert_array_equal(model.predict(one.state, one.times), model.predict(other, one.times))


@pytest.mark.parametrize("name", ["gp", "ridge", "monotone"])
def test_the_structure_alone_does_not_know_its_temperature(samples, name):
    """Nor its density: neither by the inputs nor by the unit of time."""
    if name == "monotone":
        pytest.importorskip("torch")
    model = models.make(TrainJob(model=name, inputs="structure", monotone_layers=(16,), steps=3))
    model.fit(samples, 0)
    one = next(s for s in samples if s.state.key == ("LJ", 1.2, 1.0))
    other = samples_module.replace(one.state, temperature=4.0, density=1.6, potential="WCA")
    np.testing.assert_array_equal(model.predict(one.state, one.times), model.predict(other, one.times))
    if name == "gp":  # and yet it has learned: this state is in its training set
        assert np.abs(np.median(model.predict(one.state, one.times), axis=0) - one.F).max() < 0.15 * one.initial[0]


def test_permuted_structures_are_those_of_other_states(samples):
    found = samples_module.permuted(samples, 1)
    given = {sample.state.key: sample.state.S for sample in samples}
    for before, after in zip(samples, found):
        assert before.state.key == after.state.key
        np.testing.assert_array_equal(before.F, after.F)
        assert not np.array_equal(before.state.S, after.state.S)
        assert any(np.array_equal(after.state.S, S) for S in given.values())


def test_splits_are_by_state(samples):
    tested = []
    for split in samples_module.folds(samples, 3, 0):
        train, test = ({samples[i].state.key for i in part} for part in (split.train, split.test))
        assert not train & test and train | test == set(samples_module.states(samples))
        tested += sorted(test)
    assert sorted(tested) == samples_module.states(samples)
    split = samples_module.by_temperature(samples, 1.0, 0)
    assert split is not None
    assert all(samples[i].state.relative_temperature >= 1.0 for i in split.train)
    cold = {i for i, s in enumerate(samples) if s.state.relative_temperature < 1.0 - 1e-6}
    assert cold and cold <= set(split.test)
    same = samples[-1].state.key[:2]
    one, *others = (i for i, s in enumerate(samples) if s.state.key[:2] == same and s.state.relative_temperature >= 1.0)
    fewer = [s for i, s in enumerate(samples) if i not in (one, *others)]  # none of this liquid to learn from
    split = samples_module.by_temperature(fewer, 1.0, 0)
    assert split is not None and any(s.state.key[:2] == same for s in fewer)
    assert all(fewer[i].state.key[:2] != same for i in split.test)
    fewer = [s for i, s in enumerate(samples) if i not in others]
    for seed in range(20):  # nor is the only one of a liquid left out
        split = samples_module.by_temperature(fewer, 1.0, seed)
        assert split is not None and any(fewer[i].state.key[:2] == same for i in split.train)
    split = samples_module.by_potential(samples, "LJ", 0)
    assert split is not None
    assert {samples[i].state.potential for i in split.train} == {"LJ"}
    assert {samples[i].state.potential for i in split.test} == {"WCA"}
    assert samples_module.by_temperature(samples, 1e3, 0) is None


@pytest.mark.parametrize("seed", range(5))
def test_folds_have_a_share_of_the_glasses_and_of_each_temperature(shipped_samples, seed):
    samples = shipped_samples
    places = {s.state.key: s.state.relative_temperature for s in samples}
    glasses = {s.state.key for s in samples if s.glass}
    parts = [{samples[i].state.key for i in split.test} for split in samples_module.folds(samples, 5, seed)]
    counts = [len(part & glasses) for part in parts]
    assert max(counts) - min(counts) <= 2 and sum(counts) == len(glasses)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    middle = [np.median([np.log(places[key]) for key in part - glasses]) for part in parts]
    assert np.ptp(middle) < 0.35  # at random up to 0.8


def test_the_fingerprint_knows_what_splits_follow_from(samples):
    before = samples_module.fingerprint(samples)
    other = [samples_module.replace(samples[0], glass=not samples[0].glass), *samples[1:]]
    assert samples_module.fingerprint(other) != before


def test_factor_of_a_known_distribution():
    """|z| of a normal distribution: its 90 % quantile is 1.645; each state counts the same."""
    random = np.random.default_rng(5)
    scores = [np.abs(random.standard_normal(200 if i % 2 else 2000)) for i in range(400)]
    assert bands.quantile(scores) == pytest.approx(1.645, abs=0.03)
    assert bands.quantile([np.array([1.0]), np.array([2.0] * 1000)]) == 2.0  # of 2 states, 1.35 > 1
    with pytest.raises(samples_module.SampleError):
        bands.quantile([])


def test_factor_by_temperature():
    """Errors that are four times as large in glasses: each kind gets its own factor, and its coverage."""
    random = np.random.default_rng(8)
    relative = np.concatenate([np.full(60, 0.35), np.geomspace(1.0, 5.0, 140)])
    size = np.where(relative < 0.5, 4.0, 1.0)
    scores, x = [np.abs(random.standard_normal(400)) * one for one in size], np.log(relative)
    factor = bands.Factor.of(scores, x)
    wide = 1.919  # the quantile of |z| at 0.9 · 21/20: of 20 states
    assert factor(np.log(0.3)) == pytest.approx(4 * wide, rel=0.05)
    assert factor(np.log(2.0)) == pytest.approx(wide, rel=0.05)
    assert 1.645 < factor.everywhere < 4 * 1.645 and factor(float("nan")) == factor.everywhere
    assert "by temperature" in str(factor)
    few = bands.Factor.of(scores[: bands.NEAREST - 1], x[: bands.NEAREST - 1])
    assert few(-1.0) == few(1.0) == few.everywhere
    nowhere = bands.Factor.of(scores, np.full(200, np.nan))
    assert nowhere(1.0) == nowhere.everywhere == factor.everywhere


def test_few_glasses_do_not_widen_the_bands_of_liquids():
    """As where a network holds out a tenth of the states; a glass has the factor of the glasses."""
    random = np.random.default_rng(9)
    relative = np.array([0.3, 0.4, *np.geomspace(0.55, 5.0, 12)])
    glass = relative < 0.5
    scores = [np.abs(random.standard_normal(400)) * (50.0 if one else 1.0) for one in glass]
    factor = bands.Factor.of(scores, np.log(relative), glass)
    assert all(factor(np.log(x)) > 50 for x in (0.2, 0.4, 0.46))
    assert all(1.6 < factor(np.log(x)) < 2.4 for x in (0.48, 0.55, 1.0, 9.0))
    many = bands.Factor.of(scores[:2] + scores[2:] * 2, np.log([*relative, *relative[2:]]), [*glass, *glass[2:]])
    assert many(np.log(0.4)) > 50 and all(1.6 < many(np.log(x)) < 2.2 for x in (0.48, 0.55, 1.0, 9.0))
    assert "by temperature" in str(many)


def test_some_of_the_glasses_are_held_out(samples):
    """As well as some of the liquids, each a share; seeds of a state together."""
    kept, away = models.held_out(samples, 0.1, 0)
    glasses = {s.state.key for s in samples if s.glass}
    liquids = {s.state.key for s in samples} - glasses
    gone = {s.state.key for s in away}
    assert not gone & {s.state.key for s in kept} and len(kept) + len(away) == len(samples)
    assert len(gone & liquids) == (max(1, round(0.1 * len(liquids))) if len(liquids) >= 8 else 0)
    assert len(gone & glasses) == (max(1, round(0.1 * len(glasses))) if len(glasses) >= 4 else 0)


def test_factors_of_states_unlike_those_trained_on():
    """The widest of what applies; what is unknown does not count."""
    one, two, three = (bands.Factor(value, np.zeros(0), np.zeros(0)) for value in (1.0, 2.0, 3.0))
    factors = bands.Factors(one, two, three)
    asked = [(1.0, 0.5, False), (0.4, 0.5, False), (1.0, 0.5, True), (0.4, 0.5, True), (float("nan"), 0.5, True)]
    assert [factors.z(*words) for words in asked] == [1.0, 2.0, 3.0, 3.0, 3.0]
    network = bands.Factors(one, bands.Factor.unknown(), bands.Factor.unknown())
    assert [network.z(*words) for words in asked] == [1.0] * 5
    assert np.isnan(bands.Factors(*[bands.Factor.unknown()] * 3).z(1.0, 0.5, True))
    local = bands.Factor(1.5, np.array([-1.0, 0.0]), np.array([4.0, 1.0]))
    again = bands.Factors.restored(bands.Factors(local, two, bands.Factor.unknown()).arrays())
    assert again.known(-0.5) == 2.5 and again.known(float("nan")) == 1.5
    assert again.colder(0.3) == 2.0 and np.isnan(again.foreign(0.0))


def test_band_of_draws():
    times, initial = np.array([1.0, 2.0, 4.0]), np.array([2.0, 2.0])
    draws = np.random.default_rng(6).normal(1.0, 0.1, (4000, 3, 2))
    found = bands.band(draws, times, initial, 1.645)
    width = 1.645 * np.hypot(0.1, bands.FLOOR * 2)
    np.testing.assert_allclose(found.high - found.low, 2 * width, rtol=0.05)
    wide = bands.band(draws, times, initial / 2, 1e3)  # whatever the factor: between 0 and F(0), up to noise
    np.testing.assert_allclose(wide.high, 1 + bands.SLACK)
    np.testing.assert_allclose(wide.low, -bands.SLACK)
    # one draw that falls by 0.3 an e-fold: its width is that of the shift in ln t
    falls = np.repeat((1.5 - 0.3 * np.log(times))[None, :, None], 2, axis=2)
    np.testing.assert_allclose(bands.raw_width(falls, times, 0 * initial), 0.3 * bands.SHIFT, rtol=1e-9)


def test_other_densities_and_mixtures_are_foreign(samples):
    one, two = (bands.Factor(value, np.zeros(0), np.zeros(0)) for value in (1.0, 2.0))
    trained = models.Trained(regression.Ridge("full"), bands.Factors(one, bands.Factor.unknown(), two),
                             models.trained_range([s for s in samples if s.state.potential == "LJ"]))
    state = next(s.state for s in samples if s.state.key == ("LJ", 1.2, 0.9))
    replace = samples_module.replace
    assert trained.z(state) == trained.z(replace(state, density=1.205)) == 1.0
    for change in ({"density": 1.3}, {"density": 2.0}, {"potential": "WCA"}, {"potential": ""}):
        assert trained.z(replace(state, **change)) == 2.0


def test_seeds_of_a_state_count_once(samples):
    """Records that stand there twice change nothing: neither the fit nor the errors that leave one out."""
    kind = "zeroed"
    once, twice = regression.Ridge(kind), regression.Ridge(kind)
    once.fit(samples, 0)
    twice.fit([*samples, *samples[::2]], 0)
    np.testing.assert_allclose(twice.weights, once.weights, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(twice.residuals, once.residuals, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("model", ["nearest", "ridge", "gp"])
def test_a_model_in_a_file_is_the_same(samples, tmp_path, model):
    trained = models.fit_regression(TrainJob(model=model), samples)
    models.save(tmp_path / "model.npz", trained, {}, {})
    again = models.load(tmp_path / "model.npz")
    for sample in samples[:2]:
        one, other = (part.band(sample.state, sample.times) for part in (trained, again))
        np.testing.assert_allclose(other.F, one.F, rtol=1e-6)
        np.testing.assert_allclose(other.high, one.high, rtol=1e-6)
    assert again.warnings(samples[0].state) == []


def test_gaussian_process_interpolates_the_shipped_states(samples):
    """Held out one by one, warm states of the liquid are predicted better than by the nearest state."""
    errors = {"gp": [], "nearest": []}
    warm = [s for s in samples if s.state.density == 1.2 and s.state.relative_temperature > 0.85]
    for out in warm:
        rest = [s for s in samples if s.state.key != out.state.key]
        for name, model in (("gp", regression.GaussianProcess()), ("nearest", regression.Nearest("zeroed"))):
            model.fit(rest, 0)
            F = np.median(model.predict(out.state, out.times), axis=0)
            errors[name].append(np.sqrt(np.mean(((F - out.F) / out.initial) ** 2)))
    assert np.mean(errors["gp"]) < np.mean(errors["nearest"])
    assert np.mean(errors["gp"]) < 0.1
