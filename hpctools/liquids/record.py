"""The record of a state: what was measured on one run, in one small HDF5 file.

Every data set carries its unit and a description. Values are rounded to 4·10⁻⁶ and errors to 10⁻³ of
themselves, so that gzip finds something to do.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import numpy as np

from hpctools.folders import locked_if_possible
from hpctools.store import DataSet, Static, StoreError, Writer
from hpctools.store_job import parts_folder
from hpctools.store_reader import open_reader
from hpctools.world import World

from .averages import drift, lagrange, standard_error
from .dynamics import Dynamics, ageing, diffusion, non_gaussian, peak_estimate, relaxation_time
from .structure import GridError, Structure, grid_weights, ideal_counts
from .wavevectors import central_moments

if TYPE_CHECKING:
    from .crystal import BondOrder

KIND = "liquid state"
_OF_THE_STORE = ("attributes_sha256", "job", "job_digest", "chunk_data_sets", "finished_utc", "hpctools_schema")
"""Attributes that the checksum over them leaves out: itself, and what `store.Writer` adds."""
VALUE, ERROR = 18, 10
"""Binary digits kept of values and of errors."""


@dataclass(frozen=True)
class Stored:
    """How an array of the record lies in the file: unit, meaning, binary digits kept (0: all), gzip or not."""

    unit: str
    description: str
    digits: int = 0
    compressed: bool = False


@dataclass(frozen=True, eq=False)
class Record:
    """The record of a state as arrays; shapes in the descriptions, units in σ_AA, ε_AA, τ_LJ.

    Species are A, B and pairs AA, AB, BB, in this order. Errors are standard errors, NaN where unknown.
    `attributes` holds the state (potential, density, temperature, seed, flags, …), mean thermodynamic
    values, the settings and the provenance.
    """

    path: Path
    attributes: dict[str, Any]
    shell_k: Annotated[np.ndarray, Stored(
        "1/σ_AA", "(shells,) mean |k| of the wave vectors used; NaN: no vector in the shell")]
    shell_vectors: Annotated[np.ndarray, Stored(
        "1", "(shells,) wave vectors used, up to their sign; 0: the shell is empty")]
    shell_available: Annotated[np.ndarray, Stored("1", "(shells,) wave vectors in the shell, up to their sign")]
    structure_factor: Annotated[np.ndarray, Stored("1", "(shells, pairs) S_ab(k) = <rho_a(k) rho_b(-k)>/N", VALUE)]
    structure_factor_error: Annotated[np.ndarray, Stored("1", "(shells, pairs) its standard error", ERROR)]
    structure_factor_halves: Annotated[np.ndarray, Stored("1", "(shells, halves of the run, pairs) S_ab(k)", VALUE)]
    pair_counts: Annotated[np.ndarray, Stored(
        "1", "(bins, pairs) pairs of particles in all static frames; bin i is [i, i + 1) times attribute bin_width")]
    pair_distribution_error: Annotated[np.ndarray, Stored("1", "(bins, pairs) standard error of g_ab(r)", ERROR)]
    times: Annotated[np.ndarray, Stored("τ_LJ", "(lags,) lags, the first is 0")]
    origins: Annotated[np.ndarray, Stored("1", "(lags,) time origins")]
    self_k: Annotated[np.ndarray, Stored("1/σ_AA", "(k,) wave numbers of self_scattering")]
    self_scattering: Annotated[np.ndarray, Stored("1", "(lags, species, k) F_s(k,t) = <sin(kr)/(kr)>", VALUE, True)]
    self_scattering_error: Annotated[np.ndarray, Stored("1", "(lags, species, k) its standard error", ERROR, True)]
    self_scattering_halves: Annotated[np.ndarray, Stored(
        "1", "(lags, halves of the run, species, k) F_s(k,t)", VALUE, True)]
    square_displacement: Annotated[np.ndarray, Stored("σ_AA²", "(lags, species) <r²>", VALUE)]
    square_displacement_error: Annotated[np.ndarray, Stored("σ_AA²", "(lags, species) its standard error", ERROR)]
    non_gaussian: Annotated[np.ndarray, Stored("1", "(lags, species) 3<r⁴>/(5<r²>²) - 1", VALUE)]
    non_gaussian_error: Annotated[np.ndarray, Stored("1", "(lags, species) its standard error", ERROR)]
    collective_k: Annotated[np.ndarray, Stored("1/σ_AA", "(shells near the peak,) mean |k| of collective_scattering")]
    collective_scattering: Annotated[np.ndarray, Stored(
        "1", "(lags, shells near the peak, pairs) F_ab(k,t) = <rho_a(k,t) rho_b(-k,0)>/N", VALUE)]
    collective_scattering_error: Annotated[np.ndarray, Stored(
        "1", "(lags, shells near the peak, pairs) its standard error", ERROR)]
    relaxation_time: Annotated[np.ndarray, Stored("τ_LJ", "(species, k) where F_s = 1/e; NaN: not reached")]
    relaxation_time_error: Annotated[np.ndarray, Stored("τ_LJ", "(species, k) its standard error")]
    diffusion: Annotated[np.ndarray, Stored("σ_AA²/τ_LJ", "(species,) diffusion coefficient; NaN: not diffusive")]
    diffusion_error: Annotated[np.ndarray, Stored("σ_AA²/τ_LJ", "(species,) its standard error")]
    thermo: Annotated[np.ndarray, Stored(
        "ε_AA, ε_AA/σ_AA³, ε_AA/k_B", "(blocks of the run, 3) potential energy a particle, pressure, temperature", 0)]
    bond_order: Annotated[np.ndarray, Stored(
        "1", "(configurations, 3) time in τ_LJ, fraction of solid-like particles, fraction in the largest "
        "solid-like cluster")]

    @classmethod
    def load(cls, path: str | Path) -> Record:
        """Read a record; raises StoreError where the file is none, or where what is read is damaged.

        HDF5 itself does not survive damage of its own structures.
        """
        with open_reader(path, KIND) as file:
            try:
                arrays = {name: file[name][()] for name in _stored()}
                attributes = {key: value.item() if isinstance(value, np.generic) else value
                              for key, value in file.attrs.items()}
                content = attributes["content_sha256"]
            except (OSError, KeyError, RuntimeError, ValueError, MemoryError) as error:
                raise StoreError(f"{path}: is damaged ({error}); fetch it again, or move it away and run the state "
                                 "again") from error
        told = attributes.get("attributes_sha256")  # the first records have none
        for name, differs in (("arrays", _content(arrays) != content),
                              ("attributes", told is not None and _told(attributes) != told)):
            if differs:
                raise StoreError(f"{path}: its {name} are damaged: their checksum differs; fetch it again, or move it "
                                 "away and run the state again")
        wide = {name: array.astype(float if array.dtype.kind == "f" else int) for name, array in arrays.items()}
        return cls(path=Path(path), attributes=attributes, **wide)

    def structure_on_grid(self, k: Sequence[float] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """S_ab and its error at wave numbers k: two (n_k, pairs); see `structure.grid_weights`.

        `structure.PAPER_GRID` is the grid with dk = 0.4 of the paper. The errors of the shells count as
        independent. Raises GridError outside the shells.
        """
        weights = self.grid_weights(k)
        value = weights @ np.nan_to_num(self.structure_factor)
        return value, np.sqrt(weights**2 @ np.nan_to_num(self.structure_factor_error) ** 2)

    def grid_weights(self, k: Sequence[float] | np.ndarray) -> np.ndarray:
        """(n_k, shells) weights that bring means over the shells to wave numbers k; see `structure.grid_weights`."""
        moments = central_moments(self.attributes["box_length"], self.attributes["shell_width"], len(self.shell_k))
        return grid_weights(self.shell_k, moments, self.shell_vectors, k)

    def self_at(self, k: float) -> tuple[np.ndarray, np.ndarray]:
        """F_s(k,t) and its error at a wave number: two (lags, species).

        One of `self_k`, or any within the ladder around the peak (attribute ladder), by the cubic through
        the four nearest. The errors of neighbouring wave numbers are fully correlated and are interpolated
        linearly. Raises GridError for other k.
        """
        column, weights = _self_weights(self.self_k, self.attributes["ladder"], k)
        low = int(np.clip(np.searchsorted(self.self_k, k) - 1, 0, len(self.self_k) - 2))
        part = float(np.clip((k - self.self_k[low]) / (self.self_k[low + 1] - self.self_k[low]), 0, 1))
        error = (1 - part) * self.self_scattering_error[..., low] + part * self.self_scattering_error[..., low + 1]
        return self.self_scattering[..., column] @ weights, error

    def relaxation_at(self, k: float) -> tuple[np.ndarray, np.ndarray]:
        """τ_α at a wave number, and its error: two (species,). NaN where F_s does not fall to 1/e."""
        value, error = self.self_at(k)
        pairs = [relaxation_time(self.times, value[:, a], error[:, a]) for a in range(value.shape[1])]
        return np.array([t for t, _ in pairs]), np.array([e for _, e in pairs])

    def pair_distribution(self) -> tuple[np.ndarray, np.ndarray]:
        """Middle of the bins (bins,) and g_ab (bins, pairs)."""
        width = self.attributes["bin_width"]
        bounds = np.concatenate([[0], np.cumsum(self.attributes["particles"])])
        ideal = ideal_counts(bounds, self.attributes["box_length"], width, len(self.pair_counts)).T
        r = (np.arange(len(self.pair_counts)) + 0.5) * width
        return r, self.pair_counts / (ideal * self.attributes["static_frames"])


def _stored() -> dict[str, Stored]:
    """How each array of the record is stored, by name."""
    hints = get_type_hints(Record, include_extras=True)
    return {name: hint.__metadata__[0] for name, hint in hints.items() if hasattr(hint, "__metadata__")}


def _self_weights(k_known: np.ndarray, ladder: Sequence[float], k: float) -> tuple[slice, np.ndarray]:
    exact = np.flatnonzero(np.isclose(k_known, k, rtol=1e-6, atol=0))
    if len(exact):
        return slice(exact[0], exact[0] + 1), np.ones(1)
    inside = np.flatnonzero((k_known >= ladder[0] - 1e-6) & (k_known <= ladder[1] + 1e-6))
    if not ladder[0] <= k <= ladder[1]:
        raise GridError(f"F_s at k = {k:g}: expected {ladder[0]:.4g} ≤ k ≤ {ladder[1]:.4g} or one of "
                        f"{', '.join(f'{value:g}' for value in k_known)}")
    near, weights = lagrange(k_known[inside], k)
    return slice(inside[0] + near.start, inside[0] + near.stop), weights


def _content(arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 over all arrays as they are stored."""
    digest = hashlib.sha256()
    for name in _stored():
        array = np.asarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _told(attributes: Mapping[str, Any]) -> str:
    """SHA-256 over the attributes that are handed to the store, the same for those that are read."""
    plain = {key: np.asarray(value).tolist() for key, value in attributes.items() if key not in _OF_THE_STORE}
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def _rounded(values: np.ndarray, digits: int) -> np.ndarray:
    """float32 with so many binary digits; the rest are zeros, which compress well."""
    mantissa, exponent = np.frexp(values)
    return np.ldexp(np.round(np.ldexp(mantissa, digits)), exponent - digits).astype(np.float32)


