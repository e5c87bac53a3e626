"""Memory functions by evolution: `evolve`.

CMA-ES (Hansen and Ostermeier 2001; the package `cma`, by ask and tell) searches the coordinates of `search`, in several
restarts, each from a start and a random stream of its own and every second one with a larger population; least squares
then take each to the bottom of its valley. A restart depends on nothing but the input and its number, so that the
result is the same for any number of ranks and threads, and after a stop.

Differences from Ciarella et al. (2023), § 4.4: effective parameters in place of redundant ones, in logarithms, with
steps of 0.3 (theirs of 5·10⁻⁴ end the search where it began: pycma's `tolfacupx`), errors of F as weights where they
are known, and the last step by least squares.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from hpctools.campaign import Stopped
from hpctools.progress import Progress
from hpctools.stop import Stop
from hpctools.whole import whole
from hpctools.world import World

from .curve import Curve, checked
from .equation import FloatArray, check_dynamics, check_omega2
from .errors import MemoryFunctionError
from .form import PaperForm, StretchedSum
from .inversion import prony
from .refinement import random_starts, refine
from .search import Form, Problem, StretchedForm

RESTARTS = 6
POPULATION = 16
SIGMA = 0.3
GENERATIONS = 400
FLAT = 1e-3  # the evolution ends where ln(loss) has changed by no more over cma's history
AGREEMENT = 0.01  # relative: restarts whose loss is within this of the best one's found the same minimum


@dataclass(frozen=True, eq=False)
class Restart:
    """One restart: coordinates, their standard errors, objective, and what it cost (seconds of processor time)."""

    number: int
    x: FloatArray
    error: FloatArray
    objective: float
    evaluations: int
    generations: int
    seconds: float


@dataclass(frozen=True, eq=False)
class Evolution:
    """Result of `evolve`.

    t, F (n_t,): times and fitted F(t), the points at t = 0 left out; memory: the best M(t), fastest term first;
    loss: Σ (F - fit)², of F/F(0); chi_square: Σ of the same over errors, a point (NaN without errors); R2.
    error: standard errors of c, v, tau, b; restarts: all, the best first; agreeing: how many of them ended within 1 %
    of the best objective; spread: standard deviations of c, v, tau, b over these (NaN for a single one).
    evaluations, seconds: of all restarts together.
    """

    t: FloatArray
    F: FloatArray
    memory: StretchedSum
    omega2: float
    dynamics: str
    loss: float
    chi_square: float
    R2: float
    error: dict[str, FloatArray]
    spread: dict[str, FloatArray]
    agreeing: int
    restarts: tuple[Restart, ...]
    evaluations: int
    seconds: float
    form: Form = field(repr=False)

    @property
    def paper(self) -> PaperForm:
        """The result in the form in print, with a = 0: one of many that are equal."""
        return PaperForm.of(self.memory)

    @property
    def nonergodicity(self) -> float:
        """F(∞)/F(0) of the fitted M."""
        return float(self.memory.nonergodicity(self.omega2))

    def memory_of(self, restart: Restart) -> StretchedSum:
        """M(t) that a restart ended with."""
        return self.form.memory(restart.x[None])[0].ordered()


def evolve(
    t: ArrayLike,
    F: ArrayLike,
    n_exp: int = 2,
    *,
    omega2: float | None = None,
    dynamics: str = "newtonian",
    F0: float | None = None,
    error: ArrayLike | None = None,
    t_from: float = 0.0,
    start: StretchedSum | str = "inversion",
    form: Callable[[float, FloatArray], Form] | None = None,
    lasso: float = 0.0,
    restarts: int = RESTARTS,
    population: int = POPULATION,
    sigma: float = SIGMA,
    seed: int = 1,
    threads: int = 1,
    world: World | None = None,
    checkpoint: str | Path | None = None,
    stop: Stop | None = None,
    progress: bool = False,
    backend: str | None = "cpu",
) -> Evolution:
    """Find the M(t) = c + Σ v_i exp[-(t/τ_i)^b_i] whose F(t) is nearest to a curve.

    t, F (n_t,): the curve, times ascending; error (n_t,): standard errors, weights of the fit; without them all points
    count alike. F0: F(0), needed where t[0] > 0. omega2: Ω²; may be left out for overdamped motion, where it is the
    slope at t = 0 of a Prony fit. t_from: earlier points are left out, as a ballistic start must be for "overdamped".
    start: of the first restart: "inversion" (a fit to `invert`), or a StretchedSum, such as `fit_curve` of the kernel
    of mode-coupling theory; the second begins near it, the others at random.
    form: another family of M(t), made from Ω² and the times: SchematicForm. lasso: see `search.Problem`.
    restarts, population, sigma, seed: of the evolution. threads share the candidates of a generation, ranks of `world`
    the restarts. checkpoint: folder in which finished restarts are kept; the same call goes on with them, and a stop
    raises campaign.Stopped. backend: see `integration`; a GPU pays only for populations of thousands.
    Raises MemoryFunctionError, which names the place of what is wrong.
    """
    curve = checked(t, F, F0, error)
    check_dynamics(dynamics)
    if omega2 is None:
        if dynamics == "newtonian":
            raise MemoryFunctionError("omega2 is missing; expected k² k_B T/m")
        rates, amplitudes = prony(curve)
        omega2 = float(rates @ amplitudes)
    number = check_omega2(omega2)
    curve = curve.since(t_from)
    if restarts < 1 or population < 4 or not sigma > 0 or seed < 0:
        raise MemoryFunctionError(f"restarts = {restarts}, population = {population}, sigma = {sigma:g}, seed = "
                                  f"{seed}; expected at least 1, at least 4, a positive number, and 0 or more")
    made = StretchedForm(n_exp, number, curve.t) if form is None else form(number, curve.t)
    if len(made.names) >= len(curve.t):
        raise MemoryFunctionError(f"{len(curve.t)} points for {len(made.names)} parameters; expected more points, or a "
                                  "smaller n_exp")
    problem = Problem(curve, made, dynamics, lasso=lasso, backend=backend, threads=threads)
    starts = _starts(problem, start, n_exp, restarts, seed)
    if dynamics == "newtonian":
        curve.check_start(number)
    settings = {"form": type(made).__name__, "n_exp": n_exp, "omega2": number, "dynamics": dynamics, "lasso": lasso,
                "population": population, "sigma": sigma, "seed": seed,
                "start": start if isinstance(start, str) else {name: np.asarray(part).tolist()
                                                               for name, part in vars(start).items()}}  # fmt: skip
    keep = _Kept(checkpoint, settings, curve)
    world = world or World()
    mine = []
    bar = Progress(restarts, "restarts", "evolution", enabled=progress and world.rank == 0)
    stopped = False
    for number_of in range(world.rank, restarts, world.size):
        found = keep.load(number_of)
        if found is None:
            found = _restart(problem, number_of, starts[number_of], population, sigma, seed, stop, bar)
            if found is None:
                stopped = True
                break
            keep.save(found)
        mine.append(found)
        bar.update(min((number_of + world.size), restarts), f"loss {found.objective:.4g}")
    bar.close()
    gathered = world.bcast(world.gather((mine, stopped)))
    if any(part[1] for part in gathered):
        raise Stopped(f"{sum(len(part[0]) for part in gathered)} of {restarts} restarts are done")
    return _result(problem, dynamics, [one for part in gathered for one in part[0]])


def _starts(problem: Problem, start: StretchedSum | str, n_exp: int, restarts: int, seed: int) -> FloatArray:
    """Coordinates of all starts (restarts, n)."""
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0,)))
    x = random_starts(problem, restarts, rng)
    if isinstance(start, StretchedSum):
        first: FloatArray | None = problem.form.coordinates(start)
    elif isinstance(start, str) and start == "inversion":
        first = _start_from_inversion(problem, n_exp)
    else:
        raise MemoryFunctionError(f"start = {start!r}; expected 'inversion' or a StretchedSum")
    if first is not None:
        scales = problem.form.scales
        x[0] = first
        x[1:2] = np.clip(first + 0.5 * scales * rng.standard_normal((1, len(first))), problem.form.lower,
                         problem.form.upper)
    return x


def _start_from_inversion(problem: Problem, n_exp: int) -> FloatArray | None:
    """Coordinates from the exact inversion of a Prony fit, the part faster than the curve as a term of its own; None
    where the curve yields none."""
    from .inversion import laplace_inversion
    from .search import fit_curve

    curve, omega2 = problem.curve, problem.form.omega2
    try:
        newtonian = problem.inertia[0] > 0
        late = curve.since(1 / math.sqrt(omega2)) if newtonian else curve
        rates, amplitudes = prony(late, None if newtonian else omega2)
        s, g, slope = laplace_inversion(rates, amplitudes)
        t = np.geomspace(late.t[0], late.t[-1], 60)
        M = omega2 * np.exp(-np.multiply.outer(t, s)) @ g
        terms = max(n_exp - newtonian, 1)
        found = fit_curve(t, M, terms)
        if newtonian and n_exp > 1:
            # what decays before the inversion begins: its integral is known, its time is taken as that beginning
            tau = late.t[0] / 3
            found = StretchedSum(found.c, np.append(found.v, omega2 / slope / tau), np.append(found.tau, tau),
                                 np.append(found.b, 1.5))
        return problem.form.coordinates(found)
    except MemoryFunctionError:
        return None


def _restart(problem: Problem, number: int, x0: FloatArray, population: int, sigma: float, seed: int,
             stop: Stop | None, bar: Progress) -> Restart | None:
    """One evolution and its refinement; None where it was asked to stop."""
    try:
        import cma
    except ImportError as error:
        raise MemoryFunctionError(f"evolve needs pycma ({error}): pip install 'hpctools[ml]'") from None
    form = problem.form
    begun, evaluations = time.process_time(), problem.evaluations
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1, number)))
    margin = 1e-6 * form.scales
    options = {
        "bounds": [list(form.lower / form.scales), list(form.upper / form.scales)],
        "popsize": population * (1 + number % 2), "maxiter": GENERATIONS, "tolfun": FLAT, "tolfunhist": FLAT,
        "verbose": -9, "verb_log": 0, "seed": math.nan, "randn": lambda *shape: rng.standard_normal(shape),
    }  # fmt: skip
    inside = np.clip(x0, form.lower + margin, form.upper - margin)
    search = cma.CMAEvolutionStrategy(inside / form.scales, sigma, options)
    generations = 0
    while not search.stop():
        if stop is not None and stop.requested:
            return None
        asked = search.ask()
        values = problem.objective(np.asarray(asked) * form.scales)
        # only the order of candidates counts; logarithms give the end of the search a meaning for any loss
        search.tell(asked, list(np.log(np.minimum(values, 1e300) + 1e-300)))
        generations += 1
        bar.update(bar.done, f"restart {number + 1}, generation {generations}, loss {math.exp(search.best.f):.4g}")
    found = refine(problem, np.asarray(search.best.x) * form.scales)
    return Restart(number, found.x, found.error, found.objective, problem.evaluations - evaluations, generations,
                   time.process_time() - begun)


def _result(problem: Problem, dynamics: str, restarts: list[Restart]) -> Evolution:
    form, curve = problem.form, problem.curve
    ordered = sorted(restarts, key=lambda one: (one.objective, one.number))
    best = ordered[0]
    F = problem.F(best.x[None])[0]
    same = [one for one in ordered if one.objective <= best.objective * (1 + AGREEMENT) + 1e-12]
    memories = [form.memory(one.x[None])[0].ordered() for one in same]
    spread = {name: np.std([getattr(one, name) for one in memories], axis=0, ddof=1)
              if len(memories) > 1 else np.full_like(np.asarray(getattr(memories[0], name)), np.nan)
              for name in ("c", "v", "tau", "b")}
    return Evolution(
        curve.t, curve.F0 * F, memories[0], form.omega2, dynamics, float(curve.loss(F)),
        float(curve.chi_square(F)) / len(curve.t) if curve.weighted else math.nan, curve.explained(F),
        _errors(form, best), spread, len(same), tuple(ordered), sum(one.evaluations for one in ordered),
        sum(one.seconds for one in ordered), form,
    )  # fmt: skip


def _errors(form: Form, best: Restart) -> dict[str, FloatArray]:
    """Standard errors of c, v, tau, b from those of the coordinates, each by its own derivative.

    A coordinate at a bound has none: what depends on it alone gets NaN, the rest is as if it were known there.
    """
    order = np.argsort(form.memory(best.x[None])[0].tau)
    squares: dict[str, Any] = {name: 0.0 for name in ("c", "v", "tau", "b")}
    step = 1e-5 * form.scales
    for i in np.flatnonzero(np.isfinite(best.error)):
        shift = np.zeros(len(best.x))
        shift[i] = step[i]
        pair = form.memory(np.stack([best.x + shift, best.x - shift]))
        for name in squares:
            value = getattr(pair, name)
            squares[name] = squares[name] + ((value[0] - value[1]) / (2 * step[i]) * best.error[i]) ** 2
    out = {}
    for name, value in squares.items():
        root = np.sqrt(np.where(np.asarray(value) > 0, value, np.nan))
        out[name] = root if name == "c" or root.ndim == 0 else root[order]
    return out


class _Kept:
    """Finished restarts in a folder, a file each."""

    def __init__(self, folder: str | Path | None, settings: dict[str, Any], curve: Curve) -> None:
        self.folder = None if folder is None else Path(folder)
        text = json.dumps(settings, sort_keys=True)
        data = b"".join(np.ascontiguousarray(array).tobytes() for array in (curve.t, curve.F, curve.error))
        self.fingerprint = hashlib.sha256(text.encode() + data).hexdigest()

    def _path(self, number: int) -> Path:
        assert self.folder is not None
        return self.folder / f"restart-{number:02d}.json"

    def load(self, number: int) -> Restart | None:
        """A restart that was finished before. Raises MemoryFunctionError where it belongs to something else."""
        if self.folder is None or not self._path(number).exists():
            return None
        try:
            table = json.loads(self._path(number).read_text(encoding="utf-8"))
        except ValueError as error:
            raise MemoryFunctionError(f"{self._path(number)} is damaged ({error}); remove it: this restart is then "
                                      "made anew") from error
        if table.pop("fingerprint") != self.fingerprint:
            raise MemoryFunctionError(f"{self._path(number)} belongs to another curve or other settings; give another "
                                      "folder, or remove this one to begin anew")
        return Restart(table["number"], np.array(table["x"], float), np.array(table["error"], float),
                       table["objective"], table["evaluations"], table["generations"], table["seconds"])

    def save(self, restart: Restart) -> None:
        """Keep a restart."""
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        table = {**vars(restart), "x": restart.x.tolist(), "error": restart.error.tolist(),
                 "fingerprint": self.fingerprint}
        with whole(self._path(restart.number), sync=True) as part:
            part.write_text(json.dumps(table), encoding="utf-8")
