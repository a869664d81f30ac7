"""How many shards do: placements drawn for one number of shards after another, until the hottest is cool enough."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from scaling_models.montecarlo.arrays import Array
from scaling_models.montecarlo.estimates import Estimate

APART = 1.25  # the ratio of numbers from which the slope is learnt
FREEDOM = 39


def least_count(hottest: Callable[[int], Array], share: float, level: float, least: int, most: int) -> Estimate:
    """The least number of shards of which a fraction `level` of the placements has a hottest share up to `share`.

    `hottest(shards)` draws the hottest shares of some placements; numbers from `least` up to `most` are tried, doubled
    and then halved. The error is that of the sample's quantile, turned into shards by the slope of the quantile.
    Raises ValueError where `most` shards are too few.
    """

    def quantile(shards: int) -> float:
        return float(np.quantile(hottest(shards), level))

    low, high = least - 1, least
    while quantile(high) > share:
        if high >= most:
            raise ValueError(f"{most:,} shards are too few: there is no number to simulate")
        low, high = high, min(2 * high, most)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if quantile(middle) <= share else (middle, high)
    return Estimate(float(high), _error(hottest(high), hottest(math.ceil(APART * high) + 1), level, high), FREEDOM)


def _error(here: Array, there: Array, level: float, shards: int) -> float:
    """Shards per share times the standard error of the quantile, by the order statistics beside it."""
    spread = math.sqrt(level * (1.0 - level) / len(here))
    low, middle, high = np.quantile(here, np.clip([level - spread, level, level + spread], 0.0, 1.0))
    fall = math.log(float(middle) / float(np.quantile(there, level)))
    slope = math.log((math.ceil(APART * shards) + 1) / shards) / max(fall, 1e-3)
    return shards * slope * float(high - low) / (2.0 * float(middle))
