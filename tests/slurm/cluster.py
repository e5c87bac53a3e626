"""A Slurm of two nodes on this machine, as a context manager.

One munged, one slurmctld and two slurmd with their own key, sockets, ports and state, all under one
temporary directory: nothing of a Slurm that the machine may have is read or changed. It needs root and
the programs of Debian's `slurm-wlm` and `munge`, but no systemd, cgroups or database.
"""

import contextlib
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol", "squeue", "scancel")
NODES = ("n1", "n2")
CPUS = 2
GPUS = 2

# Job states after which nothing more happens to a job.
FINISHED = frozenset(
    "COMPLETED FAILED CANCELLED TIMEOUT NODE_FAIL OUT_OF_MEMORY BOOT_FAIL DEADLINE PREEMPTED".split()
)

CONFIG = """\
ClusterName=hpctools
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ctld_port}
SlurmUser=root
AuthType=auth/munge
CredType=cred/munge
# A requeued job may start only when the credential of its last run has expired; the default is 120 s.
AuthInfo=socket={dir}/munge.socket,cred_expire=5
StateSaveLocation={dir}/state
SlurmctldPidFile={dir}/slurmctld.pid
SlurmctldLogFile={dir}/slurmctld.log
SlurmdSpoolDir={dir}/spool-%n
SlurmdPidFile={dir}/slurmd-%n.pid
SlurmdLogFile={dir}/slurmd-%n.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=batch_sched_delay=0,sched_interval=2,sched_min_interval=0
MpiDefault=pmi2
{requeue}
JobRequeue=1
ReturnToService=2
# Short, so that a killed slurmd is soon a failed node.
SlurmctldTimeout=5
SlurmdTimeout=4
TCPTimeout=2
MessageTimeout=2
InactiveLimit=0
KillWait=3
MinJobAge=600
GresTypes=gpu
{nodes}
# Jobs of the partition `low` give way to those of `main`: they get a signal TERM and are requeued.
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
PartitionName=main Nodes={node_names} Default=YES MaxTime=INFINITE State=UP PriorityTier=2 PreemptMode=OFF
PartitionName=low Nodes={node_names} MaxTime=INFINITE State=UP PriorityTier=1 GraceTime=60
"""


def why_not() -> str:
    """The reason why no cluster can be started here, or an empty string."""
    search = os.environ["PATH"] + ":/usr/sbin:/sbin"
    missing = [name for name in PROGRAMS if shutil.which(name, path=search) is None]
    if missing:
        return f"Slurm is not installed (no {', '.join(missing)})"
    if os.getuid() != 0:
        return "a Slurm of the tests' own needs root"
    return ""


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in sockets]


def job_numbers(text: str) -> list[str]:
    """The jobs that a command of jobs/ says it has submitted."""
    return [line.split()[1].rstrip(":") for line in text.splitlines() if line.startswith("job ")]


