"""Settings of memory functions of measured curves."""

from __future__ import annotations

from dataclasses import dataclass

from hpctools.config import setting

from .errors import MemoryFunctionError


@dataclass(frozen=True)
class MemorySettings:
    """What is fitted, and how."""

    n_exp: int = setting(4, "largest number of stretched exponentials; all from 1 on are fitted")
    restarts: int = setting(6, "restarts of the evolution with 2 exponentials; half as many with others")
    population: int = setting(16, "candidates of a generation")
    seed: int = setting(1, "of the evolution")
    lasso: float = setting(0.0, "weight of Σ|amplitude|/Ω² in the objective")
    ballistic: float = setting(0.1, "the first-order equation is fitted from this time on; its D_0 is k_B T/m times it",
                               unit="τ_LJ")
    schematic: bool = setting(True, "fit the schematic model, eq. (8) of Ciarella et al. (2023), too")
    theory: bool = setting(True, "solve mode-coupling theory for the state's S(k), too")

    def __post_init__(self) -> None:
        for name, least in (("n_exp", 2), ("restarts", 1), ("population", 4), ("seed", 0)):
            if getattr(self, name) < least:
                raise MemoryFunctionError(f"--{name.replace('_', '-')} {getattr(self, name)}; expected {least} or more")
        if not self.ballistic > 0:
            raise MemoryFunctionError(f"--ballistic {self.ballistic}; expected a positive time")
