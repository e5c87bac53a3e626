"""Settings from defaults, TOML and the command line."""

import argparse
from dataclasses import dataclass

import pytest

from hpctools.config import ConfigError, add_arguments, dump_toml, from_arguments, load, options_of, setting


@dataclass(frozen=True)
class Job:
    stride_x: int = setting(1, "keep every n-th value of x")
    margin: float = setting(60.0, "time kept for closing, 5 % of the run", unit="s")
    layout: str = setting("auto", "how to write", choices=("auto", "mpio", "files"))
    overwrite: bool = setting(False, "start again")
    rates: tuple[float, ...] = setting((0.5, 1.0), "cooling rates", unit="K/min")
    nodes: str | None = setting(None, "table of nodes")


def parse(words, toml=None):
    parser = argparse.ArgumentParser()
    add_arguments(parser, Job)
    return from_arguments(Job, parser.parse_args(words), toml)


def test_options_for_another_command_line():
    parser = argparse.ArgumentParser()
    add_arguments(parser, Job)
    words = ["--margin", "7.0", "--no-overwrite", "--rates", "2.0", "3.0"]
    assert options_of(Job, parser.parse_args(words)) == words and options_of(Job, parser.parse_args([])) == []


def test_precedence(tmp_path):
    path = tmp_path / "job.toml"
    path.write_text('stride-x = 4\nmargin = 5\nlayout = "files"\n')
    assert parse([]) == Job()
    assert load(Job, path) == Job(stride_x=4, margin=5.0, layout="files")
    assert parse(["--margin", "7", "--overwrite", "--rates", "2", "3", "--nodes", "n.csv"], path) == Job(
        4, 7.0, "files", True, (2.0, 3.0), "n.csv")
    assert parse(["--stride-x", "1"], path).stride_x == 1  # given explicitly, though it is the default


@pytest.mark.parametrize("text, words", [
    ("stride_y = 1", r"unknown key 'stride_y'\. Did you mean 'stride_x'\? Known keys: layout, margin"),
    ("zzz = 1", "unknown key 'zzz'. Known keys"),
    ("stride_x = 1.5", r"stride_x: found 1.5 \(float\), expected int"),
    ("stride_x = true", r"stride_x: found True \(bool\), expected int"),
    ("rates = 3", "rates: found 3, expected a list of float"),
    ('rates = [1, "a"]', "rates: found 'a'"),
    ('layout = "hdf"', "layout: found 'hdf', expected one of auto, mpio, files"),
    ("a = = 1", "is not TOML"),
])
def test_errors_name_file_and_key(tmp_path, text, words):
    path = tmp_path / "job.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=f"job.toml.*{words}"):
        load(Job, path)


def test_missing_file(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.toml: cannot be read: No such file"):
        load(Job, tmp_path / "none.toml")


def test_help_has_units_and_defaults():
    parser = argparse.ArgumentParser()
    add_arguments(parser, Job)
    text = " ".join(parser.format_help().split())
    assert "time kept for closing, 5 % of the run [s] (default 60.0)" in text
    assert "{auto,mpio,files}" in text and "--no-overwrite" in text


def test_dump_reads_back(tmp_path):
    job = Job(3, 1e-30, "mpio", True, (0.1, 2.0, float("inf")), 'a "b"\\ ü')
    path = tmp_path / "job.toml"
    path.write_text(dump_toml(job), encoding="utf-8")
    assert load(Job, path) == job
    path.write_text(dump_toml(Job()))
    assert load(Job, path) == Job()
