"""Exit codes and messages of commands: one rank and several, and a reader of the output who leaves."""

import subprocess
import sys

import pytest

from hpctools import command_line, stop
from hpctools.config import ConfigError


class BrokenFile(ValueError):
    user_error = True


def failing(error: Exception):
    def command(arguments: list[str]) -> int:
        raise error

    return {"fail": command}


@pytest.mark.parametrize(("error", "code"), [(ConfigError("no such key"), stop.USAGE),
                                             (BrokenFile("line 3 is no number"), stop.ERROR)])
def test_mistake_is_one_line(error: Exception, code: int, capsys: pytest.CaptureFixture):
    assert command_line.main(failing(error), "overview", ["fail"]) == code
    assert capsys.readouterr().err == f"error: {error}\n"


def test_our_own_fault_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        command_line.main(failing(ZeroDivisionError()), "overview", ["fail"])


@pytest.mark.parametrize("names", [("PMI_SIZE", "PMI_RANK"), ("WORLD_SIZE", "RANK")])
def test_several_ranks(names: tuple[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    for rank, lines in ((0, 1), (1, 0)):
        for name, value in zip(names, ("2", str(rank)), strict=True):
            monkeypatch.setenv(name, value)
        assert command_line.main(failing(ConfigError("no such key")), "overview", ["fail"]) == stop.USAGE
        assert capsys.readouterr().err.count("\n") == lines
        with pytest.raises(BrokenFile):  # for the hook, by which the ranks leave together
            command_line.main(failing(BrokenFile("broken")), "overview", ["fail"])


def test_unknown_command(capsys: pytest.CaptureFixture):
    assert command_line.main(failing(ValueError()), "overview", ["fial"]) == stop.USAGE
    assert "'fial' is unknown; expected one of fail" in capsys.readouterr().err
    assert command_line.main({}, "overview\n", ["--help"]) == stop.COMPLETE
    assert capsys.readouterr().out == "overview\n"


def test_reader_leaves():
    code = ("import sys; from hpctools import command_line;"
            "sys.exit(command_line.main({}, 'line\\n' * 100000, ['--help']))")
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True) as process:  # fmt: skip
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(timeout=60) == stop.ERROR
