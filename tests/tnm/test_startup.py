"""The calorimeter's lag by the start of a scan: found, left out, named, and too long for the network."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hpctools.tnm import dsc, fit, load, predict
from hpctools.tnm.startup import start_lag

ROOT = Path(__file__).parents[2]
RECORD = ROOT / "hpctools" / "data" / "dsc" / "trios.csv"
KNOWN = np.array([-79.21, 318_444, 0.57, 0.71])  # of analysis/tnm_example_files.py


def test_lag_of_a_start():
    seconds = np.arange(0.0, 900.0, 1.5)
    glass = 0.1 + 2e-5 * seconds
    random = np.random.default_rng(1)
    for lag in (2.0, 6.0, 15.0):
        signal = glass * (1 - np.exp(-seconds / lag)) + 2e-4 * random.standard_normal(seconds.size)
        assert start_lag(seconds, signal) == pytest.approx(lag, rel=0.06)
    assert start_lag(seconds, glass + 2e-4 * random.standard_normal(seconds.size)) is None
    assert start_lag(seconds, glass * (1 - np.exp(-seconds / 60.0))) is None  # no lag of a calorimeter
    assert start_lag(seconds[:5], glass[:5]) is None


def behind(record: dsc.Record, lag: float) -> dsc.Record:
    """The record as a calorimeter with a lag (s) would have measured it: exact between linear pieces."""
    t, y = record.seconds, record.signal
    out = y.copy()
    for i in range(1, len(t)):
        dt = t[i] - t[i - 1]
        delay = (y[i] - y[i - 1]) / dt * lag if dt > 0 else 0.0
        out[i] = y[i] - delay + (out[i - 1] - y[i - 1] + delay) * np.exp(-dt / lag)
    return replace(record, signal=out)


def delayed(lag: float):
    """Scans of the example record behind a lag (s)."""
    made = behind(dsc.read(RECORD), lag)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules["hpctools.tnm.measurements"].dsc, "read", lambda *_: made)
        return load([RECORD])


@pytest.fixture(scope="module")
def slow():
    return delayed(12.0)


def test_long_lag_is_found_and_fitted(slow):
    assert all(one.start_lag == pytest.approx(12.0, rel=0.1) for one in slow)
    result = fit(slow, ("lag",))
    assert np.all(np.abs(result.parameters - KNOWN) < 3 * result.errors)
    lag, error = (float(value[0]) for value in result.instrument["lag"])
    assert abs(lag - 12.0) < 3 * error + 0.2
    without = fit(slow)
    assert any("thermal lag of 1" in flag and "(--lag)" in flag for flag in without.flags)
    assert abs(without.parameters[3] - KNOWN[3]) > 3 * without.errors[3]


def test_network_reads_scans_behind_a_lag():
    """Lines are drawn and the estimate is tested with the lag that the scans show."""
    slow = delayed(5.0)
    found = predict(slow)
    assert not found.refused, found.flags
    assert np.all(np.abs(found.parameters - KNOWN) < 3 * found.errors)


def test_network_refuses_a_lag_beyond_its_training(slow):
    found = predict(slow)
    assert found.refused and any("thermal lag of 1" in flag and "at most 8 s" in flag for flag in found.flags)
