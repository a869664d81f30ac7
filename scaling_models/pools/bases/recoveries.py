"""How long a stall of all slots lives on: one run in which every slot stands still for a while."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from scaling_models.answers import Timeline
from scaling_models.montecarlo.arrays import Array
from scaling_models.montecarlo.kernels.stalls import in_flight
from scaling_models.montecarlo.traffic.flows import Flow
from scaling_models.pools.bases.occupancies import MOST_DRAWN, drawn

LOOKS = 400  # at the pool
Departures = Callable[[Array, Array, float, float, int], Array]


def recovery(flow: Flow, utilization: float, departures: Departures, seed: int) -> Timeline:
    """A stall of a second (less in a huge pool, more in a slow one), and when the pool is back to what it held before.

    `departures` tells when the requests (arrivals and services, s) leave where all slots stall from a time on for a
    length (s).
    """
    rate = flow.arrival_rate
    stall = min(max(1.0, 20.0 * flow.service.mean()), MOST_DRAWN / 20.0 / rate)
    horizon = min(stall * (2.0 + 1.5 / max(1.0 - utilization, 1e-9)), MOST_DRAWN / rate)
    arrivals, services = drawn(flow, horizon, seed)
    times = np.linspace(0.0, min(float(arrivals[-1]), horizon), LOOKS)  # of few requests the next comes much later
    count = in_flight(arrivals, departures(arrivals, services, stall, stall, seed), times)
    ordinary = float(count[(times > stall / 2) & (times < stall)].mean())
    over = times[(times > 2 * stall) & (count <= ordinary)]
    last = f"{over[0] - 2 * stall:.2g} s later" if over.size else "only after this picture"
    return Timeline(
        f"A stall of {stall:.2g} s at {utilization:.0%} load leaves {count.max():.0f} requests in the pool "
        f"(just before it {ordinary:.0f}); back to that {last}",
        times,
        {"requests in the pool": count},
        "requests",
        ((stall, "all slots stall"), (2 * stall, "they resume")),
    )
