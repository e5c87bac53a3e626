"""Has a configuration crystallised? Bond order after ten Wolde, Ruiz-Montero & Frenkel.

J. Chem. Phys. 104 (1996) 9932, computed by freud: two neighbours are connected where their normalised q_6
vectors have a scalar product above 0.7, and a particle is solid-like with at least 8 such connections. All
particles count as neighbours whatever their species, so that fcc of A and CsCl of A and B, the crystals
that this mixture forms (Pedersen, Schrøder & Dyre, Phys. Rev. Lett. 120 (2018) 165501), are both seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

CONNECTED = 0.7
CONNECTIONS = 8
REACH = 1.40
"""Distance of neighbours in σ_AA at ρ = 1.2, near the first minimum of g_AA; scaled with ρ^(-1/3)."""

THRESHOLD = 0.10
"""Fraction of the particles in the largest solid-like cluster above which a configuration counts as crystal."""


@dataclass(frozen=True)
class BondOrder:
    """What the criterion found.

    Attributes
    ----------
    solid : fraction of the particles that are solid-like.
    cluster : fraction of the particles in the largest cluster of connected solid-like ones.
    """

    solid: float
    cluster: float


def bond_order(positions: np.ndarray, box_length: float) -> BondOrder:
    """Bond order of a configuration: (N, 3) positions in a periodic cube, wrapped or not."""
    import freud

    box = freud.box.Box.cube(box_length)
    reach = REACH * (1.2 * box_length**3 / len(positions)) ** (1 / 3)
    order = freud.order.SolidLiquid(l=6, q_threshold=CONNECTED, solid_threshold=CONNECTIONS, normalize_q=True)
    order.compute((box, box.wrap(positions.astype(np.float32))), neighbors={"r_max": reach, "exclude_ii": True})
    solid = int(np.count_nonzero(order.num_connections >= CONNECTIONS))
    # freud counts a lone particle as a cluster of one
    cluster = min(int(order.largest_cluster_size), solid)
    return BondOrder(solid / len(positions), cluster / len(positions))
