"""One queue before all slots of the pool: what an ideal load balancer comes to."""

from __future__ import annotations

from typing import ClassVar

from scaling_models.montecarlo.kernels.central import Central
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
    and Boxma, Cohen and Huffels' mean (1979). In HAProxy: any balance with maxconn on the servers
    (a server then idles from a reply until the next request comes: add that round trip to the service); nginx without a
    subscription has none.
    """

    verified_with: ClassVar[int] = 8_000_000

    def _system(self, flow: Flow) -> Central:
        return Central(flow, self._slots)

    def _stalled(self, arrivals: Array, services: Array, at: float, length: float, seed: int) -> Array:
        return arrivals + stalled_waits(arrivals, services, self._slots, at, length) + services
