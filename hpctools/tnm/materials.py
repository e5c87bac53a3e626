"""TNM parameters of real glass-formers from the literature, with what their scans are known to look like.

Six scans: cooling at 0.5, 1, 2, 5, 10, 20 K/min, heating at 10 K/min, the default `Program`.

`peaks`, `tf_limit` and `t_peaks` come from an independent second-order solver; `peaks_direct` from the direct method
(hpctools.tnm.direct, resolution 8), converged to 1e-5. The two agree to 1e-3 where CpN_max < 2.9; sharper peaks of the
second-order solver are too low, by up to 0.5 % (acetaminophen after 0.5 K/min), so `peaks_direct` is the reference.

ln A is published as a whole number in all rows but the first. At the acetaminophen's and the griseofulvin's Δh*/R that
is too coarse: with -183 and -170 T100 is 293.17 and 355.66 K instead of the published 293.0 and 355.4 K, and Tf' is
0.19 and 0.23 K too high. ln A = -183.12 and -170.11, solved from Tf', give both T100 as published and Tf', and change
no peak by more than 3e-4; they are used here. The whole numbers of the other rows reproduce T100 and Tf' as they are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .model import GAS_CONSTANT

_SELENIUM = "J. Non-Cryst. Solids 355 (2009) 264"
_TOMBARI = "Tombari & Johari, J. Phys. Chem. B 112 (2008) 10806"


@dataclass(frozen=True)
class Material:
    """A glass-former; tuples of six run over the cooling rates."""

    name: str
    source: str
    ln_a: float  # A in s
    kilokelvin: float  # Δh*/R, 1000 K
    x: float
    beta: float
    t100: float  # K, where τ = 100 s
    tf_limit: float  # K, Tf' after cooling at 10 K/min
    peaks: tuple[float, ...]  # CpN_max of a second-order solver
    peaks_direct: tuple[float, ...]  # CpN_max of the direct method
    t_peaks: tuple[float, ...] = ()  # K, where known

    @property
    def dh(self) -> float:
        """Δh*, J/mol."""
        return self.kilokelvin * 1e3 * GAS_CONSTANT

    @property
    def parameters(self) -> NDArray[np.float64]:
        """(4,): ln A, Δh* in J/mol, x, β."""
        return np.array([self.ln_a, self.dh, self.x, self.beta])


MATERIALS = (
    Material(
        "As2Se3", "enthalpy and volume relaxation of As2Se3", -79.21, 38.3, 0.57, 0.71, 457.0, 453.55,
        (2.610, 2.219, 1.915, 1.624, 1.474, 1.370), (2.6107, 2.2198, 1.9156, 1.6247, 1.4739, 1.3695),
        (472.15, 471.65, 471.35, 471.55, 471.85, 472.45),
    ),
    Material(
        "a-Se (enthalpy)", _SELENIUM, -133, 42.8, 0.52, 0.65, 311.0, 310.82,
        (2.637, 2.210, 1.887, 1.586, 1.434, 1.331), (2.6384, 2.2105, 1.8873, 1.5868, 1.4348, 1.3312),
    ),
    Material(
        "a-Se (volume)", _SELENIUM, -133, 42.8, 0.42, 0.58, 311.0, 309.48,
        (2.801, 2.267, 1.887, 1.554, 1.394, 1.287), (2.8037, 2.2673, 1.8872, 1.5539, 1.3932, 1.2872),
    ),
    Material(
        "acetaminophen", _TOMBARI, -183.12, 55.0, 0.40, 0.75, 293.0, 292.89,
        (5.277, 3.862, 2.955, 2.227, 1.896, 1.683), (5.3056, 3.8778, 2.9630, 2.2288, 1.8966, 1.6839),
    ),
    Material(
        "griseofulvin", _TOMBARI, -170.11, 62.1, 0.45, 0.75, 355.4, 355.24,
        (4.180, 3.234, 2.582, 2.026, 1.762, 1.588), (4.1904, 3.2385, 2.5850, 2.0270, 1.7623, 1.5882),
    ),
    Material(
        "nifedipine", _TOMBARI, -189, 60.5, 0.39, 0.69, 312.5, 312.06,
        (4.559, 3.385, 2.625, 2.007, 1.725, 1.543), (4.5718, 3.3916, 2.6276, 2.0080, 1.7253, 1.5431),
    ),
    Material(
        "TPD", "PyGlass demo parameters", -125, 42.638, 0.70, 0.80, 329.0, 330.43,
        (2.462, 2.151, 1.896, 1.639, 1.499, 1.400), (2.4632, 2.1519, 1.8961, 1.6384, 1.4990, 1.4000),
    ),
)  # fmt: skip
