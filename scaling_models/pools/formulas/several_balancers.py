"""Several balancers that each count their own requests only: what an arrival finds."""

from __future__ import annotations

import math

import numpy as np
from scipy import optimize, special

from scaling_models.pools.formulas.profiles import Array, Found


def found_by_several(load: float, balancers: int, workers: int = 1) -> Found:
    """What an arrival finds where each of m balancers sends its requests to the servers at which it has the fewest.

    For many servers: each balancer has at most one request at a server, and sends one at some rate nu to those where
    it has none, so that a server is a repairman with m sources: P(j requests) = c (m choose j) nu^j prod_{i<=j}
    i/min(i, k), with nu such that `load` of its k workers are busy; an arrival finds what m - 1 sources leave, as the
    arrival theorem has it. Load in (0, 1), and load k < m. As m grows this becomes the random split. Palm 1947
    (machine repair); Sevcik and Mitrani 1981 (arrival theorem).
    """
    j = np.arange(balancers + 1)
    busy = np.minimum(j, workers)

    def states(log_rate: float, sources: int) -> Array:
        at = j[: sources + 1]
        ways = special.gammaln(sources + 1.0) - special.gammaln(sources - at + 1.0)
        logs = ways + at * log_rate - np.concatenate([[0.0], np.cumsum(np.log(busy[1 : sources + 1]))])
        weights = np.exp(logs - logs.max())
        return np.asarray(weights / weights.sum())

    def missing(log_rate: float) -> float:
        return float(states(log_rate, balancers) @ busy) - load * workers

    reach = math.log(balancers) + 5.0 + math.log(1.0 / (1.0 - load)) + math.log(1.0 / load) + math.log(workers)
    log_rate = optimize.brentq(missing, -reach, reach + 20.0, xtol=1e-14)
    return Found(states(float(log_rate), balancers - 1))
