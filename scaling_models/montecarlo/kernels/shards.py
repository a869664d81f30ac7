"""Shards as separate queues, each with one worker or several: requests come to each by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from scaling_models.montecarlo.arrays import Array, Indices
from scaling_models.montecarlo.progress import progress

Draw = Callable[[tuple[int, ...]], Array]
Choose = Callable[[int], Indices]


class Sojourns(NamedTuple):
    """Times from arrival to answer (steps, lanes): at the first shard, at a chosen one, at the slowest of all."""

    first: Array
    chosen: Array
    slowest: Array
    busy: Array  # share of the first shard's time, of a worker, by lane


def sojourns(
    rates: Array,
    services: Draw,
    gaps: Draw,
    choose: Choose,
    lanes: int,
    warm_up: int,
    steps: int,
    workers: int = 1,
) -> Sojourns:
    """Lindley's recursion W' = max(W + S - A, 0) at each shard, from empty; the first `warm_up` requests are left out.
    Of several workers, whose waits are kept in order, Kiefer and Wolfowitz's: a request goes to the least.

    `services(shape)` are in seconds, `gaps(shape)` in mean gaps: those of shard i are divided by rates[i]. `choose`
    answers a shard for each lane.
    """
    shape, lane = (lanes, len(rates)), np.arange(lanes)
    waits, found = np.zeros((*shape, workers)), np.empty((3, steps, lanes))
    worked, passed = np.zeros(lanes), np.zeros(lanes)
    for step in progress(range(-warm_up, steps), "requests a shard"):
        service, gap = services(shape), gaps(shape) / rates
        waits[..., 0] += service
        if step >= 0:
            times = waits[..., 0]
            found[:, step] = times[:, 0], times[lane, choose(lanes)], times.max(axis=1)
            worked += service[:, 0]
            passed += gap[:, 0]
        if workers > 1:
            waits.sort(axis=-1)
        np.maximum(waits - gap[..., None], 0.0, out=waits)
    return Sojourns(found[0], found[1], found[2], worked / passed / workers)
