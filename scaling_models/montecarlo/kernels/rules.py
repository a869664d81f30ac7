"""Dispatch rules: which server a request goes to, drawn and chosen for many lanes at once.

A rule draws what it needs for a block of customers, and chooses from that and from what it sees of the servers. Rows
are `offset + server`, the offset being that of the lane (and of the dispatcher that received the request).
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from scaling_models.montecarlo.arrays import Indices
from scaling_models.montecarlo.kernels.servers import Servers, Words, count

Generator = np.random.Generator
Choice = tuple[Indices, Words | None]  # rows of the chosen servers; who is there, where the rule counts


class Rule(Protocol):
    """What the dispatching kernel asks of a rule."""

    @property
    def counts(self) -> bool:
        """Whether it looks at the requests in the servers, so that these must be noted."""

    @property
    def looks(self) -> int:
        """At how many servers, drawn beforehand, it looks; 0 where it looks at all of them."""

    def draw(self, rng: Generator, offsets: Indices, servers: int, turn: int) -> Any:
        """What the rule needs for a block of customers (customers, lanes), indexed by customer."""

    def choose(self, pool: Servers, drawn: Any, offsets: Indices) -> Choice:
        """The rows of the servers chosen for one customer of each lane."""


def small_integers(rng: Generator, below: int, shape: tuple[int, ...]) -> NDArray[Any]:
    """Whole numbers in [0, below) in the narrowest type that is fast to draw."""
    return rng.integers(0, below, shape, dtype=np.uint16 if below <= 2**16 else np.uint32)


def tie_keys(rng: Generator, shape: tuple[int, ...]) -> NDArray[np.uint16]:
    """Random 16-bit keys, drawn four at a time: equal ones, one pair in 65,536, leave the tie to the first."""
    size = int(np.prod(shape))
    words = rng.integers(0, 2**64, -(-size // 4), dtype=np.uint64, endpoint=False)
    return words.view(np.uint16)[:size].reshape(shape)


@dataclasses.dataclass(frozen=True)
class Random:
    """A server drawn at random, with equal or with given weights."""

    looks: ClassVar[int] = 1
    counts: ClassVar[bool] = False
    weights: tuple[float, ...] | None = None

    def draw(self, rng: Generator, offsets: Indices, servers: int, turn: int) -> Indices:
        """Rows (customers, lanes)."""
        if self.weights is None:
            return small_integers(rng, servers, offsets.shape) + offsets
        edges = np.cumsum(self.weights) / np.sum(self.weights)
        edges[-1] = 1.0  # the sum's rounding must not leave a draw without a server
        return np.searchsorted(edges, rng.random(offsets.shape), side="right") + offsets

    def choose(self, pool: Servers, drawn: Indices, offsets: Indices) -> Choice:
        """As drawn."""
        return drawn, None


@dataclasses.dataclass(frozen=True)
class RoundRobin:
    """One server after the other."""

    looks: ClassVar[int] = 1
    counts: ClassVar[bool] = False

    def draw(self, rng: Generator, offsets: Indices, servers: int, turn: int) -> Indices:
        """Rows (customers, lanes)."""
        return (np.arange(turn, turn + len(offsets)) % servers)[:, None] + offsets

    def choose(self, pool: Servers, drawn: Indices, offsets: Indices) -> Choice:
        """As drawn."""
        return drawn, None


@dataclasses.dataclass(frozen=True)
class PowerOf:
    """The server with the fewest requests of `choices` drawn at random; of equals the one drawn first."""

    counts: ClassVar[bool] = True
    choices: int = 2
    replacement: bool = False

    @property
    def looks(self) -> int:
        """At all that are drawn."""
        return self.choices

    def draw(self, rng: Generator, offsets: Indices, servers: int, turn: int) -> Indices:
        """Rows (customers, lanes, choices)."""
        rows = np.empty((*offsets.shape, self.choices), dtype=np.intp)
        before: list[NDArray[Any]] = []
        for place in range(self.choices):
            drawn = small_integers(rng, servers if self.replacement else servers - place, offsets.shape)
            for other in np.sort(before, axis=0) if len(before) > 1 else before:  # skip those already drawn
                drawn += drawn >= other
            np.add(drawn, offsets, out=rows[..., place], casting="unsafe")
            before += [] if self.replacement else [drawn]
        return rows

    def choose(self, pool: Servers, drawn: Indices, offsets: Indices) -> Choice:
        """The first of those with the most open places."""
        words = pool.open_places(drawn)
        counts = count(words)
        best = counts[:, 1] > counts[:, 0] if self.choices == 2 else counts.argmax(axis=1)
        at = best + np.arange(0, drawn.size, self.choices)
        return drawn.reshape(-1).take(at), words.reshape(drawn.size, -1).take(at, axis=0)


@dataclasses.dataclass(frozen=True)
class LeastConnections:
    """The server with the fewest requests; of equals one at random, the least recently used, or each in its turn.

    In turn is nginx's smooth weighted round robin among the equals: each gains a credit, the one with most (of several
    the first) is taken, and pays for all of them.
    """

    looks: ClassVar[int] = 0
    counts: ClassVar[bool] = True
    ties: str = "random"

    def draw(self, rng: Generator, offsets: Indices, servers: int, turn: int) -> Any:
        """Keys (customers, lanes, servers) that order equals; or the numbers of the assignments."""
        if self.ties == "random":
            return tie_keys(rng, (*offsets.shape, servers))
        return range(turn + 1, turn + 1 + len(offsets))

    def choose(self, pool: Servers, drawn: Any, offsets: Indices) -> Choice:
        """The most open places, then the greatest key, the longest unused, or the most credit."""
        words = pool.all_open_places(offsets)
        lanes = np.arange(len(words))
        if self.ties == "random":
            server = ((count(words).astype(np.uint32) << np.uint32(16)) | drawn).argmax(axis=1)
        else:
            memory, whose = pool.memory.reshape(-1, pool.servers), offsets // pool.servers
            server = self._by_memory(count(words).astype(np.int64), memory, whose, drawn)
        return offsets + server, words[lanes, server]

    def _by_memory(self, counts: NDArray[np.int64], memory: NDArray[np.int64], whose: Indices, turn: int) -> Indices:
        """The servers chosen by counts and by what each balancer remembers, row `whose` of its `memory`."""
        if self.ties == "used":
            server: Indices = ((counts << 40) - memory[whose]).argmax(axis=1)
            memory[whose, server] = turn
            return server
        equals = counts == counts.max(axis=1, keepdims=True)
        credit = memory[whose] + equals
        server = np.where(equals, credit, np.iinfo(np.int64).min).argmax(axis=1)
        credit[np.arange(len(server)), server] -= equals.sum(axis=1)
        memory[whose] = credit
        return server


@dataclasses.dataclass(frozen=True)
class JoinIdle:
    """A server with a worker free, at random; if there is none, any server at random."""

    looks: ClassVar[int] = 0
    counts: ClassVar[bool] = False

    def draw(self, rng: Generator, offsets: Indices, servers: int, turn: int) -> NDArray[np.uint16]:
        """Keys (customers, lanes, servers)."""
        return tie_keys(rng, (*offsets.shape, servers))

    def choose(self, pool: Servers, drawn: NDArray[np.uint16], offsets: Indices) -> Choice:
        """The greatest of idleness and key together."""
        key = (pool.idle().astype(np.uint32) << np.uint32(16)) | drawn
        return offsets + key.argmax(axis=1), None


@dataclasses.dataclass(frozen=True)
class LeastWork:
    """The server with the least work; FIFO, the one where the request begins first, of idle ones the longest free."""

    looks: ClassVar[int] = 0
    counts: ClassVar[bool] = False

    def draw(self, rng: Generator, offsets: Indices, servers: int, turn: int) -> range:
        """Nothing is drawn."""
        return range(len(offsets))

    def choose(self, pool: Servers, drawn: int, offsets: Indices) -> Choice:
        """The least of what the servers say."""
        return offsets + pool.work().argmin(axis=1), None
