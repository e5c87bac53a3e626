"""Force fields as data: a TOML file a field, resolved for a glass.

A field file has the tables `charges` and `coulomb`; a table for each short-range form it uses (`pedone`, `buck`,
`mie`, see `potentials`); `three_body`; and `variables`, `limits` and `warnings` where parameters depend on the glass.
Any number may be an expression of the oxides' mol % and of the variables. Own files are named by their path. With
`base`, the name of another field, a file has only what differs from it.
"""

from __future__ import annotations

import difflib
import math
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hpctools.stop import USAGE

from . import potentials
from .composition import MASSES, ORDER, OXIDES, Composition
from .expression import ExpressionError, evaluate

FOLDER = Path(__file__).with_name("fields")
DEFAULT = "bmp-shrm-smooth"
PARAMETERS = {
    "pedone": ("D", "a", "r0", "C"),
    "buck": ("A", "rho", "C"),
    "mie": ("epsilon", "sigma", "repulsive", "attractive"),
}
"""The parameters of each short-range form, in the order of LAMMPS."""
_POSITIVE = ("rho", "sigma", "r0", "a")
_PARTS = {"charges", "coulomb", "variables", "limits", "three_body"}
_TABLES = {"base", "title", "references", "note", "charges", "coulomb", "variables", "limits", "warnings", "three_body"}


class ForceFieldError(ValueError):
    """A field that does not exist, cannot be read, or does not serve a glass."""

    user_error = True
    exit_code = USAGE


