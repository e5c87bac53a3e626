"""Says at the end of a run what its environment left out."""

import sys
from pathlib import Path

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    # Written by tests/setup_environment.sh; absent when the tests run in an environment of the user's own.
    note = Path(sys.prefix) / "environment.txt"
    if note.exists():
        terminalreporter.section("environment")
        terminalreporter.write(note.read_text())
