"""Structure of a glass from its frames: pair counts, coordination, bond angles, boron, silica units, S(q).

Counts are kept, not only their ratios, so that errors and other bins can be worked out later.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray

from .forcefield import pairs_of
from .trajectory import Frame, TrajectoryError

BIN = 0.02  # Å, of pair distances
COARSE = 5  # bins of g(r) in one of the blocks' bins
REACH = 10.0  # Å
BLOCKS = 4  # parts of the production run, for errors
MAX_COORDINATION = 12
# Å, near the first minima of g(cation-O)
CUTOFFS = {"Si": 2.2, "B": 2.0, "Na": 3.2, "Ba": 3.7, "Zn": 2.6, "Ti": 2.6, "Al": 2.4, "P": 2.1, "Ge": 2.3, "Zr": 2.8,
           "Li": 2.7, "K": 3.7, "Mg": 2.8, "Ca": 3.1, "Sr": 3.4, "Pb": 3.4}  # fmt: skip
FORMERS = ("Si", "B", "Zn", "Ti", "Al", "P", "Ge", "Zr")  # cations whose bond angles are kept
NETWORK = ("Si", "B", "Al", "P", "Ge")  # an oxygen with two of these bridges
Q_BIN, Q_MAX, Q_VECTORS = 0.1, 10.0, 80  # 1/Å, 1/Å, at most this many wave vectors a bin
Counts = NDArray[np.int64]


@dataclass
class Structure:
    """Sums over frames. n_b: BLOCKS.

    Attributes
    ----------
    pairs : the element pairs, each once.
    distances : unordered pairs in bins of BIN (pairs, REACH/BIN).
    block_distances : the same in bins of BIN·COARSE, by block (pairs, n_b, …).
    coordination : atoms × frames with 0 … MAX_COORDINATION oxygens within CUTOFFS (cations, n_b, …).
    bridging : silicon × frames with 0 … 6 bridging oxygens (n_b, 7): Qⁿ.
    oxygen : oxygens × frames with 0 … 5 network formers (n_b, 6).
    angles : triplets "O-Si-O", "Si-O-Si" … -> angles in bins of 1° (180,).
    angle_sums : their sums in degrees and numbers, by block (triplets, n_b, 2).
    boron : sum of B-O distances within the cut-off in Å and their number, for three- and four-fold boron (n_b, 2, 2).
    structure_factor : mean of Re ρ_a(q) ρ_b(-q)/sqrt(N_a N_b) by bin of |q| (pairs, Q_MAX/Q_BIN); NaN where a bin
        has no wave vector.
    q_vectors : wave vectors in each bin.
    """

    elements: tuple[str, ...]
    atoms: dict[str, int]
    volume: float
    reach: float
    frames: Counts
    pairs: list[tuple[str, str]]
    distances: Counts
    block_distances: Counts
    coordination: Counts
    bridging: Counts
    oxygen: Counts
    angles: dict[str, Counts]
    angle_sums: NDArray[np.float64]
    boron: NDArray[np.float64]
    structure_factor: NDArray[np.float64]
    q_vectors: Counts
    q_frames: int = 0
    last: Frame | None = field(default=None, repr=False)

    def g(self, pair: tuple[str, str], rebin: int = 1) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Centres (Å) and g of a pair, `rebin` bins joined."""
        return pair_correlation(self.distances[self.pairs.index(pair)], pair, self.atoms, self.volume,
                                int(self.frames.sum()), rebin=rebin)


