"""The state space of the paper: 13,752,261 parameter sets, each with a fixed global index, and its subsets.

Δh* = 2e5 … 12e5 J/mol in 101 steps; 81 values of ln A for each; x and β = 0.20 … 1.00 in 41 steps each. The global
index is ((i_Δh·81 + i_A)·41 + i_x)·41 + i_β, all ascending.

The paper gives the ranges of ln A only through their limits (-630 … -18) and the rule that signals stay inside
-250 … 1600 °C. They are reconstructed here: T100, the temperature at which τ = 100 s, runs from that of ln A = -630
at 12e5 J/mol (227.4 K) up to the T100 that solves T100 + c R T100²/Δh* = 1873.15 K, with c such that ln A = -18 at
2e5 J/mol (c = 17.19); ln A is evenly spaced between. A table of nodes overrides it.
"""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hpctools.stop import USAGE

from .model import GAS_CONSTANT, LN_TAU_REFERENCE, check_parameters

SUBSETS = ("LU", "RU", "LD", "RD", "C", "G")
# first and last (i_Δh, i_A) of the corners and the centre; U/D: small/large Δh*, L/R: more/less negative ln A
_BLOCKS = {
    "LU": (0, 0),
    "RU": (0, 70),
    "LD": (90, 0),
    "RD": (90, 70),
    "C": (45, 35),
}
_BLOCK = 11


class GridError(ValueError):
    """A selection of the grid that does not exist, or a table of nodes that cannot be used."""

    user_error = True
    exit_code = USAGE


