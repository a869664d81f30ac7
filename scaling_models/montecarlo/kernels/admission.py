"""Classes of requests before slots that admit each class up to a limit of its own: bulkheads, and shed load."""

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

CLASSES, START, SERVICES = 2, 8, 9  # purposes of streams; 0, 1, 6 and 7 are the flow's, 9 and on are by class


@dataclasses.dataclass(frozen=True)
class AdmittedClass:
    """A class of requests: its `share` of them, the `limit` on requests of all classes below which it is admitted.

    `own_limit`: the requests of this class below which it is admitted, too; `service`: unless the flow's.
    """

    share: float
    limit: int
    own_limit: int | None = None
    service: Distribution | None = None


class Present(NamedTuple):
    """When requests leave, lane by lane, ascending, in seconds from the last arrival; past times are free places.

    `all` (most, lanes): the last to leave of all; `own` (own limit, lanes): of each class (no rows without such a
    limit). The last c of `all` are when the c slots come free, for who waits is taken by whichever comes free first.
    """

    all: Array
    own: tuple[Array, ...]


def nobody(classes: tuple[AdmittedClass, ...], lanes: int) -> Present:
    """Empty lanes."""
    most = most_present(classes)
    own = tuple(np.full((min(each.own_limit or 0, most), lanes), -np.inf) for each in classes)
    return Present(np.full((most, lanes), -np.inf), own)


def most_present(classes: tuple[AdmittedClass, ...]) -> int:
    """How many requests of all classes can be present."""
    return max(1, *(each.limit for each in classes))


def admitted_waits(
    services: Array, gaps: Array, who: Indices, present: Present, classes: tuple[AdmittedClass, ...], slots: int
) -> tuple[Array, Flags, Present]:
    """Waits in one FIFO queue before equal slots, of requests that are admitted by limits, for many lanes at once.

    A request of class `who[n]` (customers, lanes) is admitted if fewer than the class's `limit` requests are present,
    waiting or served, and fewer than its `own_limit` of its class; else it is rejected and costs nothing. A place that
    comes free at the very time of an arrival is free for it. `gaps[n]` is the time from request n - 1 to n and
    `services[n]` its service, seconds. Returns the waits (customers, lanes), NaN of the rejected; who was rejected; and
    who is present after the last arrival. Exact.
    """
    waits, rejected = np.full_like(services, np.nan), np.zeros(services.shape, dtype=np.bool_)
    everyone, spare = present.all.copy(), np.empty_like(present.all)
    own, spares = [rows.copy() for rows in present.own], [np.empty_like(rows) for rows in present.own]
    most, lane, now = len(everyone), np.arange(services.shape[1]), np.zeros(services.shape[1])
    limits = np.array([each.limit for each in classes])
    for n, gap in enumerate(gaps):
        now += gap
        limit = limits[who[n]]
        full = (limit == 0) | (everyone[np.minimum(most - limit, most - 1), lane] > now)
        for k, rows in enumerate(own):
            if len(rows):
                full |= (who[n] == k) & (rows[0] > now)
        begin = np.maximum(everyone[most - slots], now) if most >= slots else now
        rejected[n], waits[n] = full, np.where(full, np.nan, begin - now)
        leave = np.where(full, -np.inf, begin + services[n])
        everyone, spare = insert(everyone, leave, spare)
        for k, rows in enumerate(own):
            if len(rows):
                own[k], spares[k] = insert(rows, np.where(who[n] == k, leave, -np.inf), spares[k])
    return waits, rejected, Present(everyone - now, tuple(rows - now for rows in own))


AdmissionState = tuple[Present, FlowState]


@dataclasses.dataclass(frozen=True)
class Admission:
    """One FIFO queue before `slots` slots, fed by a flow whose requests belong to `classes` at random.

    A step is an arrival. `deadline` (s): who is answered within it is tallied. Conventions as in `admitted_waits`.
    """

    flow: Flow
    slots: int
    classes: tuple[AdmittedClass, ...]
    deadline: float = math.inf
    copies: ClassVar[int] = 4

    def start(self, backlog: Array, rngs: Streams) -> AdmissionState:
        """Nobody present, or lanes in which all places are taken for `backlog` seconds and what is left of a service.

        (Of every class, too: more than can be, which they forget as the rest.)
        """
        services = [each.service or self.flow.service for each in self.classes]
        longest = max(services, key=lambda service: service.mean())
        empty = nobody(self.classes, len(backlog))
        left = overfull_slots(len(empty.all), backlog, longest, rngs(START))
        leave = np.where(backlog > 0.0, left, -np.inf)
        own = tuple(leave[len(leave) - len(rows) :] for rows in empty.own)
        return Present(leave, own), self.flow.start(len(backlog), rngs)

    def advance(self, state: AdmissionState, rngs: Streams, customers: int) -> tuple[Outcomes, AdmissionState]:
        """`customers` arrivals a lane: latency and wait of the admitted, of all and by class ("latency_1": the first).

        Tallies: requests and rejected (also by class), abandoned (none), waited, in_time (also by class), busy and
        time (s).
        """
        services, gaps, after = self.flow.draw(state[1], rngs, customers)
        who = self._who(rngs(CLASSES).random(gaps.shape))
        for k, each in enumerate(self.classes):
            if each.service is not None:
                services = np.where(who == k, each.service._draw(gaps.shape, rngs(SERVICES + k)), services)
        waits, rejected, present = admitted_waits(services, gaps, who, state[0], self.classes, self.slots)
        latencies = waits + services
        in_time = latencies <= self.deadline  # a rejected request's is NaN, and never in time
        times = {"latency": latencies, "wait": waits}
        tallies = counts(rejected=rejected, abandoned=rejected & ~rejected, waited=waits > 0.0, in_time=in_time)
        for k in range(len(self.classes)):
            mine = who == k
            times |= {f"latency_{k + 1}": np.where(mine, latencies, np.nan)}
            tallies |= counts(
                **{f"requests_{k + 1}": mine, f"rejected_{k + 1}": mine & rejected, f"in_time_{k + 1}": mine & in_time}
            )
            tallies[f"busy_{k + 1}"] = np.where(mine & ~rejected, services, 0.0).sum(axis=0)
        tallies["requests"] = np.full(gaps.shape[1], float(customers))
        tallies["busy"] = np.where(rejected, 0.0, services).sum(axis=0)
        tallies["time"] = gaps.sum(axis=0)
        return Outcomes(times, tallies), (present, after)

    def _who(self, uniform: Array) -> Indices:
        """The class of each request, from a uniform number."""
        ends = np.cumsum([each.share for each in self.classes])[:-1]
        return np.searchsorted(ends, uniform, side="right")

    def pick(self, state: AdmissionState, lanes: Indices) -> AdmissionState:
        """The state of the named lanes, copied."""
        present, flow = state
        return Present(present.all[:, lanes], tuple(rows[:, lanes] for rows in present.own)), self.flow.pick(
            flow, lanes
        )
