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


def shard_loads(shares: Array, shards: int, place: Place, placements: int, seed: int) -> Array:
    """The load share of every shard (placements, shards), each placement from its own stream.

    `shares` are the keys' shares of the requests, `place(keys, shards, rng)` answers the shard of every key.
    """
    loads = np.empty((placements, shards))
    for i in progress(range(placements), "placements"):
        chosen = place(len(shares), shards, stream(seed, i))
        loads[i] = np.bincount(chosen, weights=shares, minlength=shards)
    return loads
