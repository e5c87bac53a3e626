"""TNM parameters from heating scans by a trained network: error bars, and reasons where it should not be trusted.

    scans = [(temperature, cpn, 0.5), (temperature, cpn, 2.0), (temperature, cpn, 20.0)]      # K, CpN, K/min
    found = estimate(scans)
    found.parameters, found.errors, found.half_width(0.95), found.flags

The network "instrument" reads any number of measured scans at any cooling rates. "clean" is for simulated scans at the
paper's six cooling rates, and for nothing else: it reads Δh* to a few J/mol, from digits that no instrument has, and
its error bars do not know of noise; offsets of up to 0.3 % of ΔCp cost it 19 kJ/mol (analysis/tnm_network.py). The
heating rate is common to all scans; another one than 10 K/min is the same measurement with all rates scaled, which is
exact.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import reduction as r
from .inputs import network_inputs
from .instrument import Instruments
from .network import Estimate, Estimates, load
from .program import Program
from .scans import ScanError

FloatArray = NDArray[np.float64]
Scan = tuple[ArrayLike, ArrayLike, float]

RATE_TOLERANCE = 1e-3  # relative, of the rates that the network for undisturbed scans knows
END_TOLERANCE = 0.15  # of CpN from 0 before and from 1 behind the transition
LEAST_CPN = -0.7  # a glass cooled at five times the heating rate gives -0.42
LEAST_LIQUID = 0.6  # of CpN behind the rise
# reach of scans that the network for measured ones has seen, in widths d; what lies further is cut off
REACH_BELOW, REACH_ABOVE = Instruments().below[1], Instruments().above[1]


def estimate(
    scans: Sequence[Scan], heating_rate: float = 10.0, network: str = "instrument", names: Sequence[str] = ()
) -> Estimate:
    """Parameters of one sample.

    scans: (temperature in K, ascending; CpN; rate of the cooling before it in K/min) each; heating_rate: K/min;
    network: "clean", "instrument", or a file of weights; names: of the scans, for errors. `flags` of the result are
    empty where nothing speaks against it; an estimate outside the network's box is still a start for a fit.

    Raises ScanError, which names the scan, for what is no glass transition on a scale from 0 to 1.
    """
    return estimate_many([scans], heating_rate, network, [names] if names else ())[0]


def estimate_many(
    samples: Sequence[Sequence[Scan]],
    heating_rate: float | Sequence[float] = 10.0,
    network: str = "instrument",
    names: Sequence[Sequence[str]] = (),
) -> Estimates:
    """Parameters of n samples with any numbers of scans; heating_rate: one, or one a sample. See `estimate`."""
    if not samples:
        raise ScanError("no samples; expected one or more lists of scans")
    heating = np.broadcast_to(np.asarray(heating_rate, float), (len(samples),))
    if not (np.isfinite(heating) & (heating > 0)).all():
        raise ScanError(f"heating rate {heating_rate}; expected a positive number of K/min")
    shape = (len(samples), max(len(scans) for scans in samples))
    reduced, rates, present = np.zeros((*shape, r.COLUMNS)), np.ones(shape), np.zeros(shape, bool)
    curves: list[list[tuple[FloatArray, FloatArray]]] = []
    for i, scans in enumerate(samples):
        if not len(scans):
            raise ScanError(f"sample {i + 1}: no scans; expected one or more")
        where = f"sample {i + 1}, " if len(samples) > 1 else ""
        labels = names[i] if names else [f"{where}scan {k + 1}" for k in range(len(scans))]
        curves.append([])
        for k, (scan, name) in enumerate(zip(scans, labels, strict=True)):
            temperature, cpn, reduced[i, k] = _checked(scan, name)
            rates[i, k], present[i, k] = scan[2], True
            curves[i].append((temperature, cpn))
    if not load(network).with_law:
        for some, out in zip(curves, reduced):
            _cut_to_reach(some, out)
    return estimate_reduced(reduced, rates, heating, present, network)


def estimate_reduced(
    reduced: FloatArray,
    rates: FloatArray,
    heating: FloatArray,
    present: NDArray[np.bool_] | None = None,
    network: str = "instrument",
) -> Estimates:
    """Parameters from reduced scans (n, scans, reduction.COLUMNS), as of reduction.reduce_windows.

    rates (n, scans), heating (n,): K/min; present (n, scans): scans that are there, all if None.
    """
    present = np.ones(rates.shape, bool) if present is None else present
    chosen = load(network)
    if chosen.with_law:
        _check_rates(rates, heating, present)
    scans, common, frame = network_inputs(reduced, rates / 60, heating / 60, present)
    cpn_max = np.where(present, reduced[:, :, r.CPN_MAX], 0.0).max(1)
    return chosen.read(scans, common, present, frame, cpn_max)


def _check_rates(rates: FloatArray, heating: FloatArray, present: NDArray[np.bool_]) -> None:
    """Refuse other rates than those that the network for undisturbed scans knows."""
    wanted = np.array(Program.cooling_rates) / Program.heating_rates[0]
    for i, there in enumerate(present):
        found = np.sort(rates[i][there]) / heating[i]
        if found.shape == wanted.shape and np.allclose(found, wanted, rtol=RATE_TOLERANCE, atol=0):
            continue
        listed = ", ".join(f"{q:g}" for q in rates[i][there])
        raise ScanError(
            f"sample {i + 1}: cooling at {listed} K/min, heating at {heating[i]:g}; the network for undisturbed scans "
            f"knows {', '.join(f'{q:g}' for q in Program.cooling_rates)} K/min at 10 K/min (or all rates in "
            "proportion): take the network \"instrument\""
        )


def _cut_to_reach(curves: list[tuple[FloatArray, FloatArray]], reduced: FloatArray) -> None:
    """Reduce the scans (temperature, CpN) again without what lies further from the transition than was trained on."""
    known = reduced[: len(curves)]
    half, width = known[:, r.AT_LEVELS + r.HALF], known[:, r.WIDTH].mean()
    low, high = half.min() - REACH_BELOW * width, half.max() + REACH_ABOVE * width
    for (temperature, cpn), out in zip(curves, known):
        inside = (temperature >= low) & (temperature <= high)
        r.reduce_scan(temperature[inside], cpn[inside], out)


def _checked(scan: Scan, name: str) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Temperatures and CpN of a scan, checked, and the scan reduced."""
    temperature, cpn = np.ascontiguousarray(scan[0], float), np.ascontiguousarray(scan[1], float)
    rate = float(scan[2])
    if temperature.ndim != 1 or temperature.shape != cpn.shape:
        raise ScanError(
            f"{name}: temperatures of shape {temperature.shape}, CpN of shape {cpn.shape}; "
            "expected two equally long lists"
        )
    if not (np.isfinite(rate) and rate > 0):
        raise ScanError(f"{name}: cooling rate {rate:g}; expected a positive number of K/min")
    bad = int((~np.isfinite(temperature) | ~np.isfinite(cpn)).sum())
    if bad:
        raise ScanError(f"{name}: {bad} points are not finite numbers; remove them")
    if temperature.size >= 2:
        if temperature.min() <= 0:
            raise ScanError(f"{name}: temperature {temperature.min():g}; expected kelvin, which are positive")
        steps = np.diff(temperature)
        if (steps <= 0).any():
            at = int(np.argmax(steps <= 0))
            raise ScanError(
                f"{name}: temperature goes from {temperature[at]:g} to {temperature[at + 1]:g} K at point {at + 2}; "
                "expected a heating scan, ascending, each temperature once"
            )
    out = np.empty(r.COLUMNS)
    status = r.reduce_scan(temperature, cpn, out)
    if status != r.STATUS_OK:
        raise ScanError(f"{name}: {r.STATUS_WORDS[status]}{_ends(cpn)}")
    below = temperature < out[r.AT_LEVELS] - 0.5 * out[r.WIDTH]
    above = temperature > out[r.AT_LEVELS + r.LEVELS.size - 1]
    for part, level, words in ((cpn[below], 0.0, "glass"), (cpn[above][-max(1, above.sum() // 4) :], 1.0, "liquid")):
        if part.size and abs(np.median(part) - level) > END_TOLERANCE:
            raise ScanError(
                f"{name}: CpN of the {words} is {np.median(part):.2f}, expected {level:g}: normalise it by straight "
                "lines through glass and liquid"
            )
    if cpn.min() < LEAST_CPN:
        at = temperature[cpn.argmin()]
        raise ScanError(
            f"{name}: CpN falls to {cpn.min():.2f} at {at:.1f} K: an exotherm such as crystallisation, "
            "no glass transition"
        )
    if above.any() and cpn[above].min() < LEAST_LIQUID:
        at = temperature[above][cpn[above].argmin()]
        raise ScanError(
            f"{name}: behind the transition CpN falls to {cpn[above].min():.2f} at {at:.1f} K: the sample "
            "crystallises; cut the scan before that"
        )
    return temperature, cpn, out


def _ends(cpn: FloatArray) -> str:
    return f" (CpN runs from {cpn[0]:.3g} to {cpn[-1]:.3g}; expected from 0 to 1)" if cpn.size else ""
