"""The shorter of a few queues drawn at random."""

from __future__ import annotations

from scaling_models.montecarlo.kernels.rules import PowerOf
from scaling_models.parameters import Choice, Integer, Slider, parameter
from scaling_models.pools.dispatched import Counting


class PowerOfChoices(Counting):
    """Each request to the server with the fewest requests among `choices` drawn at random; of equals the first drawn.
    (Without replacement no more are drawn than there are.)

    No closed form yet: `latency` raises `NoClosedForm`, and can be simulated. Mitzenmacher 1996. Envoy: LEAST_REQUEST
    at equal weights (with replacement); nginx: random two; HAProxy: random(2).
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
