"""Fan-out: a request splits into tasks at several FIFO servers and is done when all, or enough, of them are."""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

import numpy as np

from scaling_models.montecarlo.arrays import Array, Indices
from scaling_models.montecarlo.kernels.queues import insert
from scaling_models.montecarlo.kernels.residuals import overfull_slots
from scaling_models.montecarlo.streams import Streams
from scaling_models.montecarlo.systems import Outcomes
from scaling_models.montecarlo.traffic.flows import Flow, FlowState

CHOSEN, START = 2, 8  # purposes of streams; 0 and 1 are the flow's
ForkState = tuple[Array, FlowState]  # free times (workers, servers, lanes), ascending, and the flow's state


def distinct(count: int, among: int, shape: tuple[int, int], rng: np.random.Generator) -> Indices:
    """`count` different numbers below `among` in random order: (rows, count, lanes) for `shape` (rows, lanes).

    The first `count` exchanges of Fisher and Yates's shuffle; each row shuffles on from the row before (from any
    order, every ordered choice is equally likely, so that rows are independent). Raises `ValueError` if count > among.
    """
    if count > among:
        raise ValueError(f"cannot choose {count} different numbers out of {among}")
    rows, lanes = shape
    places = np.empty((rows, count, lanes), dtype=np.intp)
    for j in range(count):
        np.multiply(rng.integers(j, among, (rows, lanes), dtype=np.int32), lanes, out=places[:, j])
    places += np.arange(lanes)
    deck = np.repeat(np.arange(among), lanes)
    heads = deck.reshape(among, lanes)
    for row in places:
        for j, place in enumerate(row):
            number = deck.take(place)
            deck[place] = heads[j]
            heads[j] = number
            row[j] = number
    return places


def fork_responses(services: Array, gaps: Array, free: Array, chosen: Indices | None = None) -> tuple[Array, Array]:
    """Responses of all tasks (customers, tasks, lanes) in seconds, and the new free times.

    Every request puts one task at each of `tasks` FIFO servers, all at its arrival; every task is served to its end.
    `services` (customers, tasks, lanes); `gaps[n]` (customers, lanes) from request n - 1 to n; `free` (workers,
    servers, lanes) are the sorted times at which each server's workers come free, counted from the last arrival
    before, and so returned. `chosen` (customers, tasks, lanes) names each task's server, all different within a
    request; without it task i goes to server i. Kiefer and Wolfowitz's recursion at every server. Exact.
    """
    responses = np.empty_like(services)
    lanes = gaps.shape[1]
    now = np.zeros(lanes)
    free = free.copy()
    flat = free.reshape(len(free), -1)
    rows = None if chosen is None else chosen * lanes + np.arange(lanes)
    for n, (gap, service, response) in enumerate(zip(gaps, services, responses, strict=True)):
        now += gap
        mine = free if rows is None else flat.take(rows[n], axis=1)
        end = np.maximum(mine[0], now)
        end += service
        np.subtract(end, now, out=response)
        new, _ = insert(mine, end, np.empty_like(mine))
        if rows is None:
            free[...] = new
        else:
            flat[:, rows[n]] = new
    free -= now
    return responses, free


def kth_fastest(responses: Array, needed: int) -> Array:
    """When the `needed`-th fastest of the tasks is done: (customers, tasks, lanes) to (customers, lanes)."""
    if needed == responses.shape[1]:
        return np.asarray(responses.max(axis=1))
    if needed == 1:
        return np.asarray(responses.min(axis=1))
    return np.partition(responses, needed - 1, axis=1)[:, needed - 1].copy()


def share_done(responses: Array, deadline: float) -> Array:
    """The share of each request's tasks done within `deadline` seconds of its arrival, (customers, lanes)."""
    return np.asarray((responses <= deadline).mean(axis=1))


@dataclasses.dataclass(frozen=True)
class ForkJoin:
    """Requests of `tasks` tasks over `servers` FIFO servers, done with the `needed`-th fastest task (0: all).

    With tasks = servers every request goes to the same servers (synchronised); with fewer, to as many different ones
    drawn at random. Tasks have independent services of the flow's law, and those not waited for run to their end all
    the same. A step is an arrival. Samples: latency of the request, and of its first task ("task"). Tallies: requests,
    tasks, busy (seconds of work, per worker), time (s), and tasks `answered` within `deadline` seconds (partial
    answers).
    """

    flow: Flow
    tasks: int
    servers: int
    needed: int = 0
    workers: int = 1
    deadline: float = math.inf
    copies: ClassVar[int] = 4

    def __post_init__(self) -> None:
        if not 1 <= self.tasks <= self.servers:
            raise ValueError(f"ForkJoin.tasks must lie in [1, {self.servers}], the servers; got {self.tasks}")
        if not 0 <= self.needed <= self.tasks:
            raise ValueError(f"ForkJoin.needed must lie in [0, {self.tasks}], the tasks; got {self.needed}")

    def start(self, backlog: Array, rngs: Streams) -> ForkState:
        """All servers empty, or all with `backlog` seconds of wait behind a service under way."""
        lanes = len(backlog)
        free = overfull_slots(self.workers, np.tile(backlog, self.servers), self.flow.service, rngs(START))
        return free.reshape(self.workers, self.servers, lanes), self.flow.start(lanes, rngs)

    def advance(self, state: ForkState, rngs: Streams, customers: int) -> tuple[Outcomes, ForkState]:
        """`customers` requests of every lane."""
        _, gaps, after = self.flow.draw(state[1], rngs, customers)
        lanes = gaps.shape[1]
        services = self.flow.service._draw((customers, self.tasks, lanes), rngs(0))  # the flow has one a request
        spread = self.tasks < self.servers
        chosen = distinct(self.tasks, self.servers, gaps.shape, rngs(CHOSEN)) if spread else None
        responses, free = fork_responses(services, gaps, state[0], chosen)
        tallies = {
            "requests": np.full(lanes, float(customers)),
            "tasks": np.full(lanes, float(customers * self.tasks)),
            "busy": services.sum(axis=(0, 1)) / (self.servers * self.workers),
            "time": gaps.sum(axis=0),
            "answered": share_done(responses, self.deadline).sum(axis=0) * self.tasks,
        }
        latency = kth_fastest(responses, self.needed or self.tasks)
        return Outcomes({"latency": latency, "task": responses[:, 0].copy()}, tallies), (free, after)

    def pick(self, state: ForkState, lanes: Indices) -> ForkState:
        """The state of the named lanes, copied."""
        return np.ascontiguousarray(state[0][..., lanes]), self.flow.pick(state[1], lanes)
