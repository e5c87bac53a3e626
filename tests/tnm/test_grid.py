"""The state space: counts, fixed indices, subsets, tables of nodes."""

import numpy as np
import pytest

from hpctools.tnm.grid import PAPER, GridError, Ranges, from_table, select


def test_the_papers_space():
    grid = select()
    assert (grid.n_nodes, len(grid)) == (8181, 13_752_261)
    assert PAPER.edge_coefficient == pytest.approx(17.19, abs=0.005)
    assert PAPER.ln_a[0] == pytest.approx(np.linspace(-101.162, -18.0, 81), abs=1e-3)
    assert PAPER.ln_a[-1][[0, -1]] == pytest.approx([-630.0, -86.91], abs=0.01)
    assert PAPER.ln_a.min() == -630.0 and PAPER.ln_a.max() == pytest.approx(-18.0)
    assert np.diff(PAPER.dh) == pytest.approx(1e4)
    assert PAPER.shape == pytest.approx(0.2 + 0.02 * np.arange(41))


def test_global_index():
    """((i_Δh·81 + i_A)·41 + i_x)·41 + i_β, whatever the strides."""
    whole, part = select(), select("C", stride_x=3, stride_beta=5)
    assert part.nodes[13] == pytest.approx(whole.nodes[(45 + 1) * 81 + 35 + 2])
    index, parameters = part.index(13), part.parameters(13)
    i_beta, i_x, i_a, i_dh = index % 41, index // 41 % 41, index // 1681 % 81, index // (1681 * 81)
    assert parameters[:, 3] == pytest.approx(0.2 + 0.02 * i_beta)
    assert parameters[:, 2] == pytest.approx(0.2 + 0.02 * i_x)
    assert parameters[:, 1] == pytest.approx(2e5 + 1e4 * i_dh)
    assert parameters[:, 0] == pytest.approx(PAPER.ln_a[i_dh, i_a])
    assert np.concatenate([whole.index(n) for n in (0, 8180)])[[0, -1]].tolist() == [0, 13_752_260]


@pytest.mark.parametrize(
    "name, dh, columns",
    [
        ("LU", (2e5, 3e5), (0, 10)),
        ("RU", (2e5, 3e5), (70, 80)),
        ("LD", (11e5, 12e5), (0, 10)),
        ("RD", (11e5, 12e5), (70, 80)),
        ("LB", (11e5, 12e5), (0, 10)),
        ("C", (6.5e5, 7.5e5), (35, 45)),
    ],
)
def test_blocks(name, dh, columns):
    grid = select(name)
    assert len(grid) == 121 * 1681
    assert (grid.nodes[:, 0].min(), grid.nodes[:, 0].max()) == pytest.approx(dh)
    assert (grid.node_index % 81).min() == columns[0] and (grid.node_index % 81).max() == columns[1]


def test_spread_subset():
    grid = select("G", 4, 4)
    assert (grid.n_nodes, len(grid)) == (80, 9680)
    assert sorted(set(grid.node_index // 81)) == [0, 14, 29, 43, 57, 71, 86, 100]


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: select("XX"), "subset 'XX' is unknown; expected all, LU, RU"),
        (lambda: select("C", stride_x=0), "stride 0 in x; expected 1 … 41"),
        (lambda: select("C", ranges=Ranges(dh_points=11)), "defined on the paper's 101 × 81 nodes; this grid has 11"),
    ],
)
def test_unknown_selections(call, words):
    with pytest.raises(GridError, match=words):
        call()


def test_table_of_nodes(tmp_path):
    table = tmp_path / "mine.csv"
    table.write_text("dh,ln_a\n# a comment\n318000,-79.2\n355000, -133\n")
    grid = from_table(table, 20, 20)
    assert grid.nodes == pytest.approx(np.array([[318000, -79.2], [355000, -133]]))
    assert len(grid) == 18 and grid.name == "mine"
    assert grid.index(1)[0] == 1681


@pytest.mark.parametrize(
    "text, words",
    [
        ("", "holds no nodes"),
        ("20000O,-80\n3e5,-100\n", "line 1: found '20000O,-80'"),
        ("3e5;-70\n", "line 1: found '3e5;-70'"),
        ("3e5,-70,3\n", "line 1: found '3e5,-70,3'"),
        ("3e5,-70\n3e5,-70\n", "1 nodes stand there twice"),
        ("3e5,-70\n3e5\n", "line 2: found '3e5', expected two numbers"),
        ("3e5,-70\n3e5,cold\n", "line 2: found '3e5,cold'"),
        ("-3e5,-70\n", "dh = -300000; expected a positive number"),
    ],
)
def test_bad_tables(tmp_path, text, words):
    table = tmp_path / "bad.csv"
    table.write_text(text)
    with pytest.raises(GridError, match=words):
        from_table(table)
    with pytest.raises(GridError, match=r"none\.csv: cannot be read"):
        from_table(tmp_path / "none.csv")
