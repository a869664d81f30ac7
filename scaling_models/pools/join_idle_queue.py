"""An idle server if there is one."""

from __future__ import annotations

from typing import ClassVar

from scaling_models.montecarlo.kernels.rules import JoinIdle
from scaling_models.pools.bases.approximation import UNUSABLE, Approximation, Errors
from scaling_models.pools.bases.dispatched import Dispatched
from scaling_models.pools.formulas.extras import found_scattered
from scaling_models.pools.formulas.shortest_queue import MOST_SLOTS

HIGHEST_LOAD = 0.995


class JoinIdleQueue(Dispatched):
    """Each request to a server with a worker free, drawn at random; if there is none, to any server at random.

    Exponential service before FIFO servers: by the chain of busy slots and waiting requests. Lu et al. 2011.
    """

    _other_services: ClassVar[tuple[float, float]] = (0.03, 0.12)

    def _rule(self) -> JoinIdle:
        return JoinIdle()

    def _approximation(self) -> Approximation:
        if self.servers == 1:
            return self._alone()
        errors = self._errors()
        # Near capacity the chain is long, and what it tells of no use.
        if self._slots > MOST_SLOTS or self.utilization > HIGHEST_LOAD or errors.mean > UNUSABLE:
            raise self._simulate_it()
        return self._finding(found_scattered(self.utilization, self.servers, self.workers), errors)

    def _errors(self) -> Errors:
        """Envelopes of what simulation showed at 2 to 200 servers, 1 to 8 workers and loads from 0.5 to 0.98."""
        x = self.servers * (1.0 - self.utilization)
        quantiles = (
            0.01 + 0.04 * x**-0.8,
            0.005 + 0.04 * x**-0.7,
            0.005 + 0.05 * x**-0.75,
            0.01 + 0.1 * x**-0.75,
        )
        return Errors(0.01 + 0.02 * x**-0.7, quantiles, 0.05, "grows as servers x (1 - load) falls")
