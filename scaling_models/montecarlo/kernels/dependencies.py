"""EPaxos, message by message: what each command depends on, when it is committed, and when it can be executed.

Replicas 0 to n - 1 start commands on one hot key, all of which conflict. A replica names of each other replica the
latest command that it knows, and with it all before: a dependency is a count of commands, and a later command's message
tells of those before it. The command's leader has its own list and those of the followers that answer first; where they
differ, it asks all again. It depends on whatever any of them names; a command can be executed once it and all that it
depends on, directly or not, are known to be committed: those of a cycle together. Exact but for chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from scaling_models.latency import Distribution
from scaling_models.montecarlo.arrays import Array, Flags, Indices


class Sent(NamedTuple):
    """A replica's commands in the order of their starts, seconds: (commands), or (commands, replicas).

    `arrive` is when each replica hears of the command, at its leader the start itself; `asked` whose answers come
    first; `first` and `second` how long a round with the fast quorum and with a majority take; `told` when each replica
    would hear of a commit at 0.
    """

    starts: Array
    arrive: Array
    asked: Flags
    first: Array
    second: Array
    told: Array


class Played(NamedTuple):
    """What became of a replica's commands: whether a second round was needed, and when each was committed (s); and of
    every replica's commands how many it takes to be executed with them (commands, replicas)."""

    slow: Flags
    committed: Array
    closure: Indices


def play(sent: Sequence[Sent]) -> list[Played]:
    """All commands of all replicas."""
    heard = [np.minimum.accumulate(each.arrive[::-1], axis=0)[::-1] for each in sent]  # of it, or of a later one
    named = [_named(leader, each, heard) for leader, each in enumerate(sent)]
    slow = [_differ(each.asked, counts) for each, counts in zip(sent, named, strict=True)]
    committed = [
        each.starts + each.first + np.where(late, each.second, 0.0) for each, late in zip(sent, slow, strict=True)
    ]
    direct = [_union(leader, each, counts) for leader, (each, counts) in enumerate(zip(sent, named, strict=True))]
    return [Played(*each) for each in zip(slow, committed, closures(direct), strict=True)]


def _named(leader: int, own: Sent, heard: Sequence[Array]) -> Indices:
    """How many commands of each replica (last) each replica (middle) has heard of when it is asked."""
    counts = np.zeros((*own.arrive.shape, len(heard)), dtype=np.int32)
    for starter, times in enumerate(heard):
        if starter != leader:
            for replica in range(own.arrive.shape[1]):
                counts[:, replica, starter] = np.searchsorted(times[:, replica], own.arrive[:, replica])
    return np.maximum(counts, counts[:, leader : leader + 1])  # the leader's list goes with the question


def _differ(asked: Flags, counts: Indices) -> Flags:
    if not len(counts):
        return np.zeros(0, dtype=bool)
    most = np.where(asked[..., None], counts, -1).max(axis=1)
    least = np.where(asked[..., None], counts, np.iinfo(np.int32).max).min(axis=1)
    some = np.asarray(asked.any(axis=1))
    return np.asarray(some & np.any(most > least, axis=1))


def _union(leader: int, own: Sent, counts: Indices) -> Indices:
    """The direct dependencies, with the command itself and so all of its own leader's before."""
    asked = own.asked.copy()
    asked[:, leader] = True
    found = np.where(asked[..., None], counts, 0).max(axis=1, initial=0)
    found[:, leader] = np.arange(1, len(found) + 1)
    return np.asarray(found)


def closures(direct: Sequence[Indices]) -> list[Indices]:
    """From the direct dependencies (commands, replicas), counts of each replica's commands, to all: by doubling."""
    found = [np.maximum.accumulate(each, axis=0) for each in direct]
    while True:
        further = []
        for each in found:
            reach = each.copy()
            for replica, theirs in enumerate(found):
                if len(theirs):
                    beyond = theirs[np.maximum(each[:, replica] - 1, 0)]
                    np.maximum(reach, np.where(each[:, replica, None] > 0, beyond, 0), out=reach)
            further.append(np.maximum.accumulate(reach, axis=0))
        if all(np.array_equal(a, b) for a, b in zip(found, further, strict=True)):
            return found
        found = further


