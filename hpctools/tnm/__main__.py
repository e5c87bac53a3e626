"""`python -m hpctools.tnm`: the grid job, and what can be done with its files."""

from __future__ import annotations

import argparse
import sys

from hpctools import command_line, config, stop, world

from . import backends, fit_command
from .settings import GridJob

GRID = """Simulate the DSC heating scans of a grid of TNM parameter sets.

    python -m hpctools.tnm --subset G --stride-x 4 --stride-beta 4 --dry-run
    mpirun -n 256 python -m hpctools.tnm --out tnm_grid.h5
    sbatch slurm/tnm_grid.sh --subset C --out tnm_C.h5

The job can be stopped (signals USR1, USR2, TERM, INT; the end of a Slurm job; --wall-time) and goes on when the same
command is run again, with any number of ranks. Exit codes: 0 complete, 75 stopped with work left, 2 usage, 1 error.
Settings come from the command line, else from --config FILE (TOML, keys as the options with underscores, and the
grid's ranges: dh_low, dh_high, dh_points, ln_a_low, ln_a_high, ln_a_points, edge_kelvin, shape_low, shape_high,
shape_points), else from the defaults.

other commands:
    python -m hpctools.tnm export FILE OUT     plain float32 HDF5 for other programs
    python -m hpctools.tnm merge FILE OUT      one file out of one a rank
    python -m hpctools.tnm verify FILE         compare all data with their checksums
    python -m hpctools.tnm train --model NAME  train one of the paper's networks
    python -m hpctools.tnm train-network clean train a network with error bars that reads parameters off scans
    python -m hpctools.tnm fit SCAN...         parameters from DSC files, with error bars
    python -m hpctools.tnm predict SCAN...     a first estimate of them, without a fit
"""

TRAIN = """Train a network of Mater. Chem. Phys. 329 (2025) 130107 that reads ln A, Δh*, x and β off six heating scans.

    python -m hpctools.tnm train --model MCNN-C --dry-run                     cost, memory, time of a step
    torchrun --nproc-per-node 4 -m hpctools.tnm train --model MCNN-C          one rank a GPU
    python jobs/tnm_train.py --model MCNN-C --gpus 4                          through Slurm, requeued until it is done
    python -m hpctools.tnm train --model MCNN-C --wall-time 10                in pieces of ten minutes
    python -m hpctools.tnm train --every 20 --stride-x 4 --stride-beta 4 --filters 4 4 4 --batch 32 --epochs 20
                                                                              a small one, for two CPU cores

Results are in runs/MODEL (or --out): log.csv, checkpoint.pt, and in the end model.npz and predictions.h5 (the test
part). The training can be stopped (signals USR1, USR2, TERM, INT; the end of a Slurm job; --wall-time) and goes on when
the same command is run again, with any number of ranks. Ranks come from torchrun, srun or mpiexec. Exit codes: 0
complete, 75 stopped with work left, 2 usage, 1 error. Settings come from the command line, else from --config FILE
(TOML, keys as the options with underscores), else from the defaults, which are the paper's where it has published them.
"""

TRAIN_NETWORK = """Train a network that reads the four TNM parameters off heating scans, with error bars.

    python -m hpctools.tnm train-network clean          undisturbed scans, the paper's six cooling rates
    python -m hpctools.tnm train-network instrument     noise, lag, baselines, missing scans, any rates

The samples are simulated first, in shards that later runs of the same folder use again; then the network is trained,
calibrated on samples of its own and tested on others. The shipped networks took hours; a first try of a few minutes is
--shards 1 --epochs 2. Folder: samples, log.csv, checkpoint.pt, tnm_VARIANT.npz, the network as hpctools.tnm.estimate
takes it (network="FOLDER/tnm_VARIANT.npz"). Several ranks: torchrun, srun or mpiexec. The command can be stopped and
goes on when it is run again. Exit codes: 0 complete, 75 stopped with work left, 2 usage, 1 error.
"""


