"""The ideal: each key on a shard drawn evenly at random."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scaling_models.shards.placements.hashing import Hashes, salted
from scaling_models.shards.placements.jump_hash import jumped
from scaling_models.shards.placements.placement import Placement


class EvenHash(Placement):
    """Each key on a shard drawn evenly at random: jump hash, rendezvous, or very many slots dealt evenly. Exact."""

    def owners(self, hashes: Hashes, shards: int, salt: int) -> NDArray[Any]:
        """By jump hash, for it moves no more than it must."""
        return jumped(salted(hashes, salt), shards)

    def place(self, keys: int, shards: int, rng: np.random.Generator) -> NDArray[Any]:
        """Independent and even."""
        return rng.integers(0, shards, keys, dtype=np.uint16 if shards <= 2**16 else np.uint32)

    def copies(self, keys: int, shards: int, replicas: int, rng: np.random.Generator) -> NDArray[Any]:
        """Each set of so many shards equally likely (Floyd's sampling, one key a row)."""
        found = np.empty((keys, replicas), dtype=np.int64)
        for copy in range(replicas):
            last = shards - replicas + copy
            drawn = rng.integers(0, last + 1, keys)
            taken = (found[:, :copy] == drawn[:, None]).any(axis=1)
            found[:, copy] = np.where(taken, last, drawn)
        return found