def executed(played: Sequence[Played], sent: Sequence[Sent], leader: int = 0) -> Array:
    """When the leader can execute each of its commands: all of their closures are known to it to be committed (s)."""
    times = played[leader].committed.copy()
    for replica, (theirs, each) in enumerate(zip(played, sent, strict=True)):
        known = theirs.committed + (each.told[:, leader] if replica != leader else 0.0)
        latest = np.append(-np.inf, np.maximum.accumulate(known))
        np.maximum(times, latest[played[leader].closure[:, replica]], out=times)
    return times


class Streams(NamedTuple):
    """Poisson commands of all replicas in lanes, one lane after the other: of replica 0 `before` commands in each lane,
    then `size` that count, then `after`; `ends` of the lanes (s), the last `tail` seconds of which none of these is in.
    """

    starts: list[Array]
    before: int
    size: int
    after: int
    ends: Array
    tail: float

    @property
    def counted(self) -> Flags:
        """Which of replica 0's commands count: (commands)."""
        lane = np.arange(self.before + self.size + self.after)
        return np.tile((lane >= self.before) & (lane < self.before + self.size), len(self.ends))

    def run_on(self, closure: Indices) -> Flags:
        """Whether a command of replica 0 needs some of a lane's tail, and so perhaps what comes after: (commands)."""
        lane = np.repeat(np.arange(len(self.ends)), self.before + self.size + self.after)
        tails = [np.searchsorted(starts, self.ends - self.tail) for starts in self.starts]
        return np.asarray(np.any([closure[:, b] > tail[lane] for b, tail in enumerate(tails)], axis=0))


def poisson_streams(
    rates: Array, size: int, lanes: int, settling: float, tail: float, rng: np.random.Generator
) -> Streams:
    """Streams of these rates (1/s, replica 0's above 0); lanes begin empty, and settle for about so many seconds."""
    before, after = (_most(float(rates[0]) * seconds) for seconds in (settling, 2.0 * tail))
    own = np.cumsum(rng.standard_exponential((lanes, before + size + after)) / rates[0], axis=1)
    lengths = own[:, -1]
    begins = np.append(0.0, np.cumsum(lengths + tail)[:-1])
    starts = [(own + begins[:, None]).ravel()]
    for rate in rates[1:]:
        counts = rng.poisson(rate * lengths)
        starts.append(np.sort(np.repeat(begins, counts) + rng.random(counts.sum()) * np.repeat(lengths, counts)))
    return Streams(starts, before, size, after, begins + lengths, tail)


def _most(mean: float) -> int:
    """More than a Poisson number of that mean comes to, but for one time in a million."""
    return int(np.ceil(mean + 6.0 * np.sqrt(mean))) + 12


def drawn_commands(
    leader: int,
    starts: Array,
    delays: Array,
    asked: int,
    jitter: float,
    fsync: Distribution,
    rng: np.random.Generator,
) -> Sent:
    """Commands of one leader, of whose mean one-way `delays` (replicas) the share `jitter` varies exponentially.

    Each way of a round trip takes as long as the other; the leader's own write is part of either round. Of replies that
    come at the same time any is the first.
    """
    size, majority = len(starts), len(delays) // 2

    def varied() -> Array:
        return np.asarray(delays * (1.0 - jitter + jitter * rng.standard_exponential((size, len(delays)))))

    def written_after(ways: Array, k: int) -> Array:
        return np.maximum(fsync.sample(size, rng=rng), 2.0 * np.sort(ways, axis=1)[:, k])

    out = varied()
    quick = np.zeros(out.shape, dtype=bool)
    np.put_along_axis(quick, _order(out, rng)[:, : asked + 1], True, axis=1)
    quick[:, leader] = False
    first, second = written_after(out, asked), written_after(varied(), majority)
    return Sent(starts, starts[:, None] + out, quick, first, second, varied())


def _order(times: Array, rng: np.random.Generator) -> Indices:
    """Who comes first (commands, replicas), of equals anybody."""
    if not len(times) or len(np.unique(times[0])) == times.shape[1]:  # delays that vary hardly ever tie
        return np.asarray(np.argsort(times, axis=1, kind="stable"))
    return np.asarray(np.lexsort((rng.random(times.shape), times), axis=1))
