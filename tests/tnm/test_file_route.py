"""From files to parameters as a user goes: error bars, what is remarked, what is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hpctools.tnm import Noise, fit, load
from hpctools.tnm.curves import Curves
from hpctools.tnm.model import reference_temperature
from hpctools.tnm.normalise import normalise
from hpctools.tnm.residuals import LINES, Problem, noise_of
from hpctools.tnm.scans import ScanError, scan

DATA = Path(__file__).parents[2] / "hpctools" / "data" / "dsc"
BROAD = np.array([-79.2, 318e3, 0.7, 0.4])
SHARP = np.array([-250.0, 800e3, 0.4, 0.8])


def signals(parameters, below, above, rates=(0.5, 2.0, 20.0), random=None, noise=0.0):
    """Scans of a signal with rising lines of glass and liquid, normalised as those of a file are."""
    t100 = float(reference_temperature(*parameters[:2]))
    kelvin = np.arange(t100 - below, t100 + above, 0.5)
    blank = [scan(kelvin, 0 * kelvin, q, start=kelvin[-1], low=kelvin[0], name=f"after {q:g} K/min") for q in rates]
    curves = Curves(blank)
    cpn = curves.evaluate(parameters[None], resolution=2.0)[0]
    out = []
    for k, one in enumerate(blank):
        signal = 3 + 3e-3 * (kelvin - t100) + (1 - 5e-4 * (kelvin - t100)) * cpn[curves.part(k)]
        if random is not None:
            signal = signal + noise * random.standard_normal(kelvin.size)
        made = normalise(kelvin, signal, one.name)
        out.append(replace(one, cpn=made.cpn, noise=made.noise, step=made.step))
    return out


def test_loaded_scans_bring_their_lines():
    """fit(load(...)) is what the command does; with lines that are trusted the same scans give something else."""
    scans = load([DATA / "trios.txt"])
    result = fit(scans)
    assert set(result.instrument) == set(LINES)
    assert result.flags == ()
    known = np.array([-79.21, 318_444, 0.57, 0.71])
    assert np.all(np.abs(result.parameters - known) < 3 * result.errors)
    assert set(fit(scans, ("lag",)).instrument) == {*LINES, "lag"}
    trusted = fit(scans, lines=False)
    assert trusted.instrument == {}
    assert abs(trusted.parameters[1] - known[1]) > 5 * trusted.errors[1]
    assert any("poor fit" in flag for flag in trusted.flags)


def test_wrong_lines_cost_nothing():
    """Lines drawn into a broad transition are wrong by 10 to 20 % of the step; without noise the fit knows them all."""
    scans = signals(BROAD, 80, 70)
    assert max(np.abs(one.cpn).min() for one in scans) < 0.01
    result = fit(scans)
    assert np.abs(result.instrument["gain"][0]).max() > 0.02
    assert abs(result.parameters[1] - BROAD[1]) < 200
    assert np.abs(result.parameters[2:] - BROAD[2:]).max() < 5e-4


def test_scans_that_end_within_the_transition():
    result = fit(signals(BROAD, 40, 25))
    assert any("it ends within the transition" in flag for flag in result.flags)
    assert not any("it ends within" in flag for flag in fit(signals(BROAD, 140, 110)).flags)


def test_noise_is_not_taken_up(made):
    """Lines take up slow noise: its size and length are those that it has all the same."""
    noise, parameters = Noise(0.01, 3.0), np.array([-79.21, 318_444, 0.57, 0.71])
    scans = [replace(s, step=np.ones_like(s.cpn)) for s in made.clean(parameters[None])[0]]
    found = []
    for seed in range(8):
        problem = Problem(made.noisy(scans, noise, np.random.default_rng(seed)))
        found.append(noise_of(problem, problem.initial(parameters)))
    length, sigma = np.mean([n.length for n in found]), np.mean([n.sigma for n in found])
    assert length == pytest.approx(3.0, rel=0.12)
    assert sigma == pytest.approx(0.01, rel=0.08)


def test_start_up_is_left_out():
    """Six kelvin of heating, in which the instrument settles, or less where the scan is short."""
    records = {name: load([DATA / name])[0] for name in ("trios.txt", "netzsch.txt")}
    for one in records.values():
        assert 5.5 < one.temperature[0] - one.history[-1].end < 6.6


def test_what_no_model_describes():
    scans = load([DATA / "trios.txt"])
    swapped = [replace(a, history=b.history) for a, b in zip(scans[::5], scans[::-5], strict=True)]
    result = fit(swapped)
    assert not result.described
    assert result.flags[0].startswith("the model does not describe these scans")
    assert fit(scans).described


def test_sharp_peaks_are_remarked():
    result = fit(signals(SHARP, 40, 25))
    assert any(flag.startswith("CpN_max 6.") and "above 6" in flag for flag in result.flags)


def test_stray_instrument():
    scans = [replace(s, cpn=1.06 * s.cpn) for s in load([DATA / "trios.csv"])]
    result = fit(scans, {"gain": 0.02}, lines=False)
    assert any(": gain 0.0" in flag and "beyond 2 standard deviations of its prior" in flag for flag in result.flags)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"noise": 0.0}, "noise: found 0; expected a positive"),
        ({"noise": -1.0}, "noise: found -1; expected a positive"),
        ({"dh": -5e3}, "dh: found -5000 J/mol; expected"),
        ({"dh": 4.5e8}, "dh: found 4.5e"),
        ({"start": (-79.0, 3.0, 3.0, 4.0)}, "start: found"),
        ({"start": (-79.0, 4.5e8, 0.5, 0.5)}, "start: found"),
        ({"nuisance": {"gain": 0.0}}, "nuisance: gain has a prior of"),
    ],
)
def test_numbers_that_cannot_be(options, words):
    with pytest.raises(ScanError) as error:
        fit(load([DATA / "trios.csv"]), **options)
    assert str(error.value).startswith(words)
