"""What a stall does: all slots of a pool stand still for a while, and the queue lives on."""

from __future__ import annotations

import numpy as np

from scaling_models.montecarlo.arrays import Array
from scaling_models.montecarlo.kernels.central import replay_central
from scaling_models.montecarlo.kernels.dispatch import Dispatch
from scaling_models.montecarlo.kernels.loops import Circle, Loop, closed_waits
from scaling_models.montecarlo.kernels.losses import PATIENCE, Line, Loss, lossy_waits, start_line
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


def stalled_losses(system: Loss, arrivals: Array, services: Array, at: float, length: float, seed: int) -> Array:
    """When the given requests leave a queue of which some are lost: at once if turned away, else served or impatient.

    Every slot serves what it has taken and what waits for it at `at`, and then stands still for `length` (s).
    """
    patience = np.full(services.shape, np.inf)
    if system.patience is not None:
        patience = system.patience._draw(services.shape, streams_of(seed)(PATIENCE))
    line = start_line(np.zeros((system.slots, 1)), system.queue_limit, np.zeros(1))
    first = int(np.searchsorted(arrivals, at))
    now, leaves = 0.0, []
    for part in (slice(None, first), slice(first, None)):
        gaps = np.diff(arrivals[part], prepend=now)[:, None]
        limits = (system.queue_limit, patience[part, None], system.deadline)
        waits, rejected, line = lossy_waits(services[part, None], gaps, line, *limits)
        served = ~rejected & (waits <= np.minimum(patience[part, None], system.deadline))
        stays = np.where(served, waits + services[part, None], np.minimum(waits, patience[part, None]))
        leaves.append(arrivals[part] + np.where(rejected, 0.0, stays)[:, 0])
        now = float(arrivals[first - 1]) if first else 0.0
        line = Line(np.maximum(line.free, at - now) + length, line.places, line.oldest)
    return np.concatenate(leaves)


def stalled_loop(system: Loop, requests: int, at: float, length: float, seed: int) -> tuple[Array, Array]:
    """When the next requests of a closed loop are sent, and answered (s), where every slot stands still as above."""
    rngs = streams_of(seed)
    state = system.start(np.zeros(1), rngs)
    services, thinks = system.service._draw((requests, 1), rngs(0)), system.think._draw((requests, 1), rngs(3))
    sent, answered, now, stalled = np.empty(requests), np.empty(requests), 0.0, False
    for n in range(requests):
        if not stalled and now + state.ready.min() >= at:
            state, stalled = Circle(np.maximum(state.free, at - now) + length, state.ready), True
        waits, passed, state = closed_waits(services[n : n + 1], thinks[n : n + 1], state)
        now += float(passed[0])
        sent[n], answered[n] = now, now + waits[0, 0] + services[n, 0]
    return sent, answered


def in_flight(arrivals: Array, departures: Array, times: Array) -> Array:
    """How many requests are in the pool at the given times."""
    gone = np.searchsorted(np.sort(departures), times, side="right")
    return (np.searchsorted(arrivals, times, side="right") - gone).astype(float)
