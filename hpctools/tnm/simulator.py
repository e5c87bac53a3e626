"""DSC heating scans of the TNM model: the public functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import backends
from .model import GAS_CONSTANT, ParameterError, check_parameters, reference_temperature, transition_width
from .program import Program, Segments
from .schemes import SCHEMES, simulate_slowly
from .spectrum import TableStack, stack_tables

# Change of ln τ in a step of cooling and of heating at resolution 1, and the spacing of the modes there, in units of
# the default one. With these the errors of analysis/tnm_accuracy.py are within its limits.
CHANGE_COOLING = 0.18
CHANGE_HEATING = 0.16
# Cooling goes on to a longer τ than what the window shows, by up to this in ln τ: a burst magnifies a missing rest
# of relaxation.
DEEPER = (1.0, 6.0)
# Share of liquid (glass) that may be missing at the upper (lower) end of a scan.
END_TOLERANCE = 5e-3
BURST = 20.0  # scans with a higher CpN_max are thinner than a grid of 0.1 K can show


class Plan(NamedTuple):
    """What a kernel needs to know of a program and its samples, SI units."""

    segments: Segments
    high: float  # K, start of every cycle
    grid_low: float  # K, first point of the output grid
    step: float  # K
    change: NDArray[np.float64]  # (2,) change of ln τ in a step of cooling, of heating
    width: NDArray[np.float64]  # (n,) w₀, K
    glass: NDArray[np.float64]  # (n,) ln τ beyond which cooling may stop


class Job(NamedTuple):
    """Samples made ready for a backend; the fields are those of backends.py."""

    parameters: NDArray[np.float64]
    tables: TableStack
    which: NDArray[np.int64]
    plan: Plan
    start: NDArray[np.int64]
    points: NDArray[np.int64]
    offset: NDArray[np.int64]


@dataclass(frozen=True)
class Summary:
    """What is known of each scan without its signal; arrays (n, scans)."""

    tf_limit: NDArray[np.float64]  # Tf', K: fictive temperature at the start of the heating scan
    cpn_max: NDArray[np.float64]  # highest CpN of the continuous curve
    t_peak: NDArray[np.float64]  # K, where it is

    @property
    def burst(self) -> NDArray[np.bool_]:
        """Scans whose peak is higher than 20: thinner than a grid of 0.1 K can show."""
        return self.cpn_max > BURST


@dataclass(frozen=True)
class Windows:
    """Scans without the flat parts: CpN is 0 below the window of a sample and 1 above it.

    start, points (n,): first grid point and length of the window of each sample, common to its scans; values: CpN of
    all samples one behind the other, sample i in offset[i] … offset[i+1], its scans in order; total_points: of the
    full grid.
    """

    start: NDArray[np.int64]
    points: NDArray[np.int64]
    offset: NDArray[np.int64]
    values: NDArray[Any]
    scans: int
    total_points: int
    summary: Summary

    def __len__(self) -> int:
        return len(self.start)

    def __getitem__(self, i: int) -> NDArray[Any]:
        """The window of sample i, (scans, points[i])."""
        return self.values[self.offset[i] : self.offset[i + 1]].reshape(self.scans, self.points[i])

    def full(self, i: int) -> NDArray[Any]:
        """The full signals of sample i, (scans, total_points)."""
        signal = np.ones((self.scans, self.total_points), self.values.dtype)
        first = self.start[i]
        signal[:, :first] = 0.0
        signal[:, first : first + self.points[i]] = self[i]
        return signal


def ln_tau_ends(parameters: NDArray[np.float64], heating: NDArray[np.float64]) -> tuple[NDArray[Any], NDArray[Any]]:
    """ln τ (n,) above which a heating scan is flat glass, and below which it is flat liquid, to about 2e-5.

    heating: rates of the heating scans, K/s.

    In the glass the fastest relaxation left gives CpN ~ (w₀/(x q τ))**β; in the liquid CpN - 1 is governed by the
    second moment of the distribution of relaxation times, Γ(2/β)/Γ(1/β).
    """
    ln_a, dh, x, beta = parameters.T
    width = transition_width(ln_a, dh)
    glass = np.log(width / (x * heating.min())) + 3.0 + 11.5 / beta
    # a runaway glass lags the further the less T moves it
    liquid = np.log(width / heating.max()) - 7.0 - 2.6 / beta - 2.4 * beta / x
    return glass, liquid


def deep_glass(parameters: NDArray[np.float64], heating: NDArray[np.float64]) -> NDArray[np.float64]:
    """ln τ (n,) beyond which cooling may stop, for heating scans at these rates (K/s)."""
    sharpness = parameters[:, 3] / parameters[:, 2]
    return ln_tau_ends(parameters, heating)[0] + np.clip(3.0 * (sharpness - 0.5), *DEEPER)


def windows(parameters: ArrayLike, program: Program | None = None) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First grid point and number of points (n,), (n,) outside of which CpN is 0 below and 1 above.

    They follow from the parameters alone, so that files can be laid out before anything is simulated. The lower end
    is where τ(T, Tf) of the fastest-cooled glass, Tf about where q τ = w₀, reaches its glassy limit.
    """
    parameters = check_parameters(parameters)
    program = Program() if program is None else program
    ln_a, dh, x, _ = parameters.T
    glass, liquid = ln_tau_ends(parameters, np.array(program.heating_rates) / 60)
    theta = dh / GAS_CONSTANT
    slowest, fastest = min(program.cooling_rates) / 60, max(program.cooling_rates) / 60
    width = transition_width(ln_a, dh)
    low = np.full(len(parameters), np.inf)
    for rate in (slowest, fastest):
        tf = reference_temperature(ln_a, dh, np.log(width / rate))  # type: ignore[arg-type]
        low = np.minimum(low, x * theta / (glass - ln_a - (1 - x) * theta / tf))
    high = np.where(liquid > ln_a, theta / np.where(liquid > ln_a, liquid - ln_a, 1.0), np.inf)
    first = np.clip(np.floor((low - program.grid_low) / program.step), 0, program.points - 1)
    last = np.clip(np.ceil((high - program.grid_low) / program.step), first, program.points - 1)
    return first.astype(np.int64), (last - first + 1).astype(np.int64)


