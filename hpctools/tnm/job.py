"""The main job: simulate the scans of a grid on all ranks into one compact file.

parameters → a rank's node of the grid → kernel → windows → packed bytes → store → file.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from hpctools.progress import Progress, duration
from hpctools.provenance import provenance
from hpctools.stop import COMPLETE, STOPPED, Stop
from hpctools.store import Writer, check_space, choose_layout
from hpctools.store_layout import size_text
from hpctools.world import World

from . import backends, grid_file, packing
from .grid import Grid
from .model import ParameterError
from .program import Program
from .settings import GridJob
from .simulator import simulate_windows

PROBE = 48  # samples simulated to estimate time and size


def compute(grid: Grid, node: int, program: Program, precision: float, slot: int, first_byte: int, backend: str) -> Any:
    """Simulate and pack the samples of a node: the arrays of its chunk in the file.

    slot: bytes of the chunk in `packed`; first_byte: where it begins.
    """
    parameters = grid.parameters(node)
    try:
        result = simulate_windows(parameters, program, backend)
    except ParameterError as error:
        raise ParameterError(f"node {node} of grid {grid.name}, Δh* {grid.nodes[node, 0]:g} J/mol: {error}") from None
    size = packing.block_bytes(result.points, program.scans, precision)
    start_byte = np.zeros(len(size), np.int64)
    np.cumsum(size[:-1], out=start_byte[1:])
    packed, quantum, base = packing.pack(
        result.values, result.offset[:-1], result.points, program.scans, precision, start_byte, slot
    )
    summary = result.summary
    samples = np.zeros(len(parameters), grid_file.sample_type(program.scans))
    values = (
        grid.index(node), result.start, result.points, first_byte + start_byte, quantum, base, summary.cpn_max,
        summary.t_peak, summary.tf_limit, summary.burst,
    )  # fmt: skip
    for name, column in zip(grid_file.COLUMNS, values, strict=True):
        samples[name] = column
    return {"parameters": parameters, "samples": samples, "packed": packed}


def probe(grid: Grid, program: Program, precision: float, compression: int, backend: str) -> tuple[float, float]:
    """Seconds of one thread and stored bytes a sample, estimated from samples spread over the grid."""
    import zlib

    places = np.linspace(0, len(grid) - 1, PROBE).astype(int)
    per_node = grid.samples_per_node
    # neither axis may be sampled at a fixed phase: move by an irrational share of a node
    rows = [grid.parameters(int(i) // per_node)[int(k * 0.618 * per_node) % per_node] for k, i in enumerate(places)]
    parameters = np.array(rows)
    for _ in range(2):  # the first time compiles and fills the caches
        started = time.perf_counter()
        result = simulate_windows(parameters, program, backend)
        size = packing.block_bytes(result.points, program.scans, precision)
        begin = np.cumsum(size) - size
        packed, _, _ = packing.pack(
            result.values, result.offset[:-1], result.points, program.scans, precision, begin, int(size.sum())
        )
        stored = len(zlib.compress(packed.tobytes(), compression))
        seconds = time.perf_counter() - started
    columns = 40  # bytes a sample of all the other data sets after compression
    return seconds / PROBE, stored / PROBE + columns


def plan_text(job: GridJob, grid: Grid, world: World, seconds: float, stored: float, device: str) -> str:
    """The plan of the job, for people."""
    n, ranks = len(grid), world.size
    rounds = -(-grid.n_nodes // ranks)
    program = job.program()
    return "\n".join(
        (
            f"grid      {grid.name}: {grid.n_nodes:,} nodes (Δh*, ln A) × {len(grid.x)} x × {len(grid.beta)} β "
            f"= {n:,} samples",
            f"scans     {program.scans} a sample, {program.points:,} points each: "
            f"{size_text(n * program.scans * program.points * 4)} as plain float32",
            f"chunks    {grid.n_nodes:,}, a node each; {rounds} a rank on {ranks} rank{'s' * (ranks > 1)} "
            f"({100 * grid.n_nodes / (rounds * ranks):.0f} % of the ranks' time used)",
            f"output    {job.out}, {choose_layout(job.layout, world)}, about {size_text(n * stored)} "
            f"({stored:,.0f} B a sample at precision {job.precision:g})",
            f"backend   {device}",
            f"time      about {duration(n * seconds / ranks)} ({seconds * 1e3:.2f} ms a sample and rank)",
        )
    )


def set_threads(world: World) -> None:
    """Threads of each rank: HPCTOOLS_THREADS, else what Slurm gives a task, else one where there are several ranks."""
    if world.size > 1:
        os.environ.setdefault("HPCTOOLS_THREADS", os.environ.get("SLURM_CPUS_PER_TASK", "1"))


def run(
    job: GridJob, grid: Grid, program: Program, world: World, arguments: list[str], dry_run: bool = False
) -> int:
    """The grid job on this rank; returns the exit code. All ranks call it. grid, program: those of the job."""
    set_threads(world)
    kernel = backends.choose(job.backend or None)
    if hasattr(kernel, "set_device"):
        kernel.set_device(world.local_rank)
    talk = world.rank == 0
    seconds, stored = (
        probe(grid, program, job.precision, job.compression, job.backend) if talk else (0.0, 0.0)
    )
    if talk:
        print(plan_text(job, grid, world, seconds, stored, f"{kernel.__name__.split('.')[-1]}, {kernel.device_name()}"))
        sys.stdout.flush()
    world.barrier()  # so that the other ranks' wait does not count as time of the writer
    if dry_run:
        return COMPLETE
    data_sets, static, slots = grid_file.grid_layout(grid, program, job.precision, job.compression, world)
    fingerprint = {
        "grid": f"{grid.name}, {len(grid):,} samples, hash {grid.fingerprint}",
        "program": repr(program),
        "precision": job.precision,
        "compression": job.compression,
    }
    attributes = provenance(
        grid_file.KIND, arguments, job, world, backend=kernel.__name__.split(".")[-1], device=kernel.device_name(),
        further={
            "precision": job.precision, "reading": grid_file.READING, "subset": grid.name, "program": repr(program),
            "scans": program.scans, "points": program.points,
        },
    )  # fmt: skip
    started = time.perf_counter()
    with (
        Stop(job.wall_time, job.margin, ask_slurm=talk) as stop,
        Writer(
            job.out, data_sets, world, attributes=attributes, static=static, fingerprint=fingerprint,
            layout=job.layout, commit_seconds=job.commit_seconds,
        ) as writer,
    ):  # fmt: skip
        for note in writer.notes:
            if talk:
                print(note)
        if writer.already_complete:
            if talk:
                print(f"{job.out} is complete already: nothing to do")
            return COMPLETE
        left = len(writer.remaining)
        if talk and not Path(job.out).exists():
            check_space(job.out, int(1.1 * stored * left * grid.samples_per_node))
        done = grid.n_nodes - left
        simulating = 0.0
        stopped = False
        with Progress(
            len(grid), "samples", "simulating", initial=done * grid.samples_per_node, enabled=talk
        ) as progress:
            for node in writer.rounds():
                if stop.agreed(world):
                    stopped = True
                    break
                begin = time.perf_counter()
                arrays = None
                if node is not None:
                    slot = int(slots[node + 1] - slots[node])
                    arrays = compute(
                        grid, node, program, job.precision, slot, int(slots[node]), job.backend
                    )
                simulating += time.perf_counter() - begin
                writer.write(node, arrays)
                done = min(grid.n_nodes, done + world.size)
                progress.update(done * grid.samples_per_node)
        if not stopped:
            writer.finish()
    spent = time.perf_counter() - started
    report(job, grid, world, writer, spent, simulating, done - (grid.n_nodes - left), stopped, stop.reason)
    return STOPPED if stopped else COMPLETE


def report(
    job: GridJob, grid: Grid, world: World, writer: Writer, spent: float, simulating: float, nodes: int,
    stopped: bool, reason: str | None,
) -> None:  # fmt: skip
    """What this run did, on rank 0."""
    writing = {name: world.sum(value) / world.size for name, value in writer.seconds.items()}
    simulating = world.sum(simulating) / world.size
    stored = world.sum(writer.bytes_stored)
    if world.rank:
        return
    samples = nodes * grid.samples_per_node
    rows = [
        ("samples", f"{samples:,}"),
        ("rate", f"{samples / spent:,.0f} samples/s on {world.size} rank{'s' * (world.size > 1)}"),
        ("wall time", duration(spent)),
        ("simulating", f"{100 * simulating / spent:.0f} % of it"),
        ("writing", f"{100 * sum(writing.values()) / spent:.0f} % ("
         + ", ".join(f"{name} {value:.2f} s" for name, value in writing.items()) + ")"),
        ("stored", f"{size_text(stored)}, {stored / max(samples, 1):,.0f} B a sample, "
         f"{stored / 1e6 / max(sum(writing.values()), 1e-9):,.1f} MB/s while writing"),
    ]  # fmt: skip
    print("\n".join(f"{name:<11}{text}" for name, text in rows))
    if stopped:
        print(f"stopped ({reason}) with work left; run the same command again: it goes on where it stopped")
    else:
        print(f"complete: {job.out}")
        print(f"look at it:  python analysis/tnm_signals.py {job.out} --sample 0")
        print(f"read it:     hpctools.tnm.open_grid({job.out!r}).signals[0]")
