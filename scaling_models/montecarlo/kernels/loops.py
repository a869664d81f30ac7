"""Closed loops: a fixed number of clients, each of whom thinks between an answer and the next request."""

from __future__ import annotations

import dataclasses
import itertools
from typing import ClassVar, NamedTuple

import numpy as np

from scaling_models.latency import Distribution
from scaling_models.montecarlo.arrays import Array, Indices
from scaling_models.montecarlo.kernels.queues import insert
from scaling_models.montecarlo.kernels.residuals import overfull_slots
from scaling_models.montecarlo.kernels.tallies import tallied
from scaling_models.montecarlo.streams import Streams
from scaling_models.montecarlo.systems import Outcomes

START = 8  # purpose of a stream
PIECES = 32  # between two cuts of a latency


class Circle(NamedTuple):
    """Slots and clients of each lane; times in seconds from the lane's last request.

    `free` (slots, lanes), ascending: when each slot comes free of what it has taken and what waits for it.
    `ready` (lanes, clients): when each client sends its next request.
    """

    free: Array
    ready: Array


def closed_waits(services: Array, thinks: Array, state: Circle) -> tuple[Array, Array, Circle]:
    """Waits of the next requests of a closed loop before one FIFO queue, for many independent lanes at once.

    FIFO makes an answer's time known when its request is sent, and so when its client will ask again: the next request
    is that of the client who is ready first (of equals the first in the row). `services[n]` is the service of request n
    of each lane and `thinks[n]` its client's think time after the answer (customers, lanes), seconds. Returns the waits
    (customers, lanes), the time that passed (lanes,), and the state after the last request. Exact.
    """
    waits = np.empty_like(services)
    free, ready, spare = state.free.copy(), state.ready.copy(), np.empty_like(state.free)
    lane, now = np.arange(services.shape[1]), np.zeros(services.shape[1])
    for service, think, wait in zip(services, thinks, waits, strict=True):
        who = ready.argmin(axis=1)
        now = ready[lane, who]
        begin = np.maximum(free[0], now)
        np.subtract(begin, now, out=wait)
        end = begin + service
        ready[lane, who] = end + think
        free, spare = insert(free, end, spare)
    return waits, now, Circle(free - now, ready - now[:, None])


def residual(latency: Distribution, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Draws of what is left of times found under way in the long run: density ccdf(t) / mean.

    By interpolation between the latency's cuts, to a few per cent of each piece: good enough for a start.
    """
    cuts = np.union1d(latency.cuts, [0.0])
    times = np.concatenate([np.linspace(low, high, PIECES + 1) for low, high in itertools.pairwise(cuts)] or [cuts])
    late = latency.ccdf(times)
    area = np.concatenate([[0.0], np.cumsum(np.diff(times) * (late[1:] + late[:-1]) / 2.0)])
    return np.asarray(np.interp(rng.random(shape) * area[-1], area, times))


@dataclasses.dataclass(frozen=True)
class Loop:
    """`clients` who `think`, send a request to one FIFO queue before `slots` slots, and think again when answered.

    Times in seconds; a step is a request. Where nothing is random (constant think times and services) the start is
    never forgotten.
    """

    clients: int
    think: Distribution
    service: Distribution
    slots: int
    copies: ClassVar[int] = 4

    def start(self, backlog: Array, rngs: Streams) -> Circle:
        """All clients thinking, for as long as they would be found to in the long run, and slots that are free, or
        busy for about the backlog.

        (Clients that all began to think at once would for long ask in waves, from either start alike.)
        """
        thinking = residual(self.think, (len(backlog), self.clients), rngs(2))
        return Circle(overfull_slots(self.slots, backlog, self.service, rngs(START)), thinking)

    def advance(self, state: Circle, rngs: Streams, customers: int) -> tuple[Outcomes, Circle]:
        """`customers` requests a lane: latency and wait. Tallies: requests, waited, busy and time (s)."""
        shape = (customers, len(state.ready))
        services, thinks = self.service._draw(shape, rngs(0)), self.think._draw(shape, rngs(2))
        waits, time, state = closed_waits(services, thinks, state)
        return Outcomes({"latency": waits + services, "wait": waits}, tallied(waits, services, time)), state

    def pick(self, state: Circle, lanes: Indices) -> Circle:
        """The state of the named lanes, copied."""
        return Circle(state.free[:, lanes], state.ready[lanes])
