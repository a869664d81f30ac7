"""What protocols with a leader share: followers, the leader's own write, the client's journey, slow leaders."""

from __future__ import annotations

import functools
from typing import ClassVar

import numpy as np

from scaling_models.answers import Assumption, NoClosedForm, SwimLanes, Timeline, answer
from scaling_models.latency import Deterministic, Distribution, SharedKOfN, slowest
from scaling_models.montecarlo.arrays import Array, Flags
from scaling_models.montecarlo.estimates import Estimate, SimulatedLatency, proportion
from scaling_models.montecarlo.kernels.commits import Commits, Delay, Rule, replies, simulate_commits
from scaling_models.montecarlo.streams import checked_requests, stream
from scaling_models.quorums.exchanges import Chances, Draw, Exchange
from scaling_models.quorums.expressions import Choose, Expression, Leaf, choose, completion
from scaling_models.quorums.followed import LEADER, Followed

BATCHES = 64
KEPT = 100_000_000  # replies of a simulation: 160 MB of commit times at five replicas

SLOW, ZONES = "replicas slow together", "zones fail as one"
TOGETHER = 0.7  # correlation of the normal scores of replies that are slow together


@functools.lru_cache(maxsize=32)  # a slider of how often there are two leaves both as they are
def both_rounds(first: Distribution, second: Distribution) -> Distribution:
    """One after the other, independent."""
    return first + second


