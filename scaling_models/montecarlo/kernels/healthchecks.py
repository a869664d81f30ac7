"""Servers that fail behind a balancer that finds out late: random dispatch among those it takes for healthy."""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar, NamedTuple

import numpy as np

from scaling_models.latency import Distribution
from scaling_models.montecarlo.arrays import Array, Flags, Indices
from scaling_models.montecarlo.kernels.residuals import overfull_slots
from scaling_models.montecarlo.streams import Streams
from scaling_models.montecarlo.systems import Outcomes
from scaling_models.montecarlo.traffic.flows import Flow, FlowState

UP, DOWN, CHOICE, START = 2, 3, 4, 8  # purposes of streams; 0 and 1 are the flow's


class Watched(NamedTuple):
    """The state of the servers (servers, lanes), times in seconds from the last arrival.

    `free`: when all their work is done; `change`: the next failure or repair; `since`: the last; `up`: whether they
    are; `trusted`: whether the balancer takes them to be.
    """

    free: Array
    change: Array
    since: Array
    up: Flags
    trusted: Flags

    def pick(self, lanes: Indices) -> Watched:
        """The state of the named lanes (with repeats), copied."""
        free, change, since = (part[:, lanes] for part in self[:3])
        return Watched(free, change, since, self.up[:, lanes], self.trusted[:, lanes])


CheckedState = tuple[Watched, FlowState]


@dataclasses.dataclass(frozen=True)
class CheckedServers:
    """Random dispatch over FIFO servers that fail, with a health check that takes `notice` seconds to notice.

    Each server is up and down in turn for independent times `up` and `down` (s), whether it serves or not. The balancer
    changes its mind about a server when that has been up, or down, for `notice` seconds without a break. A request goes
    to one of the trusted servers at random; to any if none is trusted. At a server that is down it is refused at once;
    when a server fails, all its requests are lost, and it comes back empty. A step is an arrival; latency and wait are
    NaN for the refused and the lost. At a tie servers change before a request comes, and a request ends before its
    server fails. Tallies: requests, refused, lost, time (s).
    """

    flow: Flow
    servers: int
    up: Distribution
    down: Distribution
    notice: float = 0.0
    copies: ClassVar[int] = 4

    def __post_init__(self) -> None:
        if self.servers < 1:
            raise ValueError(f"CheckedServers.servers must lie in [1, inf); got {self.servers!r}")
        if not self.notice >= 0:
            raise ValueError(f"CheckedServers.notice must lie in [0, inf] s; got {self.notice!r}")

    @property
    def availability(self) -> float:
        """The share of time that a server is up: E up / (E up + E down)."""
        return self.up.mean() / (self.up.mean() + self.down.mean())

    def start(self, backlog: Array, rngs: Streams) -> CheckedState:
        """Empty and all servers up; or with `backlog` seconds of work and what is left of a service at each that is not
        just down; all are trusted.
        """
        lanes = len(backlog)
        shape = (self.servers, lanes)
        rng = rngs(START)
        up = (rng.random(shape) < self.availability) | (backlog == 0)
        change = np.where(up, self.up._draw(shape, rngs(UP)), self.down._draw(shape, rngs(DOWN)))
        since = np.where(up, -math.inf, 0.0)
        busy = overfull_slots(1, np.tile(backlog, self.servers), self.flow.service, rng).reshape(shape)
        watched = Watched(np.where(up, busy, 0.0), change, since, up, np.ones(shape, dtype=bool))
        return watched, self.flow.start(lanes, rngs)

    def pick(self, state: CheckedState, lanes: Indices) -> CheckedState:
        """The state of the named lanes (with repeats), copied."""
        return state[0].pick(lanes), self.flow.pick(state[1], lanes)

    def advance(self, state: CheckedState, rngs: Streams, customers: int) -> tuple[Outcomes, CheckedState]:
        """`customers` arrivals in every lane."""
        services, gaps, after = self.flow.draw(state[1], rngs, customers)
        lanes = gaps.shape[1]
        now = state[0].pick(np.arange(lanes))
        choices, ups, downs = rngs(CHOICE).random(gaps.shape), rngs(UP), rngs(DOWN)
        clock, every = np.zeros(lanes), np.arange(lanes)
        waits, latencies, refused = np.empty_like(gaps), np.empty_like(gaps), np.zeros(lanes)
        for service, gap, choice, wait, latency in zip(services, gaps, choices, waits, latencies, strict=True):
            clock += gap
            self._change(now, clock, ups, downs)
            server = _chosen(now.trusted, choice)
            start = np.maximum(now.free[server, every], clock)
            end = start + service
            up = now.up[server, every]
            refused += ~up
            done = up & (end <= now.change[server, every])
            np.copyto(wait, np.where(done, start - clock, math.nan))
            np.copyto(latency, np.where(done, end - clock, math.nan))
            now.free[server, every] = np.where(up, end, start)
        lost = np.isnan(latencies).sum(axis=0) - refused
        for part in now[:3]:
            part -= clock
        tallies = {"requests": np.full(lanes, float(customers)), "refused": refused, "lost": lost, "time": clock}
        return Outcomes({"latency": latencies, "wait": waits}, tallies), (now, after)

    def _change(self, now: Watched, clock: Array, ups: np.random.Generator, downs: np.random.Generator) -> None:
        """All failures and repairs up to the clock, one of each lane at a time; then what is noticed by now."""
        soonest = now.change.min(axis=0)
        while (lanes := np.flatnonzero(soonest <= clock)).size:
            server, at = now.change[:, lanes].argmin(axis=0), soonest[lanes]
            was = now.up[server, lanes]
            noticed = at - now.since[server, lanes] >= self.notice
            now.trusted[server, lanes] = np.where(noticed, was, now.trusted[server, lanes])
            lasts = np.empty(len(lanes))
            lasts[was] = self.down._draw((int(was.sum()),), downs)
            lasts[~was] = self.up._draw((int((~was).sum()),), ups)
            now.up[server, lanes], now.since[server, lanes] = ~was, at
            now.change[server, lanes] = at + lasts
            now.free[server, lanes] = at  # a server comes back empty, and one that is down has nothing
            soonest[lanes] = now.change[:, lanes].min(axis=0)
        np.copyto(now.trusted, now.up, where=clock - now.since >= self.notice)


def _chosen(trusted: Flags, choice: Array) -> Indices:
    """One of the trusted servers of each lane by its uniform draw, one of all where none is trusted."""
    rank = np.cumsum(trusted, axis=0, dtype=np.int32)
    some = rank[-1] > 0
    among = np.where(some, rank[-1], len(trusted))
    number = (choice * among).astype(np.int32)
    return np.where(some, (rank <= number).sum(axis=0), number)
