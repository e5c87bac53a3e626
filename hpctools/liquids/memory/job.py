"""Memory functions of a state from its curves to its file, and of many states as a campaign."""

from __future__ import annotations

import math
import shutil
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from hpctools import provenance
from hpctools.campaign import Campaign, Task, share_of
from hpctools.campaign_command import carry_out
from hpctools.config import dump_toml
from hpctools.stop import Stop
from hpctools.world import World

from .. import mct
from ..library import SHIPPED, Library, LibraryError
from . import product
from .curve import checked
from .equation import FloatArray, check_omega2
from .errors import MemoryFunctionError
from .evolution import Evolution, evolve
from .inversion import invert
from .measured import Measured, mct_answer, of_record
from .search import SchematicForm
from .settings import MemorySettings

COST = 1.2  # seconds of a restart on one core, at a population of 16
RATIO = 1.4  # of neighbouring times in the inversion point by point


def kinds_of(settings: MemorySettings) -> list[tuple[int, str]]:
    """Number of exponentials and kind of the evolutions of a curve."""
    return [*((n, "newtonian") for n in range(1, settings.n_exp + 1)), (2, "overdamped"),
            *[(2, "schematic")] * settings.schematic]


def fits_of(measured: Measured, settings: MemorySettings) -> list[tuple[str, int, int, str]]:
    """Name, species, number of exponentials and kind of each evolution of a state."""
    names = {"overdamped": "first-order", "schematic": "schematic"}
    return [(f"{label}-{names.get(kind, n)}", species, n, kind) for species, label in enumerate(measured.species)
            for n, kind in kinds_of(settings)]


def check(measured: Measured, settings: MemorySettings) -> None:
    """Raises MemoryFunctionError, naming the place, where a curve is none that can be fitted."""
    for species in range(len(measured.species)):
        error = None if measured.error is None else measured.error[:, species]
        curve = checked(measured.t, measured.F[:, species], 1.0, error)
        curve.check_start(check_omega2(measured.omega2[species]))
        curve.since(settings.ballistic)


