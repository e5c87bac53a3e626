"""Memory functions: the kernel M(t) behind a correlation function F(t), and back.

    ∂t² F + Ω² F + ∫0^t M(t-t') ∂t' F(t') dt' = 0 ,   Ω² = k² k_B T/m            dynamics="newtonian", the default
    ∂t F  + Ω² F + ∫0^t M(t-t') ∂t' F(t') dt' = 0 ,   Ω² = k² D_0                dynamics="overdamped"

for F_s(k,t) of one species; for collective correlators Ω² = J S⁻¹ with S the static structure (see `equation`). F alone
fixes Ω²/(z + M̂) or Ω²/(1 + M̂), so an overdamped M means something only in units of its Ω²: quote M/Ω² and D_0. For
the same F the two are related by (z + M̂₂)/Ω₂² = (1 + M̂₁)/Ω₁²: away from t = 0, M₂/Ω₂² = M₁/Ω₁².

    from hpctools.liquids import memory

    M = memory.StretchedSum(c=0.0, v=[300.0, 60.0], tau=[0.05, 3.0], b=[1.6, 0.6])
    F = memory.solve(42.0, M, t).F                            # also an array, a function, or many M at once
    found = memory.evolve(t, F, n_exp=2, omega2=42.0)         # found.memory, found.spread, found.loss, found.R2
    other = memory.invert(t, F, omega2=42.0)                  # from a Prony fit; or method="points"
"""

import importlib
from typing import Any

_MODULES = {
    "Evolution": "evolution",
    "Inversion": "inversion",
    "MemoryFunctionError": "errors",
    "PaperForm": "form",
    "SchematicForm": "search",
    "Solution": "solver",
    "StretchedForm": "search",
    "StretchedSum": "form",
    "evolve": "evolution",
    "fit_curve": "search",
    "invert": "inversion",
    "invert_points": "pointwise",
    "least_squares": "refinement",
    "solve": "solver",
}

__all__ = list(_MODULES)


def __getattr__(name: str) -> Any:
    """Public names are imported at their first use: most of them bring in numba."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_MODULES[name]}", __name__), name)
