"""Melt-quench protocols: settings with names, and the stages they stand for."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from hpctools.config import setting
from hpctools.stop import USAGE

LEAST_DAMPING = 10.0  # timesteps
RATE_OFF = 0.5  # relative, by which whole sample_times may change the rate

MOST_STEPS = 1e12  # of a run: no machine will make them, so that the settings cannot be meant


class ProtocolError(ValueError):
    """A protocol that makes no sense."""

    user_error = True
    exit_code = USAGE


@dataclass(frozen=True)
class Protocol:
    """How a glass is made; the defaults are the protocol "standard". Times in ps, temperatures in K."""

    start: str = setting("random", "where the atoms begin", choices=("random", "packmol"))
    overlap: float = setting(1.5, "least distance of atoms at the start", unit="Å")
    timestep: float = setting(1.0, "of the integrator, once the glass is cold", unit="fs")
    hot_timestep: float = setting(2.0, "of the integrator while it is disordered, molten and quenched", unit="fs")
    disorder_time: float = setting(2.0, "of the first melting, steps limited to 0.1 Å, Langevin", unit="ps")
    melt_temperature: float = setting(3500.0, "of the melt", unit="K")
    melt_time: float = setting(20.0, "at the melt's temperature, NVT", unit="ps")
    rate: float = setting(25.0, "of cooling, NVT", unit="K/ps")
    temperature: float = setting(300.0, "of the glass", unit="K")
    hold_time: float = setting(4.0, "at the glass's temperature, NVT, for the pressure", unit="ps")
    pressure: float = setting(1.0, "of the relaxed glass", unit="bar")
    relax_time: float = setting(10.0, "of the relaxation, NPT; its second half gives the volume", unit="ps")
    production_time: float = setting(20.0, "of the production run at the relaxed volume, NVT", unit="ps")
    frame_time: float = setting(0.1, "between frames of the production run", unit="ps")
    sample_time: float = setting(1.0, "between rows of temperature and pressure, checks and frames of the quench; the "
                                 "hot stages have as many steps between them", unit="ps")
    restart_time: float = setting(10.0, "between restart files", unit="ps")
    thermostat: float = setting(0.1, "damping of the thermostat (Nosé-Hoover)", unit="ps")
    barostat: float = setting(1.0, "damping of the barostat", unit="ps")

    def __post_init__(self) -> None:
        times = ("timestep", "hot_timestep", "disorder_time", "melt_time", "hold_time", "relax_time", "production_time",
                 "frame_time", "sample_time", "restart_time", "thermostat", "barostat", "rate", "overlap",
                 "temperature")  # fmt: skip
        for name in times:
            if not 0 < getattr(self, name) < math.inf:
                raise ProtocolError(f"{name} {getattr(self, name):g}; expected a number above 0")
        if not abs(self.pressure) <= 1e6:
            raise ProtocolError(f"pressure {self.pressure:g} bar; expected a number from -1e6 to 1e6 (100 GPa)")
        if not self.temperature < self.melt_temperature <= 20000:
            raise ProtocolError(f"melt_temperature {self.melt_temperature:g}; expected above the glass's "
                                f"{self.temperature:g} K, at most 20000 K")
        for name in ("timestep", "hot_timestep"):
            if getattr(self, name) > 3:
                raise ProtocolError(f"{name} {getattr(self, name):g} fs; expected at most 3 fs (1 fs is usual in "
                                    "oxides)")
        spans = ("disorder_time", "melt_time", "hold_time", "relax_time", "production_time")
        cooling = (self.melt_temperature - self.temperature) / self.rate
        if not (total := (cooling + sum(getattr(self, name) for name in spans)) / self.timestep * 1000) <= MOST_STEPS:
            raise ProtocolError(f"{total:.2g} steps in all; expected at most {MOST_STEPS:.0e}: another rate or times")
        for name in ("frame_time", "restart_time"):
            if getattr(self, name) * 1000 < 0.999 * self.timestep:
                raise ProtocolError(f"{name} {getattr(self, name):g} ps; expected at least a timestep, "
                                    f"{self.timestep:g} fs")
        if self.sample_steps < 2:
            raise ProtocolError(f"sample_time {self.sample_time:g} ps; expected at least two timesteps")
        if abs(self.sample_steps - self.frame_steps * round(self.sample_steps / self.frame_steps)) > 0:
            raise ProtocolError(f"sample_time {self.sample_time:g} ps; expected a multiple of frame_time "
                                f"{self.frame_time:g} ps")

        # dampings of a few steps make Nosé and Hoover's equations stiff
        for name in ("thermostat", "barostat"):
            if getattr(self, name) * 1000 < LEAST_DAMPING * max(self.timestep, self.hot_timestep):
                raise ProtocolError(f"{name} {getattr(self, name):g} ps; expected at least {LEAST_DAMPING:g} timesteps")
        rate = next(stage.rate for stage in self.stages() if stage.name == "quench")
        if abs(rate / self.rate - 1) > RATE_OFF:
            raise ProtocolError(f"rate {self.rate:g} K/ps would be {rate:.3g}, since stages are whole numbers of "
                                f"sample_time, {self.sample_steps} steps: make sample_time shorter")

    def steps(self, time: float) -> int:
        """Steps of `timestep` in a time in ps, at least one."""
        return max(round(time * 1000 / self.timestep), 1)

    @property
    def sample_steps(self) -> int:
        """Steps between two rows of thermodynamic data: the unit of all stages."""
        return self.steps(self.sample_time)

    @property
    def frame_steps(self) -> int:
        """Steps between two frames of the production run."""
        return self.steps(self.frame_time)

    def stages(self) -> list[Stage]:
        """The stages in order; their lengths are whole multiples of `sample_steps`, rounded up."""
        hot, cold = self.melt_temperature, self.temperature
        long, short = self.hot_timestep, self.timestep
        plan = [
            ("disorder", self.disorder_time, hot, hot, "langevin", long),
            ("melt", self.melt_time, hot, hot, "nvt", long),
            ("quench", (hot - cold) / self.rate, hot, cold, "nvt", long),
            ("hold", self.hold_time, cold, cold, "nvt", short),
            ("relax", self.relax_time, cold, cold, "npt", short),
            ("production", self.production_time, cold, cold, "nvt", short),
        ]
        stages: list[Stage] = []
        first, start = 0, 0.0
        for name, time, begin, end, ensemble, timestep in plan:
            last = first + self.sample_steps * math.ceil(time * 1000 / timestep / self.sample_steps - 1e-9)
            stages.append(Stage(name, first, last, begin, end, ensemble, timestep, start))
            first, start = last, stages[-1].time(last)
        return stages


@dataclass(frozen=True)
class Stage:
    """A part of the protocol: steps first … last of `timestep` (fs) from time `start` (ps) on, temperature begin → end
    (K) in a straight line."""

    name: str
    first: int
    last: int
    begin: float
    end: float
    ensemble: str
    timestep: float
    start: float

    def time(self, step: float) -> float:
        """The time at a step of this stage, ps."""
        return self.start + (step - self.first) * self.timestep / 1000

    @property
    def rate(self) -> float:
        """Of cooling, K/ps."""
        return (self.begin - self.end) / (self.time(self.last) - self.start)

    def temperature(self, step: float) -> float:
        """The temperature that the thermostat aims at, K."""
        return self.begin + (self.end - self.begin) * (step - self.first) / (self.last - self.first)


STANDARD = Protocol()
PROTOCOLS = {
    "standard": STANDARD,
    # Ayush, Sahu, Ali, Patra, arXiv:2308.11151; the lengths of relaxation and production are not given there
    "paper": replace(STANDARD, start="packmol", hot_timestep=1.0, melt_temperature=5000.0, melt_time=10000.0, rate=0.4,
                     relax_time=1000.0, production_time=1000.0, frame_time=1.0, sample_time=10.0, restart_time=100.0),
    "slow": replace(STANDARD, rate=5.0),
    "fine": replace(STANDARD, hot_timestep=1.0),
    "fast": replace(STANDARD, melt_time=10.0, rate=100.0, hold_time=2.0, relax_time=5.0, production_time=10.0),
}
"""Named protocols: standard (that of the shipped data), paper, slow (5 K/ps), fine (1 fs throughout), fast (small
machines, first shells)."""
