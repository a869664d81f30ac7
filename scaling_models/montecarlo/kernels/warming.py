"""A surge of load that servers relieve which are slow at first: what a request waits, until the queue is gone."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from scaling_models.montecarlo.arrays import Array
from scaling_models.montecarlo.kernels.queues import central_waits, insert
from scaling_models.montecarlo.kernels.surges import BLOCK, SurgeOutcome
from scaling_models.montecarlo.progress import progress
from scaling_models.montecarlo.streams import streams_of
from scaling_models.montecarlo.traffic.flows import Flow

Ends = Callable[[Array, Array], Array]


def follow_warming(
    flow: Flow, slots: int, added: int, relief: float, warm: float, ends: Ends, lanes: int, seed: int
) -> SurgeOutcome:
    """Lanes from empty at time 0 before `slots` slots; `added` others come at `relief` (s), and are slower at first.

    `ends(begin, service)`, by lane, tells when a service ends that a new slot begins, both times in seconds after the
    relief; from `warm` (s after the relief) on they are as fast as the others. FIFO: the next request takes the slot
    that is free first, an old one where both are. Goes on until in every lane some request that comes after the relief
    finds a free slot. Exact.
    """
    pool = _Pool(np.zeros((slots, lanes)), np.full((added, lanes), relief), relief, ends)
    state, now = flow.start(lanes, streams_of(seed, 0)), np.zeros(lanes)
    worst, backlog, drain = np.zeros(lanes), np.zeros(lanes), np.full(lanes, math.inf)
    for block in progress(range(1, 10**9), "surge"):
        services, gaps, state = flow.draw(state, streams_of(seed, block), BLOCK)
        arrivals = now + np.cumsum(gaps, axis=0)
        waits = pool.serve(services, gaps, arrivals, bool((now >= relief + warm).all()))
        worst = np.maximum(worst, waits.max(axis=0))
        backlog += ((arrivals <= relief) & (arrivals + waits >= relief * (1.0 - 1e-12))).sum(axis=0)
        calm = (arrivals >= relief) & (waits == 0.0)
        first = arrivals[calm.argmax(axis=0), np.arange(lanes)] - relief
        drain = np.where(np.isinf(drain) & calm.any(axis=0), first, drain)
        now = arrivals[-1]
        if np.isfinite(drain).all():
            break
    return SurgeOutcome(worst, backlog, drain)


class _Pool:
    """The times (s) at which old and new slots come free; where all are alike, the new ones are among the old."""

    def __init__(self, old: Array, new: Array, relief: float, ends: Ends) -> None:
        self.old, self.new, self.relief, self.ends = old, new, relief, ends

    def serve(self, services: Array, gaps: Array, arrivals: Array, alike: bool) -> Array:
        """The waits of a block of requests; `alike` where new slots are as fast as old ones from now on."""
        if alike and len(self.new):
            self.old, self.new = np.sort(np.concatenate([self.old, self.new]), axis=0), self.new[:0]
        last = arrivals[0] - gaps[0]
        waits, free = central_waits(services, gaps, self.old - last)
        if len(self.new) and (arrivals + waits >= self.relief).any():
            return self._unlike(services, arrivals)
        self.old = free + arrivals[-1]
        return waits

    def _unlike(self, services: Array, arrivals: Array) -> Array:
        waits, spares = np.empty_like(services), [np.empty_like(self.old), np.empty_like(self.new)]
        for now, service, wait in zip(arrivals, services, waits, strict=True):
            first, other = np.maximum(self.old[0], now), np.maximum(self.new[0], now)
            cold = other < first
            np.subtract(np.where(cold, other, first), now, out=wait)
            self.old, spares[0] = insert(self.old, np.where(cold, -math.inf, first + service), spares[0])
            if cold.any():
                ended = self.relief + self.ends(np.maximum(other - self.relief, 0.0), service)
                self.new, spares[1] = insert(self.new, np.where(cold, ended, -math.inf), spares[1])
        return waits
