"""Services that are found under way: what a system that was busy for long begins with."""

from __future__ import annotations

import numpy as np

from scaling_models.latency import Distribution
from scaling_models.montecarlo.arrays import Array
from scaling_models.montecarlo.kernels.queues import busy_slots

DRAWN = 2**16  # services from which those under way are chosen


def under_way(service: Distribution, count: int, rng: np.random.Generator) -> Array:
    """The sizes (s) of so many services that are found under way: large ones are, in proportion to their size.

    They last longest: lanes that begin without any seem to have settled long before the first of them has gone.
    """
    drawn = service._draw((DRAWN,), rng)
    summed = np.cumsum(drawn)
    at = np.searchsorted(summed, rng.random(count) * summed[-1], side="right")
    return np.asarray(drawn[np.minimum(at, DRAWN - 1)])


def overfull_slots(slots: int, backlog: Array, service: Distribution, rng: np.random.Generator) -> Array:
    """Free times (slots, lanes), ascending: 0 where the backlog (lanes,) is, else it and what is left of a service."""
    left = under_way(service, slots * len(backlog), rng) * rng.random(slots * len(backlog))
    busy = busy_slots(slots, backlog)
    return np.sort(np.where(backlog > 0.0, busy + left.reshape(busy.shape), 0.0), axis=0)
