"""A pool behind a balancer that has work of its own to do for every request."""

from __future__ import annotations

import functools
import math
from typing import ClassVar

import numpy as np

from scaling_models.answers import Accuracy, Assumption, Model, NoClosedForm, Simulation, Timeline, answer
from scaling_models.domains import Integer, Real
from scaling_models.latency import SPREAD, Deterministic, Distribution, Exponential, Never
from scaling_models.parameters import Slider, parameter
from scaling_models.pools.bases.central_cases import Case, Exact, case_of
from scaling_models.pools.bases.pool import SIMULATED
from scaling_models.pools.bases.services import check_service
from scaling_models.pools.bases.slots import slots_each
from scaling_models.pools.formulas.walks import is_exponential
from scaling_models.pools.tandem import VARY, Tandem
from scaling_models.pools.tier import Tier
from scaling_models.wording import short

MOST_LOAD = 0.5  # of a balancer whose work is not exponential: what leaves it is still nearly Poisson
SMOOTHED = Accuracy(
    "within 15%", 0.12, "balancer work that varies less than exponential, at a load up to 0.5; too long"
)
LEVELS = (0.5, 0.95, 0.99, 0.999)  # of the latency, at which the pool's wait is looked at
LEAST_OFF, MOST_OFF = 0.03, 0.15
EVEN = "balancer work and services that vary less than exponential: as much as the pool's wait adds, at most; too long"
BY_RATES = ("utilization", "balancer_utilization", "pool_utilization", "balancer_limit", "pool_limit", "most_load")
BALANCER = ("balancer_time",)