def restarts_of(n_exp: int, kind: str, settings: MemorySettings) -> int:
    """Restarts of an evolution: all for the two exponentials of the paper, half as many for the others."""
    return settings.restarts if n_exp == 2 and kind == "newtonian" else max(1, settings.restarts // 2)


def restarts_of_state(settings: MemorySettings) -> int:
    """Restarts of all evolutions of a state, of both species."""
    return 2 * sum(restarts_of(n, kind, settings) for n, kind in kinds_of(settings))


def evolve_curve(measured: Measured, species: int, n_exp: int, kind: str, settings: MemorySettings,
                 **options: Any) -> Evolution:
    """One evolution; kind: newtonian, overdamped (with D_0, from `ballistic` on) or schematic."""
    error = None if measured.error is None else measured.error[:, species]
    omega2 = measured.omega2[species] * (settings.ballistic if kind == "overdamped" else 1.0)
    return evolve(
        measured.t, measured.F[:, species], n_exp, omega2=omega2, F0=1.0, error=error,
        dynamics="overdamped" if kind == "overdamped" else "newtonian",
        t_from=settings.ballistic if kind == "overdamped" else 0.0,
        form=SchematicForm if kind == "schematic" else None, lasso=settings.lasso,
        restarts=restarts_of(n_exp, kind, settings),
        population=settings.population, seed=settings.seed, **options,
    )  # fmt: skip


def fit_state(source: Callable[[], Measured], settings: MemorySettings, arguments: Sequence[str], folder: Path,
              target: Path, stop: Stop | None) -> None:
    """All fits of a state; goes on with the restarts that a folder holds, and writes the file of the state.

    Raises campaign.Stopped when asked to stop, MemoryFunctionError where the curve is none.
    """
    begun = time.perf_counter()
    measured = source()
    # k is the peak as the whole library has it: where that has moved since the folder was begun, it is begun anew
    here = folder / f"k{measured.k:.6g}"
    found = {name: evolve_curve(measured, species, n, kind, settings, checkpoint=here / name, stop=stop)
             for name, species, n, kind in fits_of(measured, settings)}
    arrays, notes = _arrays(measured, settings, found)
    seconds = sum(one.seconds for one in found.values())
    attributes = provenance.provenance(
        product.KIND, arguments, settings, World(), seed=settings.seed, backend="cpu",
        packages=("numpy", "numba", "scipy", "cma", "h5py"),
        further={
            "state": measured.name, "source": measured.source.name, "species": list(measured.species),
            "omega2": measured.omega2, "first_order_omega2": measured.omega2 * settings.ballistic,
            "D_0": measured.omega2 / measured.k**2 * settings.ballistic, "k": measured.k,
            "temperature": measured.temperature, "potential": measured.potential, "density": measured.density,
            "inversion_from": 1 / np.sqrt(measured.omega2), "evolution_seconds": seconds,
            "wall_seconds": time.perf_counter() - begun, **notes,
        },
    )  # fmt: skip
    target.parent.mkdir(parents=True, exist_ok=True)
    product.write(target, arrays, attributes)


def _arrays(measured: Measured, settings: MemorySettings,
            found: dict[str, Evolution]) -> tuple[dict[str, FloatArray], dict[str, str]]:
    """All arrays of the file, and notes on what could not be made."""
    n_fits, labels, n_t = settings.n_exp, measured.species, len(measured.t)
    table = [[found[f"{label}-{n}"] for label in labels] for n in range(1, n_fits + 1)]
    first = [found[f"{label}-first-order"] for label in labels]

    def each(get: Callable[[Evolution], Any], length: int = 1) -> FloatArray:
        """(fits, species, length), NaN where a fit has fewer."""
        out = np.full((n_fits, len(labels), length), np.nan)
        for i, row in enumerate(table):
            for j, one in enumerate(row):
                value = np.atleast_1d(np.asarray(get(one), float))
                out[i, j, : len(value)] = value
        return out

    def single(get: Callable[[Evolution], Any]) -> FloatArray:
        return each(get)[..., 0]

    arrays: dict[str, FloatArray] = {
        "t": measured.t, "F": measured.F,
        "error": np.full_like(measured.F, np.nan) if measured.error is None else measured.error,
        "fit": each(lambda one: one.F, n_t), "c": single(lambda one: one.memory.c),
        "c_error": single(lambda one: one.error["c"]), "chi_square": single(lambda one: one.chi_square),
        "r_square": single(lambda one: one.R2), "loss": single(lambda one: one.loss),
        "agreeing": single(lambda one: one.agreeing / len(one.restarts)), "seconds": single(lambda one: one.seconds),
        "first_c": np.array([one.memory.c / one.omega2 for one in first]),
        "first_v": np.array([one.memory.v / one.omega2 for one in first]),
        "first_tau": np.array([one.memory.tau for one in first]),
        "first_b": np.array([one.memory.b for one in first]),
        "first_chi_square": np.array([one.chi_square for one in first]),
    }  # fmt: skip
    for name in ("v", "tau", "b"):
        arrays[name] = each(partial(_parameter, name), n_fits)
        arrays[f"{name}_error"] = each(partial(_entry, "error", name), n_fits)
        arrays[f"{name}_spread"] = each(partial(_entry, "spread", name), n_fits)
    blank = np.full((len(labels), n_t), np.nan)
    schematic, fit, chi, explained = np.full((len(labels), 4), np.nan), blank.copy(), blank[:, 0].copy(), blank[:, 0]
    for j, label in enumerate(labels):
        if settings.schematic:
            one = found[f"{label}-schematic"]
            nu, log_k, log_tau, mu = one.restarts[0].x
            schematic[j] = nu, math.exp(log_k), math.exp(-mu * log_tau), mu
            fit[j], chi[j], explained[j] = one.F, one.chi_square, one.R2
    arrays |= {"schematic": schematic, "schematic_fit": fit, "schematic_chi_square": chi,
               "schematic_r_square": explained.copy()}
    theory, notes = _theory(measured, settings, blank)
    return arrays | _rivals(measured, blank) | theory, notes


def _parameter(name: str, one: Evolution) -> FloatArray:
    return np.asarray(getattr(one.memory, name))


def _entry(table: str, name: str, one: Evolution) -> FloatArray:
    return np.asarray(getattr(one, table)[name])


def _rivals(measured: Measured, blank: FloatArray) -> dict[str, FloatArray]:
    """M by inversion."""
    prony, instant, points_t, points = blank.copy(), blank[:, 0].copy(), blank.copy(), blank.copy()
    for j in range(len(measured.species)):
        error = None if measured.error is None else measured.error[:, j]
        curve = partial(invert, measured.t, measured.F[:, j], F0=1.0, error=error, omega2=measured.omega2[j])
        found = curve()
        prony[j] = np.where(found.t >= found.valid_from, found.M, np.nan)
        instant[j] = found.instant
        by_points = curve(method="points", ratio=RATIO)
        points_t[j, : len(by_points.t)], points[j, : len(by_points.t)] = by_points.t, by_points.M
    return {"prony": prony, "prony_instant": instant, "points_t": points_t, "points": points}


def _theory(measured: Measured, settings: MemorySettings,
            blank: FloatArray) -> tuple[dict[str, FloatArray], dict[str, str]]:
    """What mode-coupling theory says; a note where it cannot be solved."""
    nothing = {"mct_F": blank, "mct_M": blank}
    if not settings.theory or measured.record is None:
        return nothing, {}
    try:
        F, M = mct_answer(measured, measured.t)
    except mct.MCTError as error:
        return nothing, {"theory_failed": str(error)}
    return {"mct_F": F.T, "mct_M": M.T}, {}


def campaign_of(folders: Sequence[str], out: Path, settings: MemorySettings, share: str | None = None,
                arguments: Sequence[str] = ()) -> Campaign:
    """All states of some folders of records (default: the shipped library) that are liquids or glasses.

    k is the main peak of S_AA, smoothed over the temperatures of a potential and density. Raises LibraryError.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        entries = Library.load(*(folders or [str(SHIPPED)])).usable
    names = [entry.record.path.stem for entry in entries]
    if len(set(names)) < len(names):
        raise LibraryError("the folders hold states of the same name; expected each state once")
    tasks = [Task(entry.record.path.stem, COST * restarts_of_state(settings) * settings.population / 16,
                  partial(fit_state, partial(of_record, entry.record, entry.k_peak), settings, list(arguments)),
                  partial(_progress, settings), _seconds)
             for entry in entries]
    return Campaign(out, share_of(tasks, share))


def check_settings(campaign: Campaign, settings: MemorySettings) -> None:
    """Raises MemoryFunctionError where the folder of a campaign holds results of other settings."""
    for path in map(campaign.product, campaign.tasks):
        if path.exists() and product.settings_text(path) != dump_toml(settings):
            raise MemoryFunctionError(f"{path} was made with other settings; expected those of this command: give "
                                      "another --out, or the same settings (see its attribute config_toml)")


def _progress(settings: MemorySettings, folder: Path) -> float:
    return min(0.99, len(list(folder.glob("k*/*/restart-*.json"))) / restarts_of_state(settings))


def _seconds(path: Path) -> float:
    return float(product.MemoryFile.load(path).attributes["evolution_seconds"])


def run_campaign(folders: Sequence[str], out: Path, settings: MemorySettings, world: World, *, workers: int = 1,
                 share: str | None = None, wall_time: float | None = None, retry: bool = False,
                 dry_run: bool = False) -> int:
    """The states on all ranks, or on so many processes; returns the exit code."""
    campaign = campaign_of(folders, out, settings, share, sys.argv)
    check_settings(campaign, settings)
    return carry_out(campaign, world, unit="states", workers=workers, wall_time=wall_time, margin=10.0, retry=retry,
                     dry_run=dry_run)


def run_one(source: Callable[[], Measured], name: str, settings: MemorySettings, out: Path, stop: Stop) -> Path:
    """One curve in the foreground; its file. Raises MemoryFunctionError, campaign.Stopped."""
    target, folder = out / f"{name}.h5", out / "runs" / name
    if target.exists():
        raise MemoryFunctionError(f"{target} is there already; expected another folder, or move it away")
    fit_state(source, settings, sys.argv, folder, target, stop)
    shutil.rmtree(folder)
    return target


def listed(values: FloatArray) -> str:
    """Numbers for people."""
    return ", ".join(f"{value:.4g}" for value in values)


def summary(path: Path) -> str:
    """The fits of a file as a Markdown table."""
    file = product.MemoryFile.load(path)
    lines = [f"{file.attributes['state']}: k = {file.attributes['k']:.4g}, Ω² = {listed(file.attributes['omega2'])}, "
             f"{len(file.t)} points, {file.attributes['evolution_seconds']:.0f} s",
             "| species | n_exp | χ² a point | 1 - R² | restarts agreeing | F(∞)/F(0) | v/Ω² | τ | b |",
             "|---|---|---|---|---|---|---|---|---|"]
    for j, (label, omega2) in enumerate(zip(file.attributes["species"], file.attributes["omega2"])):
        for row in range(len(file.c)):
            memory = file.memory(row + 1, j)
            terms = [", ".join(f"{value:.3g}" + "*" * math.isnan(error) for value, error in zip(values, errors))
                     for values, errors in ((memory.v / omega2, file.v_error[row, j]), (memory.tau,
                                            file.tau_error[row, j]), (memory.b, file.b_error[row, j]))]  # fmt: skip
            lines.append(f"| {label} | {row + 1} | {file.chi_square[row, j]:.2f} | {1 - file.r_square[row, j]:.1e} | "
                         f"{100 * file.agreeing[row, j]:.0f} % | {float(memory.nonergodicity(omega2)):.3g} | "
                         + " | ".join(terms) + " |")
        if np.isfinite(file.schematic[j]).all():
            nu, amplitude, rate, mu = file.schematic[j]
            lines.append(f"| {label} | eq. (8) | {file.schematic_chi_square[j]:.2f} | "
                         f"{1 - file.schematic_r_square[j]:.1e} | | 0 | K = {amplitude:.3g}, Ω̃² = {rate:.3g} | | "
                         f"{nu:.3g}, {mu:.3g} |")
    if any("*" in line for line in lines):
        lines.append("\n* at the end of its range: it has no error bar, fewer exponentials or a longer curve would do")
    return "\n".join(lines)
