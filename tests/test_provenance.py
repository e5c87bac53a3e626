"""Provenance: the command line as it is typed."""

from pathlib import Path

import pytest

import hpctools
from hpctools.provenance import command_line

PACKAGE = Path(hpctools.__file__).parent


@pytest.mark.parametrize(("arguments", "expected"), [
    ([str(PACKAGE / "tnm/__main__.py"), "--out", "a b.h5"], "python -m hpctools.tnm --out 'a b.h5'"),
    ([str(PACKAGE / "liquids/observe.py")], "python -m hpctools.liquids.observe"),
    (["/home/somebody/analysis/tnm_fit.py", "x"], "tnm_fit.py x"),
    (["-c"], "-c"),
    ([], "''"),
])  # fmt: skip
def test_command_line_does_not_tell_where_the_code_lies(arguments, expected):
    assert command_line(arguments) == expected
