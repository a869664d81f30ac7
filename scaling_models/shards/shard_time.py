"""The time of a request on one shard: waiting and service."""

from __future__ import annotations

import functools
import math

import numpy as np
from numpy.typing import NDArray
from scipy import special

from scaling_models.domains import Integer, Real
from scaling_models.latency import Distribution, Exponential, Never
from scaling_models.parameters import Slider, parameter

Array = NDArray[np.float64]
LAST = 40.0  # of the longer mean times


class ShardTime(Distribution):
    """The time from arrival to answer on a shard with k workers and exponential services (M/M/k), load below capacity.

    ccdf e^{-m t} + C m t e^{-a t} (1 - e^{-(b - a) t})/((b - a) t), m = capacity/k the rate of one worker, C Erlang's
    probability of waiting, a and b the smaller and the larger of m and capacity - arrival rate. Exact: no term is
    negative. Kleinrock, Queueing Systems I, 1975, section 3.5.
    """

    arrival_rate: float = parameter(
        default=500.0,
        domain=Real(open_low=False),
        unit="requests/s",
        symbol="λ",
        about="requests arriving a second",
        slider=Slider(0, 1000, 10),
    )
    capacity: float = parameter(
        default=1000.0,
        domain=Real(),
        unit="requests/s",
        symbol="μ",
        about="what all workers together can serve",
        slider=Slider(100, 10_000, 100),
    )
    workers: int = parameter(
        default=2,
        domain=Integer(1, 10**4),
        unit="workers",
        symbol="k",
        about="requests served at once",
        slider=Slider(1, 32, 1),
    )

    def _check(self) -> None:
        if self.arrival_rate >= self.capacity:
            raise ValueError(
                f"ShardTime.arrival_rate must lie in [0, {self.capacity:g}), below the capacity, requests/s; "
                f"got {self.arrival_rate!r}"
            )

    @functools.cached_property
    def _rates(self) -> tuple[float, float, float]:
        """Of one worker, of what capacity is spare, and the probability of waiting."""
        load = self.workers * self.arrival_rate / self.capacity
        log_all_busy = special.xlogy(self.workers, load) - load - special.gammaln(self.workers + 1.0)
        blocked = math.exp(log_all_busy) / float(special.pdtr(self.workers, load))  # Erlang B
        use = self.arrival_rate / self.capacity
        waiting = blocked / (1.0 - use * (1.0 - blocked))
        return self.capacity / self.workers, self.capacity - self.arrival_rate, waiting

    @functools.cached_property
    def cuts(self) -> Array:
        """From far below the mean to where 1e-17 is left."""
        worker, spare, _ = self._rates
        return np.append(0.0, np.geomspace(1e-3 / max(worker, spare), LAST / min(worker, spare), 24))

    def _both(self, t: Array) -> Array:
        """(e^{-a t} - e^{-b t})/(b - a)."""
        worker, spare, _ = self._rates
        slow, fast = min(worker, spare), max(worker, spare)
        return np.asarray(t * np.exp(-slow * t) * special.exprel(-(fast - slow) * t))

    def _ccdf(self, t: Array) -> Array:
        worker, _, waiting = self._rates
        return np.asarray(np.exp(-worker * t) + waiting * worker * self._both(t))

    def _pdf(self, t: Array) -> Array:
        worker, spare, waiting = self._rates
        served = (1.0 - waiting) * worker * np.exp(-worker * t)
        return np.asarray(served + waiting * worker * spare * self._both(t))

    def mean(self) -> float:
        """1/m + C/(capacity - arrival rate)."""
        worker, spare, waiting = self._rates
        return 1.0 / worker + waiting / spare

    def variance(self) -> float:
        """1/m^2 + C (2 - C)/(capacity - arrival rate)^2."""
        worker, spare, waiting = self._rates
        return 1.0 / worker**2 + waiting * (2.0 - waiting) / spare**2

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        worker, spare, waiting = self._rates
        waits = rng.standard_exponential(shape) / spare * (rng.random(shape) < waiting)
        return np.asarray(waits + rng.standard_exponential(shape) / worker)


def shard_time(arrival_rate: float, capacity: float, workers: int = 1) -> Distribution:
    """The time on a shard, plainly exponential of mean 1/(capacity - arrival rate) with one worker; never at overload.

    Rates in requests/s.
    """
    if arrival_rate >= capacity:
        return Never()
    if workers == 1:
        return Exponential(1.0 / (capacity - arrival_rate))
    return ShardTime(arrival_rate, capacity, workers)
