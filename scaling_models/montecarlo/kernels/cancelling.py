"""Hedged requests whose other copies are cancelled once one is done, event by event."""

from __future__ import annotations

import numpy as np

from scaling_models.montecarlo.arrays import Array, Indices
from scaling_models.montecarlo.kernels.calendar import NOBODY, Calendar
from scaling_models.montecarlo.kernels.copies import HedgingRule


def cancelled_responses(
    services: Array, gaps: Array, candidates: Indices, state: Calendar, rule: HedgingRule, anywhere: bool
) -> tuple[Array, dict[str, Array], Calendar]:
    """Responses (steps, lanes) of requests whose copies are cancelled, tallies by lane, and the new state.

    Once a copy is done the others of its request are cancelled: `anywhere` at once, waiting or in service; otherwise
    only while they wait, a server dropping them (in no time) when it comes to them, until when a balancer counts them.
    A step is the next event of a lane: the end of a service, or a server's look at its queue after a copy in service
    or at the queue's head was cancelled; the falling due of a copy; or an arrival (in this order at equal times, lower
    servers first). A response stands at the step at which the request is done, NaN at the others. Each lane uses the
    rows of `services` (steps, lanes), `gaps` (to the next arrival) and `candidates` (steps, rule.drawn, lanes:
    different servers in random order) one by one, a row for each arrival and each copy that falls due of a request not
    done; the rows that are left over are not used. Seconds. Exact.
    """
    block = _Block(state.pick(np.arange(state.lanes)), rule, anywhere, services, gaps, candidates)
    responses = np.full_like(services, np.nan)
    for response in responses:
        block.step(response)
    block.state.rebase(block.now)
    return responses, block.tallies(), block.state