def prepare(parameters: ArrayLike, program: Program, resolution: float = 1.0, full: bool = False) -> Job:
    """Check parameters, lay out their windows and make their tables; see simulate_windows."""
    parameters = check_parameters(parameters)
    n = len(parameters)
    if full:
        start = np.zeros(n, np.int64)
        points = np.full(n, program.points, np.int64)
    else:
        start, points = windows(parameters, program)
    offset = np.zeros(n + 1, np.int64)
    np.cumsum(points * program.scans, out=offset[1:])
    betas, which = np.unique(parameters[:, 3], return_inverse=True)
    change = np.array([CHANGE_COOLING, CHANGE_HEATING]) / resolution
    plan = Plan(
        program.segments(), program.high, program.grid_low, program.step, change,
        transition_width(parameters[:, 0], parameters[:, 1]),
        deep_glass(parameters, np.array(program.heating_rates) / 60),
    )  # fmt: skip
    return Job(parameters, stack_tables(betas, min(1.0, resolution**-0.5)), which, plan, start, points, offset)


def simulate_windows(
    parameters: ArrayLike,
    program: Program | None = None,
    backend: str | None = None,
    *,
    dtype: Any = np.float32,
    resolution: float = 1.0,
    full: bool = False,
    values: NDArray[Any] | None = None,
) -> Windows:
    """Heating scans of TNM parameter sets, only where something happens.

    parameters: (n, 4), rows (ln A, Δh* in J/mol, x, β); program: the paper's six cycles if None; backend: "cpu",
    "cuda" or "host" (the CUDA source built for the host), by the rule of backends.choose if None; dtype: float32 or
    float64; resolution: finer steps and spectra than the default for numbers above 1; full: windows as wide as the
    grid; values: flat array to write to instead of a new one.

    Raises ParameterError, which names the first sample that has no meaning or that the program does not take from
    glass to liquid.
    """
    program = Program() if program is None else program
    kernel = backends.choose(backend)
    job = prepare(parameters, program, resolution, full)
    out = np.empty(job.offset[-1], dtype) if values is None else values
    summary = np.zeros((len(job.parameters), program.scans, 6))
    if len(job.parameters):
        kernel.simulate_into(*job, out, summary)
        check_ends(job.parameters, program, summary)
    return Windows(
        job.start, job.points, job.offset, out, program.scans, program.points,
        Summary(summary[:, :, 0], summary[:, :, 1], summary[:, :, 2]),
    )  # fmt: skip


