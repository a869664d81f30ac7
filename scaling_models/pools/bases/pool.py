"""What all pools share: the answers, the simulated twin, and a stall to watch."""

from __future__ import annotations

import dataclasses
import math
from concurrent.futures import Executor

import numpy as np
from numpy.typing import NDArray

from scaling_models.answers import Accuracy, NoClosedForm, Simulation, Timeline, answer
from scaling_models.latency import Distribution, Never
from scaling_models.montecarlo.estimates import Estimate, NotSettled, Sampled, at_least_binomial
from scaling_models.montecarlo.kernels.dispatch import Dispatch
from scaling_models.montecarlo.runs import Plan, Run, run
from scaling_models.montecarlo.streams import checked_requests
from scaling_models.montecarlo.systems import System
from scaling_models.montecarlo.traffic.flows import Flow
from scaling_models.pools.bases.occupancies import Occupancy, occupancy_of
from scaling_models.pools.bases.offered import Offered
from scaling_models.pools.bases.recoveries import recovery
from scaling_models.pools.bases.replays import checked_trace

Array = NDArray[np.float64]
MOST_SLOTS = 5_000  # lanes of a larger pool remember their start for too long
SIMULATED = Accuracy("simulated", None, "no usable closed form at these parameters")
NO_BAND = Accuracy("simulated", None, "there is no band here: see latency")


