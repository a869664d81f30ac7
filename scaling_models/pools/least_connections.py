"""The server with the fewest requests of all: join the shortest queue."""

from __future__ import annotations

from scaling_models.montecarlo.kernels import rules
from scaling_models.parameters import Choice, parameter
from scaling_models.pools.dispatched import Counting


class LeastConnections(Counting):
    """Each request to the server with the fewest requests, served or waiting (join the shortest queue).

    No closed form yet: `latency` raises `NoClosedForm`, and can be simulated. nginx: least_conn; HAProxy: leastconn;
    AWS: least_outstanding_requests.
    """

    ties: str = parameter(
        default="random",
        domain=Choice(("random", "least recently used")),
        about="which of equally loaded servers is taken",
    )

    def _rule(self) -> rules.LeastConnections:
        return rules.LeastConnections("random" if self.ties == "random" else "used")
