"""Servers that fail and come back, before one queue: the exact chain of requests and servers that are up."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from scaling_models.latency import Distribution
from scaling_models.latency.quadrature import panels
from scaling_models.pools.formulas.walks import is_exponential

Array = NDArray[np.float64]
DOUBLINGS = 60  # of the levels that the reduction looks ahead


class FailingQueue(NamedTuple):
    """Mean number of requests, share of arrivals that find no server free, and the law of the number of servers up."""

    in_flight: float
    probability_of_wait: float
    up: Array


def servers_up(servers: int, availability: float) -> Array:
    """P(n servers are up), n = 0 .. servers: binomial, whatever the up and down times. Exact."""
    return np.asarray(stats.binom.pmf(np.arange(servers + 1), servers, availability))


def work_until_served(service: Distribution, failure_rate: float, fate: str) -> float:
    """The mean time (s) for which a request occupies servers that fail at `failure_rate` v (1/s), by its `fate`.

    E[S] where no work is lost; E[(e^{vS} - 1)/v] where it `restarts`, infinite for exponential service at v >= mu;
    E[(1 - e^{-vS})/v] where it is `lost`: integrals of e^{+-vt} P(S > t). Exact; of a service that `restarts` and has
    no longest without being exponential, a lower bound: services longer than all but one in 1e15 are left out.
    """
    grows = {"restarts": failure_rate, "lost": -failure_rate}.get(fate, 0.0)
    if grows == 0.0:
        return service.mean()
    if is_exponential(service):
        rate = 1.0 / service.mean() - grows
        return 1.0 / rate if rate > 0 else math.inf
    end = min(service.support[1], float(service.iccdf(1e-15)))
    cuts = service.cuts
    edges = np.union1d([0.0, end, *np.linspace(0.0, min(end, 40.0 / abs(grows)), 41)], cuts[(cuts > 0) & (cuts < end)])
    nodes, weights = panels(np.union1d(edges, [each for each in service.kinks if 0 < each < end]))
    with np.errstate(over="ignore"):
        return float((np.exp(grows * nodes) * service.ccdf(nodes)) @ weights)


def failing_queue(
    arrival_rate: float, service_rate: float, servers: int, workers: int, failure_rate: float, repair_rate: float
) -> FailingQueue:
    """M/M/c whose servers, of `workers` slots each, fail and are repaired one by one, each at exponential times.

    States (n requests, u servers up): n + 1 at lambda, n - 1 at min(n, k u) mu, u - 1 at u failure, u + 1 at
    (servers - u) repair. A request whose server fails loses no work, and moves to the head of the queue. From level
    n = servers k on nothing changes with n: p_{n+1} = p_n R, R = lambda (-A_1 - lambda G)^-1 with G by logarithmic
    reduction (Latouche and Ramaswami 1993); below by levels, p_n = p_{n-1} R_n. Rates in 1/s, arrival_rate below
    service_rate x workers x servers x availability. Exact to about 1e-10. Mitrany and Avi-Itzhak 1968.
    """
    identity, top = np.eye(servers + 1), servers * workers
    ups = np.arange(servers + 1)
    rates = np.diag((servers - ups[:-1]) * repair_rate, 1) + np.diag(ups[1:] * failure_rate, -1)
    local = rates - np.diag(rates.sum(axis=1)) - arrival_rate * identity

    def served(n: int) -> Array:
        return np.diag(np.minimum(n, workers * ups) * service_rate)

    passage = _first_passage(arrival_rate, local - served(top), served(top))
    inverses: list[Array] = []
    for n in range(top, 0, -1):
        inverses.append(np.asarray(np.linalg.inv(served(n) - local - arrival_rate * passage), dtype=float))
        passage = inverses[-1] @ served(n)
    sums = _Sums(_stationary(local + arrival_rate * passage), workers)
    for n in range(1, top):
        sums.add(n, np.asarray(arrival_rate * inverses[top - n]))
    return sums.told(top, np.asarray(arrival_rate * inverses[0]))


def _first_passage(arrival_rate: float, local: Array, served: Array) -> Array:
    """G: the number of servers up when level n is left downwards for the first time, n at or above the slots."""
    identity = np.eye(len(local))
    up, down = -np.linalg.inv(local) * arrival_rate, -np.linalg.solve(local, served)
    passage, ahead = down, up
    for _ in range(DOUBLINGS):
        both = identity - up @ down - down @ up
        up, down = np.linalg.solve(both, up @ up), np.linalg.solve(both, down @ down)
        more = ahead @ down
        passage, ahead = passage + more, ahead @ up
        if more.max() < 1e-15:
            break
    return np.asarray(passage, dtype=float)


def _stationary(generator: Array) -> Array:
    """The law that a generator leaves as it is."""
    equations = np.vstack([generator.T, np.ones(len(generator))])
    found = np.linalg.lstsq(equations, np.append(np.zeros(len(generator)), 1.0))[0]
    return np.asarray(np.maximum(found, 0.0))  # of rare states rounding is left, of either sign


class _Sums:
    """Levels one above the other, of which only sums are kept, rescaled lest a large pool overflow."""

    def __init__(self, level: Array, workers: int) -> None:
        self.level, self.slots = level, workers * np.arange(len(level))
        self.by_up, self.number, self.waiting = level.copy(), 0.0, float(level[self.slots <= 0].sum())

    def add(self, n: int, ratio: Array) -> None:
        """Level n, from the one below."""
        self.level = self.level @ ratio
        self.by_up += self.level
        self.number += n * float(self.level.sum())
        self.waiting += float(self.level[self.slots <= n].sum())
        scale = self.by_up.sum()
        self.level, self.by_up = self.level / scale, self.by_up / scale
        self.number, self.waiting = self.number / scale, self.waiting / scale

    def told(self, top: int, ratio: Array) -> FailingQueue:
        """With all levels from `top` on, where the ratio stays."""
        rest = np.eye(len(ratio)) - ratio
        once = np.linalg.solve(rest.T, self.level @ ratio)  # the sum of p_{top + j}
        twice = np.linalg.solve(rest.T, once)  # the sum of (j + 1) p_{top + j}
        total = float(self.by_up.sum() + once.sum())
        number = self.number + (top - 1) * float(once.sum()) + float(twice.sum())
        waiting = (self.waiting + float(once.sum())) / total
        return FailingQueue(float(number / total), float(waiting), (self.by_up + once) / total)
