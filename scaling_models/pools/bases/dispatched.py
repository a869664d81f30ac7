"""Pools behind a balancer that sends every request to a server as it comes."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import ClassVar

import numpy as np

from scaling_models.answers import Accuracy, NoClosedForm, answer
from scaling_models.domains import Choice, Integer, Real
from scaling_models.latency import Deterministic, Distribution, Never, fastest
from scaling_models.montecarlo.kernels.dispatch import Dispatch
from scaling_models.montecarlo.kernels.rules import Rule
from scaling_models.montecarlo.kernels.stalls import stalled_departures
from scaling_models.montecarlo.streams import streams_of
from scaling_models.montecarlo.traffic.flows import Flow
from scaling_models.parameters import Slider, parameter
from scaling_models.pools.bases.approximation import NONE, Approximation, Errors
from scaling_models.pools.bases.pool import Array, Pool
from scaling_models.pools.formulas.extras import found_balanced
from scaling_models.pools.formulas.profiles import Found

ERROR_TIME = 0.001  # in which a server that fails fast answers (s)


class Dispatched(Pool):
    """Base of pools behind a balancer whose servers are FIFO, or share themselves among all that they have."""

    discipline: str = parameter(
        default="fifo",
        domain=Choice(("fifo", "sharing")),
        about="each worker serves one request after the other, or the server all its requests at once",
    )

    first_speed: float = parameter(
        default=1.0,
        domain=Real(),
        symbol="v₁",
        about="speed of the first server, on which a service S takes S / v₁; the others have speed 1",
        slider=Slider(0.1, 2.0, 0.1),
    )
    first_answers: str = parameter(
        default="properly",
        domain=Choice(("properly", "errors in 1 ms")),
        about="whether the first server does its work, or fails fast: an error in a millisecond to whoever comes",
    )

    _other_services: ClassVar[tuple[float, float]] = (math.inf, math.inf)
    """How much more mean and quantiles err where services are not exponential, of scv 1 at most (see `stretched`)."""

    @property
    def _balancers(self) -> int:
        return 1

    @property
    def _usual_requests(self) -> int:
        many = super()._usual_requests
        return many // 5 if self.discipline == "sharing" else many  # sharing takes ten times as long a request

    @property
    def _fails_fast(self) -> bool:
        return self.first_answers != "properly"

    @property
    def _equal(self) -> bool:
        """Whether all servers are alike."""
        return self.first_speed == 1.0 and not self._fails_fast

    @property
    def _full_speed_slots(self) -> float:
        """In slots of speed 1: the slow server's count for less; one that fails fast counts as if it did its work."""
        return self._slots + (0.0 if self._fails_fast else self.workers * (self.first_speed - 1.0))

    @property
    def unloaded_latency(self) -> Distribution:
        """The latency of a request that is alone on the fastest server: an error in a millisecond of one that fails
        fast, unless all services are shorter."""
        if self._fails_fast:
            return fastest(self.service, Deterministic(ERROR_TIME))
        return self.service if self.first_speed <= 1.0 else self.service / self.first_speed

    @property
    def _demand(self) -> str:
        return "offered"

    def _rule(self) -> Rule:
        """How the balancer chooses."""
        raise NotImplementedError

    def _approximation(self) -> Approximation:
        """What arrivals find at FIFO servers with exponential service below capacity, or `NoClosedForm`."""
        raise self._simulate_it()

    def _finding(self, found: Found, errors: Errors) -> Approximation:
        """The approximation by what arrivals find, if the service is exponential."""
        return Approximation(found, errors, self.service, self.workers)

    def _alone(self) -> Approximation:
        """Servers that are each a queue M/M/k of their own: one alone, or drawn without a choice."""
        found = found_balanced(self.utilization, 1, self.workers)
        return self._finding(found, NONE)

    def _shared(self) -> Approximation:
        """What is known of sharing servers, or `NoClosedForm`: of exponential services the mean, which is FIFO's.

        For who leaves next is forgotten either way, so that the counts of requests, which the balancer sees, are alike.
        """
        if not self._exponential or self._balancers > 1:
            raise self._simulate_it()
        found = self._approximation()
        return self._by_mean(found, 0.0, found.errors.region)

    @staticmethod
    def _by_mean(found: Approximation, more: float, region: str) -> Approximation:
        """The same with so much more error of the mean, and nothing known of the rest."""
        errors = Errors(found.errors.mean + more, (math.inf,) * 4, math.inf, region, math.inf)
        return dataclasses.replace(found, errors=errors)

    @functools.cached_property
    def _known(self) -> Approximation:
        """The approximation, of servers that are all alike."""
        if not self._equal:
            raise self._simulate_it()
        if self.discipline == "sharing":
            return self._shared()
        found = self._approximation()
        return found if self._exponential else found.stretched(*self._other_services)

    def _accuracy(self, metric: str, level: float | None = None) -> Accuracy:
        """Of the load exact; of FIFO servers by the errors measured of the approximation; else simulated."""
        otherwise = super()._accuracy(metric, level)
        if metric == "error_share" and not self._fails_fast:
            return self._answer(metric).accuracy
        if otherwise.error is not None or metric in ("latency_low", "latency_high"):
            return otherwise
        try:
            return self._known.accuracy(metric, level)
        except NoClosedForm:
            return otherwise

    @answer("", "share of the requests that get an error at once, from a first server that fails fast")
    def error_share(self) -> float:
        """None, unless it fails fast: then it has fewer requests than the others, and attracts the more."""
        if self._fails_fast:
            raise self._simulate_it()
        return 0.0

    @answer("", "share of the requests that find no worker free at their server")
    def probability_of_wait(self) -> float:
        """1 at overload; else by what arrivals find."""
        return 1.0 if self._overloaded else self._known.probability_of_wait

    @answer("s", "time before a worker takes the request")
    def wait(self) -> Distribution:
        """Never at overload; else by what arrivals find."""
        return Never() if self._overloaded else self._known.wait

    @answer("s", "time from arrival to reply: wait and service")
    def latency(self) -> Distribution:
        """Never at overload; else the wait and an independent service."""
        return Never() if self._overloaded else self._known.latency

    def _system(self, flow: Flow) -> Dispatch:
        others = self.servers - 1
        return Dispatch(
            flow,
            self._rule(),
            self.servers,
            self.workers,
            self._balancers,
            speeds=None if self.first_speed == 1.0 else (self.first_speed,) + (1.0,) * others,
            fixed=(ERROR_TIME,) + (None,) * others if self._fails_fast else None,
            sharing=self.discipline == "sharing",
        )

    def _dealt(self) -> Dispatch:
        return self._system(self.flow())

    def _replayed(self, arrivals: Array, services: Array, seed: int) -> Array:
        system = self._dealt()
        if system.sharing:
            raise ValueError(f"{type(self).__name__}.replay: the servers must be FIFO; got discipline='sharing'")
        pool, _ = system.start(np.zeros(1), streams_of(seed))
        told = system.deal(pool, services[:, None], np.diff(arrivals, prepend=0.0)[:, None], streams_of(seed, 1))
        return np.asarray((told.waits + told.work)[:, 0])

    def _stalled(self, arrivals: Array, services: Array, at: float, length: float, seed: int) -> Array:
        return stalled_departures(self._system(self.flow()), arrivals, services, at, length, seed)


class Counting(Dispatched):
    """Base of pools whose balancers count the requests that they have at each server, each only its own."""

    balancers: int = parameter(
        default=1,
        domain=Integer(1, 1000),
        unit="balancers",
        symbol="m",
        about="balancers that share the requests, each knowing of its own only",
        slider=Slider(1, 20, 1),
    )

    @property
    def _balancers(self) -> int:
        return self.balancers

    def _shared(self) -> Approximation:
        """Of servers of one worker the mean: what the queues hold hardly depends on the services' distribution.

        Of constant, hyperexponential (scv 4) and lognormal (scv 10) ones at 10 and 50 servers the mean was off by 1.1%
        at most up to load 0.7, by 3.6% at 0.9.
        """
        if self._exponential:
            return super()._shared()
        load = self.utilization
        measured = self.servers >= 10 and load <= 0.9 and self.service.scv <= 10.0
        if self.workers > 1 or self.balancers > 1 or not measured:
            raise self._simulate_it()
        more = 0.011 if load <= 0.7 else 0.036
        return self._by_mean(self._approximation(), more, "10 servers or more, load up to 0.9, scv up to 10")
