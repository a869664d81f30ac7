"""A leader under load: what a command costs it, how many a second it can take, and how long they wait."""

from __future__ import annotations

import dataclasses
import functools
from concurrent.futures import Executor
from typing import ClassVar, Self

from scipy import special

from scaling_models.answers import EXACT, Accuracy, Assumption, NoClosedForm, Simulation, Timeline, answer
from scaling_models.latency import Deterministic, Distribution, Exponential, Never
from scaling_models.montecarlo.estimates import Estimate, SimulatedLatency, from_batches
from scaling_models.montecarlo.kernels.leader_load import Server, spiked
from scaling_models.montecarlo.kernels.leader_loops import loop_throughput
from scaling_models.montecarlo.kernels.reads import flushes
from scaling_models.montecarlo.runs import Plan, run
from scaling_models.montecarlo.streams import checked_requests, stream
from scaling_models.quorums.acked_round import acked_round
from scaling_models.quorums.formulas import batches, leader_load
from scaling_models.quorums.leader import Leader
from scaling_models.quorums.leader_waits import CALM, LoadedLatency, two_waits

BURSTS = "commands in bursts"
BUSIEST = 0.9  # load
MOST_CLIENTS = 300  # whom a simulation follows; more keep any leader busy
LOOPS = 32  # lanes of clients
NEAR = 8.0  # whole works: a shorter round trip comes back into the same burst
LEAST_EARLY = 0.2  # of the work: where the request is less, acknowledgements in step are what queues
OVERFULL = 1e-9  # chance that more commands wait than one flush takes
UNDER_WAY = 20_000  # acknowledgements that a simulation can follow
TOGETHER = 0.5  # share of the commands that come with the one before, where they come in bursts
REGION = "load up to 0.9, round trips of 8 works and more, a fifth of the work and more on the request"
CLOSE = Accuracy("within 3%", 0.03, "load up to 0.5, the mean")
ROUGH = Accuracy("within 15%", 0.15, f"{REGION}; percentiles up to p99")
NEARER = Accuracy("within 15%", 0.07, f"{REGION}; the mean")
CLOSED = Accuracy(
    "within 15%", 0.08, "within 1% where the leader is idle or busy; worst where clients just keep it busy"
)


