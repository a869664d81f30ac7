"""From a crash of the leader to the next: the election in closed form, and where there is none."""

from __future__ import annotations

import math

import numpy as np

from scaling_models.answers import EXACT, Accuracy, NoClosedForm, answer
from scaling_models.latency import Distribution, Never, Shifted, Uniform, fastest
from scaling_models.quorums.failover import Failover, between_terms
from scaling_models.quorums.formulas import elections as formulas
from scaling_models.quorums.formulas.terms import TimeToStand
from scaling_models.quorums.group import Group

WIDEST = 0.4  # of the range of the timeouts: a request that takes longer leaves hardly a term unsplit
FARTHEST = 0.1  # of the shortest timeout and of the range: requests that vary by more have no formula
FAR = 0.02  # of the same: where they vary by more, terms are rough (seven members, 4%: 7% too few)
FEWEST_TICKS = 8  # numbers of ticks that a timeout may take
MOST_LOST = 0.01  # heartbeats: where more are lost, timers no longer start together
MIDDLE = 0.5  # between the first term's times and the second's there are few: there a quantile errs by more
HOLDS = (
    "requests within 0.4 of the timeouts' range, of nearly one length; 8 ticks or more; at most 1% of heartbeats lost"
)
CLOSE, ROUGH = Accuracy("within 3%", 0.03, HOLDS), Accuracy("within 15%", 0.15, HOLDS)
TORN = Accuracy("simulated", None, "between the times of the first term and the second")
SIMULATED = Accuracy("simulated", None, "votes take long against the timeouts, or vary, or heartbeats are lost")


class Succession(Group):
    """Base of models of a group whose leader is gone: when the next is at work, in how many terms."""

    @property
    def _unknown(self) -> str:
        """Why there is no closed form here; empty where there is one."""
        if self.hop > WIDEST * self.range:
            return f"a request takes {self.hop / self.range:.2g} of the timeouts' range, more than {WIDEST:g}"
        if self.votes + max(self.asking, 0.0) >= self.least:
            return "votes take longer than the shortest timeout"
        if self._late > FARTHEST:
            return "requests vary by more than a tenth of the shortest timeout, or of the timeouts' range"
        if self.ticked and self.ticks[1] < FEWEST_TICKS:
            return f"timeouts of {self.ticks[1]} numbers of ticks, fewer than {FEWEST_TICKS}, often tie"
        if self.loss > MOST_LOST:
            return f"more than {100 * MOST_LOST:g}% of the heartbeats are lost"
        return ""

    @property
    def _late(self) -> float:
        """By how much slow requests are later than those of the mean length, of the shortest timeout or the range."""
        late = self.one_way.icdf(0.999) + self.fsync.icdf(0.999) - self.one_way.mean() - self.fsync.mean()
        return float(late / min(self.least, self.range))

    def _accuracy(self, metric: str, level: float | None = None) -> Accuracy:
        """As measured against the simulation of events, over the region where there is a formula."""
        stated = super()._accuracy(metric, level)
        if not self.electable:
            return stated
        plain = metric == "probability_of_split" and not (self.refusing or self.pre_vote == "yes")
        if self._together and (plain or metric == "first_timeout"):
            return EXACT
        if self._unknown or (metric == "probability_of_split" and (self._promised or self.varying)):
            return SIMULATED
        if stated is CLOSE and metric != "first_timeout" and self._late > FAR:
            stated = ROUGH
        if level is None or metric == "first_timeout":
            return stated
        torn = between_terms(np.asarray(level), self._standing.split, self.varying)
        return TORN if torn.any() else ROUGH if level > MIDDLE else stated

    @property
    def _promised(self) -> bool:
        """Whether pre-votes make the first term split so seldom that the formula for it is too rough."""
        whole = self.alive == self.majority or self.window == self.one_way.mean()
        return self.pre_vote == "yes" and (self.refusing or not whole)

    @property
    def _together(self) -> bool:
        """Whether all timers start together and all requests take as long."""
        return not self.varying and self.loss == 0.0

    def _failover(self, heartbeat: float, around: float, lease: float, alive: int | None = None) -> Distribution:
        if not self.electable:
            return Never()
        if self._unknown:
            raise NoClosedForm(f"Election has no closed form here: {self._unknown}: simulate it")
        return Failover(
            self.members,
            self.alive if alive is None else alive,
            self.least,
            self.range,
            self.window,
            self.heartbeat if self.ticked else 0.0,
            "yes" if self.refusing else "no",
            self.asking,
            heartbeat,
            around,
            lease,
            "yes" if self.varying else "no",
        )

    @answer("s", "time from a crash of the leader until the next is at work", CLOSE)
    def downtime(self) -> Distribution:
        """Heartbeat's flight + time until the winner stands + votes + announcement - U(0, H), or the lease if later."""
        around = self.one_way.mean() + self.votes + self.told
        return self._failover(self.heartbeat, around, self.lease)

    @answer("s", "time from the last heartbeat's arrival until the first follower's timeout", CLOSE)
    def first_timeout(self) -> Distribution:
        """The least of s independent U(a, a + R): a + R Beta(1, s)."""
        if not self.alive:
            return Never()
        if self._unknown and not self._together:
            raise NoClosedForm(f"Election has no closed form here: {self._unknown}: simulate it")
        timeout = Uniform(0.0, self.range)
        return Shifted(fastest(*[timeout] * self.alive) if self.alive > 1 else timeout, self.least)

    @answer("s", "time from the last heartbeat's arrival until a majority has voted", CLOSE)
    def time_to_majority(self) -> Distribution:
        """Until the winner stands, its request and the votes."""
        return self._failover(0.0, self.votes, 0.0)

    @answer("", "probability that the first term elects nobody", ROUGH)
    def probability_of_split(self) -> float:
        """P(Bin(s, l / R) >= s - floor(n / 2)); where members refuse those who come early, from the joint law."""
        if not self.electable:
            return 1.0
        if self.varying:
            raise NoClosedForm("Election has no closed form of split terms where requests vary: simulate it")
        if self._promised:
            raise NoClosedForm("Election has no closed form of the few terms that split after pre-votes: simulate it")
        if self.refusing:
            return self._standing.split
        if self._unknown and not self._together:
            raise NoClosedForm(f"Election has no closed form here: {self._unknown}: simulate it")
        return float(formulas.split_probability(self.members, self.alive, self.window / self.range))

    @answer("", "terms until a leader is elected", CLOSE)
    def terms(self) -> float:
        """Those that split, and the last."""
        return self._standing.terms if self.electable else math.inf

    @property
    def _standing(self) -> TimeToStand:
        found = self.time_to_majority
        assert isinstance(found, Failover)
        return found.standing
