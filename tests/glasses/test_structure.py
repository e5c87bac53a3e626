"""Structure against crystals and arrangements whose answer is known, and the files of trajectories."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from hpctools.glasses import structure, trajectory
from hpctools.glasses.trajectory import Frame, TrajectoryError

EDGE = 7.16  # Å, of cubic β-cristobalite with straight bonds


def cristobalite(cells: int) -> Frame:
    """Ideal β-cristobalite (Fd-3m): silicon on the diamond lattice, oxygen half-way between neighbours."""
    faces = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    silicon = np.concatenate([faces, faces + 0.25])
    bonds = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / 8
    oxygen = (faces[:, None] + bonds).reshape(-1, 3)
    corners = np.stack(np.meshgrid(*[np.arange(cells)] * 3, indexing="ij"), -1).reshape(-1, 3)
    points = [(corners[:, None] + site).reshape(-1, 3) for site in (silicon, oxygen)]
    elements = np.repeat(["Si", "O"], [len(p) for p in points])
    return Frame(0, np.full(3, EDGE * cells), elements, np.concatenate(points) * EDGE)


@pytest.fixture(scope="module")
def crystal():
    frame = cristobalite(3)
    return structure.measure([frame] * 4, {"Si": 216, "O": 432}, 4)


def test_bonds_and_angles_of_cristobalite(crystal):
    assert crystal.coordination[0, :, 4].tolist() == [216] * 4 and crystal.coordination.sum() == 4 * 216
    assert crystal.bridging[:, 4].tolist() == [216] * 4, "all silicon is Q4"
    assert crystal.oxygen[:, 2].tolist() == [432] * 4
    sums = dict(zip(crystal.angles, crystal.angle_sums.sum(1)))
    assert sums["O-Si-O"][0] / sums["O-Si-O"][1] == pytest.approx(np.degrees(np.arccos(-1 / 3)))
    assert sums["Si-O-Si"][0] / sums["Si-O-Si"][1] == pytest.approx(180.0, abs=1e-2)
    assert sums["O-Si-O"][1] == 4 * 216 * 6 and sums["Si-O-Si"][1] == 4 * 432
    assert crystal.angles["O-Si-O"][109] == 4 * 216 * 6


# neighbours of β-cristobalite: distance in units of the edge, atoms of the second kind around one of the first
@pytest.mark.parametrize(("pair", "distance", "number"), [
    (("Si", "O"), 3**0.5 / 8, 4), (("Si", "O"), 19**0.5 / 8, 12), (("Si", "Si"), 3**0.5 / 4, 4),
    (("Si", "Si"), 2**0.5 / 2, 12), (("O", "O"), 2**0.5 / 4, 6), (("O", "O"), 6**0.5 / 4, 12)])
def test_shells_of_cristobalite(crystal, pair, distance, number):
    row = crystal.distances[crystal.pairs.index(pair)]
    centre = int(distance * EDGE / structure.BIN)
    of_first = {"Si": 216, "O": 432}[pair[0]]
    pairs = 4 * of_first * number / (2 if pair[0] == pair[1] else 1)
    assert row[centre - 1 : centre + 2].sum() == pairs
    # the integral of 4 π r² ρ g over the shell is the same number
    r, g = crystal.g(pair)
    density = {"Si": 216, "O": 432}[pair[1]] / crystal.volume
    less_self = 1 - 1 / 216 if pair == ("Si", "Si") else 1 - 1 / 432 if pair == ("O", "O") else 1
    shell = 4 / 3 * np.pi * ((r + 0.01) ** 3 - (r - 0.01) ** 3)
    found = (shell * density * g)[centre - 1 : centre + 2].sum() * less_self
    assert found == pytest.approx(number)


def test_blocks_add_up_and_unwrapped_positions_count_the_same(crystal):
    np.testing.assert_array_equal(crystal.block_distances.sum((1, 2)), crystal.distances.sum(1))
    frame = cristobalite(3)
    moved = Frame(0, frame.lengths, frame.elements,
                  frame.positions + 21.48 * np.random.default_rng(1).integers(-3, 4, frame.positions.shape) + 0.003)
    again = structure.measure([moved], {"Si": 216, "O": 432}, 1)
    np.testing.assert_array_equal(again.coordination.sum(1), crystal.coordination.sum(1) // 4)
    np.testing.assert_allclose(again.structure_factor, crystal.structure_factor, atol=1e-6)


def test_scattering_of_cristobalite_is_in_its_bragg_peaks(crystal):
    """S = N |1 + i^(h+k+l)|²/4 at the reciprocal vectors of the diamond lattice, 0 at all others of the box."""
    row = crystal.structure_factor[crystal.pairs.index(("Si", "Si"))]
    vectors = np.stack(np.meshgrid(*[np.arange(-12, 13)] * 3, indexing="ij"), -1).reshape(-1, 3)
    bins = (2 * np.pi / (3 * EDGE) * np.linalg.norm(vectors, axis=1) / structure.Q_BIN).astype(int)
    for hkl, strength, number in (((1, 1, 1), 0.5, 8), ((2, 0, 0), 0.0, 6)):
        bragg = int(2 * np.pi / EDGE * np.linalg.norm(hkl) / structure.Q_BIN)
        inside = (bins == bragg).sum()
        assert inside == 2 * crystal.q_vectors[bragg], "all vectors of the bin were taken"
        assert row[bragg] == pytest.approx(216 * strength * number / inside, abs=1e-6)


def test_structure_factors_are_those_of_the_direct_sum():
    """A small box, whose every wave vector is used."""
    rng = np.random.default_rng(3)
    length, atoms = 9.0, {"Si": 12, "O": 24}
    frame = Frame(0, np.full(3, length), np.repeat(list(atoms), list(atoms.values())), rng.uniform(0, length, (36, 3)))
    found = structure.measure([frame], atoms, 1)
    vectors = np.stack(np.meshgrid(*[np.arange(-6, 7)] * 3, indexing="ij"), -1).reshape(-1, 3)
    q = 2 * np.pi / length * np.linalg.norm(vectors, axis=1)
    waves = np.exp(2j * np.pi / length * vectors @ frame.positions.T)
    silicon, oxygen = waves[:, :12].sum(1), waves[:, 12:].sum(1)
    for bin_of in np.unique((q / structure.Q_BIN).astype(int)):
        inside = (q >= bin_of * structure.Q_BIN) & (q < (bin_of + 1) * structure.Q_BIN)
        if 0 < bin_of < 40 and inside.sum() <= 2 * structure.Q_VECTORS:
            assert found.q_vectors[bin_of] == inside.sum() / 2
            expected = [(abs(silicon[inside]) ** 2).mean() / 12,
                        (silicon[inside] * oxygen[inside].conj()).real.mean() / np.sqrt(12 * 24),
                        (abs(oxygen[inside]) ** 2).mean() / 24]
            np.testing.assert_allclose(found.structure_factor[:, bin_of], expected, atol=1e-9)


def test_points_at_random_have_g_of_one():
    rng = np.random.default_rng(7)
    atoms = {"Si": 150, "B": 100, "O": 400}
    elements = np.repeat(list(atoms), list(atoms.values()))
    frames = [Frame(i, np.full(3, 21.0), elements, rng.uniform(0, 21, (650, 3))) for i in range(4)]
    found = structure.measure(frames, atoms, 4)
    for pair in found.pairs:
        counts = found.distances[found.pairs.index(pair)].reshape(-1, 50).sum(1)
        _, g = found.g(pair, 50)
        assert np.abs(g - 1)[counts > 0].max() < 5 / np.sqrt(counts[counts > 0].min())
        assert np.abs(((g - 1) * np.sqrt(counts))[2:]).max() < 4.5


def test_boron_with_three_and_four_oxygens():
    triangle = 1.37 * np.array([[1, 0, 0], [-0.5, 3**0.5 / 2, 0], [-0.5, -(3**0.5) / 2, 0]])
    tetrahedron = 1.47 / 3**0.5 * np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    centres = np.array([[4.0, 4, 4], [4, 4, 12], [12, 12, 12]])
    oxygens = np.concatenate([centres[0] + triangle, centres[1] + triangle, centres[2] + tetrahedron])
    elements = np.repeat(["B", "O"], [3, 10])
    found = structure.measure([Frame(0, np.full(3, 18.0), elements, np.concatenate([centres, oxygens]))],
                              {"B": 3, "O": 10}, 1)
    assert found.coordination[0, 0, [3, 4]].tolist() == [2, 1]
    np.testing.assert_allclose(found.boron[0], [[6 * 1.37, 6], [4 * 1.47, 4]], rtol=1e-6)


DUMP = """ITEM: TIMESTEP
{step}
ITEM: NUMBER OF ATOMS
2
ITEM: BOX BOUNDS pp pp pp
0 5
0 5
1 6.5
ITEM: ATOMS id element xu yu zu
2 O 1.0 2.0 {step}
1 Si -3.5 0.25 7
"""


def test_frames_are_read_by_id_and_a_torn_one_is_left_out(tmp_path):
    path = tmp_path / "a.lammpstrj"
    path.write_text("".join(DUMP.format(step=s) for s in (0, 10, 20))[:-9])
    frames = list(trajectory.read(path))
    assert [frame.step for frame in frames] == [0, 10]
    assert frames[1].elements.tolist() == ["Si", "O"] and frames[1].lengths.tolist() == [5, 5, 5.5]
    assert frames[1].positions.tolist() == [[-3.5, 0.25, 7.0], [1.0, 2.0, 10.0]]


def test_compressed_and_damaged_trajectories(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "analysis"))
    from figures import AnalysisError
    from glass_energy_drift import frames_of

    path, packed = tmp_path / "quench.lammpstrj", tmp_path / "quench.lammpstrj.gz"
    packed.write_bytes(gzip.compress("".join(DUMP.format(step=s) for s in range(0, 1000, 10)).encode()))
    assert trajectory.steps(path) == [frame.step for frame in frames_of(tmp_path)] == list(range(0, 1000, 10))
    packed.write_bytes(packed.read_bytes()[:-40])
    for read in (trajectory.steps, lambda path: list(trajectory.read(path))):
        with pytest.raises(TrajectoryError, match=r"quench.lammpstrj cannot be read: Compressed file ended"):
            read(path)
    path.write_text((DUMP.format(step=0) + DUMP.format(step=10))[:-9])
    assert trajectory.steps(path) == [0], "a whole file goes first; the unfinished frame does not count"
    path.unlink()
    packed.unlink()
    with pytest.raises(AnalysisError, match=r"No such file or directory; expected the folder of a run"):
        frames_of(tmp_path)


@pytest.mark.parametrize(("torn", "step", "left"), [(0, 20, [0, 10]), (9, 30, [0, 10]), (0, 30, [0, 10, 20]),
                                                    (0, 0, []), (120, 15, [0, 10])])
def test_dumps_are_cut_back_to_the_frames_before_a_step(tmp_path, torn, step, left):
    path = tmp_path / "a.lammpstrj"
    text = "".join(DUMP.format(step=s) for s in (0, 10, 20))
    path.write_text(text[: len(text) - torn])
    trajectory.cut_dump(path, step)
    assert path.read_text() == "".join(DUMP.format(step=s) for s in left)


def test_tables_are_cut_back_to_the_rows_up_to_a_step(tmp_path):
    path = tmp_path / "thermo.txt"
    path.write_text("# head\n# more\n10 1 2\n20 3 4\n30 5 6\n40 7")
    trajectory.cut_table(path, 20)
    assert path.read_text() == "# head\n# more\n10 1 2\n20 3 4\n"
    assert trajectory.read_table(path).tolist() == [[10, 1, 2], [20, 3, 4]]


def test_a_header_after_the_step_goes_with_its_rows(tmp_path):
    path = tmp_path / "thermo.txt"
    path.write_text("# head\n10 1 2\n# head of a resumed run\n20 3 4\n# another\n30 5 6\n# torn")
    trajectory.cut_table(path, 10)
    assert path.read_text() == "# head\n10 1 2\n# head of a resumed run\n"
    for wrong in ("\n", "2\x00\x00 4\n"):
        path.write_text(f"# head\n10 1 2\n{wrong}20 3 4\n")
        trajectory.cut_table(path, 30)
        assert path.read_text() == "# head\n10 1 2\n"


def test_other_columns_are_named(tmp_path):
    path = tmp_path / "a.lammpstrj"
    path.write_text(DUMP.format(step=0).replace("xu yu zu", "x y z"))
    with pytest.raises(TrajectoryError, match="expected 'id element xu yu zu'"):
        list(trajectory.read(path))
