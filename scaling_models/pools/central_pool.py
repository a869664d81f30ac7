"""Pools that are one FIFO queue before all their slots: what they answer in closed form."""

from __future__ import annotations

import functools

from scaling_models.answers import Accuracy, answer
from scaling_models.latency import Distribution, Exponential, Never
from scaling_models.montecarlo.far_tails.slots import split_waits
from scaling_models.montecarlo.far_tails.tails import RareTail
from scaling_models.montecarlo.far_tails.twisting import rare_latencies
from scaling_models.pools.central_cases import Case, case_of
from scaling_models.pools.pool import Pool


class CentralPool(Pool):
    """Base of pools that are M/G/c with c = servers x workers, first come first served."""

    @functools.cached_property
    def _case(self) -> Case | None:
        """What is known in closed form for this service."""
        return case_of(self.arrival_rate, self._slots, self.service)

    @property
    def _known(self) -> Case:
        if self._case is None:
            raise self._simulate_it()
        return self._case

    def accuracy(self, metric: str, level: float | None = None) -> Accuracy:
        """By the service: see the class."""
        declared = super().accuracy(metric, level)
        if self._overloaded or self._case is None or declared.label == "exact":
            return declared
        return self._case.accuracy(metric, level)

    @answer("", "share of the requests that find no slot free")
    def probability_of_wait(self) -> float:
        """1 at overload."""
        return 1.0 if self._overloaded else self._known.probability_of_wait

    @answer("s", "time before a slot takes the request")
    def wait(self) -> Distribution:
        """Never at overload."""
        return Never() if self._overloaded else self._known.wait

    @answer("s", "time from arrival to reply: wait and service")
    def latency(self) -> Distribution:
        """The wait plus an independent service."""
        return Never() if self._overloaded else self._known.latency

    def far_tail(self, seed: int = 0, smallest: float = 1e-9) -> RareTail:
        """Latencies as rare as `smallest`, which plain simulation hardly sees, with intervals.

        With a single slot by exponential twisting (services with exponential moments only: others raise `ValueError`),
        with several by splitting; both unbiased for any service that they take. Raises `NotSettled` at overload.
        """
        gap = Exponential(1.0 / self.arrival_rate)
        if self._slots == 1:
            return rare_latencies(gap, self.service, seed, smallest)
        return split_waits(gap, self.service, self._slots, seed, smallest).before(self.service)
