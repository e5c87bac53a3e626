"""Every method × every distortion: accuracy, failures and time, the comparison that the paper leaves to future work.

    python analysis/tnm_methods.py --samples 100 --out results/tnm_methods.csv

Methods: Levenberg-Marquardt from a naive start (x = β = 0.5, Δh* and A by rules) with equal weights; the same from the
refinement's own start; the simulation-comparative method; Δh* from the cooling-rate law of Tf'; x from the peak shift
of annealed scans (experiments of its own, up to 50 h); the network for measured scans; the refinement, without and with
thermal lag among its unknowns.
Distortions: none; noise of 0.3, 1, 3 % of ΔCp (correlation length 1 K); a thermal lag of 5 s; peaks skewed by half of
the signal behind a lag of 15 s; a bad start (Δh* 40 % off, T100 2 w₀ off, x and β 0.25 off), for what takes a start.
Samples are drawn from the continuous box, CpN_max ≤ 6, and made with finer steps and other modes than the fit's.
A method fails where it ends without a result, does not converge, or is off by more than half of Δh*, 0.3 in x or 0.3 in
β. Medians are of all that ended with a result. Time is that of a core, without the first call's compilation.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from figures import check_output, markdown, pyplot, run, save
from rows import Row, Rows, positive
from tnm_scans import Array, annealed, clean, draw, lagging, noisy

from hpctools.tnm import Noise, Scan, fit
from hpctools.tnm.methods import activation_energy_of, curve_fit, peak_shift, simulation_comparative
from hpctools.tnm.model import GAS_CONSTANT, reference_temperature, transition_width
from hpctools.tnm.scans import ScanError
from hpctools.tnm.start import from_network

LENGTH = 1.0  # K
SIGN = np.array([(1, 1, 1), (1, -1, 1), (-1, 1, -1), (-1, -1, 1)])  # of Δh*, x, β in bad starts
FIELDS = ("sample", "condition", "method", "ln_A", "dh", "x", "beta", "error_dh", "error_x", "error_beta", "ended",
          "seconds")  # fmt: skip
PARTS = ("dh", "x", "beta")
WRONG = (0.5, 0.3, 0.3)  # relative in Δh*, absolute in x, β


def distorted(scans: list[Scan], condition: str, random: np.random.Generator) -> list[Scan]:
    """The scans as a condition shows them."""
    if condition.startswith("noise"):
        return noisy(scans, Noise(float(condition.split()[1]) / 100, LENGTH), random)
    if condition == "lag 5 s":
        return lagging(scans, 5.0)
    if condition == "skew":
        return lagging(scans, 15.0, 0.5)
    return scans


CONDITIONS = ("clean", "noise 0.3 %", "noise 1 %", "noise 3 %", "lag 5 s", "skew", "bad start")


def bad_start(parameters: Array, number: int) -> Array:
    """A start far from the truth, its direction by the sample's number."""
    a, b, c = SIGN[number % len(SIGN)]
    t100 = float(reference_temperature(parameters[0], parameters[1]) - 2 * a * transition_width(*parameters[:2]))
    dh = parameters[1] * 1.4**a
    x, beta = (float(np.clip(p + 0.25 * s, 0.15, 1.0)) for p, s in zip(parameters[2:], (b, c), strict=True))
    return np.array([np.log(100.0) - dh / (GAS_CONSTANT * t100), dh, x, beta])


Answer = tuple[Array, bool]


def methods(scans: list[Scan], extra: Callable[[], list[Scan]], start: Array | None) -> dict[str, Callable[[], Answer]]:
    """What each method makes of the scans: Δh*, x, β (NaN where it says nothing) and whether it ended well."""

    def shift() -> Answer:
        return np.array([np.nan, peak_shift(extra()), np.nan]), True

    def law() -> Answer:
        return np.array([activation_energy_of(scans), np.nan, np.nan]), True

    def fitted(**options: object) -> Answer:
        result = fit(scans, start=start, **options)  # type: ignore[arg-type]
        return result.parameters[1:], result.converged

    def naive() -> Answer:
        result = curve_fit(scans, start)
        return result.parameters[1:], result.converged

    def network() -> Answer:
        found = from_network(scans)
        if not len(found.candidates):
            return np.full(3, np.nan), False
        return found.parameters[1:], True

    table: dict[str, Callable[[], Answer]] = {"LM, naive start": naive}
    if start is None:
        table |= {
            "simulation-comparative": lambda: (simulation_comparative(scans).parameters[1:], True),
            "cooling-rate law": law,
            "peak shift": shift,
            "network": network,
        }
    table |= {"refinement": fitted, "refinement with lag": lambda: fitted(nuisance=("lag",))}
    return table


