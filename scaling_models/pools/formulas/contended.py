"""One queue before slots that slow each other down: birth and death with a death rate that depends on the number there.

X(1), ..., X(n) are the rates (requests/s) at which k requests in service are served together; with more than n there,
n are in service. Exponential service, Poisson arrivals; stable while lambda < X(n), whatever X(k) is for smaller k.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from scaling_models.latency.phases import Phases

Array = NDArray[np.float64]
LEAST_LOG = (
    25.0  # minus the logarithm of what is neglected of queues so long that a request leaves before they are gone
)


def contended_shares(arrival_rate: float, rates: Sequence[float]) -> tuple[Array, float]:
    """Shares of time with 0, ..., n - 1 requests there (n,), and with n or more.

    p_k in proportion to prod_{j <= k} lambda / X(min(j, n)), in logarithms; (0, ..., 0) and 1 where lambda >= X(n).
    Poisson arrivals find the same. Exact to rounding. Kleinrock, Queueing Systems 1, 1975, section 3.1.
    """
    each = np.asarray(rates, dtype=float)
    if not (arrival_rate > 0 and (each > 0).all()):
        raise ValueError(f"arrival_rate and rates must lie in (0, inf) requests/s; got {arrival_rate!r}, {rates!r}")
    load = arrival_rate / each[-1]
    if load >= 1.0:
        return np.zeros(len(each)), 1.0
    logs = np.concatenate([[0.0], np.cumsum(math.log(arrival_rate) - np.log(each))])
    weights = np.exp(logs - logs.max())
    weights[-1] /= 1.0 - load  # n, n + 1, ... are geometric
    shares = weights / weights.sum()
    return shares[:-1], float(shares[-1])


def contended_number(arrival_rate: float, rates: Sequence[float]) -> tuple[float, float]:
    """Mean numbers in service and waiting; the second is infinite where lambda >= X(n)."""
    below, full = contended_shares(arrival_rate, rates)
    load, slots = arrival_rate / rates[-1], len(below)
    serving = float(below @ np.arange(slots)) + full * slots
    return serving, (full * load / (1.0 - load) if load < 1.0 else math.inf)


def longest_queue(arrival_rate: float, rates: Sequence[float]) -> int:
    """How many behind a request matter to it: more come, and are gone before it leaves, less often than e^-27.

    A queue of L is met with probability rho^L, and left behind with r^L, where lambda r^2 - (lambda + X(n)) r + d = 0
    (gambler's ruin) and d = X(n) (n - 1)/n is the rate at which the others leave.
    """
    if rates_equal(rates):
        return 0
    total, others = arrival_rate + rates[-1], rates[-1] * (1.0 - 1.0 / len(rates))
    ruin = 2.0 * others / (total + math.sqrt(total * total - 4.0 * arrival_rate * others))
    return math.ceil(LEAST_LOG / -math.log(arrival_rate / rates[-1] * max(ruin, 1e-300)))


def rates_equal(rates: Sequence[float]) -> bool:
    """Whether each slot is as fast whatever the others do."""
    own = np.asarray(rates) / np.arange(1, len(rates) + 1)
    return bool(np.ptp(own) <= 1e-12 * own.max())


def contended_response(arrival_rate: float, rates: Sequence[float]) -> Phases:
    """The time in the system of a request in phases, for lambda < X(n): tagged, with all that come behind it.

    Who finds n or more there finds a geometric number of them waiting, which is memoryless: each departure, at rate
    X(n), lets it in with probability 1 - lambda/X(n). So b requests behind it are all that a waiting one has for a
    state, and k requests there, itself among them, all that one in service has, which leaves at rate
    X(min(k, n))/min(k, n). Queues longer than `longest_queue` are cut off there. Exact to 1e-9.
    """
    each, slots = np.asarray(rates, dtype=float), len(rates)
    behind = longest_queue(arrival_rate, rates)
    below, full = contended_shares(arrival_rate, rates)
    served = slots + behind  # states k = 1, ..., served; then b = 0, ..., behind
    size = served + behind + 1
    generator = np.zeros((size, size))
    there = np.arange(1, served + 1)
    serving = np.minimum(there, slots)
    rate = each[serving - 1]
    ends = rate / serving
    generator[there[:-1] - 1, there[:-1]] = arrival_rate
    generator[there[1:] - 1, there[1:] - 2] = (rate - ends)[1:]
    waiting = served + np.arange(behind + 1)
    generator[waiting[:-1], waiting[1:]] = arrival_rate
    generator[waiting, slots - 1 + np.arange(behind + 1)] = each[-1] - arrival_rate
    leaving = np.concatenate([ends, np.zeros(behind + 1)])
    generator[np.arange(size), np.arange(size)] = -generator.sum(axis=1) - leaving
    start = np.zeros(size)
    start[:slots] = below  # who finds k there is one of k + 1
    start[served] = full
    return Phases(start, generator)


@functools.lru_cache(maxsize=64)
def solved_response(arrival_rate: float, rates: tuple[float, ...]) -> Phases:
    """The same, kept."""
    return contended_response(arrival_rate, rates)
