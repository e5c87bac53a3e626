"""`python -m hpctools.liquids train`, `trials` and `predict`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from hpctools import config, stop, world

TRAIN = """Train a model that predicts F_s(k_p,t) of both species from S(k), T and ρ.

    python -m hpctools.liquids train                                 the network of Ciarella et al. (2023)
    torchrun --nproc-per-node 2 -m hpctools.liquids train --steps 20000 --out runs/mlp
    python -m hpctools.liquids train --model gp                      principal components and Gaussian processes
    python -m hpctools.liquids train --model gp --inputs reduced     the same for other potentials and mixtures
    python -m hpctools.liquids train --model mlp --inputs zeroed     a control: S(k) is not shown
    python -m hpctools.liquids train --data results/library          other records than the shipped ones

Learns from the records that are liquids in equilibrium or glasses (see `hpctools.liquids.library`). Written to --out:
liquid.npz, which `predict --network` takes, and for networks checkpoint.pt and log.csv. A network can be stopped and
goes on when the same command is given again. Inputs: full; reduced (S at reduced wave numbers alone, times in reduced
units); mct (with mode-coupling theory, about a second a state); and as controls zeroed (no S), structure (S alone),
permuted (S of another state). Exit codes: 0 complete, 75 stopped with work left, 2 usage, 1 error.
"""

TRIALS = """Train and test many models for three kinds of transfer: states held out, temperature, LJ and WCA.

    python -m hpctools.liquids trials --dry-run
    python -m hpctools.liquids trials --out results/liquid_trials --workers 2
    python -m hpctools.liquids trials --models gp gp/zeroed mlp --transfers states --repeats 2
    mpiexec -n 16 python -m hpctools.liquids trials --out results/liquid_trials
    python analysis/liquid_judgement.py results/liquid_trials --out results/liquid_judgement.csv

Any number of ranks, processes and jobs work in the same folder; each takes one trial at a time, a finished one is
never made again. Figures: analysis/liquid_accuracy.py, liquid_temperature_transfer.py, liquid_potential_transfer.py.
"""

PREDICT = """Predict F_s(k_p,t) of both species of a mixture from its partial structure factors.

    python -m hpctools.liquids predict --structure S.csv --temperature 0.8 --density 1.2
    python -m hpctools.liquids predict --structure record.h5            a record of this package knows its state
    python -m hpctools.liquids predict --structure S.h5 --potential WCA --temperature 2 --density 1.4 \\
        --network runs/liquid-gp-full/liquid.npz --out prediction

