"""States to learn from: the structure of each, its F_s(k_p,t), and how they are split.

F_s is normalised as in Ciarella et al., Mach. Learn.: Sci. Technol. 4 (2023) 025010, eq. (1): F(k_p, 0) = S_aa(k_p).
All splits are by state: runs of one state with other seeds are never on both sides.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..library import Entry, Library
from ..mixture import MIXTURES, MixtureError, mct_temperature
from ..record import KIND
from ..structure import PAPER_GRID

FloatArray = NDArray[np.float64]
Key = tuple[str, float, float]
"""Of a state: potential, density, nominal temperature."""
_RUN = ("potential", "density", "temperature", "seed", "protocol", "engine", "equilibration_time")
FRACTION = MIXTURES["LJ"].fractions[0]
DIAGONAL = [0, 2]
"""AA and BB among the pairs AA, AB, BB."""


class SampleError(ValueError):
    """States that cannot be learned from, or not in this way."""

    user_error = True


@dataclass(frozen=True, eq=False)
class State:
    """What is known of a state before its dynamics.

    S (100, 3): S_AA, S_AB, S_BB on `PAPER_GRID`; density in σ_AA⁻³, temperature in ε_AA/k_B, of a record the mean of
    its run; theory: numbers of mode-coupling theory (`theory.numbers`), None where they were not computed; nominal: the
    temperature that the run was asked for, by which seeds belong together and splits are made, None: `temperature`;
    fraction: of A, `FRACTION` of all that is learned from.
    """

    potential: str
    density: float
    temperature: float
    S: FloatArray
    theory: FloatArray | None = None
    nominal: float | None = None
    fraction: float = FRACTION

    @property
    def key(self) -> Key:
        """What several seeds have in common: potential, density and nominal temperature."""
        return self.potential, self.density, self.temperature if self.nominal is None else self.nominal

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.potential} ρ = {self.density:g}, T = {self.key[2]:g}".strip()

    @property
    def relative_temperature(self) -> float:
        """Nominal T/T_mct with T_mct of our own structure factors; NaN where none is known."""
        try:
            return self.key[2] / mct_temperature(self.potential, self.density)
        except MixtureError:
            return math.nan


@dataclass(frozen=True, eq=False)
class Sample:
    """A state with its dynamics.

    times (n,) in τ_LJ, ascending, without 0; f (n, 2): F_s(k_p,t)/F_s(k_p,0) of A and B; error (n, 2) of it, NaN where
    unknown; initial (2,): S_AA and S_BB at k_p; tau (2,): where f = 1/e, NaN: not within the run; glass: not in
    equilibrium.
    """

    state: State
    k_peak: float
    times: FloatArray
    f: FloatArray
    error: FloatArray
    initial: FloatArray
    tau: FloatArray
    glass: bool

    @property
    def F(self) -> FloatArray:
        """(n, 2) F_s(k_p,t)."""
        return self.f * self.initial

    @classmethod
    def of(cls, entry: Entry) -> Sample:
        """A record of a library as a sample."""
        record = entry.record
        f, error = record.self_at(entry.k_peak)
        at_peak, _ = record.structure_on_grid([entry.k_peak])
        later = record.times > 0
        S, _ = record.structure_on_grid(PAPER_GRID)
        tau, _ = record.relaxation_at(entry.k_peak)
        mean = float(record.attributes["mean_temperature"])
        return cls(State(entry.potential, entry.density, mean, S, nominal=entry.temperature), entry.k_peak,
                   record.times[later], f[later], error[later], at_peak[0, DIAGONAL], tau, entry.verdict.glass)


def usable(library: Library) -> list[Sample]:
    """The usable records of a library: liquids in equilibrium and glasses. Raises SampleError for fewer than 3 states.

    A state that is neither is left out, see `library.judge`.
    """
    samples = [Sample.of(entry) for entry in library.usable]
    if (number := len(states(samples))) < 3:
        raise SampleError(f"{number} usable states among {len(library.entries)} records, expected at least 3; make "
                          "more with python -m hpctools.liquids campaign")
    return samples


def load(folders: Sequence[str]) -> list[Sample]:
    """The usable samples of some folders, by default the shipped library. Raises SampleError, also for a record that
    does not know its state."""
    for path in sorted(path for folder in folders for path in Path(folder).glob("*.h5")):
        if not known_state(path):
            raise SampleError(f"{path}: lacks the potential or other facts of its run, as records of `observe` do; "
                              "learn from records that `run` or `campaign` made")
    return usable(Library.load(*folders))


def known_state(path: Path) -> bool:
    """Does a record know its run? True also for what is no record: others tell that."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return file.attrs.get("kind") != KIND or all(name in file.attrs for name in _RUN)
    except OSError:
        return True


