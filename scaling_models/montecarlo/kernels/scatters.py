"""Queries that ask all shards at once, each shard busy with requests of its own: FIFO queues, request by request."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from scaling_models.montecarlo.arrays import Array
from scaling_models.montecarlo.kernels.queues import busy_slots, central_waits, fifo_waits

MOST_ROUNDS = 200  # of copies that are sent because of copies


class Shard(NamedTuple):
    """A shard's own requests a second, its workers, their mean service (s), and the first wait (s) of each lane."""

    rate: float
    workers: int
    service: float
    backlog: Array


class Arrivals(NamedTuple):
    """Arrival times and services (lanes, arrivals) in seconds, in any order; what never comes has infinite time."""

    times: Array
    services: Array


def background(shard: Shard, until: Array, rng: np.random.Generator) -> Arrivals:
    """A Poisson number of a shard's own requests at uniform times up to `until` (lanes,), with exponential services."""
    counts = rng.poisson(shard.rate * until)
    shape = (len(until), int(counts.max(initial=0)))
    times = rng.random(shape) * until[:, None]
    times[np.arange(shape[1]) >= counts[:, None]] = np.inf
    return Arrivals(times, rng.exponential(shard.service, shape))


def fifo_responses(shard: Shard, *streams: Arrivals) -> list[Array]:
    """Responses (s) of the streams' requests at one FIFO queue, each as its times are; infinite where never."""
    times = np.concatenate([each.times for each in streams], axis=1)
    services = np.concatenate([each.services for each in streams], axis=1)
    order = np.argsort(times, axis=1)
    ordered = np.take_along_axis(times, order, axis=1)
    coming = np.isfinite(ordered)
    last = np.where(coming, ordered, 0.0).max(axis=1, keepdims=True)
    ordered = np.where(coming, ordered, last)  # they end the line, with nothing to do
    work = np.take_along_axis(services, order, axis=1) * coming
    gaps = np.diff(ordered, axis=1, prepend=0.0)
    if shard.workers == 1:
        first = np.maximum(shard.backlog - gaps[:, 0], 0.0)
        waits, _ = fifo_waits(work, np.concatenate([gaps[:, 1:], gaps[:, :1] * 0.0], axis=1), first)
    else:
        waits = central_waits(work.T, gaps.T, busy_slots(shard.workers, shard.backlog))[0].T
    found = np.empty_like(times)
    np.put_along_axis(found, order, np.where(coming, waits + work, np.inf), axis=1)
    return np.split(found, np.cumsum([each.times.shape[1] for each in streams])[:-1], axis=1)


def leg_responses(
    queries: Array,
    shard: Shard,
    rng: np.random.Generator,
    between: tuple[float, float] | None = None,
    slower: float = 1.0,
) -> Array:
    """Responses (lanes, queries) in seconds of the legs that queries at ascending times send to a shard.

    What comes `between` two times (s) takes `slower` times as long, legs and the shard's own requests. Exact.
    """
    legs = Arrivals(queries, rng.exponential(shard.service, queries.shape))
    both = [legs, background(shard, queries[:, -1], rng)]
    if between is not None:
        low, high = between
        both = [
            each._replace(services=each.services * np.where((each.times >= low) & (each.times < high), slower, 1.0))
            for each in both
        ]
    return fifo_responses(shard, *both)[0]


def hedged_responses(
    queries: Array, others: Array, shard: Shard, after: float, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Responses (lanes, queries) of hedged legs, and which were sent twice, of a shard that two replicas hold.

    A leg goes to the first replica, and a copy with its own service to the second where it has not been answered
    `after` seconds later; queries of `others` the other way round. Each replica has the shard's own requests beside.
    Nothing is cancelled. Played again and again with the copies that the round before called for, until no copy
    changes: what happens at a time depends on copies sent before it only, so that the end is the event-driven run.
    """
    sides = (queries, others)
    until = np.maximum(queries[:, -1], others[:, -1])
    own = [background(shard, until, rng) for _ in sides]
    legs = [Arrivals(side, rng.exponential(shard.service, side.shape)) for side in sides]
    work = [rng.exponential(shard.service, side.shape) for side in sides]
    sent = [np.full(side.shape, np.inf) for side in sides]
    for _ in range(MOST_ROUNDS):
        at = [fifo_responses(shard, legs[i], Arrivals(sent[1 - i], work[1 - i]), own[i]) for i in (0, 1)]
        again = [np.where(at[i][0] > after, sides[i] + after, np.inf) for i in (0, 1)]
        if all(np.array_equal(new, old) for new, old in zip(again, sent, strict=True)):
            return np.minimum(at[0][0], after + at[1][1]), np.isfinite(sent[0])
        sent = again
    raise ValueError("the copies of the hedged requests call for ever more copies: the simulation does not end")
