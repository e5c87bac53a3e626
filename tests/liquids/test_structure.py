"""Structure factors and pair distributions: ideal gas, crystal, freud, and the way onto a grid."""

from __future__ import annotations

import numpy as np
import pytest

from hpctools.liquids.averages import standard_error
from hpctools.liquids.scattering import cpu
from hpctools.liquids.structure import PAPER_GRID, GridError, Structure, grid_weights, ideal_counts
from hpctools.liquids.wavevectors import central_moments, shells


def gathered(frames: list[np.ndarray], bounds: np.ndarray, length: float, k_max: float, limit: int = 10**6,
             n_blocks: int = 0) -> Structure:
    """The structure of some configurations, one a block unless told otherwise."""
    grid = shells(length, 0.2, k_max, limit, 1)
    found = Structure(n_blocks or len(frames), grid, 2, 0.02)
    for i, positions in enumerate(frames):
        fractional = positions / length
        found.add(i % len(found.frames), fractional, bounds, cpu.densities(fractional, bounds, grid.n))
    return found


def test_ideal_gas():
    """S_ab = x_a δ_ab and g = 1 within their errors, which the scatter confirms (χ² a point near 1)."""
    rng = np.random.default_rng(5)
    bounds = np.array([0, 200, 250])
    found = gathered([rng.uniform(-5, 5, (250, 3)) for _ in range(320)], bounds, 10.0, 10.0, limit=40, n_blocks=32)
    filled = found.shells.used > 0
    z = (found.structure_factor() - [0.8, 0.0, 0.2])[filled] / found.structure_factor_error()[filled]
    assert np.all(np.abs(np.mean(z**2, axis=0) - 1) < 0.6) and np.abs(z).max() < 5.5
    ideal = ideal_counts(bounds, 10.0, 0.02, found.n_bins)
    g = found.counts.sum(axis=0) / (320 * ideal)
    z = (g - 1)[:, 60:] / found.pair_distribution_error(bounds)[:, 60:]
    assert np.all(np.abs(np.mean(z**2, axis=1) - 1) < 0.4)


def test_error_of_draws_is_as_large_as_it_says():
    """The error from 16 groups against the spread of 200 independent averages, on correlated values."""
    rng = np.random.default_rng(6)
    noise = rng.normal(size=(200, 1600 + 40))
    series = np.stack([np.convolve(row, np.exp(-np.arange(41) / 8.0), mode="valid") for row in noise])
    claimed = np.array([standard_error(row) for row in series])
    assert np.sqrt(np.mean(claimed**2)) == pytest.approx(series.mean(axis=1).std(), rel=0.15)
    assert np.isnan(standard_error(series[0, :3]))


def test_crystal_has_bragg_peaks():
    """Simple cubic of A, B in the body centres (CsCl): S_AA = N_A²/N on its reciprocal lattice and 0 elsewhere."""
    m, length = 5, 10.0
    corner = np.stack(np.meshgrid(*[np.arange(m)] * 3, indexing="ij"), axis=-1).reshape(-1, 3) * (length / m)
    positions = np.concatenate([corner, corner + length / m / 2])
    bounds = np.array([0, m**3, 2 * m**3])
    grid = shells(length, 0.2, 8.0, 10**6, 1)
    density = cpu.densities(positions / length, bounds, grid.n)
    intensity = np.sum(density**2, axis=-1)
    peak = np.all(grid.n % m == 0, axis=1)
    assert peak.sum() > 10
    assert np.allclose(intensity[peak], float(m**6)) and np.abs(intensity[~peak]).max() < 1e-18 * m**6
    found = gathered([positions], bounds, length, 8.0)
    first = int(2 * np.pi / (length / m) / 0.2)  # {100}: three vectors up to their sign
    share = 3 / grid.used[first] * m**6 / (2 * m**3)
    assert found.structure_factor()[first] == pytest.approx([share, -share, share])


def test_agrees_with_plain_numpy(liquid):
    """S_ab over all wave vectors of both signs, one by one."""
    frames, bounds, length = liquid
    found = gathered(frames[:2], bounds, length, 3.0)
    axis = np.arange(-5, 6)
    n = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    k = 2 * np.pi / length * np.linalg.norm(n, axis=1)
    inside = (k > 0) & (k < 3.0)
    shell = (k[inside] / 0.2).astype(int)
    expected = np.zeros((15, 3))
    for frame in frames[:2]:
        wave = np.exp(2j * np.pi / length * frame @ n[inside].T)
        a, b = wave[:960].sum(axis=0), wave[960:].sum(axis=0)
        for row, value in enumerate((np.abs(a) ** 2, (a * b.conj()).real, np.abs(b) ** 2)):
            expected[:, row] += np.bincount(shell, value, minlength=15) / 2 / 1200
    filled = found.shells.used > 0
    expected = expected[filled] / np.bincount(shell, minlength=15)[filled, None]
    assert np.allclose(found.structure_factor()[filled], expected, rtol=1e-9)


