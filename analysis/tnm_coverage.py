"""Error bars on the way from a file: how often the intervals of `fit` and `predict` hold the truth.

    python analysis/tnm_coverage.py --files 40 --out results/tnm_coverage.csv

Measurements are simulated by the direct method as those of analysis/tnm_example_files.py, each with noise of its own
(correlation length 1 K), written as TRIOS text, loaded, normalised and fitted as `python -m hpctools.tnm fit FILE`
does, and read by the network as `predict` does. z is the error in units of the stated standard error; honest intervals
hold 68 and 95 % of the truths, and z has a root mean square of 1. Rows are written as they are found: the same command
goes on where it stopped.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from figures import markdown, run
from rows import Row, Rows, positive
from tnm_example_files import RATES, Piece, material, measure, trios, with_noise

from hpctools.tnm import ScanError, fit, load, predict
from hpctools.tnm.materials import Material

DCP = 0.2  # J/(g K)
# made up, for a broad transition
BROAD = Material("broad", "", -79.2, 38.25, 0.7, 0.4, 38_250 / (np.log(100) + 79.2), np.nan, (), ())
# material, K below and above T100, noise of ΔCp
CASES = {
    "As2Se3": (material("As2Se3"), (75.0, 50.0), 0.005),
    "nifedipine": (material("nifedipine"), (35.0, 25.0), 0.01),
    "TPD": (material("TPD"), (45.0, 30.0), 0.005),
    "broad": (BROAD, (140.0, 110.0), 0.01),
}
NAMES = ("ln_A", "dh", "x", "beta")
FIELDS = ("case", "file", "method", *(f"z_{n}" for n in NAMES), *(f"error_{n}" for n in NAMES))


def row(case: str, number: int, clean: list[Piece], method: str, folder: Path) -> dict[str, object]:
    """z and errors of one file; without numbers where the scans were refused."""
    m, _, noise = CASES[case]
    path = folder / "run.txt"
    path.write_bytes(trios(with_noise(clean, np.random.default_rng([7, number]), DCP, noise)))
    made: dict[str, object] = {"case": case, "file": number, "method": method}
    blank = dict.fromkeys(FIELDS[3:], "nan")
    try:
        scans = load([path])
        if method == "fit":
            result = fit(scans)
            parameters, errors = result.parameters, result.errors
            if not (result.converged and result.described):
                return made | blank
        else:
            found = predict(scans)
            if found.covariance is None:
                return made | blank
            parameters, errors = found.parameters, np.sqrt(np.diag(found.covariance))
    except ScanError:
        return made | blank
    for k, name in enumerate(NAMES):
        made |= {f"z_{name}": (parameters[k] - m.parameters[k]) / errors[k], f"error_{name}": errors[k]}
    return made


def rows_of(options: argparse.Namespace) -> list[Row]:
    """All rows, those that the file lacks computed and appended."""
    with Rows(options.out, FIELDS) as rows, tempfile.TemporaryDirectory() as folder:
        done = {(r["case"], int(r["file"]), r["method"]) for r in rows.all}
        for case in options.cases:
            m, span, _ = CASES[case]
            clean = measure(m, RATES, span, DCP)
            for number in range(options.files):
                for method in ("fit", "predict"):
                    if (case, number, method) not in done:
                        rows.add(row(case, number, clean, method, Path(folder)))
    return [r for r in rows.all if r["case"] in options.cases and int(r["file"]) < options.files]


def table(rows: list[Row]) -> str:
    """Coverage and root mean square of z, by case and method."""
    body = []
    for case, method in dict.fromkeys((r["case"], r["method"]) for r in rows):
        some = [r for r in rows if (r["case"], r["method"]) == (case, method)]
        z = np.array([[float(r[f"z_{n}"]) for n in NAMES] for r in some])
        errors = np.array([[float(r[f"error_{n}"]) for n in NAMES] for r in some])
        ended = np.isfinite(z).all(1)
        z, errors = z[ended], errors[ended]
        if not len(z):
            body.append([case, method, "", "", "", "", f"0 of {len(some)}"])
            continue
        middle = np.median(errors, 0)

        def listed(values: np.ndarray, form: str) -> str:
            return " ".join(format(v, form) for v in values)

        body.append([
            f"{case}, noise {100 * CASES[case][2]:g} %", method, listed(100 * (np.abs(z) < 1).mean(0), ".0f"),
            listed(100 * (np.abs(z) < 1.96).mean(0), ".0f"), listed(np.sqrt((z**2).mean(0)), ".2f"),
            f"{middle[0]:.2g}, {middle[1] / 1e3:.2g} kJ/mol, {middle[2]:.1g}, {middle[3]:.1g}",
            f"{len(z)} of {len(some)}",
        ])  # fmt: skip
    head = ["scans", "", "68 % hold, ln A Δh* x β", "95 % hold", "rms z", "median error bars", "n"]
    return markdown(head, body, left=(0, 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=40, help="files of each case (default 40)")
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--out", type=Path, default=Path("results/tnm_coverage.csv"), help="rows (CSV)")
    options = parser.parse_args()
    positive("--files", options.files)
    print(table(rows_of(options)))


if __name__ == "__main__":
    run(main)
