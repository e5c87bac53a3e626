"""Settings of the grid job. Nothing heavy is imported here, so that --help is quick."""

from __future__ import annotations

from dataclasses import dataclass

from hpctools.config import setting
from hpctools.stop import USAGE

from .grid import PAPER, Grid, Ranges, from_table, select
from .program import Program


class SettingsError(ValueError):
    """A setting of the grid job that makes no sense."""

    user_error = True
    exit_code = USAGE


@dataclass(frozen=True)
class GridJob:
    """Settings of the grid job; each may stand in a TOML file or on the command line."""

    out: str = setting("tnm_grid.h5", "output file")
    subset: str = setting("all", "all, a corner LU RU LD RD, the centre C, or G (80 nodes spread evenly)")
    stride_x: int = setting(1, "keep every n-th value of x")
    stride_beta: int = setting(1, "keep every n-th value of β")
    nodes: str = setting("", "CSV file of nodes (Δh* in J/mol, ln A) instead of a subset")
    precision: float = setting(1e-4, "of the stored CpN where CpN_max ≤ 6, else in proportion; 0: exact float32")
    compression: int = setting(1, "gzip level of the stored chunks, 1 … 9")
    layout: str = setting("auto", "mpio: one file by MPI-IO; files: one file a rank", choices=("auto", "mpio", "files"))
    backend: str = setting("", "cpu, cuda or host; by what is there if empty")
    wall_time: float | None = setting(None, "stop cleanly after this time", unit="min")
    margin: float = setting(60.0, "time kept for closing before the wall time", unit="s")
    commit_seconds: float = setting(10.0, "a kill loses at most this much work", unit="s")
    cooling_rates: tuple[float, ...] = setting(Program.cooling_rates, "one a scan", unit="K/min")
    heating_rates: tuple[float, ...] = setting(Program.heating_rates, "one a scan, or one", unit="K/min")
    low_celsius: float = setting(Program.low_celsius, "lower end of the ramps", unit="°C")
    high_celsius: float = setting(Program.high_celsius, "upper end of the ramps", unit="°C")
    step: float = setting(Program.step, "between points of the output grid", unit="K")
    dh_low: float = setting(PAPER.dh_low, "lowest Δh* of the grid", unit="J/mol", flag=False)
    dh_high: float = setting(PAPER.dh_high, "highest Δh*", unit="J/mol", flag=False)
    dh_points: int = setting(PAPER.dh_points, "values of Δh*", flag=False)
    ln_a_low: float = setting(PAPER.ln_a_low, "lowest ln A, at the highest Δh*", flag=False)
    ln_a_high: float = setting(PAPER.ln_a_high, "highest ln A, at the lowest Δh*", flag=False)
    ln_a_points: int = setting(PAPER.ln_a_points, "values of ln A for each Δh*", flag=False)
    edge_kelvin: float = setting(PAPER.edge_kelvin, "below which the widest signals end", unit="K", flag=False)
    shape_low: float = setting(PAPER.shape_low, "lowest x and β", flag=False)
    shape_high: float = setting(PAPER.shape_high, "highest x and β", flag=False)
    shape_points: int = setting(PAPER.shape_points, "values of x and of β", flag=False)

    def __post_init__(self) -> None:
        if not 0 <= self.precision <= 0.1:
            raise SettingsError(f"precision {self.precision:g}; expected 0 (exact float32) … 0.1, the default is 1e-4")
        if not 1 <= self.compression <= 9:
            raise SettingsError(f"compression {self.compression}; expected a gzip level 1 … 9")
        if not self.out:
            raise SettingsError("out is empty; expected the path of the output file")
        for name, least in (("wall_time", 0.0), ("margin", 0.0), ("commit_seconds", 0.0)):
            value = getattr(self, name)
            if value is not None and not value >= least:
                raise SettingsError(f"{name} {value:g}; expected a time, 0 or longer")
        if self.nodes and self.subset != "all":
            raise SettingsError(f"both nodes {self.nodes} and subset {self.subset} are given; expected one of them")
        if not 0 < self.shape_low <= self.shape_high <= 1 or self.shape_points < 1:
            raise SettingsError(f"x and β from {self.shape_low:g} to {self.shape_high:g}; expected inside (0, 1]")
        if not (0 < self.dh_low <= self.dh_high and self.ln_a_low < self.ln_a_high < 4):
            raise SettingsError("the grid's ranges need 0 < dh_low ≤ dh_high and ln_a_low < ln_a_high < 4")

    @property
    def ranges(self) -> Ranges:
        """The axes of the grid."""
        return Ranges(
            self.dh_low, self.dh_high, self.dh_points, self.ln_a_low, self.ln_a_high, self.ln_a_points,
            self.edge_kelvin, self.shape_low, self.shape_high, self.shape_points,
        )  # fmt: skip

    def grid(self) -> Grid:
        """The nodes and axes to simulate."""
        if self.nodes:
            return from_table(self.nodes, self.stride_x, self.stride_beta, self.ranges)
        return select(self.subset, self.stride_x, self.stride_beta, self.ranges)

    def program(self) -> Program:
        """The temperature program."""
        return Program(
            self.cooling_rates, self.heating_rates, self.low_celsius, self.high_celsius, self.step
        )
