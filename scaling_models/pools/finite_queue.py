"""A pool that turns requests away when its queue is full."""

from __future__ import annotations

import functools
from typing import ClassVar

import numpy as np

from scaling_models.answers import Accuracy, NoClosedForm, answer
from scaling_models.domains import Integer
from scaling_models.latency import Deterministic, Distribution
from scaling_models.montecarlo.estimates import Estimate, Sampled
from scaling_models.montecarlo.kernels.losses import Loss
from scaling_models.montecarlo.runs import Run
from scaling_models.montecarlo.traffic.flows import Flow
from scaling_models.parameters import Slider, parameter
from scaling_models.pools.bases.limited_pool import LimitedPool, share
from scaling_models.pools.bases.pool import Array
from scaling_models.pools.formulas.losses import blocking, places_taken
from scaling_models.pools.times.stages import StagedResponse, StagedWait, staged


class FiniteQueue(LimitedPool):
    """One FIFO queue of `queue_limit` places before all slots; who finds it full is turned away: M/M/c/K.

    c = servers x workers and K = c + queue_limit: a concurrency limit of K (admission control, maxconn and a bounded
    backlog, a load shedder that counts) is this pool. p_n is in proportion to a^n/n!, beyond c to the last of them
    times (a/c)^{n-c}; who is admitted finds n < K with probability p_n/(1 - p_K) and waits n - c + 1 stages of rate
    c mu. Wait and latency are of the admitted. Exact for exponential service; without a place to wait (Erlang B) for
    any service. Other services raise `NoClosedForm` and can be simulated. Cooper, Introduction to Queueing Theory,
    section 3.5; Erlang 1917.
    """

    queue_limit: int = parameter(
        default=10,
        domain=Integer(0, 10_000),
        unit="requests",
        symbol="K − c",
        about="requests that may wait; with none there is no queue at all",
        slider=Slider(0, 100, 1),
    )

    verified_with: ClassVar[int] = 4_000_000

    def _accuracy(self, metric: str, level: float | None = None) -> Accuracy:
        """Exact for exponential service, and for any where nobody waits; else only the offered load is known."""
        declared = self._answer(metric).accuracy
        return declared if self.queue_limit == 0 else super()._accuracy(metric, level)

    @property
    def _lost(self) -> float:
        return self.blocking_probability

    @property
    def _admitted(self) -> float:
        return self.throughput

    def _refuse_other_services(self) -> None:
        if not (self._exponential or self.queue_limit == 0):
            raise NoClosedForm(
                "FiniteQueue has a closed form for exponential service, or for a queue_limit of 0, not for "
                f"{type(self.service).__name__} that may wait: simulate it"
            )

    @answer("", "share of the requests that find the queue full and are turned away")
    def blocking_probability(self) -> float:
        """p_K, which Poisson arrivals see; see `formulas.losses.blocking`."""
        self._refuse_other_services()
        return float(blocking(self._slots, self.offered_load, self.queue_limit))

    @functools.cached_property
    def _seen(self) -> Array:
        """Probabilities that who is admitted finds a slot free, or all busy and 0 ... L - 1 waiting."""
        free, waiting = places_taken(self._slots, self.offered_load, self.queue_limit)
        seen = np.concatenate([[free], waiting[:-1]])
        return np.asarray(seen / seen.sum())

    @answer("", "share of the admitted requests that find no slot free, and wait")
    def probability_of_wait(self) -> float:
        """sum_{n=c}^{K-1} p_n / (1 - p_K)."""
        self._refuse_other_services()
        return float(self._seen[1:].sum())

    @functools.cached_property
    def _staged(self) -> tuple[StagedWait, StagedResponse]:
        return staged(self._slots * self._exponential_rate, self._seen, self._slots)

    @answer("s", "time before a slot takes an admitted request")
    def wait(self) -> Distribution:
        """A mixture of Erlang distributions; see `StagedWait`."""
        self._refuse_other_services()
        return Deterministic(0.0) if self.queue_limit == 0 else self._staged[0]

    @answer("s", "time from arrival to reply of an admitted request: wait and service")
    def latency(self) -> Distribution:
        """See `StagedResponse`; the service alone where nobody waits."""
        self._refuse_other_services()
        return self.service if self.queue_limit == 0 else self._staged[1]

    def _system(self, flow: Flow) -> Loss:
        return Loss(flow, self._slots, self.queue_limit)

    def _losses(self, found: Run) -> dict[str, Sampled | Estimate]:
        return {"blocking_probability": share(found, "rejected")}
