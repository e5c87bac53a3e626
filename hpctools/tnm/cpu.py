"""Numba kernel of the TNM simulator: exponential collocation in reduced time.

With the modes (w, k) of exp(-t**β) (see spectrum.py) the superposition integral becomes

    Tf = T - Σ w p ,      dp/dξ = dT/dξ - k p ,      dT/dξ = q τ(T, Tf) ,      CpN = Σ w k p / (q τ) .

The reduced time ξ is the variable of integration: the modes are then linear with constant rates, and the only
non-linear quantity is the scalar τ. On a step Δξ, a power of two, τ is the polynomial through its values at the
middle and the end of the step (unknown) and at the start, middle and start of the step before (known), and the modes
move exactly under it. Because exp(-k Δξ) and its moments depend on k and the power of two alone they come from
tables, and because p enters Tf as a sum, the two unknowns ln τ(½), ln τ(1) are found by Newton's method on two scalar
equations, once Σ w e p is known. So a step costs a few multiply-adds a mode, no exponential of a mode, and four to
six scalar exponentials. Modes frozen or in equilibrium over the step are not touched. A runaway burst on heating is
smooth in ξ (T stands still while Tf relaxes), however sharp it is in T.

Steps are chosen so that |Δ(x Δh*/RT)| + |Δ((1-x) Δh*/RTf)|, the change of ln τ, stays near `change`. CpN at the ends
and middles of the steps is interpolated onto the grid by polynomials through six nodes.

The CUDA kernel (kernel.h) is the same algorithm, statement by statement. Where a cooling ends in the glass the places
of the last steps on the T axis are ill-conditioned: τ grows by many orders of magnitude over little ξ, and the
rounding errors of ξ with it. The numbers then hold to the error of the method, about 1e-6 of CpN_max, not to that of
the arithmetic. So neither this kernel nor the host build of kernel.h lets its compiler reorder or fuse operations,
and they agree to the last bit.
"""

from __future__ import annotations

import math
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numba import njit

from .backends import BackendError
from .model import GAS_CONSTANT
from .spectrum import MAX_MODES, TableStack

STENCIL = 6
SAMPLES_A_TASK = 16
MOST_STEPS = 200_000  # of a segment, tried ones as well; scans take hundreds
# distances of CpN from 0 and 1 below which steps grow, and by how much
FLAT, FLAT_FACTOR = 1e-2, 1.4
FLATTER, FLATTER_FACTOR = 1e-3, 2.0
# Newton's method ends after a correction of ln τ below this: what is left is of the order of a tenth of its square
SOLVED = 1e-2
# steps are longer by EASE where β/x, on which the sharpness of a scan depends, is below EASE_SHARPNESS, and come down
# to EASE_LEAST beyond
EASE, EASE_SLOPE, EASE_SHARPNESS, EASE_LEAST = 1.35, 0.3, 1.6, 0.85

# columns of the summary of a scan
TF_LIMIT, CPN_MAX, T_PEAK, FIRST, LAST, STATUS = range(6)
STATUS_OK, STATUS_STEP = 0.0, 1.0


def _node_basis() -> np.ndarray:
    """(8, 5, 5): monomial coefficients [node, power] of the Lagrange polynomials through -r, -r/2, 0, ½, 1.

    r = 2**(row-3) is the length of the last step in units of this one; row 7, for a step without a predecessor or
    with a very different one, is the quadratic through 0, ½, 1.
    """
    basis = np.zeros((8, 5, 5))
    for row in range(7):
        r = 2.0 ** (row - 3)
        basis[row] = np.linalg.inv(np.vander([-r, -r / 2, 0.0, 0.5, 1.0], increasing=True)).T
    basis[7, 2:, :3] = np.linalg.inv(np.vander([0.0, 0.5, 1.0], increasing=True)).T
    return basis


BASIS = _node_basis()
FULL = np.array([1.0 / (j + 1) for j in range(5)])  # ∫_0^1 s**j ds
HALF = np.array([0.5 ** (j + 1) / (j + 1) for j in range(5)])  # ∫_0^½ s**j ds


