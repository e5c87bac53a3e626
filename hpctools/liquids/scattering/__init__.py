"""Kernels of the scattering functions: densities in reciprocal space and self parts.

Each backend (`cpu`: numba, `cuda`: CuPy, `host`: the source of the CUDA kernel built for the host) has the functions

    densities(fractional, bounds, n)       ρ_a(k) of each species, see cpu.py
    self_parts(displacement, bounds, k)    F_s, ⟨r²⟩, ⟨r⁴⟩ of each species
    device_name()                          for provenance

Particles are sorted by species; `bounds` (n_species + 1,) says which rows belong to which.
"""

from __future__ import annotations

from types import ModuleType

from hpctools import kernels

VARIABLE = "HPCTOOLS_SCATTERING_BACKEND"


def choose(name: str | None = None) -> ModuleType:
    """The backend by one rule: the option, else this environment variable, else cuda where a device is, else cpu."""
    return kernels.choose(__name__, VARIABLE, name)
