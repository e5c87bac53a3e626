"""Tool-Narayanaswamy-Moynihan model of the glass transition."""

from .model import ParameterError
from .program import Hold, Program, ProgramError
from .simulator import Summary, Windows, simulate, simulate_windows, windows

__all__ = [
    "Hold",
    "ParameterError",
    "Program",
    "ProgramError",
    "Summary",
    "Windows",
    "simulate",
    "simulate_windows",
    "windows",
]
