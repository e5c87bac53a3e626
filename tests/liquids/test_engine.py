"""Engines: energies against the closed form, conserved quantities, thermostat, restart. Every engine that is there."""

import importlib.util
from types import SimpleNamespace

import numpy as np
import pytest

from hpctools.liquids import engines
from hpctools.liquids.state import State

NAMES = [pytest.param(name, marks=pytest.mark.skipif(not importlib.util.find_spec(name), reason=f"no {name}"))
         for name in engines.NAMES]


def direct_energy(state: State, positions: np.ndarray, species: np.ndarray) -> float:
    """Potential energy a particle as the plain double sum."""
    apart = positions[:, None] - positions[None]
    apart -= state.length * np.round(apart / state.length)
    distance = np.sqrt((apart**2).sum(-1)) + 99 * np.eye(len(positions))
    pairs = sum(state.mixture.pair_energy(distance[np.ix_(species == a, species == b)], a, b).sum()
                for a in (0, 1) for b in (0, 1))
    return pairs / 2 / len(positions)


def total(engine) -> float:
    thermo = engine.thermo()
    return thermo["potential_energy"] + thermo["kinetic_energy"]


def unwrapped(engine, state: State) -> np.ndarray:
    positions, images = engine.configuration()
    return positions + images * state.length


@pytest.mark.parametrize(("size", "bits"), [(4, 10), (8, 21)])
def test_image_flags_of_both_sizes(size, bits):
    """Packed as in LAMMPS's domain.h: a 4-byte flag holds 10 bits an axis, an 8-byte one 21."""
    lammps_engine = pytest.importorskip("hpctools.liquids.engines.lammps_engine")
    most = 1 << bits - 1
    images = np.array([[0, 0, 0], [1, -2, 3], [-most, most - 1, -1]])
    packed = [sum(int(image + most) << bits * axis for axis, image in enumerate(one)) for one in images]
    found = lammps_engine.unpacked(np.array(packed, f"i{size}"), size)
    assert found.tolist() == images.tolist()


@pytest.fixture(params=NAMES)
def module(request):
    return engines.choose(request.param)


@pytest.fixture(params=["LJ", "WCA"])
def state(request):
    return State(potential=request.param, temperature=1.0, particles=240, seed=3)


@pytest.fixture
def engine(module, state):
    made = module.Engine.create(state.mixture, state.start(), 0.004)
    made.velocities(2.0, 11)
    made.thermostat(2.0, 0.2, 12)
    made.run(500)
    yield made
    made.close()


@pytest.mark.parametrize("built_with_mpi", [False, True])
def test_a_rank_simulates_alone_in_hoomd(built_with_mpi):
    """Which communicator HOOMD-blue is given; a build with MPI is not needed for that."""
    from mpi4py import MPI

    from hpctools.liquids.engines import hoomd_engine

    hoomd = SimpleNamespace(version=SimpleNamespace(mpi_enabled=built_with_mpi),
                            communicator=SimpleNamespace(Communicator=lambda mpi_comm: mpi_comm))
    assert hoomd_engine.communicator(hoomd) == (MPI.COMM_SELF if built_with_mpi else None)


@pytest.mark.parametrize(("visible", "place", "expected"), [(0, "3", "cpu"), (4, "", 0), (4, "3", 3), (2, "3", 1)])
def test_processes_of_a_node_take_its_gpus_by_turns_in_hoomd(monkeypatch, visible, place, expected):
    """Faked devices: a real HOOMD-blue with GPUs is not needed for that."""
    from hpctools.liquids.engines import hoomd_engine

    class GPU:
        def __init__(self, gpu_id, communicator, notice_level):
            self.found = gpu_id

        @staticmethod
        def get_available_devices():
            return ["device"] * visible

    monkeypatch.setenv("HPCTOOLS_LOCAL_RANK", place)
    hoomd = SimpleNamespace(version=SimpleNamespace(mpi_enabled=False), device=SimpleNamespace(
        GPU=GPU, CPU=lambda communicator, notice_level: SimpleNamespace(found="cpu")))
    assert hoomd_engine.device_of(hoomd).found == expected


