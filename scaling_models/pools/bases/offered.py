"""What is offered to a pool: the workload's parameters, the load that they make, and the requests as they come."""

from __future__ import annotations

import functools
import math
from typing import ClassVar

from scaling_models.answers import Assumption, Model, answer
from scaling_models.domains import Integer, Real
from scaling_models.latency import SPREAD, Distribution, Exponential
from scaling_models.montecarlo.traffic.arrivals import Batches, Correlated, Renewal
from scaling_models.montecarlo.traffic.flows import Flow
from scaling_models.parameters import Slider, parameter
from scaling_models.pools.bases.services import check_service
from scaling_models.pools.bases.slots import slots_each
from scaling_models.pools.formulas.walks import is_exponential
from scaling_models.wording import short

BATCH = 4.0  # requests that come together, where bursts are shown
RESEMBLANCE = 0.9  # of neighbouring services, where their correlation is shown


class Offered(Model):
    """Base of `Pool`: requests arrive at `arrival_rate`, and each wants a `service` from one of `servers`."""

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
        domain=SPREAD,
        unit="s",
        symbol="S",
        about="the time that a request occupies a slot",
    )
    workers: int = slots_each()

    _assumptions: ClassVar[tuple[Assumption, ...]] = (
        Assumption("Poisson arrivals", "optimistic if arrivals are bursty"),
        Assumption("service times independent of each other and of the load", "optimistic if servers slow under load"),
        Assumption("equal servers that never fail", "optimistic if one is slow or down"),
        Assumption("nobody gives up or retries", "pessimistic if requests are abandoned, optimistic if retried"),
    )
    violations: ClassVar[tuple[str, ...]] = ("arrivals in bursts", "correlated services")

    def _check(self) -> None:
        if self.service.mean() == 0:
            raise ValueError(
                f"{type(self).__name__}.service must take longer than 0 s on average; got {short(self.service)}"
            )
        check_service(type(self).__name__, self.service)

    @property
    def _slots(self) -> int:
        return self.servers * self.workers

    @property
    def _full_speed_slots(self) -> float:
        """How many slots of speed 1 the pool is worth."""
        return float(self._slots)

    @property
    def _overloaded(self) -> bool:
        return self.utilization >= 1.0

    @functools.cached_property
    def _exponential(self) -> bool:
        """Whether the service is exponential, whatever it is called."""
        return is_exponential(self.service)

    @answer("", "share of the slots' time that is busy: arrival rate x mean service / slots; above 1 overloaded")
    def utilization(self) -> float:
        """rho = lambda E[S] / (number of slots of speed 1)."""
        return self.offered_load / self._full_speed_slots

    @answer("erlangs", "mean number of slots that the arrivals would occupy")
    def offered_load(self) -> float:
        """a = lambda E[S]."""
        return self.arrival_rate * self.service.mean()

    def _gap(self, gaps: Distribution | None) -> Distribution:
        """Between arrivals at their rate: exponential, unless `gaps` give another shape."""
        shape = Exponential(1.0) if gaps is None else gaps
        if not 0.0 < shape.mean() < math.inf:
            raise ValueError(f"{type(self).__name__}: gaps must have a finite mean above 0 s; got {short(shape)}")
        return shape * (1.0 / self.arrival_rate / shape.mean())

    def flow(self, violating: str | None = None, gaps: Distribution | None = None) -> Flow:
        """The requests as they come: Poisson, unless an assumption is to be violated, or `gaps` gives another shape.

        "arrivals in bursts": four at a time on average, as many a second. "correlated services": each resembles the one
        before it (normal scores correlated by 0.9), of the same distribution.
        """
        gap = self._gap(gaps)
        kinds: dict[str | None, Flow] = {
            None: Renewal(gap, self.service),
            "arrivals in bursts": Batches(self.arrival_rate, BATCH, self.service),
            "correlated services": Correlated(gap, self.service, RESEMBLANCE),
        }
        return kinds[self.known_violation(violating)]
