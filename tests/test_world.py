"""World without a launcher, launcher detection, and the abort hook."""

import subprocess
import sys

import pytest

from hpctools import world
from hpctools.world import LaunchError, World, connect, device_index, launcher


def test_one_rank_needs_no_mpi():
    one = connect({})
    assert (one.rank, one.size, one.local_rank, one.comm) == (0, 1, 0, None)
    one.barrier()
    assert one.bcast("a") == "a" and one.gather(3) == [3]
    assert one.max(2) == one.min(2) == one.sum(2) == 2


def test_import_and_start_do_not_load_mpi():
    code = ("import sys; from hpctools import world, stop, progress, config, store; world.start();"
            "assert not {'mpi4py', 'mpi4py.MPI', 'h5py'} & set(sys.modules)")
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize("environ, expected", [
    ({}, None),
    ({"PMI_SIZE": "4", "PMI_RANK": "3"}, (4, 3)),
    ({"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "1"}, (2, 1)),
    ({"SLURM_STEP_NUM_TASKS": "8", "SLURM_PROCID": "5"}, (8, 5)),
    # mpiexec inside a Slurm job: Slurm's numbers are those of the node proxies
    ({"SLURM_STEP_NUM_TASKS": "2", "SLURM_PROCID": "1", "PMI_SIZE": "6", "PMI_RANK": "4"}, (6, 4)),
    # a batch script is no step, whatever number of tasks the job has
    ({"SLURM_JOB_ID": "7", "SLURM_NTASKS": "8", "SLURM_PROCID": "0"}, None),
    ({"PMIX_RANK": "2"}, (0, 2)),
    ({"PMI_SIZE": "4", "PMI_RANK": "3", "HPCTOOLS_MPI": "off"}, None),
])
def test_launcher(environ, expected):
    found = launcher(environ)
    assert (found and found[1:]) == expected


def test_one_task_starts_no_mpi():
    assert connect({"PMI_SIZE": "1", "PMI_RANK": "0"}).comm is None


def test_missing_mpi4py_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    with pytest.raises(LaunchError, match="started 4 tasks, but mpi4py does not work here"):
        connect({"PMI_SIZE": "4", "PMI_RANK": "1"})


def test_singletons_are_refused():
    """As under `srun --mpi=none`: Slurm says four tasks, MPI says one."""
    pytest.importorskip("mpi4py.MPI", reason="needs mpi4py with an MPI library", exc_type=ImportError)
    code = "from hpctools import world; world.start(); print('went on')"
    environ = {"SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "0"}
    done = subprocess.run([sys.executable, "-c", code],
                          env={**_clean_environ(), **environ}, capture_output=True, text=True, timeout=60,
                          check=False)
    assert done.returncode == 2 and "went on" not in done.stdout
    assert "MPI" in done.stderr and "sees one rank" in done.stderr and "srun --mpi=pmi2" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("local_rank, visible, expected", [(0, 1, 0), (3, 1, 0), (5, 4, 1), (2, 8, 2)])
def test_device_index(local_rank, visible, expected):
    assert device_index(local_rank, visible) == expected


def test_device_index_without_devices():
    with pytest.raises(ValueError, match="no GPU is visible to node-local rank 2"):
        device_index(2, 0)


def test_user_errors_are_one_line():
    code = ("from hpctools import world\nworld.start()\n"
            "raise world.LaunchError('file x: found a, expected b')")
    done = subprocess.run([sys.executable, "-c", code], env=_clean_environ(), capture_output=True, text=True,
                          timeout=60, check=False)
    assert done.returncode == 1 and done.stderr == "error: file x: found a, expected b\n"


def test_exit_of_one_rank():
    with pytest.raises(SystemExit) as left:
        World().exit(75)
    assert left.value.code == 75


def _clean_environ():
    import os

    names = {name for row in world._LAUNCHERS for name in row[1:]} | {"PMIX_RANK", "HPCTOOLS_MPI"}
    return {key: value for key, value in os.environ.items() if key not in names}
