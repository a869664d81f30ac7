"""Transactions over several shards: how many they touch, what that costs, and how often they meet."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq

from scaling_models.latency import Distribution, slowest

Array = NDArray[np.float64]


def shards_touched(shards: int, keys: int) -> Array:
    """P(the keys of a transaction lie on j = 1, 2, ... shards), each key on an even shard by itself, (keys,). Exact.

    S2(k, j) N! / ((N - j)! N^k), S2 being Stirling's numbers of the second kind; by the recursion of one key more.
    """
    found = np.zeros(keys)
    found[0] = 1.0
    occupied = np.arange(1.0, keys + 1.0)
    for _ in range(keys - 1):
        fresh = np.concatenate([[0.0], found[:-1]]) * np.maximum(0.0, shards - occupied + 1.0)
        found = (found * np.minimum(occupied, shards) + fresh) / shards
    return found


def crossing(shares: ArrayLike, keys: int) -> tuple[float, float]:
    """P(the keys are not all on one shard) and the mean number of shards touched, for shards of any `shares`. Exact.

    1 - sum s_i^k, and sum 1 - (1 - s_i)^k.
    """
    s = np.asarray(shares, dtype=float)
    apart = s < 1.0
    hit = np.where(apart, -np.expm1(keys * np.log1p(-np.where(apart, s, 0.0))), 1.0)
    return float(1.0 - (s**keys).sum()), float(hit.sum())


def throughput(shards: ArrayLike, keys: int, local: ArrayLike, overhead: ArrayLike) -> Any:
    """How many times a lone server's transactions `shards` carry; broadcasts over all but the keys.

    N / W: the work of a transaction is 1 on one shard, and `overhead` for each of several that it touches. A share
    `local` of them lies on one shard by design.
    """
    n = np.asarray(shards, dtype=float)
    one = n ** (1.0 - keys)
    touched = n * -np.expm1(keys * np.log1p(-1.0 / np.maximum(n, 1.0 + 1e-12)))
    apart = one + np.asarray(overhead, dtype=float) * (np.where(n > 1, touched, 1.0) - one)
    share = np.asarray(local, dtype=float)
    return (n / (share + (1.0 - share) * np.where(n > 1, apart, 1.0)))[()]


def meeting(items: ArrayLike, keys: ArrayLike) -> Any:
    """P(two transactions of k distinct keys of D share one): 1 - C(D - k, k) / C(D, k); broadcasts. Exact."""
    d, k = np.broadcast_arrays(np.asarray(items, dtype=float), np.asarray(keys, dtype=float))
    sure = d < 2.0 * k
    apart = np.zeros(d.shape)
    for i in range(int(k[~sure].max(initial=0.0))):  # a difference of log-gammas would lose all digits among many items
        some = ~sure & (i < k)
        apart += np.where(some, np.log1p(-k / np.where(some, d - i, np.inf)), 0.0)
    return np.where(sure, 1.0, -np.expm1(apart))[()]


def abort_probability(arrival_rate: float, duration: float, meets: float) -> float:
    """P(a transaction aborts) under optimistic concurrency control, where the first to commit wins.

    P = 1 - exp(-lambda (1 - P) T q): one of those that commit while it runs shares a key with it. Approximate, for
    commits are taken as a Poisson stream of their own; 14% low at worst (one key, half of them aborting), 3% at 5%.
    """
    if 0.0 in (arrival_rate, duration, meets):
        return 0.0
    load = arrival_rate * duration * meets
    if load == np.inf:
        return 1.0
    return float(brentq(lambda p: p + np.expm1(-load * (1.0 - p)), 0.0, 1.0, xtol=1e-14))


@functools.lru_cache(maxsize=256)
def slowest_of(leg: Distribution, number: int, second: bool) -> Distribution:
    """The time of one round, or of two if there are several; kept, for its table takes as long as all the rest."""
    if number == 1:
        return leg
    slow = slowest(*[leg] * number)
    return slow + slow if second else slow
