"""Model curves at measured temperatures: programs as instruments run them, thermal lag."""

from dataclasses import replace

import numpy as np
import pytest

from hpctools.tnm import direct
from hpctools.tnm.curves import Curves, lagged
from hpctools.tnm.scans import Scan, ScanError, Segment, scan

AS2SE3 = np.array([-79.21, 318443.9, 0.57, 0.71])


def by_second_method(one: Scan, parameters):
    """CpN of a scan by the direct method, its program followed segment by segment."""
    level, rates, durations = one.start, [], []
    for segment in one.history:
        if segment.rate == 0:
            rates.append(0.0)
            durations.append(60 * segment.minutes)
        else:
            rates.append(segment.rate / 60)
            durations.append((segment.end - level) / rates[-1])
            level = segment.end
    rates.append(one.heating_rate / 60)
    durations.append((one.temperature[-1] + 1 - level) / rates[-1])
    nodes = direct.solve(parameters, rates, durations, one.start, resolution=6.0)
    first = np.searchsorted(nodes.segment, len(rates) - 1) - 1
    return direct.hermite_slope(
        nodes.temperature[first:], nodes.fictive_temperature[first:], nodes.slope[first:] / rates[-1], one.temperature
    )


GRID = np.arange(385.0, 515.0, 0.5)
CYCLE = (Segment(-1.0, 380.0), Segment(0.0, 380.0, 5.0), Segment(10.0, 470.0), Segment(0.0, 470.0, 0.5))
PROGRAMS = {
    "simple": scan(GRID, GRID, 1.0, start=540.0, low=370.0),
    "bottom within the transition": scan(GRID[100:], GRID[100:], 1.0, start=540.0, low=430.0),
    "annealed": scan(GRID, GRID, 10.0, start=540.0, low=370.0, holds=[(430.0, 100.0), (370.0, 5.0)]),
    "fast heating": scan(GRID, GRID, 5.0, 20.0, start=540.0, low=370.0),
    "a cycle before, not heated to equilibrium": Scan(
        GRID[30:], GRID[30:], (*CYCLE, Segment(-20.0, 395.0), Segment(0.0, 395.0, 10.0)), 530.0
    ),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs(name):
    one = PROGRAMS[name]
    found = Curves([one]).evaluate(AS2SE3[None], resolution=2.0)[0]
    wanted = by_second_method(one, AS2SE3)
    # dTf/dT jumps where the heating begins; instruments show nothing there either
    settled = one.temperature > one.history[-1].end + 2.0
    assert np.abs(found - wanted)[settled].max() < 4e-4
    assert wanted.max() > 1.3
    # and where it begins, the glass goes on relaxing as it did (CpN has a cusp there)
    assert abs(found[0] - wanted[0]) < 0.25 * abs(wanted[0]) + 1e-4


def test_very_slow_cooling_lands_on_its_end():
    """A ramp of 0.5 K/h that ends in a hold: the last step meets its end to the same temperature at any rate."""
    parameters = np.array([-180.56900476027008, 711_102.84053357749, 0.62612835366822706, 0.33863156228387448])
    one = scan(GRID, GRID, 1 / 120, start=507.0, low=382.5, holds=[(382.5, 5.0)])
    value = Curves([one]).evaluate(parameters[None])[0]
    assert np.abs(value - by_second_method(one, parameters)).max() < 2e-3


def test_programs_differ():
    """The cycle before and the annealing are no small matter here."""
    plain = Curves([replace(PROGRAMS["annealed"], history=(Segment(-10.0, 370.0),))])
    annealed = Curves([PROGRAMS["annealed"]])
    assert np.abs(plain.evaluate(AS2SE3[None]) - annealed.evaluate(AS2SE3[None])).max() > 0.3


@pytest.mark.parametrize("length", [0.02, 0.2, 1.0, 4.0])
def test_lag_of_a_ramp_and_a_wave(length):
    step = 0.05
    t = step * np.arange(1200)
    forgotten = 2 * length * np.exp(-45 / length)
    np.testing.assert_allclose(lagged(t, step, length)[900:], t[900:] - length, atol=1e-6 + forgotten)
    k = 0.7
    late = (np.sin(k * t) - k * length * np.cos(k * t)) / (1 + (k * length) ** 2)
    np.testing.assert_allclose(lagged(np.sin(k * t), step, length)[900:-3], late[900:-3], atol=2e-5)


def test_lag_moves_the_peak_by_its_length_and_keeps_the_area():
    one = PROGRAMS["simple"]
    curves = Curves([one])
    plain, late = curves.evaluate(AS2SE3[None])[0], curves.evaluate(AS2SE3[None], lag=6.0)[0]
    # ∫(1 - C) grows by the length q τ = 1 K
    assert np.trapezoid(plain - late, one.temperature) == pytest.approx(1.0, abs=2e-3)
    assert late.max() < plain.max()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cooling_rate": -5.0}, "cooling rate -5 K/min; expected a positive number"),
        ({"heating_rate": np.nan}, "heating rate nan"),
        ({"low": 400.0}, "expected start > low"),
        ({"holds": [(600.0, 5.0)]}, "within the cooling"),
    ],
)
def test_refuses_programs(arguments, message):
    given = {"cooling_rate": 5.0, "start": 540.0, "low": 370.0} | arguments
    with pytest.raises(ScanError, match=message):
        scan(GRID, GRID, **given, name="one")


def test_refuses_data():
    with pytest.raises(ScanError, match=r"^one: .* not numbers"):
        scan(GRID, np.where(GRID > 400, np.nan, 0.0), 5.0, name="one")
    with pytest.raises(ScanError, match="kelvin"):
        scan(GRID - 500, GRID, 5.0)
    with pytest.raises(ScanError, match="expected one length"):
        scan(GRID, GRID[:-1], 5.0)
