"""A campaign of liquids on three ranks: each state once, one rank a state."""

import re

import pytest

from hpctools.liquids.library import Library
from hpctools.stop import COMPLETE, USAGE

DESIGN = """
[settings]
particles = 200
melt_time = 1.0
blocks = 8
equilibration_relaxations = 3.0
production_relaxations = 5.0
production_time = 10.0
temperature_tolerance = 0.5

[[states]]
potentials = ["WCA"]
densities = [1.2]
temperatures = [1.5, 2.0]
seeds = [1, 2]
"""


@pytest.fixture
def campaign(run_campaign, tmp_path):
    """campaign(ranks, *options): of the design above."""
    (tmp_path / "design.toml").write_text(DESIGN)
    return lambda ranks, *options: run_campaign(ranks, "design.toml", *options)


def test_three_ranks_share_the_states(campaign, tmp_path):
    code, text = campaign(3, "--out", "library")
    assert code == COMPLETE, text
    assert sorted(re.findall(r"finished (\S+):", text)) == sorted(
        f"WCA-rho1.2-T{t}-N200-seed{s}" for t in ("1.5", "2") for s in (1, 2))
    library = Library.load(tmp_path / "library")
    assert [entry.state for entry in library.entries] == [("WCA", 1.2, 1.5)] * 2 + [("WCA", 1.2, 2.0)] * 2
    assert not list((tmp_path / "library/runs").iterdir())
    one, other = (entry.record.attributes["potential_energy"] for entry in library.entries[:2])
    assert one != other, "seeds must be independent"
    code, text = campaign(3, "--out", "library")
    assert code == COMPLETE and "finished" not in text, text


def test_local_workers(campaign, tmp_path):
    code, text = campaign(1, "--out", "library", "--workers", "2")
    assert code == COMPLETE, text
    assert len(list((tmp_path / "library").glob("*.h5"))) == 4


def test_one_state_on_two_ranks_is_refused(make_job, tmp_path):
    """And does not wait for ever."""
    code, text = make_job(tmp_path, ("-m", "hpctools.liquids"))(2, "run", "--out", "one", "--dry-run")
    assert code == USAGE and text.count("error: ") == 1 and "found 2 ranks" in text and "campaign" in text, text
    assert not (tmp_path / "one").exists()


def test_workers_under_mpiexec_are_refused(campaign):
    code, text = campaign(2, "--out", "library", "--workers", "2")
    assert code == USAGE and "each rank is a worker" in text, text
