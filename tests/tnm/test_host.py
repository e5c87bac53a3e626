"""The C++ kernel built for the host against the numba kernel."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy.stats import qmc

from hpctools import kernels
from hpctools.tnm import Program, simulate, simulate_windows
from hpctools.tnm.backends import BackendError
from hpctools.tnm.grid import PAPER
from hpctools.tnm.model import GAS_CONSTANT, reference_temperature
from hpctools.tnm.program import Hold

host = pytest.importorskip("hpctools.tnm.host")
pytestmark = pytest.mark.skipif(
    not any(shutil.which(name) for name in ("c++", "g++", "clang++")), reason="no C++ compiler"
)


def box(n: int, seed: int = 0) -> np.ndarray:
    """Sobol points over the box of the paper, β on its grid."""
    u = qmc.Sobol(4, seed=seed).random(n)
    dh = 2e5 + 1e6 * u[:, 0]
    t_low, t_high = reference_temperature(-630.0, 12e5), PAPER.edge(dh, PAPER.edge_coefficient)
    cold, hot = (np.log(100) - dh / (GAS_CONSTANT * t) for t in (t_low, t_high))
    beta = np.round(0.2 + 0.8 * u[:, 3], 2)
    return np.column_stack([cold + (hot - cold) * u[:, 1], dh, 0.2 + 0.8 * u[:, 2], beta])


def test_agrees_with_numba_over_the_box():
    """Relative 1e-10 in float64 on at least 500 samples with CpN_max ≤ 20. Where neither compiler has its own exp
    and log the difference is zero."""
    parameters = box(1024, seed=3)
    cpu = simulate_windows(parameters, backend="cpu", dtype=np.float64)
    cpp = simulate_windows(parameters, backend="host", dtype=np.float64)
    smooth = np.flatnonzero(cpu.summary.cpn_max.max(axis=1) <= 20)
    assert smooth.size >= 500
    error = [
        np.abs(cpu[i] - cpp[i]).max() / max(1.0, cpu.summary.cpn_max[i].max()) for i in smooth
    ]  # fmt: skip
    print(f"{smooth.size} samples, largest relative difference {max(error):.1e}")
    assert max(error) <= 1e-10
    assert np.abs(cpu.summary.tf_limit - cpp.summary.tf_limit).max() <= 1e-7


@pytest.mark.parametrize(
    "program",
    [
        Program(cooling_rates=(1.0, 30.0), heating_rates=(5.0, 20.0), step=0.25),
        Program(cooling_rates=(10.0,), holds=(Hold(60.0, 300.0), Hold(20.0, 60.0))),
        Program(cooling_rates=(10.0,), low_celsius=-100.0, high_celsius=400.0, grid_low_celsius=0.0),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_programs_and_full_signals(program: Program, dtype: type):
    materials = np.array([[-79.21, 38.3e3 * GAS_CONSTANT, 0.57, 0.71], [-125.0, 42.638e3 * GAS_CONSTANT, 0.70, 0.80]])
    cpu = simulate(materials, program, "cpu", dtype=dtype)
    assert np.abs(cpu - simulate(materials, program, "host", dtype=dtype)).max() <= np.finfo(dtype).eps * 100
    assert cpu.dtype == dtype


def test_missing_compiler_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path):
    monkeypatch.setenv("HPCTOOLS_CACHE", str(tmp_path))
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(BackendError, match=r"no-such-compiler cannot be found.*backend 'cpu'"):
        host.build()


def test_failed_build_shows_the_message(monkeypatch: pytest.MonkeyPatch, tmp_path):
    monkeypatch.setenv("HPCTOOLS_CACHE", str(tmp_path))
    monkeypatch.setattr(host, "source", lambda: "#error not a kernel\n")
    with pytest.raises(BackendError, match="not a kernel"):
        host.build()
    assert list(tmp_path.iterdir()) == []


def test_builds_at_once_leave_one_library(monkeypatch: pytest.MonkeyPatch, tmp_path):
    """Ranks that start together build apart and rename; a second build finds the first one's library."""
    monkeypatch.setenv("HPCTOOLS_CACHE", str(tmp_path))
    monkeypatch.setattr(host, "source", lambda: 'extern "C" int one() { return 1; }\n')
    with ThreadPoolExecutor(3) as pool:
        paths = set(pool.map(lambda _: host.build(), range(3)))
    assert len(paths) == 1
    assert list(tmp_path.iterdir()) == list(paths)
    monkeypatch.setattr(kernels.subprocess, "run", _only_version(kernels.subprocess.run))
    assert host.build() in paths


def _only_version(run):
    def guarded(command, **options):
        assert command[1:] == ["--version"]
        return run(command, **options)

    return guarded
