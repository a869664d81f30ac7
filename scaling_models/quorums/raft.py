"""Raft (and Multi-Paxos) with a stable leader: how long a commit takes, and who completes the quorum."""

from __future__ import annotations

import functools
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from scaling_models.answers import Assumption, Model, Simulation, Timeline, answer
from scaling_models.latency import LATENCY, Deterministic, Distribution, Exponential
from scaling_models.montecarlo.estimates import SimulatedLatency, proportion
from scaling_models.montecarlo.kernels.commits import commit_times, simulate_commits
from scaling_models.montecarlo.streams import checked_requests, stream
from scaling_models.parameters import Choice, Real, Rows, Slider, parameter
from scaling_models.quorums.expressions import Choose, Leaf, choose, completion

Array = NDArray[np.float64]
LEADER = "leader"
WAYS = Choice(("counted", "required", "before_send"))
WAYS_MEAN = "how the leader's own disk write counts: as one vote, needed besides a majority, or before sending"
BATCHES = 64
KEPT = 100_000_000  # replies of a simulation: 160 MB of commit times at five replicas

SLOW, ZONES = "replicas slow together", "zones fail as one"
TOGETHER = 0.7  # correlation of the normal scores of replies that are slow together


class Raft(Model):
    """A leader replicates a command to its followers and commits once a majority has it.

    With D the leader's disk write, X_i the round trip to follower i with its disk write, m = floor(n/2):
    counted: the (m+1)-th smallest of {D, X_1 .. X_{n-1}} (the leader is one voter; may commit before its own disk);
    required: max(D, m-th smallest X); before_send: D + m-th smallest X. All exact for independent latencies.
    Ongaro, Consensus: Bridging Theory and Practice (2014), section 10.2.1, tells the first from the third.
    """

    follower_rtts: tuple[Distribution, ...] = parameter(
        default=(Deterministic(0.013), Deterministic(0.064), Deterministic(0.070), Deterministic(0.146)),
        domain=Rows(LATENCY, least=0, most=100),
        unit="s",
        symbol="X",
        about="round trip from the leader to each follower, that one's disk write included",
    )
    fsync: Distribution = parameter(
        default=0.002, domain=LATENCY, unit="s", symbol="D", about="the leader's own disk write"
    )
    leader_write: str = parameter(
        default="required",
        domain=WAYS,
        about=WAYS_MEAN,
    )
    availability: float = parameter(
        default=0.999,
        domain=Real(0.0, 1.0, open_low=False, open_high=False),
        symbol="A",
        about="share of the time that a replica is up",
        slider=Slider(0.9, 1.0, 0.001),
    )

    headline: ClassVar[str] = "commit_latency"
    _assumptions: ClassVar[tuple[Assumption, ...]] = (
        Assumption("round trips independent of each other", "optimistic if a slow network card or a pause delays all"),
        Assumption("one command alone, no queue at the leader or its disk", "optimistic under load"),
        Assumption("a stable leader", "optimistic around elections"),
        Assumption("replicas fail independently", "optimistic if zones fail as one"),
    )

    violations: ClassVar[tuple[str, ...]] = (SLOW, ZONES)

    @classmethod
    def example(cls) -> Self:
        """Unequal exponential round trips and disk writes: the defaults are constants."""
        rtts = tuple(Exponential(mean) for mean in (0.004, 0.004, 0.006, 0.010))
        return cls(rtts, Exponential(0.002), "required", 0.9)

    @property
    def replicas(self) -> int:
        """n, the leader among them."""
        return len(self.follower_rtts) + 1

    @property
    def _names(self) -> list[str]:
        return [f"follower {i + 1}" for i in range(self.replicas - 1)]

    @property
    def _followers(self) -> list[Leaf]:
        return [Leaf(name) for name in self._names]

    @property
    def acknowledgements(self) -> int:
        """m, how many followers make a majority with the leader."""
        return self.replicas // 2

    @property
    def majority(self) -> Choose:
        """A majority of all replicas."""
        return choose(self.acknowledgements + 1, LEADER, *self._followers)

    @property
    def _acks(self) -> Choose:
        return choose(self.acknowledgements, *self._followers)

    @property
    def quorum(self) -> Choose | Leaf:
        """What a commit waits for, once the command is sent."""
        if not self.follower_rtts:
            return Leaf(LEADER)
        expressions = {
            "counted": lambda: self.majority,
            "required": lambda: choose(2, Leaf(LEADER), self._acks),
            "before_send": lambda: self._acks,
        }
        return expressions[self.leader_write]()

    @functools.cached_property
    def _latencies(self) -> dict[str, Distribution]:
        return {LEADER: self.fsync, **dict(zip(self._names, self.follower_rtts, strict=True))}

    @property
    def _first(self) -> bool:
        """Whether the leader writes before it sends."""
        return self.leader_write == "before_send" and bool(self.follower_rtts)

    @answer("s", "time from the leader's receipt of a command to its commit")
    def commit_latency(self) -> Distribution:
        """The quorum expression at the replicas' latencies; after the leader's write where that comes first."""
        replied = self.quorum.latency(self._latencies)
        return self.fsync + replied if self._first else replied

    @answer("", "how often each replica's write is the one that completes the quorum: the leader, then the followers")
    def completes(self) -> tuple[float, ...]:
        """Of the replies that the quorum waits for, which is the last one needed."""
        found = completion(self.quorum, {name: self._latencies[name] for name in self.quorum.names()})
        return tuple(found.get(name, 0.0) for name in self._latencies)

    @answer("", "probability that a majority of the replicas is up")
    def quorum_availability(self) -> float:
        """The majority expression at p_i = A."""
        if not self.follower_rtts:
            return self.availability
        return float(self.majority.evaluate(dict.fromkeys(self.majority.names(), self.availability)))

    def simulate(self, requests: int = 200_000, seed: int = 0, *, violating: str | None = None) -> Simulation:
        """Every reply of every command drawn, the quorum counted: exact but for chance.

        `violating` "replicas slow together" correlates their normal scores by 0.7, "zones fail as one" lets the
        replicas, two to a zone, be up or down with their zone.
        """
        broken = self.known_violation(violating)
        checked_requests(self, requests, most=KEPT // self.replicas)
        runs = simulate_commits(
            self._latencies,
            self.acknowledgements,
            self.leader_write,
            requests,
            seed,
            BATCHES,
            TOGETHER if broken == SLOW else 0.0,
        )
        shape = (runs.times.shape[1], self.replicas)
        zone = np.arange(self.replicas) // (2 if broken == ZONES else 1)
        up = [(stream(seed, 2, i).random(shape)[:, zone] < self.availability).sum(axis=1) for i in range(BATCHES)]
        return Simulation(
            self,
            requests,
            seed,
            commit_latency=SimulatedLatency(runs.times),
            completes=tuple(proportion((runs.last == i).mean(axis=1), runs.last.size) for i in range(self.replicas)),
            quorum_availability=proportion([(count > self.acknowledgements).mean() for count in up], runs.last.size),
        )

    def timeline(self, seed: int = 0) -> Timeline:
        """A command every tenth of a second while followers fail, nearest first, until no quorum is left."""
        if not self.follower_rtts:
            raise ValueError("Raft.follower_rtts is empty: with the leader alone there is no follower to fail")
        rng = stream(seed, 3)
        order = np.argsort([law.mean() for law in self.follower_rtts])
        times = np.arange(0.0, 60.0, 0.1)
        failures = self.replicas - self.acknowledgements
        falls = 60.0 * (np.arange(failures) + 1.0) / (failures + 2.0)
        rtts = np.stack([law.sample(len(times), rng=rng) for law in self.follower_rtts], axis=1).reshape(len(times), -1)
        for fall, who in zip(falls, order, strict=False):
            rtts[times >= fall, who] = np.inf
        committed = commit_times(self.fsync.sample(len(times), rng=rng), rtts, self.acknowledgements, self.leader_write)
        lost = f"after {len(falls)} failure{'s' if len(falls) > 1 else ''} there is no quorum, and nothing commits"
        marks = tuple((float(fall), f"follower {who + 1} fails") for fall, who in zip(falls, order, strict=False))
        line = np.where(np.isfinite(committed), committed, np.nan)
        return Timeline(f"Each failed follower makes a farther one decide; {lost}", times, {"commit": line}, "s", marks)
