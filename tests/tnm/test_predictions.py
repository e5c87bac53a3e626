"""Files of predictions: SSE of signals and shape quantities against full signals, and reading back."""

import h5py
import numpy as np
import pytest

from hpctools.tnm import Program, simulate
from hpctools.tnm.features import features
from hpctools.tnm.predictions import Predictions, PredictionsError, make_predictions, read, write

TRUE = np.array([
    (-79.21, 318_444, 0.57, 0.71), (-133.0, 355_900, 0.52, 0.65), (-30.0, 300_000, 0.9, 0.3), (-200.0, 6e5, 0.25, 0.95),
])  # fmt: skip
OFF = np.array([(0.5, 2e3, 0.01, -0.02), (0.0, 0.0, 0.0, 0.0), (-0.3, -1e3, 0.2, 0.01), (0.0, 0.0, -0.3, 0.5)])


@pytest.fixture(scope="module")
def made():
    return make_predictions(TRUE, TRUE + OFF)


def test_sse_and_shapes_from_full_signals(made):
    near = TRUE + OFF
    near[:, 2:] = np.clip(near[:, 2:], (0.05, 0.1), 1.0)
    true, predicted = simulate(TRUE).astype(float), simulate(near).astype(float)
    np.testing.assert_allclose(made.sse, ((true - predicted) ** 2).sum((1, 2)), rtol=2e-3, atol=1e-4)
    assert made.sse[1] == 0 < made.sse[0]
    shape = features(Program().celsius, true)
    highest = shape.cpn_max[:3].argmax(1)
    np.testing.assert_allclose(made.cpn_max[:3], shape.cpn_max[:3].max(1), rtol=2e-3)
    np.testing.assert_allclose(made.width[:2], shape.width[np.arange(2), highest[:2]], atol=0.1)
    assert np.isnan(made.width[2]) == (shape.cpn_max[2].max() < 1.001)
    assert made.cpn_max[3] > 6 and len(made.evaluated) == 3
    assert np.all(made.index == -1)


def test_predictions_that_cannot_be_simulated():
    """A transition above the program's end: its SSE is missing, its neighbours' are not."""
    wild = TRUE[[0, 1, 0]] + OFF[[0, 0, 0]]
    wild[1] = (-2.0, 9e5, 0.5, 0.5)
    found = make_predictions(TRUE[[0, 1, 0]], wild)
    assert np.isnan(found.sse).tolist() == [False, True, False]
    assert found.sse[0] == found.sse[2] == make_predictions(TRUE[:1], wild[:1]).sse[0]


def test_file(made, tmp_path):
    path = tmp_path / "p.h5"
    write(path, made, {"label": "test", "subset": "all"})
    found, attributes = read(path)
    for name in ("true", "predicted", "index", "cpn_max", "width", "sse"):
        np.testing.assert_array_equal(getattr(found, name), getattr(made, name))
    assert found.sigma is None and attributes["label"] == "test"
    with h5py.File(path) as file:
        assert list(file["true"].attrs["units"]) == ["ln(A/s)", "J/mol", "1", "1"]
        assert file["width"].attrs["unit"] == "K"
    bars = Predictions(*(getattr(made, name) for name in ("true", "predicted", "index", "cpn_max", "width", "sse")),
                       sigma=np.abs(OFF))  # fmt: skip
    write(path, bars, {"label": "test"})
    np.testing.assert_array_equal(read(path)[0].select(slice(1, 3)).sigma, np.abs(OFF[1:3]))


def test_other_files_are_refused(tmp_path):
    with pytest.raises(PredictionsError, match="no such file"):
        read(tmp_path / "none.h5")
    (tmp_path / "text.h5").write_text("text")
    with pytest.raises(PredictionsError, match="cannot be read as HDF5"):
        read(tmp_path / "text.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file.attrs["kind"] = "tnm grid"
    with pytest.raises(PredictionsError, match="holds 'tnm grid', expected 'tnm predictions'"):
        read(tmp_path / "other.h5")
    with h5py.File(tmp_path / "half.h5", "w") as file:
        file.attrs["kind"] = "tnm predictions"
        file["true"] = TRUE
    with pytest.raises(PredictionsError, match="lacks a column"):
        read(tmp_path / "half.h5")
