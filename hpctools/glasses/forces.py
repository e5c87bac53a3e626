"""The forces of a glass, compiled: LAMMPS integrates and asks for them at each step through its `fix external`.

LAMMPS' styles go over the neighbours once for the pairs and once for each part of the three-body term, which looks for
its few legs among all of them. Here

* a pair's energy and force are cubics of r² in some hundred intervals, both in one line of the processor's cache;
* atoms are in the order of their elements, so that the neighbours of an atom come in runs of one element;
* distances are found for all neighbours at once (in vector registers), forces for those within the cut-off;
* the legs of the three-body term have a neighbour list of their own.

One process has all atoms; several (MPI) take the styles of `tables`. tests/glasses/test_forces.py compares both with
each other and with the closed form, tests/benchmarks/glass_forces.py their speeds.
"""

from __future__ import annotations

import ctypes
import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .forcefield import Field, pair_of
from .tables import INNER

SKIN = 1.0  # Å, of the neighbour lists
SPACING = 0.1  # Å², of the intervals of r²
MOST = 10_000  # atoms: lists are made from all pairs, which takes as long as the forces of some steps by then
_FIX = b"forces"
_FAST = {"contract", "reassoc", "nsz", "arcp"}
Array = NDArray[np.float64]


class ForcesError(RuntimeError):
    """Positions for which there are no forces."""


def serves(field: Field, length: float, atoms: int) -> bool:
    """Can a cubic box of this edge (Å) be served? The nearest image must be the only one within the cut-off and the
    skin, with some room for the box to shrink."""
    return length >= 2 * (field.reach + SKIN) and atoms <= MOST


class Forces:
    """Energy, forces and virial of the atoms of one box.

    Parameters
    ----------
    field : the force field.
    elements : of the kinds 0, 1, …
    kinds : (n,) kind of each atom.

    Energies in eV, forces in eV/Å.
    """

    def __init__(self, field: Field, elements: tuple[str, ...], kinds: NDArray[np.integer]) -> None:
        kinds = np.asarray(kinds)
        self._order = np.argsort(kinds, kind="stable")
        number, count = len(kinds), len(elements)
        self._first = np.searchsorted(kinds[self._order], np.arange(count + 1)).astype(np.uint32)
        self._reach = field.reach
        self._coefficients = _coefficients(field, elements, self._reach)
        self._bends = _Bends(field, elements)
        self._positions = np.zeros((3, number))
        self._origin = np.full((3, number), np.nan)  # where they were when the lists were made
        self._box = np.zeros(3)
        self._forces = np.zeros((number, 3))
        self._starts = np.zeros((number, count + 1), np.uint32)
        self._neighbours = np.zeros(0, np.uint32)
        self._legs = np.zeros((number, 32), np.uint32)
        self._leg_counts = np.zeros(number, np.uint32)
        self._work = np.zeros((4, number))
        self._inside = np.zeros(number + 1, np.uint32)
        self.builds = 0

    def __call__(self, positions: Array, box: Array, forces: Array) -> tuple[float, Array]:
        """Write the forces (n, 3); returns energy and virial (xx, yy, zz, xy, xz, yz), eV.

        positions : (n, 3) Å, in any periodic image. box : (3,) edges, Å.

        Raises ForcesError for a box smaller than twice the cut-off, for positions that are no numbers, and for atoms
        nearer than `tables.INNER`, as LAMMPS does.
        """
        if len(positions) != len(self._order):
            raise ForcesError(f"found {len(positions)} atoms, expected {len(self._order)}: atoms were lost")
        if not box.min() > 2 * self._reach:
            raise ForcesError(f"the box of {box.min():.2f} Å is too small for compiled forces, expected more than "
                              f"twice the cut-off of {self._reach:g} Å: take --forces tables")
        if not _follow(positions, self._order, box, self._box, self._origin, self._positions, SKIN):
            self._build(positions, box)
        virial = np.zeros(6)
        self._forces[:] = 0.0
        energy, nearest = _pairs(self._positions, box, self._first, self._starts, self._neighbours, self._coefficients,
                                 self._reach**2, self._forces, virial, self._work, self._inside)
        if nearest < INNER**2:
            raise ForcesError(f"two atoms are {nearest**0.5:.2f} Å apart, expected more than {INNER:g} Å: they have "
                              "fused, or the start has too little room")
        if self._bends.present:
            energy += _bends(self._positions, box, self._first, self._leg_counts, self._legs, self._bends.apexes,
                             self._bends.strengths, self._bends.angles, self._bends.factors, self._bends.lengths,
                             self._bends.cutoff, self._bends.smooth, self._forces, virial)
        if not math.isfinite(energy):
            raise ForcesError("energy is not a number: atoms have left all bounds")
        forces[self._order] = self._forces
        return energy, virial

    def _build(self, positions: Array, box: Array) -> None:
        if not np.isfinite(positions).all():
            raise ForcesError("positions are not numbers: atoms have left all bounds")
        self._positions[:] = positions[self._order].T
        leg = self._bends.cutoff + SKIN if self._bends.present else 0.0
        while True:
            needed = _build(self._positions, box, self._first, (self._reach + SKIN) ** 2, self._starts,
                            self._neighbours, self._bends.is_leg, leg**2, self._leg_counts, self._legs,
                            self._work, self._inside)
            most = int(self._leg_counts.max(initial=0))
            if needed <= len(self._neighbours) and most <= self._legs.shape[1]:
                break
            if needed > len(self._neighbours):
                self._neighbours = np.zeros(int(needed * 1.2), np.uint32)
            if most > self._legs.shape[1]:
                self._legs = np.zeros((len(self._legs), int(most * 1.2)), np.uint32)
        self._origin[:], self._box[:] = self._positions, box
        self.builds += 1


