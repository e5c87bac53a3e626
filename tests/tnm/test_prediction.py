"""The network alone on scans: error bars that know the lines, refusals judged by the scans, the command."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hpctools.tnm import Noise, load, predict
from hpctools.tnm import prediction as module
from hpctools.tnm.__main__ import main

DATA = Path(__file__).parents[2] / "hpctools" / "data" / "dsc"
AS2SE3 = np.array([-79.21, 318_444, 0.57, 0.71])
NOISE = Noise(0.005, 1.0)


@pytest.fixture(scope="module")
def as2se3(made):
    return made.noisy(made.clean(AS2SE3[None])[0], NOISE, np.random.default_rng(1))


def test_lines_are_set_right():
    """The shipped record, of which the network alone made 341.1 ± 1.6 kJ/mol."""
    found = predict(load([DATA / "trios.txt"]))
    errors = np.sqrt(np.diag(found.covariance))
    assert not found.refused
    assert np.all(np.abs(found.parameters - AS2SE3) < 3 * errors)
    assert errors[1] < 8e3
    np.testing.assert_array_equal(predict(load([DATA / "trios.txt"])).covariance, found.covariance)


def test_scans_without_lines(as2se3):
    found = predict(as2se3)
    assert not found.refused
    assert np.all(np.abs(found.parameters - AS2SE3) < 4 * np.sqrt(np.diag(found.covariance)))


def test_two_glasses_at_once_are_refused(made, as2se3):
    """No parameters of the box make such scans; those that the network answers with lie well inside."""
    other = made.clean((AS2SE3 - np.array([3.0, 0, 0, 0]))[None])[0]
    mixed = [replace(a, cpn=0.5 * a.cpn + 0.5 * np.interp(a.temperature, b.temperature, b.cpn, left=0, right=1))
             for a, b in zip(as2se3, other, strict=True)]  # fmt: skip
    found = predict(mixed)
    assert found.refused
    assert found.covariance is None
    assert "the network refuses these scans: its estimate leaves residuals of" in found.flags[0]


def test_wrong_rates_are_refused(as2se3):
    swapped = [replace(a, history=b.history) for a, b in zip(as2se3, as2se3[::-1], strict=True)]
    found = predict(swapped)
    assert found.refused
    assert found.flags[0].startswith("the network refuses these scans")


def test_an_estimate_that_is_wrong_is_refused(as2se3, monkeypatch):
    """Whatever the answer: inside the box, with small error bars, but not of these scans."""
    honest = module.from_network

    def wrong(scans):
        found = honest(scans)
        if scans[0].cpn is not as2se3[0].cpn:
            return found
        moved = found.candidates[0] + np.array([0, 0, 0.1, -0.05])
        return found._replace(candidates=moved[None])

    monkeypatch.setattr(module, "from_network", wrong)
    assert module.predict(as2se3).refused


def test_outside_the_box(made):
    sample = np.array([np.log(100) - 500e3 / 8.314462618 / 360, 500e3, 0.12, 0.3])
    found = predict(made.noisy(made.clean(sample[None])[0], NOISE, np.random.default_rng(2)))
    assert found.refused
    assert any("outside the trained box" in flag for flag in found.flags)


def test_command(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["predict", str(DATA / "trios.csv")]) == 0
    assert "±" in capsys.readouterr().out
    honest = module.from_network
    monkeypatch.setattr(module, "from_network", lambda scans: honest(scans)._replace(flags=("outside the box",)))
    assert main(["predict", str(DATA / "trios.csv"), "--out", "found"]) == 1
    printed = capsys.readouterr()
    assert "the network refuses these scans: outside the box" in printed.out
    assert '"refused": true' in (tmp_path / "found.json").read_text()
