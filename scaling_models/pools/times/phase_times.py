"""Wait and response time of M/PH/c as distributions."""

from __future__ import annotations

import functools

from scaling_models.domains import Integer, Real
from scaling_models.latency import LATENCY, Distribution, Exponential
from scaling_models.latency.phase_type import PhaseType
from scaling_models.latency.phases import Phases
from scaling_models.parameters import parameter
from scaling_models.pools.formulas.phase_queue import PhaseQueue, phase_queue
from scaling_models.wording import short


@functools.lru_cache(maxsize=64)
def solved(arrival_rate: float, slots: int, service: Distribution) -> PhaseQueue:
    """The queue, for a service that has phases."""
    assert service.phases is not None
    return phase_queue(arrival_rate, slots, service.phases)


class PhaseTime(PhaseType):
    """Base: a time in the queue M/PH/c; see `phase_queue`. Exact."""

    arrival_rate: float = parameter(
        default=800.0, domain=Real(), unit="requests/s", symbol="λ", about="requests arriving a second"
    )
    slots: int = parameter(default=10, domain=Integer(1, 10**10), unit="slots", symbol="c", about="slots of the pool")
    service: Distribution = parameter(
        default=Exponential(0.010), domain=LATENCY, unit="s", symbol="S", about="the service, which has phases"
    )

    def _check(self) -> None:
        if self.service.phases is None:
            raise ValueError(f"{type(self).__name__}.service must have phases; got {short(self.service)}")
        if not self.arrival_rate * self.service.mean() < self.slots:
            raise ValueError(
                f"{type(self).__name__}.arrival_rate must lie below slots / E[service] = "
                f"{self.slots / self.service.mean():g} requests/s; got {self.arrival_rate!r}"
            )

    @property
    def _queue(self) -> PhaseQueue:
        return solved(self.arrival_rate, self.slots, self.service)


class PhaseWait(PhaseTime):
    """The wait of those who have to wait in M/PH/c."""

    @property
    def phases(self) -> Phases:
        """Those of all slots together."""
        return self._queue.wait


class PhaseResponse(PhaseTime):
    """Wait and service in M/PH/c."""

    @property
    def phases(self) -> Phases:
        """Those of the service, and then those of all slots together."""
        service = self.service.phases
        assert service is not None
        return self._queue.response(service)
