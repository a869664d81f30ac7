"""Servers as arrays, processor sharing: a server's requests all advance at once, each at the same pace."""

from __future__ import annotations

import dataclasses

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
    sender: NDArray[np.int16]  # (rows, places) the dispatcher that sent it
    shown: Array  # (rows,) what the clock showed at the last request to this server
    since: Array  # (rows,) when that was
    used: NDArray[np.int64]  # (rows,) the number of each server's last assignment
    turn: int
    servers: int
    workers: int
    dispatchers: int = 1
    log: list[Array] | None = None  # departure times (s) as they become known, where somebody wants them

    @classmethod
    def begin(cls, backlog: Array, workers: int, dispatchers: int = 1) -> SharingServers:
        """Servers (lanes, servers) that are idle where the backlog (s) is 0, else have a few requests that take that
        long."""
        each, servers = backlog.reshape(-1, 1), backlog.shape[1]
        leave = np.full((len(each), WORD), -np.inf)
        leave[:, : WORD // 2] = np.where(each > 0.0, each * workers / (WORD // 2), -np.inf)
        zero = np.zeros(len(each))
        born = np.full_like(leave, np.nan)  # what was there at the start has no latency to tell
        used = np.zeros(len(each), dtype=np.int64)
        sender = (np.arange(leave.size) % dispatchers).astype(np.int16).reshape(leave.shape)
        now = np.zeros(len(backlog))
        return cls(now, leave, born, sender, zero, zero.copy(), used, 0, servers, workers, dispatchers)

    def pick(self, lanes: Indices) -> SharingServers:
        """A copy of the named lanes, their clocks set to zero."""
        among, clock = len(self.now), self.now[lanes]
        shown = lanes_of(self.shown, lanes, among)
        return SharingServers(
            np.zeros(len(lanes)),
            lanes_of(self.leave, lanes, among) - shown[:, None],
            lanes_of(self.born, lanes, among, clock),
            lanes_of(self.sender, lanes, among),
            np.zeros_like(shown),
            lanes_of(self.since, lanes, among, clock),
            lanes_of(self.used, lanes, among),
            self.turn,
            self.servers,
            self.workers,
            self.dispatchers,
        )

    def _advanced(self, rows: Indices) -> tuple[Array, Array, Array, Array]:
        """What the clocks of the rows (lanes, some) show now; their requests' leave marks as places and in order, and
        the times from the last request to the server to these departures, in that order, inf where open."""
        leave, shown = self.leave.take(rows, axis=0), self.shown.take(rows)
        there = leave > shown[..., None]
        marks = np.sort(np.where(there, leave, np.inf), axis=-1)
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
        return (mark + (elapsed - past) / rest)[..., 0], leave, marks, times

    def open_places(self, rows: Indices) -> Words:
        """Which places are open at the rows (lanes, some), or another dispatcher's: words (lanes, some, places / 8)."""
        if self.dispatchers == 1:
            shows, leave, _, _ = self._advanced(rows)
            return open_words(leave <= shows[..., None])
        own = rows // (self.servers * self.dispatchers) * self.servers + rows % self.servers
        sender = rows // self.servers % self.dispatchers
        shows, leave, _, _ = self._advanced(own)
        return open_words((leave <= shows[..., None]) | (self.sender.take(own, axis=0) != sender[..., None]))

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
        shows, leave, marks, times = (each[:, 0] for each in self._advanced(rows[:, None]))
        gone = leave <= shows[:, None]
        told = gone & (leave > self.shown.take(rows)[:, None])
        place_in_order = (marks[:, None, :] < leave[:, :, None]).sum(axis=-1)  # equal marks leave together
        left_at = np.take_along_axis(times, np.minimum(place_in_order, times.shape[1] - 1), axis=1)
        left = np.where(told, self.since.take(rows)[:, None] + left_at, np.nan)
        if self.log is not None:
            self.log.append(left[told])
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
            self.sender = widened(self.sender, 0)
        at = rows * self.leave.shape[1] + place
        self.leave.reshape(-1)[at] = shows + work
        self.born.reshape(-1)[at] = self.now
        self.sender.reshape(-1)[at] = counters // self.servers % self.dispatchers
        waits[:] = np.nan  # nobody waits, and nobody is served alone
        return ages

    def stall(self, length: float) -> None:
        """From now on nobody is served for `length` seconds."""
        self._brought_up(np.arange(len(self.shown)))
        self.since += length