class External:
    """Gives the forces of a field to a LAMMPS in this process, which has its atoms already, at each of its steps.

    elements : of the types 1, 2, …

    A failure stops the run of LAMMPS, and `check` raises it.
    """

    def __init__(self, lammps: Any, field: Field, elements: tuple[str, ...]) -> None:
        kinds = np.array(lammps.gather_atoms("type", 0, 1)) - 1
        self._lammps, self._lib, self.forces = lammps, lammps.lib, Forces(field, elements, kinds)
        self._error: BaseException | None = None
        self._views: dict[tuple[Any, int, int], Any] = {}
        self._low, self._high = (self._view(ctypes.c_double, self._address(name), 3) for name in (b"boxlo", b"boxhi"))
        self._tag = ctypes.c_int32 if lammps.extract_setting("tagint") == 4 else ctypes.c_int64
        self._sorted, self._result = np.empty((len(kinds), 3)), np.empty((len(kinds), 3))
        # must live as long as LAMMPS may call it
        self._function = lammps.FIX_EXTERNAL_CALLBACK_FUNC(self._called)
        # no neighbours to find; with a cut-off of zero LAMMPS would warn of it
        for line in ("pair_style none", "comm_modify cutoff 0.1", f"fix {_FIX.decode()} all external pf/callback 1 1",
                     f"fix_modify {_FIX.decode()} energy yes virial yes"):
            lammps.command(line)
        self._lib.lammps_set_fix_external_callback(lammps.lmp, _FIX, self._function, self)

    def _address(self, name: bytes) -> int:
        """Of a global of LAMMPS, which stays where it is."""
        function = self._lib["lammps_extract_global"]  # one of our own: the module sets the type of its result anew
        function.argtypes, function.restype = [ctypes.c_void_p, ctypes.c_char_p], ctypes.c_void_p
        return int(function(self._lammps.lmp, name))

    def check(self) -> None:
        """Raise what went wrong in the steps so far."""
        if self._error is not None:
            raise self._error

    def _called(self, _: Any, step: int, number: int, tags: Any, x: Any, f: Any) -> None:
        if self._error is not None:
            return
        try:
            self._evaluate(number, tags, x, f)
        except BaseException as error:  # nothing may be raised through LAMMPS, Ctrl-C neither
            self._error = error
            self._lib.lammps_force_timeout(self._lammps.lmp)

    def _evaluate(self, number: int, tags: Any, x: Any, f: Any) -> None:
        place = self._view(self._tag, ctypes.cast(tags, ctypes.c_void_p).value or 0, number)
        here = self._rows(x, number)
        if number != len(self._sorted):
            raise ForcesError(f"LAMMPS has {number} atoms, expected {len(self._sorted)}: atoms were lost")
        index = place - 1
        self._sorted[index] = here
        energy, virial = self.forces(self._sorted, self._high - self._low, self._result)
        np.take(self._result, index, axis=0, out=self._rows(f, number))
        self._lib.lammps_fix_external_set_energy_global(self._lammps.lmp, _FIX, energy)
        self._lib.lammps_fix_external_set_virial_global(
            self._lammps.lmp, _FIX, virial.ctypes.data_as(ctypes.POINTER(ctypes.c_double)))

    def _rows(self, pointer: Any, number: int) -> Array:
        """LAMMPS keeps an array of rows in one piece."""
        first = ctypes.cast(pointer, ctypes.POINTER(ctypes.c_void_p))[0]
        view: Array = self._view(ctypes.c_double, int(first or 0), 3 * number)
        return view.reshape(number, 3)

    def _view(self, kind: Any, address: int, number: int) -> Any:
        key = (kind, address, number)
        if key not in self._views:
            self._views[key] = np.ctypeslib.as_array((kind * number).from_address(address))
        return self._views[key]


