"""The scripts on trainings and predictions, as a user runs them: their numbers from errors that are known."""

import math

import numpy as np
import pytest

from hpctools.tnm.grid import select
from hpctools.tnm.predictions import make_predictions, write

from .test_scripts import is_picture, rows, script


@pytest.fixture(scope="module")
def predictions(tmp_path_factory):
    """80 nodes with 2 x and 2 β; β is off by 0.01 for two of three samples, else by 0.03; Δh* by 8 kJ/mol."""
    folder = tmp_path_factory.mktemp("predictions")
    grid = select("G", 30, 30)
    true = np.concatenate([grid.parameters(node) for node in range(grid.n_nodes)])
    predicted = true + [0.5, 8e3, 0.004, 0]
    predicted[:, 3] -= np.where(np.arange(len(true)) % 3 == 1, 0.03, 0.01)
    made = make_predictions(true, predicted)
    write(folder / "p.h5", made, {"label": "known", "subset": "G"})
    return folder / "p.h5", made


def test_errors(predictions, tmp_path):
    path, made = predictions
    done = script("tnm_errors", path, path, "--out", tmp_path / "errors.png")
    assert done.returncode == 0, done.stderr
    table = {row[0]: row[1:] for row in rows(done.stdout, "share of test samples, %")}
    kept = made.cpn_max <= 6
    share = (np.abs(made.predicted - made.true)[kept, 3] < 0.02).mean()
    error = math.sqrt(share * (1 - share) / kept.sum())
    assert table["β within 0.02"][2] == f"{100 * share:.1f} ± {100 * error:.1f}" and 0.5 < share < 0.9
    assert table["Δh* within 10"][2].startswith("100.0") and table["x within 0.02"][2].startswith("100.0")
    assert table["samples"][2] == str(kept.sum()) and table["left out, CpN_max > 6"][2] == str((~kept).sum())
    x = made.true[kept, 2]
    assert table["β within 0.02"][0] == "90"
    assert table["x within 0.05"][1] == f"{100 * (np.abs(x - x.mean()) < 0.05).mean():.1f}"
    assert is_picture(tmp_path / "errors.png")


def test_maps(predictions, tmp_path):
    path, made = predictions
    done = script("tnm_error_maps", path, "--out", tmp_path / "maps.png")
    assert done.returncode == 0, done.stderr
    found = {tuple(row[:2]): row[2:] for row in rows(done.stdout, "map")}
    assert len(found) == 12
    kept = made.cpn_max <= 6
    x, beta = made.true[kept, 2], made.true[kept, 3]
    cells = [made.sse[kept][(x == a) & (beta == b)].mean() for a, b in {*zip(x, beta)}]
    assert float(found["x-β", "signals"][1]) == pytest.approx(max(cells), rel=5e-3)
    pair = (8e3 / (12e5 * 1.2 - 2e5 / 1.2)) ** 2 + (0.004 / (1.2 - 0.2 / 1.2)) ** 2
    assert float(found["Δh*-x", "Δh*, x"][1]) == pytest.approx(pair, rel=5e-3)
    assert is_picture(tmp_path / "maps.png") and is_picture(tmp_path / "maps_heat.png")


def test_correlations(predictions, tmp_path):
    from scipy.stats import spearmanr

    path, made = predictions
    done = script("tnm_correlations", path, "--out", tmp_path / "correlations.png")
    assert done.returncode == 0, done.stderr
    found = {row[1]: row[2:] for row in rows(done.stdout, "rank correlation")}
    kept = made.cpn_max <= 6
    expected = spearmanr(made.sse[kept], made.cpn_max[kept]).statistic
    assert float(found["SSE of signals"][0].split(" ± ")[0]) == pytest.approx(expected, abs=6e-4)
    ranges = {row[0]: row[1] for row in rows(done.stdout, "subset")}
    assert set(ranges) == {"LU", "RU", "LD", "RD", "C", "G"} and ranges["G"].endswith("1600")
    real = rows(done.stdout, "material")
    assert real[0][3].startswith("100.0") and len(real) == 8
    assert is_picture(tmp_path / "correlations.png")


def test_training_curves(tmp_path):
    for name, factor in (("a", 1.0), ("b", 2.0)):
        (tmp_path / name).mkdir()
        lines = [f"{n},{10 * n},0.1,{'' if n == 0 else factor / n},{factor / (n + 1)},{n}" for n in range(5)]
        head = "epoch,samples,learning_rate,loss,val_loss,seconds"
        (tmp_path / name / "log.csv").write_text("\n".join([head, *lines]))
    done = script("training_curves", tmp_path / "a", tmp_path / "b", "--out", tmp_path / "t.png")
    assert done.returncode == 0, done.stderr
    table = rows(done.stdout, "training")
    assert table[0][:3] == ["a", "4", "40"] and float(table[1][-1]) == pytest.approx(0.4)
    assert is_picture(tmp_path / "t.png")
    done = script("training_curves", tmp_path / "none")
    assert done.returncode == 2 and "log.csv: cannot be read" in done.stderr and "Traceback" not in done.stderr
