"""Load shed at the door at random, and from a queue that has stood for too long."""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar, NamedTuple

import numpy as np

from scaling_models.montecarlo.arrays import Array, Flags, Indices
from scaling_models.montecarlo.kernels.queues import insert
from scaling_models.montecarlo.kernels.residuals import overfull_slots
from scaling_models.montecarlo.kernels.tallies import counts
from scaling_models.montecarlo.streams import Streams
from scaling_models.montecarlo.systems import Outcomes
from scaling_models.montecarlo.traffic.flows import Flow, FlowState

DOOR, START = 2, 8  # purposes of streams; 0 and 1 are the flow's


class Standing(NamedTuple):
    """One FIFO queue before several slots, lane by lane; times in seconds from the lane's last arrival.

    `free` (slots, lanes), ascending: when each slot comes free of what it has taken and what waits for it. `leaves`
    (lanes,): when the queue is empty unless somebody comes; `empty` (lanes,): when an arrival last found it so.
    """

    free: Array
    leaves: Array
    empty: Array


def controlled_waits(
    services: Array, gaps: Array, admitted: Flags, queue: Standing, target: float = math.inf, interval: float = math.inf
) -> tuple[Array, Array, Standing]:
    """Waits that one queue before several slots offers, and the longest that each is allowed, for many lanes at once.

    Kiefer and Wolfowitz's recursion on the times at which slots come free, in which only the served count. Who is
    `admitted` and comes when the queue was last empty more than `interval` ago may wait for `target`, else for
    `interval`; whose wait is longer leaves unserved then, and costs no service. (Just as long a wait is served.)

    `gaps[n]` (customers, lanes) is the time from customer n - 1 to n, `services[n]` its service, in seconds. Returns
    the offered waits, of the refused too, the longest allowed (both (customers, lanes)), and the queue after the last
    arrival. Exact.
    """
    waits, allowed, now = np.empty_like(services), np.empty_like(services), np.zeros(services.shape[1])
    free, leaves, empty = queue.free.copy(), queue.leaves, queue.empty
    spare = np.empty_like(free)
    for gap, service, comes, wait, longest in zip(gaps, services, admitted, waits, allowed, strict=True):
        now += gap
        begin = np.maximum(free[0], now)
        np.subtract(begin, now, out=wait)
        empty = np.where(leaves <= now, now, empty)
        longest[:] = np.where(empty < now - interval, target, interval)
        leaves = np.where(comes, np.maximum(leaves, now + np.minimum(wait, longest)), leaves)
        free, spare = insert(free, np.where(comes & (wait <= longest), begin + service, -np.inf), spare)
    return waits, allowed, Standing(free - now, leaves - now, empty - now)


SheddingState = tuple[Standing, FlowState]


@dataclasses.dataclass(frozen=True)
class Shedding:
    """One FIFO queue before `slots` slots, fed by a flow of which a `share` is refused at the door, each at random.

    Who waits longer than `target` (a queue that stands) or `interval` (s) is dropped: see `controlled_waits`. A step is
    an arrival. `deadline` (s): who is answered within it is tallied.
    """

    flow: Flow
    slots: int
    share: float = 0.0
    target: float = math.inf
    interval: float = math.inf
    deadline: float = math.inf
    copies: ClassVar[int] = 4

    def start(self, backlog: Array, rngs: Streams) -> SheddingState:
        """Empty lanes, or slots busy for `backlog` seconds and a queue that has stood for as long."""
        free = overfull_slots(self.slots, backlog, self.flow.service, rngs(START))
        return Standing(free, backlog.copy(), -backlog), self.flow.start(len(backlog), rngs)

    def advance(self, state: SheddingState, rngs: Streams, customers: int) -> tuple[Outcomes, SheddingState]:
        """`customers` arrivals a lane: latency and wait of the served.

        Tallies: requests, rejected (at the door), abandoned (dropped from the queue), waited (admitted, but not served
        at once), in_time, queued (seconds in the queue of all), busy and time (s).
        """
        services, gaps, after = self.flow.draw(state[1], rngs, customers)
        admitted = rngs(DOOR).random(gaps.shape) >= self.share
        waits, allowed, queue = controlled_waits(services, gaps, admitted, state[0], self.target, self.interval)
        served = admitted & (waits <= allowed)
        latencies = np.where(served, waits + services, np.nan)
        tallies = counts(
            rejected=~admitted,
            abandoned=admitted & ~served,
            waited=admitted & (waits > 0.0),
            in_time=latencies <= self.deadline,
        )
        tallies["requests"] = np.full(gaps.shape[1], float(customers))
        tallies["queued"] = (np.minimum(waits, allowed) * admitted).sum(axis=0)
        tallies["busy"] = (services * served).sum(axis=0)
        tallies["time"] = gaps.sum(axis=0)
        times = {"latency": latencies, "wait": np.where(served, waits, np.nan)}
        return Outcomes(times, tallies), (queue, after)

    def pick(self, state: SheddingState, lanes: Indices) -> SheddingState:
        """The state of the named lanes, copied."""
        queue = Standing(*(part[..., lanes] for part in state[0]))
        return queue, self.flow.pick(state[1], lanes)
