"""What a stall does: all slots of a pool stand still for a while, and the queue lives on."""

from __future__ import annotations

import numpy as np

from scaling_models.montecarlo.arrays import Array
from scaling_models.montecarlo.kernels.central import replay_central
from scaling_models.montecarlo.kernels.dispatch import Dispatch
from scaling_models.montecarlo.streams import streams_of


def stalled_waits(
    arrivals: Array, services: Array, slots: int, at: float, length: float, stalled: int | None = None
) -> Array:
    """Waits in one queue before `slots` slots, each of which from `at` on first serves a stall of `length` (s).

    Or only as many of them as are `stalled`: those that are free first.
    """
    many = slots if stalled is None else stalled
    first = int(np.searchsorted(arrivals, at))
    when = np.insert(arrivals, first, np.full(many, at))
    work = np.insert(services, first, np.full(many, length))
    waits = replay_central(when, work, slots)
    return np.delete(waits, np.arange(first, first + many))


def stalled_departures(
    system: Dispatch, arrivals: Array, services: Array, at: float, length: float, seed: int
) -> Array:
    """Departure times (s, in no order) from a pool behind a balancer whose servers all stall from `at` for `length`."""
    pool, _ = system.start(np.zeros(1), streams_of(seed))
    pool.log = []
    first = int(np.searchsorted(arrivals, at))
    for part, (low, high) in enumerate(((0, first), (first, len(arrivals)))):
        gaps = np.diff(arrivals[low:high], prepend=float(pool.now[0]))[:, None]
        if len(gaps):
            system.deal(pool, services[low:high, None], gaps, streams_of(seed, part))
        pool.now[:] = (at, arrivals[-1] + length)[part]
        pool.stall((length, 0.0)[part])  # the second only brings everything up to date
    return np.concatenate([np.ravel(ends) for ends in pool.log])


def in_flight(arrivals: Array, departures: Array, times: Array) -> Array:
    """How many requests are in the pool at the given times."""
    gone = np.searchsorted(np.sort(departures), times, side="right")
    return (np.searchsorted(arrivals, times, side="right") - gone).astype(float)