def simulate(
    parameters: ArrayLike,
    program: Program | None = None,
    backend: str | None = None,
    *,
    dtype: Any = np.float32,
    resolution: float = 1.0,
    out: NDArray[Any] | None = None,
    scheme: str = "collocation",
) -> NDArray[Any]:
    """CpN of the heating scans of TNM parameter sets on the program's grid.

    parameters: (n, 4), rows (ln A, Δh* in J/mol, x, β), A in s; program: the paper's six cycles, -250 … 1600 °C in
    0.1 K, if None. Returns (n, scans, points), (n, 6, 18501) for the paper's program, as float32: 444 kB a sample.
    The value at a grid point is dTf/dT of the continuous model. out: an array to write to and return; loops that use
    one again and again save the time in which the system hands out fresh memory. scheme: "collocation"; "staircase",
    the published O(N²) scheme, and "direct", the second method, see schemes.py. See simulate_windows for the rest.
    """
    parameters = check_parameters(parameters)
    program = Program() if program is None else program
    shape = (len(parameters), program.scans, program.points)
    if out is None:
        out = np.empty(shape, dtype)
    elif out.shape != shape or out.dtype not in (np.float32, np.float64) or not out.flags.c_contiguous:
        raise ValueError(f"out has shape {out.shape} of {out.dtype}; expected a contiguous {shape} array of floats")
    if scheme not in SCHEMES:
        raise ValueError(f"scheme {scheme!r} is unknown; expected one of {', '.join(SCHEMES)}")
    if scheme != "collocation":
        return simulate_slowly(parameters, program, scheme, out)
    simulate_windows(parameters, program, backend, resolution=resolution, full=True, values=out.reshape(-1))
    return out


def check_ends(parameters: NDArray[np.float64], program: Program, summary: NDArray[np.float64]) -> None:
    """Refuse what is not a scan from glass to liquid."""
    values = summary.reshape(-1, 6)
    checks = (
        (values[:, 5] != 0, "the step size fell below its limit", "please report these parameters"),
        (~(np.abs(values[:, 3]) <= END_TOLERANCE), f"no glass at {program.low_celsius:g} °C", "a lower low_celsius"),
        (
            ~(np.abs(values[:, 4] - 1) <= END_TOLERANCE),
            f"no equilibrium liquid at {program.high_celsius:g} °C",
            "a higher high_celsius",
        ),
    )
    for bad, found, remedy in checks:
        if not bad.any():
            continue
        k = int(np.flatnonzero(bad)[0])
        i, scan = divmod(k, program.scans)
        ln_a, dh, x, beta = parameters[i]
        t100 = float(reference_temperature(ln_a, dh)) - 273.15
        raise ParameterError(
            f"sample {i} (ln A = {ln_a:g}, Δh* = {dh:g} J/mol, x = {x:g}, β = {beta:g}), scan {scan + 1}: {found} "
            f"(CpN = {values[k, 3]:.3g} at the start, {values[k, 4]:.3g} at the end; expected 0 and 1 within "
            f"{END_TOLERANCE:g}). Its T100 is {t100:.1f} °C, the program runs from {program.low_celsius:g} to "
            f"{program.high_celsius:g} °C: change the parameters, or the program ({remedy})."
        )
