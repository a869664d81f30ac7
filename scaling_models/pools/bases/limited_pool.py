"""Pools before which not every request is served: what they share."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from scaling_models.answers import Accuracy, Assumption, Simulation, answer
from scaling_models.montecarlo.estimates import Estimate, Sampled, at_least_binomial, ratio
from scaling_models.montecarlo.kernels.losses import Loss
from scaling_models.montecarlo.kernels.stalls import stalled_losses
from scaling_models.montecarlo.runs import Run
from scaling_models.montecarlo.traffic.flows import Flow
from scaling_models.pools.bases.exponential_pool import ExponentialPool
from scaling_models.pools.bases.pool import Array


class LimitedPool(ExponentialPool):
    """Base of one FIFO queue before all slots of which some requests are lost: any load is legal, none overloads it."""

    _assumptions: ClassVar[tuple[Assumption, ...]] = (
        Assumption("Poisson arrivals", "optimistic if arrivals are bursty: more is lost"),
        Assumption("service times independent of each other and of the load", "optimistic if servers slow under load"),
        Assumption("equal servers that never fail", "optimistic if one is slow or down"),
        Assumption("who is lost does not come back", "optimistic if clients retry: every retry is more load"),
    )

    @property
    def _overloaded(self) -> bool:
        return False

    @property
    def _lost(self) -> float:
        """The share of the requests that are not served."""
        raise NotImplementedError

    def _system(self, flow: Flow) -> Loss:
        raise NotImplementedError

    def _accuracy(self, metric: str, level: float | None = None) -> Accuracy:
        """Exact where there is a closed form; else only the offered load is known."""
        return self._answer(metric).accuracy if metric == "offered_load" else super()._accuracy(metric, level)

    @answer("", "share of the slots' time that is busy, with the requests that are served")
    def utilization(self) -> float:
        """What is served times the mean service, a slot."""
        return min(1.0, self.throughput * self.service.mean() / self._slots)  # rounding must not overload it

    @answer("requests/s", "requests served a second (the goodput)")
    def throughput(self) -> float:
        """lambda (1 - P(lost))."""
        return self.arrival_rate * (1.0 - self._lost)

    @answer("requests", "mean number of requests that wait")
    def mean_queue_length(self) -> float:
        """Little's law of the queue."""
        return self._admitted * self.wait.mean()

    @answer("requests", "mean number of requests in the pool, waiting or served")
    def in_flight(self) -> float:
        """Those that wait, and by Little's law of the slots those that are served."""
        return self.mean_queue_length + self.utilization * self._slots

    @property
    def _admitted(self) -> float:
        """Requests a second that may wait."""
        return self.arrival_rate

    def _simulation(self, found: Run, seed: int) -> Simulation:
        tallies = found.tallies
        admitted = tallies["requests"] - tallies["rejected"]
        served = admitted - tallies["abandoned"]
        time, wait = tallies["time"], found.times["wait"]
        queued = self._queued(found)
        waiting = ratio(queued, time)
        one_more = self.service.mean() / float(time.sum())  # who waits for a service: where nobody did, it may be so
        waiting = dataclasses.replace(waiting, error=max(waiting.error, one_more))
        busy = found.ratio("busy", "time")
        both = ratio(queued + tallies["busy"], time)
        answers: dict[str, Sampled | Estimate] = {
            "utilization": dataclasses.replace(busy, value=busy.value / self._slots, error=busy.error / self._slots),
            "offered_load": found.ratio("requests", "time", self.service.mean()),
            "probability_of_wait": at_least_binomial(ratio(tallies["waited"], admitted), int(admitted.sum())),
            "wait": wait,
            "latency": found.times["latency"],
            "in_flight": both,
            "throughput": ratio(served, time),
            "mean_queue_length": waiting,
            **self._losses(found),
        }
        return Simulation(self, found.requests, seed, cut=found.cut, **answers)

    def _queued(self, found: Run) -> Array:
        """The time that requests spent in the queue (s), by batch."""
        wait = found.times["wait"]
        return wait.means * wait.sizes

    def _losses(self, found: Run) -> dict[str, Sampled | Estimate]:
        """What is lost, as simulated."""
        raise NotImplementedError

    def _stalled(self, arrivals: Array, services: Array, at: float, length: float, seed: int) -> Array:
        return stalled_losses(self._system(self.flow()), arrivals, services, at, length, seed)


def share(found: Run, tally: str) -> Estimate:
    """How often a request meets with what is tallied."""
    return at_least_binomial(found.ratio(tally, "requests"), found.requests)
