"""Choice of the simulator's backend.

Each backend is a module with the same functions:

    simulate_into(parameters, tables, which, plan, start, points, offset, out, summary)
        parameters (n, 4); tables: spectrum.TableStack; which (n,): the table of each sample; plan: simulator.Plan;
        start, points (n,): windows on the output grid; offset (n + 1,): their places in `out`, flat, float32 or
        float64; summary (n, scans, 6): Tf', CpN_max, T of the peak, CpN at the start and at the end, status.
    device_name() -> str

The backend "cuda" also has simulate_device, whose results stay in device memory.
"""

from __future__ import annotations

from types import ModuleType

from hpctools import kernels
from hpctools.kernels import BackendError

__all__ = ["BackendError", "choose"]


def choose(name: str | None = None) -> ModuleType:
    """The backend by one rule: the option, else HPCTOOLS_TNM_BACKEND, else cuda where a device is, else cpu."""
    return kernels.choose(__package__, "HPCTOOLS_TNM_BACKEND", name)
