"""Tiers in sequence, each one FIFO queue before its slots; requests overtake each other where there are several."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from scaling_models.latency import Distribution
from scaling_models.montecarlo.arrays import Array, Indices
from scaling_models.montecarlo.kernels.tiers import BORN, ENTERED, KEPT, PLACES, SIZE, Tiers
from scaling_models.montecarlo.streams import Streams
from scaling_models.montecarlo.systems import Outcomes
from scaling_models.montecarlo.traffic.flows import Flow, FlowState

ROUTE, START, LARGE = 2, 8, 9  # purposes of streams; 0 and 1 are the flow's


@dataclasses.dataclass(frozen=True)
class Line:
    """The tiers: their `slots`, and of each the chance of a first visit and of another one after a visit."""

    slots: tuple[int, ...]
    entered: tuple[float, ...]
    again: tuple[float, ...]

    @property
    def plain(self) -> bool:
        """Whether every request visits every tier once."""
        return not any(self.again) and min(self.entered) == 1.0

    @property
    def tier_of(self) -> NDArray[np.intp]:
        """The tier of each slot."""
        return np.repeat(np.arange(len(self.slots)), self.slots)

    def after(self, tiers: Indices, chances: Array) -> Indices:
        """The tier that is visited next, of requests that leave `tiers` (-1: arrive); as many as there are for leaving.

        `chances` (tiers, requests) are uniform; that of the tier itself decides whether it is visited again.
        """
        if self.plain:
            return tiers + 1
        found = np.full(len(tiers), len(self.slots), dtype=np.intp)
        for tier in reversed(range(len(self.slots))):
            found = np.where((tiers < tier) & (chances[tier] < self.entered[tier]), tier, found)
        same = np.maximum(tiers, 0)
        again = (tiers >= 0) & (chances[same, np.arange(len(tiers))] < np.asarray(self.again)[same])
        return np.asarray(np.where(again, tiers, found))


def tandem_times(
    services: Array, gaps: Array, chances: Array, sizes: Array | None, state: Tiers, line: Line
) -> tuple[dict[str, Array], dict[str, Array], Tiers]:
    """Latencies, and times in the tiers, of requests that go from tier to tier, for many independent lanes at once.

    A step (row) is an arrival or the end of a service, whichever is next in its lane (an end first), and uses the
    numbers of its row: `gaps` (steps, lanes) to the arrival after this one, `services` (steps, tiers, lanes) of the
    service that begins in it at a tier (at most two do: the one who comes, and the one who takes the slot left),
    `chances` (steps, tiers, lanes) of the way. Where there are `sizes` (steps, lanes), a request draws its own when it
    arrives and all its services are multiplied by it. Returns the latency of who leaves and the time in the tier of
    whose service ends (NaN elsewhere); tallies by lane; the new state. Seconds. Exact.
    """
    state = Tiers(*(getattr(state, field.name).copy() for field in dataclasses.fields(state)))
    tier_of, lanes = line.tier_of, len(state.coming)
    every, kinds = np.arange(lanes), len(line.slots)
    limits, begins = np.asarray(line.slots), np.concatenate([[0], np.cumsum(line.slots)])
    now, busy, arrived = np.zeros(lanes), np.zeros((lanes, kinds)), np.zeros(lanes)
    serving = np.stack(
        [np.isfinite(state.ends[:, begins[i] : begins[i + 1]]).sum(axis=1) for i in range(kinds)], axis=1
    )
    latencies, stays = np.full(gaps.shape, np.nan), np.full((kinds, *gaps.shape), np.nan)

    def begin(who: Indices, slots: Indices, tiers: Indices, requests: Array, row: int) -> None:
        state.held[who, slots] = requests
        taken = services[row, tiers, who] * requests[:, SIZE]
        state.ends[who, slots] = now[who] + taken
        busy[who, tiers] += taken

    for row in range(len(gaps)):
        slot = state.ends.argmin(axis=1)
        next_end = state.ends[every, slot]
        ends = next_end <= state.coming
        now = np.where(ends, next_end, state.coming)
        tiers = np.where(ends, tier_of[slot], -1)
        requests = state.held[every, slot]
        requests[~ends] = 0.0
        requests[~ends, BORN] = now[~ends]
        requests[~ends, SIZE] = 1.0 if sizes is None else sizes[row, ~ends]

        leaving = ends.nonzero()[0]
        at, left = slot[leaving], tiers[leaving]
        stays[left, row, leaving] = now[leaving] - requests[leaving, ENTERED]
        state.ends[leaving, at] = np.inf
        serving[leaving, left] -= 1

        target = line.after(tiers, chances[row])
        requests[:, ENTERED] = now
        gone = (target == kinds).nonzero()[0]
        latencies[row, gone] = now[gone] - requests[gone, BORN]
        moving = (target < kinds).nonzero()[0]
        to = target[moving]
        # Who leaves a slot and comes back to the same tier goes behind those that wait there.
        full = (serving[moving, to] >= limits[to]) | (state.length[moving, to] > 0)
        state.join(moving[full], to[full], requests[moving[full]])
        inside, into = moving[~full], to[~full]
        idle = np.isinf(state.ends[inside]) & (tier_of == into[:, None])
        begin(inside, idle.argmax(axis=1), into, requests[inside], row)
        serving[inside, into] += 1

        waits = state.length[leaving, left] > 0
        follow, freed = leaving[waits], left[waits]
        begin(follow, at[waits], freed, state.first(follow, freed), row)
        serving[follow, freed] += 1

        coming = (~ends).nonzero()[0]
        arrived[coming] += 1.0
        state.coming[coming] += gaps[row, coming]
    state.rebase(now)
    tallies = {"requests": arrived, "time": now, **{f"busy_{i}": busy[:, i] for i in range(kinds)}}
    return {"latency": latencies, **{f"tier_{i}": stay for i, stay in enumerate(stays)}}, tallies, state


@dataclasses.dataclass(frozen=True)
class Tandem:
    """Tiers in sequence, fed by a flow (whose own service does not count). A step is an arrival or a service's end.

    With `alike` a request is as large at every tier: all its services are their means, times one exponential size.
    """

    flow: Flow
    line: Line
    services: tuple[Distribution, ...]
    alike: bool = False

    @property
    def copies(self) -> int:
        """How many copies of the settled lanes are advanced together."""
        return 8 if sum(self.line.slots) <= 60 else 2

    def start(self, backlog: Array, rngs: Streams) -> tuple[Tiers, FlowState]:
        """Lanes that are empty, or with queues at every tier that are served within the backlog."""
        lanes, kinds = len(backlog), len(self.line.slots)
        full, rng = backlog > 0.0, rngs(START)
        first = backlog * rng.standard_exponential(lanes) / kinds
        rate = np.array([slots / law.mean() for slots, law in zip(self.line.slots, self.services, strict=True)])
        length = np.where(full[:, None], np.minimum(first[:, None] * rate, 1e6), 0.0).astype(np.intp)
        places = PLACES
        while places < length.max():
            places *= 2
        ends = [law._draw((lanes, slots), rng) for slots, law in zip(self.line.slots, self.services, strict=True)]
        held, waiting = np.zeros((lanes, sum(self.line.slots), KEPT)), np.zeros((lanes, kinds, places, KEPT))
        held[..., SIZE] = waiting[..., SIZE] = 1.0
        state = Tiers(
            coming=np.zeros(lanes),
            ends=np.where(full[:, None], np.concatenate(ends, axis=1), np.inf),
            held=held,
            waiting=waiting,
            head=np.zeros((lanes, kinds), dtype=np.intp),
            length=length,
        )
        return state, self.flow.start(lanes, rngs)

    def pick(self, state: tuple[Tiers, FlowState], lanes: Indices) -> tuple[Tiers, FlowState]:
        """The named lanes, copied."""
        return state[0].pick(lanes), self.flow.pick(state[1], lanes)

    def advance(
        self, state: tuple[Tiers, FlowState], rngs: Streams, customers: int
    ) -> tuple[Outcomes, tuple[Tiers, FlowState]]:
        """The next arrivals and ends of services of every lane, `customers` together."""
        _, gaps, after = self.flow.draw(state[1], rngs, customers)
        shape = gaps.shape
        rng = rngs(LARGE)
        sizes = rng.standard_exponential(shape) if self.alike else None
        services = drawn(self.services, shape, rng, constant=self.alike)
        chances = rngs(ROUTE).random((customers, len(self.services), shape[1]))
        times, tallies, tiers = tandem_times(services, gaps, chances, sizes, state[0], self.line)
        return Outcomes(times, tallies), (tiers, after)


def drawn(
    laws: Sequence[Distribution], shape: tuple[int, int], rng: np.random.Generator, *, constant: bool = False
) -> Array:
    """Services (steps, tiers, lanes) of each of the laws, or their means where `constant`."""
    each = [np.full(shape, law.mean()) if constant else law._draw(shape, rng) for law in laws]
    return np.stack(each, axis=1)


def follow(system: Tandem, events: int, rngs: Streams) -> tuple[Array, Array]:
    """Times (events,) of the events of one run from empty, and the requests at each tier (events, tiers) after them."""
    state, flow = system.start(np.zeros(1), rngs)
    _, gaps, _ = system.flow.draw(flow, rngs, events)
    services = drawn(system.services, gaps.shape, rngs(LARGE))
    chances = rngs(ROUTE).random((events, len(system.services), 1))
    ends = np.cumsum([0, *system.line.slots])
    times, present = np.empty(events), np.empty((events, len(system.services)))
    clock = 0.0
    for row in range(events):
        one = slice(row, row + 1)
        _, tallies, state = tandem_times(services[one], gaps[one], chances[one], None, state, system.line)
        clock += float(tallies["time"][0])
        busy = np.isfinite(state.ends[0])
        times[row], present[row] = clock, state.length[0] + np.add.reduceat(busy.astype(float), ends[:-1])
    return times, present
