"""Commands as Slurm jobs through submitit: one job or an array, requeued until they are done, and their states.

A job runs `main(arguments)` of a module on each of its tasks. Exit code 75 (stopped cleanly with work left) puts it
back into the queue; slurm/job.sh does that, as for the batch scripts, so that a preempted job, one that ran out of time
and one of ten minutes are all alike (submitit would count jobs of ten minutes as timeouts and give up after three).
"""

from __future__ import annotations

import csv
import importlib
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpctools.config import setting
from hpctools.stop import COMPLETE, USAGE

ROOT = Path(__file__).parents[1]
JOBS = "jobs.csv"
_FINISHED = (
    "COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY", "BOOT_FAIL", "DEADLINE",
)  # fmt: skip
_ENDLESS = 1_000_000
_POLL_SECONDS = 5.0


class SubmissionError(Exception):
    """Jobs that cannot be submitted or followed; the message says what to do."""

    user_error = True
    exit_code = USAGE


@dataclass(frozen=True)
class Resources:
    """What a job asks Slurm for; account, partition and quality of service also come from SBATCH_… variables."""

    nodes: int = setting(1, "of a job")
    tasks: int = setting(1, "ranks a node; with --gpus one a device")
    gpus: int = setting(0, "a node")
    cpus: int = setting(1, "a rank")
    minutes: int = setting(60, "after which the job is requeued and goes on", unit="min")
    notice: int = setting(90, "before the end of its time a job is told to stop", unit="s")
    memory: float = setting(0.0, "a node; 0: the site's default", unit="GB")
    partition: str = setting("", "of the cluster")
    account: str = setting("", "to be charged")
    at_once: int = setting(256, "jobs of an array that may run at the same time")

    def __post_init__(self) -> None:
        for name in ("nodes", "tasks", "cpus", "minutes", "notice", "at_once"):
            if getattr(self, name) < 1:
                raise SubmissionError(f"{name} {getattr(self, name)}; expected 1 or more")


