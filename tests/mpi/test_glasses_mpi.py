"""Glasses on two ranks: one glass over both, and a campaign of one glass a rank."""

import re
from pathlib import Path

import pytest

from hpctools.glasses import record
from hpctools.stop import COMPLETE, ERROR, STOPPED

SETTINGS = """
protocol = "fast"
disorder_time = 0.2
melt_time = {melt}
melt_temperature = 3000.0
rate = 2700.0
hold_time = 0.2
relax_time = 0.5
production_time = 0.5
frame_time = 0.05
sample_time = 0.1
restart_time = 0.5
atoms = 150
"""


@pytest.fixture
def glasses(make_job, tmp_path):
    """glasses(ranks, *words): a command, where only the first rank of a glass may read in its folder; job.toml,
    long.toml and design.toml lie there."""
    (tmp_path / "job.toml").write_text(SETTINGS.format(melt=0.5))
    (tmp_path / "long.toml").write_text(SETTINGS.format(melt=1000.0))
    (tmp_path / "design.toml").write_text(SETTINGS.format(melt=0.5) + 'seeds = [1, 2]\n[[glass]]\ncomposition = "SiO2"')
    return make_job(tmp_path, (str(Path(__file__).with_name("glass_driver.py")),))


def test_one_glass_over_two_ranks(glasses, tmp_path):
    # few steps, because two ranks on one busy core wait for each other at each of them
    few = ("--hot-timestep", 1, "--disorder-time", 0.02, "--melt-time", 0.02, "--rate", 67500, "--hold-time", 0.02,
           "--relax-time", 0.02, "--production-time", 0.04, "--sample-time", 0.01, "--frame-time", 0.01)  # fmt: skip
    code, text = glasses(2, "quench", "--config", "job.toml", "--out", "two", *few)
    assert code == COMPLETE and text.count("complete: two/record.h5") == 1, text
    code, text = glasses(1, "quench", "--config", "job.toml", "--out", "one", *few)
    assert code == COMPLETE, text
    one, two = (record.read(tmp_path / name / "record.h5") for name in ("one", "two"))
    # the same start; the random forces of the first melting then differ
    assert one.data["thermo"][0, 4] == pytest.approx(two.data["thermo"][0, 4], rel=0.02)
    assert one.data["thermo"][0, 3] == two.data["thermo"][0, 3]
    assert one.attributes["steps"] == two.attributes["steps"] == 160
    assert one.listed("atoms") == two.listed("atoms")


def test_both_ranks_stop_together_and_go_on(glasses, tmp_path):
    words = ("quench", "--config", "long.toml", "--out", "run", "--margin", 0, "--wall-time", 0.04)
    code, text = glasses(2, *words)
    assert code == STOPPED, text
    assert len(re.findall(r"stopped \((wall time|another rank)", text)) == 1, text  # whose time is over first
    code, text = glasses(2, *words)
    assert code == STOPPED, text
    assert (tmp_path / "run/state.json").exists()


def test_one_glass_a_rank(glasses, tmp_path):
    code, text = glasses(2, "campaign", "design.toml", "--out", "out")
    assert code == COMPLETE, text
    assert sorted(re.findall(r"finished (\S+):", text)) == ["SiO2_fast_n150_s1", "SiO2_fast_n150_s2"]
    a, b = (record.read(path) for path in sorted((tmp_path / "out").glob("*.h5")))
    assert a.attributes["potential_energy_eV_atom"] != b.attributes["potential_energy_eV_atom"]
    assert text.count("complete: all 2 glasses") == 1


def test_an_error_ends_all_ranks_and_is_told_once(glasses, tmp_path):
    """Rank 0 alone sees that the folder belongs to another glass."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run/job.toml").write_text('composition = "B2O3"\n')
    code, text = glasses(2, "quench", "--config", "job.toml", "--out", "run")
    assert code == ERROR and text.count("holds a run with other settings") == 1, text
