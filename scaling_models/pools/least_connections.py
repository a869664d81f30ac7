"""The server with the fewest requests of all: join the shortest queue."""

from __future__ import annotations

from typing import ClassVar

from scaling_models.domains import Choice
from scaling_models.montecarlo.kernels import rules
from scaling_models.parameters import parameter
from scaling_models.pools.bases.approximation import Approximation, Errors
from scaling_models.pools.bases.dispatched import Counting
from scaling_models.pools.formulas.profiles import Found
from scaling_models.pools.formulas.several_balancers import found_by_several
from scaling_models.pools.formulas.shortest_queue import MOST_SLOTS, affordable_spread, found_at_shortest

# By the spread of the chain: of the latency, of P(wait), and of the wait. Measured against a spread larger by two, and
# by simulation, at 2 to 100 servers of 1 to 8 workers and loads from 0.3 to 0.98; nearer to capacity, up to 0.9999,
# against the larger spread only: there it errs less, by a tenth at 0.999 and a hundredth at 0.9999.
BY_SPREAD = {
    2: (0.015, 0.12, 0.12),
    3: (0.004, 0.008, 0.012),
    4: (0.001, 0.002, 0.004),
    5: (0.0003, 0.0005, 0.001),
    6: (0.0003, 0.0005, 0.001),
}
RULES = {"random": "random", "least recently used": "used", "in turn": "turns"}


class LeastConnections(Counting):
    """Each request to the server with the fewest requests, served or waiting (join the shortest queue).

    Exponential service before FIFO servers: one balancer by a chain of all states in which queues differ by a few
    requests only, several by a mean field. nginx: least_conn (its worker processes are balancers of their own, unless
    the upstream has a zone); HAProxy: leastconn; AWS: least_outstanding_requests. Who is taken of equals (`ties`) does
    not matter to exponential services before one balancer; else it may by 7% of the mean, and a quarter of a p99.
    """

    ties: str = parameter(
        default="random",
        domain=Choice(("random", "least recently used", "in turn")),
        about="which of equally loaded servers is taken; HAProxy: the least recently used, nginx: each in its turn",
    )

    _other_services: ClassVar[tuple[float, float]] = (0.05, 0.12)

    def _rule(self) -> rules.LeastConnections:
        return rules.LeastConnections(RULES[self.ties])

    def _approximation(self) -> Approximation:
        if self.servers == 1:
            return self._alone()
        if self.ties != "random" and (self.balancers > 1 or not self._exponential):
            raise self._simulate_it()  # which of equals is taken then matters, by 5 to 8% of the mean
        if self.balancers > 1:
            return self._by_several()
        if self._slots > MOST_SLOTS and not affordable_spread(self.servers, self.workers):
            raise self._simulate_it()
        found = found_at_shortest(self.utilization, self.servers, self.workers)
        return self._finding(found, self._errors(found))

    def _errors(self, found: Found) -> Errors:
        spread = affordable_spread(self.servers, self.workers)
        if spread:
            error, chance, wait = BY_SPREAD[spread]
            region = "measured at 2 to 100 servers, loads up to 0.98; nearer to capacity against a larger chain"
            return Errors(error, (error,) * 4, chance, region, wait, error)
        crowded = 1.0 - float(found.weights[: self.workers + 1].sum())
        error = 0.003 + 0.25 * crowded**0.6
        region = "grows with the chance that there are two requests or more at each server"
        return Errors(error, (error,) * 4, 0.06, region, 0.06 + 0.5 * crowded**0.6, error)

    def _by_several(self) -> Approximation:
        """Measured by simulation at 4 to 50 servers, 2 to 30 balancers, loads 0.5 to 0.95, one worker a server."""
        if self.workers > 1 or not self._exponential:
            raise self._simulate_it()
        free = self.servers * (1.0 - self.utilization)
        error = 0.01 + max(free**-1.3, free**-1.8) / self.balancers
        errors = Errors(error, (error,) * 4, error, "one worker a server; grows with 1 / (servers x (1 - load))")
        return self._finding(found_by_several(self.utilization, self.balancers), errors)
