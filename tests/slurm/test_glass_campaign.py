"""A short campaign of glasses on two nodes: by the batch script with a signal, and by submitit with a dead node."""

from pathlib import Path

import numpy as np
import pytest

from cluster import Cluster, job_numbers
from hpctools.glasses import record

DESIGN = """
protocol = "fast"
hot_timestep = 1.0
disorder_time = 0.2
melt_time = 2.0
melt_temperature = 3000.0
rate = 1350.0
hold_time = 0.2
relax_time = 0.5
production_time = 0.5
frame_time = 0.05
sample_time = 0.1
restart_time = 0.5
atoms = 150
seeds = [1, 2]

[[glass]]
composition = "SiO2"

[[glass]]
composition = "60SiO2-20B2O3-20Na2O"
"""
STEPS = 5_400


@pytest.fixture
def design(tmp_path: Path) -> Path:
    path = tmp_path / "design.toml"
    path.write_text(DESIGN)
    return path


def begun(out: Path) -> int:
    return len(list(out.glob("runs/*/state.json")))


def check(out: Path) -> None:
    """All four glasses are there, whole, and at least one of them was resumed."""
    found = [record.read(path) for path in sorted(out.glob("*.h5"))]
    assert [(r.attributes["composition"], r.attributes["seed"]) for r in found] == [
        ("60SiO2-20B2O3-20Na2O", 1), ("60SiO2-20B2O3-20Na2O", 2), ("SiO2", 1), ("SiO2", 2)]
    for r in found:
        assert r.attributes["steps"] == STEPS
        np.testing.assert_allclose(r.data["thermo"][:, 0], np.arange(1, STEPS // 100 + 1) * 0.1, rtol=1e-6)
    resumed = [path.read_text().count("read_restart") for path in out.glob("runs/*/log.lammps")]
    assert len(resumed) == 4 and max(resumed) >= 1


def test_batch_script_stops_at_a_signal_and_goes_on(cluster: Cluster, design: Path, tmp_path: Path):
    out = tmp_path / "out"
    job = cluster.script(tmp_path, "glass_campaign.sh", design, "--out", out, options=("--array=0",))
    cluster.until(lambda: begun(out) == 2, 120, "no two glasses begun")
    cluster.interrupt(job, tmp_path)
    check(out)


def test_array_goes_on_after_a_node_dies(cluster: Cluster, design: Path, tmp_path: Path):
    out = tmp_path / "out"
    # with two CPUs a rank each job has a node of its own
    words = ("glass_campaign.py", design, "--out", out)
    jobs = job_numbers(cluster.launch(*words, "--jobs", 2, "--cpus", 2, "--minutes", 8))
    assert len(jobs) == 2
    cluster.until(lambda: begun(out) == 2, 120, "no two glasses begun")
    cluster.kill_node("n2")
    cluster.restart_node("n2")
    for job in jobs:
        cluster.wait(job, timeout=240)
    check(out)
    shown = cluster.launch(*words, "--status")
    assert "4 done" in shown and "2 COMPLETED" in shown, shown
