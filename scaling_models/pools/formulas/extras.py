"""Pools of exponential servers where a request waits only if all slots are busy: a chain of two numbers.

Where requests go to a free slot as long as there is one (join the shortest queue, join an idle queue), the slots that
are busy, b, and the requests that wait, m, tell nearly all: m grows only while all slots are busy, and what must be
assumed is at how many servers they wait, e(m).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack

from scaling_models.pools.formulas.erlang import erlang_c
from scaling_models.pools.formulas.profiles import Found

Array = NDArray[np.float64]
RARE = 1e-10  # a share of time that no longer counts
TAIL = 1e-5  # of the requests: beyond, the numbers found fall geometrically


def waiting(load: float, servers: int, workers: int, holding: Array) -> tuple[Array, Array]:
    """P(all slots busy, m waiting), and P(m waiting), for m = 0, 1, ..., M, up to one common factor.

    `holding[m]` is e(m), at how many servers m requests wait. Rates in mean services, S = servers x workers slots:
    b -> b + 1 and, from b = S, m -> m + 1 at load S; m -> m - 1 at min(e k, b); b -> b - 1 at b - min(e k, b). m grows
    from one state only, so that P(S, m) load S = sum_b min(e k, b) P(b, m + 1): from the top down, each m is one
    tridiagonal system. What would lead beyond M is refused: M must be rare.
    """
    slots = servers * workers
    arrivals = load * slots
    full, total, logs = (np.zeros(len(holding)) for _ in range(3))
    falling, scale = np.zeros(slots + 1), 0.0
    for m in range(len(holding) - 1, -1, -1):
        taken = workers * holding[m]
        least = int(taken + 1e-9)
        busy = np.arange(least, slots + 1)
        moved, freed = np.minimum(taken, busy), np.maximum(busy - taken, 0.0)
        weights = np.ones(len(busy))
        if len(busy) > 1:  # the last equation only says that P(S, m) is one
            up, coming, leaving = np.full(len(freed) - 1, -arrivals), falling[least:].copy(), arrivals + moved + freed
            up[-1], coming[-1], leaving[-1] = 0.0, 1.0, 1.0
            weights = lapack.dgtsv(up, leaving, -freed[1:], coming)[3]
        full[m], total[m], logs[m] = 1.0, weights.sum(), scale
        if m:
            falling[:] = 0.0
            falling[least:] = moved * weights
            below = falling.sum() / arrivals
            falling /= below
            scale += math.log(below)
    likely = np.exp(logs - (logs + np.log(total)).max())
    return full * likely, total * likely


def _never_waits(load: float, slots: int) -> bool:
    """Whether so few would wait in one queue that the chain's numbers are rounding."""
    return float(erlang_c(slots, load * slots)) < RARE


def _all_served(workers: int) -> Found:
    weights = np.zeros(workers + 2)
    weights[workers - 1] = 1.0
    return Found(weights)


def _long_enough(
    load: float, servers: int, workers: int, holding: Callable[[Array], Array], first: int, most: int
) -> tuple[Array, Array]:
    """`waiting`, with so many waiting that more of them would be rare: `first` or more, at most `most`."""
    length = min(first, most)
    while True:
        full, total = waiting(load, servers, workers, holding(np.arange(length + 1.0)))
        if full[-1] <= RARE * total.sum() or length == most:
            return full, total
        length = min(2 * length, most)


def found_balanced(load: float, servers: int, workers: int = 1) -> Found:
    """What an arrival finds where it joins the shortest queue: requests wait at as many servers as can be.

    e(m) = min(m, N), and an arrival that must wait finds floor(m/N) waiting before it. Exact as long as fewer requests
    wait than there are servers; beyond m = N, P(S, m) falls by the factor `load` exactly.
    """
    if _never_waits(load, servers * workers):
        return _all_served(workers)
    full, total = _long_enough(load, servers, workers, lambda m: np.minimum(m, servers), 64, servers)
    beyond = full[-1] * load / (1.0 - load) if len(full) > servers else 0.0
    whole = total.sum() + beyond
    at_least_one_each = full[-1] / (1.0 - load) if len(full) > servers else 0.0
    waits = (full[:servers].sum(), at_least_one_each)
    weights = np.zeros(workers + 2)
    weights[workers - 1] = 1.0 - sum(waits) / whole
    decay = load**servers
    weights[workers], weights[workers + 1] = waits[0] / whole, waits[1] * (1.0 - decay) / whole
    return Found(weights, decay) if decay > RARE else Found(weights)


def found_scattered(load: float, servers: int, workers: int = 1) -> Found:
    """What an arrival finds where it joins a server with a slot free, or else any at random.

    m waiting requests are as likely in each way to place them (as if the queues were independent and geometric): they
    are at e(m) = N m/(N + m - 1) servers on average, and a server has j or more of them with probability
    prod_{i<j} (m - i)/(m + N - 1 - i).
    """
    if _never_waits(load, servers * workers):
        return _all_served(workers)
    n = float(servers)

    def holding(m: Array) -> Array:
        return n * m / np.maximum(n + m - 1.0, 1.0)

    first = servers + int(math.log(RARE) / math.log(load))
    full, total = _long_enough(load, servers, workers, holding, first, 10**5)
    waits = full / total.sum()
    m, beyond, seen = np.arange(len(waits), dtype=float), waits.copy(), [float(waits.sum())]
    while seen[-1] > TAIL * seen[0]:
        i = len(seen) - 1.0
        beyond = beyond * np.maximum(m - i, 0.0) / np.maximum(m + n - 1.0 - i, 1.0)
        seen.append(float(beyond.sum()))
    return _from_tail(np.array(seen), workers)


def _from_tail(beyond: Array, workers: int) -> Found:
    """From P(all slots busy, and j or more wait at the server), which go on to fall as at their end."""
    decay = float(beyond[-1] / beyond[-2])
    weights = np.zeros(workers + len(beyond))
    weights[workers - 1] = 1.0 - beyond[0]
    weights[workers:-1] = -np.diff(beyond)
    weights[-1] = beyond[-1] * (1.0 - decay)
    return Found(weights, decay)
