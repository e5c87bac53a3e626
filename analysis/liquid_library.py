"""The records of a library as tables: what each one holds, what it may be used for, and the command that made it.

    python analysis/liquid_library.py                                     the shipped library, printed
    python analysis/liquid_library.py FOLDER --out library.csv --structure structure.csv.gz

--out: a row a record: state, measured temperature (T is not exactly the label), U a particle and P with errors that
hold at the energy of the run, k_p, τ_α of A and B there, flags, and the command that runs the state again. --structure:
S_AA, S_AB and S_BB with errors at the wave numbers (i + ½) dk up to 40, 0.4 apart as in Ciarella et al. (2023), or by
--dk 0.2. Units: σ_AA, ε_AA, k_B = 1, τ_LJ; empty: F_s does not fall to 1/e within the run.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import math
import shlex
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from figures import AnalysisError, check_table, markdown, run

from hpctools.config import options_of
from hpctools.liquids.library import Entry, Library
from hpctools.liquids.state import State
from hpctools.whole import whole

COLUMNS = ("name", "potential", "density", "temperature", "seed", "protocol", "particles", "mean_temperature",
           "potential_energy", "potential_energy_error", "pressure", "pressure_error", "k_peak", "tau_A", "tau_A_error",
           "tau_B", "tau_B_error", "equilibrated", "glass", "crystal", "command")
PRINTED = ("name", "mean_temperature", "potential_energy", "pressure", "k_peak", "tau_A", "tau_B", "equilibrated",
           "glass", "crystal")
STRUCTURE = ("name", "k", "S_AA", "S_AA_error", "S_AB", "S_AB_error", "S_BB", "S_BB_error")
K_MAX = 40.0  # σ_AA⁻¹
_ALWAYS = ("potential", "density", "temperature", "seed")  # in each command


def command(entry: Entry) -> str:
    """The command that runs the state of a record again: with what differs from the settings of `run`."""
    found, usual = entry.record.attributes, State()
    # the first records do not hold their settings, which were the usual ones
    settings = tomllib.loads(found["state_toml"]) if "state_toml" in found else {
        name: type(getattr(usual, name))(found[name]) for name in (*_ALWAYS, "protocol")}
    given = {name: value for name, value in settings.items() if name in _ALWAYS or value != getattr(usual, name)}
    return shlex.join(["python", "-m", "hpctools.liquids", "run", *options_of(State, argparse.Namespace(**given))])


def row(entry: Entry) -> dict[str, str]:
    """A record as text, by the names in `COLUMNS`."""
    found, verdict = entry.record.attributes, entry.verdict
    (tau_a, tau_b), (error_a, error_b) = entry.record.relaxation_at(entry.k_peak)
    numbers = {name: found[name] for name in ("mean_temperature", "potential_energy", "pressure")}
    numbers |= {"k_peak": entry.k_peak, "tau_A": tau_a, "tau_B": tau_b}
    errors = {f"{name}_error": found[f"{name}_error"] for name in ("potential_energy", "pressure")}
    errors |= {"tau_A_error": error_a, "tau_B_error": error_b}
    return {
        "name": entry.record.path.stem, "potential": entry.potential, "density": f"{entry.density:g}",
        "temperature": repr(entry.temperature), "seed": str(found["seed"]), "protocol": str(found["protocol"]),
        "particles": str(sum(map(int, found["particles"]))),
        **{name: _text(value, 7) for name, value in numbers.items()},
        **{name: _text(value, 3) for name, value in errors.items()},
        **{name: str(int(getattr(verdict, name))) for name in ("equilibrated", "glass", "crystal")},
        "command": command(entry),
    }  # fmt: skip


def structure_rows(entries: Iterable[Entry], dk: float) -> Iterator[tuple[str, ...]]:
    """S(k) of the records on a grid as text, by the names in `STRUCTURE`. Raises AnalysisError for a grid without
    sense."""
    n = round(K_MAX / dk) if 0 < dk < math.inf else 0
    if n < 1 or abs(n * dk - K_MAX) > 1e-9 * K_MAX:
        raise AnalysisError(f"--dk {dk:g}: expected a whole part of {K_MAX:g}, such as 0.4 or 0.2")
    grid = (np.arange(n) + 0.5) * dk
    for entry in entries:
        for k, s, error in zip(grid, *entry.record.structure_on_grid(grid)):
            values = (word for pair in zip(s, error) for word in (_text(pair[0], 6), _text(pair[1], 3)))
            yield entry.record.path.stem, f"{k:g}", *values


def _text(value: float, digits: int) -> str:
    return f"{value:.{digits}g}" if math.isfinite(value) else ""


def write(path: Path, head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write a CSV file, packed where its name ends in .gz: the same bytes each time."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(head)
    writer.writerows(rows)
    content = text.getvalue().encode()
    with whole(path) as part:
        part.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)
    print(f"table: {path}")


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path, help="folders of records (default: the shipped library)")
    parser.add_argument("--out", type=Path, help="CSV file, a row a record")
    parser.add_argument("--structure", type=Path, help="CSV file of S(k), packed where its name ends in .gz")
    parser.add_argument("--dk", type=float, default=0.4, help="step of its wave numbers [1/σ_AA] (default 0.4)")
    given = parser.parse_args()
    for path in filter(None, (given.out, given.structure)):
        check_table(path)
    entries = Library.load(*given.folders).entries
    rows = [row(entry) for entry in entries]
    if given.out:
        write(given.out, COLUMNS, ([one[name] for name in COLUMNS] for one in rows))
    if given.structure:
        write(given.structure, STRUCTURE, structure_rows(entries, given.dk))
    if not (given.out or given.structure):
        print(markdown(PRINTED, [[one[name] for name in PRINTED] for one in rows]))


if __name__ == "__main__":
    run(main)
