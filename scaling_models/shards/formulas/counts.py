"""The least number of shards of which the hottest draws no more than a given share."""

from __future__ import annotations

import bisect
import functools
import math
from collections.abc import Callable

import numpy as np

from scaling_models.shards.hotspot import HottestShare
from scaling_models.shards.placements import Placement
from scaling_models.shards.popularities import Popularity

EACH = 16  # numbers up to which every one is asked
STEP = 1.19  # from one number that is asked to the next
MOST = 16_384  # shards
ROUNDING = 1e-6  # of a share: a number that just does, does
ASKED = tuple(
    np.unique(
        np.concatenate([np.arange(1, EACH), np.round(np.geomspace(EACH, MOST, 1 + round(math.log(MOST / EACH, STEP))))])
    )
    .astype(int)
    .tolist()
)


@functools.lru_cache(maxsize=4096)
def hottest_quantile(shards: int, popularity: Popularity, placement: Placement, level: float) -> float:
    """The share of the hottest of so many shards that a fraction `level` of the placements does not exceed."""
    if shards == 1:
        return popularity.total
    return HottestShare(shards, popularity, placement).quantile(level)


@functools.lru_cache(maxsize=4096)
def fewest_shards(share: float, popularity: Popularity, placement: Placement, level: float) -> float:
    """The least number of shards whose `hottest_quantile` is at most `share`; inf where no number up to 16,384 does.

    No number does where the hottest key alone draws more. Every number up to 16 is asked; beyond, numbers a fifth
    apart, between which log share is linear in log number to 0.3%.
    """
    if share >= popularity.total:
        return 1.0
    if share < float(popularity.top(1)[0]):
        return math.inf

    def holds(shards: int) -> bool:
        return hottest_quantile(shards, popularity, placement, level) <= share * (1.0 + ROUNDING)

    place = _first(holds, _guess(share, popularity, level))
    if place == len(ASKED):
        return math.inf
    if place == 0 or ASKED[place] - ASKED[place - 1] == 1:
        return float(ASKED[place])
    low, high = ASKED[place - 1 : place + 1]
    above, below = (math.log(hottest_quantile(n, popularity, placement, level) / share) for n in (low, high))
    return float(math.ceil(low * (high / low) ** (above / (above - below)) * (1.0 - ROUNDING)))


def _guess(share: float, popularity: Popularity, level: float) -> int:
    """About where in ASKED the least number is: were loads normal, or the hottest key on an average shard."""
    first = float(popularity.top(1)[0])
    even = popularity.total / np.array(ASKED)
    beyond = np.sqrt(2.0 * np.log(1.0 + np.array(ASKED) / -math.log(level)))
    spread = np.sqrt(max(popularity.sum_of_squares() - first**2, 0.0) / np.array(ASKED))
    return int(np.argmax(np.append(np.maximum(even + beyond * spread, first + even) <= share, True)))


def _first(holds: Callable[[int], bool], guess: int) -> int:
    """The first place in ASKED that holds, found from the guess outwards: each number asked takes its time."""
    low, high, step = -1, len(ASKED), 1  # does not hold, holds
    place = min(guess, high - 1)
    while low < place < high:
        if holds(ASKED[place]):
            high, place = place, place - step
        else:
            low, place = place, place + step
        step = 2 * step
    return bisect.bisect_left(ASKED, True, low + 1, high, key=holds)
