"""The shipped networks: goals on fresh samples, error bars, missing scans, noise, and what they refuse."""

import numpy as np
import pytest

from hpctools.tnm import Program, ScanError, estimate, estimate_many, network, simulate, streams
from hpctools.tnm import reduction as r
from hpctools.tnm.estimation import estimate_reduced
from hpctools.tnm.materials import MATERIALS
from hpctools.weights import WeightsError

SEED = 77  # none of the training's
AS2SE3 = MATERIALS[0].parameters
PROGRAM = Program()
KELVIN = PROGRAM.celsius + 273.15


@pytest.fixture(scope="module")
def batches():
    """512 fresh samples of the box for each network."""
    return {
        variant: streams.block(variant, SEED, 0, margin=0.0, betas=64, repeats=1) for variant in network.VARIANTS
    }


@pytest.fixture(scope="module")
def as2se3():
    """Six scans of As2Se3 as (temperature, CpN, rate), 350 … 550 K."""
    part = (KELVIN > 350) & (KELVIN < 550)
    signals = simulate([AS2SE3])[0][:, part].astype(float)
    return [(KELVIN[part], scan, q) for scan, q in zip(signals, PROGRAM.cooling_rates)]


def measured(scans, noise=0.003, seed=5):
    """The scans at each 0.5 K with noise of this standard deviation, correlated over 1 K."""
    rng = np.random.default_rng(seed)
    found = []
    for t, c, q in scans:
        t, c = t[::5], c[::5]
        kernel = np.exp(-np.abs(t[:, None] - t[None, :]))
        found.append((t, c + noise * np.linalg.cholesky(kernel) @ rng.standard_normal(t.size), q))
    return found


def answer(batches, variant):
    batch = batches[variant]
    loaded = network.load(variant)
    return batch, loaded.read(batch.scans, batch.common, batch.present, batch.frame, batch.measured_peak())


def allowed(share, n):
    """Three binomial standard deviations below a share."""
    return share - 3 * np.sqrt(share * (1 - share) / n)


def test_goals(batches):
    """Clean scans, CpN_max ≤ 6: shares of samples within the limits."""
    batch, found = answer(batches, "clean")
    calm = batch.cpn_max <= 6
    n = calm.sum()
    assert n > 400
    error = np.abs(found.parameters - batch.parameters)[calm]
    for column, limit, share in ((3, 0.02, 0.99), (2, 0.02, 0.99), (1, 1e4, 0.95), (0, 1.0, 0.75), (0, 2.0, 0.90)):
        assert (error[:, column] < limit).mean() >= allowed(share, n)


@pytest.mark.parametrize("variant", network.VARIANTS)
def test_calibration(batches, variant):
    """68 and 95 % of the truths lie inside the intervals: 3 points, and three binomial standard deviations."""
    batch, found = answer(batches, variant)
    n = len(batch)
    error = np.abs(found.parameters - batch.parameters)
    for level in (0.68, 0.95):
        share = (error <= found.half_width(level)).mean(0)
        assert np.abs(share - level).max() < 0.03 + 3 * np.sqrt(level * (1 - level) / n)


@pytest.mark.parametrize("variant", network.VARIANTS)
def test_covariance(batches, variant):
    """Symmetric, positive, with the 68.27 % interval on its diagonal; ln A and Δh* almost fully anticorrelated."""
    _, found = answer(batches, variant)
    assert found.covariance == pytest.approx(found.covariance.swapaxes(1, 2), rel=1e-9)
    sigma = np.sqrt(np.diagonal(found.covariance, axis1=1, axis2=2))
    assert sigma == pytest.approx(found.half_width(0.6827), rel=1e-6)
    correlation = found.covariance / sigma[:, :, None] / sigma[:, None, :]
    assert (np.linalg.eigvalsh(correlation) > 0).all()
    # undisturbed scans leave the place on the T axis no less uncertain than Δh*
    assert np.median(correlation[:, 0, 1]) < (-0.99 if variant == "instrument" else -0.5)


def test_few_flags(batches):
    """Samples of the box are hardly ever called outside it, or unlike the training's."""
    for variant in network.VARIANTS:
        _, found = answer(batches, variant)
        assert np.mean([bool(flags) for flags in found.flags]) < 0.05


