"""An idle server if there is one."""

from __future__ import annotations

from scaling_models.montecarlo.kernels.rules import JoinIdle
from scaling_models.pools.dispatched import Dispatched


class JoinIdleQueue(Dispatched):
    """Each request to a server with a worker free, drawn at random; if there is none, to any server at random.

    No closed form yet: `latency` raises `NoClosedForm`, and can be simulated. Lu et al. 2011.
    """

    def _rule(self) -> JoinIdle:
        return JoinIdle()