@dataclass(frozen=True)
class Ranges:
    """The axes of the grid; the defaults are the paper's."""

    dh_low: float = 2e5  # J/mol
    dh_high: float = 12e5
    dh_points: int = 101
    ln_a_low: float = -630.0  # at dh_high
    ln_a_high: float = -18.0  # at dh_low
    ln_a_points: int = 81
    edge_kelvin: float = 1873.15  # K, below which the widest signals end
    shape_low: float = 0.2  # of x and β
    shape_high: float = 1.0
    shape_points: int = 41

    @cached_property
    def dh(self) -> NDArray[np.float64]:
        """Δh* (dh_points,), J/mol."""
        return np.linspace(self.dh_low, self.dh_high, self.dh_points)

    @cached_property
    def shape(self) -> NDArray[np.float64]:
        """Values of x and of β (shape_points,)."""
        return np.round(np.linspace(self.shape_low, self.shape_high, self.shape_points), 12)

    def edge(self, dh: ArrayLike, c: float) -> NDArray[np.float64]:
        """T100 (K) that solves T100 + c R T100²/Δh* = edge_kelvin."""
        a = c * GAS_CONSTANT / np.asarray(dh, float)
        return (np.sqrt(1.0 + 4.0 * a * self.edge_kelvin) - 1.0) / (2.0 * a)

    @cached_property
    def edge_coefficient(self) -> float:
        """c, such that ln A = ln_a_high at dh_low; 17.19 for the paper."""
        t100 = self.dh_low / GAS_CONSTANT / (LN_TAU_REFERENCE - self.ln_a_high)
        return float((self.edge_kelvin - t100) * self.dh_low / (GAS_CONSTANT * t100**2))

    def ln_a_limits(self, dh: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lowest and highest ln A at some Δh* (J/mol), those of the axis or between."""
        dh = np.asarray(dh, float)
        t_low = self.dh_high / GAS_CONSTANT / (LN_TAU_REFERENCE - self.ln_a_low)
        t_high = self.edge(dh, self.edge_coefficient)
        return LN_TAU_REFERENCE - dh / (GAS_CONSTANT * t_low), LN_TAU_REFERENCE - dh / (GAS_CONSTANT * t_high)

    @cached_property
    def ln_a(self) -> NDArray[np.float64]:
        """ln A (dh_points, ln_a_points)."""
        return np.linspace(*self.ln_a_limits(self.dh), self.ln_a_points, axis=1)


PAPER = Ranges()


@dataclass(frozen=True, eq=False)
class Grid:
    """Some nodes (Δh*, ln A) of a state space, each with a set of x and β; a node is a chunk of work.

    name: what was selected; nodes (n_nodes, 2): Δh* (J/mol) and ln A; node_index (n_nodes,): their places in the
    whole space; x, beta: values used; x_index, beta_index: their places on the axes.
    """

    name: str
    nodes: NDArray[np.float64]
    node_index: NDArray[np.int64]
    x_index: NDArray[np.int64]
    beta_index: NDArray[np.int64]
    ranges: Ranges = PAPER

    @property
    def n_nodes(self) -> int:
        return len(self.nodes)

    @property
    def x(self) -> NDArray[np.float64]:
        """Values of x."""
        return self.ranges.shape[self.x_index]

    @property
    def beta(self) -> NDArray[np.float64]:
        """Values of β."""
        return self.ranges.shape[self.beta_index]

    @property
    def samples_per_node(self) -> int:
        return len(self.x_index) * len(self.beta_index)

    def __len__(self) -> int:
        return self.n_nodes * self.samples_per_node

    def parameters(self, node: int) -> NDArray[np.float64]:
        """The samples of a node, (samples_per_node, 4): ln A, Δh*, x, β; β runs fastest."""
        dh, ln_a = self.nodes[node]
        x, beta = np.meshgrid(self.x, self.beta, indexing="ij")
        return np.stack([np.full(x.size, ln_a), np.full(x.size, dh), x.ravel(), beta.ravel()], axis=1)

    def index(self, node: int) -> NDArray[np.int64]:
        """Global indices of the samples of a node (samples_per_node,)."""
        points = self.ranges.shape_points
        inner = self.x_index[:, None] * points + self.beta_index[None, :]
        return (self.node_index[node] * points * points + inner.ravel()).astype(np.int64)

    @property
    def fingerprint(self) -> str:
        """Hash of all parameters and indices."""
        data = (self.nodes, self.node_index, self.x, self.beta, self.x_index, self.beta_index)
        return hashlib.sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in data)).hexdigest()[:16]


def select(subset: str = "all", stride_x: int = 1, stride_beta: int = 1, ranges: Ranges = PAPER) -> Grid:
    """The whole grid ("all") or one of the subsets LU, RU, LD, RD (corners), C (centre), G (spread evenly).

    LB and RB are the paper's other names of LD and RD. Strides keep every n-th value of x and β.
    """
    name = {"LB": "LD", "RB": "RD"}.get(subset, subset)
    rows, columns = ranges.dh_points, ranges.ln_a_points
    if name == "all":
        i_dh, i_a = np.arange(rows), np.arange(columns)
    elif name == "G":
        i_dh = np.round(np.linspace(0, rows - 1, 8)).astype(int)
        i_a = np.round(np.linspace(0, columns - 1, 10)).astype(int)
    elif name in _BLOCKS:
        if (rows, columns) != (PAPER.dh_points, PAPER.ln_a_points):
            raise GridError(
                f"subset {subset} is defined on the paper's {PAPER.dh_points} × {PAPER.ln_a_points} nodes; "
                f"this grid has {rows} × {columns}: use subset all or G, or a table of nodes"
            )
        first_dh, first_a = _BLOCKS[name]
        i_dh, i_a = first_dh + np.arange(_BLOCK), first_a + np.arange(_BLOCK)
    else:
        raise GridError(f"subset {subset!r} is unknown; expected all, {', '.join(SUBSETS)}, LB or RB")
    at_dh, at_a = (a.ravel() for a in np.meshgrid(i_dh, i_a, indexing="ij"))
    nodes = np.stack([ranges.dh[at_dh], ranges.ln_a[at_dh, at_a]], axis=1)
    return _with_strides(name, nodes, at_dh * columns + at_a, stride_x, stride_beta, ranges)


def from_table(path: str | Path, stride_x: int = 1, stride_beta: int = 1, ranges: Ranges = PAPER) -> Grid:
    """A grid on the nodes of a CSV file: a row a node, Δh* in J/mol and ln A, with or without a line of names.

    Node i of the file has the global indices i·41·41 … Raises GridError, which names the file and the line.
    """
    rows: list[tuple[float, float]] = []
    names: list[str] = []
    try:
        with open(path, newline="", encoding="utf-8") as file:
            for number, row in enumerate(csv.reader(file), 1):
                if not row or row[0].lstrip().startswith("#"):
                    continue
                if not rows and not names and not any(_is_number(value) for value in row) and len(row) == 2:
                    names = row
                    continue
                if len(row) != 2 or not all(_is_number(value) for value in row):
                    raise GridError(
                        f"{path}, line {number}: found {','.join(row)!r}, expected two numbers: Δh* in J/mol, ln A"
                    )
                rows.append((float(row[0]), float(row[1])))
    except OSError as error:
        raise GridError(f"{path}: cannot be read: {error.strerror}") from error
    if not rows:
        raise GridError(f"{path}: holds no nodes; expected lines of Δh* in J/mol and ln A")
    nodes = np.array(rows)
    if len(np.unique(nodes, axis=0)) < len(nodes):
        raise GridError(f"{path}: {len(nodes) - len(np.unique(nodes, axis=0))} nodes stand there twice; remove them")
    probe = np.stack([nodes[:, 1], nodes[:, 0], np.ones(len(nodes)), np.ones(len(nodes))], axis=1)
    try:
        check_parameters(probe)
    except ValueError as error:
        raise GridError(f"{path}: {error} (sample i is the i-th node, from 0)") from error
    return _with_strides(Path(path).stem, nodes, np.arange(len(nodes)), stride_x, stride_beta, ranges)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _with_strides(
    name: str, nodes: NDArray[np.float64], node_index: ArrayLike, stride_x: int, stride_beta: int, ranges: Ranges
) -> Grid:
    for axis, stride in (("x", stride_x), ("beta", stride_beta)):
        if not 1 <= stride <= ranges.shape_points:
            raise GridError(f"stride {stride} in {axis}; expected 1 … {ranges.shape_points}")
    return Grid(
        name,
        nodes,
        np.asarray(node_index, np.int64),
        np.arange(0, ranges.shape_points, stride_x, dtype=np.int64),
        np.arange(0, ranges.shape_points, stride_beta, dtype=np.int64),
        ranges,
    )
