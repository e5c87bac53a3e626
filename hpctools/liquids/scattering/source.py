"""Source of the C++ kernels and the shape of their work, for the backends cuda and host."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np

from .cpu import SMALL

BLOCK = 128
"""Threads of a block on the device."""

CHUNK = 64
"""Particles of a thread: with N = 1800 and 5,000 sets of wave vectors a frame keeps 150,000 threads busy."""


def source() -> str:
    """The complete C++ source."""
    constants = {"BLOCK": BLOCK, "TWO_PI": repr(2 * np.pi), "SMALL": repr(SMALL)}
    text = Path(__file__).with_name("kernel.h").read_text(encoding="utf-8")
    return "".join(f"#define LIQUID_{name} {value}\n" for name, value in constants.items()) + text


def chunks(bounds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Chunks of particles, none across two species: (n_chunks + 1,) int32 first particles, and the first chunk of
    each species (n_species,)."""
    starts = [np.arange(low, high, CHUNK) for low, high in itertools.pairwise(bounds)]
    first = np.cumsum([0] + [len(part) for part in starts[:-1]])
    return np.concatenate([*starts, bounds[-1:]]).astype(np.int32), first
