"""Servers as arrays, FIFO: what a dispatcher sees of them and how they serve, for many lanes at once."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from scaling_models.montecarlo.arrays import Array, Flags, Indices

Words = NDArray[np.uint64]

WORD = 8  # places that one word of 64 bits tells of, a byte each


class Servers(Protocol):
    """What dispatch rules see of the servers of many lanes, and how these take a request."""

    now: Array
    memory: NDArray[np.int64]
    turn: int
    servers: int
    log: list[Array] | None

    def open_places(self, rows: Indices) -> Words:
        """Which places are open at the rows (lanes, some): words (lanes, some, places / 8)."""

    def all_open_places(self, offsets: Indices) -> Words:
        """The same for every server, as the dispatcher at `offsets` sees it: (lanes, servers, places / 8)."""

    def idle(self) -> Flags:
        """Which servers (lanes, servers) have a worker free."""

    def work(self) -> Array:
        """What the least-work rule compares, of each server (lanes, servers), in seconds."""

    def admit(self, rows: Indices, counters: Indices, words: Words | None, work: Array, waits: Array) -> Array | None:
        """A request of each lane comes to the server of its row, and is counted in the row of `counters`.

        `waits` (lanes,) is filled in; answers the latencies (some, lanes) that became known, NaN for none, or None
        where they are the waits and the work.
        """

    def pick(self, lanes: Indices) -> Self:
        """A copy of the named lanes."""

    def stall(self, length: float) -> None:
        """From now on nobody is served for `length` seconds."""


def open_words(gone: Flags) -> Words:
    """Words (..., places / 8) with a byte of 1 for each place (..., places) that is open."""
    return gone.view(np.uint64)


def count(words: Words) -> NDArray[Any]:
    """How many places are open (the words stand on the last axis)."""
    each = np.bitwise_count(words)
    if words.shape[-1] == 1:
        return each[..., 0]
    if words.shape[-1] > 16:
        return np.asarray(each.sum(axis=-1, dtype=np.int32))
    by_word = [each[..., word] for word in range(words.shape[-1])]
    return np.asarray(functools.reduce(np.add, by_word))  # 128 at most, which fit in a byte


def first_open(words: Words) -> NDArray[Any] | None:
    """The first open place of each row of words (rows, places / 8); None if some row has none."""
    word, before = words[:, 0], None
    if words.shape[-1] > 1:
        before = (words != 0).argmax(axis=1)
        word = words.reshape(-1).take(before + np.arange(0, words.size, words.shape[-1]))
    up_to_it = np.bitwise_count(word ^ (word - np.uint64(1)))  # 1, 9, 17, ...; 64 where nothing is open
    if up_to_it.max() == 64:
        return None
    place = up_to_it >> np.uint8(3)
    return place if before is None else place + WORD * before


def lanes_of(rows: NDArray[Any], lanes: Indices, among: int, clock: Array | None = None) -> NDArray[Any]:
    """The rows of the named ones `among` the lanes, copied; `clock` (a time for each of them) taken off."""
    each = rows.reshape(among, -1)[lanes]
    if clock is not None:
        each -= clock[:, None]
    return each.reshape(-1, *rows.shape[1:])


def widened(places: NDArray[Any], fill: float) -> NDArray[Any]:
    """Twice as many places."""
    return np.concatenate([places, np.full_like(places, fill)], axis=-1)


def narrowed(ring: Array, now: Array, occupied: int) -> Array:
    """The departures that are still to come, in no more places than three in four of which are taken."""
    size = WORD
    while size < min(ring.shape[1], occupied * 4 / 3 + 2):
        size *= 2
    return ring if size >= ring.shape[1] else np.sort(ring, axis=1)[:, -size:].copy()


@dataclasses.dataclass
class FifoServers:
    """FIFO servers of many lanes, row `lane x servers + server`; times in seconds on each lane's own clock.

    Where a rule counts requests, their departures stand in a ring of places for each server (and dispatcher, if each
    counts its own): row `(lane x dispatchers + dispatcher) x servers + server`. A ring that would overflow grows.
    """

    now: Array  # (lanes,) the last arrival
    free: Array  # (rows, workers) when the workers come free, ascending
    ring: Array  # (rows x dispatchers, places) departures in no order
    memory: NDArray[np.int64]  # (rows x dispatchers,) what the rule remembers of each server
    turn: int  # arrivals so far, the same in all lanes
    servers: int
    log: list[Array] | None = None  # departure times (s), where somebody wants them

    @classmethod
    def begin(cls, lanes: int, free: Array, dispatchers: int) -> FifoServers:
        """Servers whose workers come free at `free` (lanes x servers, workers), ascending, those that are busy with a
        few requests for the dispatchers to count."""
        ring = np.full((len(free) * dispatchers, WORD), -np.inf)
        counted = WORD // 2
        full = np.repeat(free[:, 0], dispatchers)[:, None] * (np.arange(1, counted + 1) / counted)
        ring[:, :counted] = np.where(full > 0.0, full, -np.inf)
        return cls(np.zeros(lanes), free, ring, np.zeros(len(ring), dtype=np.int64), 0, len(free) // lanes)

    def pick(self, lanes: Indices) -> FifoServers:
        """A copy of the named lanes, their clocks set to zero and their rings no larger than needed."""
        among, clock = len(self.now), self.now[lanes]
        ring = lanes_of(self.ring, lanes, among, clock)
        ring = narrowed(ring, clock, int((ring > 0.0).sum(axis=1).max()))
        free, memory = lanes_of(self.free, lanes, among, clock), lanes_of(self.memory, lanes, among)
        return FifoServers(np.zeros(len(lanes)), free, ring, memory, self.turn, self.servers)

    def open_places(self, rows: Indices) -> Words:
        """Which places of the rings are open at the rows (lanes, some): words (lanes, some, places / 8)."""
        lanes, some = rows.shape
        seen = self.ring.take(rows, axis=0, mode="clip").reshape(lanes, -1)  # one row a lane compares fastest
        return open_words(seen <= self.now[:, None]).reshape(lanes, some, -1)

    def all_open_places(self, offsets: Indices) -> Words:
        """The same for every server, as the dispatcher at `offsets` sees it: (lanes, servers, places / 8)."""
        each = self.ring.reshape(-1, self.servers, self.ring.shape[1])
        seen = each if len(each) == len(self.now) else each.take(offsets // self.servers, axis=0, mode="clip")
        return open_words(seen <= self.now[:, None, None])

    def idle(self) -> Flags:
        """Which servers (lanes, servers) have a worker free."""
        return self.work() <= self.now[:, None]

    def work(self) -> Array:
        """When each server (lanes, servers) could begin a request: what the least-work rule compares."""
        return self.free[:, 0].reshape(-1, self.servers)

    def admit(self, rows: Indices, counters: Indices, words: Words | None, work: Array, waits: Array) -> None:
        """Begin the `work` (s) at the servers `rows` after what is there; note it where it is counted."""
        begin, end = self._serve(rows, work)
        np.subtract(begin, self.now, out=waits)
        if self.log is not None:
            self.log.append(end)
        if words is not None:
            self._note(counters, words, end)

    def stall(self, length: float) -> None:
        """From now on nobody is served for `length` seconds: all that is there comes that much later."""
        now = np.repeat(self.now, len(self.free) // len(self.now))[:, None]
        self.free = np.maximum(self.free, now) + length
        there = self.ring > np.repeat(self.now, len(self.ring) // len(self.now))[:, None]
        self.ring = np.where(there, self.ring + length, self.ring)
        self.log = self.log and [np.where(ends > self.now, ends + length, ends) for ends in self.log]

    def _serve(self, rows: Indices, work: Array) -> tuple[Array, Array]:
        if self.free.shape[1] == 1:
            free = self.free.reshape(-1)
            begin = free.take(rows, mode="clip")
            np.maximum(begin, self.now, out=begin)
            end = begin + work
            free[rows] = end
            return begin, end
        slots = self.free.take(rows, axis=0, mode="clip")
        begin = np.maximum(slots[:, 0], self.now)
        end = begin + work
        np.minimum(np.maximum(slots[:, :-1], end[:, None]), slots[:, 1:], out=slots[:, :-1])
        np.maximum(slots[:, -1], end, out=slots[:, -1])
        self.free[rows] = slots
        return begin, end

    def _note(self, counters: Indices, words: Words, ends: Array) -> None:
        place = first_open(words)
        if place is None:
            self.ring = widened(self.ring, -np.inf)
            place = first_open(self.open_places(counters[:, None])[:, 0])
            assert place is not None  # half of the places are new
        self.ring.reshape(-1)[counters * self.ring.shape[1] + place] = ends
