"""The hash modulo the number of shards."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scaling_models.shards.formulas.tables import modulo_moved
from scaling_models.shards.placements.hashing import Hashes, salted
from scaling_models.shards.placements.placement import Placement
from scaling_models.shards.placements.shares import Moved


class Modulo(Placement):
    """Hash modulo N, as Kafka's default partitioner: even, but a new shard moves N/(N + 1) of all keys. Exact."""

    def owners(self, hashes: Hashes, shards: int, salt: int) -> NDArray[Any]:
        """The remainder."""
        return np.asarray(salted(hashes, salt) % np.uint64(shards), dtype=np.int64)

    def moved(self, before: int, after: int) -> Moved:
        """1 - min(N, M)/lcm(N, M)."""
        return Moved(modulo_moved(before, after), 0.0)
