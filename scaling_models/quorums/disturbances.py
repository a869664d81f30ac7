"""Elections that nobody needed: how often heartbeats are lost or pauses last too long, what it costs, what is best."""

from __future__ import annotations

import functools
import math

import numpy as np

from scaling_models.answers import EXACT, Accuracy, NoClosedForm, answer
from scaling_models.latency import Distribution, k_of_n
from scaling_models.quorums.failover import Failover
from scaling_models.quorums.formulas import elections as formulas
from scaling_models.quorums.formulas.elections import Array
from scaling_models.quorums.formulas.pauses import Patience, Waiting, waiting
from scaling_models.quorums.group import DAY
from scaling_models.quorums.succession import CLOSE, FEWEST_TICKS, MOST_LOST, ROUGH, WIDEST, Succession

SMALL = 0.1  # share of the unavailability: an error of 15% of no more is within 3% with that of the rest
AHEAD = 0.25  # of the range of the timeouts: how far a candidate may be before the others whose leader it deposed
ADRIFT = (0.45, 2.0)  # where it is further: how long nobody leads, simulated, over the formula's
SLIGHT, LARGE = 0.015, 0.12  # shares of the unavailability: so far off they leave it within 3%, and within 15%
APART, TOGETHER = 0.03, 0.15  # of the time: what costs no more adds up as well, for as seldom do two things meet
NEARBY = 1.15  # a timeout that is longer or shorter than the best by no more is as good to 3%
STEPS = 400  # of the timeouts among which the best is sought
AHEAD_OF_ALL = (
    "Election has no closed form of the candidate's head start: heartbeats are further apart than "
    f"{AHEAD:g} of the timeouts' range: simulate it"
)
CROWDED = 1.25  # terms of an election of all: where it takes more, the head start of the one who stood decides many
CROWDED_BY_ALL = (
    "Election has no closed form of an election of all members after one stood ahead of them, where so many terms "
    f"split that it takes more than {CROWDED:g}: simulate it"
)
COUNTED = Accuracy("within 3%", 0.01, "heartbeats lost independently, flights of nearly one length")


