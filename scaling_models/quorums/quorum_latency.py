"""A quorum system over unequal replicas: latencies, availability and capacity of its reads and writes."""

from __future__ import annotations

import functools
from typing import ClassVar

import numpy as np

from scaling_models.answers import Assumption, Model, Simulation, Timeline, answer
from scaling_models.domains import Integer, Real, Rows
from scaling_models.latency import Distribution, Exponential, mixture
from scaling_models.montecarlo.arrays import Array
from scaling_models.montecarlo.estimates import Estimate, SimulatedLatency, from_batches, proportion
from scaling_models.montecarlo.kernels.replies import drawn_replies, drawn_states, reply_times
from scaling_models.montecarlo.progress import progress
from scaling_models.montecarlo.streams import checked_requests, stream
from scaling_models.parameters import Slider, parameter
from scaling_models.quorums.counted import counted
from scaling_models.quorums.expressions import Expression
from scaling_models.quorums.layouts import LAYOUT, Layout, Majorities
from scaling_models.quorums.replicas import REPLICA, Replica
from scaling_models.quorums.strategies import Strategy
from scaling_models.quorums.systems import QuorumSystem

BATCHES = 64
KEPT = 100_000_000  # replies of a simulation
SLOW, DOWN = "replicas slow together", "replicas fail together"
TOGETHER = 0.3  # of the requests, where an assumption is broken

NEAR, FAR = Replica(Exponential(0.002), 0.999, 10_000.0, 5_000.0), Replica(Exponential(0.005), 0.999, 5_000.0, 2_500.0)


