"""analysis/tnm_network.py as a user runs it, and its judgement of error bars that are known."""

import importlib.util
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from hpctools.tnm import inputs, network, streams

PATH = Path(__file__).parents[2] / "analysis" / "tnm_network.py"


@pytest.fixture(scope="module")
def script():
    sys.path.insert(0, str(PATH.parent))
    try:
        spec = importlib.util.spec_from_file_location("tnm_network", PATH)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield module
    finally:
        sys.path.remove(str(PATH.parent))


def test_tables_and_figure(script, tmp_path, monkeypatch, capsys):
    """One block: all rows, shares of its samples, a figure."""
    from matplotlib.image import imread

    path = tmp_path / "network.png"
    monkeypatch.setattr(sys, "argv", ["x", "--variants", "clean", "--blocks", "1", "--setup-blocks", "0",
                                      "--out", str(path)])  # fmt: skip
    script.main()
    out = capsys.readouterr().out
    rows = re.findall(r"^\| CpN_max (\S) 6 \| (.*?) +\| .*\| +(\S+) ± (\S+) % \| +(\d+) \|$", out, re.MULTILINE)
    assert len(rows) == 10 and sum(int(rows[i][4]) for i in (0, 5)) == streams.BLOCK
    assert all(float(row[2]) > 95 for row in rows[:5])
    picture = imread(path)
    assert min(picture.shape[:2]) > 400 and picture[..., :3].std() > 0.03


def test_judgement(script):
    """Gaussian errors with their true σ pass; with half of it they do not."""
    rng = np.random.default_rng(1)
    n = 20_000
    truth = streams.draw_parameters(rng, n)
    sigma = np.array([1.0, 1e4, 0.02, 0.02])
    z = np.array([0.6745, 0.9945, 1.2816, 1.6449, 1.9600, 2.5758])  # of the levels
    batch = streams.Batch(
        np.zeros((n, 6, inputs.SCAN_INPUTS), np.float32), np.zeros((n, inputs.COMMON_INPUTS), np.float32),
        np.ones((n, 6), bool), truth, inputs.Frame(*np.ones((4, n))), np.ones(n),
    )  # fmt: skip
    noisy = truth + sigma * rng.standard_normal((n, 4))
    for stated, right in ((1.0, True), (0.5, False)):
        quantiles = np.broadcast_to(stated * sigma[:, None] * z, (n, 4, 6))
        found = network.Estimates(noisy, np.zeros((n, 4, 4)), quantiles, np.ones(n), [()] * n)
        _, worst = script.coverage_table(found, batch)
        assert (worst < 0.03) == right


@pytest.mark.parametrize(("arguments", "words"), [
    (("--blocks", "0"), "blocks 0"), (("--seed", "2"), "seed 2 is one of the training's"),
    (("--out", "a.bmp"), r"a\.bmp: figures are written as"),
])  # fmt: skip
def test_refused(script, monkeypatch, arguments, words):
    monkeypatch.setattr(sys, "argv", ["x", "--variants", "clean", *arguments])
    with pytest.raises(script.AnalysisError, match=words):
        script.main()
