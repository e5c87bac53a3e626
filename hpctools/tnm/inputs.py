"""What the networks read of a set of scans, and the frame in which they answer.

The frame of a sample: T_m, the mean of its scans' T_half; D, the geometric mean of their widths d; q_h, the heating
rate. In it, with E = Δh*/(R T_m), a parameter set is the four well-determined numbers

    c = ln A + E - ln(D/q_h) ,      s = ln(E D/T_m) - s₀ ,      x ,      β ,

the logarithm of τ(T_m, T_m) in units of the time in which the heating crosses D, and that of D in units of the
transition's own width. c, s, x and β do not change under the two exact scalings of the model (reduction.py). s₀ is
the estimate of ln(E D/T_m) from the cooling-rate law d ln(q/Tf'²)/d(1/Tf') = -Δh*/R (Moynihan et al. 1974, in
Kissinger's form), for a network that reads undisturbed scans, and 0 for others; ln A and Δh* follow from c and s.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import reduction as r
from .model import GAS_CONSTANT

FloatArray = NDArray[np.float64]

TARGET_NAMES = ("c", "s", "x", "beta")
LAW_RANGE = (0.02, 2e3)  # of E D/T_m from the cooling-rate law; what noise throws out of it is put on its edge
RATIO_RANGE = (0.1, 10.0)  # of Tf' and T_half to T_m in the law
ROUGH_LEAST = 5e-6  # roughness; no measured scan of the training is smoother, what is is read as one of these
RESIDUAL_SCALE = 0.005  # of s against s₀: asinh(s/RESIDUAL_SCALE) is the target, so that bursts do not weigh too much

SCAN_INPUTS = r.CELLS + r.LEVELS.size - 1 + 14
COMMON_INPUTS = 16
_SCALARS = r.CELLS + r.LEVELS.size - 1
LOG_PEAK = _SCALARS + 4  # place of ln CpN_max among a scan's inputs
# Inputs that say where the data end and how rough they are. A simulated scan ends where its parameters let it, so that
# a network for undisturbed scans would read the parameters off the ends: it must not see these.
MEASUREMENT_SCAN = tuple(range(_SCALARS + 9, SCAN_INPUTS))
LOG_ROUGH = 13  # place of ln(roughness + 1e-5) among the common inputs
MEASUREMENT_COMMON = (LOG_ROUGH,)


@dataclass(frozen=True)
class Frame:
    """The frames of n samples; arrays (n,)."""

    t_m: FloatArray  # K
    width: FloatArray  # D, K
    heating: FloatArray  # q_h, K/s
    law: FloatArray  # ln(E D/T_m) from the cooling-rate law

    def take(self, which: NDArray[np.generic]) -> Frame:
        """The frames of some samples."""
        return Frame(self.t_m[which], self.width[which], self.heating[which], self.law[which])

    def targets(self, parameters: FloatArray, with_law: bool) -> FloatArray:
        """Parameters (n, 4), rows (ln A, Δh*, x, β), in the frame: (c, s, x, β); s as asinh(s/scale) with the law."""
        ln_a, dh, x, beta = parameters.T
        energy = dh / (GAS_CONSTANT * self.t_m)
        s = np.log(energy * self.width / self.t_m)
        if with_law:
            s = np.arcsinh((s - self.law) / RESIDUAL_SCALE)
        return np.column_stack([ln_a + energy - np.log(self.width / self.heating), s, x, beta])

    def parameters(self, targets: FloatArray, with_law: bool) -> FloatArray:
        """The parameters (n, 4) of targets (n, 4)."""
        c, s, x, beta = targets.T
        energy = np.exp(self._log_energy(s, with_law))
        ln_a = c - energy + np.log(self.width / self.heating)
        return np.column_stack([ln_a, energy * GAS_CONSTANT * self.t_m, x, beta])

    def jacobian(self, targets: FloatArray, with_law: bool) -> FloatArray:
        """∂(ln A, Δh*, x, β)/∂targets (n, 4, 4)."""
        s = targets[:, 1]
        energy = np.exp(self._log_energy(s, with_law))
        slope = energy * (RESIDUAL_SCALE * np.cosh(s) if with_law else 1.0)
        out = np.zeros((len(s), 4, 4))
        out[:, 0, 0] = out[:, 2, 2] = out[:, 3, 3] = 1.0
        out[:, 0, 1] = -slope
        out[:, 1, 1] = slope * GAS_CONSTANT * self.t_m
        return out

    def _log_energy(self, s: FloatArray, with_law: bool) -> FloatArray:
        rest = self.law + RESIDUAL_SCALE * np.sinh(s) if with_law else s
        return rest - np.log(self.width / self.t_m)


def _line(x: FloatArray, y: FloatArray, present: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Slope (n,) and residuals (n, scans) of the line through the scans that are there; slope 0 for one rate."""
    count = present.sum(1, keepdims=True)
    dx = (x - (x * present).sum(1, keepdims=True) / count) * present
    dy = (y - (y * present).sum(1, keepdims=True) / count) * present
    spread = (dx**2).sum(1)
    slope = np.where(spread > 1e-12, (dx * dy).sum(1) / np.where(spread > 1e-12, spread, 1.0), 0.0)
    return slope, (dy - slope[:, None] * dx) * present


