"""A consensus leader under load: one server for all the work of its commands and of their acknowledgements."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import ClassVar, NamedTuple

import numpy as np

from scaling_models.latency import Distribution
from scaling_models.montecarlo.arrays import Array, Flags, Indices
from scaling_models.montecarlo.kernels.servers import widened
from scaling_models.montecarlo.kernels.tallies import counts
from scaling_models.montecarlo.streams import Streams
from scaling_models.montecarlo.systems import Outcomes

START = 8  # purpose of a stream
ROWS = 8  # commands at first held in a lane
WATCHED = 1500  # pieces of work of each part of a timeline


class Rounds(NamedTuple):
    """Commands whose acknowledgements are still to come; times in seconds from the lane's last step.

    `due` (lanes, rows, followers), ascending along the last axis: when each acknowledgement reaches the leader;
    `sent` (lanes, rows): when the command reached it; `seen` (lanes, rows): how many acknowledgements were taken up;
    `next` (lanes, rows): when the next one comes, inf in a row that is free.
    """

    due: Array
    sent: Array
    seen: Indices
    next: Array

    def pick(self, lanes: Indices | slice) -> Rounds:
        """The rounds of the named lanes, copied."""
        due, sent, seen, after = self
        return Rounds(due[lanes].copy(), sent[lanes].copy(), seen[lanes].copy(), after[lanes].copy())


class Taken(NamedTuple):
    """Pieces of work as they were taken up (steps, lanes), in seconds from the state before them.

    `latency` of the command that it answers, NaN where it answers none; `fresh` where it is a command; `over` when the
    leader is through with it; and the `time` that passed (lanes,).
    """

    latency: Array
    fresh: Flags
    over: Array
    time: Array


After = Callable[[Flags, Flags, Array], Array]


class Desk(NamedTuple):
    """The leader of each lane: when it is through with all that came (lanes,), its next command, and its rounds."""

    free: Array
    fresh: Array
    rounds: Rounds


@dataclasses.dataclass(frozen=True)
class Server:
    """A leader who works alone and in order of arrival; times in seconds.

    A command takes `request` of its time, then goes to `followers` followers, whose acknowledgements come back a
    `round_trip` each later and take `acknowledgement` each; the `needed`-th one of a command takes `reply` more, and
    then the command is answered. Work is taken up in the order in which it came; an acknowledgement that comes at the
    very time of a command goes first. With `together` in (0, 1], that share of the commands comes at the time of the
    one before.

    A step is a command or an acknowledgement. `needed` may be 0: a command is then answered with its own work.
    """

    gap: Distribution
    round_trip: Distribution
    followers: int
    needed: int
    request: float
    acknowledgement: float
    reply: float
    together: float = 0.0
    copies: ClassVar[int] = 4

    def start(self, backlog: Array, rngs: Streams) -> Desk:
        """An idle leader, or one with so much work before it, and no round under way."""
        lanes = len(backlog)
        rounds = Rounds(
            np.zeros((lanes, ROWS, self.followers)),
            np.zeros((lanes, ROWS)),
            np.zeros((lanes, ROWS), dtype=np.intp),
            np.full((lanes, ROWS), np.inf),
        )
        return Desk(backlog.astype(float), self.gap._draw((lanes,), rngs(START)), rounds)

    def advance(self, state: Desk, rngs: Streams, customers: int) -> tuple[Outcomes, Desk]:
        """`customers` steps a lane: the latency of commands that are answered. Tallies: commands, busy and time (s)."""
        gaps = self.draw_gaps((customers, len(state.free)), rngs)
        trips = self.round_trip._draw((customers, len(state.free), self.followers), rngs(2))
        taken, state = leader_steps(self, gaps, np.sort(trips, axis=2), state)
        busy = np.where(taken.fresh, self.request, self.acknowledgement).sum(axis=0)
        busy = busy + self.reply * np.isfinite(taken.latency).sum(axis=0)
        tallies = counts(commands=taken.fresh) | {"busy": busy, "time": taken.time}
        return Outcomes({"latency": taken.latency}, tallies), state

    def draw_gaps(self, shape: tuple[int, int], rngs: Streams) -> Array:
        """Times from one command to the next."""
        gaps = self.gap._draw(shape, rngs(1))
        if not self.together:
            return gaps
        return np.where(rngs(3).random(shape) < self.together, 0.0, gaps / (1.0 - self.together))

    def pick(self, state: Desk, lanes: Indices) -> Desk:
        """The state of the named lanes, copied."""
        return Desk(state.free[lanes], state.fresh[lanes], state.rounds.pick(lanes))


def leader_steps(
    rules: Server, gaps: Array, trips: Array, state: Desk, after: After | None = None
) -> tuple[Taken, Desk]:
    """The next steps of many independent lanes: the work that comes first is taken up next.

    FIFO makes the end of a piece of work known when it comes, and so when what it causes will come. `gaps` (steps,
    lanes) tells a step that is a command when the next one comes, and `trips` (steps, lanes, followers), ascending, how
    long its round trips take. Or `after` tells it, of which lanes took up a command, which answered one, and when the
    leader is through with that. Exact.
    """
    latency, fresh, over = np.full(gaps.shape, np.nan), np.zeros(gaps.shape, dtype=np.bool_), np.empty(gaps.shape)
    free, command = state.free.copy(), state.fresh.copy()
    rounds = state.rounds.pick(slice(None))
    lane, now = np.arange(gaps.shape[1]), np.zeros(gaps.shape[1])
    for n, (gap, trip) in enumerate(zip(gaps, trips, strict=True)):
        row = rounds.next.argmin(axis=1)
        first = rounds.next[lane, row]
        comes = command < first
        now = np.where(comes, command, first)
        seen = rounds.seen[lane, row] + 1
        answers = comes if rules.needed == 0 else ~comes & (seen == rules.needed)
        work = np.where(comes, rules.request, rules.acknowledgement) + rules.reply * answers
        free = np.maximum(free, now) + work
        begun = np.where(comes, command, rounds.sent[lane, row])
        np.copyto(latency[n], free - begun, where=answers)
        fresh[n], over[n] = comes, free
        command = after(comes, answers, free) if after else np.where(comes, command + gap, command)
        if rules.followers:
            who = np.flatnonzero(~comes)
            _step_on(rounds, who, row[who], seen[who])
            rounds = _begun(rounds, np.flatnonzero(comes), now, free - rules.reply * answers, trip)
    rounds = rounds._replace(
        due=rounds.due - now[:, None, None], sent=rounds.sent - now[:, None], next=rounds.next - now[:, None]
    )
    return Taken(latency, fresh, over, now), Desk(free - now, command - now, rounds)


def _step_on(rounds: Rounds, who: Indices, row: Indices, seen: Indices) -> None:
    """An acknowledgement of the named lanes' rows was taken up: the next is that after it, if there is one."""
    rounds.seen[who, row] = seen
    last = rounds.due.shape[2] - 1
    later = rounds.due[who, row, np.minimum(seen, last)]
    rounds.next[who, row] = np.where(seen <= last, later, np.inf)


