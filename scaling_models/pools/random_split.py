"""Requests to servers at random: the balancer that balances nothing, to compare with."""

from __future__ import annotations

from typing import ClassVar

from scaling_models.montecarlo.kernels.dispatch import Dispatch
from scaling_models.montecarlo.kernels.rules import Random
from scaling_models.montecarlo.kernels.stalls import stalled_departures
from scaling_models.montecarlo.traffic.flows import Flow
from scaling_models.pools.erlang_pool import ErlangPool
from scaling_models.pools.pool import Array


class RandomSplit(ErlangPool):
    """Each request to one of the servers at random, each server one FIFO queue: N times M/M/k.

    Thinning leaves Poisson arrivals of rate lambda / N; with one worker the latency is exponential with rate
    mu - lambda / N. Exact for exponential service; other services raise `NoClosedForm` and can be simulated. Cooper,
    Introduction to Queueing Theory, section 3.3.
    """

    verified_with: ClassVar[int] = 16_000_000

    @property
    def _queues(self) -> int:
        return self.servers

    def _system(self, flow: Flow) -> Dispatch:
        return Dispatch(flow, Random(), self.servers, self.workers)

    def _dealt(self) -> Dispatch:
        return self._system(self.flow())

    def _stalled(self, arrivals: Array, services: Array, at: float, length: float, seed: int) -> Array:
        return stalled_departures(self._system(self.flow()), arrivals, services, at, length, seed)
