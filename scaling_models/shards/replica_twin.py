"""The simulated twin of reads of copies: placements, loads that are dealt to them, and queues event by event."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from scaling_models.montecarlo.arrays import Array, Indices
from scaling_models.montecarlo.estimates import Estimate, NotSettled, SimulatedLatency, at_least, from_batches
from scaling_models.montecarlo.kernels.replica_reads import Reading, dealt_loads, reads_ahead
from scaling_models.montecarlo.streams import stream

if TYPE_CHECKING:
    from scaling_models.shards.replica_reads import ReplicaReads

STALE = "loads seen late"
LATE = 2.0  # mean services between two looks
LANES = 40  # placements
PIECES = 20_000  # reads that are dealt to balance a placement
WHOLE = 0.25  # of a piece: the standard error of which all placements are dealt one too many
RELAXATIONS = 6.0  # relaxation times 1/(1 - sqrt(rho))^2 of M/M/1, before the first read that counts
FULLEST = 0.99
MOST_EVENTS, MOST_COPIES = 2_000_000, 40_000_000  # a lane; of all lanes, 320 MB
RISE, TICKS, BIG = 60.0, 240, 100  # of a timeline: seconds, steps, and keys that are told apart


def simulated(model: ReplicaReads, requests: int, seed: int, late: bool) -> dict[str, Any]:
    """The answers by Monte Carlo; raises `NotSettled` where a node may be full."""
    copies, shares = _copies(model, seed)
    at_random, balanced = _hottest(model, copies, shares, seed)
    piece = model.arrival_rate / model.capacity * (1.0 - model.write_share) * float(shares.sum()) / PIECES
    least = at_least(from_batches(balanced), WHOLE * piece)
    return {
        "latency": SimulatedLatency(_read_times(model, copies, shares, float(balanced.max()), requests, seed, late)),
        "hottest_at_random": SimulatedLatency(at_random[:, None]),
        "hottest_balanced": least,
        "saturation_at_random": _saturation(model.arrival_rate, from_batches(at_random)),
        "saturation_balanced": _saturation(model.arrival_rate, least),
    }


def _copies(model: ReplicaReads, seed: int) -> tuple[Indices, Array]:
    """The nodes of all copies (lanes, keys, R), a placement a lane, and the keys' shares."""
    keys = model.popularity.size
    if LANES * keys * model.replicas > MOST_COPIES:
        raise ValueError(
            f"ReplicaReads.simulate: {LANES} placements of {keys:,} keys in {model.replicas} copies are more than "
            f"{MOST_COPIES:,}: take fewer keys"
        )
    place = functools.partial(model.placement.copies, keys, model.nodes, model.replicas)
    return np.array([place(stream(seed, 0, lane)) for lane in range(LANES)]), model.popularity.shares()


def _held(copies: Indices, shares: Array, nodes: int) -> Array:
    """Of keys (keys, R) with these shares, what all copies on each node have together."""
    found = np.zeros(nodes)
    for copy in copies.T:
        found += np.bincount(copy, weights=shares, minlength=nodes)
    return found


def _hottest(model: ReplicaReads, copies: Indices, shares: Array, seed: int) -> tuple[Array, Array]:
    """The busy share of each placement's hottest node, read at random and to the copy that has had fewest."""
    scale = model.arrival_rate / model.capacity
    held = scale * np.array([_held(placed, shares, model.nodes) for placed in copies])
    reads = scale * (1.0 - model.write_share) * np.cumsum(shares)
    dealt = dealt_loads(copies, reads, model.write_share * held, PIECES, stream(seed, 3))
    return model.each_copy * held.max(axis=1), dealt.max(axis=1)


def _saturation(arrival_rate: float, mean: Estimate) -> Estimate:
    """The throughput at which the mean hottest node is full."""
    value = arrival_rate / mean.value
    return Estimate(value, value * mean.error / mean.value, mean.freedom)


def _read_times(
    model: ReplicaReads, copies: Indices, shares: Array, hottest: float, requests: int, seed: int, late: bool
) -> Array:
    """The times of reads (s), a row a placement, as many as the placement with fewest has."""
    if hottest >= FULLEST:
        raise NotSettled(f"the load of a node is {hottest:.3g} however it is read: its queue does not settle")
    rate, served = model.arrival_rate * float(shares.sum()), model.nodes * model.capacity
    service = model.nodes * (1.0 + rate / served)  # a mean one, in events
    warm_up = math.ceil(RELAXATIONS / (1.0 - math.sqrt(hottest)) ** 2 * service)
    reads = rate * (1.0 - model.write_share) / (rate + served)
    steps = math.ceil(requests / LANES / reads) if reads > 0 else MOST_EVENTS
    if warm_up + steps > MOST_EVENTS:
        raise NotSettled(f"{warm_up + steps:,} events a placement are too many to be simulated: ask for fewer requests")
    look = math.ceil(LATE * service) if late else 1
    reading = Reading(rate, model.write_share, model.compared, model.capacity, look)
    ahead = reads_ahead(copies, model.nodes, np.cumsum(shares), reading, warm_up, steps, seed).T
    least = int((ahead >= 0).sum(axis=1).min())
    joined = np.array([lane[lane >= 0][:least] for lane in ahead])
    return np.asarray(stream(seed, 2).standard_gamma(joined + 1.0) / model.capacity)


def rising(model: ReplicaReads, seed: int) -> tuple[Array, dict[str, Array], float]:
    """Times (s), the requests waiting at the fullest node while traffic climbs, and where the first is full (1/s).

    Requests flow evenly; of most keys reads are spread evenly too, those of the hottest go to the copy with fewest.
    """
    nodes, times = model.nodes, np.linspace(0.0, RISE, TICKS)
    copies = model.placement.copies(model.popularity.size, nodes, model.replicas, stream(seed, 0))
    shares = model.popularity.shares()
    offered = np.linspace(0.0, nodes * model.capacity / model.work, TICKS) * times[1]
    held = _held(copies, shares, nodes)
    reads = (1.0 - model.write_share) * shares
    even = model.write_share * held + _held(copies[BIG:], reads[BIG:] / model.replicas, nodes)
    queues, found, copy_counts = np.zeros((2, nodes)), np.empty((2, TICKS)), np.arange(1, model.replicas + 1)
    for tick, requests in enumerate(offered.tolist()):
        queues[0] += requests * model.each_copy * held
        queues[1] += requests * even
        for at, share in zip(copies[:BIG], reads[:BIG], strict=False):
            level = (requests * share + np.cumsum(np.sort(queues[1, at]))) / copy_counts
            queues[1, at] = np.maximum(queues[1, at], level.min())  # poured over the lowest
        queues = np.maximum(queues - model.capacity * times[1], 0.0)
        found[:, tick] = queues.max(axis=1)
    full = model.capacity / (model.each_copy * float(held.max()))
    return times, {"a copy at random": found[0], "the copy with fewest": found[1]}, full
