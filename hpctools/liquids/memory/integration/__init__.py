"""Kernels that solve the scalar memory equation for many M(t) at once.

Each backend (`cpu`: numba, `cuda`: CuPy, `host`: the source of the CUDA kernel built for the host) has the functions

    stretched(t, c, v, tau, b)                    M (n_t, batch) of sums of stretched exponentials
    upload(M)                                     M (n_t, batch) from an array of the host
    integrate(M, step, block, inertia, omega2)    X = 1 - F(t)/F(0), see cpu.py
    sample(coarse, fine, shared, at, weights)     both solutions, extrapolated and interpolated: F/F(0) (batch, n_out)
    device_name()                                 for provenance

M and X stay in the backend's memory between them.
"""

from __future__ import annotations

from types import ModuleType

from hpctools import kernels

VARIABLE = "HPCTOOLS_MEMORY_BACKEND"


def choose(name: str | None = None) -> ModuleType:
    """The backend by one rule: the option, else this environment variable, else cuda where a device is, else cpu."""
    module = kernels.choose(__name__, VARIABLE, name)
    if module.__name__.endswith(".cuda"):
        kernels.device_count()  # says so where there is none
    return module
