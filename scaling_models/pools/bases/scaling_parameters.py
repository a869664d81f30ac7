"""What a control rule for servers is given, and the step of load that it meets."""

from __future__ import annotations

import math
from typing import ClassVar

from scaling_models.answers import Assumption, Model
from scaling_models.domains import Integer, Real
from scaling_models.latency import SPREAD, Distribution, Exponential
from scaling_models.parameters import Slider, parameter
from scaling_models.pools.bases.services import check_service
from scaling_models.wording import short


class ScalingParameters(Model):
    """Base of `ScaledPool`: the parameters, and what is taken for granted."""

    violations: ClassVar[tuple[str, ...]] = ("servers come late", "the metric lags")
    _assumptions: ClassVar[tuple[Assumption, ...]] = (
        Assumption("servers take exactly the time of provisioning, and come warm", "optimistic if late or cold"),
        Assumption("the load steps at a tick, and the metric is the last period's", "optimistic if the metric lags"),
        Assumption("one queue before all servers", "optimistic if requests wait at busy servers"),
        Assumption("nobody gives up or retries", "pessimistic if requests are abandoned, optimistic if retried"),
        Assumption("the load stays after its step", "pessimistic if the surge is short"),
    )

    before: float = parameter(
        default=110.0,
        domain=Real(),
        unit="requests/s",
        symbol="λ₀",
        about="requests arriving a second before the step",
        slider=Slider(10, 600, 10),
    )
    after: float = parameter(
        default=360.0,
        domain=Real(),
        unit="requests/s",
        symbol="λ₁",
        about="requests arriving a second after it",
        slider=Slider(20, 1200, 20),
    )
    target: float = parameter(
        default=0.6,
        domain=Real(0.0, 1.0),
        unit="",
        symbol="u*",
        about="the utilization that the rule steers to",
        slider=Slider(0.3, 0.95, 0.05),
    )
    period: float = parameter(
        default=15.0,
        domain=Real(),
        unit="s",
        symbol="P",
        about="time from one decision to the next, over which utilization is averaged",
        slider=Slider(5, 60, 5),
    )
    provisioning: float = parameter(
        default=15.0,
        domain=Real(open_low=False),
        unit="s",
        symbol="D",
        about="time from an order until its servers take requests",
        slider=Slider(0, 300, 5),
    )
    stabilization: float = parameter(
        default=300.0,
        domain=Real(open_low=False),
        unit="s",
        symbol="",
        about="time over which the most servers wanted count, before any are taken away",
        slider=Slider(0, 900, 30),
    )
    tolerance: float = parameter(
        default=0.1,
        domain=Real(open_low=False),
        unit="",
        symbol="",
        about="relative distance from the target within which nothing is changed",
        slider=Slider(0, 0.3, 0.05),
    )
    least: int = parameter(
        default=2,
        domain=Integer(1, 10**4),
        unit="servers",
        symbol="n₋",
        about="fewest servers",
        slider=Slider(1, 40, 1),
    )
    most: int = parameter(
        default=60,
        domain=Integer(1, 10**4),
        unit="servers",
        symbol="n₊",
        about="most servers",
        slider=Slider(1, 200, 1),
    )
    service: Distribution = parameter(
        default=Exponential(0.05), domain=SPREAD, unit="s", symbol="S", about="the time that a request takes a server"
    )

    def _check(self) -> None:
        check_service(type(self).__name__, self.service)
        if self.least > self.most:
            raise ValueError(f"Autoscaler.least must lie in [1, {self.most}] servers, the most; got {self.least!r}")
        if math.isinf(self.service.mean()):  # so many servers cannot be counted
            raise ValueError(f"Autoscaler.service must have a finite mean above 0 s; got {short(self.service)}")