def test_agrees_with_freud(liquid):
    """S(k) of A, B and all particles over the vectors that freud takes, those with n ≥ 0, and g(r)."""
    freud = pytest.importorskip("freud")
    frames, bounds, length = liquid
    frames = frames[::5]
    box, grid = freud.box.Box.cube(length), shells(length, 0.2, 9.0, 10**6, 1)
    wrapped = [box.wrap(frame.astype(np.float32)) for frame in frames]
    density = np.array([cpu.densities(frame / length, bounds, grid.n)[:, :, 0] for frame in frames])
    for rows, ours in ((slice(0, 960), density[:, :, 0]), (slice(960, 1200), density[:, :, 1]),
                       (slice(0, 1200), density.sum(axis=2))):
        theirs = freud.diffraction.StaticStructureFactorDirect(bins=45, k_max=9.0, k_min=0.0)
        for frame in wrapped:
            theirs.compute((box, frame[rows]), reset=False)
        value = np.sum(ours**2, axis=-1).mean(axis=0) / len(wrapped[0][rows])
        filled = grid.used > 0
        mean = grid.sums(value)[filled] / np.diff(grid.first)[filled]
        assert np.allclose(mean, theirs.S_k[filled], rtol=5e-4, atol=1e-4)  # freud has single precision
    found = gathered(frames, bounds, length, 9.0)
    g = found.counts.sum(axis=0) / (len(frames) * ideal_counts(bounds, length, 0.02, found.n_bins))
    for row, (a, b) in enumerate(((0, 0), (0, 1), (1, 1))):
        theirs = freud.density.RDF(249, 4.98, normalization_mode="finite_size" if a == b else "exact")
        for frame in wrapped:
            first, second = (frame[bounds[x]:bounds[x + 1]] for x in (a, b))
            theirs.compute((box, first), query_points=None if a == b else second, reset=False)
        assert np.abs(g[row, :249] - theirs.rdf).max() < 2e-2  # a pair on the edge of a bin
        assert np.abs(g[row, :249] - theirs.rdf).mean() < 1e-3
    assert 0.98 < g[0, 200:].mean() < 1.02
    assert 7.0 < found.shells.mean_k[np.nanargmax(found.structure_factor()[:, 0])] < 7.4


def test_a_draw_gives_the_same_structure_factor(liquid):
    """A hundred vectors a shell instead of all: the same within what independent vectors scatter."""
    frames, bounds, length = liquid
    full, drawn = (gathered(frames[::2], bounds, length, 14.0, limit) for limit in (10**6, 100))
    less = (drawn.shells.used < full.shells.used) & (drawn.shells.used > 0)
    s = full.structure_factor()[less]
    difference = drawn.structure_factor()[less] - s
    # relative variance 1 of a single |ρ|², 4 vectors a set, 10 frames, part of the vectors in common
    share = drawn.shells.used[less] / full.shells.used[less]
    spread = s[:, 0] / np.sqrt(10 * drawn.shells.used[less]) * np.sqrt(1 - share)
    assert less.sum() > 20
    assert 0.5 < np.sqrt(np.mean((difference[:, 0] / spread) ** 2)) < 1.6


def test_onto_a_grid():
    """From means over shells back to the function: exactly for a cubic, and for a peak like that of S_AA, half width
    0.45, to 0.5 % of it."""
    def cubic(x: np.ndarray) -> np.ndarray:
        return 1 - 0.3 * x + 0.02 * x**2 + 1e-3 * x**3

    def peak(x: np.ndarray) -> np.ndarray:
        return 0.5 + 2 / (1 + ((x - 7.25) / 0.45) ** 2)

    full = shells(10.0, 0.2, 12.0, 10**6, 1)
    moments = central_moments(10.0, 0.2, 60)
    inner = PAPER_GRID[2:30]
    found = grid_weights(full.mean_k, moments, full.used, inner) @ np.nan_to_num(full.mean(cubic(full.k)))
    assert np.allclose(found, cubic(inner), rtol=1e-9)
    # below the smallest wave vector: a line in k²
    line = np.nan_to_num(full.mean(2 + 0.5 * full.k**2))
    assert grid_weights(full.mean_k, moments, full.used, [0.2, 0.6]) @ line == pytest.approx([2.02, 2.18])
    drawn = shells(10.0, 0.2, 40.0, 400, 1)
    moments = central_moments(10.0, 0.2, 200)
    values = np.nan_to_num(drawn.mean(peak(drawn.k)))
    for target in (PAPER_GRID[1:], (np.arange(3, 200) + 0.5) * 0.2):
        error = np.abs(grid_weights(drawn.mean_k, moments, drawn.used, target) @ values - peak(target))
        assert error.max() < 0.005 * peak(7.25)
    # without the moments the top would be lower by width² / 24 times the curvature, 1.2 %
    flat = grid_weights(drawn.mean_k, 0 * moments, drawn.used, [7.3]) @ values
    assert flat[0] < 0.993 * peak(7.3)
    for wrong in ([0.0, 1.0], [41.0], [-1.0]):
        with pytest.raises(GridError, match="expected 0 < k ≤"):
            grid_weights(drawn.mean_k, moments, drawn.used, wrong)
