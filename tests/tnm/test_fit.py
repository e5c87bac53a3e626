"""The refinement: recovery from scans of other solvers, noise against the Cramér-Rao bound, refusals, flags."""

from dataclasses import replace

import numpy as np
import pytest

from hpctools.tnm import Noise, bounds, fit, fit_many
from hpctools.tnm.materials import MATERIALS
from hpctools.tnm.residuals import LINES, Problem, from_internal, to_internal
from hpctools.tnm.scans import Scan, ScanError, Segment
from hpctools.tnm.start import estimate, from_table

AS2SE3 = MATERIALS[0].parameters


@pytest.fixture(scope="module")
def box(made):
    """24 samples of the box and their scans, finer than the fit's own."""
    samples = made.draw(24, 5)
    return samples, made.clean(samples)


@pytest.fixture(scope="module")
def as2se3(made):
    return made.clean(AS2SE3[None])[0]


def test_recovery_from_the_second_method(made):
    for material in (MATERIALS[0], MATERIALS[2], MATERIALS[5]):
        result = fit(made.direct(material.parameters))
        assert result.converged
        assert result.flags == ()
        error = np.abs(result.parameters - material.parameters)
        assert error[1] < 1e3, material.name
        assert error[2] < 2e-3
        assert error[3] < 2e-3
        assert error[0] < 0.5


def test_recovery_over_the_box(box):
    samples, scans = box
    results = fit_many(scans, threads=2)
    assert all(r.converged for r in results)
    error = np.abs([r.parameters - p for r, p in zip(results, samples, strict=True)])
    assert error[:, 1].max() < 1e3
    assert error[:, 2:].max() < 5e-3
    # the same on one thread, to the last bit
    assert np.array_equal(fit(scans[3]).parameters, results[3].parameters)


def test_noise_against_the_bound(made, box):
    samples, scans = box
    noise = Noise(0.01, 1.0)
    random = np.random.default_rng(3)
    results = fit_many([made.noisy(s, noise, random) for s in scans], threads=2)
    bound = np.array([np.sqrt(np.diag(bounds(p, s, noise))) for p, s in zip(samples, scans, strict=True)])
    z = np.array([r.parameters - p for r, p in zip(results, samples, strict=True)]) / bound
    assert all(r.converged for r in results)
    assert np.abs(z).max() < 5
    rms = np.sqrt((z**2).mean(0))
    assert np.all((rms > 0.6) & (rms < 1.5)), rms
    # the fit's own error bars and its view of the noise
    own = np.array([r.errors for r in results])
    assert np.median(own / bound) == pytest.approx(1.0, abs=0.15)
    assert np.median([r.noise.sigma for r in results]) == pytest.approx(0.01, rel=0.1)
    assert np.median([r.noise.length for r in results]) == pytest.approx(1.0, rel=0.2)


def test_bound_of_white_noise_scales(as2se3):
    one = bounds(AS2SE3, as2se3, Noise(0.01, 0.0))
    np.testing.assert_allclose(bounds(AS2SE3, as2se3, Noise(0.02, 0.0)), 4 * one, rtol=1e-9)
    # half the points, about twice the variance; free instrument parameters cost something
    half = [replace(s, temperature=s.temperature[::2], cpn=s.cpn[::2]) for s in as2se3]
    assert bounds(AS2SE3, half, Noise(0.01, 0.0))[1, 1] == pytest.approx(2 * one[1, 1], rel=0.1)
    free = bounds(AS2SE3, as2se3, Noise(0.01, 0.0), ("gain", "offset"))
    assert 1.0 < free[1, 1] / one[1, 1] < 4.0
    assert -1 < one[0, 1] / np.sqrt(one[0, 0] * one[1, 1]) < -0.999


def test_jacobian(as2se3):
    problem = Problem(as2se3, ("gain", "offset", "tilt", "gain-tilt", "shift", "lag"))
    values = problem.initial(AS2SE3)
    values[4:] += 0.01
    _, jacobian = problem.linearise(values, resolution=2.0, central=True)
    steps = np.full(problem.size, 0.01)
    steps[:4] = 0.05, 0.002, 0.003, 0.003
    steps[-2:] = 0.2, 0.3  # K and s: at a fixed reading of T100 both change little
    for j in range(problem.size):
        plus, minus = values.copy(), values.copy()
        plus[j] += steps[j]
        minus[j] -= steps[j]
        difference = (problem.model(plus, 2.0) - problem.model(minus, 2.0)) / (2 * steps[j])
        assert np.abs(jacobian[j] - difference).max() < 0.03 * np.abs(difference).max(), j


def test_parameters_and_back():
    p = np.array([[-79.21, 318443.9, 0.57, 0.71], [-600.0, 1.2e6, 1.0, 0.2]])
    np.testing.assert_allclose(from_internal(to_internal(p)), p, rtol=1e-12)


