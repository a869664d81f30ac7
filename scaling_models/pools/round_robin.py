"""Requests to the servers in turn."""

from __future__ import annotations

from typing import ClassVar

from scaling_models.montecarlo.far_tails.tails import RareTail
from scaling_models.montecarlo.kernels.rules import RoundRobin as Rule
from scaling_models.pools.bases.rare import rare_tail
from scaling_models.pools.bases.separate_queues import SeparateQueues
from scaling_models.pools.bases.stations import Station


class RoundRobin(SeparateQueues):
    """Each request to the next of the servers, each server a queue of its own: N times E_N/G/1, or E_N/M/k.

    Of Poisson arrivals every N-th is Erlang with N stages. Exact for FIFO servers with one worker and any service
    (Spitzer 1956, on a lattice), and with several and exponential service (Takacs 1962); otherwise `NoClosedForm` is
    raised. nginx and HAProxy: round robin.
    """

    verified_with: ClassVar[int] = 8_000_000

    @property
    def _servers(self) -> tuple[tuple[float, Station], ...]:
        rate = self.arrival_rate / self.servers
        return self._first_and_others(Station(rate, self.servers, self.service, self.workers))

    def _rule(self) -> Rule:
        return Rule()

    def far_tail(self, seed: int = 0, smallest: float = 1e-9) -> RareTail:
        """Latencies of one ordinary FIFO server as rare as `smallest`, with intervals: see `rare_tail`."""
        station = self._servers[-1][1]
        return rare_tail(station.gap, self.service, self.workers, seed, smallest)
