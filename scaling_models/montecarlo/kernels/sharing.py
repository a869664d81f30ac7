"""Servers as arrays, processor sharing: a server's requests all advance at once, each at the same pace."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scaling_models.montecarlo.arrays import Array, Flags, Indices
from scaling_models.montecarlo.kernels.servers import (
    WORD,
    Words,
    count,
    first_open,
    lanes_of,
    open_words,
    widened,
)


@dataclasses.dataclass
class SharingServers:
    """Processor-sharing servers of many lanes, row `lane x servers + server`.

    With n requests on a server of k workers each is served at rate min(1, k / n). A server keeps its own clock, that
    runs at this rate: a request that comes when it shows v and wants s leaves when it shows v + s, whatever happens
    meanwhile. A server is brought up to date only when somebody looks at it, and tells then who has left since.
    """

    now: Array  # (lanes,) the last arrival
    leave: Array  # (rows, places) what the server's clock will show when the request leaves; -inf if open
    born: Array  # (rows, places) when it came
    shown: Array  # (rows,) what the clock showed at the last request to this server
    since: Array  # (rows,) when that was
    memory: NDArray[np.int64]  # (rows x dispatchers,) what the rule remembers of each server
    turn: int
    servers: int
    workers: int
    dispatchers: int = 1
    sender: NDArray[np.int16] | None = None  # (rows, places) who sent it, where there are several dispatchers
    log: list[Array] | None = None  # departure times (s) as they become known, where somebody wants them

    @classmethod
    def begin(cls, present: NDArray[np.intp], sizes: Array, workers: int, dispatchers: int, rng: Any) -> SharingServers:
        """Servers (lanes, servers) with so many requests `present`, of the given `sizes` (s), one after the other.

        A part of each that is drawn at random is done, in the time that this took among as many as there are: so it
        has a latency to tell, as long as the steady state's that began before anybody looked.
        """
        each, servers = present.ravel(), present.shape[1]
        places = WORD
        while places < each.max():
            places *= 2
        there = np.arange(places) < each[:, None]
        leave, born = np.full(there.shape, -np.inf), np.full(there.shape, np.nan)
        rest = sizes * rng.random(len(sizes))
        leave[there] = rest
        born[there] = (rest - sizes) * np.repeat(np.maximum(1.0, each / workers), each)
        zero = np.zeros(len(each))
        memory = np.zeros(len(each) * dispatchers, dtype=np.int64)
        sender = rng.integers(0, dispatchers, there.shape, dtype=np.int16) if dispatchers > 1 else None
        return cls(
            np.zeros(len(present)), leave, born, zero, zero.copy(), memory, 0, servers, workers, dispatchers, sender
        )

    def pick(self, lanes: Indices) -> SharingServers:
        """A copy of the named lanes, their clocks set to zero."""
        among, clock = len(self.now), self.now[lanes]
        shown = lanes_of(self.shown, lanes, among)
        return SharingServers(
            np.zeros(len(lanes)),
            lanes_of(self.leave, lanes, among) - shown[:, None],
            lanes_of(self.born, lanes, among, clock),
            np.zeros_like(shown),
            lanes_of(self.since, lanes, among, clock),
            lanes_of(self.memory, lanes, among),
            self.turn,
            self.servers,
            self.workers,
            self.dispatchers,
            None if self.sender is None else lanes_of(self.sender, lanes, among),
        )

    def _advanced(self, rows: Indices) -> tuple[Array, Array, Indices, Array]:
        """What the clocks of the rows (lanes, some) show now; their requests' leave marks by place, the places in the
        order of departure, and the times from the last request to the server to it, in that order, inf where open."""
        leave, shown = self.leave.take(rows, axis=0), self.shown.take(rows)
        there = leave > shown[..., None]
        marks = np.where(there, leave, np.inf)
        order = np.argsort(marks, axis=-1)
        marks = np.take_along_axis(marks, order, axis=-1)
        left = there.sum(axis=-1)[..., None] - np.arange(leave.shape[-1])  # requests until that departure
        pace = np.maximum(1.0, left / self.workers)
        before = np.concatenate([shown[..., None], marks[..., :-1]], axis=-1)
        finite = left > 0
        steps = np.where(finite, np.where(finite, marks, 0.0) - np.where(finite, before, 0.0), np.inf) * pace
        times = np.cumsum(steps, axis=-1)
        elapsed = np.maximum(self.now[rows // self.servers] - self.since.take(rows), 0.0)[
            ..., None
        ]  # not while stalled
        gone = (times <= elapsed).sum(axis=-1)[..., None]
        past = np.take_along_axis(np.concatenate([np.zeros_like(elapsed), times], axis=-1), gone, axis=-1)
        mark = np.take_along_axis(np.concatenate([shown[..., None], marks], axis=-1), gone, axis=-1)
        rest = np.maximum(1.0, (there.sum(axis=-1)[..., None] - gone) / self.workers)
        return (mark + (elapsed - past) / rest)[..., 0], leave, order, times

    def open_places(self, rows: Indices) -> Words:
        """Which places are open at the rows (lanes, some), or another dispatcher's: words (lanes, some, places / 8)."""
        if self.sender is None:
            shows, leave, _, _ = self._advanced(rows)
            return open_words(leave <= shows[..., None])
        dispatcher, at = self._whose(rows)
        shows, leave, _, _ = self._advanced(at)
        others = self.sender.take(at, axis=0) != dispatcher[..., None]
        return open_words((leave <= shows[..., None]) | others)

    def _whose(self, rows: Indices) -> tuple[Indices, Indices]:
        """The dispatcher whose row of counters it is, and the row of the server."""
        before, server = np.divmod(rows, self.servers)
        lane, dispatcher = np.divmod(before, self.dispatchers)
        return dispatcher, lane * self.servers + server

    def _everywhere(self) -> Indices:
        return np.arange(len(self.shown)).reshape(len(self.now), -1)

    def all_open_places(self, offsets: Indices) -> Words:
        """The same for every server, as the dispatcher at `offsets` sees it: (lanes, servers, places / 8)."""
        return self.open_places(offsets[:, None] + np.arange(self.servers))

    def idle(self) -> Flags:
        """Which servers (lanes, servers) have a worker free."""
        return np.asarray(count(self.open_places(self._everywhere())) > self.leave.shape[1] - self.workers)

    def work(self) -> Array:
        """The work left at each server (lanes, servers), in seconds of one worker."""
        shows, leave, _, _ = self._advanced(self._everywhere())
        return np.asarray(np.maximum(leave - shows[..., None], 0.0).sum(axis=-1))

    def _brought_up(self, rows: Indices) -> Array:
        """Bring the rows up to date; the latencies (places, rows) of those that left since they last were."""
        told = self._advanced(rows[:, None])
        shows, leave, order, times = told[0][:, 0], told[1][:, 0], told[2][:, 0], told[3][:, 0]
        gone = leave <= shows[:, None]
        leaving = gone & (leave > self.shown.take(rows)[:, None])
        left_at = np.empty_like(times)
        np.put_along_axis(left_at, order, times, axis=1)
        left = np.where(leaving, self.since.take(rows)[:, None] + left_at, np.nan)
        if self.log is not None:
            self.log.append(left[leaving])
        ages = left - self.born.take(rows, axis=0)
        self.shown[rows] = shows
        self.since[rows] = np.maximum(self.since.take(rows), self.now[rows // self.servers])
        return np.asarray(ages.T)

    def admit(self, rows: Indices, counters: Indices, words: Words | None, work: Array, waits: Array) -> Array:
        """Let the requests in; answers the latencies (places, lanes) of those that left since the server's last one."""
        ages = self._brought_up(rows)
        shows = self.shown.take(rows)
        place = first_open(open_words(self.leave.take(rows, axis=0) <= shows[:, None]))
        if place is None:
            place = np.full(len(rows), self.leave.shape[1])
            self.leave, self.born = widened(self.leave, -np.inf), widened(self.born, np.nan)
            self.sender = None if self.sender is None else widened(self.sender, 0)
        at = rows * self.leave.shape[1] + place
        self.leave.reshape(-1)[at] = shows + work
        self.born.reshape(-1)[at] = self.now
        if self.sender is not None:
            self.sender.reshape(-1)[at] = self._whose(counters)[0]
        waits[:] = np.nan  # nobody waits, and nobody is served alone
        return ages

    def stall(self, length: float) -> None:
        """From now on nobody is served for `length` seconds."""
        self._brought_up(np.arange(len(self.shown)))
        self.since += length
