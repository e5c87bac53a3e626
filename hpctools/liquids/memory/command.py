"""`python -m hpctools.liquids memory`: memory functions of states, one or many."""

from __future__ import annotations

import argparse
from pathlib import Path

from hpctools import config, stop, world

from .settings import MemorySettings

TEXT = """Memory functions M(t) of measured correlation functions, by evolution, inversion and mode-coupling theory.

    python -m hpctools.liquids memory RECORD.h5                                 one state: F_s of A and B at the peak
    python -m hpctools.liquids memory curve.csv --k 7.25 --temperature 1.0      one curve: columns t, F[, error of F];
                                                                                F(0) is that in a row t = 0, else 1
    python -m hpctools.liquids memory --all --out results/memory --workers 2    every state of the shipped library
    mpiexec -n 16 python -m hpctools.liquids memory --all FOLDER FOLDER         of folders of records
    python -m hpctools.liquids memory --all --status

∂t² F + Ω² F + ∫ M(t-t') ∂t' F dt' = 0 with Ω² = k² k_B T/m is solved for M = c + Σ v exp[-(t/τ)^b] of 1, 2, …
exponentials; the first-order equation, from --ballistic on, for comparison. Results go to OUT/NAME.h5 and are
printed; figures: analysis/liquid_memory.py. A run that was stopped goes on when the same command is given again.
"""


def memory_command(arguments: list[str]) -> int:
    """The command; returns the exit code."""
    parser = argparse.ArgumentParser("python -m hpctools.liquids memory", description=TEXT,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="*", help="a record (.h5) or a curve (.csv); with --all folders of records")
    parser.add_argument("--all", action="store_true", help="all states of the folders (default: the shipped library)")
    parser.add_argument("--out", default="results/memory", help="folder of the results (default results/memory)")
    parser.add_argument("--k", type=float, help="wave number [1/σ_AA] (default: main peak of S_AA)")
    parser.add_argument("--temperature", type=float, help="k_B T/m of a CSV file's particles")
    parser.add_argument("--omega2", type=float, help="Ω² of a CSV file's curve, in place of k² k_B T/m")
    parser.add_argument("--config", metavar="FILE", help="TOML file with settings")
    parser.add_argument("--workers", type=int, default=1, help="processes on this machine, without MPI (default 1)")
    parser.add_argument("--share", metavar="I/N", help="with --all: only part I of N, as one job of an array")
    parser.add_argument("--wall-time", type=float, metavar="MIN", help="stop cleanly after this time [min]")
    parser.add_argument("--retry", action="store_true", help="with --all: try states again that failed before")
    parser.add_argument("--dry-run", action="store_true", help="print the plan and stop")
    parser.add_argument("--status", action="store_true", help="with --all: what is done and what is left")
    config.add_arguments(parser, MemorySettings)
    given = parser.parse_args(arguments)
    settings = config.from_arguments(MemorySettings, given, given.config)
    out = Path(given.out)
    if given.all:
        if given.k or given.omega2 or given.temperature:
            parser.error("--k, --temperature and --omega2 are for one curve, not for --all")
        ranks = world.start()
        from .job import campaign_of, run_campaign

        if given.status:
            print(campaign_of(given.paths, out, settings).table())
            return stop.COMPLETE
        return run_campaign(given.paths, out, settings, ranks, workers=given.workers, share=given.share,
                            wall_time=given.wall_time, retry=given.retry, dry_run=given.dry_run)
    for name in ("share", "retry", "status"):
        if getattr(given, name):
            parser.error(f"--{name} is for --all")
    if given.workers != 1:
        parser.error("--workers is for --all: one curve is fitted by one process")
    if len(given.paths) != 1:
        parser.error("expected one record or CSV file, or --all")
    return _one(Path(given.paths[0]), out, settings, given)


def _one(path: Path, out: Path, settings: MemorySettings, given: argparse.Namespace) -> int:
    from hpctools.campaign import Stopped

    from ..record import Record
    from .job import check, fits_of, listed, run_one, summary
    from .measured import of_csv, of_record

    if path.is_dir():
        raise config.ConfigError(f"{path} is a folder; expected a record (.h5) or a curve (.csv); all states of a "
                                 f"folder: --all {path}")
    if path.suffix.lower() not in (".csv", ".h5"):
        raise config.ConfigError(f"{path}: expected a record that ends in .h5, or a curve that ends in .csv")
    if path.suffix.lower() == ".csv":
        measured = of_csv(path, k=given.k, temperature=given.temperature, omega2=given.omega2)
    else:
        if given.omega2 or given.temperature:
            raise config.ConfigError("--omega2 and --temperature are for CSV files; a record has its temperature")
        measured = of_record(Record.load(path), given.k)
    check(measured, settings)
    if given.dry_run:
        print(f"{measured.name}: {len(measured.t)} times, k = {measured.k:g}, Ω² = {listed(measured.omega2)}\n"
              f"fits: {', '.join(name for name, *_ in fits_of(measured, settings))}\nto {out / measured.name}.h5")
        return stop.COMPLETE
    with stop.Stop(given.wall_time, 5.0) as stopping:
        try:
            target = run_one(lambda: measured, measured.name, settings, out, stopping)
        except Stopped:
            print(f"stopped ({stopping.reason}) with work left; run the same command again: it goes on")
            return stop.STOPPED
    print(summary(target))
    print(f"complete: {target}")
    return stop.COMPLETE
