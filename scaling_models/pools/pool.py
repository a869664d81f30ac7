"""What all pools share: the workload's parameters, utilization, and the answers in terms of the latency."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from scaling_models.answers import Accuracy, Assumption, Model, NoClosedForm, Simulation, Timeline, answer
from scaling_models.latency import LATENCY, Deterministic, Distribution, Exponential, Never, mixture
from scaling_models.montecarlo.estimates import Estimate
from scaling_models.montecarlo.pools import PoolRun, traffic
from scaling_models.montecarlo.stalls import in_flight
from scaling_models.parameters import Integer, Real, Slider, parameter
from scaling_models.pools.erlang import erlang_c
from scaling_models.pools.responses import ErlangResponse

Array = NDArray[np.float64]
EXPONENTIAL_AT = np.array([0.01, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0])  # means
MOST_DRAWN = 20_000  # requests of a timeline
SIMULATED = Accuracy("simulated", None, "no closed form yet for a service that is not exponential")


class Pool(Model):
    """Base of the pools: requests arrive at `arrival_rate` and each wants a `service` from one of `servers`.

    A subclass says how many queues there are and how many slots stand behind each; every queue is an M/M/c then.
    """

    arrival_rate: float = parameter(
        default=800.0,
        domain=Real(),
        unit="requests/s",
        symbol="λ",
        about="requests arriving a second",
        slider=Slider(10, 2000, 10),
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
        domain=LATENCY,
        unit="s",
        symbol="S",
        about="the time that a request occupies a slot",
    )

    _assumptions: ClassVar[tuple[Assumption, ...]] = (
        Assumption("Poisson arrivals", "optimistic if arrivals are bursty"),
        Assumption("service times independent of each other and of the load", "optimistic if servers slow under load"),
        Assumption("equal servers that never fail", "optimistic if one is slow or down"),
        Assumption("nobody gives up or retries", "pessimistic if requests are abandoned, optimistic if retried"),
    )

    @property
    def _queues(self) -> int:
        """How many queues share the arrivals."""
        raise NotImplementedError

    @property
    def _slots(self) -> int:
        """How many slots stand behind each queue."""
        raise NotImplementedError

    @functools.cached_property
    def _exponential(self) -> bool:
        """Whether the service is exponential, whatever it is called: its ccdf is e^{-t/m} at several t."""
        mean = self.service.mean()
        if not 0 < mean < math.inf:
            return False
        t = mean * EXPONENTIAL_AT
        return bool(np.allclose(self.service.ccdf(t), np.exp(-EXPONENTIAL_AT), rtol=1e-9, atol=0.0))

    @property
    def _exponential_rate(self) -> float:
        """The service rate 1/s, where the closed form holds: where the service is exponential."""
        if not self._exponential:
            raise NoClosedForm(
                f"{type(self).__name__} has a closed form for exponential service only (so far), not for "
                f"{type(self.service).__name__}: simulate it"
            )
        return 1.0 / self.service.mean()

    @property
    def _drain(self) -> float:
        """The rate at which a queue with all slots busy empties (1/s); not positive when overloaded."""
        return self._slots / self.service.mean() - self.arrival_rate / self._queues

    def accuracy(self, metric: str, level: float | None = None) -> Accuracy:
        """Exact for exponential service and at overload; else only the load is known, and the rest is simulated."""
        declared = super().accuracy(metric, level)
        known = metric in ("utilization", "offered_load") or self._exponential or self._drain <= 0
        return declared if known else SIMULATED

    @answer("", "share of the slots' time that is busy: arrival rate x mean service / slots; above 1 overloaded")
    def utilization(self) -> float:
        """rho = lambda E[S] / (number of slots)."""
        return self.offered_load / (self._queues * self._slots)

    @answer("erlangs", "mean number of slots that the arrivals would occupy")
    def offered_load(self) -> float:
        """a = lambda E[S]."""
        return self.arrival_rate * self.service.mean()

    @answer("", "share of the requests that find no slot free")
    def probability_of_wait(self) -> float:
        """Erlang C of one queue; 1 at overload."""
        if self._drain <= 0:
            return 1.0
        self._exponential_rate  # noqa: B018  # refuses other services
        return float(erlang_c(self._slots, self.offered_load / self._queues))

    @answer("s", "time before a slot takes the request")
    def wait(self) -> Distribution:
        """Zero with probability 1 - C, else exponential with rate c mu - lambda."""
        if self._drain <= 0:
            return Never()
        chance = self.probability_of_wait
        return mixture((1.0 - chance, chance), (Deterministic(0.0), Exponential(1.0 / self._drain)))

    @answer("s", "time from arrival to reply: wait and service")
    def latency(self) -> Distribution:
        """The wait plus an independent service: see `ErlangResponse`."""
        if self._drain <= 0:
            return Never()
        return ErlangResponse(self._exponential_rate, self._drain, self.probability_of_wait)

    @answer("requests", "mean number of requests in the pool, waiting or served")
    def in_flight(self) -> float:
        """Little's law: lambda E[T]."""
        mean = self.latency.mean()
        return self.arrival_rate * mean if math.isfinite(mean) else math.inf

    def _stalled(self, arrivals: Array, services: Array, at: float, length: float, seed: int) -> Array:
        """Waits of the given requests where every slot stands still for `length` from `at` on."""
        raise NotImplementedError

    def timeline(self, seed: int = 0) -> Timeline:
        """Every slot stands still for a second (less in a huge pool, more in a slow one): how long until it is over?"""
        if self._drain <= 0:
            raise ValueError(
                f"utilization is {self.utilization:.2f}: overloaded, the queue grows with nothing breaking"
            )
        stall = min(max(1.0, 20.0 * self.service.mean()), MOST_DRAWN / 20.0 / self.arrival_rate)
        horizon = min(stall * (2.0 + 1.5 / (1.0 - self.utilization)), MOST_DRAWN / self.arrival_rate)
        draws = traffic(self.arrival_rate, self.service, seed)
        services, gaps = draws.draw((2,), (int(self.arrival_rate * horizon) + 1,))
        arrivals = np.cumsum(gaps)
        done = arrivals + services + self._stalled(arrivals, services, stall, stall, seed)
        times = np.linspace(0.0, float(arrivals[-1]), 400)
        count = in_flight(arrivals, done, times)
        ordinary = self.offered_load + float(erlang_c(self._slots, self.offered_load / self._queues)) * (
            self.utilization / (1.0 - self.utilization) * self._queues
        )
        over = times[(times > 2 * stall) & (count <= ordinary)]
        last = f"{over[0] - 2 * stall:.2g} s later" if over.size else "not within this picture"
        return Timeline(
            f"A stall of {stall:.2g} s at {self.utilization:.0%} load leaves {count.max():.0f} requests in the pool "
            f"(usually {ordinary:.0f}); back to usual {last}",
            times,
            {"requests in the pool": count},
            "requests",
            ((stall, "all slots stall"), (2 * stall, "they resume")),
        )

    def _simulation(self, run: PoolRun, requests: int, seed: int) -> Simulation:
        mean = run.latency.mean_estimate()
        rate, busy, slots = self.arrival_rate, run.utilization, self._queues * self._slots
        return Simulation(
            self,
            requests,
            seed,
            utilization=run.utilization,
            offered_load=dataclasses.replace(run.utilization, value=busy.value * slots, error=busy.error * slots),
            probability_of_wait=run.probability_of_wait,
            wait=run.wait,
            latency=run.latency,
            in_flight=Estimate(rate * mean.value, rate * mean.error, mean.freedom),
        )