class LeaderLoad(Leader):
    """One leader whose one thread does all: it takes a command, sends it to followers, takes up each acknowledgement.

    The request takes R = work + receive + sends + bytes/bandwidth, each of k acknowledgements A = receive, the m-th of
    which commits (m = floor(n/2)), then the reply: s = R + k A + reply. Latency is R, the round with its
    acknowledgements (`AckedRound`: exact for an idle leader), and two waits of mean V (`leader_wait`), in which the
    acknowledgements find what the commands left: independent at low load, nearly the same at high load.
    """

    verified_with: ClassVar[int] = 1_000_000
    violations: ClassVar[tuple[str, ...]] = (BURSTS,)
    _assumptions: ClassVar[tuple[Assumption, ...]] = (
        Assumption("Poisson commands", "optimistic if bursty"),
        Assumption("one thread computes and sends", "pessimistic where cores or the network card work beside it"),
        Assumption("the leader's own disk is not what a commit waits for", "optimistic if it is slower than followers"),
        Assumption("round trips independent of each other and of the load", "optimistic if followers queue too"),
        Assumption("constant work a message", "optimistic if commands differ"),
    )

    @property
    def _stable(self) -> bool:
        return self.arrival_rate < self.throughput_bound

    @property
    def _unknown(self) -> str:
        """Why there is no formula for waits here; empty where there is one."""
        load, early = self.utilization, self._work.early
        if load > BUSIEST:
            return f"the load is {load:.2g}, more than {BUSIEST:g}"
        if self.round_trip.mean() < NEAR * self.work:
            return f"a round trip takes less than {NEAR:g} times the leader's own work"
        if early < LEAST_EARLY and load > CALM:
            return f"the request is {early:.2g} of the work, less than {LEAST_EARLY:g}, at a load above {CALM:g}"
        if self.round_trip.atoms and self.round_trip.variance() > 0.0:
            return "round trips are neither constant nor continuous"
        return ""

    def _accuracy(self, metric: str, level: float | None = None) -> Accuracy:
        """As measured against the simulation of events."""
        if metric != "latency":
            return super()._accuracy(metric, level)
        if not self._stable:
            return EXACT
        if level is not None:
            return ROUGH
        return CLOSE if self.utilization <= CALM else NEARER

    def _refuse(self) -> None:
        if self._unknown:
            raise NoClosedForm(f"LeaderLoad has no formula for waits here: {self._unknown}: simulate it")

    @functools.cached_property
    def _idle(self) -> Distribution:
        """R, and the round with its acknowledgements, and the reply: the latency of an idle leader."""
        round_ = acked_round(self.round_trip, self.asked, self.needed, self._work.acknowledgement)
        return round_ + (self._work.request + self._work.reply)

    @functools.cached_property
    def _unfinished(self) -> float:
        """V, with what a command's own acknowledgements add to each other under load."""
        trips = acked_round(self.round_trip, self.asked, self.needed, 0.0).mean() + self._work.acknowledgement
        own = self._idle.mean() - self._work.request - self._work.reply - trips
        return leader_load.leader_wait(self.arrival_rate, self._work, self.round_trip) + self.utilization * own / 2.0

    @answer("s", "time from a command's coming to the leader until it is committed and answered", ROUGH)
    def latency(self) -> Distribution:
        """An idle leader's, and two waits, each 0 or exponential: see `two_waits`."""
        if not self._stable:
            return Never()
        self._refuse()
        return LoadedLatency((self._idle, two_waits(self.utilization, self._unfinished)))

    @answer("s", "time until a command is on the leader's own disk")
    def flush_time(self) -> Distribution:
        """Group commit: `shared_round` of a constant time. Exact where no flush is ever full."""
        if self.arrival_rate >= self.disk_bound:
            return Never()
        coming = self.arrival_rate * self.fsync
        if special.pdtrc(self.flush_size - 1, coming) > OVERFULL:
            raise NoClosedForm("LeaderLoad knows group commit where a flush takes all that wait: simulate it")
        return batches.shared_round(self.arrival_rate, Deterministic(self.fsync))

    @answer("commands", "commands in a disk write")
    def flushed_together(self) -> float:
        """lambda D + e^(-lambda D)."""
        self.flush_time  # noqa: B018  # refuses where this is not known either
        if self.arrival_rate >= self.disk_bound:
            return float(self.flush_size)
        return batches.round_size(self.arrival_rate, Deterministic(self.fsync))

    @answer("commands/s", "most that the clients of a closed loop can do", Accuracy("bound", None, "any load"))
    def closed_bound(self) -> float:
        """min(C / idle latency, 1 / s)."""
        return min(float(leader_load.closed_bound(self.clients, self._idle.mean(), self.work)), self.disk_bound)

    @answer("commands/s", "what the clients of a closed loop do, who send again as soon as they are answered", CLOSED)
    def closed_throughput(self) -> float:
        """Half way between `closed_bound` and `finite_source_throughput`, which is pessimistic: no work is random.

        The same is the ceiling of a pipeline of so many commands under way, where more always wait to be let in.
        """
        finite = leader_load.finite_source_throughput(self.clients, self._idle.mean() - self.work, self.work)
        return min((finite + self.closed_bound) / 2.0, self.disk_bound)

    @property
    def _server(self) -> Server:
        work = self._work
        return Server(
            Exponential(1.0 / self.arrival_rate),
            self.round_trip,
            self.asked,
            self.needed,
            work.request,
            work.acknowledgement,
            work.reply,
        )

    def simulate(
        self,
        requests: int = 500_000,
        seed: int = 0,
        *,
        violating: str | None = None,
        executor: Executor | None = None,
        cut: Plan | None = None,
    ) -> Simulation:
        """The leader event by event: lanes from idle and from overfull, once these have met.

        A step, of which `requests` are made, is a command or an acknowledgement. `violating` "commands in bursts": half
        of them come together with the one before. The rest as in `Pool.simulate`.
        """
        checked_requests(self, requests)
        broken = self.known_violation(violating) is not None
        if not self._stable:
            raise ValueError(
                f"LeaderLoad.simulate: the load is {self.arrival_rate / self.throughput_bound:.4g} of what the leader "
                "can take: it has no steady state"
            )
        under_way = self.arrival_rate * self.round_trip.mean() * self.asked
        if under_way > UNDER_WAY:
            raise ValueError(
                f"LeaderLoad.simulate: {under_way:,.0f} acknowledgements would be under way at a time; at most "
                f"{UNDER_WAY:,} can be followed"
            )
        together = TOGETHER if broken else 0.0
        found = run(dataclasses.replace(self._server, together=together), requests, seed, executor=executor, cut=cut)
        flushed, size = flushes(self.arrival_rate, self.fsync, self.flush_size, requests, seed, together)
        looped = {"closed_throughput": self._looped(requests, seed)} if self._loops else {}
        return Simulation(
            self,
            found.requests,
            seed,
            cut=found.cut,
            **looped,
            latency=found.times["latency"],
            utilization=found.ratio("busy", "time"),
            flush_time=SimulatedLatency(flushed),
            flushed_together=size,
        )

    @property
    def _loops(self) -> bool:
        """Whether the clients of a closed loop can be followed; a disk that binds is not played."""
        return self.clients <= MOST_CLIENTS and self.disk_bound > 1.0 / self.work

    def _looped(self, requests: int, seed: int) -> Estimate:
        """Each lane's clients, who begin at any moment of an idle leader's latency."""
        cycle = self.clients * (self.asked + 1)
        steps = max(requests // (8 * LOOPS), 6 * cycle)
        ready = stream(seed, 9).random((LOOPS, self.clients)) * self._idle.mean()
        return from_batches(loop_throughput(self._server, ready, steps, max(1000, 4 * cycle), seed))

    @classmethod
    def example(cls) -> Self:
        """A busier leader, whose acknowledgements queue."""
        return cls(arrival_rate=7000.0, round_trip=Exponential(0.002))

    def timeline(self, seed: int = 0) -> Timeline:
        """For a while come half as many commands again as the leader can take."""
        calm, rush = min(self.arrival_rate, 0.5 / self.work), 1.5 / self.work
        sent, latency = spiked(self._server, calm, rush, stream(seed, 3))
        begins, ends = sent[len(sent) // 3], sent[2 * len(sent) // 3]
        return Timeline(
            "Half as much again as the leader can take, and every command waits behind all that came before it",
            sent,
            {"latency": latency},
            "s",
            ((float(begins), "more than it can take"), (float(ends), "as before")),
        )
