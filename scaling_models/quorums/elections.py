"""Elections and failover: how long a group is without a leader, and how often without need."""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar, Self

import numpy as np

from scaling_models import units
from scaling_models.answers import EXACT, Accuracy, Assumption, NoClosedForm, Simulation, SwimLanes, Timeline, answer
from scaling_models.latency import Deterministic, Distribution, Never, Shifted, Uniform, fastest
from scaling_models.montecarlo.estimates import Estimate, SimulatedLatency, from_batches, proportion, ratio
from scaling_models.montecarlo.kernels.crashes import false_elections
from scaling_models.montecarlo.progress import progress
from scaling_models.montecarlo.streams import checked_requests, stream
from scaling_models.quorums.failover import Failover
from scaling_models.quorums.formulas import elections as formulas
from scaling_models.quorums.formulas.terms import TimeToStand
from scaling_models.quorums.group import DAY, Group
from scaling_models.quorums.replay import Replay, replay, swim_lanes

WIDEST = 0.4  # of the range of the timeouts: a request that takes longer leaves hardly a term unsplit
FARTHEST = 0.1  # of the shortest timeout: requests that vary by more have no formula
FEWEST_TICKS = 8  # numbers of ticks that a timeout may take
MOST_LOST = 0.01  # heartbeats: where more are lost, timers no longer start together
BATCHES, TRIALS = 64, 16  # of a simulation; runs of heartbeats a crash
KEPT = 20_000_000  # crashes of a simulation: its times take 640 MB
STEPS = 400  # of the timeouts among which the best is sought
MIDDLE = 0.5  # between the first term's times and the second's there are few: there a quantile errs by more
HOLDS = (
    "requests within 0.4 of the timeouts' range, of nearly one length; 8 ticks or more; at most 1% of heartbeats lost"
)
CLOSE, ROUGH = Accuracy("within 3%", 0.03, HOLDS), Accuracy("within 15%", 0.15, HOLDS)
SIMULATED = Accuracy("simulated", None, "votes take long against the timeouts, or vary, or heartbeats are lost")

BEHIND, IN_STEP = "a follower's log is behind", "ticks in step"


