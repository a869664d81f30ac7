"""Pools that are one FIFO queue before all their slots: what they answer in closed form."""

from __future__ import annotations

import functools

import numpy as np

from scaling_models.answers import EXACT, Accuracy, NoClosedForm
from scaling_models.latency import Exponential
from scaling_models.montecarlo.far_tails.tails import RareTail
from scaling_models.montecarlo.kernels.central import replay_central
from scaling_models.montecarlo.kernels.dispatch import Dispatch
from scaling_models.montecarlo.kernels.rules import LeastWork
from scaling_models.pools.bases.central_answers import CentralAnswers
from scaling_models.pools.bases.central_cases import Case, case_of
from scaling_models.pools.bases.pool import Array
from scaling_models.pools.bases.rare import rare_tail
from scaling_models.pools.formulas.sizing import central_servers


class CentralPool(CentralAnswers):
    """Base of pools that are M/G/c with c = servers x workers, first come first served."""

    @functools.cached_property
    def _case(self) -> Case | None:
        """What is known in closed form for this service."""
        return case_of(self.arrival_rate, self._slots, self.service)

    def _accuracy(self, metric: str, level: float | None = None) -> Accuracy:
        """By the service: see the class."""
        declared = super()._accuracy(metric, level)
        if self._overloaded:
            return EXACT
        if self._case is None or declared.label == "exact":
            return declared
        return self._case.accuracy(metric, level)

    def _dealt(self) -> Dispatch:
        return Dispatch(self.flow(), LeastWork(), self.servers, self.workers)  # the same as one queue, path by path

    def _replayed(self, arrivals: Array, services: Array, seed: int) -> Array:
        return replay_central(arrivals, services, self._slots) + services

    def servers_holding(self, arrival_rates: Array, latency: float, level: float) -> Array:
        """The least servers that hold a quantile of the latency at each of several arrival rates; `inf` for none.

        With exponential service; others raise `NoClosedForm`.
        """
        if not self._exponential:
            raise NoClosedForm(f"{type(self).__name__} is sized for many loads at once with exponential service only")
        return np.asarray(central_servers(arrival_rates, self.service.mean(), latency, level, self.workers))

    def far_tail(self, seed: int = 0, smallest: float = 1e-9) -> RareTail:
        """Latencies as rare as `smallest`, with intervals: see `rare_tail`."""
        return rare_tail(Exponential(1.0 / self.arrival_rate), self.service, self._slots, seed, smallest)
