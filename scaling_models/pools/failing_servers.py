"""Servers that fail and come back."""

from __future__ import annotations

import functools
import math
from typing import ClassVar

import numpy as np

from scaling_models.answers import Accuracy, Assumption, NoClosedForm, Simulation, Timeline, answer
from scaling_models.domains import Choice, Real
from scaling_models.latency import Distribution, Exponential, Hyperexponential, MeanOnly, Never
from scaling_models.montecarlo.estimates import ratio
from scaling_models.montecarlo.kernels import failures
from scaling_models.montecarlo.kernels.autoscaling import ChangingPool
from scaling_models.montecarlo.runs import Run
from scaling_models.montecarlo.traffic.arrivals import Renewal
from scaling_models.montecarlo.traffic.flows import Flow
from scaling_models.parameters import Slider, parameter
from scaling_models.pools.bases.exponential_pool import ExponentialPool
from scaling_models.pools.bases.occupancies import MOST_DRAWN
from scaling_models.pools.bases.pool import SIMULATED
from scaling_models.pools.formulas.failures import FailingQueue, failing_queue, servers_up, work_until_served

MOST_SERVERS, MOST_SLOTS = 60, 2000  # of the chain: it takes a tenth of a second
LONGEST_CYCLE = 20_000  # requests from one failure of a server to its next: a longer one takes minutes to settle
OUTAGE = 100.0  # mean services that an outage lasts in a timeline, at least
BINOMIAL = ("availability", "probability_short", "utilization", "offered_load")  # for any service, and any fate
RESTARTED = Accuracy("bound", None, "but for services longer than all but one in 1e15", "below")
NOT_SIMULATED = "with several workers it is not simulated either"
HEAVIER = 4.0  # scv of the services where they are shown to vary more


