"""MPI, and HDF5 on it, as the other tests rely on them."""

from pathlib import Path

import h5py
import numpy as np
import pytest


@pytest.mark.mpi(ranks=2)
def test_ranks_see_each_other(mpi_ranks, comm):
    assert comm.size == mpi_ranks
    assert comm.allreduce(comm.rank) == sum(range(mpi_ranks))


@pytest.mark.mpi(ranks=2)
@pytest.mark.skipif(not h5py.get_config().mpi, reason="h5py has no MPI")
def test_collective_compressed_write(mpi_ranks, comm, mpi_tmp_path: Path):
    """One rank of two has nothing to write: the collective call must not hang."""
    path = mpi_tmp_path / "collective.h5"
    values = np.linspace(0, 1, 1000, dtype=np.float32)
    if comm.rank == 0:
        with h5py.File(path, "w") as file:
            file.create_dataset("values", (1000,), "f4", chunks=(500,), compression="gzip", shuffle=True)
    comm.barrier()

    with h5py.File(path, "r+", driver="mpio", comm=comm) as file:
        dataset = file["values"].id
        collective = h5py.h5p.create(h5py.h5p.DATASET_XFER)
        collective.set_dxpl_mpio(h5py.h5fd.MPIO_COLLECTIVE)
        space, memory = dataset.get_space(), h5py.h5s.create_simple((1000,))
        if comm.rank == 1:
            space.select_none()
            memory.select_none()
        dataset.write(memory, space, values, dxpl=collective)

    comm.barrier()
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file["values"][:], values)
