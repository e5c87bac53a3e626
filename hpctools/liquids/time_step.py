"""What the time step does to a run: its particles are warmer than the temperature that is measured.

Positions from Verlet's algorithm lie on the trajectories of a nearby Hamiltonian, the velocities at whole steps do not
(Toxvaerd, J. Chem. Phys. 140 (2014) 044102). For an oscillator of frequency ω, with x = a cos(ω't) at the steps,

    <v²> = a²ω²/2 (1 - ω²δ²/4) at whole steps, which thermometers see
    <[x(t) - x(0)]²> → a²ω²/2 (1 + ω²δ²/12) t² for early t
    ω²<x²> = a²ω²/2

with the time step δ, to second order. In a liquid ω² is the mean curvature of a particle's potential, Einstein's
frequency Ω_E². So early displacements belong to T (1 + Ω_E²δ²/3), where T is the temperature of the velocities, and
vibrations about the structure to T (1 + Ω_E²δ²/4); what is slow to the temperature of the nearby Hamiltonian,
T (1 + Ω_E²δ²/6).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .mixture import mixture
from .record import Record
from .structure import pairs

FloatArray = NDArray[np.float64]


def einstein_frequency(record: Record) -> FloatArray:
    """Ω_E² (2,) of A and B in τ_LJ⁻²: <∇²U>/3 of a particle of mass 1, from the pair counts of a record.

    The curvature of a bin is that at its middle. Hansen & McDonald, Theory of Simple Liquids (2013), § 7.2.
    """
    kind, width = mixture(record.attributes["potential"]), record.attributes["bin_width"]
    r = (np.arange(len(record.pair_counts)) + 0.5) * width
    total = np.zeros(2)
    for column, (a, b) in enumerate(pairs(2)):
        curvature = float(record.pair_counts[:, column] @ kind.pair_curvature(r, a, b))
        total[a] += curvature
        total[b] += curvature
    return np.asarray(total / (3 * record.attributes["static_frames"] * np.array(record.attributes["particles"])))


def ballistic_temperature(record: Record) -> FloatArray:
    """T (2,) of A and B in ε_AA/k_B with which their early displacements go as <r²> = 3Tt²."""
    return np.asarray(record.attributes["mean_temperature"] * (1 + _square(record) / 3))


def early_temperature(record: Record) -> FloatArray:
    """T (2,) with which the displacements of A and B do begin: <r²>/3t² at the first lag, carried on to t = 0.

    It is `ballistic_temperature` but for the velocities that the time origins happened to have, 0.2 % of A and 0.5 % of
    B in a run of 1200 particles. All early points of <r²> and F_s share this deviation.
    """
    t = record.times[1]
    # <v(0)v(t)> falls as 1 - Ω_E²t²/2, <r²> is twice its double integral
    return np.asarray(record.square_displacement[1] / (3 * t**2) * (1 + einstein_frequency(record) * t**2 / 12))


def structural_shift(record: Record) -> tuple[float, float]:
    """(T' - T)/T of the slow and of the fast part of the structure, T measured by the velocities: means over particles.

    S(k) and what follows from it are those of a run with a short time step at some temperature between.
    """
    square = float(np.average(_square(record), weights=record.attributes["particles"]))
    return square / 6, square / 4


def _square(record: Record) -> FloatArray:
    return np.asarray(einstein_frequency(record) * record.attributes["time_step"] ** 2)