class Election(Group):
    """A leader of a Raft group is gone; its followers' randomised timers elect the next.

    The last heartbeat starts all timers, U(a, a + R), or of so many whole ticks (etcd: 10 to 19 ticks of a heartbeat,
    of free phases, so U(0.9, 1.9) s). The first to fire asks for votes; others that fire before its request reaches
    them split the term, P = P(Bin(s, l / R) >= s - floor(n / 2)). Downtime = heartbeat's flight + time until the winner
    stands + votes + announcement - U(0, H), see `time_to_stand`. Where etcd's members check the quorum they also ignore
    a candidate that fires before they have counted the least number of ticks, which costs every tenth crash of three
    members a second term. Ongaro, Consensus: Bridging Theory and Practice (2014), chapters 3, 4.2.3 and 9.
    """

    headline: ClassVar[str] = "downtime"
    verified_with: ClassVar[int] = 200_000
    violations: ClassVar[tuple[str, ...]] = (BEHIND, IN_STEP)
    _assumptions: ClassVar[tuple[Assumption, ...]] = (
        Assumption("all followers' logs are equally new", "optimistic: one that is behind cannot win, and may split"),
        Assumption("ticks of the members have free phases", "in step nobody refuses, and ties split the votes instead"),
        Assumption("heartbeats are lost independently", "optimistic if a pause or a partition loses many in a row"),
        Assumption("clients find the new leader at once", "optimistic by their own timeouts"),
        Assumption("leaders crash one at a time", "optimistic if a zone fails, or the quorum is lost"),
    )

    @classmethod
    def example(cls) -> Self:
        """Five members whose terms often split, with continuous timers."""
        return cls(
            members=5,
            heartbeat=0.1,
            timeout=0.3,
            timers="continuous",
            one_way=Deterministic(0.020),
            loss=0.005,
            mtbf=DAY,
        )

    @property
    def _unknown(self) -> str:
        """Why there is no closed form here; empty where there is one."""
        late = self.one_way.icdf(0.999) + self.fsync.icdf(0.999)
        if self.hop > WIDEST * self.range:
            return f"a request takes {self.hop / self.range:.2g} of the timeouts' range, more than {WIDEST:g}"
        if self.votes + max(self.asking, 0.0) >= self.least:
            return "votes take longer than the shortest timeout"
        if late - self.one_way.mean() - self.fsync.mean() > FARTHEST * self.least:
            return "requests vary by more than a tenth of the shortest timeout"
        if self.ticked and self.ticks[1] < FEWEST_TICKS:
            return f"timeouts of {self.ticks[1]} numbers of ticks, fewer than {FEWEST_TICKS}, often tie"
        if self.loss > MOST_LOST:
            return f"more than {100 * MOST_LOST:g}% of the heartbeats are lost"
        return ""

    def _accuracy(self, metric: str, level: float | None = None) -> Accuracy:
        """As measured against the simulation of events, over the region where there is a formula."""
        stated = super()._accuracy(metric, level)
        if not self.electable or metric in ("false_elections", "best_timeout"):
            return stated
        plain = metric == "probability_of_split" and not (self.refusing or self.pre_vote == "yes")
        if self._together and (plain or metric == "first_timeout"):
            return EXACT
        if self._unknown or (metric == "probability_of_split" and self._promised):
            return SIMULATED
        between = level is not None and level > MIDDLE and metric != "first_timeout"
        return ROUGH if between else stated

    @property
    def _promised(self) -> bool:
        """Whether pre-votes make the first term split so seldom that the formula for it is too rough."""
        whole = self.alive == self.majority or self.window == self.one_way.mean()
        return self.pre_vote == "yes" and (self.refusing or not whole)

    @property
    def _together(self) -> bool:
        """Whether all timers start together and all requests take as long."""
        return not self.varying and self.loss == 0.0

    def _failover(self, heartbeat: float, around: float, lease: float) -> Distribution:
        if not self.electable:
            return Never()
        if self._unknown:
            raise NoClosedForm(f"Election has no closed form here: {self._unknown}: simulate it")
        return Failover(
            self.members,
            self.alive,
            self.least,
            self.range,
            self.window,
            self.heartbeat if self.ticked else 0.0,
            "yes" if self.refusing else "no",
            self.asking,
            heartbeat,
            around,
            lease,
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
        if self._promised:
            raise NoClosedForm("Election has no closed form of the few terms that split after pre-votes: simulate it")
        if self.refusing:
            return self._standing.split
        if self.varying and self._unknown:
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

    @answer("elections/day", "elections without need: by a follower who missed heartbeats", Accuracy("within 3%", 0.01))
    def false_elections(self) -> float:
        """n - 1 followers over the mean beats to m misses in a row, see `beats_to_false_election`."""
        if not self.alive:
            return 0.0
        beats = float(formulas.beats_to_false_election(self.loss, *self.misses)) if self.loss < 1 else self.misses[0][0]
        return self.alive * DAY / (max(beats, 1.0) * self.heartbeat)

    def disruption(self, downtime: float) -> float:
        """What an election without need costs (s): nothing where the others refuse it beforehand, the votes where they
        grant them at once, a downtime where they refuse a candidate who has deposed the leader with its newer term.
        """
        if self.check_quorum == "yes":
            return 0.0 if self.pre_vote == "yes" else downtime
        return self.votes + max(self.asking, 0.0) + self.told

    @answer("", "share of the time without a leader, crashes and elections without need", CLOSE)
    def unavailability(self) -> float:
        """Crashes x mean downtime + false elections x what each costs; first order. Without enough members, 1."""
        if not self.electable:
            return 1.0
        downtime = self.downtime.mean()
        return min(1.0, downtime / self.mtbf + self.false_elections / DAY * self.disruption(downtime))

    @answer("s", "shortest timeout with the least unavailability, heartbeats in proportion", ROUGH)
    def best_timeout(self) -> float:
        """The least of the renewal formula's unavailability over timeouts; `inf` without enough members.

        Longer ones wait longer, shorter ones split, and miss heartbeats more often in a day. The place is flat: within
        15% of it the mean downtime, simulated, is within 3% of the least.
        """
        if not self.electable or math.isinf(self.votes):
            return math.inf
        if self.loss > MOST_LOST:
            raise NoClosedForm(
                f"Election has no closed form here: more than {100 * MOST_LOST:g}% are lost: simulate it"
            )
        scale = np.geomspace(1.0, 1e4, STEPS) * max(self.hop, 1e-6) / (WIDEST * self.range)
        split = formulas.mean_time_to_majority(self.members, self.alive, 0.0, self.range * scale, self.hop)
        more = formulas.mean_terms(formulas.split_probability(self.members, self.alive, self.hop / self.range / scale))
        around = self.one_way.mean() + self.votes - 2.0 * self.hop + self.told
        downtime = split + self.least * scale * more + around - self.heartbeat * scale / 2.0
        false = self.false_elections / DAY / scale
        cost = [down / self.mtbf + rate * self.disruption(down) for down, rate in zip(downtime, false, strict=True)]
        return float(self.timeout * scale[int(np.argmin(cost))])

    def simulate(self, requests: int = 200_000, seed: int = 0, *, violating: str | None = None) -> Simulation:
        """So many crashes, event by event, see `montecarlo.kernels.elections`; and runs of lost heartbeats."""
        broken = self.known_violation(violating)
        crashes = self.crashes(int(broken == BEHIND and self.alive > self.majority), broken == IN_STEP)
        checked_requests(self, requests, most=KEPT)
        if not self.electable or self.loss >= 1.0:
            raise ValueError(
                f"Election has {self.alive} of {self.members} members left and {100 * self.loss:g}% of its heartbeats "
                "lost: it is simulated where a majority is left, and below 100% only"
            )
        size = -(-requests // BATCHES)
        runs = [crashes.play(size, stream(seed, 1, i)) for i in progress(range(BATCHES), "elections")]
        downtime, first, majority, terms = (np.stack(part) for part in zip(*runs, strict=True))
        false = self._simulated_false_elections(size, seed)
        cost = np.array([self.disruption(mean) for mean in downtime.mean(axis=1)])
        unavailable = from_batches(downtime.mean(axis=1) / self.mtbf + false.value / DAY * cost)
        spent = math.hypot(unavailable.error, false.error / DAY * float(cost.mean()))
        return Simulation(
            self,
            requests,
            seed,
            downtime=SimulatedLatency(downtime),
            first_timeout=SimulatedLatency(first),
            time_to_majority=SimulatedLatency(majority),
            probability_of_split=proportion((terms > 1).mean(axis=1), terms.size),
            terms=from_batches(terms.mean(axis=1)),
            false_elections=false,
            unavailability=dataclasses.replace(unavailable, error=spent),
        )

    def _simulated_false_elections(self, size: int, seed: int) -> Estimate:
        numbers, weights = self.misses
        found = []
        for i in range(BATCHES):
            rng = stream(seed, 2, i)
            found.append(false_elections(rng.choice(numbers, size=TRIALS * size, p=weights), self.loss, rng))
        events, beats = np.array(found, dtype=float).T
        return ratio(events, beats, self.alive * DAY / self.heartbeat)

    def _replayed(self, seed: int) -> Replay:
        if not self.electable or self.loss >= 1.0:
            raise ValueError(f"Election has {self.alive} of {self.members} members left: no majority, and no failover")
        return replay(self, seed)

    def _says(self, shown: Replay) -> str:
        how = "the first term elects nobody" if shown.terms > 1 else "elected in the first term"
        return f"{units.human(shown.over, 's')} without a leader: {how}"

    def swim_lanes(self, seed: int = 0) -> SwimLanes:
        """One failover, for `figures.swim_lanes`; one whose first term elects nobody, if that happens."""
        shown = self._replayed(seed)
        return swim_lanes(shown, self._says(shown))

    def timeline(self, seed: int = 0) -> Timeline:
        """The same failover: whether there is a leader, and who stands when."""
        shown = self._replayed(seed)
        times = np.union1d(np.linspace(-0.2 * shown.over, 1.2 * shown.over, 400), [0.0, shown.over]) + 0.2 * shown.over
        crash = 0.2 * shown.over
        line = ((times < crash) | (times >= crash + shown.over)).astype(float)
        stands = [(crash + e.time, f"member {e.one + 2} stands") for e in shown.events if e.kind == 0]
        marks = ((crash, "the leader crashes"), *stands, (crash + shown.over, "the next is at work"))
        return Timeline(self._says(shown), times, {"a leader is there": line}, "", marks)
