"""Mode-coupling theory on the structure that the models are shown: as a line to compare with, and as an input.

The theory's own answer depends on the grid of S(k); here it is the one that the networks see (100 wave numbers, dk =
0.4). Newtonian dynamics without a free parameter. Below its transition F_s stays at a plateau for ever, whatever the
liquid does, so that it tells nothing more; the distance to the transition does. It is measured by the factor g on the
memory at which liquid and glass meet: g > 1 in the liquid, g < 1 in the glass, smooth in S.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from hpctools.progress import Progress
from hpctools.whole import whole

from .. import mct
from ..mct.critical import Structure
from ..mixture import MIXTURES
from ..structure import PAPER_GRID
from .curves import reduced
from .inputs import peak
from .samples import FloatArray, Sample, State

FRACTIONS = np.array(MIXTURES["LJ"].fractions)
TIMES = np.geomspace(1e-3, 1e6, 181)  # reduced, of the curves kept
LEAST = 1e-3
_BLOCK = 64  # τ within 1 % of that at 256


def matrices(S: FloatArray) -> FloatArray:
    """(100, 2, 2) of S_AA, S_AB, S_BB (100, 3), positive definite.

    Below the smallest wave vector of the box S is extrapolated, with an error that can spoil this; there it is mended,
    which does not count: k enters the memory with k².
    """
    a, b = np.maximum(S[:, 0], LEAST), np.maximum(S[:, 2], LEAST)
    limit = (1 - LEAST) * np.sqrt(a * b)
    c = np.clip(S[:, 1], -limit, limit)
    return np.array([[a, c], [c, b]]).transpose(2, 0, 1)


def distance(state: State, tolerance: float = 1e-3) -> float:
    """ln g, where the memory times g is at the transition of mode-coupling theory: 0 there, positive in the liquid.

    With S fixed, ρ c = 1/x - S⁻¹ is fixed and the memory goes with 1/ρ; so g is the ratio of the density to the one
    at which `mct.critical_point` finds the transition.
    """
    low, high = 0.05, 20.0

    def structure(log_g: float) -> Structure:
        return PAPER_GRID, matrices(state.S), float(state.density * np.exp(-log_g)), FRACTIONS

    return float(mct.critical_point(structure, np.log(low), np.log(high), tolerance).value)


def self_scattering(state: State, k: float) -> FloatArray:
    """(181, 2) F_s(k,t)/F_s(k,0) of A and B by the theory, at the reduced times `TIMES`."""
    scale = reduced(state)
    solution = mct.solve(PAPER_GRID, matrices(state.S), state.density, FRACTIONS, dynamics="newtonian",
                         temperature=state.temperature, t_min=1e-3 * TIMES[0] / scale, t_max=1.1 * TIMES[-1] / scale,
                         block=_BLOCK)
    out = np.empty((len(TIMES), 2))
    for a in range(2):
        found = mct.tagged_particle(solution, a)
        upper = int(np.clip(np.searchsorted(found.k, k), 1, len(found.k) - 1))
        share = (k - found.k[upper - 1]) / (found.k[upper] - found.k[upper - 1])
        # ln F_s is nearly linear in k² over a step of the grid
        with np.errstate(divide="ignore"):
            f = np.log(np.maximum(found.F_s[1:, [upper - 1, upper]], 1e-12)) @ [1 - share, share]
        out[:, a] = np.exp(np.interp(np.log(TIMES / scale), np.log(found.t[1:]), f))
    return out


def numbers(state: State) -> FloatArray:
    """(363,) what the theory makes of a structure: ln g, then F_s/F_s(0) of A and B at `TIMES` and its own `peak`."""
    return np.concatenate([[distance(state)], self_scattering(state, peak(state.S)).T.ravel()])


def curve_of(found: FloatArray, times: FloatArray, state: State) -> FloatArray:
    """(n, 2) F_s/F_s(0) of A and B among `numbers`, at times in τ_LJ."""
    with np.errstate(divide="ignore"):
        at = np.log(np.asarray(times, float) * reduced(state))
    return np.stack([np.interp(at, np.log(TIMES), f, left=1.0) for f in found[1:].reshape(2, -1)], axis=1)


class CacheError(ValueError):
    """A file that is no cache of the theory's results."""

    user_error = True


class Cache:
    """Results of the theory, kept in a file, by a hash of what they follow from. Written after each state."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.found: dict[str, FloatArray] = {}
        if self.path.exists():
            try:
                with np.load(self.path) as file:
                    self.found = {name: file[name] for name in file.files}
            except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
                raise CacheError(f"{self.path}: no whole cache of mode-coupling theory ({error}); remove it, it is "
                                 "made anew") from None

    def get(self, key: str) -> FloatArray | None:
        """What is kept, or None."""
        return self.found.get(key)

    def put(self, key: str, value: FloatArray) -> None:
        """Keep a result; the file is replaced when it is whole."""
        self.found[key] = value
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with whole(self.path, shared=True) as part, open(part, "wb") as file:
            np.savez_compressed(file, **self.found)  # type: ignore[arg-type]


def _key(what: str, state: State, *further: float) -> str:
    import hashlib

    digest = hashlib.sha256(np.ascontiguousarray(state.S, float).tobytes())
    digest.update(repr((state.density, state.temperature, further)).encode())
    return f"{what}-{digest.hexdigest()[:24]}"


def with_numbers(samples: Sequence[Sample], cache: Cache, show: bool = True) -> list[Sample]:
    """Samples whose states hold `numbers`."""
    out = []
    with Progress(len(samples), "states", "mode-coupling theory", enabled=show) as progress:
        for i, sample in enumerate(samples):
            key = _key("numbers", sample.state)
            if (found := cache.get(key)) is None:
                cache.put(key, found := numbers(sample.state))
            out.append(replace(sample, state=replace(sample.state, theory=found)))
            progress.update(i + 1)
    return out


def lines(samples: Iterable[Sample], cache: Cache) -> list[FloatArray]:
    """`self_scattering` of samples at their k_p."""
    out = []
    for sample in samples:
        key = _key("lines", sample.state, round(sample.k_peak, 4))
        if (found := cache.get(key)) is None:
            cache.put(key, found := self_scattering(sample.state, sample.k_peak))
        out.append(found)
    return out
