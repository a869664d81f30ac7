"""Ranges of the keys in their own order."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scaling_models.domains import Choice
from scaling_models.parameters import parameter
from scaling_models.shards.placements.hashing import Hashes, below
from scaling_models.shards.placements.placement import Placement
from scaling_models.shards.placements.shares import Carried, Moved
from scaling_models.shards.popularities import Popularity

NEARLY = 0.05  # less than the most: it may be the most by the chance of its keys


class RangePartition(Placement):
    """The keys in their own order, cut into N ranges of equally many keys. Hot keys lie scattered in that order, or
    next to each other (the newest, the lowest identifiers), in order of popularity: then the first shard has them all.

    Copies of adjacent keys lie with their range on the next shards; those of scattered keys are taken as placed key by
    key, on shards drawn at random.
    """

    hot_keys: str = parameter(
        default="scattered", domain=Choice(("scattered", "adjacent")), about="where hot keys lie in the order of keys"
    )

    def owners(self, hashes: Hashes, shards: int, salt: int) -> NDArray[Any]:
        """The range of each key, whose place in the order its hash stands for."""
        return below(hashes, shards)

    def place(self, keys: int, shards: int, rng: np.random.Generator) -> NDArray[Any]:
        """Equally many keys each (the first ranges one more, if need be)."""
        order = np.arange(keys) if self.hot_keys == "adjacent" else rng.permutation(keys)
        return order * shards // keys

    @property
    def equal_counts(self) -> bool:
        """Every range has as many."""
        return True

    def copies(self, keys: int, shards: int, replicas: int, rng: np.random.Generator) -> NDArray[Any]:
        """Of adjacent keys the ranges that they lie in, and the next ones."""
        if self.hot_keys == "scattered":
            return super().copies(keys, shards, replicas, rng)
        return (self.place(keys, shards, rng)[:, None] + np.arange(replicas)) % shards

    def loads(self, popularity: Popularity, shards: int) -> tuple[float, ...]:
        """Of adjacent hot keys: the first N-th of all ranks, the second, ..."""
        if self.hot_keys == "scattered":
            return ()
        edges = np.linspace(0.0, popularity.size, shards + 1)
        return tuple(np.diff(popularity.drawn_by(edges)).tolist())

    def copied_loads(self, popularity: Popularity, shards: int, replicas: int) -> tuple[float, ...]:
        """Of each shard the mean of its own range and of those before it."""
        own = np.array(self.loads(popularity, shards))
        return tuple(np.mean([np.roll(own, copy) for copy in range(replicas)], axis=0).tolist())

    def moved(self, before: int, after: int) -> Moved:
        """All but what stays in the range of the same number: 1 - sum_i |[i/N, (i+1)/N) with [i/M, (i+1)/M)|. Exact."""
        return Moved(float(1.0 - _kept(before, after).sum()), 0.0)

    def carried(self, before: int, after: int) -> tuple[Carried, Carried]:
        """What a range has that does not stay, at most: the last ones that lie beyond their new place send all."""
        return _most(before, after), _most(after, before)


def _kept(before: int, after: int) -> NDArray[np.float64]:
    """What of each range stays in the range of the same number."""
    i = np.arange(min(before, after))
    kept = np.minimum((i + 1) / before, (i + 1) / after) - np.maximum(i / before, i / after)
    return np.asarray(np.maximum(kept, 0.0))


def _most(count: int, others: int) -> Carried:
    """Of so many ranges those of which most does not stay, when there were or will be so many others."""
    gone = np.full(count, 1.0 / count)
    gone[: min(count, others)] -= _kept(count, others)
    near = gone[gone >= (1.0 - NEARLY) * gone.max()]
    return Carried(len(near), float(near.mean()))
