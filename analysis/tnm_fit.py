"""Accuracy of the refinement over the box: shares of small errors beside the paper's network, errors beside bounds.

    python analysis/tnm_fit.py --samples 1000 --out results/tnm_fit.csv        # clean scans, and with noise
    python analysis/tnm_fit.py --samples 200 --nuisance gain offset tilt shift lag --out results/tnm_fit5.csv

Samples are drawn uniformly from the continuous box, CpN_max ≤ 6; their scans are made with twice finer steps and other
modes than the fit's. Noise: Gaussian, 1 % of ΔCp, correlation length 1 K, a point each 0.5 K. The bound is Cramér and
Rao's for this noise, known. A sample's 10 kJ/mol are "allowed" where 2.576 bounds are less: elsewhere no method can
have 99 %. Errors of shares are binomial. Rows are written as they are found: the same command goes on where it stopped.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from figures import check_output, markdown, pyplot, run, save
from rows import Row, Rows, positive
from tnm_scans import clean, draw, noisy

from hpctools.tnm import Noise, Result, bounds, fit_many
from hpctools.tnm.cpu import thread_count

NOISE = Noise(0.01, 1.0)
NAMES = ("ln_A", "dh", "x", "beta")
FIELDS = ["sample", "kind", *NAMES, *(f"error_{n}" for n in NAMES), *(f"bound_{n}" for n in NAMES),
          *(f"sigma_{n}" for n in NAMES), "converged", "cpu_seconds"]  # fmt: skip
QUANTILE = 2.576  # of the normal distribution, 99 %
BLOCK = 8
REGIONS = ((0.2, 0.4), (0.4, 0.7), (0.7, 1.0))
# what the paper's network reaches (Mater. Chem. Phys. 329 (2025) 130107, its section 3 and conclusions)
PAPER = {"Δβ < 0.02": "90 %", "Δx < 0.02": "97-99 %", "Δh* within 10 kJ/mol": "20 % (RU 70 %)",
         "ln A within 1": "", "ln A within 2": "10-20 %", "Δh* within 1 kJ/mol": ""}  # fmt: skip


def rows_of(options: argparse.Namespace) -> list[Row]:
    """All rows, those that the file lacks computed and appended."""
    with Rows(options.out, FIELDS, f"seed={options.seed} nuisance={','.join(options.nuisance)}") as rows:
        done = {(int(row["sample"]), row["kind"]) for row in rows.all}
        samples = draw(options.samples, options.seed)
        for first in range(0, len(samples), BLOCK):
            for kind in ("clean", "noise"):
                which = [i for i in range(first, min(first + BLOCK, len(samples))) if (i, kind) not in done]
                for row in _block(samples, which, kind, options):
                    rows.add(row)
    return [row for row in rows.all if int(row["sample"]) < options.samples]


def _block(samples: np.ndarray, which: list[int], kind: str, options: argparse.Namespace) -> list[dict[str, object]]:
    if not which:
        return []
    scans = clean(samples[which])
    if kind == "noise":
        scans = [
            noisy(s, NOISE, np.random.default_rng([options.seed, i])) for i, s in zip(which, scans, strict=True)
        ]
    begin = time.process_time()
    found = fit_many(scans, options.nuisance)
    seconds = (time.process_time() - begin) / len(which)
    rows = []
    for i, s, result in zip(which, scans, found, strict=True):
        bound = np.sqrt(np.diag(bounds(samples[i], s, NOISE, options.nuisance)))
        good = isinstance(result, Result)
        error = result.parameters - samples[i] if good else np.full(4, np.inf)
        sigma = result.errors if good else np.full(4, np.nan)
        row: dict[str, object] = {"sample": i, "kind": kind, "converged": int(good and result.converged),
                                  "cpu_seconds": seconds}  # fmt: skip
        for k, name in enumerate(NAMES):
            row |= {name: samples[i, k], f"error_{name}": error[k]}
            row |= {f"bound_{name}": bound[k], f"sigma_{name}": sigma[k]}
        rows.append(row)
    return rows


def share(hits: np.ndarray) -> str:
    """A share with its binomial error (that of one miss where there is none)."""
    n = max(1, len(hits))
    p = float(np.mean(hits)) if len(hits) else float("nan")
    error = np.sqrt(max(p * (1 - p), (1 - 1 / n) / n) / n)
    return f"{100 * p:.1f} ± {100 * error:.1f} %"


def columns(rows: list[Row], kind: str) -> dict[str, np.ndarray]:
    """The rows of a kind as arrays by name."""
    some = [row for row in rows if row["kind"] == kind]
    return {name: np.array([float(row[name]) for row in some]) for name in FIELDS if name != "kind"}


def shares(rows: list[Row]) -> str:
    """The table of shares."""
    body = []
    for kind in ("clean", "noise"):
        c = columns(rows, kind)
        n = str(len(c["dh"]))
        for name, hits in (
            ("Δβ < 0.02", abs(c["error_beta"]) < 0.02),
            ("Δx < 0.02", abs(c["error_x"]) < 0.02),
            ("Δh* within 10 kJ/mol", abs(c["error_dh"]) < 1e4),
            ("Δh* within 1 kJ/mol", abs(c["error_dh"]) < 1e3),
            ("ln A within 1", abs(c["error_ln_A"]) < 1),
            ("ln A within 2", abs(c["error_ln_A"]) < 2),
            ("converged", c["converged"] > 0),
        ):
            body.append([kind, name, PAPER.get(name, ""), share(hits), n])
        if kind == "noise":
            allowed = QUANTILE * c["bound_dh"] < 1e4
            body.append([kind, "Δh* within 10 kJ/mol where the bound allows it", "",
                         share(abs(c["error_dh"][allowed]) < 1e4), str(int(allowed.sum()))])  # fmt: skip
            inside = np.mean([abs(c[f"error_{n}"]) < c[f"sigma_{n}"] for n in NAMES], 0)
            body.append([kind, "68 % intervals hold the truth", "", f"{100 * inside.mean():.1f} %", n])
    return markdown(["scans", "quantity", "paper", "ours ± error", "n"], body, left=(0, 1))


def ratios(rows: list[Row]) -> str:
    """rms of error/bound by region, with its error."""
    c = columns(rows, "noise")

    def cells(which: np.ndarray) -> list[str]:
        out = []
        for name in NAMES:
            z = (c[f"error_{name}"] / c[f"bound_{name}"])[which]
            rms = float(np.sqrt(np.mean(z**2))) if z.size else float("nan")
            spread = float(np.std(z**2) / (2 * rms * np.sqrt(z.size))) if z.size > 1 else float("nan")
            out.append(f"{rms:.2f} ± {spread:.2f}")
        return out

    everything = np.ones(len(c["x"]), bool)
    body = [["all", *cells(everything), str(everything.sum())]]
    for low, high in REGIONS:
        for least, most in REGIONS:
            which = (c["x"] >= low) & (c["x"] < high) & (c["beta"] >= least) & (c["beta"] < most)
            if which.any():
                body.append([f"x {low:g}-{high:g}, β {least:g}-{most:g}", *cells(which), str(which.sum())])
    return markdown(["region", "ln A", "Δh*", "x", "β", "n"], body)


def figure(rows: list[Row], path: Path) -> None:
    """Error against bound, a panel a parameter."""
    plt = pyplot()
    c = columns(rows, "noise")
    drawing, axes = plt.subplots(2, 2, figsize=(9, 7), layout="constrained")
    labels = {"ln_A": ("ln A", 1.0), "dh": ("Δh*, kJ/mol", 1e3), "x": ("x", 1.0), "beta": ("β", 1.0)}
    for axis, name in zip(axes.flat, NAMES, strict=True):
        label, scale = labels[name]
        bound, error = c[f"bound_{name}"] / scale, np.abs(c[f"error_{name}"]) / scale
        ends = np.array([bound.min(), bound.max()])
        axis.loglog(bound, np.maximum(error, ends[0] / 100), ".", ms=4, alpha=0.6)
        axis.plot(ends, ends, color="0.3", lw=1, label="error = bound")
        axis.plot(ends, QUANTILE * ends, color="0.3", lw=1, ls="--", label="99 % of errors below")
        axis.set_xlabel(f"bound of {label}")
        axis.set_ylabel("|error|")
    axes[0, 0].legend()
    save(drawing, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--nuisance", nargs="*", default=[], help="instrument parameters to fit besides")
    parser.add_argument("--out", type=Path, default=Path("results/tnm_fit.csv"), help="rows (CSV)")
    parser.add_argument("--figure", type=Path, help="default: beside the rows")
    options = parser.parse_args()
    positive("--samples", options.samples)
    picture = check_output(options.figure or options.out.with_suffix(".png"))
    rows = rows_of(options)
    print(shares(rows), "\n")
    print("rms of error/bound, noise of 1 %:\n")
    print(ratios(rows), "\n")
    for kind in ("clean", "noise"):
        seconds = float(np.mean(columns(rows, kind)["cpu_seconds"]))
        print(f"{kind}: {1e3 * seconds:.0f} ms of a core a fit: {thread_count() / seconds:.1f} fits/s on "
              f"{thread_count()} cores of their own")  # fmt: skip
    figure(rows, picture)


if __name__ == "__main__":
    run(main)
