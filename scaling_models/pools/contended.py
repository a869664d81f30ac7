"""A pool whose slots slow each other down: what they share, and what a limit on concurrency buys."""

from __future__ import annotations

import functools
import math
from typing import ClassVar

import numpy as np

from scaling_models.answers import Assumption, Simulation, Timeline, answer
from scaling_models.latency import Deterministic, Distribution, Exponential, Hyperexponential, MeanOnly, Never, mixture
from scaling_models.montecarlo.estimates import Estimate, at_least_binomial
from scaling_models.montecarlo.kernels.contended import Contended, follow
from scaling_models.montecarlo.runs import Run
from scaling_models.montecarlo.streams import streams_of
from scaling_models.montecarlo.traffic.arrivals import Batches, Renewal
from scaling_models.montecarlo.traffic.flows import Flow
from scaling_models.pools.bases.contending_pool import ContendingPool
from scaling_models.pools.bases.offered import BATCH
from scaling_models.pools.formulas.contended import contended_number, contended_shares
from scaling_models.pools.times.contended_response import ContendedResponse

VARY, BURSTS = "services vary more", "arrivals in bursts"
HEAVIER = 4.0  # scv of the services where they are shown to vary more
MOST_SIMULATED = 500  # slots
EVENTS = 6_000  # of a timeline
STALL = 1.0  # seconds


