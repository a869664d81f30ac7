"""A pool whose servers are renewed batch by batch: its parameters, its fluid, and how far that can be believed."""

from __future__ import annotations

import functools
import math
from typing import ClassVar

import numpy as np

from scaling_models.answers import Accuracy, Assumption, Model
from scaling_models.domains import Integer, Real
from scaling_models.latency import SPREAD, Distribution, Exponential
from scaling_models.parameters import Slider, parameter
from scaling_models.pools.bases.services import check_service
from scaling_models.pools.bases.slots import slots_each
from scaling_models.pools.central_queue import CentralQueue
from scaling_models.pools.formulas.deploys import Rollout, relaxation_time, rollout
from scaling_models.pools.formulas.load_step import Step, beyond_the_relief, fluid_backlog, mean_backlog

SURE, ROUGH = 4.0, 2.5  # standard deviations that the backlog's mean must lie above zero
STEADY = "the transient at the absence's begin, and the formula for the pool that is left, add up to so much at most"
NEAR = Accuracy("within 3%", 0.03, STEADY)
FAR = Accuracy("within 15%", 0.15, STEADY)
SWAMPED = Accuracy("within 3%", 0.03, "backlog at least 4 of its standard deviations, and chance small beside it")
CROWDED = Accuracy("within 15%", 0.15, "backlog at least 2.5 of its standard deviations")
NONE = Accuracy("simulated", None, "no usable closed form at these parameters")


