"""A leader that takes commands in batches: gathered by number and time, or whatever waits when its disk is free."""

from __future__ import annotations

import functools
import math
from typing import ClassVar, Self

import numpy as np

from scaling_models.answers import EXACT, Accuracy, Assumption, Model, NoClosedForm, Simulation, Timeline, answer
from scaling_models.domains import Choice, Integer, Real
from scaling_models.latency import LATENCY, Deterministic, Distribution, LogNormal, Never, k_of_n
from scaling_models.montecarlo.arrays import Array
from scaling_models.montecarlo.estimates import SimulatedLatency, ratio
from scaling_models.montecarlo.kernels.batches import Played, batched
from scaling_models.montecarlo.kernels.reads import poisson
from scaling_models.montecarlo.streams import checked_requests, stream
from scaling_models.parameters import Slider, parameter
from scaling_models.quorums.batch_latency import batch_latency
from scaling_models.quorums.batched import BatchTime, GatherWait, GroupResponse, GroupWait
from scaling_models.quorums.formulas import gathering, group_commits

GATHERED, FREE = "full or late", "when the disk is free"
BURSTS = "commands in bursts"
BUSIEST = 0.95  # load
LANES = 64
SETTLING = 30.0  # batches, over the square of what the load leaves
MOST_SETTLING = 2_000_000  # commands a lane
RUN = 1000  # commands of each part of the timeline
TOGETHER = 0.5  # share of the commands that come with the one before, where they come in bursts
REGION = "load up to 0.95"
CLOSE = Accuracy("within 3%", 0.03, f"{REGION}; the mean")
ROUGH = Accuracy("within 15%", 0.1, f"{REGION}; percentiles: worst for few commands a batch and short rounds, else 1%")


