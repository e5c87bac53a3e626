"""The script that submits trainings: each model has a folder of its own."""

import sys
from pathlib import Path

import pytest

from hpctools.submission import SubmissionError

sys.path.insert(0, str(Path(__file__).parents[2] / "jobs"))

import liquid_train


@pytest.mark.parametrize("twice", ["mlp", "mlp/full"])
def test_a_model_stands_once(twice):
    found = liquid_train.commands(["mlp", "mlp/zeroed", "gp"], "runs", [])
    assert [one.name for one in found] == ["liquid-mlp-full", "liquid-mlp-zeroed", "liquid-gp-full"]
    with pytest.raises(SubmissionError, match="liquid-mlp-full stands there 2 times"):
        liquid_train.commands(["mlp", "gp", twice], "runs", [])
