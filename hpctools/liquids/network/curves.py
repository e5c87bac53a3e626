"""F_s(k_p,t) as a curve: smoothed by modes, described by the times at which it passes fixed levels.

Times are in reduced units, t* = t ρ^(1/3) √T (σ_AA, ε_AA, m = 1), in which particles fly alike at short times. Beyond
the flight F_s is completely monotone, a sum of decaying exponentials; to hold from t = 0 on, it is written in the
delayed time

    s(t) = √(t*² + δ²) - δ ,    f(t) = Σ_j a_j exp(-r_j s(t)) ,   a_j ≥ 0 ,  Σ_j a_j = 1 ,  r_0 = 0 ,

which starts as 1 - ⟨r⟩ t*²/2δ like the exact 1 - k²T t²/2m. With δ = 0.15 this fits the shipped records within their
errors (`fit_modes`; tests/liquids/test_network_curves.py). The curve's numbers are

    x_l = ln s at f = level_l ,   levels evenly spaced in ln(-ln f) ,

between which ln(-ln f) is a straight line in x: stretched exponentials are exact, and a shift of all x is a change of
the relaxation time. They are not defined where a glass does not relax: `imputed` bounds them from below.

A model that is shown S(k) alone (kind `structure` of inputs.py) must not be told T and ρ by its clock: its curves, and
what it learns, are in plain time, t* = t/τ_LJ. The record itself is smoothed in reduced time whatever the kind.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .samples import FloatArray, Sample, State

DELAY = 0.15  # δ in reduced time
RATES = np.concatenate([[0.0], np.logspace(-7, np.log10(200.0), 55)])
Y = np.linspace(-5.0, 1.5, 60)
LEVELS = np.exp(-np.exp(Y))
"""(60,) from 0.993 to 0.011."""
SPECIES = 2
COLUMNS = SPECIES * len(Y)


def reduced(state: State, kind: str = "") -> float:
    """ρ^(1/3) √T: reduced time a τ_LJ; 1 for models that must not know them, see inputs.py for the kinds."""
    return 1.0 if kind == "structure" else float(state.density ** (1 / 3) * np.sqrt(state.temperature))


def delayed(times: FloatArray, state: State, kind: str = "") -> FloatArray:
    """s(t), also for an array of any shape."""
    t = np.asarray(times, float) * reduced(state, kind)
    return np.asarray(t * t / (np.sqrt(t * t + DELAY**2) + DELAY))  # no cancellation at small t


def time_of(s: FloatArray, state: State, kind: str = "") -> FloatArray:
    """The t of a delayed time."""
    return np.asarray(np.sqrt(s * s + 2 * DELAY * s) / reduced(state, kind))


def modes(s: FloatArray) -> FloatArray:
    """(…, 56) exp(-r_j s)."""
    return np.asarray(np.exp(-np.asarray(s)[..., None] * RATES))


def fit_modes(sample: Sample, kind: str = "") -> FloatArray:
    """(2, 56) amplitudes a_j of both species by non-negative least squares; their sum is 1."""
    from scipy.optimize import nnls

    design = np.vstack([modes(delayed(sample.times, sample.state, kind)), 1e3 * np.ones(len(RATES))])
    found = [nnls(design, np.append(sample.f[:, a], 1e3))[0] for a in range(SPECIES)]
    return np.array(found) / np.sum(found, axis=1, keepdims=True)


def levels_of(sample: Sample, kind: str = "") -> tuple[FloatArray, FloatArray]:
    """x (120,) of A and B, NaN for levels below the end of the run, and the least they can be (120,)."""
    s_end = float(delayed(sample.times[-1:], sample.state)[0])
    s = np.geomspace(1e-4, 1.0001 * s_end, 4000)
    columns = []
    for amplitudes in fit_modes(sample):
        f = modes(s) @ amplitudes
        y = np.log(-np.log(np.clip(f, 1e-12, 1 - 1e-12)))
        x = np.interp(Y, y, np.log(s))  # y ascends with s
        columns.append(np.where(Y <= y[-1], x, np.nan))
    found, least = np.concatenate(columns), np.full(COLUMNS, np.log(s_end))
    if kind == "structure":
        found, least = (np.log(delayed(time_of(np.exp(x), sample.state), sample.state, kind)) for x in (found, least))
    return found, least


def imputed(x: FloatArray, least: FloatArray, rank: int = 3, rounds: int = 100) -> FloatArray:
    """x (n, 120) without gaps: a low-rank matrix through what is known, but nowhere below `least` (n, 120).

    Alternating projections (Mazumder, Hastie & Tibshirani, J. Mach. Learn. Res. 11 (2010) 2287, with a fixed rank).
    """
    known = np.isfinite(x)
    if known.all():
        return x
    middle = np.where(known, x, 0.0).sum(0) / np.maximum(known.sum(0), 1)
    filled = np.where(known, x, np.maximum(middle, least))
    for _ in range(rounds):
        mean = filled.mean(0)
        u, size, v = np.linalg.svd(filled - mean, full_matrices=False)
        guess = mean + (u[:, :rank] * size[:rank]) @ v[:rank]
        filled = np.where(known, x, np.maximum(guess, least))
    return filled


def ascending(x: FloatArray) -> FloatArray:
    """x (…, 120) with each species' times in order, at least 10⁻⁶ apart."""
    parts = np.asarray(x).reshape(*np.shape(x)[:-1], SPECIES, len(Y))
    steps = 1e-6 * np.arange(len(Y))
    return (np.maximum.accumulate(parts - steps, axis=-1) + steps).reshape(np.shape(x))


