"""`python -m hpctools.tnm fit` and `predict`: from DSC files to TNM parameters."""

from __future__ import annotations

import argparse
import sys

from hpctools import stop
from hpctools.config import ConfigError

FIT = """Fit the TNM model to DSC heating scans: A, Δh*, x and β with their errors.

    python -m hpctools.tnm fit run.txt
    python -m hpctools.tnm fit run.txt --lag --shift --out results/as2se3
    python -m hpctools.tnm fit q05.csv q1.csv q5.csv q20.csv --cooling-rate 0.5 1 5 20 --heating-rate 10
    python -m hpctools.tnm fit run.txt --glass 20 45 --liquid 90 110

Files: TA TRIOS text or CSV, TA Q series text, NETZSCH Proteus ASCII, Mettler STARe text, CSV with temperature and heat
flow. A record with times shows its heating scans, the cooling before each, limits and holds by itself. At least two
scans after cooling at different rates are needed for Δh*, better six between 0.5 and 20 K/min.

Each scan is normalised by straight lines through glass and liquid, whose errors the fit takes out again; all scans are
fitted together, each with its own program. Written: OUT.json (parameters, errors, correlation, noise, what was done to
each scan) and OUT.png (data, fit and residuals). Exit codes: 0 fitted, 1 refused (the reason names the scan), not
converged, or scans that the model does not describe, 2 usage.
"""

PREDICT = """A first estimate of the TNM parameters of DSC heating scans, without a fit.

    python -m hpctools.tnm predict run.txt

It takes the files and options of `fit`. The estimate is the network's, whose error bars know the noise and what the
lines through glass and liquid may have got wrong. With little glass and liquid beside the transition they are too
small, up to a factor of two; `fit` is the better judge. The network refuses scans that contradict its estimate and
those that it cannot read; the reason is printed with an estimate from the cooling-rate law and a table of simulated
scans, which has no error bars. Exit codes: 0 estimated by the network, 1 refused (by it, or the scans by name),
2 usage.
"""