def test_potential_energy_is_the_closed_form(engine, state):
    positions, _ = engine.configuration()
    assert 0 <= positions.min() and positions.max() < state.length
    expected = direct_energy(state, positions, state.start().species)
    assert engine.thermo()["potential_energy"] == pytest.approx(expected, rel=1e-9)


def test_pressure_is_the_density_derivative_of_the_energy(engine, state):
    # of this configuration: P = ρ T (N-1)/N - dU/dV under uniform scaling
    positions, _ = engine.configuration()
    species = state.start().species
    thermo = engine.thermo()

    def energy(factor: float) -> float:
        scaled = State(**{**vars(state), "density": state.density / factor**3})
        return len(positions) * direct_energy(scaled, positions * factor, species)

    step = 1e-6
    slope = (energy(1 + step) - energy(1 - step)) / (2 * step)  # dU/d ln L = 3 V dU/dV
    n, volume = len(positions), state.length**3
    expected = thermo["temperature"] * (n - 1) / volume - slope / (3 * volume)
    assert thermo["pressure"] == pytest.approx(expected, rel=1e-5)


def test_nve_conserves_energy_to_second_order(module, state):
    drifts = []
    for dt in (0.004, 0.002):
        engine = module.Engine.create(state.mixture, state.start(), dt)
        engine.velocities(1.0, 11)
        engine.thermostat(1.0, 0.2, 12)
        engine.run(round(2 / dt))
        engine.nve()
        energies = []
        for _ in range(60):
            engine.run(round(0.05 / dt))
            energies.append(total(engine))
        drifts.append(np.std(energies))
        engine.close()
    assert drifts[0] < 1e-3
    assert 2.0 < drifts[0] / drifts[1] < 8.0


def test_another_time_step_on_the_way(engine):
    """One step moves each particle by about its velocity times the step, before and after."""
    engine.nve()
    moved = []
    for dt in (0.004, 0.001):
        engine.time_step(dt)
        before = np.concatenate(engine.configuration())
        engine.run(1)
        after = np.concatenate(engine.configuration())
        n = len(before) // 2
        inside = (before[n:] == after[n:]).all(axis=1)
        moved.append(np.sqrt(np.mean((after[:n] - before[:n])[inside] ** 2)))
    assert moved[0] == pytest.approx(0.004 * np.sqrt(2.0), rel=0.2)  # T = 2
    assert moved[0] / moved[1] == pytest.approx(4.0, rel=0.05)


def test_thermostat_and_ramp(engine):
    engine.thermostat(2.0, 0.1, 5)
    temperatures = []
    for _ in range(200):
        engine.run(25)
        temperatures.append(engine.thermo()["temperature"])
    error = np.std(temperatures) / np.sqrt(len(temperatures) / 4)
    assert abs(np.mean(temperatures) - 2.0) < 4 * error
    # canonical fluctuations of the kinetic energy: var T = 2 T²/(3 N - 3)
    assert np.var(temperatures) == pytest.approx(2 * 4.0 / (3 * 199), rel=0.5)
    engine.thermostat(2.0, 0.05, 6, end_temperature=0.5, steps=2000)
    seen = []
    for _ in range(40):
        engine.run(50)
        seen.append(engine.thermo()["temperature"])
    planned = 2.0 - 1.5 * np.arange(1, 41) / 40
    # the thermostat follows with a lag of about its relaxation time, and fluctuates
    assert np.abs(np.array(seen) - planned).max() < 0.35
    assert np.mean(seen[-5:]) == pytest.approx(np.mean(planned[-5:]), rel=0.15)


def test_velocities_have_no_momentum_and_the_right_temperature(module, state):
    engine = module.Engine.create(state.mixture, state.start(), 0.004)
    engine.velocities(0.7, 5)
    assert engine.thermo()["temperature"] == pytest.approx(0.7, rel=1e-9)
    engine.nve()
    before = unwrapped(engine, state)
    engine.run(200)
    drift = np.abs((unwrapped(engine, state) - before).mean(axis=0)).max()
    assert drift < 1e-9
    engine.scale_velocities(2.0)
    kinetic = engine.thermo()["kinetic_energy"]
    engine.scale_velocities(0.5)
    assert engine.thermo()["kinetic_energy"] == pytest.approx(kinetic / 4)
    engine.close()


