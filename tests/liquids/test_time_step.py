"""What the time step does to temperatures: closed forms and the shipped runs."""

from pathlib import Path

import numpy as np
import pytest

from hpctools.liquids.mixture import mixture
from hpctools.liquids.record import Record
from hpctools.liquids.time_step import ballistic_temperature, early_temperature, structural_shift

LIBRARY = Path(__file__).parents[2] / "hpctools" / "data" / "liquids" / "library"


@pytest.mark.parametrize("name", ["LJ", "WCA"])
@pytest.mark.parametrize(("a", "b"), [(0, 0), (0, 1), (1, 1)])
def test_curvature_is_that_of_the_energy(name, a, b):
    made, h = mixture(name), 1e-4
    r = np.linspace(0.8, 1.1, 7) * made.sigma[a, b]
    low, middle, high = (made.pair_energy(r + shift, a, b) for shift in (-h, 0.0, h))
    laplacian = (high - 2 * middle + low) / h**2 + (high - low) / (h * r)
    np.testing.assert_allclose(made.pair_curvature(r, a, b), laplacian, rtol=1e-5)
    assert made.pair_curvature(made.cutoff[a, b] + 0.01, a, b) == 0.0


def test_oscillator():
    """The two temperatures of the module's text, for an oscillator stepped by velocity Verlet."""
    omega, dt, n = 1.0, 0.25, 2000
    phase = np.arange(64) * np.pi / 32  # an ensemble of phases of the same energy of the nearby Hamiltonian
    x, v = np.sin(phase), omega * np.sqrt(1 - omega**2 * dt**2 / 4) * np.cos(phase)
    start, early, squares, displaced = x.copy(), None, [], []
    for step in range(n):
        v = v - 0.5 * dt * omega**2 * x
        x = x + dt * v
        v = v - 0.5 * dt * omega**2 * x
        if step == 0:
            early = np.mean((x - start) ** 2) / dt**2
        squares.append(np.mean(v**2))
        displaced.append(omega**2 * np.mean(x**2))
    assert np.mean(displaced) / np.mean(squares) == pytest.approx(1 + omega**2 * dt**2 / 4, rel=0.002)
    # one step is not t = 0: 1 - cos(ω't) is smaller by ω²t²/12 than its first term
    assert early / np.mean(squares) == pytest.approx(1 + omega**2 * dt**2 * (1 / 3 - 1 / 12), rel=0.002)


def test_early_displacements_of_the_shipped_runs():
    """They begin with the temperature that the time step makes of k_B T, not with T: χ² over all shipped liquids."""
    plain, corrected = [], []
    for path in sorted(LIBRARY.glob("*.h5")):
        record = Record.load(path)
        if "glass" in path.stem:  # cooled in their run: no temperature of their own
            continue
        error = record.square_displacement_error[1] / record.square_displacement[1]
        plain.append((early_temperature(record) / record.attributes["mean_temperature"] - 1) / error)
        corrected.append((early_temperature(record) / ballistic_temperature(record) - 1) / error)
    assert np.mean(np.square(corrected)) < 1.4
    assert np.mean(np.square(plain)) > 3


def test_shift_of_the_structure():
    """Between 0.3 and 0.9 % at the transitions of the shipped states, most where the potential is steepest."""
    shifts = [structural_shift(Record.load(LIBRARY / f"LJ-rho{rho}-T{t}-seed1.h5"))
              for rho, t in (("1.2", "0.9"), ("1.4", "1.87"), ("1.6", "3.53"), ("1.8", "5.61"))]
    assert all(low == pytest.approx(2 / 3 * high) for low, high in shifts)
    high = [100 * value for _, value in shifts]
    assert high == sorted(high) and 0.2 < high[0] < 0.3 and 0.6 < high[-1] < 0.8
