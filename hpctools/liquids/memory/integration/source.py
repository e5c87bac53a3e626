"""Source of the C++ kernels, for the backends cuda and host."""

from __future__ import annotations

from pathlib import Path

BLOCK = 64
"""Threads of a block on the device: batches have thousands of candidates at most, so small blocks fill more of it."""


def source() -> str:
    """The complete C++ source."""
    return f"#define MEMORY_BLOCK {BLOCK}\n" + Path(__file__).with_name("kernel.h").read_text(encoding="utf-8")