def arrays_of(structure: Structure, dynamics: Dynamics, thermo: np.ndarray, order: Sequence[tuple[float, BondOrder]],
              bounds: np.ndarray) -> dict[str, np.ndarray]:
    """All arrays of a record by name."""
    n_k, half = len(dynamics.k), structure.factor.shape[0] // 2
    values, errors = dynamics.mean(dynamics.self_part), dynamics.error(dynamics.self_part)
    f, f_error, square, fourth = values[..., :n_k], errors[..., :n_k], values[..., n_k], values[..., n_k + 1]
    alpha = non_gaussian(square, fourth)
    with np.errstate(invalid="ignore", divide="ignore"):
        # α_2 to first order in the deviation of ⟨r²⟩ and ⟨r⁴⟩ of each origin
        deviation = (alpha + 1)[:, None] * (dynamics.self_part[..., n_k + 1] / fourth[:, None]
                                            - 2 * dynamics.self_part[..., n_k] / square[:, None])
    species = range(f.shape[1])
    tau = np.array([[relaxation_time(dynamics.times, f[:, a, j], f_error[:, a, j]) for j in range(n_k)]
                    for a in species])
    d = np.array([diffusion(dynamics.times, square[:, a], errors[:, a, n_k]) for a in species])
    halves = [structure.structure_factor(slice(None, half)), structure.structure_factor(slice(half, None))]
    return {
        "shell_k": structure.shells.mean_k, "shell_vectors": structure.shells.used,
        "shell_available": structure.shells.available, "structure_factor": structure.structure_factor(),
        "structure_factor_error": structure.structure_factor_error(),
        "structure_factor_halves": np.stack(halves, axis=1), "pair_counts": structure.counts.sum(axis=0).T,
        "pair_distribution_error": structure.pair_distribution_error(bounds).T, "times": dynamics.times,
        "origins": dynamics.n_origins, "self_k": dynamics.k, "self_scattering": f, "self_scattering_error": f_error,
        "self_scattering_halves": np.moveaxis(dynamics.halves(dynamics.self_part)[..., :n_k], 0, 1),
        "square_displacement": square, "square_displacement_error": errors[..., n_k], "non_gaussian": alpha,
        "non_gaussian_error": dynamics.error(deviation), "collective_k": dynamics.shells.mean_k,
        "collective_scattering": dynamics.mean(dynamics.collective),
        "collective_scattering_error": dynamics.error(dynamics.collective), "relaxation_time": tau[..., 0],
        "relaxation_time_error": tau[..., 1], "diffusion": d[:, 0], "diffusion_error": d[:, 1], "thermo": thermo,
        "bond_order": np.array([(time, found.solid, found.cluster) for time, found in order]),
    }  # fmt: skip


