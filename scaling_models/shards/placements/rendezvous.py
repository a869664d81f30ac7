"""Rendezvous hashing: the highest random weight wins (Thaler and Ravishankar 1998)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scaling_models.shards.placements.hashing import Hashes, mixed, salted
from scaling_models.shards.placements.placement import Placement


class Rendezvous(Placement):
    """Each key on the shard whose hash together with the key's is highest: every shard has 1/N of the key space.

    A shard that goes leaves its keys to all others evenly. Thaler and Ravishankar, IEEE/ACM ToN 6(1), 1998. Exact.
    """

    def owners(self, hashes: Hashes, shards: int, salt: int) -> NDArray[Any]:
        """The highest of N hashes of each key."""
        best, found = np.zeros(len(hashes), dtype=np.uint64), np.zeros(len(hashes), dtype=np.int64)
        for shard, seed in enumerate(salted(np.arange(shards), salt)):
            weight = mixed(hashes ^ seed)
            won = weight >= best
            found[won] = shard
            best = np.maximum(best, weight)
        return found
