"""EPaxos over cloud regions: how often commands conflict, when they are executed, what a client anywhere waits for."""

from __future__ import annotations

import functools
from typing import ClassVar, Self

import numpy as np

from scaling_models import data
from scaling_models.answers import EXACT, Accuracy, Assumption, Model, NoClosedForm, Simulation, Timeline, answer
from scaling_models.domains import Real, Rows
from scaling_models.latency import LATENCY, Distribution, MeanOnly, slowest
from scaling_models.montecarlo.arrays import Array
from scaling_models.montecarlo.estimates import SimulatedLatency, proportion
from scaling_models.montecarlo.kernels.dependencies import drawn_commands, executed, play, poisson_streams
from scaling_models.montecarlo.progress import progress
from scaling_models.montecarlo.streams import checked_requests, stream
from scaling_models.parameters import Slider, parameter
from scaling_models.quorums.epaxos import EPaxos
from scaling_models.quorums.formulas.conflicts import discord_window, meeting_probability, nearest_quorums
from scaling_models.quorums.formulas.dependencies import Execution
from scaling_models.quorums.formulas.sizes import epaxos_size
from scaling_models.quorums.formulas.varying_conflicts import varying_conflict
from scaling_models.quorums.led import KEPT
from scaling_models.quorums.regional_raft import REGIONS
from scaling_models.quorums.regions import CONSTANT, mean_round_trip, round_trip
from scaling_models.wording import short

JITTER = "delays vary"
VARYING = 0.3  # the jitter of that violation
VARIED = Accuracy("within 3%", 0.02, "delays of the command itself by 512 points, of others exactly")
MEAN = Accuracy("within 3%", 0.02, "means: a slow first round and a conflict are taken to be independent")
JITTERED = Accuracy("within 15%", 0.07, "percentiles: a slow first round and a conflict are taken to be independent")
NEAR = Accuracy("within 3%", 0.025, "at most 0.3 commands start within the reach of one")
FAR = Accuracy("within 15%", 0.08, "at most one command starts within the reach of one")
CLOSE, CROWDED = 0.3, 1.0
SETTLING = 10.0  # longest delays: what began before them is committed
CHAIN = 20.0  # longest delays: a chain of dependencies that is longer is not told from an endless one
LANES, CHUNKS = 32, 8  # independent streams of commands, played so many chunks after each other