class Pool(Offered):
    """Base of the pools: requests arrive at `arrival_rate` and each wants a `service` from one of `servers`.

    A subclass says how requests find their server (`_system`); where there is a closed form, it gives that too.
    """

    def _system(self, flow: Flow) -> System:
        """The pool as a system to simulate, fed by a flow."""
        raise NotImplementedError

    @property
    def _demand(self) -> str:
        """The tally of the work (s) that makes the offered load."""
        return "busy"

    @property
    def unloaded_latency(self) -> Distribution:
        """What no number of servers can undercut: the latency of a request that is alone, its service."""
        return self.service

    def _accuracy(self, metric: str, level: float | None = None) -> Accuracy:
        """Of the load exact; of the rest only that there is none at overload, else it is simulated."""
        declared = super()._accuracy(metric, level)
        known = metric in ("utilization", "offered_load") or self._overloaded
        return declared if known else SIMULATED

    def _simulate_it(self) -> NoClosedForm:
        return NoClosedForm(f"{type(self).__name__} has no usable closed form at these parameters: simulate it")

    @answer("", "share of the requests that find no slot free")
    def probability_of_wait(self) -> float:
        """1 at overload; otherwise no closed form."""
        if self._overloaded:
            return 1.0
        raise self._simulate_it()

    @answer("s", "time before a slot takes the request")
    def wait(self) -> Distribution:
        """Never at overload; otherwise no closed form."""
        if self._overloaded:
            return Never()
        raise self._simulate_it()

    @answer("s", "time from arrival to reply: wait and service")
    def latency(self) -> Distribution:
        """Never at overload; otherwise no closed form."""
        if self._overloaded:
            return Never()
        raise self._simulate_it()

    @answer("s", "the lower end of a band for the latency, where a band is all that is known", NO_BAND)
    def latency_low(self) -> Distribution:
        """Quantile for quantile at most the latency; no band unless a pool gives one."""
        raise NoClosedForm(f"{type(self).__name__} has no band for the latency here: see latency")

    @answer("s", "the upper end of a band for the latency, where a band is all that is known", NO_BAND)
    def latency_high(self) -> Distribution:
        """Quantile for quantile at least the latency; no band unless a pool gives one."""
        raise NoClosedForm(f"{type(self).__name__} has no band for the latency here: see latency")

    @answer("requests", "mean number of requests in the pool, waiting or served")
    def in_flight(self) -> float:
        """Little's law: lambda E[T]."""
        mean = self.latency.mean()
        return self.arrival_rate * mean if math.isfinite(mean) else math.inf

    def simulate(
        self,
        requests: int | None = None,
        seed: int = 0,
        *,
        gaps: Distribution | None = None,
        violating: str | None = None,
        executor: Executor | None = None,
        cut: Plan | None = None,
    ) -> Simulation:
        """Independent lanes, half of them from empty and half from overfull, once these have met.

        `requests` (500,000 unless given, or 100,000 of sharing servers) are rounded up, to what a busy pool takes to
        tell anything at least; settling comes on top. `gaps`
        gives arrivals another shape than Poisson (its scale does not count); `violating` names one of `violations`, an
        assumption that is then broken. Any `executor` of concurrent.futures shares the work; the answer is the same.
        `cut` is another simulation's, so that both see the same requests. Raises `NotSettled` at overload. Exact but
        for chance; where more than a million latencies are asked for, percentiles to within 0.1%.
        """
        wanted = self._usual_requests if requests is None else requests
        system = self._checked(wanted, self.flow(violating, gaps))
        return self._simulation(run(system, wanted, seed, executor=executor, cut=cut), seed)

    @property
    def _usual_requests(self) -> int:
        return 500_000

    def _checked(self, requests: int, flow: Flow) -> System:
        """The system, unless it cannot be simulated."""
        checked_requests(self, requests)
        if self._overloaded:
            raise NotSettled(
                f"the load is {self.utilization:.4g}, at or over capacity: there is no steady state to simulate"
            )
        if self._slots > MOST_SLOTS:
            raise ValueError(
                f"a pool of {self._slots:,} slots is too large to simulate: servers x workers must lie in "
                f"[1, {MOST_SLOTS:,}] (a closed form has no such limit)"
            )
        return self._system(flow)

    def _simulation(self, found: Run, seed: int) -> Simulation:
        mean = found.times["latency"].mean_estimate()
        busy, capacity = found.ratio(self._demand, "time"), self._full_speed_slots
        answers: dict[str, Sampled | Estimate] = {
            "utilization": dataclasses.replace(busy, value=busy.value / capacity, error=busy.error / capacity),
            "offered_load": busy,
            "latency": found.times["latency"],
            "in_flight": Estimate(self.arrival_rate * mean.value, self.arrival_rate * mean.error, mean.freedom),
        }
        if "errors" in found.tallies:
            answers["error_share"] = at_least_binomial(found.ratio("errors", "requests"), found.requests)
        if "wait" in found.times:
            answers["probability_of_wait"] = at_least_binomial(found.share("waited", "requests"), found.requests)
            answers["wait"] = found.times["wait"]
        return Simulation(self, found.requests, seed, cut=found.cut, **answers)

    def _dealt(self) -> Dispatch:
        """The pool as servers that each hold their own requests."""
        raise NotImplementedError

    def occupancy(self, seed: int = 0, slow: float = 0.5) -> Occupancy:
        """The requests at each server over time, from empty; at half time the first goes on at `slow` times its speed.

        Raises ValueError for a speed outside (0, inf) and for servers that share themselves.
        """
        if not 0 < slow < math.inf:
            raise ValueError(f"{type(self).__name__}.occupancy: slow must lie in (0, inf); got {slow!r}")
        return occupancy_of(self._dealt(), seed, slow)

    def _replayed(self, arrivals: Array, services: Array, seed: int) -> Array:
        """The latencies of a trace from empty."""
        raise NotImplementedError

    def replay(
        self, arrivals: Array, demands: Array, *, oversleep: float = 0.0, overhead: float = 0.0, seed: int = 0
    ) -> Array:
        """Latencies (s) of a measured trace through this pool, starting empty; the model's own rates are not used.

        `arrivals` are times in ascending order, `demands` the service asked for. A real server that sleeps for its
        service wakes `oversleep` late, which occupies its slot; `overhead` is the path's, which occupies nothing. What
        the policy draws, it draws from `seed`. Raises ValueError for times out of order, negative demands, unequal
        lengths, and for servers that share themselves. Exact.
        """
        times, asked = checked_trace(arrivals, demands, oversleep=oversleep, overhead=overhead)
        return self._replayed(times, asked + oversleep, seed) + overhead

    def _stalled(self, arrivals: Array, services: Array, at: float, length: float, seed: int) -> Array:
        """Departures of the given requests where every slot stands still for `length` from `at` on."""
        raise NotImplementedError

    def timeline(self, seed: int = 0) -> Timeline:
        """Every slot stands still for a second (less in a huge pool, more in a slow one): how long until it is over?"""
        if self._overloaded:
            raise ValueError(
                f"utilization is {self.utilization:.2f}: overloaded, the queue grows with nothing breaking"
            )
        return recovery(self.flow(), self.utilization, self._stalled, seed)
