"""One queue before all slots: the system that Kiefer and Wolfowitz's recursion simulates."""

from __future__ import annotations

import dataclasses

import numpy as np

from scaling_models.montecarlo.arrays import Array, Indices
from scaling_models.montecarlo.kernels.queues import central_waits
from scaling_models.montecarlo.kernels.residuals import overfull_slots
from scaling_models.montecarlo.kernels.tallies import tallied
from scaling_models.montecarlo.streams import Streams
from scaling_models.montecarlo.systems import BLOCK, LANES, Outcomes
from scaling_models.montecarlo.traffic.flows import Flow, FlowState

START = 8  # purpose of a stream; 0 and 1 are the flow's
FEW = 16  # slots
CentralState = tuple[Array, FlowState]


@dataclasses.dataclass(frozen=True)
class Central:
    """One FIFO queue before `slots` equal slots, fed by a flow. The state: free times (slots, lanes) and the flow's."""

    flow: Flow
    slots: int

    @property
    def lanes(self) -> int:
        """How many lanes settle: as many as of `Dispatch`, so that policies are compared path by path."""
        return 2 * LANES if self.slots <= FEW else LANES

    @property
    def block(self) -> int:
        """How many customers of a lane are dealt in a block: more where a block is soon done."""
        return 2 * BLOCK if self.slots <= FEW else BLOCK

    @property
    def copies(self) -> int:
        """How many copies of the settled lanes are advanced together: what keeps a block within the caches."""
        return 2 if self.slots <= FEW else 4

    def start(self, backlog: Array, rngs: Streams) -> CentralState:
        """Lanes from empty, or from slots all busy for a time that is exponential with the backlog as its mean."""
        rng = rngs(START)
        first = backlog * rng.standard_exponential(len(backlog))
        free = overfull_slots(self.slots, first, self.flow.service, rng)
        return free, self.flow.start(len(backlog), rngs)

    def pick(self, state: CentralState, lanes: Indices) -> CentralState:
        """The named lanes, copied."""
        return np.ascontiguousarray(state[0][:, lanes]), self.flow.pick(state[1], lanes)

    def advance(self, state: CentralState, rngs: Streams, customers: int) -> tuple[Outcomes, CentralState]:
        """The next customers of every lane."""
        services, gaps, after = self.flow.draw(state[1], rngs, customers)
        waits, free = central_waits(services, gaps, state[0])
        times = {"wait": waits, "latency": waits + services}
        told = tallied(waits, services, gaps.sum(axis=0))
        return Outcomes(times, {**told, "offered": told["busy"]}), (free, after)


def replay_central(arrivals: Array, services: Array, slots: int) -> Array:
    """Waits of a measured trace (arrival times, services; seconds) in one queue before `slots` slots, from empty."""
    gaps = np.diff(arrivals, prepend=arrivals[:1])
    waits, _ = central_waits(services[:, None], gaps[:, None], np.zeros((slots, 1)))
    return waits[:, 0]
