"""Commands that wait for each other: batches by size, by a window, and by what a running round lets gather."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from scaling_models.latency import Distribution, Never, mixture
from scaling_models.latency.quadrature import panels
from scaling_models.latency.residual import Residual

NEVER_IDLE = 1e-12  # share of the time
FALLS = np.geomspace(0.125, 64.0, 19)  # times the rate: between these an exponential is no work for Gauss nodes


def size_wait(size: ArrayLike, rate: ArrayLike) -> Any:
    """Mean wait (s) of Poisson commands (1/s) until a batch of so many is full: (B - 1) / (2 lambda). Exact."""
    return (np.asarray(size, dtype=float) - 1.0) / (2.0 * np.asarray(rate, dtype=float))


def window_wait(window: ArrayLike, rate: ArrayLike) -> Any:
    """Mean wait (s) for the end of a window T (s) that its first command opened: (T + lambda T^2 / 2)/(1 + lambda T).

    The first waits T, and each of the lambda T others T / 2 on average. Exact for Poisson commands (1/s).
    """
    wide = np.asarray(window, dtype=float)
    others = np.asarray(rate, dtype=float) * wide
    return wide * (1.0 + others / 2.0) / (1.0 + others)


def window_size(window: ArrayLike, rate: ArrayLike) -> Any:
    """Mean number of commands in a window T (s) that its first command opened: 1 + lambda T. Exact."""
    return 1.0 + np.asarray(rate, dtype=float) * np.asarray(window, dtype=float)


def group_commit_busy(rate: ArrayLike, flush: ArrayLike) -> Any:
    """Share of the time that a disk flushes, each flush taking D (s) and all that wait: a / (a + e^-a), a = lambda D.

    A busy time goes on with each flush in which a command came, of e^a flushes on average. Exact for Poisson commands;
    below 1 whatever the load.
    """
    a = np.asarray(rate, dtype=float) * np.asarray(flush, dtype=float)
    return a / (a + np.exp(-a))


def group_commit_mean(rate: ArrayLike, flush: ArrayLike) -> Any:
    """Mean time (s) until a command is flushed: D + busy D / 2. Exact; at most 1.5 D."""
    fixed = np.asarray(flush, dtype=float)
    return fixed * (1.0 + group_commit_busy(rate, fixed) / 2.0)


def none_comes(rate: float, time: Distribution) -> float:
    """P(no Poisson event (1/s) within the time) = E e^(-lambda T) = 1 - lambda int e^(-lambda t) P(T > t) dt."""
    if time.discrete:
        places, masses = time.atom_table
        return float(np.exp(-rate * places) @ masses)
    start = time.support[0]
    cuts = np.union1d(time.cuts[time.cuts > start], [start])
    if len(cuts) < 2:
        return math.exp(-rate * start)
    falls = start + FALLS / max(rate, 1e-300)
    cuts = np.union1d(cuts, falls[falls < cuts[-1]])
    t, w = panels(cuts)
    rest = rate * float((np.exp(-rate * t) * np.asarray(time._ccdf(t))) @ w)
    return max(math.exp(-rate * start) - rest, 0.0)


def round_busy(rate: float, time: Distribution) -> float:
    """Share of the time that a round is under way, each taking T and all that wait: a / (a + E e^(-lambda T)),
    a = lambda E T. Exact for Poisson requests (1/s); see `group_commit_busy`.
    """
    offered = rate * time.mean()
    return offered / (offered + none_comes(rate, time))


@functools.lru_cache(maxsize=32)  # a slider of the load leaves the round as it is
def _next_round(time: Distribution) -> Distribution:
    """What is left of a round under way, and another."""
    return time + Residual(time)  # in this order the sum integrates over the density that costs least


def shared_round(rate: float, time: Distribution) -> Distribution:
    """The time (s) until a request is through, where one round at a time takes all that wait, and lasts T.

    T itself where none is under way, with probability 1 - busy (`round_busy`); else what is left of that round and
    another T. Exact for Poisson requests (1/s) and independent rounds; group commit, and etcd's ReadIndex. Where rounds
    have no mean all wait for one that does not end.
    """
    if math.isinf(time.mean()):
        return Never()
    busy = round_busy(rate, time)
    if time.mean() == 0.0 or busy == 0.0:
        return time
    after = _next_round(time)
    return after if busy > 1.0 - NEVER_IDLE else mixture((1.0 - busy, busy), (time, after))


def round_size(rate: float, time: Distribution) -> float:
    """Mean number of requests that share a round: lambda E T / busy = lambda E T + E e^(-lambda T). Exact."""
    return rate * time.mean() + none_comes(rate, time)


def pipelined_throughput(window: ArrayLike, batch: ArrayLike, service: ArrayLike, latency: ArrayLike) -> Any:
    """Most commands/s with so many batches under way at a time: B min(1 / s, w / L).

    s (s) is the leader's work on a batch, L (s) the time until it is committed. A bound: nothing waits for chance.
    Santos and Schiper, Tuning Paxos for High-Throughput with Batching and Pipelining, ICDCN 2012.
    """
    s, many = np.asarray(service, dtype=float), np.asarray(batch, dtype=float)
    return many * np.minimum(1.0 / s, np.asarray(window, dtype=float) / np.asarray(latency, dtype=float))


def enough_window(service: ArrayLike, latency: ArrayLike) -> Any:
    """How many batches under way keep the leader busy: ceil(L / s)."""
    return np.ceil(np.asarray(latency, dtype=float) / np.asarray(service, dtype=float) * (1.0 - 1e-12))
