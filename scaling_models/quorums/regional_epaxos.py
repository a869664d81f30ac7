"""EPaxos over cloud regions: how often commands conflict, and what a client anywhere waits for."""

from __future__ import annotations

import functools
from typing import ClassVar, Self

import numpy as np

from scaling_models import data
from scaling_models.answers import EXACT, Accuracy, Assumption, Model, NoClosedForm, Simulation, Timeline, answer
from scaling_models.latency import LATENCY, Distribution
from scaling_models.montecarlo.arrays import Array
from scaling_models.montecarlo.estimates import SimulatedLatency, proportion
from scaling_models.montecarlo.kernels.conflicts import poisson_starts, replies_differ
from scaling_models.montecarlo.progress import progress
from scaling_models.montecarlo.streams import checked_requests, stream
from scaling_models.parameters import Real, Rows, Slider, parameter
from scaling_models.quorums.epaxos import EPaxos
from scaling_models.quorums.formulas.conflicts import discord_window, meeting_probability
from scaling_models.quorums.formulas.sizes import epaxos_size
from scaling_models.quorums.led import BATCHES, KEPT
from scaling_models.quorums.regional_raft import REGIONS
from scaling_models.quorums.regions import round_trip

JITTER = "delays vary"
VARYING = 0.3  # the jitter of that violation
LIMIT = 0.5  # of the jitter: beyond it conflicts at the mean delays say too little
JITTERED = Accuracy("within 15%", 0.10, "at most half of each delay varies: conflicts are counted at the mean delays")
LONG = 40.0  # mean delays: of what began before the oldest of them all have heard