def _begun(rounds: Rounds, who: Indices, sent: Array, left: Array, trips: Array) -> Rounds:
    """The rounds with those of the named lanes' commands, which came at `sent` and went out at `left`."""
    if not who.size:
        return rounds
    spare = np.isinf(rounds.next[who])
    if not spare.any(axis=1).all():
        due, begun, seen, after = rounds
        wider = np.concatenate([due, np.zeros_like(due)], axis=1)
        rounds = Rounds(wider, widened(begun, 0.0), widened(seen, 0), widened(after, np.inf))
        spare = np.isinf(rounds.next[who])
    row = spare.argmax(axis=1)
    rounds.due[who, row] = left[who, None] + trips[who]
    rounds.sent[who, row], rounds.seen[who, row] = sent[who], 0
    rounds.next[who, row] = rounds.due[who, row, 0]
    return rounds


def spiked(rules: Server, calm: float, rush: float, rng: np.random.Generator) -> tuple[Array, Array]:
    """When commands came and how long they took (s), of one leader to whom they come at the rates (1/s) calm, rush,
    and calm again, for as many pieces of work each.
    """
    state = rules.start(np.zeros(1), lambda _: rng)
    rates = np.repeat([calm, rush, calm], WATCHED)[:, None]
    trips = np.sort(rules.round_trip._draw((len(rates), 1, rules.followers), rng), axis=2)
    taken, _ = leader_steps(rules, rng.standard_exponential(rates.shape) / rates, trips, state)
    answered = np.isfinite(taken.latency)
    sent = (taken.over - taken.latency)[answered]
    order = np.argsort(sent)
    return sent[order], taken.latency[answered][order]
