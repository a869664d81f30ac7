"""Servers that fail and come back, before one FIFO queue."""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar, NamedTuple

import numpy as np

from scaling_models.latency import Distribution
from scaling_models.montecarlo.arrays import Array, Indices
from scaling_models.montecarlo.kernels.residuals import under_way
from scaling_models.montecarlo.streams import Streams
from scaling_models.montecarlo.systems import Outcomes

FATES = ("resumes", "moves", "restarts", "lost")
ARRIVED, FIRST, READY, WORK, LEFT = range(5)  # a request: its arrival, first start and return to the queue; its seconds


class Pool(NamedTuple):
    """The state of a pool; times (s) count from the last step.

    `free` (servers, lanes) is when a server has done what it has begun, `open` when it can begin (inf while down),
    `change` its next failure or repair, `jobs` (servers, lanes, 5) its request (arrival NaN: none to be told of).
    `next` (lanes, 5) is the request at the head of the queue, `stack` (servers + 1, lanes, 5) with its `depth` those
    that were pushed back by it. Later requests need no place: they are drawn when their turn comes.
    """

    free: Array
    open: Array
    change: Array
    jobs: Array
    next: Array
    stack: Array
    depth: Indices


@dataclasses.dataclass(frozen=True)
class FailingServers:
    """One FIFO queue before equal servers, each of which is up and down in turn, whether it serves or not.

    Renewal traffic (`gap`, `service`, seconds) and independent `up` and `down` times (s). A request whose server fails
    meets its `fate`: it `resumes` there once that is repaired (the others go on without it), `moves` to the head of the
    queue with the work that is left, `restarts` from the head of the queue with all its work again, or is `lost`.
    A request goes to the lowest-numbered server that is up and idle, else to the first that will be. A step is the
    start of a request's service, or a server's failure or repair. At a tie a request ends, and the next one starts,
    before a server fails. Latency and wait (until the first start) are told when the request's server takes the next.
    Tallies: requests (first starts), lost, lost_time (seconds that the lost were there, from their arrival on), busy
    and up (server-seconds), time (s).
    """

    gap: Distribution
    service: Distribution
    servers: int
    up: Distribution
    down: Distribution
    fate: str = "moves"
    copies: ClassVar[int] = 4

    def __post_init__(self) -> None:
        if self.fate not in FATES:
            raise ValueError(f"FailingServers.fate must be one of {', '.join(FATES)}; got {self.fate!r}")
        if self.servers < 1:
            raise ValueError(f"FailingServers.servers must lie in [1, inf); got {self.servers!r}")

    @property
    def availability(self) -> float:
        """The share of time that a server is up: E up / (E up + E down)."""
        return self.up.mean() / (self.up.mean() + self.down.mean())

    @property
    def cycle(self) -> float:
        """In how many requests a server fails once, and is back."""
        return (self.up.mean() + self.down.mean()) / self.gap.mean()

    def start(self, backlog: Array, rngs: Streams) -> Pool:
        """Empty with all servers up; or with a queue since `backlog` seconds ago, and some of the servers down.

        Those that are up have a request under way that nobody hears of, and so have those that are down where it
        resumes. Up and down times begin anew, which is stationary where they are exponential.
        """
        lanes = len(backlog)
        shape = (self.servers, lanes)
        rng = rngs(7)
        up = (rng.random(shape) < self.availability) | (backlog == 0)
        change = np.where(up, self.up._draw(shape, rngs(2)), self.down._draw(shape, rngs(3)))
        came = np.where(backlog > 0, -backlog, self.gap._draw((lanes,), rngs(1)))
        head = _fresh(came, self.service._draw((lanes,), rngs(0)))
        jobs, stack = np.full((*shape, 5), math.nan), np.full((self.servers + 1, lanes, 5), math.nan)
        served = (backlog > 0) & (up | (self.fate == "resumes"))
        jobs[..., WORK] = np.where(served, under_way(self.service, up.size, rng).reshape(shape), 0.0)
        free = jobs[..., WORK] * rng.random(shape) + np.where(served & ~up, change, 0.0)
        opens = np.where(up, free, math.inf)
        return Pool(free, opens, change, jobs, head, stack, np.zeros(lanes, dtype=np.intp))

    def advance(self, state: Pool, rngs: Streams, customers: int) -> tuple[Outcomes, Pool]:
        """`customers` steps of every lane."""
        shape = (customers, len(state.depth))
        services, gaps = self.service._draw(shape, rngs(0)), self.gap._draw(shape, rngs(1))
        ups, downs = self.up._draw(shape, rngs(2)), self.down._draw(shape, rngs(3))
        return advance(state, services, gaps, ups, downs, self.fate)

    def pick(self, state: Pool, lanes: Indices) -> Pool:
        """The state of the named lanes (with repeats), copied."""
        free, opens, change = (part[:, lanes] for part in state[:3])
        return Pool(
            free, opens, change, state.jobs[:, lanes], state.next[lanes], state.stack[:, lanes], state.depth[lanes]
        )