class ContendedPool(ContendingPool):
    """One queue before slots that share something: the more requests are in service, the slower is each.

    k requests in service are served together at X(k) = (k/E[S]) / (1 + a (k - 1) + b k (k - 1)), the Universal
    Scalability Law: a is what only one may do at a time (a lock, a log), b what each pair costs the other (caches,
    locks handed around). At most `limit` are let in, or as many as there are slots; the others wait. p_k is in
    proportion to prod lambda/X(min(j, n)), stable while lambda < X(n): beyond the peak of X, more concurrency is less
    capacity. Wait and latency exact for exponential service, for a latency's percentiles where the chain of a request
    has up to 400 states (of any other only the mean); other services raise `NoClosedForm` and can be simulated.
    Gunther, Guerrilla Capacity Planning, 2007, chapter 4; Kleinrock, Queueing Systems 1, 1975, section 3.1.
    """

    verified_with: ClassVar[int] = 3_000_000
    violations: ClassVar[tuple[str, ...]] = (VARY, BURSTS)
    _assumptions: ClassVar[tuple[Assumption, ...]] = (
        Assumption("Poisson arrivals", "optimistic if arrivals are bursty"),
        Assumption("exponential service", "optimistic if it varies more"),
        Assumption("all requests in service slow each other equally", "pessimistic if some share nothing"),
        Assumption("waiting costs the servers nothing", "optimistic if a long queue slows them as well"),
        Assumption("nobody gives up or retries", "pessimistic if requests are abandoned, optimistic if retried"),
    )

    @property
    def capped(self) -> ContendedPool:
        """The same pool with the best limit on its concurrency."""
        return self.replace(limit=self.best_limit)

    @functools.cached_property
    def _numbers(self) -> tuple[float, float]:
        """Mean numbers in service and waiting."""
        self._exponential_rate  # noqa: B018  # refuses other services
        return contended_number(self.arrival_rate, self._rates)

    @answer("", "share of the requests that wait before they are let in")
    def probability_of_wait(self) -> float:
        """sum_{k >= n} p_k; 1 at overload."""
        if self._overloaded:
            return 1.0
        self._exponential_rate  # noqa: B018  # refuses other services
        return contended_shares(self.arrival_rate, self._rates)[1]

    @answer("s", "time before the request is let in")
    def wait(self) -> Distribution:
        """Zero, or exponential with rate X(n) - lambda: while anybody waits, n are in service."""
        if self._overloaded:
            return Never()
        chance, mean = self.probability_of_wait, 1.0 / (self.capacity - self.arrival_rate)
        return (
            mixture((1.0 - chance, chance), (Deterministic(0.0), Exponential(mean)))
            if chance > 0
            else Deterministic(0.0)
        )

    @answer("s", "time from arrival to reply: wait and service, slowed by those in service beside it")
    def latency(self) -> Distribution:
        """See `contended_response`; its mean by Little's law."""
        if self._overloaded:
            return Never()
        mean = sum(self._numbers) / self.arrival_rate
        return ContendedResponse(self.arrival_rate, self._rates) if self._percentiles_known else MeanOnly(mean)

    @answer("requests", "mean number of requests in the pool, waiting or served")
    def in_flight(self) -> float:
        """sum_k k p_k."""
        return math.inf if self._overloaded else sum(self._numbers)

    @answer("requests", "mean number of requests in service")
    def in_service(self) -> float:
        """sum_k min(k, n) p_k; at overload n."""
        return float(self.concurrency) if self._overloaded else self._numbers[0]

    @answer("", "how much longer a service takes on average than it would alone")
    def slowdown(self) -> float:
        """E[number in service] / (lambda E[S]), by Little's law; at overload that of n in service."""
        served = self.capacity if self._overloaded else self.arrival_rate
        return self.in_service / served / self.service.mean()

    def flow(self, violating: str | None = None, gaps: Distribution | None = None) -> Flow:
        """Poisson arrivals, or `gaps` of another shape; "services vary more": scv 4; "arrivals in bursts" of four."""
        known = self.known_violation(violating)
        service = Hyperexponential(self.service.mean(), HEAVIER) if known == VARY else self.service
        if known == BURSTS:
            return Batches(self.arrival_rate, BATCH, service)
        return Renewal(self._gap(gaps), service)

    def _system(self, flow: Flow) -> Contended:
        if self.concurrency > MOST_SIMULATED:
            raise ValueError(
                f"{self.concurrency:,} requests in service at once are too many to simulate: at most {MOST_SIMULATED}"
            )
        pace = np.array(self._rates) * self.service.mean() / np.arange(1, self.concurrency + 1)
        return Contended(flow, tuple(pace.tolist()))

    def _simulation(self, found: Run, seed: int) -> Simulation:
        latency, busy = found.times["latency"], found.ratio("busy", "time")
        mean = latency.mean_estimate()
        begun = int(found.tallies["begun"].sum())
        return Simulation(
            self,
            found.requests,
            seed,
            cut=found.cut,
            offered_load=found.ratio("requests", "time", self.service.mean()),
            utilization=found.ratio("requests", "time", 1.0 / self.capacity),
            probability_of_wait=at_least_binomial(found.ratio("waited", "begun"), begun),
            wait=found.times["wait"],
            latency=latency,
            in_flight=Estimate(self.arrival_rate * mean.value, self.arrival_rate * mean.error, mean.freedom),
            in_service=busy,
            slowdown=found.ratio("busy", "requests", 1.0 / self.service.mean()),
        )

    def timeline(self, seed: int = 0) -> Timeline:
        """A second in which nothing is served: the pool as it is and with the best limit work off what has come."""
        if self.arrival_rate >= self.best_capacity:
            raise ValueError(
                f"with any limit at most {self.best_capacity:,.0f} requests/s are served, and {self.arrival_rate:,.0f} "
                "come: overloaded, the queue grows with nothing breaking"
            )
        waiting = max(1, round(STALL * self.arrival_rate))
        courses = {}
        for says, pool in {"as it is": self, f"at most {self.best_limit} in service": self.capped}.items():
            courses[says] = follow(pool._system(pool.flow()), waiting, EVENTS, streams_of(seed, 0))
        until = min(course[0][-1] for course in courses.values())
        times = np.linspace(0.0, until, 400)
        lines = {
            says: present[np.maximum(np.searchsorted(at, times, side="right") - 1, 0)]
            for says, (at, present) in courses.items()
        }
        left = [line[-1] for line in lines.values()]
        return Timeline(
            f"{waiting} requests have come during a stall of {STALL:g} s; {until:.2g} s later there are {left[0]:.0f}, "
            f"with at most {self.best_limit} in service {left[1]:.0f}",
            times,
            lines,
            "requests",
            ((0.0, "the stall is over"),),
        )