class FailingServers(ExponentialPool):
    """One queue before servers that fail and are repaired, each by itself: M/M/c with breakdowns.

    The exact chain of (requests, servers up), see `failing_queue`: mean latency and number, and how often a request
    waits. A request whose server fails moves to the head of the queue with the work that is left; other fates, and
    other services, raise `NoClosedForm` and can be simulated. Only the mean of the latency is known; the `wait` is all
    time without a server, before and after failures. Where requests are lost, latency and wait are those of the rest,
    and `in_flight` counts them all, each until its reply or its loss. Mitrany and Avi-Itzhak, Operations Research 16,
    1968.
    """

    up: float = parameter(
        default=2.0,
        domain=Real(),
        unit="s",
        symbol="MTBF",
        about="mean time that a server is up (illustrative)",
        slider=Slider(0.2, 2e7, 0.1, log=True),
    )
    down: float = parameter(
        default=0.1,
        domain=Real(),
        unit="s",
        symbol="MTTR",
        about="mean time until it is back (illustrative)",
        slider=Slider(0.01, 1000.0, 0.1, log=True),
    )
    fate: str = parameter(
        default="moves",
        domain=Choice(failures.FATES),
        about="what becomes of a request whose server fails: it resumes there after the repair, moves to the head of "
        "the queue with the work that is left, restarts from there, or is lost",
    )

    verified_with: ClassVar[int] = 2_000_000
    violations: ClassVar[tuple[str, ...]] = ("services vary more",)
    _assumptions: ClassVar[tuple[Assumption, ...]] = (
        Assumption("servers fail one by one, at exponential times", "optimistic if zones or deploys fail together"),
        Assumption("Poisson arrivals", "optimistic if arrivals are bursty"),
        Assumption("a failure is noticed at once, and a request loses no work by it", "optimistic otherwise"),
        Assumption("exponential service, one queue before all servers", "optimistic if it varies more"),
        Assumption("nobody gives up or retries", "pessimistic if requests are abandoned, optimistic if retried"),
    )

    def _accuracy(self, metric: str, level: float | None = None) -> Accuracy:
        """Exact where requests move, on up to 60 servers; of a latency only the mean."""
        if metric in BINOMIAL:
            bounded = self.fate != "restarts" or self._exponential or math.isfinite(self.service.support[1])
            return self._answer(metric).accuracy if bounded or metric == "availability" else RESTARTED
        if (self._solvable and level is None) or self._overloaded:
            return super()._accuracy(metric, level)
        return SIMULATED

    @property
    def _solvable(self) -> bool:
        return self.fate == "moves" and self.servers <= MOST_SERVERS and self._slots <= MOST_SLOTS

    @functools.cached_property
    def _queue(self) -> FailingQueue:
        if not self._exponential and self.workers > 1:
            raise NoClosedForm(
                f"FailingServers has a closed form for exponential service, not for {type(self.service).__name__}: "
                + NOT_SIMULATED
            )
        rate = self._exponential_rate
        if not self._solvable:
            raise NoClosedForm(
                f"FailingServers has a closed form where a request moves, on up to {MOST_SERVERS} servers and "
                f"{MOST_SLOTS:,} slots; here it {self.fate}, on one of {self.servers:,} servers: "
                + ("simulate it" if self.workers == 1 else NOT_SIMULATED)
            )
        return failing_queue(self.arrival_rate, rate, self.servers, self.workers, 1.0 / self.up, 1.0 / self.down)

    @answer("erlangs", "mean number of slots that are busy, with what is begun again, and without what is lost")
    def offered_load(self) -> float:
        """lambda E[work] by `work_until_served`: E[S] where no work is lost."""
        return self.arrival_rate * work_until_served(self.service, 1.0 / self.up, self.fate)

    @answer("", "share of the up servers' time that is busy; above 1 overloaded")
    def utilization(self) -> float:
        """offered load / (slots x availability)."""
        return self.offered_load / (self._slots * self.availability)

    @answer("", "share of the time that a server is up")
    def availability(self) -> float:
        """up / (up + down)."""
        return self.up / (self.up + self.down)

    @answer("", "share of the time that too few servers are up to carry the load")
    def probability_short(self) -> float:
        """P(servers up x workers <= offered load), binomial, for any services and any up and down times."""
        few = math.floor(min(self.offered_load / self.workers, self.servers))
        return math.fsum(servers_up(self.servers, self.availability)[: few + 1])

    @answer("", "share of the requests that find no server up and free")
    def probability_of_wait(self) -> float:
        """From the chain; 1 at overload."""
        return 1.0 if self._overloaded else self._queue.probability_of_wait

    @answer("s", "time without a server, before and after failures: its mean only")
    def wait(self) -> Distribution:
        """The latency's mean less the service's."""
        return Never() if self._overloaded else MeanOnly(max(self.latency.mean() - self.service.mean(), 0.0))

    @answer("s", "time from arrival to reply: its mean only")
    def latency(self) -> Distribution:
        """Little's law: the chain's mean number over lambda."""
        return Never() if self._overloaded else MeanOnly(self._queue.in_flight / self.arrival_rate)

    def flow(self, violating: str | None = None, gaps: Distribution | None = None) -> Flow:
        """Poisson arrivals, or `gaps` of another shape; "services vary more": scv 4 with the same mean."""
        varied = self.known_violation(violating) is not None
        service = Hyperexponential(self.service.mean(), HEAVIER) if varied else self.service
        return Renewal(self._gap(gaps), service)

    def _system(self, flow: Flow) -> failures.FailingServers:
        if self.workers > 1:
            raise ValueError(f"FailingServers is simulated with one worker a server only; got {self.workers} workers")
        cycle = self.arrival_rate * (self.up + self.down)
        if cycle > LONGEST_CYCLE:
            raise ValueError(
                f"{cycle:,.0f} requests come from one failure of a server to its next: more than {LONGEST_CYCLE:,} "
                "take too long to be simulated"
            )
        assert isinstance(flow, Renewal)
        times = (Exponential(self.up), Exponential(self.down))
        return failures.FailingServers(flow.gap, flow.service, self.servers, *times, self.fate)

    def _simulation(self, found: Run, seed: int) -> Simulation:
        latency, lost = found.times["latency"], found.tallies["lost"]
        times = latency.means * latency.sizes + found.tallies["lost_time"]
        return Simulation(
            self,
            found.requests,
            seed,
            cut=found.cut,
            utilization=found.ratio("busy", "up"),
            offered_load=found.ratio("busy", "time"),
            availability=found.ratio("up", "time", 1.0 / self.servers),
            probability_of_wait=found.times["wait"].ccdf_estimate(0.0),
            latency=latency,
            in_flight=ratio(times, latency.sizes + lost, self.arrival_rate),  # Little's law, of all
        )

    def timeline(self, seed: int = 0) -> Timeline:
        """Half of the servers go at once, or more if the rest could carry the load, and come back together."""
        if self._overloaded or self.servers == 1:
            raise ValueError(
                f"utilization is {self.utilization:.2f} on {self.servers} servers: a part of them can fail at once "
                "below 1 only, and where there are two at least"
            )
        left = max(1, min(math.ceil(self.offered_load / self.workers) - 1, self.servers // 2))
        horizon = MOST_DRAWN / self.arrival_rate
        gone = min(max(self.down, OUTAGE * self.service.mean()), horizon / 8.0)
        short, spare = 1.0 - left * self.workers / self.offered_load, self._slots / self.offered_load - 1.0
        horizon = min(gone * (2.5 + 1.5 * short / spare), horizon)
        slots = ((0.5 * gone, left * self.workers), (1.5 * gone, self._slots))
        times = np.linspace(horizon / 400.0, horizon, 400)
        found = ChangingPool(self.flow(), self._slots, None, slots).follow(times, 1, seed)
        return Timeline(
            f"{self.servers - left} of {self.servers} servers fail at once for {gone:.2g} s: "
            f"up to {found.in_flight.max():.0f} requests in the pool",
            times,
            {"requests in the pool": found.in_flight[:, 0]},
            "requests",
            ((0.5 * gone, f"{self.servers - left} fail"), (1.5 * gone, "they are back")),
        )