S.csv has columns k, S_AA, S_AB, S_BB, or S.h5 data sets of these names, at k = (i + 1/2) 0.4/σ_AA, i = 0 … 99, with
S_ab = <ρ_a(k) ρ_b(-k)>/N, so that its values at large k tell the fractions of A and B. Written: OUT.csv (t in τ_LJ, F
and its 90 % band; F(0) = S_aa(k_p)), OUT.json (τ_α, warnings, where the model comes from) and OUT.png. Outside what the
model was trained on, as for other mixtures than 80 : 20, it warns, in the files too.
Where the potential is neither given nor told by a record, it is the one whose S(k) is nearer; it warns where LJ and WCA
hardly differ, as at ρ = 1.6 and more, and where S(k) clearly contradicts the potential that is given.
"""


def _parser(command: str, description: str) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(f"python -m hpctools.liquids {command}", description=description,
                                   formatter_class=argparse.RawDescriptionHelpFormatter)


def train_command(arguments: list[str]) -> int:
    """Train one model."""
    from .settings import NETWORKS, TrainJob

    parser = _parser("train", TRAIN)
    parser.add_argument("--config", metavar="FILE", help="TOML file with settings")
    parser.add_argument("--dry-run", action="store_true", help="print the plan and stop")
    config.add_arguments(parser, TrainJob)
    given = parser.parse_args(arguments)
    job = config.from_arguments(TrainJob, given, given.config)
    if job.model not in NETWORKS:
        ranks = world.start()
    else:
        try:
            from hpctools.training import start
        except ImportError as error:
            print(f"error: networks need torch ({error}): pip install 'hpctools[ml]'", file=sys.stderr)
            return stop.ERROR
        ranks = start(job.device, job.threads)
    from .training import run

    # as it is typed: weights are shipped, paths of this machine are not
    return run(job, ranks, ["python", "-m", "hpctools.liquids", "train", *arguments], given.dry_run)


def trials_command(arguments: list[str]) -> int:
    """Train and test many models."""
    parser = _parser("trials", TRIALS)
    parser.add_argument("--config", metavar="FILE", help="TOML file with settings")
    parser.add_argument("--workers", type=int, default=1, help="processes on this machine, without MPI (default 1)")
    parser.add_argument("--wall-time", type=float, metavar="MIN", help="stop cleanly after this time [min]")
    parser.add_argument("--retry", action="store_true", help="try trials again that failed before")
    parser.add_argument("--dry-run", action="store_true", help="print what is done and what is left, and stop")
    from .settings import Plan

    config.add_arguments(parser, Plan)
    given = parser.parse_args(arguments)
    ranks = world.start()
    from hpctools.campaign_command import carry_out

    from .trials import campaign

    if given.workers < 1:  # before any work
        raise config.ConfigError(f"--workers {given.workers}; expected 1 or more")
    plan = config.from_arguments(Plan, given, given.config)
    return carry_out(campaign(plan, ranks, not given.dry_run), ranks, unit="trials", workers=given.workers,
                     wall_time=given.wall_time, retry=given.retry, dry_run=given.dry_run)


def predict_command(arguments: list[str]) -> int:
    """Answer for one S(k)."""
    parser = _parser("predict", PREDICT)
    parser.add_argument("--structure", required=True, metavar="FILE", help="partial structure factors: CSV or HDF5")
    parser.add_argument("--temperature", type=float, help="[ε_AA/k_B]; that of a record if left out")
    parser.add_argument("--density", type=float, help="[1/σ_AA³]; that of a record if left out")
    parser.add_argument("--potential", choices=("LJ", "WCA"), help="that of a record, or by S(k), if left out")
    parser.add_argument("--network", default="", metavar="FILE", help="model of `train` (default: the shipped one)")
    parser.add_argument("--t-max", type=float, help="last time [τ_LJ] (default: the longest that was trained on)")
    parser.add_argument("--out", default="prediction", help="name of the results without suffix (default prediction)")
    parser.add_argument("--no-figure", action="store_true", help="write no figure")
    given = parser.parse_args(arguments)
    from .. import library
    from . import prediction, structure_file
    from .samples import State
    from .settings import check_folder

    found = structure_file.read(given.structure)
    known, warnings = {}, []
    for name, unit, least, most, near in (("temperature", "ε_AA/k_B", 1e-3, 1e3, library.TEMPERATURE_LIMIT),
                                          ("density", "1/σ_AA³", 1e-2, 1e1, 1e-6)):
        value, own = getattr(given, name), getattr(found, name)
        if value is None and own is None:
            raise config.ConfigError(f"{given.structure} does not tell its {name}: give --{name}")
        known[name] = float(own if value is None else value)
        if not least <= known[name] <= most:
            raise config.ConfigError(f"--{name} {known[name]:g}; expected {least:g} … {most:g} {unit}")
        if None not in (value, own) and abs(value / own - 1) > near:  # a record's T is its mean
            warnings.append(f"--{name} {value:g} contradicts {given.structure}, a record at {name} {own:g}")
    trained = prediction.load(given.network)
    potential = given.potential or found.potential
    if found.potential and potential != found.potential:
        warnings.append(f"--potential {potential} contradicts {given.structure}, a record of {found.potential}")
    check_folder(Path(given.out).parent, "--out")
    state = State(potential, known["density"], known["temperature"], found.S, fraction=found.fraction)
    answer = prediction.predict(trained, state, given.t_max, warnings)
    print(prediction.text(answer))
    table, described = prediction.write(answer, given.out, sys.argv)
    print(f"results: {table}, {described}")
    if not given.no_figure:
        print(f"figure: {prediction.figure(answer, str(Path(given.out)) + '.png')}")
    return stop.COMPLETE


COMMANDS = {"train": train_command, "trials": trials_command, "predict": predict_command}
