"""A pool that turns requests away at a limit, those that matter less at a lower one."""

from __future__ import annotations

import functools
from typing import ClassVar

import numpy as np

from scaling_models.answers import Accuracy, Assumption, NoClosedForm, Timeline, answer
from scaling_models.domains import Integer, Real
from scaling_models.latency import Deterministic, Distribution, Never
from scaling_models.montecarlo.estimates import Estimate, Sampled
from scaling_models.montecarlo.kernels.admission import Admission, AdmittedClass
from scaling_models.montecarlo.runs import Run
from scaling_models.montecarlo.streams import stream
from scaling_models.montecarlo.traffic.flows import Flow
from scaling_models.parameters import Slider, parameter
from scaling_models.pools.bases.admissions import FREE_REFUSAL, Surge, answered_within, of_class, surge_met, waits_of
from scaling_models.pools.bases.limited_pool import LimitedPool, share
from scaling_models.pools.bases.pool import Array
from scaling_models.pools.formulas.admission import Loads, best_limit, present
from scaling_models.pools.times.stages import staged


class LoadShedding(LimitedPool):
    """One FIFO queue before all slots; who finds `limit` requests present is told so at once, instead of waiting.

    The last `reserved` places are for important requests: others are shed from L = `limit` - `reserved` on. With K =
    `limit`, c slots and a_n the load in erlangs of who is admitted at n present (of all below L, of the important from
    there on), p_{n+1} = p_n a_n / min(n + 1, c), which arrivals see; who is admitted at n >= c waits n - c + 1 stages
    of rate c mu. Wait and latency are of the admitted. Exact for exponential service; where the limit leaves nobody
    waiting for any. Others raise `NoClosedForm` and can be simulated. Nothing reserved is `FiniteQueue`. Miller, A
    queueing reward system with several customer classes, Management Science 16, 1969.
    """

    important_share: float = parameter(
        default=0.2,
        domain=Real(0, 1),
        symbol="p₁",
        about="share of the requests that are important",
        slider=Slider(0.05, 0.95, 0.05),
    )
    limit: int = parameter(
        default=30,
        domain=Integer(1, 10_000),
        unit="requests",
        symbol="K",
        about="requests in the pool, waiting or served, from which on all are turned away",
        slider=Slider(1, 200, 1),
    )
    reserved: int = parameter(
        default=10,
        domain=Integer(0, 10_000),
        unit="requests",
        symbol="K − L",
        about="of the limit: the last places, that only important requests may take (as many as the limit: all of it)",
        slider=Slider(0, 100, 1),
    )
    deadline: float = answered_within()

    verified_with: ClassVar[int] = 4_000_000
    _assumptions: ClassVar[tuple[Assumption, ...]] = (
        *LimitedPool._assumptions,
        FREE_REFUSAL,
        Assumption("important requests take as long as others", "pessimistic if the important are short"),
    )

    @property
    def _other_limit(self) -> int:
        return max(0, self.limit - self.reserved)

    @property
    def _nobody_waits(self) -> bool:
        return self.limit <= self._slots

    def _accuracy(self, metric: str, level: float | None = None) -> Accuracy:
        """Exact for exponential service, and for any where nobody waits; else only the offered load is known."""
        known = self._nobody_waits and metric != "best_limit"
        return self._answer(metric).accuracy if known else super()._accuracy(metric, level)

    def _refuse_other_services(self) -> None:
        if not (self._exponential or self._nobody_waits):
            raise NoClosedForm(
                f"LoadShedding has a closed form for exponential service, or for a limit up to the slots, not for "
                f"{type(self.service).__name__} that may wait: simulate it"
            )

    @property
    def _loads(self) -> Loads:
        return Loads(self._slots, self.offered_load, self.offered_load * self.important_share)

    @functools.cached_property
    def _present(self) -> Array:
        self._refuse_other_services()
        return present(self._loads, self.limit, self._other_limit)

    def _turned_away(self, limit: int) -> float:
        """How often an arrival finds so many present."""
        return float(self._present[limit:].sum())

    @property
    def _lost(self) -> float:
        return self.blocking_probability

    @property
    def _admitted(self) -> float:
        return self.throughput

    @answer("", "share of all requests that are turned away")
    def blocking_probability(self) -> float:
        """Of both classes."""
        p = self.important_share
        return p * self.important_blocking + (1.0 - p) * self.other_blocking

    @answer("", "share of the important requests that are turned away")
    def important_blocking(self) -> float:
        """p_K."""
        return self._turned_away(self.limit)

    @answer("", "share of the other requests that are turned away")
    def other_blocking(self) -> float:
        """sum_{n >= L} p_n."""
        return self._turned_away(self._other_limit)

    @answer("", "share of the admitted requests that find no slot free, and wait")
    def probability_of_wait(self) -> float:
        """The wait's, beyond 0."""
        return float(self.wait.ccdf(0.0))

    @property
    def _admission(self) -> Array:
        """The share of the requests that is admitted, by how many of them are present."""
        return np.where(np.arange(self.limit) < self._other_limit, 1.0, self.important_share)

    def _times(self, admitted: Array) -> tuple[Distribution, Distribution]:
        """Wait and latency of who is admitted with 0, 1, ... present, in proportion to `admitted`."""
        if not len(admitted):
            return Never(), Never()
        if self._nobody_waits:
            return Deterministic(0.0), self.service
        seen = np.concatenate([[admitted[: self._slots].sum()], admitted[self._slots :]])
        return staged(self._slots * self._exponential_rate, seen / seen.sum(), self._slots)

    @functools.cached_property
    def _of_all(self) -> tuple[Distribution, Distribution]:
        return self._times(self._present[:-1] * self._admission)

    @answer("s", "time before a slot takes an admitted request")
    def wait(self) -> Distribution:
        """See `StagedWait`."""
        return self._of_all[0]

    @answer("s", "time from arrival to reply of an admitted request: wait and service")
    def latency(self) -> Distribution:
        """See `StagedResponse`; the service alone where nobody waits."""
        return self._of_all[1]

    @answer("s", "time from arrival to reply of an important request that is admitted")
    def important_latency(self) -> Distribution:
        """See `StagedResponse`."""
        return self._times(self._present[:-1])[1]

    @answer("s", "time from arrival to reply of another request that is admitted; never, if none is")
    def other_latency(self) -> Distribution:
        """See `StagedResponse`."""
        return self._times(self._present[: self._other_limit])[1]

    @answer("", "share of all requests that are admitted, and answered within the deadline")
    def in_time_share(self) -> float:
        """Of both classes."""
        p = self.important_share
        return p * self.important_in_time_share + (1.0 - p) * self.other_in_time_share

    @answer("", "share of the important requests that are admitted, and answered within the deadline")
    def important_in_time_share(self) -> float:
        """(1 - P(turned away)) P(latency <= d)."""
        return (1.0 - self.important_blocking) * float(self.important_latency.cdf(self.deadline))

    @answer("", "share of the other requests that are admitted, and answered within the deadline")
    def other_in_time_share(self) -> float:
        """(1 - P(turned away)) P(latency <= d)."""
        return (1.0 - self.other_blocking) * float(self.other_latency.cdf(self.deadline))

    @answer("requests/s", "requests answered within the deadline a second")
    def goodput(self) -> float:
        """lambda P(in time)."""
        return self.arrival_rate * self.in_time_share

    @answer("requests", "the limit at which the goodput is highest, with as much of it reserved as now")
    def best_limit(self) -> int:
        """By the chains of all limits; see `formulas.admission.best_limit`."""
        return best_limit(self._loads, self.reserved, self._slots * self._exponential_rate * self.deadline)

    def _classes(self) -> tuple[AdmittedClass, AdmittedClass]:
        return (
            AdmittedClass(self.important_share, self.limit),
            AdmittedClass(1.0 - self.important_share, self._other_limit),
        )

    def _system(self, flow: Flow) -> Admission:  # type: ignore[override]  # classes that a line does not have
        return Admission(flow, self._slots, self._classes(), self.deadline)

    def _losses(self, found: Run) -> dict[str, Sampled | Estimate]:
        return {
            "blocking_probability": share(found, "rejected"),
            "important_blocking": of_class(found, "rejected", 1),
            "other_blocking": of_class(found, "rejected", 2),
            "important_latency": found.times["latency_1"],
            **({"other_latency": found.times["latency_2"]} if self._other_limit else {}),
            "in_time_share": share(found, "in_time"),
            "important_in_time_share": of_class(found, "in_time", 1),
            "other_in_time_share": of_class(found, "in_time", 2),
            "goodput": found.ratio("in_time", "time"),
        }

    def timeline(self, seed: int = 0) -> Timeline:
        """A surge to one and a half times the capacity, met with the limit and without: who is answered in time?"""

        def answered(surge: Surge) -> Array:
            who = (stream(seed, 4).random(len(surge.arrivals)) >= self.important_share).astype(np.intp)
            return waits_of(surge.arrivals, surge.services, who, self._classes(), self._slots) + surge.services

        return surge_met(self, self.deadline, "the limit", "a limit", answered, seed)