def summary_of(arrays: Mapping[str, np.ndarray], counts: np.ndarray, density: float) -> dict[str, Any]:
    """Numbers of a state for its attributes: means, errors, drifts and halves of the energies, checks of the run.

    The total energy a particle is U/N + 3/2 T (N - 1)/N, as T is that of 3N - 3 degrees of freedom. A drift is
    the change over the whole run by a straight line. In NVE the errors of U and P are those at the energy of the run;
    at a given temperature they are 4 to 5 times larger.
    """
    n, thermo = int(counts.sum()), arrays["thermo"]
    series = {"potential_energy": thermo[:, 0], "pressure": thermo[:, 1], "mean_temperature": thermo[:, 2],
              "total_energy": thermo[:, 0] + 1.5 * (n - 1) / n * thermo[:, 2]}
    found: dict[str, Any] = {"errors_hold_at": "the total energy of the run; at a given temperature those of U and P "
                                               "are 4 to 5 times larger"}
    for name, values in series.items():
        half = len(values) // 2
        found[name] = float(values.mean())
        found[f"{name}_error"] = float(standard_error(values))
        found[f"{name}_halves"] = [float(values[:half].mean()), float(values[half:].mean())]
        found[f"{name}_drift"], found[f"{name}_drift_error"] = drift(values)
    peak = int(np.argmin(np.abs(arrays["self_k"] - peak_estimate(density))))
    chi, points = ageing(arrays["times"], np.moveaxis(arrays["self_scattering_halves"], 1, 0)[..., peak],
                         arrays["self_scattering_error"][..., peak])
    found.update(ageing_chi_square=chi, ageing_points=points, solid_fraction=float(arrays["bond_order"][-1, 1]),
                 solid_cluster=float(arrays["bond_order"][-1, 2]))
    return found


