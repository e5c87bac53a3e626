"""Quantities of a glass's record and the published values and limits that they are held against.

The neutron structure factor is S(q) = Σ sqrt(c_a c_b) b_a b_b S_ab / Σ c_a b_a² with scattering lengths b of
V. F. Sears (Neutron News 3:26, 1992).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpctools.glasses.record import Record
from hpctools.glasses.structure import Q_BIN

SCATTERING = {"O": 5.803, "Si": 4.1491, "B": 5.30, "Na": 3.63, "Ba": 5.07, "Zn": 5.680, "Ti": -3.438}  # fm
PEAK_WIDTH = 0.15  # 1/Å
Array = NDArray[np.float64]
MOZZI = "X-rays: R. L. Mozzi, B. E. Warren, J. Appl. Cryst. 2:164 (1969)"
WRIGHT = "neutrons: A. C. Wright, J. Non-Cryst. Solids 179:84 (1994)"


@dataclass(frozen=True)
class Check:
    """A quantity of one glass or of all that contain an element, its limits and where they come from."""

    name: str
    value: Callable[[Record], float]
    low: float
    high: float
    published: str  # value and source
    element: str = ""  # of all glasses with it; else of `glass`
    glass: str = "SiO2"


def bond(a: str, b: str = "O", high: float = 4.5) -> Callable[[Record], float]:
    """Position of the first peak of g(r) of a pair, Å."""
    return lambda record: record.first_peak((a, b), high=high)


def coordination(cation: str) -> Callable[[Record], float]:
    """Mean number of oxygens."""
    return lambda record: record.coordination(cation)


def angle(name: str) -> Callable[[Record], float]:
    """Mean bond angle, degrees."""
    return lambda record: record.mean_angle(name)


def boron_bond(fold: slice) -> Callable[[Record], float]:
    """Mean B-O distance of three-fold, four-fold or both kinds of boron, Å."""
    def value(record: Record) -> float:
        total, number = record.data["boron"].sum(0)[fold].sum(0)
        return float(total / number) if number else np.nan
    return value


def q4(record: Record) -> float:
    """Share of silicon with four bridging oxygens."""
    counts = record.data["bridging"].sum(0)
    return float(counts[4] / counts.sum())


def density(record: Record) -> float:
    """Relaxed, g/cm³."""
    return float(record.attributes["density_g_cm3"])


def neutron_factor(record: Record) -> tuple[Array, Array]:
    """Bin centres (1/Å) and total neutron structure factor, 1 at large q, without bins of few wave vectors."""
    atoms = record.listed("atoms")
    number = sum(atoms.values())
    total = np.zeros(record.data["structure_factor"].shape[1])
    for (a, b), partial in zip(record.pairs, record.data["structure_factor"]):
        weight = np.sqrt(atoms[a] * atoms[b]) / number * SCATTERING[a] * SCATTERING[b] * (1 if a == b else 2)
        total += weight * partial
    total /= sum(n / number * SCATTERING[e] ** 2 for e, n in atoms.items())
    q = (np.arange(len(total)) + 0.5) * Q_BIN
    there = np.isfinite(total) & (record.data["q_vectors"] > 3)
    return q[there], total[there]


def first_diffraction_peak(record: Record) -> float:
    """Position of the highest point of the neutron S(q) from 1 to 2.2 1/Å, smoothed by lines under a Gaussian of
    PEAK_WIDTH (`smoothed`).

    Without that the scatter of a frozen structure, 1/sqrt(vectors) of S in a bin, would choose the highest bin."""
    q, s = neutron_factor(record)
    fine = np.arange(1.0, 2.2, 0.005)
    vectors = record.data["q_vectors"][(q / Q_BIN).astype(int)].astype(float)
    return float(fine[np.argmax(smoothed(fine, q, s, vectors))])


def smoothed(fine: Array, q: Array, s: Array, weights: Array) -> Array:
    """s at fine, each by the straight line that fits it best under a Gaussian of PEAK_WIDTH.

    A mean instead of a line would lie nearer to where weights are larger (wave vectors become more as q²), and shift a
    peak at 1.52 by 0.02 1/Å."""
    away = q - fine[:, None]
    under = np.exp(-0.5 * (away / PEAK_WIDTH) ** 2) * weights
    zero, one, two = ((under * away**power).sum(1) for power in range(3))
    return np.asarray((two * (under @ s) - one * ((under * away) @ s)) / (zero * two - one**2))


CHECKS = (
    Check("Si-O peak [Å]", bond("Si"), 1.58, 1.64, f"1.61, {WRIGHT}"),
    Check("O-O peak [Å]", bond("O", "O"), 2.59, 2.68, f"2.63, {WRIGHT}"),
    Check("Si-Si peak [Å]", bond("Si", "Si"), 3.05, 3.18, f"3.08-3.15, {MOZZI} and later"),
    Check("oxygens of Si", coordination("Si"), 3.95, 4.05, "4"),
    Check("O-Si-O [°]", angle("O-Si-O"), 107.97, 110.97, "109.47, tetrahedron"),
    Check("Si-O-Si [°]", angle("Si-O-Si"), 140.0, 152.0, f"144-150, {MOZZI} and later"),
    Check("Q4 share of Si", q4, 0.95, 1.0, "1"),
    Check("density [g/cm³]", density, 2.09, 2.31, "2.20"),
    Check("first peak of neutron S(q) [1/Å]", first_diffraction_peak, 1.42, 1.62, f"1.52, {WRIGHT}"),
    Check("Si-O peak [Å]", bond("Si"), 1.58, 1.64, "1.61", glass="60SiO2-20B2O3-20Na2O"),
    Check("oxygens of Si", coordination("Si"), 3.95, 4.05, "4", glass="60SiO2-20B2O3-20Na2O"),
    Check("Si-O peak [Å]", bond("Si"), 1.58, 1.64, "1.61", element="Si"),
    Check("oxygens of Si", coordination("Si"), 3.95, 4.05, "4", element="Si"),
    Check("O-Si-O [°]", angle("O-Si-O"), 107.97, 110.97, "109.47, tetrahedron", element="Si"),
    Check("mean B-O [Å]", boron_bond(slice(0, 2)), 1.40, 1.48, "1.37 (BO3) to 1.47 (BO4)", element="B"),
    Check("B-O of BO3 [Å]", boron_bond(slice(0, 1)), 1.34, 1.40, "1.37", element="B"),
    Check("B-O of BO4 [Å]", boron_bond(slice(1, 2)), 1.44, 1.50, "1.47", element="B"),
    Check("Na-O peak [Å]", bond("Na"), 2.25, 2.45, "2.3-2.4", element="Na"),
    Check("Ba-O peak [Å]", bond("Ba"), 2.67, 2.83, "2.7-2.8", element="Ba"),
    Check("Zn-O peak [Å]", bond("Zn", high=3.0), 1.87, 2.03, "1.95", element="Zn"),
    Check("Ti-O peak [Å]", bond("Ti", high=3.0), 1.76, 1.98, "1.79-1.95", element="Ti"),
    Check("oxygens of Ti", coordination("Ti"), 4.5, 5.5, "4.5-5.5", element="Ti"),
)
