"""Write tests/tnm/direct_reference.npz: direct solutions of 24 samples, small enough for every test run.

    python analysis/tnm_direct_reference.py tests/tnm/direct_reference.npz

Takes about two minutes. Contents: parameters (24, 4) = ln A, activation energy [J/mol], x, beta; rates (6,)
and heating_rate [K/s]; index (24, 6, points) into the grid -250 … 1600 degrees Celsius in steps of 0.1, -1
where unused, near nodes of the solution; cpn (24, 6, points) there; and, all (24, 6), limiting = Tf' [K],
area = int CpN dT over the grid [K], peak and peak_temperature [K] of the continuous curve, and error, the
largest change of CpN at these points from half the resolution (the own error is about 16 times smaller).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from tnm_accuracy import GAS_CONSTANT, GRID, HEATING, RATES, Array, corners

from hpctools.tnm.direct import scan


def reference_samples() -> Array:
    """The samples of the reference file, (24, 4): 16 corners, 8 inside the box or (one) a little outside."""
    r = GAS_CONSTANT * 1e3
    inner = [
        (-79.21, 38.3 * r, 0.57, 0.71),  # As2Se3
        (-183.0, 55.0 * r, 0.40, 0.75),  # acetaminophen
        (-300.0, 7e5, 0.5, 0.98),
        (-90.0, 6e5, 0.7, 0.99),
        (-200.0, 9e5, 0.2, 0.8),
        (-60.0, 4e5, 0.18, 0.35),
        (-120.0, 3e5, 0.3, 0.75),
        (-250.0, 1e6, 0.45, 0.25),
    ]
    return np.concatenate([corners(), np.array(inner)])


def write_reference(path: Path, resolution: float, points: int) -> None:
    """Solve all samples at `resolution` steps per e-fold of tau, keep up to `points` grid points a scan."""
    samples = reference_samples()
    shape = (len(samples), len(RATES))
    index = np.full((*shape, points), -1, np.int16)
    cpn = np.zeros((*shape, points), np.float32)
    scalars = {name: np.zeros(shape) for name in ("limiting", "area", "peak", "peak_temperature", "error")}
    for s, p in enumerate(samples):
        for i, rate in enumerate(RATES):
            signal, limiting, info = scan(p, rate, HEATING, GRID, resolution)
            rough = scan(p, rate, HEATING, GRID, 0.5 * resolution)[0]
            nodes = np.rint((info["node_temperature"] - GRID[0]) / 0.1).astype(int)
            nodes = np.unique(nodes.clip(0, len(GRID) - 1))
            pick = nodes[np.unique(np.linspace(0, len(nodes) - 1, points).astype(int))]
            index[s, i, : len(pick)] = pick
            cpn[s, i, : len(pick)] = signal[pick]
            found = {
                "limiting": limiting,
                "area": info["area"] + GRID[-1] - info["limits"][1],
                "peak": info["peak"],
                "peak_temperature": info["peak_temperature"],
                "error": np.max(np.abs(signal - rough)[pick]),
            }
            for name, value in found.items():
                scalars[name][s, i] = value
        print(f"{s + 1} of {len(samples)}", flush=True)
    about = f"python analysis/tnm_direct_reference.py {path} --resolution {resolution:g} --points {points}"
    arrays: dict[str, Any] = {"parameters": samples, "rates": RATES, "heating_rate": HEATING, **scalars}
    np.savez_compressed(path, about=about, index=index, cpn=cpn, **arrays)
    print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--resolution", type=float, default=16.0, help="steps per e-fold of tau")
    parser.add_argument("--points", type=int, default=300)
    options = parser.parse_args()
    write_reference(options.out, options.resolution, options.points)
