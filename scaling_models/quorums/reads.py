"""Reads of a consensus group: six ways, what each costs the leader, and what each may return."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from scaling_models.answers import Assumption, Simulation, Timeline, answer
from scaling_models.latency import Deterministic, Distribution, Exponential, k_of_n, mixture
from scaling_models.montecarlo.estimates import Estimate, SimulatedLatency, from_batches, proportion
from scaling_models.montecarlo.kernels.reads import Reading, inverse, isolated
from scaling_models.montecarlo.streams import checked_requests, stream
from scaling_models.quorums.formulas import batches, reads
from scaling_models.quorums.group_reads import FOLLOWER, INDEX, LEASE, LOG, QUORUM, STALE, WAYS, GroupReads
from scaling_models.quorums.led import both_rounds

if TYPE_CHECKING:
    import pandas as pd

BURSTS, SLOW = "reads in bursts", "replies slow together"
BATCHES = 64
KEPT = 100_000_000  # replies of a simulation, with those that only let it settle
CORRELATED, BURST = 0.7, 0.8


class ReadLatency(GroupReads):
    """A read of a consensus group, asked from the leader's place (from the first follower's, where a follower answers).

    X_i are the round trips to the followers, m = floor(n/2), Q = m-th smallest X. log: a commit, the leader's write D
    needed: max(D, m-th smallest X_i + D_i). ReadIndex: a round Q to a majority, one at a time, shared by all that wait
    (etcd): `shared_round`; or each its own. lease: no round. follower: X_1, the same round, and the follower's lag.
    quorum: Q, and with probability `pending` another. bounded staleness: no round. Exact for independent times and
    Poisson reads. Ongaro, Consensus: Bridging Theory and Practice (2014), section 6.4, tells the first three; Charapko
    and others, Linearizable Quorum Reads in Paxos, HotStorage 2019, the fifth.
    """

    violations: ClassVar[tuple[str, ...]] = (BURSTS, SLOW)
    _assumptions: ClassVar[tuple[Assumption, ...]] = (
        Assumption("Poisson reads", "pessimistic if they come in bursts, which find no round under way as often"),
        Assumption("round trips independent of each other", "optimistic if a slow network card or a pause delays all"),
        Assumption("the leader's processor is idle", "optimistic under load: see LeaderLoad"),
        Assumption("a stable leader", "optimistic around elections: only stale reads go on"),
    )

    @classmethod
    def example(cls) -> Self:
        """Unequal exponential round trips and disks, and reads that share rounds."""
        rtts = tuple(Exponential(mean) for mean in (0.004, 0.004, 0.006, 0.010))
        return cls(INDEX, rtts, Exponential(0.002), 300.0, answering=Exponential(0.001), apply_lag=Exponential(0.003))

    @functools.cached_property
    def _round(self) -> Distribution:
        """Q, until a majority has answered."""
        if not self.acknowledgements:
            return Deterministic(0.0)
        return k_of_n(self.acknowledgements, self.follower_rtts)

    @functools.cached_property
    def _shared(self) -> bool:
        confirms = self.way in (INDEX, FOLLOWER) and self.rounds == "shared"
        return confirms and self.read_rate > 0.0 and self._round.mean() > 0.0

    @functools.cached_property
    def _confirmed(self) -> Distribution:
        """From a read's coming to the leader until that is confirmed."""
        return batches.shared_round(self.read_rate, self._round) if self._shared else self._round

    @property
    def _committed(self) -> Distribution:
        if not self.acknowledgements:
            return self.fsync
        written = k_of_n(self.acknowledgements, [rtt + self.fsync for rtt in self.follower_rtts])
        return k_of_n(2, (self.fsync, written))

    @property
    def _relayed(self) -> Distribution:
        trip = self.follower_rtts[0] + self._confirmed if self.follower_rtts else self._confirmed
        return trip + self.apply_lag

    @property
    def _asked_twice(self) -> Distribution:
        once, p = self._round, self.pending
        return mixture((1.0 - p, p), (once, both_rounds(once, once))) if p else once

    @answer("s", "time from a read's coming to the answer")
    def latency(self) -> Distribution:
        """What the way waits for, and the answering."""
        waits: dict[str, Callable[[], Distribution]] = {
            LOG: lambda: self._committed,
            INDEX: lambda: self._confirmed,
            FOLLOWER: lambda: self._relayed,
            QUORUM: lambda: self._asked_twice,
        }
        start, end = self.answering.support
        after = start if start == end else self.answering  # a shift is no sum to be integrated
        return waits[self.way]() + after if self.way in waits else self.answering

    @answer("messages", "messages that the leader receives and sends a read, the client's among them")
    def leader_messages(self) -> float:
        """log: 2n; ReadIndex and follower: 2 + 2(n-1)/(reads a round); lease: 2; quorum: 2(1 + p); stale: none."""
        counts = {LOG: 2.0 * self.replicas, LEASE: 2.0, QUORUM: 2.0 * (1.0 + self.pending), STALE: 0.0}
        if self.way in counts:
            return counts[self.way]
        return float(reads.confirmed_messages(self.replicas, self.round_size))

    @answer("reads", "reads that share a round to the followers")
    def round_size(self) -> float:
        """lambda E Q + E e^(-lambda Q); one where each read has its own."""
        return batches.round_size(self.read_rate, self._round) if self._shared else 1.0

    @answer("s", "how old what is read may be; none for linearizable reads")
    def staleness(self) -> float:
        """The lag of the closed timestamp where reads are stale."""
        return self.closed_lag if self.way == STALE else 0.0

    @answer("s", "how long after sending heartbeats the leader may answer by its lease")
    def lease_time(self) -> float:
        """lease / drift."""
        return float(reads.lease_left(0.0, self.lease, self.clock_drift, 0.0))

    @answer("s", "mean time after a crash of the leader in which its lease forbids another")
    def lease_cost(self) -> float:
        """E (lease - U(0, H))+: none where nobody reads by leases."""
        return float(reads.lease_idle(self.lease, self.heartbeat)) if self.way == LEASE else 0.0

    def _reading(self, violating: str | None) -> Reading:
        return Reading(
            self.way,
            self.follower_rtts,
            self.acknowledgements,
            self.fsync,
            self.answering,
            self.apply_lag,
            self.pending,
            self.read_rate if self._shared else 0.0,
            CORRELATED if violating == SLOW else 0.0,
            BURST if violating == BURSTS else 0.0,
        )

    def simulate(self, requests: int = 200_000, seed: int = 0, *, violating: str | None = None) -> Simulation:
        """Every message of every read drawn, and the rounds that reads share begun one after the other.

        `violating` "reads in bursts" lets four of five reads come together with the one before, "replies slow together"
        correlates the normal scores of a round's replies by 0.7.
        """
        reading = self._reading(self.known_violation(violating))
        size = -(-checked_requests(self, requests, BATCHES) // BATCHES)
        if self._shared and math.isinf(self._round.mean()):
            raise ValueError("ReadLatency.simulate: rounds to the followers have no mean: it has no steady state")
        settling = reading.settling(self._round.mean())
        if BATCHES * (size + settling) * self.replicas > KEPT:
            raise ValueError(
                f"ReadLatency.simulate: {BATCHES * (size + settling):,} reads would have to be played, "
                f"{settling:,} in each of {BATCHES} runs before they count; at most {KEPT // self.replicas:,}"
            )
        found = reading.play(size, settling, stream(seed, 1), BATCHES)
        opened = proportion(found.opened, BATCHES * size)
        began = self.heartbeat * stream(seed, 2).random((BATCHES, size))
        idle = np.maximum(self.lease - began, 0.0).mean(axis=1) if self.way == LEASE else np.zeros(BATCHES)
        return Simulation(
            self,
            requests,
            seed,
            latency=SimulatedLatency(found.latency),
            leader_messages=self._messages(opened, from_batches(found.twice)),
            lease_cost=from_batches(idle),
            **self._sizes(opened),
        )

    def _sizes(self, opened: Estimate) -> dict[str, Estimate]:
        """Reads a round; where no read that counts opened one, that was not seen."""
        if not self._shared:
            return {"round_size": from_batches(np.ones(BATCHES))}
        return {"round_size": inverse(opened)} if opened.value else {}

    def _messages(self, opened: Estimate, twice: Estimate) -> Estimate:
        """At the leader a read: the client's two, and two a follower of each round that was opened."""
        fixed, share, scale = {
            LOG: (2.0 * self.replicas, opened, 0.0),
            INDEX: (2.0, opened, 2.0 * (self.replicas - 1)),
            FOLLOWER: (2.0, opened, 2.0 * (self.replicas - 1)),
            LEASE: (2.0, opened, 0.0),
            QUORUM: (2.0, twice, 2.0),
            STALE: (0.0, opened, 0.0),
        }[self.way]
        return Estimate(fixed + scale * share.value, scale * share.error, share.freedom)

    def timeline(self, seed: int = 0) -> Timeline:
        """The leader is cut off from its followers: which reads it still answers, until the next leader is there."""
        trip = self._round.mean() if math.isfinite(self._round.mean()) else 0.0
        cut, over = 2.0, 2.0 + max(2.0 * self.lease, 20.0 * trip, 1.0)
        until = over + 2.0
        rate = min(max(self.read_rate, 1.0), 2000.0)
        times = np.linspace(0.0, until, 101)[1:]
        ends = {
            "ReadIndex, log": (cut, over),
            "lease": (cut + self.lease_time, over),
            "bounded staleness": (over, over),
        }
        came = isolated(rate, until, stream(seed, 3))
        lines = {
            name: np.histogram(came[(came < stops) | (came >= resumes)], np.append(0.0, times))[0] / times[0]
            for name, (stops, resumes) in ends.items()
        }
        return Timeline(
            "Cut off, a leader confirms nothing any more; by its lease it answers on, and only stale reads never stop",
            times,
            lines,
            "reads/s",
            ((cut, "leader cut off"), (cut + self.lease_time, "its lease ends"), (over, "the next leader leads")),
        )


def reads_compared(model: ReadLatency, level: float = 0.99) -> pd.DataFrame:
    """All ways of reading at the parameters of `model`: one row a way.

    Columns: mean and quantile (`p99`, or as `level` says) of the latency (s), messages at the leader a read, the age of
    what is read (s), and what it can return, in a sentence.
    """
    import pandas as pd

    each = [model.replace(way=way) for way in WAYS]
    return pd.DataFrame(
        [
            {
                "way": one.way,
                "mean": one.latency.mean(),
                f"p{100.0 * level:g}": float(one.latency.icdf(level)),
                "leader_messages": one.leader_messages,
                "staleness": one.staleness,
                "returns": one.returns,
            }
            for one in each
        ]
    ).set_index("way")
