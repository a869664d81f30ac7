"""Small pools of exponential FIFO servers, state by state: how many requests an arrival finds at its server.

Servers differ by their requests only, so that a state is how many of them have how many. States in which two servers
differ by more than a few requests are rare where a policy balances; leaving them out leaves a chain that is solved in
milliseconds.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import linalg

Array = NDArray[np.float64]
Indices = NDArray[np.intp]
Chances = Callable[[NDArray[np.int64]], Array]
VANISHING = 1e-12  # a factor that is as good as no further terms


class Found(NamedTuple):
    """P(an arrival finds j requests at its server), j = 0, 1, ...; beyond the last by the factor `decay` each."""

    weights: Array
    decay: float = 0.0


@dataclasses.dataclass(frozen=True, eq=False)
class Profiles:
    """How many of `servers` are how far above the least one reckoned with, 0 to `spread`: the rows of `counts`.

    `joined[i]` and `left[i]` are the rows that a request leads to which joins, or leaves, a server of class i; `higher`
    and `lower` those where every server's class is reckoned one lower, or higher, afterwards (it joined, or left the
    last of, the highest class). -1 where that cannot happen.
    """

    counts: NDArray[np.int64]
    joined: Indices
    left: Indices
    higher: Indices
    lower: Indices


@functools.lru_cache(maxsize=32)
def profiles(servers: int, spread: int) -> Profiles:
    """All (servers + spread choose spread) rows, and where each event leads."""
    bars = np.array(list(itertools.combinations(range(servers + spread), spread))).reshape(-1, spread)
    edges = np.pad(bars, ((0, 0), (1, 1)), constant_values=((0, 0), (-1, servers + spread)))
    counts = np.diff(edges, axis=1) - 1
    digits = (servers + 1) ** np.arange(spread + 1)
    keys = counts @ digits
    order = np.argsort(keys)

    def rows(after: NDArray[np.int64], possible: NDArray[np.bool_]) -> Indices:
        found = np.full(len(counts), -1)
        found[possible] = order[np.searchsorted(keys[order], after[possible] @ digits)]
        return found

    step = np.eye(spread + 1, dtype=int)
    joined = [rows(counts + step[i + 1] - step[i], counts[:, i] > 0) for i in range(spread)]
    left = [rows(counts + step[i - 1] - step[i], counts[:, i] > 0) for i in range(1, spread + 1)]
    above = np.roll(counts, -1, axis=1) + step[spread] - step[spread - 1]
    below = np.roll(counts + step[spread - 1] - step[spread], 1, axis=1)
    higher = rows(above, (counts[:, 0] == 0) & (counts[:, spread] > 0))
    lower = rows(below, counts[:, spread] == 1)
    return Profiles(counts, np.array(joined), np.array(left), higher, lower)


def shortest(counts: NDArray[np.int64]) -> Array:
    """The chances of joining each class where the shortest queue is joined: 1 for the least that there is."""
    chances = np.zeros(counts.shape)
    chances[np.arange(len(counts)), (counts > 0).argmax(axis=1)] = 1.0
    return chances


def shortest_of(choices: int, replacement: bool) -> Chances:
    """The chances where the shortest of `choices` servers is joined that are drawn with or without replacement.

    All drawn are of class i or higher with probability (n_i/N)^d, or (n_i choose d)/(N choose d).
    """

    def chances(counts: NDArray[np.int64]) -> Array:
        least = np.cumsum(counts[:, ::-1], axis=1)[:, ::-1].astype(float)
        servers = least[:, :1]
        drawn = np.arange(choices)[:, None, None] * (0.0 if replacement else 1.0)
        all_there = np.prod(np.maximum(least - drawn, 0.0) / (servers - drawn), axis=0)
        return np.asarray(-np.diff(all_there, axis=1, append=0.0))

    return chances


def states(servers: int, spread: int, workers: int = 1) -> int:
    """How many states `found_by` solves for."""
    return math.comb(servers + spread, spread) + workers * math.comb(servers + spread - 1, spread)


def found_by(chances: Chances, load: float, servers: int, workers: int, spread: int) -> Found:
    """What an arrival finds in M/M pools of `servers` x `workers` where chances(counts) says whom it joins.

    Threshold jockeying: where servers would differ by more than `spread` requests, one moves from the longest queue to
    the shortest. Then with all workers busy whoever leaves, the total is a birth and death of ratio `load`, and where
    the shortest queue is joined one more request at every server makes a state rarer by load^servers exactly; where
    others are joined that is taken from the level on where no server has a worker free. As the spread grows the error
    vanishes, monotonically: see the callers. Load in (0, 1) of each worker. Adan, van Houtum and van der Wal 1994.
    """
    shape = profiles(servers, spread)
    whole = np.arange(len(shape.counts))
    upper = np.flatnonzero(shape.counts[:, spread] > 0)
    chain = _Chain(shape, chances, load, workers, upper)
    for level in range(workers + 1):
        chain.add(level, whole if level == 0 else upper)
    return chain.found()


class _Chain:
    """The states by level: level 0 all profiles from 0 requests on; level b those whose highest class is b + spread."""

    def __init__(self, shape: Profiles, chances: Chances, load: float, workers: int, upper: Indices) -> None:
        servers = int(shape.counts[0].sum())
        self.shape, self.load, self.workers, self.upper = shape, load, workers, upper
        self.rate, self.decay = load * workers * servers, load**servers
        self.spread = shape.counts.shape[1] - 1
        self.size = len(shape.counts) + workers * len(upper)
        self.joins = chances(shape.counts)
        full = (shape.counts[:, 0] > 0) & (shape.counts[:, self.spread] > 0)
        self.joins[full, 0] += self.joins[full, self.spread]
        self.joins[full, self.spread] = 0.0
        self.place = np.full(len(shape.counts), -1)
        self.place[upper] = np.arange(len(upper))
        self.moves: list[tuple[Indices, Indices, Array]] = []
        self.out = np.zeros(self.size)
        self.unevenness: list[Array] = []

    def at(self, level: int, rows: Indices) -> Indices:
        """The numbers of the states."""
        return rows if level == 0 else len(self.shape.counts) + (level - 1) * len(self.upper) + self.place[rows]

    def move(self, level: int, rows: Indices, to_level: int, to: Indices, rates: Array) -> None:
        """Rates from states to states; those beyond the last level only leave (`add` has what returns)."""
        going = (to >= 0) & (rates > 0)
        source = self.at(level, rows[going])
        np.add.at(self.out, source, rates[going])
        if to_level <= self.workers:
            self.moves.append((source, self.at(to_level, to[going]), rates[going]))

    def add(self, level: int, rows: Indices) -> None:
        """Everything that happens in the states of a level."""
        shape, spread, last = self.shape, self.spread, self.workers
        for i in range(spread):
            self.move(level, rows, level, shape.joined[i, rows], self.rate * self.joins[rows, i])
        self.move(level, rows, level + 1, shape.higher[rows], self.rate * self.joins[rows, spread])
        requests = level + np.arange(spread + 1)
        self.unevenness.append(shape.counts[rows] @ (requests - self.load * self.workers) ** 2)
        rates = shape.counts[rows] * np.minimum(requests, self.workers).astype(float)
        if level:
            rates[:, spread] += rates[:, 0]  # the longest queue's request goes to the shortest instead
        for i in range(1, spread + 1):
            stays = np.ones(len(rows), bool) if level == 0 or i < spread else shape.counts[rows, spread] > 1
            self.move(level, rows, level, np.where(stays, shape.left[i - 1, rows], -1), rates[:, i])
        if level:
            self.move(level, rows, level - 1, shape.lower[rows], rates[:, spread])
        if level == last:  # what comes down from the level above, whose states are these, rarer
            down = shape.lower[rows] >= 0
            to = self.at(level, shape.lower[rows][down])
            self.moves.append((self.at(level, rows[down]), to, rates[down, spread] * self.decay))

    def found(self) -> Found:
        """The stationary distribution, as arrivals see it."""
        source, to, rates = (np.concatenate(part) for part in zip(*self.moves, strict=True))
        balance = sparse.csc_matrix((rates, (to, source)), shape=(self.size,) * 2) - sparse.diags(self.out)
        known = int(np.concatenate(self.unevenness).argmin())  # a likely state: from a rare one others would overflow
        others = np.delete(np.arange(self.size), known)
        columns = balance[1:]  # one equation too many: that of the empty pool, which matters least where levels are cut
        weights = np.ones(self.size)
        weights[others] = linalg.spsolve(columns[:, others].tocsc(), -columns[:, [known]].toarray().ravel())
        last = weights[-len(self.upper) :]
        weights /= weights.sum() + last.sum() * self.decay / (1.0 - self.decay)
        seen = np.zeros(self.workers + self.spread + 1)
        for level in range(self.workers + 1):
            rows = self.upper if level else np.arange(len(self.shape.counts))
            seen[level : level + self.spread + 1] += weights[self.at(level, rows)] @ self.joins[rows]
        return _continued(seen, weights[self.at(self.workers, self.upper)] @ self.joins[self.upper], self.decay)


def _continued(seen: Array, last: Array, decay: float) -> Found:
    """Add the levels beyond the last one: each a request higher, and rarer by `decay`."""
    if decay < VANISHING:
        return Found(seen)
    behind = np.zeros(len(seen))
    for i in range(1, len(last)):
        behind[len(seen) - len(last) + i :] += last[: len(last) - i] * decay**i
    return Found(seen + behind, decay)
