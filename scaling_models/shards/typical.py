"""The loads of the shards of a typical placement."""

from __future__ import annotations

import functools
import math

import numpy as np
from numpy.typing import NDArray

from scaling_models.shards.hotspot import HottestShare, ShareOfOne
from scaling_models.shards.placements import Placement
from scaling_models.shards.popularities import Popularity

Array = NDArray[np.float64]
SINGLE = 16  # shards that are kept apart, the hottest
BIN = 1.25  # ranks of shards that are taken as alike

Groups = tuple[tuple[float, ...], tuple[int, ...]]


@functools.lru_cache(maxsize=512)
def typical_shares(
    shards: int, popularity: Popularity, placement: Placement, luck: float = 0.5, replicas: int = 1
) -> Groups:
    """Shares of shards from the hottest down, and how many shards have each; they sum to the popularity's total.

    Of `replicas` copies of each key, each has an equal part of its requests. The hottest has its quantile at `luck` (a
    fraction of the placements), the others those of one shard's law at evenly spaced levels, scaled to what the hottest
    leaves. Where nothing is left to chance, the loads themselves.
    """
    known = placement.copied_loads(popularity, shards, replicas)
    if known:
        shares, counts = np.unique(known, return_counts=True)
        return tuple(shares[::-1].tolist()), tuple(counts[::-1].tolist())
    law = (shards, popularity, placement, replicas)
    hottest = HottestShare(*law).quantile(luck)
    ends = _ends(shards - 1)
    numbers = np.diff(ends)
    if not len(numbers):
        return (hottest,), (1,)
    levels = 1.0 - (np.array(ends[:-1]) + np.array(ends[1:]) + 2.0) / (2.0 * shards + 2.0)
    others = np.minimum(np.asarray(ShareOfOne(*law).icdf(levels)), hottest)
    shares = np.minimum(_scaled(others, numbers, popularity.total - hottest), hottest)
    return (hottest, *shares.tolist()), (1, *numbers.tolist())


def _ends(left: int) -> list[int]:
    """Where groups of ranks end: one by one at first, then a quarter wider each."""
    ends = [*range(min(left, SINGLE) + 1)]
    while ends[-1] < left:
        ends.append(min(left, math.ceil(ends[-1] * BIN)))
    return ends


def _scaled(others: Array, numbers: NDArray[np.int64], rest: float) -> Array:
    """The shares made to sum to what is left; evenly where they are all nothing."""
    whole = float(others @ numbers)
    return others * (rest / whole) if whole > 0.0 else np.full(len(others), rest / float(numbers.sum()))
