"""What the scripts on predictions share: files, errors in the units of the tables, what the paper states.

A module of other scripts, not one to run.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpctools.tnm.learning_settings import LIMITS
from hpctools.tnm.predictions import BURST, Predictions, read

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Parameter:
    """A column of predictions: its name in figures, unit, and the factor from file to figure."""

    column: int
    name: str
    symbol: str
    unit: str
    factor: float = 1.0

    @property
    def label(self) -> str:
        """For an axis."""
        return f"{self.symbol} / {self.unit}" if self.unit else self.symbol


LN_A = Parameter(0, "ln A", r"$\ln(A/\mathrm{s})$", "")
DH = Parameter(1, "Δh*", r"$\Delta h^*$", "kJ mol$^{-1}$", 1e-3)
X = Parameter(2, "x", "$x$", "")
BETA = Parameter(3, "β", r"$\beta$", "")
PARAMETERS = (BETA, DH, X, LN_A)  # in the order of the paper's figure 9 c-f


@dataclass(frozen=True)
class Method:
    """The predictions of a network or fit: those that the paper evaluates (CpN_max ≤ 6), and how many were left out."""

    label: str
    attributes: dict[str, Any]
    samples: Predictions
    left_out: int

    def values(self, parameter: Parameter) -> FloatArray:
        """True values (n,)."""
        return self.samples.true[:, parameter.column] * parameter.factor

    def errors(self, parameter: Parameter) -> FloatArray:
        """Absolute errors (n,), eq. 13 of the paper."""
        difference = self.samples.predicted[:, parameter.column] - self.samples.true[:, parameter.column]
        return np.abs(difference) * parameter.factor

    def parameter_sse(self, columns: tuple[int, ...] = (0, 1, 2, 3)) -> FloatArray:
        """Eq. 14: sums of squared errors of scaled parameters (eq. 8, the limits of LIMITS["widened"])."""
        low, high = np.array(LIMITS["widened"]).T
        scaled = (self.samples.predicted - self.samples.true) / (high - low)
        return np.asarray((scaled[:, list(columns)] ** 2).sum(1))


def load(paths: list[str]) -> list[Method]:
    """The methods of some files; labels that occur twice get the file's name."""
    found = []
    for path in paths:
        samples, attributes = read(path)
        found.append(Method(str(attributes.get("label", path)), attributes, samples.evaluated,
                            int((~(samples.cpn_max <= BURST)).sum())))  # fmt: skip
    labels = [method.label for method in found]
    return [
        method if labels.count(method.label) == 1 else replace(method, label=f"{method.label} ({path})")
        for method, path in zip(found, paths)
    ]


def share(hits: NDArray[np.bool_]) -> str:
    """A share in per cent with its binomial standard error."""
    p, n = float(hits.mean()), len(hits)
    return f"{100 * p:.1f} ± {100 * np.sqrt(max(p * (1 - p), 1 / n) / n):.1f}"
