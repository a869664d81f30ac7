"""Reads of a consensus group played: rounds that confirm the leader, shared by the reads that wait, and quorums."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from scipy import special

from scaling_models.latency import Distribution
from scaling_models.montecarlo.arrays import Array, Flags, Indices
from scaling_models.montecarlo.estimates import Estimate, proportion
from scaling_models.montecarlo.streams import stream

SETTLING = 21.0  # rounds: twenty to settle, and one in which to begin


def shared_rounds(arrivals: Array, rounds: Array, most: int = 10**9) -> tuple[Array, Flags]:
    """When each read is through (lanes, reads), and whether it is the first of its round; one round at a time.

    A round begins when the one before it is over and a read waits, takes all that came until then (at that very time,
    too), the first `most` of them, and lasts `rounds` (lanes, as many as reads), in order. `arrivals` (lanes, reads),
    ascending; seconds. Exact.
    """
    lanes, reads = arrivals.shape
    apart = 2.0 * float(arrivals[:, -1].max() + rounds.sum(axis=1).max()) * np.arange(lanes)
    in_one_row = (arrivals + apart[:, None]).ravel()  # the lanes one after the other, so that one search serves all
    through = np.zeros_like(arrivals)
    lane, head, free = np.arange(lanes), np.zeros(lanes, dtype=np.intp), np.zeros(lanes)
    opens, number = np.zeros(arrivals.shape, dtype=np.bool_), 0
    while lane.size:
        start = np.maximum(arrivals[lane, head[lane]], free[lane])
        free[lane] = start + rounds[lane, number]
        through[lane, head[lane]], opens[lane, head[lane]] = free[lane], True
        number += 1
        came = np.searchsorted(in_one_row, start + apart[lane], side="right") - lane * reads
        head[lane] = np.minimum(came, head[lane] + most)
        lane = lane[head[lane] < reads]
    return np.maximum.accumulate(through, axis=1), opens


def flushes(
    rate: float, flush: float, most: int, size: int, seed: int, bursts: float = 0.0, lanes: int = 64
) -> tuple[Array, Estimate]:
    """Group commit: the time (lanes, commands) until each of Poisson commands is flushed, and how many are together.

    `rate` in 1/s, each `flush` s long and of `most` commands at most; a share `bursts` comes with the one before.
    """
    settling = math.ceil(SETTLING * max(rate * flush, 1.0))
    rng = stream(seed, 5)
    arrivals = poisson(rate, (lanes, -(-size // lanes) + settling), rng, bursts)
    through, opens = shared_rounds(arrivals, np.full(arrivals.shape, flush), most)
    kept = random_phase(lanes, -(-size // lanes), settling, rng)
    first = np.take_along_axis(opens, kept, axis=1).mean(axis=1)
    return np.take_along_axis(through - arrivals, kept, axis=1), inverse(proportion(first, kept.size))


def poisson(rate: float, shape: tuple[int, int], rng: np.random.Generator, bursts: float = 0.0) -> Array:
    """Times (lanes, arrivals) of Poisson arrivals (1/s); that share of them comes at the time of the one before."""
    gaps = rng.standard_exponential(shape) / rate
    if bursts:
        gaps = np.where(rng.random(shape) < bursts, 0.0, gaps / (1.0 - bursts))
    return np.cumsum(gaps, axis=1)


def random_phase(lanes: int, size: int, settling: int, rng: np.random.Generator) -> Indices:
    """Which arrivals count (lanes, size): those after twenty rounds, begun anywhere in the next."""
    skipped = settling - (rng.random(lanes) * settling / SETTLING).astype(np.intp)
    return np.asarray(skipped[:, None] + np.arange(size))


def inverse(share: Estimate) -> Estimate:
    """One over an estimate."""
    return Estimate(1.0 / share.value, share.error / share.value**2, share.freedom)


def replies(
    laws: Sequence[Distribution],
    shape: tuple[int, int],
    rng: np.random.Generator,
    together: float = 0.0,
    after: Distribution | None = None,
) -> Array:
    """Round trips (followers, *shape), each with a disk write `after` it where there is one.

    With `together` in (0, 1) the normal scores of a round's trips are correlated so.
    """
    if together:
        common = np.sqrt(together) * rng.standard_normal(shape)
        scores = [common + np.sqrt(1.0 - together) * rng.standard_normal(shape) for _ in laws]
        drawn = [law.icdf(special.ndtr(score)) for law, score in zip(laws, scores, strict=True)]
    else:
        drawn = [law.sample(shape, rng=rng) for law in laws]
    if after is not None:
        drawn = [each + after.sample(shape, rng=rng) for each in drawn]
    return np.stack(drawn)


def isolated(rate: float, until: float, rng: np.random.Generator) -> Array:
    """Times of Poisson reads (1/s) up to `until` (s)."""
    return np.sort(rng.random(rng.poisson(rate * until))) * until


@dataclasses.dataclass(frozen=True, eq=False)
class Played:
    """Reads (lanes, reads) with their latency (s); by lane the share that opened a round, and the share asked twice."""

    latency: Array
    opened: Array
    twice: Array


@dataclasses.dataclass(frozen=True)
class Reading:
    """How reads are answered: `way` is one of log, ReadIndex, lease, follower, quorum, bounded staleness; seconds.

    log: the leader and the followers write, and the leader needs its own write and `needed` of theirs. ReadIndex: the
    leader asks all followers, and `needed` answers confirm it; at a `rate` above 0 such rounds are made one at a time,
    for all reads that wait. follower: the first one asks the leader so, and waits out its lag. quorum: all are asked,
    and with probability `pending` once more. The rest ask nobody. All then take `answering`. `together` correlates a
    round's replies, and a share `bursts` of the reads comes at the time of the one before.
    """

    way: str
    followers: tuple[Distribution, ...]
    needed: int
    fsync: Distribution
    answering: Distribution
    lag: Distribution
    pending: float
    rate: float
    together: float = 0.0
    bursts: float = 0.0

    def settling(self, mean_round: float) -> int:
        """How many reads come in the rounds after which their phases are forgotten, or begin at random."""
        return math.ceil(SETTLING * max(self.rate * mean_round, 1.0)) if self.rate else 0

    def play(self, size: int, settling: int, rng: np.random.Generator, lanes: int = 64) -> Played:
        """So many reads a lane, after those that let it settle."""
        shape = (lanes, size)
        done, none = self.answering.sample(shape, rng=rng), np.zeros(lanes)
        if self.way in ("ReadIndex", "follower"):
            waited, opened = self._confirmed(shape, settling, rng)
            if self.way == "follower":
                done = done + self.lag.sample(shape, rng=rng)
                done = done + (self.followers[0].sample(shape, rng=rng) if self.followers else 0.0)
            return Played(waited + done, opened, none)
        if self.way == "log":
            own = self.fsync.sample(shape, rng=rng)
            return Played(np.maximum(own, self._round(shape, rng, self.fsync)) + done, none + 1.0, none)
        if self.way == "quorum":
            again = rng.random(shape) < self.pending
            twice = np.where(again, self._round(shape, rng), 0.0)
            return Played(self._round(shape, rng) + twice + done, none + 1.0, again.mean(axis=1))
        return Played(done, none + 1.0, none)

    def _round(self, shape: tuple[int, int], rng: np.random.Generator, after: Distribution | None = None) -> Array:
        if not self.needed:
            return np.zeros(shape)
        trips = replies(self.followers, shape, rng, self.together, after)
        return np.asarray(np.partition(trips, self.needed - 1, axis=0)[self.needed - 1])

    def _confirmed(self, shape: tuple[int, int], settling: int, rng: np.random.Generator) -> tuple[Array, Array]:
        if not self.rate:
            return self._round(shape, rng), np.ones(shape[0])
        longer = (shape[0], shape[1] + settling)
        arrivals = poisson(self.rate, longer, rng, self.bursts)
        through, opens = shared_rounds(arrivals, self._round(longer, rng))
        kept = random_phase(*shape, settling, rng)
        first = np.take_along_axis(opens, kept, axis=1).mean(axis=1)
        return np.take_along_axis(through - arrivals, kept, axis=1), first
