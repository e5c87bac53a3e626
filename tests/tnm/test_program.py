"""Temperature programs: what they mean, and what is refused."""

import numpy as np
import pytest

from hpctools.tnm import Hold, Program, ProgramError


def test_the_papers_program():
    program = Program()
    assert program.points == 18501
    assert program.celsius[[0, -1]] == pytest.approx([-250.0, 1600.0])
    assert program.cooling_rates == (0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
    segments = program.segments()
    assert segments.rate[0] == pytest.approx([-0.5 / 60, 10 / 60])
    assert segments.end[0] == pytest.approx([23.15, 1873.15])


def test_holds_come_on_the_way_down():
    program = Program((5.0,), holds=((100.0, 30.0), Hold(-250.0, 10.0)))
    segments = program.segments()
    assert np.sign(segments.rate[0]).tolist() == [-1, 0, -1, 0, 1]
    assert segments.end[0] == pytest.approx([373.15, 373.15, 23.15, 23.15, 1873.15])
    assert segments.duration[0] == pytest.approx([0, 1800, 0, 600, 0])


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"cooling_rates": (5.0, -1.0)}, "cooling rate -1 K/min; expected a positive number"),
        ({"heating_rates": (5.0, 1.0)}, "2 heating rates for 6 cooling rates"),
        ({"low_celsius": 1700.0}, "low_celsius < high_celsius"),
        ({"low_celsius": -300.0}, "-273.15 < low_celsius"),
        ({"grid_high_celsius": 1700.0}, "output grid -250 … 1700 °C"),
        ({"step": 0.0}, "grid step 0 K"),
        ({"step": 1e-5}, "a grid of 185,000,001 points; at most 1,000,000"),
        ({"cooling_rates": ()}, "no cooling or no heating rates"),
        ({"holds": ((50.0, 1.0), (60.0, 1.0))}, "hold at 60 °C; expected between -250 and 50 °C"),
        ({"holds": ((50.0, -1.0),)}, "hold of -1 min"),
    ],
)
def test_contradictions_are_refused(settings, words):
    with pytest.raises(ProgramError, match=words):
        Program(**settings)