def evaluate(x: FloatArray, times: FloatArray, state: State, kind: str = "") -> FloatArray:
    """f (draws, n, 2) at times (n,) in τ_LJ of curves x (draws, 120). It falls with t by construction; f(0) = 1."""
    parts = ascending(x).reshape(len(x), SPECIES, len(Y))
    with np.errstate(divide="ignore"):
        at = np.log(delayed(times, state, kind))
    out = np.empty((len(x), len(at), SPECIES))
    for i, draw in enumerate(parts):
        for a, nodes in enumerate(draw):
            row = np.clip(np.searchsorted(nodes, at) - 1, 0, len(Y) - 2)
            slope = (Y[row + 1] - Y[row]) / (nodes[row + 1] - nodes[row])
            y = Y[row] + slope * (np.maximum(at, -1e3) - nodes[row])
            # beyond the levels, where the line would be that of two neighbours alone
            low, high = _end_slopes(nodes)
            y = np.where(at < nodes[0], Y[0] + low * (np.maximum(at, -1e3) - nodes[0]), y)
            y = np.where(at > nodes[-1], Y[-1] + high * (at - nodes[-1]), y)
            out[i, :, a] = np.exp(-np.exp(np.minimum(y, 50.0)))
    return out


def _end_slopes(nodes: FloatArray, reach: int = 4) -> tuple[float, float]:
    """Slopes of y at both ends over a few levels; 1 at the short end is the exact t² of the flight in s ∝ t²."""
    return 1.0, float((Y[-1] - Y[-1 - reach]) / max(nodes[-1] - nodes[-1 - reach], 1e-3))


def relaxation_time(times: FloatArray, f: FloatArray) -> FloatArray:
    """(2,) first times at which f (n, 2) falls to 1/e, by a line in ln t; infinite where it does not, 0 where it has
    before the first time."""
    found = []
    for a in range(f.shape[1]):
        below = np.flatnonzero(f[:, a] < np.exp(-1))
        if len(below) == 0 or below[0] == 0:
            found.append(np.inf if len(below) == 0 else 0.0)
            continue
        i = below[0]
        share = (f[i - 1, a] - np.exp(-1)) / (f[i - 1, a] - f[i, a])
        found.append(np.exp(np.log(times[i - 1]) + share * np.log(times[i] / times[i - 1])))
    return np.array(found)


def table(samples: Sequence[Sample], kind: str = "") -> FloatArray:
    """(n, 120) curves of samples without gaps."""
    rows = [levels_of(sample, kind) for sample in samples]
    return imputed(np.array([x for x, _ in rows]), np.array([least for _, least in rows]))
