"""A pool that sheds load as it comes: a share at the door, what is above a utilization, or what a queue delays."""

from __future__ import annotations

import functools
import math
from typing import ClassVar

import numpy as np

from scaling_models.answers import EXACT, Accuracy, Assumption, NoClosedForm, Timeline, answer
from scaling_models.montecarlo.estimates import Estimate, Sampled, at_least_binomial, ratio
from scaling_models.montecarlo.kernels.shedding import Shedding, Standing, controlled_waits
from scaling_models.montecarlo.runs import Run
from scaling_models.montecarlo.streams import stream
from scaling_models.montecarlo.traffic.flows import Flow
from scaling_models.parameters import parameter
from scaling_models.pools.bases.admissions import FREE_REFUSAL, Surge, answered_within, surge_met
from scaling_models.pools.bases.central_answers import CentralAnswers
from scaling_models.pools.bases.central_cases import Case, case_of
from scaling_models.pools.bases.limited_pool import LimitedPool, share
from scaling_models.pools.bases.pool import SIMULATED, Array
from scaling_models.pools.shedders import SHEDDER, HoldUtilization, Shedder

SHARES = ("blocking_probability", "throughput", "utilization")  # what a share at the door tells for any service


class AdaptiveShedding(CentralAnswers, LimitedPool):
    """One FIFO queue for all `servers x workers` slots, which sheds load by a rule instead of at a limit.

    At the door each request is refused with probability s, whatever it finds: what is admitted is Poisson of rate
    lambda (1 - s), and the queue is M/G/c, exact or approximate as `CentralQueue` is at that rate (another policy
    behind the door is that pool at that rate). `ShedShare` gives s, `HoldUtilization` s = max(0, 1 - target / offered).
    `ControlledDelay` drops from the queue who has waited too long, and raises `NoClosedForm`. Wait and latency are of
    the served. Thinning: Kingman, Poisson Processes, 1993, section 5.1.
    """

    rule: Shedder = parameter(
        default=HoldUtilization(0.7), domain=SHEDDER, about="who is refused, or how long one may wait"
    )
    deadline: float = answered_within()

    verified_with: ClassVar[int] = 4_000_000
    _assumptions: ClassVar[tuple[Assumption, ...]] = (
        *LimitedPool._assumptions,
        FREE_REFUSAL,
        Assumption("the door knows the offered load", "optimistic after a surge, until it has been measured"),
    )

    @property
    def _at_the_door(self) -> bool:
        """Whether nobody is shed behind it."""
        return math.isinf(self.rule.delays[1])

    @property
    def _refused(self) -> float:
        return self.rule.share(self.offered_load / self._slots)

    @property
    def _lost(self) -> float:
        if not self._at_the_door:
            raise NoClosedForm(
                f"AdaptiveShedding has a closed form for what is refused at the door, not for "
                f"{type(self.rule).__name__}: simulate it"
            )
        return self._refused

    @property
    def _admitted(self) -> float:
        return self.arrival_rate * (1.0 - self._lost)

    @property
    def _overloaded(self) -> bool:
        return self._at_the_door and self.utilization >= 1.0

    @functools.cached_property
    def _case(self) -> Case | None:
        """What is known in closed form of the queue behind the door."""
        return case_of(self._admitted, self._slots, self.service)

    def _accuracy(self, metric: str, level: float | None = None) -> Accuracy:
        """Of shares at the door exact; of the queue behind it as `CentralQueue` says."""
        if metric == "offered_load" or (self._at_the_door and metric in SHARES):
            return self._answer(metric).accuracy
        if self._overloaded:
            return EXACT
        if not self._at_the_door or self._case is None:
            return SIMULATED
        return self._case.accuracy({"mean_queue_length": "wait"}.get(metric, metric), level)

    @answer("", "share of the requests that are refused at the door, or dropped from the queue")
    def blocking_probability(self) -> float:
        """The rule's."""
        return self._lost

    @answer("", "share of the slots' time that is busy, with the requests that are served; above 1 overloaded")
    def utilization(self) -> float:
        """lambda (1 - s) E[S] / slots."""
        return self._admitted * self.service.mean() / self._slots

    @answer("requests/s", "requests served a second")
    def throughput(self) -> float:
        """lambda (1 - s), or what the slots can serve."""
        return min(self._admitted, self._slots / self.service.mean())

    @answer("", "share of all requests that are served, and answered within the deadline")
    def in_time_share(self) -> float:
        """(1 - s) P(latency <= d), where the latency is exact."""
        if not self._overloaded and self._known.accuracy("latency", None).label != "exact":
            raise NoClosedForm("AdaptiveShedding tells who is in time where the latency is exact only: simulate it")
        return (1.0 - self._lost) * float(self.latency.cdf(self.deadline))

    @answer("requests/s", "requests answered within the deadline a second")
    def goodput(self) -> float:
        """lambda P(in time)."""
        return self.arrival_rate * self.in_time_share

    def _system(self, flow: Flow) -> Shedding:  # type: ignore[override]  # a door that a line does not have
        return Shedding(flow, self._slots, self._refused, *self.rule.delays, self.deadline)

    def _queued(self, found: Run) -> Array:
        return found.tallies["queued"]

    def _losses(self, found: Run) -> dict[str, Sampled | Estimate]:
        tallies = found.tallies
        lost = ratio(tallies["rejected"] + tallies["abandoned"], tallies["requests"])
        return {
            "blocking_probability": at_least_binomial(lost, found.requests),
            "in_time_share": share(found, "in_time"),
            "goodput": found.ratio("in_time", "time"),
        }

    def timeline(self, seed: int = 0) -> Timeline:
        """A surge to one and a half times the capacity, met with shedding and without: who is answered in time?"""

        def latencies(surge: Surge) -> Array:
            usual, more = (self.replace(arrival_rate=rate)._refused for rate in (self.arrival_rate, surge.rate))
            refused = stream(seed, 4).random(len(surge.arrivals)) < np.where(surge.surging, more, usual)
            gaps = np.diff(surge.arrivals, prepend=0.0)[:, None]
            services, admitted = surge.services[:, None], ~refused[:, None]
            empty = Standing(np.zeros((self._slots, 1)), np.zeros(1), np.zeros(1))
            waits, allowed, _ = controlled_waits(services, gaps, admitted, empty, *self.rule.delays)
            return np.where(admitted & (waits <= allowed), waits + services, np.nan)[:, 0]

        return surge_met(self, self.deadline, "shedding", "shedding", latencies, seed)
