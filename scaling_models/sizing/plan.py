"""A plan for a pool: how many servers hold a target through a peak and the loss of a zone."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from scaling_models.answers import Accuracy, Assumption, Model, Simulation, Timeline, answer
from scaling_models.domains import Integer, Real
from scaling_models.latency import SPREAD, Distribution, Exponential
from scaling_models.montecarlo.kernels.stalls import in_flight, stalled_waits
from scaling_models.montecarlo.streams import stream
from scaling_models.parameters import Slider, parameter
from scaling_models.pools import CentralQueue
from scaling_models.pools.formulas.sizing import Array
from scaling_models.sizing.records import Reserve
from scaling_models.sizing.search import needed, servers_for
from scaling_models.sizing.targets import Target

DRAWN = 20_000  # requests of a timeline
LOST_AFTER = 0.25  # of a timeline the zone is lost


class PoolPlan(Model):
    """The least servers behind one queue (M/M/c) of which enough are left when a zone is lost at the day's peak.

    `servers_for` a `CentralQueue` with the given target and reserves, as a model: so that its parameters have sliders.
    Exact for exponential service; see `CentralQueue` for others.
    """

    headline: ClassVar[str] = "servers"

    arrival_rate: float = parameter(
        default=1000.0,
        domain=Real(),
        unit="requests/s",
        symbol="λ",
        about="requests arriving a second, the mean of the day",
        slider=Slider(10, 100_000, 0.05, log=True),
    )
    service: Distribution = parameter(
        default=Exponential(0.010),
        domain=SPREAD,
        unit="s",
        symbol="S",
        about="the time that a request occupies a slot",
    )
    target: float = parameter(
        default=0.050,
        domain=Real(),
        unit="s",
        symbol="t",
        about="the most that the latency's quantile may be",
        slider=Slider(0.005, 0.3, 0.001),
    )
    level: float = parameter(
        default=0.99,
        domain=Real(0, 1),
        symbol="p",
        about="the share of the requests that the target is for: 99% for p99",
        slider=Slider(0.5, 0.999, 0.001),
    )
    zones: int = parameter(
        default=3,
        domain=Integer(1, 100),
        unit="zones",
        symbol="z",
        about="zones over which the servers are spread, one of which may be lost (1: no loss is planned for)",
        slider=Slider(1, 6, 1),
    )
    failures: int = parameter(
        default=0,
        domain=Integer(0, 1000),
        unit="servers",
        symbol="k",
        about="servers that may be down beside",
        slider=Slider(0, 10, 1),
    )
    peak: float = parameter(
        default=1.0,
        domain=Real(1, open_low=False),
        unit="x the mean",
        about="the day's highest arrival rate over its mean",
        slider=Slider(1, 5, 0.1),
    )
    workers: int = parameter(
        default=1,
        domain=Integer(1, 10**4),
        unit="workers",
        symbol="w",
        about="slots of each server",
        slider=Slider(1, 32, 1),
    )

    _assumptions: ClassVar[tuple[Assumption, ...]] = (
        Assumption(
            "one queue before all servers", "optimistic: other balancers leave servers idle while requests wait"
        ),
        Assumption("one zone is lost at a time", "optimistic if zones fail together"),
        Assumption("the requests of the lost zone go to the others at once", "optimistic while they time out first"),
        Assumption("the peak lasts", "pessimistic if it is over before a queue has built up"),
        *CentralQueue._assumptions,
    )

    @property
    def reserve(self) -> Reserve:
        """What is planned for."""
        return Reserve(self.zones, self.failures, self.peak)

    @property
    def pool(self) -> CentralQueue:
        """The pool at its peak, with as many servers as are needed there (one where no number will do)."""
        least = int(self.needed) if math.isfinite(self.needed) else 1
        return CentralQueue(self.arrival_rate * self.peak, least, self.service, self.workers)

    @property
    def goal(self) -> Target:
        """The target."""
        return Target("latency", self.target, "s", True, self.level)

    def _accuracy(self, metric: str, level: float | None = None) -> Accuracy:
        """That of the latency of the pool at the target's level, or at the level asked for."""
        self._answer(metric)
        return self.pool.accuracy("latency", level if metric == "latency" else self.level)

    @answer("servers", "servers to provide: enough are left when what is planned for is lost; inf: no number will do")
    def servers(self) -> float:
        """The least N with N - ceil(N / zones) - failures >= needed."""
        return self.reserve.provided(self.needed)

    @answer("servers", "servers that must be up at the peak")
    def needed(self) -> float:
        """The least c such that the quantile of the latency is at most the target."""
        bare = CentralQueue(self.arrival_rate * self.peak, 1, self.service, self.workers)
        return needed(bare, self.goal)

    @answer("", "share of the slots' time that is busy on the mean of the day, all servers up")
    def utilization(self) -> float:
        """lambda E[S] / (servers x workers); no number where no servers will do."""
        if math.isinf(self.servers):
            return math.nan
        return self.arrival_rate * self.service.mean() / (self.servers * self.workers)

    @answer("", "share of the slots' time that is busy at the peak, with only the needed servers left")
    def busiest(self) -> float:
        """lambda peak E[S] / (needed x workers); no number where no servers will do."""
        if math.isinf(self.needed):
            return math.nan
        return self.arrival_rate * self.peak * self.service.mean() / (self.needed * self.workers)

    @answer("s", "time from arrival to reply at the peak, with only the needed servers left")
    def latency(self) -> Distribution:
        """That of `pool`; where no number of servers will do, what remains with infinitely many: the service."""
        return self.pool.latency if math.isfinite(self.needed) else self.pool.unloaded_latency

    def simulate(self, requests: int = 200_000, seed: int = 0, *, violating: str | None = None) -> Simulation:
        """The pool at its peak, with only the needed servers left, as simulated. ValueError where no number will do."""
        if math.isinf(self.needed):
            raise ValueError(servers_for(self.pool, latency=self.target, level=self.level).says)
        found = self.pool.simulate(requests, seed, violating=violating)
        return Simulation(self, requests, seed, latency=found.latency, busiest=found.utilization)

    def timeline(self, seed: int = 0) -> Timeline:
        """A zone is lost at the peak: the plan's servers, beside as many as do where no zone is lost."""
        if self.zones == 1:
            raise ValueError("PoolPlan.zones is 1: no zone can be lost; spread the servers over 2 zones or more")
        if math.isinf(self.servers):
            raise ValueError(servers_for(self.pool, latency=self.target, level=self.level).says)
        rng, rate = stream(seed), self.pool.arrival_rate
        arrivals = np.cumsum(rng.standard_exponential(DRAWN)) / rate
        services = np.asarray(self.service.sample(DRAWN, rng=rng))
        at, times = LOST_AFTER * float(arrivals[-1]), np.linspace(0.0, float(arrivals[-1]), 400)
        sized = {"planned for": self.servers, "not planned for": self.needed + self.failures}
        counts = {name: self._lost(arrivals, services, int(servers), at, times) for name, servers in sized.items()}
        ends = [f"with {sized[name]:,.0f} servers {count[-1]:,.0f}" for name, count in counts.items()]
        says = f"one of {self.zones} zones is lost; requests in the pool at the end: {ends[0]}, {ends[1]}"
        return Timeline(says, times, counts, "requests", ((at, "a zone is lost"),))

    def _lost(self, arrivals: Array, services: Array, servers: int, at: float, times: Array) -> Array:
        """Requests in the pool over time; a lost server ends what it has begun, and then never begins again."""
        gone = -(-servers // self.zones) * self.workers
        never = 1e3 * (float(arrivals[-1]) + float(services.sum()))
        waits = stalled_waits(arrivals, services, servers * self.workers, at, never, gone)
        return in_flight(arrivals, arrivals + waits + services, times)
