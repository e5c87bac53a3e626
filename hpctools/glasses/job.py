"""Settings of one glass: what it is made of and how. Nothing heavy is imported here, so that --help is quick."""

from __future__ import annotations

import argparse
import dataclasses
from dataclasses import dataclass
from pathlib import Path

from hpctools import config
from hpctools.config import setting

from .forcefield import DEFAULT
from .protocol import PROTOCOLS, Protocol, ProtocolError


@dataclass(frozen=True)
class QuenchJob(Protocol):
    """A glass and its protocol; each field may stand in a TOML file or on the command line."""

    composition: str = setting("SiO2", 'mol %, such as "60SiO2-20B2O3-20Na2O"')
    field: str = setting(DEFAULT, "force field: bmp-shrm-smooth, bmp-shrm, pmmcs, bks, or the path of a .toml file")
    seed: int = setting(1, "of positions and velocities")
    length: float = setting(20.9, "least edge of the box at the start", unit="Å")
    atoms: int | None = setting(None, "about this many atoms instead of a box length")
    density: float | None = setting(None, "at the start instead of the estimate", unit="g/cm³")
    forces: str = setting("auto", "who works out the forces: compiled code of this package (one process, the fastest), "
                          "LAMMPS by one table a pair, or by its separate styles; auto: compiled where it serves, else "
                          "tables", choices=("auto", "compiled", "tables", "styles"))

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.atoms is not None and self.atoms < 20:
            raise ProtocolError(f"atoms {self.atoms}; expected at least 20")
        if not 8 <= self.length <= 1000:
            raise ProtocolError(f"length {self.length:g} Å; expected 8 to 1000")
        if self.density is not None and not 0.5 <= self.density <= 10:
            raise ProtocolError(f"density {self.density:g} g/cm³; expected 0.5 to 10")
        if not 0 <= self.seed < 2**32:
            raise ProtocolError(f"seed {self.seed}; expected 0 to 4294967295")


def from_arguments(given: argparse.Namespace, toml_path: str | Path | None = None) -> QuenchJob:
    """The job: the named protocol, overridden by the TOML file, overridden by the command line.

    Raises config.ConfigError and ProtocolError.
    """
    values = {} if toml_path is None else read_toml(toml_path)
    in_file = str(values.pop("protocol", "standard"))
    name = getattr(given, "protocol", None)
    options = {f.name: getattr(given, f.name) for f in dataclasses.fields(QuenchJob) if hasattr(given, f.name)}
    return make(name or in_file, {**values, **options}, "command line" if name or toml_path is None else str(toml_path))


def make(protocol: str, values: dict[str, object], source: str) -> QuenchJob:
    """A job of a named protocol with other values for some of its settings; `source` is named in errors."""
    if protocol not in PROTOCOLS:
        raise config.ConfigError(f"{source}: protocol {protocol!r}; expected one of {', '.join(PROTOCOLS)}")
    return QuenchJob(**{**dataclasses.asdict(PROTOCOLS[protocol]), **config.check(QuenchJob, values, source)})


def read_toml(path: str | Path) -> dict[str, object]:
    """Settings from a TOML file, and the name of its protocol under "protocol"."""
    @dataclass(frozen=True)
    class File(QuenchJob):
        protocol: str = "standard"

    return config.read_toml(File, path)
