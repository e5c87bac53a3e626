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

import importlib
import os
from types import ModuleType

MODULES = {"cpu": ".cpu", "cuda": ".cuda", "host": ".host"}


class BackendError(RuntimeError):
    """A backend that is unknown or cannot run here."""

    user_error = True


def choose(name: str | None = None) -> ModuleType:
    """The backend by one rule: the option, else HPCTOOLS_TNM_BACKEND, else cuda where a device is, else cpu."""
    name = name or os.environ.get("HPCTOOLS_TNM_BACKEND") or ("cuda" if _device_present() else "cpu")
    if name not in MODULES:
        raise BackendError(f"backend {name!r} is unknown; expected one of {', '.join(MODULES)}")
    return importlib.import_module(MODULES[name], __package__)


def _device_present() -> bool:
    if not os.path.exists("/dev/nvidiactl"):
        return False
    try:
        import cupy

        return bool(cupy.cuda.runtime.getDeviceCount() > 0)
    except Exception:  # CuPy is absent or finds no driver: then there is no device to use
        return False
