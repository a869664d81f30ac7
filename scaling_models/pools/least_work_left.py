"""The server on which the request will begin first: what a balancer could do that knew how long requests take."""

from __future__ import annotations

from scaling_models.montecarlo.kernels.dispatch import Dispatch
from scaling_models.montecarlo.kernels.rules import LeastWork
from scaling_models.montecarlo.kernels.stalls import stalled_departures
from scaling_models.montecarlo.traffic.flows import Flow
from scaling_models.pools.bases.central_pool import CentralPool
from scaling_models.pools.bases.pool import Array


class LeastWorkLeft(CentralPool):
    """Each request to the server on which it will begin first: path by path what one central queue does.

    So M/G/c with c = servers x workers, as `CentralQueue` tells. Needs to know the work that is left at every server
    (of one with several workers: when the first of them comes free).
    """

    def _system(self, flow: Flow) -> Dispatch:
        return Dispatch(flow, LeastWork(), self.servers, self.workers)

    def _stalled(self, arrivals: Array, services: Array, at: float, length: float, seed: int) -> Array:
        return stalled_departures(self._system(self.flow()), arrivals, services, at, length, seed)
