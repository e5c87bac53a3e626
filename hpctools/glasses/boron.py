"""Four-fold boron in sodium borosilicate glasses: the model of Yun, Bray and Dell."""

from __future__ import annotations

from .composition import Composition, CompositionError

MODIFIERS = ("Na2O", "BaO", "Li2O", "K2O", "CaO", "SrO")
K_MAX = 8.0  # beyond it the model has no data


def ratios(glass: Composition) -> tuple[float, float]:
    """R = [modifier oxides]/[B2O3] and K = [SiO2]/[B2O3]. Raises CompositionError without boron."""
    if not glass["B2O3"]:
        raise CompositionError(f"{glass} has no B2O3: R and K are not defined")
    return sum(glass[oxide] for oxide in MODIFIERS) / glass["B2O3"], glass["SiO2"] / glass["B2O3"]


def yun_bray_dell(r: float, k: float) -> float:
    """N4, the share of boron with four oxygens, for K ≤ 8 (W. J. Dell, P. J. Bray, S. Z. Xiao, J. Non-Cryst. Solids
    58:1, 1983). Raises CompositionError for K > 8."""
    if k > K_MAX:
        raise CompositionError(f"K = [SiO2]/[B2O3] = {k:g}; the model of Yun, Bray and Dell holds up to {K_MAX:g}")
    if r <= 0.5 + k / 16:
        return r
    if r <= 0.5 + k / 4:
        return 0.5 + k / 16
    return max((8 + k) / 12 * (1 - r / (2 + k)), 0.0)