def pair_correlation(
    distances: Counts, pair: tuple[str, str], atoms: dict[str, int], volume: float, frames: int, rebin: int = 1,
    width: float = BIN,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:  # fmt: skip
    """g(r) = counts V / (frames · pairs · shell volume), with N_a N_b pairs, or N_a (N_a - 1)/2 of like atoms.

    distances : (bins,) counts of unordered pairs in bins of `width` from 0. Returns bin centres (Å) and g.
    """
    a, b = pair
    number = atoms[a] * atoms[b] if a != b else atoms[a] * (atoms[a] - 1) / 2
    joined = distances[: len(distances) // rebin * rebin].reshape(-1, rebin).sum(1)
    edges = np.arange(len(joined) + 1) * width * rebin
    shell = 4 / 3 * np.pi * np.diff(edges**3)
    return (edges[1:] + edges[:-1]) / 2, joined * volume / (frames * max(number, 1) * shell)


def triplets_of(elements: tuple[str, ...]) -> list[str]:
    """The bond angles that are kept: at each former between oxygens, at oxygen between each two formers."""
    formers = [e for e in elements if e in FORMERS]
    return [f"O-{e}-O" for e in formers] + [f"{a}-O-{b}" for a, b in combinations_with_replacement(formers, 2)]


def measure(frames: Iterable[Frame], atoms: dict[str, int], total: int) -> Structure:
    """Structure of `total` frames in a box that does not change. atoms: of each element, oxygen last.

    Raises TrajectoryError where there is none.
    """
    frames = iter(frames)
    found: Structure | None = None
    kinds = np.repeat(np.arange(len(atoms)), list(atoms.values()))
    waves = None
    for index, frame in enumerate(frames):
        if found is None:
            found, order = _empty(frame, atoms), {e: i for i, e in enumerate(atoms)}
            kinds = np.array([order[e] for e in frame.elements])
            waves = _wave_vectors(float(frame.lengths[0]))
        block = min(index * BLOCKS // total, BLOCKS - 1)
        _add_frame(found, frame, kinds, block)
        if waves is not None and index % max(total // 20, 1) == 0:
            found.structure_factor += _partial_factors(frame, kinds, found, *waves)
            found.q_frames += 1
        found.last = frame
    if found is None:
        raise TrajectoryError("no frames to measure")
    found.structure_factor /= found.q_frames
    return found


def _empty(frame: Frame, atoms: dict[str, int]) -> Structure:
    elements, length = tuple(atoms), float(frame.lengths.min())
    pairs, triplets, bins, n = pairs_of(elements), triplets_of(elements), round(REACH / BIN), BLOCKS
    return Structure(
        elements, dict(atoms), float(np.prod(frame.lengths)), min(REACH, length / 2), np.zeros(n, np.int64), pairs,
        np.zeros((len(pairs), bins), np.int64), np.zeros((len(pairs), n, bins // COARSE), np.int64),
        np.zeros((len(elements) - 1, n, MAX_COORDINATION + 1), np.int64), np.zeros((n, 7), np.int64),
        np.zeros((n, 6), np.int64), {t: np.zeros(180, np.int64) for t in triplets},
        np.zeros((len(triplets), n, 2)), np.zeros((n, 2, 2)), np.zeros((len(pairs), round(Q_MAX / Q_BIN))),
        np.zeros(round(Q_MAX / Q_BIN), np.int64),
    )  # fmt: skip


def _add_frame(s: Structure, frame: Frame, kinds: Counts, block: int) -> None:
    import freud

    box = freud.box.Box(*frame.lengths)
    points = box.wrap(frame.positions - frame.lengths / 2)
    # just below half the box, which freud does not exceed
    query = freud.locality.AABBQuery(box, points)
    bonds = query.query(points, {"r_max": min(s.reach, 0.49999 * frame.lengths.min()), "exclude_ii": True})
    bonds = bonds.toNeighborList()
    i, j, distance = bonds.query_point_indices, bonds.point_indices, bonds.distances
    once = i < j
    s.frames[block] += 1
    n, bins = len(s.elements), s.distances.shape[1]
    index = np.full((n, n), -1)
    for row, (a, b) in enumerate(s.pairs):
        ia, ib = s.elements.index(a), s.elements.index(b)
        index[ia, ib] = index[ib, ia] = row
    place = index[kinds[i[once]], kinds[j[once]]] * bins + np.minimum((distance[once] / BIN).astype(int), bins - 1)
    counts = np.bincount(place, minlength=len(s.pairs) * bins).reshape(-1, bins)
    s.distances += counts
    s.block_distances[:, block] += counts.reshape(len(s.pairs), -1, COARSE).sum(2)

    # bonds from cations to oxygens
    oxygen = n - 1
    cutoff = np.array([CUTOFFS.get(e, 0.0) for e in s.elements])
    bonded = (kinds[i] < oxygen) & (kinds[j] == oxygen) & (distance < cutoff[kinds[i]])
    cation, anion, length = i[bonded], j[bonded], distance[bonded]
    vector = bonds.vectors[bonded]
    number = np.bincount(cation, minlength=len(kinds))
    for kind in range(oxygen):
        s.coordination[kind, block] += np.bincount(
            np.minimum(number[kinds == kind], MAX_COORDINATION), minlength=MAX_COORDINATION + 1)
    _add_network(s, kinds, cation, anion, block)
    if "B" in s.elements:
        of_boron = kinds[cation] == s.elements.index("B")
        for row, fold in enumerate((3, 4)):
            chosen = of_boron & (number[cation] == fold)
            s.boron[block, row] += length[chosen].sum(), chosen.sum()
    _add_angles(s, kinds, cation, anion, vector, block)


def _add_network(s: Structure, kinds: Counts, cation: Counts, anion: Counts, block: int) -> None:
    """Bridging oxygens of silicon, and formers of oxygen."""
    network = np.isin(kinds[cation], [i for i, e in enumerate(s.elements) if e in NETWORK])
    formers = np.bincount(anion[network], minlength=len(kinds))
    s.oxygen[block] += np.bincount(np.minimum(formers[kinds == len(s.elements) - 1], 5), minlength=6)
    if "Si" in s.elements:
        silicon = kinds == s.elements.index("Si")
        bridges = np.bincount(cation[formers[anion] >= 2], minlength=len(kinds))
        s.bridging[block] += np.bincount(np.minimum(bridges[silicon], 6), minlength=7)


def _add_angles(s: Structure, kinds: Counts, cation: Counts, anion: Counts, vector: NDArray[np.float64],
                block: int) -> None:
    names = list(s.angles)
    unit = vector / np.linalg.norm(vector, axis=1)[:, None]
    for at_cation in (True, False):
        apex, end, sign = (cation, anion, 1.0) if at_cation else (anion, cation, -1.0)
        kept = np.isin(kinds[cation], [i for i, e in enumerate(s.elements) if e in FORMERS])
        order = np.argsort(apex[kept], kind="stable")
        apexes, ends, units = apex[kept][order], end[kept][order], sign * unit[kept][order]
        first, second = _same_apex(apexes)
        angle = np.degrees(np.arccos(np.clip((units[first] * units[second]).sum(1), -1, 1)))
        for row, name in enumerate(names):
            a, middle, b = (s.elements.index(e) for e in name.split("-"))
            if (middle == len(s.elements) - 1) == at_cation:
                continue
            ka, kb = kinds[ends[first]], kinds[ends[second]]
            chosen = (kinds[apexes[first]] == middle) & (((ka == a) & (kb == b)) | ((ka == b) & (kb == a)))
            s.angles[name] += np.bincount(np.minimum(angle[chosen].astype(int), 179), minlength=180)
            s.angle_sums[row, block] += angle[chosen].sum(), chosen.sum()


def _same_apex(apexes: Counts) -> tuple[Counts, Counts]:
    """All pairs of positions with the same value in a sorted array."""
    first, second = [], []
    for shift in range(1, len(apexes)):
        same = np.flatnonzero(apexes[shift:] == apexes[:-shift])
        if not len(same):
            break
        first.append(same)
        second.append(same + shift)
    if not first:
        return np.zeros(0, int), np.zeros(0, int)
    return np.concatenate(first), np.concatenate(second)


def _wave_vectors(length: float) -> tuple[Counts, Counts]:
    """Whole-number wave vectors of one half space, at most Q_VECTORS in a bin, and their bins.

    The choice depends on the box alone, so that it is the same when a measurement is repeated.
    """
    top = int(Q_MAX * length / (2 * np.pi)) + 1
    grid = np.arange(-top, top + 1)
    h, k, l = (x.ravel() for x in np.meshgrid(grid, grid, grid, indexing="ij"))
    half = (h > 0) | ((h == 0) & ((k > 0) | ((k == 0) & (l > 0))))
    vectors = np.column_stack([h, k, l])[half]
    bins = (2 * np.pi / length * np.linalg.norm(vectors, axis=1) / Q_BIN).astype(int)
    vectors, bins = vectors[bins < round(Q_MAX / Q_BIN)], bins[bins < round(Q_MAX / Q_BIN)]
    shuffled = np.random.default_rng(0).permutation(np.arange(len(bins)))
    order = shuffled[np.argsort(bins[shuffled], kind="stable")]
    bins = bins[order]
    rank = np.arange(len(bins)) - np.searchsorted(bins, bins)
    return vectors[order][rank < Q_VECTORS], bins[rank < Q_VECTORS]


def _partial_factors(frame: Frame, kinds: Counts, s: Structure, vectors: Counts, bins: Counts) -> NDArray[np.float64]:
    """One frame's partial structure factors by bin (pairs, bins)."""
    top = np.abs(vectors).max()
    phase = 2j * np.pi * frame.positions / frame.lengths
    powers = np.exp(np.arange(-top, top + 1)[:, None, None] * phase)  # (2 top + 1, n, 3)
    density = np.empty((len(s.elements), len(vectors)), complex)
    for begin in range(0, len(vectors), 512):
        v = vectors[begin : begin + 512] + top
        waves = powers[v[:, 0], :, 0] * powers[v[:, 1], :, 1] * powers[v[:, 2], :, 2]
        for kind in range(len(s.elements)):
            density[kind, begin : begin + 512] = waves[:, kinds == kind].sum(1)
    number = np.bincount(bins, minlength=s.structure_factor.shape[1])
    s.q_vectors[:] = number
    result = np.empty_like(s.structure_factor)
    for row, (a, b) in enumerate(s.pairs):
        product = (density[s.elements.index(a)] * density[s.elements.index(b)].conj()).real
        product /= np.sqrt(s.atoms[a] * s.atoms[b])
        with np.errstate(invalid="ignore"):
            result[row] = np.bincount(bins, product, minlength=len(number)) / number
    return result
