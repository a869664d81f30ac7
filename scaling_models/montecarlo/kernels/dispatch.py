"""A pool behind a balancer: every request goes to a server at its arrival, and stays there."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from scaling_models.montecarlo.arrays import Array, Indices
from scaling_models.montecarlo.kernels.queues import running_sums
from scaling_models.montecarlo.kernels.residuals import overfull_slots, under_way
from scaling_models.montecarlo.kernels.rules import Rule
from scaling_models.montecarlo.kernels.servers import FifoServers, Servers
from scaling_models.montecarlo.kernels.sharing import SharingServers
from scaling_models.montecarlo.kernels.tallies import tallied
from scaling_models.montecarlo.kernels.waves import waves
from scaling_models.montecarlo.streams import Streams
from scaling_models.montecarlo.systems import BLOCK, LANES, Outcomes
from scaling_models.montecarlo.traffic.flows import Flow, FlowState

RULE, DISPATCHER, START = 2, 3, 8  # purposes of streams; 0 and 1 are the flow's
MOST_SHARERS = 256  # requests of one worker to begin with
FEW = 16  # slots of a pool whose lanes tell little
WIDE = 16  # servers for each that a rule looks at, from which on customers are dealt in waves


class Dispatched(NamedTuple):
    """What a block of customers told: waits (customers, lanes), latencies (rows, lanes), and the work they brought;
    of servers that answer in a fixed time, how many customers of each lane came there."""

    waits: Array
    latencies: Array
    work: Array
    errors: Array


def dispatch(
    pool: Servers,
    rule: Rule,
    work: Array,
    gaps: Array,
    rng: np.random.Generator,
    *,
    dispatcher: NDArray[Any] | None = None,
    dispatchers: int = 1,
    scale: Array | None = None,
    fixed: Array | None = None,
    in_waves: bool = False,
) -> Dispatched:
    """Deal a block of customers (customers, lanes) to the servers of `pool`, which is changed.

    `gaps[n]` (s) is the time from customer n - 1 to n, `work[n]` its service (s); on server j it takes
    `scale[j]` x work + `fixed[j]`. Each request comes to one of the `dispatchers`, `dispatcher[n]`, who counts only the
    requests that it sent. The rule's random numbers are drawn from `rng`. Exact for any gaps and services. A customer
    of each lane at a time or `in_waves`, for FIFO servers and rules that look at a few: the same to the last bit.
    """
    offsets = np.broadcast_to(np.arange(len(pool.now)) * pool.servers, gaps.shape)
    if dispatcher is not None:
        offsets = offsets * dispatchers + dispatcher.astype(np.intp) * pool.servers
    drawn = rule.draw(rng, offsets, pool.servers, pool.turn)
    moments = running_sums(gaps, pool.now)
    last = moments[-1].copy()
    order: Indices | None = None
    steps: Iterable[Any] = range(len(gaps))
    served = work if scale is None else work.copy()
    answered = None if scale is None else np.zeros(work.shape, dtype=bool)
    if in_waves:
        looked = _rows(drawn.reshape(*gaps.shape, -1), pool.servers, dispatchers)
        order, steps = waves(looked, len(pool.now) * pool.servers)
        drawn, moments, served = (_in_order(each, order) for each in (drawn, moments, served))
        answered = None if answered is None else _in_order(answered, order)
        offsets = drawn  # which hold them
    waits, latencies = np.empty_like(served), list[Array]()
    for at in steps:
        pool.now = moments[at]
        counters, words = rule.choose(pool, drawn[at], offsets[at])
        rows = _rows(counters, pool.servers, dispatchers)
        if scale is not None and fixed is not None and answered is not None:
            server = rows % pool.servers
            speeds = scale.take(server)
            served[at] = served[at] * speeds + fixed.take(server)
            answered[at] = speeds == 0.0
        told = pool.admit(rows, counters, words, served[at], waits[at])
        if told is not None:
            latencies.append(told)
    pool.now = last
    pool.turn += len(gaps)
    if order is not None:
        waits = _put_back(waits, order, gaps.shape)
        served = work if scale is None else _put_back(served, order, gaps.shape)
        answered = None if answered is None else _put_back(answered, order, gaps.shape)
    errors = np.zeros(gaps.shape[1]) if answered is None else answered.sum(axis=0, dtype=float)
    return Dispatched(waits, np.vstack(latencies) if latencies else waits + served, served, errors)


def _rows(counters: Indices, servers: int, dispatchers: int) -> Indices:
    """The rows of the servers that are counted in these rows, one of which each dispatcher has for each server."""
    if dispatchers == 1:
        return counters
    lane = counters // (servers * dispatchers)
    return lane * servers + counters % servers


def _in_order(each: NDArray[Any], order: Indices) -> NDArray[Any]:
    """What stands by customer (customers, lanes, ...), in the `order` given."""
    return each.reshape(order.size, *each.shape[2:]).take(order, axis=0, mode="clip")


def _put_back(each: NDArray[Any], order: Indices, shape: tuple[int, ...]) -> NDArray[Any]:
    """In the order of customers (customers, lanes) what stands in another `order`."""
    found = np.empty_like(each)
    found[order] = each
    return found.reshape(shape)


@dataclasses.dataclass(frozen=True)
class Dispatch:
    """The system of `servers` with `workers` each, fed by a flow and a rule; servers may differ in speed.

    `speeds` divide the services (1 each unless given); a server with a number in `fixed` answers everything in that
    time (s), as one does that fails fast. `sharing` servers serve all they have at once instead of FIFO.
    """

    flow: Flow
    rule: Rule
    servers: int
    workers: int = 1
    dispatchers: int = 1
    speeds: tuple[float, ...] | None = None
    fixed: tuple[float | None, ...] | None = None
    sharing: bool = False

    @property
    def in_waves(self) -> bool:
        """Whether many customers of a lane are dealt at once, so that few lanes are as good as many."""
        return not self.sharing and 0 < WIDE * self.rule.looks <= self.servers

    @property
    def lanes(self) -> int:
        """How many lanes settle: the fewer the more servers each averages, down to what a step costs anyway."""
        if self.in_waves:
            return LANES // 4
        return 2 * LANES if self.servers * self.workers <= FEW else LANES

    @property
    def block(self) -> int:
        """How many customers of a lane are dealt in a block: the more, the wider the waves."""
        return 16 * BLOCK if self.in_waves else BLOCK

    @property
    def copies(self) -> int:
        """How many copies of the settled lanes are advanced together: what keeps the state within the caches."""
        if self.in_waves:
            return 4
        return 4 if self.servers * self.workers <= 400 else 2

    def start(self, backlog: Array, rngs: Streams) -> tuple[Servers, FlowState]:
        """Lanes from empty, or from work at every server: exponential with the backlog as its mean, and what is left of
        a service under way at each of its workers."""
        pool: Servers
        rng, dispatchers = rngs(START), self.dispatchers if self.rule.counts else 1
        each = backlog[:, None] * rng.standard_exponential((len(backlog), self.servers))
        if self.sharing:
            present, sizes = self._sharers(each, rng)
            pool = SharingServers.begin(present, sizes, self.workers, dispatchers, rng)
        else:
            free = overfull_slots(self.workers, each.ravel(), self.flow.service, rng)
            pool = FifoServers.begin(len(backlog), np.ascontiguousarray(free.T), dispatchers)
        return pool, self.flow.start(len(backlog), rngs)

    def _sharers(self, backlog: Array, rng: np.random.Generator) -> tuple[Indices, Array]:
        """How many requests are at each server where they stay for about the backlog (Little), and their sizes (s).

        See `under_way`.
        """
        present = rng.poisson(np.minimum(backlog * self.flow.arrival_rate / self.servers, MOST_SHARERS * self.workers))
        return present, under_way(self.flow.service, int(present.sum()), rng)

    def pick(self, state: tuple[Servers, FlowState], lanes: Indices) -> tuple[Servers, FlowState]:
        """The named lanes, copied."""
        return state[0].pick(lanes), self.flow.pick(state[1], lanes)

    def advance(
        self, state: tuple[Servers, FlowState], rngs: Streams, customers: int
    ) -> tuple[Outcomes, tuple[Servers, FlowState]]:
        """The next customers of every lane."""
        pool, before = state
        work, gaps, after = self.flow.draw(before, rngs, customers)
        told = self.deal(pool, work, gaps, rngs)
        times, tallies = (
            {"wait": told.waits, "latency": told.latencies},
            {**tallied(told.waits, told.work, gaps.sum(axis=0)), "offered": work.sum(axis=0)},
        )
        if self.fixed is not None:
            tallies["errors"] = told.errors
        if self.sharing:  # nobody waits for a worker, and nobody has one alone
            del times["wait"], tallies["waited"]
        return Outcomes(times, tallies), (pool, after)

    def deal(self, pool: Servers, work: Array, gaps: Array, rngs: Streams) -> Dispatched:
        """Deal a block of customers to the servers, each through one of the dispatchers at random."""
        scale, fixed = self._differences()
        dispatcher = None
        if self.dispatchers > 1 and self.rule.counts:
            dispatcher = rngs(DISPATCHER).integers(0, self.dispatchers, gaps.shape, dtype=np.uint16)
        return dispatch(
            pool,
            self.rule,
            work,
            gaps,
            rngs(RULE),
            dispatcher=dispatcher,
            dispatchers=self.dispatchers,
            scale=scale,
            fixed=fixed,
            in_waves=self.in_waves,
        )

    def _differences(self) -> tuple[Array | None, Array | None]:
        if self.speeds is None and self.fixed is None:
            return None, None
        speeds = np.array(self.speeds or (1.0,) * self.servers)
        fixed = self.fixed or (None,) * self.servers
        answers = np.array([each is not None for each in fixed])
        return np.where(answers, 0.0, 1.0 / speeds), np.array([each or 0.0 for each in fixed])