class RegionalEPaxos(Model):
    """`EPaxos` with its replicas in cloud regions, each of which sends conflicting commands as a Poisson process.

    P(slow path) = 1 - exp(-sum_D rate |window_D|), see `formulas.conflicts.discord_window`: exact for constant delays,
    half of the mean round trips of data/aws_rtt_ms_10_regions.csv. A share `jitter` of each varies exponentially; with
    none chosen only means are known, and percentiles are refused. A command is executed once all that it depends on is
    known to be committed: `formulas.dependencies.Execution` waits for its direct dependencies, and is refused where
    chains of them are long (Tollman, Park, Ousterhout, EPaxos Revisited, NSDI 2021).
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
        about="conflicting commands that each replica starts",
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
    client: str = parameter(default="us-east-1", domain=REGIONS, about="where the client is, if not by that leader")

    headline: ClassVar[str] = "commit_latency"
    verified_with: ClassVar[int] = 150_000
    violations: ClassVar[tuple[str, ...]] = (JITTER,)
    _assumptions: ClassVar[tuple[Assumption, ...]] = (
        Assumption("all conflicting commands conflict with each other", "pessimistic where they touch several keys"),
        Assumption("every command is sent to all replicas", "optimistic where only a fast quorum is asked"),
        Assumption("executing takes no time", "optimistic for long computations"),
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
                f"{self.leader!r}; got {short(self.others)}"
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
        """The nearest followers, whose replies come first where delays are constant; of equal ones the first named."""
        return tuple(self.others[i] for i in np.argsort(self._delays[0, 1:], kind="stable")[: self._asked])

    @answer("", "probability that the replies of the fast quorum differ, so that a second round is needed")
    def conflict_probability(self) -> float:
        """1 - exp(-sum of rate times window), its mean over the command's own delays where they vary, and over those
        who may reply first where some are equally far."""
        return self._conflict

    @functools.cached_property
    def _conflict(self) -> float:
        if not self.others:
            return 0.0
        d = self._delays
        if self.jitter > 0.0:
            return varying_conflict(d, self._asked, self.conflict_rate, self.jitter)
        near = 1 + nearest_quorums(d[0, 1:], self._asked)
        windows = [discord_window(d[1:, 0], d[1:][:, quorum], d[0, quorum]) for quorum in near]
        return float(meeting_probability(self.conflict_rate, windows).mean())

    @functools.cached_property
    def epaxos(self) -> EPaxos:
        """The replicas as an `EPaxos`."""
        rtts = tuple(round_trip(2.0 * float(d), self.jitter or None) for d in self._delays[0, 1:])
        return EPaxos(rtts, self.fsync, conflict=self._conflict)

    @functools.cached_property
    def _execution(self) -> Execution:
        trips, n = np.sort(2.0 * self._delays, axis=1), len(self.others) + 1
        fast, slow = (
            np.array([self._written_after(float(trip)) for trip in trips[:, k]]) for k in (self._asked, n // 2)
        )
        return Execution(self._delays, fast, slow, self._asked, self.conflict_rate)

    def _written_after(self, trip: float) -> float:
        """The mean of the later of a round trip and the leader's write."""
        return trip if self.fsync.support[1] <= trip else slowest(self.fsync, trip).mean()

    @answer("s", "time from the command leader's receipt of a command to its commit")
    def commit_latency(self) -> Distribution:
        """As `EPaxos` tells it: as if who meets a conflict were as fast as others."""
        return self.epaxos.commit_latency

    @answer("s", "time from the command leader's receipt of a command until it and all it depends on can be executed")
    def execution_latency(self) -> Distribution:
        """Its direct dependencies known to be committed: see `formulas.dependencies.Execution`."""
        if not self.others or self.conflict_rate == 0.0:
            return self.commit_latency
        if self.jitter > 0.0 or self.fsync.support[0] < self.fsync.support[1]:
            raise NoClosedForm("RegionalEPaxos: when commands execute where times vary is not known: simulate it")
        if self._execution.crowding > CROWDED:
            raise NoClosedForm("RegionalEPaxos: how long commands wait for chains of others is not known: simulate it")
        return MeanOnly(self._execution.mean)

    @property
    def _journey(self) -> Distribution | None:
        """The client's round trip to the command leader."""
        if self.client == self.leader:
            return None
        return round_trip(mean_round_trip(data.round_trips("aws"), self.client, self.leader), self.jitter or None)

    @answer("s", "time from the client's request until it hears of the commit")
    def write_latency(self) -> Distribution:
        """The client's round trip plus an independent commit."""
        return self.commit_latency if self._journey is None else self._journey + self.commit_latency

    @answer("s", "time from the client's request until it has the command's result")
    def result_latency(self) -> Distribution:
        """The client's round trip plus an independent execution."""
        return self.execution_latency if self._journey is None else self._journey + self.execution_latency

    def led_nearest(self) -> Self:
        """The same replicas, led by the one that is nearest to the client."""
        names = (self.leader, *self.others)
        trips = data.round_trips("aws")
        away = {name: 0.0 if name == self.client else mean_round_trip(trips, self.client, name) for name in names}
        nearest = min(names, key=lambda name: away[name])
        return self.replace(leader=nearest, others=tuple(name for name in names if name != nearest))

    def assumptions(self, metric: str | None = None) -> tuple[Assumption, ...]:
        """Without a jitter also that round trips are constant."""
        return super().assumptions(metric) + (() if self.jitter else (CONSTANT,))

    def _accuracy(self, metric: str, level: float | None = None) -> Accuracy:
        conflicts = self._asked > 1 and self.conflict_rate > 0.0
        if metric in ("execution_latency", "result_latency") and self.others and self.conflict_rate > 0.0:
            return NEAR if self._execution.crowding <= CLOSE else FAR
        if self.jitter == 0.0 or not conflicts:
            return EXACT
        if metric == "conflict_probability":
            return VARIED
        return MEAN if level is None else JITTERED

    def simulate(self, requests: int = 200_000, seed: int = 0, *, violating: str | None = None) -> Simulation:
        """Conflicting commands of all replicas and all their messages drawn; `montecarlo.kernels.dependencies`.

        No execution latency where a chain of dependencies does not end within twenty times the longest delay.
        `violating` "delays vary" lets 30% of each delay vary exponentially.
        """
        jitter = VARYING if self.known_violation(violating) else self.jitter
        checked_requests(self, requests, most=KEPT // (10 * (1 + len(self.others)) ** 2))
        size = -(-requests // LANES)
        chunks = [self._play(size, jitter, stream(seed, 1, i)) for i in progress(range(CHUNKS), "commands")]
        slow, commit, execution = (np.concatenate(each) for each in zip(*chunks, strict=True))
        legs = self._journey
        away = 0.0 if legs is None else np.asarray(legs.sample(commit.shape, rng=stream(seed, 4)))
        found = {"execution_latency": execution, "result_latency": away + execution}
        return Simulation(
            self,
            requests,
            seed,
            conflict_probability=proportion(slow.mean(axis=1), slow.size),
            commit_latency=SimulatedLatency(commit),
            write_latency=SimulatedLatency(away + commit),
            **{name: SimulatedLatency(times) for name, times in found.items() if np.isfinite(execution).all()},
        )

    def _play(self, size: int, jitter: float, rng: np.random.Generator) -> tuple[Array, Array, Array]:
        """Whether commands took the slow path, their commits and executions (batches, commands); inf if never."""
        lanes, n = LANES // CHUNKS, len(self.others) + 1
        rates = np.full(n, self.conflict_rate)
        rates[0] = self.conflict_rate or 1.0  # alone, it is never in its own way
        far = float(self._delays.max())
        streams = poisson_streams(rates, size, lanes, SETTLING * far, CHAIN * far, rng)
        sent = [
            drawn_commands(leader, starts, self._delays[leader], self._asked, jitter, self.fsync, rng)
            for leader, starts in enumerate(streams.starts)
        ]
        played = play(sent)
        done = np.where(streams.run_on(played[0].closure), np.inf, executed(played, sent) - sent[0].starts)
        each = (played[0].slow.astype(float), played[0].committed - sent[0].starts, done)
        slow, commit, execution = (found[streams.counted].reshape(lanes, size) for found in each)
        return slow, commit, execution

    def timeline(self, seed: int = 0) -> Timeline:
        """As `EPaxos` tells it: replicas fail, nearest first."""
        return self.epaxos.replace(follower_rtts=tuple(2.0 * float(d) for d in self._delays[0, 1:])).timeline(seed)
