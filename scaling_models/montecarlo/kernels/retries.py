"""Timeouts and retries: clients give up, ask again, and what they gave up is served all the same."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import ClassVar, NamedTuple

import numpy as np

from scaling_models.latency import Distribution
from scaling_models.montecarlo.arrays import Array, Flags, Indices
from scaling_models.montecarlo.kernels.copies import A_TOKEN
from scaling_models.montecarlo.kernels.losses import Line, check_limit, start_line, take_place
from scaling_models.montecarlo.kernels.queues import insert
from scaling_models.montecarlo.kernels.residuals import overfull_slots
from scaling_models.montecarlo.kernels.servers import widened
from scaling_models.montecarlo.kernels.tallies import counts
from scaling_models.montecarlo.kernels.timelines import counts_at
from scaling_models.montecarlo.streams import Streams
from scaling_models.montecarlo.systems import Outcomes

START = 8  # purpose of a stream

Draws = tuple[Array, Array, Array | None]  # services, gaps, uniform numbers: all (steps, lanes)


class PendingRetries(NamedTuple):
    """Retries to come, a row a lane (lanes, rows), the first `used` (lanes,) of each in use.

    When each is `due` (s, inf where there is none), when its request was `first` sent, and how often it was `tried`.
    """

    due: Array
    first: Array
    tried: Indices
    used: Indices

    def pick(self, lanes: Indices | slice) -> PendingRetries:
        """The state of the named lanes, copied."""
        due, first, tried, used = self
        return PendingRetries(due[lanes].copy(), first[lanes].copy(), tried[lanes].copy(), used[lanes].copy())


class Clients(NamedTuple):
    """What the clients of each lane will do next, and the line before the slots; times from the lane's last step.

    `fresh` (lanes,): the next fresh request. `tokens` (lanes,): the retry budget left. `clock` (lanes,): the last step,
    in seconds since the start.
    """

    line: Line
    pending: PendingRetries
    fresh: Array
    tokens: Array
    clock: Array

    def pick(self, lanes: Indices) -> Clients:
        """The state of the named lanes, copied."""
        line, pending = self.line.pick(lanes), self.pending.pick(lanes)
        return Clients(line, pending, self.fresh[lanes], self.tokens[lanes], self.clock[lanes])


class Attempts(NamedTuple):
    """What became of each step (steps, lanes): seconds, and flags.

    `sent`: when, since the start; `wait`: what the queue offered; `latency`: from the request's first attempt to its
    success, NaN without one; `fresh`: a first attempt; `made`: false for a retry that the budget forbids; `rejected`;
    `served`; `failed`: the request fails for good.
    """

    sent: Array
    wait: Array
    latency: Array
    fresh: Flags
    made: Flags
    rejected: Flags
    served: Flags
    failed: Flags


@dataclasses.dataclass(frozen=True)
class Retries:
    """One FIFO queue before `slots` slots whose clients give up after `timeout` and try again; times in seconds.

    An attempt that has not finished `timeout` after it was sent has failed, and its client knows it then; it stays in
    the queue and costs its service all the same, unless a slot would take it only after it has waited longer than
    `deadline` (then it is dropped, and its client hears nothing). An attempt that finds `queue_limit` others
    waiting and no slot free is rejected, and has failed at once. After its i-th failure a request is sent again
    `min(backoff 2^(i-1), longest_backoff)` later (times a uniform number with `jitter`, "full jitter"), at most
    `retries` times, and only if a token is there when the retry is due: each fresh request adds `budget` tokens up to
    `burst`, with which all begin, and a retry takes one; without a token the request fails for good. Each attempt
    draws its service anew. At a `stall` (when > 0, how long) each slot, once through with what was accepted before,
    stands still. A retry due at the very time of a fresh request goes first.

    A step is a fresh request or a retry that is due. Raises ValueError where a limit is no whole number >= 0.
    """

    gap: Distribution
    service: Distribution
    slots: int
    timeout: float
    retries: int
    backoff: float = 0.0
    longest_backoff: float = math.inf
    jitter: bool = False
    budget: float = math.inf
    burst: float = 10.0
    queue_limit: float = math.inf
    deadline: float = math.inf
    stall: tuple[float, float] | None = None
    copies: ClassVar[int] = 4

    def __post_init__(self) -> None:
        check_limit(self.queue_limit)

    def start(self, backlog: Array, rngs: Streams) -> Clients:
        """Empty lanes, or lanes with all places taken and slots busy for `backlog` s; no retry is pending yet."""
        lanes = len(backlog)
        zeros = np.zeros((lanes, 8))
        pending = PendingRetries(zeros + np.inf, zeros, zeros.astype(np.intp), np.zeros(lanes, dtype=np.intp))
        free = overfull_slots(self.slots, backlog, self.service, rngs(START))
        line = start_line(free, self.queue_limit, backlog)
        return Clients(line, pending, self.gap._draw((lanes,), rngs(1)), np.full(lanes, self.burst), np.zeros(lanes))

    def advance(self, state: Clients, rngs: Streams, customers: int) -> tuple[Outcomes, Clients]:
        """`customers` steps a lane: the latency of requests that succeed, the wait of attempts that are served.

        Tallies: fresh, attempts, successes, failed (requests, for good), rejected, dropped, busy and time (s). Those
        whose retry is pending are fresh, and neither successes nor failed yet.
        """
        drawn = self.draw(rngs, (customers, len(state.fresh)))
        seen, after = attempts(self, drawn, state)
        tallies = counts(fresh=seen.fresh, attempts=seen.made, rejected=seen.rejected, failed=seen.failed)
        tallies |= counts(successes=np.isfinite(seen.latency), dropped=seen.made & ~seen.rejected & ~seen.served)
        tallies["busy"] = (drawn[0] * seen.served).sum(axis=0)
        tallies["time"] = after.clock - state.clock
        return Outcomes({"latency": seen.latency, "wait": np.where(seen.served, seen.wait, np.nan)}, tallies), after

    def draw(self, rngs: Streams, shape: tuple[int, int]) -> Draws:
        """Services, gaps and, where there is jitter, uniform numbers for so many steps and lanes."""
        uniform = rngs(2).random(shape) if self.jitter else None
        return self.service._draw(shape, rngs(0)), self.gap._draw(shape, rngs(1)), uniform

    def pick(self, state: Clients, lanes: Indices) -> Clients:
        """The state of the named lanes, copied."""
        return state.pick(lanes)


def attempts(rules: Retries, drawn: Draws, state: Clients) -> tuple[Attempts, Clients]:
    """What becomes of the next steps of many independent lanes, by a recursion indexed by attempts.

    FIFO makes an attempt's response known when it is sent, and so when its client will try again: the next step of a
    lane is the earlier of its next fresh request and its earliest pending retry. Of `drawn`, step n uses its service,
    the gap to the next fresh request if it is one itself, and the uniform number for its jitter. Exact under the rules.
    """
    services, gaps, uniform = drawn
    seen = Attempts(*np.zeros((3, *services.shape)), *np.zeros((5, *services.shape), dtype=np.bool_))
    free, line = state.line.free.copy(), Line(state.line.free, state.line.places.copy(), state.line.oldest.copy())
    pending, arrival, tokens = state.pending.pick(slice(None)), state.fresh, state.tokens
    lane, now, spare = np.arange(services.shape[1]), np.zeros(services.shape[1]), np.empty_like(free)
    delays = np.minimum(rules.backoff * 2.0 ** np.arange(rules.retries + 1), rules.longest_backoff)
    for n, (service, wait, rejected) in enumerate(zip(services, seen.wait, seen.rejected, strict=True)):
        pending, before = _with_room(pending), now
        row = pending.due.argmin(axis=1)
        again = pending.due[lane, row] <= arrival
        now = np.minimum(pending.due[lane, row], arrival)
        begun = np.where(again, pending.first[lane, row], now)
        tried = np.where(again, pending.tried[lane, row], 0)
        arrival = np.where(again, arrival, now + gaps[n])
        comes, tokens = _allowed(rules, again, tokens)
        if rules.stall is not None:
            at = rules.stall[0] - state.clock
            free = np.where((before < at) & (at <= now), np.maximum(free, at) + rules.stall[1], free)

        begin = np.maximum(free[0], now)
        np.subtract(begin, now, out=wait)
        if rules.queue_limit == 0:
            np.logical_and(comes, wait > 0, out=rejected)
        elif len(line.places):
            np.logical_and(comes, take_place(line, lane, now, begin, comes), out=rejected)
        served = comes & ~rejected & (wait <= rules.deadline)
        end = begin + service
        free, spare = insert(free, np.where(served, end, -np.inf), spare)

        succeeds = served & (end - now <= rules.timeout)
        retries = comes & ~succeeds & (tried < rules.retries)
        delay = delays[tried] if uniform is None else delays[tried] * uniform[n]
        due = np.where(retries, np.where(rejected, now, now + rules.timeout) + delay, np.inf)
        _settle(pending, lane, np.where(again, row, pending.used), due, begun, tried + 1, again)
        np.add(now, state.clock, out=seen.sent[n])
        seen.latency[n] = np.where(succeeds, end - begun, np.nan)
        seen.fresh[n], seen.made[n], seen.served[n], seen.failed[n] = ~again, comes, served, ~succeeds & np.isinf(due)
    line = Line(free - now, line.places - now, line.oldest)
    pending = pending._replace(due=pending.due - now[:, None], first=pending.first - now[:, None])
    return seen, Clients(line, pending, arrival - now, tokens, state.clock + now)


def _allowed(rules: Retries, again: Flags, tokens: Array) -> tuple[Flags, Array]:
    """Whom the budget lets come, and the tokens then left."""
    if math.isinf(rules.budget):
        return np.ones_like(again), tokens
    tokens = np.where(again, tokens, np.minimum(tokens + rules.budget, rules.burst))
    comes = ~again | (tokens >= A_TOKEN)
    return comes, tokens - (again & comes)


def _with_room(pending: PendingRetries) -> PendingRetries:
    """The same with at least one row free in each lane."""
    due, first, tried, used = pending
    if used.max() < due.shape[1]:
        return pending
    return PendingRetries(widened(due, np.inf), widened(first, 0.0), widened(tried, 0), used)


def _settle(
    pending: PendingRetries, lane: Indices, row: Indices, due: Array, first: Array, tried: Indices, again: Flags
) -> None:
    """Write the next retry (`due` inf: none) to its row; where a row is left empty, the last pending takes it."""
    pending.due[lane, row], pending.first[lane, row], pending.tried[lane, row] = due, first, tried
    comes = due < np.inf
    np.add(pending.used, comes & ~again, out=pending.used)
    over = np.flatnonzero(again & ~comes)
    pending.used[over] -= 1
    last, hole = pending.used[over], row[over]
    pending.due[over, hole] = pending.due[over, last]
    pending.first[over, hole] = pending.first[over, last]
    pending.tried[over, hole] = pending.tried[over, last]
    pending.due[over, last] = np.inf


class Timeline(NamedTuple):
    """Counts by bin of time and lane (bins, lanes): fresh requests and attempts when sent, successes when answered."""

    fresh: Array
    attempts: Array
    successes: Array


def timeline(rules: Retries, edges: Array, lanes: int, rngs: Callable[[int], Streams], block: int = 500) -> Timeline:
    """What happens from empty between the `edges` (s, ascending); `rngs(i)` are the streams of the i-th block."""
    state, happened, number = rules.start(np.zeros(lanes), rngs(0)), np.zeros((3, len(edges) - 1, lanes)), 0
    while state.clock.min() < edges[-1]:
        number += 1
        seen, state = attempts(rules, drawn := rules.draw(rngs(number), (block, lanes)), state)
        answered = np.where(np.isfinite(seen.latency), seen.sent + seen.wait + drawn[0], np.inf)
        sent = (np.where(flags, seen.sent, np.inf) for flags in (seen.fresh, seen.made))
        happened += [np.diff(counts_at(times, edges), axis=0) for times in (*sent, answered)]
    return Timeline(*happened)
