"""Starting positions from PACKMOL (L. Martínez et al., J. Comput. Chem. 30:2157, 2009), where it is installed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


class PackmolError(RuntimeError):
    """PACKMOL is not there or found no positions."""

    user_error = True


def find() -> str | None:
    """The program, on PATH or beside this Python; None where there is none."""
    return shutil.which("packmol") or shutil.which("packmol", path=str(Path(sys.executable).parent))


def program() -> str:
    """The same. Raises PackmolError where there is none."""
    found = find()
    if found is None:
        raise PackmolError("start is packmol, but there is no packmol on PATH: install it (pip install "
                           "'hpctools[packmol]'; Debian: apt-get install packmol), or choose --start random")
    return found


def pack(atoms: dict[str, int], length: float, tolerance: float, seed: int, folder: Path) -> NDArray[np.float64]:
    """Positions (n, 3) in Å of atoms by element in a cubic box, none nearer than the tolerance (Å) to another.

    The box that PACKMOL fills is one tolerance smaller, so that this holds across the periodic boundaries too.
    """
    high = length - tolerance
    lines = [f"tolerance {tolerance}", f"seed {seed % 2**31}", "filetype xyz", "output packed.xyz"]
    for element, number in atoms.items():
        (folder / f"{element}.xyz").write_text(f"1\n\n{element} 0.0 0.0 0.0\n", encoding="ascii")
        lines += [f"structure {element}.xyz", f"  number {number}",
                  f"  inside box 0. 0. 0. {high:.6f} {high:.6f} {high:.6f}", "end structure"]  # fmt: skip
    (folder / "packmol.inp").write_text("\n".join(lines) + "\n", encoding="ascii")
    packed = folder / "packed.xyz"
    packed.unlink(missing_ok=True)
    # PACKMOL reads its input twice, so it must be a file and not a pipe
    with (folder / "packmol.inp").open("rb") as given, (folder / "packmol.log").open("wb") as log:
        done = subprocess.run([program()], stdin=given, cwd=folder, stdout=log, stderr=log, check=False)
    if done.returncode or not packed.exists():
        raise PackmolError(f"packmol found no positions for {sum(atoms.values())} atoms {tolerance:g} Å apart: lower "
                           f"overlap or density (see {folder / 'packmol.log'})")
    rows = packed.read_text(encoding="ascii").splitlines()[2:]
    return np.array([row.split()[1:4] for row in rows if row.strip()], float)