def rows_of(options: argparse.Namespace) -> list[Row]:
    """All rows, those that the file lacks computed and appended."""
    with Rows(options.out, FIELDS, f"seed={options.seed}") as rows:
        done = {(int(r["sample"]), r["condition"], r["method"]) for r in rows.all}
        samples = draw(options.samples, options.seed)
        warm = clean(samples[:1])[0]
        for action in methods(warm, lambda: annealed(samples[0]), None).values():
            action()
        for i, parameters in enumerate(samples):
            base = clean(parameters[None])[0]
            for number, condition in enumerate(CONDITIONS):
                random = np.random.default_rng([options.seed, i, number])
                scans = distorted(base, condition, random)

                def extra(parameters=parameters, condition=condition, random=random) -> list[Scan]:
                    return distorted(annealed(parameters), condition, random)

                start = bad_start(parameters, i) if condition == "bad start" else None
                for name, action in methods(scans, extra, start).items():
                    if (i, condition, name) in done:
                        continue
                    rows.add(_row(i, condition, name, parameters, action))
    return [r for r in rows.all if int(r["sample"]) < options.samples]


def _row(i: int, condition: str, name: str, parameters: Array, action: Callable[[], Answer]) -> dict[str, object]:
    begin = time.process_time()
    try:
        found, ended = action()
    except ScanError:
        found, ended = np.full(3, np.nan), False
    seconds = time.process_time() - begin
    row: dict[str, object] = {"sample": i, "condition": condition, "method": name, "ended": int(ended),
                              "seconds": seconds}  # fmt: skip
    row |= dict(zip(("ln_A", "dh", "x", "beta"), parameters, strict=True))
    return row | {f"error_{n}": found[k] - parameters[1 + k] for k, n in enumerate(PARTS)}


def table(rows: list[Row]) -> str:
    """The table as Markdown."""
    body = []
    for condition in CONDITIONS:
        names = dict.fromkeys(r["method"] for r in rows if r["condition"] == condition)
        for name in names:
            some = [r for r in rows if r["condition"] == condition and r["method"] == name]
            error = np.array([[float(r[f"error_{n}"]) for n in PARTS] for r in some])
            dh = np.array([float(r["dh"]) for r in some])
            says = np.isfinite(error).any(0)
            with np.errstate(invalid="ignore"):
                wrong = (np.abs(error) / np.column_stack([dh, np.ones_like(dh), np.ones_like(dh)]) > WRONG).any(1)
            lost = ~np.isfinite(error[:, says]).all(1) | wrong | np.array([r["ended"] == "0" for r in some])
            cells = []
            for k, (limit, scale) in enumerate(((1e4, 1e3), (0.02, 1.0), (0.02, 1.0))):
                if says[k]:
                    known = np.abs(error[np.isfinite(error[:, k]), k])
                    within = int(np.sum(known < limit)) / len(some)
                    middle = float(np.median(known)) / scale
                    cells += [f"{middle:.2g}" if k == 0 else f"{middle:.1g}", f"{100 * within:.0f} %"]
                else:
                    cells += ["", ""]
            spread = np.sqrt(lost.mean() * (1 - lost.mean()) / len(some))
            seconds = float(np.mean([float(r["seconds"]) for r in some]))
            body.append([condition, name, *cells, f"{100 * lost.mean():.0f} ± {100 * spread:.0f} %",
                         f"{1e3 * seconds:.0f}", str(len(some))])  # fmt: skip
    head = ["condition", "method", "|ΔΔh*|, kJ/mol", "< 10", "|Δx|", "< 0.02", "|Δβ|", "< 0.02", "fails", "ms", "n"]
    return markdown(head, body, left=(0, 1))


def figure(rows: list[Row], path: Path) -> None:
    """Median errors of each method against the conditions."""
    plt = pyplot()
    drawing, axes = plt.subplots(1, 3, figsize=(13, 4.4), layout="constrained")
    names = list(dict.fromkeys(r["method"] for r in rows))
    for k, (axis, part, label) in enumerate(zip(axes, PARTS, ("Δh*, kJ/mol", "x", "β"), strict=True)):
        for j, name in enumerate(names):
            middle = []
            for condition in CONDITIONS:
                some = [abs(float(r[f"error_{part}"])) for r in rows
                        if r["condition"] == condition and r["method"] == name]  # fmt: skip
                some = [value for value in some if value == value]
                middle.append(np.median(some) / (1e3 if k == 0 else 1) if some else np.nan)
            if np.isfinite(middle).any():
                axis.semilogy(range(len(CONDITIONS)), middle, "o-", color=f"C{j}", ms=4, label=name)
        axis.set_xticks(range(len(CONDITIONS)), CONDITIONS, rotation=35, ha="right")
        axis.set_ylabel(f"median |error| of {label}")
    axes[0].legend(fontsize=7.5)
    save(drawing, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=50)
    parser.add_argument("--seed", type=int, default=12)
    parser.add_argument("--out", type=Path, default=Path("results/tnm_methods.csv"), help="rows (CSV)")
    parser.add_argument("--figure", type=Path, help="default: beside the rows")
    options = parser.parse_args()
    positive("--samples", options.samples)
    picture = check_output(options.figure or options.out.with_suffix(".png"))
    rows = rows_of(options)
    print(table(rows))
    figure(rows, picture)


if __name__ == "__main__":
    run(main)
