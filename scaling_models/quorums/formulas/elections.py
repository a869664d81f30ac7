"""Leader elections with randomised timeouts: split votes, their number, and elections that nobody needed."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

Array = NDArray[np.float64]


def conflicts_to_split(members: int, alive: int) -> int:
    """How many others must stand before the first request reaches them, for the first candidate to miss a majority.

    alive - majority + 1, with the majority floor(members / 2) + 1.
    """
    return alive - members // 2


def split_probability(members: int, alive: int, latency_over_range: ArrayLike) -> Array:
    """The probability that a term elects nobody, where all timers start together and requests take l.

    P(Bin(alive, l / R) >= alive - floor(members / 2)), R the range of the timeouts: the first candidate at timeout u
    meets P(Bin(alive - 1, (l / R) / (1 - u)) >= ...), which integrates to that. Exact for l <= R. Ongaro, Consensus:
    Bridging Theory and Practice (2014), chapter 9, gives it as the law of order statistics of uniforms.
    """
    chance = np.clip(np.asarray(latency_over_range, dtype=float), 0.0, 1.0)
    wanted = conflicts_to_split(members, alive)
    return np.asarray(special.betainc(wanted, alive - wanted + 1, chance))


def mean_terms(probability_of_split: ArrayLike) -> Array:
    """Terms until a leader is elected, where each splits independently: 1 / (1 - p). Exact for that."""
    return np.asarray(1.0 / (1.0 - np.asarray(probability_of_split, dtype=float)))


def mean_time_to_majority(members: int, alive: int, least: float, spread: ArrayLike, latency: ArrayLike) -> Array:
    """Seconds from the start of all timers U(least, least + spread) to a majority: ((a + R/(s+1) + l)/(1 - P)) + l.

    Renewal: every term as if its timers started together. Pessimistic, for real ones are staggered: by 6% at
    l / R = 0.2 and three members, by 13% at nine of which five live. See `terms.time_to_majority`.
    """
    spread, latency = np.asarray(spread, dtype=float), np.asarray(latency, dtype=float)
    split = split_probability(members, alive, latency / spread)
    return np.asarray((least + spread / (alive + 1) + latency) * mean_terms(split) + latency)


def beats_to_false_election(loss: ArrayLike, misses: ArrayLike, weights: ArrayLike = 1.0) -> Array:
    """Mean heartbeats until one follower has missed m in a row, each lost with probability p, independently.

    (1 - f) / (f (1 - p)) with f = p^m; or f = E p^M where the number it can miss is drawn anew after every heartbeat
    received, M = misses with probability `weights` along the last axis. Exact; inf where p = 0. Each run of losses is
    a trial, of (1 - f)/(1 - p) beats on average, that succeeds with probability f.
    """
    p = np.asarray(loss, dtype=float)
    misses, weights = np.asarray(misses, dtype=float), np.asarray(weights, dtype=float)
    f = (p[..., None] ** misses * weights).sum(axis=-1) if misses.ndim else p**misses
    with np.errstate(divide="ignore", over="ignore"):  # so seldom that the number of beats leaves the floats
        return np.asarray((1.0 - f) / (f * (1.0 - p)))


def misses_allowed(least: float, spread: float, heartbeat: float) -> tuple[Array, Array]:
    """How many heartbeats fall before a timeout U(least, least + spread) since the last: numbers and their weights.

    floor(timeout / heartbeat); one that arrives with the timeout arrives in time.
    """
    numbers = np.arange(np.floor(least / heartbeat * (1 + 1e-12)), np.floor((least + spread) / heartbeat) + 1)
    if spread <= 0:
        return numbers[:1], np.ones(1)
    edges = np.clip(np.append(numbers, numbers[-1] + 1) * heartbeat, least, least + spread)
    weights = np.diff(edges) / spread
    return numbers[weights > 1e-12], weights[weights > 1e-12]


def heartbeat_messages(groups: ArrayLike, replicas: ArrayLike, heartbeat: ArrayLike) -> Array:
    """Heartbeats a second (requests only) of so many consensus groups: groups (replicas - 1) / heartbeat. Exact."""
    return np.asarray(np.asarray(groups, dtype=float) * (np.asarray(replicas) - 1) / np.asarray(heartbeat))
