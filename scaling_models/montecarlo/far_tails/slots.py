"""Rare waits of a central queue with several slots, by splitting."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np

from scaling_models.latency import Distribution
from scaling_models.montecarlo import settling
from scaling_models.montecarlo.arrays import Array, Indices
from scaling_models.montecarlo.estimates import NotSettled
from scaling_models.montecarlo.far_tails.splitting import CUSTOMERS, EFFORT, REPLICATIONS, SplitTail, split
from scaling_models.montecarlo.kernels.central import Central
from scaling_models.montecarlo.streams import Streams
from scaling_models.montecarlo.systems import Outcomes
from scaling_models.montecarlo.traffic.arrivals import Renewal
from scaling_models.montecarlo.traffic.flows import FlowState

COUNTED = 3.0  # mean services above the least free time, up to which work counts
HALVINGS = 40


class Slots(NamedTuple):
    """The slots and the last customer, seconds from its arrival.

    `free` (slots, lanes): when the slots come free; `wait` and `end` (lanes,): that customer's wait, and when it is
    done; `flow`: what the flow remembers.
    """

    free: Array
    wait: Array
    end: Array
    flow: FlowState = ()


@dataclasses.dataclass(frozen=True)
class CentralSlots:
    """A central queue that remembers its last customer; `renew` takes its services to be independent: GI/GI/c."""

    queue: Central

    @property
    def copies(self) -> int:
        """As many as the queue."""
        return self.queue.copies

    def start(self, backlog: Array, rngs: Streams) -> Slots:
        """All slots free, or busy for about the backlog."""
        free, flow = self.queue.start(backlog, rngs)
        return Slots(free, np.zeros(len(backlog)), np.zeros(len(backlog)), flow)

    def advance(self, state: Slots, rngs: Streams, customers: int) -> tuple[Outcomes, Slots]:
        """Waits and latencies of the next customers."""
        told, (free, flow) = self.queue.advance((state.free, state.flow), rngs, customers)
        wait, end = (told.times[name][-1].copy() for name in ("wait", "latency"))
        return told, Slots(free, wait, end, flow)

    def pick(self, state: Slots, lanes: Indices) -> Slots:
        """The named lanes."""
        free, flow = self.queue.pick((state.free, state.flow), lanes)
        return Slots(free, state.wait[lanes], state.end[lanes], flow)

    def importance(self, state: Slots) -> Array:
        """The mean over slots of the work before each (s), counted up to three mean services above the least."""
        work = np.maximum(state.free, 0.0)
        least = work.min(axis=0)
        counted = np.minimum(work, least + COUNTED * self.queue.flow.service.mean())
        return np.asarray(counted.mean(axis=0))

    def renew(self, state: Slots, level: float, rng: np.random.Generator) -> Slots:
        """Draw the last service S anew, given all before and that the importance is over the level.

        The importance rises with S, so that this is S > s, where s lies between 0 and S and is found by halving.
        """
        free, lanes = state.free.copy(), np.arange(len(state.wait))
        own = np.abs(free - state.end).argmin(axis=0)
        low, high = np.zeros(len(lanes)), state.end - state.wait
        for _ in range(HALVINGS):
            middle = (low + high) / 2.0
            free[own, lanes] = state.wait + middle
            over = self.importance(state._replace(free=free)) > level
            low, high = np.where(over, low, middle), np.where(over, middle, high)
        law = self.queue.flow.service
        services = law._iccdf(law._ccdf(high) * (1.0 - rng.random(len(lanes))))
        free[own, lanes] = end = state.wait + np.maximum(services, high)
        return state._replace(free=np.sort(free, axis=0), end=end)


def last_wait(outcomes: Outcomes) -> Array:
    """The wait of the last customer of each lane."""
    return np.asarray(outcomes.times["wait"][-1])


def split_waits(
    gap: Distribution,
    service: Distribution,
    slots: int,
    seed: int,
    smallest: float = 1e-9,
    *,
    replications: int = REPLICATIONS,
    effort: int = EFFORT,
    customers: int = CUSTOMERS,
) -> SplitTail:
    """Waits of GI/GI/c in the steady state by `split`; the warm-up is measured. Raises `NotSettled` at overload.

    Latencies are `.before(service)`: a FIFO wait is independent of the customer's own service. One server and light
    tails: `rare_waits` is faster by far. Down to 1e-4 plain simulation is as good. Several slots and heavy tails: a
    wait needs several long services at once, which this importance does not see coming; the mean stays right, but
    nothing is gained, and most replications see none of what counts, so that intervals are too narrow: use thousands
    of replications, or plain simulation.
    """
    load = service.mean() / gap.mean() / slots
    if not load < 1.0:
        raise NotSettled(f"the load is {load:.4g}, at or over capacity: there is no steady state to simulate")
    queue = Central(Renewal(gap, service), slots)
    start = settling.settle(queue, seed)
    system = CentralSlots(queue)
    return split(
        system,
        system.importance,
        last_wait,
        start.steps,
        seed,
        smallest,
        renew=system.renew,
        replications=replications,
        effort=effort,
        customers=customers,
    )
