"""One queue before all slots of the pool: what an ideal load balancer comes to."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from scaling_models.montecarlo.kernels.central import Central, replay_central
from scaling_models.montecarlo.kernels.dispatch import Dispatch
from scaling_models.montecarlo.kernels.rules import LeastWork
from scaling_models.montecarlo.kernels.stalls import stalled_waits
from scaling_models.montecarlo.traffic.flows import Flow
from scaling_models.pools.bases.central_pool import CentralPool
from scaling_models.pools.bases.pool import Array


class CentralQueue(CentralPool):
    """One FIFO queue for all `servers x workers` slots: M/G/c, c = servers x workers.

    Exact for exponential service (P(wait) = C(c, a), wait ~ Exp(c mu - lambda) given that there is one: Erlang 1917;
    Cooper, Introduction to Queueing Theory, section 3.3), for constant service (Crommelin 1932), and for service in
    phases, such as hyperexponential and Erlang, that are not too many for the slots. Approximate for other services of
    finite variance, as `accuracy` tells level by level: light tails by Tijms, van Hoorn and Federgruen 1981; scv above
    1 by the exact queue of a hyperexponential service that looks alike; else a band, `latency_low` to `latency_high`,
    and Boxma, Cohen and Huffels' mean (1979). In HAProxy: any balance with maxconn on the servers.
    """

    verified_with: ClassVar[int] = 8_000_000

    def _system(self, flow: Flow) -> Central:
        return Central(flow, self._slots)

    def _dealt(self) -> Dispatch:
        return Dispatch(self.flow(), LeastWork(), self.servers, self.workers)  # the same, path by path

    def _stalled(self, arrivals: Array, services: Array, at: float, length: float, seed: int) -> Array:
        return arrivals + stalled_waits(arrivals, services, self._slots, at, length) + services

    def replay(self, arrivals: Array, demands: Array, *, oversleep: float = 0.0, overhead: float = 0.0) -> Array:
        """Latencies (s) of a measured trace through this queue, starting empty; the model's own rates are not used.

        `arrivals` are times in ascending order, `demands` the service asked for. A real server that sleeps for its
        service wakes `oversleep` late, which occupies its slot; `overhead` is the path's, which occupies nothing.
        Raises ValueError for times out of order, negative demands, unequal lengths. Exact.
        """
        times, asked = np.asarray(arrivals, dtype=float), np.asarray(demands, dtype=float)
        if times.ndim != 1 or times.shape != asked.shape:
            raise ValueError(
                f"replay: arrivals and demands must be two rows of one length; got {times.shape}, {asked.shape}"
            )
        if not (np.isfinite(times).all() and (np.diff(times) >= 0).all()):
            raise ValueError("replay: arrivals must be finite times (s) in ascending order")
        if not (np.isfinite(asked).all() and (asked >= 0).all()):
            raise ValueError("replay: demands must be finite times in [0, inf) s")
        services = asked + oversleep
        return replay_central(times, services, self._slots) + services + overhead