@pytest.mark.parametrize("material", MATERIALS, ids=lambda material: material.name)
def test_materials(material):
    """Published parameters from their simulated scans."""
    scans = [(KELVIN, scan, q) for scan, q in zip(simulate([material.parameters])[0], PROGRAM.cooling_rates)]
    smooth = estimate(scans)
    assert (np.abs(smooth.parameters - material.parameters) < [1.0, 3e3, 0.01, 0.01]).all()
    assert "smoother" in smooth.flags[0]
    found = estimate(scans, network="clean")
    error = np.abs(found.parameters - material.parameters)
    assert (error < [1.0, 3e3, 0.01, 0.01]).all()
    assert (error < 6 * found.errors).all()
    assert not found.flags


def test_ends_of_scans_tell_nothing():
    """A simulated scan ends where its parameters let it; the whole scan must give the same answer."""
    batch = streams.block("clean", SEED, 1, margin=0.0, betas=8)
    calm = np.flatnonzero(batch.cpn_max < 6)[:24]
    windowed = network.load("clean").read(
        batch.scans, batch.common, batch.present, batch.frame, batch.measured_peak()
    )  # fmt: skip
    signals = simulate(batch.parameters[calm])
    sigma = np.sqrt(np.diagonal(windowed.covariance, axis1=1, axis2=2))[calm]
    whole = estimate_many(
        [[(KELVIN, c, q) for c, q in zip(scans, PROGRAM.cooling_rates)] for scans in signals], network="clean"
    )
    assert np.abs((whole.parameters - windowed.parameters[calm]) / sigma).max() < 1.0


def test_second_method():
    """Scans by the direct method, which shares no numerics with the simulator of the training."""
    parameters = np.array([MATERIALS[3].parameters, [-300.0, 7e5, 0.5, 0.9], [-60.0, 4e5, 0.3, 0.4]])
    signals = simulate(parameters, scheme="direct")
    found = estimate_many(
        [[(KELVIN, c, q) for c, q in zip(scans, PROGRAM.cooling_rates)] for scans in signals], network="clean"
    )
    error = np.abs(found.parameters - parameters)
    assert (error < [0.2, 1e3, 5e-3, 5e-3]).all()
    assert not any(found.flags)


def test_order_and_rates(as2se3):
    """Scans in any order; all rates × 2 act like ln A - ln 2; the network for undisturbed scans keeps to its rates."""
    for name in network.VARIANTS:
        found = estimate(as2se3, network=name)
        assert estimate(as2se3[::-1], network=name).parameters == pytest.approx(found.parameters, rel=1e-4)
        double = estimate([(t, c, 2 * q) for t, c, q in as2se3], heating_rate=20.0, network=name)
        assert double.parameters == pytest.approx(found.parameters - [np.log(2), 0, 0, 0], rel=1e-4)
    with pytest.raises(ScanError, match="cooling at 1, 2, 5, 10, 20 K/min"):
        estimate(as2se3[1:], network="clean")
    with pytest.raises(ScanError, match="or all rates in proportion"):
        estimate(as2se3, network="clean", heating_rate=20.0)


def test_subsets(as2se3):
    """Any scans, at any rates: the error bars hold, and grow as scans go missing."""
    widths = []
    noisy = measured(as2se3)
    for some in (noisy, noisy[::2], noisy[4:5]):
        found = estimate(some)
        assert not found.flags
        assert (np.abs(found.parameters - AS2SE3) < 4 * found.errors).all()
        widths.append(found.errors[1])
    assert widths[0] < widths[1] < widths[2]
    program = Program(cooling_rates=(0.3, 3.0, 30.0))
    part = (KELVIN > 350) & (KELVIN < 550)
    signals = simulate([AS2SE3], program)[0][:, part]
    found = estimate(measured([(KELVIN[part], scan, q) for scan, q in zip(signals, program.cooling_rates)]))
    assert (np.abs(found.parameters - AS2SE3) < 4 * found.errors).all()


