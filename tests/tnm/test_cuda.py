"""The backend "cuda" on a device. Its arithmetic is not that of the CPU backends, and the error of the method, 1e-6 to
1e-4 of CpN_max, depends on the last bits (see cpu.py): hence the tolerances."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import qmc

from hpctools.tnm import ParameterError, Program, simulate, simulate_windows
from hpctools.tnm.backends import BackendError
from hpctools.tnm.grid import PAPER
from hpctools.tnm.model import GAS_CONSTANT, reference_temperature

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def cuda():
    try:
        from hpctools.tnm import cuda as module

        module.device_count()
    except BackendError as error:
        pytest.skip(str(error))
    return module


def box(n: int, betas: np.ndarray | None = None) -> np.ndarray:
    """Sobol points over the box of the paper; β drawn from the given values, else rounded to 0.01."""
    u = qmc.Sobol(4, seed=11).random(n)
    dh = 2e5 + 1e6 * u[:, 0]
    t_low, t_high = reference_temperature(-630.0, 12e5), PAPER.edge(dh, PAPER.edge_coefficient)
    cold, hot = (np.log(100) - dh / (GAS_CONSTANT * t) for t in (t_low, t_high))
    beta = np.round(0.2 + 0.8 * u[:, 3], 2) if betas is None else betas[(u[:, 3] * len(betas)).astype(int)]
    return np.column_stack([cold + (hot - cold) * u[:, 1], dh, 0.2 + 0.8 * u[:, 2], beta])


@pytest.mark.parametrize("betas", [None, np.array([0.24, 0.5, 0.98])])
def test_agrees_with_numba(cuda, betas: np.ndarray | None):
    """For many β (the scans of a sample lie side by side) and for few (samples lie side by side)."""
    parameters = box(1024, betas)
    cpu = simulate_windows(parameters, backend="cpu", dtype=np.float64)
    gpu = simulate_windows(parameters, backend="cuda", dtype=np.float64)
    smooth = np.flatnonzero(cpu.summary.cpn_max.max(axis=1) <= 20)
    assert smooth.size >= 500
    error = np.array([np.abs(cpu[i] - gpu[i]).max() / max(1.0, cpu.summary.cpn_max[i].max()) for i in smooth])
    print(f"{smooth.size} samples, largest relative difference {error.max():.1e}, median {np.median(error):.1e}")
    assert error.max() <= 2e-4
    assert np.quantile(error, 0.9) <= 5e-6
    assert np.abs(cpu.summary.tf_limit - gpu.summary.tf_limit).max() <= 1e-3


def test_full_and_windowed_are_the_same_curve(cuda):
    parameters = box(64)
    full = simulate(parameters, backend="cuda", dtype=np.float64)
    windowed = simulate_windows(parameters, backend="cuda", dtype=np.float64)
    smooth = np.flatnonzero(windowed.summary.cpn_max.max(axis=1) <= 6)
    assert max(np.abs(full[i] - windowed.full(i)).max() for i in smooth) <= 2e-4
    assert np.array_equal(np.unique(full[0][:, [0, -1]]), [0.0, 1.0])


def test_single_precision(cuda):
    parameters = box(64)
    double = simulate_windows(parameters, backend="cuda", dtype=np.float64)
    single = simulate_windows(parameters, backend="cuda")
    smooth = np.flatnonzero(double.summary.cpn_max.max(axis=1) <= 6)
    assert single.values.dtype == np.float32
    assert max(np.abs(single[i] - double[i]).max() for i in smooth) <= 2e-4


def test_torch_shares_the_memory(cuda):
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("this torch has no CUDA")
    scans = cuda.simulate_device(box(16))
    tensor = torch.from_dlpack(scans.values)
    assert tensor.data_ptr() == scans.values.data.ptr
    assert tuple(tensor.shape) == (16, 6, 18501) and tensor.dtype == torch.float32 and tensor.is_cuda
    assert np.array_equal(tensor.cpu().numpy(), scans.values.get())


def test_errors_are_those_of_the_other_backends(cuda):
    with pytest.raises(ParameterError, match="sample 1"):
        cuda.simulate_device(np.vstack([box(1), [[-630.0, 12e5, 0.5, 1.5]]]))
    with pytest.raises(ParameterError, match="no equilibrium liquid"):
        cuda.simulate_device([[-133.0, 42.8e3 * GAS_CONSTANT, 0.5, 0.6]], Program(high_celsius=30.0))
