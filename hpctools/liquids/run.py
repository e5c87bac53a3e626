"""One state from its settings to its record, and the tasks of a campaign."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from hpctools.campaign import Campaign, Task, share_of
from hpctools.campaign_command import carry_out, is_first
from hpctools.config import ConfigError
from hpctools.progress import duration
from hpctools.stop import Stop
from hpctools.world import World

from . import engines, finished
from .checkpoint import EQUILIBRATE, FINISHED, MELT, PRODUCE, QUENCH, WAIT
from .design import SHIPPED, cost, read_design
from .simulation import CHECKPOINT, TRAJECTORY, Simulation
from .state import State

LINE_SECONDS = 60.0
"""Between lines on the state in work, of the first process of a campaign."""


def run_state(state: State, folder: Path, product: Path, stop: Stop, *, show: bool | float = True,
              checkpoint_seconds: float = 60.0) -> None:
    """Simulate a state in a folder and write its record; goes on where an earlier run was cut off, with the analysis of
    a finished trajectory from its first frame.

    Raises campaign.Stopped when asked to stop before the end, engines.EngineError where the run breaks.
    """
    from .observe import observe

    simulation = Simulation(state, folder, stop, show=show, checkpoint_seconds=checkpoint_seconds)
    simulation.run()
    # on the CPU: the ranks of a campaign on a GPU node would all take the first device
    observe(folder / TRAJECTORY, product, simulation.history(), backend="cpu", stop=stop, show=show,
            label=f"{state.name}, analysis")


def share_done(state: State, folder: Path) -> float:
    """Share of a state's steps that its folder holds, roughly."""
    from .checkpoint import load_any

    done = load_any(folder / CHECKPOINT)
    if done is None:
        return 0.0
    if done.stage == FINISHED:
        return 0.99
    tau = None if done.relaxation_time != done.relaxation_time else done.relaxation_time
    production = state.schedule(tau).total_steps
    before = max(done.equilibration_steps, int(0.2 * production))
    if done.stage in (MELT, QUENCH, WAIT, EQUILIBRATE):
        return min(0.25, done.steps / (before + production))
    assert done.stage == PRODUCE
    return (before + done.steps / 2**done.halvings) / (before + production)


def task(state: State, *, show: bool | float = True, checkpoint_seconds: float = 60.0) -> Task:
    """The state as a task of a campaign. Raises ConfigError for a senseless time between checkpoints."""
    if not 0 <= checkpoint_seconds < math.inf:
        raise ConfigError(f"--checkpoint-seconds {checkpoint_seconds:g}; expected seconds, 0 or more")
    return Task(state.name, cost(state),
                partial(run_state, state, show=show, checkpoint_seconds=checkpoint_seconds),
                partial(share_done, state), seconds=finished.seconds, check=partial(finished.check, state),
                remark=finished.remark)


def plan_text(state: State, product: Path) -> str:
    """What a run of this state will do, for people. product: its record."""
    a, b = state.mixture.counts(state.density, state.length)
    seconds = cost(state)
    return "\n".join((
        f"state      {state.name}: {a} A and {b} B in a cube of {state.length:g} σ_AA",
        f"steps      of {state.step:.4g} τ_LJ; production at least {state.least_production:,.0f} τ_LJ"
        + (f" or {state.production_relaxations:g} relaxation times" if state.protocol == "liquid" else ""),
        f"frames     {len(state.schedule(None).steps()):,} or some more, "
        f"about {len(state.schedule(None).steps()) * (a + b) * 24 / 1e6:,.0f} MB while it runs",
        f"engine     {engines.choose(state.engine).NAME}",
        f"time       about {duration(seconds)} on one core",
        f"output     {product}",
        *([f"remark     {state.remark}"] if state.remark else []),
    ))  # fmt: skip


def tell_remarks(states: Sequence[State]) -> None:
    """Print what is odd about the settings of states: of the first of them, and of how many."""
    if odd := [state for state in states if state.remark]:
        more = f" (and {len(odd) - 1} others like this)" if len(odd) > 1 else ""
        print(f"remark: {odd[0].name}: {odd[0].remark}{more}", file=sys.stderr, flush=True)


def campaign_of(design: str | None, out: Path, share: str | None = None,
                checkpoint_seconds: float = 60.0, show: bool | float = False) -> Campaign:
    """The campaign of a design (None: the shipped library) in a folder, or the part I/N of it.

    show: the progress of each state, see `Simulation`.
    """
    states = share_of(read_design(design or SHIPPED), share)
    return Campaign(out, [task(state, show=show, checkpoint_seconds=checkpoint_seconds) for state in states])


def run_campaign(design: str | None, out: Path, world: World, *, workers: int = 1, share: str | None = None,
                 wall_time: float | None = None, keep: bool = False, retry: bool = False,
                 checkpoint_seconds: float = 60.0, dry_run: bool = False) -> int:
    """The states of a design on all ranks, or on so many local processes; returns the exit code."""
    campaign = campaign_of(design, out, share, checkpoint_seconds, is_first(world) and LINE_SECONDS)
    if is_first(world):
        tell_remarks(share_of(read_design(design or SHIPPED), share))
    return carry_out(campaign, world, unit="states", workers=workers, wall_time=wall_time, keep_work=keep, retry=retry,
                     dry_run=dry_run)
