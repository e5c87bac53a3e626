"""Glasses on two ranks: one glass over both, and a campaign of one glass a rank."""

import re

import pytest

from hpctools.glasses import record, trajectory
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
def glasses(run_glasses, tmp_path):
    """glasses(ranks, *words): a command; job.toml, long.toml and design.toml lie there."""
    (tmp_path / "job.toml").write_text(SETTINGS.format(melt=0.5))
    (tmp_path / "long.toml").write_text(SETTINGS.format(melt=1000.0))
    (tmp_path / "design.toml").write_text(SETTINGS.format(melt=0.5) + 'seeds = [1, 2]\n[[glass]]\ncomposition = "SiO2"')
    return run_glasses


def test_one_glass_over_two_ranks(glasses, tmp_path):
    code, text = glasses(2, "quench", "--config", "job.toml", "--out", "two")
    assert code == COMPLETE and text.count("complete: two/record.h5") == 1, text
    code, text = glasses(1, "quench", "--config", "job.toml", "--out", "one")
    assert code == COMPLETE, text
    one, two = (record.read(tmp_path / name / "record.h5") for name in ("one", "two"))
    # the same start; the random forces of the first melting then differ
    first, second = (next(trajectory.read(tmp_path / name / "quench.lammpstrj")) for name in ("one", "two"))
    assert first.positions == pytest.approx(second.positions, abs=2e-4)
    assert one.attributes["steps"] == two.attributes["steps"] == 2900
    assert one.listed("atoms") == two.listed("atoms")


def test_both_ranks_stop_together_and_go_on(glasses, tmp_path):
    words = ("quench", "--config", "long.toml", "--out", "run", "--margin", 0, "--wall-time", 0.04)
    code, text = glasses(2, *words)
    assert code == STOPPED and text.count("stopped (wall time") == 1, text
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


def test_an_error_of_all_ranks_is_told_once(glasses):
    code, text = glasses(2, "quench", "--config", "job.toml", "--out", "run", "--overlap", "3")
    assert code == ERROR and text.count("atoms found a place 3 Å from all others") == 1, text
