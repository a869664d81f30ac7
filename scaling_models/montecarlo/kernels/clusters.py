"""A cluster of members who elect: what they agree on, what they draw, and the state they are in."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numpy as np

from scaling_models.montecarlo.arrays import Array, Flags, Indices

SAME_TICK = 1e-9  # ticks: a timer that is started at a tick counts from the next


@dataclasses.dataclass(frozen=True)
class Rules:
    """What the members agree on.

    majority: votes that elect, the candidate's own included. tick: seconds, where timers count ticks; 0 where they run
    continuously. quiet: how long after the last heartbeat a member ignores requests for votes (check-quorum), in the
    unit of the timers; 0 for never. pre_vote: whether a candidate asks for promises first. logs: how new each member's
    log is; nobody votes for a log that is older than his own.
    """

    majority: int
    logs: tuple[int, ...]
    tick: float = 0.0
    quiet: float = 0.0
    pre_vote: bool = False


class Draws(NamedTuple):
    """Random numbers, `rows` of them a member: timeouts (rows, lanes, members) in seconds or whole ticks, and for the
    rounds of requests the flights `out` and `back` (rows, lanes, from, to) and the disk `writes` (rows, lanes, from,
    to; the candidate's own on the diagonal), seconds.
    """

    timeouts: Array
    out: Array
    back: Array
    writes: Array


class Cluster(NamedTuple):
    """The state of every lane; times in seconds.

    `when` (lanes, members + 2 members^2) is the next event of each kind: timers, requests from each to each, and the
    replies to them. `asked` and `real` tell a member's last requests, `said` (term, answer) the replies under way.
    """

    when: Array
    phase: Array
    calm: Array
    back: Array
    term: Indices
    vote: Indices
    role: Indices
    votes: Indices
    asked: Indices
    real: Flags
    said: Indices
    campaigns: Indices
    first: Array
    elected: Array
    winner: Indices

    def of(self, lanes: Indices | Flags) -> Cluster:
        """The state of some lanes, copied."""
        parts: list[Any] = [part[lanes] for part in self]
        return Cluster(*parts)


def opened(rules: Rules, heard: Array, phase: Array, timeouts: Array) -> Cluster:
    """Followers of term 0 whose timers run since they heard of their leader."""
    lanes, members = heard.shape
    when = np.full((lanes, members + 2 * members**2), np.inf)
    when[:, :members] = due(rules, heard, phase, timeouts)
    calm = due(rules, heard, phase, np.full_like(heard, rules.quiet)) if rules.quiet else np.full_like(heard, -np.inf)
    none, pairs = np.zeros((lanes, members), dtype=np.intp), (lanes, members, members)
    return Cluster(
        when=when,
        phase=phase,
        calm=calm,
        back=np.zeros(pairs),
        term=none,
        vote=none - 1,
        role=none.copy(),
        votes=none.copy(),
        asked=none.copy(),
        real=none > 0,
        said=np.zeros((*pairs, 2), dtype=np.intp),
        campaigns=np.zeros(lanes, dtype=np.intp),
        first=when[:, :members].min(axis=1),
        elected=np.full(lanes, np.nan),
        winner=np.zeros(lanes, dtype=np.intp),
    )


def due(rules: Rules, now: Array, phase: Array, timeouts: Array) -> Array:
    """When a timer fires that is started now."""
    if not rules.tick:
        return now + timeouts
    passed = np.floor((now - phase) / rules.tick + SAME_TICK)
    return np.asarray(phase + rules.tick * (passed + timeouts))
