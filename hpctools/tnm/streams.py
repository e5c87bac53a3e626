"""Samples for networks, made when they are needed: parameters from the box, simulated scans, the networks' inputs.

Sample numbers come in blocks; a block depends on the seed and its number alone, so that a set is the same on any
number of ranks and after any stop. In a block some samples share β (tables of the relaxation spectrum are made once
for each) and groups share their cooling rates (a program is common to a call of the simulator).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import inputs, instrument, reduction
from .grid import PAPER
from .program import Program
from .simulator import simulate_windows

FloatArray = NDArray[np.float64]

BLOCK = 512  # simulated samples
BETAS = 48  # different β among them
GROUPS = 8  # with their own cooling rates; the first half has the paper's
RATES = (0.2, 50.0)  # K/min, range of other cooling rates
HEATING = 10.0  # K/min
MARGIN = 0.08  # by which training goes beyond the box, in the units of `draw_parameters`
REPEATS = 3  # measurements of a simulated sample by different instruments


@dataclass(frozen=True)
class Batch:
    """Samples as a network sees them, and what is true of them.

    scans (n, scans, inputs.SCAN_INPUTS), common (n, inputs.COMMON_INPUTS), present (n, scans), parameters (n, 4),
    frame, cpn_max (n,): the highest peak of the sample's undisturbed scans.
    """

    scans: NDArray[np.float32]
    common: NDArray[np.float32]
    present: NDArray[np.bool_]
    parameters: FloatArray
    frame: inputs.Frame
    cpn_max: FloatArray

    def __len__(self) -> int:
        return len(self.parameters)

    def measured_peak(self) -> FloatArray:
        """Highest CpN of each sample's scans as measured (n,)."""
        peaks = np.exp(self.scans[:, :, inputs.LOG_PEAK].astype(float))
        return np.where(self.present, peaks, 0.0).max(1)


def draw_parameters(rng: np.random.Generator, n: int, margin: float = 0.0, betas: int | None = None) -> FloatArray:
    """n parameter sets, uniform in Δh*, in ln A between the grid's ends at that Δh*, in x and in β.

    margin: by which the box is larger: its lowest Δh* × (1 - margin), its highest × (1 + margin/4), x and β from
    0.2 - margin/4, ln A beyond its ends by margin/3 and margin/30 of the range; betas: so many different β only.
    """
    low = PAPER.shape_low - margin / 4
    dh = rng.uniform(PAPER.dh_low * (1 - margin), PAPER.dh_high * (1 + margin / 4), n)
    cold, hot = PAPER.ln_a_limits(dh)
    place = rng.uniform(-margin / 3, 1 + margin / 30, n)
    ln_a = cold + (hot - cold) * place
    x, beta = rng.uniform(low, PAPER.shape_high, (2, n))
    if betas is not None:
        beta = rng.choice(beta[:betas], n)
    return np.column_stack([ln_a, dh, x, beta])


def draw_rates(rng: np.random.Generator, scans: int) -> FloatArray:
    """Cooling rates (scans,) in K/min, log-uniform in RATES, ascending, neighbours at least 12 % apart."""
    while True:
        rates = np.sort(np.exp(rng.uniform(np.log(RATES[0]), np.log(RATES[1]), scans)))
        if (rates[1:] / rates[:-1] > 1.12).all():
            return rates


def draw_present(rng: np.random.Generator, n: int, scans: int) -> NDArray[np.bool_]:
    """Which scans were measured (n, scans): all in a third of the samples, else 1 … all, in any choice."""
    count = np.where(rng.random(n) < 1 / 3, scans, rng.integers(1, scans + 1, n))
    order = rng.permuted(np.tile(np.arange(scans), (n, 1)), axis=1)
    return order < count[:, None]


def block(
    variant: str,
    seed: int,
    number: int,
    *,
    margin: float = MARGIN,
    betas: int | None = BETAS,
    repeats: int = REPEATS,
    population: instrument.Instruments | None = None,
    all_scans: bool = False,
) -> Batch:
    """Block `number` of the set of a seed: BLOCK samples ("clean"), or repeats × BLOCK ("instrument").

    margin, betas: see draw_parameters; population: of instruments, the default one if None; all_scans: six scans at the
    paper's rates also for "instrument".
    """
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(number,)))
    parameters = draw_parameters(rng, BLOCK, margin, betas)
    if variant == "clean":
        return _measured(rng, parameters, Program(), 0, None, True)
    population = instrument.Instruments() if population is None else population
    parts = []
    for group, some in enumerate(np.array_split(parameters, GROUPS)):
        program = Program()
        if group >= GROUPS // 2 and not all_scans:
            program = Program(cooling_rates=tuple(draw_rates(rng, program.scans)))
        parts.append(_measured(rng, some, program, repeats, population, all_scans))
    return join(parts)


def _measured(
    rng: np.random.Generator,
    parameters: FloatArray,
    program: Program,
    repeats: int,
    population: instrument.Instruments | None,
    all_scans: bool,
) -> Batch:
    scans = simulate_windows(parameters, program)
    cpn_max = scans.summary.cpn_max.max(1)
    rates = np.tile(np.array(program.cooling_rates) / 60, (len(parameters), 1))
    heating = np.full(len(parameters), program.heating_rates[0] / 60)
    reduced, status = reduction.reduce_windows(scans, program)
    if population is None:
        return _batch(reduced, rates, heating, status == reduction.STATUS_OK, parameters, cpn_max)
    parts = []
    for _ in range(repeats):
        present = np.full(rates.shape, True) if all_scans else draw_present(rng, *rates.shape)
        effects = instrument.draw_effects(rng, reduced, heating[0], population, present)
        seen, seen_status = instrument.measure_windows(scans, program, effects, rng)
        present &= seen_status == reduction.STATUS_OK
        parts.append(_batch(seen, rates * effects.rate, heating, present, parameters, cpn_max))
    return join(parts)


def _batch(
    reduced: FloatArray, rates: FloatArray, heating: FloatArray, present: NDArray[np.bool_], parameters: FloatArray,
    cpn_max: FloatArray,
) -> Batch:  # fmt: skip
    """Inputs of the samples that have a scan left."""
    kept = present.any(1)
    scans, common, frame = inputs.network_inputs(reduced[kept], rates[kept], heating[kept], present[kept])
    return Batch(scans, common, present[kept], parameters[kept], frame, cpn_max[kept])


def take(batch: Batch, which: NDArray[np.bool_]) -> Batch:
    """Some samples of a batch."""
    return Batch(
        batch.scans[which], batch.common[which], batch.present[which], batch.parameters[which],
        batch.frame.take(which), batch.cpn_max[which],
    )  # fmt: skip


def join(parts: list[Batch]) -> Batch:
    """Batches one behind the other."""
    frame = inputs.Frame(
        *(np.concatenate([getattr(p.frame, name) for p in parts]) for name in ("t_m", "width", "heating", "law"))
    )
    scans, common, present, parameters, cpn_max = (
        np.concatenate([getattr(p, name) for p in parts])
        for name in ("scans", "common", "present", "parameters", "cpn_max")
    )
    return Batch(scans, common, present, parameters, frame, cpn_max)
