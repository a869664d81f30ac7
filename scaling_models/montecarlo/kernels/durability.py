"""Nodes that fail and are rebuilt until all that hold some data are down together: played failure by failure."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from scaling_models.montecarlo.arrays import Array

Flags = NDArray[np.bool_]
Places = NDArray[np.intp]


@dataclasses.dataclass(frozen=True)
class Storage:
    """Nodes that hold R copies of all data; times in seconds.

    A node is up for an exponential time of mean `mtbf`. Its copies are rebuilt in an exponential time of mean `rebuild`
    (just that if `fixed`), of all nodes that are down at once or, if `serial`, one node after the other as they failed;
    then it is as new. `permutations` of the nodes, drawn for each lane and cut into groups of R, are the sets that hold
    data together; with none, each of `chunks` lies on R nodes at random, and anew when a node fails: of the chunks on
    it those are lost whose other copies were all on nodes that are down. With the probability `together` another node
    drawn at random fails with one that fails. Exact but for chance.
    """

    nodes: int
    replicas: int
    mtbf: float
    rebuild: float
    serial: bool = False
    permutations: int = 0
    chunks: int = 0
    together: float = 0.0
    fixed: bool = False


class Lanes:
    """The storages of several lanes, all up at time 0: `clock` (s) is when each node next fails or is rebuilt.

    `partners` (lanes, nodes, permutations, replicas - 1) are the other nodes of the sets of each node; a node that is
    in no set of a permutation has the number `nodes` there, which is never down.
    """

    def __init__(self, storage: Storage, lanes: int, rng: np.random.Generator) -> None:
        self.storage, self.rng = storage, rng
        self.down: Flags = np.zeros((lanes, storage.nodes + 1), dtype=bool)
        self.clock: Array = rng.exponential(storage.mtbf, (lanes, storage.nodes))
        self.free: Array = np.zeros(lanes)  # when all that are down will be rebuilt, where one is at a time
        self.partners = _partners(storage, lanes, rng)

    @property
    def next(self) -> Array:
        """When (s) the next failure or rebuilt node of each lane is."""
        return np.asarray(self.clock.min(axis=1))

    def keep(self, lanes: Flags) -> None:
        """Go on with these lanes only."""
        self.down, self.clock = self.down[lanes], self.clock[lanes]
        self.free, self.partners = self.free[lanes], self.partners[lanes]

    def step(self) -> Array:
        """The next failure or rebuilt node of every lane; how many sets or chunks each lost with it."""
        storage, rng = self.storage, self.rng
        every, who = np.arange(len(self.clock)), self.clock.argmin(axis=1)
        now = self.clock[every, who]
        fails = ~self.down[every, who]
        self.down[every, who] = False
        self.clock[every, who] = now + rng.exponential(storage.mtbf, len(every))
        lost = np.zeros(len(every))
        hit = every[fails]
        lost[hit] = self._fail(hit, who[hit], now[hit])
        if storage.together:
            other = rng.integers(storage.nodes, size=len(hit))
            struck = (rng.random(len(hit)) < storage.together) & ~self.down[hit, other]
            lost[hit[struck]] += self._fail(hit[struck], other[struck], now[hit[struck]])
        return lost

    def _fail(self, lanes: Places, who: Places, now: Array) -> Array:
        """These nodes go down; how many sets or chunks are lost with each."""
        storage, rng = self.storage, self.rng
        took = np.full(len(lanes), storage.rebuild) if storage.fixed else rng.exponential(storage.rebuild, len(lanes))
        if storage.serial:
            took += np.maximum(self.free[lanes] - now, 0.0)
            self.free[lanes] = now + took
        self.clock[lanes, who] = now + took
        lost = self._lost(lanes, who)
        self.down[lanes, who] = True
        return lost

    def _lost(self, lanes: Places, who: Places) -> Array:
        storage = self.storage
        if storage.permutations:
            others = self.partners[lanes, who]
            return np.asarray(self.down[lanes[:, None, None], others].all(axis=2).sum(axis=1), dtype=float)
        # Of the chunks with a copy here, those of which the second copy was on a node that is down, the third, ...
        left = np.full(len(lanes), storage.chunks)
        down = self.down[lanes].sum(axis=1)
        left = self.rng.binomial(left, storage.replicas / storage.nodes)
        for taken in range(storage.replicas - 1):
            left = self.rng.binomial(left, np.maximum(down - taken, 0) / (storage.nodes - 1 - taken))
        return np.asarray(left, dtype=float)


def _partners(storage: Storage, lanes: int, rng: np.random.Generator) -> Places:
    """The other nodes of the sets of each node, for every lane."""
    nodes, size = storage.nodes, storage.replicas
    found = np.full((lanes, nodes, storage.permutations, size - 1), nodes, dtype=np.intp)
    every = np.arange(lanes)[:, None]
    for turn in range(storage.permutations):
        orders = rng.permuted(np.tile(np.arange(nodes), (lanes, 1)), axis=1)[:, : nodes // size * size]
        groups = orders.reshape(lanes, -1, size)
        for place in range(size):
            found[every, groups[:, :, place], turn] = np.delete(groups, place, axis=2)
    return found


@dataclasses.dataclass(frozen=True, eq=False)
class Losses:
    """Of each lane: the time (s) until data is lost, the sets or chunks lost then, and node-seconds down before."""

    times: Array
    lost: Array
    down: Array


def first_losses(storage: Storage, lanes: int, rng: np.random.Generator) -> Losses:
    """Lanes from all nodes up until data is lost."""
    times, lost, down = np.zeros(lanes), np.zeros(lanes), np.zeros(lanes)
    played, left, last = Lanes(storage, lanes, rng), np.arange(lanes), np.zeros(lanes)
    while len(left):
        now = played.next
        down[left] += (now - last) * played.down.sum(axis=1)
        found = played.step()
        ends = found > 0
        last = now
        if ends.any():
            times[left[ends]], lost[left[ends]] = now[ends], found[ends]
            left, last = left[~ends], last[~ends]
            played.keep(~ends)
    return Losses(times, lost, down)
