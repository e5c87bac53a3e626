"""A state of a mixture and how to simulate it: settings, what follows from them, and the first configuration."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass

import numpy as np

from hpctools.config import setting
from hpctools.stop import USAGE

from .engines import NAMES, Start
from .frames import Schedule
from .mixture import Mixture, MixtureError, mixture, printed_mct_temperature

MOST_STEPS = 1e12
"""Of a production: no machine will make them, so that the settings cannot be meant."""
MOST_DENSITY, MOST_DT = 3.0, 0.02
"""Beyond these, in σ_AA⁻³ and τ_LJ, the integration loses particles."""
HOT = 50.0
"""Warmer liquids (ε_AA/k_B) have no glassy dynamics: their temperature was probably meant in kelvin."""


class StateError(ValueError):
    """A setting of a run that makes no sense."""

    user_error = True
    exit_code = USAGE


@dataclass(frozen=True)
class State:
    """Settings of the run of one state; each may stand in a TOML file or on the command line."""

    potential: str = setting("LJ", "interaction of the mixture", choices=("LJ", "WCA"))
    density: float = setting(1.2, "number density", unit="σ_AA⁻³")
    temperature: float = setting(1.0, "temperature", unit="ε_AA/k_B")
    seed: int = setting(1, "of the start and the thermostat; runs of different seeds are independent")
    protocol: str = setting("liquid", "liquid: equilibrate, then produce; glass: quench, wait, then produce",
                            choices=("liquid", "glass"))
    engine: str = setting("", "lammps or hoomd; by what is there if empty")
    box_length: float = setting(10.0, "edge of the cubic box", unit="σ_AA")
    particles: int = setting(0, "number of particles instead of the box length; 0: by box length and density")
    dt: float = setting(0.0, "time step; 0: 0.004, above T = 2 as T^-½", unit="τ_LJ")
    thermostat_time: float = setting(0.5, "relaxation time of the thermostat", unit="τ_LJ")
    melt_temperature: float = setting(0.0, "of the melt at the start; 0: 2 T_mct, or T where that is higher",
                                      unit="ε_AA/k_B")
    melt_time: float = setting(20.0, "time in the melt at T = 1; goes as T^-½", unit="τ_LJ")
    equilibration_relaxations: float = setting(15.0, "relaxation times of the equilibration, at least")
    production_relaxations: float = setting(46.0, "relaxation times of the production, at least")
    production_time: float = setting(1500.0, "production at least, at ρ = 1.2 and T = 1; goes as T^-½ ρ^-⅓; "
                                             "a glass takes just this", unit="τ_LJ")
    max_equilibration: float = setting(1e5, "equilibration at most; what has not relaxed by then is a glass",
                                       unit="τ_LJ")
    quench_time: float = setting(200.0, "glass: time of the ramp from the melt at T = 1; goes as T^-½", unit="τ_LJ")
    waiting_time: float = setting(500.0, "glass: time at T before production, at T = 1; goes as T^-½", unit="τ_LJ")
    temperature_tolerance: float = setting(0.003, "of the mean temperature in NVE, and of the drift of the energy a "
                                                  "particle over the run, both relative to T")
    blocks: int = setting(64, "blocks of the production, each begins with a time origin")
    frames_per_decade: int = setting(8, "frames a decade of time in a block")

    def __post_init__(self) -> None:
        positive = ("density", "temperature", "box_length", "thermostat_time", "melt_time", "production_time",
                    "max_equilibration", "quench_time", "waiting_time", "temperature_tolerance")
        for name in positive:
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise StateError(f"{name.replace('_', ' ')} {value:g}; expected a positive number")
        for name in ("dt", "melt_temperature", "equilibration_relaxations", "production_relaxations", "particles"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise StateError(f"{name.replace('_', ' ')} {value:g}; expected a number of at least 0")
        if self.engine not in ("", *NAMES):
            raise StateError(f"engine {self.engine!r}; expected {' or '.join(NAMES)}, or none for what is there")
        if self.particles and self.box_length != State.box_length:
            raise StateError(f"particles {self.particles} and box length {self.box_length:g}; expected one of them: "
                             "with the density each says the other")
        if self.density > MOST_DENSITY:
            raise StateError(f"density {self.density:g}; expected at most {MOST_DENSITY:g} σ_AA⁻³: beyond it the "
                             "forces are so steep that particles are lost")
        if self.dt > MOST_DT:
            raise StateError(f"dt {self.dt:g}; expected at most {MOST_DT:g} τ_LJ: with longer steps particles fly into "
                             "each other and are lost")
        if self.blocks < 4:
            raise StateError(f"blocks {self.blocks}; expected at least 4, for error bars")
        if self.frames_per_decade < 1:
            raise StateError(f"frames per decade {self.frames_per_decade}; expected 1 or more")
        if self.seed < 0:
            raise StateError(f"seed {self.seed}; expected 0 or more")
        if self.protocol == "glass" and self.melt >= 0 and self.temperature >= self.melt:
            raise StateError(f"glass at T = {self.temperature:g}: nothing to quench from a melt at {self.melt:g}; "
                             "give a higher --melt-temperature or take --protocol liquid")
        self.mixture.counts(self.density, self.length)
        if (steps := self.least_production / self.step) > MOST_STEPS:
            raise StateError(f"a production of {steps:.2g} steps at T = {self.temperature:g}; expected at most "
                             f"{MOST_STEPS:.0e}: give another temperature, --production-time or --dt")

    @property
    def mixture(self) -> Mixture:
        """The mixture of this potential."""
        return mixture(self.potential)

    @property
    def name(self) -> str:
        """Name of the state's files."""
        kind = "-glass" if self.protocol == "glass" else ""
        size = f"-N{self.particles}" if self.particles else ""
        return f"{self.potential}-rho{self.density:g}-T{self.temperature:.4g}{kind}{size}-seed{self.seed}"

    @property
    def remark(self) -> str:
        """What is odd about these settings, in a line; "" where nothing is."""
        return (f"T = {self.temperature:g} is in units of ε_AA/k_B, not kelvin; the glassy dynamics of these mixtures "
                "lies at 0.3 to 15") if self.temperature > HOT else ""

    @property
    def length(self) -> float:
        """Edge of the box in σ_AA."""
        return (self.particles / self.density) ** (1 / 3) if self.particles else self.box_length

    @property
    def step(self) -> float:
        """Time step in τ_LJ."""
        return self.dt or 0.004 * min(1.0, math.sqrt(2.0 / self.temperature))

    @property
    def melt(self) -> float:
        """Temperature of the melt in ε_AA/k_B."""
        if self.melt_temperature:
            return max(self.melt_temperature, self.temperature)
        try:
            return max(2 * printed_mct_temperature(self.potential, self.density), self.temperature)
        except MixtureError:  # a density without a known T_mct: the Lennard-Jones slope d ln T/d ln ρ of 4.75
            return max(1.8 * (self.density / 1.2) ** 4.75, self.temperature)

    @property
    def least_production(self) -> float:
        """Production at least, in τ_LJ."""
        return self.production_time * self._scale * (1.2 / self.density) ** (1 / 3)

    @property
    def _scale(self) -> float:
        return 1 / math.sqrt(self.temperature)

    @property
    def wave_number(self) -> float:
        """Wave number near the main peak of S_AA at which relaxation is watched, in σ_AA⁻¹."""
        return 7.25 * (self.density / 1.2) ** (1 / 3)

    def steps(self, time: float) -> int:
        """Whole steps of a time in τ_LJ that is given at T = 1."""
        return max(1, math.ceil(time * self._scale / self.step))

    def schedule(self, relaxation_time: float | None, halvings: int = 0) -> Schedule:
        """Frames of the production of a liquid with this relaxation time (τ_LJ), or of a glass (None); its time step
        may be halved some times."""
        total = self.least_production
        if relaxation_time is not None:
            total = max(total, self.production_relaxations * relaxation_time)
        return Schedule.logarithmic(self.step / 2**halvings, total, self.blocks, self.frames_per_decade)

    def random_seed(self, purpose: int, step: int = 0) -> int:
        """A seed (below 2³¹) for a purpose at a step of it; another one for each state, too, so that runs of one seed
        at several temperatures or densities are independent."""
        keys = (self.seed, zlib.crc32(self.name.encode()), purpose, step)
        return int(np.random.SeedSequence(keys).generate_state(1)[0]) % 2**31

    def start(self) -> Start:
        """A disordered configuration: species at random on random sites of a cubic lattice, keyed by `random_seed`.

        Random points would overlap too much at ρ = 1.8; the lattice melts at once.
        """
        a, b = self.mixture.counts(self.density, self.length)
        rng = np.random.default_rng(self.random_seed(0))
        cells = math.ceil((a + b) ** (1 / 3) - 1e-9)
        sites = np.stack(np.unravel_index(rng.permutation(cells**3)[: a + b], (cells,) * 3), axis=1)
        species = np.repeat([0, 1], [a, b])
        return Start((sites + rng.uniform(0.4, 0.6, sites.shape)) * self.length / cells, species, self.length)
