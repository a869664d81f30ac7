"""Elections of Raft, event by event: from the last heartbeats of a leader that is gone to the votes of the next."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from scaling_models.montecarlo.arrays import Array, Indices
from scaling_models.montecarlo.kernels.clusters import Cluster, Draws, Rules, due, opened

FOLLOWS, ASKS, STANDS = range(3)  # a member: a follower, asking for pre-votes, or a candidate
REFUSED, PROMISED, VOTED = range(3)  # what a reply says
MOST_TERMS = 1_000  # campaigns a lane, after which there is no hope of a leader


class Event(NamedTuple):
    """What happened in a lane: `one` fired (kind 0), or its request to `other` (1) or the reply to it (2) arrived; when
    (s), in which of its rounds of requests, and when all timers (members) are due after it.
    """

    time: float
    kind: int
    one: int
    other: int
    round: int
    due: Array


class Elections(NamedTuple):
    """Per lane: when the first timer fires and when a leader has its majority (s), the term it was elected in,
    counted from the dead leader's, the campaigns, and who won.
    """

    first: Array
    elected: Array
    terms: Indices
    campaigns: Indices
    winner: Indices


def elections(
    rules: Rules, heard: Array, phase: Array, draw: Callable[[int], Draws], log: list[Event] | None = None
) -> Elections:
    """Elect a leader in every lane; `draw(lanes)` gives the random numbers of so many lanes, again where more are used.

    heard (lanes, members): when each last heard of the old leader; phase (lanes, members): a time of its ticks. A
    member that fires writes its own vote and asks all others; who has no vote in that term grants it, writes, answers,
    and restarts its timer; so does the candidate when it fires. A newer term makes a follower, and does not restart
    the timer of one who refuses for his log. A member has one request and one reply to each other under way, a newer
    one replaces it (exact while flights are shorter than the least timeout). Of simultaneous events timers come first,
    then requests, then replies, lower members first. `log` is told the events of a single lane. Raises ValueError where
    no leader emerges in 1,000 campaigns.
    """
    first = draw(len(heard))
    return concluded(rules, opened(rules, heard, phase, first.timeouts[0]), first, draw, log)


def concluded(
    rules: Rules, state: Cluster, first: Draws, draw: Callable[[int], Draws], log: list[Event] | None = None
) -> Elections:
    """Play on until every lane has a leader, with the numbers `first` of which the first timeouts are used."""
    play(rules, state, first, used=1, log=log)
    waiting = np.flatnonzero(np.isnan(state.elected))
    while len(waiting):
        if state.campaigns[waiting].max() > MOST_TERMS:
            raise ValueError(f"no leader emerges in {MOST_TERMS:,} campaigns: votes take longer than the timeouts")
        part = state.of(waiting)
        play(rules, part, draw(len(waiting)), log=log)
        for whole, some in zip(state, part, strict=True):
            whole[waiting] = some
        waiting = waiting[np.isnan(part.elected)]
    terms = np.take_along_axis(state.term, state.winner[:, None], axis=1)[:, 0]
    return Elections(state.first, state.elected, terms, state.campaigns, state.winner)


def play(rules: Rules, state: Cluster, draws: Draws, used: int = 0, log: list[Event] | None = None) -> None:
    """Run every lane until it has a leader, or a member lacks random numbers (its first timeouts `used` already)."""
    lanes, members = state.term.shape
    rows = len(draws.timeouts)
    game = _Game(rules, state, draws, np.full((lanes, members), used), np.zeros((lanes, members), dtype=np.intp))
    live = np.flatnonzero(np.isnan(state.elected))
    while len(live):
        event = state.when[live].argmin(axis=1)
        pair = (event - members) % members**2
        one, other = pair // members, pair % members
        now = state.when[live, event]
        fires, tells = event < members, event >= members + members**2
        asks = ~(fires | tells)
        game.fire(live[fires], event[fires], now[fires])
        game.request(live[asks], one[asks], other[asks], now[asks])
        game.reply(live[tells], one[tells], other[tells], now[tells])
        if log is not None:
            who, kind = int(one[0] if not fires[0] else event[0]), int(asks[0] + 2 * tells[0])
            row, timers = int(game.rounds[0, who]), state.when[0, :members].copy()
            log.append(Event(float(now[0]), kind, who, int(other[0]), row, timers))
        supplied = (game.restarts[live].max(axis=1) < rows) & (game.rounds[live].max(axis=1) < rows)
        live = live[supplied & np.isnan(state.elected[live])]


class _Game:
    """The moves, each for some lanes at once and one member in each."""

    def __init__(self, rules: Rules, state: Cluster, draws: Draws, restarts: Indices, rounds: Indices) -> None:
        self.rules, self.state, self.draws, self.restarts, self.rounds = rules, state, draws, restarts, rounds
        members = state.term.shape[1]
        self.members, self.logs = members, np.array(rules.logs)
        flights = state.when[:, members:].reshape(len(state.when), 2, members, members)
        self.requests, self.replies = flights[:, 0], flights[:, 1]

    def _restart(self, lane: Indices, who: Indices, now: Array) -> None:
        timeouts = self.draws.timeouts[self.restarts[lane, who], lane, who]
        self.state.when[lane, who] = due(self.rules, now, self.state.phase[lane, who], timeouts)
        self.restarts[lane, who] += 1

    def _ask(self, lane: Indices, who: Indices, now: Array, real: bool) -> None:
        """A round of requests to all others, and the timer anew."""
        state, row = self.state, self.rounds[lane, who]
        state.votes[lane, who] = 1
        state.real[lane, who] = real
        state.calm[lane, who] = -np.inf
        writes = self.draws.writes[row, lane, who] * real
        own = np.take_along_axis(writes, who[:, None], axis=1)
        arrive = now[:, None] + own + self.draws.out[row, lane, who]
        np.put_along_axis(arrive, who[:, None], np.inf, axis=1)
        self.requests[lane, who] = arrive
        state.back[lane, who] = writes + self.draws.back[row, lane, who]
        self.rounds[lane, who] += 1
        self._restart(lane, who, now)

    def _stand(self, lane: Indices, who: Indices, now: Array) -> None:
        """A candidate of the next term votes for itself."""
        state = self.state
        state.term[lane, who] += 1
        state.vote[lane, who] = who
        state.role[lane, who] = STANDS
        state.asked[lane, who] = state.term[lane, who]
        state.campaigns[lane] += 1
        self._ask(lane, who, now, True)

    def fire(self, lane: Indices, who: Indices, now: Array) -> None:
        """A timer ends."""
        if not self.rules.pre_vote:
            return self._stand(lane, who, now)
        self.state.role[lane, who] = ASKS
        self.state.asked[lane, who] = self.state.term[lane, who] + 1
        return self._ask(lane, who, now, False)

    def request(self, lane: Indices, who: Indices, to: Indices, now: Array) -> None:
        """A request of `who` reaches `to`."""
        state = self.state
        self.requests[lane, who, to] = np.inf
        open_to = now >= state.calm[lane, to]
        lane, who, to, now = lane[open_to], who[open_to], to[open_to], now[open_to]
        term, real, as_new = state.asked[lane, who], state.real[lane, who], self.logs[who] >= self.logs[to]
        newer = real & (term > state.term[lane, to])
        self._follow(lane[newer], to[newer], term[newer])
        own = state.term[lane, to]
        grants = real & (term == own) & (state.vote[lane, to] < 0) & as_new
        promises = ~real & (term > own) & as_new
        behind = (term < own) | (~real & (term == own))  # it is told of the newer term
        state.vote[lane[grants], to[grants]] = who[grants]
        self._restart(lane[grants], to[grants], now[grants])
        answers = grants | promises | behind
        lane, who, to, now = lane[answers], who[answers], to[answers], now[answers]
        self.replies[lane, who, to] = now + state.back[lane, who, to]
        state.said[lane, who, to, 0] = np.where(behind, own, term)[answers]
        state.said[lane, who, to, 1] = np.select([grants, promises], [VOTED, PROMISED], REFUSED)[answers]

    def _follow(self, lane: Indices, who: Indices, term: Indices) -> None:
        state = self.state
        state.term[lane, who] = term
        state.vote[lane, who] = -1
        state.role[lane, who] = FOLLOWS
        state.calm[lane, who] = -np.inf

    def reply(self, lane: Indices, who: Indices, voter: Indices, now: Array) -> None:
        """The reply of a voter reaches the one who asked."""
        state = self.state
        self.replies[lane, who, voter] = np.inf
        term, answer = state.said[lane, who, voter].T
        newer = (answer == REFUSED) & (term > state.term[lane, who])
        self._follow(lane[newer], who[newer], term[newer])
        role, own = state.role[lane, who], state.term[lane, who]
        voted = (answer == VOTED) & (role == STANDS) & (term == own)
        promised = (answer == PROMISED) & (role == ASKS) & (term == own + 1)
        counts = voted | promised
        state.votes[lane[counts], who[counts]] += 1
        enough = counts & (state.votes[lane, who] >= self.rules.majority)
        wins, goes = enough & voted, enough & promised
        state.elected[lane[wins]], state.winner[lane[wins]] = now[wins], who[wins]
        self._stand(lane[goes], who[goes], now[goes])
