"""Shards as separate queues, each with one server: requests come to each by itself."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from scaling_models.montecarlo.arrays import Array
from scaling_models.montecarlo.progress import progress

Draw = Callable[[tuple[int, ...]], Array]


def sojourns(rates: Array, services: Draw, gaps: Draw, lanes: int, warm_up: int, steps: int) -> tuple[Array, Array]:
    """Times from arrival to answer (steps, lanes, shards), and each shard's busy time over time (lanes, shards).

    Lindley's recursion W' = max(W + S - A, 0), from empty; the first `warm_up` requests of each shard are left out.
    `services(shape)` are in seconds, `gaps(shape)` in mean gaps: those of shard i are divided by rates[i].
    """
    shape = (lanes, len(rates))
    wait, found = np.zeros(shape), np.empty((steps, *shape))
    worked, passed = np.zeros(shape), np.zeros(shape)
    for step in progress(range(-warm_up, steps), "requests a shard"):
        service, gap = services(shape), gaps(shape) / rates
        if step >= 0:
            found[step] = wait + service
            worked += service
            passed += gap
        wait = np.maximum(wait + service - gap, 0.0)
    return found, worked / passed
