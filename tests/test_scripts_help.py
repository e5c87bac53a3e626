"""Every script of the project can be started and says what it does."""

import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = [path for folder in ("analysis", "jobs", "tests/benchmarks") for path in sorted((ROOT / folder).glob("*.py"))
           if '__name__ == "__main__"' in path.read_text(encoding="utf-8")]  # fmt: skip


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_help(path, monkeypatch, capsys):
    """All that it imports is there, and --help begins with its usage and the first line of its description."""
    monkeypatch.syspath_prepend(str(path.parent))
    monkeypatch.setattr(sys, "argv", [str(path), "--help"])
    for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "MPLBACKEND"):  # which some scripts set
        monkeypatch.setenv(name, "1" if name != "MPLBACKEND" else "agg")
    with pytest.raises(SystemExit) as left:
        runpy.run_path(str(path), run_name="__main__")
    assert left.value.code == 0
    printed = capsys.readouterr().out
    first = path.read_text(encoding="utf-8").split('"""')[1].splitlines()[0]
    assert printed.startswith("usage: ") and " ".join(first.split()[:4]) in " ".join(printed.split())
