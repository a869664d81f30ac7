"""Raft (and Multi-Paxos) with a stable leader: how long a commit takes, and who completes the quorum."""

from __future__ import annotations

from typing import Self

from scaling_models.answers import Simulation, Timeline, answer
from scaling_models.latency import Exponential
from scaling_models.montecarlo.estimates import SimulatedLatency, proportion
from scaling_models.quorums.led import Led


class Raft(Led):
    """A leader replicates a command to its followers and commits once a majority has it.

    With D the leader's disk write, X_i the round trip to follower i with its disk write, m = floor(n/2):
    counted: the (m+1)-th smallest of {D, X_1 .. X_{n-1}} (the leader is one voter; may commit before its own disk);
    required: max(D, m-th smallest X); before_send: D + m-th smallest X. A shared delay G of the replies makes each
    G + X_i with one G a command. All exact for independent latencies.
    Ongaro, Consensus: Bridging Theory and Practice (2014), section 10.2.1, tells the first from the third.
    """

    @classmethod
    def example(cls) -> Self:
        """Unequal exponential round trips and disk writes: the defaults are constants."""
        rtts = tuple(Exponential(mean) for mean in (0.004, 0.004, 0.006, 0.010))
        return cls(rtts, Exponential(0.002), "required", 0.9)

    @answer("", "how often each replica's write is the one that completes the quorum: the leader, then the followers")
    def completes(self) -> tuple[float, ...]:
        """Of the replies that the quorum waits for, which is the last one needed."""
        return self._completing(self._everyone, self._acks)

    def simulate(self, requests: int = 200_000, seed: int = 0, *, violating: str | None = None) -> Simulation:
        """Every reply of every command drawn, the quorum counted: exact but for chance.

        `violating` "replicas slow together" correlates their normal scores by 0.7, "zones fail as one" lets the
        replicas, two to a zone, be up or down with their zone.
        """
        broken = self.known_violation(violating)
        runs = self._commits(self._rule, requests, seed, broken)
        up = self._up(runs.times.shape[1], seed, broken)
        return Simulation(
            self,
            requests,
            seed,
            commit_latency=SimulatedLatency(runs.times),
            write_latency=self._journeys(runs.times, seed),
            completes=tuple(proportion((runs.last == i).mean(axis=1), runs.last.size) for i in range(self.replicas)),
            quorum_availability=self._share_up(self.acknowledgements + 1, up),
        )

    def timeline(self, seed: int = 0) -> Timeline:
        """A command every tenth of a second while followers fail, nearest first, until no quorum is left."""
        return self._failing(self._rule, self.acknowledgements + 1, seed)