@dataclass(frozen=True)
class Command:
    """`python -m module arguments`, run in the job's own Python. name: of the job, in tables."""

    name: str
    module: str
    arguments: tuple[str, ...]

    def __call__(self) -> int:
        sys.argv = [self.module, *self.arguments]
        main: Callable[[list[str]], int] = importlib.import_module(self.module).main
        if code := main(list(self.arguments)):
            sys.exit(code)  # not an exception, which submitit would take for the job's end
        return COMPLETE

    def checkpoint(self) -> Any:
        """For a signal that comes before the command listens to signals: the same again."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)

    @property
    def text(self) -> str:
        """As a line for the shell."""
        return shlex.join(["python", "-m", self.module.removesuffix(".__main__"), *self.arguments])


def submit(commands: Sequence[Command], folder: str | Path, resources: Resources) -> list[str]:
    """Submit one job, or an array with a job a command; the jobs' ids. Scripts, logs and a table are in the folder.

    Raises SubmissionError where Slurm or submitit are not there, or sbatch refuses.
    """
    if shutil.which("sbatch") is None:
        raise SubmissionError("no sbatch is here: log in where Slurm is, or run the commands that --dry-run prints")
    try:
        import submitit
    except ImportError as error:
        raise SubmissionError(f"submitting needs submitit ({error}): pip install 'hpctools[slurm]'") from error
    folder = Path(folder).resolve()
    executor = submitit.SlurmExecutor(folder, max_num_timeout=_ENDLESS)
    executor.update_parameters(**_parameters(commands, resources))
    try:
        if len(commands) == 1:
            jobs = [executor.submit(commands[0])]
        else:
            with executor.batch():
                jobs = [executor.submit(command) for command in commands]
    except Exception as error:  # submitit's own kinds
        raise SubmissionError(f"sbatch refused: {str(error).strip().splitlines()[-1]}") from error
    ids = [str(job.job_id) for job in jobs]
    with open(folder / JOBS, "a", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(zip(ids, (command.name for command in commands), strict=True))
    return ids


def _parameters(commands: Sequence[Command], resources: Resources) -> dict[str, Any]:
    """Of submitit's sbatch script. What follows the step is slurm/job.sh's, see the head of this module."""
    found: dict[str, Any] = {
        "job_name": commands[0].name if len(commands) == 1 else "hpctools",
        "nodes": resources.nodes,
        "ntasks_per_node": resources.gpus or resources.tasks,
        "cpus_per_task": resources.cpus,
        "time": resources.minutes,
        "signal_delay_s": resources.notice,
        "array_parallelism": resources.at_once,
        "additional_parameters": {"requeue": True},
        "stderr_to_stdout": True,
        "setup": [
            f"export HPCTOOLS_ROOT={shlex.quote(str(ROOT))}",
            'source "$HPCTOOLS_ROOT/slurm/job.sh"',
            "activate_environment",
            'export SLURM_MPI_TYPE=$HPCTOOLS_SRUN_MPI SRUN_CPUS_PER_TASK=${SLURM_CPUS_PER_TASK:-1}',
        ],
        "srun_args": ["--kill-on-bad-exit=0", "--wait=30"],
        "teardown": ["finish_job $?"],
    }
    optional = {
        "gpus_per_node": resources.gpus, "mem": f"{resources.memory:g}GB" if resources.memory else "",
        "partition": resources.partition, "account": resources.account,
    }  # fmt: skip
    return found | {key: value for key, value in optional.items() if value}


def submitted(folder: str | Path) -> dict[str, str]:
    """Names of the jobs that were submitted into a folder, by id; the latest last."""
    path = Path(folder) / JOBS
    try:
        with open(path, newline="", encoding="utf-8") as file:
            return {row[0]: row[1] for row in csv.reader(file)}
    except (OSError, IndexError) as error:
        reason = error.strerror if isinstance(error, OSError) else "a line is empty"
        raise SubmissionError(f"{path}: no table of submitted jobs ({reason}); submit some first") from error


def states(folder: str | Path) -> list[tuple[str, str, str, str]]:
    """(id, name, state, restarts) of the jobs of a folder: by sacct, else by scontrol, else by their results.

    Without accounting Slurm forgets a finished job after a while (MinJobAge); one that has left no result either is
    UNKNOWN: submit its command again, which goes on where it was.
    """
    jobs = submitted(folder)
    accounted = _sacct(list(jobs))
    found = []
    for job, name in jobs.items():
        record = _scontrol(job)
        state = accounted.get(job) or record.get("JobState", "")
        if not state:
            done = any(Path(folder).glob(f"{job}_*_result.pkl"))
            state = "COMPLETED" if done else "UNKNOWN"
        found.append((job, name, state, record.get("Restarts", "")))
    return found


def status_text(folder: str | Path) -> str:
    """Table of the states of a folder's jobs, and how many there are of each."""
    rows = states(folder)
    counts: dict[str, int] = {}
    for row in rows:
        counts[row[2]] = counts.get(row[2], 0) + 1
    lines = [f"{'job':<14}{'name':<24}{'state':<14}restarts"]
    lines += [f"{job:<14}{name:<24}{state:<14}{restarts}".rstrip() for job, name, state, restarts in rows]
    return "\n".join([*lines, ", ".join(f"{count} {state}" for state, count in counts.items())])


def wait(folder: str | Path) -> bool:
    """Wait until all jobs of a folder have ended; did all of them complete?"""
    while any(not state.startswith((*_FINISHED, "UNKNOWN")) for _, _, state, _ in states(folder)):
        time.sleep(_POLL_SECONDS)
    return all(state == "COMPLETED" for _, _, state, _ in states(folder))


def _sacct(jobs: Sequence[str]) -> dict[str, str]:
    words = ["sacct", "-n", "-X", "-P", "-o", "JobID,State", "-j", ",".join(jobs)]
    found = {}
    for line in _output(words).splitlines():
        job, _, state = line.partition("|")
        if state:
            found[job] = state.split()[0]
    return found


def _scontrol(job: str) -> dict[str, str]:
    lines = _output(["scontrol", "show", "job", job, "--oneliner"]).splitlines()
    return dict(word.split("=", 1) for word in lines[0].split() if "=" in word) if lines else {}


def _output(words: Sequence[str]) -> str:
    """Standard output of a command of Slurm; empty where it fails."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