@njit(cache=True, nogil=True, error_model="numpy")
def _emit(nodes_t, nodes_c, d, high, out, at, points, grid_low, step):
    """Write the grid points up to nodes_t[high] by the polynomial through the six nodes; d (6,) is work space."""
    end = nodes_t[high]
    if at >= points or grid_low + step * at > end:
        return at
    for i in range(STENCIL):
        d[i] = nodes_c[i]
    for order in range(1, STENCIL):
        for i in range(STENCIL - 1, order - 1, -1):
            d[i] = (d[i] - d[i - 1]) / (nodes_t[i] - nodes_t[i - order])
    while at < points:
        t = grid_low + step * at
        if t > end:
            break
        value = d[STENCIL - 1]
        for i in range(STENCIL - 2, -1, -1):
            value = d[i] + (t - nodes_t[i]) * value
        out[at] = value
        at += 1
    return at


@njit(cache=True, nogil=True, error_model="numpy")
def _scan(
    sample, rate, end, duration, high, width, change, glass, rates, weights, first_level, e, g, sums, limits,
    p, out, points, grid_low, step, summary,
):  # fmt: skip
    """One cycle of one sample.

    sample (4,); rate, end, duration (G,) of its segments; high: temperature of the start, K; width: w₀, K;
    change: ln τ a step (cooling, heating); glass: ln τ beyond which cooling may stop; out (points,): CpN of the
    heating scan on grid_low + step i (K); summary (6,): see the constants above.
    """
    ln_a = sample[0]
    theta = sample[1] / GAS_CONSTANT
    # steps as fine as bursts need are finer than dull scans need
    ease = max(EASE_LEAST, min(EASE, EASE - EASE_SLOPE * (sample[3] / sample[2] - EASE_SHARPNESS)))
    cooling_change = change[0] * ease
    heating_change = change[1] * ease
    ax = sample[2] * theta
    bx = (1.0 - sample[2]) * theta
    n_modes = rates.size
    rows = e.shape[0]
    last_segment = rate.size - 1
    for m in range(n_modes):
        p[m] = 0.0

    t = high
    sum_p = 0.0  # Σ w p = T - Tf
    sum_kp = 0.0  # Σ w k p
    frozen_p = 0.0  # Σ w p of the frozen modes, whose p stores p - T
    lo = 0
    hi = n_modes
    row = rows - 1
    status = STATUS_OK

    # heating scan: the last nodes, and what was found
    nodes_t = np.empty(STENCIL)
    nodes_c = np.empty(STENCIL)
    differences = np.empty(STENCIL)
    n_nodes = 0
    at = 0
    highest = -1e300  # of the nodes
    peak = -1e300
    peak_t = 0.0
    tf_limit = t

    for segment in range(last_segment + 1):
        q = rate[segment]
        heating = segment == last_segment
        # only the last cooling, with nothing but frozen glass behind it, may stop early
        land = not heating and not (segment == last_segment - 1 and q < 0.0)
        base = heating_change if heating else cooling_change
        target = base
        cpn0 = 0.5  # not flat before it is known
        elapsed = 0.0
        if q < 0.0:
            # liquid is cooled at once to where its slowest mode begins to lag
            ln_tau_lag = math.log(cooling_change * width * rates[0] / (144.0 * -q))
            if ln_tau_lag > ln_a and theta / (ln_tau_lag - ln_a) < t:
                t = max(end[segment], theta / (ln_tau_lag - ln_a))
                for m in range(n_modes):
                    p[m] = 0.0
                sum_p = 0.0
                frozen_p = 0.0
                lo = 0
                hi = n_modes
        inv_t = 1.0 / t
        inv_tf = 1.0 / (t - sum_p)
        log0 = ln_a + ax * inv_t + bx * inv_tf
        if heating and segment > 0 and rate[segment - 1] == 0.0:
            # cooling landed on the hold with ever shorter steps, over which slow modes counted as frozen
            sum_kp = 0.0
            for m in range(n_modes):
                sum_kp += weights[m] * rates[m] * (p[m] + t if m < lo else p[m])
        if heating:
            tf_limit = t - sum_p
            # glass frozen at the shortest step of the tables is heated at once to where its fastest mode moves
            log_step = math.log(target / q) - (first_level + 1) * math.log(2.0)
            if log0 > log_step - math.log(ax * inv_t * inv_t):
                for m in range(lo, n_modes):
                    frozen_p += weights[m] * p[m]
                    p[m] -= t
                lo = n_modes
                hi = n_modes
                t_move = t
                for _ in range(8):
                    log_move = log_step - math.log(ax / (t_move * t_move))
                    t_move = min(end[segment], max(t, ax / (log_move - ln_a - bx * inv_tf)))
                sum_p += t_move - t
                frozen_p = sum_p
                t = t_move
                inv_t = 1.0 / t
                inv_tf = 1.0 / (t - sum_p)
                log0 = ln_a + ax * inv_t + bx * inv_tf
        if q == 0.0 and log0 + (first_level + 1) * math.log(2.0) > math.log(duration[segment]):
            continue  # the shortest step of the tables, in which nothing moves, is longer than the hold
        tau0 = math.exp(log0)
        if q != 0.0:
            # the change of ln τ with T sets the first step
            per_kelvin = ax * inv_t * inv_t
            if segment == 0:
                per_kelvin = theta * inv_t * inv_t
            row = round((math.log(target / (per_kelvin * abs(q))) - log0) / math.log(2.0)) - first_level
        row = max(1, min(row, rows - 1))
        if heating:
            nodes_t[0] = t
            nodes_c[0] = sum_kp / (q * tau0)
            n_nodes = 1
            while at < points and grid_low + step * at < t:
                out[at] = 0.0
                at += 1

        has_past = False
        past_row = row
        past_dxi = 0.0
        past_log0 = 0.0
        past_log_mid = 0.0
        tau_m2 = 0.0
        tau_m1 = 0.0
        a0 = 0.0
        a1 = 0.0
        a2 = 0.0
        a3 = 0.0
        a4 = 0.0
        rejections = 0
        taken = 0
        while True:
            if taken == MOST_STEPS:
                status = STATUS_STEP
                break
            taken += 1
            if not has_past and q != 0.0 and (t - end[segment]) * q >= 0.0:
                break  # a ramp of no length, or frozen glass up to the end
            new_lo = limits[row, 0]
            new_hi = limits[row, 1]
            if new_lo < lo:
                for m in range(new_lo, lo):
                    p[m] += t
                    frozen_p -= weights[m] * p[m]
            else:
                for m in range(lo, new_lo):
                    frozen_p += weights[m] * p[m]
                    p[m] -= t
            lo = new_lo
            if has_past:
                # modes that leave equilibrium: their p at the end of the last step
                for m in range(max(hi, lo), new_hi):
                    p[m] = past_dxi * (
                        g[past_row, 0, m] * a0 + g[past_row, 1, m] * a1 + g[past_row, 2, m] * a2
                        + g[past_row, 3, m] * a3 + g[past_row, 4, m] * a4
                    )  # fmt: skip
            hi = new_hi
            if q < 0.0 and (lo == n_modes or (not land and log0 > glass)):
                if land:  # nothing moves any more
                    sum_p += end[segment] - t
                    frozen_p += end[segment] - t
                    t = end[segment]
                break

            dxi = 2.0 ** (first_level + row)
            e1 = e[row]
            e_half = e[row - 1]
            decayed = frozen_p
            decayed_half = frozen_p
            for m in range(lo, hi):
                wp = weights[m] * p[m]
                decayed += wp * e1[m]
                decayed_half += wp * e_half[m]

            # T and Σ w p at ½ and 1, as linear functions of τ(½) and τ(1)
            s = sums[row]
            kind = past_row - row + 3
            if not has_past or kind < 0 or kind > 6:
                kind = 7
            b = BASIS[kind]
            t_half0 = 0.0
            t_half1 = 0.0
            t_half2 = 0.0
            t_full0 = 0.0
            t_full1 = 0.0
            t_full2 = 0.0
            p_half0 = 0.0
            p_half1 = 0.0
            p_half2 = 0.0
            p_full0 = 0.0
            p_full1 = 0.0
            p_full2 = 0.0
            for j in range(5):
                known = b[0, j] * tau_m2 + b[1, j] * tau_m1 + b[2, j] * tau0
                t_half0 += known * HALF[j]
                t_half1 += b[3, j] * HALF[j]
                t_half2 += b[4, j] * HALF[j]
                t_full0 += known * FULL[j]
                t_full1 += b[3, j] * FULL[j]
                t_full2 += b[4, j] * FULL[j]
                p_half0 += known * s[5 + j]
                p_half1 += b[3, j] * s[5 + j]
                p_half2 += b[4, j] * s[5 + j]
                p_full0 += known * s[j]
                p_full1 += b[3, j] * s[j]
                p_full2 += b[4, j] * s[j]

            log_mid = log0
            log1 = log0
            if has_past:
                # cubic through the last three ln τ with its slope now
                slope = -(ax * inv_t * inv_t * q * tau0 + bx * inv_tf * inv_tf * sum_kp) * past_dxi
                d1 = past_log0 - log0 + slope
                d2 = 4.0 * (past_log_mid - log0 + 0.5 * slope)
                cube = 2.0 * (d2 - d1)
                square = d1 + cube
                r = dxi / past_dxi
                log1 = log0 + r * (slope + r * (square + r * cube))
                r *= 0.5
                log_mid = log0 + r * (slope + r * (square + r * cube))
                if abs(log1 - log0) > 3.0:
                    log_mid = log0
                    log1 = log0

            a = q * dxi
            solved = False
            tau_mid = 0.0
            tau1 = 0.0
            inv_t1 = inv_t
            inv_tf1 = inv_tf
            for _ in range(12):
                tau_mid = math.exp(log_mid)
                tau1 = math.exp(log1)
                t_mid = t + a * (t_half0 + t_half1 * tau_mid + t_half2 * tau1)
                t1 = t + a * (t_full0 + t_full1 * tau_mid + t_full2 * tau1)
                inv_tm = 1.0 / t_mid
                inv_t1 = 1.0 / t1
                inv_tfm = 1.0 / (t_mid - decayed_half - a * (p_half0 + p_half1 * tau_mid + p_half2 * tau1))
                inv_tf1 = 1.0 / (t1 - decayed - a * (p_full0 + p_full1 * tau_mid + p_full2 * tau1))
                f_mid = log_mid - (ln_a + ax * inv_tm + bx * inv_tfm)
                f1 = log1 - (ln_a + ax * inv_t1 + bx * inv_tf1)
                x_mid = ax * inv_tm * inv_tm * a
                y_mid = bx * inv_tfm * inv_tfm * a
                x1 = ax * inv_t1 * inv_t1 * a
                y1 = bx * inv_tf1 * inv_tf1 * a
                j11 = 1.0 + tau_mid * (x_mid * t_half1 + y_mid * (t_half1 - p_half1))
                j12 = tau1 * (x_mid * t_half2 + y_mid * (t_half2 - p_half2))
                j21 = tau_mid * (x1 * t_full1 + y1 * (t_full1 - p_full1))
                j22 = 1.0 + tau1 * (x1 * t_full2 + y1 * (t_full2 - p_full2))
                det = 1.0 / (j11 * j22 - j12 * j21)
                d_mid = (f_mid * j22 - f1 * j12) * det
                d_end = (f1 * j11 - f_mid * j21) * det
                log_mid -= d_mid
                log1 -= d_end
                error = abs(d_mid) + abs(d_end)
                if not error < 5.0:
                    break
                if error < SOLVED:
                    tau_mid *= 1.0 - d_mid * (1.0 - 0.5 * d_mid * (1.0 - d_mid * (1.0 / 3.0)))
                    tau1 *= 1.0 - d_end * (1.0 - 0.5 * d_end * (1.0 - d_end * (1.0 / 3.0)))
                    solved = True
                    break

            moved = abs(ax * (inv_t1 - inv_t)) + abs(bx * (inv_tf1 - inv_tf))
            d_t = a * (t_full0 + t_full1 * tau_mid + t_full2 * tau1)
            d_time = dxi * (t_full0 + t_full1 * tau_mid + t_full2 * tau1)
            too_far = False
            if land:
                if q == 0.0:
                    too_far = elapsed + d_time > duration[segment] * (1.0 + 1e-12)
                else:
                    too_far = (t + d_t - end[segment]) * q > 1e-9 * abs(q)
            if not solved or not moved <= 2.0 * target or too_far:
                rejections += 1
                row -= 1
                if row < 1 and too_far:
                    # what is left of the segment is shorter than anything that relaxes
                    if q != 0.0:
                        d_t = end[segment] - t
                        for m in range(lo, n_modes):
                            p[m] += d_t
                        frozen_p += s[20] * d_t
                        sum_p += d_t
                        t = end[segment]
                    row = 1
                    break
                if row < 1 or rejections > 200:
                    status = STATUS_STEP
                    break
                continue
            rejections = 0

            # the step is taken
            sum_p1 = decayed + a * (p_full0 + p_full1 * tau_mid + p_full2 * tau1)
            a0 = q * (b[0, 0] * tau_m2 + b[1, 0] * tau_m1 + b[2, 0] * tau0 + b[3, 0] * tau_mid + b[4, 0] * tau1)
            a1 = q * (b[0, 1] * tau_m2 + b[1, 1] * tau_m1 + b[2, 1] * tau0 + b[3, 1] * tau_mid + b[4, 1] * tau1)
            a2 = q * (b[0, 2] * tau_m2 + b[1, 2] * tau_m1 + b[2, 2] * tau0 + b[3, 2] * tau_mid + b[4, 2] * tau1)
            a3 = q * (b[0, 3] * tau_m2 + b[1, 3] * tau_m1 + b[2, 3] * tau0 + b[3, 3] * tau_mid + b[4, 3] * tau1)
            a4 = q * (b[0, 4] * tau_m2 + b[1, 4] * tau_m1 + b[2, 4] * tau0 + b[3, 4] * tau_mid + b[4, 4] * tau1)
            h0 = 0.5 * a0
            h1 = 0.25 * a1
            h2 = 0.125 * a2
            h3 = 0.0625 * a3
            h4 = 0.03125 * a4
            kp = dxi * (s[10] * a0 + s[11] * a1 + s[12] * a2 + s[13] * a3 + s[14] * a4)
            kp_mid = dxi * (s[15] * a0 + s[16] * a1 + s[17] * a2 + s[18] * a3 + s[19] * a4)
            g1 = g[row]
            gh = g[row - 1]
            for m in range(lo, hi):
                wk = weights[m] * rates[m]
                p_mid = e_half[m] * p[m] + dxi * (
                    gh[0, m] * h0 + gh[1, m] * h1 + gh[2, m] * h2 + gh[3, m] * h3 + gh[4, m] * h4
                )
                p_end = e1[m] * p[m] + dxi * (
                    g1[0, m] * a0 + g1[1, m] * a1 + g1[2, m] * a2 + g1[3, m] * a3 + g1[4, m] * a4
                )
                p[m] = p_end
                kp_mid += wk * p_mid
                kp += wk * p_end
            frozen_p += s[20] * d_t
            elapsed += d_time
            inv_rate = 1.0 / q if q != 0.0 else 0.0
            cpn_mid = kp_mid * inv_rate / tau_mid
            cpn1 = kp * inv_rate / tau1
            if heating:
                if n_nodes == 1:
                    # not at the very start, where a quenched glass relaxes whatever its temperature
                    summary[FIRST] = cpn1
                for half in range(2):
                    if n_nodes >= STENCIL:
                        for i in range(STENCIL - 1):
                            nodes_t[i] = nodes_t[i + 1]
                            nodes_c[i] = nodes_c[i + 1]
                    slot = min(n_nodes, STENCIL - 1)
                    if half == 0:
                        nodes_t[slot] = t + a * (t_half0 + t_half1 * tau_mid + t_half2 * tau1)
                        nodes_c[slot] = cpn_mid
                    else:
                        nodes_t[slot] = t + d_t
                        nodes_c[slot] = cpn1
                    n_nodes += 1
                    if nodes_c[slot] > highest:
                        highest = nodes_c[slot]
                        peak = highest
                        peak_t = nodes_t[slot]
                    elif slot >= 2 and nodes_c[slot - 1] == highest:
                        # the top lies between nodes: vertex of the parabola through three of them
                        rise = (nodes_c[slot - 1] - nodes_c[slot - 2]) / (nodes_t[slot - 1] - nodes_t[slot - 2])
                        fall = (nodes_c[slot] - nodes_c[slot - 1]) / (nodes_t[slot] - nodes_t[slot - 1])
                        bend = (fall - rise) / (nodes_t[slot] - nodes_t[slot - 2])
                        if bend < 0.0:
                            peak_t = 0.5 * (nodes_t[slot - 2] + nodes_t[slot - 1]) - 0.5 * rise / bend
                            peak = nodes_c[slot - 2] + (peak_t - nodes_t[slot - 2]) * (
                                rise + bend * (peak_t - nodes_t[slot - 1])
                            )
                    if n_nodes >= STENCIL:
                        at = _emit(nodes_t, nodes_c, differences, 3, out, at, points, grid_low, step)

            past_log0 = log0
            past_log_mid = log_mid
            past_dxi = dxi
            past_row = row
            tau_m2 = tau0
            tau_m1 = tau_mid
            grown = tau1 / tau0
            log0 = log1
            tau0 = tau1
            t += d_t
            sum_p = sum_p1
            sum_kp = kp
            inv_t = inv_t1
            inv_tf = inv_tf1
            has_past = True

            if q == 0.0:
                # the time is over, or nothing is left that could relax
                if duration[segment] - elapsed < 1e-9 * duration[segment] or hi == 0:
                    break
            elif land:
                if abs(t - end[segment]) < 1e-6:
                    break
            elif (t - end[segment]) * q >= 0.0:
                break
            if heating and hi == 0 and abs(cpn1 - 1.0) < 1e-5:
                break
            # where CpN is flat, at 0 or 1, longer steps give the same error
            flat0 = max(abs(cpn0), abs(cpn_mid), abs(cpn1))
            flat1 = max(abs(cpn0 - 1.0), abs(cpn_mid - 1.0), abs(cpn1 - 1.0))
            flat = min(flat0, flat1)
            cpn0 = cpn1
            target = base * (1.0 if flat > FLAT else (FLAT_FACTOR if flat > FLATTER else FLATTER_FACTOR))
            # ln τ is expected to change by as much again, in proportion to τ
            expected = moved * grown
            if expected < 0.7071 * target:
                row += 1
            elif expected > 1.4142 * target:
                row -= 1
                if expected > 2.8284 * target:
                    row -= 1
            row = max(1, min(row, rows - 1))
        if status != STATUS_OK:
            break
        if has_past:
            # the next segment finds every mode as this one left it
            for m in range(max(hi, lo), n_modes):
                p[m] = past_dxi * (
                    g[past_row, 0, m] * a0 + g[past_row, 1, m] * a1 + g[past_row, 2, m] * a2
                    + g[past_row, 3, m] * a3 + g[past_row, 4, m] * a4
                )  # fmt: skip
            hi = n_modes

    last = nodes_c[min(n_nodes, STENCIL) - 1] if n_nodes > 0 else 0.0
    if n_nodes >= STENCIL:
        at = _emit(nodes_t, nodes_c, differences, STENCIL - 1, out, at, points, grid_low, step)
    while at < points:
        out[at] = 1.0
        at += 1
    summary[TF_LIMIT] = tf_limit
    summary[CPN_MAX] = peak
    summary[T_PEAK] = peak_t
    summary[LAST] = last
    summary[STATUS] = status


