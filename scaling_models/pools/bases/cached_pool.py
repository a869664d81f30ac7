"""A cache that lost its content, and the pool behind it: parameters, the fluid, and how far that can be believed."""

from __future__ import annotations

import functools
import math
from typing import ClassVar

from scaling_models.answers import Accuracy, Assumption, Model, NoClosedForm, answer
from scaling_models.domains import Integer, Real
from scaling_models.latency import (
    LATENCY,
    SPREAD,
    Deterministic,
    Distribution,
    Exponential,
)
from scaling_models.parameters import Slider, parameter
from scaling_models.pools.bases.services import check_service
from scaling_models.pools.bases.slots import slots_each
from scaling_models.pools.central_queue import CentralQueue
from scaling_models.pools.formulas import cache_loss as formulas

SURE, ROUGH = 4.0, 2.5  # standard deviations that the backlog's mean must lie above zero
NEAR = Accuracy("within 3%", 0.03, "backlog at least 4 of its standard deviations, and the slots full at once")
FAR = Accuracy("within 15%", 0.15, "backlog at least 2.5 of its standard deviations")
NONE = Accuracy("simulated", None, "the backlog is small beside its chance fluctuations")
FLUID = ("backlog", "backlog_spread", "worst_wait", "drain_time", "latency_at_worst")
BEFORE = ("miss_latency", "latency")
AT_ONCE = 0.02  # of the refill's time in which the slots fill: then the load has hardly changed