class RegionalEPaxos(Model):
    """`EPaxos` with its replicas in cloud regions, each of which sends conflicting commands as a Poisson process.

    P(slow path) = 1 - exp(-sum_D rate |window_D|), see `formulas.conflicts.discord_window`: exact for one pending
    command and constant delays, half of the mean round trips of data/aws_rtt_ms_10_regions.csv. A share `jitter` of
    each varies exponentially; with none chosen only means are known, and percentiles are refused.
    """

    leader: str = parameter(default="us-east-1", domain=REGIONS, about="where the command leader is: by the client")
    others: tuple[str, ...] = parameter(
        default=("us-east-2", "us-west-2", "eu-west-1", "ap-northeast-1"),
        domain=Rows(REGIONS, least=0, most=8),
        about="where the other replicas are; with the leader an odd number",
    )
    conflict_rate: float = parameter(
        default=1.0,
        domain=Real(open_low=False),
        unit="1/s",
        symbol="λ",
        about="conflicting commands that each other replica starts",
        slider=Slider(0.0, 50.0, 0.5),
    )
    fsync: Distribution = parameter(
        default=0.002, domain=LATENCY, unit="s", symbol="D", about="the leader's own disk write"
    )
    jitter: float = parameter(
        default=0.0,
        domain=Real(0.0, 1.0, open_low=False, open_high=False),
        symbol="j",
        about="share of each delay that varies; none chosen yet: means only",
        slider=Slider(0.0, 0.5, 0.01),
    )

    headline: ClassVar[str] = "commit_latency"
    verified_with: ClassVar[int] = 300_000
    violations: ClassVar[tuple[str, ...]] = (JITTER,)
    _assumptions: ClassVar[tuple[Assumption, ...]] = (
        Assumption("the pending command is the only one of its leader", "optimistic: its own others conflict too"),
        Assumption("every command is sent to all replicas", "optimistic where only a fast quorum is asked"),
        Assumption("committed is done", "optimistic for reads: execution waits for the dependencies' commits"),
        Assumption("round trips as they were measured once, on average", "optimistic at a busy hour"),
    )

    @classmethod
    def example(cls) -> Self:
        """With a jitter."""
        return cls(conflict_rate=5.0, jitter=0.10)

    def _check(self) -> None:
        if self.leader in self.others or len(set(self.others)) < len(self.others):
            raise ValueError(
                f"RegionalEPaxos.others must be regions that differ from each other and from the leader's, "
                f"{self.leader!r}; got {self.others!r}"
            )
        epaxos_size(len(self.others) + 1)

    @functools.cached_property
    def _delays(self) -> Array:
        """One way between all replicas, the leader first; seconds."""
        names = [self.leader, *self.others]
        found = data.round_trips("aws").loc[names, names].to_numpy(dtype=float) / 2.0
        np.fill_diagonal(found, 0.0)
        return np.asarray(found)

    @property
    def _asked(self) -> int:
        return epaxos_size(len(self.others) + 1) - 1

    @functools.cached_property
    def fast_quorum(self) -> tuple[str, ...]:
        """The nearest followers, whose replies are the first where delays are constant."""
        return tuple(self.others[i] for i in np.argsort(self._delays[0, 1:], kind="stable")[: self._asked])

    @answer("", "probability that the replies of the fast quorum differ, so that a second round is needed")
    def conflict_probability(self) -> float:
        """1 - exp(-sum of rate times window)."""
        if self.jitter > 0 and self._asked > 1:
            raise NoClosedForm("RegionalEPaxos: how often replies differ where delays vary is not known: simulate it")
        return self._conflict

    @functools.cached_property
    def _conflict(self) -> float:
        if not self.others:
            return 0.0
        near = [1 + self.others.index(name) for name in self.fast_quorum]
        d = self._delays
        windows = discord_window(d[1:, 0], d[1:][:, near], d[0, near])
        return float(meeting_probability(self.conflict_rate, windows))

    @functools.cached_property
    def epaxos(self) -> EPaxos:
        """The replicas as an `EPaxos`."""
        rtts = tuple(round_trip(2.0 * float(d), self.jitter or None) for d in self._delays[0, 1:])
        return EPaxos(rtts, self.fsync, conflict=self._conflict)

    @answer("s", "time from the command leader's receipt of a command to its commit")
    def commit_latency(self) -> Distribution:
        """As `EPaxos` tells it, with conflicts as at the mean delays."""
        if self.jitter > LIMIT:
            raise NoClosedForm("RegionalEPaxos: conflicts where over half of a delay varies are not known: simulate it")
        return self.epaxos.commit_latency

    def _accuracy(self, metric: str, level: float | None = None) -> Accuracy:
        return JITTERED if self.jitter > 0 and metric == "commit_latency" else EXACT

    def simulate(self, requests: int = 200_000, seed: int = 0, *, violating: str | None = None) -> Simulation:
        """Conflicting commands and all messages drawn; who has heard of what when asked decides on the second round.

        `violating` "delays vary" lets 30% of each delay vary exponentially.
        """
        jitter = VARYING if self.known_violation(violating) else self.jitter
        checked_requests(self, requests, most=KEPT // (10 * (1 + len(self.others))))
        size = -(-requests // BATCHES)
        played = [self._play(size, jitter, stream(seed, 1, i)) for i in progress(range(BATCHES), "commands")]
        times, slow = (np.stack(each) for each in zip(*played, strict=True))
        return Simulation(
            self,
            requests,
            seed,
            conflict_probability=proportion(slow.mean(axis=1), slow.size),
            commit_latency=SimulatedLatency(times),
        )

    def _play(self, size: int, jitter: float, rng: np.random.Generator) -> tuple[Array, Array]:
        """Commit times, and whether each took the slow path."""
        mean, n = self._delays, len(self.others) + 1

        def varied(delays: Array) -> Array:
            return np.asarray(delays * (1.0 - jitter + jitter * rng.standard_exponential(delays.shape)))

        fsync = self.fsync.sample(size, rng=rng)
        if n == 1:
            return fsync, np.zeros(size)
        own = varied(np.broadcast_to(mean[0], (size, n)))
        order = np.argsort(own[:, 1:], axis=1)
        asked = np.zeros((size, n), dtype=bool)
        np.put_along_axis(asked, order[:, : self._asked] + 1, True, axis=1)
        first = np.maximum(fsync, 2.0 * np.take_along_axis(own[:, 1:], order, axis=1)[:, self._asked - 1])
        rates = np.full(n - 1, self.conflict_rate)
        reach = float(mean.max()) * (1.0 + LONG * jitter)
        starts, who = poisson_starts(rates, reach, reach, size, rng)
        slow = replies_differ(starts, varied(mean[who + 1]), own, asked)
        again = np.sort(2.0 * varied(np.broadcast_to(mean[0, 1:], (size, n - 1))), axis=1)[:, n // 2 - 1]
        second = np.maximum(self.fsync.sample(size, rng=rng), again)
        return first + np.where(slow, second, 0.0), slow.astype(float)

    def timeline(self, seed: int = 0) -> Timeline:
        """As `EPaxos` tells it: replicas fail, nearest first."""
        return self.epaxos.replace(follower_rtts=tuple(2.0 * float(d) for d in self._delays[0, 1:])).timeline(seed)
