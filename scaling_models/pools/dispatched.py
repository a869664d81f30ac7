"""Pools behind a balancer that sends every request to a server as it comes."""

from __future__ import annotations

from scaling_models.montecarlo.kernels.dispatch import Dispatch
from scaling_models.montecarlo.kernels.rules import Rule
from scaling_models.montecarlo.kernels.stalls import stalled_departures
from scaling_models.montecarlo.traffic.flows import Flow
from scaling_models.parameters import Choice, Integer, Slider, parameter
from scaling_models.pools.pool import Array, Pool


class Dispatched(Pool):
    """Base of pools behind a balancer whose servers are FIFO, or share themselves among all that they have."""

    discipline: str = parameter(
        default="fifo",
        domain=Choice(("fifo", "sharing")),
        about="each worker serves one request after the other, or the server all its requests at once",
    )

    @property
    def _balancers(self) -> int:
        return 1

    @property
    def _usual_requests(self) -> int:
        many = super()._usual_requests
        return many // 5 if self.discipline == "sharing" else many  # sharing takes ten times as long a request

    def _rule(self) -> Rule:
        """How the balancer chooses."""
        raise NotImplementedError

    def _system(self, flow: Flow) -> Dispatch:
        sharing = self.discipline == "sharing"
        return Dispatch(flow, self._rule(), self.servers, self.workers, self._balancers, sharing=sharing)

    def _dealt(self) -> Dispatch:
        return self._system(self.flow())

    def _stalled(self, arrivals: Array, services: Array, at: float, length: float, seed: int) -> Array:
        return stalled_departures(self._system(self.flow()), arrivals, services, at, length, seed)


class Counting(Dispatched):
    """Base of pools whose balancers count the requests that they have at each server, each only its own."""

    balancers: int = parameter(
        default=1,
        domain=Integer(1, 1000),
        unit="balancers",
        symbol="m",
        about="balancers that share the requests, each knowing of its own only",
        slider=Slider(1, 20, 1),
    )

    @property
    def _balancers(self) -> int:
        return self.balancers