def test_instrument(made, as2se3):
    scans = [
        replace(s, cpn=(1.02 + 0.003 * k) * s.cpn - 0.01 + 0.002 * k) for k, s in enumerate(made.lagging(as2se3, 4.0))
    ]
    scans = made.noisy(scans, Noise(0.003, 1.0), np.random.default_rng(0))
    result = fit(scans, ("gain", "offset", "tilt", "shift", "lag"))
    assert result.converged
    assert np.all(np.abs(result.parameters - AS2SE3) < 4 * result.errors)
    lag, error = result.instrument["lag"]
    assert abs(lag[0] - 4.0) < 4 * error[0] < 3.0
    gain, error = result.instrument["gain"]
    assert np.all(np.abs(gain - 0.02 - 0.003 * np.arange(6)) < 4 * error)
    # without them the fit is wrong, and says so
    plain = fit([replace(s, noise=0.003) for s in scans])
    assert abs(plain.parameters[1] - AS2SE3[1]) > 4 * result.errors[1]
    assert any("poor fit" in flag for flag in plain.flags)


def test_program_matters(made):
    """Annealed scans: fitted with their program they give the parameters, without it they do not."""
    scans = made.annealed(AS2SE3, (10.0, 100.0)) + made.clean(AS2SE3[None])[0][::2]
    result = fit(scans)
    assert abs(result.parameters[1] - AS2SE3[1]) < 1.5e3
    ignored = [replace(s, history=(Segment(-10.0, s.history[-1].end),)) if s.annealed else s for s in scans]
    wrong = fit(ignored)
    assert wrong.rms > 20 * result.rms


def test_outside_the_trained_box(made):
    """x and β of published polymers."""
    for x, beta in ((0.12, 0.3), (0.3, 0.16), (0.07, 0.2)):
        p = np.array([-200.0, 6e5, x, beta])
        result = fit(made.clean(p[None])[0])
        assert result.converged
        assert abs(result.parameters[1] - 6e5) < 1e3
        assert np.abs(result.parameters[2:] - p[2:]).max() < 5e-3
        assert "outside the trained box" in result.flags


def test_shape_at_its_limit(made):
    result = fit(made.clean(np.array([[-150.0, 5e5, 1.0, 1.0]]))[0])
    assert result.converged
    assert result.parameters[2] <= 1.0
    assert result.parameters[3] <= 1.0
    assert abs(result.parameters[1] - 5e5) < 1e3
    assert np.all(result.errors > 0)


def test_bad_start_is_left_behind(as2se3):
    result = fit(as2se3, start=[-60.0, 2.3e5, 0.9, 0.4])
    assert abs(result.parameters[1] - AS2SE3[1]) < 1e3


def test_known_activation_energy(as2se3):
    result = fit(as2se3[4:5], dh=AS2SE3[1])
    assert result.converged
    assert result.parameters[1] == pytest.approx(AS2SE3[1], rel=1e-12)
    assert result.errors[1] == 0
    assert np.abs(result.parameters[2:] - AS2SE3[2:]).max() < 5e-3


def test_start_is_near(box):
    samples, scans = box
    found = np.array([from_table(s).parameters for s in scans])
    assert np.median(np.abs(found[:, 1] / samples[:, 1] - 1)) < 0.01
    assert np.abs(found[:, 2] - samples[:, 2]).max() < 0.2
    assert np.abs(found[:, 3] - samples[:, 3]).max() < 0.12
    assert estimate(scans[0]).candidates.shape[1] == 4


def test_cooling_from_where_there_is_no_equilibrium(as2se3):
    result = fit([replace(s, start=462.0) for s in as2se3[::5]])
    assert any("not yet in equilibrium" in flag for flag in result.flags)


class TestRefusals:
    def test_too_few_rates(self, as2se3):
        with pytest.raises(ScanError, match=r"too few scans for Δh\*.*20 K/min only"):
            fit(as2se3[-1:])
        with pytest.raises(ScanError, match="too few scans"):
            fit([as2se3[0], replace(as2se3[0], name="again")])
        with pytest.raises(ScanError, match="different heating rates do not replace them"):
            fit([as2se3[0], replace(as2se3[0], heating_rate=20.0)])
        with pytest.raises(ScanError, match="no scans"):
            fit([])

    def test_sign(self, as2se3):
        with pytest.raises(ScanError, match=r"after 1 K/min: .*sign"):
            fit([as2se3[0], replace(as2se3[1], cpn=-as2se3[1].cpn)])

    @pytest.mark.parametrize(("low", "high", "word"), [(0, 471.0, "upper"), (464.0, 999, "lower")])
    def test_levels(self, as2se3, low, high, word):
        t = as2se3[2].temperature
        short = replace(as2se3[2], temperature=t[(t > low) & (t < high)], cpn=as2se3[2].cpn[(t > low) & (t < high)])
        with pytest.raises(ScanError, match=rf"after 2 K/min: CpN is .*{word}.*expected 0 and 1"):
            fit([as2se3[0], short])

    def test_names(self, as2se3):
        with pytest.raises(ScanError, match="'gains' is unknown; expected gain, offset"):
            fit(as2se3, ("gains",))
        with pytest.raises(ScanError, match="expected four numbers"):
            fit(as2se3, start=[1.0, 2.0])

    def test_of_many(self, as2se3):
        found = fit_many([as2se3, as2se3[:1]], LINES, threads=1)
        assert found[0].converged
        assert isinstance(found[1], ScanError)
        assert isinstance(found[0].scans[0], Scan)
