"""Residuals of a set of scans and their derivatives, in the unknowns of the refinement.

Unknowns: the reading of T100 (K), ln Δh*, x, β, and, switched on by name, what an instrument adds (curves.py): `gain`,
`offset`, `tilt` and `gain-tilt` of each scan, `shift` (K) and `lag` (s) of all. T100, where τ = 100 s, and Δh* are
nearly uncorrelated, ln A and Δh* are not (-0.9998); ln A = ln 100 - Δh*/(R T100). To first order a lag is a shift and
a shift is a change of T100: well determined is only the reading, T100 + shift + heating rate · lag, at which the
derivatives by shift and lag are taken.

The noise of a DSC is correlated: residuals are whitened as a first-order autoregressive process of correlation length
ℓ, w_i = (r_i - ρ r_(i-1))/√(1 - ρ²), ρ = exp(-ΔT/ℓ), which is generalised least squares for exponential correlation.
Instrument parameters carry Gaussian priors (PRIORS), since a shift of the temperature scale is almost a change of ln A.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .curves import Curves, tables
from .model import GAS_CONSTANT, LN_TAU_REFERENCE, reference_temperature
from .scans import Scan, ScanError
from .spectrum import TableStack

Array = NDArray[np.float64]

# what an instrument adds: standard deviation of its prior; those of each scan, then those of all
PRIORS = {"gain": 0.03, "offset": 0.02, "tilt": 0.02, "gain-tilt": 0.02, "shift": 0.3, "lag": 4.0}
EACH_SCAN = ("gain", "offset", "tilt", "gain-tilt")
# what lines through glass and liquid windows may have got wrong: free, since nothing but the fit knows it
LINES = {"gain": 0.5, "offset": 0.25, "tilt": 0.25, "gain-tilt": 0.5}
STRETCH = (0.3, 3.0)  # of CpN by wrong lines
LAG_CENTRE, LAG_LIMITS, SHIFT_LIMITS = 4.0, (0.0, 20.0), (-5.0, 5.0)
# limits of the refinement, wider than the box that networks are trained in
LOWEST_X, LOWEST_BETA = 0.05, 0.15
LEAST_DH, MOST_DH = 1e4, 1e7  # J/mol
LEAST_NOISE = 3e-4  # of CpN: the simulator's own error
FIRST_NOISE = 0.01  # until it is known
SHORTEST, LONGEST_LENGTH = 0.2, 40.0  # correlation lengths of the noise, in distances of points
STEPS = (0.02, 0.004, 0.005, 0.004)  # of the Jacobian: T100 in w₀, ln Δh*, x, β
LONGEST = {"shift": 1.0, "lag": 3.0}  # step of the fit, K and s
MOVES = {"shift": 0.3, "lag": 0.5}  # the same of shift (K) and lag (s)

# names of instrument parameters to fit, or standard deviations of their priors by name
Nuisance = Sequence[str] | Mapping[str, float]


def within_limits(dh: float, x: float = 1.0, beta: float = 1.0) -> bool:
    """Whether a fit may stand at these values; dh in J/mol."""
    return LEAST_DH <= dh <= MOST_DH and LOWEST_X <= x <= 1 and LOWEST_BETA <= beta <= 1


def priors(scans: Sequence[Scan], nuisance: Nuisance = (), lines: bool | None = None) -> dict[str, float]:
    """Instrument parameters of a fit and the standard deviations of their priors.

    Those named, and what lines got wrong: `lines`, or where None for scans that were normalised by lines. Raises
    ScanError for a name that is unknown and a prior that is no positive number.
    """
    if isinstance(nuisance, str):
        raise ScanError("nuisance", f"found {nuisance!r}; expected names in a tuple, such as ({nuisance!r},)")
    for name in nuisance:
        if name not in PRIORS:
            raise ScanError("nuisance", f"{name!r} is unknown; expected {', '.join(PRIORS)}")
    free = any(one.step is not None for one in scans) if lines is None else lines
    found = dict(LINES) if free else {}
    if not isinstance(nuisance, Mapping):
        return found | {name: found.get(name, PRIORS[name]) for name in nuisance}
    for name, width in nuisance.items():
        if not width > 0:
            raise ScanError("nuisance", f"{name} has a prior of {width!r}; expected a positive number")
    return found | dict(nuisance)


class Noise(NamedTuple):
    """Standard deviation of CpN and its correlation length, K (0: white)."""

    sigma: float
    length: float


def to_internal(parameters: Array) -> Array:
    """(…, 4) ln A, Δh*, x, β to T100, ln Δh*, x, β."""
    p = np.asarray(parameters, float)
    return np.stack([reference_temperature(p[..., 0], p[..., 1]), np.log(p[..., 1]), p[..., 2], p[..., 3]], -1)


def from_internal(values: Array) -> Array:
    """The inverse of to_internal."""
    dh = np.exp(values[..., 1])
    ln_a = LN_TAU_REFERENCE - dh / (GAS_CONSTANT * values[..., 0])
    return np.stack([ln_a, dh, values[..., 2], values[..., 3]], -1)


def outer_jacobian(values: Array) -> Array:
    """∂(ln A, Δh*, x, β)/∂(T100, ln Δh*, x, β), (4, 4)."""
    dh = np.exp(values[1])
    j = np.eye(4)
    j[0, 0] = dh / (GAS_CONSTANT * values[0] ** 2)
    j[0, 1] = -dh / (GAS_CONSTANT * values[0])
    j[1, 1] = dh
    return j


@njit(cache=True, nogil=True)
def whiten(rows, temperature, offset, length):
    """Rows (n, points) in place: what is new at each point of noise with exponential correlation."""
    for s in range(offset.size - 1):
        for i in range(offset[s + 1] - 1, offset[s], -1):
            rho = np.exp(-(temperature[i] - temperature[i - 1]) / length) if length > 0.0 else 0.0
            scale = 1.0 / np.sqrt(1.0 - rho * rho)
            for k in range(rows.shape[0]):
                rows[k, i] = (rows[k, i] - rho * rows[k, i - 1]) * scale


class Problem:
    """Residuals and Jacobian of a set of scans, with the instrument parameters that are switched on."""

    def __init__(
        self, scans: Sequence[Scan], nuisance: Nuisance = (), dh: float | None = None, lines: bool | None = None
    ) -> None:
        widths = priors(scans, nuisance, lines)
        self.curves = Curves(scans)
        self.data = np.concatenate([s.cpn for s in scans])
        self.dh = dh
        n = len(scans)
        self.columns: list[tuple[str, int]] = [
            *((name, k) for name in EACH_SCAN if name in widths for k in range(n)),
            *((name, -1) for name in ("shift", "lag") if name in widths),
        ]
        self.size = 4 + len(self.columns)
        # K of reading for a unit of each unknown behind β
        rate = float(np.mean(self.curves.heating))
        self._reads = np.array([{"shift": 1.0, "lag": rate}.get(name, 0.0) for name, _ in self.columns])
        self.evaluations = 0
        t, offset = self.curves.temperature, self.curves.offset
        # -1 … 1 along each scan
        self._span = np.concatenate(
            [2 * (t[a:b] - t[a]) / (t[b - 1] - t[a]) - 1 for a, b in itertools.pairwise(offset)]
        )
        # a wrong line is a line in the signal: divided by the step it is what CpN shows, exactly
        self._share = np.concatenate([np.ones(s.cpn.size) if s.step is None else 1 / s.step for s in scans])
        low, high = np.full(self.size, -np.inf), np.full(self.size, np.inf)
        low[0], low[2:4], high[2:4] = 10.0, (LOWEST_X, LOWEST_BETA), 1.0
        low[1], high[1] = np.log(LEAST_DH), np.log(MOST_DH)
        # steps that the linear model can be trusted for; that of T100 depends on where it is
        self.longest = np.full(self.size, np.inf)
        self.longest[1:4] = 0.25, 0.15, 0.15
        self.centre, self.prior = np.zeros(self.size), np.full(self.size, np.inf)
        for i, (name, _) in enumerate(self.columns, 4):
            self.longest[i] = LONGEST.get(name, np.inf)
            self.prior[i] = widths[name]
            if name == "lag":
                self.centre[i], (low[i], high[i]) = LAG_CENTRE, LAG_LIMITS
            if name == "shift":
                low[i], high[i] = SHIFT_LIMITS
        self.low, self.high = low, high
        self.free = np.flatnonzero(np.arange(self.size) != (1 if dh is not None else -1))
        self.noise_scale = np.ones(self.data.size)

    def weigh(self, values: Array) -> None:
        """Take noise as a share of the true step: where lines were drawn wrong CpN is stretched, and its noise too."""
        gain = self._instrument(values)[0]
        self.noise_scale = np.clip(gain, *STRETCH)

    def initial(self, parameters: Array, read: bool = False) -> Array:
        """Unknowns (size,) at a parameter set, instrument parameters at their priors' centres.

        read: the set was read off scans that an instrument has shifted and delayed.
        """
        values = np.concatenate([to_internal(parameters), self.centre[4:]]) if read else self.at(parameters)
        if self.dh is not None:
            values[1] = np.log(self.dh)
        return np.clip(values, self.low, self.high)

    def at(self, parameters: Array, instrument: Array | None = None) -> Array:
        """Unknowns (size,) at a parameter set and instrument parameters (size - 4,), their priors' centres if None."""
        values = np.concatenate([to_internal(parameters), self.centre[4:] if instrument is None else instrument])
        values[0] += self._reads @ values[4:]
        return values

    def parameters(self, values: Array) -> Array:
        """ln A, Δh*, x, β (4,) of the unknowns (size,)."""
        return from_internal(self._true(values))

    def parameter_jacobian(self, values: Array) -> Array:
        """∂(ln A, Δh*, x, β)/∂(unknowns), (4, size)."""
        return outer_jacobian(self._true(values)) @ self.true_jacobian()

    def true_jacobian(self) -> Array:
        """∂(T100, ln Δh*, x, β)/∂(unknowns), (4, size): T100 is read behind shift and lag."""
        choice = np.eye(4, self.size)
        choice[0, 4:] = -self._reads
        return choice

    def _true(self, values: Array) -> Array:
        """T100, ln Δh*, x, β (4,)."""
        out = np.array(values[:4])
        out[0] -= self._reads @ values[4:]
        return out

    def _instrument(self, values: Array) -> tuple[Array, Array, float, float]:
        """Gain and offset at each point, shift, lag."""
        found = {name: np.zeros(len(self.curves)) for name in EACH_SCAN}
        common = {"shift": 0.0, "lag": 0.0}
        for (name, k), value in zip(self.columns, values[4:], strict=True):
            if k < 0:
                common[name] = float(value)
            else:
                found[name][k] = value
        counts = np.diff(self.curves.offset)
        gain, offset, tilt, gain_tilt = (np.repeat(found[name], counts) for name in EACH_SCAN)
        return (
            1 + self._share * (gain + gain_tilt * self._span),
            self._share * (offset + tilt * self._span),
            common["shift"],
            common["lag"],
        )

    def model(self, values: Array, resolution: float = 1.0) -> Array:
        """What the instrument shows, (points,)."""
        gain, offset, shift, lag = self._instrument(values)
        curve = self.curves.evaluate(self.parameters(values)[None], lag, shift, resolution)
        self.evaluations += 1
        return np.asarray(curve[0] * gain + offset)

    def undisturbed(self, values: Array, model: Array) -> Array:
        """CpN (points,) of a model (points,) without gain and base lines, behind its lag still."""
        gain, offset, _, _ = self._instrument(values)
        return np.asarray((model - offset) / gain)

    def linearise(self, values: Array, resolution: float = 1.0, central: bool = False) -> tuple[Array, Array]:
        """Model (points,) and its derivatives (size, points).

        Differences to one side are biased by their step, which shifts the minimum in its weak directions; central ones
        are not, and take 9 simulated sets instead of 5.
        """
        gain, offset, shift, lag = self._instrument(values)
        dh = np.exp(values[1])
        steps = np.array(STEPS)
        true = self._true(values)
        steps[0] *= GAS_CONSTANT * true[0] ** 2 / dh
        steps[2:] *= np.where(values[2:4] + steps[2:] > 1.0, -1.0, 1.0)
        moved = [0, 1, 2, 3] if self.dh is None else [0, 2, 3]
        shifts = np.diag(steps)[moved]
        back = np.zeros(4)
        if central:
            # x and β stay at 1 or below
            back = np.where(np.r_[0.0, 0.0, values[2:4] - steps[2:]] > 1.0, 0.0, 1.0)
            first, last = shifts[:-1], shifts[-1:]
            shifts = np.vstack([first, -first * back[moved[:-1], None], last, -last * back[3]])
        points = true + np.vstack([np.zeros(4), shifts])
        parameters = from_internal(points)
        betas, which = np.unique(parameters[:, 3], return_inverse=True)
        stack = tables(betas, resolution), which.astype(np.int64)
        curve = self.curves.evaluate(parameters, lag, shift, resolution, stack)
        self.evaluations += len(points)
        jacobian = np.zeros((self.size, self.data.size))
        n = len(moved)
        for k, j in enumerate(moved):
            forward, backward = (len(points) - 1 - central, len(points) - 1) if k == n - 1 else (1 + k, n + k)
            ahead, behind = curve[forward], curve[backward if central else 0]
            jacobian[j] = gain * (ahead - behind) / (steps[j] * (1 + back[j]))
        for i, (name, k) in enumerate(self.columns, 4):
            if name in MOVES:
                own = stack[0], stack[1][:1]
                ahead = self._moved(values, i, MOVES[name], resolution, own)
                if central and values[i] - MOVES[name] >= self.low[i]:
                    behind = self._moved(values, i, -MOVES[name], resolution, own)
                    jacobian[i] = gain * (ahead - behind) / (2 * MOVES[name])
                else:
                    jacobian[i] = gain * (ahead - curve[0]) / MOVES[name]
            else:
                part = self.curves.part(k)
                base = self._share[part] * (curve[0, part] if name.startswith("gain") else 1.0)
                jacobian[i, part] = base * self._span[part] if name.endswith("tilt") else base
        return curve[0] * gain + offset, jacobian

    def _moved(
        self, values: Array, i: int, step: float, resolution: float, stack: tuple[TableStack, NDArray[np.int64]]
    ) -> Array:
        """CpN (points,) where unknown i, a shift or a lag, differs by a step."""
        there = values.copy()
        there[i] += step
        _, _, shift, lag = self._instrument(there)
        self.evaluations += 1
        return self.curves.evaluate(self.parameters(there)[None], lag, shift, resolution, stack)[0]

    def whitened(self, rows: Array, noise: Noise) -> Array:
        """Rows (n, points) of residuals or derivatives as independent numbers of unit variance."""
        out = np.ascontiguousarray(rows) / (noise.sigma * self.noise_scale)
        whiten(out, self.curves.temperature, self.curves.offset, noise.length)
        return out

    def cost(self, values: Array, model: Array, noise: Noise) -> float:
        """Sum of squares, priors included; infinite where the model failed."""
        if not np.isfinite(model).all():
            return np.inf
        rest = self.whitened((self.data - model)[None], noise)[0]
        return float(rest @ rest + np.sum(((values - self.centre) / self.prior) ** 2))


