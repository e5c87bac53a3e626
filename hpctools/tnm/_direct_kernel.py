"""Compiled loops of `hpctools.tnm.direct`: the march through a program and interpolation of its nodes."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

_OLD = 5  # Gauss points of a past step
_NEW = 24  # graded Gauss points of the last step
_INNER = 4  # Gauss points for xi within a step
_X, _W = np.polynomial.legendre.leggauss(_OLD)
OLD_X, OLD_W = (1.0 - _X[::-1]) / 2.0, _W / 2.0  # positions as fractions of the step, counted from its end
_X, _W = np.polynomial.legendre.leggauss(_NEW)
NEW_X, NEW_W = (1.0 + _X) / 2.0, _W / 2.0
_X, _W = np.polynomial.legendre.leggauss(_INNER)
IN_X, IN_W = (1.0 + _X) / 2.0, _W / 2.0
FORGOTTEN = 45.0  # u**beta beyond which exp(-u**beta) is taken as zero
TINY = 1e-250  # smallest age
CONVERGED = 1e-10  # change of ln tau at which the passes over a step stop


@njit(cache=True)
def _age(phi, span, slope0, slope1, dt):
    """int_0^phi tau_end/tau ds: age in units of dt/tau_end at the fraction phi before the end of a step.

    span = ln tau(end) - ln tau(start); slope0, slope1 = d ln tau/dt at start and end; cubic Hermite between.
    """
    total = 0.0
    for k in range(_INNER):
        s = 1.0 - phi * IN_X[k]
        r = 1.0 - s
        # Hermite value minus the value at the end
        log_tau = -span * r * r * (1.0 + 2.0 * s) + dt * (slope0 * s * r * r - slope1 * s * s * r)
        total += IN_W[k] * math.exp(-log_tau)
    return phi * total


@njit(cache=True)
def _history(age, weight, first, count, increment, beta):
    """Sums over the past, w exp(-u**beta) and w beta u**(beta-1) exp(-u**beta), u = age + increment."""
    level = 0.0
    slope = 0.0
    for j in range(first, count):
        u = age[j] + increment
        z = math.exp(beta * math.log(u))
        k = weight[j] * math.exp(-z)
        level += k
        slope += k * beta * z / u
    return level, slope


@njit(cache=True)
def _last_step(change, scale, span, slope0, slope1, dt, beta):
    """The same two sums over the last step.

    change = dT over the step, scale = dt/tau_end. Fractions before the end are graded, phi = top v**(3/beta).
    """
    power = 3.0 / beta
    top = 1.0
    if beta * math.log(max(scale, TINY)) > math.log(FORGOTTEN):
        top = math.exp(math.log(FORGOTTEN) / beta - math.log(scale))
    level = 0.0
    slope = 0.0
    for k in range(_NEW):
        v = NEW_X[k]
        phi = top * math.exp(power * math.log(v))
        u = max(scale * _age(phi, span, slope0, slope1, dt), TINY)
        z = math.exp(beta * math.log(u))
        part = NEW_W[k] * math.exp(-z) * power / v  # d phi = phi power/v dv
        level += part * phi
        slope += part * phi * beta * z / u
    return level * change, slope * change


@njit(cache=True)
def march(ln_a, h, x, beta, rates, durations, temperature0, fictive0, delta, size):
    """March through the program; returns nodes (5, size) = t, T, Tf, dTf/dt, segment, and their number.

    The number is -1 when `size` was too small and -2 when steps had to shrink below rounding.
    """
    nodes = np.empty((5, size))
    age = np.empty(_OLD * size + 1)
    weight = np.empty(_OLD * size + 1)
    points = 0
    first = 0
    if temperature0 != fictive0:
        age[0] = TINY
        weight[0] = temperature0 - fictive0
        points = 1
    t, temp, tf, f = 0.0, temperature0, fictive0, 0.0
    nodes[0, 0], nodes[1, 0], nodes[2, 0], nodes[3, 0], nodes[4, 0] = t, temp, tf, f, 0.0
    count = 1
    t0, temp_start = 0.0, temperature0
    for segment in range(len(rates)):
        q, duration = rates[segment], durations[segment]
        passed = 0.0
        slope_now = -(x * h * q / temp**2 + (1.0 - x) * h * f / tf**2)
        if segment == 0:
            if points == 0:
                f = q  # equilibrium above the transition follows T at once: only for the polynomial of ln tau
            dt = 1e-8 * duration
            slope_now = -(x * h * q / temp**2 + (1.0 - x) * h * f / tf**2)
            if slope_now != 0.0:
                dt = min(dt, 1e-3 * delta / abs(slope_now))
            if points > 0:
                dt = min(dt, 1e-6 * math.exp(ln_a + x * h / temp + (1.0 - x) * h / tf))
        else:
            dt = 1e-2 * delta / abs(slope_now) if slope_now != 0.0 else 1e-6 * duration
        f_before, dt_before = f, 0.0
        while passed < duration:
            if count >= size:
                return nodes, -1
            last = False
            if passed + 1.0001 * dt >= duration:
                dt = duration - passed
                last = True
            elif passed + 1.5 * dt > duration:  # no sliver at the end: close nodes spoil interpolation
                dt = 0.5 * (duration - passed)
            log_tau0 = ln_a + x * h / temp + (1.0 - x) * h / tf
            slope0 = -(x * h * q / temp**2 + (1.0 - x) * h * f / tf**2)
            new_temp = temp_start + q * (duration if last else passed + dt)
            change = new_temp - temp
            bend = (f - f_before) / dt_before if dt_before > 0.0 else 0.0
            new_tf = tf + dt * (f + 0.5 * bend * dt)
            new_f = f + bend * dt
            if not (0.5 * tf < new_tf < 2.0 * tf):
                new_tf, new_f = tf, f
            guess = ln_a + x * h / new_temp + (1.0 - x) * h / new_tf
            ok = False
            log_tau = guess
            for _ in range(12):
                slope1 = -(x * h * q / new_temp**2 + (1.0 - x) * h * new_f / new_tf**2)
                span = log_tau - log_tau0
                if abs(span) > 2.0 * delta + 1e-3:
                    break
                scale = dt * math.exp(-log_tau)
                grown = max(scale * _age(1.0, span, slope0, slope1, dt), TINY)
                own, own_slope = _last_step(change, scale, span, slope0, slope1, dt, beta)
                past, past_slope = _history(age, weight, first, points, grown, beta)
                tf1 = new_temp - own - past
                f1 = (own_slope + past_slope) * math.exp(-log_tau)
                # Newton on ln tau: Tf answers to the increment of xi, which moves by about half of d ln tau
                gain = (1.0 - x) * h / tf1**2 * 0.5 * past_slope * grown
                log_tau1 = ln_a + x * h / new_temp + (1.0 - x) * h / tf1
                moved = (log_tau1 - log_tau) / (1.0 - gain) if gain < 0.5 else log_tau1 - log_tau
                moved_f = abs(new_f - f1) * dt * (1.0 - x) * h / tf1**2
                log_tau += moved
                new_f = f1
                new_tf = tf1
                if (1.0 - x) > 0.0:
                    inverse = (log_tau - ln_a - x * h / new_temp) / ((1.0 - x) * h)
                    new_tf = 1.0 / inverse if inverse > 0.0 and abs(moved) > CONVERGED else tf1
                if abs(moved) < CONVERGED and moved_f < 100.0 * CONVERGED:
                    ok = True
                    break
            if not ok or abs(log_tau - log_tau0) > 1.2 * delta or abs(log_tau - guess) > 0.01 * delta:
                dt *= 0.5
                if dt < 1e-14 * duration:
                    return nodes, -2
                continue
            # accept: everything grows older by this step, which joins the past
            for j in range(first, points):
                age[j] += grown
            while first < points and age[first] > math.exp(math.log(FORGOTTEN) / beta):
                first += 1
            for k in range(_OLD - 1, -1, -1):
                age[points] = max(scale * _age(OLD_X[k], span, slope0, slope1, dt), TINY)
                weight[points] = OLD_W[k] * change
                points += 1
            passed = duration if last else passed + dt
            f_before, dt_before = f, dt
            t, temp, tf, f = t0 + passed, new_temp, new_tf, new_f
            nodes[0, count], nodes[1, count], nodes[2, count] = t, temp, tf
            nodes[3, count], nodes[4, count] = f, segment
            count += 1
            step = 1.6 * dt
            ahead = f + 0.5 * (f - f_before)
            slope1 = abs(x * h * q / temp**2 + (1.0 - x) * h * ahead / tf**2)
            if slope1 * step > delta:
                step = delta / slope1
            dt = step
        t0 += duration
        temp_start = temp
    return nodes, count


@njit(cache=True)
def hermite_slope(t, value, slope, at):
    """Derivative at the points `at` of the Hermite polynomial (degree 7) of the four nodes around each."""
    n = len(t)
    width = min(4, n)
    m = 2 * width
    z = np.empty(m)
    c = np.empty(m)
    out = np.empty(len(at))
    for i in range(len(at)):
        k = np.searchsorted(t, at[i]) - width // 2
        k = min(max(k, 0), n - width)
        for j in range(width):
            z[2 * j] = z[2 * j + 1] = t[k + j] - at[i]
            c[2 * j] = c[2 * j + 1] = value[k + j] - value[k]
        for order in range(1, m):
            for j in range(m - 1, order - 1, -1):
                if order == 1 and j % 2 == 1:
                    c[j] = slope[k + j // 2]
                else:
                    c[j] = (c[j] - c[j - 1]) / (z[j] - z[j - order])
        p = c[m - 1]
        d = 0.0
        for j in range(m - 2, -1, -1):
            d = d * (0.0 - z[j]) + p
            p = p * (0.0 - z[j]) + c[j]
        out[i] = d
    return out
