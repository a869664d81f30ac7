"""A pool without a queue, in which requests that call a dependency may hold only so many of the slots."""

from __future__ import annotations

import functools
import math
from typing import ClassVar, Self

import numpy as np

from scaling_models.answers import Accuracy, Assumption, Timeline, answer
from scaling_models.domains import Integer, Real
from scaling_models.latency import SPREAD, Deterministic, Distribution, Exponential, mixture
from scaling_models.montecarlo.estimates import Estimate, Sampled
from scaling_models.montecarlo.kernels.admission import Admission, AdmittedClass
from scaling_models.montecarlo.runs import Run
from scaling_models.montecarlo.streams import stream
from scaling_models.montecarlo.traffic.flows import Flow
from scaling_models.parameters import Slider, parameter
from scaling_models.pools.bases.admissions import a_second, horizon, of_class, waits_of
from scaling_models.pools.bases.limited_pool import LimitedPool, share
from scaling_models.pools.bases.occupancies import drawn
from scaling_models.pools.bases.pool import Array
from scaling_models.pools.bases.services import LONGEST, SHORTEST
from scaling_models.pools.formulas.bulkheads import class_blocking
from scaling_models.wording import short

SLOWER = 20.0  # times the usual: the dependency in the middle of a timeline
MOST_SLOTS_OF_ALL = 10**6


