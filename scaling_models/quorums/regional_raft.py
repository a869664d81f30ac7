"""Raft over cloud regions: the write latency of a client anywhere, from a table of mean round trips."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, ClassVar, Self

from scaling_models import data
from scaling_models.answers import Assumption, Model, Simulation, Timeline, answer
from scaling_models.domains import Choice, Real, Rows
from scaling_models.latency import LATENCY, Deterministic, Distribution
from scaling_models.montecarlo.estimates import SimulatedLatency
from scaling_models.montecarlo.streams import checked_requests, stream
from scaling_models.parameters import Slider, parameter
from scaling_models.quorums.followed import WAYS, WAYS_MEAN
from scaling_models.quorums.led import BATCHES, KEPT, SLOW
from scaling_models.quorums.raft import Raft
from scaling_models.quorums.regions import CONSTANT, mean_round_trip, regional_raft, round_trip
from scaling_models.wording import short

if TYPE_CHECKING:
    import pandas as pd

REGIONS = Choice(
    (
        "us-east-1",
        "us-east-2",
        "us-west-2",
        "sa-east-1",
        "eu-west-1",
        "eu-central-1",
        "ap-south-1",
        "ap-southeast-1",
        "ap-northeast-1",
        "ap-southeast-2",
    )
)


@functools.cache
def _table() -> pd.DataFrame:
    return data.round_trips("aws")


class RegionalRaft(Model):
    """`Raft` with its replicas in cloud regions: the client's round trip to the leader, then the commit there.

    Round trips are the means of data/aws_rtt_ms_10_regions.csv, of which the share `jitter` varies exponentially: then
    exact for independent ones. With no jitter chosen percentiles are refused, and means are as if they were constant.
    """

    leader: str = parameter(default="us-east-1", domain=REGIONS, about="where the leader is")
    followers: tuple[str, ...] = parameter(
        default=("us-east-2", "us-west-2", "eu-west-1", "ap-northeast-1"),
        domain=Rows(REGIONS, least=0, most=9),
        about="where the followers are",
    )
    client: str = parameter(default="us-east-1", domain=REGIONS, about="where the client is")
    fsync: Distribution = parameter(
        default=0.002, domain=LATENCY, unit="s", symbol="D", about="the leader's own disk write"
    )
    leader_write: str = parameter(
        default="required",
        domain=WAYS,
        about=WAYS_MEAN,
    )
    jitter: float = parameter(
        default=0.0,
        domain=Real(0.0, 1.0, open_low=False, open_high=False),
        symbol="j",
        about="share of each round trip that varies; none chosen yet: means only",
        slider=Slider(0.0, 0.5, 0.01),
    )

    headline: ClassVar[str] = "write_latency"
    violations: ClassVar[tuple[str, ...]] = (SLOW,)
    _assumptions: ClassVar[tuple[Assumption, ...]] = (
        *Raft._assumptions,
        Assumption("round trips as they were measured once, on average", "optimistic at a busy hour"),
    )

    @classmethod
    def example(cls) -> Self:
        """With a jitter, and the client far from the leader."""
        return cls(client="eu-central-1", jitter=0.10)

    def _check(self) -> None:
        if self.leader in self.followers or len(set(self.followers)) < len(self.followers):
            raise ValueError(
                f"RegionalRaft.followers must be regions that differ from each other and from the leader's, "
                f"{self.leader!r}; got {short(self.followers)}"
            )

    @functools.cached_property
    def raft(self) -> Raft:
        """The replicas as a `Raft`."""
        jitter = self.jitter or None
        placed = regional_raft(_table(), self.leader, (self.leader, *self.followers), jitter=jitter)
        return placed.replace(fsync=self.fsync, leader_write=self.leader_write)

    @property
    def journey(self) -> Distribution:
        """The client's round trip to the leader; nothing where it is there."""
        if self.client == self.leader:
            return Deterministic(0.0)
        return round_trip(mean_round_trip(_table(), self.client, self.leader), self.jitter or None)

    @answer("s", "time from the leader's receipt of a command to its commit")
    def commit_latency(self) -> Distribution:
        """As `Raft` tells it."""
        return self.raft.commit_latency

    @answer("s", "time from the client's request to its answer: to the leader and back, and the commit there")
    def write_latency(self) -> Distribution:
        """The client's round trip plus an independent commit."""
        commit = self.commit_latency
        return commit if self.client == self.leader else self.journey + commit

    @answer("", "how often each replica's write is the one that completes the quorum: the leader, then the followers")
    def completes(self) -> tuple[float, ...]:
        """As `Raft` tells it."""
        return self.raft.completes

    def assumptions(self, metric: str | None = None) -> tuple[Assumption, ...]:
        """Without a jitter also that round trips are constant."""
        return super().assumptions(metric) + (() if self.jitter else (CONSTANT,))

    def simulate(self, requests: int = 200_000, seed: int = 0, *, violating: str | None = None) -> Simulation:
        """The commits of `Raft.simulate`, and a round trip drawn for each; `violating` as there."""
        checked_requests(self, requests, most=KEPT // self.raft.replicas)
        commits = self.raft.simulate(requests, seed, violating=self.known_violation(violating))
        times = commits.commit_latency.batches
        journeys = self.journey.sample(times.shape, rng=stream(seed, 4, BATCHES))
        return Simulation(
            self,
            requests,
            seed,
            commit_latency=commits.commit_latency,
            write_latency=SimulatedLatency(times + journeys),
            completes=commits.completes,
        )

    def timeline(self, seed: int = 0) -> Timeline:
        """As `Raft` tells it: followers fail, nearest first."""
        return self.raft.timeline(seed)
