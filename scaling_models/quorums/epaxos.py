"""EPaxos: whoever receives a command leads it, in one round if no conflicting command interferes and in two else."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np

from scaling_models.answers import Assumption, Simulation, Timeline, answer
from scaling_models.domains import Real
from scaling_models.latency import Distribution, Exponential, Uniform, mixture
from scaling_models.montecarlo.estimates import SimulatedLatency
from scaling_models.montecarlo.kernels.commits import counting
from scaling_models.montecarlo.streams import stream
from scaling_models.parameters import Slider, parameter
from scaling_models.quorums.exchanges import Chances, Exchange
from scaling_models.quorums.formulas.sizes import epaxos_size
from scaling_models.quorums.led import BATCHES, Led, both_rounds

DISCORD = "conflicts when it is slow"


class EPaxos(Led):
    """The command leader waits for a fast quorum, F + floor((F+1)/2) of n = 2F + 1; if replies differ, a majority too.

    L_fast + 1[conflict] L_slow, each a round of independent draws; the leader is whichever replica is near the client.
    Exact where conflicts do not depend on the latencies; `RegionalEPaxos` tells how often there is one, and when a
    command is executed, which waits for those that it depends on: this is the commit. Moraru, Andersen, Kaminsky, There
    Is More Consensus in Egalitarian Parliaments (SOSP 2013).
    """

    conflict: float = parameter(
        default=0.02,
        domain=Real(0.0, 1.0, open_low=False, open_high=False),
        symbol="p",
        about="probability that the replies of a fast quorum differ",
        slider=Slider(0.0, 1.0, 0.01),
    )

    violations: ClassVar[tuple[str, ...]] = (*Led.violations, DISCORD)
    _assumptions: ClassVar[tuple[Assumption, ...]] = (
        *Led._assumptions,
        Assumption("conflicts do not depend on how long the round takes", "optimistic: a slow round meets more"),
        Assumption("committed is done", "optimistic for who needs the result: see RegionalEPaxos"),
    )

    @classmethod
    def example(cls) -> Self:
        """Unequal exponential round trips and disk writes: the defaults are constants."""
        rtts = tuple(Exponential(mean) for mean in (0.004, 0.004, 0.006, 0.010))
        return cls(rtts, Exponential(0.002), "required", 0.9, (Exponential(0.005),), conflict=0.2)

    def _check(self) -> None:
        epaxos_size(self.replicas)

    @property
    def acknowledgements(self) -> int:
        """Replies of the fast quorum besides the leader."""
        return epaxos_size(self.replicas) - 1

    @property
    def slow_acknowledgements(self) -> int:
        """F: replies of the slow path's majority besides the leader."""
        return self.replicas // 2

    @answer("s", "time of the fast path: one round with the fast quorum")
    def fast_latency(self) -> Distribution:
        """The (q - 1)-th follower, q the fast quorum, and the leader's write."""
        return self.round_latency(self._everyone, self._acks)

    @answer("s", "time of the slow path: the round with the fast quorum, and another with a majority")
    def slow_latency(self) -> Distribution:
        """Both rounds, independent."""
        f = self.slow_acknowledgements
        return both_rounds(self.fast_latency, self.round_latency(self._any(f), self._some(f)))

    @answer("s", "time from the command leader's receipt of a command to its commit")
    def commit_latency(self) -> Distribution:
        """The mixture of fast and slow path."""
        if self.conflict == 0.0 or self.replicas == 1:
            return self.fast_latency
        return mixture((1.0 - self.conflict, self.conflict), (self.fast_latency, self.slow_latency))

    def simulate(self, requests: int = 200_000, seed: int = 0, *, violating: str | None = None) -> Simulation:
        """Every reply of both rounds drawn, and whether there is a conflict; `violating` as in `Raft`.

        "conflicts when it is slow" lets the slowest fast rounds be those with a conflict.
        """
        broken = self.known_violation(violating)
        fast = self._commits(self._rule, requests, seed, broken).times
        slow = self._commits(counting(self.slow_acknowledgements, self.leader_write), requests, seed, broken, 5).times
        size = fast.shape[1]
        meets = np.stack([stream(seed, 6, i).random(size) < self.conflict for i in range(BATCHES)])
        if broken == DISCORD:
            meets = fast > np.quantile(fast, 1.0 - self.conflict, axis=1, keepdims=True)
        times = fast + np.where(meets, slow, 0.0) if self.replicas > 1 else fast
        return Simulation(
            self,
            requests,
            seed,
            fast_latency=SimulatedLatency(fast),
            slow_latency=SimulatedLatency(fast + slow),
            commit_latency=SimulatedLatency(times),
            write_latency=self._journeys(times, seed),
            quorum_availability=self._share_up(self.acknowledgements + 1, self._up(size, seed, broken)),
        )

    def _exchange(self, exchange: Exchange, chances: Chances, begins: float) -> float:
        fast = self._round(exchange, chances, begins, self._rule, 1)
        if self.replicas == 1 or chances.of(Uniform(0.0, 1.0), 3) >= self.conflict:
            return fast
        return self._round(exchange, chances, fast, counting(self.slow_acknowledgements, self.leader_write), 2)

    def timeline(self, seed: int = 0) -> Timeline:
        """Followers fail, nearest first: the fast path goes before the majority does."""
        return self._failing(self._rule, self.acknowledgements + 1, seed)
