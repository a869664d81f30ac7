"""Closed loops: a fixed number of clients, each of whom thinks between an answer and the next request."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, NamedTuple

import numpy as np

from scaling_models.latency import Distribution
from scaling_models.montecarlo.arrays import Array, Indices
from scaling_models.montecarlo.kernels.queues import insert
from scaling_models.montecarlo.kernels.tallies import tallied
from scaling_models.montecarlo.streams import Streams
from scaling_models.montecarlo.systems import Outcomes


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
        """All clients beginning to think, or (any backlog) all sending a request at once, the fullest there is."""
        thinking = self.think._draw((len(backlog), self.clients), rngs(2))
        return Circle(np.zeros((self.slots, len(backlog))), np.where(backlog[:, None] > 0.0, 0.0, thinking))

    def advance(self, state: Circle, rngs: Streams, customers: int) -> tuple[Outcomes, Circle]:
        """`customers` requests a lane: latency and wait. Tallies: requests, waited, busy and time (s)."""
        shape = (customers, len(state.ready))
        services, thinks = self.service._draw(shape, rngs(0)), self.think._draw(shape, rngs(2))
        waits, time, state = closed_waits(services, thinks, state)
        return Outcomes({"latency": waits + services, "wait": waits}, tallied(waits, services, time)), state

    def pick(self, state: Circle, lanes: Indices) -> Circle:
        """The state of the named lanes, copied."""
        return Circle(state.free[:, lanes], state.ready[lanes])
