"""Priorities: the highest class with somebody waiting goes first, with or without interrupting a lower one."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, NamedTuple

import numpy as np

from scaling_models.latency import Distribution, mixture
from scaling_models.montecarlo.arrays import Array, Indices
from scaling_models.montecarlo.kernels.queues import insert
from scaling_models.montecarlo.kernels.residuals import overfull_slots, under_way
from scaling_models.montecarlo.kernels.tallies import counts
from scaling_models.montecarlo.streams import Streams
from scaling_models.montecarlo.systems import Outcomes

START = 8  # purpose of a stream; 0 and 1 are services and gaps


@dataclasses.dataclass(frozen=True)
class PriorityClass:
    """A renewal stream of requests: the `gap` from each to the next, and their `service` (seconds)."""

    gap: Distribution
    service: Distribution


class Slots(NamedTuple):
    """Slots and who is next, lane by lane; times in seconds from when the last request was taken.

    `free` (slots, lanes), ascending: when each slot comes free. `heads` (classes, lanes): when the first request of
    each class that no slot has taken yet arrives, or arrived; those behind it need not be known.
    """

    free: Array
    heads: Array


class Interrupted(NamedTuple):
    """The first request of each class that is not finished (classes, lanes), in seconds from the lane's last step.

    `heads`: when it arrives, or arrived; `services`: its service; `left`: what is left of that.
    """

    heads: Array
    services: Array
    left: Array


def priority_waits(services: Array, gaps: Array, state: Slots) -> tuple[Array, Indices, Array, Slots]:
    """Waits under non-preemptive priorities before equal slots, for many independent lanes at once.

    A step is a slot's taking the next request: the slot that comes free first takes it, of the highest class (the
    first) that has somebody waiting, FIFO within the class; where nobody waits, whoever arrives first (of equals the
    highest). If step n takes a request of class k, its service is `services[n, k]` and the gap to the next of its class
    `gaps[n, k]` (steps, classes, lanes), seconds; the other draws of the step are not looked at, which being
    independent they do not tell. Returns waits and classes (steps, lanes), the time that passed (lanes,), and the
    state. Exact.
    """
    steps, _, lanes = services.shape
    waits, classes = np.empty((steps, lanes)), np.empty((steps, lanes), dtype=np.intp)
    free, heads, spare = state.free.copy(), state.heads.copy(), np.empty_like(state.free)
    lane, begin = np.arange(lanes), np.zeros(lanes)
    for n in range(steps):
        begin = np.maximum(free[0], heads.min(axis=0))
        who = (heads <= begin).argmax(axis=0)
        arrival = heads[who, lane]
        np.subtract(begin, arrival, out=waits[n])
        classes[n] = who
        heads[who, lane] = arrival + gaps[n, who, lane]
        free, spare = insert(free, begin + services[n, who, lane], spare)
    return waits, classes, begin, Slots(free - begin, heads - begin)


def preemptive_latencies(
    services: Array, gaps: Array, state: Interrupted
) -> tuple[Array, Array, Indices, Array, Array, Interrupted]:
    """Latencies under preemptive-resume priorities before one server, for many independent lanes at once.

    A step serves the first request of the highest class present (the first; FIFO within the class), until it is
    finished or a request of a higher class arrives, and passes idle time before if nobody is present. What was
    interrupted goes on where it stopped. If step n finishes a request of class k, the service of the next of its class
    is `services[n, k]` and the gap to it `gaps[n, k]` (steps, classes, lanes), seconds. Returns the latencies, and the
    waits (latency less service, so interruptions are in them), NaN where the step did not finish a request; the classes
    (steps, lanes); how long the server worked and the time that passed (lanes,); and the state. Exact.
    """
    steps, count, lanes = services.shape
    latencies, waits = np.empty((2, steps, lanes))
    classes = np.empty((steps, lanes), dtype=np.intp)
    heads, own, left = (field.copy() for field in state)
    lane, rank = np.arange(lanes), np.arange(count)[:, None]
    now, busy = np.zeros(lanes), np.zeros(lanes)
    for n in range(steps):
        now = np.maximum(now, heads.min(axis=0))
        who = (heads <= now).argmax(axis=0)
        higher = np.where(rank < who, heads, np.inf).min(axis=0)
        arrival, service, rest = heads[who, lane], own[who, lane], left[who, lane]
        done = now + rest <= higher
        until = np.where(done, now + rest, higher)
        latencies[n] = np.where(done, until - arrival, np.nan)
        np.subtract(latencies[n], service, out=waits[n])
        classes[n] = who
        following = services[n, who, lane]
        heads[who, lane] = np.where(done, arrival + gaps[n, who, lane], arrival)
        own[who, lane] = np.where(done, following, service)
        left[who, lane] = np.where(done, following, rest - (until - now))
        busy += until - now
        now = until
    return latencies, waits, classes, busy, now, Interrupted(heads - now, own, left)


def _drawn(classes: tuple[PriorityClass, ...], rngs: Streams, steps: int, lanes: int) -> tuple[Array, Array]:
    """Services and gaps (steps, classes, lanes)."""
    shape, (serving, coming) = (steps, lanes), (rngs(0), rngs(1))
    services = [each.service._draw(shape, serving) for each in classes]
    return np.stack(services, axis=1), np.stack([each.gap._draw(shape, coming) for each in classes], axis=1)


def _anyone(classes: tuple[PriorityClass, ...]) -> Distribution:
    """The service of a request of any class."""
    rates = np.array([1.0 / each.gap.mean() for each in classes])
    return mixture(tuple((rates / rates.sum()).tolist()), [each.service for each in classes])


def _outcomes(latencies: Array, waits: Array, classes: Indices, count: int, busy: Array, time: Array) -> Outcomes:
    """All requests, and each class by itself: "latency_1" is the highest's."""
    times, finished = {"latency": latencies, "wait": waits}, np.isfinite(latencies)
    tallies = {**counts(requests=finished), "busy": busy, "time": time}
    for k in range(count):
        mine = finished & (classes == k)
        tallies |= counts(**{f"requests_{k + 1}": mine})
        times[f"latency_{k + 1}"] = np.where(mine, latencies, np.nan)
        times[f"wait_{k + 1}"] = np.where(mine, waits, np.nan)
    return Outcomes(times, tallies)