@njit(cache=True, nogil=True)
def _run(
    first, last, parameters, width, glass, which, change, rate, end, duration, high, index, first_level, rates,
    weights, e, g, sums, limits, start, points, offset, grid_low, step, out, summary,
):  # fmt: skip
    work = np.empty(MAX_MODES)
    for i in range(first, last):
        k = which[i]
        modes = index[k, 5]
        rows = index[k, 6]
        at = index[k]
        for s in range(rate.shape[0]):
            begin = offset[i] + s * points[i]
            target = out[begin : begin + points[i]]
            _scan(
                parameters[i], rate[s], end[s], duration[s], high, width[i], change, glass[i],
                rates[at[0] : at[0] + modes], weights[at[0] : at[0] + modes], first_level[k],
                e[at[1] : at[1] + rows * modes].reshape((rows, modes)),
                g[at[2] : at[2] + rows * 5 * modes].reshape((rows, 5, modes)),
                sums[at[3] : at[3] + rows * 21].reshape((rows, 21)),
                limits[at[4] : at[4] + rows * 2].reshape((rows, 2)),
                work, target, points[i], grid_low + step * start[i], step, summary[i, s],
            )  # fmt: skip


def simulate_into(
    parameters: Any,
    tables: TableStack,
    which: Any,
    plan: Any,
    start: Any,
    points: Any,
    offset: Any,
    out: Any,
    summary: Any,
) -> None:
    """Fill `out` and `summary` on the host's threads; see backends.py for the arguments.

    The threads are HPCTOOLS_THREADS, else the CPUs that this process may use; ranks of an MPI job are given theirs
    by the launcher's binding.
    """
    n = len(parameters)
    threads = min(thread_count(), max(1, n // SAMPLES_A_TASK))
    arguments = (
        parameters, plan.width, plan.glass, which, plan.change, *plan.segments, plan.high, *tables, start, points,
        offset, plan.grid_low, plan.step, out, summary,
    )  # fmt: skip
    if threads == 1:
        _run(0, n, *arguments)
        return
    with ThreadPoolExecutor(threads) as pool:
        blocks = [
            pool.submit(_run, first, min(n, first + SAMPLES_A_TASK), *arguments)
            for first in range(0, n, SAMPLES_A_TASK)
        ]
        for block in blocks:
            block.result()


def thread_count() -> int:
    """Threads that a simulation uses."""
    setting = os.environ.get("HPCTOOLS_THREADS", "")
    if setting:
        if not setting.isdigit() or int(setting) < 1:
            raise BackendError(f"HPCTOOLS_THREADS is {setting!r}; expected a positive whole number")
        return int(setting)
    return len(os.sched_getaffinity(0))


def device_name() -> str:
    """What the results are made on, for provenance."""
    return f"host, {thread_count()} threads"