def advance(pool: Pool, services: Array, gaps: Array, ups: Array, downs: Array, fate: str) -> tuple[Outcomes, Pool]:
    """As many steps of every lane as the arrays (steps, lanes; seconds) have rows.

    A lane's n-th new request takes row n of the services and, after the one before it, of the gaps; its n-th failure or
    repair takes row n of the downs or ups. Rows that are left over are not used.
    """
    pool = _copied(pool)
    steps, lanes = services.shape
    latency, wait = np.full((2, steps, lanes), math.nan)
    working = np.isfinite(pool.open).sum(axis=0).astype(float)
    tally = {name: np.zeros(lanes) for name in ("requests", "lost", "lost_time", "busy", "up")}
    tally["busy"] += _residual(pool, np.zeros(lanes))
    now, changes = np.zeros(lanes), np.zeros(lanes, dtype=np.intp)
    soonest, every, buffer = pool.change.min(axis=0), np.arange(lanes), np.empty_like(pool.open)
    for k in range(steps):
        np.maximum(pool.open, pool.next[:, READY], out=buffer)
        server = buffer.argmin(axis=0)
        begin = buffer[server, every]
        then = np.minimum(begin, soonest)
        tally["up"] += (then - now) * working
        now = then
        starts = begin <= soonest
        new = np.flatnonzero(starts)
        place = server[new]
        told = pool.jobs[place, new]
        latency[k, new] = pool.free[place, new] - told[:, ARRIVED]
        wait[k, new] = told[:, FIRST] - told[:, ARRIVED]
        _begin(pool, place, new, begin[new], tally, services, gaps)
        hit = np.flatnonzero(~starts)
        if len(hit):
            row = changes[hit]
            _change(pool, hit, now[hit], ups[row, hit], downs[row, hit], fate, tally)
            changes[hit] += 1
            working[hit] = np.isfinite(pool.open[:, hit]).sum(axis=0)
            soonest[hit] = pool.change[:, hit].min(axis=0)
    tally["busy"] -= _residual(pool, now)
    tally["time"] = now
    return Outcomes({"latency": latency, "wait": wait}, tally), _rebased(pool, now)


def _copied(pool: Pool) -> Pool:
    *arrays, depth = pool
    free, opens, change, jobs, head, stack = (part.copy() for part in arrays)
    return Pool(free, opens, change, jobs, head, stack, depth.copy())


def _begin(
    pool: Pool, server: Indices, lanes: Indices, begin: Array, tally: dict[str, Array], services: Array, gaps: Array
) -> None:
    """The heads of the queues are put on their servers, and the next requests come to the heads."""
    job = pool.next[lanes]
    job[:, FIRST] = np.where(np.isnan(job[:, FIRST]), begin, job[:, FIRST])
    pool.jobs[server, lanes] = job
    pool.free[server, lanes] = pool.open[server, lanes] = begin + job[:, LEFT]
    tally["busy"][lanes] += job[:, LEFT]
    depth = pool.depth[lanes]
    fresh, back = lanes[depth == 0], lanes[depth > 0]
    row = tally["requests"][fresh].astype(np.intp)
    tally["requests"][fresh] += 1
    pool.next[fresh] = _fresh(pool.next[fresh, ARRIVED] + gaps[row, fresh], services[row, fresh])
    if len(back):
        pool.depth[back] -= 1
        pool.next[back] = pool.stack[pool.depth[back], back]


def _fresh(came: Array, work: Array) -> Array:
    """New requests (lanes, 5)."""
    jobs = np.empty((len(came), 5))
    jobs[:, ARRIVED] = jobs[:, READY] = came
    jobs[:, FIRST] = math.nan
    jobs[:, WORK] = jobs[:, LEFT] = work
    return jobs


def _change(
    pool: Pool, lanes: Indices, now: Array, ups: Array, downs: Array, fate: str, tally: dict[str, Array]
) -> None:
    """The soonest failure or repair of each of the lanes."""
    server = pool.change[:, lanes].argmin(axis=0)
    fails = np.isfinite(pool.open[server, lanes])
    pool.change[server, lanes] += np.where(fails, downs, ups)
    mended, at = lanes[~fails], server[~fails]
    pool.open[at, mended] = np.maximum(pool.free[at, mended], now[~fails])
    pool.open[server[fails], lanes[fails]] = math.inf
    struck = fails & (pool.free[server, lanes] > now)
    lanes, server, now, downs = lanes[struck], server[struck], now[struck], downs[struck]
    if fate == "resumes":
        pool.free[server, lanes] += downs
        return
    left = pool.free[server, lanes] - now
    tally["busy"][lanes] -= left
    if fate == "lost":
        tally["lost"][lanes] += 1
        tally["lost_time"][lanes] += np.nan_to_num(now - pool.jobs[server, lanes, ARRIVED])
    else:
        pool.stack[pool.depth[lanes], lanes] = pool.next[lanes]
        pool.depth[lanes] += 1
        job = pool.jobs[server, lanes]
        job[:, READY] = now
        job[:, LEFT] = job[:, WORK] if fate == "restarts" else left
        pool.next[lanes] = job
    pool.free[server, lanes] = now
    pool.jobs[server, lanes, ARRIVED] = math.nan


def _residual(pool: Pool, now: Array) -> Array:
    """Seconds of work that servers have begun and not done; a frozen request's begin again at the repair."""
    since = np.where(np.isfinite(pool.open), now, np.maximum(pool.change, now))
    return np.asarray(np.maximum(pool.free - since, 0.0).sum(axis=0))


def _rebased(pool: Pool, now: Array) -> Pool:
    for part in (pool.free, pool.open, pool.change):
        part -= now
    for part in (pool.jobs, pool.next, pool.stack):
        part[..., :WORK] -= now[:, None]
    return pool
