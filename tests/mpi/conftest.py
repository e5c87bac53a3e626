"""Real MPI for the tests: which mpiexec belongs to this Python, and how to run a program under it."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

DRIVER = Path(__file__).with_name("store_driver.py")
ROOT = Path(__file__).parents[2]


def parallel_hdf5():
    import h5py

    return bool(h5py.get_config().mpi)


def find_mpiexec():
    """HPCTOOLS_MPIEXEC, else Debian's with parallel HDF5, else this environment's, else that on PATH."""
    if chosen := os.environ.get("HPCTOOLS_MPIEXEC"):
        return chosen
    own = Path(sys.executable).with_name("mpiexec")
    if parallel_hdf5():
        return shutil.which("mpiexec.mpich") or shutil.which("mpiexec")
    return str(own) if own.exists() else shutil.which("mpiexec")


class Job:
    """Runs a program on some ranks, the store's driver if not told otherwise; everything it starts is in a process
    group of its own."""

    def __init__(self, folder, program=(str(DRIVER),)):
        self.folder = folder
        self.program = program
        self.mpiexec = find_mpiexec()

    def start(self, ranks, *arguments):
        command = [sys.executable, *self.program, *map(str, arguments)]
        if ranks > 1:
            if self.mpiexec is None:
                pytest.skip("no mpiexec: install the mpich wheel, or set HPCTOOLS_MPIEXEC")
            command = [self.mpiexec, "-n", str(ranks), *command]
        environ = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                env=environ, cwd=self.folder, start_new_session=True)

    def wait(self, process, timeout=60):
        """(exit code, output) of a started job; it is ended with all its ranks when it takes too long."""
        try:
            text, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            text, _ = process.communicate()
            pytest.fail(f"the job hangs; so far it printed:\n{text}")
        return process.returncode, text

    def __call__(self, ranks, *arguments):
        return self.wait(self.start(ranks, *arguments))

    def ranks_of(self, out):
        """Process ids of the ranks that write `out`: mpiexec puts them into process groups of their own."""
        found = []
        for place in Path("/proc").glob("[0-9]*"):
            try:
                words = (place / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if str(out).encode() in words and b"-n" not in words:
                found.append(int(place.name))
        return found


@pytest.fixture(scope="module")
def reference_file(tmp_path_factory):
    """The result of one process without MPI."""
    folder = tmp_path_factory.mktemp("reference")
    code, text = Job(folder)(1, folder / "one.h5")
    assert code == 0, text
    return folder / "one.h5"


@pytest.fixture
def run_grid(tmp_path):
    """run_grid(ranks, *options) -> (exit code, output) of the TNM grid job in the test's folder."""
    return Job(tmp_path, ("-m", "hpctools.tnm"))


@pytest.fixture
def run_observe(tmp_path):
    """run_observe(ranks, trajectory, out, *options) -> (exit code, output) of the measurement of a liquid."""
    return Job(tmp_path, ("-m", "hpctools.liquids", "observe"))


@pytest.fixture
def run_campaign(tmp_path):
    """run_campaign(ranks, design, *options) -> (exit code, output) of a campaign of liquids in the test's folder."""
    return Job(tmp_path, ("-m", "hpctools.liquids", "campaign"))


@pytest.fixture
def run_job(tmp_path):
    """run_job(ranks, out, *options) -> (exit code, output) of the driver in the test's folder."""
    return Job(tmp_path)


@pytest.fixture(scope="session")
def make_job():
    """make_job(folder, program) -> a Job."""
    return Job
