"""The test cluster itself, and what the batch scripts rely on Slurm for."""

import sys
from pathlib import Path

import pytest

from cluster import REPOSITORY, Cluster, why_not

PYTHON = sys.executable


def script(path: Path, body: str) -> Path:
    path.write_text(f"#!/bin/bash\n{body}\n")
    return path


def test_two_nodes_and_their_gpus(cluster: Cluster):
    shown = cluster.run("sinfo", "-h", "-N", "-p", "main", "-o", "%N %T %c %G").splitlines()
    assert shown == ["n1 idle 2 gpu:2", "n2 idle 2 gpu:2"]


def test_mpi_ranks_on_both_nodes(cluster: Cluster):
    program = ("import os; from mpi4py.MPI import COMM_WORLD as c; "
               "print(c.rank, c.size, c.allreduce(c.rank), os.environ['SLURMD_NODENAME'])")
    out = cluster.run("srun", "-N2", "-n4", "--mpi=pmi2", PYTHON, "-c", program)
    assert sorted(out.splitlines()) == ["0 4 6 n1", "1 4 6 n1", "2 4 6 n2", "3 4 6 n2"]


def test_each_task_sees_one_gpu(cluster: Cluster):
    out = cluster.run("srun", "-N2", "-n4", "--gpus-per-task=1", "bash", "-c",
                      "echo $SLURMD_NODENAME $CUDA_VISIBLE_DEVICES")
    assert sorted(out.splitlines()) == ["n1 0", "n1 1", "n2 0", "n2 1"]


def test_gpu_script_gives_each_rank_one_device(cluster: Cluster, tmp_path: Path):
    """The options of slurm/tnm_grid_gpu.sh, with a step that says what it sees in place of the grid."""
    options = [line for line in (REPOSITORY / "slurm/tnm_grid_gpu.sh").read_text().splitlines()
               if line.startswith("#SBATCH")]
    body = """
        source $HPCTOOLS_ROOT/slurm/job.sh
        run_step_and_finish bash -c 'echo $SLURMD_NODENAME $CUDA_VISIBLE_DEVICES'"""
    job = cluster.sbatch("-N2", "-n4", f"--output={tmp_path}/log",
                         script(tmp_path / "job.sh", "\n".join(options) + body),
                         env={"HPCTOOLS_ROOT": str(REPOSITORY)})
    cluster.wait(job)
    log = (tmp_path / "log").read_text().splitlines()
    assert sorted(line for line in log if line.startswith("n")) == ["n1 0", "n1 1", "n2 0", "n2 1"]


def test_job_that_exits_with_75_is_run_again(cluster: Cluster, tmp_path: Path):
    job = cluster.sbatch("--requeue", "--open-mode=append", f"--output={tmp_path}/log",
                         script(tmp_path / "job.sh", "echo run ${SLURM_RESTART_COUNT:-0}\n"
                                                     "[[ -v SLURM_RESTART_COUNT ]] || exit 75"))
    cluster.wait(job)
    assert (tmp_path / "log").read_text() == "run 0\nrun 1\n"


def test_job_of_a_killed_node_is_run_again(cluster: Cluster, tmp_path: Path):
    """n2 has only tasks of the job; n1, which has the batch script too, dies in test_tnm_grid.py."""
    body = """\
        srun bash -c 'echo $SLURMD_NODENAME; [[ -v SLURM_RESTART_COUNT ]] || sleep 60'"""
    job = cluster.sbatch("-N2", "--ntasks-per-node=1", "--requeue", "--open-mode=append",
                         f"--output={tmp_path}/log", script(tmp_path / "job.sh", body))
    cluster.wait_for_log(tmp_path / "log", "n1\n", "n2\n")
    cluster.kill_node("n2")
    cluster.wait(job, ["PENDING"])
    cluster.restart_node("n2")
    cluster.wait(job)
    assert cluster.job(job)["Restarts"] == "1"


@pytest.fixture(params=["1,70-80", ""], ids=["RequeueExit", "no RequeueExit"])
def any_site(request: pytest.FixtureRequest):
    if reason := why_not():
        pytest.skip(reason)
    with Cluster(requeue_exit=request.param) as cluster:
        yield cluster


def test_scripts_requeue_once_whatever_the_site_does(any_site: Cluster, tmp_path: Path):
    """Ranks that stop one after the other with 75 are run again exactly once."""
    program = "sleep 0.$SLURM_PROCID; [[ -v SLURM_RESTART_COUNT ]] || exit 75"
    body = f"""\
        source $HPCTOOLS_ROOT/slurm/job.sh
        run_step_and_finish bash -c '{program}'"""
    job = any_site.sbatch("-N2", "-n4", "--requeue", "--open-mode=append", f"--output={tmp_path}/log",
                          script(tmp_path / "job.sh", body), env={"HPCTOOLS_ROOT": str(REPOSITORY)})
    any_site.wait(job)
    log = (tmp_path / "log").read_text()
    assert any_site.job(job)["Restarts"] == "1", log
    assert "exit 75" in log and "exit 0" in log