def write_record(path: str | Path, arrays: Mapping[str, np.ndarray], attributes: Mapping[str, Any]) -> None:
    """Write a record; it appears complete or not at all. Called by one rank. attributes: with those of `provenance`.

    Raises StoreError where the path exists, and ValueError where an array of `Record` is missing.
    """
    check_free(path)
    data_sets, static, stored = [], [], {}
    for name, how in _stored().items():
        array = np.asarray(arrays[name])
        if how.digits:
            array = _rounded(array, how.digits)
        elif array.dtype.kind == "i" and np.abs(array).max(initial=0) < 2**31:
            array = array.astype(np.int32)
        stored[name] = array
        if how.compressed:
            data_sets.append(DataSet(name, array.shape, array.dtype, np.array([0, len(array)]), how.unit,
                                     how.description, compression=9))
        else:
            static.append(Static(name, array, how.unit, how.description))
    content = _content(stored)
    plain = {**_plain(attributes), "content_sha256": content}
    parts = parts_folder(Path(path))
    if parts.exists():  # of a run that was killed here: there is nothing worth to go on with
        with locked_if_possible(parts) as holder:
            if not holder:
                shutil.rmtree(parts)
    with Writer(path, data_sets, World(), attributes={**plain, "attributes_sha256": _told(plain)}, static=static,
                fingerprint={"content": content}, layout="files") as writer:
        if len(writer.remaining):
            writer.write(0, {item.name: stored[item.name] for item in data_sets})
        writer.finish()


def check_free(path: str | Path) -> None:
    """Raise StoreError where something is at the path of a record."""
    if Path(path).exists():
        raise StoreError(f"{path}: exists already; a record is never overwritten. Move it away or choose another name")


def _plain(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes as HDF5 takes them: no None, nested ones as JSON."""
    return {key: json.dumps(value) if isinstance(value, dict) else list(value) if isinstance(value, tuple) else value
            for key, value in attributes.items() if value is not None}