def states(samples: Sequence[Sample]) -> list[Key]:
    """The different states, ordered."""
    return sorted({sample.state.key for sample in samples})


def fingerprint(samples: Sequence[Sample]) -> str:
    """Hash of what is learned from, and of what splits follow from: T/T_mct and glass or not."""
    digest = hashlib.sha256()
    for sample in samples:
        state = sample.state
        for array in (state.S, sample.times, sample.F):
            digest.update(np.ascontiguousarray(array, float).tobytes())
        facts = (state.key, state.temperature, round(state.relative_temperature, 9), bool(sample.glass))
        digest.update(repr(facts).encode())
    return digest.hexdigest()[:16]


def permuted(samples: Sequence[Sample], seed: int) -> list[Sample]:
    """The same dynamics, each state with the structure and theory of another one: a derangement of the states."""
    keys = states(samples)
    order = np.random.default_rng([seed, 5]).permutation(len(keys))
    donor = {keys[order[i]]: keys[order[i - 1]] for i in range(len(keys))}
    found: dict[Any, list[State]] = {}
    for sample in samples:
        found.setdefault(sample.state.key, []).append(sample.state)
    count: dict[Any, int] = {}
    out = []
    for sample in samples:
        key = sample.state.key
        others = found[donor[key]]
        other = others[count.get(key, 0) % len(others)]
        count[key] = count.get(key, 0) + 1
        out.append(replace(sample, state=replace(sample.state, S=other.S, theory=other.theory)))
    return out


@dataclass(frozen=True)
class Split:
    """Rows of the samples to train with and to test on."""

    train: tuple[int, ...]
    test: tuple[int, ...]


def _rows(samples: Sequence[Sample], keys: set[Key]) -> tuple[int, ...]:
    return tuple(i for i, sample in enumerate(samples) if sample.state.key in keys)


def folds(samples: Sequence[Sample], number: int, seed: int) -> Iterator[Split]:
    """Each state in one of `number` test sets (at most as many as states); which one depends on the seed.

    Of each `number` neighbours in T/T_mct, glasses and liquids apart, each set gets one.
    """
    places = {s.state.key: (s.glass, np.nan_to_num(s.state.relative_temperature, nan=np.inf)) for s in samples}
    keys = sorted(places, key=lambda key: (places[key], key))
    number = min(number, len(keys))
    rng = np.random.default_rng([seed, 0])
    parts: list[set[Key]] = [set() for _ in range(number)]
    for first in range(0, len(keys), number):
        for part, key in zip(rng.permutation(number), keys[first : first + number]):
            parts[part].add(key)
    for test in parts:
        yield Split(_rows(samples, set(keys) - test), _rows(samples, test))


def _without_some(keys: list[Key], share: float, seed: int) -> set[Key]:
    """A share of the states, drawn; none of fewer than 5."""
    number = max(1, round(share * len(keys))) if len(keys) >= 5 else 0
    order = np.random.default_rng([seed, 1]).permutation(len(keys))
    return {keys[i] for i in order[:number]}


def by_temperature(samples: Sequence[Sample], t0: float, seed: int, share: float = 0.1) -> Split | None:
    """Train on T/T_mct ≥ t0 without a share of the states; test on that share and on all below. None: too few.

    Only densities and potentials trained on are tested: else it would be a transfer in density too.
    """
    warm = sorted({s.state.key for s in samples if s.state.relative_temperature >= t0 - 1e-9})
    left_out = _without_some(warm, share, seed)
    liquids = {key[:2] for key in warm}
    left_out = {key for key in left_out if key[:2] in {other[:2] for other in warm if other not in left_out}}
    cold = {s.state.key for s in samples if s.state.relative_temperature < t0 - 1e-9 and s.state.key[:2] in liquids}
    if len(warm) - len(left_out) < 3 or not cold:
        return None
    return Split(_rows(samples, set(warm) - left_out), _rows(samples, cold | left_out))


def by_potential(samples: Sequence[Sample], trained: str, seed: int, share: float = 0.1) -> Split | None:
    """Train on one potential, without a share of its states; test on the others. None: too few."""
    own = sorted({s.state.key for s in samples if s.state.potential == trained})
    others = {s.state.key for s in samples if s.state.potential != trained}
    left_out = _without_some(own, share, seed)
    if len(own) - len(left_out) < 3 or not others:
        return None
    return Split(_rows(samples, set(own) - left_out), _rows(samples, others))
