"""Requests lost: a queue with few places, clients who leave it, and a deadline looked at when a slot comes free."""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar, NamedTuple

import numpy as np

from scaling_models.latency import Distribution
from scaling_models.montecarlo.arrays import Array, Flags, Indices
from scaling_models.montecarlo.kernels.queues import insert
from scaling_models.montecarlo.kernels.residuals import overfull_slots
from scaling_models.montecarlo.kernels.tallies import counts
from scaling_models.montecarlo.streams import Streams
from scaling_models.montecarlo.systems import Outcomes
from scaling_models.montecarlo.traffic.flows import Flow, FlowState

PATIENCE, START = 2, 8  # purposes of streams; 0 and 1 are the flow's


class Line(NamedTuple):
    """One FIFO queue before several slots, lane by lane; times in seconds from the lane's last arrival.

    `free` (slots, lanes), ascending: when each slot comes free of what it has taken and what waits for it.
    `places` (places, lanes): when whoever took each of the queue's places last leaves it, past or future (no rows where
    the queue has no limit, or no place). `oldest` (lanes,): the place taken longest ago, where places empty in order.
    """

    free: Array
    places: Array
    oldest: Indices

    def pick(self, lanes: Indices) -> Line:
        """The state of the named lanes, copied."""
        return Line(self.free[:, lanes], self.places[:, lanes], self.oldest[lanes])


LossState = tuple[Line, FlowState]


def start_line(free: Array, queue_limit: float, backlog: Array) -> Line:
    """Slots that come `free` (slots, lanes); all places are taken for about the backlog (s, lanes), if any."""
    places = 0 if math.isinf(queue_limit) else int(queue_limit)
    leaving = np.linspace(0.0, 1.0, places + 1)[1:, None] * backlog
    oldest = np.zeros(len(backlog), dtype=np.intp)
    return Line(free, np.where(backlog > 0.0, leaving, -np.inf), oldest)


def take_place(line: Line, lane: Indices, now: Array, leave: Array, comes: Flags | bool = True) -> Flags:
    """Whether the queue is full at `now` (lanes,); where not, who comes takes a place until `leave`. Changes the line.

    For places that empty in the order in which they were taken: the one taken longest ago tells whether all are taken.
    """
    last = line.places[line.oldest, lane]
    full = last > now
    joins = ~full & comes
    line.places[line.oldest, lane] = np.where(joins, leave, last)
    np.add(line.oldest, joins, out=line.oldest)
    line.oldest[line.oldest == len(line.places)] = 0
    return full


def lossy_waits(
    services: Array, gaps: Array, line: Line, queue_limit: float = math.inf, patience: Array | float = math.inf,
    deadline: float = math.inf,
) -> tuple[Array, Flags, Line]:  # fmt: skip
    """Waits that one queue before several slots offers, and who finds it full, for many independent lanes at once.

    Kiefer and Wolfowitz's recursion on the times at which slots come free, in which only the served count. An arrival
    whom no slot takes at once waits if fewer than `queue_limit` others do, and is rejected otherwise. Who waits leaves
    unserved at its `patience`, if that is below its wait; or is dropped when a slot would take it, if it has by then
    waited longer than `deadline`. Until then it holds its place, and neither costs any service. A place or a slot that
    comes free at the very time of an arrival is free for it, and a wait of just the patience or deadline is served.

    `gaps[n]` (customers, lanes) is the time from customer n - 1 to n, `services[n]` its service, `patience[n]` its
    patience (a number if all have the same), all in seconds. Returns the offered waits (customers, lanes), of the
    rejected and of those who leave too; who was rejected; and the line after the last arrival. Exact.
    """
    tolerance = np.broadcast_to(np.minimum(patience, deadline), services.shape)
    patience = np.broadcast_to(patience, services.shape)
    waits, rejected = np.empty_like(services), np.zeros(services.shape, dtype=np.bool_)
    limited, ordered = math.isfinite(queue_limit), bool(np.isinf(patience).all())
    free, line = line.free.copy(), Line(line.free, line.places.copy(), line.oldest.copy())
    places, spare, spare_places = line.places, np.empty_like(free), np.empty_like(line.places)
    lane, now = np.arange(services.shape[1]), np.zeros(services.shape[1])
    for n, (gap, service, wait, full) in enumerate(zip(gaps, services, waits, rejected, strict=True)):
        now += gap
        begin = np.maximum(free[0], now)
        np.subtract(begin, now, out=wait)
        if not limited:
            served = wait <= tolerance[n]
        else:
            if not len(places):
                np.greater(wait, 0.0, out=full)
            elif ordered:
                full[:] = take_place(line, lane, now, begin)
            else:
                np.greater(places[0], now, out=full)
                leave = np.where(full, -np.inf, np.minimum(begin, now + patience[n]))
                places, spare_places = insert(places, leave, spare_places)
            served = ~full & (wait <= tolerance[n])
        free, spare = insert(free, np.where(served, begin + service, -np.inf), spare)
    return waits, rejected, Line(free - now, places - now, line.oldest)


