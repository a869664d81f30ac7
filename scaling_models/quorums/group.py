"""A Raft group whose leader can crash: its parameters, and what follows from them without any chance."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from scaling_models.answers import Model
from scaling_models.domains import Choice, Integer, Real
from scaling_models.latency import SPREAD, Distribution, LogNormal
from scaling_models.montecarlo.kernels.crashes import Crashes
from scaling_models.parameters import Slider, parameter
from scaling_models.quorums.formulas.elections import Array, misses_allowed
from scaling_models.wording import short

YES_NO = Choice(("yes", "no"))
DAY = 86400.0
MOST_BEATS = 1_000_000  # within the range of the timeouts, each a number that may be missed


class Group(Model):
    """Base of models of a group that elects a leader."""

    bounded: ClassVar[str] = "leader"

    members: int = parameter(
        default=3, domain=Integer(1, 101), symbol="n", about="members of the group", slider=Slider(3, 9, 1)
    )
    failed: int = parameter(
        default=0, domain=Integer(0, 100), about="members that are down besides the leader", slider=Slider(0, 3, 1)
    )
    heartbeat: float = parameter(
        default=0.100,
        domain=Real(),
        unit="s",
        symbol="H",
        about="time between the leader's heartbeats; a tick, where timers tick",
        slider=Slider(0.001, 10.0, 0.1, log=True),
    )
    timeout: float = parameter(
        default=1.000,
        domain=Real(),
        unit="s",
        symbol="a",
        about="shortest election timeout",
        slider=Slider(0.01, 50.0, 0.05, log=True),
    )
    spread: float = parameter(
        default=1.0,
        domain=Real(),
        symbol="R/a",
        about="range of the timeouts over the shortest",
        slider=Slider(0.05, 3.0, 0.05),
    )
    timers: str = parameter(
        default="ticks", domain=Choice(("ticks", "continuous")), about="how a timeout is counted: etcd's in heartbeats"
    )
    one_way: Distribution = parameter(
        default=0.001, domain=SPREAD, unit="s", symbol="l", about="flight of a message between two members"
    )
    fsync: Distribution = parameter(
        default=0.001, domain=SPREAD, unit="s", symbol="D", about="disk write of a vote, one's own too"
    )
    own_vote: str = parameter(
        default="before asking",
        domain=Choice(("before asking", "meanwhile")),
        about="when a candidate writes its own vote: before it asks for others (etcd), or while they are under way",
    )
    check_quorum: str = parameter(
        default="yes", domain=YES_NO, about="whether members who heard of the leader lately ignore a candidate"
    )
    pre_vote: str = parameter(
        default="no", domain=YES_NO, about="whether a candidate first asks if it would be elected"
    )
    loss: float = parameter(
        default=0.001,
        domain=Real(0.0, 1.0, open_low=False),
        symbol="p",
        about="share of the heartbeats that are lost (illustrative)",
        slider=Slider(0.0, 0.1, 0.001),
    )
    lease: float = parameter(
        default=0.0,
        domain=Real(open_low=False),
        unit="s",
        about="how long the old leader's lease holds from its last heartbeat; the next waits for it",
        slider=Slider(0.0, 10.0, 0.1),
    )
    until: str = parameter(
        default="announced",
        domain=Choice(("elected", "announced", "committed")),
        about="when it is over: with the votes, when the others know, or with the new leader's first commit",
    )
    mtbf: float = parameter(
        default=30 * DAY,
        domain=Real(),
        unit="s",
        symbol="MTBF",
        about="time between crashes of a leader (illustrative)",
        slider=Slider(2592.0, 2.592e8, 0.1, log=True),
    )
    pauses: float = parameter(
        default=0.1,
        domain=Real(open_low=False),
        unit="pauses/day",
        about="how often each member stands still, for garbage, a migration or a disk (illustrative)",
        slider=Slider(0.0, 10.0, 0.1),
    )
    pause: Distribution = parameter(
        default=LogNormal(0.5, 4.0),
        domain=SPREAD,
        unit="s",
        symbol="L",
        about="how long a member stands still (illustrative); a timer that counts ticks counts none meanwhile",
    )
    rediscovery: float = parameter(
        default=1.0,
        domain=Real(open_low=False),
        unit="s",
        about="until clients have found a new leader that is at work, for the unavailability (illustrative)",
        slider=Slider(0.0, 5.0, 0.1),
    )

    def _check(self) -> None:
        if not self.heartbeat <= self.timeout:
            raise ValueError(
                f"{type(self).__name__}.heartbeat must lie in (0, {self.timeout:g}] s, up to the shortest timeout; "
                f"got {short(self.heartbeat)}"
            )
        if self.spread * self.timeout > MOST_BEATS * self.heartbeat:
            raise ValueError(
                f"{type(self).__name__}.spread must lie in (0, {MOST_BEATS * self.heartbeat / self.timeout:g}], for at "
                f"most {MOST_BEATS:,} heartbeats in the range of the timeouts; got {short(self.spread)}"
            )
        if self.failed >= self.members:
            raise ValueError(
                f"{type(self).__name__}.failed must lie in [0, {self.members - 1}], less than the members; "
                f"got {self.failed}"
            )

    @property
    def alive(self) -> int:
        """s, the followers that are up."""
        return max(self.members - 1 - self.failed, 0)

    @property
    def majority(self) -> int:
        """How many votes elect."""
        return self.members // 2 + 1

    @property
    def electable(self) -> bool:
        """Whether enough members are left."""
        return self.alive >= self.majority

    @property
    def ticks(self) -> tuple[int, int]:
        """The least number of ticks of a timeout, and how many numbers there are from it on (one at least)."""
        least = max(int(self.timeout / self.heartbeat * (1 + 1e-9)), 1)
        return least, max(round(self.spread * least), 1)

    @property
    def ticked(self) -> bool:
        """Whether timers count ticks."""
        return self.timers == "ticks"

    @property
    def least(self) -> float:
        """The shortest time from a heartbeat's arrival to a timeout (s): with ticks, one less than their number."""
        return (self.ticks[0] - 1) * self.heartbeat if self.ticked else self.timeout

    @property
    def range(self) -> float:
        """R, from the shortest to the longest timeout (s)."""
        return self.ticks[1] * self.heartbeat if self.ticked else self.spread * self.timeout

    @property
    def hop(self) -> float:
        """Mean time from a candidate's timeout until its request arrives (s): its write, if first, and the flight."""
        first = self.fsync.mean() if self.own_vote == "before asking" else 0.0
        return first + self.one_way.mean()

    @property
    def window(self) -> float:
        """How long after the first another may fire and still split its term (s): until the first's request is there.

        After pre-votes, where all that are left are needed, only until the first stands: it would not promise then.
        """
        bare = self.pre_vote == "yes" and self.alive == self.majority
        return self.one_way.mean() if bare else self.hop

    @property
    def votes(self) -> float:
        """Mean time from standing until its votes are there (s): the hop, their writes and flight."""
        return self.hop + self.fsync.mean() + self.one_way.mean()

    @property
    def asking(self) -> float:
        """How long a round of pre-votes takes (s); negative where there is none."""
        return 2.0 * self.one_way.mean() if self.pre_vote == "yes" else -1.0

    @property
    def told(self) -> float:
        """From the votes until it is over (s)."""
        flight = self.one_way.mean()
        return {"elected": 0.0, "announced": flight, "committed": 2.0 * flight + self.fsync.mean()}[self.until]

    @property
    def refusing(self) -> bool:
        """Whether members refuse who fires at his least number of ticks, for their own count is one lower."""
        return self.ticked and self.check_quorum == "yes"

    @property
    def varying(self) -> bool:
        """Whether requests take now longer and now shorter."""
        return self.one_way.variance() + self.fsync.variance() > 0

    @property
    def misses(self) -> tuple[Array, Array]:
        """How many heartbeats fall into a timeout, and how often so many."""
        if self.ticked:
            least, count = self.ticks
            return np.arange(least - 1.0, least + count - 1.0), np.full(count, 1.0 / count)
        return misses_allowed(self.timeout, self.range, self.heartbeat)

    def crashes(self, behind: int = 0, in_step: bool = False) -> Crashes:
        """What is simulated: so many logs may be behind, and ticks in step."""
        least, spread = self.ticks if self.ticked else (self.timeout, self.range)
        return Crashes(
            self.members,
            self.alive,
            float(least),
            float(spread),
            self.heartbeat,
            self.one_way,
            self.fsync,
            self.heartbeat if self.ticked else 0.0,
            self.loss,
            self.check_quorum == "yes",
            self.pre_vote == "yes",
            self.lease,
            self.until,
            self.own_vote == "before asking",
            behind,
            in_step,
        )