class _Bends:
    """The three-body terms by kinds, for the kernel."""

    def __init__(self, field: Field, elements: tuple[str, ...]) -> None:
        count, terms = len(elements), field.three_body
        self.present = bool(terms)
        self.is_leg = np.zeros((count, count), np.bool_)  # [apex, end]
        self.strengths, self.angles = np.zeros((count, count, count)), np.zeros((count, count, count))
        common = {(term.rho, term.cutoff, term.screens) for term in terms} or {(1.0, 0.0, ())}
        if len(common) > 1:
            raise ForcesError(f"three-body terms of {len(common)} ranges, expected one range for all")
        ((rho, self.cutoff, screens),) = common
        self.smooth = bool(screens)
        self.factors = np.array([factor for factor, _ in screens] or [1.0])
        self.lengths = np.array([length for _, length in screens] or [rho])
        for term in terms:
            apex = elements.index(term.apex)
            for a, b in (term.ends, term.ends[::-1]):
                first, second = elements.index(a), elements.index(b)
                self.is_leg[apex, first] = True
                self.strengths[apex, first, second] = term.half_k
                self.angles[apex, first, second] = math.radians(term.theta0)
        self.apexes = self.is_leg.any(axis=1)


def _coefficients(field: Field, elements: tuple[str, ...], cutoff: float) -> Array:
    """(kinds, kinds, intervals, 8): cubics for F/r (eV/Å²) and E (eV) in p = (r² - INNER²)/SPACING - interval.

    Each goes through the values at four points inside of its interval (Chebyshev's), so that a step at a cut-off is
    never interpolated across more than its own interval.
    """
    intervals = math.ceil((cutoff**2 - INNER**2) / SPACING)
    points = (1 - np.cos(np.pi * (np.arange(4) + 0.5) / 4)) / 2
    inverse = np.linalg.inv(np.vander(points, 4, increasing=True))
    r = np.sqrt(INNER**2 + SPACING * (np.arange(intervals)[:, None] + points))
    raw = np.zeros(len(elements) ** 2 * intervals * 8 + 8)
    # each interval in one line of 64 bytes
    skip = -raw.ctypes.data % 64 // 8
    table = raw[skip : len(raw) - 8 + skip].reshape(len(elements), len(elements), intervals, 8)
    for i, a in enumerate(elements):
        for j, b in enumerate(elements):
            energy, force = field.pair(*pair_of(a, b), r)
            table[i, j, :, :4] = (force / r) @ inverse.T
            table[i, j, :, 4:] = energy @ inverse.T
    return table


@njit(cache=True, error_model="numpy")
def _follow(positions: Array, order: Any, box: Array, old_box: Array, origin: Array, out: Array, skin: float) -> bool:
    """Copy positions in the image nearest to `origin`; False where the neighbour lists do not serve them any more."""
    largest = 0.0
    for i in range(len(order)):
        squared = 0.0
        for axis in range(3):
            x = positions[order[i], axis]
            x += box[axis] * np.rint((origin[axis, i] - x) / box[axis])
            out[axis, i] = x
            squared += (x - origin[axis, i]) ** 2
        if squared > largest or squared != squared:  # NaN stays
            largest = squared
    change = abs(box[0] - old_box[0]) + abs(box[1] - old_box[1]) + abs(box[2] - old_box[2])
    return bool(2 * math.sqrt(largest) + change < skin)


