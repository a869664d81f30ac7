"""Two classes of requests, of which one goes first."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import ClassVar

import numpy as np

from scaling_models.answers import Accuracy, Assumption, NoClosedForm, Simulation, answer
from scaling_models.domains import Choice, Real
from scaling_models.latency import Deterministic, Distribution, Exponential, Hyperexponential, MeanOnly, Never, mixture
from scaling_models.montecarlo.estimates import Estimate
from scaling_models.montecarlo.kernels import priorities as kernel
from scaling_models.montecarlo.kernels.stalls import stalled_waits
from scaling_models.montecarlo.runs import Run
from scaling_models.montecarlo.traffic.arrivals import Renewal
from scaling_models.parameters import Slider, parameter
from scaling_models.pools.bases.exponential_pool import ExponentialPool
from scaling_models.pools.bases.pool import SIMULATED, Array, Pool
from scaling_models.pools.formulas.erlang import erlang_c
from scaling_models.pools.formulas.priorities import cobham, preemptive_resume
from scaling_models.pools.times.overtaken import OvertakenResponse, OvertakenWait
from scaling_models.pools.times.responses import ErlangResponse

BURSTY = 10.0  # squared coefficient of variation of the gaps, where arrivals are bursty
LOADS = ("utilization", "offered_load", "probability_of_wait")


class Priorities(ExponentialPool):
    """One queue before all slots in which urgent requests go before all others, FIFO within either class.

    Non-preemptive M/M/c: given that all slots are busy (Erlang C, as without priorities) the urgent wait is exponential
    with rate c mu - lambda_1, and the others' is `OvertakenWait`. Preemptive-resume: the urgent see M/M/c of their own;
    the others' mean from what all have together, before one slot also their distribution. Before one slot with any
    service the means are Cobham's and their preemptive sisters, percentiles simulated. Exact. Beyond: simulate it.
    Cobham, Priority assignment in waiting line problems, 1954; Kella and Yechiali, Waiting times in the non-preemptive
    priority M/M/c queue, 1985; Conway, Maxwell and Miller, Theory of Scheduling, 1967.
    """

    urgent_share: float = parameter(
        default=0.2,
        domain=Real(0, 1),
        symbol="p₁",
        about="share of the requests that are urgent",
        slider=Slider(0.05, 0.95, 0.05),
    )
    order: str = parameter(
        default="non-preemptive",
        domain=Choice(("non-preemptive", "preemptive")),
        about="whether an urgent request interrupts another that is served, which goes on afterwards",
    )

    verified_with: ClassVar[int] = 8_000_000
    violations: ClassVar[tuple[str, ...]] = ("arrivals in bursts",)
    _assumptions: ClassVar[tuple[Assumption, ...]] = (
        *Pool._assumptions,
        Assumption("urgent requests take as long as others", "pessimistic for all if the urgent are short"),
    )

    @property
    def _urgent_rate(self) -> float:
        return self.arrival_rate * self.urgent_share

    @property
    def _capacity(self) -> float:
        return self._slots / self.service.mean()

    @property
    def _preemptive(self) -> bool:
        return self.order == "preemptive"

    @property
    def _urgent_overloaded(self) -> bool:
        return self._urgent_rate >= self._capacity

    def _accuracy(self, metric: str, level: float | None = None) -> Accuracy:
        """Exact, means and percentiles, where the class says so; else simulated."""
        declared = self._answer(metric).accuracy
        of_urgent = metric.startswith("urgent")
        never = self._urgent_overloaded if of_urgent else self._overloaded
        if metric in ("utilization", "offered_load") or never:
            return declared
        if self._exponential:
            whole = level is None or not self._preemptive or of_urgent
            whole = whole or (self._slots == 1 and metric in ("latency", "other_latency"))
            return declared if whole else SIMULATED
        return declared if self._slots == 1 and (level is None or metric in LOADS) else SIMULATED

    def _refuse_other_services(self) -> None:
        if not self._exponential and self._slots > 1:
            raise NoClosedForm(
                "Priorities has a closed form for exponential service, or before one slot, not for "
                f"{self._slots:,} slots and {type(self.service).__name__}: "
                + ("preemption is not simulated there either" if self._preemptive else "simulate it")
            )

    @answer("", "share of the requests that find no slot free")
    def probability_of_wait(self) -> float:
        """Erlang C, whoever goes first; before one slot rho, for any service."""
        if self._overloaded:
            return 1.0
        self._refuse_other_services()
        return float(erlang_c(self._slots, self.offered_load))

    @functools.cached_property
    def _mean_waits(self) -> tuple[float, float]:
        """Latency less service, on average (s): of the urgent, and of the others."""
        self._refuse_other_services()
        one, both = self._urgent_rate, self.arrival_rate
        if self._slots == 1:
            mean = self.service.mean()
            second = self.service.variance() + mean**2
            formula = preemptive_resume if self._preemptive else cobham
            found = formula([one, both - one], mean, second)
            return float(found[0]), float(found[1])
        alone, all_of_them = (self._fifo_wait(rate) for rate in (one, both))
        if not self._preemptive:
            chance = self.probability_of_wait
            return (
                chance / (self._capacity - one) if one < self._capacity else math.inf,
                all_of_them / (1.0 - one / self._capacity) if both < self._capacity else math.inf,
            )
        return alone, (both * all_of_them - one * alone) / (both - one) if both < self._capacity else math.inf

    def _fifo_wait(self, rate: float) -> float:
        """The mean wait of M/M/c with so many requests a second."""
        if rate >= self._capacity:
            return math.inf
        return float(erlang_c(self._slots, rate * self.service.mean())) / (self._capacity - rate)

    def _known(self, position: int, more: float) -> Distribution:
        """A mean with nothing known of its spread."""
        mean = self._mean_waits[position] + more
        if math.isinf(mean):
            raise NoClosedForm("Priorities: with an infinite variance of the service only a simulation tells the wait")
        return MeanOnly(mean)

    @property
    def _urgent_chance(self) -> float:
        """How often an urgent request waits."""
        if not self._preemptive:
            return self.probability_of_wait
        return float(erlang_c(self._slots, self._urgent_rate * self.service.mean()))

    @answer("s", "time before a slot takes an urgent request")
    def urgent_wait(self) -> Distribution:
        """Zero or exponential with rate c mu - lambda_1."""
        if self._urgent_overloaded:
            return Never()
        if not self._exponential:
            return self._known(0, 0.0)
        chance = self._urgent_chance
        return mixture(
            (1.0 - chance, chance), (Deterministic(0.0), Exponential(1.0 / (self._capacity - self._urgent_rate)))
        )

    @answer("s", "time from arrival to reply of an urgent request")
    def urgent_latency(self) -> Distribution:
        """The wait plus an independent service."""
        if self._urgent_overloaded:
            return Never()
        if not self._exponential:
            return self._known(0, self.service.mean())
        return ErlangResponse(self._exponential_rate, self._capacity - self._urgent_rate, self._urgent_chance)

    @answer("s", "time of the other requests that they are not served: before, and while interrupted")
    def other_wait(self) -> Distribution:
        """See `OvertakenWait`."""
        if self._overloaded:
            return Never()
        if not self._exponential or self._preemptive:
            return self._known(1, 0.0)
        return OvertakenWait(self._capacity, self._urgent_rate, self.arrival_rate, self.probability_of_wait)

    @answer("s", "time from arrival to reply of the other requests")
    def other_latency(self) -> Distribution:
        """See `OvertakenWait`."""
        if self._overloaded:
            return Never()
        if self._exponential and self._preemptive and self._slots == 1:
            return OvertakenWait(self._capacity, self._urgent_rate, self.arrival_rate, 1.0)
        if not self._exponential or self._preemptive:
            return self._known(1, self.service.mean())
        rates = (self._capacity, self._urgent_rate, self.arrival_rate)
        return OvertakenResponse(*rates, self.probability_of_wait, self._exponential_rate)

    def _of_both(self, urgent: Distribution, other: Distribution) -> Distribution:
        weights = (self.urgent_share, 1.0 - self.urgent_share)
        if urgent.spread_known and other.spread_known:
            return mixture(weights, (urgent, other))
        return MeanOnly(weights[0] * urgent.mean() + weights[1] * other.mean())

    @answer("s", "time that a request is not served, of both classes")
    def wait(self) -> Distribution:
        """A mixture of both."""
        return Never() if self._overloaded else self._of_both(self.urgent_wait, self.other_wait)

    @answer("s", "time from arrival to reply, of both classes")
    def latency(self) -> Distribution:
        """A mixture of both."""
        return Never() if self._overloaded else self._of_both(self.urgent_latency, self.other_latency)

    def flow(self, violating: str | None = None, gaps: Distribution | None = None) -> Renewal:
        """Both classes together; "arrivals in bursts": gaps of either are hyperexponential, of scv 10."""
        bursty = self.known_violation(violating) is not None
        return Renewal(self._gap(Hyperexponential(1.0, BURSTY) if bursty else gaps), self.service)

    def _system(self, flow: Renewal) -> kernel.Priorities | kernel.Preemption:  # type: ignore[override]  # its own flow
        classes = tuple(
            kernel.PriorityClass(flow.gap * (1.0 / share), self.service)
            for share in (self.urgent_share, 1.0 - self.urgent_share)
        )
        if not self._preemptive:
            return kernel.Priorities(classes, self._slots)
        if self._slots > 1:
            raise ValueError(
                f"Priorities.simulate: preemption is simulated before one slot only; got {self._slots:,} slots"
            )
        return kernel.Preemption(classes)

    def _simulation(self, found: Run, seed: int) -> Simulation:
        busy, latency = found.ratio("busy", "time"), found.times["latency"]
        mean = latency.mean_estimate()
        return Simulation(
            self,
            found.requests,
            seed,
            cut=found.cut,
            utilization=dataclasses.replace(busy, value=busy.value / self._slots, error=busy.error / self._slots),
            offered_load=busy,
            wait=found.times["wait"],
            latency=latency,
            urgent_wait=found.times["wait_1"],
            urgent_latency=found.times["latency_1"],
            other_wait=found.times["wait_2"],
            other_latency=found.times["latency_2"],
            in_flight=Estimate(self.arrival_rate * mean.value, self.arrival_rate * mean.error, mean.freedom),
        )

    def _stalled(self, arrivals: Array, services: Array, at: float, length: float, seed: int) -> Array:
        # How many there are does not depend on who goes first, for all services have one distribution.
        return np.asarray(arrivals + stalled_waits(arrivals, services, self._slots, at, length) + services)
