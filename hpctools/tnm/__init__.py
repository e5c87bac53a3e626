"""Tool-Narayanaswamy-Moynihan model of the glass transition: DSC scans, and grids of them."""

import importlib
from typing import Any

_MODULES = {
    "Estimate": "estimation",
    "Estimates": "estimation",
    "GridFile": "grid_file",
    "Hold": "program",
    "Noise": "residuals",
    "ParameterError": "model",
    "Program": "program",
    "ProgramError": "program",
    "Result": "refinement",
    "Scan": "scans",
    "ScanError": "scans",
    "Summary": "simulator",
    "Windows": "simulator",
    "bounds": "cramer_rao",
    "estimate": "estimation",
    "estimate_many": "estimation",
    "fit": "refinement",
    "fit_many": "refinement",
    "load": "measurements",
    "open_grid": "grid_file",
    "predict": "prediction",
    "scan": "scans",
    "simulate": "simulator",
    "simulate_windows": "simulator",
    "windows": "simulator",
}

__all__ = list(_MODULES)


def __getattr__(name: str) -> Any:
    """Public names are imported at their first use: the simulator brings in numba, grid files h5py."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_MODULES[name]}", __name__), name)