@dataclass(frozen=True)
class Term:
    """A short-range term of a pair: its form, parameters in LAMMPS' order, and cut-off in Å."""

    form: str
    parameters: tuple[float, ...]
    cutoff: float

    def __call__(self, r: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Energy (eV) and force (eV/Å) at distances r (Å)."""
        r = np.asarray(r, float)
        energy, force = potentials.SHORT_RANGE[self.form](r, *self.parameters)
        return np.where(r < self.cutoff, energy, 0.0), np.where(r < self.cutoff, force, 0.0)


@dataclass(frozen=True)
class ThreeBody:
    """half_k (θ - theta0)² w(r1, r2) with the apex in the middle; eV/rad², degrees, and Å for all lengths.

    The weight w is e^{-(r1 + r2)/ρ}, cut off; or, where there are `screens` (c, s), the sum of
    c e^{s/(r1 - cutoff)} e^{s/(r2 - cutoff)}, which ends smoothly.
    """

    ends: tuple[str, str]
    apex: str
    half_k: float
    theta0: float
    rho: float
    cutoff: float
    screens: tuple[tuple[float, float], ...] = ()

    def __call__(self, r1: ArrayLike, r2: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Energy (eV) and forces (2, 3) (eV/Å) on the ends at r1 and r2 from the apex."""
        lengths = [float(np.linalg.norm(r)) for r in (r1, r2)]
        if not self.screens:
            weights = [potentials.screen(r, self.rho) if r < self.cutoff else (0.0, 0.0) for r in lengths]
            return potentials.bend(r1, r2, self.half_k, self.theta0, *weights)
        parts = [potentials.bend(r1, r2, factor * self.half_k, self.theta0, *(
            potentials.smooth_screen(r, strength, self.cutoff) for r in lengths)) for factor, strength in self.screens]
        return np.sum([energy for energy, _ in parts], 0), np.sum([force for _, force in parts], 0)


@dataclass(frozen=True)
class Field:
    """A force field with all its numbers for one glass.

    Attributes
    ----------
    name : of the file.
    charges : element -> e, for the elements of the glass.
    pairs : pair ("Si", "O") -> its short-range terms; pairs without any have an empty tuple.
    three_body : the three-body terms of the elements present.
    damping, cutoff : of the damped shifted-force Coulomb term, 1/Å and Å.
    variables : values of the composition's variables that were used.
    warnings : what to know about this field in this glass.
    source : text of the file.
    """

    name: str
    title: str
    charges: dict[str, float]
    pairs: dict[tuple[str, str], tuple[Term, ...]]
    three_body: tuple[ThreeBody, ...]
    damping: float
    cutoff: float
    variables: dict[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    source: str = ""

    @property
    def reach(self) -> float:
        """The longest cut-off of a pair or a leg, Å."""
        return max([self.cutoff, *(term.cutoff for terms in self.pairs.values() for term in terms),
                    *(term.cutoff for term in self.three_body)])

    def pair(self, a: str, b: str, r: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Energy (eV) and force (eV/Å) of two atoms at distances r (Å): Coulomb and short range."""
        energy, force = potentials.dsf(r, self.charges[a] * self.charges[b], self.damping, self.cutoff)
        for term in self.pairs[pair_of(a, b)]:
            more = term(r)
            energy, force = energy + more[0], force + more[1]
        return energy, force


def pair_of(a: str, b: str) -> tuple[str, str]:
    """The pair in the order of the oxides, oxygen last: ("Si", "O"), ("Si", "B")."""
    order = ORDER + ("O",)
    return (a, b) if order.index(a) <= order.index(b) else (b, a)


def pairs_of(elements: tuple[str, ...]) -> list[tuple[str, str]]:
    """All pairs of the elements, like ones included, each in the order of `pair_of`."""
    ordered = sorted(elements, key=(ORDER + ("O",)).index)
    return [(a, b) for i, a in enumerate(ordered) for b in ordered[i:]]


def available() -> list[str]:
    """Names of the fields that come with the package."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def load(name: str, glass: Composition, asked: Composition | None = None) -> Field:
    """The field `name` (of the package, or the path of a TOML file) with its numbers for a glass.

    asked : the composition that `glass` stands for in whole formula units; it must be inside the field's limits.

    Raises ForceFieldError: no such field; a file with unknown or missing entries; elements that it lacks; a glass
    outside its limits; charges that do not make the glass neutral.
    """
    path, table, source = _read(name)
    if asked is not None:
        _Resolver(path, table, asked).field(source)
    return _Resolver(path, table, glass).field(source, limited=asked is None)


def _read(name: str) -> tuple[Path, dict[str, Any], str]:
    """The file of a field, its tables and its text, those of its base included."""
    path = Path(name) if name.endswith(".toml") else FOLDER / f"{name}.toml"
    try:
        source = path.read_text(encoding="utf-8")
        table = tomllib.loads(source)
    except FileNotFoundError:
        close = difflib.get_close_matches(name, available(), n=1)
        guess = f" Did you mean {close[0]}?" if close else ""
        raise ForceFieldError(f"no force field {name!r}.{guess} There are {', '.join(available())}, or give the path "
                              "of a .toml file") from None
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ForceFieldError(f"{path}: cannot be read: {error}") from error
    if "base" in table:
        if table["base"] not in available() or table["base"] == path.stem:
            raise ForceFieldError(f"{path}: base: found {table['base']!r}, expected another field: "
                                  f"{', '.join(available())}")
        _, base, text = _read(table.pop("base"))
        for key, value in table.items():
            if isinstance(base.get(key), dict) and not isinstance(value, dict):
                raise ForceFieldError(f"{path}: {key}: found {value!r}, expected a table")
            base[key] = {**base[key], **value} if isinstance(value, dict) and key in base else value
        return path, base, text + source
    return path, table, source


class _Resolver:
    """Reads one field file for one glass; variables are worked out when a parameter asks for them."""

    def __init__(self, path: Path, table: dict[str, Any], glass: Composition) -> None:
        self.path, self.table, self.glass = path, table, glass
        self.variables: dict[str, float] = {}
        self._known(table, _TABLES | set(PARAMETERS), "")
        for key in (_PARTS | set(PARAMETERS)) & set(table):
            self._part(table, key)
        variables = table.get("variables", {})
        for name in table.get("limits", {}):
            if name not in variables:
                raise ForceFieldError(f"{path}: limits: {name} is none of the file's variables "
                                      f"({', '.join(variables) or 'it has none'})")

    def field(self, source: str, limited: bool = True) -> Field:
        charges_of_all = self._part(self.table, "charges")
        elements = self.glass.elements
        lacking = [element for element in elements if element not in charges_of_all]
        if lacking:
            raise ForceFieldError(f"{self.path.stem} has no {lacking[0]}, which {self.glass} needs; it knows "
                                  f"{', '.join(charges_of_all)}")
        charges = {element: self._number(charges_of_all, element, "charges") for element in elements}
        coulomb = self._part(self.table, "coulomb")
        self._known(coulomb, {"style", "damping", "cutoff"}, "coulomb: ")
        if coulomb.get("style") != "dsf":
            raise ForceFieldError(f"{self.path}: coulomb: style {coulomb.get('style')!r}; expected 'dsf'")
        pairs = self._pairs(elements)
        field = Field(
            self.path.stem, str(self.table.get("title", self.path.stem)), charges, pairs, self._three_body(elements),
            self._number(coulomb, "damping", "coulomb", least=0.0), self._length(coulomb, "cutoff", "coulomb"),
            self.variables, self._warnings(elements), source,
        )  # fmt: skip
        for element in elements:
            if not field.pairs[(element, "O")]:
                raise ForceFieldError(f"{self.path.stem} has no short-range term for {element}-O")
        self._check_neutral(charges)
        if limited:
            self._check_limits()
        return field

    def _pairs(self, elements: tuple[str, ...]) -> dict[tuple[str, str], tuple[Term, ...]]:
        found: dict[tuple[str, str], list[Term]] = {pair: [] for pair in pairs_of(elements)}
        for form, names in PARAMETERS.items():
            table = self.table.get(form, {})
            written: dict[tuple[str, ...], str] = {}
            for key in table:
                if key == "cutoff":
                    continue
                pair = pair_of(*self._elements_of(key, 2, form))
                where = f"{form}: {key}"
                self._once(written, pair, key, form)
                values = self._part(table, key, form)
                self._known(values, set(names), f"{where}: ")
                if not set(pair) <= set(elements):
                    continue
                numbers = tuple((self._length if name in _POSITIVE else self._number)(values, name, where)
                                for name in names)
                if form == "mie" and not numbers[2] > numbers[3] > 0:
                    raise ForceFieldError(f"{self.path}: {where}: repulsive {numbers[2]:g}, attractive {numbers[3]:g}; "
                                          "expected repulsive above attractive above 0")
                found[pair].append(Term(form, numbers, self._length(table, "cutoff", form)))
        return {pair: tuple(terms) for pair, terms in found.items()}

    def _three_body(self, elements: tuple[str, ...]) -> tuple[ThreeBody, ...]:
        table = self.table.get("three_body", {})
        found = []
        written: dict[tuple[str, ...], str] = {}
        for key in table:
            if key in ("cutoff", "rho", "screens"):
                continue
            first, apex, last = self._elements_of(key, 3, "three_body")
            self._once(written, (*pair_of(first, last), apex), key, "three_body")
            values = self._part(table, key, "three_body")
            self._known(values, {"half_k", "theta0"}, f"three_body: {key}: ")
            if {first, apex, last} <= set(elements):
                where = f"three_body: {key}"
                found.append(ThreeBody(
                    pair_of(first, last), apex, self._number(values, "half_k", where),
                    self._number(values, "theta0", where), self._length(table, "rho", "three_body"),
                    self._length(table, "cutoff", "three_body"), self._screens(table.get("screens", [])),
                ))  # fmt: skip
        return tuple(found)

    def _screens(self, rows: Any) -> tuple[tuple[float, float], ...]:
        try:
            found = tuple((float(factor), float(strength)) for factor, strength in rows)
        except (TypeError, ValueError):
            found = ((math.nan, math.nan),)
        if not all(math.isfinite(factor) and 0 < strength < math.inf for factor, strength in found):
            raise ForceFieldError(f"{self.path}: three_body: screens: found {rows!r}, expected rows of a factor and a "
                                  "length above 0 Å")
        return found

    def _elements_of(self, key: str, number: int, where: str) -> tuple[str, ...]:
        names = tuple(key.split("-"))
        if len(names) != number or not set(names) <= set(MASSES):
            raise ForceFieldError(f"{self.path}: {where}: found {key!r}, expected {number} elements joined by hyphens")
        return names

    def _known(self, table: dict[str, Any], known: set[str], where: str) -> None:
        if unknown := sorted(set(table) - known):
            kind = "entry" if where else "table"
            raise ForceFieldError(f"{self.path}: {where}unknown {kind} {unknown[0]!r}; known are "
                                  f"{', '.join(sorted(known))}")

    def _once(self, written: dict[tuple[str, ...], str], what: tuple[str, ...], key: str, where: str) -> None:
        if what in written:
            raise ForceFieldError(f"{self.path}: {where}: {written[what]} and {key} are the same: leave one of them")
        written[what] = key

    def _part(self, table: dict[str, Any], key: str, where: str = "") -> dict[str, Any]:
        if key not in table:
            raise ForceFieldError(f"{self.path}: the table {key!r} is missing")
        value = table[key]
        if not isinstance(value, dict):
            where = f"{where}: {key}" if where else key
            raise ForceFieldError(f"{self.path}: {where}: found {value!r}, expected a table")
        return value

    def _length(self, table: dict[str, Any], key: str, where: str) -> float:
        value = self._number(table, key, where)
        if not value > 0:
            raise ForceFieldError(f"{self.path}: {where}: {key}: found {value:g}, expected a number above 0")
        return value

    def _number(self, table: dict[str, Any], key: str, where: str, least: float = -math.inf) -> float:
        value = table.get(key)
        if isinstance(value, str):
            value = self._evaluate(value, f"{where}: {key}")
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ForceFieldError(f"{self.path}: {where}: {key}: found {value!r}, expected a number or an expression")
        if not math.isfinite(value):
            raise ForceFieldError(f"{self.path}: {where}: {key}: found {value}, expected a finite number")
        if value < least:
            raise ForceFieldError(f"{self.path}: {where}: {key}: found {value:g}, expected at least {least:g}")
        return float(value)

    def _evaluate(self, text: str, where: str) -> float:
        try:
            return evaluate(text, self._value_of)
        except ExpressionError as error:
            raise ForceFieldError(f"{self.path}: {where}: {error}") from None

    def _value_of(self, name: str) -> float:
        if name in OXIDES:
            return self.glass[name]
        if name not in self.variables:
            if name not in self.table.get("variables", {}):
                raise ExpressionError(f"{name} is neither an oxide nor one of the file's variables")
            self.variables[name] = math.nan  # a variable that needs itself is no finite number
            self.variables[name] = self._number(self.table["variables"], name, "variables")
        return self.variables[name]

    def _check_limits(self) -> None:
        for name, ends in self.table.get("limits", {}).items():
            if not (isinstance(ends, list) and len(ends) == 2 and all(
                    isinstance(end, int | float) and not isinstance(end, bool) for end in ends) and ends[0] < ends[1]):
                raise ForceFieldError(f"{self.path}: limits: {name}: found {ends!r}, expected [lowest, highest]")
            low, high = ends
            value = self.variables.get(name)
            if value is not None and not low <= value <= high:
                found = ", ".join(f"{key} = {number:.4g}" for key, number in self.variables.items())
                raise ForceFieldError(f"{self.glass} lies outside {self.path.stem}: {found}; expected {name} from "
                                      f"{low:g} to {high:g}")

    def _check_neutral(self, charges: dict[str, float]) -> None:
        for oxide in self.glass.percent:
            cation, cations, oxygens = OXIDES[oxide]
            excess = cations * charges[cation] + oxygens * charges["O"]
            # only fields with charges of the whole composition may balance one oxide by another
            if abs(excess) > 1e-9 and not isinstance(self.table["charges"]["O"], str):
                raise ForceFieldError(f"{self.path}: {oxide} is not neutral: its charges add up to {excess:g} e")
        total = sum(float(percent) * (OXIDES[oxide][1] * charges[OXIDES[oxide][0]] + OXIDES[oxide][2] * charges["O"])
                    for oxide, percent in self.glass.percent.items())
        if abs(total) > 1e-6:
            raise ForceFieldError(f"{self.path}: {self.glass} is not neutral: charges add up to {total / 100:g} e in a "
                                  "mean formula unit")

    def _warnings(self, elements: tuple[str, ...]) -> tuple[str, ...]:
        entries = self.table.get("warnings", [])
        if not isinstance(entries, list):
            raise ForceFieldError(f"{self.path}: warnings: found {entries!r}, expected tables [[warnings]]")
        for entry in entries:
            if not (isinstance(entry, dict) and entry.keys() == {"elements", "text"} and isinstance(
                    entry["elements"], list) and isinstance(entry["text"], str)):
                raise ForceFieldError(f"{self.path}: warnings: found {entry!r}, expected elements, a list, and text")
            if unknown := [e for e in entry["elements"] if e not in MASSES]:
                raise ForceFieldError(f"{self.path}: warnings: elements: {unknown[0]!r} is unknown")
        return tuple(entry["text"] for entry in entries if set(entry["elements"]) <= set(elements))
