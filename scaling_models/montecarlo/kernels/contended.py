"""Slots that slow each other down: requests in service all advance at a pace that depends on how many they are."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from scaling_models.montecarlo.arrays import Array, Indices
from scaling_models.montecarlo.kernels.servers import widened
from scaling_models.montecarlo.streams import Streams
from scaling_models.montecarlo.systems import Outcomes
from scaling_models.montecarlo.traffic.flows import Flow, FlowState

START = 8  # purpose of a stream; 0 and 1 are the flow's
PLACES = 8  # for waiting requests of a lane at first; doubled when they run out


@dataclasses.dataclass
class Contention:
    """Requests in service and waiting, of many lanes; times in seconds from the lane's last step.

    Each lane keeps a clock that runs at the pace of its services: a request that begins when it shows v and wants s
    leaves when it shows v + s, whatever happens meanwhile.
    """

    coming: Array  # (lanes,) the next arrival
    leave: Array  # (lanes, slots) what the clock, set to 0 at the last step, will show at the departure; inf if open
    born: Array  # (lanes, slots) when the request in the slot arrived
    waiting: Array  # (lanes, places) a ring of arrival times
    head: Indices  # (lanes,) the place of the first
    length: Indices  # (lanes,) how many wait

    def pick(self, lanes: Indices) -> Contention:
        """A copy of the named lanes."""
        return Contention(*(getattr(self, field.name)[lanes].copy() for field in dataclasses.fields(self)))

    def rebase(self, now: Array, shown: Array) -> None:
        """Count times from the lanes' `now`, and what their clocks show from `shown`."""
        self.coming -= now
        self.born -= now[:, None]
        self.waiting -= now[:, None]
        self.leave -= shown[:, None]

    def join(self, lanes: Indices, now: Array) -> None:
        """A request of each named lane goes to the end of the queue."""
        if self.length.max() == self.waiting.shape[1]:
            among, places = self.waiting.shape
            order = (self.head[:, None] + np.arange(places)) % places
            self.waiting = widened(self.waiting[np.arange(among)[:, None], order], 0.0)
            self.head[:] = 0
        self.waiting[lanes, (self.head[lanes] + self.length[lanes]) % self.waiting.shape[1]] = now
        self.length[lanes] += 1

    def first(self, lanes: Indices) -> Array:
        """Take the first of the queue of each named lane, and tell when it arrived."""
        arrived = self.waiting[lanes, self.head[lanes]]
        self.head[lanes] = (self.head[lanes] + 1) % self.waiting.shape[1]
        self.length[lanes] -= 1
        return np.asarray(arrived)


def contended_times(
    services: Array, gaps: Array, state: Contention, pace: Array
) -> tuple[dict[str, Array], dict[str, Array], Contention]:
    """Latencies and waits of a FIFO queue before slots that slow each other down, for many independent lanes at once.

    With k requests in service each advances at `pace[k]` seconds of work a second. A step (row) is an arrival or a
    departure, whichever is next in its lane (a departure first), and uses the numbers of its row: `gaps` to the arrival
    after this one, `services` of the request that begins in it. Both are (steps, lanes), seconds. Returns latencies,
    known at a departure, and waits, known where a service begins (NaN elsewhere); tallies by lane; and the new state.
    Exact.
    """
    state = state.pick(slice(None))  # type: ignore[arg-type]  # all of them
    lanes, slots = state.leave.shape
    every = np.arange(lanes)
    now, shown, busy = np.zeros(lanes), np.zeros(lanes), np.zeros(lanes)
    serving = np.isfinite(state.leave).sum(axis=1)
    latencies, waits = np.full_like(services, np.nan), np.full_like(services, np.nan)
    arrived = np.zeros(lanes)
    for row, (service, gap) in enumerate(zip(services, gaps, strict=True)):
        slot = state.leave.argmin(axis=1)
        with np.errstate(invalid="ignore"):
            ends = now + (state.leave[every, slot] - shown) / pace[serving]
        departs = ends <= state.coming
        passed = np.where(departs, ends, state.coming) - now
        now += passed
        shown += passed * pace[serving]
        busy += passed * serving

        leaving = departs.nonzero()[0]
        at = slot[leaving]
        latencies[row, leaving] = now[leaving] - state.born[leaving, at]
        state.leave[leaving, at] = np.inf
        serving[leaving] -= 1
        ready = leaving[state.length[leaving] > 0]
        _begin(state, ready, slot[ready], state.first(ready), service, shown)
        waits[row, ready] = now[ready] - state.born[ready, slot[ready]]
        serving[ready] += 1

        coming = (~departs).nonzero()[0]
        full = serving[coming] == slots
        state.join(coming[full], now[coming[full]])
        free = coming[~full]
        _begin(state, free, np.isinf(state.leave[free]).argmax(axis=1), now[free], service, shown)
        waits[row, free] = 0.0
        serving[free] += 1
        arrived[coming] += 1.0
        state.coming[coming] += gap[coming]
    state.rebase(now, shown)
    tallies = {"requests": arrived, "busy": busy, "time": now}
    return {"latency": latencies, "wait": waits}, tallies, state


