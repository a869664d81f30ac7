"""What a stall does: all slots of a pool stand still for a while, and the queue lives on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scaling_models.montecarlo.pools import replay_central

Array = NDArray[np.float64]


def stalled_waits(arrivals: Array, services: Array, slots: int, at: float, length: float) -> Array:
    """Waits in one queue before `slots` slots, each of which from `at` on first serves a stall of `length` (s)."""
    first = int(np.searchsorted(arrivals, at))
    when = np.insert(arrivals, first, np.full(slots, at))
    work = np.insert(services, first, np.full(slots, length))
    waits = replay_central(when, work, slots)
    return np.delete(waits, np.arange(first, first + slots))


def dealt_stalled_waits(
    arrivals: Array, services: Array, chosen: NDArray[np.intp], servers: int, at: float, length: float
) -> Array:
    """The same where each request goes to its `chosen` server, every one of which stalls."""
    waits = np.empty_like(arrivals)
    for server in range(servers):
        mine = chosen == server
        waits[mine] = stalled_waits(arrivals[mine], services[mine], 1, at, length)
    return waits


def in_flight(arrivals: Array, departures: Array, times: Array) -> Array:
    """How many requests are in the pool at the given times."""
    gone = np.searchsorted(np.sort(departures), times, side="right")
    return (np.searchsorted(arrivals, times, side="right") - gone).astype(float)