@dataclasses.dataclass(frozen=True)
class Loss:
    """One FIFO queue before `slots` slots, fed by a flow of which some requests are lost; times in seconds.

    At most `queue_limit` requests wait, the rest are rejected (0: a loss system); with a `patience` they leave when
    their wait exceeds it; with a `deadline` they are dropped when a slot would take them and their wait exceeds it.
    A step is an arrival. Conventions as in `lossy_waits`. Raises ValueError where a limit is no whole number >= 0.
    """

    flow: Flow
    slots: int
    queue_limit: float = math.inf
    patience: Distribution | None = None
    deadline: float = math.inf
    copies: ClassVar[int] = 4

    def __post_init__(self) -> None:
        check_limit(self.queue_limit)

    def start(self, backlog: Array, rngs: Streams) -> LossState:
        """Empty lanes, or lanes with all places taken and slots busy for `backlog` seconds."""
        free = overfull_slots(self.slots, backlog, self.flow.service, rngs(START))
        return start_line(free, self.queue_limit, backlog), self.flow.start(len(backlog), rngs)

    def advance(self, state: LossState, rngs: Streams, customers: int) -> tuple[Outcomes, LossState]:
        """`customers` arrivals a lane: the latency of the served, the time in the queue of all who were admitted.
        With a patience also of the served and of those who lost theirs ("wait_of_served", "wait_of_abandoned").

        Tallies: requests, rejected, abandoned, dropped, waited (admitted, but not served at once), busy and time (s).
        """
        services, gaps, after = self.flow.draw(state[1], rngs, customers)
        patience = math.inf if self.patience is None else self.patience._draw(gaps.shape, rngs(PATIENCE))
        waits, rejected, line = lossy_waits(services, gaps, state[0], self.queue_limit, patience, self.deadline)
        abandoned = ~rejected & (waits > patience)
        dropped = ~rejected & ~abandoned & (waits > self.deadline)
        served = ~(rejected | abandoned | dropped)
        times = {
            "latency": np.where(served, waits + services, np.nan),
            "wait": np.where(rejected, np.nan, np.minimum(waits, patience)),
        }
        if self.patience is not None:
            times["wait_of_served"] = np.where(served, waits, np.nan)
            times["wait_of_abandoned"] = np.where(abandoned, patience, np.nan)
        tallies = counts(rejected=rejected, abandoned=abandoned, dropped=dropped, waited=~rejected & (waits > 0))
        tallies["requests"] = np.full(gaps.shape[1], float(customers))
        tallies["busy"] = (services * served).sum(axis=0)
        tallies["time"] = gaps.sum(axis=0)
        return Outcomes(times, tallies), (line, after)

    def pick(self, state: LossState, lanes: Indices) -> LossState:
        """The state of the named lanes, copied."""
        return state[0].pick(lanes), self.flow.pick(state[1], lanes)


def check_limit(queue_limit: float) -> None:
    """Refuse a queue limit that is neither a whole number >= 0 nor infinite."""
    if not (queue_limit >= 0 and (math.isinf(queue_limit) or float(queue_limit).is_integer())):
        raise ValueError(f"queue_limit must be a whole number in [0, inf], or inf; got {queue_limit!r}")
