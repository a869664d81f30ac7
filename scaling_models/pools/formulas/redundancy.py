"""Copies of requests: the fixed point of hedging, and the mean of redundancy-d."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy import optimize, special

ROUNDS, NEAR = 200, 1e-7  # iterations, and their last step
POINTS = 2000


def hedged_utilization(load: float, delay: float) -> float:
    """The utilization u = load (1 + e^{-(1 - u) delay}) of exponential servers chosen at random; `inf` without one.

    A copy to another server follows after `delay` (in mean services) and is never cancelled; e^{-(1 - u) delay} is the
    chance that a response of M/M/1 takes longer. The lowest solution on [load, 1); the servers are taken to be
    independent.
    """
    grid = np.linspace(load, 1.0, POINTS)
    excess = load * (1.0 + np.exp(-(1.0 - grid) * delay)) - grid
    below = np.flatnonzero(excess <= 0)
    if load >= 1.0 or not below.size or grid[below[0]] >= 1.0:
        return math.inf
    if below[0] == 0:
        return load
    ends = (float(grid[below[0] - 1]), float(grid[below[0]]))
    return float(optimize.brentq(lambda u: load * (1.0 + math.exp(-(1.0 - u) * delay)) - u, *ends, xtol=1e-14))


def hedged_fixed_point(load: float, late: Callable[[float], float]) -> float:
    """The lowest utilization u = load (1 + late(u)), late(u) being the chance that a copy is sent; `inf` from 1 on.

    By iteration from the load up: `late` rises with u, so that no lower solution is passed. By secants, which fall
    short of it while `late` is bent upwards, as it is below its middle; where one goes too far, between the two.
    """

    def lacking(u: float) -> float:
        return load * (1.0 + late(u)) - u

    before, lacked = load, lacking(load)
    u = load + lacked
    for _ in range(ROUNDS):
        if u >= 1.0:
            return math.inf
        lacks = lacking(u)
        if abs(lacks) < NEAR:
            return u + lacks
        if lacks < 0:
            return float(optimize.brentq(lacking, before, u, xtol=NEAR))
        secant = lacks * (u - before) / (lacked - lacks) if lacks < lacked else lacks
        before, lacked, u = u, lacks, u + max(lacks, min(secant, 0.5 * (1.0 - u)))
    return math.inf  # it creeps: the fold is here, and beyond it there is no solution


def redundancy_mean(servers: int, copies: int, load: float) -> float:
    """Mean response, in mean services, of requests sent to `copies` of the servers at once, the rest cancelled.

    sum_{i=d}^N 1 / (N (C(N-1, d-1)/C(i-1, d-1) - load)): exponential services drawn anew, cancelled on completion,
    `load` of a server without further copies below 1; `inf` from 1 on. Exact. Gardner et al., Redundancy-d: The Power
    of d Choices for Redundancy, Operations Research 2017, Theorem 1.
    """
    d, rho = copies, load
    if not 1 <= d <= servers:
        raise ValueError(f"redundancy_mean: copies must lie in [1, {servers}], the servers; got {d}")
    if rho >= 1.0:
        return math.inf
    i = np.arange(d, servers + 1)
    logs = special.gammaln(servers) - special.gammaln(servers - d + 1) - special.gammaln(i) + special.gammaln(i - d + 1)
    return float((1.0 / (servers * (np.exp(logs) - rho))).sum())
