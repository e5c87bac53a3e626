"""The answer to a user's S(k): F_s(k_p,t) with its band, τ_α, files and a figure."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hpctools.config import ConfigError
from hpctools.provenance import provenance
from hpctools.whole import whole
from hpctools.world import World

from . import curves, models, structure_check, theory
from .bands import LEVEL, Band
from .inputs import NO_POTENTIAL, peak
from .samples import FRACTION, FloatArray, SampleError, State

SHIPPED = Path(__file__).parents[2] / "data" / "liquids" / "network.npz"
POINTS_A_DECADE = 12
FIRST, LAST = 0.01, 1e12  # τ_LJ
WIDE = 0.3  # of F(0): the mean width of a band that is remarked


@dataclass(frozen=True, eq=False)
class Answer:
    """A prediction. times (n,) and tau, tau_low, tau_high (2,) in τ_LJ: infinite after the times, 0 before; band.

    remarks: what was taken for granted; warnings: what speaks against the answer.
    """

    state: State
    k_peak: float
    times: FloatArray
    band: Band
    tau: FloatArray
    tau_low: FloatArray
    tau_high: FloatArray
    remarks: tuple[str, ...]
    warnings: tuple[str, ...]
    trained: models.Trained


def load(path: str) -> models.Trained:
    """The model of a file, or the shipped one. Raises SampleError where none is shipped, weights.WeightsError."""
    if not path and not SHIPPED.exists():
        raise SampleError("no model is shipped with this version; train one with python -m hpctools.liquids train "
                          "--model gp --out FOLDER and give it by --network FOLDER/liquid.npz")
    return models.load(path or SHIPPED)


def predict(trained: models.Trained, state: State, t_max: float | None = None,
            warnings: Sequence[str] = ()) -> Answer:
    """F_s(k_p,t) of a state from 0.01 τ_LJ to t_max (the longest time trained on), with a 90 % band.

    A potential that is not given ("") is found from S(k), see `structure_check`. warnings: further ones. Raises
    SampleError for a t_max outside 0.01 … 10¹², config.ConfigError where the potential is needed and cannot be found.
    """
    first, last = FIRST, trained.config["range"]["time"][1] if t_max is None else t_max
    if not first < last <= LAST:
        raise SampleError(f"times up to {last:g} τ_LJ; expected more than {first:g}, at most {LAST:g}")
    state, remarks, doubts = structure_check.settled(trained.config, state)
    if not state.potential and trained.model.kind not in NO_POTENTIAL:
        raise ConfigError("the potential is not known, and the model was trained on LJ and WCA at different densities "
                          "or temperatures, so that S(k) does not tell it: give --potential LJ or --potential WCA")
    if trained.model.kind == "mct":
        if models.other_mixture(state):
            raise ConfigError(f"{state.fraction:.2g} of the particles are A by S(k) at large k, and the theory of this "
                              f"model is that of {FRACTION:g}: take a model with --inputs full")
        from dataclasses import replace

        state = replace(state, theory=theory.numbers(state))
    times = np.geomspace(first, last, int(np.ceil(POINTS_A_DECADE * np.log10(last / first))) + 1)
    found = trained.band(state, times)
    if trained.model.kind != "zeroed":
        doubts += structure_check.doubts(trained.config, state)
    warnings = [*warnings, *doubts, *trained.warnings(state)]
    if last > 1.001 * (known := trained.config["range"]["time"][1]):
        warnings.append(f"times up to {last:g} τ_LJ, trained up to {known:g}")
    if not np.isfinite(trained.z(state)):
        warnings.append("the model was trained on too few states for a band")
    elif (wide := float(np.mean((found.high - found.low) / found.initial))) > WIDE:
        warnings.append(f"the band is {wide:.2g} of F(0) wide in the mean: so far off was the model in states left out "
                        "that are like this one")
    fine = np.geomspace(first, last, 2000)
    edges = trained.band(state, fine)
    tau, low, high = (curves.relaxation_time(fine, F / edges.initial) for F in (edges.F, edges.low, edges.high))
    return Answer(state, peak(state.S), times, found, tau, low, high, tuple(remarks), tuple(warnings),
                  trained)


def text(answer: Answer) -> str:
    """The answer for people."""
    trained = answer.trained
    lines = [f"state    {answer.state.name}; k_p about {answer.k_peak:.3g}/σ_AA",
             f"model    {trained.model.name}, inputs {trained.model.kind}, of {trained.config['states']} states"]
    for a, species in enumerate("AB"):
        value, low, high = (_words(row[a], answer) for row in (answer.tau, answer.tau_low, answer.tau_high))
        band = f" ({low} … {high} with {100 * LEVEL:g} %)" if np.isfinite(trained.z(answer.state)) else ""
        lines.append(f"τ_α {species}    {value} τ_LJ{band}")
    lines += [f"remark   {one}" for one in answer.remarks]
    return "\n".join(lines + [f"warning: {one}" for one in answer.warnings])


def _words(tau: float, answer: Answer) -> str:
    """τ_α, or on which side of the times it lies."""
    if tau == 0:
        return f"under {answer.times[0]:g}"
    return f"{tau:.4g}" if np.isfinite(tau) else f"over {answer.times[-1]:.3g}"


def write(answer: Answer, out: str, arguments: Sequence[str]) -> tuple[Path, Path]:
    """OUT.csv with the curves and OUT.json with τ_α (null outside the times), remarks, warnings and provenance.

    Each appears when it is whole."""
    rows = [("t", "F_A", "F_A_low", "F_A_high", "F_B", "F_B_low", "F_B_high")]
    for i, t in enumerate(answer.times):
        cells = [t]
        for a in range(2):
            cells += [answer.band.F[i, a], answer.band.low[i, a], answer.band.high[i, a]]
        rows.append(tuple(f"{cell:.6g}" for cell in cells))  # type: ignore[arg-type]
    table = Path(out + ".csv")
    table.parent.mkdir(parents=True, exist_ok=True)
    with whole(table) as part, open(part, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    state, config, ends = answer.state, answer.trained.config, (answer.tau, answer.tau_low, answer.tau_high)
    head = {
        "potential": state.potential, "density": state.density, "temperature": state.temperature,
        "fraction_A": state.fraction, "k_peak": answer.k_peak,
        "units": {"t": "tau_LJ", "tau": "tau_LJ", "k_peak": "1/sigma_AA", "F": "1"},
        "level": LEVEL if np.isfinite(answer.trained.z(answer.state)) else None,
        "tau": {species: {name: float(row[a]) if 0 < row[a] < np.inf else None
                          for name, row in zip(("value", "low", "high"), ends)}
                for a, species in enumerate("AB")},
        "tau_outside_the_times": {
            f"{species}.{name}": _words(row[a], answer) for a, species in enumerate("AB")
            for name, row in zip(("value", "low", "high"), ends) if not 0 < row[a] < np.inf},
        "remarks": list(answer.remarks), "warnings": list(answer.warnings),
        "model": {key: config[key] for key in ("model", "inputs", "states", "records", "range", "learned_from")},
        "model_provenance": config.get("provenance", {}),
        "provenance": {k: v for k, v in provenance("liquid prediction", arguments, _Settings(), World()).items()
                       if k != "config_toml"},
    }  # fmt: skip
    described = Path(out + ".json")
    with whole(described) as part:
        part.write_text(json.dumps(head, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return table, described


@dataclass(frozen=True)
class _Settings:
    """A prediction has no settings beyond its command line."""


def figure(answer: Answer, path: str) -> str:
    """F/F(0) of both species over t with the band."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    shown, axes = plt.subplots(figsize=(5.2, 3.6), layout="constrained")
    for a, species in enumerate("AB"):
        unit = answer.band.initial[a]
        if np.isfinite(answer.trained.z(answer.state)):
            axes.fill_between(answer.times, answer.band.low[:, a] / unit, answer.band.high[:, a] / unit,
                              color=f"C{a}", alpha=0.25, lw=0)
        axes.plot(answer.times, answer.band.F[:, a] / unit, color=f"C{a}", label=species)
    axes.axhline(np.exp(-1), color="0.6", lw=0.8, ls=":")
    axes.set(xscale="log", ylim=(-0.03, 1.05), xlabel=r"$t$ / $\tau_\mathrm{LJ}$",
             ylabel=r"$F_s(k_p,t)/F_s(k_p,0)$", title=answer.state.name)
    axes.legend(frameon=False)
    if answer.warnings:
        axes.text(0.02, 0.02, "see the warnings", transform=axes.transAxes, fontsize=7,
                  color="C3")
    shown.savefig(path, dpi=160)
    plt.close(shown)
    return path
