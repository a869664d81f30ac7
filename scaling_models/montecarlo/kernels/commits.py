"""Simulated commits: every reply of every command drawn, and the quorum counted."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from scaling_models.latency import Distribution
from scaling_models.montecarlo.arrays import Array, Indices
from scaling_models.montecarlo.progress import progress
from scaling_models.montecarlo.streams import stream

Needed = Callable[[NDArray[Any]], NDArray[Any]]  # times (commands, replicas) -> the time by which they are a quorum


@dataclasses.dataclass(frozen=True, eq=False)
class Commits:
    """Commit times (batches, commands) in seconds, and which replica's write was the last needed (0 the leader)."""

    times: Array
    last: Indices


@dataclasses.dataclass(frozen=True)
class Rule:
    """What a commit waits for: `acks` of the followers (None: of none) and the leader's write, as `leader_write` says.

    counted: `everyone`, the leader among them; required: the later of both; before_send: one after the other.
    """

    everyone: Needed
    acks: Needed | None
    leader_write: str

    def times(self, fsync: Array, rtts: Array) -> Array:
        """Commit times (commands) from the leader's writes (commands) and round trips (commands, followers), s."""
        if self.leader_write == "counted":
            return self.everyone(np.column_stack([fsync, rtts]))
        if self.acks is None:
            return fsync
        acked = self.acks(rtts)
        return fsync + acked if self.leader_write == "before_send" else np.maximum(fsync, acked)

    def last(self, drawn: Array, rng: np.random.Generator) -> Indices:
        """Which replica's write (the leader's first) completes each commit, equal times in an order drawn at random."""
        order = np.lexsort((rng.random(drawn.shape), drawn), axis=1)
        rank = np.argsort(order, axis=1)  # distinct, so that the one that decides is found by its own
        if self.leader_write == "counted":
            found = self.everyone(rank)
        elif self.acks is None:
            return np.zeros(len(drawn), dtype=np.intp)
        else:
            found = self.acks(rank[:, 1:])
            found = np.maximum(found, rank[:, 0]) if self.leader_write == "required" else found
        return np.asarray(np.take_along_axis(order, found[:, None], axis=1)[:, 0])


def smallest(k: int) -> Needed:
    """The k-th smallest of the times."""
    return lambda times: np.partition(times, k - 1, axis=1)[:, k - 1]


def counting(acknowledgements: int, leader_write: str) -> Rule:
    """So many acknowledgements besides the leader."""
    return Rule(smallest(acknowledgements + 1), smallest(acknowledgements) if acknowledgements else None, leader_write)


@dataclasses.dataclass(frozen=True)
class Delay:
    """A delay that all replies of a command share, and whether the leader's own write waits for it too."""

    law: Distribution
    leader: bool


def simulate_commits(
    latencies: Mapping[str, Distribution],
    rule: Rule,
    requests: int,
    seed: int,
    batches: int,
    together: float = 0.0,
    delay: Delay | None = None,
    key: tuple[int, ...] = (1,),
) -> Commits:
    """Independent commands, a batch a stream; the leader is the first of the latencies.

    The normal scores of a command's replies are correlated by `together`, in [0, 1).
    """
    size = -(-requests // batches)
    each = [
        _batch(list(latencies.values()), rule, size, stream(seed, *key, i), together, delay)
        for i in progress(range(batches), "commits")
    ]
    times, last = zip(*each, strict=True)
    return Commits(np.stack(times), np.stack(last))


def _batch(
    laws: list[Distribution], rule: Rule, size: int, rng: np.random.Generator, together: float, delay: Delay | None
) -> tuple[Array, Indices]:
    drawn = replies(laws, size, rng, together)
    last_of = np.random.default_rng(rng.integers(2**63))
    waited = np.zeros(size)
    if delay is not None:
        shared = delay.law.sample(size, rng=rng)
        alone = rule.acks is None and rule.leader_write != "counted"  # nothing is sent, and no reply waited for
        first = delay.leader or (rule.leader_write == "before_send" and not alone)
        waited = shared if first else waited
        drawn[:, 1:] += 0.0 if first else shared[:, None]
    times = waited + rule.times(drawn[:, 0], drawn[:, 1:])
    return times, rule.last(drawn, last_of)


def replies(laws: list[Distribution], size: int, rng: np.random.Generator, together: float = 0.0) -> Array:
    """Replies (commands, replicas), each of its own law; their normal scores correlated (a Gaussian copula)."""
    if not together:
        return np.stack([np.asarray(law.sample(size, rng=rng)) for law in laws], axis=1)
    common = np.sqrt(together) * rng.standard_normal((size, 1))
    scores = common + np.sqrt(1.0 - together) * rng.standard_normal((size, len(laws)))
    return np.stack([law.icdf(special.ndtr(score)) for law, score in zip(laws, scores.T, strict=True)], axis=1)