def network_inputs(
    reduced: FloatArray, rates: FloatArray, heating: FloatArray, present: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.float32], Frame]:
    """Inputs of a network, and the frame.

    reduced (n, scans, reduction.COLUMNS); rates (n, scans): of the coolings, K/s; heating (n,): K/s; present
    (n, scans): scans that are there, one at least. Returns (n, scans, SCAN_INPUTS) with zeros for absent scans, and
    (n, COMMON_INPUTS).
    """
    here = present.astype(float)
    count = here.sum(1)
    safe = np.where(present[:, :, None], reduced, 1.0)
    half = safe[:, :, r.AT_LEVELS + r.HALF]
    width = safe[:, :, r.WIDTH]
    tf = safe[:, :, r.TF_LIMIT]
    rough = np.maximum(safe[:, :, r.ROUGH], ROUGH_LEAST) + 1e-5
    log_rate = np.where(present, np.log(np.where(present, rates, 1.0) / heating[:, None]), 0.0)

    def mean(values: FloatArray) -> FloatArray:
        return (values * here).sum(1) / count

    t_m, ln_d = mean(half), mean(np.log(width))
    d = np.exp(ln_d)
    centred = (log_rate - mean(log_rate)[:, None]) * here
    # slopes and residuals of T_half and Tf' against ln q, in units of D; the law itself, from Tf' and from T_half
    slope_half, rest_half = _line(log_rate, (half - t_m[:, None]) / d[:, None], here)
    slope_tf, rest_tf = _line(log_rate, (tf - t_m[:, None]) / d[:, None], here)
    laws = []
    for t in (tf, half):
        # noise can throw Tf' of a short scan anywhere
        ratio = np.where(present, np.clip(t / t_m[:, None], *RATIO_RANGE), 1.0)
        # of small numbers, so that no digits are lost
        x = np.where(present, -(ratio - 1) / ratio, 0.0)
        slope, _ = _line(x, log_rate - 2 * np.log(ratio), here)
        laws.append(np.log(np.clip(-slope * d / t_m, *LAW_RANGE)))
    frame = Frame(t_m, d, heating, laws[0])

    w = width[:, :, None]
    others = np.delete(np.arange(r.LEVELS.size), r.HALF)
    levels = (safe[:, :, r.AT_LEVELS + others] - half[:, :, None]) / w
    scalars = np.stack(
        [
            np.log(width / d[:, None]),
            np.arcsinh((half - t_m[:, None]) / d[:, None]),
            np.arcsinh((tf - half) / width),
            np.arcsinh((safe[:, :, r.T_PEAK] - half) / width),
            np.log(np.maximum(safe[:, :, r.CPN_MAX], 0.5)),
            log_rate,
            centred,
            np.arcsinh(30 * rest_half),
            np.arcsinh(30 * rest_tf),
            np.log(rough),
            np.arcsinh(30 * safe[:, :, r.GLASS]),
            np.arcsinh(30 * (safe[:, :, r.LIQUID] - 1)),
            np.arcsinh((half - safe[:, :, r.FIRST]) / width),
            np.arcsinh((safe[:, :, r.LAST] - half) / width),
        ],
        axis=2,
    )
    scan_inputs = np.concatenate([np.arcsinh(safe[:, :, r.AT_CELLS :]), levels, scalars], axis=2)
    spread = np.sqrt(mean(centred**2))
    common = np.stack(
        [
            laws[0], laws[1], np.arcsinh(10 * slope_half), np.arcsinh(10 * slope_tf),
            np.log(np.sqrt(mean(rest_half**2)) + 1e-5), np.log(np.sqrt(mean(rest_tf**2)) + 1e-5),
            np.log(d / t_m), np.log(t_m), ln_d, mean(log_rate), spread, 1 / count, count / 6,
            np.log(mean(rough)), np.log(mean(safe[:, :, r.CPN_MAX])), (count == 1).astype(float),
        ],
        axis=1,
    )  # fmt: skip
    return (scan_inputs * here[:, :, None]).astype(np.float32), common.astype(np.float32), frame
