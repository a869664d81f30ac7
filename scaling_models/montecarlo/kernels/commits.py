"""Simulated commits: every reply of every command drawn, and the quorum counted."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
from scipy import special

from scaling_models.latency import Distribution
from scaling_models.montecarlo.arrays import Array, Indices
from scaling_models.montecarlo.progress import progress
from scaling_models.montecarlo.streams import stream


@dataclasses.dataclass(frozen=True, eq=False)
class Commits:
    """Commit times (batches, commands) in seconds, and which replica's write was the last needed (0 the leader)."""

    times: Array
    last: Indices


def simulate_commits(
    latencies: Mapping[str, Distribution],
    acknowledgements: int,
    leader_write: str,
    requests: int,
    seed: int,
    batches: int,
    together: float = 0.0,
) -> Commits:
    """Independent commands, a batch a stream; the leader is the first of the latencies.

    The normal scores of a command's replies are correlated by `together`, in [0, 1).
    """
    size = -(-requests // batches)
    each = [
        _batch(latencies, acknowledgements, leader_write, size, stream(seed, 1, i), together)
        for i in progress(range(batches), "commits")
    ]
    times, last = zip(*each, strict=True)
    return Commits(np.stack(times), np.stack(last))


def _batch(
    latencies: Mapping[str, Distribution],
    acknowledgements: int,
    leader_write: str,
    size: int,
    rng: np.random.Generator,
    together: float,
) -> tuple[Array, Indices]:
    laws = list(latencies.values())
    drawn = (
        _correlated(laws, size, rng, together) if together else np.stack([_drawn(law, size, rng) for law in laws], 1)
    )
    times = commit_times(drawn[:, 0], drawn[:, 1:], acknowledgements, leader_write)
    order = np.lexsort((rng.random(drawn.shape), drawn), axis=1)  # equal replies in an order drawn at random
    voters = order if leader_write == "counted" else _without_leader(order)
    needed = acknowledgements if leader_write == "counted" else acknowledgements - 1
    last = voters[:, needed] if needed >= 0 else np.zeros(size, dtype=np.intp)
    if leader_write == "required" and needed >= 0:
        rank = np.argsort(order, axis=1)
        leader_later = rank[:, 0] > np.take_along_axis(rank, last[:, None], axis=1)[:, 0]
        last = np.where(leader_later, 0, last)
    return times, last


def _drawn(law: Distribution, size: int, rng: np.random.Generator) -> Array:
    return np.asarray(law.sample(size, rng=rng))


def _correlated(laws: list[Distribution], size: int, rng: np.random.Generator, together: float) -> Array:
    """Replies (commands, replicas), each of its own law, whose normal scores share a part (a Gaussian copula)."""
    common = np.sqrt(together) * rng.standard_normal((size, 1))
    scores = common + np.sqrt(1.0 - together) * rng.standard_normal((size, len(laws)))
    return np.stack([law.icdf(special.ndtr(score)) for law, score in zip(laws, scores.T, strict=True)], axis=1)


def _without_leader(order: Indices) -> Indices:
    return np.asarray(order[order != 0].reshape(len(order), -1))


def commit_times(fsync: Array, rtts: Array, acknowledgements: int, leader_write: str) -> Array:
    """Commit times (commands) from the leader's writes (commands) and the round trips (commands, followers), seconds.

    counted: the (m+1)-th smallest of all; required: max(write, m-th smallest round trip); before_send: their sum.
    """
    if not acknowledgements:
        return fsync
    if leader_write == "counted":
        return np.sort(np.column_stack([fsync, rtts]), axis=1)[:, acknowledgements]
    acked = np.sort(rtts, axis=1)[:, acknowledgements - 1]
    return fsync + acked if leader_write == "before_send" else np.maximum(fsync, acked)
