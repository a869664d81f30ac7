"""Basic Paxos: two rounds a decision, and what it costs where proposers duel."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np

from scaling_models.answers import Assumption, NoClosedForm, Simulation, Timeline, answer
from scaling_models.domains import Integer
from scaling_models.latency import SPREAD, Distribution, Exponential
from scaling_models.montecarlo.arrays import Array, Indices
from scaling_models.montecarlo.estimates import SimulatedLatency, from_batches
from scaling_models.montecarlo.kernels.duels import Duels, duels
from scaling_models.montecarlo.progress import progress
from scaling_models.montecarlo.streams import stream
from scaling_models.parameters import Slider, parameter
from scaling_models.quorums.exchanges import Chances, Exchange
from scaling_models.quorums.led import BATCHES, Led

SINGLE = 32_768  # duels of one simulation: more say little more, and take long


class BasicPaxos(Led):
    """A proposer without a lease on the lead: it prepares its ballot at a majority, then has a majority accept.

    Two rounds of independent draws, Y + Y', each `Raft`'s commit: twice the quorum's reply where round trips are
    constant. Exact for a proposer alone. Several that begin about the same time outbid each other: for them
    `duel_latency`, until a value is chosen, has no closed form. Lamport, Paxos Made
    Simple (2001).
    """

    proposers: int = parameter(
        default=2, domain=Integer(1, 20), symbol="P", about="proposers of a duel", slider=Slider(1, 5, 1)
    )
    apart: Distribution = parameter(
        default=Exponential(0.010), domain=SPREAD, unit="s", about="how much later than the first each rival begins"
    )
    backoff: Distribution = parameter(
        default=Exponential(0.100),
        domain=SPREAD,
        unit="s",
        symbol="B",
        about="how long a proposer waits that was refused, before its next ballot",
    )

    violations: ClassVar[tuple[str, ...]] = Led.violations
    _assumptions: ClassVar[tuple[Assumption, ...]] = (
        *Led._assumptions,
        Assumption("rivals have the same round trips, each in its own order", "errs either way"),
        Assumption("a duel's message takes half of its round trip each way", "errs either way"),
    )

    @classmethod
    def example(cls) -> Self:
        """Unequal exponential round trips and disk writes: the defaults are constants."""
        rtts = tuple(Exponential(mean) for mean in (0.004, 0.004, 0.006, 0.010))
        return cls(rtts, Exponential(0.002), "required", 0.9, (Exponential(0.005),))

    def _check(self) -> None:
        if self.proposers > self.replicas:
            raise ValueError(
                f"BasicPaxos.proposers must lie in [1, {self.replicas}], the number of replicas; got {self.proposers}"
            )

    @answer("s", "time from a proposer's receipt of a command to its choice, where nobody interferes")
    def commit_latency(self) -> Distribution:
        """Both rounds."""
        once = self.round_latency(self._everyone, self._acks)
        return once + once

    @answer("s", "time from the first proposer's beginning until a value is chosen, with rivals")
    def duel_latency(self) -> Distribution:
        """Of one proposer as without rivals."""
        if self.proposers > 1:
            raise NoClosedForm("BasicPaxos with proposers that duel: simulate it")
        return self.commit_latency

    @answer("ballots", "ballots begun until a value is chosen, on average")
    def duel_ballots(self) -> float:
        """One, of one proposer."""
        if self.proposers > 1:
            raise NoClosedForm("BasicPaxos with proposers that duel: simulate it")
        return 1.0

    def simulate(self, requests: int = 200_000, seed: int = 0, *, violating: str | None = None) -> Simulation:
        """Every reply of both rounds drawn, as in `Raft`; and up to 32,768 duels, message by message."""
        broken = self.known_violation(violating)
        first, second = (self._commits(self._rule, requests, seed, broken, key).times for key in (1, 5))
        size = -(-min(requests, SINGLE) // BATCHES)
        played = [self._duels(size, seed, i) for i in progress(range(BATCHES), "duels")]
        return Simulation(
            self,
            requests,
            seed,
            commit_latency=SimulatedLatency(first + second),
            write_latency=self._journeys(first + second, seed),
            duel_latency=SimulatedLatency(np.stack([each.decided for each in played])),
            duel_ballots=from_batches([each.ballots.mean() for each in played]),
            quorum_availability=self._share_up(self.acknowledgements + 1, self._up(first.shape[1], seed, broken)),
        )

    def _exchange(self, exchange: Exchange, chances: Chances, begins: float) -> float:
        prepared = self._round(exchange, chances, begins, self._rule, 2)
        return self._round(exchange, chances, prepared, self._rule, 1)

    def _duels(self, size: int, seed: int, batch: int) -> Duels:
        rng, n = stream(seed, 8, batch), self.replicas

        def send(lanes: Indices, who: Indices, rounds: Indices) -> tuple[Array, Array]:
            count = len(lanes)
            there, back = np.zeros((count, n)), np.zeros((count, n))
            own = np.arange(count)
            back[own, who] = self.fsync.sample(count, rng=rng)
            late = np.zeros(count) if self._delay is None else self._delay.sample(count, rng=rng)
            there[own, who] = late if self.delays == "all" else 0.0
            written = back[own, who] if self.leader_write == "before_send" else 0.0
            for k, law in enumerate(self.follower_rtts):
                half = law.sample(count, rng=rng) / 2.0
                there[own, (who + k + 1) % n], back[own, (who + k + 1) % n] = late + written + half, half
            return there, back

        begins = self.apart.sample((size, self.proposers), rng=rng)
        begins[:, 0] = 0.0
        return duels(
            begins,
            n,
            send,
            lambda lanes, who, tries: np.asarray(self.backoff.sample(len(lanes), rng=rng)),
            own_needed=self.leader_write != "counted",
        )

    def timeline(self, seed: int = 0) -> Timeline:
        """Decisions one after another, at half time by rivals: each ballot may end the other's."""
        alone, duel = self.replace(proposers=1)._duels(200, seed, BATCHES), self._duels(200, seed, BATCHES)
        taken = np.concatenate([alone.decided, duel.decided])
        says = (
            f"{self.proposers} proposers at once: a decision takes {1e3 * duel.decided.mean():.0f} ms instead of "
            f"{1e3 * alone.decided.mean():.0f}, and {duel.ballots.mean():.1f} ballots"
        )
        times = np.arange(len(taken), dtype=float)
        return Timeline(says, times, {"until a value is chosen": taken}, "s", ((200.0, "rivals propose too"),))
