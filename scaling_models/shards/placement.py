"""How keys are put on shards."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scaling_models.parameters import Declared, Record


class Placement(Declared):
    """Base: where each of many keys goes."""

    def place(self, keys: int, shards: int, rng: np.random.Generator) -> NDArray[Any]:
        """The shard of each key, drawn."""
        raise NotImplementedError


class EvenHash(Placement):
    """Each key on a shard drawn evenly at random: jump hash, rendezvous, or very many slots dealt evenly."""

    def place(self, keys: int, shards: int, rng: np.random.Generator) -> NDArray[Any]:
        """Independent and even."""
        return rng.integers(0, shards, keys, dtype=np.uint16 if shards <= 2**16 else np.uint32)


PLACEMENTS = (EvenHash,)
PLACEMENT = Record("a placement of keys on shards, such as EvenHash()", lambda: Placement, lambda: PLACEMENTS)
