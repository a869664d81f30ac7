"""Slots that slow each other down: parameters, and what is served with how many requests in service."""

from __future__ import annotations

import functools
import math

import numpy as np

from scaling_models.answers import Accuracy, NoClosedForm, answer
from scaling_models.domains import Integer, Real
from scaling_models.parameters import Slider, parameter
from scaling_models.pools.bases.exponential_pool import ExponentialPool
from scaling_models.pools.bases.pool import SIMULATED
from scaling_models.pools.formulas.contended import longest_queue
from scaling_models.scalability import usl_peak, usl_throughput
from scaling_models.wording import short

MOST_STATES = 400  # of the chain of a request: its percentiles take a twentieth of a second
MOST_SERVED = 10**6  # requests at once, up to which the chain's rates are kept
LOADS = ("utilization", "offered_load", "capacity", "peak_concurrency", "best_limit", "best_capacity", "capacity_gain")


class ContendingPool(ExponentialPool):
    """Base of `ContendedPool`: what it is given, and the capacities that follow."""

    arrival_rate: float = parameter(
        default=230.0,
        domain=Real(),
        unit="requests/s",
        symbol="λ",
        about="requests arriving a second",
        slider=Slider(10, 1000, 10),
    )
    contention: float = parameter(
        default=0.05,
        domain=Real(0.0, 1.0, open_low=False, open_high=False),
        symbol="a",
        about="share of a service that only one request may be in at a time",
        slider=Slider(0.0, 0.3, 0.01),
    )
    coherency: float = parameter(
        default=0.02,
        domain=Real(open_low=False),
        symbol="b",
        about="what each pair of requests in service costs the other, relative to a service",
        slider=Slider(0.0, 0.05, 0.001),
    )
    limit: int = parameter(
        default=0,
        domain=Integer(0, 10**6),
        unit="requests",
        symbol="m",
        about="requests that may be in service at once, the others waiting in the queue; 0 for as many as slots",
        slider=Slider(0, 100, 1),
    )

    def _check(self) -> None:
        super()._check()
        if math.isinf(self.service.mean()):
            raise ValueError(f"ContendedPool.service must have a finite mean above 0 s; got {short(self.service)}")

    @property
    def concurrency(self) -> int:
        """n, the most requests in service at once."""
        return min(self._slots, self.limit) if self.limit else self._slots

    def _rate(self, concurrency: float) -> float:
        """X(k)."""
        return float(usl_throughput(concurrency, 1.0 / self.service.mean(), self.contention, self.coherency))

    @functools.cached_property
    def _rates(self) -> tuple[float, ...]:
        if self.concurrency > MOST_SERVED:
            raise NoClosedForm(
                f"ContendedPool has a closed form for up to {MOST_SERVED:,} requests in service, not for "
                f"{self.concurrency:,}: set a limit"
            )
        there = np.arange(1.0, self.concurrency + 1.0)
        rates = usl_throughput(there, 1.0 / self.service.mean(), self.contention, self.coherency)
        return tuple(np.asarray(rates).tolist())

    @property
    def _percentiles_known(self) -> bool:
        return self.concurrency + 2 * longest_queue(self.arrival_rate, self._rates) <= MOST_STATES

    def _accuracy(self, metric: str, level: float | None = None) -> Accuracy:
        """Exact for exponential service; of the latency of many slots only the mean."""
        declared = self._answer(metric).accuracy
        if metric in LOADS or self._overloaded:
            return declared
        if metric == "latency" and level is not None and self._exponential and not self._percentiles_known:
            return SIMULATED
        return super()._accuracy(metric, level)

    @answer("", "arrival rate over what all slots together serve; above 1 overloaded")
    def utilization(self) -> float:
        """lambda / X(n)."""
        return self.arrival_rate / self.capacity

    @answer("requests/s", "what is served with as many requests in service as may be")
    def capacity(self) -> float:
        """X(n)."""
        return self._rate(self.concurrency)

    @answer(
        "requests", "requests in service at once that are served fastest; beyond it, each slows the others too much"
    )
    def peak_concurrency(self) -> float:
        """sqrt((1 - a) / b), no whole number as a rule; infinite without coherency."""
        return max(1.0, float(usl_peak(self.contention, self.coherency)))

    @answer("requests", "the limit on concurrency, within the slots, that serves most")
    def best_limit(self) -> int:
        """The better of the whole numbers around the peak."""
        if self.peak_concurrency >= self._slots:
            return self._slots
        below = math.floor(self.peak_concurrency)
        return max((below, min(below + 1, self._slots)), key=self._rate)

    @answer("requests/s", "what is served with that limit")
    def best_capacity(self) -> float:
        """X at the best limit."""
        return self._rate(self.best_limit)

    @answer("", "what that limit adds to the capacity, relative to it as it is")
    def capacity_gain(self) -> float:
        """X(best limit) / X(n) - 1."""
        return self.best_capacity / self.capacity - 1.0