class _Block:
    """A block of events: what each kind of event does to the `lanes` (indices) in which it is the next."""

    def __init__(
        self, state: Calendar, rule: HedgingRule, anywhere: bool, services: Array, gaps: Array, candidates: Indices
    ) -> None:
        self.state, self.rule, self.anywhere = state, rule, anywhere
        self.services, self.gaps, self.candidates = services.reshape(-1), gaps.reshape(-1), candidates.reshape(-1)
        self.row = np.zeros(state.lanes, dtype=np.intp)
        self.now = np.zeros(state.lanes)
        self.requests, self.copies, self.busy = np.zeros((3, state.lanes))
        self.lane = np.arange(state.lanes)

    def tallies(self) -> dict[str, Array]:
        busy = self.busy / self.rule.servers
        return {"requests": self.requests, "copies": self.copies, "busy": busy, "time": self.now}

    def step(self, response: Array) -> None:
        state = self.state
        server = state.ends.reshape(state.lanes, -1).argmin(axis=1)
        end = state.ends[self.lane * state.servers + server]
        other = np.minimum(state.next_due, state.coming)
        self.now = np.minimum(end, other)
        done = end <= other
        ended = done.nonzero()[0]
        if ended.size:
            self.end(ended, server[ended], response)
        arrives = state.coming < state.next_due
        arrived = (arrives & ~done).nonzero()[0]
        due = (~(arrives | done)).nonzero()[0]
        fresh = self.arrive(arrived)
        if due.size:
            hedged, again = self.fall_due(due)
            arrived, fresh = np.concatenate([arrived, hedged]), np.concatenate([fresh, again])
        if arrived.size:
            self.send(arrived, fresh)

    def end(self, lanes: Indices, servers: Indices, response: Array) -> None:
        """Services end, and the servers look at their queues."""
        state = self.state
        at = lanes * state.servers + servers
        copies = state.serving[at]
        real = (copies >= 0).nonzero()[0]
        if real.size:
            mine, copy = lanes[real], copies[real]
            request = copy // state.copies
            place = mine * state.places + request
            state.length[at[real]] -= 1
            first = state.open[place].nonzero()[0]
            response[mine[first]] = self.now[mine[first]] - state.born[place[first]]
            state.open[place] = False
            if self.anywhere:
                self.cancel(mine, request, copy)
            state.release(mine, request)
        self.look(lanes, servers)

    def cancel(self, lanes: Indices, requests: Indices, done: Indices) -> None:
        """Cancel all copies of the requests but the `done` ones."""
        state = self.state
        several = (state.sent[lanes * state.places + requests] > 1).nonzero()[0]
        lanes, requests, done = lanes[several], requests[several], done[several]
        for k in range(state.copies if several.size else 0):
            copies = requests * state.copies + k
            there = (k < state.sent[lanes * state.places + requests]) & (copies != done)
            mine, copy = lanes[there], copies[there]
            at = mine * state.servers + state.server[mine * state.places * state.copies + copy]
            state.length[at] -= 1
            stopped = (state.serving[at] == copy).nonzero()[0]
            mine, at = mine[stopped], at[stopped]
            self.busy[mine] -= state.ends[at] - self.now[mine]
            state.ends[at] = self.now[mine]
            state.serving[at] = NOBODY
            state.release(mine, copy[stopped] // state.copies)

    def look(self, lanes: Indices, servers: Indices) -> None:
        """Servers take up the oldest copies of their queues, or drop these if they are cancelled, or fall idle."""
        state = self.state
        at = lanes * state.servers + servers
        copies = state.leave(lanes, servers)
        open_ = state.open[lanes * state.places + copies // state.copies]
        begins = (copies >= 0) & open_
        state.serving[at] = np.where(begins, copies, NOBODY)
        size = state.size[lanes * state.places * state.copies + copies]
        now = self.now[lanes]
        state.ends[at] = np.where(begins, now + size, np.where(copies >= 0, now, np.inf))
        self.busy[lanes] += np.where(begins, size, 0.0)
        dropped = ((copies >= 0) & ~open_).nonzero()[0]
        if dropped.size:
            if not self.anywhere:
                state.length[at[dropped]] -= 1
            state.release(lanes[dropped], copies[dropped] // state.copies)

    def arrive(self, lanes: Indices) -> Indices:
        """New requests."""
        state = self.state
        requests = state.allot(lanes)
        at = lanes * state.places + requests
        state.born[at] = self.now[lanes]
        state.open[at] = True
        state.sent[at] = 0
        state.coming[lanes] += self.gaps[self.row[lanes] * state.lanes + lanes]
        self.requests[lanes] += 1.0
        self.rule.earn(state.tokens, lanes)
        return requests

    def fall_due(self, lanes: Indices) -> tuple[Indices, Indices]:
        """Copies fall due: the lanes and requests that still want one and may have it."""
        state = self.state
        requests = state.fall_due(lanes)
        wanted = state.open[lanes * state.places + requests]
        paid = wanted.copy()
        paid[wanted] = self.rule.pay(state.tokens, lanes[wanted])
        self.row[lanes[wanted & ~paid]] += 1
        state.ties[(lanes * state.places + requests)[paid]] -= 1
        state.release(lanes[~paid], requests[~paid])
        return lanes[paid], requests[paid]

    def send(self, lanes: Indices, requests: Indices) -> None:
        """Send a copy of each of the requests, and have the next one fall due."""
        state, rule = self.state, self.rule
        at = lanes * state.places + requests
        nth = state.sent[at]
        copies = requests * state.copies + nth
        place = lanes * state.places * state.copies + copies
        size = self.services[self.row[lanes] * state.lanes + lanes]
        if not rule.redraw:
            size = np.where(nth == 0, size, state.size[place - nth])
        servers = self.choose(lanes, place, nth)
        state.server[place], state.size[place], state.sent[at] = servers, size, nth + 1
        queue = lanes * state.servers + servers
        state.length[queue] += 1
        idle = np.isinf(state.ends[queue])
        now = self.now[lanes]
        begins, waits = idle.nonzero()[0], (~idle).nonzero()[0]
        state.serving[queue[begins]] = copies[begins]
        state.ends[queue[begins]] = (now + size)[begins]
        self.busy[lanes[begins]] += size[begins]
        state.join(lanes[waits], servers[waits], copies[waits])
        more = (nth + 1 < rule.copies) & ~(idle & (size <= rule.delay)) & np.isfinite(now + rule.delay)
        state.ties[at] += 1 + more
        state.postpone(lanes[more], requests[more], now[more] + rule.delay)
        self.row[lanes] += 1
        self.copies[lanes] += 1.0

    def choose(self, lanes: Indices, place: Indices, nth: Indices) -> Indices:
        """Where the copies go: to servers that have had none of the request's."""
        state, rule = self.state, self.rule
        rows = self.row[lanes] * rule.drawn + np.arange(rule.drawn)[:, None]
        drawn = self.candidates[rows * state.lanes + lanes]
        lengths = state.length[drawn + lanes * state.servers] if rule.choices > 1 else None
        late = nth.nonzero()[0]
        before = np.arange(1, state.copies)[:, None]
        earlier = state.server[np.maximum(place[late] - before, 0)]
        return rule.choose(drawn, lengths, late, np.where(before <= nth[late], earlier, NOBODY))
