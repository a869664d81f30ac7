"""Poisson arrivals at a rate that switches between two values by chance (MMPP), before one queue; exact."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scaling_models.pools.formulas.erlang import erlang_c

Array = NDArray[np.float64]
ALIKE = 1e-9  # of the rate: what the rates of the phases may differ by and be taken for the same
APART = 1.0 + 1e-9  # the ratio of two drains: nearer ones cannot be told apart, nor need be
MANY = 0.01  # of those below the servers' number: how many above tell more as a whole than level by level
STEPS = 200  # of Newton's method from above the largest root of a cubic: its steps shrink at least by half


class ModulatedWaits(NamedTuple):
    """P(W > t and the arrival comes in phase j) = sum_i weights[j, i] e^{-drains[i] t}; phases and terms come first.

    `drains` (2, ...) in 1/s, ascending; `weights` (2, 2, ...), of which single ones may be negative; `shares` (2, ...)
    of the arrivals that come in each phase.
    """

    drains: Array
    weights: Array
    shares: Array


def modulated_waits(
    servers: int, service_rate: ArrayLike, rates: tuple[ArrayLike, ArrayLike], leaving: tuple[ArrayLike, ArrayLike]
) -> ModulatedWaits:
    """The wait in MMPP(2)/M/c: arrivals at `rates[j]` while in phase j, which is left at rate `leaving[j]` (all 1/s).

    The chain of (number, phase) moves by one in number: the phase in which level n is left downwards for the first time
    changes with g_j = u_j / (min(n, c) mu + u_0 + u_1), u_j = leaving_j + rate_j g'_j with g' of level n + 1; at and
    above level c, g = g'. Then p_n = p_{n-1} Lambda G_n / (min(n, c) mu), G_n = [[1 - g_0, g_0], [g_1, 1 - g_1]]:
    nothing is ever subtracted. Above level c - 1 that is a fixed 2 x 2 matrix, whose eigenvalues r_i give the drains c
    mu (1 - r_i). Exact to 1e-9, or to 1e-15 times the services that an overloaded phase outlasts; `servers` is one
    whole number, the others broadcast, with a mean rate below servers x service_rate, and every rate of leaving in (0,
    inf). Neuts, Matrix-Geometric Solutions, 1981, chapter 6.
    """
    mu, *parts = np.broadcast_arrays(*(np.asarray(each, dtype=float) for each in (service_rate, *rates, *leaving)))
    lam, sigma = np.stack(parts[:2]), np.stack(parts[2:])
    full, mean = servers * mu, (lam * sigma[::-1]).sum(axis=0) / sigma.sum(axis=0)
    turning = _turning(lam, sigma, full)
    level, below, busy, passage = _last_level(turning, lam, sigma, mu, servers)
    drains = _drains(turning, lam, sigma, full, mean)
    first = _above(level, lam, passage, full)
    second = _above(first, lam, passage, full)
    terms = _sums(first, second, drains[:, None], full)
    # What is slow in coming to an end, as the queue of an overloaded burst, has hardly any weight at each level, but
    # much on the whole: that is told by what all levels serve, and how long each phase lasts.
    phases = sigma[::-1] / sigma.sum(axis=0)
    above = (mean - busy) / (full - mean)
    slow = phases * (1.0 + above) - below - terms[1]
    terms[0] = np.where(above > MANY, np.maximum(slow, 0.0), terms[0])
    weights = np.moveaxis(terms * lam, 0, 1) / (mean * (1.0 + terms.sum(axis=(0, 1))))
    shares = lam * phases / mean
    alike = np.abs(lam[1] - lam[0]) <= ALIKE * mean  # both terms meet where slow phases make no difference: M/M/c
    one = shares * erlang_c(servers, np.where(alike, mean, 0.0) / mu)
    plain = np.stack([full - mean, full]), np.stack([one, np.zeros_like(one)], axis=1)
    return ModulatedWaits(np.where(alike, plain[0], drains), np.where(alike, plain[1], weights), shares)


def _turning(lam: Array, sigma: Array, full: Array) -> Array:
    """u_j where g = g': u_j = sigma_j z / (z - lambda_j), z = c mu + u_0 + u_1 the largest root of a cubic.

    That is w = z - lambda_1, of the larger rate, in w (w + D) (w + F) = (w + lambda_1) ((sigma_0 + sigma_1) w +
    sigma_1 D), D = lambda_1 - lambda_0, F = lambda_1 - c mu: tiny where bursts overload the servers for long.
    """
    order = np.argsort(lam, axis=0)
    rates, leaving = np.take_along_axis(lam, order, axis=0), np.take_along_axis(sigma, order, axis=0)
    more, over, either = rates[1] - rates[0], rates[1] - full, leaving.sum(axis=0)
    w = full + either + rates[0]  # the sum of the roots z, which are positive, less lambda_1: none is above
    for _ in range(STEPS):
        value = w * (w + more) * (w + over) - (w + rates[1]) * (either * w + leaving[1] * more)
        slope = w * (3.0 * w + 2.0 * (more + over)) + more * over - either * (2.0 * w + rates[1]) - leaving[1] * more
        step = np.maximum(value / np.where(slope > 0, slope, np.inf), 0.0)
        w = w - step
        if (step <= 1e-16 * w).all():
            break
    turned = leaving * (w + rates[1]) / np.stack([w + more, w])
    return np.take_along_axis(turned, np.argsort(order, axis=0), axis=0)


def _last_level(turning: Array, lam: Array, sigma: Array, mu: Array, servers: int) -> tuple[Array, Array, Array, Array]:
    """p_{c-1} by phase, the sum of p_0 ... p_{c-1} by phase, which together is 1, what those serve, and g from level c
    on."""
    passages, u = [turning / (servers * mu + turning.sum(axis=0))], turning
    for n in range(servers - 1, 0, -1):
        u = sigma + lam * passages[-1]
        passages.append(u / (n * mu + u.sum(axis=0)))
    u = sigma + lam * passages[-1]
    level = u[::-1] / u.sum(axis=0)
    below, busy = level, np.zeros_like(mu)
    for n, passage in zip(range(1, servers), reversed(passages[1:]), strict=True):
        level = _above(level, lam, passage, n * mu)
        below, busy = below + level, busy + n * mu * level.sum(axis=0)
        whole = below.sum(axis=0)  # lest a large pool overflow
        level, below, busy = level / whole, below / whole, busy / whole
    return level, below, busy, passages[0]


def _above(level: Array, lam: Array, passage: Array, service: Array) -> Array:
    """p_n from p_{n-1}: p_{n-1} Lambda G_n / (service rate of level n)."""
    flow = level * lam / service
    moved = flow * passage
    return np.asarray(flow - moved + moved[::-1])


def _drains(turning: Array, lam: Array, sigma: Array, full: Array, mean: Array) -> Array:
    """c mu (1 - r) of both eigenvalues r of R, the lesser from their product, which keeps its precision."""
    total = 2.0 * full - lam.sum(axis=0) - sigma.sum(axis=0) + turning.sum(axis=0)
    product = full * sigma.sum(axis=0) * (full - mean) / turning.sum(axis=0)
    larger = (total + np.sqrt(np.maximum(total**2 - 4.0 * product, 0.0))) / 2.0
    least = product / larger
    return np.stack([least, np.maximum(larger, least * APART)])  # of next to no arrivals both are c mu to rounding


def _sums(first: Array, second: Array, drains: Array, full: Array) -> Array:
    """Both terms of sum_k s_k, where s_k = A r_1^k + B r_2^k begins with `first` and `second`."""
    r = 1.0 - drains / full
    gap = np.maximum(drains[1] - drains[0], 1e-16 * full) / full
    each = np.stack([second - r[1] * first, r[0] * first - second]) / gap
    return np.asarray(each * full / drains)