@njit(cache=True, fastmath=_FAST, error_model="numpy")
def _build(x: Array, box: Array, first: Any, squared_reach: float, starts: Any, neighbours: Any, is_leg: Any,
           squared_leg: float, leg_counts: Any, legs: Any, work: Array, inside: Any) -> int:
    """Half neighbour lists by kind of the neighbour, and the legs of the apexes; returns the room that they need."""
    u = np.uintp
    number, kinds, room = x.shape[1], len(first) - 1, u(len(neighbours))
    a, b, c = 1 / box[0], 1 / box[1], 1 / box[2]
    leg_counts[:] = 0
    needed = u(0)
    kind = 0
    for i in range(number):
        while i >= first[kind + 1]:
            kind += 1
        x0, y0, z0 = x[0, i], x[1, i], x[2, i]
        for j in range(i + 1, number):
            dx, dy, dz = x0 - x[0, j], y0 - x[1, j], z0 - x[2, j]
            dx -= box[0] * np.rint(dx * a)
            dy -= box[1] * np.rint(dy * b)
            dz -= box[2] * np.rint(dz * c)
            work[0, j] = dx * dx + dy * dy + dz * dz
        for other in range(kinds):
            starts[i, other] = needed
            begin, end = u(max(first[other], i + 1)), u(first[other + 1])
            found = u(0)
            for j in range(begin, end):
                inside[found] = j
                found += u(work[u(0), j] < squared_reach)
            if needed + found <= room:
                for k in range(found):
                    neighbours[needed + k] = inside[k]
            needed += found
            if is_leg[kind, other] or is_leg[other, kind]:
                for k in range(found):
                    one = u(inside[k])
                    if work[u(0), one] < squared_leg:
                        if is_leg[kind, other]:
                            if leg_counts[i] < legs.shape[1]:
                                legs[i, leg_counts[i]] = one
                            leg_counts[i] += 1
                        if is_leg[other, kind]:
                            if leg_counts[one] < legs.shape[1]:
                                legs[one, leg_counts[one]] = i
                            leg_counts[one] += 1
        starts[i, kinds] = needed
    return int(needed)


@njit(cache=True, fastmath=_FAST, error_model="numpy")
def _pairs(x: Array, box: Array, first: Any, starts: Any, neighbours: Any, table: Array, squared_cutoff: float,
           forces: Array, virial: Array, work: Array, inside: Any) -> tuple[float, float]:
    """Energy, and the square of the least distance; adds to forces (n, 3) and virial (6,)."""
    u = np.uintp
    least, spacing, last = INNER * INNER, 1 / SPACING, np.int32(table.shape[2] - 1)
    kinds = len(first) - 1
    a, b, c = 1 / box[0], 1 / box[1], 1 / box[2]
    lx, ly, lz = box[0], box[1], box[2]
    energy, nearest = 0.0, squared_cutoff
    xx = yy = zz = xy = xz = yz = 0.0
    kind = 0
    for i in range(x.shape[1]):
        while i >= first[kind + 1]:
            kind += 1
        x0, y0, z0 = x[0, i], x[1, i], x[2, i]
        fx = fy = fz = 0.0
        for other in range(kinds):
            begin = u(starts[i, other])
            count = u(starts[i, other + 1]) - begin
            for k in range(count):
                j = u(neighbours[begin + k])
                dx, dy, dz = x0 - x[u(0), j], y0 - x[u(1), j], z0 - x[u(2), j]
                dx -= lx * np.rint(dx * a)
                dy -= ly * np.rint(dy * b)
                dz -= lz * np.rint(dz * c)
                work[u(0), k], work[u(1), k], work[u(2), k] = dx, dy, dz
                work[u(3), k] = dx * dx + dy * dy + dz * dz
            found = u(0)
            for k in range(count):
                inside[found] = np.uint32(k)
                found += u(work[u(3), k] < squared_cutoff)
            rows = table[kind, other]
            for place in range(found):
                one = u(inside[place])
                j = u(neighbours[begin + one])
                squared = work[u(3), one]
                nearest = min(nearest, squared)
                p = max(squared - least, 0.0) * spacing
                whole = min(np.int32(p), last)
                p -= whole
                row = u(np.uint32(whole))
                f = rows[row, u(0)] + p * (rows[row, u(1)] + p * (rows[row, u(2)] + p * rows[row, u(3)]))
                energy += rows[row, u(4)] + p * (rows[row, u(5)] + p * (rows[row, u(6)] + p * rows[row, u(7)]))
                dx, dy, dz = work[u(0), one], work[u(1), one], work[u(2), one]
                gx, gy, gz = f * dx, f * dy, f * dz
                fx += gx
                fy += gy
                fz += gz
                forces[j, u(0)] -= gx
                forces[j, u(1)] -= gy
                forces[j, u(2)] -= gz
                xx += gx * dx
                yy += gy * dy
                zz += gz * dz
                xy += gx * dy
                xz += gx * dz
                yz += gy * dz
        forces[i, 0] += fx
        forces[i, 1] += fy
        forces[i, 2] += fz
    for place, value in enumerate((xx, yy, zz, xy, xz, yz)):
        virial[place] += value
    return energy, nearest