class Led(Followed):
    """Base: a leader sends to its followers and waits for a quorum; a protocol tells which, and how often."""

    headline: ClassVar[str] = "commit_latency"
    violations: ClassVar[tuple[str, ...]] = (SLOW, ZONES)
    _assumptions: ClassVar[tuple[Assumption, ...]] = (
        Assumption("round trips independent but for the shared delay", "optimistic if a shared link delays several"),
        Assumption("one command alone, no queue at the leader or its disk", "optimistic under load"),
        Assumption("a stable leader", "optimistic around elections"),
        Assumption("replicas fail independently", "optimistic if zones fail as one"),
    )

    def round_latency(self, everyone: Expression, acks: Expression | None) -> Distribution:
        """A message to all and the quorum's replies: counted, required or before_send, behind the shared delay."""
        alone = not self.follower_rtts or (acks is None and self.leader_write != "counted")
        if self._delay is not None and not self._at_once and not alone:
            return self._behind(everyone, acks, self._delay)
        waits = self._delay is not None and not (alone and self.delays == "replies")
        base = self.fsync if alone else self._undelayed(everyone, acks)
        return base + self._delay if waits else base

    def _undelayed(self, everyone: Expression, acks: Expression | None) -> Distribution:
        if acks is None or self.leader_write == "counted":
            return everyone.latency(self._latencies)
        replied = acks.latency(self._latencies)
        return self.fsync + replied if self.leader_write == "before_send" else slowest(self.fsync, replied)

    def _behind(self, everyone: Expression, acks: Expression | None, delay: Distribution) -> Distribution:
        """The replies delayed together, the leader's own write not."""
        if acks is not None and self.leader_write == "required":
            return slowest(self.fsync, delay + acks.latency(self._latencies))
        if isinstance(delay, Deterministic):
            return everyone.latency(self._shifted(delay.value))
        if not (isinstance(everyone, Choose) and all(isinstance(member, Leaf) for member in everyone.members)):
            raise NoClosedForm(f"{type(self).__name__} of that quorum behind a shared delay: simulate it")
        return SharedKOfN(everyone.k, self.follower_rtts, (self.fsync,), delay)

    def _shifted(self, by: float) -> dict[str, Distribution]:
        return {name: law if name == LEADER else law + by for name, law in self._latencies.items()}

    def _completing(self, everyone: Expression, acks: Expression | None) -> tuple[float, ...]:
        """How often each replica's write is the last one that the quorum needs."""
        latencies = self._latencies
        if not self._at_once:
            if not isinstance(self._delay, Deterministic):
                raise NoClosedForm(
                    f"who completes the quorum of {type(self).__name__} behind a random delay of the replies: "
                    "simulate it"
                )
            latencies = self._shifted(self._delay.value)
        if len(self.follower_rtts) > 1 and not all(law.highest_level > 0.0 for law in self.follower_rtts):
            raise NoClosedForm(
                f"who completes the quorum of {type(self).__name__} is not told by mean round trips: choose a jitter, "
                "or simulate it"
            )
        quorum = self._waits_for(everyone, acks)
        found = completion(quorum, {name: latencies[name] for name in quorum.names()})
        return tuple(found.get(name, 0.0) for name in latencies)

    def _waits_for(self, everyone: Expression, acks: Expression | None) -> Expression:
        if self.leader_write == "counted":
            return everyone
        if acks is None:
            return Leaf(LEADER)
        return choose(2, Leaf(LEADER), acks) if self.leader_write == "required" else acks

    @answer("s", "time from the leader's receipt of a command to its commit")
    def commit_latency(self) -> Distribution:
        """One round."""
        return self.round_latency(self._everyone, self._acks)

    @answer("s", "time from the client's request to its answer: to the leader and back, and the commit there")
    def write_latency(self) -> Distribution:
        """The client's round trip plus an independent commit."""
        return self.journey_and(self.commit_latency)

    def journey_and(self, latency: Distribution) -> Distribution:
        """The client's legs, and what it waits for at the leader."""
        return latency if self._journey is None else self._journey + latency

    @answer("", "probability that the replicas up include a quorum")
    def quorum_availability(self) -> float:
        """The quorum's expression at p_i = A."""
        return self._available(self._everyone)

    def _available(self, expression: Expression) -> float:
        return float(expression.evaluate(dict.fromkeys(expression.names(), self.availability)))

    # What simulations share.
    def _commits(self, rule: Rule, requests: int, seed: int, broken: str | None, *key: int) -> Commits:
        together = TOGETHER if broken == SLOW else 0.0
        checked_requests(self, requests, most=KEPT // self.replicas)
        delay = None if self._delay is None else Delay(self._delay, self.delays == "all")
        return simulate_commits(self._latencies, rule, requests, seed, BATCHES, together, delay, key or (1,))

    def _journeys(self, times: Array, seed: int) -> SimulatedLatency:
        """Latencies at the client for those at the leader."""
        if self._journey is None:
            return SimulatedLatency(times)
        away = [self._journey.sample(times.shape[1], rng=stream(seed, 4, i)) for i in range(len(times))]
        return SimulatedLatency(times + np.stack(away))

    def _up(self, size: int, seed: int, broken: str | None) -> list[Flags]:
        """Which replicas are up at so many moments a batch, two to a zone where zones fail as one."""
        zone = np.arange(self.replicas) // (2 if broken == ZONES else 1)
        shape = (size, self.replicas)
        return [stream(seed, 2, i).random(shape)[:, zone] < self.availability for i in range(BATCHES)]

    def _share_up(self, needed: int, up: list[Flags]) -> Estimate:
        return proportion([(each.sum(axis=1) >= needed).mean() for each in up], sum(len(each) for each in up))

    # One commit as a picture.
    def swim_lanes(self, seed: int = 0) -> SwimLanes:
        """One command for `figures.swim_lanes`; protocols of the same latencies have the same draws (`beside`)."""
        chances, exchange = Chances(seed), Exchange(self.replicas - 1)
        leg = chances.of(self._journey, 0) / 2.0
        complete = self._exchange(exchange, chances, exchange.travel(0.0, leg))
        return exchange.lanes(type(self).__name__, exchange.travel(complete, leg, home=True))

    def _exchange(self, exchange: Exchange, chances: Chances, begins: float) -> float:
        """The rounds of a command; when it is committed."""
        return self._round(exchange, chances, begins, self._rule, 1)

    def _round(self, exchange: Exchange, chances: Chances, begins: float, rule: Rule, number: int) -> float:
        draw = Draw(
            chances.of(self.fsync, number, 0),
            chances.trips(self.follower_rtts, number, 1),
            chances.of(self._delay, number, 2),
        )
        return exchange.round(begins, draw, rule, waits=self.delays == "all")

    def _failing(self, rule: Rule, needed: int, seed: int) -> Timeline:
        """A command every tenth of a second while followers fail, nearest first, until no quorum is left."""
        if not self.follower_rtts:
            name = type(self).__name__
            raise ValueError(f"{name}.follower_rtts is empty: with the leader alone there is no follower to fail")
        rng, times = stream(seed, 3), np.arange(0.0, 60.0, 0.1)
        order = np.argsort([law.mean() for law in self.follower_rtts])
        failures = self.replicas - needed + 1
        falls = 60.0 * (np.arange(failures) + 1.0) / (failures + 2.0)
        rtts = replies(list(self.follower_rtts), len(times), rng)
        for fall, who in zip(falls, order, strict=False):
            rtts[times >= fall, who] = np.inf
        committed = rule.times(self.fsync.sample(len(times), rng=rng), rtts)
        lost = f"after {len(falls)} failure{'s' if len(falls) > 1 else ''} there is no quorum, and nothing commits"
        marks = tuple((float(fall), f"follower {who + 1} fails") for fall, who in zip(falls, order, strict=False))
        line = np.where(np.isfinite(committed), committed, np.nan)
        return Timeline(f"Each failed follower makes a farther one decide; {lost}", times, {"commit": line}, "s", marks)