class CachedPool(Model):
    """Base of `CacheLoss`: what it is given, the loads and the fluid that follow, and what is believed of them."""

    violations: ClassVar[tuple[str, ...]] = ("services vary more",)
    _assumptions: ClassVar[tuple[Assumption, ...]] = (
        Assumption("the cache fills by what is asked, not by what is answered", "optimistic if the queue delays it"),
        Assumption("each miss goes to the pool once", "pessimistic if equal misses wait for one answer"),
        Assumption("nobody gives up or retries", "pessimistic if requests are abandoned, optimistic if retried"),
        Assumption("one queue before all servers, which stay as many", "optimistic if requests wait at busy servers"),
        Assumption("Poisson arrivals", "optimistic if arrivals are bursty"),
    )

    arrival_rate: float = parameter(
        default=10_000.0,
        domain=Real(),
        unit="requests/s",
        symbol="λ",
        about="requests that come to the cache a second",
        slider=Slider(500, 20_000, 500),
    )
    hit_ratio: float = parameter(
        default=0.99,
        domain=Real(0.0, 1.0, open_low=False),
        symbol="h",
        about="share of them that the cache answers, ordinarily",
        slider=Slider(0.0, 0.995, 0.005),
    )
    first_hit_ratio: float = parameter(
        default=0.9,
        domain=Real(0.0, 1.0, open_low=False),
        symbol="h₁",
        about="share that it answers just after the loss",
        slider=Slider(0.0, 0.995, 0.005),
    )
    refill: float = parameter(
        default=60.0,
        domain=Real(),
        unit="s",
        symbol="τ",
        about="time constant with which it fills again",
        slider=Slider(1.0, 600.0, 1.0),
    )
    servers: int = parameter(
        default=5,
        domain=Integer(1, 10**4),
        unit="servers",
        symbol="N",
        about="servers in the pool behind it",
        slider=Slider(1, 40, 1),
    )
    service: Distribution = parameter(
        default=Exponential(0.010), domain=SPREAD, unit="s", symbol="S", about="the time that a miss takes a slot"
    )
    workers: int = slots_each()
    hit: Distribution = parameter(
        default=Deterministic(0.002), domain=LATENCY, unit="s", symbol="H", about="the latency of a hit"
    )

    def _check(self) -> None:
        check_service(type(self).__name__, self.service)
        if self.first_hit_ratio > self.hit_ratio:
            raise ValueError(
                f"CacheLoss.first_hit_ratio must lie in [0, {self.hit_ratio:g}], the ordinary hit_ratio; "
                f"got {self.first_hit_ratio!r}"
            )

    @functools.cached_property
    def _refill(self) -> formulas.Refill:
        slots = self.servers * self.workers
        return formulas.Refill(self.load_before, self.load_after, slots, 1.0 / self.service.mean(), self.refill)

    @functools.cached_property
    def _pool(self) -> CentralQueue:
        return CentralQueue(self.load_before, self.servers, self.service, self.workers)

    @property
    def _overloaded(self) -> bool:
        """Whether there was no steady state before the loss already."""
        return self.load_before >= self.capacity

    @functools.cached_property
    def _startup(self) -> float:
        return float(formulas.start_up(self._refill))

    @functools.cached_property
    def _fluid(self) -> float:
        """The fluid's backlog as the load has come down to the capacity."""
        return float(formulas.fluid_backlog(self._refill, self.overload_time))

    @functools.cached_property
    def _came(self) -> float:
        """Misses from the time when all slots are busy until then."""
        return float(self._refill.arrived(self.overload_time) - self._refill.arrived(self._startup))

    @functools.cached_property
    def _spread(self) -> float:
        served = self.capacity * (self.overload_time - self._startup)
        return math.sqrt(self._came + self.service.scv * served)

    @functools.cached_property
    def _chance(self) -> float:
        return formulas.added_by_chance(self._refill)

    @property
    def _queues(self) -> bool:
        """Whether the fluid has a queue after the loss, and did not have one before."""
        return not self._overloaded and math.isfinite(self._startup)

    @property
    def _believable(self) -> bool:
        return self._fluid >= ROUGH * self._spread and self._chance < 0.3 * self._fluid

    def _needs_a_queue(self) -> None:
        if not self._overloaded and not self._queues:
            raise NoClosedForm(
                "CacheLoss: the pool carries the misses, so that no queue builds up beyond what chance makes: simulate "
                "it, or see CentralQueue at the load after"
            )
        if not self._overloaded and not self._believable:
            raise NoClosedForm("CacheLoss: the backlog is small beside its chance fluctuations: simulate it")

    def _accuracy(self, metric: str, level: float | None = None) -> Accuracy:
        """Of the time before that of `CentralQueue`; after it by how far the backlog lies above its fluctuations."""
        declared = super()._accuracy(metric, level)
        if metric in BEFORE:
            return self._pool.accuracy("latency", level)
        if metric not in FLUID or self._overloaded:
            return declared
        if not self._queues or not self._believable:
            return NONE
        at_once = self._startup < AT_ONCE * self.refill and self.service.scv == 1.0
        near = self._fluid >= SURE * self._spread and (at_once or self._chance < 0.02 * self._fluid)
        return NEAR if near and (level is None or self._fluid >= 3 * SURE * self._spread) else FAR

    @answer("requests/s", "what the pool can serve a second")
    def capacity(self) -> float:
        """N k / E[S]."""
        return self.servers * self.workers / self.service.mean()

    @answer("requests/s", "misses a second before the loss")
    def load_before(self) -> float:
        """lambda (1 - h)."""
        return self.arrival_rate * (1.0 - self.hit_ratio)

    @answer("requests/s", "misses a second just after the loss")
    def load_after(self) -> float:
        """lambda (1 - h1)."""
        return self.arrival_rate * (1.0 - self.first_hit_ratio)

    @answer("", "load behind the cache just after the loss, over that before")
    def load_factor(self) -> float:
        """(1 - h1) / (1 - h): from 99% to 90% it is ten."""
        return self.load_after / self.load_before

    @answer("", "share of the slots' time that is busy before the loss")
    def utilization(self) -> float:
        """load before / capacity."""
        return self.load_before / self.capacity if self.capacity else math.inf

    @answer("", "the same just after it: above 1 a queue builds up")
    def utilization_after(self) -> float:
        """load after / capacity."""
        return self.load_after / self.capacity if self.capacity else math.inf

    @answer("", "the least hit ratio at which the pool carries the misses")
    def least_hit_ratio(self) -> float:
        """1 - capacity / lambda."""
        return float(formulas.least_hit_ratio(self.arrival_rate, self.capacity))

    @answer("s", "time from the loss until the misses have come down to what the pool carries")
    def overload_time(self) -> float:
        """refill x log((after - before) / (capacity - before)); 0 if it always carries them, inf if never."""
        return float(formulas.overload_time(self._refill))
