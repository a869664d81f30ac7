"""The shorter of a few queues drawn at random."""

from __future__ import annotations

from scaling_models.montecarlo.kernels.rules import PowerOf
from scaling_models.parameters import Choice, Integer, Slider, parameter
from scaling_models.pools.approximation import NONE, Approximation, Errors
from scaling_models.pools.dispatched import Counting
from scaling_models.pools.formulas.shortest_queue import found_at_shortest
from scaling_models.pools.formulas.supermarket import found_by_choices


class PowerOfChoices(Counting):
    """Each request to the server with the fewest requests among `choices` drawn at random; of equals the first drawn.
    (Without replacement no more are drawn than there are.)

    Mitzenmacher 1996. Envoy: LEAST_REQUEST at equal weights (with replacement); nginx: random two; HAProxy: random(2).
    """

    choices: int = parameter(
        default=2,
        domain=Integer(1, 100),
        unit="servers",
        symbol="d",
        about="servers drawn for each request",
        slider=Slider(1, 10, 1),
    )
    replacement: str = parameter(
        default="without",
        domain=Choice(("without", "with")),
        about="whether one server can be drawn twice for a request: with or without replacement",
    )

    def _rule(self) -> PowerOf:
        again = self.replacement == "with"
        return PowerOf(self.choices if again else min(self.choices, self.servers), again)

    def _approximation(self) -> Approximation:
        rule, load = self._rule(), self.utilization
        if not self._exponential:
            raise self._simulate_it()
        if rule.choices == 1 or self.servers == 1:
            return self._finding(found_at_shortest(load, 1, self.workers), NONE)
        if self.balancers > 1 or self.servers * (1.0 - load) < 2.0 * max(1.0, rule.choices / 2.0):
            raise self._simulate_it()
        found = found_by_choices(load, self.servers, rule.choices, self.workers, replacement=rule.replacement)
        return self._finding(found, Errors(0.02, (0.03,) * 4, 0.05, "servers x (1 - load) at least the choices"))
