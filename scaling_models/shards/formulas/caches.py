"""Caches before the shards: what an LRU cache answers (Che), and the worst that a small cache leaves."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize

Array = NDArray[np.float64]


def characteristic_time(shares: ArrayLike, capacity: float, numbers: ArrayLike = 1.0) -> float:
    """T, in requests, of an LRU cache: sum_k (1 - e^{-p_k T}) = C. Infinite where the cache holds all keys.

    `shares` p_k of the requests and `numbers` of keys that have each. Che, Tung and Wang 2002, equation (3).
    """
    p, count = np.broadcast_arrays(np.asarray(shares, dtype=float), np.asarray(numbers, dtype=float))
    count = np.where(p > 0.0, count, 0.0)  # keys that nobody asks for are never there
    if capacity >= count.sum():
        return float("inf")
    if capacity <= 0:
        return 0.0

    def excess(log_time: float) -> float:
        return float(-np.expm1(-p * np.exp(log_time)) @ count) - capacity

    low = np.log(capacity / float(p @ count))  # each request brings one key at most
    high = low + 1.0
    while excess(high) < 0.0:
        high += high - low
    return float(np.exp(optimize.brentq(excess, low, high, xtol=1e-12)))


def lru_hit_ratio(shares: ArrayLike, capacity: float, numbers: ArrayLike = 1.0) -> float:
    """The share of the requests that an LRU cache of so many keys answers, sum_k p_k (1 - e^{-p_k T}).

    Che's approximation, for requests that are independent of each other: within 1% from ten places on.
    """
    p, count = np.broadcast_arrays(np.asarray(shares, dtype=float), np.asarray(numbers, dtype=float))
    time = characteristic_time(p, capacity, count)
    weight = p * count
    return float(weight @ np.where(p > 0.0, -np.expm1(-p * time if np.isfinite(time) else -np.inf), 0.0) / weight.sum())


def most_missed(time: float) -> float:
    """The most that one key can send past an LRU cache, as a share of the requests: 1/(e T), at p = 1/T."""
    return float(np.exp(-1.0) / time)


def small_cache_bound(factor: ArrayLike) -> Any:
    """E[hottest over mean shard] <= 1 + 1/(k (1 + sqrt(1 + 2/k))) for any popularity, behind a cache of k n ln n keys
    before n shards: a bound, from that of balls in bins, y/n + sqrt(2 y ln n/n), at the worst number y of keys asked.

    k = 1: 1.366, 2: 1.207, 4: 1.112. It depends neither on n nor on how many keys there are (compare Fan, Lim, Andersen
    and Kaminsky, SoCC 2011: O(n log n) entries).
    """
    k = np.asarray(factor, dtype=float)
    return (1.0 + 1.0 / (k * (1.0 + np.sqrt(1.0 + 2.0 / k))))[()]