class QuorumLatency(Model):
    """Reads and writes that ask all replicas and end once those that have replied are a quorum.

    The expression at p_i = F_i(t) is the latency's cdf, at p_i = A_i the availability; the capacity is that of the best
    strategy, which asks one quorum a request: 1/load, a linear programme, or symmetry where all replicas are equal
    (Naor and Wool 1998). All exact for independent replicas.
    """

    layout: Layout = parameter(
        default=Majorities(), domain=LAYOUT, about="which replicas are a quorum of a read, and of a write"
    )
    replicas: tuple[Replica, ...] = parameter(
        default=(NEAR, NEAR, NEAR, FAR, FAR), domain=Rows(REPLICA, least=1, most=25), about="the replicas"
    )
    read_fraction: float = parameter(
        default=0.9,
        domain=Real(0.0, 1.0, open_low=False, open_high=False),
        symbol="f_r",
        about="share of the requests that read",
        slider=Slider(0.0, 1.0, 0.05),
    )

    zones: int = parameter(
        default=3,
        domain=Integer(1, 25),
        symbol="z",
        about="zones over which the replicas are spread, in turn",
        slider=Slider(1, 5, 1),
    )
    zone_availability: float = parameter(
        default=0.9995,
        domain=Real(0.0, 1.0, open_low=False, open_high=False),
        symbol="A_z",
        about="share of the time that a zone is up, and with it what is in it (illustrative)",
        slider=Slider(0.99, 1.0, 0.0005),
    )

    verified_with: ClassVar[int] = 600_000
    violations: ClassVar[tuple[str, ...]] = (SLOW, DOWN)
    _assumptions: ClassVar[tuple[Assumption, ...]] = (
        Assumption("replicas are slow independently", "optimistic if a shared link, disk or pause slows several"),
        Assumption("replicas and zones fail independently", "optimistic if a bad deploy takes several"),
        Assumption("all are asked, and none is down while they reply", "optimistic: a request may meet one that is"),
        Assumption("capacity for quorum work only, one quorum asked a request", "optimistic where all are asked"),
    )

    def _check(self) -> None:
        self.layout.system(self.replicas)

    @functools.cached_property
    def system(self) -> QuorumSystem:
        """The layout over the replicas."""
        return self.layout.system(self.replicas)

    @functools.cached_property
    def strategy(self) -> Strategy:
        """The strategy of least load at this share of reads."""
        return self.system.strategy(self.read_fraction)

    def _latency(self, side: Expression) -> Distribution:
        return side.latency({name: self.system.replica(name).latency for name in side.names()})

    @property
    def zone_of(self) -> dict[str, str]:
        """The zone of each replica."""
        return {name: f"zone {place % self.zones + 1}" for place, name in enumerate(self.system.names)}

    def _available(self, side: Expression) -> float:
        zones = dict.fromkeys(self.zone_of.values(), self.zone_availability)
        up = {name: self.system.replica(name).availability for name in self.system.names}
        return float(side.zoned(self.zone_of).evaluate({**up, **zones}))

    @answer("s", "time until a read quorum has replied")
    def read_latency(self) -> Distribution:
        """The reads' expression at the replicas' latencies."""
        return self._latency(self.system.reads)

    @answer("s", "time until a write quorum has replied")
    def write_latency(self) -> Distribution:
        """The writes' expression at the replicas' latencies."""
        return self._latency(self.system.writes)

    @answer("s", "time until a request's quorum has replied, reads and writes together")
    def latency(self) -> Distribution:
        """The mixture of reads and writes."""
        return mixture((self.read_fraction, 1.0 - self.read_fraction), (self.read_latency, self.write_latency))

    @answer("", "share of the time that a read quorum is up")
    def read_availability(self) -> float:
        """The reads' expression at the availabilities of replicas and zones, each replica with its zone."""
        return self._available(self.system.reads)

    @answer("", "share of the time that a write quorum is up")
    def write_availability(self) -> float:
        """The writes' expression at the availabilities of replicas and zones, each replica with its zone."""
        return self._available(self.system.writes)

    @answer("", "share of the requests that find a quorum up")
    def availability(self) -> float:
        """Reads and writes, weighted."""
        return self.read_fraction * self.read_availability + (1.0 - self.read_fraction) * self.write_availability

    @answer("requests/s", "most requests that the replicas carry, each asking one quorum under the best strategy")
    def capacity(self) -> float:
        """One over the least load of the busiest replica."""
        even = self.system.symmetric
        return self.system.capacity(self.read_fraction) if even else self.strategy.capacity(self.read_fraction)

    @answer("", "how busy each replica is at that capacity, under one of the best strategies")
    def busy(self) -> tuple[float, ...]:
        """Its load over that of the busiest."""
        loads = self.strategy.node_loads(self.read_fraction)
        return tuple(loads[name] / max(loads.values()) for name in self.system.names)

    @answer("replicas", "how many replicas may fail, whichever they are, and reads go on")
    def read_resilience(self) -> int:
        """The least set that every read quorum meets, less one."""
        return self.system.read_resilience

    @answer("replicas", "how many replicas may fail, whichever they are, and writes go on")
    def write_resilience(self) -> int:
        """The least set that every write quorum meets, less one."""
        return self.system.write_resilience

    def simulate(self, requests: int = 200_000, seed: int = 0, *, violating: str | None = None) -> Simulation:
        """Every reply of every request drawn, and quorums told by counting; the strategy's choices drawn and counted.

        `violating` "replicas slow together" puts the delays of 30% of the requests in one order, "replicas fail
        together" lets one chance decide over all replicas 30% of the time.
        """
        broken = self.known_violation(violating)
        checked_requests(self, requests, most=KEPT // len(self.replicas))
        size = -(-requests // BATCHES)
        slow, down = (TOGETHER if broken == each else 0.0 for each in (SLOW, DOWN))
        read, write = (counted(side, self.system.names) for side in (self.system.reads, self.system.writes))
        ordered = [self.system.replica(name) for name in self.system.names]
        drawn = [
            drawn_replies([each.latency for each in ordered], size, stream(seed, 1, i), slow)
            for i in progress(range(BATCHES), "replies")
        ]
        reads, writes = (np.stack([reply_times(times, side) for times in drawn]) for side in (read, write))
        mixed = np.where(stream(seed, 2).random(reads.shape) < self.read_fraction, reads, writes)
        place = np.arange(len(ordered)) % self.zones
        states = [
            drawn_states([each.availability for each in ordered], size, stream(seed, 3, i), down)
            & drawn_states([self.zone_availability] * self.zones, size, stream(seed, 6, i))[place]
            for i in range(BATCHES)
        ]
        up = np.array([[side(there).mean() for there in states] for side in (read, write)])
        return Simulation(
            self,
            requests,
            seed,
            read_latency=SimulatedLatency(reads),
            write_latency=SimulatedLatency(writes),
            latency=SimulatedLatency(mixed),
            read_availability=proportion(up[0], BATCHES * size),
            write_availability=proportion(up[1], BATCHES * size),
            availability=proportion(self.read_fraction * up[0] + (1.0 - self.read_fraction) * up[1], BATCHES * size),
            busy=self._played(size, seed),
        )

    def _played(self, size: int, seed: int) -> tuple[Estimate, ...]:
        """The strategy played: how busy its choices make each replica, in units of the busiest's least load."""
        asked = np.stack([self._played_asks(size, stream(seed, 4, i)) for i in range(BATCHES)])
        return tuple(from_batches(self.capacity * each) for each in asked.T)

    def _played_asks(self, size: int, rng: np.random.Generator) -> Array:
        """The work of each replica, in seconds of its capacity a request."""
        reads = rng.binomial(size, self.read_fraction)
        work = np.zeros(len(self.system.names))
        for quorums, count, what in (
            (self.strategy.reads, reads, "read_capacity"),
            (self.strategy.writes, size - reads, "write_capacity"),
        ):
            times = rng.multinomial(count, [weight for _, weight in quorums])
            for (quorum, _), chosen in zip(quorums, times, strict=True):
                for place, name in enumerate(self.system.names):
                    if name in quorum:
                        work[place] += chosen / getattr(self.system.replica(name), what)
        return work / size

    def timeline(self, seed: int = 0) -> Timeline:
        """A read and a write every tenth of a second while replicas fail, nearest first, until neither has a quorum."""
        ordered = [self.system.replica(name) for name in self.system.names]
        times = np.arange(0.0, 60.0, 0.1)
        replies = drawn_replies([each.latency for each in ordered], len(times), stream(seed, 5))
        order = np.argsort([each.latency.mean() for each in ordered], kind="stable")
        falls = 60.0 * (np.arange(len(order)) + 1.0) / (len(order) + 2.0)
        for fall, who in zip(falls, order, strict=True):
            replies[who, times >= fall] = np.inf
        lines = {}
        for what, side in (("read", self.system.reads), ("write", self.system.writes)):
            found = reply_times(replies, counted(side, self.system.names))
            lines[what] = np.where(np.isfinite(found), found, np.nan)
        marks = tuple((float(t), f"{self.system.names[who]} fails") for t, who in zip(falls, order, strict=True))
        return Timeline(
            f"Reads survive any {self.read_resilience} failures, writes any {self.write_resilience}: with each replica "
            "that fails a farther one decides, and then nothing is left to reply",
            times,
            lines,
            "s",
            marks,
        )
