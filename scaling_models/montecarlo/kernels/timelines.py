"""What happens in a pool in the course of time: from empty at time 0, looked at now and then."""

from __future__ import annotations

import dataclasses

import numpy as np

from scaling_models.montecarlo.arrays import Array, Indices
from scaling_models.montecarlo.streams import streams_of
from scaling_models.montecarlo.traffic.flows import Flow

BLOCK = 256  # customers drawn together


@dataclasses.dataclass(frozen=True, eq=False)
class Timelines:
    """What happened: at each of the `times` (s) by lane (times, lanes), and to each request (requests, lanes).

    `slots` begin new requests, `ordered` are wanted by the rule, `in_flight` are the requests waiting or served, and
    `utilization` is busy over slot time since the time before (over 1 while slots drain). `arrivals`, `waits` and
    `latencies` (s) are NaN for requests that had not started by the last of the times.
    """

    times: Array
    slots: Array
    ordered: Array
    in_flight: Array
    utilization: Array
    arrivals: Array
    waits: Array
    latencies: Array


def drawn_until(flow: Flow, until: float, lanes: int, seed: int) -> tuple[Array, Array]:
    """Services (s) and arrival times (s), both (customers, lanes), with every arrival of every lane up to `until`."""
    state = flow.start(lanes, streams_of(seed, 0))
    blocks, last = list[tuple[Array, Array]](), np.zeros(lanes)
    while last.min() <= until:
        services, gaps, state = flow.draw(state, streams_of(seed, len(blocks) + 1), BLOCK)
        blocks.append((services, last + np.cumsum(gaps, axis=0)))
        last = blocks[-1][1][-1]
    services, arrivals = (np.concatenate(column) for column in zip(*blocks, strict=True))
    return services, arrivals


def counts_at(arrivals: Array, times: Array) -> Indices:
    """How many of each lane's arrivals (customers, lanes) there have been by each of the times, (times, lanes)."""
    lanes, bins = arrivals.shape[1], len(times) + 1
    first = np.searchsorted(times, arrivals)  # the first of the times not before it
    counts = np.bincount((first * lanes + np.arange(lanes)).ravel(), minlength=bins * lanes)
    return np.asarray(np.cumsum(counts.reshape(bins, lanes), axis=0)[:-1], dtype=np.intp)


def area_at(moments: Array, times: Array) -> Array:
    """The sum over a lane's moments (customers, lanes) of max(0, t - moment), at each of the times: (times, lanes)."""
    lanes, bins = moments.shape[1], len(times) + 1
    place = (np.searchsorted(times, moments) * lanes + np.arange(lanes)).ravel()
    sums = np.bincount(place, weights=moments.ravel(), minlength=bins * lanes).reshape(bins, lanes)
    return np.asarray(counts_at(moments, times) * times[:, None] - np.cumsum(sums, axis=0)[:-1])