def _begin(state: Contention, lanes: Indices, slots: Indices, born: Array, service: Array, shown: Array) -> None:
    state.leave[lanes, slots] = shown[lanes] + service[lanes]
    state.born[lanes, slots] = born


@dataclasses.dataclass(frozen=True)
class Contended:
    """One FIFO queue before slots that slow each other down: with k in service each advances at `pace[k - 1]`.

    A step is an arrival or a departure; the flow's services and gaps must be independent of those before.
    """

    flow: Flow
    pace: tuple[float, ...]

    @property
    def copies(self) -> int:
        """How many copies of the settled lanes are advanced together."""
        return 8 if len(self.pace) <= 60 else 2

    @property
    def capacity(self) -> float:
        """Requests a second with all slots busy."""
        return len(self.pace) * self.pace[-1] / self.flow.service.mean()

    def start(self, backlog: Array, rngs: Streams) -> tuple[Contention, FlowState]:
        """Lanes that are empty, or with as many waiting as are served within the backlog."""
        lanes, slots = len(backlog), len(self.pace)
        full = backlog > 0.0
        first = backlog * rngs(START).standard_exponential(lanes)
        length = np.where(full, first * self.capacity, 0.0).astype(np.intp)
        places = PLACES
        while places < length.max():
            places *= 2
        services = self.flow.service._draw((lanes, slots), rngs(START + 1))
        state = Contention(
            coming=np.zeros(lanes),
            leave=np.where(full[:, None], services, np.inf),
            born=np.zeros((lanes, slots)),
            waiting=np.zeros((lanes, places)),
            head=np.zeros(lanes, dtype=np.intp),
            length=length,
        )
        return state, self.flow.start(lanes, rngs)

    def pick(self, state: tuple[Contention, FlowState], lanes: Indices) -> tuple[Contention, FlowState]:
        """The named lanes, copied."""
        return state[0].pick(lanes), self.flow.pick(state[1], lanes)

    def advance(
        self, state: tuple[Contention, FlowState], rngs: Streams, customers: int
    ) -> tuple[Outcomes, tuple[Contention, FlowState]]:
        """The next arrivals and departures of every lane, `customers` together."""
        services, gaps, after = self.flow.draw(state[1], rngs, customers)
        pace = np.array([1.0, *self.pace])
        times, tallies, contention = contended_times(services, gaps, state[0], pace)
        waits = times["wait"]
        told = {
            **tallies,
            "begun": np.isfinite(waits).sum(axis=0, dtype=float),
            "waited": (waits > 0.0).sum(axis=0, dtype=float),
        }
        return Outcomes(times, told), (contention, after)


def follow(system: Contended, waiting: int, events: int, seed_streams: Any) -> tuple[Array, Array]:
    """Times (s) of the events of one run and the requests there after each, from `waiting` requests and full slots."""
    state, flow = system.start(np.array([1.0]), seed_streams)
    state.length[:] = waiting
    state.waiting = np.zeros((1, max(PLACES, waiting)))
    services, gaps, _ = system.flow.draw(flow, seed_streams, events)
    times, present = np.empty(events), np.empty(events)
    clock, pace = 0.0, np.array([1.0, *system.pace])
    for row in range(events):
        _, tallies, state = contended_times(services[row : row + 1], gaps[row : row + 1], state, pace)
        clock += float(tallies["time"][0])
        times[row] = clock
        present[row] = state.length[0] + np.isfinite(state.leave[0]).sum()
    return times, present
