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
from scaling_models.montecarlo.kernels.queues import busy_slots, central_waits
from scaling_models.montecarlo.streams import Streams
from scaling_models.montecarlo.systems import Outcomes
from scaling_models.montecarlo.traffic.arrivals import Renewal

COUNTED = 3.0  # mean services above the least free time, up to which work counts
HALVINGS = 40


class Slots(NamedTuple):
    """When the slots come free (slots, lanes), counted from the last arrival, and that customer's wait (lanes), s."""

    free: Array
    wait: Array
    end: Array


@dataclasses.dataclass(frozen=True)
class CentralSlots:
    """One FIFO queue before equal slots, with independent gaps and services: GI/GI/c by Kiefer and Wolfowitz."""

    gap: Distribution
    service: Distribution
    slots: int

    def start(self, backlog: Array, rngs: Streams) -> Slots:
        """All slots free, or busy for about the backlog."""
        return Slots(busy_slots(self.slots, backlog), np.zeros(len(backlog)), np.zeros(len(backlog)))

    def advance(self, state: Slots, rngs: Streams, customers: int) -> tuple[Outcomes, Slots]:
        """Waits and latencies of the next customers."""
        shape = (customers, len(state.wait))
        services, gaps = self.service._draw(shape, rngs(0)), self.gap._draw(shape, rngs(1))
        waits, free = central_waits(services, gaps, state.free)
        times = {"wait": waits, "latency": waits + services}
        return Outcomes(times, {}), Slots(free, waits[-1].copy(), waits[-1] + services[-1])

    def pick(self, state: Slots, lanes: Indices) -> Slots:
        """The named lanes."""
        return Slots(state.free[:, lanes], state.wait[lanes], state.end[lanes])

    def importance(self, state: Slots) -> Array:
        """The mean over slots of the work before each (s), counted up to three mean services above the least."""
        work = np.maximum(state.free, 0.0)
        least = work.min(axis=0)
        counted = np.minimum(work, least + COUNTED * self.service.mean())
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
        services = self.service._iccdf(self.service._ccdf(high) * (1.0 - rng.random(len(lanes))))
        free[own, lanes] = end = state.wait + np.maximum(services, high)
        return Slots(np.sort(free, axis=0), state.wait, end)


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
    start = settling.settle(Central(Renewal(gap, service), slots), seed)
    system = CentralSlots(gap, service, slots)
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
