"""A short campaign of liquids on two nodes: by the batch script with a signal, and by submitit with a dead node."""

from pathlib import Path

import pytest

from cluster import Cluster, job_numbers
from hpctools.liquids.record import Record
from hpctools.liquids.run import campaign_of

DESIGN = """
[settings]
particles = 200
melt_time = 2.0
blocks = 8
equilibration_relaxations = 4.0
production_relaxations = 10.0
production_time = {time}
temperature_tolerance = 0.5

[[states]]
potentials = ["WCA"]
densities = [1.2]
temperatures = [1.0, 1.2]
seeds = [1, 2]
"""


@pytest.fixture
def design(tmp_path: Path) -> Path:
    path = tmp_path / "design.toml"
    path.write_text(DESIGN.format(time=400.0))
    return path


def records(design: Path, out: Path) -> list[Record]:
    campaign = campaign_of(str(design), out)
    return [Record.load(campaign.product(task)) for task in campaign.tasks]


def begun(out: Path) -> int:
    return len(list(out.glob("runs/*/trajectory.gsd")))


def test_batch_script_stops_at_a_signal_and_goes_on(cluster: Cluster, design: Path, tmp_path: Path):
    out = tmp_path / "out"
    job = cluster.script(tmp_path, "liquid_campaign.sh", design, "--out", out, options=("--array=0",))
    cluster.until(lambda: begun(out) == 2, 120, "no two states begun")
    cluster.interrupt(job, tmp_path)
    found = records(design, out)
    assert len(found) == 4
    assert sum(record.attributes["restarts"] for record in found) >= 1
    assert max(record.attributes["worst_join"] for record in found) < 1e-6


def test_array_goes_on_after_a_node_dies(cluster: Cluster, design: Path, tmp_path: Path):
    out = tmp_path / "out"
    words = ("liquid_campaign.py", design, "--out", out)
    jobs = job_numbers(cluster.launch(*words, "--jobs", 2, "--minutes", 8))
    assert len(jobs) == 2
    cluster.until(lambda: begun(out) == 2, 120, "no two states begun")
    cluster.kill_node("n1")
    cluster.restart_node("n1")
    for job in jobs:
        cluster.wait(job, timeout=240)
    found = records(design, out)
    assert len(found) == 4
    assert sum(record.attributes["restarts"] for record in found) >= 1
    shown = cluster.launch(*words, "--status")
    assert "4 done" in shown and "2 COMPLETED" in shown, shown
