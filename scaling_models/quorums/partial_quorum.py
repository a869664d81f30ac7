"""Leaderless replication with partial quorums: what reads and writes cost, and how stale a read may be."""

from __future__ import annotations

import functools
from typing import ClassVar

import numpy as np

from scaling_models.answers import Accuracy, Assumption, Model, Simulation, Timeline, answer
from scaling_models.domains import Integer, Real, Rows
from scaling_models.latency import Deterministic, Distribution
from scaling_models.montecarlo.estimates import SimulatedLatency, proportion
from scaling_models.montecarlo.kernels.partial_quorums import goes_back, misses, play
from scaling_models.montecarlo.progress import progress
from scaling_models.montecarlo.streams import checked_requests, stream
from scaling_models.parameters import Slider, parameter
from scaling_models.quorums.formulas.staleness import missed_versions, older_than_before
from scaling_models.quorums.legs import LEGS, Legs, ProductionLegs
from scaling_models.quorums.replica_sets import View, Visibility, nth_reply, views

BATCHES = 64
KEPT = 100_000_000  # messages of a simulation
SLOW = "replicas slow in all they do"
WINDOW, SLOWER = 200, 20.0  # reads that a timeline's share is taken over; how much slower a disk becomes in it


class PartialQuorum(Model):
    """Dynamo-style replication: a write waits for W of N replicas, a read for R, and both go to all N.

    A strict quorum (R + W > N) never misses a completed write. A partial one may: see `visibility`, whose ccdf at an
    age is the chance that a read so long after the write's completion is stale, and `formulas.staleness`. Bailis and
    others, Probabilistically Bounded Staleness for Practical Partial Quorums, VLDB 2012, who simulate it; the integral
    is exact.
    """

    replicas: int = parameter(
        default=3, domain=Integer(1, 100), unit="replicas", symbol="N", about="how many", slider=Slider(1, 10, 1)
    )
    read_quorum: int = parameter(
        default=1, domain=Integer(1, 100), symbol="R", about="responses a read waits for", slider=Slider(1, 10, 1)
    )
    write_quorum: int = parameter(
        default=1,
        domain=Integer(1, 100),
        symbol="W",
        about="acknowledgements a write waits for",
        slider=Slider(1, 10, 1),
    )
    legs: Legs = parameter(default=ProductionLegs(), domain=LEGS, about="how long the messages of a replica take")
    unlike: tuple[Legs, ...] = parameter(
        default=(), domain=Rows(LEGS, least=0, most=10), about="replicas, among the N, with other legs"
    )
    between: float = parameter(
        default=0.0,
        domain=Real(open_low=False),
        unit="s",
        about="one way to any other replica than the nearest, each being in a data centre of its own",
        slider=Slider(0.0, 0.2, 0.005),
    )
    age: float = parameter(
        default=0.0,
        domain=Real(open_low=False),
        unit="s",
        symbol="Δ",
        about="how long after the write's completion the read begins",
        slider=Slider(0.0, 0.1, 0.001),
    )
    versions: int = parameter(
        default=3, domain=Integer(1, 10_000), symbol="k", about="writes that a read may lag", slider=Slider(1, 20, 1)
    )
    writes_per_read: float = parameter(
        default=1.0,
        domain=Real(open_low=False),
        symbol="γ",
        about="writes to a key between two reads of it by one client, on average",
        slider=Slider(0.0, 10.0, 0.5),
    )

    headline: ClassVar[str] = "visibility"
    violations: ClassVar[tuple[str, ...]] = (SLOW,)
    _assumptions: ClassVar[tuple[Assumption, ...]] = (
        Assumption("all messages independent", "errs either way if a slow replica is slow at everything"),
        Assumption("nothing repairs a replica that missed a write", "pessimistic with read repair or hinted handoff"),
        Assumption("one write at a time, no replica down", "optimistic with failures or clocks that disagree"),
        Assumption("versions older than the last stay where W placed them", "pessimistic: they spread with time"),
    )

    def _check(self) -> None:
        super()._check()
        for name, quorum in (("read_quorum", self.read_quorum), ("write_quorum", self.write_quorum)):
            if quorum > self.replicas:
                raise ValueError(
                    f"PartialQuorum.{name} must lie in [1, {self.replicas}], the number of replicas; got {quorum}"
                )
        if len(self.unlike) > self.replicas:
            raise ValueError(f"PartialQuorum.unlike lists at most all {self.replicas} replicas; got {len(self.unlike)}")

    @property
    def strict(self) -> bool:
        """Whether every read quorum meets every write quorum."""
        return self.read_quorum + self.write_quorum > self.replicas

    @property
    def _all_legs(self) -> tuple[Legs, ...]:
        return (*self.unlike, *(self.legs,) * (self.replicas - len(self.unlike)))

    @functools.cached_property
    def _views(self) -> dict[View, float]:
        return views(self._all_legs, self.between)

    @answer("s", "age that a write must have for a read to see it", Accuracy("exact", 0.0, "quadrature to 1e-5"))
    def visibility(self) -> Distribution:
        """Its ccdf at an age is P(stale)."""
        if self.strict:
            return Deterministic(0.0)
        return Visibility(self._all_legs, self.read_quorum, self.write_quorum, self.between)

    @answer("s", "time until a write is acknowledged")
    def write_latency(self) -> Distribution:
        """The W-th smallest W + A."""
        return nth_reply(self._views, self.write_quorum, read=False)

    @answer("s", "time until a read returns")
    def read_latency(self) -> Distribution:
        """The R-th smallest R + S."""
        return nth_reply(self._views, self.read_quorum, read=True)

    @answer("", "probability that a read of the given age misses the write")
    def probability_stale(self) -> float:
        """The visibility's ccdf at the age."""
        return float(self.visibility.ccdf(self.age))

    @answer("", "probability that a read, long after, misses the last k versions")
    def probability_missed(self) -> float:
        """(C(N - W, R) / C(N, R))^k."""
        return float(missed_versions(self.replicas, self.read_quorum, self.write_quorum, self.versions))

    @answer("", "probability that a client's read is older than its read before")
    def probability_backwards(self) -> float:
        """It misses all that came between, and the newest version that either finds is the first's: reads are not
        monotonic. See `older_than_before`.
        """
        quorums = (self.read_quorum, self.write_quorum)
        return float(older_than_before(self.replicas, *quorums, self.writes_per_read))

    def simulate(self, requests: int = 200_000, seed: int = 0, *, violating: str | None = None) -> Simulation:
        """Every message of a write and of a read drawn; for lagging versions the replicas that each one reached.

        `violating` "replicas slow in all they do" makes a replica's four messages slow at the same time.
        """
        broken = self.known_violation(violating) is not None
        checked_requests(self, requests, BATCHES, most=KEPT // (4 * self.replicas))
        size, four = -(-requests // BATCHES), [legs.four for legs in self._all_legs]
        quorums = (self.read_quorum, self.write_quorum)
        runs = [
            play(four, quorums, self.between, size, stream(seed, 1, i), slow_together=broken)
            for i in progress(range(BATCHES), "reads")
        ]
        lagging = [self._lagging(size, stream(seed, 2, i)) for i in range(BATCHES)]
        stale = [float((run.needed > self.age).mean()) for run in runs]
        return Simulation(
            self,
            requests,
            seed,
            visibility=SimulatedLatency(np.stack([run.needed for run in runs])),
            write_latency=SimulatedLatency(np.stack([run.write for run in runs])),
            read_latency=SimulatedLatency(np.stack([run.read for run in runs])),
            probability_stale=proportion(stale, size * BATCHES),
            probability_missed=proportion([missed for missed, _ in lagging], size * BATCHES),
            probability_backwards=proportion([back for _, back in lagging], size * BATCHES),
        )

    def _lagging(self, size: int, rng: np.random.Generator) -> tuple[float, float]:
        """Shares of reads that miss the last k versions, and that go back behind the client's read before."""
        quorums = (self.read_quorum, self.write_quorum)
        between = rng.geometric(1.0 / (1.0 + self.writes_per_read), size) - 1
        missed = misses(self.replicas, quorums, np.full(size, self.versions), rng)
        return float(missed.mean()), float(goes_back(self.replicas, quorums, between, rng).mean())

    def timeline(self, seed: int = 0) -> Timeline:
        """A write each 10 ms, read back at once; at half time the first replica's writes become 20 times slower."""
        count, rng = 4000, stream(seed, 3)
        four = [legs.four for legs in self._all_legs]
        slow = [(four[0][0] * SLOWER, *four[0][1:]), *four[1:]]
        quorums = (self.read_quorum, self.write_quorum)
        halves = [play(each, quorums, self.between, count // 2, rng) for each in (four, slow)]
        stale = np.concatenate([half.needed > self.age for half in halves]).astype(float)
        taken = np.concatenate([half.write for half in halves])
        times = (np.arange(count) * 0.010)[WINDOW:]
        share, wait = (np.convolve(each, np.full(WINDOW, 1.0 / WINDOW), "valid")[1:] for each in (stale, taken))
        before, after = (float((half.needed > self.age).mean()) for half in halves)
        return Timeline(
            f"One replica's disk becomes {SLOWER:.0f} times slower: {100 * before:.0f}% of reads were stale, "
            f"{100 * after:.0f}% are now, and a write takes {1e3 * wait[-1]:.1f} ms instead of {1e3 * wait[0]:.1f}",
            times,
            {"share of stale reads": share},
            "",
            ((count // 2 * 0.010, "one disk slows down"),),
        )
