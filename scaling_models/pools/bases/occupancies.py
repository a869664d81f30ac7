"""Where the requests stand: the queue of every server in one run, whose first server goes slow at half time."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from scaling_models.montecarlo.kernels.dispatch import Dispatch
from scaling_models.montecarlo.kernels.occupancy import occupancy
from scaling_models.montecarlo.streams import streams_of
from scaling_models.montecarlo.traffic.flows import Flow

Array = NDArray[np.float64]
LOOKS = 400  # at the queues
MEANS = 400.0  # mean services that a picture lasts
MOST_DRAWN = 20_000  # requests of a picture


@dataclasses.dataclass(frozen=True, eq=False)
class Occupancy:
    """Requests at each server (times, servers), served or waiting, at the `times` (s); slow from `change` (s) on."""

    times: Array
    requests: Array
    change: float

    def in_pool(self, slow: bool) -> float:
        """Requests in the pool on average: in the second half, or in the first but for its beginning from empty."""
        end = self.times[-1] if slow else self.change
        there = (self.times > end - 0.4 * self.times[-1]) & (self.times <= end)
        return float(self.requests[there].sum(axis=1).mean())


def drawn(flow: Flow, horizon: float, seed: int) -> tuple[Array, Array]:
    """Arrivals (s) and services (s) of about `horizon` seconds of a flow."""
    before = flow.start(1, streams_of(seed, 2, 0))
    services, gaps, _ = flow.draw(before, streams_of(seed, 2, 1), int(flow.arrival_rate * horizon) + 1)
    return np.cumsum(gaps[:, 0]), services[:, 0]


def occupancy_of(system: Dispatch, seed: int, slow: float) -> Occupancy:
    """The run from empty, over 400 mean services (20,000 requests at most)."""
    flow = system.flow
    horizon = min(MEANS * flow.service.mean(), MOST_DRAWN / flow.arrival_rate)
    arrivals, services = drawn(flow, horizon, seed)
    times, half = np.linspace(0.0, float(arrivals[-1]), LOOKS), float(arrivals[-1]) / 2.0
    own = system.speeds or (1.0,) * system.servers
    speeds = (own[0] * slow, *own[1:])
    return Occupancy(times, occupancy(system, arrivals, services, times, seed, at=half, speeds=speeds), half)
