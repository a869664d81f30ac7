"""A step of load and the servers that come for it: parameters, the fluid, and how far that can be believed."""

from __future__ import annotations

import functools
import math
from typing import ClassVar

import numpy as np

from scaling_models.answers import Accuracy, Assumption, Model, NoClosedForm, answer
from scaling_models.domains import Integer, Real
from scaling_models.latency import SPREAD, Distribution, Exponential
from scaling_models.parameters import Slider, parameter
from scaling_models.pools.bases.services import check_service
from scaling_models.pools.formulas import load_step as formulas

SURE, ROUGH = 4.0, 2.5  # standard deviations that the backlog's mean must lie above zero
NEAR = Accuracy("within 3%", 0.03, "backlog at least 4 of its standard deviations; chance adds a twentieth at most")
FAR = Accuracy("within 15%", 0.15, "backlog at least 2.5 of its standard deviations; chance adds three tenths at most")
NONE = Accuracy("simulated", None, "the backlog is small beside its chance fluctuations")
NO_DRAIN = Accuracy("simulated", None, "the new servers take about as many at once as wait, or go out of step")


class SteppedPool(Model):
    """Base of `LoadStep`: what it is given, the fluid that follows, and what is believed of it."""

    violations: ClassVar[tuple[str, ...]] = ("servers come late",)
    _assumptions: ClassVar[tuple[Assumption, ...]] = (
        Assumption("the new servers come all at once, and warm", "optimistic if they come late or cold"),
        Assumption("nobody gives up or retries", "pessimistic if requests are abandoned, optimistic if retried"),
        Assumption("one queue before all servers", "optimistic if requests wait at busy servers"),
        Assumption("the load stays until the queue is gone", "pessimistic if the surge is short"),
    )

    before: float = parameter(
        default=70.0,
        domain=Real(),
        unit="requests/s",
        symbol="λ₀",
        about="requests arriving a second before the step",
        slider=Slider(10, 200, 5),
    )
    after: float = parameter(
        default=110.0,
        domain=Real(),
        unit="requests/s",
        symbol="λ₁",
        about="requests arriving a second after it",
        slider=Slider(10, 200, 5),
    )
    servers: int = parameter(
        default=10,
        domain=Integer(1, 10**4),
        unit="servers",
        symbol="N",
        about="servers in the pool, one request at a time each",
        slider=Slider(1, 40, 1),
    )
    added: int = parameter(
        default=2,
        domain=Integer(0, 10**4),
        unit="servers",
        symbol="ΔN",
        about="servers that come",
        slider=Slider(0, 20, 1),
    )
    provisioning: float = parameter(
        default=120.0,
        domain=Real(),
        unit="s",
        symbol="D",
        about="time from the beginning of the step until they do",
        slider=Slider(10, 600, 10),
    )
    ramp: float = parameter(
        default=0.0,
        domain=Real(open_low=False),
        unit="s",
        symbol="r",
        about="time within which the load climbs",
        slider=Slider(0, 600, 10),
    )
    service: Distribution = parameter(
        default=Exponential(0.1), domain=SPREAD, unit="s", symbol="S", about="the time that a request takes a server"
    )

    def _check(self) -> None:
        check_service(type(self).__name__, self.service)
        if self.ramp > self.provisioning:
            raise ValueError(
                f"{type(self).__name__}.ramp must lie in [0, {self.provisioning:g}] s, the time of provisioning; "
                f"got {self.ramp!r}"
            )

    @functools.cached_property
    def _step(self) -> formulas.Step:
        speed = 1.0 / self.service.mean()
        servers = (self.servers, self.servers + self.added)
        return formulas.Step(self.before, self.after, *servers, speed, self.provisioning, self.ramp)

    @property
    def _overloaded(self) -> bool:
        """Whether there was no steady state before the step already."""
        return self.before >= self.capacity

    def _needs_a_queue(self) -> None:
        if not self._overloaded and not self.startup_time < self.provisioning:
            raise NoClosedForm(
                f"{type(self).__name__}: the servers carry the new load until more come, so that no queue builds up "
                "beyond what chance makes: simulate it, or see CentralQueue"
            )
        if not self._overloaded and not self._believable:
            raise NoClosedForm(
                f"{type(self).__name__}: the backlog is small beside its chance fluctuations: simulate it"
            )

    @functools.cached_property
    def _spread(self) -> float:
        """The root of arrivals + scv x services since the start-up, where there is one before the delay is over."""
        came = formulas.arrived(self._step, np.array([self.startup_time, self.provisioning]))
        served = self.capacity * (self.provisioning - self.startup_time)
        return math.sqrt(float(came[1] - came[0]) + self.service.scv * served)

    @functools.cached_property
    def _sure(self) -> float:
        """How many standard deviations the fluid's backlog lies above zero."""
        return float(formulas.fluid_backlog(self._step, self.provisioning)) / self._spread

    @functools.cached_property
    def _added(self) -> float:
        """What chance adds, relative to the fluid's backlog."""
        return self._mean_backlog / float(formulas.fluid_backlog(self._step, self.provisioning)) - 1.0

    @property
    def _believable(self) -> bool:
        return self._sure >= ROUGH and self._added < 0.3

    @functools.cached_property
    def _left(self) -> float:
        """Requests that wait on as the new servers have each begun one."""
        return self._mean_backlog - self.added

    @property
    def _together(self) -> float:
        """What services that begin all at once do more or less by (scv - 1) / 2 each, relative to those left."""
        return self.added * abs(self.service.scv - 1.0) / 2.0 / self._left

    @property
    def _drains(self) -> bool:
        """Whether so many are left that chance does not decide if any are, and the new servers go out of step."""
        return self._left >= ROUGH * self._spread and self._together <= 0.1

    def _accuracy(self, metric: str, level: float | None = None) -> Accuracy:
        """By how far the backlog lies above its own fluctuations, and above what chance adds to the fluid."""
        declared = super()._accuracy(metric, level)
        if metric in ("capacity", "new_capacity", "startup_time") or self._overloaded:
            return declared
        if self.startup_time >= self.provisioning or not self._believable:
            return NONE
        if metric in ("worst_wait", "drain_time") and self.after >= self.new_capacity:
            return declared  # without end
        exact_chance = self.ramp == 0 and self.service.scv == 1.0
        near = self._sure >= SURE and (exact_chance or self._added < 0.05)
        if metric == "drain_time":
            if not self._drains:
                return NO_DRAIN
            near = near and self._left >= SURE * self._spread and self._together <= 0.02
        return NEAR if near and (level is None or self._sure >= 3 * SURE) else FAR

    @answer("requests/s", "what the first servers can serve a second")
    def capacity(self) -> float:
        """N / E[S]."""
        return self.servers / self.service.mean()

    @answer("requests/s", "what all servers can serve a second, once the new ones are there")
    def new_capacity(self) -> float:
        """(N + added) / E[S]."""
        return (self.servers + self.added) / self.service.mean()

    @answer("s", "time from the step until the first servers are all busy")
    def startup_time(self) -> float:
        """log((after - before) / (after - capacity)) E[S] after a step; inf where they carry the new load. Fluid."""
        return float(formulas.start_up(self._step))

    @functools.cached_property
    def _mean_backlog(self) -> float:
        return formulas.mean_backlog(self._step)
