"""Seconds that `store` spends on 2, 16, 64 ranks, many of them on one core: a table for the README.

    python tests/benchmarks/store_scaling.py --ranks 2 16 64 --chunks-per-rank 4

Oversubscribed ranks wait busily for each other, so the table shows the cost of the coordination at its
worst; the data are random bytes, which deflate cannot shrink.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]


def worker(out, layout, chunks_per_rank, chunk_bytes):
    from hpctools import world as world_module
    from hpctools.store import DataSet, Writer

    started = time.perf_counter()
    world = world_module.start()
    begun = world.max(time.perf_counter() - started)
    n_chunks = chunks_per_rank * world.size
    bounds = np.arange(n_chunks + 1)
    data_sets = [DataSet("packed", (n_chunks * chunk_bytes,), "u1", bounds * chunk_bytes, "byte", "",
                         compression=1),
                 DataSet("parameters", (n_chunks * 100, 4), "f8", bounds * 100, "1", "")]
    data = np.random.default_rng(world.rank).integers(0, 256, chunk_bytes).astype("u1")
    writer = Writer(out, data_sets, world, layout=layout, commit_seconds=0.0)
    for chunk in writer.rounds():
        writer.write(chunk, {"packed": data, "parameters": np.zeros((100, 4))})
    writer.finish()
    seconds = {key: round(world.max(value), 3) for key, value in writer.seconds.items()}
    memory = world.max(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    raw = world.sum(writer.bytes_raw)
    if world.rank == 0:
        print(json.dumps({"start": round(begun, 3), **seconds, "rounds": chunks_per_rank,
                          "MB": round(raw / 1e6, 1), "MiB a rank": round(memory)}), flush=True)
    world.exit(0)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ranks", type=int, nargs="+", default=[2, 16, 64])
    parser.add_argument("--chunks-per-rank", type=int, default=4)
    parser.add_argument("--chunk-bytes", type=int, default=1 << 20)
    parser.add_argument("--layouts", nargs="+", default=["files", "mpio"])
    parser.add_argument("--mpiexec", default=os.environ.get("HPCTOOLS_MPIEXEC", ""))
    parser.add_argument("--timeout", type=float, default=300.0, help="seconds a row")
    parser.add_argument("--worker", nargs=2, metavar=("OUT", "LAYOUT"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        worker(*arguments.worker, arguments.chunks_per_rank, arguments.chunk_bytes)
        return
    own = Path(sys.executable).with_name("mpiexec")
    mpiexec = arguments.mpiexec or (str(own) if own.exists() else shutil.which("mpiexec.mpich") or "mpiexec")
    columns = ("start", "open", "write", "done", "finish", "rounds", "MB", "MiB a rank", "wall")
    print("layout ranks  " + "".join(f"{name:>11}" for name in columns))
    for layout in arguments.layouts:
        for ranks in arguments.ranks:
            with tempfile.TemporaryDirectory() as folder:
                command = [mpiexec, "-n", str(ranks), sys.executable, __file__,
                           "--worker", folder + "/out.h5", layout,
                           "--chunks-per-rank", str(arguments.chunks_per_rank),
                           "--chunk-bytes", str(arguments.chunk_bytes)]
                begun = time.perf_counter()
                process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                           env={**os.environ, "PYTHONPATH": str(ROOT)})
                try:
                    text, errors = process.communicate(timeout=arguments.timeout)
                    row, problem = json.loads(text) if process.returncode == 0 else {}, errors.strip()[-300:]
                except subprocess.TimeoutExpired:
                    row, problem = {}, f"more than {arguments.timeout:g} s"
                    process.terminate()  # mpiexec then ends its ranks
                    process.communicate()
                row["wall"] = round(time.perf_counter() - begun, 1)
            print(f"{layout:6} {ranks:5}  " + ("".join(f"{row[name]:>11}" for name in columns) if len(row) > 1
                                               else problem), flush=True)


if __name__ == "__main__":
    main()