class BalancedPool(Model):
    """A balancer of several processes, and behind it a pool; each has one FIFO queue. Which of them is full first?

    Of Poisson arrivals the balancer is M/G/m. Where its work is exponential its departures are Poisson again, the pool
    is M/G/c, and the latency is the sum of both times, independent: exact (Burke 1956). Where it varies less, as real
    work does, departures come more evenly: the sum is then a little too long, measured up to a load of 0.5 of the
    balancer before exponential services, and for more even ones by no more than the pool's wait. Beyond, and for other
    services, `NoClosedForm`: simulate it.
    """

    arrival_rate: float = parameter(
        default=800.0,
        domain=Real(),
        unit="requests/s",
        symbol="λ",
        about="requests arriving a second",
        slider=Slider(10, 5000, 10),
    )
    balancers: int = parameter(
        default=4,
        domain=Integer(1, 10**4),
        unit="processes",
        symbol="m",
        about="processes of the balancer, one request at a time each",
        slider=Slider(1, 32, 1),
    )
    work: Distribution = parameter(
        default=Deterministic(0.002),
        domain=SPREAD,
        unit="s",
        symbol="B",
        about="the time that a request takes a process of the balancer",
    )
    servers: int = parameter(
        default=10,
        domain=Integer(1, 10**6),
        unit="servers",
        symbol="N",
        about="servers in the pool",
        slider=Slider(1, 100, 1),
    )
    service: Distribution = parameter(
        default=Exponential(0.010),
        domain=SPREAD,
        unit="s",
        symbol="S",
        about="the time that a request occupies a slot",
    )
    workers: int = slots_each()

    verified_with: ClassVar[int] = 2_000_000
    violations: ClassVar[tuple[str, ...]] = (VARY,)
    _assumptions: ClassVar[tuple[Assumption, ...]] = (
        Assumption("Poisson arrivals", "optimistic if arrivals are bursty"),
        Assumption("the balancer's processes share one queue", "optimistic if each has its own connections"),
        Assumption("replies cost the balancer nothing more", "optimistic: count their work in `work`"),
        Assumption("the pool has one queue", "optimistic if requests wait at busy servers"),
        Assumption("nobody gives up or retries", "pessimistic if requests are abandoned, optimistic if retried"),
    )

    def _check(self) -> None:
        check_service(type(self).__name__, self.service)
        for name, each in (("work", self.work), ("service", self.service)):
            if not 0 < each.mean() < math.inf:
                raise ValueError(f"BalancedPool.{name} must have a finite mean above 0 s; got {short(each)}")

    @property
    def _tandem(self) -> Tandem:
        return Tandem(
            self.arrival_rate, (Tier(self.balancers, 1, self.work), Tier(self.servers, self.workers, self.service))
        )

    @property
    def _overloaded(self) -> bool:
        return self.utilization >= 1.0

    @functools.cached_property
    def _exponential(self) -> bool:
        return is_exponential(self.work)

    @property
    def _smoothed(self) -> bool:
        """Whether the balancer's departures are nearly Poisson, if a little more even."""
        return self.work.scv <= 1.0 and self.balancer_utilization <= MOST_LOAD

    @functools.cached_property
    def _balancer(self) -> Case | None:
        found = case_of(self.arrival_rate, self.balancers, self.work)
        return found if isinstance(found, Exact) else None

    @functools.cached_property
    def _pool(self) -> Case | None:
        found = case_of(self.arrival_rate, self.servers * self.workers, self.service)
        return found if isinstance(found, Exact) else None

    @functools.cached_property
    def _off(self) -> float:
        """How much too long the sum may be: for services that vary less than exponential what the pool's wait adds.

        (Constant services as long as the balancer's constant work never wait: the sum is 20% too long at load 0.5.)
        """
        if is_exponential(self.service) or self.service.scv >= 1.0:
            return SMOOTHED.error or 0.0
        whole, free = self._sum, self.balancer_time + self.service
        quantiles = whole.icdf(np.array(LEVELS)) / free.icdf(np.array(LEVELS))
        return max(LEAST_OFF, float(max(quantiles.max(), whole.mean() / free.mean())) - 1.0)

    @property
    def _known(self) -> bool:
        if self._balancer is None or self._pool is None:
            return False
        return self._exponential or (self._smoothed and self._off <= MOST_OFF)

    @functools.cached_property
    def _sum(self) -> Distribution:
        assert self._pool is not None
        return self.balancer_time + self._pool.latency

    def _accuracy(self, metric: str, level: float | None = None) -> Accuracy:
        """Exact for exponential work; else measured while the balancer is half busy at most."""
        declared = self._answer(metric).accuracy
        if metric in BY_RATES or self._overloaded:
            return declared
        if metric in BALANCER:
            return declared if self._balancer is not None else SIMULATED
        if not self._known:
            return SIMULATED
        if self._exponential:
            return declared
        return SMOOTHED if self._off == SMOOTHED.error else Accuracy("within 15%", self._off, EVEN)

    @answer("", "share of its time that the busier of balancer and pool is busy; above 1 overloaded")
    def utilization(self) -> float:
        """The larger of the two."""
        return max(self.balancer_utilization, self.pool_utilization)

    @answer("", "share of the time that the balancer's processes are busy")
    def balancer_utilization(self) -> float:
        """lambda E[B] / m."""
        return self.arrival_rate / self.balancer_limit

    @answer("", "share of the time that the pool's slots are busy")
    def pool_utilization(self) -> float:
        """lambda E[S] / c."""
        return self.arrival_rate / self.pool_limit

    @answer("requests/s", "the load at which the balancer is full")
    def balancer_limit(self) -> float:
        """m / E[B]."""
        return self.balancers / self.work.mean()

    @answer("requests/s", "the load at which the pool is full")
    def pool_limit(self) -> float:
        """c / E[S]."""
        return self.servers * self.workers / self.service.mean()

    @answer("requests/s", "the load at which the first of them is full")
    def most_load(self) -> float:
        """The smaller of both."""
        return min(self.balancer_limit, self.pool_limit)

    @answer("s", "time from arrival until the balancer has passed the request on")
    def balancer_time(self) -> Distribution:
        """M/G/m."""
        if self.balancer_utilization >= 1.0:
            return Never()
        if self._balancer is None:
            raise NoClosedForm("BalancedPool has no closed form for this work of several processes: simulate it")
        return self._balancer.latency

    @answer("s", "time from arrival to reply: at the balancer and in the pool")
    def latency(self) -> Distribution:
        """The sum of both, as if the pool's arrivals were Poisson."""
        if self._overloaded:
            return Never()
        if not self._known:
            raise NoClosedForm(
                "BalancedPool has a closed form for exponential work of the balancer, or less variable work that keeps "
                f"it busy {MOST_LOAD:.0%} of the time at most, before a pool that is known exactly, and in which even "
                "services hardly wait: simulate it"
            )
        return self._sum

    @answer("requests", "mean number of requests at the balancer and in the pool, waiting or served")
    def in_flight(self) -> float:
        """Little's law: lambda E[T]."""
        return math.inf if self._overloaded else self.arrival_rate * self.latency.mean()

    def simulate(self, requests: int = 1_000_000, seed: int = 0, *, violating: str | None = None) -> Simulation:
        """Both stations played event by event, see `Tandem.simulate`: exact but for chance, for any work and service.

        "services vary more": work and services hyperexponential, variance four times the mean's square.
        """
        found = self._tandem.simulate(requests, seed, violating=self.known_violation(violating))
        balancer, pool = found.utilizations
        return Simulation(
            self,
            found.requests,
            seed,
            cut=found.cut,
            utilization=found.utilization,
            balancer_utilization=balancer,
            pool_utilization=pool,
            balancer_time=found.tier_latencies[0],
            latency=found.latency,
            in_flight=found.in_flight,
        )

    def timeline(self, seed: int = 0) -> Timeline:
        """Twice the load that the first of them can carry, from empty: the other sees nothing of it."""
        told = self._tandem.timeline(seed)
        balancer, pool = told.lines.values()
        full = "balancer" if self.balancer_limit < self.pool_limit else "pool"
        says = f"At twice the load that the {full} can carry, it holds {max(balancer[-1], pool[-1]):.0f} requests"
        lines = {"requests at the balancer": balancer, "requests in the pool": pool}
        return Timeline(f"{says} after {told.times[-1]:.2g} s", told.times, lines, told.unit, told.marks)