class BatchingLeader(Model):
    """One leader that works f + c n on a batch of n commands, one batch at a time, then asks a majority.

    "full or late": a batch leaves with its B-th command, or w after its first (`gather_ccdf`), and queues with the
    others: GI/G/1 of batches (`batch_responses`), with gaps of min(w, Erlang(B - 1)) and a wait for the first.
    "when the disk is free", group commit: all that wait are taken at once; a Markov chain of sizes
    (`group_commits.groups`). Latency = wait for the batch to leave + wait and work of the batch + the m-th of n - 1
    followers, m = floor(n / 2). Batches are pipelined: the next does not wait for the round.
    """

    verified_with: ClassVar[int] = 1_000_000
    violations: ClassVar[tuple[str, ...]] = (BURSTS,)
    _assumptions: ClassVar[tuple[Assumption, ...]] = (
        Assumption("Poisson commands", "bursts fill batches sooner, and make them queue"),
        Assumption("one batch at a time at the leader", "pessimistic where processor, disk and card work side by side"),
        Assumption("constant work on a batch and on each of its commands", "optimistic where they differ"),
        Assumption("as many batches as like are under way", "optimistic where a window of the pipeline is full"),
        Assumption(
            "round trips independent of each other and of the batch", "optimistic if large batches travel longer"
        ),
    )

    arrival_rate: float = parameter(
        default=10_000.0,
        domain=Real(),
        unit="commands/s",
        symbol="λ",
        about="commands a second",
        slider=Slider(100.0, 100_000.0, 0.02, log=True),
    )
    closing: str = parameter(
        default=GATHERED,
        domain=Choice((GATHERED, FREE)),
        about="when a batch leaves: full or late, or as soon as the one before is done (group commit)",
    )
    batch_size: int = parameter(
        default=20,
        domain=Integer(1, 10**6),
        unit="commands",
        symbol="B",
        about="most commands of a batch",
        slider=Slider(1, 1000, 1),
    )
    window: float = parameter(
        default=0.002,
        domain=Real(high=math.inf, open_low=False, open_high=False),
        unit="s",
        symbol="w",
        about="how long the first command of a batch waits at most for it to fill",
        slider=Slider(1e-5, 0.1, 0.1, log=True),
    )
    batch_work: float = parameter(
        default=0.001,
        domain=Real(),
        unit="s",
        symbol="f",
        about="the leader's time on a batch itself: a disk write, and the messages",
        slider=Slider(1e-5, 0.1, 0.1, log=True),
    )
    command_work: float = parameter(
        default=20e-6,
        domain=Real(open_low=False),
        unit="s",
        symbol="c",
        about="the leader's time on each command of a batch",
        slider=Slider(0.0, 200e-6, 5e-6),
    )
    members: int = parameter(
        default=5, domain=Integer(1, 31), symbol="n", about="members of the group", slider=Slider(1, 9, 1)
    )
    round_trip: Distribution = parameter(
        default=LogNormal(0.002, 0.25),
        domain=LATENCY,
        unit="s",
        symbol="X",
        about="to a follower and back with a batch, its own work and disk included",
    )

    @property
    def _gathers(self) -> bool:
        return self.closing == GATHERED

    @property
    def _most(self) -> int:
        """Of a batch: one where nobody is waited for."""
        return self.batch_size if self.window > 0.0 else 1

    @functools.cached_property
    def _round(self) -> Distribution:
        needed = self.members // 2
        return k_of_n(needed, [self.round_trip] * (self.members - 1)) if needed else Deterministic(0.0)

    @property
    def _stable(self) -> bool:
        return self.arrival_rate < self.throughput_bound

    def _accuracy(self, metric: str, level: float | None = None) -> Accuracy:
        """As measured against the simulation of events."""
        if metric != "latency" or not self._gathers or not self._stable:
            return super()._accuracy(metric, level) if metric != "latency" else EXACT
        return CLOSE if level is None else ROUGH

    def _refuse_full(self) -> None:
        """Group commit is known where a group takes all that wait."""
        most = group_commits.largest_group(self.arrival_rate, self.batch_work, self.command_work)
        if most > self.batch_size and self.arrival_rate < self.throughput_bound:
            raise NoClosedForm(
                f"BatchingLeader knows group commit where a group takes all that wait; up to {most:.0f} do, more "
                f"than the {self.batch_size} of a batch: simulate it"
            )
        if most > group_commits.MOST:
            raise NoClosedForm(
                f"BatchingLeader knows groups of up to {group_commits.MOST} commands; here are {most:.0f}: simulate it"
            )

    @answer("s", "a command's wait until its batch leaves")
    def gather_wait(self) -> Distribution:
        """`gather_ccdf`; of group commit `begin_knots`."""
        if self._gathers:
            if self._most == 1:
                return Deterministic(0.0)
            return GatherWait(self.arrival_rate, self._most, self.window)
        if not self._stable:
            return Never()
        self._refuse_full()
        return GroupWait(self.arrival_rate, self.batch_work, self.command_work)

    @answer("commands", "mean commands of a batch")
    def batch(self) -> float:
        """B - E (B - 1 - K)+; of group commit the mean of its chain."""
        if self._gathers:
            return float(gathering.gathered_size(self.arrival_rate, self._most, self.window))
        if not self._stable:
            return float(self.batch_size)
        self._refuse_full()
        found = group_commits.groups(self.arrival_rate, self.batch_work, self.command_work)
        return float(found.sizes @ found.chances)

    @answer("", "share of its time that the leader works on batches; above 1 it falls behind")
    def busy(self) -> float:
        """lambda (f / E N + c)."""
        return self.arrival_rate * (self.batch_work / self.batch + self.command_work)

    @answer("commands/s", "most commands that this leader can take")
    def throughput_bound(self) -> float:
        """Where `busy` is 1: B / (f + B c) with full batches, less where the window ends first."""
        window = self.window if self._gathers else math.inf
        most = self._most if self._gathers else self.batch_size
        return gathering.gathered_bound(most, window, self.batch_work, self.command_work)

    @answer("s", "time from a command's coming to the leader until it is committed", EXACT)
    def latency(self) -> Distribution:
        """The wait to leave, the batch's wait and work, and the round: taken as independent, see the accuracy."""
        if not self._stable:
            return Never()
        if not self._gathers:
            self._refuse_full()
            return batch_latency(GroupResponse(self.arrival_rate, self.batch_work, self.command_work), self._round)
        if self.busy > BUSIEST:
            raise NoClosedForm(
                f"BatchingLeader has no formula for waits here: the load is {self.busy:.2g}, more than "
                f"{BUSIEST:g}: simulate it"
            )
        window = self.window if self._most > 1 else 1.0  # of no use there
        done = BatchTime(self.arrival_rate, self._most, window, self.batch_work, self.command_work)
        return batch_latency(done, self._round)

    def _played(self, arrivals: Array) -> Played:
        size = self._most if self._gathers else self.batch_size
        return batched(arrivals, size, self.window, self.batch_work, self.command_work, when_free=not self._gathers)

    def _settling(self) -> int:
        """Commands until an empty leader is as any."""
        load = self.arrival_rate / self.throughput_bound
        if self._gathers:
            batch, idle = self.batch, 1.0 - self.busy
        else:
            slope = self.arrival_rate * self.command_work
            batch, idle = (1.0 + self.arrival_rate * self.batch_work) / (1.0 - slope), 1.0 - max(load, slope)
        return math.ceil(SETTLING * (batch + 1.0) / idle**2)

    def _longest(self) -> int:
        """Commands after the last that counts, so that its batch is as large as any: none misses those to come."""
        if self._gathers:
            return math.ceil(min(self._most, 20.0 + 3.0 * self.arrival_rate * self.window))
        largest = group_commits.largest_group(self.arrival_rate, self.batch_work, self.command_work)
        return math.ceil(min(self.batch_size, largest))

    def simulate(self, requests: int = 500_000, seed: int = 0, *, violating: str | None = None) -> Simulation:
        """So many commands in batches, event by event, see `montecarlo.kernels.batches`; lanes that begin empty.

        `violating` "commands in bursts": half of them come together with the one before.
        """
        checked_requests(self, requests)
        broken = self.known_violation(violating) is not None
        if not self._stable:
            raise ValueError(
                f"BatchingLeader.simulate: {self.arrival_rate:g} commands/s come, the leader can take "
                f"{self.throughput_bound:g}: it has no steady state"
            )
        size, settling = -(-requests // LANES), self._settling()
        if settling > MOST_SETTLING:
            raise ValueError(
                f"BatchingLeader.simulate: it takes {settling:,} commands until an empty leader is as any; at most "
                f"{MOST_SETTLING:,} are played"
            )
        rng = stream(seed, 1)
        shape = (LANES, settling + size + self._longest())
        arrivals = poisson(self.arrival_rate, shape, rng, TOGETHER if broken else 0.0)
        played = self._played(arrivals)
        kept = slice(settling, settling + size)
        came, leaves, done, together = (x[:, kept] for x in (arrivals, played.leaves, played.done, played.together))
        opens = np.diff(done, axis=1) > 0.0  # what ends after the first that is kept, up to the end of the last
        batches, commands = opens.sum(axis=1), (opens * together[:, 1:]).sum(axis=1)
        busy = self.batch_work * batches + self.command_work * commands
        return Simulation(
            self,
            requests,
            seed,
            latency=SimulatedLatency(done - came + self._rounds(done, seed)),
            gather_wait=SimulatedLatency(leaves - came),
            batch=ratio(commands, batches),
            busy=ratio(busy, done[:, -1] - done[:, 0]),
        )

    def _rounds(self, done: Array, seed: int) -> Array:
        """The round of each command's batch (s), drawn follower by follower."""
        needed = self.members // 2
        if not needed:
            return np.zeros(done.shape)
        opens = np.diff(done, axis=1, prepend=-1.0) > 0.0
        first = np.maximum.accumulate(np.where(opens, np.arange(done.shape[1]), 0), axis=1)
        found = np.empty(done.shape)
        for lane, places in enumerate(first):
            which, back = np.unique(places, return_inverse=True)
            trips = self.round_trip.sample((len(which), self.members - 1), rng=stream(seed, 2, lane))
            found[lane] = np.partition(trips, needed - 1, axis=1)[:, needed - 1][back]
        return found

    @classmethod
    def example(cls) -> Self:
        """Batches that are both full and late, and queue."""
        return cls(arrival_rate=9000.0, batch_size=10, window=0.001, batch_work=0.0007)

    def timeline(self, seed: int = 0) -> Timeline:
        """For a while come half as many commands again as the leader can take."""
        most = self.throughput_bound if math.isfinite(self.throughput_bound) else 100.0 / self.batch_work
        calm, rush = min(self.arrival_rate, 0.5 * most), 1.5 * most
        rates = np.repeat([calm, rush, calm], RUN)
        arrivals = np.cumsum(stream(seed, 3).standard_exponential(len(rates)) / rates)[None]
        latency = (self._played(arrivals).done - arrivals)[0]
        sent = arrivals[0]
        begins, ends = float(sent[RUN]), float(sent[2 * RUN])
        shown = slice(0, len(sent) - self.batch_size if self.batch_size < RUN else None)
        return Timeline(
            "Half as much again as the leader can take, and every batch waits behind all that came before it",
            sent[shown],
            {"until the leader is done": latency[shown]},
            "s",
            ((begins, "more than it can take"), (ends, "as before")),
        )