@dataclasses.dataclass(frozen=True)
class Priorities:
    """Non-preemptive priority `classes`, the highest first, in one queue before `slots` slots.

    A step is a slot's taking a request. Conventions as in `priority_waits`.
    """

    classes: tuple[PriorityClass, ...]
    slots: int
    copies: ClassVar[int] = 4

    def start(self, backlog: Array, rngs: Streams) -> Slots:
        """Empty lanes, or lanes whose slots are busy for `backlog` seconds behind a service under way."""
        _, gaps = _drawn(self.classes, rngs, 1, len(backlog))
        return Slots(overfull_slots(self.slots, backlog, _anyone(self.classes), rngs(START)), gaps[0])

    def advance(self, state: Slots, rngs: Streams, customers: int) -> tuple[Outcomes, Slots]:
        """`customers` requests taken a lane: their latency and wait, of all and by class ("wait_1": the highest).

        Tallies: requests (also by class), busy and time (s).
        """
        services, gaps = _drawn(self.classes, rngs, customers, state.heads.shape[1])
        waits, classes, time, state = priority_waits(services, gaps, state)
        taken = np.take_along_axis(services, classes[:, None], axis=1)[:, 0]
        return _outcomes(waits + taken, waits, classes, len(self.classes), taken.sum(axis=0), time), state

    def pick(self, state: Slots, lanes: Indices) -> Slots:
        """The state of the named lanes, copied."""
        return Slots(state.free[:, lanes], state.heads[:, lanes])


@dataclasses.dataclass(frozen=True)
class Preemption:
    """Preemptive-resume priority `classes`, the highest first, before one server.

    A step is a service that is finished or interrupted. Conventions as in `preemptive_latencies`.
    """

    classes: tuple[PriorityClass, ...]
    copies: ClassVar[int] = 4

    def start(self, backlog: Array, rngs: Streams) -> Interrupted:
        """Empty lanes, or lanes into which requests have come for `backlog` seconds, each class's first under way."""
        services, gaps = _drawn(self.classes, rngs, 1, len(backlog))
        rng = rngs(START)
        own = np.stack([under_way(each.service, len(backlog), rng) for each in self.classes])
        own = np.where(backlog > 0.0, own, services[0])
        left = np.where(backlog > 0.0, own * rng.random(own.shape), own)
        return Interrupted(gaps[0] - backlog, own, left)

    def advance(self, state: Interrupted, rngs: Streams, customers: int) -> tuple[Outcomes, Interrupted]:
        """`customers` steps a lane: latency and wait of the finished, of all and by class ("wait_1": the highest).

        Tallies: requests (also by class), busy and time (s).
        """
        services, gaps = _drawn(self.classes, rngs, customers, state.heads.shape[1])
        latencies, waits, classes, busy, time, state = preemptive_latencies(services, gaps, state)
        return _outcomes(latencies, waits, classes, len(self.classes), busy, time), state

    def pick(self, state: Interrupted, lanes: Indices) -> Interrupted:
        """The state of the named lanes, copied."""
        return Interrupted(*(field[:, lanes] for field in state))
