"""One server of a pool whose servers do not see each other: FIFO, fed by Erlang gaps."""

from __future__ import annotations

import dataclasses
import functools
import math

from scaling_models.latency import Deterministic, Distribution, Erlang, Exponential, mixture
from scaling_models.pools.formulas.branches import Branched, branched_times
from scaling_models.pools.formulas.erlang import erlang_c
from scaling_models.pools.formulas.erlang_arrivals import erlang_arrivals_wait
from scaling_models.pools.formulas.walks import is_exponential
from scaling_models.pools.times.responses import ErlangResponse
from scaling_models.pools.times.single_server import QueuedLatency, QueuedWait

MOST_ERROR = 1e-3  # of a quantile: what a closed form that is called exact may be wrong by


@dataclasses.dataclass(frozen=True)
class Station:
    """A FIFO server with `workers`, which gets requests at `arrival_rate` with Erlang gaps of so many `stages`.

    Exact for exponential services (E_N/M/k), and for one worker and any service (E_N/G/1): a mixture of exponentials by
    roots, any other on a lattice.
    """

    arrival_rate: float
    stages: int
    service: Distribution
    workers: int

    @property
    def gap(self) -> Distribution:
        """The time between arrivals."""
        mean = 1.0 / self.arrival_rate
        return Exponential(mean) if self.stages == 1 else Erlang(mean, self.stages)

    @property
    def utilization(self) -> float:
        """The share of its workers' time that is busy."""
        return self.arrival_rate * self.service.mean() / self.workers

    @functools.cached_property
    def memoryless(self) -> bool:
        """Whether the services are exponential."""
        return is_exponential(self.service)

    @functools.cached_property
    def solved(self) -> bool:
        """Whether there is a closed form for it."""
        return self.memoryless or (self.workers == 1 and self.error < MOST_ERROR)

    @functools.cached_property
    def _branched(self) -> Branched | None:
        """Wait and latency by roots, where one worker's services are a mixture of exponentials."""
        branches = self.service.branches if self.workers == 1 else ()
        return branched_times(1.0 / self.arrival_rate, self.stages, branches) if branches else None

    @functools.cached_property
    def error(self) -> float:
        """The largest relative error of a quantile."""
        try:
            return (
                0.0 if self.memoryless or self._branched else max(self._queued_wait.error, self._queued_latency.error)
            )
        except ArithmeticError:
            return math.inf

    @functools.cached_property
    def known_to(self) -> float:
        """The probability of a latency or wait so rare that what is beyond is extrapolated."""
        if self.memoryless or self._branched:
            return 0.0
        return self.probability_of_wait * max(self._queued_wait.known_to, self._queued_latency.known_to)

    @functools.cached_property
    def probability_of_wait(self) -> float:
        """That an arrival finds all workers busy."""
        if self.memoryless:
            return self._erlang[0]
        return float(self._branched.waits.sum()) if self._branched else self._queued_wait.chance

    @property
    def wait(self) -> Distribution:
        """Zero, or what those wait who have to."""
        chance = self.probability_of_wait
        if chance == 0:
            return Deterministic(0.0)
        if self._branched and not self.memoryless:
            rates, waits, _ = self._branched
            return mixture((1.0 - chance, *waits), (Deterministic(0.0), *(Exponential(1.0 / rate) for rate in rates)))
        late = Exponential(1.0 / self._drain) if self.memoryless else self._queued_wait
        return mixture((1.0 - chance, chance), (Deterministic(0.0), late))

    @property
    def latency(self) -> Distribution:
        """The wait and the service."""
        chance = self.probability_of_wait
        if self.memoryless:
            return ErlangResponse(1.0 / self.service.mean(), self._drain, chance)
        if chance == 0:
            return self.service
        if self._branched:
            rates, _, latencies = self._branched
            return mixture(tuple(latencies), tuple(Exponential(1.0 / rate) for rate in rates))
        return mixture((1.0 - chance, chance), (self.service, self._queued_latency))

    @functools.cached_property
    def _erlang(self) -> tuple[float, float]:
        if self.stages == 1:
            return float(erlang_c(self.workers, self.utilization * self.workers)), self.utilization
        return erlang_arrivals_wait(self.stages, self.workers, self.utilization)

    @property
    def _drain(self) -> float:
        return self.workers / self.service.mean() * (1.0 - self._erlang[1])

    @functools.cached_property
    def _queued_wait(self) -> QueuedWait:
        return QueuedWait(self.gap, self.service)

    @functools.cached_property
    def _queued_latency(self) -> QueuedLatency:
        return QueuedLatency(self.gap, self.service)
