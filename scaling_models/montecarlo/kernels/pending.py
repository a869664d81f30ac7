"""Hedged requests whose copies are never cancelled, an arrival or a copy at a time."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scaling_models.montecarlo.arrays import Array, Flags, Indices
from scaling_models.montecarlo.kernels.copies import HedgingRule
from scaling_models.montecarlo.kernels.servers import WORD, count, open_words, widened
from scaling_models.montecarlo.kernels.tallies import counts

BORN, BEST, SIZE, USED = 0, 1, 2, 3  # what is kept of a request: arrival, first end so far, first size, servers so far


@dataclasses.dataclass
class Pending:
    """Servers, and the copies yet to be sent, of many lanes; times in seconds on each lane's own clock.

    As the delay is the same for all, copies fall due in the order in which they are put in their row.
    """

    coming: Array  # (lanes,) the next arrival
    free: Array  # (lanes, servers)
    departures: Array  # (lanes, servers, places) of requests still there, and of some that have left
    place: Indices  # (lanes, servers) where the next departure is put
    due: Array  # (lanes, places) in order from `head` on; infinite where nothing is due
    held: Array  # (lanes, places, USED + copies - 1) the requests to be copied; -1 for no server
    head: Indices  # (lanes,) the place of the first due
    tail: Indices  # (lanes,) where the next is put
    tokens: Array  # (lanes,)

    @classmethod
    def begin(cls, busy: Array, rule: HedgingRule) -> Pending:
        """Servers (lanes, servers) with a first job of so many seconds, or 0 and idle; an arrival at once."""
        lanes = len(busy)
        departures = np.full((*busy.shape, WORD), -np.inf)
        departures[..., -1] = busy
        return cls(
            coming=np.zeros(lanes),
            free=busy.copy(),
            departures=departures,
            place=np.zeros((lanes, rule.servers), dtype=np.intp),
            due=np.full((lanes, WORD), np.inf),
            held=np.zeros((lanes, WORD, USED + rule.copies - 1)),
            head=np.zeros(lanes, dtype=np.intp),
            tail=np.zeros(lanes, dtype=np.intp),
            tokens=np.zeros(lanes),
        )

    def pick(self, lanes: Any) -> Pending:
        """A copy of the named lanes."""
        return Pending(**{field.name: getattr(self, field.name)[lanes].copy() for field in dataclasses.fields(self)})

    def rebase(self, clock: Array) -> None:
        """Count all times from the lanes' `clock`."""
        for times in (self.coming, self.free, self.departures, self.due, self.held[..., :SIZE]):
            times -= clock.reshape(-1, *[1] * (times.ndim - 1))

    def lengths(self, rows: Indices, now: Array) -> NDArray[Any]:
        """How many requests are at the servers `rows` (candidates, lanes), numbered through all lanes."""
        there = self.departures.reshape(-1, self.departures.shape[-1]).take(rows, axis=0) > now[:, None]
        return count(open_words(there))

    def note(self, rows: Indices, ends: Array, now: Array) -> None:
        """Put departures from the servers `rows` in the place of those of the past."""
        place = self.place.reshape(-1)
        at = rows * self.departures.shape[-1] + place[rows]
        if (self.departures.reshape(-1)[at] > now).any():
            self.place[:] = self.departures.shape[-1]
            self.departures = widened(self.departures, -np.inf)
            at = rows * self.departures.shape[-1] + place[rows]
        self.departures.reshape(-1)[at] = ends
        place[rows] = (place[rows] + 1) % self.departures.shape[-1]

    def take(self, lanes: Indices) -> Array:
        """Take the requests first due in the named lanes, (columns, lanes)."""
        places = self.due.shape[1]
        at = lanes * places + self.head[lanes]
        self.due.reshape(-1)[at] = np.inf
        self.head[lanes] = (self.head[lanes] + 1) % places
        return np.asarray(self.held.reshape(-1, self.held.shape[-1])[at].T)

    def put(self, lanes: Indices, due: Array, requests: Array) -> None:
        """Put requests (columns, lanes) of which a copy will be due at the end of the rows of the named lanes."""
        places = self.due.shape[1]
        at = lanes * places + self.tail[lanes]
        if self.due.reshape(-1)[at].min() < math.inf:
            self._lengthen()
            places = self.due.shape[1]
            at = lanes * places + self.tail[lanes]
        self.due.reshape(-1)[at] = due
        self.held.reshape(-1, self.held.shape[-1])[at] = requests.T
        self.tail[lanes] = (self.tail[lanes] + 1) % places

    def _lengthen(self) -> None:
        lanes, places = self.due.shape
        lane, order = np.arange(lanes)[:, None], (self.head[:, None] + np.arange(places)) % places
        self.due, self.held = self.due[lane, order], self.held[lane, order]
        self.tail = np.isfinite(self.due).sum(axis=1)
        self.head = np.zeros_like(self.tail)
        self.due = widened(self.due, np.inf)
        self.held = np.concatenate([self.held, np.zeros_like(self.held)], axis=1)


