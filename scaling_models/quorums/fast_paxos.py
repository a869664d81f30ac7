"""Fast Paxos: the client asks the acceptors itself, and pays for collisions with a classic round."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np

from scaling_models.answers import Assumption, Simulation, SwimLanes, Timeline, answer
from scaling_models.domains import Integer, Real, Rows
from scaling_models.latency import LATENCY, Deterministic, Distribution, Exponential, Uniform, k_of_n, mixture
from scaling_models.montecarlo.estimates import SimulatedLatency
from scaling_models.montecarlo.kernels.commits import replies, smallest
from scaling_models.montecarlo.streams import stream
from scaling_models.parameters import Slider, parameter
from scaling_models.quorums.exchanges import Chances, Exchange
from scaling_models.quorums.expressions import choose
from scaling_models.quorums.formulas.sizes import fast_paxos_size, majority_size
from scaling_models.quorums.led import BATCHES, SLOW, TOGETHER, Led, both_rounds

DISCORD = "collisions when it is slow"


class FastPaxos(Led):
    """The client sends to all n acceptors and has its answer with the q_f-th reply; after a collision a classic round.

    q_f is the least with 2 q_f + q_c > 2n, q_c a majority. Where the replies disagree, which the client sees with q_f
    of them, the coordinator (the leader here) runs a classic round with q_c of the acceptors: fast + 1[collision]
    (journey to the coordinator and back + classic). Exact where collisions do not depend on the latencies;
    `formulas.conflicts` tells how often there is one. Lamport, Fast Paxos, Distributed Computing 19 (2006).
    """

    client_rtts: tuple[Distribution, ...] = parameter(
        default=tuple(Deterministic(ms / 1000.0) for ms in (2, 13, 64, 70, 146)),
        domain=Rows(LATENCY, least=1, most=101),
        unit="s",
        symbol="Y",
        about="round trip from the client to the coordinator's replica and to each follower, its disk write included",
    )
    classic_quorum: int = parameter(
        default=3,
        domain=Integer(1, 101),
        symbol="q_c",
        about="replicas of a classic round, the coordinator's among them",
        slider=Slider(1, 9, 1),
    )
    collision: float = parameter(
        default=0.02,
        domain=Real(0.0, 1.0, open_low=False, open_high=False),
        symbol="p",
        about="probability that the acceptors disagree on the order of concurrent commands",
        slider=Slider(0.0, 1.0, 0.01),
    )

    headline: ClassVar[str] = "write_latency"
    violations: ClassVar[tuple[str, ...]] = (*Led.violations, DISCORD)
    _assumptions: ClassVar[tuple[Assumption, ...]] = (
        *Led._assumptions,
        Assumption("collisions do not depend on how long the round takes", "optimistic: a slow round meets more"),
        Assumption("one classic round settles a collision", "optimistic where the coordinator fails or duels"),
    )

    @classmethod
    def example(cls) -> Self:
        """Unequal exponential round trips and disk writes: the defaults are constants."""
        followers, near = tuple(Exponential(mean) for mean in (0.004, 0.004, 0.006, 0.010)), Exponential(0.002)
        return cls(
            followers, near, "required", 0.9, (Exponential(0.005),), client_rtts=(near, *followers), collision=0.2
        )

    def _check(self) -> None:
        if len(self.client_rtts) != self.replicas:
            raise ValueError(
                f"FastPaxos.client_rtts must be one a replica, {self.replicas} with the coordinator's; "
                f"got {len(self.client_rtts)}"
            )
        least = majority_size(self.replicas)
        if not least <= self.classic_quorum <= self.replicas:
            raise ValueError(
                f"FastPaxos.classic_quorum must lie in [{least}, {self.replicas}], a majority of the replicas, so that "
                f"any two have one in common; got {self.classic_quorum}"
            )

    @property
    def fast_quorum(self) -> int:
        """q_f, which with any other and any classic quorum has a replica in common."""
        return fast_paxos_size(self.replicas, self.classic_quorum)

    @property
    def acknowledgements(self) -> int:
        """Of a classic round, besides the coordinator's own."""
        return self.classic_quorum - 1

    @answer("s", "time until the client has replies of a fast quorum")
    def fast_latency(self) -> Distribution:
        """The q_f-th of the n replies."""
        return k_of_n(self.fast_quorum, self.client_rtts)

    @answer("s", "time from the client's request to its answer")
    def write_latency(self) -> Distribution:
        """The fast round, and with probability p the classic one after it."""
        if self.collision == 0.0:
            return self.fast_latency
        after = both_rounds(self.fast_latency, self._classic_write)
        return mixture((1.0 - self.collision, self.collision), (self.fast_latency, after))

    @property
    def _classic_write(self) -> Distribution:
        return self.journey_and(self.commit_latency)

    @answer("s", "time of a classic round at the coordinator")
    def commit_latency(self) -> Distribution:
        """As `Raft`'s with q_c replicas."""
        return self.round_latency(self._everyone, self._acks)

    @answer("", "probability that a fast quorum is up")
    def fast_availability(self) -> float:
        """P(Bin(n, A) >= q_f)."""
        return self._available(choose(self.fast_quorum, *(str(i) for i in range(self.replicas))))

    def simulate(self, requests: int = 200_000, seed: int = 0, *, violating: str | None = None) -> Simulation:
        """Every reply of both rounds drawn, and whether there is a collision; `violating` as in `Raft`.

        "collisions when it is slow" lets the slowest fast rounds be those that collide.
        """
        broken = self.known_violation(violating)
        classic = self._commits(self._rule, requests, seed, broken).times
        size, quorum = classic.shape[1], smallest(self.fast_quorum)
        together = TOGETHER if broken == SLOW else 0.0
        laws = list(self.client_rtts)
        fast = np.stack([quorum(replies(laws, size, stream(seed, 7, i), together)) for i in range(BATCHES)])
        meets = np.stack([stream(seed, 6, i).random(size) < self.collision for i in range(BATCHES)])
        if broken == DISCORD:
            meets = fast > np.quantile(fast, 1.0 - self.collision, axis=1, keepdims=True)
        up = self._up(size, seed, broken)
        return Simulation(
            self,
            requests,
            seed,
            fast_latency=SimulatedLatency(fast),
            write_latency=SimulatedLatency(fast + np.where(meets, self._journeys(classic, seed).batches, 0.0)),
            commit_latency=SimulatedLatency(classic),
            quorum_availability=self._share_up(self.classic_quorum, up),
            fast_availability=self._share_up(self.fast_quorum, up),
        )

    def swim_lanes(self, seed: int = 0) -> SwimLanes:
        """One command for `figures.swim_lanes`; the followers' trips are other protocols' with the same laws."""
        chances, exchange = Chances(seed), Exchange(self.replicas - 1)
        near = chances.trips(self.client_rtts[:1], 4)
        answered = exchange.ask([*near, *chances.trips(self.client_rtts[1:], 1, 1)], self.fast_quorum)
        if chances.of(Uniform(0.0, 1.0), 3) < self.collision:
            leg = chances.of(self._journey, 0) / 2.0
            complete = self._round(exchange, chances, exchange.travel(answered, leg), self._rule, 2)
            answered = exchange.travel(complete, leg, home=True)
        return exchange.lanes(type(self).__name__, answered)

    def timeline(self, seed: int = 0) -> Timeline:
        """Acceptors fail, nearest the coordinator first, and classic rounds go on a while."""
        return self._failing(self._rule, self.classic_quorum, seed)
