"""A cache in front of a pool that loses its content: ten times the load behind it, from one moment to the next."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from scaling_models.answers import Simulation, Timeline, answer
from scaling_models.latency import (
    Distribution,
    Hyperexponential,
    Never,
    mixture,
)
from scaling_models.montecarlo.estimates import Estimate, NotSettled, SimulatedLatency, from_batches
from scaling_models.montecarlo.kernels.surges import follow_surge
from scaling_models.montecarlo.streams import checked_requests
from scaling_models.montecarlo.traffic.arrivals import TimeVarying
from scaling_models.pools.bases.cached_pool import CachedPool
from scaling_models.pools.bases.pool import Array
from scaling_models.pools.bases.surges_played import check_surge
from scaling_models.pools.central_queue import CentralQueue
from scaling_models.pools.formulas import cache_loss as formulas
from scaling_models.pools.times.normal_wait import normal_wait

CURVE, KNOTS = 400, 600  # times of a course; straight pieces of the load's decay
FEWEST, MOST = 64, 10_000  # losses simulated side by side
HEAVIER = 4.0  # scv of the services where they are shown to vary more


class CacheLoss(CachedPool):
    """A cache answers the share `hit_ratio` of all requests; it drops to `first_hit_ratio`, and fills again like
    1 - e^(-t / refill). What it misses goes to one queue before a pool.

    Before the loss the misses are a `CentralQueue`. After it, fluid: the backlog grows while the misses are more than
    the pool carries, longest waits who comes as they have come down to that, backlog / capacity, and the queue is gone
    much later (`formulas.cache_loss`). Chance adds what slots idle before the queue stands, and spreads it with the
    variance of arrivals and services. Newell, Applications of Queueing Theory, 1982, chapter 2, for the fluid;
    measured.
    """

    headline: ClassVar[str] = "worst_wait"
    verified_with: ClassVar[int] = 4_000_000

    @answer("requests", "mean number of misses that wait at the end of that time")
    def backlog(self) -> float:
        """What came beyond the capacity since the slots are all busy, with what chance adds."""
        self._needs_a_queue()
        return math.inf if self._overloaded else self._fluid + self._chance

    @answer("requests", "standard deviation of that number")
    def backlog_spread(self) -> float:
        """The root of arrivals + scv x services since all slots are busy."""
        self._needs_a_queue()
        return math.inf if self._overloaded else self._spread

    def _waits(self, mean: float) -> Distribution:
        """Normal, with what the services of those vary who came since all slots are busy."""
        spread = math.sqrt((1.0 + self.service.scv) * self._came) / self.capacity
        return normal_wait(mean, spread)

    @answer("s", "the longest time that any miss waits")
    def worst_wait(self) -> Distribution:
        """Normal about backlog / capacity, and what the way to and fro near the top adds."""
        self._needs_a_queue()
        if self._overloaded:
            return Never()
        return self._waits(self.backlog / self.capacity + formulas.beyond_the_top(self._refill, 1.0 + self.service.scv))

    @answer("s", "mean time from then until no request waits")
    def drain_time(self) -> float:
        """Until the backlog and one more are begun, and the next has come."""
        self._needs_a_queue()
        if self._overloaded:
            return math.inf
        ends = float(formulas.drained(self._refill, self._chance + 1.0))
        return ends - self.overload_time + 1.0 / float(self._refill.at(ends))

    @answer("s", "the latency of a miss before the loss")
    def miss_latency(self) -> Distribution:
        """That of `CentralQueue` at the load before."""
        return self._pool.latency

    @answer("s", "the latency of the average request before the loss")
    def latency(self) -> Distribution:
        """A hit, or a miss."""
        return mixture((self.hit_ratio, 1.0 - self.hit_ratio), (self.hit, self.miss_latency))

    @answer("s", "the latency of the average request when misses wait longest")
    def latency_at_worst(self) -> Distribution:
        """A hit, or as many misses as the pool carries: each after a normal wait about backlog / capacity."""
        self._needs_a_queue()
        misses = min(self.capacity / self.arrival_rate, 1.0)
        if self._overloaded:
            return mixture((self.first_hit_ratio, 1.0 - self.first_hit_ratio), (self.hit, Never()))
        waited = self._waits((self.backlog + 1.0) / self.capacity) + self.service
        return mixture((1.0 - misses, misses), (self.hit, waited))

    @property
    def turning(self) -> tuple[float, str]:
        """When the backlog turns (s), and why."""
        return self.overload_time, "the pool carries the misses again"

    @property
    def span(self) -> float:
        """Seconds that a picture lasts in which no backlog turns."""
        return 4.0 * self.refill

    def course(self, times: Array) -> dict[str, Array]:
        """Requests that wait, and the wait (s) of a miss that comes, at times (s) after the loss. Fluid."""
        waiting = np.asarray(formulas.fluid_backlog(self._refill, times), dtype=float)
        return {"requests that wait": waiting, "wait of a request that comes": waiting / self.capacity}

    @property
    def requests_in_loss(self) -> int:
        """About how many misses come from the loss until no request waits any more, if ever."""
        ends = float(formulas.drained(self._refill))
        return math.ceil(self._refill.arrived(ends)) + 1 if math.isfinite(ends) else 1

    def _lead(self) -> float:
        """Seconds from empty to the steady state before the loss."""
        room = self.servers * self.workers * (1.0 - math.sqrt(self.utilization)) ** 2
        return float(f"{self.service.mean() * (10.0 + 10.0 / room):.6g}")

    def _flow(self, lead: float, service: Distribution) -> TimeVarying:
        since = np.linspace(0.0, 12.0, KNOTS) * self.refill
        knots = (0.0, lead, *(lead + since).tolist())
        rates = (self.load_before, self.load_before, *self._refill.at(since).tolist())
        return TimeVarying(knots, rates, math.inf, service)

    def simulate(self, requests: int | None = None, seed: int = 0, *, violating: str | None = None) -> Simulation:
        """Whole losses (64 at least) with so many `requests`, each from the steady state before until no miss waits.

        "services vary more": scv 4. Raises `NotSettled` where there was none. Exact but for chance, and for the
        straight pieces of the load's decay.
        """
        wanted = checked_requests(self, FEWEST if requests is None else requests)
        losses = min(max(FEWEST, math.ceil(wanted / self.requests_in_loss)), MOST)
        varied = self.known_violation(violating) is not None
        service = Hyperexponential(self.service.mean(), HEAVIER) if varied else self.service
        if self._overloaded:
            raise NotSettled("the pool was overloaded before the loss already: there is no end to simulate")
        lead = self._lead()
        check_surge(type(self).__name__, self.load_before * lead + self.requests_in_loss, self._pool._slots)
        top = lead + self.overload_time
        none = np.empty((0, losses))
        found = follow_surge(self._flow(lead, service), self._pool._slots, none, top, seed, math.inf)
        backlog = from_batches(found.backlog)
        spread = backlog.error * math.sqrt(losses)
        before = CentralQueue(self.load_before, self.servers, service, self.workers).simulate(FEWEST, seed)
        return Simulation(
            self,
            losses * self.requests_in_loss,
            seed,
            backlog=backlog,
            backlog_spread=Estimate(spread, spread / math.sqrt(2.0 * (losses - 1)), losses - 1),
            worst_wait=SimulatedLatency(found.worst_wait[:, None]),
            drain_time=from_batches(found.drain_time),
            miss_latency=before.latency,
        )

    def timeline(self, seed: int = 0) -> Timeline:
        """The backlog as it comes and goes, and where the cache fills half as fast. Fluid: nothing is drawn."""
        slower = self.replace(refill=2.0 * self.refill)
        ends = [float(formulas.drained(each._refill)) for each in (self, slower)]
        last = max([end for end in ends if math.isfinite(end)] + [slower.span / 2.0])
        times = np.linspace(0.0, 1.1 * last, CURVE)
        planned, late = (each.course(times)["requests that wait"] for each in (self, slower))
        turns = sorted({self.overload_time, slower.overload_time})
        gone = f"gone after {ends[0]:,.0f} s and {ends[1]:,.0f} s" if math.isfinite(ends[0]) else "and never fewer"
        return Timeline(
            f"{planned.max():,.0f} misses wait after hits fell to {self.first_hit_ratio:.4g}, "
            f"{late.max():,.0f} if the cache fills half as fast; {gone}",
            times,
            {"as it fills": planned, "half as fast": late},
            "requests",
            tuple((time, "carried again") for time in turns if 0.0 < time < math.inf),
        )
