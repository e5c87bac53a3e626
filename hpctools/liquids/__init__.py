"""Liquids: molecular dynamics of binary mixtures, their structure and dynamics, and theories of them.

Units are reduced Lennard-Jones units: lengths in σ_AA, energies in ε_AA, masses in m, k_B = 1, times in
τ_LJ = (m σ_AA²/ε_AA)^½.
"""
