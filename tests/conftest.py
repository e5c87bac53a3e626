"""What tests of several parts need; and at the end of a run, what its environment left out."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    # Written by tests/setup_environment.sh; absent when the tests run in an environment of the user's own.
    note = Path(sys.prefix) / "environment.txt"
    if note.exists():
        terminalreporter.section("environment")
        terminalreporter.write(note.read_text())


@pytest.fixture
def compile_cuda() -> Callable[[str, str, str], tuple[str, str]]:
    """compile_cuda(source, file name, architecture) -> (log, PTX), by NVRTC: needs neither driver nor device.

    The test is skipped where NVRTC is not there; it fails on errors and on warnings.
    """
    nvrtc = pytest.importorskip("cupy_backends.cuda.libs.nvrtc", reason="CuPy is not installed")
    try:
        nvrtc.getVersion()
    except Exception as error:
        pytest.skip(f"NVRTC cannot be loaded: {error}")

    def compiled(source: str, name: str, architecture: str) -> tuple[str, str]:
        program = nvrtc.createProgram(source, name, (), ())
        try:
            nvrtc.compileProgram(program, ["-std=c++17", f"-arch={architecture}", "--ptxas-options=-v"])
        except nvrtc.NVRTCError:
            pytest.fail(nvrtc.getProgramLog(program))
        log, code = nvrtc.getProgramLog(program), nvrtc.getPTX(program)
        assert len(nvrtc.getCUBIN(program)) > 0
        nvrtc.destroyProgram(program)
        assert "error" not in log and "warning" not in log, log
        return log, code if isinstance(code, str) else code.decode()

    return compiled
