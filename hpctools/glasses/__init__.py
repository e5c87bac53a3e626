"""Oxide glasses: melt-quench campaigns with LAMMPS, pair correlation functions, and what can be learnt from them.

Units: LAMMPS `metal` (Å, ps, eV, K, bar, e), densities in g/cm³, compositions in mol % of oxides.
"""
