"""Flexible Paxos: small commit quorums paid for by large election quorums."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from scaling_models.answers import Assumption, Simulation, Timeline, answer
from scaling_models.domains import Integer
from scaling_models.latency import Distribution, Exponential
from scaling_models.montecarlo.estimates import SimulatedLatency, proportion
from scaling_models.montecarlo.kernels.commits import Rule, counting
from scaling_models.parameters import Slider, parameter
from scaling_models.quorums.expressions import Expression
from scaling_models.quorums.formulas.sizes import flexible_size
from scaling_models.quorums.led import Led


class FlexiblePaxos(Led):
    """Commits wait for q2 replicas, elections for q1 = n - q2 + 1: only these two kinds of quorum have to meet.

    The commit is `Raft`'s with q2 - 1 followers instead of a majority of them, an election's round with q1 - 1. Exact
    for independent latencies. Howard, Malkhi, Spiegelman, Flexible Paxos (OPODIS 2016).
    """

    commit_quorum: int = parameter(
        default=2,
        domain=Integer(1, 101),
        symbol="q2",
        about="replicas that a commit waits for, the leader among them",
        slider=Slider(1, 9, 1),
    )

    @classmethod
    def example(cls) -> Self:
        """Unequal exponential round trips and disk writes: the defaults are constants."""
        rtts = tuple(Exponential(mean) for mean in (0.004, 0.004, 0.006, 0.010))
        return cls(rtts, Exponential(0.002), "required", 0.9, (Exponential(0.005),))

    _assumptions: ClassVar[tuple[Assumption, ...]] = (
        *Led._assumptions,
        Assumption("all followers are asked", "as it is; with a thrifty leader the asked ones alone decide"),
    )

    def _check(self) -> None:
        if self.commit_quorum > self.replicas:
            raise ValueError(
                f"FlexiblePaxos.commit_quorum must lie in [1, {self.replicas}], the number of replicas; "
                f"got {self.commit_quorum}"
            )

    @property
    def acknowledgements(self) -> int:
        """q2 - 1."""
        return self.commit_quorum - 1

    @property
    def election_quorum(self) -> int:
        """q1, the least that meets every commit quorum."""
        return flexible_size(self.replicas, self.commit_quorum)

    @property
    def _electing(self) -> tuple[Expression, Expression | None]:
        return self._any(self.election_quorum - 1), self._some(self.election_quorum - 1)

    @property
    def _election_rule(self) -> Rule:
        return counting(self.election_quorum - 1, self.leader_write)

    @answer("s", "time of an election's round: the prepare of a new leader, which has the leader's place")
    def election_latency(self) -> Distribution:
        """The round with q1 replicas."""
        return self.round_latency(*self._electing)

    @answer("", "how often each replica's write is the one that completes the quorum: the leader, then the followers")
    def completes(self) -> tuple[float, ...]:
        """Of the replies that a commit waits for, which is the last one needed."""
        return self._completing(self._everyone, self._acks)

    @answer("", "probability that an election quorum is up: a new leader can be found")
    def election_availability(self) -> float:
        """The election quorum's expression at p_i = A."""
        return self._available(self._electing[0])

    def simulate(self, requests: int = 200_000, seed: int = 0, *, violating: str | None = None) -> Simulation:
        """Every reply of every command and of every election's round drawn, the quorums counted; as in `Raft`."""
        broken = self.known_violation(violating)
        runs = self._commits(self._rule, requests, seed, broken)
        rounds = self._commits(self._election_rule, requests, seed, broken, 5)
        up = self._up(runs.times.shape[1], seed, broken)
        commit, elect = ([self._there(rule, each) for each in up] for rule in (self._rule, self._election_rule))
        return Simulation(
            self,
            requests,
            seed,
            commit_latency=SimulatedLatency(runs.times),
            write_latency=self._journeys(runs.times, seed),
            election_latency=SimulatedLatency(rounds.times),
            completes=tuple(proportion((runs.last == i).mean(axis=1), runs.last.size) for i in range(self.replicas)),
            quorum_availability=proportion(commit, runs.times.size),
            election_availability=proportion(elect, runs.times.size),
        )

    @staticmethod
    def _there(rule: Rule, up: NDArray[Any]) -> float:
        """How often those that are up are a quorum: its time, were the others never to reply."""
        return float(np.isfinite(rule.everyone(np.where(up, 0.0, np.inf))).mean())

    def timeline(self, seed: int = 0) -> Timeline:
        """A command every tenth of a second while followers fail, nearest first, until no quorum is left."""
        return self._failing(self._rule, self.commit_quorum, seed)