def hedged_responses(
    services: Array, gaps: Array, candidates: Indices, state: Pending, rule: HedgingRule
) -> tuple[Array, dict[str, Array], Pending]:
    """Responses (steps, lanes) of requests whose copies are never cancelled, tallies by lane, and the new state.

    At a FIFO server a departure is known when its request arrives, and so is whether a copy of it will be sent; copies
    and arrivals are two streams in order of time, which are merged (a copy before an arrival at the same time). A step
    is an arrival or a copy that falls due, and uses the numbers of its row: `services` (steps, lanes) of what is sent,
    `gaps` to the arrival after this one, `candidates` (steps, rule.drawn, lanes) different servers in random order. A
    response stands at the step at which it becomes sure, NaN at the others. What is done exactly when a copy falls due
    is done. Seconds. Exact.
    """
    state = state.pick(slice(None))
    responses, sizes = np.empty_like(services), services.copy()
    arrived, sent = np.empty((2, *services.shape), dtype=np.bool_)
    rows = np.arange(services.shape[1]) * rule.servers
    now = np.zeros(services.shape[1])
    for i, size in enumerate(sizes):
        due = state.due[np.arange(len(now)), state.head]
        arrived[i] = sent[i] = state.coming < due
        now = np.minimum(due, state.coming)
        requests = _fresh(now, size, rule)
        late = (~arrived[i]).nonzero()[0]
        if late.size:
            requests[:, late] = state.take(late)
            sent[i, late] = rule.pay(state.tokens, late)
            if not rule.redraw:
                size[late] = requests[SIZE, late]
        server = _choose(candidates[i], requests, late, now, state, rule)
        end = _serve(rows + server, size, now, sent[i], state, rule)
        responses[i] = _settle(requests, server, end, now, sent[i], state, rule)
        rule.earn(state.tokens, arrived[i])
        np.add(state.coming, gaps[i], out=state.coming, where=arrived[i])
    state.rebase(now)
    tallies = {
        **counts(requests=arrived, copies=sent),
        "busy": (sizes * sent).sum(axis=0) / rule.servers,
        "time": now,
    }
    return responses, tallies, state


def _fresh(now: Array, size: Array, rule: HedgingRule) -> Array:
    """A request that arrives now in every lane."""
    requests = np.empty((USED + rule.copies - 1, len(now)))
    requests[BORN] = now
    requests[BEST] = np.inf
    requests[SIZE] = size
    requests[USED:] = -1.0
    return requests


def _choose(drawn: Indices, requests: Array, late: Indices, now: Array, state: Pending, rule: HedgingRule) -> Indices:
    """The servers to send to, other than those that the requests have used."""
    lengths = None
    if rule.choices > 1:
        lengths = state.lengths(drawn + np.arange(len(now)) * rule.servers, now)
    return rule.choose(drawn, lengths, late, requests[USED:, late])


def _serve(rows: Indices, size: Array, now: Array, sent: Flags, state: Pending, rule: HedgingRule) -> Array:
    """When what is sent to the servers `rows` is done there; infinite where nothing is sent."""
    free = state.free.reshape(-1)
    end = np.maximum(free[rows], now) + size
    if not sent.all():
        end[~sent] = np.inf
        rows, now = rows[sent], now[sent]
    ends = end if len(rows) == len(end) else end[sent]
    free[rows] = ends
    if rule.choices > 1:
        state.note(rows, ends, now)
    return end


def _settle(
    requests: Array, server: Indices, end: Array, now: Array, sent: Flags, state: Pending, rule: HedgingRule
) -> Array:
    """Responses of the requests that will have no further copy; the others are put in their row."""
    best = np.minimum(requests[BEST], end)
    response: Array = best - requests[BORN]
    if rule.copies == 1:
        return response
    requests[BEST] = best
    more = ((best > now + rule.delay) & (requests[-1] < 0.0) & sent).nonzero()[0]
    if more.size:
        response[more] = np.nan
        requests[USED + 1 :] = requests[USED:-1]
        requests[USED] = server
        state.put(more, now[more] + rule.delay, requests[:, more])
    return response