def _parser(name: str, description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        f"python -m hpctools.tnm {name}", description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scan", nargs="+", metavar="SCAN", help="DSC file")
    data = parser.add_argument_group("the scans")
    data.add_argument("--cooling-rate", nargs="+", type=float, default=[], metavar="Q",
                      help="cooling rate before each scan, in the order of files and scans [K/min]")  # fmt: skip
    data.add_argument("--heating-rate", type=float, metavar="Q", help="heating rate of all scans [K/min]")
    data.add_argument("--glass", nargs=2, type=float, metavar=("LOW", "HIGH"), help="glass window [°C]")
    data.add_argument("--liquid", nargs=2, type=float, metavar=("LOW", "HIGH"), help="liquid window [°C]")
    data.add_argument("--limits", nargs=2, type=float, metavar=("LOW", "HIGH"), help="use only this part [°C]")
    data.add_argument("--skip", type=float, metavar="K",
                      help="leave out at the start of a scan (what is heated in 0.6 min, or in 9 lags where the start "
                           "shows one, at least 3 K)")  # fmt: skip
    data.add_argument("--exotherm", choices=("up", "down"), help="direction of exotherms, if the file says it wrongly")
    data.add_argument("--whole-history", action="store_true",
                      help="follow the record from its first cooling, not each cycle from equilibrium")  # fmt: skip
    data.add_argument("--temperature-unit", choices=("C", "K"), help="where the file names none")
    data.add_argument("--format", choices=("trios", "ta-q", "netzsch", "stare", "csv"), help="found from the content")
    parser.add_argument("--out", default="tnm_fit" if name == "fit" else None, metavar="OUT",
                        help="name of the results without suffix" + (" (default tnm_fit)" if name == "fit" else
                                                                     " (default: none are written)"))  # fmt: skip
    return parser


def fit_command(arguments: list[str]) -> int:
    """Fit and report."""
    parser = _parser("fit", FIT)
    how = parser.add_argument_group("the fit")
    how.add_argument("--lag", action="store_true", help="fit a thermal lag, common to all scans")
    how.add_argument("--shift", action="store_true", help="fit an error of the temperature scale (±0.3 K)")
    how.add_argument("--fixed-lines", action="store_true", help="trust the lines through glass and liquid as they are")
    how.add_argument("--noise", type=float, metavar="SIGMA", help="white noise of CpN, > 0 (default: the residuals')")
    how.add_argument("--dh", type=float, metavar="KJ", help="hold Δh* at this value [kJ/mol]; one scan is then enough")
    how.add_argument("--start", nargs=4, type=float, metavar=("LN_A", "DH", "X", "BETA"),
                     help="start from these, not from an estimate; Δh* 10 … 10,000 kJ/mol, x from 0.05, β from 0.15")
    how.add_argument("--no-figure", action="store_true", help="write no figure")
    return _fit(parser.parse_args(arguments))


def predict_command(arguments: list[str]) -> int:
    """Estimate and report."""
    return _predict(_parser("predict", PREDICT).parse_args(arguments))


def _load(given: argparse.Namespace):  # type: ignore[no-untyped-def]
    from .measurements import Options, load

    for name, value in (*(("--cooling-rate", q) for q in given.cooling_rate), ("--heating-rate", given.heating_rate)):
        if value is not None and not value > 0:
            raise ConfigError(f"{name} {value:g}; expected a positive number of K/min")
    if given.skip is not None and not given.skip >= 0:
        raise ConfigError(f"--skip {given.skip:g}; expected 0 K or more")
    return load(
        given.scan,
        Options(
            tuple(given.cooling_rate), given.heating_rate, given.glass and tuple(given.glass),
            given.liquid and tuple(given.liquid), given.exotherm, given.limits and tuple(given.limits), given.skip,
            given.whole_history, given.format, given.temperature_unit,
        ),
    )  # fmt: skip


def _fit(given: argparse.Namespace) -> int:
    from . import report
    from .refinement import fit
    from .residuals import LEAST_DH, LOWEST_BETA, LOWEST_X, MOST_DH, within_limits

    low, high = 1e-3 * LEAST_DH, 1e-3 * MOST_DH
    if given.noise is not None and not given.noise > 0:
        raise ConfigError(f"--noise {given.noise:g}; expected a positive standard deviation of CpN, such as 0.01")
    if given.dh is not None and not within_limits(1e3 * given.dh):
        raise ConfigError(f"--dh {given.dh:g}; expected {low:g} … {high:g} kJ/mol")
    if given.start is not None:
        _, energy, x, beta = given.start
        if not within_limits(1e3 * energy, x, beta):
            raise ConfigError(f"--start with Δh* = {energy:g}, x = {x:g}, β = {beta:g}; expected {low:g} … {high:g} "
                              f"kJ/mol, {LOWEST_X:g} … 1 and {LOWEST_BETA:g} … 1")
    scans = _load(given)
    nuisance = tuple(name for name in ("shift", "lag") if getattr(given, name))
    start = None
    if given.start is not None:
        start = [given.start[0], 1e3 * given.start[1], *given.start[2:]]
    result = fit(
        scans, nuisance, start=start, noise=given.noise, dh=None if given.dh is None else 1e3 * given.dh,
        lines=False if given.fixed_lines else None,
    )  # fmt: skip
    # files first: whoever reads the table may leave after a few lines
    written = f"results: {report.write_json(result, given.out + '.json', sys.argv)}"
    if not given.no_figure:
        written += f"\nfigure: {report.figure(result, given.out + '.png')}"
    print(f"{report.table(result)}\n{written}")
    if not (result.converged and result.described):
        reason = "the model does not describe these scans" if result.converged else "not converged"
        print(f"error: {reason}; the numbers above are not to be used", file=sys.stderr)
        return stop.ERROR
    return stop.COMPLETE


def _predict(given: argparse.Namespace) -> int:
    from . import report
    from .prediction import predict

    scans = _load(given)
    found = predict(scans)
    written = ""
    if given.out is not None:
        written = f"\nresults: {report.write_estimate(found, scans, given.out + '.json', sys.argv)}"
    print(report.estimate_table(found, scans) + written)
    return stop.ERROR if found.refused else stop.COMPLETE


COMMANDS = {"fit": fit_command, "predict": predict_command}
