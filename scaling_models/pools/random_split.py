"""Requests to servers at random: the balancer that balances nothing, to compare with."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from scaling_models.answers import Accuracy, NoClosedForm, answer
from scaling_models.latency import Distribution
from scaling_models.montecarlo.far_tails.tails import RareTail
from scaling_models.montecarlo.kernels.rules import Random
from scaling_models.pools.bases.pool import Array
from scaling_models.pools.bases.rare import rare_tail
from scaling_models.pools.bases.separate_queues import SeparateQueues
from scaling_models.pools.bases.stations import Station
from scaling_models.pools.formulas.sizing import split_servers
from scaling_models.pools.times.shared_responses import shared_accuracy, shared_response


class RandomSplit(SeparateQueues):
    """Each request to one of the servers at random, each server a queue of its own: N times M/G/1, or M/M/k.

    Thinning leaves Poisson arrivals of rate lambda / N. Exact for FIFO servers with one worker and any service
    (Pollaczek 1930, Khinchine 1932, on a lattice), and with several and exponential service, where one worker makes the
    latency exponential with rate mu - lambda / N; otherwise `NoClosedForm` is raised. Cooper, Introduction to Queueing
    Theory, sections 3.3 and 5.8. Of sharing servers the mean is exact, and the latency that of `shared_response`.
    """

    verified_with: ClassVar[int] = 16_000_000

    @property
    def _servers(self) -> tuple[tuple[float, Station], ...]:
        return self._first_and_others(Station(self.arrival_rate / self.servers, 1, self.service, self.workers))

    def _rule(self) -> Random:
        return Random()

    def servers_holding(self, arrival_rates: Array, latency: float, level: float) -> Array:
        """The least servers that hold a quantile of the latency at each of several arrival rates; `inf` for none.

        Of FIFO servers with exponential service; others raise `NoClosedForm`.
        """
        if not (self._exponential and self._equal) or self.discipline != "fifo":
            raise NoClosedForm("RandomSplit is sized for many loads at once where its servers are M/M/k only")
        return np.asarray(split_servers(arrival_rates, self.service.mean(), latency, level, self.workers))

    @property
    def _server(self) -> tuple[float, Distribution, int]:
        return (self.arrival_rate / self.servers, self.service, self.workers)

    @answer("s", "time from arrival to reply: wait and service")
    def latency(self) -> Distribution:
        """Of one server, which all are like."""
        if self.discipline == "sharing" and self._equal:
            return shared_response(*self._server)
        return SeparateQueues.latency.compute(self)

    def _accuracy(self, metric: str, level: float | None = None) -> Accuracy:
        """Exact for FIFO servers where there is a closed form; of sharing ones as `shared_accuracy` says."""
        if self.discipline == "sharing" and self._equal and metric in ("latency", "in_flight"):
            return shared_accuracy(*self._server, level)
        return super()._accuracy(metric, level)

    def far_tail(self, seed: int = 0, smallest: float = 1e-9) -> RareTail:
        """Latencies of one ordinary FIFO server as rare as `smallest`, with intervals: see `rare_tail`."""
        station = self._servers[-1][1]
        return rare_tail(station.gap, self.service, self.workers, seed, smallest)
