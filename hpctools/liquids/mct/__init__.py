"""Mode-coupling theory of the glass transition for liquids and mixtures of any number of species.

    from hpctools.liquids import mct

    k = mct.wave_numbers()                        # (i + ½) 0.4, i = 0 … 99
    S, density = mct.hard_spheres(k, 0.515)       # or S (n_k, n_s, n_s) of a simulation, with fractions (n_s,)
    F_inf = mct.nonergodicity(k, S, density)      # zero: a liquid
    found = mct.solve(k, S, density)              # found.t, found.F, found.M
    found.relaxation_time(7.0)                    # at the grid's k nearest to 7
    mct.tagged_particle(found).msd
    mct.critical_point(lambda phi: (k, *mct.hard_spheres(k, phi), None), 0.4, 0.6).value
"""

import importlib
from typing import Any

_MODULES = {
    "CriticalPoint": "critical",
    "CriticalTemperature": "critical",
    "Exponents": "asymptotics",
    "MCTError": "equation",
    "Solution": "solver",
    "TaggedParticle": "tagged",
    "critical_point": "critical",
    "critical_temperature": "critical",
    "exponents": "asymptotics",
    "exponents_of": "asymptotics",
    "hard_sphere_mixture": "percus_yevick",
    "hard_spheres": "percus_yevick",
    "lamb_moessbauer": "tagged",
    "nonergodicity": "steady",
    "solve": "solver",
    "solve_states": "solver",
    "tagged_particle": "tagged",
    "wave_numbers": "percus_yevick",
}

__all__ = list(_MODULES)


def __getattr__(name: str) -> Any:
    """Public names are imported at their first use: most of them bring in numba."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_MODULES[name]}", __name__), name)
