"""Jump consistent hash (Lamping and Veach 2014)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scaling_models.shards.placements.hashing import Hashes, salted
from scaling_models.shards.placements.placement import Placement

MULTIPLIER = np.uint64(2862933555777941757)


def jumped(hashes: Hashes, buckets: int) -> NDArray[np.int64]:
    """The bucket of each key: the paper's loop (figure 1), all keys at once."""
    found = np.zeros(len(hashes), dtype=np.int64)
    left, key = np.arange(len(hashes)), hashes.copy()
    bucket = np.zeros(len(hashes), dtype=np.int64)
    while left.size:
        found[left] = bucket
        with np.errstate(over="ignore"):
            key = key * MULTIPLIER + np.uint64(1)
        ahead = (bucket + 1) * (2.0**31 / ((key >> np.uint64(33)).astype(float) + 1.0))
        more = ahead < buckets
        left, key, bucket = left[more], key[more], ahead[more].astype(np.int64)
    return found


class JumpHash(Placement):
    """Jump consistent hash: every shard has 1/N of the key space, and only the last shard can be added or removed.

    Lamping and Veach, arXiv:1406.2294. Exact.
    """

    def owners(self, hashes: Hashes, shards: int, salt: int) -> NDArray[Any]:
        """The paper's loop."""
        return jumped(salted(hashes, salt), shards)