def test_unwrapped_positions_are_continuous(engine, state):
    engine.thermostat(20.0, 0.05, 4)
    engine.run(100)
    engine.nve()
    last = None
    for _ in range(100):
        engine.run(20)
        now = unwrapped(engine, state)
        if last is not None:
            assert np.abs(now - last).max() < state.length / 3
        last = now
    assert np.abs(engine.configuration()[1]).max() >= 1, "some particle should have crossed the boundary"


def test_restart_goes_on_to_the_last_bit_of_the_state(engine, module, state, tmp_path):
    engine.nve()
    engine.run(100)
    engine.save(tmp_path / "restart")
    energy, (positions, images) = total(engine), engine.configuration()
    engine.run(200)
    further = engine.configuration()
    again = module.Engine.restore(state.mixture, tmp_path / "restart", 0.004)
    assert abs(total(again) - energy) < 1e-12
    np.testing.assert_array_equal(again.configuration()[0], positions)
    np.testing.assert_array_equal(again.configuration()[1], images)
    again.nve()
    again.run(200)
    np.testing.assert_allclose(again.configuration()[0], further[0], atol=1e-6)
    again.close()
    assert not list(tmp_path.glob("*.part*"))


def test_restart_of_another_version(state, tmp_path):
    """As LAMMPS takes one of a newer version: it does not know what stands in it."""
    module = engines.choose("lammps")
    engine = module.Engine.create(state.mixture, state.start(), 0.004)
    engine.save(tmp_path / "restart")
    engine.close()
    data = bytearray((tmp_path / "restart").read_bytes())
    data[24:28] = (997).to_bytes(4, "little")  # the first flag behind magic string, byte order and revision
    (tmp_path / "restart").write_bytes(data)
    with pytest.raises(engines.EngineError, match=r"wrote it or a newer one, here \d+: take that one, or remove"):
        module.Engine.restore(state.mixture, tmp_path / "restart", 0.004)


@pytest.mark.parametrize("name", ["with space", "per%cent", "dollar$x", "hash#x", "star*", "quote'"])
def test_folders_of_any_name(state, tmp_path, name):
    """In a file name of LAMMPS' own some of these have a meaning."""
    module = engines.choose("lammps")
    folder = tmp_path / name
    folder.mkdir()
    engine = module.Engine.create(state.mixture, state.start(), 0.004)
    energy = total(engine)
    engine.save(folder / "restart")
    engine.close()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [folder / "restart"]
    again = module.Engine.restore(state.mixture, folder / "restart", 0.004)
    assert total(again) == pytest.approx(energy, rel=1e-12)
    again.close()


def test_states_of_one_seed_are_independent():
    """Start, velocities and thermostat: another draw for each state, purpose and step, the same in each run of it."""
    states = [State(potential=potential, density=density, temperature=temperature, seed=seed, particles=240)
              for potential in ("LJ", "WCA") for density in (1.2, 1.4) for temperature in (1.0, 3.0) for seed in (1, 2)]
    seeds = [one.random_seed(purpose, step) for one in states for purpose in range(6) for step in (0, 25, 50)]
    assert len(set(seeds)) == len(seeds) and all(0 <= seed < 2**31 for seed in seeds)
    assert states[0].random_seed(3, 25) == State(**vars(states[0])).random_seed(3, 25)
    first, second = (one.start().positions / one.length for one in (states[0], states[2]))
    assert not np.allclose(first, second)


def test_missing_restart(module, state, tmp_path):
    with pytest.raises(engines.EngineError, match="restart file is missing"):
        module.Engine.restore(state.mixture, tmp_path / "none", 0.004)


def test_choice(monkeypatch):
    with pytest.raises(engines.EngineError, match=r"gromacs.*lammps, hoomd"):
        engines.choose("gromacs")
    monkeypatch.setenv(engines.ENVIRONMENT, "hoomd")
    if not importlib.util.find_spec("hoomd"):
        with pytest.raises(engines.EngineError, match="conda-forge"):
            engines.choose()
    # what frames and records need is missed before the first step
    there = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in ("freud", "mpi4py") else there(name))
    with pytest.raises(engines.EngineError, match=r"lammps runs need mpi4py, freud-analysis as well.*hpctools\[md\]"):
        engines.choose("lammps")
