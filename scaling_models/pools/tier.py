"""A tier of a system: one queue before its slots, which a request visits more or less often."""

from __future__ import annotations

import math

from scaling_models.domains import Integer, Real
from scaling_models.latency import SPREAD, Distribution, Exponential
from scaling_models.parameters import Declared, Slider, parameter
from scaling_models.pools.bases.slots import slots_each
from scaling_models.wording import short


class Tier(Declared):
    """One queue before `servers` x `workers` slots, which a request visits `visits` times on average."""

    servers: int = parameter(
        default=4,
        domain=Integer(1, 10**6),
        unit="servers",
        symbol="N",
        about="servers of the tier",
        slider=Slider(1, 50, 1),
    )
    workers: int = slots_each()
    service: Distribution = parameter(
        default=Exponential(0.010), domain=SPREAD, unit="s", symbol="S", about="the time that a visit occupies a slot"
    )
    visits: float = parameter(
        default=1.0,
        domain=Real(0.0, 1000.0),
        unit="visits",
        symbol="v",
        about="visits of a request on average: below 1 the chance of one, above 1 one after the other",
        slider=Slider(0.1, 10.0, 0.1),
    )

    def _check(self) -> None:
        if not 0 < self.service.mean() < math.inf:
            raise ValueError(f"Tier.service must have a finite mean above 0 s; got {short(self.service)}")

    @property
    def slots(self) -> int:
        """c = servers x workers."""
        return self.servers * self.workers
