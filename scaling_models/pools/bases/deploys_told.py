"""What simulated deploys say of the answers."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from scaling_models.montecarlo.arrays import Indices
from scaling_models.montecarlo.bins import BinnedLatency, Counts
from scaling_models.montecarlo.estimates import Estimate, at_least_binomial, from_batches, ratio
from scaling_models.montecarlo.kernels import deploys
from scaling_models.pools.bases.deployed_pool import DeployedPool
from scaling_models.pools.bases.pool import Array

LOOKS = 8  # at who is served before the deploy


def told(
    model: DeployedPool, deploy: deploys.RollingDeploy, found: tuple[Array, Array, Array, Indices]
) -> dict[str, object]:
    """What each lane says of the answers."""
    arrivals, waits, latencies, slots = found
    lanes, lead = np.arange(arrivals.shape[1]), deploy.begin
    starts, ends = arrivals + waits, arrivals + latencies
    leave = lead + np.arange(len(model._batches)) * (model._away + model.pause)
    back = leave + model._away
    during = np.zeros(arrivals.shape, dtype=bool)
    for number, gone in enumerate(model._batches):
        if gone == model._batch:
            during |= (arrivals >= leave[number]) & (arrivals < back[number])
    looks = np.linspace(lead / 2.0, lead, LOOKS)
    served = sum(((starts < at) & (ends > at)).sum(axis=0) for at in looks)
    late = sum(((starts < at) & (ends > at + model.drain)).sum(axis=0) for at in looks)
    down = deploy.down[slots]
    cut = ((starts < down) & (ends > down + model.drain)).sum(axis=0)
    worst, last = back[model._worst], back[-1]
    calm = (arrivals >= last) & (waits <= 1e-12)
    first = np.where(calm.any(axis=0), arrivals[calm.argmax(axis=0), lanes] - last, math.inf)
    there = (arrivals >= leave[model._worst]) & (arrivals <= worst)

    def binned(which: NDArray[np.bool_]) -> BinnedLatency:
        return BinnedLatency(Counts.of(np.where(which, latencies, math.nan), lanes, len(lanes)))

    return {
        "latency": binned((arrivals >= lead / 2.0) & (arrivals < lead)),
        "latency_during": binned(during),
        "probability_cut": at_least_binomial(ratio(late, served), int(np.sum(served))),
        "requests_cut": _counted(cut),
        "backlog": from_batches(((arrivals <= worst) & (starts >= worst * (1.0 - 1e-12))).sum(axis=0)),
        "longest_wait": from_batches(np.where(there, waits, 0.0).max(axis=0)),
        "drain_time": from_batches(first),
    }


def _counted(counts: Array) -> Estimate:
    """The mean of counts, a lane each; where none was counted, one in all might have been."""
    found, lanes = from_batches(counts), len(counts)
    least = math.sqrt(max(found.value, 1.0 / lanes) / lanes)
    return Estimate(found.value, max(found.error, least), found.freedom)
