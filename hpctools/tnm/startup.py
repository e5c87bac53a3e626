"""How a signal follows the start of a heating ramp, which shows the calorimeter's lag.

Behind a first-order lag τ the heat flow of glass goes from its value in the hold to that of the ramp as exp(-t/τ),
beside the line of the glass. The same τ delays and broadens the transition (Moynihan et al., J. Am. Ceram. Soc. 59
(1976) 12), where it is hard to tell from a broader distribution of relaxation times; at the start it stands alone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
LAGS = np.geomspace(0.5, 30.0, 83)  # s, 5 % apart
LONGEST_LOOK, MOST_LOOK = 150.0, 0.3  # s, and share of the scan, in which the start is sought
LEAST_POINTS = 12
CLEARER, TALLER = 4.0, 8.0  # gain in squares over a line alone, and jump in units of what is left


def start_lag(seconds: Array, signal: Array) -> float | None:
    """Time constant (s) of a scan's start, or None where the start shows none.

    seconds (n,), ascending, since the ramp began; signal (n,): the scan with its very first points.
    """
    look = seconds <= min(LONGEST_LOOK, MOST_LOOK * float(seconds[-1]))
    t, y = seconds[look], signal[look]
    if len(t) < LEAST_POINTS:
        return None
    line = np.stack([np.ones_like(t), t], axis=1)
    left, jumps = [], []
    for lag in LAGS:
        basis = np.column_stack([line, np.exp(-t / lag)])
        found, *_ = np.linalg.lstsq(basis, y, rcond=None)
        left.append(float(np.sum((y - basis @ found) ** 2)))
        jumps.append(abs(float(found[2])))
    best = int(np.argmin(left))
    alone = line @ np.linalg.lstsq(line, y, rcond=None)[0]
    rest = float(np.sqrt(left[best] / (len(t) - 4)))
    clear = float(np.sum((y - alone) ** 2)) > CLEARER * left[best] and jumps[best] > TALLER * rest
    return float(LAGS[best]) if clear and best < len(LAGS) - 1 else None
