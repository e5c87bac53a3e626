"""The engine HOOMD-blue, on a GPU where there is one, else on one core.

Run with HOOMD-blue 4.8 on a CPU. tests/liquids/test_engine.py tests it wherever it can be imported;
analysis/liquid_validation.py compares a state of it with that of LAMMPS.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from hpctools.whole import whole
from hpctools.world import device_index, place_on_node

from ..mixture import Mixture
from . import EngineError, Start

NAME = "hoomd"
_BUFFER = 0.3  # of the neighbour lists, in σ_AA
_NAMES = ("A", "B")
_OVERLAP = 200.0  # force in ε_AA/σ_AA above which particles overlap
_LARGEST_STEP = 0.02  # σ_AA
_OVERLAP_STEPS = 2000


def version() -> str:
    """Version of HOOMD-blue."""
    import hoomd

    return str(hoomd.version.version)


def communicator(hoomd: Any) -> Any:
    """This rank alone where HOOMD-blue is built with MPI, else None.

    Its default is one simulation over all ranks, which here hold different states. Its own partitions
    (ranks_per_partition) are made by all ranks together, which do not begin states together. Untested with MPI: the
    builds at hand were without.
    """
    if not hoomd.version.mpi_enabled:
        return None
    from mpi4py import MPI

    return hoomd.communicator.Communicator(mpi_comm=MPI.COMM_SELF)


def device_of(hoomd: Any) -> Any:
    """A GPU where there are some, else the CPU. The processes of a run on one node take its devices by turns, as hoomd
    itself does it in builds with MPI alone."""
    visible = len(hoomd.device.GPU.get_available_devices())
    options = {"communicator": communicator(hoomd), "notice_level": 0}
    if not visible:
        return hoomd.device.CPU(**options)
    return hoomd.device.GPU(gpu_id=device_index(place_on_node(), visible), **options)


class Engine:
    """See `engines.Engine`. Restart files hold positions and velocities in double precision, unlike GSD."""

    def __init__(self, mixture: Mixture, snapshot: dict[str, np.ndarray], box_length: float, dt: float) -> None:
        import hoomd

        least = 2 * (float(mixture.cutoff.max()) + _BUFFER)
        if box_length < least:
            raise EngineError(f"a box of {box_length:.4g} σ_AA; HOOMD-blue wants twice the cut-off and the neighbour "
                              f"lists' buffer, {least:g}: take more particles, or the LAMMPS engine")
        self._hoomd = hoomd
        self._mixture = mixture
        self._dt = dt
        device = device_of(hoomd)
        self._simulation: Any = hoomd.Simulation(device=device, seed=0)
        made = hoomd.Snapshot(device.communicator)
        made.configuration.box = [box_length] * 3 + [0, 0, 0]
        made.particles.N = len(snapshot["position"])
        made.particles.types = list(_NAMES)
        for name, values in snapshot.items():
            getattr(made.particles, name)[:] = values
        made.particles.mass[:] = 1.0
        self._simulation.create_state_from_snapshot(made)
        self._simulation.always_compute_pressure = False
        self._everything = hoomd.filter.All()
        self._thermo: Any = None
        self._watch()
        self._method: Any = None

    @classmethod
    def create(cls, mixture: Mixture, start: Start, dt: float) -> Engine:
        """A system at rest at the energy minimum next to the start."""
        centred = start.positions - start.box_length / 2
        engine = cls(mixture, {"position": centred, "typeid": start.species}, start.box_length, dt)
        engine._minimise()
        engine._integrate()
        return engine

    @classmethod
    def restore(cls, mixture: Mixture, path: Path, dt: float) -> Engine:
        """The system as `save` left it."""
        if not path.exists():
            raise EngineError(f"{path}: the restart file is missing; remove the folder of this state to run it anew")
        with np.load(path) as file:
            snapshot = {name: file[name] for name in ("position", "typeid", "image", "velocity")}
            engine = cls(mixture, snapshot, float(file["box_length"]), dt)
        engine._integrate()
        return engine

    def _watch(self) -> None:
        """Energies and pressure. A compute keeps what it has found at a time step: a change of velocities needs a new
        one."""
        computes = self._simulation.operations.computes
        if self._thermo is not None:
            computes.remove(self._thermo)
        self._thermo = self._hoomd.md.compute.ThermodynamicQuantities(filter=self._everything)
        computes.append(self._thermo)

    def _forces(self) -> Any:
        mixture = self._mixture
        neighbours = self._hoomd.md.nlist.Cell(buffer=_BUFFER)
        # the default mode would leave the potential unshifted
        pair = self._hoomd.md.pair.LJ(nlist=neighbours, mode="shift")
        for a, b in ((0, 0), (0, 1), (1, 1)):
            pair.params[_NAMES[a], _NAMES[b]] = {"epsilon": mixture.epsilon[a, b], "sigma": mixture.sigma[a, b]}
            pair.r_cut[_NAMES[a], _NAMES[b]] = mixture.cutoff[a, b]
        return pair

    def _minimise(self) -> None:
        """FIRE, after overlaps have been taken away by steps along the forces of at most _LARGEST_STEP.

        md.methods.DisplacementCapped would be the way to do that, but its cap is max/dt in HOOMD-blue 4.8.
        """
        md, pair = self._hoomd.md, self._forces()
        self._simulation.operations.integrator = md.Integrator(dt=self._dt, methods=[], forces=[pair])
        for _ in range(_OVERLAP_STEPS):
            self._simulation.run(1)
            force = np.array(pair.forces)
            strongest = np.linalg.norm(force, axis=1).max()
            if strongest < _OVERLAP:
                break
            snapshot = self._simulation.state.get_snapshot()
            step = force * (_LARGEST_STEP / np.maximum(np.linalg.norm(force, axis=1, keepdims=True), _OVERLAP))
            length = self._simulation.state.box.Lx
            moved = snapshot.particles.position[:] + step
            snapshot.particles.position[:] = moved - length * np.round(moved / length)
            self._simulation.state.set_snapshot(snapshot)
        else:
            raise EngineError(f"overlaps are left after {_OVERLAP_STEPS} steps (a force of {strongest:.3g}); expected "
                              "a start of lower density")
        fire = md.minimize.FIRE(dt=0.005, force_tol=1e-2, angmom_tol=1e-2, energy_tol=1e-6, forces=[self._forces()],
                                methods=[md.methods.ConstantVolume(filter=self._everything)])
        self._simulation.operations.integrator = fire
        for _ in range(20):
            self._simulation.run(250)
            if fire.converged:
                break
        snapshot = self._simulation.state.get_snapshot()
        snapshot.particles.velocity[:] = 0.0
        snapshot.particles.image[:] = 0
        self._simulation.operations.integrator = None
        self._simulation.state.set_snapshot(snapshot)

    def _integrate(self) -> None:
        md = self._hoomd.md
        self._method = md.methods.ConstantVolume(filter=self._everything, thermostat=None)
        self._simulation.operations.integrator = md.Integrator(dt=self._dt, methods=[self._method],
                                                               forces=[self._forces()])
        self._simulation.run(0)

    def velocities(self, temperature: float, seed: int) -> None:
        """Draw velocities from Maxwell's distribution."""
        self._simulation.seed = seed % 65536  # HOOMD takes 16 bits
        self._simulation.state.thermalize_particle_momenta(filter=self._everything, kT=temperature)
        self._change_velocities(lambda v: v - v.mean(axis=0))
        self._simulation.run(0)
        self.scale_velocities(math.sqrt(temperature / self.thermo()["temperature"]))

    def thermostat(self, temperature: float, relaxation_time: float, seed: int, *, end_temperature: float | None = None,
                   steps: int = 0) -> None:
        """Go on in NVT."""
        self._simulation.seed = seed % 65536
        kt: Any = temperature
        if end_temperature is not None and end_temperature != temperature:
            kt = self._hoomd.variant.Ramp(A=temperature, B=end_temperature, t_start=self._simulation.timestep,
                                          t_ramp=steps)
        self._method.thermostat = self._hoomd.md.methods.thermostats.Bussi(kT=kt, tau=relaxation_time)

    def nve(self) -> None:
        """Go on at constant energy."""
        self._method.thermostat = None

    def time_step(self, dt: float) -> None:
        """Go on with this time step."""
        self._simulation.operations.integrator.dt = dt

    def scale_velocities(self, factor: float) -> None:
        """Multiply all velocities."""
        self._change_velocities(lambda v: v * factor)

    def _change_velocities(self, change: Any) -> None:
        snapshot = self._simulation.state.get_snapshot()
        snapshot.particles.velocity[:] = change(snapshot.particles.velocity[:])
        self._simulation.state.set_snapshot(snapshot)
        self._watch()

    def run(self, steps: int) -> None:
        """Advance. The pressure is computed at the last step only."""
        try:
            if steps > 1:
                self._simulation.run(steps - 1)
            self._simulation.always_compute_pressure = True
            self._simulation.run(min(steps, 1))
            self._simulation.always_compute_pressure = False
        except RuntimeError as error:
            raise EngineError(f"HOOMD-blue: {' '.join(str(error).split())}") from None
        if not math.isfinite(self._thermo.kinetic_energy + self._thermo.potential_energy):
            raise EngineError("the energy is not finite any more; expected a smaller time step or a denser start "
                              "that was minimised")

    def thermo(self) -> dict[str, float]:
        """Energies a particle, pressure and temperature at this step."""
        self._simulation.always_compute_pressure = True
        self._simulation.run(0)
        self._simulation.always_compute_pressure = False
        n, found = self._simulation.state.N_particles, self._thermo
        return {"potential_energy": found.potential_energy / n, "kinetic_energy": found.kinetic_energy / n,
                "pressure": found.pressure, "temperature": found.kinetic_temperature}

    def configuration(self) -> tuple[np.ndarray, np.ndarray]:
        """Positions in [0, L) and images in the order of the start."""
        particles = self._simulation.state.get_snapshot().particles
        length = self._simulation.state.box.Lx
        return np.array(particles.position[:], float) + length / 2, np.array(particles.image[:], int)

    def save(self, path: Path) -> None:
        """Write a restart file for `restore`, under another name first."""
        particles = self._simulation.state.get_snapshot().particles
        with whole(path, sync=True) as part, open(part, "wb") as file:
            np.savez(file, position=particles.position[:], velocity=particles.velocity[:], image=particles.image[:],
                     typeid=particles.typeid[:], box_length=self._simulation.state.box.Lx)

    def close(self) -> None:
        """Free the engine."""
        self._simulation.operations.integrator = None
