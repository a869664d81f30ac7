"""Attempts that time out and are made again: what becomes of them, and how many there are of a request."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from scaling_models.pools.formulas.erlang import erlang_b, erlang_c
from scaling_models.pools.times.responses import response_ccdf

Array = NDArray[np.float64]
HALVINGS = 40


class Fates(NamedTuple):
    """Shares of attempts: not done within the timeout, rejected by a full queue, served (in time or not)."""

    timed_out: Array
    rejected: Array
    served: Array


def fates(
    rate: ArrayLike,
    workers: int,
    mean_service: float,
    timeout: float,
    queue_limit: float = math.inf,
    deadline: float = math.inf,
) -> Fates:
    """What becomes of Poisson attempts at `rate` (1/s) before `workers` exponential workers, FIFO; times in seconds.

    An attempt not done within `timeout` has timed out, and costs its service all the same, unless a worker would take
    it only after it has waited longer than `deadline`: then it is dropped. One that finds `queue_limit` others waiting
    and no worker free is rejected. `rate` may be an array; of queue_limit and deadline one must be infinite, else
    ValueError. Exact: M/M/c, M/M/c/K, and M/M/c with constant patience (Gnedenko and Kovalenko, Introduction to
    Queueing Theory, 1989, section 1.5).
    """
    lam = np.asarray(rate, dtype=float)
    if math.isinf(queue_limit) and math.isinf(deadline):
        return _unlimited(lam, workers, mean_service, timeout)
    if math.isinf(deadline):
        return _limited(lam, workers, mean_service, timeout, int(queue_limit))
    if math.isinf(queue_limit):
        return _dropped(lam, workers, mean_service, timeout, deadline)
    raise ValueError("fates: of queue_limit and deadline one must be infinite")


def _unlimited(lam: Array, workers: int, mean: float, timeout: float) -> Fates:
    """P(T > timeout) in M/M/c; 1 at overload."""
    busy = lam * mean / workers < 1.0
    calm = np.where(busy, lam, 0.5 * workers / mean)
    late = response_ccdf(timeout, 1.0 / mean, workers / mean - calm, erlang_c(workers, calm * mean))
    return Fates(np.where(busy, late, 1.0), np.zeros_like(lam), np.ones_like(lam))


def _limited(lam: Array, workers: int, mean: float, timeout: float, limit: int) -> Fates:
    """M/M/c/K, K = workers + limit: the wait of who finds k >= c there is Erlang(k - c + 1) with rate c mu."""
    load = np.asarray(lam * mean / workers)[..., None]
    blocked = np.maximum(erlang_b(workers, lam * mean), 1e-300)
    places = np.arange(limit + 1)
    # Relative to the state in which all work and nobody waits; scaled by the largest, for load^k may overflow.
    exponents = places * np.log(np.maximum(load, 1e-300))
    top = np.maximum(exponents.max(axis=-1, keepdims=True), 0.0)
    queue = np.exp(exponents - top)
    calm = np.exp(-top[..., 0]) * (1.0 / blocked - 1.0)  # states with a worker free
    total = calm + queue.sum(axis=-1)
    rejected = queue[..., -1] / total
    late = _late(places[:-1] + 1, workers, mean, timeout)
    timed_out = (calm * math.exp(-timeout / mean) + queue[..., :-1] @ late) / total
    return Fates(timed_out, rejected, 1.0 - rejected)


def _late(phases: NDArray[Any], workers: int, mean: float, timeout: float) -> Array:
    """P(Erlang(k, c mu) + Exp(mu) > timeout) for each number of phases."""
    x = workers * timeout / mean
    if workers == 1:
        return np.asarray(special.gammaincc(phases + 1, x))
    rest = special.gammainc(phases, x * (1.0 - 1.0 / workers))
    logs = np.log(np.maximum(rest, 1e-300)) - phases * math.log1p(-1.0 / workers) - timeout / mean
    return np.asarray(special.gammaincc(phases, x) + np.where(rest > 0, np.exp(np.minimum(logs, 0.0)), 0.0))


def _dropped(lam: Array, workers: int, mean: float, timeout: float, deadline: float) -> Fates:
    """The density of the wait offered is lambda pi_{c-1} e^{-(c mu - lambda) v} to the deadline d, then e^{-c mu v}."""
    mu, drain = 1.0 / mean, workers / mean - lam
    top = np.maximum(-drain, 0.0) * deadline  # all weights relative to the largest
    idle = np.exp(-top) / np.maximum(erlang_b(workers - 1, lam * mean), 1e-300)
    above = lam * np.exp(-drain * deadline - top) * mean / workers
    below = lam * _exponential_integral(drain, deadline, top)
    total = idle + below + above
    end = min(deadline, timeout)
    # Who waits v <= d and is served within the timeout: integrals of f(v) (1 - e^{-mu (timeout - v)}).
    soon = lam * (
        _exponential_integral(drain, end, top) - math.exp(-mu * timeout) * _exponential_integral(drain - mu, end, top)
    )
    in_time = (idle * -math.expm1(-mu * timeout) + soon) / total
    return Fates(1.0 - in_time, np.zeros_like(lam), 1.0 - above / total)


def _exponential_integral(rate: Array, end: float, top: Array) -> Array:
    """e^{-top} times the integral of e^{-rate v} from 0 to end; `top` is what keeps it from overflow."""
    return np.asarray(end * np.exp(np.maximum(-rate, 0.0) * end - top) * special.exprel(-np.abs(rate) * end))


def sends(seen: Fates, retries: int, budget: float = math.inf, at_once: bool = True) -> tuple[Array, Array]:
    """How often a request reaches the queue on average, and how many attempts that takes; both (rates,).

    sum_{i<=R} (g q)^i where q is the share that has to come again after a while, each retry granted with the chance g
    that keeps retries within `budget` a request (1 if they are anyway). With `at_once` a rejected attempt is repeated
    at once and finds the queue as full as before: that takes all its attempts and it reaches the queue no more. Else
    it comes again later, like one that timed out. Exact if attempts see the queue independently of each other.
    """
    again = seen.timed_out if at_once else seen.timed_out + seen.rejected
    repeated = seen.rejected if at_once else np.zeros_like(seen.rejected)
    low, high = np.zeros_like(again), np.ones_like(again)
    if _attempts(again, repeated, high, retries)[1].max(initial=1.0) - 1.0 > budget:
        for _ in range(HALVINGS):
            middle = (low + high) / 2.0
            too_many = _attempts(again, repeated, middle, retries)[1] - 1.0 > budget
            low, high = np.where(too_many, low, middle), np.where(too_many, middle, high)
        high = low
    return _attempts(again, repeated, high, retries)


def _attempts(again: Array, repeated: Array, granted: Array, retries: int) -> tuple[Array, Array]:
    """Visits to the queue and attempts a request, where each retry is granted with a given chance."""
    visits, wasted, term = np.zeros_like(again), np.zeros_like(again), np.ones_like(again)
    for left in range(retries, -1, -1):
        visits += term
        wasted += term * repeated * sum(granted**j for j in range(1, left + 1))
        term = term * granted * again
    return visits, visits + wasted
