"""Reads of copies: queues that are joined by comparing copies, and requests dealt to the copy that has had fewest."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from scaling_models.montecarlo.arrays import Array, Indices
from scaling_models.montecarlo.progress import progress
from scaling_models.montecarlo.streams import stream

BLOCK = 1024  # events drawn at once


class Reading(NamedTuple):
    """Requests a second, which share of them writes, how many copies a read compares, what a node serves a second, and
    after how many events it is looked again how long queues are."""

    arrival_rate: float
    write_share: float
    choices: int
    capacity: float
    look_every: int = 1


def reads_ahead(
    copies: Indices, nodes: int, ranks: Array, reading: Reading, warm_up: int, steps: int, seed: int
) -> Indices:
    """Requests ahead of each read at the node that it joins (steps, lanes); -1 at events that are no reads.

    `copies` (lanes, keys, R) are the nodes of each key's copies, `ranks` the cumulated shares of the keys. A read draws
    `choices` of the copies and joins the one with the fewest requests (the first drawn of equals); a write joins all.
    Poisson arrivals, exponential services, one server a node: the chain at its jumps, of which arrivals see the
    stationary states. Exact but for the start from empty, of which `warm_up` events are left out.
    """
    lanes = len(copies)
    lane, start = np.arange(lanes), np.arange(lanes) * nodes
    arriving = reading.arrival_rate / (reading.arrival_rate + nodes * reading.capacity)
    queue = np.zeros(lanes * nodes, dtype=np.int64)
    seen = queue if reading.look_every == 1 else queue.copy()
    found = np.empty((steps, lanes), dtype=np.int64)
    for first in progress(range(-warm_up, steps, BLOCK), "blocks of events"):
        rng, count = stream(seed, 1, first + warm_up), min(BLOCK, steps - first)
        kind = rng.random((count, lanes))
        keys = np.searchsorted(ranks, rng.random((count, lanes)) * ranks[-1], side="right")
        held = copies[lane, np.minimum(keys, len(ranks) - 1)] + start[:, None]
        served, written = kind >= arriving, kind < arriving * reading.write_share
        reads, several = ~(served | written), bool(written.any())
        order = rng.random(held.shape).argsort(axis=2)[..., : reading.choices]
        drawn = np.take_along_axis(held, order, axis=2)
        drawn[served] = (rng.integers(0, nodes, (count, lanes)) + start)[served][:, None]
        for step in range(count):
            node = drawn[step, :, 0]
            least = seen[node]
            for choice in range(1, reading.choices):
                other = drawn[step, :, choice]
                there = seen[other]
                node, least = np.where(there < least, other, node), np.minimum(there, least)
            ahead = queue[node]
            queue[node] += reads[step]
            queue[node] -= served[step] & (ahead > 0)
            if several:
                queue[held[step]] += written[step][:, None]
            if reading.look_every > 1 and (first + step) % reading.look_every == 0:
                seen[:] = queue
            if first + step >= 0:
                found[first + step] = np.where(reads[step], ahead, -1)
    return found


def dealt_loads(copies: Indices, ranks: Array, fixed: Array, pieces: int, rng: np.random.Generator) -> Array:
    """The load of every node (lanes, nodes) when so many reads come in turn, each to the copy that has least.

    `copies` (lanes, keys, R) are the nodes of each key's copies, `ranks` the cumulated shares of its reads: reads come
    at even steps of those, in an order drawn at random, each of an equal part. Nodes begin with the loads `fixed`
    (lanes, nodes).
    """
    lanes, nodes = fixed.shape
    load, start = fixed.reshape(-1).copy(), np.arange(lanes) * nodes
    keys = np.searchsorted(ranks, (np.arange(pieces) + rng.random()) * (ranks[-1] / pieces), side="right")
    for key in progress(rng.permutation(np.minimum(keys, len(ranks) - 1)), "reads"):
        held = copies[:, key] + start[:, None]
        load[held[np.arange(lanes), load[held].argmin(axis=1)]] += ranks[-1] / pieces
    return load.reshape(lanes, nodes)
