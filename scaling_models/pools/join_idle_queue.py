"""An idle server if there is one."""

from __future__ import annotations

from scaling_models.montecarlo.kernels.rules import JoinIdle
from scaling_models.pools.approximation import NONE, Approximation, Errors
from scaling_models.pools.dispatched import Dispatched
from scaling_models.pools.formulas.extras import found_scattered
from scaling_models.pools.formulas.shortest_queue import found_at_shortest

ERRORS = Errors(0.06, (0.1, 0.1, 0.15, 0.25), 0.05, "loads up to 0.95")


class JoinIdleQueue(Dispatched):
    """Each request to a server with a worker free, drawn at random; if there is none, to any server at random.

    Exponential service before FIFO servers: by the chain of busy slots and waiting requests. Lu et al. 2011.
    """

    def _rule(self) -> JoinIdle:
        return JoinIdle()

    def _approximation(self) -> Approximation:
        if not self._exponential:
            raise self._simulate_it()
        if self.servers == 1:
            return self._finding(found_at_shortest(self.utilization, 1, self.workers), NONE)
        return self._finding(found_scattered(self.utilization, self.servers, self.workers), ERRORS)