class Disturbances(Succession):
    """Base of models of a group whose members pause, and whose heartbeats get lost."""

    def _accuracy(self, metric: str, level: float | None = None) -> Accuracy:
        """What is told of pauses is exact where all flights take as long."""
        steady = self.one_way.variance() == 0.0
        if metric in ("false_elections", "best_timeout"):
            return self._answer(metric).accuracy
        if metric == "probability_of_replacement":
            return EXACT if steady or not self.alive else COUNTED
        if metric == "disruption" and not self._deposes:
            return EXACT if not self.varying or self._unheard else ROUGH
        if metric == "unavailability" and self.electable and not self._unknown:
            untold = self._drifts or self._crowds
            if self._unavailable > APART:
                return ROUGH
            return ROUGH if self._needless > (SLIGHT if untold else SMALL) else super()._accuracy(metric, level)
        return super()._accuracy(metric, level)

    @property
    def _needless(self) -> float:
        """Which share of the unavailability followers cause who depose their leader."""
        spent = self._standing_a_second * self._disrupts if self._deposes else 0.0
        return spent / self._unavailable if spent else 0.0

    @property
    def _standing_a_second(self) -> float:
        """How often (1/s) a follower stands though there is a leader at work."""
        return self._unheard_of + (self.pauses / DAY * self.alive * self._woken if self.pauses else 0.0)

    def _waiting(self, followers: int, cuts: Array) -> Waiting:
        """The time from a moment between two heartbeats until the first of so many followers' timers fires."""
        return waiting(Patience(self.least, self.range, self.heartbeat, followers, self.loss), cuts)

    @functools.cached_property
    def _paused(self) -> tuple[float, float]:
        """P(a leader's pause ends in an election), and how long it leads nobody before: E min(pause, first timeout)."""
        chance, idle = self._waiting(self.alive, self.pause.cuts).outlasted(self.pause)
        return float(chance), float(idle)

    @property
    def _woken(self) -> float:
        """P(a follower stands as it wakes): a clock runs on while it sleeps, but ticks are not made up for."""
        return 0.0 if self.ticked else float(self._waiting(1, self.pause.cuts).outlasted(self.pause)[0])

    @answer("", "probability that a leader who pauses is replaced meanwhile", EXACT)
    def probability_of_replacement(self) -> float:
        """P(L > T - U(0, H)), T the first timeout: it wakes before its followers have noticed, or another leads."""
        return self._paused[0] if self.alive else 0.0

    @answer("elections/day", "elections without need: heartbeats were lost, or a pause outlasted a timeout", COUNTED)
    def false_elections(self) -> float:
        """n - 1 followers over the mean beats to m misses in a row, see `beats_to_false_election`; pauses of the leader
        that outlast the first timeout; with continuous timers, pauses of followers that outlast their own.
        """
        if not self.alive:
            return 0.0
        paused = self.probability_of_replacement + self.alive * self._woken if self.pauses else 0.0
        return self._unheard_of * DAY + self.pauses * paused

    @property
    def _unheard_of(self) -> float:
        """How often (1/s) a follower stands because it misses heartbeats."""
        beats = float(formulas.beats_to_false_election(self.loss, *self.misses))
        return self.alive / (max(beats, 1.0) * self.heartbeat)

    @property
    def _unheard(self) -> bool:
        """Whether the others refuse promises to a candidate without need, so that nothing happens."""
        return self.check_quorum == "yes" and self.pre_vote == "yes"

    @property
    def _deposes(self) -> bool:
        """Whether they ignore its request, and its newer term deposes the leader with the next heartbeat."""
        return self.check_quorum == "yes" and self.pre_vote == "no"

    @property
    def _drifts(self) -> bool:
        """Whether a candidate without need is so far ahead of those who follow that no formula tells what comes."""
        return self._deposes and self.heartbeat > AHEAD * self.range

    @property
    def _crowds(self) -> bool:
        """Whether so many of all members stand together that who stood first, and so stands first again, matters."""
        return self._deposes and isinstance(self._of_all, Failover) and self._of_all.standing.terms > CROWDED

    @functools.cached_property
    def _of_all(self) -> Distribution:
        """An election of all members, the leader that was deposed among them."""
        return self._failover(0.0, self.one_way.mean() + self.votes + self.told, self.lease, self.alive + 1)

    @functools.cached_property
    def _granted(self) -> float:
        """Mean time (s) from when the old leader hears of a candidate until the votes are there, its own too."""
        asked = self.fsync + self.one_way
        if not self.varying or math.isinf(self.votes):
            return self.votes - self.hop
        return k_of_n(self.members // 2, [self.one_way + asked] * self.alive).mean() - self.one_way.mean()

    @property
    def _outvoted(self) -> float:
        """How long nobody leads (s) where all vote for a candidate without need, or until the old lease is over."""
        votes, end, beat = self._granted + self.told, self.lease, self.heartbeat
        if end - beat >= votes or end <= votes:
            return max(votes, end - beat / 2.0)
        return votes + (end - votes) ** 2 / (2.0 * beat)

    @property
    def _found_again(self) -> float:
        """What a candidate without need costs the clients besides (s): nothing where the leader stays."""
        return 0.0 if self._unheard else self.rediscovery

    @answer("s", "time without a leader after a candidate stood though there was one", ROUGH)
    def disruption(self) -> float:
        """Nothing where the others refuse it beforehand; the votes from when the leader hears, where they grant them;
        and where they ignore it, an election of all members after its term has deposed the leader.
        """
        if not self.electable:
            return math.inf
        if self._drifts:
            raise NoClosedForm(AHEAD_OF_ALL)
        if self._crowds:
            raise NoClosedForm(CROWDED_BY_ALL)
        return self._disrupts

    @property
    def _disrupts(self) -> float:
        if self._unheard or not self._deposes:
            return 0.0 if self._unheard else self._outvoted
        return self._of_all.mean() - 2.0 * self.one_way.mean()

    @answer("", "share of the time in which no leader works: crashes, pauses, elections without need", CLOSE)
    def unavailability(self) -> float:
        """Crashes x mean downtime + the leader's pauses x (E min(L, F) + P(replaced) (mean downtime - E F)) + other
        elections without need x what each costs; F the time until the first timer fires. Each new leader costs the
        clients' rediscovery besides. First order. Without enough members, 1.
        """
        if not self.electable:
            return 1.0
        if (self._drifts or self._crowds) and self._needless > LARGE:
            raise NoClosedForm(AHEAD_OF_ALL if self._drifts else CROWDED_BY_ALL)
        if self._unavailable > TOGETHER:
            raise NoClosedForm(
                f"Election has no closed form where nobody leads for more than {TOGETHER:g} of the time: what disturbs "
                "a leader then meets what disturbed another"
            )
        return self._unavailable

    @functools.cached_property
    def _unavailable(self) -> float:
        downtime = self.downtime.mean() + self.rediscovery
        share = downtime / self.mtbf
        if self.pauses:
            replaced, idle = self._paused
            late = downtime - self._waiting(self.alive, self.pause.cuts).mean()
            share += self.pauses / DAY * (idle + replaced * late)
        return float(share + self._standing_a_second * (self._disrupts + self._found_again))

    @answer("s", "shortest timeout with the least unavailability, heartbeats in proportion", ROUGH)
    def best_timeout(self) -> float:
        """The least of the renewal formula's unavailability over timeouts; `inf` without enough members.

        Longer ones wait longer, shorter ones split, and take lost heartbeats and pauses for crashes more often. The
        place is flat: within 15% of it the mean downtime, simulated, is within 3% of the least.
        """
        if not self.electable or math.isinf(self.votes):
            return math.inf
        if self.loss > MOST_LOST:
            raise NoClosedForm(
                f"Election has no closed form here: more than {100 * MOST_LOST:g}% are lost: simulate it"
            )
        if self.least <= 0.0 or (self.ticked and self.ticks[1] < FEWEST_TICKS):
            raise NoClosedForm("Election has no closed form here: so few ticks as its timeouts take tie: simulate it")
        scale = np.geomspace(1.0, 1e4, STEPS) * max(self.hop, 1e-6) / (WIDEST * self.range)
        downtime = self._renewed(scale, self.alive) - self.heartbeat * scale / 2.0 + self.rediscovery
        if self._deposes:
            disruption = self._renewed(scale, self.alive + 1) - 2.0 * self.one_way.mean()
        else:
            disruption = np.full(STEPS, self._disrupts)
        cost, often = downtime / self.mtbf, self._unheard_of / scale
        if self.pauses:
            slept, woken = self._paused_for(scale, downtime)
            cost, often = cost + self.pauses / DAY * slept, often + self.pauses / DAY * woken
        best = [cost + often * (off * disruption + self._found_again) for off in (1.0, *ADRIFT)]
        places = scale[np.argmin(best, axis=1)]
        if self._drifts and places.max() > NEARBY * places.min():
            raise NoClosedForm(AHEAD_OF_ALL)
        return float(self.timeout * places[0])

    def _renewed(self, scale: Array, alive: int) -> Array:
        """Mean time (s) from a heartbeat's sending to the next leader, of so many members, with scaled timeouts."""
        split = formulas.split_probability(self.members, alive, self.hop / self.range / scale)
        stands = formulas.mean_time_to_majority(self.members, alive, 0.0, self.range * scale, self.hop) - 2.0 * self.hop
        first = self.least * scale * formulas.mean_terms(split)
        return stands + first + self.one_way.mean() + self.votes + self.told

    def _paused_for(self, scale: Array, downtime: Array) -> tuple[Array, Array]:
        """What a pause of each member costs (s) at these multiples of the timeouts, and how many stand as they wake."""
        led = self._waiting(self.alive, np.empty(0))
        replaced, idle = led.outlasted(self.pause, scale)
        cost = idle + replaced * (downtime - scale * led.mean())
        if self.ticked:
            return cost, np.zeros(STEPS)
        return cost, self.alive * self._waiting(1, np.empty(0)).outlasted(self.pause, scale)[0]
