"""Simulated placements: every key dealt to a shard, many times over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scaling_models.montecarlo.arrays import Array
from scaling_models.montecarlo.progress import progress
from scaling_models.montecarlo.streams import stream

Place = Callable[[int, int, np.random.Generator], NDArray[Any]]
Owners = Callable[[NDArray[np.uint64], int, int], NDArray[Any]]


def shard_loads(shares: Array, shards: int, place: Place, placements: int, seed: int) -> Array:
    """The load share of every shard (placements, shards), each placement from its own stream.

    `shares` are the keys' shares of the requests, `place(keys, shards, rng)` answers the shard of every key, or the
    shards of its copies (keys, copies), which then have equal parts of its requests.
    """
    loads = np.empty((placements, shards))
    for i in progress(range(placements), "placements"):
        chosen = place(len(shares), shards, stream(seed, i))
        each = chosen.reshape(len(shares), -1).T
        loads[i] = sum(np.bincount(copy, weights=shares, minlength=shards) for copy in each) / len(each)
    return loads


def moved_shares(owners: Owners, keys: int, nodes: tuple[int, int], draws: int, seed: int) -> Array:
    """The share of the keys whose node changes when the first number of nodes becomes the second, of each draw.

    `owners(hashes, nodes, salt)` answers the node of every key; a draw has its own hashes and its own salt.
    """
    found = np.empty(draws)
    for i in range(draws):
        rng = stream(seed, i)
        hashes = rng.integers(0, 2**64, keys, dtype=np.uint64)
        salt = int(rng.integers(2**63))
        before, after = (owners(hashes, count, salt) for count in nodes)
        found[i] = np.count_nonzero(before != after) / keys
    return found
