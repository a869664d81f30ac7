"""Requests to servers at random: the balancer that balances nothing, to compare with."""

from __future__ import annotations

from typing import ClassVar

from scaling_models.answers import Simulation
from scaling_models.latency import Distribution
from scaling_models.montecarlo.pools import simulate_random_split, traffic
from scaling_models.montecarlo.stalls import dealt_stalled_waits
from scaling_models.montecarlo.streams import checked_requests, stream
from scaling_models.pools.pool import Array, Pool


class RandomSplit(Pool):
    """Each request to one of the servers at random, each server one FIFO queue: N times M/M/1.

    Thinning leaves Poisson arrivals of rate lambda / N, so the latency is exponential with rate mu - lambda / N. Exact
    for exponential service; other services raise `NoClosedForm` and can be simulated. Cooper, section 3.3, c = 1.
    """

    verified_with: ClassVar[int] = 20_000_000

    @property
    def _queues(self) -> int:
        return self.servers

    @property
    def _slots(self) -> int:
        return 1

    def _stalled(self, arrivals: Array, services: Array, at: float, length: float, seed: int) -> Array:
        chosen = stream(seed, 3).integers(0, self.servers, len(arrivals))
        return dealt_stalled_waits(arrivals, services, chosen, self.servers, at, length)

    def simulate(self, requests: int = 1_000_000, seed: int = 0, *, gaps: Distribution | None = None) -> Simulation:
        """One long run, every request dealt to a server; `gaps` gives arrivals another shape than Poisson.

        Raises `NotSettled` at overload, and where the run is too short for twenty stretches that forget each other.
        Exact but for chance.
        """
        checked_requests(self, requests)
        flow = traffic(self.arrival_rate, self.service, seed, gaps)
        run = simulate_random_split(flow, self.servers, self.utilization, requests)
        return self._simulation(run, requests, seed)
