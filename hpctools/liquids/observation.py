"""Settings of the measurement of a trajectory."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hpctools.config import setting
from hpctools.stop import USAGE


class ObservationError(ValueError):
    """A setting of a measurement that makes no sense."""

    user_error = True
    exit_code = USAGE


@dataclass(frozen=True)
class Observation:
    """How a trajectory is measured."""

    shell_width: float = setting(0.2, "width of the shells in k", unit="1/σ_AA")
    k_max: float = setting(40.0, "end of the last shell", unit="1/σ_AA")
    vectors: int = setting(400, "wave vectors of a shell, at most about this many")
    vector_seed: int = setting(1, "seed of the draw of wave vectors")
    static_frames: int = setting(512, "frames for S(k) and g(r), about this many at most: those of the frames that are "
                                      "nearest to even spacing")
    bin_width: float = setting(0.02, "width of the bins of g(r)", unit="σ_AA")
    collective_shells: int = setting(5, "shells around the main peak for F(k,t)")

    def __post_init__(self) -> None:
        for name in ("shell_width", "k_max", "bin_width"):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise ObservationError(f"{name.replace('_', ' ')} {value:g}; expected a positive number")
        for name in ("vectors", "static_frames", "collective_shells"):
            if getattr(self, name) < 1:
                raise ObservationError(f"{name.replace('_', ' ')} {getattr(self, name)}; expected 1 or more")
        if self.vector_seed < 0:
            raise ObservationError(f"vector seed {self.vector_seed}; expected 0 or more")
        n_shells = round(self.k_max / self.shell_width)
        if n_shells < 1 or abs(n_shells * self.shell_width - self.k_max) > 1e-9 * self.k_max:
            raise ObservationError(f"{self.k_max / self.shell_width:g} shells of width {self.shell_width:g} up to k = "
                                   f"{self.k_max:g}; expected a whole number of shells")

    def collective(self, k_peak: float) -> range:
        """Shells around the main peak for F(k,t). Raises ObservationError where they are not all there."""
        first = int(k_peak / self.shell_width) - self.collective_shells // 2
        found = range(first, first + self.collective_shells)
        if first < 0 or found.stop > round(self.k_max / self.shell_width):
            raise ObservationError(f"{self.collective_shells} shells of width {self.shell_width:g} around k = "
                                   f"{k_peak:.4g} do not lie between 0 and {self.k_max:g}; expected fewer, or a "
                                   "larger --k-max")
        return found

    def check_box(self, box_length: float) -> None:
        """Raise ObservationError where a box of this length (σ_AA) holds no bin of g(r) and no wave vector."""
        if self.bin_width > box_length / 2:
            raise ObservationError(f"bin width {self.bin_width:g}; expected at most half the box, {box_length / 2:.4g}")
        if self.k_max <= 2 * math.pi / box_length:
            raise ObservationError(f"k max {self.k_max:g}; expected more than 2π/L = {2 * math.pi / box_length:.4g}")