class DeployedPool(Model):
    """Base of `RollingDeploy`: what it is given, the pools and the fluid that follow, and what is believed of them."""

    violations: ClassVar[tuple[str, ...]] = ("servers come back cold", "services vary more")
    _assumptions: ClassVar[tuple[Assumption, ...]] = (
        Assumption("servers come back warm, and always come back", "optimistic if caches are cold or a deploy fails"),
        Assumption("one queue before all servers", "optimistic if requests wait at busy servers"),
        Assumption("Poisson arrivals at one rate", "optimistic if arrivals are bursty, or the deploy meets a peak"),
        Assumption("requests that are cut are not retried", "optimistic if they are"),
        Assumption("the drain time is waited for in full", "pessimistic if idle servers go on at once"),
    )

    arrival_rate: float = parameter(
        default=70.0,
        domain=Real(),
        unit="requests/s",
        symbol="λ",
        about="requests arriving a second",
        slider=Slider(5, 200, 5),
    )
    servers: int = parameter(
        default=10,
        domain=Integer(1, 10**4),
        unit="servers",
        symbol="N",
        about="servers in the pool",
        slider=Slider(1, 40, 1),
    )
    batch: int = parameter(
        default=2,
        domain=Integer(1, 10**4),
        unit="servers",
        symbol="b",
        about="servers that are away at once",
        slider=Slider(1, 20, 1),
    )
    drain: float = parameter(
        default=0.5,
        domain=Real(open_low=False),
        unit="s",
        symbol="d",
        about="time that a server may take to finish what it serves, before it restarts",
        slider=Slider(0, 30, 0.1),
    )
    restart: float = parameter(
        default=60.0,
        domain=Real(),
        unit="s",
        symbol="r",
        about="time from there until it takes requests again",
        slider=Slider(5, 300, 5),
    )
    pause: float = parameter(
        default=30.0,
        domain=Real(open_low=False),
        unit="s",
        symbol="",
        about="time between a batch's return and the next one's leaving",
        slider=Slider(0, 300, 5),
    )
    service: Distribution = parameter(
        default=Exponential(0.1), domain=SPREAD, unit="s", symbol="S", about="the time that a request occupies a slot"
    )
    workers: int = slots_each(10**3)

    def _check(self) -> None:
        check_service(type(self).__name__, self.service)

    @functools.cached_property
    def _batch(self) -> int:
        return min(self.batch, self.servers)

    @property
    def _slots(self) -> int:
        return self.servers * self.workers

    @property
    def _left(self) -> int:
        return self._slots - self._batch * self.workers

    @property
    def _load(self) -> float:
        return self.arrival_rate * self.service.mean()

    @property
    def _away(self) -> float:
        return self.drain + self.restart

    @functools.cached_property
    def _batches(self) -> tuple[int, ...]:
        """Servers in each batch."""
        whole, rest = divmod(self.servers, self._batch)
        return (self._batch,) * whole + ((rest,) if rest else ())

    def _pool(self, servers: int) -> CentralQueue:
        return CentralQueue(self.arrival_rate, servers, self.service, self.workers)

    @functools.cached_property
    def _outside(self) -> CentralQueue:
        return self._pool(self.servers)

    @functools.cached_property
    def _rollout(self) -> Rollout:
        slots = tuple(each * self.workers for each in self._batches)
        return rollout(slots, self._slots, self._load, 1.0 / self.service.mean(), self._away, self.pause)

    @property
    def _overloaded(self) -> bool:
        """Whether all servers together do not carry the load."""
        return self._load >= self._slots

    @property
    def _swamped(self) -> bool:
        """Whether those that are left do not."""
        return self._load >= self._left

    def _relaxation(self) -> float:
        return relaxation_time(self._left, self._load, 1.0 / self.service.mean(), self.service.scv)

    def _steady(self, level: float | None) -> Accuracy:
        """Of the latency while a batch is away: between the service's and the stationary one, for a relaxation time."""
        if self._swamped:
            return NONE
        left = self._pool(self.servers - self._batch)
        formula = left.accuracy("latency", level)
        if formula.error is None:
            return NONE
        if level is None:
            low, high = self.service.mean(), left.latency.mean()
        else:
            low, high = float(self.service.icdf(level)), float(left.latency.icdf(level))
        off = formula.error + (1.0 - low / high) * min(1.0, self._relaxation() / self._away)
        return NEAR if off <= 0.03 else FAR if off <= 0.15 else NONE

    @functools.cached_property
    def _worst(self) -> int:
        """The batch at whose return most requests wait, in the fluid."""
        return int(np.argmax(self._rollout.waiting))

    @functools.cached_property
    def _step(self) -> Step:
        """The worst batch's leaving as a step of load on the servers that it leaves."""
        slots = self._slots - self._batches[self._worst] * self.workers
        before = self.arrival_rate * slots / self._slots
        return Step(before, self.arrival_rate, slots, self._slots, 1.0 / self.service.mean(), self._away)

    @functools.cached_property
    def _chance(self) -> float:
        """Requests that chance adds to the fluid's backlog: what servers idle before they are all busy."""
        return float(mean_backlog(self._step) - fluid_backlog(self._step, self._away)) if self._step.few else 0.0

    @functools.cached_property
    def _beyond(self) -> float:
        """Seconds by which chance moves the longest wait beyond the return."""
        return float(beyond_the_relief(self._step))

    @functools.cached_property
    def _spread(self) -> float:
        """Standard deviation of the fluid's backlog: the root of (1 + scv) x arrivals since the queue began."""
        left = self._rollout.left[: self._worst + 1]
        batches = len(left) - max(i for i, level in enumerate(left) if level == 0)
        lasts = batches * self._away + (batches - 1) * self.pause
        return math.sqrt((1.0 + self.service.scv) * self.arrival_rate * lasts)

    @property
    def _regular(self) -> bool:
        """Whether chance does not decide if a pause suffices to drain."""
        spare = self._slots - self._load
        for number, (waiting, left) in enumerate(zip(self._rollout.waiting, self._rollout.left[1:], strict=False)):
            rest = waiting - self._batches[number] * self.workers - spare * self.pause / self.service.mean()
            if abs(left if left > 0 else min(rest, 0.0)) < 3.0 * self._spread:
                return False
        return True

    def _queue(self, batch: int) -> Accuracy:
        """Of what waits as a batch comes back: by its chance fluctuations."""
        waiting, alike = self._rollout.waiting[batch], self._batches[batch] == self._batches[self._worst]
        if waiting < ROUGH * self._spread or self._chance > 0.3 * waiting:
            return NONE
        share = max(self._chance, self._beyond * self.arrival_rate) / waiting
        near = waiting >= SURE * self._spread and self._regular and alike and self.service.scv == 1.0 and share <= 0.05
        return SWAMPED if near else CROWDED if share <= 0.3 else NONE

    def _drain(self) -> Accuracy:
        """Of the time until no request waits: by those left as the last batch has begun as many as it can.

        Services that begin all at once do more or less by (scv - 1) / 2 each.
        """
        slots = self._batches[-1] * self.workers
        left, found = self._rollout.waiting[-1] + self._chance - slots, self._queue(-1)
        if found is NONE or left < ROUGH * self._spread or slots * abs(self.service.scv - 1.0) / 2.0 > 0.1 * left:
            return NONE
        return found if left >= SURE * self._spread else CROWDED
