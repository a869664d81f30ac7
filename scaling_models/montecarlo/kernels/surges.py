"""A surge of load on one queue, and servers that come late: what a request waits, until the queue is gone."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from scaling_models.montecarlo.arrays import Array
from scaling_models.montecarlo.kernels.queues import central_waits
from scaling_models.montecarlo.progress import progress
from scaling_models.montecarlo.streams import streams_of
from scaling_models.montecarlo.traffic.flows import Flow

BLOCK = 512  # customers dealt together


@dataclasses.dataclass(frozen=True, eq=False)
class SurgeOutcome:
    """By lane: the longest wait (s), requests waiting as relief comes, and seconds from then to no wait."""

    worst_wait: Array
    backlog: Array
    drain_time: Array


def follow_surge(flow: Flow, slots: int, ready: Array, relief: float, seed: int, longest: float) -> SurgeOutcome:
    """Lanes from empty at time 0 before `slots` slots, with more (slots, lanes) that are `ready` at given times (s).

    A slot that is not there yet is one that is busy until then. Goes on until in every lane some request that comes
    after `relief` (s) finds a free slot, or until `longest` (s): those not done then have a drain time of inf. Exact.
    """
    lanes = ready.shape[1]
    free = np.sort(np.concatenate([np.zeros((slots, lanes)), ready]), axis=0)
    state, now = flow.start(lanes, streams_of(seed, 0)), np.zeros(lanes)
    worst, backlog, drain = np.zeros(lanes), np.zeros(lanes), np.full(lanes, math.inf)
    for block in progress(range(1, 10**9), "surge"):
        services, gaps, state = flow.draw(state, streams_of(seed, block), BLOCK)
        arrivals = now + np.cumsum(gaps, axis=0)
        waits, free = central_waits(services, gaps, free)
        worst = np.maximum(worst, waits.max(axis=0))
        backlog += ((arrivals <= relief) & (arrivals + waits >= relief * (1.0 - 1e-12))).sum(axis=0)
        calm = (arrivals >= relief) & (waits == 0.0)
        first = arrivals[calm.argmax(axis=0), np.arange(lanes)] - relief
        drain = np.where(np.isinf(drain) & calm.any(axis=0), first, drain)
        now = arrivals[-1]
        if np.isfinite(drain).all() or now.min() > longest:
            break
    return SurgeOutcome(worst, backlog, drain)