def test_noise(as2se3):
    """1 % noise, correlated over 1 K, each 0.5 K: twenty measurements scatter as the error bars say."""
    found = estimate_many([measured(as2se3, 0.01, seed) for seed in range(20)])
    assert len(found) == 20
    sigma = np.sqrt(np.diagonal(found.covariance, axis1=1, axis2=2))
    z = (found.parameters - AS2SE3) / sigma
    assert np.sqrt((z**2).mean(0)).max() < 2.0
    assert np.abs(found.parameters - AS2SE3)[:, 1].mean() < 0.1 * AS2SE3[1]
    assert np.abs(found.parameters - AS2SE3)[:, 2:].mean() < 0.05


def test_batched(as2se3):
    """One by one, many at once with different numbers of scans, and reduced arrays: the same answers."""
    samples = [as2se3, as2se3[:3], as2se3[2:]]
    many = estimate_many(samples, network="instrument")
    for i, sample in enumerate(samples):
        one = estimate(sample, network="instrument")
        assert many[i].parameters == pytest.approx(one.parameters, rel=1e-4)
        assert many[i].errors == pytest.approx(one.errors, rel=1e-3)
    reduced = np.empty((1, 6, r.COLUMNS))
    for k, (t, c, _) in enumerate(as2se3):
        r.reduce_scan(t, c, reduced[0, k])
    rates = np.array([[q for _, _, q in as2se3]])
    direct = estimate_reduced(reduced, rates, np.array([10.0]), network="instrument")
    assert direct.parameters[0] == pytest.approx(many[0].parameters, rel=1e-4)


def test_outside(as2se3):
    """Parameters outside the box are flagged, and so is what is no scan of the model."""
    outside = np.array([-15.0, 1.5e5, 0.6, 0.7])
    found = estimate([(KELVIN, scan, q) for scan, q in zip(simulate([outside])[0], PROGRAM.cooling_rates)])
    assert any("Δh*" in flag and "outside" in flag for flag in found.flags)
    wavy = [(t, c + 0.2 * np.sin((t - 400) / 2) * (np.abs(t - 470) < 25), q) for t, c, q in as2se3]
    assert any("unlike" in flag for flag in estimate(wavy).flags)


def changed(as2se3, change):
    t, c, q = as2se3[2]
    return [*as2se3[:2], change(t, c, q), *as2se3[3:]]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t, c, q: (t, 0 * c, q), "scan 3: never rises"),
        (lambda t, c, q: (t, 0.2 + 0.8 * c, q), "scan 3: does not begin in the glass"),
        (lambda t, c, q: (t, np.minimum(c, 0.8), q), "scan 3: does not reach the liquid"),
        (lambda t, c, q: (t, 0.7 * c, q), "scan 3: CpN of the liquid is 0.70"),
        (lambda t, c, q: (t, 1.5 * c, q), "scan 3: CpN of the liquid is 1.50"),
        (lambda t, c, q: (t, -c, q), "scan 3: never rises"),
        (lambda t, c, q: (t - 273.15 * 2, c, q), "expected kelvin"),
        (lambda t, c, q: (t[::-1], c[::-1], q), "ascending"),
        (lambda t, c, q: (t, c[:-1], q), "equally long"),
        (lambda t, c, q: (t, np.where(t > 500, np.nan, c), q), "not finite"),
        (lambda t, c, q: (t, c, -q), "cooling rate -2"),
        (lambda t, c, q: (t[:4], c[:4], q), "fewer than 8 points"),
        (lambda t, c, q: (t, c - 3 * np.exp(-(((t - 520) / 5) ** 2)), q), "crystallisation"),
        (lambda t, c, q: (t, c - 0.8 * np.exp(-(((t - 520) / 5) ** 2)), q), "crystallises"),
    ],
)
def test_refused(as2se3, change, words):
    """Nonsense is refused by name and with the reason."""
    with pytest.raises(ScanError, match=words) as error:
        estimate(changed(as2se3, change))
    assert error.value.user_error


def test_refused_settings(as2se3):
    with pytest.raises(ScanError, match="no scans"):
        estimate([])
    with pytest.raises(ScanError, match="heating rate"):
        estimate(as2se3, heating_rate=0.0)
    with pytest.raises(WeightsError, match="no such file"):
        estimate(as2se3, network="missing.npz")
    with pytest.raises(ScanError, match="my_scan"):
        estimate([(as2se3[0][0], 0 * as2se3[0][1], 10.0)], names=["my_scan"])
    with pytest.raises(ValueError, match="level"):
        estimate(as2se3).half_width(1.0)