class Cluster:
    """Two running nodes, `n1` and `n2`, of 2 CPUs and 2 pretended GPUs each.

    `requeue_exit` is slurm.conf's RequeueExit; "" stands for a site that has not set it.
    """

    def __init__(self, requeue_exit: str = "75") -> None:
        # Short, because a Unix socket's path has at most 107 characters.
        self.dir = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))
        self.requeue_exit = requeue_exit
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM", "SBATCH", "PMI"))}
        self.env["PATH"] = self.env["PATH"] + ":/usr/sbin:/sbin"
        self.env["SLURM_CONF"] = str(self.dir / "slurm.conf")
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> "Cluster":
        try:
            self._write_files()
            self._start("munged", "munged", "--foreground", "--force", f"--key-file={self.dir}/munge.key",
                        f"--socket={self.dir}/munge.socket", f"--pid-file={self.dir}/munged.pid",
                        f"--log-file={self.dir}/munged.log", f"--seed-file={self.dir}/munge.seed")
            self.until(lambda: (self.dir / "munge.socket").exists(), 10, "munged did not open its socket")
            self._start("slurmctld", "slurmctld", "-D")
            for node in NODES:
                self.start_node(node)
            self.wait_idle()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # --- set-up -----------------------------------------------------------------------------------

    def _write_files(self) -> None:
        (self.dir / "state").mkdir()
        key = self.dir / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)

        host = socket.gethostname().split(".")[0]
        ctld_port, *ports = _free_ports(1 + len(NODES))
        lines = []
        for node, port in zip(NODES, ports, strict=True):
            (self.dir / f"spool-{node}").mkdir()
            lines.append(f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs={CPUS} "
                         f"Gres=gpu:{GPUS} State=UNKNOWN")
        requeue = f"RequeueExit={self.requeue_exit}" if self.requeue_exit else ""
        (self.dir / "slurm.conf").write_text(CONFIG.format(
            dir=self.dir, host=host, ctld_port=ctld_port, requeue=requeue,
            nodes="\n".join(lines), node_names=",".join(NODES)))

        gres = []
        for node in NODES:
            for gpu in range(GPUS):
                device = self.dir / f"gpu-{node}-{gpu}"
                # The numbers of /dev/null: Slurm only looks whether the device file exists.
                os.mknod(device, stat.S_IFCHR | 0o600, os.makedev(1, 3))
                gres.append(f"NodeName={node} Name=gpu File={device}")
        (self.dir / "gres.conf").write_text("\n".join(gres) + "\n")

    def _start(self, name: str, *command: str) -> None:
        env = self.env | ({"SLURMD_NODENAME": name} if name in NODES else {})
        with open(self.dir / f"{name}.out", "ab") as out:
            self._daemons[name] = subprocess.Popen(
                command, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)

    def start_node(self, node: str) -> None:
        self._start(node, "slurmd", "-D", "-N", node)

    def wait_idle(self, timeout: float = 60) -> None:
        """Waits until both nodes can take jobs."""
        def idle() -> bool:
            for name, daemon in self._daemons.items():
                if daemon.poll() is not None:
                    said = (self.dir / f"{name}.out").read_text(errors="replace")
                    raise RuntimeError(f"{name} ended with {daemon.returncode}\n{said}")
            shown = self.run("sinfo", "-h", "-N", "-o", "%N %T", check=False).split("\n")
            return set(shown) == {f"{node} idle" for node in NODES}

        self.until(idle, timeout, "the nodes did not become idle")

    # --- use --------------------------------------------------------------------------------------

    def run(self, *command: str, check: bool = True, timeout: float = 120, env: dict[str, str] | None = None,
            cwd: Path | None = None) -> str:
        """The standard output of a command that sees this cluster."""
        done = subprocess.run(command, env=self.env | (env or {}), cwd=cwd, timeout=timeout,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if check and done.returncode:
            raise RuntimeError(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout.strip()

    def sbatch(self, *arguments: str | Path, env: dict[str, str] | None = None,
               cwd: Path | None = None) -> int:
        """Submits `[OPTION]... SCRIPT [ARGUMENT]...` from the directory `cwd`."""
        out = self.run("sbatch", "--parsable", *map(str, arguments), env=env, cwd=cwd)
        return int(out.split(";")[0])

    def script(self, folder: Path, name: str, *arguments: object, options: Sequence[str] = ()) -> int:
        """Submits slurm/NAME of the repository as a user does whose data are in `folder`, one rank on each node."""
        environment = f"--export=ALL,HPCTOOLS_VENV={sys.prefix},HPCTOOLS_ROOT={REPOSITORY}"
        return self.sbatch("--chdir", folder, "-N2", "--ntasks=2", "--time=5", *options, environment,
                           REPOSITORY / "slurm" / name, *map(str, arguments))

    def launch(self, name: str, *arguments: object) -> str:
        """The standard output of jobs/NAME of the repository, run as a user does."""
        return self.run(sys.executable, f"jobs/{name}", *map(str, arguments), env={"HPCTOOLS_VENV": sys.prefix},
                        cwd=REPOSITORY)

    def interrupt(self, job: int, folder: Path) -> None:
        """Signal USR1 to a job of `script`: it must stop with work left, be requeued, and complete."""
        self.signal(job, "USR1")
        self.wait(job, timeout=240)
        said = "".join(path.read_text() for path in folder.glob("*.log"))
        assert "exit 75" in said and "run 2" in said, said

    def job(self, job: int | str) -> dict[str, str]:
        """What `scontrol show job` says, as a table; of an array's job, its first task."""
        record = self.run("scontrol", "show", "job", str(job), "--oneliner").splitlines()[0]
        return dict(pair.split("=", 1) for pair in record.split() if "=" in pair)

    def states(self, job: int) -> set[str]:
        """The states of a job, or of all tasks of an array."""
        records = self.run("scontrol", "show", "job", str(job), "--oneliner").splitlines()
        return {word.split("=", 1)[1] for r in records for word in r.split() if word.startswith("JobState=")}

    def until(self, condition: Callable[[], bool], seconds: float, otherwise: str) -> None:
        """Waits until the condition holds. Raises TimeoutError with the daemons' logs."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError(f"{otherwise} within {seconds} s\n{self.logs()}")
            time.sleep(0.2)

    def wait(self, job: int, states: Iterable[str] = ("COMPLETED",), timeout: float = 90) -> None:
        """Waits until the job, or every task of an array, is in one of `states`."""
        wanted = set(states)

        def there() -> bool:
            now = self.states(job)
            if ended := now & FINISHED - wanted:
                raise AssertionError(f"job {job} is {ended}, not {wanted}\n{self.job(job)}\n{self.logs()}")
            return now <= wanted

        self.until(there, timeout, f"job {job} did not become {wanted}")

    def wait_restarts(self, job: int, restarts: int = 1, timeout: float = 90) -> None:
        """Waits until the job has been requeued that many times."""
        def there() -> bool:
            record = self.job(job)
            if record["JobState"] in FINISHED and int(record["Restarts"]) < restarts:
                raise AssertionError(f"job {job} ended with no requeue\n{record}\n{self.logs()}")
            return int(record["Restarts"]) >= restarts

        self.until(there, timeout, f"job {job} was not requeued")

    def wait_for_log(self, path: Path, *texts: str, timeout: float = 60) -> None:
        """Waits until a job's log contains every text."""
        self.until(lambda: path.exists() and all(text in path.read_text() for text in texts), timeout,
                    f"{path} did not come to contain {texts}")

    def wait_for_file(self, folder: Path, pattern: str, timeout: float = 60) -> None:
        """Waits until the folder has a file of that pattern."""
        self.until(lambda: any(folder.glob(pattern)), timeout, f"{folder} did not come to have {pattern}")

    def signal(self, job: int, name: str) -> None:
        """Sends a signal to the job's steps, as `#SBATCH --signal=NAME@...` does."""
        self.run("scancel", f"--signal={name}", str(job))

    def kill_node(self, node: str) -> None:
        """A node's sudden death: slurmd, its step daemons and the tasks under them, with no clean-up."""
        self._kill_processes(node)
        self._daemons.pop(node).wait()

    def restart_node(self, node: str) -> None:
        """Brings a killed node back."""
        self.start_node(node)

    def reset(self) -> None:
        """Cancels all jobs, brings killed nodes back and waits until both are idle."""
        for job in self.run("squeue", "-h", "-r", "-o", "%A").split():
            self.run("scancel", job, check=False)
        for node in NODES:
            if node not in self._daemons:
                self.restart_node(node)
        self.wait_idle()

    def logs(self, lines: int = 30) -> str:
        """The ends of the daemons' logs, for the message of a failure."""
        parts = []
        for path in sorted(self.dir.glob("*.log")):
            if tail := path.read_text(errors="replace").splitlines()[-lines:]:
                parts.append("\n".join([f"--- {path.name}", *tail]))
        return "\n".join(parts)

    # --- end --------------------------------------------------------------------------------------

    def close(self) -> None:
        """Ends all jobs and daemons and removes the directory."""
        for node in NODES:
            self._kill_processes(node)
        for daemon in self._daemons.values():
            daemon.kill()
            daemon.wait()
        self._daemons.clear()
        shutil.rmtree(self.dir, ignore_errors=True)

    def _kill_processes(self, node: str) -> None:
        """Kills a node's processes: slurmd, which is the oldest, then step daemons and the jobs' tasks.

        They are found by slurmd's variables, which all of them inherit; they share no session or group.
        """
        marks = {f"SLURM_CONF={self.dir}/slurm.conf".encode(), f"SLURMD_NODENAME={node}".encode()}

        def processes() -> list[int]:
            found = []
            for path in Path("/proc").iterdir():
                if path.name.isdigit():
                    with contextlib.suppress(OSError):
                        # Empty for those that are dead already but not yet reaped.
                        if marks <= set((path / "environ").read_bytes().split(b"\0")):
                            found.append(int(path.name))
            return sorted(found)

        while alive := processes():  # again, because a dying process may have started another
            for pid in alive:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)