class Bulkheads(LimitedPool):
    """No queue, and two classes of requests: of the c slots the dependent may hold at most `dependent_limit`, the
    others `other_limit` at once; who finds his limit reached, or no slot free, is turned away.

    p(n1, n2) is in proportion to a1^{n1}/n1! a2^{n2}/n2! on the states within all limits, for services of any
    distributions (a product form, insensitive): exact. Limits of c share all slots; limits that sum to c part them, and
    each class has Erlang's B of its own. Where requests wait instead, a partition is a `CentralQueue` of its own for
    each class, and sharing one of the mixture. Kaufman, Blocking in a shared resource environment, IEEE Trans. Commun.
    29, 1981; Nygard, Release It!, 2007 (the pattern).
    """

    servers: int = parameter(
        default=10, domain=Integer(1, 10**4), unit="servers", symbol="N", about="servers", slider=Slider(1, 100, 1)
    )
    workers: int = parameter(
        default=2,
        domain=Integer(1, 10**4),
        unit="workers",
        symbol="k",
        about="slots of each server",
        slider=Slider(1, 32, 1),
    )
    dependent_share: float = parameter(
        default=0.2,
        domain=Real(0, 1),
        symbol="p₂",
        about="share of the requests that call the dependency",
        slider=Slider(0.05, 0.95, 0.05),
    )
    dependent_service: Distribution = parameter(
        default=Exponential(0.020),
        domain=SPREAD,
        unit="s",
        symbol="S₂",
        about="the time that a request which calls the dependency occupies a slot",
    )
    dependent_limit: int = parameter(
        default=8,
        domain=Integer(1, MOST_SLOTS_OF_ALL),
        unit="slots",
        symbol="l₂",
        about="the bulkhead: slots that the dependent requests may hold at once (all of them: none)",
        slider=Slider(1, 100, 1),
    )
    other_limit: int = parameter(
        default=100,
        domain=Integer(1, MOST_SLOTS_OF_ALL),
        unit="slots",
        symbol="l₁",
        about="slots that the other requests may hold at once",
        slider=Slider(1, 100, 1),
    )

    verified_with: ClassVar[int] = 2_000_000
    _assumptions: ClassVar[tuple[Assumption, ...]] = (
        *LimitedPool._assumptions,
        Assumption("nobody waits for a slot", "pessimistic if a short queue stands before the bulkhead"),
    )

    def _check(self) -> None:
        super()._check()
        if not SHORTEST <= self.dependent_service.mean() <= LONGEST:
            raise ValueError(
                f"Bulkheads.dependent_service must have a mean in [{SHORTEST:g}, {LONGEST:g}] s; "
                f"got {short(self.dependent_service)}"
            )
        if not self.service.mean() < math.inf:
            raise ValueError(f"Bulkheads.service must have a mean in (0, inf) s; got {short(self.service)}")
        if self._slots > MOST_SLOTS_OF_ALL:
            raise ValueError(
                f"Bulkheads: servers x workers must lie in [1, {MOST_SLOTS_OF_ALL:,}] slots; got {self._slots:,}"
            )

    def _accuracy(self, metric: str, level: float | None = None) -> Accuracy:
        """All of it exact, for any service; there is no band."""
        return self._answer(metric).accuracy

    def shared(self) -> Self:
        """The same pool without bulkheads."""
        return self.replace(dependent_limit=self._slots, other_limit=self._slots)

    @property
    def unloaded_latency(self) -> Distribution:
        """The service of either."""
        return mixture((1.0 - self.dependent_share, self.dependent_share), (self.service, self.dependent_service))

    @property
    def _loads(self) -> tuple[float, float]:
        """Offered by the others and by the dependent requests (erlangs)."""
        one, two = self._rates
        return one * self.service.mean(), two * self.dependent_service.mean()

    @property
    def _rates(self) -> tuple[float, float]:
        return self.arrival_rate * (1.0 - self.dependent_share), self.arrival_rate * self.dependent_share

    @functools.cached_property
    def _blocking(self) -> Array:
        return class_blocking(self._slots, self._loads, (self.other_limit, self.dependent_limit))

    @property
    def _lost(self) -> float:
        return self.blocking_probability

    @answer("erlangs", "mean number of slots that the arrivals would occupy")
    def offered_load(self) -> float:
        """Of both classes."""
        return sum(self._loads)

    @answer("", "share of the slots' time that is busy, with the requests that are served")
    def utilization(self) -> float:
        """What is served of either class times its mean service, a slot."""
        return min(1.0, (self.other_busy + self.dependent_busy) / self._slots)

    @answer("", "share of all requests that are turned away")
    def blocking_probability(self) -> float:
        """Of both classes."""
        return float((1.0 - self.dependent_share) * self._blocking[0] + self.dependent_share * self._blocking[1])

    @answer("", "share of the requests without the dependency that are turned away")
    def other_blocking(self) -> float:
        """See `formulas.bulkheads.class_blocking`."""
        return float(self._blocking[0])

    @answer("", "share of the requests with the dependency that are turned away")
    def dependent_blocking(self) -> float:
        """See `formulas.bulkheads.class_blocking`."""
        return float(self._blocking[1])

    @answer("slots", "mean number of slots that requests without the dependency hold")
    def other_busy(self) -> float:
        """a_1 (1 - B_1)."""
        return self._loads[0] * (1.0 - self.other_blocking)

    @answer("slots", "mean number of slots that requests with the dependency hold")
    def dependent_busy(self) -> float:
        """a_2 (1 - B_2)."""
        return self._loads[1] * (1.0 - self.dependent_blocking)

    @answer("", "share of the admitted requests that find no slot free: none")
    def probability_of_wait(self) -> float:
        """0."""
        return 0.0

    @answer("s", "time before a slot takes an admitted request: none")
    def wait(self) -> Distribution:
        """0."""
        return Deterministic(0.0)

    @answer("s", "time from arrival to reply of an admitted request, of either class: its service")
    def latency(self) -> Distribution:
        """A mixture of both services, by how many of each are admitted."""
        admitted = np.array(self._rates) * (1.0 - self._blocking)
        one, two = admitted / admitted.sum()
        return mixture((float(one), float(two)), (self.service, self.dependent_service))

    def _classes(self) -> tuple[AdmittedClass, AdmittedClass]:
        return (
            AdmittedClass(1.0 - self.dependent_share, self._slots, self.other_limit),
            AdmittedClass(self.dependent_share, self._slots, self.dependent_limit, self.dependent_service),
        )

    def _system(self, flow: Flow) -> Admission:  # type: ignore[override]  # classes that a line does not have
        return Admission(flow, self._slots, self._classes())

    def _losses(self, found: Run) -> dict[str, Sampled | Estimate]:
        load = found.ratio("requests_1", "time", self._loads[0] / self._rates[0])
        more = found.ratio("requests_2", "time", self._loads[1] / self._rates[1])
        return {
            "offered_load": Estimate(load.value + more.value, math.hypot(load.error, more.error), load.freedom),
            "blocking_probability": share(found, "rejected"),
            "other_blocking": of_class(found, "rejected", 1),
            "dependent_blocking": of_class(found, "rejected", 2),
            "other_busy": found.ratio("busy_1", "time"),
            "dependent_busy": found.ratio("busy_2", "time"),
        }

    def timeline(self, seed: int = 0) -> Timeline:
        """The dependency takes twenty times as long for a while: who of the others is still served?"""
        usual = self.dependent_service.mean()
        arrivals, services = drawn(self.flow(), horizon(self.arrival_rate, SLOWER * usual), seed)
        end = float(arrivals[-1])
        start, stop = end / 3.0, end / 1.5
        calls = stream(seed, 4).random(len(arrivals)) < self.dependent_share
        taken = self.dependent_service._draw(arrivals.shape, stream(seed, 5))
        slow = np.where((arrivals > start) & (arrivals < stop), SLOWER, 1.0)
        services = np.where(calls, taken * slow, services)
        served, without = (
            ~np.isnan(waits_of(arrivals, services, calls.astype(np.intp), each._classes(), self._slots)) & ~calls
            for each in (self, self.shared())
        )
        times, kept = a_second(arrivals, served, end)
        _, fell = a_second(arrivals, without, end)
        late = (times > (start + stop) / 2.0) & (times < stop)
        return Timeline(
            f"The dependency takes {SLOWER:g} times as long: of the requests that do not need it "
            f"{kept[late].mean():,.0f} a second are served with bulkheads, {fell[late].mean():,.0f} without",
            times,
            {"others served with bulkheads": kept, "others served, all slots shared": fell},
            "requests/s",
            ((start, "the dependency slows down"), (stop, "it recovers")),
        )
