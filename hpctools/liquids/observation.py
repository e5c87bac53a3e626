"""Settings of the measurement of a trajectory."""

from __future__ import annotations

from dataclasses import dataclass

from hpctools.config import setting


@dataclass(frozen=True)
class Observation:
    """How a trajectory is measured."""

    shell_width: float = setting(0.2, "width of the shells in k", unit="1/σ_AA")
    k_max: float = setting(40.0, "end of the last shell", unit="1/σ_AA")
    vectors: int = setting(400, "wave vectors of a shell, at most about this many")
    vector_seed: int = setting(1, "seed of the draw of wave vectors")
    static_frames: int = setting(512, "frames for S(k) and g(r), at least about this many where there are so many")
    bin_width: float = setting(0.02, "width of the bins of g(r)", unit="σ_AA")
    collective_shells: int = setting(5, "shells around the main peak for F(k,t)")