@njit(cache=True, fastmath=_FAST, error_model="numpy")
def _bends(x: Array, box: Array, first: Any, leg_counts: Any, legs: Any, apexes: Any, strengths: Array, angles: Array,
           factors: Array, lengths: Array, cutoff: float, smooth: bool, forces: Array, virial: Array) -> float:
    """Energy of `potentials.bend` with the weights of its legs; adds to forces (n, 3) and virial (6,)."""
    parts = len(factors)
    energy = 0.0
    unit, lengths_of = np.empty((legs.shape[1], 3)), np.empty(legs.shape[1])
    weight, slope = np.empty((legs.shape[1], parts)), np.empty((legs.shape[1], parts))
    ends, kind_of = np.empty(legs.shape[1], np.int64), np.empty(legs.shape[1], np.int64)
    force = np.empty((legs.shape[1], 3))
    for apex in range(len(apexes)):
        if not apexes[apex]:
            continue
        for i in range(first[apex], first[apex + 1]):
            found = 0
            for place in range(leg_counts[i]):
                j = legs[i, place]
                squared = 0.0
                for axis in range(3):
                    d = x[axis, j] - x[axis, i]
                    d -= box[axis] * np.rint(d / box[axis])
                    unit[found, axis] = d
                    squared += d * d
                r = math.sqrt(squared)
                if r >= cutoff:
                    continue
                lengths_of[found] = r
                for axis in range(3):
                    unit[found, axis] /= r
                    force[found, axis] = 0.0
                for part in range(parts):
                    if smooth:
                        w = math.exp(lengths[part] / (r - cutoff))
                        weight[found, part], slope[found, part] = w, -w * lengths[part] / (r - cutoff) ** 2
                    else:
                        w = math.exp(-r / lengths[part])
                        weight[found, part], slope[found, part] = w, -w / lengths[part]
                kind = 0
                while j >= first[kind + 1]:
                    kind += 1
                ends[found], kind_of[found] = j, kind
                found += 1
            for p in range(found):
                for q in range(p + 1, found):
                    strength = strengths[apex, kind_of[p], kind_of[q]]
                    if strength == 0.0:
                        continue
                    cosine = unit[p, 0] * unit[q, 0] + unit[p, 1] * unit[q, 1] + unit[p, 2] * unit[q, 2]
                    cosine = min(max(cosine, -1.0), 1.0)
                    off = math.acos(cosine) - angles[apex, kind_of[p], kind_of[q]]
                    sine = max(math.sqrt(1 - cosine * cosine), 1e-12)
                    bare = strength * off * off
                    w = along_p = along_q = 0.0
                    for part in range(parts):
                        w += factors[part] * weight[p, part] * weight[q, part]
                        along_p -= factors[part] * slope[p, part] * weight[q, part]
                        along_q -= factors[part] * weight[p, part] * slope[q, part]
                    energy += bare * w
                    turn = 2 * strength * off * w / sine
                    for axis in range(3):
                        up, uq = unit[p, axis], unit[q, axis]
                        force[p, axis] += bare * along_p * up + turn * (uq - cosine * up) / lengths_of[p]
                        force[q, axis] += bare * along_q * uq + turn * (up - cosine * uq) / lengths_of[q]
            for p in range(found):
                r = lengths_of[p]
                for axis in range(3):
                    forces[ends[p], axis] += force[p, axis]
                    forces[i, axis] -= force[p, axis]
                virial[0] += r * unit[p, 0] * force[p, 0]
                virial[1] += r * unit[p, 1] * force[p, 1]
                virial[2] += r * unit[p, 2] * force[p, 2]
                virial[3] += r * unit[p, 0] * force[p, 1]
                virial[4] += r * unit[p, 0] * force[p, 2]
                virial[5] += r * unit[p, 1] * force[p, 2]
    return energy
