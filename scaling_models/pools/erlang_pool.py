"""Pools that are one or more queues M/M/c each: what they answer in closed form."""

from __future__ import annotations

from scaling_models.answers import Accuracy, NoClosedForm, answer
from scaling_models.latency import Deterministic, Distribution, Exponential, Never, mixture
from scaling_models.montecarlo.far_tails.tails import RareTail
from scaling_models.pools.formulas.erlang import erlang_c
from scaling_models.pools.pool import Pool
from scaling_models.pools.rare import rare_tail
from scaling_models.pools.responses import ErlangResponse


class ErlangPool(Pool):
    """Base of pools that are M/M/c queues when the service is exponential: a subclass says how many queues."""

    @property
    def _queues(self) -> int:
        """How many queues share the arrivals, and the slots."""
        raise NotImplementedError

    @property
    def _exponential_rate(self) -> float:
        """The service rate 1/s, where the closed form holds: where the service is exponential."""
        if not self._exponential:
            raise NoClosedForm(
                f"{type(self).__name__} has a closed form for exponential service only (so far), not for "
                f"{type(self.service).__name__}: simulate it"
            )
        return 1.0 / self.service.mean()

    @property
    def _drain(self) -> float:
        """The rate at which a queue with all slots busy empties (1/s); not positive when overloaded."""
        return (self._slots / self.service.mean() - self.arrival_rate) / self._queues

    @property
    def _overloaded(self) -> bool:
        return self._drain <= 0

    def accuracy(self, metric: str, level: float | None = None) -> Accuracy:
        """Exact for exponential service and at overload; else only the load is known, and the rest is simulated."""
        declared = self._answer(metric).accuracy
        return declared if self._exponential else super().accuracy(metric, level)

    @answer("", "share of the requests that find no slot free")
    def probability_of_wait(self) -> float:
        """Erlang C of one queue; 1 at overload."""
        if self._overloaded:
            return 1.0
        self._exponential_rate  # noqa: B018  # refuses other services
        return float(erlang_c(self._slots // self._queues, self.offered_load / self._queues))

    @answer("s", "time before a slot takes the request")
    def wait(self) -> Distribution:
        """Zero with probability 1 - C, else exponential with rate c mu - lambda."""
        if self._overloaded:
            return Never()
        chance = self.probability_of_wait
        return mixture((1.0 - chance, chance), (Deterministic(0.0), Exponential(1.0 / self._drain)))

    @answer("s", "time from arrival to reply: wait and service")
    def latency(self) -> Distribution:
        """The wait plus an independent service: see `ErlangResponse`."""
        if self._overloaded:
            return Never()
        return ErlangResponse(self._exponential_rate, self._drain, self.probability_of_wait)

    def far_tail(self, seed: int = 0, smallest: float = 1e-9) -> RareTail:
        """Latencies as rare as `smallest`, with intervals: see `rare_tail`.

        Of one of the queues, fed by its share of the Poisson arrivals.
        """
        gap = Exponential(self._queues / self.arrival_rate)
        return rare_tail(gap, self.service, self._slots // self._queues, seed, smallest)
