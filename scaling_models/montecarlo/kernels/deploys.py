"""A rolling deploy: servers drained, away and back cold, one after another, under traffic."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from scaling_models.montecarlo.arrays import Array, Indices
from scaling_models.montecarlo.kernels.timelines import Timelines, area_at, counts_at, drawn_until
from scaling_models.montecarlo.streams import stream
from scaling_models.montecarlo.traffic.flows import Flow

CHOICES = 10**9  # the key of the stream that chooses idle slots, apart from the blocks of the flow


@dataclasses.dataclass(frozen=True)
class RollingDeploy:
    """One FIFO queue before servers x workers slots, whose servers are renewed `at_once` at a time, in order.

    Batch j is drained from begin + j (away + pause) on: it begins nothing, finishes what it serves, and is back `away`
    seconds later (slots that are not done by then, when they are). What a slot begins within `warm_up` seconds of that
    takes `slowdown` times its service. A request goes to one of the idle slots, drawn at random, else to the first
    that is free; times in seconds.
    """

    flow: Flow
    servers: int
    begin: float
    away: float
    workers: int = 1
    at_once: int = 1
    pause: float = 0.0
    warm_up: float = 0.0
    slowdown: float = 1.0

    def __post_init__(self) -> None:
        if min(self.servers, self.workers, self.at_once) < 1:
            raise ValueError(f"RollingDeploy: servers, workers and at_once must lie in [1, inf); got {self!r}")
        if not (min(self.begin, self.away, self.pause, self.warm_up) >= 0 and self.begin + self.away < math.inf):
            raise ValueError(f"RollingDeploy: begin, away, pause and warm_up must lie in [0, inf) s; got {self!r}")
        if not 0 < self.slowdown < math.inf:
            raise ValueError(f"RollingDeploy.slowdown must lie in (0, inf); got {self.slowdown!r}")

    @property
    def down(self) -> Array:
        """When each slot begins to drain (s)."""
        batch = np.arange(self.servers) // self.at_once
        return np.asarray(np.repeat(self.begin + batch * (self.away + self.pause), self.workers))

    def requests(self, until: float, lanes: int, seed: int) -> tuple[Array, Array, Array, Indices]:
        """Arrivals, waits and latencies (s) of all requests until then at least, and their slots: (requests, lanes)."""
        services, arrivals = drawn_until(self.flow, until, lanes, seed)
        choices, down, slots = stream(seed, CHOICES).random(services.shape), self.down, np.empty_like(services, np.intp)
        back = down + self.away
        waits, latencies = deploy_waits(
            services, arrivals, choices, down, back, back + self.warm_up, self.slowdown, slots
        )
        return arrivals, waits, latencies, slots

    def follow(self, times: Array, lanes: int, seed: int) -> Timelines:
        """The pool from empty at time 0, looked at at the given times (s, ascending)."""
        times, down = np.asarray(times, dtype=float), self.down
        arrivals, waits, latencies, _ = self.requests(float(times[-1]), lanes, seed)
        starts, ends = arrivals + waits, arrivals + latencies
        there = (times[:, None] < down) | (times[:, None] >= down + self.away)
        slots = np.repeat(there.sum(axis=1, dtype=float)[:, None], lanes, axis=1)
        busy = np.diff(area_at(starts, times) - area_at(ends, times), axis=0, prepend=0.0)
        time = np.diff(self._slot_time(times), prepend=0.0)
        with np.errstate(invalid="ignore"):  # the first time may be 0, and all slots away
            utilization = np.where(time[:, None] > 0, busy / time[:, None], math.nan)
        flying = (counts_at(arrivals, times) - counts_at(ends, times)).astype(float)
        told = starts < times[-1]
        hidden = [np.where(told, each, math.nan) for each in (arrivals, waits, latencies)]
        return Timelines(times, slots, np.full_like(slots, len(down)), flying, utilization, *hidden)

    def _slot_time(self, times: Array) -> Array:
        """Slot-seconds in service by each of the times."""
        gone = np.clip(times[:, None] - self.down, 0.0, self.away).sum(axis=1)
        return np.asarray(times * len(self.down) - gone)


def deploy_waits(
    services: Array,
    arrivals: Array,
    choices: Array,
    down: Array,
    back: Array,
    warm: Array,
    slowdown: float,
    slots: Indices | None = None,
) -> tuple[Array, Array]:
    """Waits and latencies (customers, lanes) in one queue before slots of which each is away once.

    Slot i begins nothing from down_i until back_i, and is slow until warm_i (slots,). A request's start is known at its
    arrival: the least over the slots of max(free_i, arrival), put off to back_i where it falls into the absence; these
    never decrease, so that starts keep the order of arrival. Of k idle slots the request takes number floor(k u), with
    its own of the `choices` u in [0, 1); `slots`, where given, is told which. Seconds; exact for any arrivals
    (ascending) and services.
    """
    lanes = services.shape[1]
    waits, latencies = np.empty_like(services), np.empty_like(services)
    free, every = np.zeros((len(down), lanes)), np.arange(lanes)
    gone, back_, warm_ = down[:, None], back[:, None], warm[:, None]
    slots = np.empty_like(services, np.intp) if slots is None else slots
    rows = zip(services, arrivals, choices, waits, latencies, slots, strict=True)
    for service, now, choice, wait, latency, slot in rows:
        can = np.maximum(free, now)
        np.copyto(can, back_, where=(can >= gone) & (can < back_))
        rank = np.cumsum(can <= now, axis=0, dtype=np.int32)
        idle = rank[-1]
        chosen = np.where(idle > 0, (rank <= (choice * idle).astype(np.int32)).sum(axis=0), can.argmin(axis=0))
        start, slot[:] = can[chosen, every], chosen
        cold = (start >= back_[chosen, 0]) & (start < warm_[chosen, 0])
        np.subtract(start, now, out=wait)
        np.add(wait, service * np.where(cold, slowdown, 1.0), out=latency)
        free[chosen, every] = now + latency
    return waits, latencies
