"""A small job for the tests of `store`: run alone or under mpiexec; every number follows from its index.

    mpiexec -n 2 python tests/mpi/store_driver.py OUT --layout files
"""

import argparse
import os
import signal
import time

import numpy as np

from hpctools import stop
from hpctools import world as world_module
from hpctools.store import DataSet, Static, Writer

ROWS = 20
STORAGE = 4096


def job(n_chunks, big=1):
    """Data sets and a function that computes a chunk."""
    bounds = np.minimum(np.arange(n_chunks + 1) * ROWS, n_chunks * ROWS - 3)  # the last chunk is shorter
    # Ragged data: each chunk has its own number of bytes, in a slot of whole storage chunks; one is empty.
    used = np.array([0 if c == 3 else big * (1000 + 937 * c % 11000) for c in range(n_chunks)])
    slots = np.concatenate([[0], np.cumsum(-(-used // STORAGE) * STORAGE)])
    data_sets = [
        DataSet("parameters", (int(bounds[-1]), 4), "f8", bounds, "1", "parameters of each sample"),
        DataSet("peaks", (int(bounds[-1]), 6), "f4", bounds, "K", "a result", storage_rows=10,
                compression=None),
        DataSet("packed", (int(slots[-1]),), "u1", slots, "byte", "ragged results", storage_rows=STORAGE),
    ]

    def compute(chunk):
        low, high = data_sets[0].rows(chunk)
        index = np.arange(low, high)
        packed = np.zeros(slots[chunk + 1] - slots[chunk], np.uint8)
        packed[:used[chunk]] = np.random.default_rng(chunk).integers(0, 256, used[chunk])
        return {"parameters": index[:, None] + np.arange(4) / 8, "packed": packed,
                "peaks": np.sin(index[:, None] * np.arange(1, 7)).astype("f4")}

    return data_sets, compute, Static("offsets", slots[:-1], "byte", "start of each chunk in `packed`")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out")
    parser.add_argument("--layout", default="auto")
    parser.add_argument("--chunks", type=int, default=11)
    parser.add_argument("--big", type=int, default=1)
    parser.add_argument("--precision", type=float, default=1e-4)
    parser.add_argument("--commit", type=float, default=0.0)
    parser.add_argument("--delay", type=float, default=0.0, help="seconds a chunk")
    parser.add_argument("--kill", type=int, nargs=2, metavar=("RANK", "ROUND"), help="kill -9 this rank")
    parser.add_argument("--raise-on", type=int, help="rank that raises in its first round")
    parser.add_argument("--leave-on", type=int, help="rank that leaves with 3 in its first round")
    parser.add_argument("--stop-after", type=int, help="stop cleanly after this many rounds")
    parser.add_argument("--quota", action="store_true", help="find no space only in the write")
    arguments = parser.parse_args()
    if arguments.quota:
        Writer._make_room = lambda self, raw: None
    world = world_module.start()
    data_sets, compute, offsets = job(arguments.chunks, arguments.big)
    with (stop.Stop() as flag,
          Writer(arguments.out, data_sets, world, layout=arguments.layout, static=[offsets],
                 attributes={"kind": "test"}, fingerprint={"precision": arguments.precision},
                 commit_seconds=arguments.commit) as writer):
        if world.rank == 0:
            print(*writer.notes, f"{len(writer.remaining)} chunks remain", sep="\n", flush=True)
        done = 0
        for number, chunk in enumerate(writer.rounds()):
            if arguments.kill == [world.rank, number]:
                os.kill(os.getpid(), signal.SIGKILL)
            if arguments.raise_on == world.rank:
                raise RuntimeError("something unforeseen")
            if arguments.leave_on == world.rank:
                world.exit(3)
            if flag.agreed(world) or arguments.stop_after == number:
                writer.close()
                world.exit(stop.STOPPED)
            time.sleep(arguments.delay)
            writer.write(chunk, None if chunk is None else compute(chunk))
            done = number
        writer.finish()
    if world.rank == 0:
        print(f"complete after {done + 1} rounds", flush=True)
    world.exit(stop.COMPLETE)



if __name__ == "__main__":
    main()