def noise_of(problem: Problem, values: Array) -> Noise:
    """Size and correlation length of the noise at a fit's end, by restricted maximum likelihood.

    What the unknowns have taken up of the noise, mostly its slow part, counts (Patterson & Thompson 1971, Biometrika
    58, 545): the residuals' own size and autocorrelation are too small, and error bars with them.
    """
    model, jacobian = problem.linearise(values)
    rows = np.vstack([jacobian, (problem.data - model)[None]])[problem.free.tolist() + [-1]]
    curves = problem.curves
    gaps = np.concatenate([np.diff(curves.temperature[curves.part(k)]) for k in range(len(curves))])
    degrees = max(1, rows.shape[1] - len(rows) + 1)
    weight = 1 / problem.prior[problem.free] ** 2

    def likelihood(log_length: float, length: float | None = None) -> tuple[float, float]:
        """-2 ln of it, and the variance."""
        length = float(np.exp(log_length)) if length is None else length
        white = problem.whitened(rows, Noise(1.0, length))
        information = white[:-1] @ white[:-1].T
        # a prior is worth as much as the data have noise
        rough = float(white[-1] @ white[-1]) / degrees
        information += np.diag(weight * rough)
        scale = np.sqrt(np.maximum(np.diag(information), 1e-300))
        information /= np.outer(scale, scale)
        information += 1e-12 * np.eye(len(scale))
        gradient = (white[:-1] @ white[-1]) / scale
        rest = float(white[-1] @ white[-1] - gradient @ np.linalg.solve(information, gradient))
        variance = max(rest, 1e-300) / degrees
        known = float(np.log1p(-np.exp(-2 * gaps / length)).sum()) if length > 0 else 0.0
        whole = float(np.linalg.slogdet(information)[1] + 2 * np.log(scale).sum())
        return degrees * float(np.log(variance)) + known + whole, variance

    if not np.isfinite(rows).all():
        return Noise(FIRST_NOISE, 0.0)
    gap = float(np.median(gaps))
    # the likelihood has one maximum: a grid, then a parabola through the best three
    tried = np.log(gap) + np.linspace(np.log(SHORTEST), np.log(LONGEST_LENGTH), 17)
    found = [likelihood(v)[0] for v in tried]
    k = int(np.clip(np.argmin(found), 1, len(tried) - 2))
    left, middle, right = found[k - 1 : k + 2]
    move = 0.5 * (left - right) / max(left - 2 * middle + right, 1e-12)
    length = float(np.exp(tried[k] + np.clip(move, -1, 1) * (tried[1] - tried[0])))
    if likelihood(0.0, 0.0)[0] <= min(found):
        length = 0.0
    return Noise(max(float(np.sqrt(likelihood(0.0, length)[1])), LEAST_NOISE), length)


def seen_noise(problem: Problem) -> float:
    """Noise that the scans state, as a share of the true step, or NaN: a measure that does not depend on the model."""
    scans, curves = problem.curves.scans, problem.curves
    stated = [one.noise / float(np.median(problem.noise_scale[curves.part(k)])) for k, one in enumerate(scans)
              if one.noise is not None]  # fmt: skip
    return float(np.sqrt(np.mean(np.square(stated)))) if len(stated) == len(scans) and stated else float("nan")


def roughness(problem: Problem) -> float:
    """Noise of the data from third differences, which see little of the curve."""
    weights = np.array([1.0, -3.0, 3.0, -1.0]) / np.sqrt(20.0)
    parts = [np.convolve(problem.data[problem.curves.part(k)], weights, "valid") for k in range(len(problem.curves))]
    return float(1.4826 * np.median(np.abs(np.concatenate(parts))))
