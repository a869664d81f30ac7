"""Proposers that outbid each other for one decision of basic Paxos, message by message.

Each proposer prepares a ballot at all acceptors and, promised by a majority, asks them to accept; an acceptor refuses
whatever has a lower ballot than it has promised. At the first refusal the proposer gives its ballot up, waits, and
takes the least of its own ballots above those it was told of. Messages of a ballot given up still arrive, unless the
proposer has begun two more rounds since. The decision is there when a proposer holds a majority of acceptances.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from scaling_models.montecarlo.arrays import Array, Flags, Indices

SLOTS = 4  # rounds of a proposer whose messages may be under way at once: two ballots
STEPS = 5_000  # events of one duel, beyond which it would not end

Sending = Callable[[Indices, Indices, Indices], tuple[Array, Array]]
"""Lanes, proposers and the numbers of their rounds -> seconds to each acceptor (lanes, acceptors), and back."""
Waiting = Callable[[Indices, Indices, Indices], Array]
"""Lanes, proposers and how often each was refused -> seconds until it tries again."""


class Duels(NamedTuple):
    """When each decision was there (lanes), seconds; ballots begun until then; and whose it was."""

    decided: Array
    ballots: Indices
    winner: Indices


@dataclasses.dataclass(eq=False)
class _State:
    """All that happens in each lane; the first axis of every array is the lanes."""

    lane: Indices  # which of the duels
    when: Array  # (lanes, proposers, slots, acceptors): a request arrives, or where `replied` the reply
    returns: Array
    replied: Flags
    good: Flags
    told: Indices
    ballot: Indices  # (lanes, proposers, slots)
    accepts: Flags
    wakes: Array  # (lanes, proposers), as all below
    rounds: Indices
    active: Flags
    tries: Indices
    seen: Indices
    votes: Indices
    owned: Flags
    promised: Indices  # (lanes, acceptors)

    @classmethod
    def of(cls, begins: Array, acceptors: int) -> _State:
        lanes, proposers = begins.shape
        messages, slots, each = (lanes, proposers, SLOTS, acceptors), (lanes, proposers, SLOTS), (lanes, proposers)
        return cls(
            np.arange(lanes),
            np.full(messages, np.inf),
            np.zeros(messages),
            np.zeros(messages, bool),
            np.zeros(messages, bool),
            np.zeros(messages, np.intp),
            np.zeros(slots, np.intp),
            np.zeros(slots, bool),
            begins.copy(),
            np.full(each, -1),
            np.zeros(each, bool),
            np.zeros(each, np.intp),
            np.full(each, -1),
            np.zeros(each, np.intp),
            np.zeros(each, bool),
            np.full((lanes, acceptors), -1),
        )

    def only(self, kept: Flags) -> _State:
        return _State(*(getattr(self, field.name)[kept] for field in dataclasses.fields(self)))


def duels(begins: Array, acceptors: int, send: Sending, wait: Waiting, *, own_needed: bool) -> Duels:
    """Play every lane to its decision: `begins` (lanes, proposers), when each first wakes, seconds.

    Proposer p stands beside acceptor p; with `own_needed` that one's word is wanted besides a majority.
    """
    lanes, proposers = begins.shape
    found = Duels(np.full(lanes, np.inf), np.zeros(lanes, np.intp), np.full(lanes, -1))
    state = _State.of(begins, acceptors)
    for step in range(STEPS):
        ended = _step(state, proposers, acceptors, send, wait, found, own_needed)
        if ended.any() and (step % 8 == 0 or ended.all()):
            state = state.only(~ended)
        if not len(state.lane):
            return found
    raise ValueError(
        f"duels: {len(state.lane)} of {lanes} were not decided after {STEPS} events: let proposers wait longer"
    )


def _step(
    s: _State, proposers: int, acceptors: int, send: Sending, wait: Waiting, found: Duels, own_needed: bool
) -> Flags:
    """The next event of each lane; which lanes have their decision."""
    ended = np.isfinite(found.decided[s.lane])
    count = len(s.lane)
    events = np.concatenate([s.when.reshape(count, -1), s.wakes], axis=1)
    which = events.argmin(axis=1)
    now = events[np.arange(count), which]
    waking = which >= proposers * SLOTS * acceptors
    p, rest = np.divmod(which, SLOTS * acceptors)
    slot, a = np.divmod(rest, acceptors)
    p = np.where(waking, which - proposers * SLOTS * acceptors, p)
    lane = np.arange(count)

    def begin(i: Indices, who: Indices, number: Indices, accept: bool) -> None:
        s.rounds[i, who] += 1
        to = s.rounds[i, who] % SLOTS
        there, back = send(s.lane[i], who, s.rounds[i, who])
        s.when[i, who, to], s.returns[i, who, to] = now[i, None] + there, back
        s.replied[i, who, to] = False
        s.ballot[i, who, to], s.accepts[i, who, to] = number, accept
        s.votes[i, who], s.owned[i, who], s.active[i, who] = 0, False, True

    live = ~ended
    i = lane[live & waking]
    if len(i):
        who = p[i]
        s.wakes[i, who] = np.inf
        found.ballots[s.lane[i]] += 1
        begin(i, who, ((s.seen[i, who] - who) // proposers + 1) * proposers + who, accept=False)
    is_reply = np.zeros(count, bool)
    messages = lane[live & ~waking]
    is_reply[messages] = s.replied[messages, p[messages], slot[messages], a[messages]]
    i = messages[~is_reply[messages]]
    if len(i):
        at = (i, p[i], slot[i], a[i])
        number, promised = s.ballot[at[:3]], s.promised[i, a[i]]
        good = np.where(s.accepts[at[:3]], number >= promised, number > promised)
        s.promised[i, a[i]] = np.where(good, number, promised)
        s.good[at], s.told[at], s.replied[at] = good, promised, True
        s.when[at] += s.returns[at]
    i = messages[is_reply[messages]]
    if len(i):
        at = (i, p[i], slot[i], a[i])
        s.when[at] = np.inf
        s.seen[i, p[i]] = np.maximum(s.seen[i, p[i]], np.maximum(s.told[at], s.ballot[at[:3]]))
        current = s.active[i, p[i]] & (s.rounds[i, p[i]] % SLOTS == slot[i])
        refused = i[current & ~s.good[at]]
        if len(refused):
            who = p[refused]
            s.active[refused, who] = False
            s.wakes[refused, who] = now[refused] + wait(s.lane[refused], who, s.tries[refused, who])
            s.tries[refused, who] += 1
        i = i[current & s.good[at]]
        who = p[i]
        s.votes[i, who] += 1
        s.owned[i, who] |= a[i] == who
        enough = (s.votes[i, who] > acceptors // 2) & (s.owned[i, who] | (not own_needed))
        i, who = i[enough], who[enough]
        accepting = s.accepts[i, who, slot[i]]
        done, on = i[accepting], i[~accepting]
        found.decided[s.lane[done]], found.winner[s.lane[done]] = now[done], who[accepting]
        ended[done] = True
        if len(on):
            begin(on, who[~accepting], s.ballot[on, who[~accepting], slot[on]], accept=True)
    return np.asarray(ended)
