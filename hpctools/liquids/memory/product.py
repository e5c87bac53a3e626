"""The file of a state's memory functions: fits with 1, 2, … exponentials, inversions, MCT's kernel, in HDF5."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import numpy as np

from hpctools.store import DataSet, Static, Writer
from hpctools.store_reader import open_reader
from hpctools.world import World

from .equation import FloatArray
from .form import StretchedSum

KIND = "memory functions"


@dataclass(frozen=True, eq=False)
class MemoryFile:
    """Memory functions of the species of one state; units of τ_LJ where the curve is in them.

    Fits go by n_exp - 1 (`fits`), species, and term (`terms`, NaN beyond n_exp), the fastest term first. Amplitudes are
    in 1/τ² for Newtonian motion; the first-order ones in units of their Ω² = k² D_0. Attributes: state, k, species,
    (species,) omega2, first_order_omega2, D_0 and inversion_from, settings, provenance.
    """

    path: Path
    attributes: dict[str, Any]
    t: Annotated[FloatArray, "τ", "(times,) of the curve"]
    F: Annotated[FloatArray, "1", "(times, species) F_s(k,t)"]
    error: Annotated[FloatArray, "1", "(times, species) its standard error; NaN where unknown"]
    fit: Annotated[FloatArray, "1", "(fits, species, times) fitted F_s"]
    c: Annotated[FloatArray, "1/τ²", "(fits, species) M(∞)"]
    v: Annotated[FloatArray, "1/τ²", "(fits, species, terms) amplitudes"]
    tau: Annotated[FloatArray, "τ", "(fits, species, terms)"]
    b: Annotated[FloatArray, "1", "(fits, species, terms)"]
    c_error: Annotated[FloatArray, "1/τ²", "(fits, species) standard error"]
    v_error: Annotated[FloatArray, "1/τ²", "(fits, species, terms) standard error"]
    tau_error: Annotated[FloatArray, "τ", "(fits, species, terms) standard error"]
    b_error: Annotated[FloatArray, "1", "(fits, species, terms) standard error"]
    v_spread: Annotated[FloatArray, "1/τ²", "(fits, species, terms) over agreeing restarts; NaN for a single one"]
    tau_spread: Annotated[FloatArray, "τ", "(fits, species, terms) over agreeing restarts"]
    b_spread: Annotated[FloatArray, "1", "(fits, species, terms) over agreeing restarts"]
    chi_square: Annotated[FloatArray, "1", "(fits, species) a point; NaN without errors"]
    r_square: Annotated[FloatArray, "1", "(fits, species) R²"]
    loss: Annotated[FloatArray, "1", "(fits, species) Σ (F - fit)²"]
    agreeing: Annotated[FloatArray, "1", "(fits, species) share of the restarts within 1 % of the best objective"]
    seconds: Annotated[FloatArray, "s", "(fits, species) time of the evolution"]
    first_c: Annotated[FloatArray, "Ω²", "(species,) first-order equation, 2 terms: M(∞)/Ω²"]
    first_v: Annotated[FloatArray, "Ω²", "(species, 2) first-order equation: amplitudes/Ω²"]
    first_tau: Annotated[FloatArray, "τ", "(species, 2) first-order equation"]
    first_b: Annotated[FloatArray, "1", "(species, 2) first-order equation"]
    first_chi_square: Annotated[FloatArray, "1", "(species,) first-order equation, a point from `ballistic` on"]
    schematic: Annotated[FloatArray, "1", "(species, 4) eq. (8): ν, K, Ω̃², μ; NaN if not fitted"]
    schematic_fit: Annotated[FloatArray, "1", "(species, times) fitted F_s"]
    schematic_chi_square: Annotated[FloatArray, "1", "(species,) a point"]
    schematic_r_square: Annotated[FloatArray, "1", "(species,) R²"]
    prony: Annotated[FloatArray, "1/τ²", "(species, times) M of the inversion; NaN before attribute inversion_from"]
    prony_instant: Annotated[FloatArray, "1/τ", "(species,) ∫M dt of what is faster than the inversion shows"]
    points_t: Annotated[FloatArray, "τ", "(species, times) of `points`, NaN where there are fewer"]
    points: Annotated[FloatArray, "1/τ²", "(species, times) M point by point"]
    mct_F: Annotated[FloatArray, "1", "(species, times) F_s of mode-coupling theory; NaN if not solved"]
    mct_M: Annotated[FloatArray, "1/τ²", "(species, times) its memory function"]

    @classmethod
    def load(cls, path: str | Path) -> MemoryFile:
        """Read a file; raises StoreError where it is none."""
        with open_reader(path, KIND) as file:
            arrays = {name: np.asarray(file[name][()], float) for name in _arrays()}
            attributes = {key: value.item() if isinstance(value, np.generic) else value
                          for key, value in file.attrs.items()}
        return cls(path=Path(path), attributes=attributes, **arrays)

    def memory(self, n_exp: int, species: int) -> StretchedSum:
        """The fitted M(t) of Newtonian motion."""
        row = n_exp - 1
        terms = (array[row, species, :n_exp] for array in (self.v, self.tau, self.b))
        return StretchedSum(self.c[row, species], *terms)

    def first_order(self, species: int) -> StretchedSum:
        """M/Ω² of the first-order equation."""
        return StretchedSum(self.first_c[species], self.first_v[species], self.first_tau[species],
                            self.first_b[species])


def settings_text(path: Path) -> str:
    """The settings that a file was made with, as TOML. Raises StoreError where it is no such file."""
    with open_reader(path, KIND) as file:
        return str(file.attrs["config_toml"])


def _arrays() -> dict[str, tuple[str, str]]:
    """Unit and description of each array."""
    hints = get_type_hints(MemoryFile, include_extras=True)
    return {one.name: hints[one.name].__metadata__ for one in fields(MemoryFile)
            if hasattr(hints[one.name], "__metadata__")}


def write(path: Path, arrays: Mapping[str, FloatArray], attributes: Mapping[str, Any]) -> None:
    """Write a file; it appears complete or not at all. attributes: with those of `provenance`."""
    known = _arrays()
    statics = [Static(name, np.asarray(arrays[name], float), *known[name]) for name in known if name != "fit"]
    fit = np.ascontiguousarray(arrays["fit"], dtype=np.float64)
    digest = hashlib.sha256(b"".join(np.ascontiguousarray(arrays[name]).tobytes() for name in sorted(known)))
    data = DataSet("fit", fit.shape, fit.dtype, np.array([0, len(fit)]), *known["fit"])
    with Writer(path, [data], World(), attributes=dict(attributes), static=statics,
                fingerprint={"content": digest.hexdigest()}, layout="files") as writer:
        if len(writer.remaining):
            writer.write(0, {"fit": fit})
        writer.finish()