def grid_command(arguments: list[str]) -> int:
    """The grid job."""
    parser = argparse.ArgumentParser(
        "python -m hpctools.tnm", description=GRID, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", metavar="FILE", help="TOML file with settings")
    parser.add_argument("--dry-run", action="store_true", help="print the plan and stop")
    config.add_arguments(parser, GridJob)
    given = parser.parse_args(arguments)
    ranks = world.start()
    from .job import run  # numba and h5py take a second, which --help should not wait for

    job = config.from_arguments(GridJob, given, given.config)
    grid, program = job.grid(), job.program()
    backends.choose(job.backend or None)
    return run(job, grid, program, ranks, sys.argv, given.dry_run)


def export_command(arguments: list[str]) -> int:
    """Plain float32 HDF5."""
    parser = argparse.ArgumentParser("python -m hpctools.tnm export", description="Write plain float32 HDF5.")
    parser.add_argument("file")
    parser.add_argument("out")
    parser.add_argument("--first", type=int, default=0, help="first sample (default 0)")
    parser.add_argument("--count", type=int, help="number of samples (default: all; 444 kB each before compression)")
    given = parser.parse_args(arguments)
    from .grid_file import export

    print(f"{given.out}: {export(given.file, given.out, given.first, given.count):,} samples")
    return stop.COMPLETE


def merge_command(arguments: list[str]) -> int:
    """One file out of one a rank."""
    parser = argparse.ArgumentParser("python -m hpctools.tnm merge", description="Make one plain file.")
    parser.add_argument("file")
    parser.add_argument("out")
    given = parser.parse_args(arguments)
    from hpctools.store_reader import merge

    merge(given.file, given.out)
    print(given.out)
    return stop.COMPLETE


def verify_command(arguments: list[str]) -> int:
    """Compare all data with their checksums."""
    parser = argparse.ArgumentParser("python -m hpctools.tnm verify", description="Check all data of a file.")
    parser.add_argument("file")
    given = parser.parse_args(arguments)
    from hpctools.store_reader import verify

    print(f"{given.file}: {verify(given.file):,} chunks are as they were written")
    return stop.COMPLETE


def train_command(arguments: list[str]) -> int:
    """Training of a network."""
    from .learning_settings import TrainJob

    parser = argparse.ArgumentParser(
        "python -m hpctools.tnm train", description=TRAIN, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", metavar="FILE", help="TOML file with settings")
    parser.add_argument("--dry-run", action="store_true", help="print the plan and the time of a step, and stop")
    config.add_arguments(parser, TrainJob)
    given = parser.parse_args(arguments)
    job = config.from_arguments(TrainJob, given, given.config)
    job.grid()
    try:
        from hpctools.training import start
    except ImportError as error:
        print(f"error: training needs torch ({error}): pip install 'hpctools[ml]'", file=sys.stderr)
        return stop.ERROR
    ranks = start(job.device, job.threads)
    from .learning import run

    return run(job, ranks, sys.argv, given.dry_run)


def train_network_command(arguments: list[str]) -> int:
    """Training of a network of network.py."""
    from .network_settings import VARIANTS, NetworkJob

    parser = argparse.ArgumentParser(
        "python -m hpctools.tnm train-network",
        description=TRAIN_NETWORK,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("variant", choices=VARIANTS, help="scans that it learns to read")
    parser.add_argument("--config", metavar="FILE", help="TOML file with settings")
    parser.add_argument("--dry-run", action="store_true", help="print the plan and the time it takes, and stop")
    config.add_arguments(parser, NetworkJob)
    given = parser.parse_args(arguments)
    job = config.from_arguments(NetworkJob, given, given.config)
    try:
        from .network_training import run
    except ImportError as error:
        print(f"error: training needs torch ({error}): pip install 'hpctools[ml]'", file=sys.stderr)
        return stop.ERROR
    # as it is typed: weights are shipped, paths of this machine are not
    return run(job, ["python", "-m", "hpctools.tnm", "train-network", *arguments], given.dry_run)


COMMANDS = {
    "export": export_command, "merge": merge_command, "verify": verify_command, "train": train_command,
    "train-network": train_network_command,
    **fit_command.COMMANDS,
}  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments or arguments[0].startswith("-"):  # the grid job, the one command without a name
        return command_line.carry_out(lambda: grid_command(arguments))
    return command_line.main(COMMANDS, GRID, arguments)


if __name__ == "__main__":
    sys.exit(main())
